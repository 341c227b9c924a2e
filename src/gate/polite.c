/*
 * polite: TAT is the theoretical arrival time of the generic cell rate algorithm (ITU-T I.371): `even_us`. A
 * call goes when that is at most burst_us ahead. Every call of every class moves it, so that what higher
 * classes take slows the polite ones down and not themselves.
 */
#include "metergate/gate/polite.h"

#include <stdlib.h>
#include <string.h>

#include "metergate/base/clock.h"
#include "metergate/base/err.h"
#include "metergate/gate/budget.h"
#include "metergate/gate/ticket.h"

/* docs/scheduling.md, "The rules" */
#define MINUTE_US     (60 * CLOCK_S)
#define IN_PLAY_US    (15 * MINUTE_US) /* N: so long after its last call a class is in play */
#define FORGET_US     (30 * MINUTE_US) /* a class that stays away so long is learned anew */
#define DOOR_US       (10 * CLOCK_S)   /* D */
#define PACE          1.05             /* kappa */
#define BURST_CALLS   2.0
#define BURST_LEAST   0.02 /* of the limit */
#define BURST_MOST    0.25
#define TYPICAL_MOST  0.33 /* of the limit: with larger calls pacing is useless */
#define TYPICAL_DECAY 0.995
#define TYPICAL_PRIOR 0.05 /* of the limit: taken to be typical for the first 20 calls */

__extension__ typedef __int128 wide;

void polite_release(struct polite *p)
{
    for (int k = 0; k < TICKET_LOW; k++) {
        free(p->recent[k]);
        p->recent[k] = NULL;
    }
}

void polite_copy(struct polite *p, const struct polite *from)
{
    *p = *from;
    for (int k = 0; k < TICKET_LOW; k++) {
        if (!from->recent[k])
            continue;
        p->recent[k] = xmalloc(sizeof *p->recent[k]);
        *p->recent[k] = *from->recent[k];
    }
}

/* ---- how large the calls of a class are ---- */

static void sorted_replace(int64_t *v, size_t n, const int64_t *old, int64_t value)
{
    size_t at = 0;

    if (old) {
        while (v[at] != *old)
            at++;
        memmove(&v[at], &v[at + 1], (n - at - 1) * sizeof *v);
        n--;
    }
    for (at = n; at > 0 && v[at - 1] > value; at--)
        v[at] = v[at - 1];
    v[at] = value;
}

static void remember(struct polite *p, enum ticket_class class, const struct cost *c, int64_t now_us)
{
    struct recent *r;

    if (class == TICKET_LOW)
        return;
    if (!p->recent[class])
        p->recent[class] = xcalloc(1, sizeof *p->recent[class]);
    r = p->recent[class];
    if (now_us - r->last_us > FORGET_US)
        *r = (struct recent){0};
    for (int m = 0; m < METRICS; m++) {
        int i = ticket_currency((enum metric)m);
        int64_t value = cost_total(c, (enum metric)m);

        if (i < 0)
            continue;
        sorted_replace(r->sorted[i], r->n, r->n == POLITE_RECENT ? &r->cost[i][r->next] : NULL, value);
        r->cost[i][r->next] = value;
    }
    r->next = (r->next + 1) % POLITE_RECENT;
    r->n += r->n < POLITE_RECENT;
    r->last_us = now_us;
}

/* What 95 % of its last calls needed at most of that metric. */
static int64_t usual_most(const struct recent *r, enum metric m)
{
    int i = ticket_currency(m);

    return !r || r->n == 0 ? 0 : i < 0 ? 1 : r->sorted[i][(r->n - 1) * 95 / 100];
}

/* ---- what goes ---- */

void polite_came(struct polite *p, enum ticket_class class, int64_t now_us)
{
    p->seen_us[class] = now_us;
}

/* How long an even pace takes for so much. */
static int64_t even_us(const struct budget *b, const struct budget_limit *l, int64_t amount)
{
    return (int64_t)((double)amount * (double)l->limit.span_us / (PACE * (double)budget_usable(b, l)));
}

/* What goes in so long a time at an even pace. */
static int64_t even_amount(const struct budget *b, const struct budget_limit *l, int64_t us)
{
    double amount = (double)us * PACE * (double)budget_usable(b, l) / (double)l->limit.span_us;

    return amount < (double)PROFILE_AMOUNT_MAX ? (int64_t)amount : PROFILE_AMOUNT_MAX;
}

static bool has_pace(const struct budget_limit *l)
{
    return l->limit.metric != METRIC_CONCURRENT;
}

#define TAKEN_PERIOD_US (10 * MINUTE_US)

static void taken_advance(struct taken *t, int64_t now_us)
{
    if (now_us - t->began_us < TAKEN_PERIOD_US)
        return;
    t->was_us = now_us - t->began_us < 2 * TAKEN_PERIOD_US ? t->now_us : 0;
    t->now_us = 0;
    t->began_us = now_us - (now_us - t->began_us) % TAKEN_PERIOD_US;
}

/* So long would the call take of the limit that it takes most of, if it had that for itself. */
static void take(struct budget *b, enum ticket_class class, const struct cost *c, int64_t now_us)
{
    struct taken *t = &b->polite.taken[class];
    int64_t most_us = 0;

    for (size_t i = 0; i < b->limit_count; i++) {
        const struct budget_limit *l = &b->limits[i];
        int64_t us = has_pace(l) ? even_us(b, l, budget_need_total(l, c)) : 0;

        most_us = us > most_us ? us : most_us;
    }
    taken_advance(t, now_us);
    t->now_us += most_us;
}

int64_t polite_taken_permille(const struct polite *p, enum ticket_class class, int64_t now_us)
{
    int64_t us = 0;

    for (int above = TICKET_HIGH; above < (int)class; above++) {
        struct taken t = p->taken[above];

        if (t.began_us == 0)
            continue;
        taken_advance(&t, now_us);
        us += t.now_us + t.was_us * (TAKEN_PERIOD_US - (now_us - t.began_us)) / TAKEN_PERIOD_US;
    }
    us = us * 1000 / TAKEN_PERIOD_US;
    return us < 1000 ? us : 1000;
}

void polite_goes(struct budget *b, enum ticket_class class, const struct cost *c, int64_t now_us)
{
    remember(&b->polite, class, c, now_us);
    if (class < TICKET_LOW)
        take(b, class, c, now_us);
    for (size_t i = 0; i < b->limit_count; i++) {
        struct budget_limit *l = &b->limits[i];
        int64_t need = budget_need_total(l, c);

        if (!has_pace(l) || need == 0)
            continue;
        if (l->pace.sum == 0) {
            l->pace.sum = (double)budget_usable(b, l);
            l->pace.squares = l->pace.sum * l->pace.sum * TYPICAL_PRIOR;
        }
        l->pace.sum = l->pace.sum * TYPICAL_DECAY + (double)need;
        l->pace.squares = l->pace.squares * TYPICAL_DECAY + (double)need * (double)need;
        l->pace.even_us = (l->pace.even_us > now_us ? l->pace.even_us : now_us) + even_us(b, l, need);
    }
}

/* ---- manners ---- */

static bool is_in_play(const struct polite *p, int class, int64_t now_us)
{
    return p->seen_us[class] > 0 && now_us - p->seen_us[class] < IN_PLAY_US;
}

/* The size of a typical call: large calls count by what they take. */
static double typical(const struct budget *b, const struct budget_limit *l)
{
    if (l->limit.metric == METRIC_REQUESTS)
        return 1;
    return l->pace.sum > 0 ? l->pace.squares / l->pace.sum : TYPICAL_PRIOR * (double)budget_usable(b, l);
}

static void set_pace(const struct budget *b, size_t i, struct manners *m)
{
    const struct budget_limit *l = &b->limits[i];
    double usable = (double)budget_usable(b, l), size = typical(b, l), burst = BURST_CALLS * size;

    if (size > TYPICAL_MOST * usable)
        return;
    if (burst < BURST_LEAST * usable)
        burst = BURST_LEAST * usable;
    if (burst > BURST_MOST * usable)
        burst = BURST_MOST * usable;
    m->paced[i] = true;
    m->burst_us[i] = (int64_t)(burst * (double)l->limit.span_us / (PACE * usable));
}

static int64_t door_us(const struct budget_limit *l)
{
    return l->limit.span_us / 6 < DOOR_US ? l->limit.span_us / 6 : DOOR_US;
}

/* What the door keeps is at most what comes back while it waits, and a twentieth of the limit. */
static void set_door(const struct budget *b, size_t i, enum ticket_class class, int64_t now_us,
                     struct manners *m)
{
    const struct budget_limit *l = &b->limits[i];
    int64_t usable = budget_usable(b, l), most;

    for (int above = TICKET_HIGH; above < (int)class; above++) {
        int64_t size =
            is_in_play(&b->polite, above, now_us) ? usual_most(b->polite.recent[above], l->limit.metric) : 0;

        if (size > m->door[i])
            m->door[i] = size;
    }
    most = (int64_t)((wide)usable * door_us(l) / l->limit.span_us) + usable / 20;
    if (m->door[i] > most)
        m->door[i] = most;
}

void polite_manners(const struct budget *b, enum ticket_class class, int64_t now_us, struct manners *ret)
{
    const struct polite *p = &b->polite;
    bool seen = false, expected = false;

    *ret = (struct manners){0};
    if (class == TICKET_HIGH || p->off || p->mode == POLITE_NEVER)
        return;
    for (int above = TICKET_HIGH; above < (int)class; above++) {
        seen |= is_in_play(p, above, now_us);
        expected |= (p->expected & (1u << above)) != 0;
    }
    if (!seen && !expected && p->mode != POLITE_ALWAYS)
        return;
    ret->any = true;
    for (size_t i = 0; i < b->limit_count; i++) {
        if (!has_pace(&b->limits[i]))
            continue;
        set_pace(b, i, ret);
        set_door(b, i, class, now_us, ret);
    }
}

/* What the door keeps beside a call of that size. */
static int64_t door_beside(int64_t door, int64_t usable, int64_t need)
{
    int64_t half = need < usable ? (usable - need) / 2 : 0;

    return door < half ? door : half;
}

int64_t polite_earliest(const struct budget *b, size_t i, const struct manners *m, int64_t need,
                        int64_t now_us)
{
    const struct budget_limit *l = &b->limits[i];
    const struct window *w = &l->window;
    int64_t usable = budget_usable(b, l), at_us = now_us, door;

    if (!m->any || need == 0 || !has_pace(l))
        return now_us;
    if (m->paced[i] && w->used + w->reserved + need > usable / 2 && l->pace.even_us - m->burst_us[i] > at_us)
        at_us = l->pace.even_us - m->burst_us[i];
    door = door_beside(m->door[i], usable, need);
    if (door > 0) {
        int64_t room_us = window_earliest(w, now_us, usable - need - door);

        room_us = room_us < CLOCK_NEVER ? room_us - door_us(l) : CLOCK_NEVER;
        if (room_us > at_us)
            at_us = room_us;
    }
    return at_us;
}

int64_t polite_most(const struct budget *b, size_t i, const struct manners *m, int64_t now_us)
{
    const struct budget_limit *l = &b->limits[i];
    const struct window *w = &l->window;
    int64_t usable = budget_usable(b, l), most = INT64_MAX, room, by_door;

    if (!m->any || !has_pace(l))
        return INT64_MAX;
    if (m->paced[i] && l->pace.even_us - m->burst_us[i] > now_us)
        most = usable / 2 - w->used - w->reserved;
    if (m->door[i] == 0)
        return most;
    room = usable - window_sum_at(w, now_us + door_us(l));
    if (room >= usable)
        return most;
    /* what door_beside leaves: need + min(door, (usable - need) / 2) <= room */
    by_door = room <= usable - m->door[i] ? room - m->door[i] : 2 * room - usable;
    return by_door < most ? by_door : most;
}

int64_t polite_most_beside(const struct budget *b, size_t i, const struct manners *m, int64_t need,
                           int64_t head_us, int64_t now_us)
{
    const struct budget_limit *l = &b->limits[i];
    int64_t usable = budget_usable(b, l), most = INT64_MAX, door;

    if (!m->any || need == 0 || !has_pace(l))
        return INT64_MAX;
    if (head_us == CLOCK_NEVER) /* an event decides: it may be any moment */
        head_us = now_us;
    if (m->paced[i]) {
        int64_t from_us = l->pace.even_us > now_us ? l->pace.even_us : now_us;

        most = even_amount(b, l, head_us - from_us + m->burst_us[i]);
    }
    door = door_beside(m->door[i], usable, need);
    if (door > 0) {
        int64_t beside = usable - window_sum_at(&l->window, head_us + door_us(l)) - need - door;

        if (beside < most)
            most = beside;
    }
    return most;
}

int64_t polite_next_change(const struct budget *b, const struct manners *m, int64_t now_us)
{
    int64_t next_us = CLOCK_NEVER;

    for (size_t i = 0; m->any && i < b->limit_count; i++) {
        const struct budget_limit *l = &b->limits[i];

        if (!has_pace(l))
            continue;
        if (m->paced[i] && l->pace.even_us - m->burst_us[i] > now_us &&
            l->pace.even_us - m->burst_us[i] < next_us)
            next_us = l->pace.even_us - m->burst_us[i];
        if (m->door[i] > 0) {
            int64_t leaves_us = window_next_leave(&l->window, now_us + door_us(l));

            if (leaves_us < CLOCK_NEVER && leaves_us - door_us(l) < next_us)
                next_us = leaves_us - door_us(l);
        }
    }
    return next_us;
}
