/*
 * seat: what a counted call will cost, and its place in the queue.
 */
#ifndef METERGATE_PROXY_SEAT_H
#define METERGATE_PROXY_SEAT_H

#include <stdint.h>

#include "metergate/base/slice.h"
#include "metergate/gate/profile.h"

struct call;
struct learned_model;
struct request_count;

/*
 * The call is COUNTING and its figures are known (of ENDPOINT_RESERVE the estimate itself): estimates its use
 * and takes a seat in the gate (HELD), or refuses it: `draining`, `too-large`, `max-wait` or `queue-full`.
 */
void seat_take(struct call *c);

/* What one client may have at most of `max` that all clients share: 80 %. */
int64_t seat_client_share(int64_t max);

/* What a count means for a model of which this is known (NULL: nothing): the input, one choice, no output. */
struct estimate seat_counted(const struct learned_model *learned, const struct request_count *count);

/* The output to expect for that client; `max_output` as in struct estimate. */
int64_t seat_expected_output(struct learned_model *learned, struct slice client, int64_t max_output,
                             int64_t choices);

#endif
