/*
 * proxy: everything between the clients and the providers. One struct proxy serves the calls of one daemon on
 * one loop; what happens to each call is in call.h.
 */
#ifndef METERGATE_PROXY_PROXY_H
#define METERGATE_PROXY_PROXY_H

#include <stdbool.h>
#include <stdint.h>

#include "metergate/base/buf.h"
#include "metergate/base/err.h"
#include "metergate/config/config.h"
#include "metergate/net/listener.h"
#include "metergate/net/loop.h"

struct capacity;
struct proxy;

/*
 * The proxy takes a share of `config`. `capacity` is how many clients and calls in flight there may be.
 * Signals must have been taken over by the loop before (threads are started here). -errno with a sentence.
 */
int proxy_new(struct loop *l, struct config *config, const struct capacity *capacity, struct proxy **ret,
              struct errbuf *e) MG_MUSTCHECK;

/*
 * Goes on with another configuration, of which it takes a share, all or nothing: -errno with a sentence, and
 * nothing has changed (a bad ca_file; -ESHUTDOWN while draining). Held calls keep their arrival and deadline,
 * windows what is still inside them, attempts in flight end as they were sent. It reads the ca_files that
 * changed, tens of milliseconds each; besides that it takes about a microsecond for each call that is there.
 */
int proxy_reload(struct proxy *p, struct config *next, struct errbuf *e) MG_MUSTCHECK;

/* A configuration was not fit to be reloaded, whoever found that: counted for /metrics. */
void proxy_reload_refused(struct proxy *p);

/*
 * What POST /-/reload is to do: 0, or -ESHUTDOWN while draining (503), or another code when the running
 * configuration stays (400). It appends what there is to say, a line each. Set it before the loop runs.
 */
void proxy_on_reload(struct proxy *p, int (*reload)(void *ctx, struct buf *said), void *ctx);

/* What a person who asks how it goes is told first. */
struct proxy_figures {
    int64_t held, in_flight;
    bool paused;
};
struct proxy_figures proxy_figures(const struct proxy *p);

/*
 * `changed` is called at the end of each turn of the loop in which these figures may have changed, and not otherwise.
 * Set it before the loop runs.
 */
void proxy_on_change(struct proxy *p, void (*changed)(void *ctx), void *ctx);

/* What is learned of models is kept in that directory, and what was kept there is known from now on. */
void proxy_keep(struct proxy *p, const char *dir);

/* Accepts on this listener from now on; it must outlive the proxy. */
int proxy_listen(struct proxy *p, struct listener *ln) MG_MUSTCHECK;

/*
 * No new connections from now on: they wait in the backlog of their sockets for who has these next. For a stop where
 * somebody else keeps the sockets open.
 */
void proxy_stop_listening(struct proxy *p);

/*
 * Stops: held calls and those that still come are told to come again (503 draining), calls in flight may end for
 * `drain`. `drained` is called once, when nothing is left or the time is over; then proxy_stop has been called.
 */
void proxy_drain(struct proxy *p, void (*drained)(void *ctx), void *ctx);

/*
 * No more time: calls that have nothing of an answer are told to come again, answers under way are cut so that nobody
 * takes them for whole. What they are told is sent before the turn that runs is over.
 */
void proxy_stop(struct proxy *p);

/* Ends what is left at once. NULL is fine. */
void proxy_free(struct proxy *p);

#endif
