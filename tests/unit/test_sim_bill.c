/* What the simulator takes for tokens, worked out by hand, and how it adds up calls. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "../simulator/bill.h"
#include "metergate/base/buf.h"

static const struct tariff none;

static const struct {
    const char *model;
    struct used used;
    int64_t nano;
} rows[] = {
    /* 1000 * 2.50 + 100 * 10, in millionths of a dollar */
    {"gpt-4o", {.input = 1000, .output = 100}, 3500000},
    {"gpt-4o-2024-08-06", {.input = 1000, .cached = 400, .output = 100}, 3000000},
    {"gpt-4o-mini", {.input = 1000, .output = 100}, 210000},
    {"gpt-3.5-turbo-0125", {.input = 7, .output = 3}, 8000},
    /* 700 * 3 + 100 * 0.30 + 150 * 3.75 + 50 * 6 + 10 * 15 */
    {"claude-sonnet-4-6",
     {.input = 1000, .cached = 100, .written = 150, .written_1h = 50, .output = 10},
     3142500},
    {"gemini-2.5-flash", {.input = 100, .output = 40, .reasoning = 30}, 130000},
    {"text-embedding-3-small", {.input = 3}, 60},
    /* half, and 1.7 times */
    {"gpt-4o", {.input = 1000, .output = 100, .tier = "flex"}, 1750000},
    {"gpt-4o", {.input = 1000, .output = 100, .tier = "priority"}, 5950000},
    {"text-embedding-3-small", {0}, 0},
};

static void test_tariff__by_hand__costs_that(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int64_t nano = -1;

        assert_true(tariff_cost(&none, rows[i].model, &rows[i].used, &nano));
        assert_int_equal(nano, rows[i].nano);
    }
}

static void test_tariff__half_a_nano__is_rounded_up_once(void **state)
{
    const struct tariff own = {.input = 300, .output = 200};
    const struct used half = {.input = 1, .output = 1}, less = {.input = 1}, three = {.input = 5};
    int64_t nano = -1;

    (void)state;
    assert_true(tariff_cost(&own, "gpt-4o", &half, &nano));
    assert_int_equal(nano, 1);
    assert_true(tariff_cost(&own, "gpt-4o", &less, &nano));
    assert_int_equal(nano, 0);
    assert_true(tariff_cost(&own, "gpt-4o", &three, &nano));
    assert_int_equal(nano, 2);
}

static void test_tariff__without_a_rate__is_not_known(void **state)
{
    const struct used plain = {.input = 1}, written = {.input = 2, .written = 1},
                      output = {.input = 1, .output = 1};
    int64_t nano;

    (void)state;
    assert_false(tariff_cost(&none, "somebody-elses-model", &plain, &nano));
    assert_false(tariff_cost(&none, "gpt-4o", &written, &nano));
    assert_false(tariff_cost(&none, "text-embedding-3-small", &output, &nano));
    assert_false(tariff_cost(&none, "gpt-3.5-turbo", &(struct used){.input = 1, .tier = "priority"}, &nano));
}

static void test_bill__calls_of_every_end__are_each_in_one_sum(void **state)
{
    const struct used some = {.input = 10, .cached = 2, .output = 4, .reasoning = 1};
    struct bill b = {0};
    struct buf out;

    (void)state;
    bill_add(&b, &none, "gpt-4o", &some, 200, true);
    bill_add(&b, &none, "gpt-4o", &some, 200, true);
    bill_was_cut(&b, 200);
    bill_add(&b, &none, "gpt-4o", &some, 0, false);
    bill_add(&b, &none, "gpt-4o", &some, 429, true);
    bill_add(&b, &none, "gpt-4o", &some, 500, true);
    bill_was_cut(&b, 500);
    bill_add(&b, &none, "unknown", &some, 200, true);
    buf_init(&out, BUF_UNLIMITED);
    bill_print(&b, &out);
    /* 8 * 2.50 + 2 * 1.25 + 4 * 10 = 62.5 millionths a call, three times */
    assert_string_equal(
        out.p,
        "{\"answered\":2,\"refused\":1,\"failed\":1,\"cut\":2,\"input\":40,\"cached\":8,\"cache_write\":0,"
        "\"cache_write_1h\":0,\"output\":16,\"reasoning\":4,\"cost_nano\":187500,\"unpriced\":1}");
    buf_release(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tariff__by_hand__costs_that),
        cmocka_unit_test(test_tariff__half_a_nano__is_rounded_up_once),
        cmocka_unit_test(test_tariff__without_a_rate__is_not_known),
        cmocka_unit_test(test_bill__calls_of_every_end__are_each_in_one_sum),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
