/*
 * estimate: POST /-/estimate: what a call with this body would cost and how long it would wait, if it came
 * now. Nothing is charged, held or learned.
 *
 * The body is a provider's request (dialect/guess.h says whose), or {"model", "text"} for a bare text. A big
 * one is counted by a worker; its client may leave meanwhile.
 */
#ifndef METERGATE_PROXY_ESTIMATE_H
#define METERGATE_PROXY_ESTIMATE_H

#include <stdbool.h>

#include "metergate/base/list.h"

struct exchange;
struct proxy;
struct route;

/* Those that a worker counts. */
struct estimates {
    struct list counting;
};

void estimates_init(struct estimates *es);
void estimates_release(struct estimates *es); /* when the workers are gone */

/* Takes over a request whose head came: true when its path is /-/estimate. */
bool estimate_serve(struct proxy *p, struct exchange *x, const struct route *r);

/* The body of such a request is there; rc as receive_body has it. */
void estimate_body(struct proxy *p, struct exchange *x, int rc);

/* A request that is no call ends: nothing is owed to it any more. */
void estimate_gone(struct proxy *p, struct exchange *x);

#endif
