/*
 * bill: how the calls of one account ended, what they used and what that costs. Plain data, guarded by the
 * lock of struct sim. An answer with an error status has used nothing.
 */
#ifndef SIMULATOR_BILL_H
#define SIMULATOR_BILL_H

#include <stdbool.h>
#include <stdint.h>

#include "tariff.h"

struct buf;

struct bill {
    int64_t answered; /* whole, below 400 */
    int64_t refused;  /* 429 */
    int64_t failed;   /* other error statuses */
    int64_t cut;      /* neither: by a fault, or because the client left */
    struct used used; /* sums over answered and cut; without a tier */
    int64_t cost_nano;
    int64_t unpriced; /* calls of those without a known cost: not in cost_nano */
};

/* One call ended; `whole` when its answer did. */
void bill_add(struct bill *b, const struct tariff *own, const char *model, const struct used *u, int status,
              bool whole);

/* The last bytes of an answer that was added as a whole one did not go. */
void bill_was_cut(struct bill *b, int status);

/* A JSON object. */
void bill_print(const struct bill *b, struct buf *out);

#endif
