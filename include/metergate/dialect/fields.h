/*
 * fields: a few members of a JSON object, found by name, for the dialects. Of a member that stands twice the
 * last one counts, as it does at the providers (scan.h); `times` tells that it did.
 *
 *     struct field f[] = {{.name = "model"}, {.name = "stream"}};
 *     fields_read(body, f, MG_ARRAY_LEN(f), &close_at);
 */
#ifndef METERGATE_DIALECT_FIELDS_H
#define METERGATE_DIALECT_FIELDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "metergate/base/err.h"
#include "metergate/base/scan.h"
#include "metergate/base/slice.h"
#include "metergate/dialect/dialect.h"

struct field {
    const char *name;
    const char *other_name;  /* another spelling, or NULL: protobuf's JSON takes maxTokens and max_tokens */
    struct scan_value value; /* type SCAN_NONE: absent; offsets into the text that was read */
    int times;
};

/*
 * Reads `text`, which must be one JSON object to its last byte. *ret_close_at: where its closing brace
 * stands; may be NULL. -EBADMSG, with nothing in the fields to be trusted.
 */
int fields_read(struct slice text, struct field *fields, size_t n, size_t *ret_close_at) MG_MUSTCHECK;

/* What a field says, as it stands in `text`: with quotes and braces; empty when absent. */
struct slice field_raw(struct slice text, const struct field *f);

/* A whole number in 0..most; what is absent, null, of another type, negative or a fraction is 0. */
int64_t field_number(struct slice text, const struct field *f, int64_t most);

/* A string, decoded, of 1 to size - 1 bytes without NUL. -EBADMSG: it is no such string; *ret is untouched.
 */
int field_text(struct slice text, const struct field *f, char *ret, size_t size) MG_MUSTCHECK;

bool field_is_true(const struct field *f);
struct span field_span(const struct field *f);

/* How many elements an array has; 0 for what is none. */
int64_t field_elements(struct slice text, const struct field *f);

#endif
