/*
 * judge: what a provider's error means. Their shapes do not contradict each other, so one reader serves all:
 *
 *   OpenAI     {"error":{"message","type","param","code"}}, Azure with a number in a string as the code
 *   Anthropic  {"type":"error","error":{"type","message","details":{"error_code"}},"request_id"}
 *   Google
 * {"error":{"code":429,"message","status","details":[{"@type","retryDelay"},{"violations":[{"quotaId"}]}]}}
 *   imitators  {"detail":"..."}, {"error":"..."}, plain text
 *
 * Nothing in an error decides more than how long to wait and whether to: one that cannot be read is an error
 * without hints.
 */
#include "metergate/dialect/verdict.h"

#include <string.h>

#include "metergate/base/clock.h"
#include "metergate/base/scan.h"
#include "metergate/base/scan_text.h"

/* Azure names a day when a request alone is over the limit, which no waiting mends ("Please retry after 86400
 * seconds"). */
#define AZURE_NEVER_US (INT64_C(86400) * CLOCK_S)

#define ERROR_TEXT_MAX ((size_t)4096)
#define DETAILS_DEPTH  8

/* What an error says; slices of the body, escapes and all, but the message, which is decoded. */
struct error_facts {
    struct slice type, code;
    struct slice retry_delay; /* Google's RetryInfo: "26s" */
    bool daily;               /* Google's quota that was passed is one of days, */
    bool of_project, of_model; /* one that all models share, or one of a model */
    struct buf message;       /* owned, bounded */
};

static void take_message(struct error_facts *f, struct slice inside)
{
    buf_reset(&f->message);
    /* one byte becomes at most three (one that is not UTF-8), so this fits */
    MG_ASSERT(scan_decode(slice_head(inside, ERROR_TEXT_MAX), &f->message) == 0);
}

static bool has(struct slice s, const char *part)
{
    return s.n && memmem(s.p, s.n, part, strlen(part)) != NULL;
}

/* Google's quotaId names the period, and whose it is: GenerateRequestsPerDayPerProjectPerModel-FreeTier. */
static void read_quota(struct slice quota, struct error_facts *f)
{
    bool model = has(quota, "Model");

    f->daily |= has(quota, "PerDay");
    f->of_model |= model;
    f->of_project |= !model && has(quota, "PerProject");
}

/* What stands in `details`, an object or a list of them, wherever in it. */
static void read_details(struct scan *s, struct error_facts *f)
{
    struct scan_value key, v;

    if (scan_peek(s) == SCAN_ARRAY && s->depth < DETAILS_DEPTH) {
        if (scan_enter(s, SCAN_ARRAY))
            while (scan_element(s))
                read_details(s, f);
        return;
    }
    if (!scan_enter(s, SCAN_OBJECT))
        return;
    while (scan_member(s, &key)) {
        bool code = scan_is(s, &key, "error_code"), delay = scan_is(s, &key, "retryDelay");
        bool quota = scan_is(s, &key, "quotaId");

        if (scan_is(s, &key, "violations") && s->depth < DETAILS_DEPTH) {
            read_details(s, f);
            continue;
        }
        v = scan_value(s);
        if (v.type != SCAN_STRING)
            continue;
        if (code)
            f->code = scan_text(s, &v);
        if (delay)
            f->retry_delay = scan_text(s, &v);
        if (quota)
            read_quota(scan_text(s, &v), f);
    }
}

/* Inside the object that holds the error's members. */
static void read_members(struct scan *s, struct error_facts *f)
{
    struct scan_value key, v;

    while (scan_member(s, &key)) {
        bool message = scan_is(s, &key, "message") || scan_is(s, &key, "detail");
        bool type = scan_is(s, &key, "type"), code = scan_is(s, &key, "code");

        if (scan_is(s, &key, "error") && scan_peek(s) == SCAN_OBJECT) {
            if (s->depth < 4 && scan_enter(s, SCAN_OBJECT)) {
                read_members(s, f);
                continue;
            }
        }
        if (scan_is(s, &key, "details")) {
            read_details(s, f);
            continue;
        }
        message |= scan_is(s, &key, "error"); /* {"error":"a sentence"} */
        v = scan_value(s);
        if (message && v.type == SCAN_STRING)
            take_message(f, scan_text(s, &v));
        if (type && v.type == SCAN_STRING)
            f->type = scan_text(s, &v);
        if (code && (v.type == SCAN_STRING || v.type == SCAN_NUMBER))
            f->code = scan_text(s, &v);
    }
}

/* The body may be cut anywhere: what was read before the cut counts. */
static void read_error(struct slice body, struct error_facts *f)
{
    struct scan s;

    buf_init(&f->message, 3 * ERROR_TEXT_MAX);
    scan_init(&s, body);
    if (scan_peek(&s) == SCAN_ARRAY && scan_enter(&s, SCAN_ARRAY) && !scan_element(&s)) /* [{"error": ...}] */
        return;
    if (scan_peek(&s) == SCAN_NONE) {
        take_message(f, body); /* plain text */
        return;
    }
    if (scan_enter(&s, SCAN_OBJECT))
        read_members(&s, f);
}

/* Codes and types after which only a person with a credit card can help. */
static bool is_quota(struct slice word)
{
    static const char *const codes[] = {
        "insufficient_quota",
        "credit_balance_exhausted",
        "organization_usage_limit_exceeded",
        "organization_spend_limit_exceeded",
        "project_spend_limit_exceeded",
        "billing_hard_limit_reached",
        "billing_not_active",
        "account_deactivated",
        "enforced_spend_limit_reached", /* Anthropic */
    };

    for (size_t i = 0; i < MG_ARRAY_LEN(codes); i++)
        if (slice_eq(word, slice_str(codes[i])))
            return true;
    return false;
}

/* The wait of the limit that is used up, by the reset headers: until it is full again, so never too short. */
static int reset_wait(const struct provider_answer *a, struct slice type, int64_t *ret)
{
    static const struct {
        const char *type, *remaining, *reset;
    } limits[] = {
        {"tokens", "x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"},
        {"tokens", "x-ratelimit-remaining-project-tokens", "x-ratelimit-reset-project-tokens"},
        {"requests", "x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"},
    };
    int64_t longest = -1, us;

    for (size_t i = 0; i < MG_ARRAY_LEN(limits); i++) {
        struct slice remaining =
            a->header ? slice_trim(a->header(a->arg, limits[i].remaining)) : slice_of(NULL, 0);

        if (!slice_eq(remaining, SLICE("0")) && !slice_eq(type, slice_str(limits[i].type)))
            continue;
        if (verdict_reset_us(a, limits[i].reset, &us) == 0 && us > longest)
            longest = us;
    }
    if (longest < 0)
        return -1;
    *ret = longest;
    return 0;
}

/* The longest wait of those that the answer names; the reset headers only when nothing else does. */
static void read_wait(const struct provider_answer *a, const struct error_facts *f, struct verdict *v)
{
    int64_t us;

    if (verdict_retry_after_us(a, &us) == 0) {
        v->wait_known = true;
        v->wait_us = us;
    }
    if (verdict_sentence_wait_us(buf_slice(&f->message), &us) == 0) {
        v->wait_known = true;
        v->wait_us = us > v->wait_us ? us : v->wait_us;
    }
    if (f->retry_delay.n && slice_duration_us(f->retry_delay, &us) == 0) {
        v->wait_known = true;
        us = us < VERDICT_WAIT_MAX_US ? us : VERDICT_WAIT_MAX_US;
        v->wait_us = us > v->wait_us ? us : v->wait_us;
    }
    if (!v->wait_known && reset_wait(a, f->type, &us) == 0) {
        v->wait_known = true;
        v->wait_us = us;
    }
}

static void read_limit(struct slice message, struct verdict *v)
{
    v->limit = verdict_sentence_number(message, ": limit ");
    v->used = verdict_sentence_number(message, ", used ");
    v->requested = verdict_sentence_number(message, ", requested ");
    v->limit_known = v->limit > 0;
}

/* Whether waiting can help at all, and for whom; v->reason says which case it was. */
static bool may_help(const struct provider_answer *a, const struct error_facts *f, struct verdict *v)
{
    v->scope = VERDICT_REQUEST;
    v->reason = "refused";
    if (verdict_says(buf_slice(&f->message), "request too large")) {
        v->reason = "too large";
        v->add_should_retry_false = true;
        return false;
    }
    if (a->status != 429 && a->status != 503 && a->status != 529)
        return false;
    if (is_quota(f->code) || is_quota(f->type)) {
        v->scope = VERDICT_ACCOUNT;
        v->reason = "quota";
        return false;
    }
    if (f->daily) { /* until midnight at the provider, whatever wait it names */
        v->scope = VERDICT_MODEL;
        v->reason = "daily quota";
        return false;
    }
    v->scope = f->of_project && !f->of_model ? VERDICT_ACCOUNT : VERDICT_MODEL;
    v->reason = a->status == 429 ? "rate limit" : "overloaded";
    return true;
}

/* The request alone is over an Azure limit. */
static bool is_azure_never(const struct verdict *v, struct slice message)
{
    return v->wait_known && v->wait_us >= AZURE_NEVER_US &&
           verdict_says(message, "retry after 86400 seconds");
}

void verdict_judge(const struct provider_answer *a, struct verdict *ret)
{
    struct slice should = a->header ? slice_trim(a->header(a->arg, "x-should-retry")) : slice_of(NULL, 0);
    struct error_facts f = {0};
    struct verdict v = {0};

    read_error(a->body, &f);
    v.retry_may_help = may_help(a, &f, &v);
    if (v.retry_may_help && slice_eq_nocase(should, SLICE("false"))) {
        v.retry_may_help = false;
        v.reason = "the provider says not to retry";
    }
    v.refuses_usage_option =
        (a->status == 400 || a->status == 422) &&
        (verdict_says(a->body, "stream_options") || verdict_says(a->body, "include_usage"));
    read_wait(a, &f, &v);
    if (v.retry_may_help && is_azure_never(&v, buf_slice(&f.message))) {
        v.retry_may_help = false;
        v.scope = VERDICT_REQUEST;
        v.reason = "too large";
        v.add_should_retry_false = true;
    }
    read_limit(buf_slice(&f.message), &v);
    buf_release(&f.message);
    *ret = v;
}
