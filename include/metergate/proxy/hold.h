/*
 * hold: what kept calls waiting, and for how long, so that it can be told afterwards.
 *
 * All calls of one queue wait for the same thing, but for those whose own client's limit keeps them back. So it is the
 * queue that remembers, in a short history of what its head waited for; a call that goes looks up its own time in it.
 * The history is written when the queue is looked at: every HOLD_LOOK_US while calls are held.
 */
#ifndef METERGATE_PROXY_HOLD_H
#define METERGATE_PROXY_HOLD_H

#include <stdint.h>

#include "metergate/ledger/row.h"

struct call;
struct model_budget;
struct proxy;

#define HOLD_LOOK_US   (INT64_C(50) * 1000)
#define HOLD_HISTORY   32

/* One thing that a queue waits for. */
struct hold_reason {
    const char *what; /* static, as in struct row_hold; NULL: nothing is known to keep it */
    enum row_whose whose;
};

/* Zeroed: the queue waited for nothing. Private. */
struct hold_history {
    struct {
        struct hold_reason why;
        int64_t from_us;
    } v[HOLD_HISTORY]; /* a ring */
    unsigned n; /* ever written */
};

/* What a call that is held waits for now, besides those before it. */
struct hold_reason hold_why(const struct call *c, int64_t now_us);

/* Whose limit that is, by name; "" for ROW_OF_NOBODY. Borrowed of what the call takes from. */
const char *hold_name(const struct call *c, enum row_whose whose);

/* Calls may be held after this turn of the loop: looks at all queues when it is time for that. */
void hold_look(struct proxy *p, int64_t now_us);

/* The call has begun to wait: whether it is its own client's limit that keeps it back. */
void hold_begin(struct call *c);

/* It waits no longer. What it waited for since then is added to its holds. */
void hold_end(struct call *c, int64_t now_us);

/*
 * What a call waited for so far, from its arrival on, into ret[ROW_HOLDS_MAX]; their number. A call that is held: the
 * last one goes on. A call that was refused for a limit: that one stands last, without a length if it did not wait for it.
 */
int hold_list(const struct call *c, int64_t now_us, struct row_hold *ret);

#endif
