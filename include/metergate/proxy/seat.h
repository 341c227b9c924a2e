/*
 * seat: what a counted call will cost, and its place in the queue.
 */
#ifndef METERGATE_PROXY_SEAT_H
#define METERGATE_PROXY_SEAT_H

#include <stdint.h>

#include "metergate/base/slice.h"
#include "metergate/gate/profile.h"
#include "metergate/gate/ticket.h"
#include "metergate/proxy/account.h"

struct call;
struct dialect;
struct exchange;
struct learned_model;
struct provider;
struct proxy;
struct request_count;

/*
 * The call is COUNTING and its figures are known (of ENDPOINT_RESERVE the estimate itself): estimates its use
 * and takes a seat in the gate (HELD), or refuses it: `draining`, `too-large`, `max-wait` or `queue-full`.
 */
void seat_take(struct call *c);

/*
 * Who would pay for the calls that a question to Metergate itself is about, and that its asker makes with the
 * credential that the question shows. A client's token is none.
 */
struct payer seat_payer_asking(const struct proxy *p, const struct exchange *x, struct slice query,
                               const struct provider *via, const struct dialect *spoken);

/* Who pays for a call whose exchange is there and whose provider is known. */
struct payer seat_payer(const struct call *c);

/* All that a call with a budget takes from: its model's first, and how many they are. */
size_t seat_budgets(const struct call *c, struct budget *ret[TICKET_BUDGETS_MAX]);

/* What one client may have at most of `max` that all clients share: 80 %. */
int64_t seat_client_share(int64_t max);

/* What a count means for a model of which this is known (NULL: nothing): the input, one choice, no output. */
struct estimate seat_counted(const struct learned_model *learned, const struct request_count *count);

/* The output to expect for that client; `max_output` as in struct estimate. */
int64_t seat_expected_output(struct learned_model *learned, struct slice client, int64_t max_output,
                             int64_t choices);

#endif
