/* report_text: rows and sums as JSON, to the byte: decimals are exact. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "metergate/proxy/report_text.h"

static const struct ledger_row row = {
    .id = INT64_C(17) | INT64_C(10) << ROW_NUMBER_BITS,
    .t_us = INT64_C(1795903200123456),
    .client = "nightly",
    .upstream = "openai",
    .budget = "gpt-4o",
    .account = "k-3f9a02bc",
    .model = "gpt-4o-2024-08-06",
    .endpoint = "chat",
    .outcome = ROW_REFUSED,
    .status = 429,
    .reason = "max-wait",
    .attempts = 3,
    .estimated_input = 1,
    .estimated_output = 2,
    .usage = {.input = 30, .cached = 4, .cache_write = 5, .cache_write_1h = 6, .output = 7, .reasoning = 8},
    .source = ROW_BY_PROVIDER,
    .cost_nano = 1234567,
    .price = {.name = "gpt-4o", .since = 20240806, .rates = {{2500000, 75000, PRICE_UNKNOWN, 1, 10000000}}},
    .queued_us = 5230999,
    .total_us = 7000000,
    .first_byte_us = 6000000,
    .hold_count = 5,
    .hold = {{.what = "tpm", .whose = ROW_OF_BUDGET, .from_us = 0, .to_us = 1000000},
             {.what = "concurrent", .whose = ROW_OF_UPSTREAM, .from_us = 1000000, .to_us = 2000000},
             {.what = "rpm", .whose = ROW_OF_ACCOUNT, .from_us = 2000000, .to_us = 3000000},
             {.what = "tpd", .whose = ROW_OF_CLIENT, .from_us = 3000000, .to_us = 4000000},
             {.what = "queue", .whose = ROW_OF_NOBODY, .from_us = 4000000, .to_us = 5230000}},
};

static void assert_written(struct buf *out, const char *want)
{
    assert_string_equal(out->p, want);
    buf_release(out);
}

static void begin(struct json_writer *w, struct buf *out)
{
    buf_init(out, BUF_UNLIMITED);
    json_init(w, out);
}

static void test_call__a_row__has_every_member(void **state)
{
    struct json_writer w;
    struct buf out;

    (void)state;
    begin(&w, &out);
    json_object_begin(&w);
    report_text_call(&w, &row, true);
    report_text_holds(&w, &row);
    json_object_end(&w);
    assert_written(
        &out,
        "{\"id\":\"mg-000000a-17\",\"time\":\"2026-11-28T22:00:00.123Z\",\"client\":\"nightly\",\"budget\":"
        "\"gpt-4o\","
        "\"account\":\"k-3f9a02bc\",\"model\":\"gpt-4o-2024-08-06\",\"upstream\":\"openai\",\"endpoint\":"
        "\"chat\","
        "\"outcome\":\"refused\",\"status\":429,\"reason\":\"max-wait\",\"estimated_input_tokens\":1,"
        "\"estimated_output_tokens\":2,\"input_tokens\":30,\"cached_tokens\":4,\"cache_write_tokens\":5,"
        "\"cache_write_1h_tokens\":6,\"output_tokens\":7,\"reasoning_tokens\":8,\"usage_source\":"
        "\"provider\","
        "\"cost_nano_usd\":1234567,\"price\":{\"name\":\"gpt-4o\",\"since\":\"2024-08-06\",\"usd_per_"
        "million\":"
        "{\"input\":2.5,\"cached\":0.075,\"cache_write\":null,\"cache_write_1h\":0.000001,\"output\":10}},"
        "\"queued_ms\":5230,\"first_byte_ms\":6000,\"total_ms\":7000,\"attempts\":3,\"holds\":["
        "{\"limit\":\"tpm\",\"of\":\"budget\",\"name\":\"gpt-4o\",\"from_ms\":0,\"to_ms\":1000},"
        "{\"limit\":\"concurrent\",\"of\":\"upstream\",\"name\":\"openai\",\"from_ms\":1000,\"to_ms\":2000},"
        "{\"limit\":\"rpm\",\"of\":\"account\",\"name\":\"k-3f9a02bc\",\"from_ms\":2000,\"to_ms\":3000},"
        "{\"limit\":\"tpd\",\"of\":\"client\",\"name\":\"nightly\",\"from_ms\":3000,\"to_ms\":4000},"
        "{\"limit\":\"queue\",\"of\":\"\",\"name\":\"\",\"from_ms\":4000,\"to_ms\":5230}]}");
}

static void test_call__what_is_not_known__is_null(void **state)
{
    const struct ledger_row little = {
        .cost_nano = PRICE_UNKNOWN, .first_byte_us = -1, .price.name = "", .price.since = 7};
    struct json_writer w;
    struct buf out;

    (void)state;
    begin(&w, &out);
    json_object_begin(&w);
    report_text_call(&w, &little, true);
    json_object_end(&w);
    assert_non_null(strstr(out.p, "\"reason\":null,"));
    assert_non_null(strstr(out.p, "\"cost_nano_usd\":null,\"price\":null,"));
    assert_non_null(strstr(out.p, "\"first_byte_ms\":null,"));
    assert_non_null(strstr(out.p, "\"usage_source\":\"none\""));
    assert_null(strstr(out.p, "account"));
    buf_release(&out);
}

/* A price of the configuration has no date; a cost of 0 is one. */
static void test_call__a_price_without_a_date__is_shown(void **state)
{
    struct ledger_row r = row;
    struct json_writer w;
    struct buf out;

    (void)state;
    r.price.since = 0;
    r.cost_nano = 0;
    begin(&w, &out);
    json_object_begin(&w);
    report_text_call(&w, &r, true);
    json_object_end(&w);
    assert_non_null(strstr(out.p, "\"cost_nano_usd\":0,\"price\":{\"name\":\"gpt-4o\",\"since\":null,"));
    buf_release(&out);
}

static void test_sums__a_row__has_every_member(void **state)
{
    const struct report_sums s = {
        .calls = 9,
        .usage = {.input = 8, .cached = 7, .cache_write = 6, .output = 5, .reasoning = 4},
        .cost_nano = INT64_MAX,
        .unpriced = 3};
    struct json_writer w;
    struct buf out;

    (void)state;
    begin(&w, &out);
    report_text_sums(&w, SLICE("a \"model\""), &s);
    assert_written(
        &out, "{\"key\":\"a "
              "\\\"model\\\"\",\"calls\":9,\"input_tokens\":8,\"cached_tokens\":7,\"cache_write_tokens\":6,"
              "\"output_tokens\":5,\"reasoning_tokens\":4,\"cost_nano_usd\":9223372036854775807,\"unpriced_"
              "calls\":3}");
}

static void test_model__compared__has_figures_a_call_and_a_ratio(void **state)
{
    const struct report_model first = {.sample = {.calls = 4, .used = 4, .priced = 4, .cost_nano = 4000}};
    const struct report_model m = {
        .sums = {.calls = 10,
                 .outcome = {5, 1, 2, 2},
                 .usage = {.input = 100, .output = 50},
                 .cost_nano = 700,
                 .unpriced = 1},
        .sample = {.calls = 5,
                   .used = 3,
                   .input = 100,
                   .output = 50,
                   .priced = 3,
                   .cost_nano = 200,
                   .queued = {5, 10, 20, 30, 40},
                   .total = {5, 1, 2, 3, 4}},
    };
    struct json_writer w;
    struct buf out;

    (void)state;
    begin(&w, &out);
    report_text_model(&w, SLICE("cheap"), &m, &first);
    assert_written(
        &out,
        "{\"model\":\"cheap\",\"calls\":10,\"completed\":5,\"refused\":1,\"cancelled\":2,\"failed\":2,"
        "\"input_tokens\":100,\"output_tokens\":50,\"cost_nano_usd\":700,\"unpriced_calls\":1,\"sampled_"
        "calls\":5,"
        "\"input_tokens_per_call\":33.33,\"output_tokens_per_call\":16.67,\"cost_nano_usd_per_call\":67,"
        "\"cost_ratio\":0.0667,\"queued_ms\":{\"mean\":10,\"p50\":20,\"p95\":30},"
        "\"first_byte_ms\":{\"mean\":null,\"p50\":null,\"p95\":null},\"total_ms\":{\"mean\":1,\"p50\":2,"
        "\"p95\":3}}");
}

static void test_model__ratios__are_exact_and_null_without_both_costs(void **state)
{
    static const struct {
        int64_t cost, priced, first_cost, first_priced;
        const char *ratio;
    } rows[] = {
        {100, 1, 100, 1, "1.0000"},
        {1, 3, 1, 1, "0.3333"},
        {2, 3, 1, 1, "0.6667"},
        {1, 20000, 1, 1, "0.0001"},
        {INT64_MAX, 1, INT64_MAX, 10000, "10000.0000"},
        {INT64_MAX, 1, 1, 10000, "922337203685477.5807"}, /* as far as it goes */
        {0, 1, 100, 1, "null"},
        {100, 1, 0, 1, "null"},
        {0, 0, 100, 1, "null"},
        {100, 1, 0, 0, "null"},
    };

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++) {
        const struct report_model m = {.sample = {.priced = rows[i].priced, .cost_nano = rows[i].cost}};
        const struct report_model first = {
            .sample = {.priced = rows[i].first_priced, .cost_nano = rows[i].first_cost}};
        char want[64];
        struct json_writer w;
        struct buf out;

        begin(&w, &out);
        report_text_model(&w, SLICE("m"), &m, &first);
        snprintf(want, sizeof want, "\"cost_ratio\":%s,", rows[i].ratio);
        if (!strstr(out.p, want))
            fail_msg("row %zu: %s", i, out.p);
        buf_release(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_call__a_row__has_every_member),
        cmocka_unit_test(test_call__what_is_not_known__is_null),
        cmocka_unit_test(test_call__a_price_without_a_date__is_shown),
        cmocka_unit_test(test_sums__a_row__has_every_member),
        cmocka_unit_test(test_model__compared__has_figures_a_call_and_a_ratio),
        cmocka_unit_test(test_model__ratios__are_exact_and_null_without_both_costs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
