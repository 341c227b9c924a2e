/* predict: reads budgets, changes nothing. Sums and products saturate at CLOCK_NEVER. */
#include "metergate/gate/predict.h"

#include "metergate/base/clock.h"
#include "metergate/base/err.h"

struct outlook {
    int64_t start_us, soonest_us; /* the latest of all limits */
    int64_t by_limits;            /* the first bound, from now on */
    int64_t longest_us;
    int64_t span_us; /* of the limit that decides start_us, when others stand before the call there */
    bool bounded;
};

static int64_t add(int64_t a, int64_t b)
{
    int64_t v;

    return __builtin_add_overflow(a, b, &v) || v > CLOCK_NEVER ? CLOCK_NEVER : v;
}

static int64_t times(int64_t n, int64_t us)
{
    int64_t v;

    return __builtin_mul_overflow(n, us, &v) || v > CLOCK_NEVER ? CLOCK_NEVER : v;
}

static int64_t later(int64_t a_us, int64_t b_us)
{
    return a_us > b_us ? a_us : b_us;
}

/* What the load takes of this limit: no call takes longer than one that runs alone. */
static int64_t amount(const struct budget *b, const struct budget_limit *l, const struct line_load *load)
{
    int c = ticket_currency(l->limit.metric);
    int64_t most = times(load->calls, budget_usable(b, l));

    if (c < 0)
        return load->calls;
    return load->tokens.of[c] < most ? load->tokens.of[c] : most;
}

/* E(x), with charges whose time has not come taken to come now. */
static int64_t first_room(const struct budget_limit *l, int64_t now_us, int64_t ceiling, int64_t x)
{
    int64_t t = window_earliest(&l->window, now_us, ceiling - x);

    return t == CLOCK_NEVER ? now_us + l->window.span_us : t;
}

static int64_t fluid_start(const struct budget *b, const struct budget_limit *l,
                           const struct line_load *ahead, int64_t need, int64_t now_us)
{
    int64_t usable = budget_usable(b, l), x = add(amount(b, l, ahead), need), q = (x - 1) / usable, t;

    if (need > usable) /* runs alone, after everything before it has left */
        t = add(first_room(l, now_us, l->limit.max, need),
                times((x - need + usable - 1) / usable, l->window.span_us));
    else
        t = add(first_room(l, now_us, usable, x - q * usable), times(q, l->window.span_us));
    if (l->limit.smooth) {
        int64_t kept_us =
            add(l->next_us > now_us ? l->next_us : now_us, times(ahead->calls, budget_spacing_us(b, l)));

        t = later(t, kept_us);
    }
    return t;
}

/* Whether another limit makes a call of this size count as less than it takes of this one (ticket_load). */
static bool is_cut(const struct budget *b, const struct budget_limit *l, int64_t largest)
{
    for (size_t i = 0; i < b->limit_count; i++) {
        if (b->limits[i].limit.metric == l->limit.metric && largest > budget_usable(b, &b->limits[i]))
            return true;
    }
    return false;
}

/* How long at the most this limit keeps a call back that waits among others. */
static int64_t latest_us(const struct budget *b, const struct budget_limit *l, const struct line_load *others,
                         int64_t need)
{
    int64_t usable = budget_usable(b, l), largest = b->largest[l->limit.metric], spans;

    if (need > largest)
        largest = need;
    if (largest >= usable)
        spans = others->calls;
    else if (is_cut(b, l, largest))
        spans = times(others->calls, largest) / (usable - largest);
    else
        spans = amount(b, l, others) / (usable - largest);
    return add(times(spans + 1, l->window.span_us), times(others->calls + 1, budget_spacing_us(b, l)));
}

static void look(struct outlook *o, const struct ticket *t, size_t i, const struct line_load *ahead,
                 const struct line_load *others, int64_t now_us)
{
    static const struct line_load nobody;
    const struct budget *b = t->budgets[i];

    if (i > 0) /* who else waits for a shared budget is not known */
        ahead = others = &nobody;
    for (size_t j = 0; j < b->limit_count; j++) {
        const struct budget_limit *l = &b->limits[j];
        int64_t need = budget_need_total(l, &t->cost), start_us;

        if (need == 0 && amount(b, l, others) == 0)
            continue;
        o->bounded &= i == 0 && t->cost.at_end[l->limit.metric] == 0;
        if (l->limit.metric == METRIC_CONCURRENT) {
            o->bounded &= l->in_flight + others->calls < l->limit.max;
            continue;
        }
        /* what needs nothing of a limit may still wait behind those that do */
        o->by_limits = add(o->by_limits, latest_us(b, l, others, need));
        o->longest_us = later(o->longest_us, l->window.span_us);
        if (need == 0)
            continue;
        start_us = fluid_start(b, l, ahead, need, now_us);
        if (start_us > o->start_us)
            o->span_us = ahead->calls > 0 && start_us > now_us ? l->window.span_us : 0;
        o->start_us = later(o->start_us, start_us);
        o->soonest_us = later(o->soonest_us, fluid_start(b, l, &nobody, need, now_us));
        o->soonest_us = later(o->soonest_us, ahead->calls > 0 ? start_us - l->window.span_us : start_us);
    }
}

static struct prediction predict(const struct ticket *t, const struct line_load *ahead,
                                 const struct line_load *others, int64_t now_us)
{
    struct outlook o = {.start_us = now_us, .soonest_us = now_us, .bounded = true};
    struct prediction p;
    int64_t from_us = now_us, by_calls, latest;

    for (size_t i = 0; i < t->budget_count; i++) {
        look(&o, t, i, ahead, others, now_us);
        from_us = later(from_us, budget_paused_until_us(t->budgets[i]));
    }
    by_calls = times(others->calls + 1, o.longest_us);
    latest = add(from_us, o.by_limits < by_calls ? o.by_limits : by_calls);
    p.start_us = later(from_us, o.start_us);
    p.soonest_us = later(from_us, o.soonest_us);
    p.late_us = o.span_us;
    p.slack_us = !o.bounded ? CLOCK_NEVER : latest > p.start_us ? latest - p.start_us : 0;
    return p;
}

/* What lower classes have at the least of what a budget can do, in thousandths (line.h): their share. */
#define LEFT_LEAST LINE_SHARE_PERMILLE

/* Whether it, or what stands before it, may have to leave room to others: how long is not known. */
static bool may_be_polite(const struct ticket *t, int64_t now_us)
{
    const struct line *l = &t->budgets[0]->line;
    struct manners m;

    for (int k = TICKET_NORMAL; k < TICKET_CLASSES; k++) {
        if (l->classes[k].n == 0 && k != (int)t->class)
            continue;
        polite_manners(t->budgets[0], (enum ticket_class)k, now_us, &m);
        if (m.any)
            return true;
    }
    return false;
}

static struct prediction predict_behind(const struct ticket *t, const struct line_load *ahead,
                                        const struct line_load *others, int64_t now_us)
{
    struct prediction p = predict(t, ahead, others, now_us);
    int64_t left = 1000 - polite_taken_permille(&t->budgets[0]->polite, t->class, now_us);

    if (may_be_polite(t, now_us))
        p.slack_us = CLOCK_NEVER;
    if (p.start_us < CLOCK_NEVER && left < 1000) { /* what higher classes will take meanwhile, as lately */
        int64_t wait_us = p.start_us - now_us;

        p.start_us = add(now_us, times(wait_us / (left < LEFT_LEAST ? LEFT_LEAST : left), 1000));
    }
    return p;
}

struct prediction predict_arrival(const struct ticket *t, int64_t now_us)
{
    const struct line *l = &t->budgets[0]->line;
    struct line_load ahead, others;
    struct prediction p;

    line_all(l, &others);
    line_ahead_at_most(l, t->class, &ahead);
    p = predict_behind(t, &ahead, &others, now_us);
    if (p.start_us <= t->deadline_us && t->deadline_us < CLOCK_NEVER)
        return p; /* in time, whatever its part: who wants more exact times asks for them (predict_held) */
    line_ahead(l, t, &ahead);
    return predict_behind(t, &ahead, &others, now_us);
}

struct prediction predict_held(const struct ticket *t, int64_t now_us)
{
    const struct line *l = &t->budgets[0]->line;
    struct line_load ahead, others;

    MG_ASSERT(t->state == TICKET_HELD);
    line_all(l, &others);
    others.calls--;
    for (int i = 0; i < QUEUE_WEIGHTS; i++)
        others.tokens.of[i] -= t->node.load.of[i];
    line_ahead(l, t, &ahead);
    return predict_behind(t, &ahead, &others, now_us);
}
