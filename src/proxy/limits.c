/* limits: a known limit has a source exactly when its max is above 0. */
#include "metergate/proxy/limits.h"

#include <string.h>

#include "metergate/base/clock.h"
#include "metergate/gate/counter.h"

/* How often a span that only follows from the figures must be told alike to be believed. */
#define INFERRED_TIMES 3

enum kind { SHORT, LONG };

static const char *const keys[METRIC_CONCURRENT][LIMITS_KINDS] = {
    [METRIC_REQUESTS] = {"rpm", "rpd"},
    [METRIC_TOKENS] = {"tpm", "tpd"},
    [METRIC_INPUT] = {"itpm", "itpd"},
    [METRIC_OUTPUT] = {"otpm", "otpd"},
};

static const char *const sources[LIMIT_SOURCES] = {"", "guess", "sentence", "header"};

static const int64_t usual_span_us[LIMITS_KINDS] = {60 * CLOCK_S, BUDGET_DAY_US};

static enum kind kind_of(int64_t span_us)
{
    return span_us > COUNTER_LONG_US ? LONG : SHORT;
}

/* ---- the budget's limits ---- */

/* Nothing is known, or it may not be true any more. */
static bool is_awaited(const struct limits *l)
{
    for (int m = 0; m < METRIC_CONCURRENT; m++) {
        if (l->known[m][SHORT].max > 0 && !l->known[m][SHORT].is_old)
            return false;
    }
    return true;
}

bool limits_are_awaited(const struct limits *l)
{
    return !l->calls_ended && is_awaited(l);
}

int64_t limits_calls(const struct limits *l)
{
    return l->calls > 0 ? l->calls : LIMITS_FIRST_CALLS;
}

static bool is_sure(const struct known_limit *k)
{
    return k->source == LIMIT_BY_HEADER && !k->is_old;
}

/* Another span than the operator's says nothing of his number, unless nobody said which it is. */
static bool may_lower(const struct known_limit *k, const struct limit *given)
{
    return is_sure(k) && k->max < given->max &&
           (k->span_us == 0 || k->span_us == given->span_us);
}

static void push(struct worked_out *w, const struct limit *limit, bool learned, bool unsure)
{
    w->learned[w->n] = learned;
    w->unsure[w->n] = unsure;
    w->v[w->n++] = *limit;
}

static void push_given(const struct known_limit *k, const struct limit *given, bool learn, struct worked_out *w)
{
    struct limit limit = *given;

    if (k->max == 0 || !(learn || may_lower(k, given))) {
        push(w, given, false, false);
        return;
    }
    limit.max = k->max;
    push(w, &limit, k->max != given->max, !is_sure(k));
}

/* Those of no number of the operator's. What is known of none is remembered in windows of the two usual ones. */
static void push_others(const struct limits *l, bool (*has)[LIMITS_KINDS], bool numbers, struct worked_out *w)
{
    for (int m = 0; m < METRIC_CONCURRENT; m++) {
        for (int kind = 0; kind < LIMITS_KINDS; kind++) {
            const struct known_limit *k = &l->known[m][kind];
            bool is_usual = kind == SHORT && (m == METRIC_REQUESTS || m == METRIC_TOKENS);
            const struct limit limit = {
                .metric = (enum metric)m,
                .max = k->max > 0 ? k->max : LIMITS_UNKNOWN,
                .span_us = k->span_us > 0 ? k->span_us : usual_span_us[kind],
                .key = keys[m][kind],
            };

            if (!has[m][kind] && (k->max > 0 || (is_usual && !numbers)))
                push(w, &limit, k->max > 0, !is_sure(k));
        }
    }
}

void limits_work_out(const struct limits *l, const struct given_limits *given, struct worked_out *ret)
{
    bool has[METRIC_CONCURRENT][LIMITS_KINDS] = {{false}}, numbers = false;

    ret->n = 0;
    for (size_t i = 0; i < given->n; i++) {
        const struct limit *g = &given->v[i];

        if (!l || g->metric == METRIC_CONCURRENT) {
            push(ret, g, false, false);
            continue;
        }
        numbers = true;
        has[g->metric][kind_of(g->span_us)] = true;
        push_given(&l->known[g->metric][kind_of(g->span_us)], g, given->learn, ret);
    }
    if (!l || !given->learn)
        return;
    push_others(l, has, numbers, ret);
    if (limits_are_awaited(l))
        push(ret,
             &(struct limit){.metric = METRIC_CONCURRENT, .max = limits_calls(l), .key = LIMITS_LEARNING}, false,
             false);
}

/* ---- what answers teach ---- */

static int64_t day_of(int64_t wall_s)
{
    return wall_s / 86400;
}

static unsigned know(struct known_limit *k, int64_t max, int64_t span_us, enum limit_source source, int64_t wall_s)
{
    bool same = k->max == max && k->source == source && k->span_us == span_us && !k->is_old;
    unsigned kept = same && day_of(k->said_s) == day_of(wall_s) ? 0 : LIMITS_TO_KEEP;

    k->max = max;
    k->span_us = span_us;
    k->source = source;
    k->said_s = wall_s;
    k->is_old = false;
    if (!same)
        k->full_since_us = 0;
    return kept | (same ? 0u : LIMITS_TO_WORK_OUT);
}

/* Of a minute or of a day: as it says, else as the limit that it must be about, else as its reset looks. */
static enum kind kind_said(const struct report_limit *r, const struct budget *b)
{
    const struct counter c = {
        .metric = r->metric, .span_us = r->span_us, .limit = r->limit, .remaining = -1, .reset_us = r->reset_us};
    int i = r->span_us > 0 ? -1 : counter_limit(b, &c);

    return i >= 0 ? kind_of(b->limits[i].limit.span_us) : counter_is_long(&c) ? LONG : SHORT;
}

/* Whether the span, which only follows from the figures, is to be believed. */
static bool is_believed(struct known_limit *k, const struct report_limit *r)
{
    k->inferred_times = k->inferred_max == r->limit ? k->inferred_times + 1 : 1;
    k->inferred_max = r->limit;
    return k->inferred_times >= INFERRED_TIMES;
}

/* A number. That it is a day's is believed of one answer only where it is said; of a minute's, the span is what may
 * have to wait. */
static unsigned learn_number(struct limits *l, const struct budget *b, const struct report_limit *r,
                             const struct limits_answer *a)
{
    enum kind kind = kind_said(r, b);
    struct known_limit *k = &l->known[r->metric][kind];
    enum limit_source source = r->refused ? LIMIT_BY_SENTENCE : LIMIT_BY_HEADER;
    int64_t span_us = r->span_us;

    if (r->inferred && !is_believed(k, r)) {
        if (kind == LONG)
            return 0;
        span_us = k->max == r->limit ? k->span_us : 0;
    }
    if (span_us == 0 && k->max == r->limit)
        span_us = k->span_us;
    if (source == LIMIT_BY_SENTENCE && k->source == LIMIT_BY_HEADER && k->max == r->limit)
        source = LIMIT_BY_HEADER;
    return know(k, r->limit, span_us, source, a->wall_s);
}

static const struct budget_limit *window_of(const struct budget *b, enum metric m)
{
    for (size_t i = 0; i < b->limit_count; i++) {
        const struct limit *limit = &b->limits[i].limit;

        if (limit->metric == m && kind_of(limit->span_us) == SHORT)
            return &b->limits[i];
    }
    return NULL;
}

/* What the window held, without the call that was refused. */
static int64_t held(const struct budget_limit *w, const struct cost *cost)
{
    int64_t own = cost->on_arrival[w->limit.metric], v = w->window.used - (own < w->limit.max ? own : w->limit.max);

    return v > 0 ? v : 0;
}

/*
 * Refused, and nothing says at which number. Calls that were in flight together are refused together, and the later ones
 * find the window emptier: so once in a span. A window that is not half as full as the number that there is was hardly
 * the reason.
 */
static unsigned guess(struct limits *l, const struct budget *b, enum metric m, const struct limits_answer *a)
{
    const struct budget_limit *requests = window_of(b, METRIC_REQUESTS), *w = window_of(b, m);
    struct known_limit *k = &l->known[m][SHORT];
    int64_t was, max;

    if (!w || is_sure(k) || (k->guessed_us > 0 && a->now_us - k->guessed_us < w->window.span_us))
        return 0;
    was = held(w, a->cost);
    if (w->limit.max < LIMITS_UNKNOWN ? was < w->limit.max / 2
                                      : !requests || held(requests, a->cost) < LIMITS_GUESS_REQUESTS)
        return 0;
    max = was / 1000 * LIMITS_GUESS_PERMILLE + was % 1000 * LIMITS_GUESS_PERMILLE / 1000;
    if (max < 1 || max >= w->limit.max)
        return 0;
    k->guessed_us = a->now_us;
    return know(k, max, k->span_us, LIMIT_BY_GUESS, a->wall_s);
}

static bool is_sure_of_any(const struct limits *l)
{
    for (int m = 0; m < METRIC_CONCURRENT; m++) {
        if (is_sure(&l->known[m][SHORT]))
            return true;
    }
    return false;
}

/* A refusal that names no number. One that does not even say what ran out may be of requests as well as of tokens. */
static unsigned learn_refusal(struct limits *l, const struct budget *b, const struct limits_answer *a)
{
    bool said = false;
    unsigned what = 0;

    for (size_t i = 0; i < a->report->n; i++) {
        const struct report_limit *r = &a->report->v[i];

        said |= r->refused;
        if (r->refused && r->limit <= 0 && kind_of(r->span_us) == SHORT)
            what |= guess(l, b, r->metric, a);
    }
    if (!said && !is_sure_of_any(l))
        what |= guess(l, b, METRIC_REQUESTS, a) | guess(l, b, METRIC_TOKENS, a);
    for (int m = 0; m < METRIC_CONCURRENT; m++)
        l->known[m][SHORT].full_since_us = 0;
    return what;
}

/* A limit that nobody would widen for us: is it too tight? */
static unsigned probe(struct limits *l, const struct budget *b, enum metric m, const struct limits_answer *a)
{
    struct known_limit *k = &l->known[m][SHORT];
    const struct budget_limit *w = window_of(b, m);
    int64_t usable;

    if (!w || (k->source != LIMIT_BY_SENTENCE && k->source != LIMIT_BY_GUESS))
        return 0;
    if (k->full_since_us > 0 && a->now_us - k->full_us > w->window.span_us)
        k->full_since_us = 0;
    usable = budget_usable(b, w);
    if (w->window.used + w->window.reserved >= usable - usable / 10) {
        k->full_us = a->now_us;
        if (k->full_since_us == 0)
            k->full_since_us = a->now_us;
    }
    if (k->full_since_us == 0 || a->now_us - k->full_since_us < LIMITS_PROBE_SPANS * w->window.span_us)
        return 0;
    k->full_since_us = a->now_us;
    return know(k, k->max + k->max / 10 + 1, k->span_us, k->source, a->wall_s);
}

static unsigned learn_calls(struct limits *l, bool refused)
{
    if (!limits_are_awaited(l))
        return 0;
    l->calls = refused ? limits_calls(l) / 2 : limits_calls(l) + 1;
    if (l->calls < LIMITS_FIRST_CALLS)
        l->calls = LIMITS_FIRST_CALLS;
    l->calls_ended = l->calls > LIMITS_LAST_CALLS;
    return l->calls_ended ? LIMITS_TO_WORK_OUT : LIMITS_CALLS;
}

unsigned limits_learn(struct limits *l, const struct given_limits *given, const struct budget *b,
                      const struct limits_answer *a)
{
    bool awaited = limits_are_awaited(l);
    unsigned what = 0;

    for (size_t i = 0; i < a->report->n; i++) {
        const struct report_limit *r = &a->report->v[i];

        if (r->limit > 0 && r->limit <= LIMITS_MAX)
            what |= learn_number(l, b, r, a);
    }
    if (!given->learn)
        return what;
    if (a->refused)
        what |= learn_refusal(l, b, a);
    for (int m = 0; m < METRIC_CONCURRENT && a->fine; m++)
        what |= probe(l, b, (enum metric)m, a);
    if (awaited != limits_are_awaited(l))
        return what | LIMITS_TO_WORK_OUT;
    return what | (a->refused || a->fine ? learn_calls(l, a->refused) : 0);
}

/* ---- kept ---- */

bool limits_are_empty(const struct limits *l)
{
    for (int m = 0; m < METRIC_CONCURRENT; m++) {
        for (int kind = 0; kind < LIMITS_KINDS; kind++) {
            if (l->known[m][kind].max > 0)
                return false;
        }
    }
    return true;
}

static void write_known(const struct known_limit *k, const char *key, struct json_writer *w)
{
    json_object_begin(w);
    json_member_str(w, "limit", slice_str(key));
    json_member_int(w, "max", k->max);
    if (k->span_us > 0)
        json_member_int(w, "span_ms", k->span_us / CLOCK_MS);
    json_member_str(w, "from", slice_str(sources[k->source]));
    json_member_int(w, "date", k->said_s);
    json_object_end(w);
}

void limits_write(const struct limits *l, struct json_writer *w)
{
    json_array_begin(w);
    for (int m = 0; m < METRIC_CONCURRENT; m++) {
        for (int kind = 0; kind < LIMITS_KINDS; kind++) {
            if (l->known[m][kind].max > 0)
                write_known(&l->known[m][kind], keys[m][kind], w);
        }
    }
    json_array_end(w);
}

static struct known_limit *known_by_key(struct limits *l, struct slice key, enum kind *ret_kind)
{
    for (int m = 0; m < METRIC_CONCURRENT; m++) {
        for (int kind = 0; kind < LIMITS_KINDS; kind++) {
            if (slice_eq(key, slice_str(keys[m][kind]))) {
                *ret_kind = (enum kind)kind;
                return &l->known[m][kind];
            }
        }
    }
    return NULL;
}

static int64_t number(const struct json *node, const char *key, int64_t least, int64_t most)
{
    int64_t v;

    return json_as_int64(json_get(node, key), &v) == 0 && v >= least && v <= most ? v : -1;
}

/* Of a time to come, it is as old as can be: the clock was wrong, then or now. */
static bool is_old(int64_t said_s, int64_t wall_s)
{
    return said_s < wall_s - LIMITS_OLD_S || said_s > wall_s + 86400;
}

static void read_known(struct limits *l, const struct json *row, int64_t wall_s)
{
    int64_t max = number(row, "max", 1, LIMITS_MAX), said_s = number(row, "date", 0, INT64_C(1) << 40);
    int64_t span_ms = number(row, "span_ms", 1, 31 * BUDGET_DAY_US / CLOCK_MS);
    struct known_limit *k;
    struct slice key, from;
    enum kind kind;

    if (json_as_str(json_get(row, "limit"), &key) < 0 || json_as_str(json_get(row, "from"), &from) < 0 || max < 0)
        return;
    k = known_by_key(l, key, &kind);
    if (!k || (span_ms > 0 && kind_of(span_ms * CLOCK_MS) != kind))
        return;
    for (int s = LIMIT_BY_GUESS; s < LIMIT_SOURCES; s++) {
        if (slice_eq(from, slice_str(sources[s])))
            *k = (struct known_limit){
                .max = max,
                .span_us = span_ms > 0 ? span_ms * CLOCK_MS : 0,
                .source = (enum limit_source)s,
                .said_s = said_s > 0 ? said_s : 0,
                .is_old = is_old(said_s, wall_s),
            };
    }
}

void limits_read(struct limits *l, const struct json *list, int64_t wall_s)
{
    if (!list || !json_is_array(list))
        return;
    JSON_EACH (list, row) {
        if (json_is_object(row))
            read_known(l, row, wall_s);
    }
}
