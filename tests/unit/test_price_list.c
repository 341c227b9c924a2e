/* price_list: what GET /-/prices answers. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "metergate/base/json.h"
#include "metergate/config/price_table.h"
#include "metergate/proxy/price_list.h"
#include "config_text.h"

#define NOVEMBER_28 INT64_C(1795867200000000) /* 2026-11-28 12:00 UTC */

static void assert_answers(const char *yaml, const char *query, const char *want)
{
    struct config *c = config_from_good(yaml);
    struct buf out;

    buf_init(&out, BUF_UNLIMITED);
    assert_int_equal(price_list_write(c, NOVEMBER_28, slice_str(query), &out, NULL), 0);
    assert_string_equal(out.p, want);
    buf_release(&out);
    config_free(c);
}

#define GPT_4O                                                                                               \
    "{\"day\":\"2026-11-28\",\"prices\":[{\"match\":\"gpt-4o\",\"since\":\"2026-07-02\",\"source\":\"models.dev, read "  \
    "2026-07-02\",\"configured\":false,\"usd_per_million\":{\"input\":2.5,\"cached\":1.25,\"cache_write\":2.5,"      \
    "\"cache_write_1h\":2.5,\"output\":10},\"long_above\":null,\"long_usd_per_million\":null}]}"

static void test_prices__of_one_model__are_those_it_is_billed_by(void **state)
{
    (void)state;
    assert_answers("", "model=gpt-4o", GPT_4O);
    assert_answers("", "&model=gpt%2D4o-2024%2d08-06&", GPT_4O);
    assert_answers("", "model=nobody", "{\"day\":\"2026-11-28\",\"prices\":[]}");
    assert_answers("", "model=", "{\"day\":\"2026-11-28\",\"prices\":[]}");
    assert_answers("", "model", "{\"day\":\"2026-11-28\",\"prices\":[]}");
}

static void test_prices__a_query_of_something_else__is_refused_by_name(void **state)
{
    static const struct {
        const char *query, *why;
    } bad[] = {
        {"modell=gpt-4o", "modell: this address takes one `model=NAME` and nothing else"},
        {"model=a&model=b", "model: this address takes one `model=NAME` and nothing else"},
        {"model=gpt-4o%0", "model: a broken %-escape, a control character or bytes that are not UTF-8"},
    };
    struct config *c = config_from_good("");
    struct errbuf e;
    struct buf out;

    (void)state;
    buf_init(&out, BUF_UNLIMITED);
    for (size_t i = 0; i < MG_ARRAY_LEN(bad); i++) {
        assert_int_equal(price_list_write(c, NOVEMBER_28, slice_str(bad[i].query), &out, &e), -EINVAL);
        assert_string_equal(e.text, bad[i].why);
        assert_int_equal(out.n, 0);
    }
    buf_release(&out);
    config_free(c);
}

static void test_prices__amounts__are_exact_decimals(void **state)
{
    (void)state;
    assert_answers("prices: {\"a+b %\": {input: 0.000001, cached: 1000000, output: 0, long: {above: 5k, output: 0.3}}}",
                   "model=a+b%20%25",
                   "{\"day\":\"2026-11-28\",\"prices\":[{\"match\":\"a+b %\",\"since\":null,\"source\":\"configuration\","
                   "\"configured\":true,\"usd_per_million\":{\"input\":0.000001,\"cached\":1000000,\"cache_write\":0.000001,"
                   "\"cache_write_1h\":0.000001,\"output\":0},\"long_above\":5000,\"long_usd_per_million\":{\"input\":0.000001,"
                   "\"cached\":1000000,\"cache_write\":0.000001,\"cache_write_1h\":0.000001,\"output\":0.3}}]}");
}

static void test_prices__of_all__are_json_with_every_match_once_and_the_configuration_first(void **state)
{
    struct config *c = config_from_good("prices: {\"gpt-\\\"*\": {output: 1}}");
    struct json *doc;
    struct slice text;
    struct buf out;
    size_t n = 0;

    (void)state;
    buf_init(&out, BUF_UNLIMITED);
    assert_int_equal(price_list_write(c, NOVEMBER_28, SLICE(""), &out, NULL), 0);
    assert_int_equal(json_parse(buf_slice(&out), &doc), 0);
    assert_int_equal(json_as_str(json_path(doc, "prices.0.match"), &text), 0);
    assert_true(slice_eq(text, SLICE("gpt-\"*")));
    assert_true(json_is_null(json_path(doc, "prices.0.usd_per_million.input")));
    JSON_EACH(json_get(doc, "prices"), p)
    {
        size_t twins = 0;

        JSON_EACH(json_get(doc, "prices"), other)
        {
            struct slice a, b;

            assert_int_equal(json_as_str(json_get(p, "match"), &a), 0);
            assert_int_equal(json_as_str(json_get(other, "match"), &b), 0);
            twins += slice_eq(a, b);
        }
        assert_int_equal(twins, 1);
        n++;
    }
    assert_true(n > 100);
    json_free(doc);
    buf_release(&out);
    config_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_prices__of_one_model__are_those_it_is_billed_by),
        cmocka_unit_test(test_prices__a_query_of_something_else__is_refused_by_name),
        cmocka_unit_test(test_prices__amounts__are_exact_decimals),
        cmocka_unit_test(test_prices__of_all__are_json_with_every_match_once_and_the_configuration_first),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
