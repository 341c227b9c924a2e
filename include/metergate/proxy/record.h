/*
 * record: what the ledger is told of a call, and when.
 *
 *   record_begin      an attempt is about to be sent: should the daemon die, it counts as it was estimated
 *   record_attempt    the attempt was refused, the call goes on: what it was charged
 *   record_end        the call reached its verdict: one row, whatever that is; who watches is told, too (lately.h, events.h)
 *   record_correction what it used is known only now: a background response
 *
 * Where nothing is kept (`state_dir: none`) the last two still tell those who watch. Nothing here waits for a disk.
 */
#ifndef METERGATE_PROXY_RECORD_H
#define METERGATE_PROXY_RECORD_H

#include <stdint.h>

#include "metergate/gate/profile.h"
#include "metergate/ledger/row.h"

struct call;
struct client;
struct model_budget;
struct provider;
struct proxy;

void record_begin(struct call *c);

/* `cost` as the gate was told it. */
void record_attempt(struct call *c, const struct cost *cost);

/* `cost` is what the attempt that was open took, as the gate was told it; NULL: none was. `price` is what c->cost_nano
 * was worked out by. Call it when the call is SETTLED, its times known. */
void record_end(struct call *c, const struct cost *cost, const struct row_price *price);

/* A call that is over, and whose usage is known only now. */
struct record_late {
    int64_t number; /* of the call */
    const struct client *client;
    const struct provider *provider;
    const struct model_budget *budget;
};

/* It used this after all. */
void record_correction(struct proxy *p, const struct record_late *late, const struct usage *u, int64_t cost_nano,
                       const struct row_price *price);

/* The row of a call as far as it is known now; `r` is zeroed. For reports of what is not over. */
void record_fill(const struct call *c, struct ledger_row *r);

#endif
