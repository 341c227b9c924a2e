/*
 * replay: a stand-in knows its original, and the original its stand-in, until either goes. Budgets know their `twin`
 * while tickets are copied. Nothing of the originals changes but these, and what the replay is asked to write.
 */
#include "metergate/gate/replay.h"

#include <stdlib.h>

#include "gate_inside.h"
#include "metergate/base/clock.h"
#include "metergate/base/err.h"

struct stand_in;

/* Of a ticket; made when it is its turn to be copied. */
struct copy {
    struct ticket ticket;
    struct stand_in *of;
    struct heap_node ends; /* while it is in flight */
};

/* What is noted of every held ticket at once, so it is small. */
struct stand_in {
    struct ticket *original; /* NULL: it waits no more */
    struct copy *copy;       /* owned; NULL: it has none, or none yet */
};

struct replay {
    struct gate *from, *gate;
    struct stand_in *v;
    size_t n;
    size_t copied; /* of them: the rest has no copy yet */
    bool ordered;  /* all are copied, and queues stand as the originals do */
    size_t gone;
    int64_t now_us;
    struct heap flying; /* those that have gone and not ended, by when they do */
};

static void copy_budgets(struct replay *r)
{
    LIST_EACH (&r->from->budgets, node, next) {
        struct budget *b = LIST_ENTRY(node, struct budget, link);

        b->twin = budget_copy(b, r->now_us);
        gate_adopt(r->gate, b->twin);
    }
}

static struct copy *copy_ticket(struct stand_in *s)
{
    const struct ticket *original = s->original;
    struct budget *twins[TICKET_BUDGETS_MAX];
    struct copy *c = xcalloc(1, sizeof *c);

    for (size_t i = 0; i < original->budget_count; i++)
        twins[i] = original->budgets[i]->twin;
    ticket_init(&c->ticket, &original->cost, twins, original->budget_count, original->arrival_us,
                CLOCK_NEVER);
    ticket_belongs(&c->ticket, original->client, original->weight, original->class);
    c->ticket.seq = original->seq;
    c->of = s;
    s->copy = c;
    return c;
}

/* line_each: one more to be copied. */
static void note(void *arg, struct ticket *original)
{
    struct replay *r = arg;
    struct stand_in *s = &r->v[r->n++];

    s->original = original;
    original->stand_in = s;
}

static void note_tickets(struct replay *r)
{
    size_t n = 0;

    LIST_EACH (&r->from->busy, node, next)
        n += LIST_ENTRY(node, struct budget, busy)->line.n;
    r->v = xcalloc(n + 1, sizeof *r->v);
    LIST_EACH (&r->from->busy, node, next)
        line_each(&LIST_ENTRY(node, struct budget, busy)->line, note, r);
}

struct replay *replay_new(struct gate *g, int64_t now_us)
{
    struct replay *r = xcalloc(1, sizeof *r);

    r->from = g;
    r->gate = gate_new();
    r->gate->policy = g->policy;
    r->gate->is_copy = true;
    r->now_us = now_us;
    heap_init(&r->flying);
    copy_budgets(r);
    note_tickets(r);
    return r;
}

void replay_forget(struct ticket *original)
{
    if (!original->stand_in)
        return;
    original->stand_in->original = NULL;
    original->stand_in = NULL;
}

/* The next one; when there is none any more, the order in which clients are served. */
static void copy_one(struct replay *r)
{
    if (r->copied < r->n) {
        struct stand_in *s = &r->v[r->copied++];

        if (s->original)
            gate_enqueue(r->gate, &copy_ticket(s)->ticket);
        return;
    }
    LIST_EACH (&r->from->budgets, node, next) {
        struct budget *b = LIST_ENTRY(node, struct budget, link);

        if (b->twin)
            line_copy_order(&b->twin->line, &b->line);
        b->twin = NULL;
    }
    r->ordered = true;
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

static void end(struct replay *r, struct copy *c, int64_t now_us)
{
    struct cost cost = likely_cost(&c->ticket);

    heap_remove(&r->flying, &c->ends);
    gate_close(r->gate, &c->ticket, now_us, &cost);
    c->of->copy = NULL;
    free(c);
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

static void go(struct replay *r, struct ticket *t)
{
    struct copy *c = MG_CONTAINER(t, struct copy, ticket);
    struct ticket *original = c->of->original;
    int64_t lasts_us = budget_likely_us(t->budgets[0]);

    if (original) {
        original->replayed_us = r->now_us;
        original->replayed_as = r->gone;
        replay_forget(original);
    }
    r->gone++;
    gate_sent(r->gate, t, r->now_us);
    if (lasts_us > 0 && end_matters(t))
        heap_set(&r->flying, &c->ends, r->now_us + lasts_us);
    else
        end(r, c, r->now_us);
}

/* One thing that happens. False: nobody waits, or nothing will change by itself, or enough was found. */
static bool live(struct replay *r)
{
    const struct heap_node *first = heap_first(&r->flying);
    struct ticket *t;
    int64_t wake_us;

    if (r->gone >= r->n || r->gone >= REPLAY_CALLS_MAX)
        return false;
    if (first && first->key <= r->now_us) {
        end(r, MG_CONTAINER(first, struct copy, ends), r->now_us);
        return true;
    }
    t = gate_next(r->gate, r->now_us);
    if (t) {
        go(r, t);
        return true;
    }
    wake_us = gate_wakeup(r->gate);
    if (first && first->key < wake_us)
        wake_us = first->key;
    if (wake_us > r->now_us)
        r->now_us = wake_us;
    return wake_us < CLOCK_NEVER;
}

bool replay_more(struct replay *r, size_t steps)
{
    for (size_t i = 0; i < steps; i++) {
        if (!r->ordered)
            copy_one(r);
        else if (!live(r))
            return false;
    }
    return true;
}

/* Those that it did not see go, of those that still wait. */
static void forget_rest(struct replay *r, bool whole)
{
    for (size_t i = 0; i < r->n; i++) {
        struct ticket *original = r->v[i].original;

        if (!original || original->stand_in != &r->v[i])
            continue;
        if (whole)
            original->replayed_us = 0;
        replay_forget(original);
    }
}

void replay_free(struct replay *r, bool whole)
{
    if (!r)
        return;
    forget_rest(r, whole);
    heap_release(&r->flying); /* before its nodes */
    for (size_t i = 0; i < r->copied; i++) {
        struct copy *c = r->v[i].copy;

        if (!c)
            continue;
        if (c->ticket.state == TICKET_HELD)
            gate_cancel(r->gate, &c->ticket, r->now_us);
        else if (c->ticket.state == TICKET_DISPATCHED)
            gate_close(r->gate, &c->ticket, r->now_us, NULL);
        free(c);
    }
    LIST_EACH (&r->from->budgets, node, next)
        LIST_ENTRY(node, struct budget, link)->twin = NULL;
    gate_free(r->gate);
    free(r->v);
    free(r);
}

void replay_held(struct gate *g, int64_t now_us)
{
    struct replay *r = replay_new(g, now_us);

    while (replay_more(r, SIZE_MAX)) {
    }
    replay_free(r, true);
}
