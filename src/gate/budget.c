/*
 * budget: every charge of an open attempt is either wholly in `reserved`, or its arrival part has an entry in the
 * window and its end part is in `reserved`; charge_close takes out of `reserved` exactly what budget_open put in.
 */
#include "metergate/gate/budget.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "metergate/base/clock.h"
#include "metergate/base/err.h"

static bool has_window(const struct budget_limit *l)
{
    return l->limit.metric != METRIC_CONCURRENT;
}

static void limit_init(struct budget_limit *l, const struct limit *limit)
{
    *l = (struct budget_limit){.limit = *limit};
    MG_ASSERT(limit->max > 0);
    if (has_window(l))
        window_init(&l->window, limit->span_us);
}

struct budget *budget_new(const char *name, int headroom_permille, const struct limit *limits, size_t n)
{
    struct budget *b = xcalloc(1, sizeof *b);

    MG_ASSERT(n <= BUDGET_LIMITS_MAX && headroom_permille >= 0 && headroom_permille < 1000);
    b->name = xstrdup(name);
    b->headroom_permille = headroom_permille;
    b->limit_count = n;
    for (size_t i = 0; i < n; i++)
        limit_init(&b->limits[i], &limits[i]);
    list_init(&b->busy);
    list_init(&b->link);
    return b;
}

static void release_windows(struct budget *b)
{
    for (size_t i = 0; i < b->limit_count; i++) {
        if (has_window(&b->limits[i]))
            window_release(&b->limits[i].window);
    }
}

void budget_free(struct budget *b)
{
    if (!b)
        return;
    release_windows(b);
    list_unlink(&b->busy);
    list_unlink(&b->link);
    free(b->name);
    free(b);
}

static bool same_window(const struct limit *a, const struct limit *b)
{
    return a->metric == b->metric && (a->metric == METRIC_CONCURRENT || a->span_us == b->span_us);
}

int budget_update(struct budget *b, int headroom_permille, const struct limit *limits, size_t n)
{
    bool same = n == b->limit_count;

    MG_ASSERT(n <= BUDGET_LIMITS_MAX && headroom_permille >= 0 && headroom_permille < 1000);
    for (size_t i = 0; same && i < n; i++)
        same = same_window(&b->limits[i].limit, &limits[i]);
    if (!same && b->in_flight > 0)
        return -EBUSY;
    b->headroom_permille = headroom_permille;
    if (!same) {
        struct budget_limit old[BUDGET_LIMITS_MAX];
        size_t old_count = b->limit_count;

        memcpy(old, b->limits, sizeof old);
        b->limit_count = n;
        for (size_t i = 0; i < n; i++) {
            limit_init(&b->limits[i], &limits[i]);
            for (size_t j = 0; j < old_count; j++) {
                if (old[j].limit.max > 0 && same_window(&old[j].limit, &limits[i])) {
                    b->limits[i] = old[j];
                    old[j].limit.max = 0; /* its window has moved */
                    break;
                }
            }
        }
        for (size_t j = 0; j < old_count; j++) {
            if (old[j].limit.max > 0 && has_window(&old[j]))
                window_release(&old[j].window);
        }
    }
    for (size_t i = 0; i < n; i++)
        b->limits[i].limit = limits[i];
    return 0;
}

int64_t budget_usable(const struct budget *b, const struct budget_limit *l)
{
    int64_t max = l->limit.max, usable;

    if (l->limit.metric == METRIC_CONCURRENT ||
        (l->limit.metric == METRIC_REQUESTS && l->limit.span_us >= BUDGET_DAY_US))
        return max;
    usable = max / 1000 * (1000 - b->headroom_permille) + max % 1000 * (1000 - b->headroom_permille) / 1000;
    return usable > 0 ? usable : 1;
}

void budget_advance(struct budget *b, int64_t now_us)
{
    for (size_t i = 0; i < b->limit_count; i++) {
        if (has_window(&b->limits[i]))
            window_advance(&b->limits[i].window, now_us);
    }
}

void budget_need(const struct budget_limit *l, const struct cost *c, int64_t *ret_on_arrival, int64_t *ret_at_end)
{
    int64_t max = l->limit.max, arrival = c->on_arrival[l->limit.metric], end = c->at_end[l->limit.metric];

    *ret_on_arrival = arrival < max ? arrival : max;
    *ret_at_end = end < max - *ret_on_arrival ? end : max - *ret_on_arrival;
}

static int64_t need_total(const struct budget_limit *l, const struct cost *c)
{
    int64_t arrival, end;

    budget_need(l, c, &arrival, &end);
    return arrival + end;
}

/* What the limit may stand at once this need is added: max for a call that runs alone. */
static int64_t ceiling(const struct budget *b, const struct budget_limit *l, int64_t need)
{
    int64_t usable = budget_usable(b, l);

    return need > usable ? l->limit.max : usable;
}

static int64_t limit_earliest(const struct budget *b, const struct budget_limit *l, const struct cost *c, int64_t now_us)
{
    int64_t need = need_total(l, c), t;

    if (need == 0)
        return now_us;
    if (!has_window(l))
        return l->in_flight + need <= l->limit.max ? now_us : CLOCK_NEVER;
    t = window_earliest(&l->window, now_us, ceiling(b, l, need) - need);
    return l->limit.smooth && l->next_us > t ? l->next_us : t;
}

int64_t budget_earliest(const struct budget *b, const struct cost *c, int64_t now_us,
                        const struct budget_limit **ret_limit)
{
    int64_t t = b->paused_until_us > now_us ? b->paused_until_us : now_us;

    *ret_limit = NULL;
    for (size_t i = 0; i < b->limit_count; i++) {
        int64_t ti = limit_earliest(b, &b->limits[i], c, now_us);

        if (ti > t) {
            t = ti;
            *ret_limit = &b->limits[i];
        }
    }
    return t;
}

bool budget_has_room_for_both(const struct budget *b, const struct cost *first, const struct cost *second, int64_t t_us)
{
    for (size_t i = 0; i < b->limit_count; i++) {
        const struct budget_limit *l = &b->limits[i];
        int64_t need = need_total(l, first), other = need_total(l, second);

        if (need == 0 || other == 0)
            continue;
        if (!has_window(l)) {
            if (l->in_flight + need + other > l->limit.max)
                return false;
            continue;
        }
        if (l->limit.smooth)
            return false; /* any request in between moves the next one */
        if (window_sum_at(&l->window, t_us) + need + other > ceiling(b, l, need))
            return false;
    }
    return true;
}

void budget_open(struct budget *b, const struct cost *c, int64_t now_us, struct charge *ret_charges)
{
    for (size_t i = 0; i < b->limit_count; i++) {
        struct budget_limit *l = &b->limits[i];
        struct charge *ch = &ret_charges[i];

        *ch = (struct charge){.limit = l};
        budget_need(l, c, &ch->on_arrival, &ch->at_end);
        if (!has_window(l)) {
            l->in_flight += ch->on_arrival;
            continue;
        }
        window_reserve(&l->window, ch->on_arrival + ch->at_end);
        if (l->limit.smooth)
            l->next_us = now_us + l->limit.span_us / budget_usable(b, l);
    }
    b->in_flight++;
}

void charge_time(struct charge *ch, int64_t now_us)
{
    struct window *w = &ch->limit->window;

    if (!has_window(ch->limit))
        return;
    window_advance(w, now_us);
    window_reserve(w, -ch->on_arrival);
    ch->handle = window_stamp(w, now_us, ch->on_arrival);
}

void charge_close(struct charge *ch, bool timed, const struct cost *final, int64_t now_us)
{
    struct window *w = &ch->limit->window;
    enum metric m = ch->limit->limit.metric;

    if (!has_window(ch->limit)) {
        ch->limit->in_flight -= ch->on_arrival;
        MG_ASSERT(ch->limit->in_flight >= 0);
        return;
    }
    if (!timed)
        charge_time(ch, now_us);
    window_advance(w, now_us);
    window_correct(w, ch->handle, final->on_arrival[m] - ch->on_arrival);
    window_reserve(w, -ch->at_end);
    if (final->at_end[m] > 0)
        window_stamp(w, now_us, final->at_end[m]);
}
