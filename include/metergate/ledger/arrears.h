/*
 * arrears: what the rows of an earlier process were charged that could not be put into the database at the
 * start, because it was locked or its disk was full. Limits are rebuilt from these charges as well, so that
 * no restart grants twice what the journal alone remembers. A row that is in both (the process died between
 * the two) counts twice: too much is the safe side.
 */
#ifndef METERGATE_LEDGER_ARREARS_H
#define METERGATE_LEDGER_ARREARS_H

#include <stddef.h>
#include <stdint.h>

#include "metergate/base/slice.h"
#include "metergate/ledger/ledger.h"
#include "metergate/ledger/row.h"

struct arrear;

/* Zeroed: empty. Bounded by the journal's slots. */
struct arrears {
    struct arrear *v; /* private, owned */
    size_t n, cap;    /* private */
};

void arrears_release(struct arrears *l);

/* The charges of a row. */
void arrears_add(struct arrears *l, const struct ledger_row *r);

/* Somebody asks: all scopes are to be given, again. */
void arrears_begin(struct arrears *l);

/*
 * Gives what the scope was charged by the database (`v`, oldest first) together with what is in arrears of it
 * and came after from_us, oldest first. Once for each scope since arrears_begin.
 */
void arrears_join(struct arrears *l, struct slice scope, const struct ledger_charged *v, size_t n,
                  int64_t from_us, ledger_scope_charged *give, void *arg);

/* Gives the scopes with that prefix of which nothing was given yet. */
void arrears_give(struct arrears *l, struct slice prefix, int64_t from_us, ledger_scope_charged *give,
                  void *arg);

#endif
