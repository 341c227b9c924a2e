/*
 * foreign: `theirs` and `kept` lie in the window beside the charges of calls (pieces.h). A reading is of the
 * moment at which the provider had the request: what was kept of a charge only later was in that charge then,
 * so the reading says nothing of it.
 *
 * Whether what was kept is there, our own sum cannot tell: a counter that refills all the time is below it
 * anyway. But `debt` is the least that a counter can stand at that keeps everything: what the calls that were
 * heard of were charged, refilled all the time. One that stands lower has given something back.
 */
#include "metergate/gate/foreign.h"

#include <stdlib.h>

#include "metergate/base/err.h"
#include "metergate/gate/pieces.h"

enum {
    REFRESH_SHARE = 50,  /* of a span: no need to move anything more often */
    NOTED_SHARE = 200,   /* of the limit: less may be a difference in counting */
    SHORTEST_SHARE = 64, /* of a span: how fast they grow in less cannot be told */
    ABOUT_SPANS = 10,    /* so long after they were noted others are about */
    BACK_SHARE = 50,     /* of the limit: so much below what it must have is no difference in counting */
    BACK_READINGS = 3,
    UNHEARD_SHARE = 16 /* of what is usable, on its way at a time while they are */
};

struct foreign {
    struct pieces theirs;
    struct pieces kept;
    int64_t debt, debt_us;  /* see above; at that moment */
    int seen_back;          /* readings that showed that something was given back */
    int64_t sent_us, width; /* of the last reading that was taken */
    int64_t fresh_us;       /* when what was confirmed was made young */
    int64_t noted_us;       /* when others' use was last worth noting; 0: never */
    int64_t none_us;        /* when they were last known to have had nothing, or when we began to look */
    int64_t read_us;        /* when the last reading was taken, */
    int64_t expected;       /* by which they will have so much a span later */
    int64_t sent, heard;    /* all that was ever sent, and of it up to the newest call that was heard of */
    int64_t since_us;       /* the provider had that one then; all was heard of: the next was sent then */
};

int64_t foreign_amount(const struct foreign *f, const struct window *w)
{
    return f ? pieces_sum(&f->theirs, w) + pieces_sum(&f->kept, w) : 0;
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
    amount = pieces_sum(&f->theirs, w);
    past_us = now_us - f->read_us < w->span_us ? now_us - f->read_us : w->span_us;
    return f->expected > amount ? (int64_t)((wide)(f->expected - amount) * past_us / w->span_us) : 0;
}

int64_t foreign_earliest(const struct foreign *f, const struct window *w, int64_t usable, int64_t need,
                         int64_t now_us)
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

static int64_t refilled(const struct window *w, int64_t max, int64_t us)
{
    return us < w->span_us ? (int64_t)((wide)max * us / w->span_us) : max;
}

static int64_t less(int64_t amount, int64_t by)
{
    return amount > by ? amount - by : 0;
}

int64_t foreign_debt(const struct foreign *f, const struct window *w, int64_t max, int64_t now_us)
{
    return f ? less(f->debt, refilled(w, max, now_us - f->debt_us)) : 0;
}

/* The provider is known to have charged so much at sent_us or later. */
static void owe(struct foreign *f, const struct window *w, const struct foreign_reading *r, int64_t now_us)
{
    f->debt = foreign_debt(f, w, r->max, now_us) + less(r->charged, refilled(w, r->max, now_us - r->sent_us));
    f->debt_us = now_us;
}

void foreign_keep(struct foreign *f, struct window *w, uint64_t handle, int64_t at_us, int64_t now_us,
                  int64_t amount)
{
    if (f->seen_back < BACK_READINGS && window_holds(w, handle))
        pieces_add_to(&f->kept, w, handle, at_us, now_us, amount);
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
    pieces_add(&f->theirs, w, now_us, pieces_take(&f->theirs, w, INT64_MAX, part));
    return true;
}

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* What a reading says of the time to come: others grow as they did since they had nothing, up to a span of
 * it. */
static void expect(struct foreign *f, const struct window *w, const struct foreign_reading *r, int64_t low,
                   int64_t high, int64_t now_us)
{
    int64_t least = r->max / NOTED_SHARE, past_us = now_us - f->none_us,
            shortest_us = w->span_us / SHORTEST_SHARE;

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

/* Whether the provider gives back what was charged too much: some readings in a row, until it refuses us. */
static void look_for_back(struct foreign *f, struct window *w, const struct foreign_reading *r)
{
    /* when it had the request is not known to the millisecond: after it was let go, and not after it was sent
     */
    int64_t least = less(r->debt_then, refilled(w, r->max, r->sent_us - r->opened_us));

    if (r->refused)
        f->seen_back = 0;
    else if (r->max - r->remaining + r->rounding < least - r->max / BACK_SHARE)
        f->seen_back += f->seen_back < BACK_READINGS;
    if (f->seen_back == BACK_READINGS)
        pieces_take(&f->kept, w, INT64_MAX, INT64_MAX);
}

bool foreign_observe(struct foreign **pf, struct window *w, const struct foreign_reading *r, int64_t now_us)
{
    int64_t gone = r->max - r->remaining, kept, theirs;
    int64_t low = gone - r->rounding - r->ours_most, high = gone + r->rounding - r->ours_least;
    struct foreign *f = *pf;
    bool old, changed;

    MG_ASSERT(low <= high);
    if (!f)
        f = *pf = foreign_new(r->sent_us);
    old = r->sent_us < f->sent_us;
    if (old && high - low > f->width)
        return false;
    changed = hear(f, r);
    if (!old)
        look_for_back(f, w, r);
    owe(f, w, r, now_us);
    kept = pieces_sum_before(&f->kept, w, r->sent_us);
    theirs = pieces_sum(&f->theirs, w);
    if (low > kept + theirs) {
        if (theirs == 0)
            f->fresh_us = now_us;
        pieces_add(&f->theirs, w, now_us, low - kept - theirs);
        changed = true;
    } else if (high < kept + theirs && !old) {
        changed |= pieces_take(&f->theirs, w, INT64_MAX, kept + theirs - (high > 0 ? high : 0)) > 0;
    }
    if (old)
        return changed;
    changed |= f->expected > theirs;
    theirs = pieces_sum(&f->theirs, w);
    changed |= refresh(f, w, now_us, smaller(low - kept, theirs));
    expect(f, w, r, low - kept, high - kept, now_us);
    f->sent_us = r->sent_us;
    f->width = high - low;
    return changed;
}
