/* refusal, verdict, openai_error: errors that we write and errors that we read. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <cmocka.h>

#include "metergate/base/clock.h"
#include "metergate/base/json.h"
#include "metergate/dialect/dialect.h"
#include "metergate/dialect/openai.h"
#include "metergate/dialect/refusal.h"
#include "metergate/dialect/verdict.h"

/* ---- ours
 * ----------------------------------------------------------------------------------------------------------
 */

static void refuse(const struct refusal *r, struct buf *out)
{
    buf_init(out, BUF_UNLIMITED);
    dialect_openai.refuse(r, out);
}

static void assert_member(const struct json *doc, const char *path, const char *want)
{
    struct slice s;

    assert_int_equal(json_as_str(json_path(doc, path), &s), 0);
    if (!slice_eq(s, slice_str(want)))
        fail_msg("%s is %.*s", path, (int)s.n, s.p);
}

static void test_refusal__every_reason__has_its_status_name_and_shape(void **state)
{
    static const struct {
        int status;
        const char *name;
    } contract[REFUSAL_REASONS] = {
        [REFUSAL_BAD_REQUEST] = {400, "bad-request"},
        [REFUSAL_TOKEN] = {401, "token"},
        [REFUSAL_ORIGIN] = {403, "origin"},
        [REFUSAL_USER] = {403, "user"},
        [REFUSAL_NO_ROUTE] = {404, "no-route"},
        [REFUSAL_NOT_A_TUNNEL] = {405, "not-a-tunnel"},
        [REFUSAL_TOO_LARGE] = {413, "too-large"},
        [REFUSAL_UPGRADE] = {426, "upgrade"},
        [REFUSAL_MAX_WAIT] = {429, "max-wait"},
        [REFUSAL_QUEUE_FULL] = {429, "queue-full"},
        [REFUSAL_BUDGET_USD] = {429, "budget-usd"},
        [REFUSAL_UPSTREAM_CONNECT] = {502, "upstream-connect"},
        [REFUSAL_UPSTREAM_PROTOCOL] = {502, "upstream-protocol"},
        [REFUSAL_DRAINING] = {503, "draining"},
        [REFUSAL_UPSTREAM_TIMEOUT] = {504, "upstream-timeout"},
    };

    (void)state;
    for (int i = 0; i < REFUSAL_REASONS; i++) {
        struct refusal r = {.reason = (enum refusal_reason)i};
        struct json *doc;
        struct slice s;
        struct buf out;

        assert_int_equal(refusal_status(&r), contract[i].status);
        assert_string_equal(refusal_name(r.reason), contract[i].name);
        refuse(&r, &out);
        assert_int_equal(json_parse(buf_slice(&out), &doc), 0);
        assert_int_equal(json_as_str(json_path(doc, "error.message"), &s), 0);
        assert_true(s.n > 20 && slice_ends(s, SLICE(".")));
        assert_int_equal(json_as_str(json_path(doc, "error.type"), &s), 0);
        assert_int_equal(json_as_str(json_path(doc, "error.code"), &s), 0);
        assert_true(json_is_null(json_path(doc, "error.param")));
        json_free(doc);
        buf_release(&out);
    }
}

static void test_refusal__too_large__names_limit_and_request_as_openai_does(void **state)
{
    struct refusal r = {.reason = REFUSAL_TOO_LARGE,
                        .model = SLICE("gpt-4o-2024-08-06"),
                        .budget = SLICE("gpt-4o"),
                        .metric = "tpm",
                        .limit = 30000,
                        .requested = 40666};
    struct json *doc;
    struct buf out;

    (void)state;
    refuse(&r, &out);
    assert_int_equal(json_parse(buf_slice(&out), &doc), 0);
    assert_member(
        doc, "error.message",
        "Request too large for gpt-4o-2024-08-06 on tokens per min (TPM): Limit 30000, Requested 40666. The "
        "input or output tokens must be reduced in order to run successfully. The call was not sent: no wait "
        "makes room for it. If the provider allows more, raise `tpm` of `models: gpt-4o` in Metergate's "
        "configuration.");
    assert_member(doc, "error.type", "tokens");
    assert_member(doc, "error.code", "rate_limit_exceeded");
    assert_false(refusal_retry(&r).retry_after);
    json_free(doc);
    buf_release(&out);
}

static void test_refusal__too_large_body__is_another_matter_than_a_limit(void **state)
{
    struct refusal r = {.reason = REFUSAL_TOO_LARGE, .model = SLICE("gpt-4o")};
    struct json *doc;
    struct buf out;

    (void)state;
    refuse(&r, &out);
    assert_int_equal(json_parse(buf_slice(&out), &doc), 0);
    assert_member(doc, "error.code", "request_too_large");
    json_free(doc);
    buf_release(&out);
}

static void test_refusal__waits__are_told_in_every_form_that_clients_read(void **state)
{
    struct refusal r = {.reason = REFUSAL_MAX_WAIT,
                        .model = SLICE("gpt-4o"),
                        .metric = "rpm",
                        .detail = SLICE("It may wait 5s."),
                        .wait_us = 12 * CLOCK_S + 1};
    struct refusal_retry retry = refusal_retry(&r);
    struct json *doc;
    struct buf out;

    (void)state;
    assert_true(retry.retry_after);
    assert_int_equal(retry.retry_after_s, 13);
    assert_int_equal(retry.retry_after_ms, 12001);
    assert_null(retry.should_retry);
    refuse(&r, &out);
    assert_int_equal(json_parse(buf_slice(&out), &doc), 0);
    assert_member(
        doc, "error.message",
        "Rate limit reached for gpt-4o on requests per min (RPM). It may wait 5s. Please try again in 13s.");
    assert_member(doc, "error.type", "requests");
    json_free(doc);
    buf_release(&out);
    r.wait_us = 0;
    assert_int_equal(refusal_retry(&r).retry_after_s, 1);
    r.reason = REFUSAL_DRAINING;
    assert_int_equal(refusal_retry(&r).retry_after_s, 1);
    assert_string_equal(refusal_retry(&r).should_retry, "true");
    r.reason = REFUSAL_BUDGET_USD;
    assert_false(refusal_retry(&r).retry_after);
    assert_string_equal(refusal_retry(&r).should_retry, "false");
}

static void test_refusal__a_model_name_with_quotes__stays_inside_its_string(void **state)
{
    struct refusal r = {.reason = REFUSAL_QUEUE_FULL, .model = SLICE("a\"}b\\\n\xFF")};
    struct json *doc;
    struct slice s;
    struct buf out;

    (void)state;
    refuse(&r, &out);
    assert_int_equal(json_parse(buf_slice(&out), &doc), 0);
    assert_int_equal(json_as_str(json_path(doc, "error.message"), &s), 0);
    assert_true(slice_starts(s, SLICE("Rate limit reached for a\"}b\\\n")));
    json_free(doc);
    buf_release(&out);
}

/* ---- theirs
 * ---------------------------------------------------------------------------------------------------------
 */

/* 2026-11-23 12:00:00 UTC */
#define WALL_US (INT64_C(1795435200) * CLOCK_S)

struct headers {
    const char *lines[8]; /* name, value, name, value, ..., NULL */
};

static struct slice find_header(void *arg, const char *name)
{
    const struct headers *h = arg;

    for (size_t i = 0; i + 1 < MG_ARRAY_LEN(h->lines) && h->lines[i]; i += 2)
        if (strcasecmp(h->lines[i], name) == 0)
            return slice_str(h->lines[i + 1]);
    return slice_of(NULL, 0);
}

#define OPENAI(message, type, code)                                                                          \
    "{\"error\":{\"message\":\"" message "\",\"type\":\"" type "\",\"param\":null,\"code\":\"" code "\"}}"
#define REACHED                                                                                              \
    "Rate limit reached for gpt-4o in organization org-X on tokens per min (TPM): Limit 30000, Used 29937, " \
    "Requested 385. "
#define QUOTA(id) "{\"quotaMetric\":\"generativelanguage.googleapis.com/x\",\"quotaId\":\"" id "\"}"
#define GOOGLE(quotas)                                                                                       \
    "{\"error\":{\"code\":429,\"message\":\"You exceeded your current quota\",\"status\":\"RESOURCE_EXHAUSTED\",\"details\":[" \
    "{\"@type\":\"type.googleapis.com/google.rpc.QuotaFailure\",\"violations\":[" quotas "]},"             \
    "{\"@type\":\"type.googleapis.com/google.rpc.RetryInfo\",\"retryDelay\":\"26.5s\"}]}}"
#define LARGE                                                                                                \
    "Request too large for gpt-4o in organization org-X on tokens per min (TPM): Limit 30000, Requested "    \
    "40666. The input or "                                                                                   \
    "output tokens must be reduced in order to run successfully."

static const struct {
    const char *what;
    int status;
    enum verdict_scope scope;
    struct headers headers;
    const char *body;
    int64_t wait_us; /* -1: not named */
    const char *reason;
    bool retry;
} answers[] = {
    {"the sentence alone",
     429,
     VERDICT_MODEL,
     {{NULL}},
     OPENAI(REACHED "Please try again in 644ms. Visit https://x.", "tokens", "rate_limit_exceeded"),
     644000,
     "rate limit",
     true},
    {"seconds with a fraction",
     429,
     VERDICT_MODEL,
     {{NULL}},
     OPENAI("Please try again in 9.816s. Visit", "tokens", "rate_limit_exceeded"),
     9816000,
     "rate limit",
     true},
    {"minutes and seconds",
     429,
     VERDICT_MODEL,
     {{NULL}},
     OPENAI("Please try again in 6m0s.", "requests", "rate_limit_exceeded"),
     360000000,
     "rate limit",
     true},
    {"hours",
     429,
     VERDICT_MODEL,
     {{NULL}},
     OPENAI("Please try again in 2h7m1.233s.", "requests", "rate_limit_exceeded"),
     7621233000,
     "rate limit",
     true},
    {"words",
     429,
     VERDICT_MODEL,
     {{NULL}},
     OPENAI("Please retry after 20 seconds.", "requests", "429"),
     20000000,
     "rate limit",
     true},
    {"words of minutes",
     429,
     VERDICT_MODEL,
     {{NULL}},
     OPENAI("retry in 2 minutes", "requests", "429"),
     120000000,
     "rate limit",
     true},
    {"words of milliseconds",
     429,
     VERDICT_MODEL,
     {{NULL}},
     OPENAI("try again in 250 ms", "requests", "429"),
     250000,
     "rate limit",
     true},
    {"more than a day is a day",
     429,
     VERDICT_MODEL,
     {{NULL}},
     OPENAI("try again in 90000h", "requests", "429"),
     VERDICT_WAIT_MAX_US,
     "rate limit",
     true},
    {"no hint",
     429,
     VERDICT_MODEL,
     {{NULL}},
     OPENAI("Slow down.", "requests", "slow_down"),
     -1,
     "rate limit",
     true},
    {"retry-after", 429, VERDICT_MODEL, {{"Retry-After", "56"}}, "", 56000000, "rate limit", true},
    {"retry-after with a fraction",
     429,
     VERDICT_MODEL,
     {{"Retry-After", "0.5"}},
     "",
     500000,
     "rate limit",
     true},
    {"retry-after 0", 429, VERDICT_MODEL, {{"Retry-After", "0"}}, "", 0, "rate limit", true},
    {"retry-after for ever",
     429,
     VERDICT_MODEL,
     {{"Retry-After", "99999999999999999999"}},
     "",
     VERDICT_WAIT_MAX_US,
     "rate limit",
     true},
    {"a date",
     429,
     VERDICT_MODEL,
     {{"Retry-After", "Mon, 23 Nov 2026 12:00:30 GMT"}},
     "",
     30000000,
     "rate limit",
     true},
    {"an old date",
     429,
     VERDICT_MODEL,
     {{"Retry-After", "Monday, 23-Nov-26 12:00:31 GMT"}},
     "",
     31000000,
     "rate limit",
     true},
    {"a date of asctime",
     429,
     VERDICT_MODEL,
     {{"Retry-After", "Mon Nov 23 12:00:32 2026"}},
     "",
     32000000,
     "rate limit",
     true},
    {"a date that is past",
     429,
     VERDICT_MODEL,
     {{"Retry-After", "Mon, 23 Nov 2026 11:00:00 GMT"}},
     "",
     0,
     "rate limit",
     true},
    {"retry-after that is nonsense",
     429,
     VERDICT_MODEL,
     {{"Retry-After", "soon"}},
     "",
     -1,
     "rate limit",
     true},
    {"a negative retry-after", 429, VERDICT_MODEL, {{"Retry-After", "-5"}}, "", -1, "rate limit", true},
    {"milliseconds are finer than seconds",
     429,
     VERDICT_MODEL,
     {{"retry-after", "1", "retry-after-ms", "644"}},
     "",
     644000,
     "rate limit",
     true},
    {"the longer of header and sentence",
     429,
     VERDICT_MODEL,
     {{"retry-after", "1"}},
     OPENAI("try again in 5s", "tokens", "c"),
     5000000,
     "rate limit",
     true},
    {"reset of what is used up",
     429,
     VERDICT_MODEL,
     {{"x-ratelimit-remaining-tokens", "0", "x-ratelimit-reset-tokens", "7m12s", "x-ratelimit-reset-requests",
       "1s"}},
     "",
     432000000,
     "rate limit",
     true},
    {"reset by the type",
     429,
     VERDICT_MODEL,
     {{"x-ratelimit-reset-tokens", "7m12s", "x-ratelimit-reset-requests", "120ms"}},
     OPENAI("Rate limit", "requests", "c"),
     120000,
     "rate limit",
     true},
    {"reset as a time of day",
     429,
     VERDICT_MODEL,
     {{"x-ratelimit-remaining-requests", "0", "x-ratelimit-reset-requests", "1795435207"}},
     "",
     7000000,
     "rate limit",
     true},
    {"reset in epoch milliseconds",
     429,
     VERDICT_MODEL,
     {{"x-ratelimit-remaining-requests", "0", "x-ratelimit-reset-requests", "1795435208000"}},
     "",
     8000000,
     "rate limit",
     true},
    {"reset as RFC 3339",
     429,
     VERDICT_MODEL,
     {{"x-ratelimit-remaining-requests", "0", "x-ratelimit-reset-requests", "2026-11-23T12:00:09Z"}},
     "",
     9000000,
     "rate limit",
     true},
    {"reset of nobody's limit",
     429,
     VERDICT_MODEL,
     {{"x-ratelimit-remaining-tokens", "5", "x-ratelimit-reset-tokens", "7m12s"}},
     "",
     -1,
     "rate limit",
     true},
    {"too large",
     429,
     VERDICT_REQUEST,
     {{NULL}},
     OPENAI(LARGE, "tokens", "rate_limit_exceeded"),
     -1,
     "too large",
     false},
    {"too large, as Groq says it",
     413,
     VERDICT_REQUEST,
     {{NULL}},
     OPENAI(LARGE, "tokens", "rate_limit_exceeded"),
     -1,
     "too large",
     false},
    {"quota",
     429,
     VERDICT_ACCOUNT,
     {{"retry-after", "3"}},
     OPENAI("You exceeded your current quota", "insufficient_quota", "insufficient_quota"),
     3000000,
     "quota",
     false},
    {"quota by its type",
     429,
     VERDICT_ACCOUNT,
     {{NULL}},
     OPENAI("m", "insufficient_quota", "x"),
     -1,
     "quota",
     false},
    {"credit",
     429,
     VERDICT_ACCOUNT,
     {{NULL}},
     OPENAI("m", "x", "credit_balance_exhausted"),
     -1,
     "quota",
     false},
    {"organisation's use",
     429,
     VERDICT_ACCOUNT,
     {{NULL}},
     OPENAI("m", "x", "organization_usage_limit_exceeded"),
     -1,
     "quota",
     false},
    {"organisation's spending",
     429,
     VERDICT_ACCOUNT,
     {{NULL}},
     OPENAI("m", "x", "organization_spend_limit_exceeded"),
     -1,
     "quota",
     false},
    {"project's spending",
     429,
     VERDICT_ACCOUNT,
     {{NULL}},
     OPENAI("m", "x", "project_spend_limit_exceeded"),
     -1,
     "quota",
     false},
    {"told not to",
     429,
     VERDICT_MODEL,
     {{"x-should-retry", "false", "retry-after", "2"}},
     OPENAI(REACHED, "tokens", "rate_limit_exceeded"),
     2000000,
     "the provider says not to retry",
     false},
    {"overloaded",
     503,
     VERDICT_MODEL,
     {{NULL}},
     OPENAI("The engine is overloaded", "server_error", "x"),
     -1,
     "overloaded",
     true},
    {"overloaded, as Anthropic numbers it",
     529,
     VERDICT_MODEL,
     {{"retry-after", "7"}},
     "",
     7000000,
     "overloaded",
     true},
    {"an error that is not about rates",
     500,
     VERDICT_REQUEST,
     {{"x-should-retry", "true"}},
     OPENAI("m", "server_error", "x"),
     -1,
     "refused",
     false},
    {"a wrong request",
     400,
     VERDICT_REQUEST,
     {{NULL}},
     OPENAI("m", "invalid_request_error", "context_length_exceeded"),
     -1,
     "refused",
     false},
    {"a body that is cut",
     429,
     VERDICT_MODEL,
     {{NULL}},
     "{\"error\":{\"message\":\"Please try again in 3s.\",\"type\":\"tok",
     3000000,
     "rate limit",
     true},
    {"plain text",
     429,
     VERDICT_MODEL,
     {{NULL}},
     "Too many requests, try again in 4s",
     4000000,
     "rate limit",
     true},
    {"an error that is a string",
     429,
     VERDICT_MODEL,
     {{NULL}},
     "{\"error\":\"try again in 5s\"}",
     5000000,
     "rate limit",
     true},
    {"a message on top",
     429,
     VERDICT_MODEL,
     {{NULL}},
     "{\"message\":\"try again in 6s\",\"request_id\":\"r\"}",
     6000000,
     "rate limit",
     true},
    {"in a list",
     429,
     VERDICT_MODEL,
     {{NULL}},
     "[{\"error\":{\"code\":429,\"message\":\"try again in 7s\"}}]",
     7000000,
     "rate limit",
     true},
    {"Google: a model's minute", 429, VERDICT_MODEL, {{NULL}},
     GOOGLE(QUOTA("GenerateRequestsPerMinutePerProjectPerModel-FreeTier")), 26500000, "rate limit", true},
    {"Google: a model's minute, otherwise", 429, VERDICT_MODEL, {{NULL}},
     GOOGLE(QUOTA("GenerateContentInputTokensPerModelPerMinute-FreeTier")), 26500000, "rate limit", true},
    {"Google: a project's minute", 429, VERDICT_ACCOUNT, {{NULL}},
     GOOGLE(QUOTA("GenerateRequestsPerMinutePerProject")), 26500000, "rate limit", true},
    {"Google: both", 429, VERDICT_ACCOUNT, {{NULL}},
     GOOGLE(QUOTA("GenerateRequestsPerMinutePerProject") "," QUOTA("GenerateRequestsPerMinutePerProjectPerModel")), 26500000,
     "rate limit", true},
    {"Google: a model's day", 429, VERDICT_MODEL, {{NULL}},
     GOOGLE(QUOTA("GenerateRequestsPerDayPerProjectPerModel-FreeTier")), 26500000, "daily quota", false},
    {"Google: of nothing", 429, VERDICT_MODEL, {{NULL}}, GOOGLE(QUOTA("")), 26500000, "rate limit", true},
    {"an empty list", 429, VERDICT_MODEL, {{NULL}}, "[]", -1, "rate limit", true},
    {"HTML", 503, VERDICT_MODEL, {{NULL}}, "<html>try again</html>", -1, "overloaded", true},
    {"errors in errors",
     429,
     VERDICT_MODEL,
     {{NULL}},
     "{\"error\":{\"error\":{\"error\":{\"error\":{\"error\":{\"message\":\"try again in 1s\"}}}}}}",
     -1,
     "rate limit",
     true},
};

static void test_verdict__each_kind_of_answer__is_understood(void **state)
{
    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(answers); i++) {
        struct headers h = answers[i].headers;
        struct provider_answer a = {.status = answers[i].status,
                                    .header = find_header,
                                    .arg = &h,
                                    .body = slice_str(answers[i].body),
                                    .wall_us = WALL_US};
        struct verdict v;

        verdict_judge(&a, &v);
        if (v.retry_may_help != answers[i].retry || v.scope != answers[i].scope ||
            strcmp(v.reason, answers[i].reason) != 0 || (v.wait_known ? v.wait_us : -1) != answers[i].wait_us)
            fail_msg("%s: retry %d, wait %lld, scope %d, %s", answers[i].what, v.retry_may_help,
                     v.wait_known ? (long long)v.wait_us : -1LL, (int)v.scope, v.reason);
        assert_int_equal(v.add_should_retry_false, strcmp(v.reason, "too large") == 0);
    }
}

static void test_verdict__the_figures_of_the_sentence__are_read(void **state)
{
    struct provider_answer a = {.status = 429,
                                .body = SLICE(OPENAI(REACHED, "tokens", "rate_limit_exceeded"))};
    struct verdict v;

    (void)state;
    verdict_judge(&a, &v);
    assert_true(v.limit_known);
    assert_int_equal(v.limit, 30000);
    assert_int_equal(v.used, 29937);
    assert_int_equal(v.requested, 385);
    a.body = SLICE(OPENAI("no figures", "tokens", "rate_limit_exceeded"));
    verdict_judge(&a, &v);
    assert_false(v.limit_known);
    assert_int_equal(v.limit, -1);
}

static void test_verdict__a_provider_that_does_not_know_stream_options__is_recognised(void **state)
{
    static const struct {
        const char *body;
        int status;
        bool refuses;
    } rows[] = {
        {"{\"detail\":[{\"loc\":[\"body\",\"stream_options\"],\"msg\":\"extra fields not permitted\"}]}", 422,
         true},
        {OPENAI("Unknown parameter: 'stream_options.include_usage'.", "invalid_request_error",
                "unknown_parameter"),
         400, true},
        {OPENAI("Unknown parameter: 'foo'.", "invalid_request_error", "unknown_parameter"), 400, false},
        {OPENAI("stream_options", "server_error", "x"), 500, false},
        {"", 400, false},
    };

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++) {
        struct provider_answer a = {.status = rows[i].status, .body = slice_str(rows[i].body)};
        struct verdict v;

        verdict_judge(&a, &v);
        assert_int_equal(v.refuses_usage_option, rows[i].refuses);
        assert_false(v.retry_may_help);
    }
}

/* The body of an error is as long as the provider likes; only a beginning of the message is looked at. */
static void test_verdict__an_endless_message__is_cut(void **state)
{
    struct provider_answer a = {.status = 429};
    struct verdict v;
    struct buf body;

    (void)state;
    buf_init(&body, BUF_UNLIMITED);
    buf_add_str(&body, "{\"error\":{\"message\":\"try again in 2s ");
    for (int i = 0; i < 10000; i++)
        buf_add_str(&body, "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\\u0000");
    buf_add_str(&body, "\"}}");
    a.body = buf_slice(&body);
    verdict_judge(&a, &v);
    assert_int_equal(v.wait_us, 2000000);
    buf_release(&body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refusal__every_reason__has_its_status_name_and_shape),
        cmocka_unit_test(test_refusal__too_large__names_limit_and_request_as_openai_does),
        cmocka_unit_test(test_refusal__too_large_body__is_another_matter_than_a_limit),
        cmocka_unit_test(test_refusal__waits__are_told_in_every_form_that_clients_read),
        cmocka_unit_test(test_refusal__a_model_name_with_quotes__stays_inside_its_string),
        cmocka_unit_test(test_verdict__each_kind_of_answer__is_understood),
        cmocka_unit_test(test_verdict__the_figures_of_the_sentence__are_read),
        cmocka_unit_test(test_verdict__a_provider_that_does_not_know_stream_options__is_recognised),
        cmocka_unit_test(test_verdict__an_endless_message__is_cut),
    };

    return cmocka_run_group_tests_name("openai_errors", tests, NULL, NULL);
}
