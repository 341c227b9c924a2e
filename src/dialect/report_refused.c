/*
 * report_refused: which limits a refusal is about. Sentences are read by what they have in common, the
 * number, what is counted and the span, because the words around them change from year to year. What does not
 * fit whole says nothing: half a limit would be a wrong one.
 */
#include "report_inside.h"

#include <string.h>

#include "metergate/base/clock.h"

#define SPAN_MAX_US (INT64_C(31) * 24 * 3600 * CLOCK_S)

static const struct report_limit nothing = {.remaining = -1, .reset_us = -1, .refused = true};

/* ---- words ----------------------------------------------------------------------------------- */

static bool starts_nocase(struct slice s, const char *word)
{
    return slice_eq_nocase(slice_head(s, strlen(word)), slice_str(word));
}

/* Steps over the word (letters and underscores) that *s begins with, and the blanks behind it. */
static void skip_word(struct slice *s)
{
    size_t n = 0;

    while (n < s->n && (((s->p[n] | 0x20) >= 'a' && (s->p[n] | 0x20) <= 'z') || s->p[n] == '_'))
        n++;
    *s = slice_trim(slice_skip(*s, n));
}

/* "requests", "tokens", "input tokens", "tokens_usage_based"; moves *s behind it. */
static bool take_metric(struct slice *s, enum metric *ret)
{
    struct slice rest = slice_trim(*s);
    bool input = starts_nocase(rest, "input "), output = starts_nocase(rest, "output ");

    if (input || output)
        skip_word(&rest);
    if (starts_nocase(rest, "token"))
        *ret = input ? METRIC_INPUT : output ? METRIC_OUTPUT : METRIC_TOKENS;
    else if (starts_nocase(rest, "request") && !input && !output)
        *ret = METRIC_REQUESTS;
    else
        return false;
    skip_word(&rest);
    *s = rest;
    return true;
}

/* Of "second", "min", "minutes", "hours", "day"; 0 for another word. */
static int64_t span_of(struct slice word)
{
    static const struct {
        const char *name;
        int64_t seconds;
    } spans[] = {{"sec", 1}, {"min", 60}, {"hour", 3600}, {"day", 86400}};

    for (size_t i = 0; i < MG_ARRAY_LEN(spans); i++)
        if (starts_nocase(word, spans[i].name))
            return spans[i].seconds * CLOCK_S;
    return 0;
}

/* "input tokens per minute" */
static bool take_rate(struct slice *s, struct report_limit *l)
{
    if (!take_metric(s, &l->metric) || !starts_nocase(*s, "per "))
        return false;
    skip_word(s);
    l->span_us = span_of(*s);
    return l->span_us > 0;
}

static bool take_limit(struct slice *s, struct report_limit *l)
{
    return verdict_take_number(s, &l->limit) == 0 && l->limit > 0 && l->limit <= PROFILE_AMOUNT_MAX;
}

/* ---- sentences ------------------------------------------------------------------------------- */

/* "... in organization org-X on tokens per min (TPM): Limit 30000, Used 29937, Requested 385": OpenAI, Groq.
 */
static bool read_used(struct slice message, struct report_limit *l)
{
    struct slice rest = verdict_after(message, ": limit "), unit, next;
    int64_t used;

    if (!rest.p)
        return false;
    unit = verdict_after(slice_head(message, (size_t)(rest.p - message.p)), " on ");
    while ((next = verdict_after(unit, " on ")).p) /* a name may have one too */
        unit = next;
    if (!unit.p || !take_rate(&unit, l) || !take_limit(&rest, l))
        return false;
    used = verdict_sentence_number(rest, ", used ");
    if (used >= 0)
        l->remaining = used < l->limit ? l->limit - used : 0;
    return true;
}

/*
 * "... your organization's rate limit of 30,000 input tokens per minute", "... the rate limit for your
 * organization (uuid) of 20,000 input tokens per minute": Anthropic. The ramp of its acceleration limits
 * ("maximum usage increase rate
 * ... Your current limit is 58,276 input tokens per minute, and will increase") is no limit, and is not read.
 */
static bool read_rate_limit_of(struct slice message, struct report_limit *l)
{
    struct slice rest = verdict_after(message, "rate limit ");

    for (rest = rest.p ? slice_of(rest.p - 1, rest.n + 1) : rest; (rest = verdict_after(rest, " of ")).p;) {
        struct slice at = rest;

        if (take_limit(&at, l) && take_rate(&at, l))
            return true;
    }
    return false;
}

/* "Maximum 5 requests within 1 minutes": gateways. */
static bool read_maximum(struct slice message, struct report_limit *l)
{
    struct slice rest = message;

    while ((rest = verdict_after(rest, "maximum ")).p) {
        struct slice at = rest;
        int64_t count;

        if (!take_limit(&at, l))
            continue;
        at = slice_trim(at);
        if (!take_metric(&at, &l->metric) || !starts_nocase(at, "within "))
            continue;
        skip_word(&at);
        if (verdict_take_number(&at, &count) < 0 || count <= 0 || count > SPAN_MAX_US / CLOCK_S)
            continue;
        l->span_us = span_of(slice_trim(at)) * count;
        if (l->span_us > 0 && l->span_us <= SPAN_MAX_US)
            return true;
    }
    return false;
}

/* No figures: OpenAI's `type`, Azure's "exceeded token rate limit" and "exceeded call rate limit". */
static bool read_metric_alone(const struct error_facts *f, struct slice message, struct report_limit *l)
{
    if (slice_eq(f->type, SLICE("tokens")) || verdict_says(message, "exceeded token rate limit"))
        l->metric = METRIC_TOKENS;
    else if (slice_eq(f->type, SLICE("requests")) || verdict_says(message, "exceeded call rate limit"))
        l->metric = METRIC_REQUESTS;
    else
        return false;
    return true;
}

/* ---- Google ---------------------------------------------------------------------------------- */

static bool contains(struct slice text, const char *word)
{
    return text.n && memmem(text.p, text.n, word, strlen(word)) != NULL;
}

/* GenerateContentInputTokensPerModelPerMinute-FreeTier, GenerateRequestsPerDayPerProjectPerModel */
static bool read_quota(const struct error_quota *q, struct report_limit *l)
{
    static const struct {
        const char *name;
        int64_t seconds;
    } spans[] = {{"PerSecond", 1}, {"PerMinute", 60}, {"PerHour", 3600}, {"PerDay", 86400}};

    if (contains(q->id, "Requests"))
        l->metric = METRIC_REQUESTS;
    else if (contains(q->id, "OutputToken") || contains(q->metric, "output_token"))
        l->metric = METRIC_OUTPUT;
    else if (contains(q->id, "Token"))
        l->metric = METRIC_INPUT;
    else
        return false;
    for (size_t i = 0; i < MG_ARRAY_LEN(spans); i++)
        if (contains(q->id, spans[i].name))
            l->span_us = spans[i].seconds * CLOCK_S;
    l->limit = q->value <= PROFILE_AMOUNT_MAX ? q->value : 0;
    return l->span_us > 0;
}

/* ---- all ------------------------------------------------------------------------------------- */

size_t report_refused(const struct error_facts *f, struct report_limit ret[REPORT_LIMITS_MAX])
{
    static bool (*const sentences[])(struct slice, struct report_limit *) = {read_used, read_rate_limit_of,
                                                                             read_maximum};
    struct slice message = buf_slice(&f->message);
    size_t n = 0;

    for (size_t i = 0; i < f->quota_n && n < REPORT_LIMITS_MAX; i++) {
        ret[n] = nothing;
        n += read_quota(&f->quotas[i], &ret[n]);
    }
    for (size_t i = 0; i < MG_ARRAY_LEN(sentences) && n == 0; i++) {
        ret[0] = nothing;
        n = sentences[i](message, &ret[0]);
    }
    if (n == 0) {
        ret[0] = nothing;
        n = read_metric_alone(f, message, &ret[0]);
    }
    return n;
}
