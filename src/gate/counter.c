/* counter: reads charges, and changes windows through foreign_observe alone. */
#include "metergate/gate/counter.h"

#include "metergate/base/clock.h"
#include "metergate/gate/foreign.h"

bool counter_is_long(const struct counter *c)
{
    return c->span_us > 0 ? c->span_us > COUNTER_LONG_US : c->reset_us > COUNTER_LONG_US;
}

static int64_t distance(int64_t a, int64_t b)
{
    return a > b ? a - b : b - a;
}

/* Whether limit a is the better guess for it than b. */
static bool is_nearer(const struct counter *c, const struct limit *a, const struct limit *b)
{
    if (c->span_us > 0)
        return distance(a->span_us, c->span_us) < distance(b->span_us, c->span_us);
    if ((a->max == c->limit) != (b->max == c->limit))
        return a->max == c->limit;
    if ((a->span_us >= CLOCK_S) != (b->span_us >= CLOCK_S))
        return a->span_us >= CLOCK_S;
    return a->span_us < b->span_us;
}

/* Without a span and a telling reset, the size of a limit may tell that a counter is one of a day. */
static bool is_of_kind(const struct counter *c, const struct limit *l)
{
    if ((l->span_us > COUNTER_LONG_US) == counter_is_long(c))
        return true;
    return c->span_us == 0 && c->limit > 0 && l->max == c->limit && c->reset_us <= l->span_us;
}

int counter_limit(const struct budget *b, const struct counter *c)
{
    int best = -1;

    for (size_t i = 0; i < b->limit_count; i++) {
        const struct limit *l = &b->limits[i].limit;

        if (l->metric == METRIC_CONCURRENT || l->metric != c->metric || !is_of_kind(c, l))
            continue;
        if (best < 0 || is_nearer(c, l, &b->limits[best].limit))
            best = (int)i;
    }
    return best;
}

static const struct charge *charge_in(const struct counter_source *from, const struct budget *b,
                                      const struct budget_limit *l)
{
    for (size_t i = 0; i < from->charge_count; i++) {
        if (from->charges[i].budget == b && from->charges[i].limit_id == l->id)
            return &from->charges[i];
    }
    return NULL;
}

/*
 * What the provider may have had of ours when it counted: some time after the attempt was let go, when others that had
 * been let go with it may have been on their way still. (That it was sent is known only later, sometimes with the
 * answer.) A limit that is younger than the attempt knows only now.
 */
static void read_ours(const struct budget_limit *l, const struct charge *ch, bool refused,
                      struct foreign_reading *r)
{
    int64_t now = budget_ours(l), then = ch && ch->timed_us ? ch->ours_then : now, own = 0;

    r->ours_least = now < then ? now : then;
    if (ch && ch->timed_us && ch->ours_before + ch->on_arrival < r->ours_least)
        r->ours_least = ch->ours_before + ch->on_arrival;
    r->ours_most = (now > then ? now : then) + l->sending;
    if (refused && ch && ch->timed && window_holds(&l->window, ch->handle))
        own = ch->on_arrival;
    r->ours_least = r->ours_least > own ? r->ours_least - own : 0;
    if (l->limit.metric != METRIC_REQUESTS) /* whether a refused one counts as a request, providers do not say */
        r->ours_most = r->ours_most > own ? r->ours_most - own : 0;
}

static bool correct(struct budget *b, struct budget_limit *l, const struct counter_source *from,
                    const struct counter *c, int64_t now_us)
{
    const struct charge *ch = charge_in(from, b, l);
    struct foreign_reading r = {
        .max = l->limit.max,
        .remaining = c->remaining,
        .rounding = c->rounding,
        .sent_us = ch && ch->timed_us ? ch->timed_us : now_us,
        .mark = ch ? ch->mark : 0,
        .charged = ch && ch->timed && !from->refused ? ch->least : 0,
        .opened_us = ch ? ch->opened_us : now_us,
        .debt_then = ch ? ch->debt_then : 0,
        .refused = from->refused,
    };

    window_advance(&l->window, now_us);
    read_ours(l, ch, from->refused, &r);
    return foreign_observe(&l->foreign, &l->window, &r, now_us);
}

static bool is_sane(const struct counter *c)
{
    return c->remaining >= 0 && c->remaining <= PROFILE_AMOUNT_MAX && c->rounding >= 0 &&
           c->rounding <= PROFILE_AMOUNT_MAX;
}

bool counter_correct(struct budget *b, const struct counter_source *from, const struct counter *v, size_t n,
                     int64_t now_us)
{
    const struct counter *tightest[BUDGET_LIMITS_MAX] = {NULL};
    bool changed = false;

    for (size_t i = 0; i < n; i++) {
        int at = is_sane(&v[i]) ? counter_limit(b, &v[i]) : -1;

        if (at < 0 || b->limits[at].limit.max > PROFILE_AMOUNT_MAX) /* one that large holds nobody back */
            continue;
        if (!tightest[at] || v[i].remaining < tightest[at]->remaining)
            tightest[at] = &v[i];
    }
    for (size_t i = 0; i < b->limit_count; i++) {
        if (tightest[i])
            changed |= correct(b, &b->limits[i], from, tightest[i], now_us);
    }
    return changed;
}
