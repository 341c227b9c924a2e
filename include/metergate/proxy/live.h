/*
 * live: /-/calls/ID of a call that is not over yet, and /-/calls/now, all of them: what the ledger will say of it, as far
 * as it is known, its state, and of the one when it will probably start.
 */
#ifndef METERGATE_PROXY_LIVE_H
#define METERGATE_PROXY_LIVE_H

#include <stdbool.h>
#include <stdint.h>

struct exchange;
struct inquiry;
struct proxy;

/* False: there is no such call, and nothing was replied. Goes through all calls. */
bool live_reply(struct proxy *p, struct exchange *x, int64_t id);

/* As much of each as there is room for in one turn of the loop. */
#define LIVE_CALLS_MAX 1000

/* All calls that are not over, of a client and a model if they are given: `limit` of them, at most LIVE_CALLS_MAX. */
void live_reply_all(struct proxy *p, struct exchange *x, const struct inquiry *what);

#endif
