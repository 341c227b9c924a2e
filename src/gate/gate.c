/*
 * gate: a HELD ticket is in the line of budgets[0] and in the heap of deadlines, and has no charges. A
 * DISPATCHED ticket is in neither, and has one charge for each limit of all its budgets. A budget is on
 * `busy` exactly while its line is not empty. Sequence numbers are given once, at the first offer, so a call
 * that comes back is older than its queue.
 *
 * Nobody is asked twice without a reason. A budget whose line is not empty is looked at (pick_from) when
 * something that matters to it has changed, and then stands where the answer says: in `ready` by the class
 * and age of the call that can go, in `later` by the next moment at which one may, or nowhere when only an
 * event can help. What happens to a budget of its own puts it on `changed`. What happens to a shared budget
 * puts all queues there; but one call in flight more only moves `epoch` on, and an older answer is asked for
 * again when its turn comes: it can only have become worse. Those that wait until a shared budget has a call
 * less in flight are `blocked` there, and asked in order when it has.
 */
#include "metergate/gate/gate.h"

#include <stdlib.h>

#include "gate_inside.h"
#include "metergate/base/clock.h"
#include "metergate/base/err.h"
#include "metergate/base/list.h"
#include "metergate/gate/counter.h"
#include "metergate/gate/pick.h"
#include "metergate/gate/predict.h"
#include "metergate/gate/replay.h"

struct gate *gate_new(void)
{
    struct gate *g = xcalloc(1, sizeof *g);

    list_init(&g->budgets);
    list_init(&g->busy);
    list_init(&g->changed);
    list_init(&g->freed);
    list_init(&g->mixed);
    heap_init(&g->ready);
    heap_init(&g->later);
    heap_init(&g->deadlines);
    return g;
}

void gate_free(struct gate *g)
{
    if (!g)
        return;
    replay_free(g->replay, false);
    heap_release(&g->ready);
    heap_release(&g->later);
    heap_release(&g->deadlines);
    LIST_EACH (&g->budgets, node, next)
        budget_free(LIST_ENTRY(node, struct budget, link));
    free(g);
}

struct budget *gate_budget_new(struct gate *g, const char *name, int headroom_permille,
                               const struct limit *limits, size_t n)
{
    struct budget *b = budget_new(name, headroom_permille, limits, n);

    gate_adopt(g, b);
    return b;
}

void gate_adopt(struct gate *g, struct budget *b)
{
    b->line.by_arrival = g->policy.fifo;
    b->polite.off = g->policy.fifo || g->policy.never_polite;
    list_push_back(&g->budgets, &b->link);
}

struct list *gate_budgets(struct gate *g)
{
    return &g->budgets;
}

/* What was found by replaying stands no more. */
static void give_up_replay(struct gate *g)
{
    replay_free(g->replay, false);
    g->replay = NULL;
    g->replayed = false;
}

/* ---- where budgets stand ---- */

static void place(struct gate *g, struct budget *b, enum budget_place to, int64_t key)
{
    if (b->place == BUDGET_BLOCKED)
        heap_remove(&b->blocked_by->blocked, &b->turn);
    if (b->place == BUDGET_CHANGED)
        list_unlink(&b->changed);
    else if (b->place == BUDGET_READY)
        heap_remove(&g->ready, &b->turn);
    else if (b->place == BUDGET_LATER)
        heap_remove(&g->later, &b->turn);
    b->place = to;
    if (to == BUDGET_CHANGED)
        list_push_back(&g->changed, &b->changed);
    else if (to == BUDGET_READY)
        heap_set(&g->ready, &b->turn, key);
    else if (to == BUDGET_LATER)
        heap_set(&g->later, &b->turn, key);
    else if (to == BUDGET_BLOCKED)
        heap_set(&b->blocked_by->blocked, &b->turn, key);
}

static void mark_changed(struct gate *g, struct budget *b)
{
    if (b->place != BUDGET_CHANGED)
        place(g, b, b->line.n > 0 ? BUDGET_CHANGED : BUDGET_NOWHERE, 0);
}

static void mark_all_changed(struct gate *g)
{
    LIST_EACH (&g->busy, node, next)
        mark_changed(g, LIST_ENTRY(node, struct budget, busy));
}

/* What an event in a budget means to those who wait. */
enum event { TAKEN, TIMED, FREED };

static bool has_windows(const struct budget *b)
{
    for (size_t i = 0; i < b->limit_count; i++) {
        if (b->limits[i].limit.metric != METRIC_CONCURRENT)
            return true;
    }
    return false;
}

/* Those that only some calls of a queue take from it keeps no account of (pick.h's `full`): it is asked. */
static void mark_mixed_changed(struct gate *g, const struct budget *freed)
{
    LIST_EACH (&g->mixed, node, next) {
        struct budget *b = LIST_ENTRY(node, struct budget, mixed);

        if (!budget_is_common(b, freed))
            mark_changed(g, b);
    }
}

/*
 * Of calls in flight, one more can only make waiting longer, and when the provider has them does not matter.
 * With windows every event can change any answer: a head that has to wait longer may be passed by others.
 */
static void room_changed(struct gate *g, const struct ticket *t, enum event e)
{
    for (size_t i = 0; i < t->budget_count; i++) {
        struct budget *b = t->budgets[i];

        if (b->shared && (has_windows(b) || (e == FREED && budget_free_places(b) == 2)))
            mark_all_changed(g); /* two places: one for a head that waits for something else, one beside it */
        else if (b->shared && e == TAKEN)
            g->epoch++;
        else if (b->shared && e == FREED && budget_free_places(b) < INT64_MAX) {
            list_push_back(&g->freed, &b->freed);
            mark_mixed_changed(g, b);
        }
    }
    mark_changed(g, t->budgets[0]);
}

/* Among lines: by class, then by arrival (line_is_before). */
static int64_t turn_key(const struct ticket *t)
{
    return ((int64_t)t->flow->class << 56) + (int64_t)t->seq;
}

/* An event decides: a call of `by` ends, or (NULL) one of its own. */
static void block(struct gate *g, struct budget *b, struct budget *by)
{
    place(g, b, BUDGET_NOWHERE, 0);
    if (!by || by == b)
        return;
    b->blocked_by = by;
    place(g, b, BUDGET_BLOCKED, turn_key(b->promised));
}

static void look(struct gate *g, struct budget *b, int64_t now_us)
{
    struct pick p = pick_from(b, !g->policy.no_backfill, now_us);

    b->seen = g->epoch;
    b->seen_us = now_us;
    b->next = p.ticket;
    b->head_waits_for = p.head.until_us > now_us ? p.head.budget : NULL;
    b->head_us = p.head.until_us;
    if (p.ticket)
        place(g, b, BUDGET_READY, turn_key(p.ticket));
    else if (p.at_us < CLOCK_NEVER)
        place(g, b, BUDGET_LATER, p.at_us);
    else
        block(g, b, p.full);
}

/* ---- the line of a budget ---- */

static void keep_common(struct gate *g, struct budget *b, const struct ticket *t)
{
    size_t kept = 0;

    if (b->line.n == 0) {
        for (size_t i = 0; i < t->budget_count; i++)
            b->common[i] = t->budgets[i];
        b->common_count = t->budget_count;
        return;
    }
    for (size_t i = 0; i < b->common_count; i++) {
        for (size_t j = 0; j < t->budget_count; j++) {
            if (b->common[i] == t->budgets[j])
                b->common[kept++] = t->budgets[j];
        }
    }
    if (kept < b->common_count || kept < t->budget_count)
        list_push_back(&g->mixed, &b->mixed);
    b->common_count = kept;
}

void gate_enqueue(struct gate *g, struct ticket *t)
{
    struct budget *b = t->budgets[0];

    MG_ASSERT(t->state == TICKET_IDLE && !t->charges);
    keep_common(g, b, t);
    for (int m = 0; m < METRICS; m++) {
        int64_t total = cost_total(&t->cost, (enum metric)m);

        if (b->line.n == 0 || total > b->largest[m])
            b->largest[m] = total;
    }
    line_push(&b->line, t);
    list_push_back(&g->busy, &b->busy);
    heap_set(&g->deadlines, &t->deadline, t->deadline_us);
    t->state = TICKET_HELD;
    t->replayed_us = 0;
    mark_changed(g, b);
}

/* It is in its line no more: served, or gone. */
static void left_line(struct gate *g, struct ticket *t)
{
    struct budget *b = t->budgets[0];

    if (b->head_waits_for && b->head_waits_for != b)
        mark_all_changed(g); /* others may have waited for its head */
    b->head_waits_for = NULL;
    if (b->promised == t)
        b->promised = NULL;
    if (b->line.n == 0) {
        list_unlink(&b->busy);
        list_unlink(&b->mixed);
    }
    heap_remove(&g->deadlines, &t->deadline);
    replay_forget(t);
    t->state = TICKET_IDLE;
    place(g, b, b->line.n > 0 ? BUDGET_CHANGED : BUDGET_NOWHERE, 0);
}

static void dequeue(struct gate *g, struct ticket *t)
{
    MG_ASSERT(t->state == TICKET_HELD);
    line_remove(&t->budgets[0]->line, t);
    left_line(g, t);
}

/* ---- who goes next ---- */

static void open_attempt(struct ticket *t, int64_t now_us)
{
    size_t n = 0;

    for (size_t i = 0; i < t->budget_count; i++)
        n += t->budgets[i]->limit_count;
    t->charges = n > 0 ? xcalloc(n, sizeof *t->charges) : NULL;
    t->charge_count = n;
    t->sent = false;
    t->dispatched_us = now_us;
    n = 0;
    for (size_t i = 0; i < t->budget_count; i++) {
        budget_open(t->budgets[i], &t->cost, now_us, t->charges ? t->charges + n : NULL);
        n += t->budgets[i]->limit_count;
    }
    t->state = TICKET_DISPATCHED;
}

static struct budget *first_of(const struct heap *h)
{
    struct heap_node *node = heap_first(h);

    return node ? MG_CONTAINER(node, struct budget, turn) : NULL;
}

/* Of those that wait for a call of `by` to end, the ones that come before all that can go. */
static void look_at_blocked(struct gate *g, struct budget *by, int64_t now_us)
{
    struct budget *b, *ready;

    while (budget_free_places(by) > 0 && (b = first_of(&by->blocked)) != NULL) {
        ready = first_of(&g->ready);
        if (ready && ready->turn.key < b->turn.key)
            return; /* asked again when that has gone */
        look(g, b, now_us);
    }
    list_unlink(&by->freed);
}

/* Until every answer that matters is fresh. */
static void look_again(struct gate *g, int64_t now_us)
{
    struct budget *b;

    while (!list_empty(&g->changed))
        look(g, LIST_ENTRY(list_first(&g->changed), struct budget, changed), now_us);
    LIST_EACH (&g->freed, node, next)
        look_at_blocked(g, LIST_ENTRY(node, struct budget, freed), now_us);
    while ((b = first_of(&g->later)) != NULL && (b->turn.key <= now_us || b->seen != g->epoch))
        look(g, b, now_us);
}

/* Of what `t` shares with others, whether any can be taken in parts: calls in flight go by age alone. */
static bool shares_windows(const struct ticket *t)
{
    for (size_t i = 1; i < t->budget_count; i++) {
        if (has_windows(t->budgets[i]))
            return true;
    }
    return false;
}

/* The queue whose head is older and waits for a budget that `t` would take from at its cost; NULL: none. */
static struct budget *barred_by(const struct gate *g, const struct ticket *t, int64_t now_us)
{
    if (!shares_windows(t))
        return NULL;
    LIST_EACH (&g->busy, node, next) {
        struct budget *b = LIST_ENTRY(node, struct budget, busy);
        const struct budget *shared = b->head_waits_for;
        const struct ticket *head = b->promised;

        if (b != t->budgets[0] && shared && shared != b && head && line_is_before(head, t) &&
            ticket_takes_from(t, shared) &&
            !budget_has_room_for_both(shared, &head->cost, b->head_us, &t->cost, now_us))
            return b;
    }
    return NULL;
}

static void earlier(int64_t at_us, int64_t now_us, int64_t *t_us)
{
    if (at_us > now_us && at_us < *t_us)
        *t_us = at_us;
}

/*
 * b's call is kept back by the head of another queue: b waits until that goes. Until then another call of b
 * may get its turn whenever something changes; to work out when would take a second search like pick's, for
 * what is rare.
 */
static void wait_for_bar(struct gate *g, struct budget *b, const struct ticket *t, const struct budget *bar,
                         int64_t now_us)
{
    int64_t again_us = bar->head_us;

    earlier(b->head_us, now_us, &again_us);
    for (size_t i = 0; i < t->budget_count; i++)
        earlier(pick_next_change(t->budgets[i], now_us), now_us, &again_us);
    place(g, b, again_us < CLOCK_NEVER ? BUDGET_LATER : BUDGET_NOWHERE, again_us);
}

struct ticket *gate_next(struct gate *g, int64_t now_us)
{
    while (!g->stopped) {
        struct budget *b, *bar;
        struct ticket *t;

        look_again(g, now_us);
        b = first_of(&g->ready);
        if (!b)
            return NULL;
        if (b->seen != g->epoch || b->seen_us != now_us) {
            look(g, b, now_us);
            continue;
        }
        t = b->next;
        bar = barred_by(g, t, now_us);
        if (bar && bar->head_us <= now_us) { /* nobody has asked since its head may go */
            look(g, bar, now_us);
            continue;
        }
        if (bar) {
            wait_for_bar(g, b, t, bar, now_us);
            continue;
        }
        g->latest_us = now_us;
        polite_goes(b, t->flow->class, &t->cost, now_us);
        line_serve(&b->line, t);
        left_line(g, t);
        open_attempt(t, now_us);
        room_changed(g, t, TAKEN);
        return t;
    }
    return NULL;
}

int64_t gate_wakeup(const struct gate *g)
{
    const struct heap_node *deadline = heap_first(&g->deadlines), *turn = heap_first(&g->later);
    int64_t at_us = turn && !g->stopped ? turn->key : CLOCK_NEVER;

    if (!g->stopped && (!list_empty(&g->changed) || !list_empty(&g->freed) || g->ready.n > 0))
        return 0;
    return deadline && deadline->key < at_us ? deadline->key : at_us;
}

/* ---- arrivals and departures ---- */

/*
 * A limit that the call can never fit: only one that is charged in full on arrival, when the count is exact
 * and the provider's own lower estimate is over the limit as well. In every other case
 * the call runs alone and the provider has the last word.
 */
static const struct budget_limit *never_fits(const struct ticket *t)
{
    if (!t->cost.exact)
        return NULL;
    for (size_t i = 0; i < t->budget_count; i++) {
        for (size_t j = 0; j < t->budgets[i]->limit_count; j++) {
            const struct budget_limit *l = &t->budgets[i]->limits[j];
            enum metric m = l->limit.metric;

            if (t->cost.in_full[m] && t->cost.floor[m] > l->limit.max && !l->unsure)
                return l;
        }
    }
    return NULL;
}

bool gate_fits(const struct ticket *t)
{
    return !never_fits(t);
}

/* What a refusal names: the counted input where that alone is too much, because the caller can check it. */
static int64_t requested(const struct ticket *t, const struct limit *l)
{
    bool counts_input = l->metric == METRIC_TOKENS || l->metric == METRIC_INPUT;

    return counts_input && t->cost.input > l->max ? t->cost.input : t->cost.floor[l->metric];
}

/* Whether the call would go at once, whatever stands before it in its queue. */
static bool goes_at_once(struct gate *g, struct ticket *t, int64_t now_us)
{
    gate_enqueue(g, t);
    if (pick_from(t->budgets[0], !g->policy.no_backfill, now_us).ticket == t)
        return true;
    dequeue(g, t);
    return false;
}

uint64_t gate_place(const struct ticket *t)
{
    MG_ASSERT(t->seq > 0);
    return t->seq;
}

void gate_take_place(struct ticket *t, uint64_t place)
{
    MG_ASSERT(t->state == TICKET_IDLE && t->seq == 0 && place > 0);
    t->seq = place;
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
        t->seq = g->next_seq += LINE_PLACES;
    ticket_advance(t, now_us);
    polite_came(&t->budgets[0]->polite, t->class, now_us);
    p = predict_arrival(t, now_us);
    if (p.soonest_us <= t->deadline_us) {
        gate_enqueue(g, t);
        return GATE_HELD;
    }
    if (now_us <= t->deadline_us && goes_at_once(g, t, now_us))
        return GATE_HELD;
    /* who comes back then should find his turn: rather late than early */
    *ret_why = (struct gate_refusal){.wait_us = p.start_us < CLOCK_NEVER ? p.start_us + p.late_us - now_us
                                                                         : p.start_us - now_us};
    return GATE_MAX_WAIT;
}

void gate_cancel(struct gate *g, struct ticket *t, int64_t now_us)
{
    (void)now_us;
    dequeue(g, t);
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

/* ---- attempts ---- */

void gate_sent(struct gate *g, struct ticket *t, int64_t now_us)
{
    MG_ASSERT(t->state == TICKET_DISPATCHED);
    if (t->sent)
        return;
    t->sent = true;
    g->latest_us = now_us;
    for (size_t i = 0; i < t->charge_count; i++)
        charge_time(&t->charges[i], now_us);
    room_changed(g, t, TIMED);
}

void gate_produced(struct gate *g, struct ticket *t, int64_t now_us, int64_t tokens)
{
    MG_ASSERT(t->state == TICKET_DISPATCHED && tokens > 0);
    g->latest_us = now_us;
    for (size_t i = 0; i < t->charge_count; i++)
        charge_produce(&t->charges[i], tokens, now_us);
    room_changed(g, t, TIMED);
}

void gate_observe(struct gate *g, const struct ticket *t, int64_t now_us, const struct counter *v, size_t n,
                  bool refused)
{
    const struct counter_source from = {
        .charges = t->charges, .charge_count = t->charge_count, .refused = refused};
    struct budget *b = t->budgets[0];

    MG_ASSERT(t->state == TICKET_DISPATCHED);
    if (!counter_correct(b, &from, v, n, now_us))
        return;
    g->latest_us = now_us;
    if (b->shared)
        mark_all_changed(g);
    else
        mark_changed(g, b);
}

/* In flight no more, and took `final`; its charges belong to somebody else, or are freed. */
static void land(struct gate *g, struct ticket *t, const struct cost *final)
{
    line_settle(&t->budgets[0]->line, t, final ? ticket_share_tokens_of(final) : t->share_tokens);
    for (size_t i = 0; i < t->budget_count; i++)
        budget_leave(t->budgets[i]);
    t->charges = NULL;
    t->charge_count = 0;
    t->state = TICKET_IDLE;
    room_changed(g, t, FREED);
}

void gate_close(struct gate *g, struct ticket *t, int64_t now_us, const struct cost *final)
{
    struct charge *charges = t->charges;

    MG_ASSERT(t->state == TICKET_DISPATCHED);
    g->latest_us = now_us;
    for (size_t i = 0; final && !g->is_copy && i < t->budget_count; i++)
        budget_remember(t->budgets[i], &t->cost, final, now_us - t->dispatched_us);
    for (size_t i = 0; i < t->charge_count; i++)
        charge_close(&charges[i], final, now_us);
    land(g, t, final);
    free(charges);
}

void gate_leave(struct gate *g, struct ticket *t, int64_t now_us, struct gate_left *ret)
{
    MG_ASSERT(t->state == TICKET_DISPATCHED);
    g->latest_us = now_us;
    *ret = (struct gate_left){.charges = t->charges, .n = t->charge_count};
    for (size_t i = 0; i < ret->n; i++)
        charge_leave(&ret->charges[i], now_us);
    land(g, t, NULL);
}

void gate_correct(struct gate *g, struct gate_left *left, int64_t now_us, const struct cost *final)
{
    g->latest_us = now_us;
    for (size_t i = 0; i < left->n; i++)
        charge_close(&left->charges[i], final, now_us);
    free(left->charges);
    *left = (struct gate_left){0};
    mark_all_changed(g);
}

void gate_requeue(struct gate *g, struct ticket *t, int64_t now_us, const struct cost *final)
{
    gate_close(g, t, now_us, final);
    gate_enqueue(g, t);
}

void gate_requeue_behind(struct gate *g, struct ticket *t, int64_t now_us, const struct cost *final,
                         unsigned n)
{
    gate_close(g, t, now_us, final);
    t->seq = line_place_behind(&t->budgets[0]->line, t, n);
    gate_enqueue(g, t);
}

/* ---- from outside ---- */

void gate_stop(struct gate *g)
{
    g->stopped = true;
}

void gate_resume(struct gate *g)
{
    g->stopped = false;
}

bool gate_is_stopped(const struct gate *g)
{
    return g->stopped;
}

void gate_pause(struct gate *g, struct budget *b, int64_t until_us)
{
    if (until_us <= b->paused_until_us)
        return;
    b->paused_until_us = until_us;
    give_up_replay(g);
    mark_all_changed(g);
}

void gate_probe(struct gate *g, struct budget *b, int64_t at_us, int64_t patience_us)
{
    b->probing = true;
    b->probe_is_out = false;
    b->probe_us = at_us;
    b->patience_us = patience_us;
    give_up_replay(g);
    mark_all_changed(g);
}

void gate_probe_end(struct gate *g, struct budget *b)
{
    if (!b->probing)
        return;
    b->probing = false;
    give_up_replay(g);
    mark_all_changed(g);
}

void gate_set_policy(struct gate *g, const struct gate_policy *policy)
{
    g->policy = *policy;
    LIST_EACH (&g->budgets, node, next) {
        struct budget *b = LIST_ENTRY(node, struct budget, link);

        b->polite.off = policy->fifo || policy->never_polite;
        b->promised = NULL;
        if (b->line.by_arrival != policy->fifo)
            line_set_order(&b->line, policy->fifo);
    }
    give_up_replay(g);
    mark_all_changed(g);
}

void gate_budget_polite(struct gate *g, struct budget *b, enum gate_polite mode, unsigned expected)
{
    if (b->polite.mode == mode && b->polite.expected == expected)
        return;
    b->polite.mode = mode;
    b->polite.expected = expected;
    b->promised = NULL;
    give_up_replay(g);
    mark_changed(g, b);
}

void gate_budget_update(struct gate *g, struct budget *b, int headroom_permille, const struct limit *limits,
                        size_t n)
{
    if (budget_has_limits(b, headroom_permille, limits, n))
        return;
    budget_update(b, headroom_permille, limits, n);
    line_weigh_again(&b->line);
    b->promised = NULL; /* its manners were towards the old limits */
    give_up_replay(g);
    mark_all_changed(g);
}

void gate_limit_calls(struct gate *g, struct budget *b, size_t i, int64_t max)
{
    budget_limit_calls(b, i, max);
    if (b->shared)
        mark_all_changed(g);
    else
        mark_changed(g, b);
}

void gate_budget_free(struct gate *g, struct budget *b)
{
    MG_ASSERT(b->line.n == 0 && b->in_flight == 0 && b->place == BUDGET_NOWHERE);
    give_up_replay(g);
    budget_free(b);
}

void gate_move(struct gate *g, struct ticket *t, struct budget *const *budgets, size_t n)
{
    dequeue(g, t);
    ticket_set_budgets(t, budgets, n);
    gate_enqueue(g, t);
    give_up_replay(g);
}
