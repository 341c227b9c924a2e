/*
 * unwritten: what was charged by rows that an earlier process left in the journal, when a start cannot put them into the
 * database (it is locked, or the disk is full). Else the windows of this run would not know of them: after hours of such
 * trouble that may be all that was spent. Kept for ledger_history alone; the rows stay in the journal.
 *
 * A correction is left out: what its call was estimated at counts.
 */
#ifndef METERGATE_LEDGER_UNWRITTEN_H
#define METERGATE_LEDGER_UNWRITTEN_H

#include "metergate/base/map.h"
#include "metergate/base/slice.h"
#include "metergate/ledger/ledger.h"
#include "metergate/ledger/row.h"

struct unwritten {
    struct map by_scope; /* private: scope -> its charges, owned */
};

void unwritten_init(struct unwritten *u);
void unwritten_release(struct unwritten *u);

void unwritten_add(struct unwritten *u, const struct ledger_row *r);

/* Who is to be given all charges: `give` and `arg` are ledger_history's. */
struct unwritten_giver {
    struct unwritten *u;
    ledger_scope_charged *give;
    void *arg;
    struct slice prefix; /* of the scopes that are asked for */
    int64_t from_us;     /* what came earlier is of no interest */
};

/* First this; then a scope that the database has, with what is here of it, oldest first (a ledger_scope_charged; `arg` is
 * the giver); then those that only are here. */
void unwritten_begin(struct unwritten_giver *g);
void unwritten_give(void *arg, struct slice scope, const struct ledger_charged *v, size_t n);
void unwritten_give_rest(struct unwritten_giver *g);

#endif
