/*
 * value: one option's value, from the text of a YAML scalar into the field that its row names.
 *
 * A field is released with value_release, and reads of the list types (TABLE_TEXTS, TABLE_GLOBS,
 * TABLE_LISTEN, TABLE_USERS, TABLE_CHOICES) add one element to what is there. Nothing is changed when the
 * text is refused.
 */
#ifndef METERGATE_CONFIG_VALUE_H
#define METERGATE_CONFIG_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "metergate/base/err.h"
#include "metergate/base/slice.h"
#include "metergate/config/table.h"

/* True for the types that take a YAML list. */
bool value_is_list(enum table_type type);

/* True for limits, of which a field holds several: they are read, printed and kept by their own rules. */
bool value_is_limit(enum table_type type);

/*
 * -EINVAL with a sentence about the text. A limit is read here as its max alone (int64_t). The sentence
 * never quotes what may be a credential.
 */
int value_read(const struct table_row *row, struct slice text, void *field, struct errbuf *e) MG_MUSTCHECK;

/* Sets every unset field of that home in `base` to its row's default; limits stay unset. */
void value_set_defaults(enum table_home home, void *base);

/* Releases all those fields. */
void value_release_all(enum table_home home, void *base);

/* Frees what the field owns and leaves it unset. */
void value_release(const struct table_row *row, void *field);

/* Sets an unset field from the table's own text ("a, b" for a list), which is good or a bug. */
void value_set(const struct table_row *row, const char *text, void *field);

/* Room for a field of any type, for values that are checked and not kept. All zeros is unset. */
union value_any {
    int64_t number;
    unsigned word;
    bool yes;
    char *text;
    struct {
        void *v;
        size_t n;
    } list;
};

#endif
