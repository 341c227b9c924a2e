/*
 * openai_error: our refusals in OpenAI's shape, and what OpenAI's (and its imitators') errors mean.
 *
 * Nothing in a provider's error decides more than how long to wait and whether to: an error that cannot be
 * read is an error without hints.
 */
#include "metergate/dialect/openai_parts.h"

#include <string.h>

#include "metergate/base/json.h"
#include "metergate/base/scan.h"
#include "metergate/base/scan_text.h"
#include "metergate/dialect/refusal.h"
#include "metergate/dialect/verdict.h"

/* ---- ours -------------------------------------------------------------------------------------------------
 */

/*
 * The type and code that a program may look at. Where OpenAI has a code for the matter it is that one,
 * because programs know it (LangChain never repeats an `insufficient_quota`); who refused is in the header
 * Metergate-Refused.
 */
static const struct {
    const char *type, *code;
} kinds[REFUSAL_REASONS] = {
    [REFUSAL_BAD_REQUEST] = {"invalid_request_error", "bad_request"},
    [REFUSAL_TOKEN] = {"invalid_request_error", "invalid_api_key"},
    [REFUSAL_ORIGIN] = {"invalid_request_error", "origin_not_allowed"},
    [REFUSAL_USER] = {"invalid_request_error", "user_not_allowed"},
    [REFUSAL_NO_ROUTE] = {"invalid_request_error", "no_route"},
    [REFUSAL_NOT_A_TUNNEL] = {"invalid_request_error", "not_a_tunnel"},
    [REFUSAL_TOO_LARGE] = {"tokens", "rate_limit_exceeded"},
    [REFUSAL_UPGRADE] = {"invalid_request_error", "upgrade_not_supported"},
    [REFUSAL_MAX_WAIT] = {"tokens", "rate_limit_exceeded"},
    [REFUSAL_QUEUE_FULL] = {"requests", "rate_limit_exceeded"},
    [REFUSAL_BUDGET_USD] = {"insufficient_quota", "insufficient_quota"},
    [REFUSAL_UPSTREAM_CONNECT] = {"server_error", "upstream_connect"},
    [REFUSAL_UPSTREAM_PROTOCOL] = {"server_error", "upstream_protocol"},
    [REFUSAL_DRAINING] = {"server_error", "draining"},
    [REFUSAL_UPSTREAM_TIMEOUT] = {"server_error", "upstream_timeout"},
};

void openai_refuse(const struct refusal *r, struct buf *out)
{
    const char *type = kinds[r->reason].type, *code = kinds[r->reason].code;
    struct json_writer w;
    struct buf sentence;

    if (r->reason == REFUSAL_TOO_LARGE && !r->metric) { /* the body, not a limit */
        type = "invalid_request_error";
        code = "request_too_large";
    } else if (strcmp(type, "tokens") == 0 && r->metric && (r->metric[0] == 'r' || r->metric[0] == 'c')) {
        type = "requests"; /* rpm, rpd, concurrent */
    }
    buf_init(&sentence, BUF_UNLIMITED);
    refusal_sentence(r, &sentence);
    json_init(&w, out);
    json_object_begin(&w);
    json_key(&w, "error");
    json_object_begin(&w);
    json_member_str(&w, "message", buf_slice(&sentence));
    json_member_str(&w, "type", slice_str(type));
    json_key(&w, "param");
    json_null(&w);
    json_member_str(&w, "code", slice_str(code));
    json_object_end(&w);
    json_object_end(&w);
    buf_release(&sentence);
}

/* ---- theirs -----------------------------------------------------------------------------------------------
 */

#define ERROR_TEXT_MAX ((size_t)4096)

/* What an error says; slices of the body, escapes and all, but the message, which is decoded. */
struct error_facts {
    struct slice type, code;
    struct buf message; /* owned, bounded */
};

static void take_message(struct error_facts *f, struct slice inside)
{
    buf_reset(&f->message);
    /* one byte becomes at most three (one that is not UTF-8), so this fits */
    MG_ASSERT(scan_decode(slice_head(inside, ERROR_TEXT_MAX), &f->message) == 0);
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
    v->scope = VERDICT_MODEL;
    v->reason = a->status == 429 ? "rate limit" : "overloaded";
    return true;
}

void openai_judge(const struct provider_answer *a, struct verdict *ret)
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
    read_limit(buf_slice(&f.message), &v);
    buf_release(&f.message);
    *ret = v;
}
