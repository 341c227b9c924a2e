/*
 * replay: when every held call will start, found by letting a copy of the gate decide in virtual time. The
 * copy has the budgets as they stand and the held calls; nobody else arrives, every call is over as soon as
 * it goes, and what it takes is what would be reserved for it, counted at that moment. What calls in flight
 * have reserved is counted now.
 *
 * So it is exact when charges are made on arrival and are as reserved, and requests arrive when they are
 * sent. Calls in flight do not hold anybody up in it (who knows how long they take), nor does a stopped gate.
 */
#ifndef METERGATE_GATE_REPLAY_H
#define METERGATE_GATE_REPLAY_H

#include <stdint.h>

#include "metergate/gate/gate.h"

/* No more calls than this are followed: it bounds the time that one replay takes. */
#define REPLAY_CALLS_MAX 10000

/*
 * Writes `replayed_us` of the held tickets: when each starts, at least now_us; 0 for those that were not
 * followed to their start. O(n log n) in the held calls, and about as much memory as they take until it
 * returns.
 */
void replay_held(struct gate *g, int64_t now_us);

#endif
