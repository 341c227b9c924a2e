/*
 * purse: the money limits of one budget, or of one client. Money never holds a call: it is there, or the call
 * is refused. What a call will probably cost is taken out when it is taken in, and what it did cost stays taken
 * when it is over, from that moment on for one span of each limit. Pure; amounts are nano-dollars.
 *
 * Nothing is spent above a limit as far as estimates hold: spent + reserved <= max whenever a call that costs
 * something is taken in. What costs nothing always has room.
 */
#ifndef METERGATE_GATE_PURSE_H
#define METERGATE_GATE_PURSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "metergate/gate/window.h"

#define PURSE_LIMITS_MAX 3 /* an hour's, a day's, a month's */

/* As the operator wrote it. No two limits of a purse have the same span. */
struct money_limit {
    const char *key; /* static: "usd_per_day" */
    int64_t max;     /* nano-dollars, > 0, at most 10^18 */
    int64_t span_us; /* rolling */
};

/* Zeroed: without limits. `limit` and `n` are readable. */
struct purse {
    size_t n;
    struct money_limit limit[PURSE_LIMITS_MAX];
    struct window window[PURSE_LIMITS_MAX]; /* private; `used` and `reserved` are readable after purse_advance */
    int64_t reserved;                       /* readable: of all calls that are not over */
};

void purse_release(struct purse *p);

/*
 * Other limits from now on. One of the same span keeps its history; one of another span starts with what the
 * longest of those before it knows. What is reserved counts in each.
 */
void purse_set(struct purse *p, const struct money_limit *limits, size_t n);

/* Lets go what has left the windows. What reads them wants it first. */
void purse_advance(struct purse *p, int64_t now_us);

/* Why there is no room. */
struct purse_refusal {
    const struct money_limit *limit;
    int64_t spent, reserved; /* in its window, now */
    int64_t wanted;          /* what the call would probably cost */
    int64_t frees_us;        /* the moment at which there is room if nothing else is spent; CLOCK_NEVER: when
                                calls end for less, or never (wanted > limit->max) */
};

/* Whether the call may spend that much. False: *ret_why is of the limit that frees last. */
bool purse_has_room(struct purse *p, int64_t now_us, int64_t nano, struct purse_refusal *ret_why);

/* Takes it out (0 is fine); and, when the call is over, puts that back and spends what it did cost. All >= 0. */
void purse_reserve(struct purse *p, int64_t nano);
void purse_settle(struct purse *p, int64_t now_us, int64_t reserved, int64_t spent);

/*
 * What was spent at an earlier moment, of a run before this one; oldest first, before anything else is spent.
 * The moment may lie before the clock began, and what has left by now is let go by whatever advances next.
 */
void purse_restore(struct purse *p, int64_t at_us, int64_t spent);

/* Nothing is reserved and no window holds anything: forgetting it loses nothing. */
bool purse_is_forgettable(struct purse *p, int64_t now_us);

#endif
