/* unwritten: a scope's charges are in an array that grows; `given` is of the history that is being asked for. */
#include "metergate/ledger/unwritten.h"

#include <stdlib.h>
#include <string.h>

#include "metergate/base/buf.h"
#include "metergate/base/clock.h"

struct charges {
    bool given;
    size_t n, cap;
    struct ledger_charged *v;
};

void unwritten_init(struct unwritten *u)
{
    map_init(&u->by_scope);
}

static void free_charges(void *arg, struct slice key, void *value)
{
    struct charges *c = value;

    (void)arg;
    (void)key;
    free(c->v);
    free(c);
}

void unwritten_release(struct unwritten *u)
{
    map_each(&u->by_scope, free_charges, NULL);
    map_release(&u->by_scope);
}

/* ---- adding ---- */

static struct charges *charges_of(struct unwritten *u, struct slice scope)
{
    struct charges *c = map_get(&u->by_scope, scope);

    if (!c) {
        c = xcalloc(1, sizeof *c);
        map_set(&u->by_scope, scope, c);
    }
    return c;
}

/* In the second that it came before, as in the database. */
static void add(struct charges *c, int64_t t_us, const int64_t amount[METRICS], int64_t cost_nano)
{
    struct ledger_charged *v;
    int64_t any = cost_nano;

    for (int m = 0; m < METRIC_CONCURRENT; m++)
        any |= amount[m];
    if (any == 0)
        return;
    if (c->n == c->cap) {
        c->cap = c->cap ? 2 * c->cap : 16;
        c->v = xrealloc(c->v, c->cap * sizeof *c->v);
    }
    v = &c->v[c->n++];
    *v = (struct ledger_charged){.until_us = (t_us + CLOCK_S - 1) / CLOCK_S * CLOCK_S, .cost_nano = cost_nano};
    memcpy(v->amount, amount, sizeof v->amount);
}

void unwritten_add(struct unwritten *u, const struct ledger_row *r)
{
    int64_t cost_nano = r->kind == ROW_CALL && r->cost_nano != PRICE_UNKNOWN ? r->cost_nano : 0;
    void (*const scopes[])(const struct ledger_row *, struct buf *) = {row_budget_scope, row_client_scope};

    if (r->kind == ROW_CORRECTION)
        return;
    for (size_t i = 0; i < MG_ARRAY_LEN(scopes); i++) {
        struct buf scope;

        buf_init(&scope, BUF_UNLIMITED);
        scopes[i](r, &scope);
        if (scope.n) {
            struct charges *c = charges_of(u, buf_slice(&scope));

            add(c, r->charge.sent_us ? r->charge.sent_us : r->t_us, r->charge.on_arrival, 0);
            add(c, r->t_us, r->charge.at_end, cost_nano);
        }
        buf_release(&scope);
    }
}

/* ---- giving ---- */

static int by_time(const void *a, const void *b)
{
    int64_t x = ((const struct ledger_charged *)a)->until_us, y = ((const struct ledger_charged *)b)->until_us;

    return (x > y) - (x < y);
}

static void increase(int64_t *sum, int64_t by)
{
    if (__builtin_add_overflow(*sum, by, sum))
        *sum = INT64_MAX;
}

/* Sorted; those of one second become one. The number of what is later than from_us. */
static size_t add_up(struct ledger_charged *v, size_t n, int64_t from_us)
{
    size_t kept = 0;

    qsort(v, n, sizeof *v, by_time);
    for (size_t i = 0; i < n; i++) {
        struct ledger_charged *to = kept > 0 && v[kept - 1].until_us == v[i].until_us ? &v[kept - 1] : NULL;

        if (v[i].until_us <= from_us)
            continue;
        if (!to) {
            v[kept++] = v[i];
            continue;
        }
        for (int m = 0; m < METRICS; m++)
            increase(&to->amount[m], v[i].amount[m]);
        increase(&to->cost_nano, v[i].cost_nano);
    }
    return kept;
}

static void forget_given(void *arg, struct slice key, void *value)
{
    (void)arg;
    (void)key;
    ((struct charges *)value)->given = false;
}

void unwritten_begin(struct unwritten_giver *g)
{
    map_each(&g->u->by_scope, forget_given, NULL);
}

void unwritten_give(void *arg, struct slice scope, const struct ledger_charged *v, size_t n)
{
    const struct unwritten_giver *g = arg;
    struct charges *c = map_get(&g->u->by_scope, scope);
    struct ledger_charged *all;

    if (!c) {
        g->give(g->arg, scope, v, n);
        return;
    }
    c->given = true;
    all = xcalloc(n + c->n, sizeof *all);
    if (n)
        memcpy(all, v, n * sizeof *v);
    memcpy(all + n, c->v, c->n * sizeof *v);
    n = add_up(all, n + c->n, g->from_us);
    if (n)
        g->give(g->arg, scope, all, n);
    free(all);
}

static void give_unless_given(void *arg, struct slice key, void *value)
{
    struct unwritten_giver *g = arg;

    if (!((struct charges *)value)->given && slice_starts(key, g->prefix))
        unwritten_give(g, key, NULL, 0);
}

void unwritten_give_rest(struct unwritten_giver *g)
{
    map_each(&g->u->by_scope, give_unless_given, g);
}
