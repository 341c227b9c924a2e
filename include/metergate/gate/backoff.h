/*
 * backoff: how long nothing is sent to a model, or to an upstream, that has refused. One struct for
 * everything that is refused together, however many calls that are: what was sent before a refusal was known
 * is of its crowd and makes nobody wait twice as long. An attempt that is answered, and was sent after the
 * one that was refused, ends it.
 *
 *   no wait was named   capped exponential with equal jitter (M. Brooker, "Exponential Backoff And Jitter",
 *                       2015): the n-th refusal in a row waits d..2d, d = 0.5 s x 2^(n-1), 2d at most
 *                       BACKOFF_MAX_US
 *   a wait was named    that wait and up to a tenth of it more, at most 1 s; tiny ones are doubled from 2 ms on,
 *                       so that "1 ms" a thousand times is no tight loop
 *
 * Those who come back do so one by one, a random gap apart: an eighth of the wait at first, twice as much
 * with each further refusal, a quarter less with each answer. So a crowd that was refused together is not
 * sent together again, and finds the pace that the provider bears.
 *
 * Pure: time and chance are handed in. A zeroed struct is one that was never refused.
 */
#ifndef METERGATE_GATE_BACKOFF_H
#define METERGATE_GATE_BACKOFF_H

#include <stdint.h>

#include "metergate/base/prng.h"

#define BACKOFF_MAX_US     (INT64_C(8) * 1000000)
#define BACKOFF_GAP_MAX_US (INT64_C(3) * 1000000 / 2)

struct backoff {
    int refused, named; /* in a row, of either kind, each crowd once */
    int64_t sent_us;    /* when the attempt was sent that counted last */
    int64_t known_us;   /* when its refusal was known */
    int64_t until_us;   /* the end of the longest wait of its crowd */
    int64_t gap_us;     /* mean distance of those who come back; 0: none */
};

/*
 * An attempt that was sent at sent_us was refused, now, and nobody said for how long: the moment until which
 * nothing is to be sent.
 */
int64_t backoff_refused(struct backoff *b, struct prng *random, int64_t sent_us, int64_t now_us);

/* The same with a wait that the provider named: > 0, at most a day. Never earlier than now_us + wait_us. */
int64_t backoff_named(struct backoff *b, struct prng *random, int64_t sent_us, int64_t now_us,
                      int64_t wait_us);

/* An attempt that was sent at sent_us was not refused. */
void backoff_answered(struct backoff *b, int64_t sent_us);

/*
 * An attempt is sent now: how long nothing more is; 0: as soon as there is room. At most BACKOFF_GAP_MAX_US.
 */
int64_t backoff_gap_us(const struct backoff *b, struct prng *random, int64_t now_us);

/* The wait of the n-th failure in a row (from 1): d..2d, d = 0.5 s x 2^(n-1), 2d at most most_us (>= 1 s). */
int64_t backoff_wait_us(int n, int64_t most_us, struct prng *random);

#endif
