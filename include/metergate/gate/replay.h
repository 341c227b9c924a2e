/*
 * replay: when every held call will start, found by letting a copy of the gate decide in virtual time. The
 * copy has the budgets as they stand and the held calls; nobody else arrives, and every call lasts as long and takes
 * as much of what is reserved for it as calls of its budget lately did (budget_likely_us, budget_likely_permille).
 * Calls in flight are over now, and take likewise.
 *
 * So it is exact when charges are made on arrival and are as reserved, and requests arrive when they are
 * sent. Calls in flight do not hold anybody up in it, nor does a stopped gate.
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
