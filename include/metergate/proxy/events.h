/*
 * events: GET /-/events, what is going on as server-sent events (docs/status.md says which). A status is written once a
 * second for all who watch; calls that have ended are told together, a tenth of a second after the first of them. While
 * nobody watches there is no timer, and a call's end costs one comparison.
 *
 * A stream is an exchange without a call. It lasts until its client leaves, may no longer see it (a reload, a session that
 * has ended), or the daemon begins to stop.
 * Source of the format: WHATWG HTML, 9.2 Server-sent events.
 */
#ifndef METERGATE_PROXY_EVENTS_H
#define METERGATE_PROXY_EVENTS_H

#include <stdbool.h>
#include <stdint.h>

#include "metergate/base/buf.h"
#include "metergate/base/list.h"
#include "metergate/net/loop.h"

struct exchange;
struct proxy;
struct route;

/* Streams at one time; one more takes the place of one whose client takes nothing, else it is 503. What each may have buffered is bounded: EXCHANGE_HIGH_BYTES and one event. */
#define EVENTS_STREAMS_MAX 64

struct events {
    struct list streams;       /* private, as the rest but `count` */
    int64_t count;             /* readable: streams that are open */
    uint64_t told;             /* calls that ended before the one of this number (lately.h) were told */
    int64_t minute;            /* in which the last hour was last told */
    struct buf text;           /* what is being told; empty between two tellings */
    struct loop_timer second;  /* the next status, while anybody watches */
    struct loop_timer batch;   /* when calls that have ended are told */
    struct loop_timer parting; /* how long streams have to take their end when the daemon stops, */
    bool parted;               /* and whether that time is over */
};

void events_init(struct events *es);

/* When no exchange is left. */
void events_release(struct events *es);

/* Takes over a request whose head came: true when its path is /-/events. */
bool events_serve(struct proxy *p, struct exchange *x, const struct route *r);

/* A call has ended; its row is the last one in p->lately. */
void events_call_ended(struct proxy *p);

/* The client can take more again, if this is a stream. */
void events_drained(struct proxy *p, struct exchange *x);

/* A request that is no call ends, or its client has left. */
void events_gone(struct proxy *p, struct exchange *x);

/* The daemon begins to stop: every stream ends, cleanly where its client takes the end within a second. */
void events_stop(struct proxy *p);

/* Exchanges that a stop does not wait for: streams whose clients have not taken their end within that second. */
int64_t events_left_behind(const struct events *es);

#endif
