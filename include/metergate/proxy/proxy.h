/*
 * proxy: everything between the clients and the providers. One struct proxy serves the calls of one daemon on one
 * loop; what happens to each call is in call.h.
 */
#ifndef METERGATE_PROXY_PROXY_H
#define METERGATE_PROXY_PROXY_H

#include "metergate/base/err.h"
#include "metergate/config/config.h"
#include "metergate/net/listener.h"
#include "metergate/net/loop.h"

struct proxy;

/*
 * `config` is borrowed and must outlive the proxy. Signals must have been taken over by the loop before (threads are
 * started here). -errno with a sentence.
 */
int proxy_new(struct loop *l, const struct config *config, struct proxy **ret, struct errbuf *e) MG_MUSTCHECK;

/* Accepts on this listener from now on; it must outlive the proxy. */
int proxy_listen(struct proxy *p, struct listener *ln) MG_MUSTCHECK;

/*
 * Stops: held calls and those that still come are told to come again (503 draining), calls in flight may end for
 * `drain`. `drained` is called once, when nothing is left or the time is over.
 */
void proxy_drain(struct proxy *p, void (*drained)(void *ctx), void *ctx);

/* Ends what is left at once. NULL is fine. */
void proxy_free(struct proxy *p);

#endif
