/*
 * window: head <= tail; entry s lives in ring[s & (cap - 1)]; times grow with s; used is the sum of the amounts of
 * head..tail-1. Scans go from the oldest entry and stop at the moment that is looked for, which is near in practice.
 */
#include "metergate/gate/window.h"

#include <stdlib.h>

#include "metergate/base/clock.h"
#include "metergate/base/err.h"

void window_init(struct window *w, int64_t span_us)
{
    MG_ASSERT(span_us > 0);
    *w = (struct window){.span_us = span_us};
}

void window_release(struct window *w)
{
    free(w->ring);
    window_init(w, w->span_us);
}

static struct window_entry *at(const struct window *w, uint64_t seq)
{
    return &w->ring[seq & (w->cap - 1)];
}

void window_advance(struct window *w, int64_t now_us)
{
    while (w->head < w->tail && at(w, w->head)->t_us + w->span_us <= now_us) {
        w->used -= at(w, w->head)->amount;
        w->head++;
    }
}

void window_reserve(struct window *w, int64_t amount)
{
    w->reserved += amount;
    MG_ASSERT(w->reserved >= 0);
}

static void grow(struct window *w)
{
    size_t cap = w->cap ? 2 * w->cap : 16;
    struct window_entry *ring = xmalloc(cap * sizeof *ring);

    for (uint64_t s = w->head; s < w->tail; s++)
        ring[s & (cap - 1)] = *at(w, s);
    free(w->ring);
    w->ring = ring;
    w->cap = cap;
}

/* Whether a charge at now_us may share the newest entry. */
static int shares_last(const struct window *w, int64_t now_us)
{
    const struct window_entry *last;

    if (w->head == w->tail)
        return 0;
    last = at(w, w->tail - 1);
    if (last->t_us == now_us)
        return 1;
    return w->tail - w->head >= WINDOW_EXACT && now_us - last->first_us < w->span_us / WINDOW_SLOTS;
}

uint64_t window_stamp(struct window *w, int64_t now_us, int64_t amount)
{
    struct window_entry *e;

    w->used += amount;
    if (shares_last(w, now_us)) {
        e = at(w, w->tail - 1);
        MG_ASSERT(e->t_us <= now_us);
        e->t_us = now_us;
        e->amount += amount;
        return w->tail - 1;
    }
    if (w->tail - w->head == w->cap)
        grow(w);
    MG_ASSERT(w->head == w->tail || at(w, w->tail - 1)->t_us <= now_us);
    *at(w, w->tail) = (struct window_entry){.t_us = now_us, .first_us = now_us, .amount = amount};
    return w->tail++;
}

void window_correct(struct window *w, uint64_t handle, int64_t delta)
{
    if (handle < w->head)
        return;
    MG_ASSERT(handle < w->tail);
    at(w, handle)->amount += delta;
    w->used += delta;
}

int64_t window_earliest(const struct window *w, int64_t now_us, int64_t ceiling)
{
    int64_t sum = w->used + w->reserved;

    if (sum <= ceiling)
        return now_us;
    for (uint64_t s = w->head; s < w->tail; s++) {
        sum -= at(w, s)->amount;
        if (sum <= ceiling)
            return at(w, s)->t_us + w->span_us;
    }
    return CLOCK_NEVER;
}

int64_t window_sum_at(const struct window *w, int64_t t_us)
{
    int64_t sum = w->used + w->reserved;

    for (uint64_t s = w->head; s < w->tail && at(w, s)->t_us + w->span_us <= t_us; s++)
        sum -= at(w, s)->amount;
    return sum;
}

int64_t window_next_expiry(const struct window *w)
{
    return w->head < w->tail ? at(w, w->head)->t_us + w->span_us : CLOCK_NEVER;
}

size_t window_entries(const struct window *w)
{
    return (size_t)(w->tail - w->head);
}
