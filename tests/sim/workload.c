/*
 * workload: every client and every call (call.c) has one event in the heap at the most. A call is freed with
 * its run, so tickets stay where they are. After every event the gate's turn is taken, as proxy/ does it.
 */
#include "workload.h"

#include <stdlib.h>
#include <time.h>

#include "run.h"

bool stream_is_batch(const struct stream *s)
{
    if (s->pattern == EVERY || s->pattern == POISSON)
        return s->calls > 0;
    return s->pattern == BATCH && s->every_s <= 0;
}

static struct call *call_of(struct ticket *t)
{
    return MG_CONTAINER(t, struct call, ticket);
}

/* ---- making ---- */

static void make_pools(struct run *r)
{
    for (int p = 0; p < WORKLOAD_POOLS && r->w->pools[p].name; p++) {
        const struct pool *pool = &r->w->pools[p];
        size_t n = 0;

        while (pool->limits[n].max > 0)
            n++;
        r->pools[p] = gate_budget_new(r->gate, pool->name, pool->headroom_permille, pool->limits, n);
        gate_budget_polite(r->gate, r->pools[p], pool->polite, pool->expected);
        r->promises[p].b = r->pools[p];
        account_init(&r->accounts[p], pool->limits, pool->headroom_permille, r->now_us);
        r->pool_count++;
    }
}

static int64_t first_us(struct client *c)
{
    const struct stream *s = c->stream;
    int64_t at_us = run_us(s->first_s);

    if (s->pattern == EVERY)
        return at_us + rng_range(&c->rng, 0, run_us(s->every_s) - 1);
    if (s->pattern == POISSON || s->pattern == LOOPS)
        return at_us + dice_gap_us(s->every_s, &c->rng);
    return at_us;
}

static void make_clients(struct run *r, uint64_t seed)
{
    int n = 0, i = 0;

    for (int s = 0; s < WORKLOAD_STREAMS && r->w->streams[s].name; s++)
        n += run_times(r->w->streams[s].clients);
    r->clients = xcalloc((size_t)n, sizeof *r->clients);
    r->o->clients = n;
    for (int s = 0; i < n; s++) {
        const struct stream *stream = &r->w->streams[s];

        for (int k = 0; k < run_times(stream->clients); k++, i++) {
            struct client *c = &r->clients[i];

            *c = (struct client){.event.of_client = true, .stream = stream, .stream_index = s, .index = i};
            c->rng.s = (seed * 1000003u + (uint64_t)s) * 1000003u + (uint64_t)k;
            /* a microsecond apart, so that those who come together come in order */
            heap_set(&r->events, &c->event.node, BEGIN_US + first_us(c) + i);
            if (stream_is_batch(stream))
                r->batch_left += run_times(stream->calls);
        }
    }
}

/* ---- clients ---- */

void client_follow(struct run *r, struct client *c)
{
    const struct stream *s = c->stream;

    if (s->pattern != LOOPS)
        return;
    if (c->made < run_times(s->calls)) {
        heap_set(&r->events, &c->event.node, r->now_us + run_us(s->think_s));
        return;
    }
    c->made = 0;
    heap_set(&r->events, &c->event.node, r->now_us + dice_gap_us(s->every_s, &c->rng));
}

void client_ask(struct run *r, struct client *c)
{
    const struct stream *s = c->stream;
    int n = s->pattern == BATCH || s->pattern == BURSTS ? run_times(s->calls) : 1;

    if (s->until_s > 0 && r->now_us - BEGIN_US >= run_us(s->until_s))
        return;
    if (s->pattern == STEADY)
        n = run_times(s->calls) - c->held;
    for (int i = 0; i < n; i++)
        call_arrive(r, c);
    if (stream_is_batch(s) && c->made == run_times(s->calls))
        return;
    if (s->pattern == EVERY || (s->pattern == BATCH && s->every_s > 0))
        heap_set(&r->events, &c->event.node, r->now_us + run_us(s->every_s));
    else if (s->pattern == POISSON)
        heap_set(&r->events, &c->event.node, r->now_us + dice_gap_us(s->every_s, &c->rng));
    else if (s->pattern == BURSTS)
        heap_set(&r->events, &c->event.node,
                 r->now_us + run_us(s->every_s) * rng_range(&c->rng, 75, 125) / 100);
}

/* ---- the gate's turn ---- */

static void advance(struct run *r, int64_t now_us)
{
    for (int p = 0; p < r->pool_count; p++)
        account_advance(&r->accounts[p], now_us, r->held_in[p] > 0);
    r->now_us = now_us;
}

static struct ticket *next(struct run *r)
{
    for (int p = 0; p < r->pool_count; p++)
        promise_before(&r->promises[p]);
    return gate_next(r->gate, r->now_us);
}

static double processor_s(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void turn(struct run *r)
{
    double before_s = processor_s();
    struct ticket *t;
    int64_t wait_us;

    do {
        t = gate_expire(r->gate, r->now_us - 1, &wait_us);
        MG_ASSERT(!t); /* nobody has a deadline */
        while ((t = next(r)) != NULL)
            call_go(r, call_of(t));
    } while (gate_wakeup(r->gate) <= r->now_us);
    r->o->turns++;
    r->o->gate_s += processor_s() - before_s;
    for (int p = 0; p < r->pool_count; p++)
        promise_watch(&r->promises[p], r->now_us);
}

static void happen(struct run *r)
{
    struct heap_node *node;

    while ((node = heap_first(&r->events)) != NULL && node->key <= r->now_us) {
        struct event *e = MG_CONTAINER(node, struct event, node);

        heap_remove(&r->events, node);
        if (e->of_client)
            client_ask(r, MG_CONTAINER(e, struct client, event));
        else
            call_live(r, MG_CONTAINER(e, struct call, event));
    }
}

static bool is_over(const struct run *r)
{
    return r->w->for_s > 0 ? r->now_us - BEGIN_US >= run_us(r->w->for_s) : r->batch_left == 0;
}

static void run(struct run *r)
{
    while (!is_over(r)) {
        const struct heap_node *e = heap_first(&r->events);
        int64_t wake_us = gate_wakeup(r->gate), at_us = e && e->key < wake_us ? e->key : wake_us;

        MG_ASSERT(at_us < CLOCK_NEVER);
        if (at_us > r->now_us)
            advance(r, at_us);
        happen(r);
        turn(r);
    }
}

/* All that is held or in flight ends, and nothing stays behind. */
static void clear(struct run *r)
{
    heap_release(&r->events);
    for (size_t i = 0; i < r->call_count; i++) {
        struct ticket *t = &r->calls[i]->ticket;

        if (t->state == TICKET_HELD)
            gate_cancel(r->gate, t, r->now_us);
        else if (t->state == TICKET_DISPATCHED)
            gate_close(r->gate, t, r->now_us, NULL);
        free(r->calls[i]);
    }
    for (int p = 0; p < r->pool_count; p++) {
        for (size_t i = 0; i < r->pools[p]->limit_count; i++)
            MG_ASSERT(r->pools[p]->limits[i].window.reserved == 0 && r->pools[p]->limits[i].in_flight == 0);
        account_release(&r->accounts[p]);
    }
    gate_free(r->gate);
    free(r->calls);
    free(r->clients);
}

void workload_run(const struct workload *w, const struct gate_policy *policy, uint64_t seed,
                  struct outcome *ret)
{
    struct run r = {.w = w, .gate = gate_new(), .rng = {seed}, .now_us = BEGIN_US, .o = ret};

    *ret = (struct outcome){0};
    heap_init(&r.events);
    gate_set_policy(r.gate, policy);
    make_pools(&r);
    make_clients(&r, seed);
    run(&r);
    ret->n = r.call_count;
    ret->end_us = r.now_us - BEGIN_US;
    ret->waited_us = r.accounts[0].waited_us;
    ret->filled_us = r.accounts[0].filled_us;
    for (int p = 0; p < r.pool_count; p++) {
        if (r.accounts[p].worst_percent > ret->worst_percent)
            ret->worst_percent = r.accounts[p].worst_percent;
    }
    clear(&r);
}

void outcome_release(struct outcome *o)
{
    free(o->records);
}
