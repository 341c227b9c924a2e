/*
 * window: head <= tail; entry s lives in ring[s & (cap - 1)]; times grow with s; used and open are the sums
 * of the amounts and opens of head..tail-1; 0 <= open <= amount in each.
 *
 * `sums` is a Fenwick tree (P. Fenwick, 1994) over the places of the ring: places outside head..tail-1 hold 0
 * in it. The entries lie in at most two runs of places, so a sum of the oldest k, or the search for the k at
 * which a sum is reached, is one or two walks of O(log cap).
 */
#include "metergate/gate/window.h"

#include <stdlib.h>
#include <string.h>

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
    free(w->sums);
    window_init(w, w->span_us);
}

void window_copy(struct window *w, const struct window *from)
{
    *w = *from;
    if (from->cap == 0)
        return;
    w->ring = xmalloc(w->cap * sizeof *w->ring);
    memcpy(w->ring, from->ring, w->cap * sizeof *w->ring);
    w->sums = xmalloc((w->cap + 1) * sizeof *w->sums);
    memcpy(w->sums, from->sums, (w->cap + 1) * sizeof *w->sums);
}

void window_set_span(struct window *w, int64_t span_us)
{
    MG_ASSERT(span_us > 0);
    w->span_us = span_us;
}

static struct window_entry *at(const struct window *w, uint64_t seq)
{
    return &w->ring[seq & (w->cap - 1)];
}

static int64_t leaves_us(const struct window *w, uint64_t seq)
{
    return at(w, seq)->t_us + w->span_us;
}

/* ---- the tree of sums ---- */

static void sums_add(struct window *w, size_t place, int64_t delta)
{
    for (size_t i = place + 1; i <= w->cap; i += i & (~i + 1))
        w->sums[i] += delta;
}

/* Of the places below `place`. */
static int64_t sums_below(const struct window *w, size_t place)
{
    int64_t sum = 0;

    for (size_t i = place; i > 0; i &= i - 1)
        sum += w->sums[i];
    return sum;
}

/* The first place at which the sum from place 0 on reaches `target`, which is above 0 and at most the whole
 * sum. */
static size_t sums_find(const struct window *w, int64_t target)
{
    size_t i = 0;

    for (size_t step = w->cap; step > 0; step /= 2) {
        if (i + step <= w->cap && w->sums[i + step] < target) {
            i += step;
            target -= w->sums[i];
        }
    }
    return i;
}

/* The sum of the oldest entries, up to and without `seq`. */
static int64_t oldest_until(const struct window *w, uint64_t seq)
{
    size_t first = w->head & (w->cap - 1), end = first + (size_t)(seq - w->head);

    if (end <= w->cap)
        return sums_below(w, end) - sums_below(w, first);
    return w->used - sums_below(w, first) + sums_below(w, end - w->cap);
}

/* The entry with which the oldest ones together reach `target`, which is above 0 and at most used. */
static uint64_t oldest_reaching(const struct window *w, int64_t target)
{
    size_t first = w->head & (w->cap - 1);
    int64_t before = sums_below(w, first);

    if (before + target <= w->used)
        return w->head + sums_find(w, before + target) - first;
    return w->head + sums_find(w, before + target - w->used) + w->cap - first;
}

/* ---- entries ---- */

static void add(struct window *w, uint64_t seq, int64_t amount, int64_t open)
{
    struct window_entry *e = at(w, seq);

    e->amount += amount;
    e->open += open;
    MG_ASSERT(0 <= e->open && e->open <= e->amount);
    sums_add(w, seq & (w->cap - 1), amount);
    w->used += amount;
    w->open += open;
}

void window_advance(struct window *w, int64_t now_us)
{
    while (w->head < w->tail && leaves_us(w, w->head) <= now_us) {
        const struct window_entry *e = at(w, w->head);

        sums_add(w, w->head & (w->cap - 1), -e->amount);
        w->used -= e->amount;
        w->open -= e->open;
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
    struct window old = *w;

    w->cap = old.cap ? 2 * old.cap : 16;
    w->ring = xmalloc(w->cap * sizeof *w->ring);
    w->sums = xcalloc(w->cap + 1, sizeof *w->sums);
    for (uint64_t s = w->head; s < w->tail; s++) {
        *at(w, s) = *at(&old, s);
        sums_add(w, s & (w->cap - 1), at(w, s)->amount);
    }
    free(old.ring);
    free(old.sums);
}

/* The entry for a charge at now_us: the newest one takes those of its own moment, or of its slot while that
 * lasts. */
static uint64_t entry_for(struct window *w, int64_t now_us)
{
    bool exact = w->tail - w->head < WINDOW_EXACT;

    if (w->head < w->tail && now_us <= at(w, w->tail - 1)->t_us)
        return w->tail - 1;
    if (w->tail - w->head == w->cap)
        grow(w);
    *at(w, w->tail) = (struct window_entry){.t_us = exact ? now_us : now_us + w->span_us / WINDOW_SLOTS};
    return w->tail++;
}

void window_stamp(struct window *w, int64_t now_us, int64_t amount)
{
    add(w, entry_for(w, now_us), amount, 0);
}

uint64_t window_stamp_open(struct window *w, int64_t now_us, int64_t amount)
{
    uint64_t seq = entry_for(w, now_us);

    add(w, seq, amount, amount);
    return seq;
}

void window_settle(struct window *w, uint64_t handle, int64_t was, int64_t is)
{
    MG_ASSERT(handle < w->tail);
    if (handle >= w->head)
        add(w, handle, is - was, -was);
}

void window_settle_all(struct window *w, int64_t permille)
{
    for (uint64_t s = w->head; s < w->tail && w->open > 0; s++) {
        int64_t open = at(w, s)->open;

        if (open > 0)
            add(w, s, window_part(open, permille) - open, -open);
    }
}

bool window_holds(const struct window *w, uint64_t handle)
{
    MG_ASSERT(handle < w->tail);
    return handle >= w->head;
}

void window_correct(struct window *w, uint64_t handle, int64_t delta)
{
    if (window_holds(w, handle))
        add(w, handle, delta, 0);
}

/* ---- questions ---- */

int64_t window_earliest(const struct window *w, int64_t now_us, int64_t ceiling)
{
    int64_t must_leave = w->used + w->reserved - ceiling;

    if (must_leave <= 0)
        return now_us;
    if (must_leave > w->used)
        return CLOCK_NEVER;
    return leaves_us(w, oldest_reaching(w, must_leave));
}

/* The first entry that is still there at t_us; the tail when none is. */
static uint64_t first_left(const struct window *w, int64_t t_us)
{
    uint64_t gone = w->head, end = w->tail; /* what is before `gone` has left by t_us, `end` has not */

    while (gone < end) {
        uint64_t middle = gone + (end - gone) / 2;

        if (leaves_us(w, middle) <= t_us)
            gone = middle + 1;
        else
            end = middle;
    }
    return gone;
}

int64_t window_sum_at(const struct window *w, int64_t t_us)
{
    uint64_t left = first_left(w, t_us);

    return w->used + w->reserved - (left == w->head ? 0 : oldest_until(w, left));
}

int64_t window_next_leave(const struct window *w, int64_t t_us)
{
    uint64_t left = first_left(w, t_us);

    return left < w->tail ? leaves_us(w, left) : CLOCK_NEVER;
}

size_t window_entries(const struct window *w)
{
    return (size_t)(w->tail - w->head);
}
