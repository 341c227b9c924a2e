/* world: the oracle's marks are written only here, from what the world itself did, never read back from the gate. */
#include "world.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "metergate/base/clock.h"
#include "metergate/base/err.h"

void world_fail_at(const struct world *w, const char *file, int line, const char *fmt, ...)
{
    va_list ap;

    printf("%s:%d: seed %" PRIu64 " at %" PRId64 " us: ", file, line, w->seed, w->now_us);
    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
    printf("\n");
    fail();
    abort();
}

void world_init(struct world *w, uint64_t seed)
{
    *w = (struct world){.seed = seed, .random = seed * 2 + 1, .now_us = 1000000, .latency_us = 0};
    w->gate = gate_new();
    w->actor_cap = 8192;
    w->actors = xcalloc((size_t)w->actor_cap, sizeof *w->actors);
}

void world_release(struct world *w)
{
    gate_free(w->gate);
    free(w->actors);
    free(w->marks);
}

/* xorshift64* (Vigna 2014). */
uint64_t world_random(struct world *w)
{
    w->random ^= w->random >> 12;
    w->random ^= w->random << 25;
    w->random ^= w->random >> 27;
    return w->random * UINT64_C(2685821657736338717);
}

int64_t world_between(struct world *w, int64_t low, int64_t high)
{
    return low + (int64_t)(world_random(w) % (uint64_t)(high - low + 1));
}

struct budget *world_budget(struct world *w, int index, const char *name, int headroom_permille, const struct limit *limits,
                            size_t n)
{
    w->budgets[index] = gate_budget_new(w->gate, name, headroom_permille, limits, n);
    return w->budgets[index];
}

/* ---- the oracle ------------------------------------------------------------------------------------------------------ */

static bool windowed(const struct budget_limit *l)
{
    return l->limit.metric != METRIC_CONCURRENT;
}

/* What the limit holds at t as far as is known: charges without a time stay. */
static int64_t sum_at(const struct world *w, const struct budget_limit *l, int64_t t_us)
{
    int64_t sum = 0;

    for (size_t i = 0; i < w->mark_count; i++) {
        const struct mark *m = &w->marks[i];

        if (m->limit != l)
            continue;
        if (!windowed(l))
            sum += m->actor->flying ? m->amount : 0;
        else if (!m->timed || m->t_us + l->limit.span_us > t_us)
            sum += m->amount;
    }
    return sum;
}

static int64_t need_of(const struct budget_limit *l, const struct cost *c)
{
    int64_t total = cost_total(c, l->limit.metric);

    return total < l->limit.max ? total : l->limit.max;
}

static int64_t usable_of(const struct budget *b, const struct budget_limit *l)
{
    int64_t usable = l->limit.max * (1000 - b->headroom_permille) / 1000;

    if (l->limit.metric == METRIC_CONCURRENT ||
        (l->limit.metric == METRIC_REQUESTS && l->limit.span_us >= INT64_C(86400) * CLOCK_S))
        return l->limit.max;
    return usable > 0 ? usable : 1;
}

/* Whether cost c fits at t, besides `extra` more of the same limits made now. */
static bool fits_at(const struct world *w, const struct ticket *t, const struct cost *extra, int64_t at_us)
{
    for (size_t i = 0; i < t->budget_count; i++) {
        const struct budget *b = t->budgets[i];

        if (b->paused_until_us > at_us)
            return false;
        for (size_t j = 0; j < b->limit_count; j++) {
            const struct budget_limit *l = &b->limits[j];
            int64_t need = need_of(l, &t->cost), usable = usable_of(b, l);
            int64_t ceiling = need > usable ? l->limit.max : usable;
            int64_t sum = sum_at(w, l, at_us);

            if (extra)
                sum += need_of(l, extra);
            if (need > 0 && sum + need > ceiling)
                return false;
        }
    }
    return true;
}

/* The first moment at which t fits, tried at every moment at which anything leaves. */
static int64_t naive_earliest(const struct world *w, const struct ticket *t, const struct cost *extra)
{
    int64_t best = CLOCK_NEVER;

    if (fits_at(w, t, extra, w->now_us))
        return w->now_us;
    for (size_t i = 0; i < t->budget_count; i++) {
        int64_t p = t->budgets[i]->paused_until_us;

        if (p > w->now_us && p < best && fits_at(w, t, extra, p))
            best = p;
    }
    for (size_t i = 0; i < w->mark_count; i++) {
        const struct mark *m = &w->marks[i];
        int64_t at = m->timed && windowed(m->limit) ? m->t_us + m->limit->limit.span_us : CLOCK_NEVER;

        if (at > w->now_us && at < best && fits_at(w, t, extra, at))
            best = at;
    }
    return best;
}

static void add_mark(struct world *w, struct actor *a, struct budget_limit *l, bool end_part, int64_t amount)
{
    if (w->mark_count == w->mark_cap) {
        w->mark_cap = w->mark_cap ? 2 * w->mark_cap : 256;
        w->marks = xrealloc(w->marks, w->mark_cap * sizeof *w->marks);
    }
    w->marks[w->mark_count++] = (struct mark){.limit = l, .actor = a, .end_part = end_part, .amount = amount,
                                              .provider_us = CLOCK_NEVER};
}

/* The gate let it go: nothing may be over, and from here on the oracle counts it too. */
static void note_dispatch(struct world *w, struct actor *a)
{
    const struct ticket *t = &a->ticket;

    for (size_t i = 0; i < t->budget_count; i++) {
        struct budget *b = t->budgets[i];

        if (b->paused_until_us > w->now_us)
            world_fail(w, "a call went although %s is paused", b->name);
        for (size_t j = 0; j < b->limit_count; j++) {
            struct budget_limit *l = &b->limits[j];
            int64_t need = need_of(l, &t->cost), usable = usable_of(b, l), sum = sum_at(w, l, w->now_us);
            int64_t arrival = t->cost.on_arrival[l->limit.metric];

            if (need > 0 && sum + need > (need > usable ? l->limit.max : usable))
                world_fail(w, "over: %s %s holds %" PRId64 ", and %" PRId64 " more went", b->name, l->limit.key, sum, need);
            arrival = arrival < need ? arrival : need;
            add_mark(w, a, l, false, arrival);
            if (windowed(l))
                add_mark(w, a, l, true, need - arrival);
        }
    }
}

/* ---- attempts --------------------------------------------------------------------------------------------------------- */

static struct actor *actor_of(struct ticket *t)
{
    return MG_CONTAINER(t, struct actor, ticket);
}

static void start(struct world *w, struct actor *a)
{
    a->flying = true;
    note_dispatch(w, a);
    a->held = false;
    a->dispatched_us = w->now_us;
    if (a->started_first_us == 0)
        a->started_first_us = w->now_us;
    w->dispatched++;
    a->sent_at_us = w->now_us + (w->latency_us ? world_between(w, 0, w->latency_us) : 0);
    a->end_at_us = a->sent_at_us + (w->latency_us ? world_between(w, 0, 4 * w->latency_us) : 0);
    a->provider_us = world_between(w, w->now_us, a->sent_at_us);
}

static void send_now(struct world *w, struct actor *a)
{
    gate_sent(w->gate, &a->ticket, w->now_us);
    a->sent_at_us = CLOCK_NEVER;
    for (size_t i = 0; i < w->mark_count; i++) {
        struct mark *m = &w->marks[i];

        if (m->actor == a && !m->timed && !m->end_part && windowed(m->limit)) {
            m->timed = true;
            m->t_us = w->now_us;
        }
    }
}

/* The attempt's marks take what it really was; `sent`: the arrival part had its time. */
static void correct_marks(struct world *w, struct actor *a, const struct cost *final)
{
    size_t kept = 0;

    for (size_t i = 0; i < w->mark_count; i++) {
        struct mark *m = &w->marks[i];
        bool open = m->actor == a && m->provider_us == CLOCK_NEVER;

        if (open && !windowed(m->limit))
            continue; /* a call in flight has landed */
        if (open) {
            enum metric k = m->limit->limit.metric;

            m->amount = m->true_amount = m->end_part ? final->at_end[k] : final->on_arrival[k];
            if (!m->timed) {
                m->timed = true;
                m->t_us = w->now_us;
            }
            m->provider_us = m->end_part ? world_between(w, a->provider_us, w->now_us) : a->provider_us;
        }
        w->marks[kept++] = *m;
    }
    w->mark_count = kept;
}

static void end_now(struct world *w, struct actor *a)
{
    struct cost final = profile_settle(a->profile, &a->estimate, &a->truth);

    a->end_at_us = CLOCK_NEVER;
    a->flying = false;
    if (a->refusals_left > 0) {
        int64_t wait = world_between(w, 0, 2 * CLOCK_S);

        a->refusals_left--;
        final = profile_refused(a->profile);
        correct_marks(w, a, &final);
        gate_pause(w->gate, a->ticket.budgets[0], w->now_us + wait);
        gate_requeue(w->gate, &a->ticket, w->now_us, &final);
        a->held = true;
        return;
    }
    correct_marks(w, a, &final);
    gate_close(w->gate, &a->ticket, w->now_us, &final);
    a->over = true;
}

struct actor *world_arrive(struct world *w, int budget, enum profile profile, const struct estimate *e,
                           const struct usage *truth, int64_t max_wait_us)
{
    struct actor *a = &w->actors[w->actor_count];
    struct budget *both[2] = {w->budgets[budget], w->budgets[WORLD_SHARED]};
    struct cost cost = profile_reserve(profile, e);
    struct gate_refusal why;

    MG_ASSERT(w->actor_count < w->actor_cap);
    w->actor_count++;
    *a = (struct actor){.profile = profile, .estimate = *e, .truth = *truth, .budget = budget, .arrival_us = w->now_us,
                        .sent_at_us = CLOCK_NEVER, .end_at_us = CLOCK_NEVER};
    ticket_init(&a->ticket, &cost, both, both[1] && budget != WORLD_SHARED ? 2 : 1, w->now_us, w->now_us + max_wait_us);
    if (gate_offer(w->gate, &a->ticket, w->now_us, &why) == GATE_HELD) {
        a->held = true;
        a->predicted = gate_predict(w->gate, &a->ticket, w->now_us);
    } else {
        a->over = true;
        w->refused++;
    }
    return a;
}

void world_cancel(struct world *w, struct actor *a)
{
    struct cost lost = profile_settle(a->profile, &a->estimate, &a->truth);

    if (a->held) {
        gate_cancel(w->gate, &a->ticket, w->now_us);
    } else if (a->flying) { /* a lost answer keeps what was charged */
        a->flying = false;
        correct_marks(w, a, &lost);
        gate_close(w->gate, &a->ticket, w->now_us, &lost);
    }
    a->held = a->flying = false;
    a->over = true;
    a->sent_at_us = a->end_at_us = CLOCK_NEVER;
    w->cancelled++;
}

/* ---- turns ------------------------------------------------------------------------------------------------------------ */

static struct actor *head_of(struct world *w, int budget)
{
    struct actor *head = NULL;

    for (int i = 0; i < w->actor_count; i++) {
        struct actor *a = &w->actors[i];

        if (a->held && a->budget == budget && (!head || a->ticket.seq < head->ticket.seq))
            head = a;
    }
    return head;
}

/* Nothing went: so no head fits, and whoever fits behind one would delay it. Nor will anything fit before the wake-up. */
static void check_conserving(struct world *w)
{
    for (int b = 0; b < WORLD_BUDGETS; b++) {
        struct actor *head = head_of(w, b);
        int64_t at;

        if (!head)
            continue;
        at = naive_earliest(w, &head->ticket, NULL);
        if (at <= w->now_us)
            world_fail(w, "idle: the head of budget %d fits", b);
        if (at < gate_wakeup(w->gate))
            world_fail(w, "the head fits at %" PRId64 ", the wake-up is at %" PRId64, at, gate_wakeup(w->gate));
        for (int i = 0; i < w->actor_count && at < CLOCK_NEVER; i++) {
            struct actor *a = &w->actors[i];

            if (!a->held || a->budget != b || a == head || !fits_at(w, &a->ticket, NULL, w->now_us))
                continue;
            if (naive_earliest(w, &head->ticket, &a->ticket.cost) <= at)
                world_fail(w, "idle: call %d of budget %d fits and delays nobody", i, b);
        }
    }
}

static bool expire(struct world *w, int64_t by_us)
{
    struct ticket *t;
    int64_t wait_us;
    bool any = false;

    while ((t = gate_expire(w->gate, by_us, &wait_us)) != NULL) {
        struct actor *a = actor_of(t);

        if (t->deadline_us > w->now_us || wait_us < 0)
            world_fail(w, "expired too early, or with a wait of %" PRId64, wait_us);
        a->held = false;
        a->over = true;
        w->refused++;
        any = true;
    }
    return any;
}

static void let_go(struct world *w)
{
    struct ticket *t;

    while ((t = gate_next(w->gate, w->now_us)) != NULL) {
        struct actor *a = actor_of(t);
        struct actor *head = head_of(w, a->budget);
        int64_t before = CLOCK_NEVER;

        if (!a->held || t->deadline_us < w->now_us)
            world_fail(w, "a call went that was not held, or after its deadline");
        if (w->check_conserving && head != a)
            before = naive_earliest(w, &head->ticket, NULL);
        start(w, a);
        if (w->check_conserving && head != a && naive_earliest(w, &head->ticket, NULL) > before)
            world_fail(w, "a call that went past its head delays it");
        if (w->latency_us == 0)
            send_now(w, a);
    }
}

void world_turn(struct world *w)
{
    do {
        expire(w, w->now_us - 1);
        let_go(w);
    } while (expire(w, w->now_us));
    if (w->check_conserving)
        check_conserving(w);
}

int64_t world_next(const struct world *w)
{
    int64_t next = gate_wakeup(w->gate);

    for (int i = 0; i < w->actor_count; i++) {
        const struct actor *a = &w->actors[i];

        if (!a->flying)
            continue;
        if (a->sent_at_us < next)
            next = a->sent_at_us;
        if (a->end_at_us < next)
            next = a->end_at_us;
    }
    return next;
}

void world_advance(struct world *w, int64_t to_us)
{
    MG_ASSERT(to_us >= w->now_us);
    w->now_us = to_us;
    for (int i = 0; i < w->actor_count; i++) {
        struct actor *a = &w->actors[i];

        if (a->flying && a->sent_at_us <= to_us)
            send_now(w, a);
        if (a->flying && a->end_at_us <= to_us)
            end_now(w, a);
    }
    world_turn(w);
}

void world_run_out(struct world *w)
{
    for (int64_t next = world_next(w); next < CLOCK_NEVER; next = world_next(w))
        world_advance(w, next > w->now_us ? next : w->now_us);
    for (int i = 0; i < w->actor_count; i++) {
        if (!w->actors[i].over)
            world_fail(w, "call %d is stuck: held %d, flying %d", i, w->actors[i].held, w->actors[i].flying);
    }
}

void world_assert_empty(const struct world *w)
{
    for (int i = 0; i < WORLD_BUDGETS; i++) {
        const struct budget *b = w->budgets[i];

        if (!b)
            continue;
        if (b->in_flight || b->queue.n)
            world_fail(w, "%s: in flight %" PRId64 ", queued %zu", b->name, b->in_flight, b->queue.n);
        for (int m = 0; m < METRICS; m++) {
            if (b->queued[m] || b->largest[m])
                world_fail(w, "%s: queued[%d] is %" PRId64, b->name, m, b->queued[m]);
        }
        for (size_t j = 0; j < b->limit_count; j++) {
            if (b->limits[j].window.reserved || b->limits[j].in_flight)
                world_fail(w, "%s %s: reserved %" PRId64, b->name, b->limits[j].limit.key, b->limits[j].window.reserved);
        }
    }
}

static int by_provider_time(const void *x, const void *y)
{
    const struct mark *a = x, *b = y;

    if (a->limit != b->limit)
        return a->limit < b->limit ? -1 : 1;
    return (a->provider_us > b->provider_us) - (a->provider_us < b->provider_us);
}

void world_assert_provider_never_over(const struct world *w)
{
    int64_t sum = 0;
    size_t first = 0;

    qsort(w->marks, w->mark_count, sizeof *w->marks, by_provider_time);
    for (size_t i = 0; i < w->mark_count; i++) {
        const struct mark *m = &w->marks[i];

        if (i == 0 || m->limit != w->marks[i - 1].limit) {
            sum = 0;
            first = i;
        }
        if (!windowed(m->limit))
            continue;
        sum += m->true_amount;
        while (w->marks[first].provider_us + m->limit->limit.span_us <= m->provider_us)
            sum -= w->marks[first++].true_amount;
        for (int b = 0; b < WORLD_BUDGETS; b++) {
            const struct budget *budget = w->budgets[b];

            if (!budget || m->limit < budget->limits || m->limit >= budget->limits + budget->limit_count)
                continue;
            if (sum > usable_of(budget, m->limit))
                world_fail(w, "the provider counted %" PRId64 " of %s %s in one span", sum, budget->name, m->limit->limit.key);
        }
    }
}
