/*
 * traffic: of each call at most two events are in the heap: what comes next in its life, and the client's
 * leaving. Calls that come at the same moment come in any order; a call's age is its ticket's sequence
 * number.
 */
#include "traffic.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "metergate/base/clock.h"
#include "metergate/base/err.h"

void traffic_fail(const struct traffic *tr, const char *fmt, ...)
{
    char text[400];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    fail_msg("seed %" PRIu64 " (profile %d, queues %d, calls %d) at %" PRId64 " us: %s", tr->plan.seed,
             (int)tr->plan.profile, tr->plan.queues, tr->plan.calls, tr->now_us, text);
    abort(); /* fail_msg jumps away */
}

static int index_of(const struct traffic *tr, const struct ticket *t)
{
    return (int)(MG_CONTAINER(t, struct traffic_call, ticket) - tr->calls);
}

/* ---- making ---- */

static int64_t moment(struct traffic *tr, int64_t most_us)
{
    return most_us <= 0 ? 0 : rng_range(&tr->rng, 0, most_us / tr->plan.quantum_us) * tr->plan.quantum_us;
}

static struct limit random_limit(struct traffic *tr, int64_t tokens)
{
    static const int64_t spans[] = {CLOCK_S, 10 * CLOCK_S, 60 * CLOCK_S, 600 * CLOCK_S};
    static const enum metric metrics[] = {METRIC_TOKENS, METRIC_TOKENS,   METRIC_TOKENS,    METRIC_INPUT,
                                          METRIC_OUTPUT, METRIC_REQUESTS, METRIC_CONCURRENT};
    struct limit l = {.metric = metrics[rng_range(&tr->rng, 0, 6)],
                      .span_us =
                          spans[rng_range(&tr->rng, 0, 3)]}; /* no key: known by metric and span alone */

    if (l.metric == METRIC_CONCURRENT)
        l.max = rng_range(&tr->rng, 1, 4);
    else if (l.metric == METRIC_REQUESTS)
        l.max = rng_range(&tr->rng, 1, 12);
    else
        l.max = rng_range(&tr->rng, tokens * 2 / 3 + 1, tokens * 4);
    l.smooth = l.metric == METRIC_REQUESTS && rng_chance(&tr->rng, 25);
    return l;
}

static size_t random_limits(struct traffic *tr, struct limit *limits, size_t most)
{
    size_t n = 0, want = (size_t)rng_range(&tr->rng, 1, (int64_t)most);

    while (n < want) {
        struct limit l = random_limit(tr, tr->plan.tokens);
        bool fresh = true;

        for (size_t i = 0; i < n; i++)
            fresh &= !(l.metric == limits[i].metric &&
                       (l.metric == METRIC_CONCURRENT || l.span_us == limits[i].span_us));
        if (fresh)
            limits[n++] = l;
        else
            want--;
    }
    return n;
}

static struct budget *add_budget(struct traffic *tr, int headroom_permille, const struct limit *limits,
                                 size_t n)
{
    struct budget *b = gate_budget_new(tr->gate, "b", headroom_permille, limits, n);

    oracle_budget(tr->oracle, b, headroom_permille, limits, n);
    return b;
}

static int random_headroom(struct traffic *tr)
{
    static const int permille[] = {0, 0, 0, 100, 200, 200, 500, 900};

    return permille[rng_range(&tr->rng, 0, 7)];
}

static void plan_call(struct traffic *tr, struct traffic_call *c, int64_t arrival_us)
{
    const struct traffic_plan *p = &tr->plan;
    struct estimate *e = &c->estimate;
    int64_t total = rng_chance(&tr->rng, 30) ? p->tokens : p->tokens / 8 + 1;

    e->input = rng_range(&tr->rng, 1, total);
    e->expected_output = rng_range(&tr->rng, 0, total - e->input);
    e->characters = rng_range(&tr->rng, 0, 5 * e->input);
    e->choices = 1;
    e->exact = rng_chance(&tr->rng, 70);
    if (rng_chance(&tr->rng, 10))
        e->max_output = rng_range(&tr->rng, 1, 2 * p->tokens);
    c->arrival_us = arrival_us;
    c->deadline_us = c->leave_us = CLOCK_NEVER;
    if (p->trouble && rng_chance(&tr->rng, 20))
        c->deadline_us = arrival_us + moment(tr, 100 * CLOCK_S);
    if (p->trouble && rng_chance(&tr->rng, 20))
        c->leave_us = arrival_us + moment(tr, 100 * CLOCK_S);
    heap_set(&tr->events, &c->next, arrival_us);
}

static void prepare(struct traffic *tr, const struct traffic_plan *plan)
{
    *tr = (struct traffic){.plan = *plan, .rng = {plan->seed}, .now_us = 1000 * CLOCK_S};
    heap_init(&tr->events);
    tr->gate = gate_new();
    tr->oracle = oracle_new();
    tr->calls = xcalloc((size_t)plan->calls, sizeof *tr->calls);
    tr->left = plan->calls;
}

static void plan_calls(struct traffic *tr)
{
    int64_t at_us = tr->now_us;

    for (int i = 0; i < tr->plan.calls; i++) {
        if (!rng_chance(&tr->rng, 40))
            at_us += moment(tr, tr->plan.gap_us);
        plan_call(tr, &tr->calls[i], at_us);
    }
}

void traffic_init(struct traffic *tr, const struct traffic_plan *plan)
{
    struct limit limits[BUDGET_LIMITS_MAX];

    prepare(tr, plan);
    for (int i = 0; i < plan->queues; i++)
        tr->queues[i] = add_budget(tr, random_headroom(tr), limits, random_limits(tr, limits, 4));
    if (!plan->apart && rng_chance(&tr->rng, 50))
        tr->shared = add_budget(tr, random_headroom(tr), limits, random_limits(tr, limits, 2));
    plan_calls(tr);
}

void traffic_init_limits(struct traffic *tr, const struct traffic_plan *plan, const struct limit *limits,
                         size_t n)
{
    MG_ASSERT(plan->queues == 1);
    prepare(tr, plan);
    tr->queues[0] = add_budget(tr, 0, limits, n);
    plan_calls(tr);
}

void traffic_release(struct traffic *tr)
{
    gate_free(tr->gate);
    oracle_free(tr->oracle);
    heap_release(&tr->events);
    free(tr->calls);
    free(tr->facts);
}

/* ---- the provider's side ---- */

static void fact(struct traffic *tr, const struct budget *b, const struct limit *l, int64_t at_us,
                 int64_t amount, bool alone)
{
    if (amount == 0)
        return;
    if (tr->fact_count == tr->fact_cap) {
        tr->fact_cap = tr->fact_cap ? 2 * tr->fact_cap : 256;
        tr->facts = xrealloc(tr->facts, tr->fact_cap * sizeof *tr->facts);
    }
    tr->facts[tr->fact_count++] = (struct traffic_fact){
        .b = b, .metric = l->metric, .span_us = l->span_us, .at_us = at_us, .amount = amount, .alone = alone};
}

static void provider_counts(struct traffic *tr, const struct traffic_call *c, const struct cost *final)
{
    const struct ticket *t = &c->ticket;

    for (size_t k = 0; k < t->budget_count; k++) {
        const struct budget *b = t->budgets[k];

        for (size_t i = 0; i < b->limit_count; i++) {
            const struct limit *l = &b->limits[i].limit;
            bool alone = cost_total(&t->cost, l->metric) > oracle_usable(tr->oracle, b, i);
            int64_t arrival, end;

            if (l->metric == METRIC_CONCURRENT)
                continue;
            /* of what no limit can hold, nobody promised more */
            budget_need(&b->limits[i], final, &arrival, &end);
            fact(tr, b, l, c->provider_us, arrival, alone);
            fact(tr, b, l, tr->now_us, end, alone);
        }
    }
}

static int by_time(const void *a, const void *b)
{
    const struct traffic_fact *x = a, *y = b;

    return x->at_us < y->at_us ? -1 : x->at_us > y->at_us;
}

/* The fullest span of one limit against what is usable. */
static void check_provider_limit(const struct traffic *tr, const struct budget *b, size_t i)
{
    const struct limit *l = &b->limits[i].limit;
    int64_t sum = 0, usable = oracle_usable(tr->oracle, b, i);
    size_t lo = 0, alone = 0;

    for (size_t k = 0; k < tr->fact_count; k++) {
        const struct traffic_fact *f = &tr->facts[k];

        if (f->b != b || f->metric != l->metric || f->span_us != l->span_us)
            continue;
        sum += f->amount;
        alone += f->alone;
        for (; lo < k && tr->facts[lo].at_us + l->span_us <= f->at_us; lo++) {
            const struct traffic_fact *old = &tr->facts[lo];

            if (old->b == b && old->metric == l->metric && old->span_us == l->span_us) {
                sum -= old->amount;
                alone -= old->alone;
            }
        }
        if (sum > (alone ? l->max : usable))
            traffic_fail(tr, "the provider saw %" PRId64 " of %" PRId64 " in the span that ends at %" PRId64,
                         sum, alone ? l->max : usable, f->at_us);
    }
}

static void check_provider(struct traffic *tr)
{
    if (tr->fact_count)
        qsort(tr->facts, tr->fact_count, sizeof *tr->facts, by_time);
    for (int q = 0; q < tr->plan.queues + (tr->shared ? 1 : 0); q++) {
        const struct budget *b = q < tr->plan.queues ? tr->queues[q] : tr->shared;

        for (size_t i = 0; i < b->limit_count; i++) {
            if (b->limits[i].limit.metric != METRIC_CONCURRENT)
                check_provider_limit(tr, b, i);
        }
    }
}

/* ---- checks ---- */

static void check_figures(struct traffic *tr, const struct budget *b)
{
    for (size_t i = 0; i < b->limit_count; i++) {
        const struct budget_limit *l = &b->limits[i];
        int64_t used = oracle_used(tr->oracle, b, i, tr->now_us),
                reserved = oracle_reserved(tr->oracle, b, i);

        if (l->limit.metric == METRIC_CONCURRENT) {
            if (l->in_flight != reserved)
                traffic_fail(tr, "limit %zu has %" PRId64 " in flight, the oracle %" PRId64, i, l->in_flight,
                             reserved);
        } else if (l->window.used != used || l->window.reserved != reserved) {
            traffic_fail(
                tr, "limit %zu holds %" PRId64 " + %" PRId64 " reserved, the oracle %" PRId64 " + %" PRId64,
                i, l->window.used, l->window.reserved, used, reserved);
        }
    }
}

struct traffic_call *traffic_head(const struct traffic *tr, const struct budget *queue)
{
    return queue->promised ? &tr->calls[index_of(tr, queue->promised)] : NULL;
}

/* A class that may leave room to others goes by manners that the oracle knows nothing of. */
static bool has_manners(const struct traffic *tr, const struct ticket *t)
{
    return tr->plan.classes && t->class != TICKET_HIGH;
}

/*
 * Whether this held call may go at x_us if nothing happens before, as far as its own queue goes. A head that
 * leaves room to others knows its own moment.
 */
static bool could_go_from_queue(const struct traffic *tr, const struct traffic_call *c, int64_t x_us)
{
    const struct budget *queue = c->ticket.budgets[0];
    const struct traffic_call *head = traffic_head(tr, queue);
    int64_t head_us;

    if (oracle_earliest(tr->oracle, &c->ticket, x_us) > x_us)
        return false;
    if (!head || head == c)
        return true;
    head_us =
        has_manners(tr, &head->ticket) ? queue->head_us : oracle_earliest(tr->oracle, &head->ticket, x_us);
    return oracle_passes(tr->oracle, &head->ticket, &c->ticket, x_us, head_us);
}

/* The order of calls, of whatever queues, by class and arrival. */
static bool is_held_before(const struct traffic_call *a, const struct traffic_call *b)
{
    return a->ticket.state == TICKET_HELD &&
           (a->ticket.class < b->ticket.class ||
            (a->ticket.class == b->ticket.class && a->ticket.seq < b->ticket.seq));
}

/* The first call that waits of a's client in its class; `a` counts as waiting. */
static const struct ticket *first_of_client(const struct traffic *tr, const struct ticket *a)
{
    const struct ticket *first = a;

    for (int i = 0; i < tr->plan.calls; i++) {
        const struct ticket *t = &tr->calls[i].ticket;

        if (t->state == TICKET_HELD && t->flow == a->flow && t->seq < first->seq)
            first = t;
    }
    return first;
}

/* Where a client stands: the tag that it has in the middle of that call. */
static int64_t middle(const struct ticket *first)
{
    return first->flow->tag + ticket_share_tokens(first) * 1024 / first->flow->weight / 2;
}

/* The order of a queue: by class, the client that has had least for its weight, of its calls the oldest. */
static bool is_before_in_queue(const struct traffic *tr, const struct ticket *a, const struct ticket *b)
{
    const struct ticket *first_a = first_of_client(tr, a), *first_b = first_of_client(tr, b);

    if (a->class != b->class)
        return a->class < b->class;
    if (a->flow == b->flow)
        return a->seq < b->seq;
    return middle(first_a) < middle(first_b) ||
           (middle(first_a) == middle(first_b) && first_a->seq < first_b->seq);
}

/* Whether heads can keep calls of other queues back: then a turn may come for nothing. */
static bool may_bar(const struct traffic *tr)
{
    for (size_t i = 0; tr->shared && tr->plan.queues > 1 && i < tr->shared->limit_count; i++) {
        if (tr->shared->limits[i].limit.metric != METRIC_CONCURRENT)
            return true;
    }
    return false;
}

/* Whether another held call of its queue has to go first: where queues bar each other, only the first is
 * asked. */
static bool is_preceded(const struct traffic *tr, const struct traffic_call *c,
                        const struct traffic_call *other, int64_t x_us)
{
    const struct traffic_call *head = traffic_head(tr, c->ticket.budgets[0]);

    if (!head || head == c ||
        !could_go_from_queue(tr, other, x_us)) /* no head: it has just gone, and was c */
        return false;
    return other == head || is_before_in_queue(tr, &other->ticket, &c->ticket);
}

/* Whether this held call may go at x_us: it is the first of its queue that may, and no head of another queue
 * bars it. */
static bool could_go(const struct traffic *tr, const struct traffic_call *c, int64_t x_us)
{
    const struct budget *queue = c->ticket.budgets[0];

    if (!could_go_from_queue(tr, c, x_us))
        return false;
    for (int i = 0; may_bar(tr) && i < tr->plan.calls; i++) {
        const struct traffic_call *other = &tr->calls[i];

        if (other == c || other->ticket.state != TICKET_HELD)
            continue;
        if (other->ticket.budgets[0] == queue
                ? is_preceded(tr, c, other, x_us)
                : other == traffic_head(tr, other->ticket.budgets[0]) && is_held_before(other, c) &&
                      oracle_bars(tr->oracle, &other->ticket, &c->ticket, x_us))
            return false;
    }
    return true;
}

/* Who passes the head is the first in order that could. (The head itself has its place whatever others'
 * tags.) */
static void check_order(struct traffic *tr, const struct traffic_call *c)
{
    if (!traffic_head(tr, c->ticket.budgets[0]))
        return;
    for (int i = 0; i < tr->plan.calls; i++) {
        const struct ticket *t = &tr->calls[i].ticket;

        if (t->state == TICKET_HELD && t->budgets[0] == c->ticket.budgets[0] && !has_manners(tr, t) &&
            is_before_in_queue(tr, t, &c->ticket) && could_go(tr, &tr->calls[i], tr->now_us))
            traffic_fail(tr, "call %d goes before call %d, which could", index_of(tr, &c->ticket), i);
    }
}

static void check_dispatch(struct traffic *tr, struct traffic_call *c)
{
    int64_t step = c->ticket.share_tokens * 1024 / c->ticket.flow->weight;

    c->ticket.flow->tag -= step; /* asked as it was a moment ago */
    if (!could_go(tr, c, tr->now_us))
        traffic_fail(tr, "call %d goes and should not", index_of(tr, &c->ticket));
    if (tr->plan.brute)
        check_order(tr, c);
    c->ticket.flow->tag += step;
    if (c->deadline_us < tr->now_us)
        traffic_fail(tr, "call %d goes after its deadline", index_of(tr, &c->ticket));
}

static bool anyone_could_go(const struct traffic *tr, int64_t x_us)
{
    for (int i = 0; i < tr->plan.calls; i++) {
        if (tr->calls[i].ticket.state == TICKET_HELD && !has_manners(tr, &tr->calls[i].ticket) &&
            could_go(tr, &tr->calls[i], x_us))
            return true;
    }
    return false;
}

/* gate_next has said that nobody can go, and gate_wakeup until when. */
static void check_idle(struct traffic *tr)
{
    int64_t x_us = tr->now_us, wake_us = gate_wakeup(tr->gate), deadline_us = CLOCK_NEVER;

    tr->idles++;
    if (anyone_could_go(tr, x_us))
        traffic_fail(tr, "idle while a call could go");
    for (int i = 0; i < tr->plan.calls; i++) {
        if (tr->calls[i].ticket.state == TICKET_HELD && tr->calls[i].deadline_us < deadline_us)
            deadline_us = tr->calls[i].deadline_us;
    }
    do
        x_us = oracle_next_change(tr->oracle, x_us);
    while (x_us < deadline_us && x_us < CLOCK_NEVER && !anyone_could_go(tr, x_us));
    if (x_us > deadline_us)
        x_us = deadline_us;
    if (wake_us > x_us)
        traffic_fail(tr, "wakes at %" PRId64 ", but the first moment is %" PRId64, wake_us, x_us);
    if (wake_us <= tr->now_us && deadline_us > tr->now_us)
        traffic_fail(tr, "would wake at once, for nothing");
}

static void check_zero(struct traffic *tr, const struct budget *b)
{
    if (b->in_flight != 0 || b->line.n != 0 || b->line.flow_count > 0)
        traffic_fail(tr, "after all calls a budget has %" PRId64 " in flight and %zu waiting", b->in_flight,
                     b->line.n);
    for (size_t i = 0; i < b->limit_count; i++) {
        if (b->limits[i].in_flight != 0 || b->limits[i].window.reserved != 0)
            traffic_fail(tr, "after all calls limit %zu has %" PRId64 " in flight, %" PRId64 " reserved", i,
                         b->limits[i].in_flight, b->limits[i].window.reserved);
    }
}

/* ---- the life of a call ---- */

static void finish(struct traffic *tr, struct traffic_call *c, int outcome)
{
    c->done = true;
    c->outcome = outcome;
    tr->left--;
    heap_remove(&tr->events, &c->next);
    heap_remove(&tr->events, &c->leaves);
}

/* Charged in full on arrival (profile.h). */
static bool is_in_full(enum profile p, enum metric m)
{
    if (m == METRIC_TOKENS)
        return p == PROFILE_OPENAI || p == PROFILE_AZURE || p == PROFILE_GEMINI;
    return m != METRIC_OUTPUT || p == PROFILE_OPENAI || p == PROFILE_AZURE;
}

static bool is_too_large(const struct traffic *tr, const struct ticket *t)
{
    for (size_t k = 0; k < t->budget_count; k++) {
        for (size_t i = 0; i < t->budgets[k]->limit_count; i++) {
            const struct limit *l = &t->budgets[k]->limits[i].limit;

            if (t->cost.exact && is_in_full(tr->plan.profile, l->metric) && t->cost.floor[l->metric] > l->max)
                return true;
        }
    }
    return false;
}

static void arrive(struct traffic *tr, struct traffic_call *c)
{
    struct budget *budgets[2] = {tr->queues[rng_range(&tr->rng, 0, tr->plan.queues - 1)], tr->shared};
    struct cost cost = profile_reserve(tr->plan.profile, &c->estimate);
    struct gate_refusal why;
    enum gate_verdict v;

    ticket_init(&c->ticket, &cost, budgets, tr->shared ? 2 : 1, tr->now_us, c->deadline_us);
    if (tr->sharers > 0) {
        int client = index_of(tr, &c->ticket) % tr->sharers;

        ticket_belongs(&c->ticket, &tr->calls[client], 1 + client, TICKET_NORMAL);
    } else if (tr->plan.clients > 0) {
        int64_t client = rng_range(&tr->rng, 1, tr->plan.clients);

        ticket_belongs(&c->ticket, &tr->calls[client % tr->plan.calls], 1 + client % 4,
                       tr->plan.classes ? (enum ticket_class)rng_range(&tr->rng, 0, 2) : TICKET_NORMAL);
    }
    tr->arrived++;
    v = gate_offer(tr->gate, &c->ticket, tr->now_us, &why);
    if ((v == GATE_TOO_LARGE) != is_too_large(tr, &c->ticket))
        traffic_fail(tr, "call %d: too large is wrong", index_of(tr, &c->ticket));
    if (v != GATE_HELD) {
        finish(tr, c, (int)v);
        return;
    }
    if (c->leave_us < CLOCK_NEVER)
        heap_set(&tr->events, &c->leaves, c->leave_us);
}

static struct cost settle(struct traffic *tr, struct traffic_call *c)
{
    struct usage u = {.input = c->estimate.input, .output = c->estimate.expected_output};

    if (c->fate == FATE_429 || c->fate == FATE_NEVER_SENT)
        return profile_refused(tr->plan.profile);
    if (tr->plan.exact)
        return c->ticket.cost;
    if (c->fate == FATE_OK) {
        int64_t most = tr->plan.honest ? u.output : 2 * u.output + 5;

        u.output = rng_chance(&tr->rng, 30) ? most : rng_range(&tr->rng, 0, most);
        if (rng_chance(&tr->rng, 10))
            u.input = rng_range(&tr->rng, 0, tr->plan.honest ? u.input : u.input + 5);
    }
    return profile_settle(tr->plan.profile, &c->estimate, &u);
}

static void end(struct traffic *tr, struct traffic_call *c)
{
    struct cost final = settle(tr, c);
    bool again = (c->fate == FATE_429 || c->fate == FATE_NEVER_SENT) && rng_chance(&tr->rng, 80);

    if (tr->plan.honest && c->fate != FATE_NEVER_SENT)
        provider_counts(tr, c, &final);
    oracle_close(tr->oracle, &c->ticket, tr->now_us, &final);
    if (!again) {
        gate_close(tr->gate, &c->ticket, tr->now_us, &final);
        finish(tr, c, -3);
        return;
    }
    if (rng_chance(&tr->rng, 50)) {
        struct budget *whom = tr->shared && rng_chance(&tr->rng, 30) ? tr->shared : c->ticket.budgets[0];
        int64_t until_us = tr->now_us + moment(tr, 20 * CLOCK_S);

        gate_pause(tr->gate, whom, until_us);
        oracle_pause(tr->oracle, whom, until_us);
    }
    gate_requeue(tr->gate, &c->ticket, tr->now_us, &final);
}

static void sent(struct traffic *tr, struct traffic_call *c)
{
    gate_sent(tr->gate, &c->ticket, tr->now_us);
    oracle_sent(tr->oracle, &c->ticket, tr->now_us);
    if (rng_chance(&tr->rng, 10))
        gate_sent(tr->gate, &c->ticket, tr->now_us); /* harmless */
    heap_set(&tr->events, &c->next, tr->now_us + moment(tr, tr->plan.duration_us));
}

static void live(struct traffic *tr, struct traffic_call *c)
{
    if (c->ticket.state == TICKET_IDLE)
        arrive(tr, c);
    else if (!c->ticket.sent && c->fate != FATE_NEVER_SENT)
        sent(tr, c);
    else
        end(tr, c);
}

static void leave(struct traffic *tr, struct traffic_call *c)
{
    if (c->ticket.state == TICKET_HELD) {
        gate_cancel(tr->gate, &c->ticket, tr->now_us);
        finish(tr, c, -1);
        return;
    }
    /* aborted: counted as lost, at once; before it was sent, too */
    c->fate = FATE_LOST;
    if (c->provider_us > tr->now_us)
        c->provider_us = tr->now_us;
    end(tr, c);
}

/* Limits of other sizes, sometimes others, sometimes in another order, whatever is under way. */
static void update(struct traffic *tr)
{
    struct limit limits[BUDGET_LIMITS_MAX];
    struct budget *b = tr->queues[rng_range(&tr->rng, 0, tr->plan.queues - 1)];
    size_t n = b->limit_count;
    int headroom = random_headroom(tr);

    if (tr->shared && rng_chance(&tr->rng, 20)) {
        b = tr->shared;
        n = b->limit_count;
    }
    for (size_t i = 0; i < n; i++) {
        limits[i] = b->limits[n - 1 - i].limit;
        limits[i].max = limits[i].max * rng_range(&tr->rng, 50, 150) / 100 + 1;
    }
    if (rng_chance(&tr->rng, 50))
        n = random_limits(tr, limits, 4);
    gate_budget_update(tr->gate, b, headroom, limits, n);
    oracle_budget(tr->oracle, b, headroom, limits, n);
}

/* ---- the turn ---- */

static void expire(struct traffic *tr, int64_t by_us)
{
    struct ticket *t;
    int64_t wait_us;

    while ((t = gate_expire(tr->gate, by_us, &wait_us)) != NULL) {
        struct traffic_call *c = &tr->calls[index_of(tr, t)];

        if (c->deadline_us > by_us)
            traffic_fail(tr, "call %d expires before its deadline", index_of(tr, t));
        if (wait_us < 0)
            traffic_fail(tr, "a wait of %" PRId64, wait_us);
        finish(tr, c, -2);
    }
}

static void go(struct traffic *tr, struct ticket *t)
{
    struct traffic_call *c = &tr->calls[index_of(tr, t)];
    int64_t delay_us = moment(tr, tr->plan.delay_us);
    static const enum fate troubles[] = {FATE_429, FATE_429, FATE_NEVER_SENT, FATE_LOST};

    t->state = TICKET_HELD;
    check_dispatch(tr, c);
    t->state = TICKET_DISPATCHED;
    tr->dispatches++;
    oracle_dispatch(tr->oracle, t, tr->now_us);
    c->start_us = tr->now_us;
    c->provider_us = tr->now_us + rng_range(&tr->rng, 0, delay_us);
    c->fate = tr->plan.trouble && rng_chance(&tr->rng, 25) ? troubles[rng_range(&tr->rng, 0, 3)] : FATE_OK;
    heap_set(&tr->events, &c->next, tr->now_us + delay_us);
    if (tr->on_dispatch)
        tr->on_dispatch(tr, c);
}

/* As proxy/ does it (gate.h, gate_expire). */
static void turn(struct traffic *tr)
{
    struct ticket *t;

    do {
        expire(tr, tr->now_us - 1);
        while ((t = gate_next(tr->gate, tr->now_us)) != NULL)
            go(tr, t);
        if (tr->plan.brute)
            check_idle(tr);
        expire(tr, tr->now_us);
    } while (gate_wakeup(tr->gate) <= tr->now_us);
    for (int q = 0; q < tr->plan.queues; q++) {
        budget_advance(tr->queues[q], tr->now_us);
        check_figures(tr, tr->queues[q]);
    }
    if (tr->shared) {
        budget_advance(tr->shared, tr->now_us);
        check_figures(tr, tr->shared);
    }
    oracle_forget(tr->oracle, tr->now_us);
    if (tr->on_turn)
        tr->on_turn(tr);
}

/* Everything that happens at this moment, in the heap's order. */
static bool happen(struct traffic *tr)
{
    struct heap_node *e;
    bool any = false;

    while ((e = heap_first(&tr->events)) != NULL && e->key <= tr->now_us) {
        struct traffic_call *c;

        heap_remove(&tr->events, e);
        any = true;
        c = &tr->calls[((const char *)e - (const char *)tr->calls) / (ptrdiff_t)sizeof *c];
        if (e == &c->next)
            live(tr, c);
        else
            leave(tr, c);
        if (tr->plan.updates && rng_chance(&tr->rng, 5))
            update(tr);
    }
    return any;
}

void traffic_run(struct traffic *tr)
{
    while (tr->left > 0) {
        const struct heap_node *e = heap_first(&tr->events);
        int64_t wake_us = gate_wakeup(tr->gate), at_us = e && e->key < wake_us ? e->key : wake_us;

        if (at_us >= CLOCK_NEVER)
            traffic_fail(tr, "%d calls wait for ever", tr->left);
        if (at_us > tr->now_us)
            tr->now_us = at_us;
        if (happen(tr) || !tr->plan.brute) {
            turn(tr);
            continue;
        }
        turn(tr);
        tr->wakes++;
    }
    for (int q = 0; q < tr->plan.queues; q++)
        check_zero(tr, tr->queues[q]);
    if (tr->shared)
        check_zero(tr, tr->shared);
    if (tr->plan.honest && !tr->plan.updates)
        check_provider(tr);
}
