/*
 * predict: when a call will start, from what stands before it.
 *
 * The start is a fluid estimate: the tokens ahead of the call flow through the window, which repeats itself:
 * T(x) = E(x - qU) + qW with q = floor((x - 1) / U), x the tokens ahead and its own, E the first moment with
 * that much room by known expiries. With nobody ahead it is exact.
 *
 * Calls of higher classes that are yet to come are taken to come as in the last ten minutes: the wait is
 * stretched by what they leave. (The soonest start, by which arrivals are refused, is not.)
 *
 * The slack bounds what packing may add. Whenever a head is blocked by a limit, more than U - c of it is
 * charged (c: the largest call that waits), so A waiting tokens pass in less than (A / (U - c) + 1) W;
 * requests that are kept apart add their spacing; and a head starts within the longest span of becoming the
 * head, so n calls pass within n of those. With several limits the first bound adds up over them. It holds
 * while nothing arrives later, charges are as reserved, and the time between dispatch and arrival at the
 * provider is neglected. Where calls in flight decide (concurrency, charges at the end, budgets shared with
 * other queues), and where lower classes leave room to higher ones, no bound is known.
 */
#ifndef METERGATE_GATE_PREDICT_H
#define METERGATE_GATE_PREDICT_H

#include <stdint.h>

#include "metergate/gate/ticket.h"

/* When a held call will start: not later than start + slack if nothing comes before it and charges are as
 * reserved. */
struct prediction {
    int64_t start_us; /* at most CLOCK_NEVER */
    int64_t late_us; /* by so much the fluid estimate may be too early: a span, when others stand before it */
    int64_t soonest_us; /* the estimate may be a span too late: what could still be in time is not refused */
    int64_t slack_us;   /* CLOCK_NEVER: no bound is known */
};

/* For a ticket that is not queued yet: ahead is what is before its place, or everything when it has none.
 * Advance it first. */
struct prediction predict_arrival(const struct ticket *t, int64_t now_us);

/* For a queued one. O(log n) and what the windows take. */
struct prediction predict_held(const struct ticket *t, int64_t now_us);

#endif
