/*
 * pick: the search for a call that may pass the head goes by the trees of the line (line_find): what a call
 * of a class may weigh is worked out first, from the limits that all calls of the line have in common, and is
 * never less than what really may go; each call that is found is then judged by all its limits.
 *
 * Between two events room only appears: when charges leave, when a pause, a distance between requests or
 * somebody's politeness ends. So when nobody can go, nobody can before the next of these moments.
 */
#include "metergate/gate/pick.h"

#include "metergate/base/clock.h"
#include "metergate/base/err.h"

/* A gap in front of a waiting head. */
struct gap {
    struct budget *b; /* whose line it is */
    struct ticket *head;
    int64_t head_us;     /* when the head goes; CLOCK_NEVER: not known */
    struct ticket *next; /* while the head waits for its own client: who comes then; NULL: nobody */
    int64_t next_us;     /* likewise */
    bool open;           /* a call of the head's client has to end first: what all take from is not kept */
    int64_t now_us;
    const struct manners *head_manners, *manners; /* the head's; those of the class that is looked at */
};

/* What every call takes at the least (profile.h). */
static const struct cost one_call = {.on_arrival = {[METRIC_REQUESTS] = 1, [METRIC_CONCURRENT] = 1}};
static const struct manners no_manners;

static struct budget *common_budget(const struct budget *b, size_t k)
{
    MG_ASSERT(b->common[k] != NULL);
    return b->common[k];
}

/* ---- one call, its politeness included ---- */

static struct gate_reason earliest(const struct ticket *t, const struct manners *m, int64_t now_us)
{
    struct gate_reason why = ticket_earliest(t, now_us);
    const struct budget *b = t->budgets[0];

    for (size_t i = 0; m->any && i < b->limit_count; i++) {
        int64_t ti = polite_earliest(b, i, m, budget_need_total(&b->limits[i], &t->cost), now_us);

        if (ti > why.until_us)
            why = (struct gate_reason){.budget = b, .limit = &b->limits[i], .until_us = ti, .polite = true};
    }
    return why;
}

/* What the head leaves to others in its own line because it is polite. */
static bool is_beside_manners(const struct gap *g, const struct ticket *t)
{
    const struct budget *b = g->b;

    for (size_t i = 0; g->head_manners->any && i < b->limit_count; i++) {
        const struct budget_limit *l = &b->limits[i];
        int64_t need = budget_need_total(l, &t->cost);

        if (need > 0 && need > polite_most_beside(b, i, g->head_manners, budget_need_total(l, &g->head->cost),
                                                  g->head_us, g->now_us))
            return false;
    }
    return true;
}

/* How far a client may be ahead of the head's and still pass it while the class is paced: a part of what is
 * usable. What passes then goes at the expense of the pace: without a bound small calls of clients of little
 * weight would take it. */
#define AHEAD_MOST_SHARE 5

/* line_may: whether calls of that client may pass the head at all. */
static bool may_pass(void *arg, const struct flow *f)
{
    const struct gap *g = arg;
    const struct flow *head = g->head->flow;
    int64_t most = INT64_MAX;

    if (g->open || f == head || f->class != head->class || !g->head_manners->any)
        return true;
    for (size_t i = 0; i < g->b->limit_count; i++) {
        int64_t part = budget_usable(g->b, &g->b->limits[i]) / AHEAD_MOST_SHARE;

        if (g->head_manners->paced[i] && ticket_currency(g->b->limits[i].limit.metric) >= 0 && part < most)
            most = part;
    }
    return most == INT64_MAX || !line_is_ahead(f, head, most);
}

/* What the head has at its moment stays what it is. While a call of its client has to end first, only what it
 * shares with that client's calls alone is kept for it. */
static bool leaves_head_alone(const struct gap *g, const struct ticket *t)
{
    const struct ticket *head = g->head;

    if (!g->open)
        return ticket_leaves_room(head, g->head_us, t, g->now_us) && is_beside_manners(g, t);
    for (size_t i = 0; i < head->budget_count; i++) {
        if (!budget_is_common(g->b, head->budgets[i]) && ticket_takes_from(t, head->budgets[i]) &&
            !budget_has_room_for_both(head->budgets[i], &head->cost, g->head_us, &t->cost, g->now_us))
            return false;
    }
    return true;
}

/* queue_fits: the whole truth. */
static bool may_go(void *arg, struct queue_node *node)
{
    const struct gap *g = arg;
    const struct ticket *t = MG_CONTAINER(node, struct ticket, node);

    if (t == g->head)
        return false;
    ticket_advance(t, g->now_us);
    if (g->next && t != g->next && !ticket_leaves_room(g->next, g->next_us, t, g->now_us))
        return false;
    return leaves_head_alone(g, t) && earliest(t, g->manners, g->now_us).until_us <= g->now_us;
}

/* ---- what a call may weigh ---- */

/* The most that a call may need beside `first`, which waits until then. */
static int64_t most_beside(const struct gap *g, const struct budget *b, const struct budget_limit *l,
                           const struct ticket *first, int64_t until_us)
{
    int64_t need = budget_need_total(l, &first->cost), sum = l->window.used + l->window.reserved;

    if (need == 0 || (until_us < CLOCK_NEVER && g->now_us + budget_stay_us(l) <= until_us))
        return INT64_MAX;
    if (until_us < CLOCK_NEVER)
        sum = window_sum_at(&l->window, until_us);
    return budget_ceiling(b, l, need) - need - sum;
}

/* The most that this limit lets a call need that goes now. */
static int64_t most_of_limit(const struct gap *g, const struct budget *b, const struct budget_limit *l)
{
    int64_t sum = l->window.used + l->window.reserved, usable = budget_usable(b, l), most = usable - sum,
            beside;

    if (sum == 0)
        most = INT64_MAX; /* what is bigger than max is cut to it */
    else if (l->limit.max - sum > usable)
        most = l->limit.max - sum; /* there is room for one that runs alone */
    beside = g->open ? INT64_MAX : most_beside(g, b, l, g->head, g->head_us);
    if (beside < most)
        most = beside;
    beside = g->next ? most_beside(g, b, l, g->next, g->next_us) : INT64_MAX;
    return beside < most ? beside : most;
}

static int64_t most_of_manners(const struct gap *g, size_t i)
{
    const struct budget_limit *l = &g->b->limits[i];
    int64_t own = polite_most(g->b, i, g->manners, g->now_us), beside;

    if (g->open)
        return own;
    beside = polite_most_beside(g->b, i, g->head_manners, budget_need_total(l, &g->head->cost), g->head_us,
                                g->now_us);
    return own < beside ? own : beside;
}

/* The most that a call may weigh that goes now; false: nobody can, whatever it weighs. */
static bool most_of_all(const struct gap *g, struct queue_weight *ret_most)
{
    const struct budget_limit *limit;

    *ret_most = (struct queue_weight){{INT64_MAX, INT64_MAX, INT64_MAX}};
    for (size_t k = 0; k < g->b->common_count; k++) {
        const struct budget *b = common_budget(g->b, k);

        if (budget_earliest(b, &one_call, g->now_us, &limit) > g->now_us ||
            (!g->open && !budget_has_room_for_both(b, &g->head->cost, g->head_us, &one_call, g->now_us)))
            return false;
        for (size_t i = 0; i < b->limit_count; i++) {
            enum metric m = b->limits[i].limit.metric;
            int c = ticket_currency(m);
            int64_t most = c < 0 ? INT64_MAX : most_of_limit(g, b, &b->limits[i]), polite;

            polite = b == g->b ? most_of_manners(g, i) : INT64_MAX;
            if (m == METRIC_REQUESTS && polite < 1)
                return false;
            if (polite < most)
                most = polite;
            if (c >= 0 && most < ret_most->of[c])
                ret_most->of[c] = most > 0 ? most : 0; /* full or not, what needs nothing of it may go */
        }
    }
    return true;
}

/* The first call of that class, behind the head, that may go now. */
static struct ticket *filler_of(struct gap *g, enum ticket_class class, const struct manners *m)
{
    struct queue_weight most;
    struct ticket *t;

    g->manners = m;
    if (g->next && g->next->flow->class == class && may_go(g, &g->next->node))
        t = g->next;
    else
        t = most_of_all(g, &most) ? line_find(&g->b->line, class, &most, may_pass, may_go, g) : NULL;
    g->manners = NULL;
    return t;
}

static struct ticket *filler(struct gap *g)
{
    const struct line *l = &g->b->line;

    for (int k = TICKET_HIGH; k < TICKET_CLASSES; k++) {
        struct manners own;
        struct ticket *t;

        if (l->classes[k].n == 0)
            continue;
        if (k == (int)g->head->flow->class) {
            t = filler_of(g, (enum ticket_class)k, &g->b->manners);
        } else {
            polite_manners(g->b, (enum ticket_class)k, g->now_us, &own);
            t = filler_of(g, (enum ticket_class)k, &own);
        }
        if (t)
            return t;
    }
    return NULL;
}

/* ---- when nobody can go now ---- */

static void earlier(int64_t at_us, int64_t after_us, int64_t *t_us)
{
    if (at_us > after_us && at_us < *t_us)
        *t_us = at_us;
}

int64_t pick_next_change(const struct budget *b, int64_t now_us)
{
    int64_t next_us = CLOCK_NEVER;

    earlier(b->paused_until_us, now_us, &next_us);
    if (b->probing)
        earlier(b->probe_us, now_us, &next_us);
    for (size_t i = 0; i < b->limit_count; i++) {
        earlier(b->limits[i].next_us, now_us, &next_us);
        if (b->limits[i].limit.metric != METRIC_CONCURRENT)
            earlier(window_next_leave(&b->limits[i].window, now_us), now_us, &next_us);
    }
    return next_us;
}

/* The same for the budgets that single clients take from. */
static int64_t next_change_apart(const struct budget *b, int64_t now_us)
{
    int64_t next_us = CLOCK_NEVER;

    LIST_EACH (&b->line.flows, node, next) {
        const struct flow *f = LIST_ENTRY(node, struct flow, link);
        const struct queue_node *first = queue_first(&f->calls);
        const struct ticket *t = first ? MG_CONTAINER(first, struct ticket, node) : NULL;

        for (size_t k = 1; t && k < t->budget_count; k++) {
            budget_advance(t->budgets[k], now_us);
            earlier(pick_next_change(t->budgets[k], now_us), now_us, &next_us);
        }
    }
    return next_us;
}

/* Nobody goes during a pause of what all take from. */
static int64_t after_pauses(const struct budget *b, int64_t at_us)
{
    for (size_t k = 0; k < b->common_count; k++) {
        int64_t until_us = budget_paused_until_us(common_budget(b, k));

        if (until_us > at_us)
            at_us = until_us;
    }
    return at_us;
}

/* The same for all that may let any call of the line go. */
static int64_t next_change(const struct budget *b, int64_t now_us)
{
    int64_t next_us = polite_next_change(b, &b->manners, now_us);

    for (size_t k = 0; k < b->common_count; k++)
        earlier(pick_next_change(common_budget(b, k), now_us), now_us, &next_us);
    if (list_linked(&b->mixed))
        earlier(next_change_apart(b, now_us), now_us, &next_us);
    for (int k = TICKET_NORMAL; k < TICKET_CLASSES; k++) {
        struct manners m;

        if (b->line.classes[k].n == 0)
            continue;
        polite_manners(b, (enum ticket_class)k, now_us, &m);
        earlier(polite_next_change(b, &m, now_us), now_us, &next_us);
    }
    return after_pauses(b, next_us);
}

/* ---- the head ---- */

/*
 * So many spans of the limit that it waits for after what it was told first, a head of a lower class goes
 * before all classes: else calls of a higher one may take the room that it gathers again and again.
 */
#define OVERDUE_SPANS 2

static bool is_overdue(struct ticket *head, const struct gate_reason *why, int64_t now_us)
{
    if (head->flow->class == TICKET_HIGH || head->budgets[0]->line.by_arrival || !why->limit ||
        why->until_us == CLOCK_NEVER)
        return false;
    if (head->promised_us == 0)
        head->promised_us = why->until_us;
    return now_us > head->promised_us + OVERDUE_SPANS * why->limit->limit.span_us;
}

struct gate_reason pick_head(struct budget *b, int64_t now_us, struct ticket **ret_head)
{
    struct ticket *head = line_head(&b->line);
    bool by_share = head == b->line.granted;
    struct gate_reason why;

    if (b->promised != head) {
        b->promised = head;
        polite_manners(b, head->flow->class, now_us, &b->manners);
    }
    *ret_head = head;
    ticket_advance(head, now_us);
    why = earliest(head, by_share ? &no_manners : &b->manners, now_us);
    if (by_share || !is_overdue(head, &why, now_us))
        return why;
    line_grant(&b->line, head);
    return earliest(head, &no_manners, now_us);
}

static struct budget *full_budget(const struct budget *b)
{
    for (size_t k = 0; k < b->common_count; k++) {
        if (budget_free_places(common_budget(b, k)) <= 0)
            return common_budget(b, k);
    }
    return NULL;
}

/* Whether only what it shares with the whole line keeps a call back. */
static bool is_free_apart(const struct budget *b, const struct ticket *t, int64_t now_us)
{
    const struct budget_limit *limit;

    for (size_t k = 1; k < t->budget_count; k++) {
        if (budget_is_common(b, t->budgets[k]))
            continue;
        budget_advance(t->budgets[k], now_us);
        if (budget_earliest(t->budgets[k], &t->cost, now_us, &limit) > now_us)
            return false;
    }
    return true;
}

/*
 * A head that waits for a limit of its own client may do so for hours. Who comes after it in order, and waits
 * only for what all share, is not passed by others either if that would make him wait longer.
 */
static void find_next(struct gap *g)
{
    struct ticket *t = line_next_client(&g->b->line, NULL);

    while (t && (t == g->head || t->flow == g->head->flow || !is_free_apart(g->b, t, g->now_us)))
        t = line_next_client(&g->b->line, t);
    g->next = t;
    if (t)
        g->next_us = ticket_earliest(t, g->now_us).until_us;
}

struct pick pick_from(struct budget *b, bool backfill, int64_t now_us)
{
    struct ticket *head, *small;
    struct gate_reason why = pick_head(b, now_us, &head);
    struct gap g = {.b = b, .head = head, .head_us = why.until_us, .now_us = now_us};
    int64_t at_us = why.until_us;

    if (at_us <= now_us)
        return (struct pick){head, now_us, why, NULL};
    if (at_us == CLOCK_NEVER && full_budget(b))
        return (struct pick){NULL, at_us, why, full_budget(b)};
    if (!backfill || (b->line.n == 1 && !b->manners.any))
        return (struct pick){NULL, at_us, why, NULL};
    g.open = at_us == CLOCK_NEVER && !budget_is_common(b, why.budget);
    g.head_manners = head == b->line.granted ? &no_manners : &b->manners;
    if (b->line.n > 1 && !budget_is_common(b, why.budget))
        find_next(&g);
    small = b->line.n > 1 ? filler(&g) : NULL;
    if (small)
        return (struct pick){small, now_us, why, NULL};
    earlier(next_change(b, now_us), now_us, &at_us);
    return (struct pick){NULL, at_us, why, NULL};
}
