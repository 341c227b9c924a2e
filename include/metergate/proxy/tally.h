/*
 * tally: what is counted of calls and their attempts for people: in the totals, of clients, of upstreams, and in the last
 * hour (hour.h) of everything, of budgets and of clients. Each is called once for what it counts.
 */
#ifndef METERGATE_PROXY_TALLY_H
#define METERGATE_PROXY_TALLY_H

#include "metergate/base/slice.h"

struct call;

/* It is settled; its usage and cost are known. */
void tally_end(struct call *c);

/* One of its attempts goes that is not the first. */
void tally_retry(struct call *c);

/* An attempt of it was answered 429. */
void tally_429(struct call *c);

/* An attempt of it found no connection, as `why` says. */
void tally_no_connection(struct call *c, struct slice why);

#endif
