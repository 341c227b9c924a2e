/*
 * budget: every charge of an open attempt is either wholly in `reserved`, or its arrival part has an entry in
 * the window and its end part is in `reserved`; charge_close takes out of `reserved` exactly what budget_open
 * put in. Charges find their limit by its id, because limits come and go (budget_update) while attempts are
 * open.
 */
#include "metergate/gate/budget.h"

#include <stdlib.h>
#include <string.h>

#include "metergate/base/clock.h"
#include "metergate/base/err.h"
#include "metergate/gate/foreign.h"

/* How long a call may be on its way to the provider, and its charge without a time. */
#define SENDING_US (60 * CLOCK_S)

static bool has_window(const struct budget_limit *l)
{
    return l->limit.metric != METRIC_CONCURRENT;
}

static void limit_init(struct budget *b, struct budget_limit *l, const struct limit *limit)
{
    *l = (struct budget_limit){.limit = *limit, .id = b->next_id++};
    MG_ASSERT(limit->max > 0);
    if (has_window(l))
        window_init(&l->window, limit->span_us);
    else
        l->in_flight = b->in_flight;
}

struct budget *budget_new(const char *name, int headroom_permille, const struct limit *limits, size_t n)
{
    struct budget *b = xcalloc(1, sizeof *b);

    MG_ASSERT(n <= BUDGET_LIMITS_MAX && headroom_permille >= 0 && headroom_permille < 1000);
    b->name = xstrdup(name);
    b->headroom_permille = headroom_permille;
    b->limit_count = n;
    for (size_t i = 0; i < n; i++)
        limit_init(b, &b->limits[i], &limits[i]);
    line_init(&b->line);
    heap_init(&b->blocked);
    list_init(&b->freed);
    list_init(&b->changed);
    list_init(&b->busy);
    list_init(&b->mixed);
    list_init(&b->link);
    return b;
}

static void limit_release(struct budget_limit *l)
{
    if (has_window(l))
        window_release(&l->window);
    foreign_free(l->foreign);
}

void budget_free(struct budget *b)
{
    if (!b)
        return;
    for (size_t i = 0; i < b->limit_count; i++)
        limit_release(&b->limits[i]);
    line_release(&b->line);
    polite_release(&b->polite);
    heap_release(&b->blocked);
    list_unlink(&b->freed);
    list_unlink(&b->changed);
    list_unlink(&b->busy);
    list_unlink(&b->mixed);
    list_unlink(&b->link);
    free(b->name);
    free(b);
}

static bool same_window(const struct limit *a, const struct limit *b)
{
    return a->metric == b->metric && (a->metric == METRIC_CONCURRENT || a->span_us == b->span_us);
}

static bool same_key(const struct limit *a, const struct limit *b)
{
    return a->metric == b->metric && a->key && b->key && strcmp(a->key, b->key) == 0;
}

/* Which of the old limits limits[i] goes on from: one of its window, else one of its key that no other has
 * the window of. */
static size_t find_old(const struct budget_limit *old, size_t old_count, const struct limit *limits, size_t n,
                       size_t i)
{
    for (size_t j = 0; j < old_count; j++) {
        if (same_window(&old[j].limit, &limits[i]))
            return j;
    }
    for (size_t j = 0; j < old_count; j++) {
        size_t k = 0;

        while (k < n && !same_window(&old[j].limit, &limits[k]))
            k++;
        if (k == n && same_key(&old[j].limit, &limits[i]))
            return j;
    }
    return old_count;
}

/* `was` goes on as `now`; the requests that a smooth limit keeps apart are so by its new distance from the
 * last one on. */
static void limit_go_on(struct budget *b, struct budget_limit *l, const struct budget_limit *was,
                        const struct limit *now, int64_t old_spacing_us)
{
    *l = *was;
    l->limit = *now;
    l->learned = l->unsure = false;
    if (has_window(l))
        window_set_span(&l->window, now->span_us);
    if (l->next_us > 0)
        l->next_us += budget_spacing_us(b, l) - old_spacing_us;
}

void budget_update(struct budget *b, int headroom_permille, const struct limit *limits, size_t n)
{
    struct budget_limit old[BUDGET_LIMITS_MAX];
    int64_t spacing_us[BUDGET_LIMITS_MAX] = {0};
    size_t old_count = b->limit_count;

    MG_ASSERT(n <= BUDGET_LIMITS_MAX && headroom_permille >= 0 && headroom_permille < 1000);
    memcpy(old, b->limits, sizeof old);
    for (size_t j = 0; j < old_count; j++)
        spacing_us[j] = budget_spacing_us(b, &old[j]);
    b->headroom_permille = headroom_permille;
    b->limit_count = n;
    for (size_t i = 0; i < n; i++) {
        size_t j = find_old(old, old_count, limits, n, i);

        if (j == old_count) {
            limit_init(b, &b->limits[i], &limits[i]);
            continue;
        }
        limit_go_on(b, &b->limits[i], &old[j], &limits[i], spacing_us[j]);
        old_count--; /* its window has moved */
        old[j] = old[old_count];
        spacing_us[j] = spacing_us[old_count];
    }
    for (size_t j = 0; j < old_count; j++)
        limit_release(&old[j]);
}

void budget_limit_calls(struct budget *b, size_t i, int64_t max)
{
    MG_ASSERT(i < b->limit_count && b->limits[i].limit.metric == METRIC_CONCURRENT && max > 0);
    b->limits[i].limit.max = max;
}

void budget_limit_source(struct budget *b, size_t i, bool learned, bool unsure)
{
    MG_ASSERT(i < b->limit_count);
    b->limits[i].learned = learned;
    b->limits[i].unsure = unsure;
}

bool budget_has_limits(const struct budget *b, int headroom_permille, const struct limit *limits, size_t n)
{
    if (b->headroom_permille != headroom_permille || b->limit_count != n)
        return false;
    for (size_t i = 0; i < n; i++) {
        const struct limit *l = &b->limits[i].limit;

        if (!same_window(l, &limits[i]) || l->max != limits[i].max || l->smooth != limits[i].smooth ||
            l->key != limits[i].key)
            return false;
    }
    return true;
}

bool budget_is_forgettable(struct budget *b, int64_t now_us)
{
    budget_advance(b, now_us);
    for (size_t i = 0; i < b->limit_count; i++) {
        if (has_window(&b->limits[i]) && b->limits[i].window.used + b->limits[i].window.reserved > 0)
            return false;
    }
    return b->line.n == 0 && b->in_flight == 0 && b->paused_until_us <= now_us;
}

struct budget *budget_copy(const struct budget *b, int64_t now_us)
{
    struct budget *copy = budget_new(b->name, b->headroom_permille, NULL, 0);

    copy->paused_until_us = budget_paused_until_us(b);
    polite_copy(&copy->polite, &b->polite);
    copy->limit_count = b->limit_count;
    copy->next_id = b->next_id;
    for (size_t i = 0; i < b->limit_count; i++) {
        struct budget_limit *l = &copy->limits[i];
        int64_t permille;

        *l = b->limits[i];
        l->in_flight = l->sending = 0;
        l->foreign = NULL; /* what is somebody else's counts in the copy like the rest */
        if (!has_window(l))
            continue;
        window_copy(&l->window, &b->limits[i].window);
        window_advance(&l->window, now_us);
        permille = budget_likely_permille(b, l->limit.metric);
        window_settle_all(&l->window, permille);
        window_stamp(&l->window, now_us, window_part(l->window.reserved, permille));
        window_reserve(&l->window, -l->window.reserved);
    }
    copy->settled = b->settled;
    return copy;
}

int64_t budget_ours(const struct budget_limit *l)
{
    return l->window.used - foreign_amount(l->foreign, &l->window);
}

int64_t budget_usable(const struct budget *b, const struct budget_limit *l)
{
    int64_t max = l->limit.max, usable;

    if (l->limit.metric == METRIC_CONCURRENT ||
        (l->limit.metric == METRIC_REQUESTS && l->limit.span_us >= BUDGET_DAY_US))
        return max;
    usable = window_part(max, 1000 - b->headroom_permille);
    return usable > 0 ? usable : 1;
}

struct limit_figures budget_figures(const struct budget *b, const struct budget_limit *l)
{
    struct limit_figures f = {.max = l->limit.max, .usable = budget_usable(b, l)};

    f.used = has_window(l) ? l->window.used - l->window.open : 0;
    f.reserved = has_window(l) ? l->window.reserved + l->window.open : l->in_flight;
    return f;
}

bool budget_is_common(const struct budget *b, const struct budget *what)
{
    size_t k = 0;

    while (k < b->common_count && b->common[k] != what)
        k++;
    return k < b->common_count;
}

int64_t budget_free_places(const struct budget *b)
{
    int64_t least = INT64_MAX;

    for (size_t i = 0; i < b->limit_count; i++) {
        int64_t places = b->limits[i].limit.max - b->limits[i].in_flight;

        if (!has_window(&b->limits[i]) && places < least)
            least = places;
    }
    return least;
}

void budget_advance(struct budget *b, int64_t now_us)
{
    for (size_t i = 0; i < b->limit_count; i++) {
        if (has_window(&b->limits[i]))
            window_advance(&b->limits[i].window, now_us);
    }
}

void budget_need(const struct budget_limit *l, const struct cost *c, int64_t *ret_on_arrival,
                 int64_t *ret_at_end)
{
    int64_t max = l->limit.max, arrival = c->on_arrival[l->limit.metric], end = c->at_end[l->limit.metric];

    if (!has_window(l)) {
        *ret_on_arrival = 1;
        *ret_at_end = 0;
        return;
    }
    *ret_on_arrival = arrival < max ? arrival : max;
    *ret_at_end = end < max - *ret_on_arrival ? end : max - *ret_on_arrival;
}

int64_t budget_need_total(const struct budget_limit *l, const struct cost *c)
{
    int64_t arrival, end;

    budget_need(l, c, &arrival, &end);
    return arrival + end;
}

int64_t budget_ceiling(const struct budget *b, const struct budget_limit *l, int64_t need)
{
    int64_t usable = budget_usable(b, l);

    return need > usable ? l->limit.max : usable;
}

/* What others are expected to take meanwhile: all but one call may have to wait for it. */
static int64_t room_for_others(const struct budget *b, const struct budget_limit *l, int64_t need,
                               int64_t now_us)
{
    int64_t expected = foreign_expected(l->foreign, &l->window, now_us), most = budget_usable(b, l) - need;

    return most <= 0 ? 0 : expected < most ? expected : most;
}

static int64_t limit_earliest(const struct budget *b, const struct budget_limit *l, const struct cost *c,
                              int64_t now_us)
{
    int64_t need = budget_need_total(l, c), t, unheard_us;

    if (need == 0)
        return now_us;
    if (!has_window(l))
        return l->in_flight + need <= l->limit.max ? now_us : CLOCK_NEVER;
    t = window_earliest(&l->window, now_us,
                        budget_ceiling(b, l, need) - need - room_for_others(b, l, need, now_us));
    unheard_us = foreign_earliest(l->foreign, &l->window, budget_usable(b, l), need, now_us);
    if (unheard_us > t)
        t = unheard_us;
    return l->limit.smooth && l->next_us > t ? l->next_us : t;
}

int64_t budget_paused_until_us(const struct budget *b)
{
    bool awaits = b->probing && !b->probe_is_out && b->probe_us > b->paused_until_us;

    return awaits ? b->probe_us : b->paused_until_us;
}

int64_t budget_earliest(const struct budget *b, const struct cost *c, int64_t now_us,
                        const struct budget_limit **ret_limit)
{
    int64_t t = b->paused_until_us > now_us ? b->paused_until_us : now_us;

    if (b->probing && b->probe_us > t)
        t = b->probe_us;
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

int64_t budget_spacing_us(const struct budget *b, const struct budget_limit *l)
{
    return l->limit.smooth ? l->limit.span_us / budget_usable(b, l) : 0;
}

int64_t budget_stay_us(const struct budget_limit *l)
{
    return SENDING_US + l->limit.span_us;
}

static bool limit_has_room_for_both(const struct budget *b, const struct budget_limit *l,
                                    const struct cost *first, int64_t head_us, const struct cost *second,
                                    int64_t at_us)
{
    int64_t need = budget_need_total(l, first), arrival, end;

    budget_need(l, second, &arrival, &end);
    if (need == 0 || arrival + end == 0)
        return true;
    if (!has_window(l))
        return l->in_flight + need + arrival <= l->limit.max;
    if (head_us == CLOCK_NEVER)
        head_us = at_us;
    if (at_us + budget_spacing_us(b, l) > head_us)
        return false;
    if (at_us + budget_stay_us(l) <= head_us)
        arrival = 0;
    return arrival + end == 0 ||
           window_sum_at(&l->window, head_us) + need + arrival + end <= budget_ceiling(b, l, need);
}

bool budget_has_room_for_both(const struct budget *b, const struct cost *first, int64_t head_us,
                              const struct cost *second, int64_t at_us)
{
    for (size_t i = 0; i < b->limit_count; i++) {
        if (!limit_has_room_for_both(b, &b->limits[i], first, head_us, second, at_us))
            return false;
    }
    return true;
}

/* ---- what an earlier run charged ---- */

void budget_restore(struct budget *b, int64_t at_us, const int64_t amount[METRICS])
{
    for (size_t i = 0; i < b->limit_count; i++) {
        struct budget_limit *l = &b->limits[i];
        int64_t n = amount[l->limit.metric];

        if (!has_window(l) || n <= 0)
            continue;
        window_advance(&l->window, at_us); /* else what has long left would use up the exact entries */
        window_stamp(&l->window, at_us, n < PROFILE_AMOUNT_MAX ? n : PROFILE_AMOUNT_MAX);
        if (l->limit.smooth && at_us + budget_spacing_us(b, l) > l->next_us)
            l->next_us = at_us + budget_spacing_us(b, l);
    }
}

/* ---- charges ---- */

void budget_open(struct budget *b, const struct cost *c, int64_t now_us, struct charge *ret_charges)
{
    for (size_t i = 0; i < b->limit_count; i++) {
        struct budget_limit *l = &b->limits[i];
        struct charge *ch = &ret_charges[i];

        *ch = (struct charge){.budget = b, .limit_id = l->id};
        budget_need(l, c, &ch->on_arrival, &ch->at_end);
        ch->least = c->floor[l->limit.metric] < ch->on_arrival ? c->floor[l->limit.metric] : ch->on_arrival;
        if (!has_window(l)) {
            l->in_flight++;
            continue;
        }
        window_reserve(&l->window, ch->on_arrival + ch->at_end);
        l->sending += ch->on_arrival;
        ch->opened_us = now_us;
        ch->ours_before = budget_ours(l);
        ch->debt_then = foreign_debt(l->foreign, &l->window, l->limit.max, now_us);
        ch->mark = foreign_sent(l->foreign, ch->on_arrival + ch->at_end, now_us);
        if (l->limit.smooth)
            l->next_us = now_us + budget_spacing_us(b, l);
    }
    if (b->probing) {
        b->probe_is_out = true;
        b->probe_us = now_us + b->patience_us;
    }
    b->in_flight++;
}

/* NULL: concurrency, which has nothing to correct, or a limit that is no more. */
static struct window *window_of(const struct charge *ch)
{
    struct budget *b = ch->budget;

    for (size_t i = 0; i < b->limit_count; i++) {
        if (b->limits[i].id == ch->limit_id)
            return has_window(&b->limits[i]) ? &b->limits[i].window : NULL;
    }
    return NULL;
}

static struct budget_limit *limit_of(struct window *w)
{
    return MG_CONTAINER(w, struct budget_limit, window);
}

void charge_time(struct charge *ch, int64_t now_us)
{
    struct window *w = window_of(ch);

    if (!w)
        return;
    window_advance(w, now_us);
    if (ch->on_arrival > 0) {
        ch->timed = true;
        limit_of(w)->sending -= ch->on_arrival;
        window_reserve(w, -ch->on_arrival);
        ch->handle = window_stamp_open(w, now_us, ch->on_arrival);
    }
    ch->timed_us = now_us;
    ch->ours_then = budget_ours(limit_of(w));
}

void charge_produce(struct charge *ch, int64_t tokens, int64_t now_us)
{
    int64_t reserved = tokens < ch->at_end ? tokens : ch->at_end;
    struct window *w = window_of(ch);
    enum metric m;

    if (!w)
        return;
    m = limit_of(w)->limit.metric;
    if (m != METRIC_TOKENS && m != METRIC_OUTPUT)
        return;
    window_advance(w, now_us);
    window_reserve(w, -reserved);
    ch->at_end -= reserved;
    ch->produced += tokens;
    window_stamp(w, now_us, tokens);
}

void charge_leave(struct charge *ch, int64_t now_us)
{
    struct window *w = window_of(ch);

    if (!w)
        return;
    if (!ch->timed)
        charge_time(ch, now_us);
    if (ch->at_end == 0)
        return;
    ch->ended = true;
    window_advance(w, now_us);
    window_reserve(w, -ch->at_end);
    ch->end_handle = window_stamp_open(w, now_us, ch->at_end);
}

void charge_close(struct charge *ch, const struct cost *final, int64_t now_us)
{
    struct window *w = window_of(ch);
    int64_t arrival, end;
    enum metric m;

    if (!w)
        return;
    m = limit_of(w)->limit.metric;
    arrival = final ? final->on_arrival[m] : ch->on_arrival;
    end = !final ? ch->at_end : final->at_end[m] > ch->produced ? final->at_end[m] - ch->produced : 0;
    window_advance(w, now_us);
    if (ch->ended) {
        window_settle(w, ch->end_handle, ch->at_end, end);
        end = 0;
    } else {
        window_reserve(w, -ch->at_end);
    }
    if (ch->timed) {
        window_settle(w, ch->handle, ch->on_arrival, arrival);
        if (final && m == METRIC_TOKENS && limit_of(w)->foreign && final->kept > arrival)
            foreign_keep(limit_of(w)->foreign, w, ch->handle, ch->timed_us, now_us,
                         (final->kept < ch->on_arrival ? final->kept : ch->on_arrival) - arrival);
    } else { /* never sent, or nothing was expected on arrival: what it cost counts from now, late and not
                early */
        limit_of(w)->sending -= ch->on_arrival;
        window_reserve(w, -ch->on_arrival);
        end += arrival;
    }
    if (end > 0)
        window_stamp(w, now_us, end);
}

/* ---- what reservations were worth ---- */

/* Of so many attempts about the last ones count. */
#define SETTLED_FADES 16

/* More than four times of what was reserved is not expected of the next, and it takes something. */
#define LIKELY_MOST 4000

static bool is_of_tokens(enum metric m)
{
    return m == METRIC_TOKENS || m == METRIC_INPUT || m == METRIC_OUTPUT;
}

/* Where the provider is known to keep what it charged on arrival, that is what was taken. */
static int64_t taken_of(const struct budget *b, const struct cost *reserved, const struct cost *final, enum metric m)
{
    int64_t taken = cost_total(final, m);

    for (size_t i = 0; m == METRIC_TOKENS && i < b->limit_count; i++) {
        if (b->limits[i].limit.metric == m && b->limits[i].foreign && final->kept > taken)
            taken = final->kept < cost_total(reserved, m) ? final->kept : cost_total(reserved, m);
    }
    return taken;
}

static void fade(int64_t *sum, int64_t more)
{
    *sum += more - *sum / SETTLED_FADES;
}

void budget_remember(struct budget *b, const struct cost *reserved, const struct cost *final, int64_t lasted_us)
{
    struct budget_settled *s = &b->settled;

    if (cost_total(final, METRIC_TOKENS) == 0) /* refused, or counted by requests alone */
        return;
    for (int i = 0; i < METRICS; i++) {
        enum metric m = (enum metric)i;

        if (!is_of_tokens(m))
            continue;
        fade(&s->reserved[m], cost_total(reserved, m));
        fade(&s->taken[m], taken_of(b, reserved, final, m));
    }
    fade(&s->attempts_ppm, 1000000);
    fade(&s->lasted_us, lasted_us < BUDGET_DAY_US ? lasted_us : BUDGET_DAY_US);
}

int64_t budget_likely_permille(const struct budget *b, enum metric m)
{
    int64_t reserved = b->settled.reserved[m], taken = b->settled.taken[m], permille;

    if (reserved <= 0)
        return 1000;
    permille = taken >= reserved * (LIKELY_MOST / 1000) ? LIKELY_MOST : taken * 1000 / reserved;
    return permille < 1 ? 1 : permille;
}

int64_t budget_likely_us(const struct budget *b)
{
    return b->settled.attempts_ppm > 0 ? b->settled.lasted_us * 1000000 / b->settled.attempts_ppm : 0;
}

void budget_leave(struct budget *b)
{
    MG_ASSERT(b->in_flight > 0);
    b->in_flight--;
    for (size_t i = 0; i < b->limit_count; i++) {
        if (b->in_flight == 0)
            foreign_quiet(b->limits[i].foreign);
        if (has_window(&b->limits[i]))
            continue;
        b->limits[i].in_flight--;
        MG_ASSERT(b->limits[i].in_flight >= 0);
    }
}
