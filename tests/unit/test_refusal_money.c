/* refusal_money: what a call that there is no money for is told, in every dialect. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "metergate/base/clock.h"
#include "metergate/base/json.h"
#include "metergate/base/money.h"
#include "metergate/dialect/dialect.h"
#include "metergate/dialect/refusal.h"
#include "metergate/dialect/verdict.h"

#define MINUTE (60 * CLOCK_S)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)

/* 2026-11-23 12:00:00 UTC */
#define WALL_US (INT64_C(1795435200) * CLOCK_S)

static struct refusal five_a_day(void)
{
    return (struct refusal){.reason = REFUSAL_BUDGET_USD,
                            .model = SLICE("gpt-4o-2024-08-06"),
                            .budget = SLICE("gpt-4o"),
                            .metric = "usd_per_day",
                            .max_nano = 5 * MONEY_USD,
                            .spent_nano = 4 * MONEY_USD + 980000001,
                            .reserved_nano = MONEY_USD / 100,
                            .wanted_nano = MONEY_USD / 20,
                            .frees_us = 3 * HOUR + 11 * MINUTE + 1,
                            .wall_us = WALL_US};
}

static void assert_sentence(const struct refusal *r, const char *want)
{
    struct buf out;

    buf_init(&out, BUF_UNLIMITED);
    refusal_sentence(r, &out);
    assert_string_equal(out.p, want);
    assert_null(strstr(out.p, "try again in")); /* clients would */
    buf_release(&out);
}

#define FIGURES                                                                                              \
    "Limit 5.00 USD, Spent 4.980000001 USD, Reserved 0.01 USD, Requested (estimate) 0.05 USD. The call was " \
    "not sent. "

static void test_refusal_money__of_a_budget__tells_the_limit_its_figures_and_when_it_frees(void **state)
{
    struct refusal r = five_a_day();

    (void)state;
    assert_sentence(&r, "Money limit reached for gpt-4o-2024-08-06 on `usd_per_day` of `models: gpt-4o`: " FIGURES
                        "If nothing else is spent there is room for it in 3h 12m (2026-11-23 15:11:01 UTC); to let it "
                        "go now, raise `usd_per_day` of `models: gpt-4o` in Metergate's configuration.");
    r.budget = SLICE("");
    r.model = SLICE("");
    r.wall_us = 0;
    assert_sentence(&r, "Money limit reached for this call on `usd_per_day` of `models: \"*\"`: " FIGURES
                        "If nothing else is spent there is room for it in 3h 12m; to let it go now, raise "
                        "`usd_per_day` of `models: \"*\"` in Metergate's configuration.");
}

static void test_refusal_money__of_a_client__names_it(void **state)
{
    struct refusal r = five_a_day();

    (void)state;
    r.client = SLICE("nightly");
    r.frees_us = CLOCK_NEVER;
    assert_sentence(&r, "Money limit reached for gpt-4o-2024-08-06 on `usd_per_day` of `clients: nightly`: " FIGURES
                        "When there is room for it depends on what calls that are under way cost in the end; to let "
                        "it go now, raise `usd_per_day` of `clients: nightly` in Metergate's configuration.");
}

static void test_refusal_money__of_a_call_above_the_limit__says_that_no_wait_helps(void **state)
{
    struct refusal r = five_a_day();

    (void)state;
    r.wanted_nano = 5 * MONEY_USD + 1;
    r.spent_nano = r.reserved_nano = 0;
    r.frees_us = CLOCK_NEVER;
    assert_sentence(&r, "Money limit reached for gpt-4o-2024-08-06 on `usd_per_day` of `models: gpt-4o`: Limit 5.00 "
                        "USD, Spent 0.00 USD, Reserved 0.00 USD, Requested (estimate) 5.000000001 USD. The call was "
                        "not sent. The call alone costs more than the limit allows, so that no wait makes room for "
                        "it; to let it go now, raise `usd_per_day` of `models: gpt-4o` in Metergate's configuration.");
}

static void test_refusal_money__without_a_price__gives_the_line_to_write(void **state)
{
    struct refusal r = {.reason = REFUSAL_BUDGET_USD,
                        .model = SLICE("ft:gpt-4o:\"x\"\n"),
                        .budget = SLICE("*"),
                        .metric = "usd_per_month",
                        .unpriced = true};

    (void)state;
    assert_sentence(&r, "The price of ft:gpt-4o:\"x\"\n is not known, and the money limit `usd_per_month` of "
                        "`models: \"*\"` needs it. The call was not sent. Add the price to Metergate's configuration, in USD per "
                        "million tokens: `prices: {\"ft:gpt-4o:\\\"x\\\"\\n\": {input: 2.50, output: 10}}` with the "
                        "provider's figures in place of these.");
}

static void test_refusal_money__waits__are_rounded_up_to_two_units(void **state)
{
    static const struct {
        int64_t us;
        const char *words;
    } rows[] = {
        {0, "in 1s;"},
        {1, "in 1s;"},
        {59 * CLOCK_S, "in 59s;"},
        {59 * CLOCK_S + 1, "in 1m;"},
        {5 * MINUTE + 3 * CLOCK_S, "in 5m 3s;"},
        {HOUR - 1, "in 1h;"},
        {HOUR + 1, "in 1h 1m;"},
        {3 * HOUR, "in 3h;"},
        {DAY - MINUTE / 2, "in 1d;"},
        {DAY + 1, "in 1d 1h;"},
        {29 * DAY + 4 * HOUR, "in 29d 4h;"},
        {400 * DAY, "in 400d;"},
    };

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++) {
        struct refusal r = five_a_day();
        struct buf out;

        r.wall_us = 0;
        r.frees_us = rows[i].us;
        buf_init(&out, BUF_UNLIMITED);
        refusal_sentence(&r, &out);
        if (!strstr(out.p, rows[i].words))
            fail_msg("%s is not in: %s", rows[i].words, out.p);
        buf_release(&out);
    }
}

static struct slice no_header(void *arg, const char *name)
{
    (void)arg;
    (void)name;
    return slice_of(NULL, 0);
}

static void assert_text(const struct json *doc, const char *path, const char *want)
{
    struct slice s;

    assert_int_equal(json_as_str(json_path(doc, path), &s), 0);
    if (!slice_eq(s, slice_str(want)))
        fail_msg("%s is \"%.*s\"", path, (int)s.n, s.p);
}

static void test_refusal_money__in_every_dialect__is_an_error_that_programs_do_not_try_again(void **state)
{
    static const struct {
        const char *dialect, *path, *word;
    } rows[] = {
        {"openai", "error.code", "insufficient_quota"},
        {"azure", "error.type", "insufficient_quota"},
        {"ollama", "error.type", "insufficient_quota"},
        {"anthropic", "error.details.error_code", "enforced_spend_limit_reached"},
        {"anthropic", "error.type", "rate_limit_error"},
        {"gemini", "error.status", "RESOURCE_EXHAUSTED"},
    };
    struct refusal r = five_a_day();

    (void)state;
    assert_int_equal(refusal_status(&r), 429);
    assert_string_equal(refusal_name(r.reason), "budget-usd");
    assert_false(refusal_retry(&r).retry_after);
    assert_string_equal(refusal_retry(&r).should_retry, "false");
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++) {
        struct provider_answer a = {.status = 429, .header = no_header};
        struct json *doc;
        struct verdict v;
        struct slice s;
        struct buf out;

        buf_init(&out, BUF_UNLIMITED);
        dialect_by_name(slice_str(rows[i].dialect))->refuse(&r, &out);
        assert_int_equal(json_parse(buf_slice(&out), &doc), 0);
        assert_text(doc, rows[i].path, rows[i].word);
        assert_int_equal(json_as_str(json_path(doc, "error.message"), &s), 0);
        assert_true(slice_starts(s, SLICE("Money limit reached for gpt-4o")));
        a.body = buf_slice(&out);
        verdict_judge(&a, &v); /* as another Metergate would take it */
        assert_false(v.retry_may_help);
        json_free(doc);
        buf_release(&out);
    }
}

static void test_refusal_money__for_google__is_a_quota_of_a_day(void **state)
{
    struct refusal r = five_a_day();
    struct buf out;

    (void)state;
    buf_init(&out, BUF_UNLIMITED);
    refusal_as_gemini(&r, &out);
    assert_non_null(strstr(out.p, "\"details\":[{\"@type\":\"type.googleapis.com/google.rpc.QuotaFailure\",\"violations\":"
                                  "[{\"quotaMetric\":\"usd_per_day\",\"quotaId\":\"MetergateSpendPerDay\"}]}]"));
    buf_reset(&out);
    r.reason = REFUSAL_MAX_WAIT;
    refusal_as_gemini(&r, &out);
    assert_null(strstr(out.p, "details"));
    buf_reset(&out);
    refusal_as_anthropic(&r, &out);
    assert_null(strstr(out.p, "details"));
    buf_release(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refusal_money__of_a_budget__tells_the_limit_its_figures_and_when_it_frees),
        cmocka_unit_test(test_refusal_money__of_a_client__names_it),
        cmocka_unit_test(test_refusal_money__of_a_call_above_the_limit__says_that_no_wait_helps),
        cmocka_unit_test(test_refusal_money__without_a_price__gives_the_line_to_write),
        cmocka_unit_test(test_refusal_money__waits__are_rounded_up_to_two_units),
        cmocka_unit_test(test_refusal_money__in_every_dialect__is_an_error_that_programs_do_not_try_again),
        cmocka_unit_test(test_refusal_money__for_google__is_a_quota_of_a_day),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
