/* money: amounts as text. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "metergate/base/err.h"
#include "metergate/base/money.h"
#include "metergate/base/prng.h"

static void test_money__sums__stop_at_the_largest_amounts(void **state)
{
    (void)state;
    assert_int_equal(money_sum(2, 3), 5);
    assert_int_equal(money_sum(2, -3), -1);
    assert_int_equal(money_sum(INT64_MAX - 1, 1), INT64_MAX);
    assert_int_equal(money_sum(INT64_MAX - 1, 2), INT64_MAX);
    assert_int_equal(money_sum(INT64_MAX, INT64_MAX), INT64_MAX);
    assert_int_equal(money_sum(INT64_MAX, INT64_MIN), -1);
    assert_int_equal(money_sum(INT64_MIN, -1), INT64_MIN);
}

static void test_money__amounts__are_exact_with_as_many_decimals_as_they_need(void **state)
{
    static const struct {
        int64_t nano;
        const char *text, *words;
    } rows[] = {
        {0, "0", "0.00"},
        {1, "0.000000001", "0.000000001"},
        {4210000, "0.00421", "0.00421"},
        {100000000, "0.1", "0.10"},
        {5 * MONEY_USD, "5", "5.00"},
        {10 * MONEY_USD, "10", "10.00"},
        {12 * MONEY_USD + MONEY_USD / 2, "12.5", "12.50"},
        {12 * MONEY_USD + 50, "12.00000005", "12.00000005"},
        {-MONEY_USD / 4, "-0.25", "-0.25"},
        {-1000 * MONEY_USD, "-1000", "-1000.00"},
        {INT64_MAX, "9223372036.854775807", "9223372036.854775807"},
        {INT64_MIN, "-9223372036.854775808", "-9223372036.854775808"},
    };
    char out[MONEY_TEXT_MAX];

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++) {
        assert_string_equal(money_text(rows[i].nano, out), rows[i].text);
        assert_string_equal(money_words(rows[i].nano, out), rows[i].words);
    }
}

/* The amount of a text of digits with or without a point. */
static int64_t amount_of(const char *text)
{
    const char *point = strchr(text, '.');
    int64_t nano = strtoll(text, NULL, 10) * MONEY_USD, unit = MONEY_USD / 10;

    for (const char *p = point ? point + 1 : ""; *p; p++, unit /= 10)
        nano += (*p - '0') * unit;
    return nano;
}

static void test_money__any_amount__is_read_back_as_the_same(void **state)
{
    struct prng random = {1};
    char out[MONEY_TEXT_MAX];

    (void)state;
    for (int i = 0; i < 100000; i++) {
        int64_t nano = (int64_t)(prng_next(&random) >> (1 + prng_below(&random, 63)));

        for (int64_t k = prng_below(&random, 10); k > 0 && nano < INT64_MAX / 10; k--)
            nano *= 10; /* zeros at the end */
        assert_int_equal(amount_of(money_text(nano, out)), nano);
        assert_int_equal(amount_of(money_words(nano, out)), nano);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_money__sums__stop_at_the_largest_amounts),
        cmocka_unit_test(test_money__amounts__are_exact_with_as_many_decimals_as_they_need),
        cmocka_unit_test(test_money__any_amount__is_read_back_as_the_same),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
