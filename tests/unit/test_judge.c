/* judge: whom a 429 concerns, what is temporary, and waits that no clock can hold. Its reading of OpenAI's
 * errors is in test_openai_errors.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <cmocka.h>

#include "metergate/base/clock.h"
#include "metergate/dialect/verdict.h"

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

static void judge(int status, struct headers *h, const char *body, struct verdict *ret)
{
    struct provider_answer a = {.status = status, .header = find_header, .arg = h, .body = slice_str(body)};

    verdict_judge(&a, ret);
}

#define OPENAI(message)                                                                                      \
    "{\"error\":{\"message\":\"" message "\",\"type\":\"tokens\",\"code\":\"rate_limit_exceeded\"}}"
#define ANTHROPIC(message)                                                                                   \
    "{\"type\":\"error\",\"error\":{\"type\":\"rate_limit_error\",\"message\":\"" message "\"}}"
#define GOOGLE(message, violations)                                                                          \
    "{\"error\":{\"code\":429,\"message\":\"" message "\",\"details\":[{\"violations\":[" violations "]}]}}"
#define QUOTA(id) "{\"quotaId\":\"" id "\"}"
#define OF_MODEL(id)                                                                                         \
    "{\"quotaId\":\"" id "\",\"quotaDimensions\":{\"location\":\"global\",\"model\":\"gemini-2.5-flash\"}}"

#define PROJECT_USED_UP "x-ratelimit-remaining-tokens", "1000", "x-ratelimit-remaining-project-tokens", "0"

static const struct {
    const char *what;
    struct headers headers;
    const char *body;
    enum verdict_scope want;
} refusals[] = {
    {"nothing said", {{NULL}}, "", VERDICT_MODEL},
    {"a model of OpenAI's",
     {{NULL}},
     OPENAI("Rate limit reached for gpt-4o in organization org-X on tokens per min (TPM): Limit 3, Used 3"),
     VERDICT_MODEL},
    {"no model, but no account either", {{NULL}}, OPENAI("Rate limit reached for requests"), VERDICT_MODEL},
    {"an organization of OpenAI's",
     {{NULL}},
     OPENAI("Rate limit reached for organization org-X on requests per min (RPM): Limit 3, Used 3. Try again "
            "in 20s"),
     VERDICT_ACCOUNT},
    {"a project's tokens, and no model named", {{PROJECT_USED_UP}}, "", VERDICT_ACCOUNT},
    {"a project's tokens for one model",
     {{PROJECT_USED_UP}},
     OPENAI("Rate limit reached for gpt-4o in project proj_X on tokens per min (TPM): Limit 3, Used 3"),
     VERDICT_MODEL},
    {"a project's tokens, and the model's as well",
     {{"x-ratelimit-remaining-tokens", "0", "x-ratelimit-remaining-project-tokens", "0"}},
     "",
     VERDICT_MODEL},
    {"a project's tokens, which are left",
     {{"x-ratelimit-remaining-tokens", "7", "x-ratelimit-remaining-project-tokens", "7"}},
     "",
     VERDICT_MODEL},
    {"Groq's organization, whose limits are of models",
     {{NULL}},
     OPENAI("Rate limit reached for model `llama` in organization `org_1` service tier `on_demand` on tokens "
            "per day"),
     VERDICT_MODEL},
    {"Anthropic's organization, whose limits are of models even where none is named",
     {{NULL}},
     ANTHROPIC("This request would exceed your organization's rate limit of 30,000 input tokens per minute."),
     VERDICT_MODEL},
    {"Anthropic's workspace",
     {{NULL}},
     ANTHROPIC("This request would exceed your workspace's rate limit of 30,000 input tokens per minute."),
     VERDICT_ACCOUNT},
    {"Anthropic's workspace, for one model",
     {{NULL}},
     ANTHROPIC("This request would exceed your workspace's rate limit of 3 requests per minute (model: "
               "claude-opus-5)."),
     VERDICT_MODEL},
    {"Anthropic's subscription",
     {{"anthropic-ratelimit-unified-representative-claim", "five_hour"}},
     ANTHROPIC("This request would exceed your account's rate limit. Please try again later."),
     VERDICT_ACCOUNT},
    {"Anthropic's subscription, for one family of models",
     {{"anthropic-ratelimit-unified-representative-claim", "seven_day_opus"}},
     ANTHROPIC("This request would exceed your account's rate limit. Please try again later."),
     VERDICT_MODEL},
    {"a model of Google's",
     {{NULL}},
     GOOGLE("m", QUOTA("GenerateRequestsPerMinutePerProjectPerModel")),
     VERDICT_MODEL},
    {"a model of Google's, whatever the headers say",
     {{PROJECT_USED_UP}},
     GOOGLE("m", QUOTA("GenerateRequestsPerMinutePerProjectPerModel")),
     VERDICT_MODEL},
    {"a base model of Google's",
     {{NULL}},
     GOOGLE("m", QUOTA("GenerateContentRequestsPerMinutePerProjectPerBaseModel")),
     VERDICT_MODEL},
    {"a model among the dimensions",
     {{NULL}},
     GOOGLE("m", OF_MODEL("RequestsPerMinutePerProject")),
     VERDICT_MODEL},
    {"a project of Google's",
     {{NULL}},
     GOOGLE("m", QUOTA("RequestsPerMinutePerProjectPerRegion")),
     VERDICT_ACCOUNT},
    {"a project and a model of Google's",
     {{NULL}},
     GOOGLE("limit: 5, model: gemini-2.5-flash",
            OF_MODEL("RequestsPerMinutePerProject") "," QUOTA("RequestsPerMinutePerProject")),
     VERDICT_ACCOUNT},
    {"a quota of which nothing is known", {{NULL}}, GOOGLE("m", QUOTA("default")), VERDICT_MODEL},
};

static void test_judge__a_refusal__concerns_whom_it_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(refusals); i++) {
        struct headers h = refusals[i].headers;
        struct verdict v;

        judge(429, &h, refusals[i].body, &v);
        if (!v.retry_may_help || strcmp(v.reason, "rate limit") != 0 || v.scope != refusals[i].want)
            fail_msg("%s: scope %d, %s", refusals[i].what, (int)v.scope, v.reason);
        judge(503, &h, refusals[i].body, &v); /* no refusal of a limit */
        assert_int_equal(v.scope, VERDICT_MODEL);
    }
}

static void test_judge__a_ramp__is_temporary(void **state)
{
    static const struct {
        int status;
        const char *body, *reason;
    } rows[] = {
        {429, "{\"error\":{\"message\":\"Slow down\",\"type\":\"requests\",\"code\":\"slow_down\"}}",
         "rate limit"},
        {503, "{\"error\":{\"message\":\"Slow Down\",\"type\":\"server_error\",\"code\":\"slow_down\"}}",
         "overloaded"},
        {429,
         ANTHROPIC("This request would exceed your organization's maximum usage increase rate for input "
                   "tokens per minute "
                   "(org: x, model: claude-haiku-4-5). Your current limit is 58,276 input tokens per minute, "
                   "and will increase "
                   "to 68,276 at the next minute boundary. Please scale up your input tokens usage more "
                   "gradually to stay "
                   "within the acceleration limit."),
         "rate limit"},
        {529, "{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}",
         "overloaded"},
    };

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++) {
        struct headers none = {{NULL}};
        struct verdict v;

        judge(rows[i].status, &none, rows[i].body, &v);
        assert_true(v.retry_may_help);
        assert_false(v.wait_known);
        assert_int_equal(v.scope, VERDICT_MODEL);
        assert_string_equal(v.reason, rows[i].reason);
    }
}

static void test_judge__what_only_money_mends__is_not_waited_for(void **state)
{
    static const char *const bodies[] = {
        ANTHROPIC("Extra usage is required for long context requests."),
        "{\"type\":\"error\",\"error\":{\"type\":\"rate_limit_error\",\"message\":\"m\",\"details\":{\"error_"
        "code\":"
        "\"enforced_spend_limit_reached\"}}}",
        "{\"error\":{\"message\":\"m\",\"type\":\"insufficient_quota\",\"code\":\"project_spend_limit_"
        "exceeded\"}}",
    };

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(bodies); i++) {
        struct headers none = {{NULL}};
        struct verdict v;

        judge(429, &none, bodies[i], &v);
        assert_false(v.retry_may_help);
        assert_string_equal(v.reason, "quota");
    }
}

static void test_judge__an_absurd_wait__is_a_day(void **state)
{
    static const struct {
        struct headers headers;
        const char *body;
    } rows[] = {
        {{{"Retry-After", "99999999999999999999"}}, ""},
        {{{"Retry-After", "31536000"}}, ""},
        {{{"retry-after-ms", "99999999999999999999"}}, ""},
        {{{"Retry-After", "Fri, 31 Dec 9999 23:59:59 GMT"}}, ""},
        {{{NULL}}, OPENAI("try again in 900000000h")},
        {{{NULL}}, OPENAI("try again in 99999999999999999999s")},
        {{{NULL}}, OPENAI("retry after 9999999 minutes")},
        {{{NULL}}, OPENAI("retry after 3000000000 days")},
        {{{NULL}}, OPENAI("try again in 900000000 ms")},
        {{{NULL}}, "{\"error\":{\"details\":[{\"retryDelay\":\"99999999999999999999s\"}]}}"},
        {{{"x-ratelimit-remaining-requests", "0", "x-ratelimit-reset-requests", "9223372036854775807"}}, ""},
        {{{"x-ratelimit-remaining-requests", "0", "x-ratelimit-reset-requests", "900h"}}, ""},
    };

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++) {
        struct headers h = rows[i].headers;
        struct verdict v;

        judge(429, &h, rows[i].body, &v);
        if (!v.wait_known || v.wait_us != VERDICT_WAIT_MAX_US)
            fail_msg("row %zu: %lld us", i, v.wait_known ? (long long)v.wait_us : -1LL);
    }
}

static void test_judge__milliseconds_of_a_sentence__are_divided_before_they_are_bounded(void **state)
{
    struct headers none = {{NULL}};
    struct verdict v;

    (void)state;
    judge(429, &none, OPENAI("try again in 86399000 ms"), &v);
    assert_int_equal(v.wait_us, 86399 * CLOCK_S);
}

static void test_judge__numbers_of_sentences__may_have_commas(void **state)
{
    static const struct {
        const char *text;
        int64_t want; /* -1: none */
        const char *rest;
    } rows[] = {
        {"30000, Used 5", 30000, ", Used 5"},
        {"30,000 input", 30000, " input"},
        {" 1,234,567.", 1234567, "."},
        {"3,1", 3, ",1"},
        {"3,1234", 3, ",1234"},
        {"12", 12, ""},
        {"", -1, NULL},
        {",000", -1, NULL},
        {"-5", -1, NULL},
        {"20s", -1, NULL},
        {"1.5", -1, NULL},
        {"99999999999999999999", -1, NULL},
    };

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++) {
        struct slice s = slice_str(rows[i].text);
        int64_t v = -1;

        if ((verdict_take_number(&s, &v) == 0) != (rows[i].want >= 0) || v != rows[i].want)
            fail_msg("'%s' is %lld", rows[i].text, (long long)v);
        if (rows[i].rest)
            assert_true(slice_eq(s, slice_str(rows[i].rest)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_judge__a_refusal__concerns_whom_it_says),
        cmocka_unit_test(test_judge__a_ramp__is_temporary),
        cmocka_unit_test(test_judge__what_only_money_mends__is_not_waited_for),
        cmocka_unit_test(test_judge__an_absurd_wait__is_a_day),
        cmocka_unit_test(test_judge__milliseconds_of_a_sentence__are_divided_before_they_are_bounded),
        cmocka_unit_test(test_judge__numbers_of_sentences__may_have_commas),
    };

    return cmocka_run_group_tests_name("judge", tests, NULL, NULL);
}
