/* live: /-/calls/ID of a call that is not over yet: what the ledger will say of it, as far as it is known, its state, and
 * when it will probably start. */
#ifndef METERGATE_PROXY_LIVE_H
#define METERGATE_PROXY_LIVE_H

#include <stdbool.h>
#include <stdint.h>

struct exchange;
struct proxy;

/* False: there is no such call, and nothing was replied. Goes through all calls. */
bool live_reply(struct proxy *p, struct exchange *x, int64_t id);

#endif
