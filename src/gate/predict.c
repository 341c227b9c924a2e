/* predict: reads budgets, changes nothing. */
#include "metergate/gate/predict.h"

#include "metergate/base/clock.h"
#include "metergate/base/err.h"

/* What stands before a call in its queue, and what else waits there. */
struct ahead {
    int64_t cost[METRICS];
    int64_t calls;
    int64_t others[METRICS]; /* everything that waits but itself: calls behind it may fill holes first */
    int64_t other_calls;
};

static int64_t need_of(const struct budget_limit *l, const struct cost *c)
{
    int64_t arrival, end;

    budget_need(l, c, &arrival, &end);
    return arrival + end;
}

/* E(x), with charges whose time has not come taken to come now. */
static int64_t first_room(const struct budget_limit *l, int64_t now_us, int64_t ceiling, int64_t x)
{
    int64_t t = window_earliest(&l->window, now_us, ceiling - x);

    return t == CLOCK_NEVER ? now_us + l->window.span_us : t;
}

static int64_t fluid_start(const struct budget *b, const struct budget_limit *l, int64_t ahead, int64_t need, int64_t now_us)
{
    int64_t usable = budget_usable(b, l), x = ahead + need, q;

    if (need > usable) /* runs alone, after everything before it has left */
        return first_room(l, now_us, l->limit.max, need) + (ahead + usable - 1) / usable * l->window.span_us;
    q = (x - 1) / usable;
    return first_room(l, now_us, usable, x - q * usable) + q * l->window.span_us;
}

/* By when at the latest, as far as this limit goes, in spans. */
static int64_t latest_spans(const struct budget *b, const struct budget_limit *l, const struct ahead *a, int64_t need)
{
    int64_t usable = budget_usable(b, l), largest = b->largest[l->limit.metric];

    if (need > largest)
        largest = need;
    if (largest >= usable)
        return a->other_calls + 1;
    return a->others[l->limit.metric] / (usable - largest) + 1;
}

static struct prediction predict(const struct ticket *t, const struct ahead *a, int64_t now_us)
{
    static const struct ahead nothing;
    struct prediction p = {.start_us = now_us};
    int64_t by_limits = 0, longest_us = 0, from_us = now_us;
    bool bounded = true;

    for (size_t i = 0; i < t->budget_count; i++) {
        const struct budget *b = t->budgets[i];
        const struct ahead *mine = i == 0 ? a : &nothing; /* what else goes to a shared budget is not known */

        if (b->paused_until_us > from_us)
            from_us = b->paused_until_us;
        for (size_t j = 0; j < b->limit_count; j++) {
            const struct budget_limit *l = &b->limits[j];
            int64_t need = need_of(l, &t->cost), start;

            if (need == 0)
                continue;
            if (l->limit.metric == METRIC_CONCURRENT) {
                bounded &= l->in_flight + mine->other_calls + need <= l->limit.max;
                continue;
            }
            start = fluid_start(b, l, mine->cost[l->limit.metric], need, now_us);
            if (start > p.start_us)
                p.start_us = start;
            by_limits += latest_spans(b, l, mine, need) * l->window.span_us;
            if (l->window.span_us > longest_us)
                longest_us = l->window.span_us;
        }
    }
    if (by_limits > (a->other_calls + 1) * longest_us)
        by_limits = (a->other_calls + 1) * longest_us;
    if (from_us > p.start_us)
        p.start_us = from_us;
    p.slack_us = from_us + by_limits > p.start_us ? from_us + by_limits - p.start_us : 0;
    if (!bounded)
        p.slack_us = CLOCK_NEVER;
    return p;
}

struct prediction predict_arrival(const struct ticket *t, int64_t now_us)
{
    const struct budget *b = t->budgets[0];
    struct ahead a = {.calls = (int64_t)b->queue.n, .other_calls = (int64_t)b->queue.n};

    for (int m = 0; m < METRICS; m++)
        a.cost[m] = a.others[m] = b->queued[m];
    return predict(t, &a, now_us);
}

struct prediction predict_held(const struct ticket *t, int64_t now_us)
{
    const struct budget *b = t->budgets[0];
    struct ahead a = {.other_calls = (int64_t)b->queue.n - 1};

    MG_ASSERT(t->state == TICKET_HELD);
    for (struct queue_node *n = queue_first(&b->queue); n->seq < t->seq; n = queue_first_within(&b->queue, n->seq, INT64_MAX)) {
        const struct ticket *before = MG_CONTAINER(n, struct ticket, node);

        for (int m = 0; m < METRICS; m++)
            a.cost[m] += cost_total(&before->cost, (enum metric)m);
        a.calls++;
    }
    for (int m = 0; m < METRICS; m++)
        a.others[m] = b->queued[m] - cost_total(&t->cost, (enum metric)m);
    return predict(t, &a, now_us);
}
