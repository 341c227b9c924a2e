/*
 * limiter: how a provider limits one quantity, in three ways that providers are known to use. Pure: time is an
 * argument, and there is no arithmetic in floating point.
 *
 *   rolling   what was charged in the last span, exactly: (now - span, now]
 *   bucket    a token bucket that holds one span of the limit and refills all the time, max/span a microsecond. This
 *             is what OpenAI's messages show: wait = (used + requested - max) * span / max, to the millisecond
 *   fixed     a counter that starts again at every multiple of the span (Azure)
 *
 * A charge may take the sum over `max` (an answer that is charged at its end); then nothing fits until it is below.
 */
#ifndef SIMULATOR_LIMITER_H
#define SIMULATOR_LIMITER_H

#include <stdbool.h>
#include <stdint.h>

#include "charges.h"

enum limiter_kind {
    LIMITER_ROLLING,
    LIMITER_BUCKET,
    LIMITER_FIXED
};

/* token-microseconds do not fit 64 bits for limits that exist */
__extension__ typedef __int128 limiter_wide;

struct limiter {
    enum limiter_kind kind; /* readable */
    int64_t max;            /* readable: per span */
    int64_t span_us;        /* readable */
    int64_t last_us;        /* private: the newest moment seen */
    struct charges charges; /* private: rolling */
    size_t lo;              /* private: rolling: sum is that of charges lo..n */
    int64_t sum;            /* private: rolling */
    limiter_wide debt;      /* private: bucket: used * span_us */
    int64_t window;         /* private: fixed: which span the counter is for */
    int64_t used;           /* private: fixed */
};

#define LIMITER_NEVER INT64_MAX

void limiter_init(struct limiter *l, enum limiter_kind kind, int64_t max, int64_t span_us);
void limiter_release(struct limiter *l);

/* What counts at this moment, rounded up to a whole one. */
int64_t limiter_used(struct limiter *l, int64_t now_us);

/*
 * 0 when `amount` may be charged at `now_us`; else how long until it would fit if nothing else came; LIMITER_NEVER when
 * it is more than max. A moment before the newest one is fine for the rolling kind, which then looks at every span that
 * the charge would be in; the other kinds take it for the newest.
 */
int64_t limiter_wait_us(struct limiter *l, int64_t amount, int64_t now_us);

/* Charges, whether it fits or not. */
struct charge_ref limiter_charge(struct limiter *l, int64_t amount, int64_t now_us);

/* Corrects a charge by `delta` and keeps its time. No effect on what no longer counts. */
void limiter_adjust(struct limiter *l, struct charge_ref ref, int64_t delta, int64_t now_us);

/* How long until nothing is used any more: what x-ratelimit-reset-* says. */
int64_t limiter_reset_us(struct limiter *l, int64_t now_us);

#endif
