/*
 * gate: a HELD ticket is in the queue of budgets[0] and in the heap of deadlines, and has no charges. A DISPATCHED ticket
 * is in neither, and has one charge for each limit of all its budgets. A budget is on `busy` exactly while its queue is
 * not empty. Sequence numbers are given once, at the first offer, so a call that comes back is older than its queue.
 */
#include "metergate/gate/gate.h"

#include <stdlib.h>

#include "metergate/base/clock.h"
#include "metergate/base/err.h"
#include "metergate/base/list.h"
#include "metergate/gate/predict.h"

/* How many small calls are tried for a hole before giving up: with one limit the first one that is tried fits. */
#define BACKFILL_TRIES 8

struct gate {
    struct list budgets;
    struct list busy;
    struct heap deadlines;
    uint64_t next_seq;
    int64_t wake_us;
};

struct gate *gate_new(void)
{
    struct gate *g = xcalloc(1, sizeof *g);

    list_init(&g->budgets);
    list_init(&g->busy);
    heap_init(&g->deadlines);
    g->next_seq = 1;
    g->wake_us = CLOCK_NEVER;
    return g;
}

void gate_free(struct gate *g)
{
    if (!g)
        return;
    LIST_EACH (&g->budgets, node, next)
        budget_free(LIST_ENTRY(node, struct budget, link));
    heap_release(&g->deadlines);
    free(g);
}

struct budget *gate_budget_new(struct gate *g, const char *name, int headroom_permille, const struct limit *limits,
                               size_t n)
{
    struct budget *b = budget_new(name, headroom_permille, limits, n);

    list_push_back(&g->budgets, &b->link);
    return b;
}

struct list *gate_budgets(struct gate *g)
{
    return &g->budgets;
}

void ticket_init(struct ticket *t, const struct cost *cost, struct budget *const *budgets, size_t n, int64_t arrival_us,
                 int64_t deadline_us)
{
    MG_ASSERT(n >= 1 && n <= TICKET_BUDGETS_MAX);
    *t = (struct ticket){.cost = *cost, .budget_count = n, .arrival_us = arrival_us, .deadline_us = deadline_us};
    for (size_t i = 0; i < n; i++)
        t->budgets[i] = budgets[i];
}

static struct ticket *ticket_of(struct queue_node *node)
{
    return MG_CONTAINER(node, struct ticket, node);
}

/* ---- the queue of a budget ------------------------------------------------------------------------------------- */

static void enqueue(struct gate *g, struct ticket *t)
{
    struct budget *b = t->budgets[0];

    MG_ASSERT(t->state != TICKET_HELD && !t->charges);
    queue_push(&b->queue, &t->node, t->seq, cost_total(&t->cost, METRIC_TOKENS));
    for (int m = 0; m < METRICS; m++) {
        int64_t total = cost_total(&t->cost, (enum metric)m);

        b->queued[m] += total;
        if (total > b->largest[m])
            b->largest[m] = total;
    }
    list_push_back(&g->busy, &b->busy);
    heap_set(&g->deadlines, &t->deadline, t->deadline_us);
    t->state = TICKET_HELD;
}

static void dequeue(struct gate *g, struct ticket *t)
{
    struct budget *b = t->budgets[0];

    MG_ASSERT(t->state == TICKET_HELD);
    queue_remove(&b->queue, &t->node);
    for (int m = 0; m < METRICS; m++) {
        b->queued[m] -= cost_total(&t->cost, (enum metric)m);
        if (b->queue.n == 0)
            b->largest[m] = 0;
    }
    if (b->queue.n == 0)
        list_unlink(&b->busy);
    heap_remove(&g->deadlines, &t->deadline);
    t->state = TICKET_IDLE;
}

/* ---- the limits of a ticket ------------------------------------------------------------------------------------- */

static void advance(const struct ticket *t, int64_t now_us)
{
    for (size_t i = 0; i < t->budget_count; i++)
        budget_advance(t->budgets[i], now_us);
}

static int64_t earliest(const struct ticket *t, int64_t now_us, struct gate_reason *ret_why)
{
    *ret_why = (struct gate_reason){.budget = t->budgets[0], .until_us = now_us};
    for (size_t i = 0; i < t->budget_count; i++) {
        const struct budget_limit *limit;
        int64_t ti = budget_earliest(t->budgets[i], &t->cost, now_us, &limit);

        if (ti > ret_why->until_us)
            *ret_why = (struct gate_reason){.budget = t->budgets[i], .limit = limit, .until_us = ti};
    }
    return ret_why->until_us;
}

static bool shares(const struct ticket *t, const struct budget *b)
{
    for (size_t i = 0; i < t->budget_count; i++) {
        if (t->budgets[i] == b)
            return true;
    }
    return false;
}

/* Whether `small` may go now although `head` was there first: at the head's moment there is room for both. */
static bool leaves_room(const struct ticket *head, const struct ticket *small, int64_t head_us)
{
    for (size_t i = 0; i < head->budget_count; i++) {
        if (shares(small, head->budgets[i]) &&
            !budget_has_room_for_both(head->budgets[i], &head->cost, &small->cost, head_us))
            return false;
    }
    return true;
}

/* ---- who goes next ------------------------------------------------------------------------------------------------ */

/* What a call behind the head may weigh at the most: a bound by the token limits alone. */
static int64_t backfill_bound(const struct budget *b, const struct ticket *head, int64_t head_us)
{
    int64_t bound = INT64_MAX;

    for (size_t i = 0; i < b->limit_count; i++) {
        const struct budget_limit *l = &b->limits[i];
        int64_t arrival, end, room;

        if (l->limit.metric != METRIC_TOKENS)
            continue;
        budget_need(l, &head->cost, &arrival, &end);
        room = l->limit.max - arrival - end - window_sum_at(&l->window, head_us);
        if (room < bound)
            bound = room;
    }
    return bound;
}

static void wake_by(struct gate *g, int64_t at_us)
{
    if (at_us < g->wake_us)
        g->wake_us = at_us;
}

/* The first call behind the head that may go now. */
static struct ticket *backfill(struct gate *g, struct budget *b, struct ticket *head, int64_t now_us, int64_t head_us)
{
    int64_t bound = backfill_bound(b, head, head_us);
    struct queue_node *node = queue_first_within(&b->queue, head->seq, bound);
    struct gate_reason why;

    if (b->paused_until_us > now_us)
        return NULL;
    for (int tries = 0; node && tries < BACKFILL_TRIES; tries++) {
        struct ticket *t = ticket_of(node);

        advance(t, now_us);
        if (leaves_room(head, t, head_us)) {
            int64_t at_us = earliest(t, now_us, &why);

            if (at_us <= now_us)
                return t;
            wake_by(g, at_us);
        }
        node = queue_first_within(&b->queue, t->seq, bound);
    }
    return NULL;
}

static struct ticket *candidate(struct gate *g, struct budget *b, int64_t now_us)
{
    struct ticket *head = ticket_of(queue_first(&b->queue));
    struct gate_reason why;
    int64_t head_us;

    advance(head, now_us);
    head_us = earliest(head, now_us, &why);
    if (head_us <= now_us)
        return head;
    wake_by(g, head_us);
    return b->queue.n > 1 ? backfill(g, b, head, now_us, head_us) : NULL;
}

static void open_attempt(struct ticket *t, int64_t now_us)
{
    size_t n = 0;

    for (size_t i = 0; i < t->budget_count; i++)
        n += t->budgets[i]->limit_count;
    t->charges = xcalloc(n, sizeof *t->charges);
    t->charge_count = n;
    t->sent = false;
    n = 0;
    for (size_t i = 0; i < t->budget_count; i++) {
        budget_open(t->budgets[i], &t->cost, now_us, t->charges + n);
        n += t->budgets[i]->limit_count;
    }
    t->state = TICKET_DISPATCHED;
}

struct ticket *gate_next(struct gate *g, int64_t now_us)
{
    struct ticket *best = NULL;

    g->wake_us = CLOCK_NEVER;
    LIST_EACH (&g->busy, node, next) {
        struct ticket *t = candidate(g, LIST_ENTRY(node, struct budget, busy), now_us);

        if (t && (!best || t->seq < best->seq))
            best = t;
    }
    if (!best)
        return NULL;
    dequeue(g, best);
    open_attempt(best, now_us);
    return best;
}

int64_t gate_wakeup(const struct gate *g)
{
    const struct heap_node *first = heap_first(&g->deadlines);

    return first && first->key < g->wake_us ? first->key : g->wake_us;
}

/* ---- arrivals and departures ------------------------------------------------------------------------------------- */

/*
 * A limit that the call can never fit: only one that is charged in full on arrival, when the count is exact and the
 * provider's own lower estimate is over the limit as well (contract section 5). In every other case the call runs
 * alone and the provider has the last word.
 */
static const struct budget_limit *never_fits(const struct ticket *t)
{
    if (!t->cost.exact)
        return NULL;
    for (size_t i = 0; i < t->budget_count; i++) {
        for (size_t j = 0; j < t->budgets[i]->limit_count; j++) {
            const struct budget_limit *l = &t->budgets[i]->limits[j];
            enum metric m = l->limit.metric;

            if (t->cost.in_full[m] && t->cost.floor[m] > l->limit.max)
                return l;
        }
    }
    return NULL;
}

/* What a refusal names: the counted input where that alone is too much, because the caller can check it. */
static int64_t requested(const struct ticket *t, const struct limit *l)
{
    bool counts_input = l->metric == METRIC_TOKENS || l->metric == METRIC_INPUT;

    return counts_input && t->cost.input > l->max ? t->cost.input : t->cost.floor[l->metric];
}

enum gate_verdict gate_offer(struct gate *g, struct ticket *t, int64_t now_us, struct gate_refusal *ret_why)
{
    const struct budget_limit *l = never_fits(t);
    struct prediction p;

    MG_ASSERT(t->state == TICKET_IDLE);
    if (l) {
        *ret_why = (struct gate_refusal){.limit = &l->limit, .requested = requested(t, &l->limit)};
        return GATE_TOO_LARGE;
    }
    if (t->seq == 0)
        t->seq = g->next_seq++;
    advance(t, now_us);
    p = predict_arrival(t, now_us);
    if (p.start_us > t->deadline_us) {
        *ret_why = (struct gate_refusal){.wait_us = p.start_us - now_us};
        return GATE_MAX_WAIT;
    }
    enqueue(g, t);
    return GATE_HELD;
}

void gate_cancel(struct gate *g, struct ticket *t, int64_t now_us)
{
    (void)now_us;
    dequeue(g, t);
}

struct prediction gate_predict(const struct gate *g, const struct ticket *t, int64_t now_us)
{
    (void)g;
    advance(t, now_us);
    return predict_held(t, now_us);
}

struct ticket *gate_expire(struct gate *g, int64_t now_us, int64_t *ret_wait_us)
{
    struct heap_node *first = heap_first(&g->deadlines);
    struct ticket *t;

    if (!first || first->key > now_us)
        return NULL;
    t = MG_CONTAINER(first, struct ticket, deadline);
    *ret_wait_us = gate_predict(g, t, now_us).start_us - now_us;
    dequeue(g, t);
    return t;
}

/* ---- attempts ------------------------------------------------------------------------------------------------------ */

void gate_sent(struct gate *g, struct ticket *t, int64_t now_us)
{
    (void)g;
    MG_ASSERT(t->state == TICKET_DISPATCHED);
    if (t->sent)
        return;
    t->sent = true;
    for (size_t i = 0; i < t->charge_count; i++)
        charge_time(&t->charges[i], now_us);
}

void gate_close(struct gate *g, struct ticket *t, int64_t now_us, const struct cost *final)
{
    (void)g;
    MG_ASSERT(t->state == TICKET_DISPATCHED);
    for (size_t i = 0; i < t->charge_count; i++)
        charge_close(&t->charges[i], t->sent, final, now_us);
    for (size_t i = 0; i < t->budget_count; i++)
        t->budgets[i]->in_flight--;
    free(t->charges);
    t->charges = NULL;
    t->charge_count = 0;
    t->state = TICKET_IDLE;
}

void gate_requeue(struct gate *g, struct ticket *t, int64_t now_us, const struct cost *final)
{
    gate_close(g, t, now_us, final);
    enqueue(g, t);
}

void gate_pause(struct gate *g, struct budget *b, int64_t until_us)
{
    (void)g;
    if (until_us > b->paused_until_us)
        b->paused_until_us = until_us;
}

/* ---- what people ask ----------------------------------------------------------------------------------------------- */

struct gate_reason gate_why(struct gate *g, const struct ticket *t, int64_t now_us)
{
    struct gate_reason why;

    (void)g;
    advance(t, now_us);
    earliest(t, now_us, &why);
    return why;
}

int64_t gate_next_dispatch_us(struct gate *g, const struct budget *b, int64_t now_us)
{
    struct queue_node *first = queue_first(&b->queue);

    return first ? gate_why(g, ticket_of(first), now_us).until_us : CLOCK_NEVER;
}
