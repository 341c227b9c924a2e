/* oracle: `v` holds every charge that may still count; one per attempt and limit. Nothing is cached. */
#include "oracle.h"

#include <stdlib.h>
#include <string.h>

#include "metergate/base/clock.h"
#include "metergate/base/err.h"

enum { BUDGETS = 64 };

struct account {
    const struct budget *b;
    int headroom_permille;
    struct limit limits[BUDGET_LIMITS_MAX];
    int64_t last_us[BUDGET_LIMITS_MAX]; /* smooth: the last request; 0: none */
    size_t n;
    int64_t paused_until_us;
};

struct note {
    const struct budget *b;
    const struct ticket *t; /* NULL once closed; of METRIC_CONCURRENT there is one for each open attempt */
    enum metric metric;
    int64_t span_us;
    int64_t arrival, end;      /* amounts */
    int64_t sent_us, ended_us; /* CLOCK_NEVER: not yet */
};

struct oracle {
    struct account accounts[BUDGETS];
    size_t account_count;
    struct note *v;
    size_t n, cap;
};

struct oracle *oracle_new(void)
{
    return xcalloc(1, sizeof(struct oracle));
}

void oracle_free(struct oracle *o)
{
    if (!o)
        return;
    free(o->v);
    free(o);
}

static struct account *account_of(const struct oracle *o, const struct budget *b)
{
    for (size_t i = 0; i < o->account_count; i++) {
        if (o->accounts[i].b == b)
            return (struct account *)&o->accounts[i];
    }
    err_bug("a budget that the oracle knows", __FILE__, __LINE__);
}

static bool same(const struct limit *a, enum metric m, int64_t span_us)
{
    return a->metric == m && (m == METRIC_CONCURRENT || a->span_us == span_us);
}

static void drop_unlimited(struct oracle *o, const struct account *a)
{
    size_t kept = 0;

    for (size_t i = 0; i < o->n; i++) {
        bool keep = o->v[i].b != a->b || o->v[i].metric == METRIC_CONCURRENT;

        for (size_t j = 0; j < a->n && !keep; j++)
            keep = same(&a->limits[j], o->v[i].metric, o->v[i].span_us);
        if (keep)
            o->v[kept++] = o->v[i];
    }
    o->n = kept;
}

void oracle_budget(struct oracle *o, const struct budget *b, int headroom_permille,
                   const struct limit *limits, size_t n)
{
    struct account *a = NULL, old;

    for (size_t i = 0; i < o->account_count; i++) {
        if (o->accounts[i].b == b)
            a = &o->accounts[i];
    }
    if (!a) {
        MG_ASSERT(o->account_count < BUDGETS);
        a = &o->accounts[o->account_count++];
        a->b = b;
    }
    old = *a;
    a->headroom_permille = headroom_permille;
    a->n = n;
    for (size_t i = 0; i < n; i++) {
        a->limits[i] = limits[i];
        a->last_us[i] = 0;
        for (size_t j = 0; j < old.n; j++) {
            if (same(&old.limits[j], limits[i].metric, limits[i].span_us))
                a->last_us[i] = old.last_us[j];
        }
    }
    drop_unlimited(o, a);
}

void oracle_pause(struct oracle *o, const struct budget *b, int64_t until_us)
{
    struct account *a = account_of(o, b);

    if (until_us > a->paused_until_us)
        a->paused_until_us = until_us;
}

/* ---- arithmetic ---- */

static int64_t usable_of(const struct account *a, size_t i)
{
    const struct limit *l = &a->limits[i];
    int64_t part = l->max * (1000 - a->headroom_permille) / 1000;

    if (l->metric == METRIC_CONCURRENT || (l->metric == METRIC_REQUESTS && l->span_us >= BUDGET_DAY_US))
        return l->max;
    return part < 1 ? 1 : part;
}

int64_t oracle_usable(const struct oracle *o, const struct budget *b, size_t i)
{
    return usable_of(account_of(o, b), i);
}

/* Smooth: no request before this moment. */
static int64_t next_of(const struct account *a, size_t i)
{
    return a->limits[i].smooth && a->last_us[i] ? a->last_us[i] + a->limits[i].span_us / usable_of(a, i) : 0;
}

static void need_of(const struct limit *l, const struct cost *c, int64_t *ret_arrival, int64_t *ret_end)
{
    int64_t a = l->metric == METRIC_CONCURRENT ? 1 : c->on_arrival[l->metric], e = c->at_end[l->metric];

    if (a > l->max)
        a = l->max;
    if (a + e > l->max)
        e = l->max - a;
    *ret_arrival = a;
    *ret_end = e;
}

static int64_t ceiling_of(const struct account *a, size_t i, int64_t need)
{
    return need > usable_of(a, i) ? a->limits[i].max : usable_of(a, i);
}

static bool about(const struct note *v, const struct account *a, size_t i)
{
    return v->b == a->b && same(&a->limits[i], v->metric, v->span_us);
}

static int64_t used_at(const struct oracle *o, const struct account *a, size_t i, int64_t t_us)
{
    int64_t sum = 0;

    for (size_t k = 0; k < o->n; k++) {
        const struct note *v = &o->v[k];

        if (!about(v, a, i) || v->metric == METRIC_CONCURRENT)
            continue;
        if (v->sent_us != CLOCK_NEVER && t_us < v->sent_us + v->span_us)
            sum += v->arrival;
        if (v->ended_us != CLOCK_NEVER && t_us < v->ended_us + v->span_us)
            sum += v->end;
    }
    return sum;
}

static int64_t reserved_of(const struct oracle *o, const struct account *a, size_t i)
{
    int64_t sum = 0;

    for (size_t k = 0; k < o->n; k++) {
        const struct note *v = &o->v[k];

        if (!about(v, a, i) || !v->t)
            continue;
        if (v->sent_us == CLOCK_NEVER || v->metric == METRIC_CONCURRENT)
            sum += v->arrival;
        sum += v->end;
    }
    return sum;
}

int64_t oracle_used(const struct oracle *o, const struct budget *b, size_t i, int64_t t_us)
{
    return used_at(o, account_of(o, b), i, t_us);
}

int64_t oracle_reserved(const struct oracle *o, const struct budget *b, size_t i)
{
    return reserved_of(o, account_of(o, b), i);
}

static int64_t sum_at(const struct oracle *o, const struct account *a, size_t i, int64_t t_us)
{
    return used_at(o, a, i, t_us) + reserved_of(o, a, i);
}

/* ---- questions ---- */

static void earlier(int64_t at_us, int64_t after_us, int64_t *best)
{
    if (at_us > after_us && at_us < *best)
        *best = at_us;
}

int64_t oracle_next_change(const struct oracle *o, int64_t t_us)
{
    int64_t best = CLOCK_NEVER;

    for (size_t i = 0; i < o->account_count; i++) {
        earlier(o->accounts[i].paused_until_us, t_us, &best);
        for (size_t j = 0; j < o->accounts[i].n; j++)
            earlier(next_of(&o->accounts[i], j), t_us, &best);
    }
    for (size_t k = 0; k < o->n; k++) {
        if (o->v[k].metric == METRIC_CONCURRENT)
            continue;
        if (o->v[k].sent_us != CLOCK_NEVER)
            earlier(o->v[k].sent_us + o->v[k].span_us, t_us, &best);
        if (o->v[k].ended_us != CLOCK_NEVER)
            earlier(o->v[k].ended_us + o->v[k].span_us, t_us, &best);
    }
    return best;
}

static bool fits_at(const struct oracle *o, const struct ticket *t, int64_t x_us)
{
    for (size_t k = 0; k < t->budget_count; k++) {
        const struct account *a = account_of(o, t->budgets[k]);

        if (a->paused_until_us > x_us)
            return false;
        for (size_t i = 0; i < a->n; i++) {
            int64_t arrival, end;

            need_of(&a->limits[i], &t->cost, &arrival, &end);
            if (arrival + end == 0)
                continue;
            if (next_of(a, i) > x_us)
                return false;
            if (sum_at(o, a, i, x_us) + arrival + end > ceiling_of(a, i, arrival + end))
                return false;
        }
    }
    return true;
}

int64_t oracle_earliest(const struct oracle *o, const struct ticket *t, int64_t now_us)
{
    for (int64_t x = now_us; x < CLOCK_NEVER; x = oracle_next_change(o, x)) {
        if (fits_at(o, t, x))
            return x;
    }
    return CLOCK_NEVER;
}

static bool takes_from(const struct ticket *t, const struct budget *b)
{
    for (size_t k = 0; k < t->budget_count; k++) {
        if (t->budgets[k] == b)
            return true;
    }
    return false;
}

/* Whether this limit would still let the head go at head_us if `small` went at x_us. */
static bool harmless(const struct oracle *o, const struct account *a, size_t i, const struct ticket *head,
                     const struct ticket *small, int64_t x_us, int64_t head_us)
{
    const struct limit *l = &a->limits[i];
    int64_t arrival, end, need, need_end, at_us = head_us == CLOCK_NEVER ? x_us : head_us;

    need_of(l, &head->cost, &need, &need_end);
    need += need_end;
    need_of(l, &small->cost, &arrival, &end);
    if (need == 0 || arrival + end == 0)
        return true;
    if (l->smooth && l->span_us / usable_of(a, i) > at_us - x_us)
        return false;
    if (l->metric != METRIC_CONCURRENT && x_us + 60 * CLOCK_S + l->span_us <= at_us)
        arrival = 0;
    return arrival + end == 0 || sum_at(o, a, i, at_us) + need + arrival + end <= ceiling_of(a, i, need);
}

/* The same for all limits of one budget of the head's. */
static bool harmless_to(const struct oracle *o, const struct budget *b, const struct ticket *head,
                        const struct ticket *small, int64_t x_us, int64_t head_us)
{
    const struct account *a = account_of(o, b);

    for (size_t i = 0; takes_from(small, b) && i < a->n; i++) {
        if (!harmless(o, a, i, head, small, x_us, head_us))
            return false;
    }
    return true;
}

bool oracle_passes(const struct oracle *o, const struct ticket *head, const struct ticket *small,
                   int64_t x_us, int64_t head_us)
{
    for (size_t k = 0; k < head->budget_count; k++) {
        if (!harmless_to(o, head->budgets[k], head, small, x_us, head_us))
            return false;
    }
    return true;
}

bool oracle_bars(const struct oracle *o, const struct ticket *head, const struct ticket *other, int64_t x_us)
{
    int64_t head_us = oracle_earliest(o, head, x_us);

    if (head_us <= x_us)
        return false;
    for (size_t k = 0; k < head->budget_count; k++) {
        struct ticket alone = *head; /* as if it took from this budget only */

        alone.budgets[0] = head->budgets[k];
        alone.budget_count = 1;
        if (oracle_earliest(o, &alone, x_us) == head_us)
            return k > 0 && !harmless_to(o, head->budgets[k], head, other, x_us, head_us);
    }
    return false;
}

/* ---- events ---- */

static void add(struct oracle *o, const struct note *v)
{
    if (o->n == o->cap) {
        o->cap = o->cap ? 2 * o->cap : 64;
        o->v = xrealloc(o->v, o->cap * sizeof *o->v);
    }
    o->v[o->n++] = *v;
}

void oracle_dispatch(struct oracle *o, const struct ticket *t, int64_t now_us)
{
    for (size_t k = 0; k < t->budget_count; k++) {
        struct account *a = account_of(o, t->budgets[k]);

        /* kept for every budget: a cap on calls in flight may come later */
        add(o, &(struct note){.b = a->b,
                              .t = t,
                              .metric = METRIC_CONCURRENT,
                              .arrival = 1,
                              .sent_us = CLOCK_NEVER,
                              .ended_us = CLOCK_NEVER});
        for (size_t i = 0; i < a->n; i++) {
            struct note v = {.b = a->b,
                             .t = t,
                             .metric = a->limits[i].metric,
                             .span_us = a->limits[i].span_us,
                             .sent_us = CLOCK_NEVER,
                             .ended_us = CLOCK_NEVER};

            need_of(&a->limits[i], &t->cost, &v.arrival, &v.end);
            if (v.metric != METRIC_CONCURRENT)
                add(o, &v);
            if (a->limits[i].smooth)
                a->last_us[i] = now_us;
        }
    }
}

void oracle_sent(struct oracle *o, const struct ticket *t, int64_t now_us)
{
    for (size_t k = 0; k < o->n; k++) {
        if (o->v[k].t == t && o->v[k].sent_us == CLOCK_NEVER)
            o->v[k].sent_us = now_us;
    }
}

void oracle_close(struct oracle *o, const struct ticket *t, int64_t now_us, const struct cost *final)
{
    oracle_sent(o, t, now_us);
    for (size_t k = 0; k < o->n; k++) {
        struct note *v = &o->v[k];

        if (v->t != t)
            continue;
        if (v->arrival == 0)
            v->sent_us = now_us; /* it was to cost nothing on arrival: what it did cost counts late */
        v->arrival = final->on_arrival[v->metric];
        v->end = final->at_end[v->metric];
        v->ended_us = now_us;
        v->t = NULL;
        if (v->metric == METRIC_CONCURRENT)
            v->arrival = v->end = 0;
    }
}

void oracle_forget(struct oracle *o, int64_t now_us)
{
    size_t kept = 0;

    for (size_t k = 0; k < o->n; k++) {
        const struct note *v = &o->v[k];

        if (v->t || (v->metric != METRIC_CONCURRENT && v->ended_us + v->span_us > now_us))
            o->v[kept++] = *v;
    }
    o->n = kept;
}
