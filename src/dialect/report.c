/*
 * report: headers first, then what a refusal's body says of the same limits. An entry of the report has a
 * limit, or remaining, or is refused; no two have the same metric and span.
 */
#include "metergate/dialect/report.h"

#include <errno.h>

#include "metergate/base/clock.h"
#include "report_inside.h"

__extension__ typedef __int128 int128;

#define SECOND CLOCK_S
#define MINUTE (60 * CLOCK_S)
#define HOUR   (3600 * CLOCK_S)
#define DAY    (86400 * CLOCK_S)

/* Of a header that counts in thousands, as Anthropic's do. */
#define THOUSANDS 500

/* ---- families -------------------------------------------------------------------------------- */

/* Three headers that speak of one limit. */
struct family {
    const char *limit, *remaining, *reset;
    const char *other_reset; /* or NULL: a spelling that was seen as well */
    enum metric metric;
    int64_t span_us; /* where the name or the documentation says it; else 0 */
    int64_t rounding;
};

#define NAMES(before, after) before "limit" after, before "remaining" after, before "reset" after

static const struct family families[] = {
    /* OpenAI, Groq, Azure, Venice, Mistral by some accounts. Requests may be of a minute (OpenAI) or a day
       (Groq always) */
    {NAMES("x-ratelimit-", "-requests"), NULL, METRIC_REQUESTS, 0, 0},
    {NAMES("x-ratelimit-", "-tokens"), "x-rate-limit-reset-tokens", METRIC_TOKENS, 0, 0},
    {NAMES("x-ratelimit-", "-project-tokens"), NULL, METRIC_TOKENS, 0, 0},
    {NAMES("x-ratelimit-", "-tokens_usage_based"), NULL, METRIC_TOKENS, 0, 0},
    /* Mistral, Cerebras */
    {NAMES("x-ratelimit-", "-req-minute"), NULL, METRIC_REQUESTS, MINUTE, 0},
    {NAMES("x-ratelimit-", "-requests-minute"), NULL, METRIC_REQUESTS, MINUTE, 0},
    {NAMES("x-ratelimit-", "-requests-day"), NULL, METRIC_REQUESTS, DAY, 0},
    {NAMES("x-ratelimit-", "-tokens-minute"), NULL, METRIC_TOKENS, MINUTE, 0},
    {NAMES("x-ratelimit-", "-tokens-day"), NULL, METRIC_TOKENS, DAY, 0},
    {NAMES("x-ratelimitbysize-", "-minute"), NULL, METRIC_TOKENS, MINUTE, 0},
    {NAMES("ratelimitbysize-", ""), NULL, METRIC_TOKENS, MINUTE, 0},
    /* Together, OpenRouter */
    {NAMES("x-ratelimit-", ""), NULL, METRIC_REQUESTS, 0, 0},
    {NAMES("x-tokenlimit-", ""), NULL, METRIC_TOKENS, 0, 0},
    /* Anthropic: RPM, ITPM and OTPM are all that it has of these */
    {NAMES("anthropic-ratelimit-requests-", ""), NULL, METRIC_REQUESTS, MINUTE, 0},
    {NAMES("anthropic-ratelimit-input-tokens-", ""), NULL, METRIC_INPUT, MINUTE, THOUSANDS},
    {NAMES("anthropic-ratelimit-output-tokens-", ""), NULL, METRIC_OUTPUT, MINUTE, THOUSANDS},
};

static const struct family anthropic_tokens = {NAMES("anthropic-ratelimit-tokens-", ""), NULL, METRIC_TOKENS,
                                               MINUTE, THOUSANDS};

static struct slice header(const struct provider_answer *a, const char *name)
{
    return a->header ? slice_trim(a->header(a->arg, name)) : slice_of(NULL, 0);
}

/* -ENOENT when it is not there, -EINVAL when it is no amount. */
static int read_amount(const struct provider_answer *a, const char *name, int64_t *ret)
{
    struct slice s = header(a, name);
    int64_t v;

    if (s.n == 0)
        return -ENOENT;
    if (slice_int64(s, &v) < 0 || v > PROFILE_AMOUNT_MAX)
        return -EINVAL;
    *ret = v;
    return 0;
}

/* ---- spans ----------------------------------------------------------------------------------- */

/* What one unit in the last place of a reset stands for, a millisecond at least: of "7.66s" 10 ms, of "20s"
 * and dates 1 s. */
static int64_t fineness_us(struct slice reset)
{
    struct slice decimals = slice_skip(reset, slice_find(reset, '.') + 1);
    int64_t us = SECOND;

    if (reset.n > 2 && slice_ends(reset, SLICE("ms")))
        return CLOCK_MS;
    for (size_t i = 0; i < decimals.n && decimals.p[i] >= '0' && decimals.p[i] <= '9' && us > CLOCK_MS; i++)
        us /= 10;
    return us;
}

/*
 * A bucket that refills steadily is full again after used / limit of its span (OpenAI's to the millisecond).
 * `used` is rounded up to whole units, so up to one of them may have been refilled already. What a window
 * that is reset at fixed times says fits no span but by chance: for that reason only figures that the
 * rounding explains are taken, and of those only what is within a quarter of the span.
 */
static int64_t infer_span(const struct report_limit *l, struct slice reset)
{
    static const int64_t spans[] = {SECOND, MINUTE, HOUR, DAY};
    int64_t used = l->limit - l->remaining, fine = fineness_us(reset);

    if (l->limit <= 0 || l->remaining < 0 || used < 1 || l->reset_us <= 0)
        return 0;
    for (size_t i = 0; i < MG_ARRAY_LEN(spans); i++) {
        int128 most = (int128)used * spans[i] / l->limit, least = (int128)(used - 1) * spans[i] / l->limit;
        int128 off = l->reset_us > most ? l->reset_us - most : most - l->reset_us;

        if (l->reset_us >= least - fine && l->reset_us <= most + fine && off <= most / 4)
            return spans[i];
    }
    return 0;
}

/* False when they say nothing. */
static bool read_family(const struct provider_answer *a, const struct family *f, struct report_limit *ret)
{
    struct report_limit l = {.metric = f->metric, .span_us = f->span_us, .remaining = -1, .reset_us = -1};
    int rc = read_amount(a, f->limit, &l.limit);
    const char *reset = f->reset;

    if (rc == -EINVAL || (rc == 0 && l.limit == 0))
        return false;
    if (read_amount(a, f->remaining, &l.remaining) < 0 && l.limit == 0)
        return false;
    if (l.remaining >= 0)
        l.rounding = f->rounding;
    if (f->other_reset && header(a, reset).n == 0)
        reset = f->other_reset;
    if (verdict_reset_us(a, reset, &l.reset_us) < 0)
        l.reset_us = -1;
    if (l.span_us == 0) {
        l.span_us = infer_span(&l, header(a, reset));
        l.inferred = l.span_us > 0;
    }
    *ret = l;
    return true;
}

/* ---- the report ------------------------------------------------------------------------------ */

/* The smaller one of those that are said, which are those from `least` on. */
static int64_t tighter(int64_t a, int64_t b, int64_t least)
{
    return a < least ? b : b < least ? a : a < b ? a : b;
}

/* Another header of a limit that e speaks of, or may speak of, because one of the spans is not said. */
static void tighten(struct report_limit *e, const struct report_limit *l)
{
    if (e->span_us == 0) {
        e->span_us = l->span_us;
        e->inferred = l->inferred;
    }
    e->inferred &= l->inferred || l->span_us == 0;
    e->limit = tighter(e->limit, l->limit, 1);
    e->remaining = tighter(e->remaining, l->remaining, 0);
    e->rounding = e->rounding > l->rounding ? e->rounding : l->rounding;
    e->reset_us = e->reset_us > l->reset_us ? e->reset_us : l->reset_us;
}

static void add_header(struct report *r, const struct report_limit *l)
{
    for (size_t i = 0; i < r->n; i++) {
        struct report_limit *e = &r->v[i];

        if (e->metric == l->metric && (e->span_us == l->span_us || e->span_us == 0 || l->span_us == 0)) {
            tighten(e, l);
            return;
        }
    }
    if (r->n < REPORT_LIMITS_MAX)
        r->v[r->n++] = *l;
}

static int64_t limit_of(const struct report *r, enum metric m)
{
    for (size_t i = 0; i < r->n; i++)
        if (r->v[i].metric == m)
            return r->v[i].limit;
    return 0;
}

static void read_headers(const struct provider_answer *a, struct report *r)
{
    struct report_limit l;
    int64_t input, output;

    for (size_t i = 0; i < MG_ARRAY_LEN(families); i++)
        if (read_family(a, &families[i], &l))
            add_header(r, &l);
    if (!read_family(a, &anthropic_tokens, &l))
        return;
    input = limit_of(r, METRIC_INPUT);
    output = limit_of(r, METRIC_OUTPUT);
    if ((input || output) &&
        (l.limit == 0 || l.limit == input || l.limit == output || l.limit == input + output))
        return; /* the strictest limit is one of those that we have (see the header) */
    add_header(r, &l);
}

/* ---- refusals -------------------------------------------------------------------------------- */

/* The headers' entry that the refusal's l is of: of the same span, else one whose span is not known for sure.
 */
static struct report_limit *entry_of(struct report *r, const struct report_limit *l)
{
    struct report_limit *may_be = NULL;

    for (size_t i = 0; i < r->n; i++) {
        struct report_limit *e = &r->v[i];

        if (e->metric != l->metric)
            continue;
        if (e->span_us == l->span_us)
            return e;
        if ((e->span_us == 0 || e->inferred) && (e->limit == 0 || l->limit == 0 || e->limit == l->limit))
            may_be = e;
    }
    return may_be;
}

static void believe(struct report_limit *e, const struct report_limit *l)
{
    e->span_us = l->span_us;
    e->inferred = false;
    if (l->limit)
        e->limit = e->refused ? tighter(e->limit, l->limit, 1) : l->limit;
    if (l->remaining >= 0) {
        e->remaining = l->remaining;
        e->rounding = 0;
    }
    if (e->limit && e->remaining > e->limit)
        e->remaining = e->limit;
    e->refused = true;
}

/* The refusal comes first: it takes the place of a header's limit where there is no other. */
static void push_refused(struct report *r, const struct report_limit *l)
{
    if (r->n == REPORT_LIMITS_MAX)
        r->n--;
    r->v[r->n++] = *l;
}

static void add_refused(struct report *r, const struct report_limit *l)
{
    struct report_limit *e = entry_of(r, l);

    if (e)
        believe(e, l);
    else
        push_refused(r, l);
}

/* Nothing but the metric is known (or, METRICS, not even that): it is what has nothing left. */
static bool mark_used_up(struct report *r, enum metric m)
{
    bool marked = false;

    for (size_t i = 0; i < r->n; i++)
        if ((m == METRICS || r->v[i].metric == m) && r->v[i].remaining == 0)
            r->v[i].refused = marked = true;
    return marked;
}

/* Or, when nothing of that metric is at its end, what has least left: the request was more than that. */
static bool mark_scarcest(struct report *r, enum metric m)
{
    struct report_limit *least = NULL;

    for (size_t i = 0; i < r->n; i++)
        if (r->v[i].metric == m && (!least || least->remaining < 0 ||
                                    (r->v[i].remaining >= 0 && r->v[i].remaining < least->remaining)))
            least = &r->v[i];
    if (least)
        least->refused = true;
    return least != NULL;
}

static void read_refusal(const struct provider_answer *a, struct report *r)
{
    struct report_limit said[REPORT_LIMITS_MAX];
    struct error_facts f;
    size_t n;

    error_body_read(a->body, &f);
    n = report_refused(&f, said);
    error_body_release(&f);
    if (n == 0 && a->status == 429)
        (void)mark_used_up(r, METRICS);
    for (size_t i = 0; i < n; i++)
        if (said[i].span_us > 0)
            add_refused(r, &said[i]);
        else if (a->status == 429 && !mark_used_up(r, said[i].metric) && !mark_scarcest(r, said[i].metric))
            push_refused(r, &said[i]);
}

/* ---- who pays -------------------------------------------------------------------------------- */

static bool is_name(struct slice s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] < 0x20 || s.p[i] > 0x7e)
            return false;
    return s.n > 0 && s.n <= REPORT_ORGANIZATION_MAX;
}

/* org-AbC123 behind "in organization ", in quotes or not. */
static struct slice sentence_organization(struct slice body)
{
    struct slice s = verdict_after(body, "organization ");
    size_t n = 0;

    if (s.n && s.p[0] == '`')
        s = slice_skip(s, 1);
    if (!slice_starts(s, SLICE("org-")) && !slice_starts(s, SLICE("org_")))
        return slice_of(NULL, 0);
    while (n < s.n && (((s.p[n] | 0x20) >= 'a' && (s.p[n] | 0x20) <= 'z') ||
                       (s.p[n] >= '0' && s.p[n] <= '9') || s.p[n] == '-' || s.p[n] == '_'))
        n++;
    return slice_head(s, n);
}

static void set_organization(struct report *r, struct slice name, const char *from)
{
    if (r->organization.n || !is_name(name))
        return;
    r->organization = name;
    r->organization_from = from;
}

static void read_organization(const struct provider_answer *a, struct report *r)
{
    static const char *const names[] = {"openai-organization", "anthropic-organization-id",
                                        "anthropic-workspace-id"};

    for (size_t i = 0; i < MG_ARRAY_LEN(names); i++)
        set_organization(r, header(a, names[i]), names[i]);
    if (a->status == 429)
        set_organization(r, sentence_organization(a->body), "sentence");
}

void report_read(const struct provider_answer *a, struct report *ret)
{
    struct report r = {.n = 0};

    read_headers(a, &r);
    if (a->status == 429 || a->status == 413)
        read_refusal(a, &r);
    read_organization(a, &r);
    *ret = r;
}
