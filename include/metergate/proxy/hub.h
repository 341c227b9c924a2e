/*
 * hub: what the files of proxy/ share: one struct proxy, and the few functions by which they call each other. Nothing
 * outside proxy/ includes this.
 *
 * All of it belongs to the loop's thread. Every number that a person sees (status, metrics) is read from here and from
 * the gate, at one moment.
 */
#ifndef METERGATE_PROXY_HUB_H
#define METERGATE_PROXY_HUB_H

#include <stdbool.h>
#include <stdint.h>

#include "metergate/base/prng.h"
#include "metergate/base/user.h"
#include "metergate/config/config.h"
#include "metergate/gate/gate.h"
#include "metergate/net/front.h"
#include "metergate/net/loop.h"
#include "metergate/net/trust.h"
#include "metergate/ledger/ledger.h"
#include "metergate/net/upstream.h"
#include "metergate/proxy/bill.h"
#include "metergate/proxy/budgets.h"
#include "metergate/proxy/call.h"
#include "metergate/proxy/capacity.h"
#include "metergate/proxy/clients.h"
#include "metergate/proxy/estimate.h"
#include "metergate/proxy/events.h"
#include "metergate/proxy/guard.h"
#include "metergate/proxy/history.h"
#include "metergate/proxy/hold.h"
#include "metergate/proxy/hour.h"
#include "metergate/proxy/keepalive.h"
#include "metergate/proxy/lately.h"
#include "metergate/proxy/learned.h"
#include "metergate/proxy/lease.h"
#include "metergate/proxy/login.h"
#include "metergate/proxy/memory.h"
#include "metergate/proxy/origin.h"
#include "metergate/proxy/patience.h"
#include "metergate/proxy/places.h"
#include "metergate/proxy/provider.h"
#include "metergate/proxy/reports.h"
#include "metergate/proxy/reserve.h"
#include "metergate/proxy/shortage.h"
#include "metergate/proxy/worker.h"

/* Since the start. calls == held + in flight + being read + completed + refused + cancelled + failed. */
struct totals {
    int64_t calls;
    int64_t dispatched; /* calls sent at least once */
    int64_t outcome[OUTCOMES];
    int64_t upstream_429;
    int64_t retries; /* attempts after the first */
    int64_t refused[REFUSAL_REASONS];
};

struct proxy {
    struct loop *loop;
    struct config *config; /* owned share; another one after a reload */
    struct capacity capacity;
    struct front *front;
    struct upstream_pool *pool;
    struct list old_pools; /* reload.c: replaced ones, whose transfers end in them */
    struct workers *workers;
    struct trust *trust;
    struct gate *gate;
    struct providers providers;
    struct budgets budgets;
    struct clients clients;
    struct origins origins;
    struct guard_rules guard;
    struct keepalive keepalive;
    struct places places;
    struct memory memory;
    struct learned learned;
    struct ledger *ledger;     /* NULL: nothing is kept */
    struct reports reports;
    struct lately lately;
    struct events events;
    struct login login;
    struct secret page_secret; /* page.h; unset before the dashboard was first shown */
    struct history history;
    struct bill_prices prices;
    struct loop_timer hold_timer; /* hold.c: when queues are looked at again, */
    int64_t hold_looked_us;       /* when they last were, */
    bool hold_any;                /* and whether anybody was held then */
    struct estimates estimates;
    struct leases leases;
    struct loop_timer lease_timer; /* for the next one that is due, or earlier */
    int64_t reservations;          /* calls of ENDPOINT_RESERVE that are HELD or LEASED */

    struct list calls[CALL_STATES]; /* every call that is not settled, by its state; SETTLED: not freed yet */
    int64_t count[CALL_STATES];
    int64_t held_bytes; /* bodies of calls HELD */
    struct totals totals;
    struct hour *hour; /* of everything, in minutes; NULL: nothing happened yet */
    uint64_t next_id;
    uint32_t boot; /* makes ids of two runs differ */
    struct prng random; /* for what must not happen to all at one moment */
    int64_t started_us;
    int64_t started_wall_us;
    struct buf state_dir; /* where something is kept; empty: nowhere */
    char user[USER_NAME_SIZE]; /* as whom the process runs; its number where that has no name */

    int (*reload)(void *ctx, struct buf *said); /* proxy_on_reload */
    void *reload_ctx;
    int64_t reloads, reloads_refused;

    void (*changed)(void *ctx); /* proxy_on_change */
    void *changed_ctx;
    struct loop_task tell; /* calls it */

    struct loop_task turn;  /* lets calls go, once at the end of the loop's turn */
    struct loop_timer wake; /* when the gate wants to be asked again */
    struct shortage shortage; /* of memory */
    bool freeing; /* proxy_free is under way: no more turns */
    bool draining;
    void (*drained)(void *ctx);
    void *drained_ctx;
    struct loop_timer drain_timer;
    struct loop_timer last_call; /* set while a drain waits for requests that may be on their way */
};

/* Calls sent and not answered yet, and leases that are open. */
static inline int64_t hub_in_flight(const struct proxy *p)
{
    return p->count[CALL_SENT] + p->count[CALL_STREAMING] + p->count[CALL_LEASED];
}

/* Asks the gate at the end of this turn: call it after anything that may let a call go. */
void hub_turn_soon(struct proxy *p);

/* The figures of proxy_figures have changed: who wants to know is told at the end of this turn. */
void hub_changed(struct proxy *p);

/* The gate has let this call go: opens an attempt (send.c). */
void send_attempt(struct call *c);

/* A call that passes through: sent at once, its body streamed (send.c). */
void send_passed(struct call *c);
void send_chunk(struct call *c, const char *p, size_t n);
void send_body_end(struct call *c);

/* The client can take more of the answer (relay.c). */
void relay_drained(struct call *c);

/* Metergate's own endpoints (admin.c): replies, whatever is asked. */
void admin_serve(struct proxy *p, struct exchange *x, const struct route *r);

/* The body of such a request is there, and no call is; rc as receive_body has it (admin.c). */
void admin_body(struct proxy *p, struct exchange *x, int rc);

/* An answer of Metergate's own, with what a page that may read it needs (admin.c). */
void hub_reply(const struct proxy *p, struct exchange *x, int status, const char *content_type, struct slice body);

/* 405 for an address that answers POST only (control.c). */
void hub_refuse_method(struct exchange *x);

/* What is wrong with a request that has a Metergate-* header twice with different values; else NULL
 * (receive.c). */
const char *hub_contradiction(const struct http_head *h);

/* Where a request goes (receive.c). */
struct route hub_route(struct proxy *p, struct exchange *x);

/* Pause, resume, reload (control.c): false when the path is none of theirs; else it has replied. */
bool control_serve(struct proxy *p, struct exchange *x, const struct route *r);

/* The answer to a browser that asks whether a page may call: it may (admin.c). */
void admin_preflight(const struct proxy *p, struct exchange *x);

/* The body of GET /-/status and of GET /-/history (status.c, status_hour.c); that of GET /metrics is in metrics.h. */
void status_write(const struct proxy *p, struct buf *out);
void status_write_history(const struct proxy *p, struct buf *out);

/* A pool of the size that the process can carry (proxy.c). */
int hub_open_pool(struct proxy *p, struct upstream_pool **ret, struct errbuf *e) MG_MUSTCHECK;

/* The settings of `next`, for whose providers `plan` was made; and at the end what is left of reloads (reload.c). */
void reload_apply(struct proxy *p, struct config *next, struct providers_plan *plan);
void reload_free_pools(struct proxy *p);

/* Frees the budgets, providers and pools that nobody needs any more: goes through all calls (reload.c). */
void hub_sweep(struct proxy *p);

/*
 * Replies with a refusal in the shape of that dialect; NULL: of what the path and headers speak. Returns the
 * status (refuse.c).
 */
int refuse_reply(const struct proxy *p, struct exchange *x, const struct dialect *dialect,
                 const struct refusal *r);

/* What routing looks at besides the target (receive.c). */
struct route_hints hub_route_hints(const struct exchange *x);

#endif
