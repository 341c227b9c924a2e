/*
 * pick: the search for a call that may pass the head goes by the tree of the queue (queue_find): what a call
 * may weigh is worked out first, from the limits that all calls of the queue have in common, and is never
 * less than what really may go; each call that is found is then judged by all its limits.
 *
 * Time goes by while nobody can go, and what may pass changes with it: rooms only grow, until a charge made
 * later would no longer be gone when the head starts ("edges", one a limit at most). So between two edges
 * "somebody can go at x" turns from false to true once at the most, and bisecting finds the microsecond.
 */
#include "metergate/gate/pick.h"

#include "metergate/base/clock.h"
#include "metergate/base/err.h"

/* A gap in front of a waiting head, to be filled at at_us. */
struct gap {
    const struct budget *b; /* whose queue it is */
    const struct ticket *head;
    int64_t head_us; /* when the head goes; CLOCK_NEVER: not known */
    int64_t at_us;
    int64_t now_us;
};

/* What every call takes at the least (profile.h). */
static const struct cost one_call = {.on_arrival = {[METRIC_REQUESTS] = 1, [METRIC_CONCURRENT] = 1}};

static struct ticket *ticket_of(struct queue_node *node)
{
    return MG_CONTAINER(node, struct ticket, node);
}

/* queue_fits: the whole truth. */
static bool may_go(void *arg, struct queue_node *node)
{
    const struct gap *g = arg;
    const struct ticket *t = ticket_of(node);

    ticket_advance(t, g->now_us);
    return ticket_leaves_room(g->head, g->head_us, t, g->at_us) &&
           ticket_earliest(t, g->now_us).until_us <= g->at_us;
}

/* The most that this limit lets a call weigh that goes at at_us. */
static int64_t most_of_limit(const struct gap *g, const struct budget *b, const struct budget_limit *l)
{
    int64_t sum = window_sum_at(&l->window, g->at_us), usable = budget_usable(b, l);
    int64_t need = budget_need_total(l, &g->head->cost), most = usable - sum, beside;

    if (sum == 0)
        most = INT64_MAX; /* what is bigger than max is cut to it */
    else if (l->limit.max - sum > usable)
        most = l->limit.max - sum; /* there is room for one that runs alone */
    if (need == 0 || (g->head_us < CLOCK_NEVER && g->at_us + budget_stay_us(l) <= g->head_us))
        return most;
    if (g->head_us < CLOCK_NEVER)
        sum = window_sum_at(&l->window, g->head_us);
    beside = budget_ceiling(b, l, need) - need - sum;
    return beside < most ? beside : most;
}

/* The most that a call may weigh that goes at at_us; false: nobody can, whatever it weighs. */
static bool most_of_all(const struct gap *g, struct queue_weight *ret_most)
{
    const struct budget_limit *limit;

    *ret_most = (struct queue_weight){{INT64_MAX, INT64_MAX, INT64_MAX}};
    for (size_t k = 0; k < g->b->common_count; k++) {
        const struct budget *b = g->b->common[k];

        if (budget_earliest(b, &one_call, g->now_us, &limit) > g->at_us ||
            !budget_has_room_for_both(b, &g->head->cost, g->head_us, &one_call, g->at_us))
            return false;
        for (size_t i = 0; i < b->limit_count; i++) {
            int c = ticket_currency(b->limits[i].limit.metric);
            int64_t most = c < 0 ? INT64_MAX : most_of_limit(g, b, &b->limits[i]);

            if (c >= 0 && most < ret_most->of[c])
                ret_most->of[c] = most > 0 ? most : 0; /* full or not, what needs nothing of it may go */
        }
    }
    return true;
}

/* The first call behind the head that may go at at_us. */
static struct ticket *filler(struct gap *g, int64_t at_us)
{
    struct queue_weight most;
    struct queue_node *node;

    g->at_us = at_us;
    if (!most_of_all(g, &most))
        return NULL;
    node = queue_find(&g->b->queue, g->head->seq, &most, may_go, g);
    return node ? ticket_of(node) : NULL;
}

/* ---- when nobody can go now ---- */

/* The first moment at which this limit has room for the lightest call that there could be. */
static int64_t lightest_us(const struct gap *g, const struct budget *b, const struct budget_limit *l,
                           int64_t weight)
{
    int64_t ceiling = budget_usable(b, l);

    if (g->b->largest[l->limit.metric] > ceiling) /* one may run alone */
        ceiling = l->limit.max;
    return window_earliest(&l->window, g->now_us, weight < ceiling ? ceiling - weight : 0);
}

/* Nobody can go before this moment. */
static int64_t lower_bound(const struct gap *g)
{
    struct queue_weight least = queue_least(&g->b->queue);
    const struct budget_limit *limit;
    int64_t bound = g->now_us;

    for (size_t k = 0; k < g->b->common_count; k++) {
        const struct budget *b = g->b->common[k];
        int64_t t = budget_earliest(b, &one_call, g->now_us, &limit);

        if (t > bound)
            bound = t;
        for (size_t i = 0; i < b->limit_count; i++) {
            int c = ticket_currency(b->limits[i].limit.metric);

            if (c < 0 || least.of[c] == 0)
                continue;
            t = lightest_us(g, b, &b->limits[i], least.of[c]);
            if (t > bound)
                bound = t;
        }
    }
    return bound;
}

static void earlier(int64_t at_us, int64_t after_us, int64_t *t_us)
{
    if (at_us > after_us && at_us < *t_us)
        *t_us = at_us;
}

/* The first edge after t_us, or end_us: from then on a charge of one limit more would meet the head. */
static int64_t next_edge(const struct gap *g, int64_t t_us, int64_t end_us)
{
    for (size_t k = 0; g->head_us < CLOCK_NEVER && k < g->head->budget_count; k++) {
        const struct budget *b = g->head->budgets[k];

        for (size_t i = 0; i < b->limit_count; i++) {
            const struct budget_limit *l = &b->limits[i];

            if (l->limit.metric == METRIC_CONCURRENT)
                continue;
            earlier(g->head_us - budget_stay_us(l) + 1, t_us, &end_us);
            earlier(g->head_us - budget_spacing_us(b, l) + 1, t_us, &end_us);
        }
    }
    return end_us;
}

/* The first moment of from_us..to_us at which somebody may go, when somebody may at to_us. */
static int64_t bisect(struct gap *g, int64_t from_us, int64_t to_us)
{
    while (from_us < to_us) {
        int64_t middle_us = from_us + (to_us - from_us) / 2;

        if (filler(g, middle_us))
            to_us = middle_us;
        else
            from_us = middle_us + 1;
    }
    return to_us;
}

/* When somebody may pass the head, before it goes; CLOCK_NEVER. */
static int64_t filler_us(struct gap *g)
{
    int64_t from_us = lower_bound(g);

    while (from_us < g->head_us) {
        int64_t edge_us = next_edge(g, from_us, g->head_us);

        if (filler(g, edge_us - 1))
            return filler(g, from_us) ? from_us : bisect(g, from_us, edge_us - 1);
        from_us = edge_us;
    }
    return CLOCK_NEVER;
}

struct pick pick_from(const struct budget *b, int64_t now_us)
{
    struct ticket *head = ticket_of(queue_first(&b->queue));
    struct gap g = {.b = b, .head = head, .now_us = now_us};
    struct gate_reason why;
    struct ticket *small;
    int64_t at_us;

    ticket_advance(head, now_us);
    why = ticket_earliest(head, now_us);
    g.head_us = why.until_us;
    if (g.head_us <= now_us)
        return (struct pick){head, now_us, why};
    if (b->queue.n == 1)
        return (struct pick){NULL, g.head_us, why};
    small = filler(&g, now_us);
    if (small)
        return (struct pick){small, now_us, why};
    at_us = filler_us(&g);
    return (struct pick){NULL, at_us < g.head_us ? at_us : g.head_us, why};
}
