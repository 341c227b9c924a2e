/*
 * proxy: what is made in proxy_new is released in proxy_free in the opposite order; the front goes first, because its
 * last callbacks settle the calls that are left.
 */
#include "metergate/proxy/proxy.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "metergate/base/clock.h"
#include "metergate/base/log.h"
#include "metergate/proxy/hub.h"
#include "metergate/proxy/receive.h"

#define COUNT_THREADS 2

/* ---- the front's callbacks; requests are in receive.c --------------------------------------------------------------- */

static void on_drain(void *ctx, struct exchange *x)
{
    struct call *c = exchange_user(x);

    if (c)
        relay_drained(c);
    else
        events_drained(ctx, x);
}

/* A request that is no call; whose it is, its owner knows. */
static void forget(struct proxy *p, struct exchange *x)
{
    estimate_gone(p, x);
    reports_gone(p, x);
    events_gone(p, x);
}

static void on_gone(void *ctx, struct exchange *x)
{
    struct call *c = exchange_user(x);

    if (c)
        call_on_gone(c);
    else
        forget(ctx, x);
}

static void on_done(void *ctx, struct exchange *x, bool complete)
{
    struct call *c = exchange_user(x);

    if (c)
        call_on_exchange_done(c, complete);
    else
        forget(ctx, x);
    hub_turn_soon(ctx);
}

static const struct front_ops front_ops = {
    .on_head = receive_head,
    .on_bad = receive_bad,
    .on_body = receive_body,
    .on_chunk = receive_chunk,
    .on_body_end = receive_body_end,
    .on_drain = on_drain,
    .on_gone = on_gone,
    .on_done = on_done,
};

/* ---- the turn ------------------------------------------------------------------------------------------------------- */

static struct call *call_of(struct ticket *t)
{
    return MG_CONTAINER(t, struct call, ticket);
}

/* It has been let go. */
static void start(struct call *c)
{
    if (c->endpoint == ENDPOINT_RESERVE)
        reserve_grant(c);
    else
        send_attempt(c);
}

static void expire(struct proxy *p, int64_t now)
{
    struct ticket *t;
    int64_t wait_us;

    while ((t = gate_expire(p->gate, now, &wait_us)) != NULL) {
        struct call *c = call_of(t);

        c->seated = false;
        call_refuse_max_wait(c, wait_us);
    }
}

static void check_drained(struct proxy *p)
{
    void (*drained)(void *ctx) = p->drained;

    if (!p->draining || !drained || front_stats(p->front).exchanges > events_left_behind(&p->events))
        return;
    if (loop_timer_is_set(&p->last_call) && front_stats(p->front).expected > 0)
        return;
    p->drained = NULL;
    drained(p->drained_ctx);
}

static void wake(void *ctx);

static void turn(void *ctx)
{
    struct proxy *p = ctx;
    int64_t now = loop_now_us(p->loop), at;
    struct ticket *t;
    struct call *c;

    expire(p, now - 1);
    /* Thousands may have room at one moment. They go as fast as the pool takes them: see on_room. */
    while (!upstream_is_full(p->pool) && (t = gate_next(p->gate, now)) != NULL)
        start(call_of(t));
    expire(p, now);
    hold_look(p, now);
    while ((c = keepalive_admit(p)) != NULL)
        patience_begin(c);
    at = upstream_is_full(p->pool) ? CLOCK_NEVER : gate_wakeup(p->gate);
    if (gate_replay_more(p->gate))
        at = now; /* in parts, so that the clients that are there have their turns */
    if (at < CLOCK_NEVER)
        loop_timer_set(p->loop, &p->wake, at, wake, p);
    else
        loop_timer_clear(p->loop, &p->wake);
    check_drained(p);
}

static void wake(void *ctx)
{
    hub_turn_soon(ctx);
}

void hub_turn_soon(struct proxy *p)
{
    if (!p->freeing)
        loop_task_queue(p->loop, &p->turn, turn, p);
}

static void tell(void *ctx)
{
    struct proxy *p = ctx;

    p->changed(p->changed_ctx);
}

void hub_changed(struct proxy *p)
{
    if (p->changed && !p->freeing)
        loop_task_queue(p->loop, &p->tell, tell, p);
}

struct proxy_figures proxy_figures(const struct proxy *p)
{
    return (struct proxy_figures){
        .held = p->count[CALL_HELD],
        .in_flight = hub_in_flight(p),
        .paused = gate_is_stopped(p->gate),
    };
}

void proxy_on_change(struct proxy *p, void (*changed)(void *ctx), void *ctx)
{
    p->changed = changed;
    p->changed_ctx = ctx;
}

/* In the next turn: the clients that are there have a right to this one. */
static void on_room(void *ctx)
{
    struct proxy *p = ctx;

    loop_timer_set(p->loop, &p->wake, loop_now_us(p->loop), wake, p);
}

/* ---- start and stop --------------------------------------------------------------------------------------------------- */

int hub_open_pool(struct proxy *p, struct upstream_pool **ret, struct errbuf *e)
{
    const struct upstream_config config = {
        .max_transfers = p->capacity.transfers,
        .trust = p->trust,
        .on_room = on_room,
        .ctx = p,
    };

    return upstream_pool_new(p->loop, &config, ret, e);
}

static int open_sides(struct proxy *p, struct errbuf *e)
{
    const struct front_config front = {
        .shards = p->capacity.shards,
        .max_connections = p->capacity.connections,
        .body_bytes_total = p->config->queue.max_bytes,
    };
    int rc = trust_new(NULL, &p->trust, e);

    if (rc < 0)
        log_warn("%s; https upstreams need a ca_file", e->text);
    rc = hub_open_pool(p, &p->pool, e);
    if (rc < 0)
        return rc;
    p->workers = workers_new(p->loop, COUNT_THREADS);
    if (!p->workers || reports_start(&p->reports, p->loop) < 0) {
        err_set(e, "cannot start threads");
        return -EAGAIN;
    }
    return front_new(p->loop, &front, &front_ops, p, &p->front, e);
}

int proxy_new(struct loop *l, struct config *config, const struct capacity *capacity, struct proxy **ret,
              struct errbuf *e)
{
    struct proxy *p = xcalloc(1, sizeof *p);
    struct providers_plan plan;
    int rc;

    p->loop = l;
    p->capacity = *capacity;
    p->started_us = clock_now_us();
    p->started_wall_us = clock_wall_us();
    buf_init(&p->state_dir, BUF_UNLIMITED);
    if (user_name(geteuid(), p->user) < 0)
        snprintf(p->user, sizeof p->user, "%u", (unsigned)geteuid());
    if (getrandom(&p->boot, sizeof p->boot, GRND_NONBLOCK) != (ssize_t)sizeof p->boot)
        p->boot = (uint32_t)clock_wall_us();
    p->random.state = p->boot ^ (uint64_t)clock_wall_us();
    for (int s = 0; s < CALL_STATES; s++)
        list_init(&p->calls[s]);
    list_init(&p->old_pools);
    clients_init(&p->clients);
    origins_init(&p->origins);
    keepalive_init(&p->keepalive);
    places_init(&p->places);
    memory_init(&p->memory);
    learned_init(&p->learned, l);
    history_init(&p->history);
    bill_init(&p->prices);
    estimates_init(&p->estimates);
    reports_init(&p->reports);
    events_init(&p->events);
    leases_init(&p->leases);
    p->gate = gate_new();
    providers_init(&p->providers);
    budgets_init(&p->budgets, config, p->gate, &p->learned);
    p->budgets.history = &p->history;
    rc = providers_plan(&p->providers, config, &plan, e);
    if (rc == 0)
        reload_apply(p, config, &plan); /* the first one, too */
    providers_plan_release(&plan);
    if (rc == 0)
        rc = open_sides(p, e);
    if (rc < 0) {
        proxy_free(p);
        return rc;
    }
    shortage_watch(p);
    *ret = p;
    return 0;
}

static void restore_client(void *arg, struct slice key, void *value)
{
    struct proxy *p = arg;

    (void)key;
    history_give_client(&p->history, value);
}

/* What the run before charged: to clients now, to budgets when they are made. */
static void open_ledger(struct proxy *p, const char *dir)
{
    unsigned char salt[32];

    p->ledger = ledger_open(dir, p->config->retention_us);
    if (ledger_salt(p->ledger, salt))
        accounts_set_salt(&p->budgets.accounts, salt);
    /* the loop's time stood still while the files were opened: it would make what was charged that much older */
    history_load(&p->history, p->ledger, p->config, clock_now_us());
    map_each(&p->clients.by_name, restore_client, p);
}

void proxy_keep(struct proxy *p, const char *dir)
{
    struct buf path;

    buf_init(&path, BUF_UNLIMITED);
    buf_addf(&path, "%s/learned.jsonl", dir);
    buf_add_str(&p->state_dir, dir);
    learned_keep(&p->learned, path.p, p->workers);
    buf_release(&path);
    open_ledger(p, dir);
}

int proxy_listen(struct proxy *p, struct listener *ln)
{
    if (!net_addr_is_loopback(&ln->addr) && !p->config->clients.require_token)
        return -EACCES;
    return front_listen(p->front, ln);
}

/* Ends all that is left; the turn that runs still sends what they are told. */
static void stop_all(struct proxy *p)
{
    int64_t exchanges = front_stats(p->front).exchanges - p->events.count;
    int64_t calls = 0;

    for (int s = 0; s < CALL_SETTLED; s++) {
        if (s == CALL_LEASED) /* nobody waits for anything of ours */
            continue;
        calls += p->count[s];
        LIST_EACH (&p->calls[s], node, next)
            call_stop(LIST_ENTRY(node, struct call, link));
    }
    if (exchanges > 0)
        log_warn("stopping with %" PRId64 " calls cut, %" PRId64 " answers not taken to their end", calls,
                 exchanges - calls);
}

void proxy_stop(struct proxy *p)
{
    void (*drained)(void *ctx) = p->drained;

    p->drained = NULL;
    stop_all(p);
    if (drained)
        drained(p->drained_ctx);
}

static void on_drain_time_over(void *ctx)
{
    proxy_stop(ctx);
}

void proxy_stop_listening(struct proxy *p)
{
    front_stop_listening(p->front);
}

void proxy_drain(struct proxy *p, void (*drained)(void *ctx), void *ctx)
{
    p->draining = true;
    p->drained = drained;
    p->drained_ctx = ctx;
    front_drain(p->front);
    events_stop(p);
    LIST_EACH (&p->calls[CALL_HELD], node, next)
        call_stop(LIST_ENTRY(node, struct call, link));
    loop_timer_set(p->loop, &p->drain_timer, loop_now_us(p->loop) + p->config->drain_us, on_drain_time_over, p);
    loop_timer_set(p->loop, &p->last_call, loop_now_us(p->loop) + FRONT_LAST_CALL_US, wake, p);
    hub_turn_soon(p);
    hub_changed(p);
}

void proxy_free(struct proxy *p)
{
    if (!p)
        return;
    p->freeing = true;
    shortage_stop(p);
    workers_free(p->workers);
    reports_stop(&p->reports);
    front_free(p->front);
    upstream_pool_free(p->pool);
    reload_free_pools(p);
    reserve_stop(p);
    loop_task_clear(p->loop, &p->turn);
    loop_timer_clear(p->loop, &p->wake);
    loop_timer_clear(p->loop, &p->hold_timer);
    keepalive_release(p);
    places_release(&p->places);
    loop_timer_clear(p->loop, &p->drain_timer);
    loop_timer_clear(p->loop, &p->last_call);
    loop_task_clear(p->loop, &p->tell);
    LIST_EACH (&p->calls[CALL_SETTLED], node, next)
        call_free_left(LIST_ENTRY(node, struct call, link));
    memory_release(&p->memory, p);
    learned_release(&p->learned);
    estimates_release(&p->estimates);
    reports_release(&p->reports);
    events_release(&p->events);
    secret_release(&p->page_secret);
    leases_release(&p->leases);
    providers_release(&p->providers);
    budgets_release(&p->budgets);
    history_release(&p->history);
    bill_release(&p->prices);
    ledger_close(p->ledger);
    gate_free(p->gate);
    clients_release(&p->clients);
    origins_release(&p->origins);
    hour_free(p->hour);
    buf_release(&p->state_dir);
    trust_free(p->trust);
    config_free(p->config);
    free(p);
}
