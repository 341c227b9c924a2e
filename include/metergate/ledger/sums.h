/*
 * sums: what a batch of rows adds to the tables hours and charges, added up in memory so that a thousand
 * calls of one client and model are one row of each. Nothing is in the database before sums_write.
 *
 * Sums stay at INT64_MAX where they would pass it; SQLite keeps what passes it there as a floating number,
 * which reads as INT64_MAX. No honest figure comes near.
 */
#ifndef METERGATE_LEDGER_SUMS_H
#define METERGATE_LEDGER_SUMS_H

#include <stdint.h>

#include "metergate/base/err.h"
#include "metergate/gate/profile.h"
#include "metergate/ledger/db.h"

/* Whose hour: numbers of names. */
struct sums_hour {
    int64_t hour; /* since 1970 */
    int64_t client, upstream, budget, account, model, endpoint;
};

/* In the order of the table's columns. */
enum sums_column {
    SUMS_CALLS,
    SUMS_COMPLETED, /* enum row_outcome, from here on */
    SUMS_REFUSED,
    SUMS_CANCELLED,
    SUMS_FAILED,
    SUMS_ATTEMPTS,
    SUMS_INPUT,
    SUMS_CACHED,
    SUMS_CACHE_WRITE,
    SUMS_CACHE_WRITE_1H,
    SUMS_OUTPUT,
    SUMS_REASONING,
    SUMS_COST,
    SUMS_UNPRICED,
    SUMS_QUEUED_MS,
    SUMS_FIRST_BYTES,
    SUMS_FIRST_BYTE_MS,
    SUMS_TOTAL_MS,
    SUMS_COLUMNS
};

/* What a scope was charged in one slot of time. */
struct sums_charge {
    int64_t scope;   /* number of its name */
    int64_t until_s; /* the slot's end: nothing in it came later */
    int64_t amount[METRICS]; /* but for METRIC_CONCURRENT */
    int64_t cost_nano;
};

struct sums;

/* *ret is set even when the code is not DB_OK; free it before the connection is closed. */
int sums_new(struct db *db, struct sums **ret) MG_MUSTCHECK;
void sums_free(struct sums *s); /* NULL is fine */

void sums_add_hour(struct sums *s, const struct sums_hour *key, const int64_t v[SUMS_COLUMNS]);
void sums_add_charge(struct sums *s, const struct sums_charge *c); /* nothing of 0 is kept */

/* Puts all of it into the database, in the transaction that is open, and forgets it. A code of db.h. */
int sums_write(struct sums *s) MG_MUSTCHECK;

/* Forgets what was not written. */
void sums_reset(struct sums *s);

#endif
