/* hour: figures of the last hour, through turns of minutes, gaps and clocks that stand still or go back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "metergate/proxy/hour.h"

#define MINUTE HOUR_MINUTE_US
#define T0     (1000 * MINUTE) /* a turn of a minute */

static void end(struct hour *h, int64_t at_us, int64_t tokens)
{
    hour_add(h, at_us, &(struct hour_figures){.calls = 1, .tokens = tokens, .waited_us = 2 * tokens, .longest_us = 2 * tokens});
}

static struct hour_figures sum(const struct hour *h, int64_t now_us)
{
    struct hour_figures f;

    hour_sum(h, now_us, &f);
    return f;
}

static int64_t tokens(const struct hour *h, int64_t now_us, int step)
{
    return hour_step(h, now_us, step)->tokens;
}

static void test_hour__nothing_written__is_all_zero(void **state)
{
    struct hour *h = hour_new(MINUTE);

    (void)state;
    assert_int_equal(hour_steps(h), 60);
    assert_int_equal(sum(h, T0).calls, 0);
    assert_int_equal(sum(NULL, T0).calls, 0);
    for (int i = 0; i < 60; i++)
        assert_int_equal(tokens(h, T0, i), 0);
    hour_free(h);
}

static void test_hour__more_money_than_there_can_be__is_the_most(void **state)
{
    struct hour *h = hour_new(MINUTE);

    (void)state;
    for (int i = 0; i < 3; i++)
        hour_add(h, T0 + i * MINUTE, &(struct hour_figures){.cost_nano = INT64_MAX / 2});
    assert_true(sum(h, T0 + 2 * MINUTE).cost_nano == INT64_MAX);
    hour_free(h);
}

static void test_hour__a_minute_turns__what_was_written_moves_one_step_back(void **state)
{
    struct hour *h = hour_new(MINUTE);

    (void)state;
    end(h, T0, 5);
    end(h, T0 + MINUTE - 1, 7);
    assert_int_equal(tokens(h, T0 + MINUTE - 1, 59), 12);
    end(h, T0 + MINUTE, 11);
    assert_int_equal(tokens(h, T0 + MINUTE, 59), 11);
    assert_int_equal(tokens(h, T0 + MINUTE, 58), 12);
    assert_int_equal(sum(h, T0 + MINUTE).tokens, 23);
    assert_int_equal(sum(h, T0 + MINUTE).calls, 3);
    assert_int_equal(sum(h, T0 + MINUTE).waited_us, 46);
    assert_int_equal(sum(h, T0 + MINUTE).longest_us, 22); /* of one, not of all */
    hour_free(h);
}

static void test_hour__sixty_minutes_later__it_is_forgotten(void **state)
{
    struct hour *h = hour_new(MINUTE);

    (void)state;
    end(h, T0, 5);
    assert_int_equal(tokens(h, T0 + 59 * MINUTE, 0), 5);
    assert_int_equal(sum(h, T0 + 60 * MINUTE - 1).tokens, 5);
    assert_int_equal(sum(h, T0 + 60 * MINUTE).tokens, 0);
    end(h, T0 + 60 * MINUTE, 3); /* in the same place */
    assert_int_equal(sum(h, T0 + 60 * MINUTE).tokens, 3);
    hour_free(h);
}

static void test_hour__gaps__leave_nothing_of_what_stood_there(void **state)
{
    static const int64_t gaps[] = {1, 2, 30, 59, 60, 61, 119, 120, 121, 100000};

    (void)state;
    for (size_t i = 0; i < sizeof gaps / sizeof *gaps; i++) {
        struct hour *h = hour_new(MINUTE);
        int64_t then = T0 + gaps[i] * MINUTE;

        for (int m = 0; m < 60; m++) /* every step has something */
            end(h, T0 - (59 - m) * MINUTE, 1);
        end(h, then, 100);
        assert_int_equal(tokens(h, then, 59), 100);
        assert_int_equal(sum(h, then).tokens, gaps[i] < 60 ? 160 - gaps[i] : 100);
        hour_free(h);
    }
}

static void test_hour__every_minute_for_hours__holds_the_last_sixty(void **state)
{
    struct hour *h = hour_new(MINUTE);

    (void)state;
    for (int m = 0; m < 500; m++) {
        int64_t now = T0 + m * MINUTE, expected = 0;

        end(h, now, m);
        for (int k = m; k >= 0 && k > m - 60; k--) {
            assert_int_equal(tokens(h, now, 59 - (m - k)), k);
            expected += k;
        }
        assert_int_equal(sum(h, now).tokens, expected);
    }
    hour_free(h);
}

static void test_hour__a_clock_that_goes_back__adds_to_the_last_step(void **state)
{
    struct hour *h = hour_new(MINUTE);

    (void)state;
    end(h, T0, 5);
    end(h, T0 - 10 * MINUTE, 7);
    assert_int_equal(tokens(h, T0, 59), 12);
    assert_int_equal(tokens(h, T0 - 10 * MINUTE, 59), 12); /* read with such a clock as well */
    assert_int_equal(sum(h, T0 - 10 * MINUTE).tokens, 12);
    hour_free(h);
}

static void test_hour__the_first_minutes_of_a_machine__are_no_steps_before_its_start(void **state)
{
    struct hour *h = hour_new(MINUTE);

    (void)state;
    end(h, 0, 5);
    end(h, 3 * MINUTE, 7);
    assert_int_equal(tokens(h, 3 * MINUTE, 56), 5);
    assert_int_equal(tokens(h, 3 * MINUTE, 0), 0);
    assert_int_equal(sum(h, 3 * MINUTE).tokens, 12);
    hour_free(h);
}

static void test_hour__five_minutes__are_twelve_steps(void **state)
{
    struct hour *h = hour_new(HOUR_FIVE_US);

    (void)state;
    assert_int_equal(hour_steps(h), 12);
    end(h, T0, 5);
    end(h, T0 + 4 * MINUTE, 7);
    assert_int_equal(tokens(h, T0 + 4 * MINUTE, 11), 12);
    assert_int_equal(sum(h, T0 + 59 * MINUTE).tokens, 12);
    assert_int_equal(sum(h, T0 + 60 * MINUTE).tokens, 0);
    assert_int_equal(hour_step_ends_us(HOUR_FIVE_US, T0 + 4 * MINUTE), T0 + 5 * MINUTE);
    assert_int_equal(hour_step_ends_us(HOUR_FIVE_US, T0 + 5 * MINUTE), T0 + 10 * MINUTE);
    hour_free(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hour__nothing_written__is_all_zero),
        cmocka_unit_test(test_hour__more_money_than_there_can_be__is_the_most),
        cmocka_unit_test(test_hour__a_minute_turns__what_was_written_moves_one_step_back),
        cmocka_unit_test(test_hour__sixty_minutes_later__it_is_forgotten),
        cmocka_unit_test(test_hour__gaps__leave_nothing_of_what_stood_there),
        cmocka_unit_test(test_hour__every_minute_for_hours__holds_the_last_sixty),
        cmocka_unit_test(test_hour__a_clock_that_goes_back__adds_to_the_last_step),
        cmocka_unit_test(test_hour__the_first_minutes_of_a_machine__are_no_steps_before_its_start),
        cmocka_unit_test(test_hour__five_minutes__are_twelve_steps),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
