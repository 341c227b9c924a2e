/*
 * tidy: what gets old in the database. Works in small steps, each a transaction of its own that touches about
 * TIDY_ROWS rows, so that who writes never waits long.
 *
 * Charges get coarser: a slot of one second whose end is older than 10 minutes becomes part of one of 10 seconds, after
 * an hour of 2 minutes, after a day of an hour, after 31 days of a day; after 366 days, the longest window there can be,
 * it is removed. A slot's end is rounded up, never down: what comes back from it after a start leaves its window late, by
 * a slot at most, and never early.
 *
 * Calls and their holds that ended before the retention are removed. Hours stay. Time goes on by a day a round at the
 * most, however far the wall clock jumps ahead.
 */
#ifndef METERGATE_LEDGER_TIDY_H
#define METERGATE_LEDGER_TIDY_H

#include <stdbool.h>
#include <stdint.h>

#include "metergate/base/err.h"
#include "metergate/ledger/db.h"

#define TIDY_ROWS 5000

struct tidy;

/* *ret is set even when the code is not DB_OK; free it before the connection is closed. */
int tidy_new(struct db *db, struct tidy **ret) MG_MUSTCHECK;
void tidy_free(struct tidy *t); /* NULL is fine */

/* A charge was added to that slot: when it is an old one, the next round looks at that time again. */
void tidy_note(struct tidy *t, int64_t until_s);

/*
 * One step of a round, in the transaction that is open. *ret_more: the round is not over, call it again.
 * `now_us` is the wall clock. A code of db.h.
 */
int tidy_step(struct tidy *t, int64_t now_us, int64_t retention_us, bool *ret_more) MG_MUSTCHECK;

/* A step was rolled back: the next one is the first of a new round. */
void tidy_reset(struct tidy *t);

/* The statements, NULL behind the last one: for the test that none of them reads a table from end to end. */
extern const char *const tidy_sql[];

#endif
