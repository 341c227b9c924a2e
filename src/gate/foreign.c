/*
 * foreign: pieces, oldest first, each inside one entry of the window; those whose entry has left are forgotten at the
 * next change. A piece takes what is added within a slot of the span and moves to the newer moment with it, so it
 * leaves late by a slot at the most, and the ring is never too small for a span.
 */
#include "metergate/gate/foreign.h"

#include <stdlib.h>

#include "metergate/base/err.h"

enum {
    PIECES = 64,
    SLOTS = 48,        /* of a span; fewer than PIECES, so that old pieces leave before the ring is full */
    REFRESH_SHARE = 50, /* of a span: no need to move anything more often */
    NOTED_SHARE = 200,  /* of the limit: less may be a difference in counting */
    SHORTEST_SHARE = 64, /* of a span: how fast they grow in less cannot be told */
    ABOUT_SPANS = 10,   /* so long after they were noted others are about */
    UNHEARD_SHARE = 16  /* of what is usable, on its way at a time while they are */
};

struct piece {
    uint64_t handle; /* of the window */
    int64_t amount;
    int64_t since_us; /* the first of it */
};

struct foreign {
    struct piece ring[PIECES];
    unsigned first, n;
    int64_t sent_us, width; /* of the last reading that was taken */
    int64_t fresh_us;       /* when what was confirmed was made young */
    int64_t noted_us;       /* when others' use was last worth noting; 0: never */
    int64_t none_us;        /* when they were last known to have had nothing, or when we began to look */
    int64_t read_us;        /* when the last reading was taken, */
    int64_t expected;       /* by which they will have so much a span later */
    int64_t sent, heard;    /* all that was ever sent, and of it up to the newest call that was heard of */
    int64_t since_us;       /* the provider had that one then; or, when all was heard of, the next one was sent then */
};

static struct piece *at(struct foreign *f, unsigned i)
{
    return &f->ring[(f->first + i) % PIECES];
}

static void pop(struct foreign *f)
{
    f->first = (f->first + 1) % PIECES;
    f->n--;
}

static void forget_left(struct foreign *f, const struct window *w)
{
    while (f->n > 0 && (at(f, 0)->amount == 0 || !window_holds(w, at(f, 0)->handle)))
        pop(f);
}

int64_t foreign_amount(const struct foreign *f, const struct window *w)
{
    int64_t sum = 0;

    for (unsigned i = 0; f && i < f->n; i++) {
        const struct piece *p = &f->ring[(f->first + i) % PIECES];

        if (window_holds(w, p->handle))
            sum += p->amount;
    }
    return sum;
}

/* Sums of amounts times spans do not fit 64 bits for limits that exist. */
__extension__ typedef __int128 wide;

static bool are_about(const struct foreign *f, const struct window *w, int64_t now_us)
{
    return f && f->noted_us > 0 && now_us - f->noted_us < ABOUT_SPANS * w->span_us;
}

int64_t foreign_expected(const struct foreign *f, const struct window *w, int64_t now_us)
{
    int64_t amount, past_us;

    if (!are_about(f, w, now_us))
        return 0;
    amount = foreign_amount(f, w);
    past_us = now_us - f->read_us < w->span_us ? now_us - f->read_us : w->span_us;
    return f->expected > amount ? (int64_t)((wide)(f->expected - amount) * past_us / w->span_us) : 0;
}

int64_t foreign_earliest(const struct foreign *f, const struct window *w, int64_t usable, int64_t need, int64_t now_us)
{
    int64_t over, wait_us;

    if (!are_about(f, w, now_us) || f->sent == f->heard)
        return now_us;
    over = f->sent - f->heard + need - usable / UNHEARD_SHARE;
    if (over <= 0)
        return now_us;
    wait_us = over < usable ? (int64_t)((wide)over * w->span_us / usable) : w->span_us;
    return f->since_us + wait_us > now_us ? f->since_us + wait_us : now_us;
}

int64_t foreign_sent(struct foreign *f, int64_t need, int64_t now_us)
{
    if (!f)
        return 0;
    if (f->sent == f->heard)
        f->since_us = now_us;
    return f->sent += need;
}

void foreign_quiet(struct foreign *f)
{
    if (f)
        f->heard = f->sent;
}

static bool hear(struct foreign *f, const struct foreign_reading *r)
{
    if (r->mark <= f->heard)
        return false;
    f->heard = r->mark;
    f->since_us = r->sent_us;
    return true;
}

void foreign_free(struct foreign *f)
{
    free(f);
}

/* Charges of no call: over at once. */
static uint64_t stamp(struct window *w, int64_t now_us, int64_t amount)
{
    uint64_t handle = window_stamp_open(w, now_us, amount);

    window_settle(w, handle, amount, amount);
    return handle;
}

static void add_piece(struct foreign *f, struct window *w, int64_t now_us, int64_t amount)
{
    struct piece *last = f->n > 0 ? at(f, f->n - 1) : NULL;

    if (last && now_us - last->since_us < w->span_us / SLOTS) {
        window_correct(w, last->handle, -last->amount);
        last->amount += amount;
        last->handle = stamp(w, now_us, last->amount);
        return;
    }
    if (f->n == PIECES) { /* the span has grown: the oldest goes with the next one, late */
        int64_t moved = at(f, 0)->amount;

        window_correct(w, at(f, 0)->handle, -moved);
        pop(f);
        window_correct(w, at(f, 0)->handle, moved);
        at(f, 0)->amount += moved;
    }
    *at(f, f->n++) = (struct piece){stamp(w, now_us, amount), amount, now_us};
}

static void take_oldest(struct foreign *f, struct window *w, int64_t amount)
{
    while (amount > 0) {
        struct piece *p = at(f, 0);
        int64_t part = p->amount < amount ? p->amount : amount;

        MG_ASSERT(f->n > 0);
        window_correct(w, p->handle, -part);
        p->amount -= part;
        amount -= part;
        if (p->amount == 0)
            pop(f);
    }
}

/* Of `confirmed`, which is inside, the part that half a span hands on. */
static bool refresh(struct foreign *f, struct window *w, int64_t now_us, int64_t confirmed)
{
    int64_t past_us = now_us - f->fresh_us, permille, part;

    if (past_us < w->span_us / REFRESH_SHARE)
        return false;
    f->fresh_us = now_us;
    permille = past_us < w->span_us / 2 ? past_us * 2000 / w->span_us : 1000;
    part = confirmed / 1000 * permille + confirmed % 1000 * permille / 1000;
    if (part <= 0)
        return false;
    take_oldest(f, w, part);
    add_piece(f, w, now_us, part);
    return true;
}

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* What a reading says of the time to come: others grow as they did since they had nothing, up to a span of it. */
static void expect(struct foreign *f, const struct window *w, const struct foreign_reading *r, int64_t low, int64_t high,
                   int64_t now_us)
{
    int64_t least = r->max / NOTED_SHARE, past_us = now_us - f->none_us, shortest_us = w->span_us / SHORTEST_SHARE;

    f->read_us = now_us;
    if (high <= least) {
        f->none_us = r->sent_us;
        f->expected = 0;
        return;
    }
    if (low <= least)
        return;
    f->noted_us = now_us;
    if (past_us < shortest_us)
        past_us = shortest_us;
    f->expected = past_us < w->span_us ? (int64_t)((wide)low * w->span_us / past_us) : low;
    if (f->expected > r->max)
        f->expected = r->max;
}

static struct foreign *foreign_new(int64_t none_us)
{
    struct foreign *f = xcalloc(1, sizeof *f);

    f->sent_us = INT64_MIN;
    f->none_us = none_us;
    return f;
}

bool foreign_observe(struct foreign **pf, struct window *w, const struct foreign_reading *r, int64_t now_us)
{
    int64_t gone = r->max - r->remaining, amount;
    int64_t low = gone - r->rounding - r->ours_most, high = gone + r->rounding - r->ours_least;
    struct foreign *f = *pf;
    bool old, changed;

    MG_ASSERT(low <= high);
    if (!f)
        f = *pf = foreign_new(r->sent_us);
    forget_left(f, w);
    old = r->sent_us < f->sent_us;
    if (old && high - low > f->width)
        return false;
    changed = hear(f, r);
    amount = foreign_amount(f, w);
    if (low > amount) {
        if (amount == 0)
            f->fresh_us = now_us;
        add_piece(f, w, now_us, low - amount);
        changed = true;
    } else if (high < amount && !old) {
        take_oldest(f, w, amount - (high > 0 ? high : 0));
        changed = true;
    }
    if (old)
        return changed;
    changed |= f->expected > amount;
    changed |= refresh(f, w, now_us, smaller(low, foreign_amount(f, w)));
    expect(f, w, r, low, high, now_us);
    f->sent_us = r->sent_us;
    f->width = high - low;
    return changed;
}
