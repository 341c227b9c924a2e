/*
 * replay: the copies know their originals and not the other way, but for `twin` of a budget, which is NULL
 * again when the replay is over. Nothing of the originals changes but what it is asked to write.
 */
#include "metergate/gate/replay.h"

#include <stdlib.h>

#include "gate_inside.h"
#include "metergate/base/clock.h"
#include "metergate/base/err.h"

/* The copy of a ticket. */
struct stand_in {
    struct ticket ticket;
    struct ticket *original;
    struct heap_node ends; /* while it is in flight */
};

struct replay {
    struct gate *gate;
    struct stand_in *v;
    size_t n;
    struct heap flying; /* those that have gone and not ended, by when they do */
};

static void copy_budgets(struct replay *r, struct gate *g, int64_t now_us)
{
    LIST_EACH (&g->budgets, node, next) {
        struct budget *b = LIST_ENTRY(node, struct budget, link);

        b->twin = budget_copy(b, now_us);
        gate_adopt(r->gate, b->twin);
    }
}

static void copy_ticket(struct stand_in *s, struct ticket *original)
{
    struct budget *twins[TICKET_BUDGETS_MAX];

    for (size_t i = 0; i < original->budget_count; i++)
        twins[i] = original->budgets[i]->twin;
    ticket_init(&s->ticket, &original->cost, twins, original->budget_count, original->arrival_us,
                CLOCK_NEVER);
    ticket_belongs(&s->ticket, original->client, original->weight, original->class);
    s->ticket.seq = original->seq;
    s->original = original;
    original->replayed_us = 0;
}

/* line_each: a stand-in for one more. */
static void stand_in(void *arg, struct ticket *original)
{
    struct replay *r = arg;
    struct stand_in *s = &r->v[r->n++];

    copy_ticket(s, original);
    gate_enqueue(r->gate, &s->ticket);
}

static void copy_tickets(struct replay *r, struct gate *g)
{
    size_t n = 0;

    LIST_EACH (&g->busy, node, next)
        n += LIST_ENTRY(node, struct budget, busy)->line.n;
    r->v = xcalloc(n + 1, sizeof *r->v);
    LIST_EACH (&g->busy, node, next) {
        const struct budget *b = LIST_ENTRY(node, struct budget, busy);

        line_each(&b->line, stand_in, r);
        line_copy_order(&b->twin->line, &b->line);
    }
}

/* What it will probably take. */
static struct cost likely_cost(const struct ticket *t)
{
    struct cost c = t->cost;

    for (int m = 0; m < METRICS; m++) {
        int64_t permille = budget_likely_permille(t->budgets[0], (enum metric)m);

        c.on_arrival[m] = window_part(c.on_arrival[m], permille);
        c.at_end[m] = window_part(c.at_end[m], permille);
    }
    c.kept = 0;
    return c;
}

static void end(struct replay *r, struct stand_in *s, int64_t now_us)
{
    struct cost cost = likely_cost(&s->ticket);

    heap_remove(&r->flying, &s->ends);
    gate_close(r->gate, &s->ticket, now_us, &cost);
}

/* Whether anything changes for the others when it ends. */
static bool end_matters(const struct ticket *t)
{
    for (int m = 0; m < METRICS; m++) {
        if (t->cost.at_end[m] > 0 || budget_likely_permille(t->budgets[0], (enum metric)m) != 1000)
            return true;
    }
    for (size_t i = 0; i < t->budget_count; i++) {
        if (budget_free_places(t->budgets[i]) < INT64_MAX)
            return true;
    }
    return false;
}

static void go(struct replay *r, struct ticket *t, size_t gone, int64_t now_us)
{
    struct stand_in *s = MG_CONTAINER(t, struct stand_in, ticket);
    int64_t lasts_us = budget_likely_us(t->budgets[0]);

    s->original->replayed_us = now_us;
    s->original->replayed_as = gone;
    gate_sent(r->gate, t, now_us);
    if (lasts_us > 0 && end_matters(t))
        heap_set(&r->flying, &s->ends, now_us + lasts_us);
    else
        end(r, s, now_us);
}

/* Until nobody waits, or nothing will change by itself, or enough was found. */
static void run(struct replay *r, int64_t now_us)
{
    size_t gone = 0;

    while (gone < r->n && gone < REPLAY_CALLS_MAX) {
        const struct heap_node *first = heap_first(&r->flying);
        struct ticket *t;
        int64_t wake_us;

        if (first && first->key <= now_us) {
            end(r, MG_CONTAINER(first, struct stand_in, ends), now_us);
            continue;
        }
        t = gate_next(r->gate, now_us);
        if (t) {
            go(r, t, gone++, now_us);
            continue;
        }
        wake_us = gate_wakeup(r->gate);
        if (first && first->key < wake_us)
            wake_us = first->key;
        if (wake_us >= CLOCK_NEVER)
            return;
        if (wake_us > now_us)
            now_us = wake_us;
    }
}

void replay_held(struct gate *g, int64_t now_us)
{
    struct replay r = {.gate = gate_new()};

    heap_init(&r.flying);
    r.gate->policy = g->policy;
    copy_budgets(&r, g, now_us);
    copy_tickets(&r, g);
    run(&r, now_us);
    for (size_t i = 0; i < r.n; i++) {
        if (r.v[i].ticket.state == TICKET_HELD)
            gate_cancel(r.gate, &r.v[i].ticket, now_us);
        else if (r.v[i].ticket.state == TICKET_DISPATCHED)
            gate_close(r.gate, &r.v[i].ticket, r.gate->latest_us, NULL);
    }
    LIST_EACH (&g->budgets, node, next)
        LIST_ENTRY(node, struct budget, link)->twin = NULL;
    gate_free(r.gate);
    heap_release(&r.flying);
    free(r.v);
}
