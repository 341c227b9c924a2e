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

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "metergate/gate/gate.h"

/* No more calls than this are followed: it bounds the time that one replay takes. */
#define REPLAY_CALLS_MAX 10000

struct replay;

/* Begins one of what stands at now_us. It is O(held calls), at next to nothing each; what follows is not. */
struct replay *replay_new(struct gate *g, int64_t now_us);

/*
 * Goes on by so many steps, some microseconds each; false: it is whole. Originals may come and go meanwhile (replay_forget);
 * when budgets change in another way than by calls, it is to be given up. What it finds is written at once: `replayed_us`.
 */
bool replay_more(struct replay *r, size_t steps);

/* `whole`: of those that it did not see go, what another one found is forgotten. NULL is fine. */
void replay_free(struct replay *r, bool whole);

/* A ticket is held no more, or only an earlier replay knows it. */
void replay_forget(struct ticket *original);

/*
 * All of that at once. Writes `replayed_us` of the held tickets: when each starts, at least now_us; 0 for those that were not
 * followed to their start. O(n log n) in the held calls, and about as much memory as they take until it
 * returns.
 */
void replay_held(struct gate *g, int64_t now_us);

#endif
