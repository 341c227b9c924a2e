/*
 * reserve: POST /-/reserve and POST /-/settle, for programs that call a provider by themselves and still
 * share its budget with everybody (docs/leases.md).
 *
 *   POST /-/reserve   is a call: RECEIVING -> COUNTING -> HELD as any other, with the figures of its body
 *                     in place of counted ones; where others are SENT it is LEASED, and its client told
 *   POST /-/settle    is a question like those of admin.c; it ends that call
 *
 * A LEASED call has an attempt open, whose charge counts from the grant on: the provider sees the program's
 * request a moment later. It ends in exactly one of the ways of enum lease_end, or with the daemon.
 */
#ifndef METERGATE_PROXY_RESERVE_H
#define METERGATE_PROXY_RESERVE_H

#include <stdbool.h>

struct call;
struct exchange;
struct proxy;
struct route;

/* Takes over a request whose head came: true when its path is one of the two. */
bool reserve_serve(struct proxy *p, struct exchange *x, const struct route *r);

/* The body of a reservation is there; rc as receive_body has it. The call is HELD or refused. */
void reserve_body(struct call *c, int rc);

/* The body of a request that is no call is there; false: it was not for /-/settle. */
bool reserve_settle_body(struct proxy *p, struct exchange *x, int rc);

/* The gate has let this reservation go: LEASED, and its client is told. */
void reserve_grant(struct call *c);

/* The client of a LEASED call left before it had been told all of the lease, so it cannot have used it. */
void reserve_unclaimed(struct call *c);

/* Ends all leases that are open at their estimate: the proxy is being freed, and its front is gone. */
void reserve_stop(struct proxy *p);

#endif
