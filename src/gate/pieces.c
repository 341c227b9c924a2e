/* pieces: by handle, and so by time. Those whose entry has left the window are dropped when something is
 * added. */
#include "metergate/gate/pieces.h"

#include <string.h>

#include "metergate/base/err.h"

static void drop(struct pieces *p, unsigned i)
{
    memmove(&p->v[i], &p->v[i + 1], (p->n - i - 1) * sizeof p->v[0]);
    p->n--;
}

static void forget_left(struct pieces *p, const struct window *w)
{
    for (unsigned i = p->n; i-- > 0;) {
        if (p->v[i].amount == 0 || !window_holds(w, p->v[i].handle))
            drop(p, i);
    }
}

int64_t pieces_sum_before(const struct pieces *p, const struct window *w, int64_t t_us)
{
    int64_t sum = 0;

    for (unsigned i = 0; i < p->n; i++) {
        if (p->v[i].known_us < t_us && window_holds(w, p->v[i].handle))
            sum += p->v[i].amount;
    }
    return sum;
}

int64_t pieces_sum(const struct pieces *p, const struct window *w)
{
    return pieces_sum_before(p, w, INT64_MAX);
}

/* Piece i becomes part of the next one, which leaves later. */
static void merge_with_next(struct pieces *p, struct window *w, unsigned i)
{
    struct piece *to = &p->v[i + 1];

    window_correct(w, p->v[i].handle, -p->v[i].amount);
    window_correct(w, to->handle, p->v[i].amount);
    to->amount += p->v[i].amount;
    if (p->v[i].first_us < to->first_us)
        to->first_us = p->v[i].first_us;
    if (p->v[i].known_us > to->known_us)
        to->known_us = p->v[i].known_us;
    drop(p, i);
}

static bool is_one_slot(const struct window *w, const struct piece *older, const struct piece *newer)
{
    return newer->at_us - older->first_us < w->span_us / PIECES_SLOTS;
}

/* One of the same slot takes the new piece i up, or is taken up by it. */
static void settle_in(struct pieces *p, struct window *w, unsigned i)
{
    const struct piece *self = &p->v[i];

    if (i + 1 < p->n && is_one_slot(w, self, self + 1))
        merge_with_next(p, w, i);
    else if (i != 0 && is_one_slot(w, self - 1, self))
        merge_with_next(p, w, i - 1);
}

void pieces_add_to(struct pieces *p, struct window *w, uint64_t handle, int64_t at_us, int64_t now_us,
                   int64_t amount)
{
    unsigned i;

    forget_left(p, w);
    if (p->n == PIECES_MAX) /* the span has grown */
        merge_with_next(p, w, 0);
    i = p->n;
    MG_ASSERT(i < PIECES_MAX);
    while (i > 0 && p->v[i - 1].handle > handle)
        i--;
    memmove(&p->v[i + 1], &p->v[i], (p->n - i) * sizeof p->v[0]);
    p->v[i] = (struct piece){handle, amount, at_us, at_us, now_us};
    p->n++;
    window_correct(w, handle, amount);
    settle_in(p, w, i);
}

void pieces_add(struct pieces *p, struct window *w, int64_t now_us, int64_t amount)
{
    uint64_t handle = window_stamp_open(w, now_us, 0);

    window_settle(w, handle, 0, 0); /* of no call: over at once */
    pieces_add_to(p, w, handle, now_us, now_us, amount);
}

int64_t pieces_take(struct pieces *p, struct window *w, int64_t t_us, int64_t amount)
{
    int64_t taken = 0;

    forget_left(p, w);
    for (unsigned i = 0; i < p->n && taken < amount; i++) {
        struct piece *piece = &p->v[i];
        int64_t part = amount - taken;

        if (piece->known_us >= t_us)
            continue;
        if (part > piece->amount)
            part = piece->amount;
        window_correct(w, piece->handle, -part);
        piece->amount -= part;
        taken += part;
    }
    return taken;
}
