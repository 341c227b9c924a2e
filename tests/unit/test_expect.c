/* expect: what the next answer will probably cost. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "metergate/tokens/expect.h"

static void test_expect__nothing_seen__guesses_a_longish_answer_within_the_clients_bound(void **state)
{
    struct expect e = {0};

    (void)state;
    assert_int_equal(expect_output(&e, 0), EXPECT_FIRST_TOKENS);
    assert_int_equal(expect_output(&e, 7), 7);
    assert_int_equal(expect_output(&e, 100000), EXPECT_FIRST_TOKENS);
}

static void test_expect__ten_answers__takes_the_ninth_smallest(void **state)
{
    struct expect e = {0};

    (void)state;
    for (int64_t i = 10; i >= 1; i--)
        expect_learn(&e, i * 100);
    assert_int_equal(expect_output(&e, 0), 900);
    assert_int_equal(expect_output(&e, 250), 250);
}

static int by_size(const void *a, const void *b)
{
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;

    return (x > y) - (x < y);
}

static void test_expect__any_answers__is_the_quantile_of_them_sorted(void **state)
{
    uint64_t random = 1;

    (void)state;
    for (int round = 0; round < 300; round++) {
        int n = 1 + round % EXPECT_SAMPLES;
        int32_t sorted[EXPECT_SAMPLES] = {0};
        struct expect e = {0};

        for (int i = 0; i < n; i++) {
            random = random * UINT64_C(6364136223846793005) + 1442695040888963407u;
            sorted[i] = (int32_t)(random >> 33) % (round % 2 ? 5 : 1000); /* many alike, or few */
            expect_learn(&e, sorted[i]);
        }
        qsort(sorted, (size_t)n, sizeof sorted[0], by_size);
        assert_int_equal(expect_output(&e, 0), sorted[(n * EXPECT_QUANTILE + 99) / 100 - 1]);
    }
}

static void test_expect__old_answers__are_forgotten_after_a_full_ring(void **state)
{
    struct expect e = {0};

    (void)state;
    for (int i = 0; i < 1000; i++)
        expect_learn(&e, 5000);
    for (int i = 0; i < EXPECT_SAMPLES; i++)
        expect_learn(&e, 3);
    assert_int_equal(expect_output(&e, 0), 3);
}

static void test_expect__odd_reports__do_no_harm(void **state)
{
    struct expect e = {.seen = UINT32_MAX};

    (void)state;
    expect_learn(&e, -5);
    expect_learn(&e, INT64_MAX);
    expect_learn(&e, 1);
    assert_true(e.seen > EXPECT_SAMPLES);
    assert_int_equal(expect_output(&e, 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_expect__nothing_seen__guesses_a_longish_answer_within_the_clients_bound),
        cmocka_unit_test(test_expect__ten_answers__takes_the_ninth_smallest),
        cmocka_unit_test(test_expect__any_answers__is_the_quantile_of_them_sorted),
        cmocka_unit_test(test_expect__old_answers__are_forgotten_after_a_full_ring),
        cmocka_unit_test(test_expect__odd_reports__do_no_harm),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
