/*
 * lately: the last calls that have ended, as the ledger keeps them, in memory: for who watches (events.h), whether or not
 * there is a ledger. Their rows are filled in place; nothing is allocated. Pure.
 */
#ifndef METERGATE_PROXY_LATELY_H
#define METERGATE_PROXY_LATELY_H

#include <stdbool.h>
#include <stdint.h>

#include "metergate/ledger/row.h"

#define LATELY_MAX 100

/* A zeroed one is empty. */
struct lately {
    struct ledger_row row[LATELY_MAX]; /* private: call number n of this run that ended is in row[n % LATELY_MAX] */
    uint64_t count;                    /* readable: that have ended since the start */
};

/* The row of one more call, zeroed, to be filled by the caller; it takes the oldest one's place. */
struct ledger_row *lately_add(struct lately *r);

/* The call that was the n-th to end, from 0; NULL when it is too long ago, or has not ended. */
const struct ledger_row *lately_get(const struct lately *r, uint64_t n);

/* The number of the oldest one that is still there; r->count when there is none. */
uint64_t lately_oldest(const struct lately *r);

/* The number of the call of that id (row_id). False: it is not there. */
bool lately_find(const struct lately *r, int64_t id, uint64_t *ret_n);

/* What that call used is known only now; nothing where it is not there any more. */
void lately_correct(struct lately *r, const struct ledger_row *correction);

#endif
