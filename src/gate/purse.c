/*
 * purse: windows 0..n-1 are initialised and each holds `reserved` as its own; of the others nothing is. What
 * a window holds and what is reserved are bounded apart, so that no sum of the two overflows whatever
 * providers report: an amount that one cannot hold any more is cut, far beyond any limit.
 */
#include "metergate/gate/purse.h"

#include "metergate/base/clock.h"
#include "metergate/base/err.h"

#define HOLDS_MAX   (INT64_MAX / 2) /* of what was spent: 4.6 billion USD */
#define RESERVE_MAX (INT64_C(100000) * 1000000000) /* of one call: 46,000 such in flight are no overflow */

static int64_t reservable(int64_t nano)
{
    MG_ASSERT(nano >= 0);
    return nano < RESERVE_MAX ? nano : RESERVE_MAX;
}

void purse_release(struct purse *p)
{
    for (size_t i = 0; i < p->n; i++)
        window_release(&p->window[i]);
    *p = (struct purse){0};
}

/* The window that one of that span goes on from: its own, else the longest; NULL: there are none. */
static const struct window *ancestor(const struct purse *p, int64_t span_us)
{
    const struct window *longest = NULL;

    for (size_t i = 0; i < p->n; i++) {
        if (p->window[i].span_us == span_us)
            return &p->window[i];
        if (!longest || p->window[i].span_us > longest->span_us)
            longest = &p->window[i];
    }
    return longest;
}

void purse_set(struct purse *p, const struct money_limit *limits, size_t n)
{
    struct purse old = *p;

    MG_ASSERT(n <= PURSE_LIMITS_MAX);
    for (size_t i = 0; i < n; i++) {
        const struct window *from = ancestor(&old, limits[i].span_us);

        MG_ASSERT(limits[i].max > 0);
        p->limit[i] = limits[i];
        if (from)
            window_copy(&p->window[i], from);
        else
            window_init(&p->window[i], limits[i].span_us);
        window_set_span(&p->window[i], limits[i].span_us);
        window_reserve(&p->window[i], p->reserved - p->window[i].reserved);
    }
    p->n = n;
    for (size_t i = 0; i < old.n; i++)
        window_release(&old.window[i]);
}

void purse_advance(struct purse *p, int64_t now_us)
{
    for (size_t i = 0; i < p->n; i++)
        window_advance(&p->window[i], now_us);
}

/* Whether a's limit keeps the call out for longer than b's, of which the limit may be none. For good is longer
 * than until an event. */
static bool is_worse(const struct purse_refusal *a, const struct purse_refusal *b)
{
    if (!b->limit || a->frees_us != b->frees_us)
        return a->frees_us > b->frees_us;
    return a->wanted > a->limit->max && b->wanted <= b->limit->max;
}

bool purse_has_room(struct purse *p, int64_t now_us, int64_t nano, struct purse_refusal *ret_why)
{
    struct purse_refusal worst = {.frees_us = now_us};

    MG_ASSERT(nano >= 0);
    purse_advance(p, now_us);
    for (size_t i = 0; i < p->n && nano > 0; i++) { /* what costs nothing takes nothing */
        const struct window *w = &p->window[i];
        struct purse_refusal why = {.limit = &p->limit[i],
                                    .spent = w->used,
                                    .reserved = w->reserved,
                                    .wanted = nano,
                                    .frees_us = CLOCK_NEVER};

        if (nano <= why.limit->max)
            why.frees_us = window_earliest(w, now_us, why.limit->max - nano);
        if (why.frees_us > now_us && is_worse(&why, &worst))
            worst = why;
    }
    if (worst.limit)
        *ret_why = worst;
    return !worst.limit;
}

void purse_reserve(struct purse *p, int64_t nano)
{
    p->reserved += reservable(nano);
    for (size_t i = 0; i < p->n; i++)
        window_reserve(&p->window[i], reservable(nano));
}

static void spend(struct window *w, int64_t at_us, int64_t nano)
{
    window_advance(w, at_us);
    if (nano > HOLDS_MAX - w->used)
        nano = HOLDS_MAX - w->used;
    if (nano > 0)
        window_stamp(w, at_us, nano);
}

void purse_settle(struct purse *p, int64_t now_us, int64_t reserved, int64_t spent)
{
    MG_ASSERT(spent >= 0 && p->reserved >= reservable(reserved));
    p->reserved -= reservable(reserved);
    for (size_t i = 0; i < p->n; i++) {
        window_reserve(&p->window[i], -reservable(reserved));
        spend(&p->window[i], now_us, spent);
    }
}

void purse_restore(struct purse *p, int64_t at_us, int64_t spent)
{
    MG_ASSERT(spent >= 0);
    for (size_t i = 0; i < p->n; i++)
        spend(&p->window[i], at_us, spent);
}

bool purse_is_forgettable(struct purse *p, int64_t now_us)
{
    purse_advance(p, now_us);
    for (size_t i = 0; i < p->n; i++) {
        if (p->window[i].used > 0)
            return false;
    }
    return p->reserved == 0;
}
