/* The simulator's headers about limits: each family as its provider writes it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../simulator/headers.h"
#include "../simulator/organization.h"
#include "metergate/base/buf.h"
#include "metergate/base/clock.h"

/* 2026-04-01T12:00:00Z */
#define NOON (INT64_C(1775044800) * CLOCK_S)

static struct model *model_with(struct limits_config limits)
{
    struct model_config config = {.limits = limits};

    config.limits.window_ms = 60000;
    config.limits.day_ms = 86400000;
    return model_new("m", &config);
}

static void use(struct model *m, int64_t input)
{
    const struct demand demand = {.input = input};
    struct claim claim;

    assert_int_equal(model_arrive(m, &demand, 0, &claim).kind, VERDICT_ADMITTED);
}

static void assert_prints(struct model *m, enum family family, const char *text)
{
    struct organization org = organization_shared();
    struct buf out;

    buf_init(&out, BUF_UNLIMITED);
    buf_add_str(&out, "");
    headers_print(m, family, &org, true, 0, NOON, &out);
    assert_string_equal(out.n ? out.p : "", text);
    buf_release(&out);
}

static void test_openai__tells__limit_remaining_and_reset(void **state)
{
    struct model *m = model_with((struct limits_config){
        .max = {[METRIC_TOKENS] = 160000, [METRIC_REQUESTS] = 5000}, .limiter = LIMITER_BUCKET});

    (void)state;
    use(m, 24);
    assert_prints(m, FAMILY_OPENAI,
                  "openai-organization: org-simulator\r\n"
                  "x-ratelimit-limit-requests: 5000\r\nx-ratelimit-remaining-requests: 4999\r\n"
                  "x-ratelimit-reset-requests: 12ms\r\nx-ratelimit-limit-tokens: 160000\r\n"
                  "x-ratelimit-remaining-tokens: 159976\r\nx-ratelimit-reset-tokens: 9ms\r\n");
    model_free(m);
}

/* "8.64s": what accounts with 10,000 requests a day see after one */
static void test_openai__requests__are_the_days_where_it_has_a_limit(void **state)
{
    struct model *m = model_with((struct limits_config){
        .max = {[METRIC_DAY_REQUESTS] = 10000, [METRIC_REQUESTS] = 500}, .limiter = LIMITER_BUCKET});

    (void)state;
    use(m, 24);
    assert_prints(m, FAMILY_OPENAI,
                  "openai-organization: org-simulator\r\nx-ratelimit-limit-requests: 10000\r\n"
                  "x-ratelimit-remaining-requests: 9999\r\nx-ratelimit-reset-requests: 8.64s\r\n");
    model_free(m);
}

static void test_anthropic__tokens__are_rounded_to_the_thousand(void **state)
{
    struct model *m = model_with((struct limits_config){
        .max = {[METRIC_REQUESTS] = 50, [METRIC_INPUT] = 30000, [METRIC_OUTPUT] = 8000},
        .limiter = LIMITER_BUCKET});

    (void)state;
    use(m, 10500); /* 19,500 are left: full again after 21 s */
    assert_prints(
        m, FAMILY_ANTHROPIC,
        "anthropic-organization-id: 608c5951-ca67-4ed3-8bf5-2fe0b1fb2608\r\n"
        "anthropic-ratelimit-tokens-limit: 38000\r\nanthropic-ratelimit-tokens-remaining: 28000\r\n"
        "anthropic-ratelimit-tokens-reset: 2026-04-01T12:00:21Z\r\n"
        "anthropic-ratelimit-requests-limit: 50\r\nanthropic-ratelimit-requests-remaining: 49\r\n"
        "anthropic-ratelimit-requests-reset: 2026-04-01T12:00:02Z\r\n"
        "anthropic-ratelimit-input-tokens-limit: 30000\r\nanthropic-ratelimit-input-tokens-remaining: 20000\r\n"
        "anthropic-ratelimit-input-tokens-reset: 2026-04-01T12:00:21Z\r\n"
        "anthropic-ratelimit-output-tokens-limit: 8000\r\nanthropic-ratelimit-output-tokens-remaining: 8000\r\n"
        "anthropic-ratelimit-output-tokens-reset: 2026-04-01T12:00:00Z\r\n");
    model_free(m);
}

static void test_groq__requests__are_always_the_days(void **state)
{
    struct model *m = model_with((struct limits_config){
        .max = {[METRIC_REQUESTS] = 30, [METRIC_DAY_REQUESTS] = 14400, [METRIC_TOKENS] = 6000},
        .limiter = LIMITER_BUCKET});

    (void)state;
    use(m, 766);
    assert_prints(m, FAMILY_GROQ,
                  "x-ratelimit-limit-requests: 14400\r\nx-ratelimit-remaining-requests: 14399\r\n"
                  "x-ratelimit-reset-requests: 6s\r\nx-ratelimit-limit-tokens: 6000\r\n"
                  "x-ratelimit-remaining-tokens: 5234\r\nx-ratelimit-reset-tokens: 7.66s\r\n");
    model_free(m);
    /* a limit by the minute is none that it tells of */
    m = model_with((struct limits_config){.max[METRIC_REQUESTS] = 30});
    assert_prints(m, FAMILY_GROQ, "");
    model_free(m);
}

static void test_azure__every_third_answer__says_minus_one(void **state)
{
    static const char usual[] = "x-ratelimit-remaining-requests: 10\r\n";
    struct model *m = model_with((struct limits_config){.max[METRIC_REQUESTS] = 10});

    (void)state;
    for (int i = 0; i < 6; i++)
        assert_prints(m, FAMILY_AZURE, usual);
    m->config.headers = FAMILY_AZURE;
    assert_prints(m, FAMILY_AZURE, usual);
    assert_prints(m, FAMILY_AZURE, usual);
    assert_prints(
        m, FAMILY_AZURE,
        "x-ratelimit-limit-requests: -1\r\nx-ratelimit-remaining-requests: -1\r\nx-ratelimit-reset-requests: 0\r\n");
    assert_prints(m, FAMILY_AZURE, usual);
    model_free(m);
}

static void test_venice__resets_requests_at_a_moment__and_tokens_in_seconds(void **state)
{
    struct model *m = model_with((struct limits_config){
        .max = {[METRIC_REQUESTS] = 60, [METRIC_TOKENS] = 6000}, .limiter = LIMITER_BUCKET});

    (void)state;
    use(m, 250);
    assert_prints(m, FAMILY_VENICE,
                  "x-ratelimit-limit-requests: 60\r\nx-ratelimit-remaining-requests: 59\r\n"
                  "x-ratelimit-reset-requests: 1775044801\r\nx-ratelimit-limit-tokens: 6000\r\n"
                  "x-ratelimit-remaining-tokens: 5750\r\nx-ratelimit-reset-tokens: 3\r\n");
    model_free(m);
}

static void test_gemini_and_none__tell__nothing(void **state)
{
    struct model *m =
        model_with((struct limits_config){.max = {[METRIC_REQUESTS] = 60, [METRIC_TOKENS] = 6000}});

    (void)state;
    assert_prints(m, FAMILY_GEMINI, "");
    assert_prints(m, FAMILY_NONE, "");
    model_free(m);
}

static void test_without_limits__who_pays__is_told_all_the_same(void **state)
{
    struct model *m = model_with((struct limits_config){.max[METRIC_TOKENS] = 6000});
    struct organization org = organization_of_key(SLICE("sk-secret"));
    struct buf out;

    (void)state;
    buf_init(&out, BUF_UNLIMITED);
    headers_print(m, FAMILY_OPENAI, &org, false, 0, NOON, &out);
    assert_int_equal(strncmp(out.p, "openai-organization: org-", 25), 0);
    assert_null(strstr(out.p, "x-ratelimit"));
    assert_null(strstr(out.p, "secret"));
    buf_release(&out);
    model_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_openai__tells__limit_remaining_and_reset),
        cmocka_unit_test(test_openai__requests__are_the_days_where_it_has_a_limit),
        cmocka_unit_test(test_anthropic__tokens__are_rounded_to_the_thousand),
        cmocka_unit_test(test_groq__requests__are_always_the_days),
        cmocka_unit_test(test_azure__every_third_answer__says_minus_one),
        cmocka_unit_test(test_venice__resets_requests_at_a_moment__and_tokens_in_seconds),
        cmocka_unit_test(test_gemini_and_none__tell__nothing),
        cmocka_unit_test(test_without_limits__who_pays__is_told_all_the_same),
    };

    return cmocka_run_group_tests_name("sim_headers", tests, NULL, NULL);
}
