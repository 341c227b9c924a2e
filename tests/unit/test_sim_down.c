/* The simulator's being down: when it ends, and what is counted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../simulator/down.h"
#include "metergate/base/clock.h"

static void test_down__for_a_while__ends_at_its_moment(void **state)
{
    struct down d = {.until_us = DOWN_FOR_EVER};

    (void)state;
    assert_int_equal(down_mode(&d, 0), DOWN_UP);
    down_begin(&d, DOWN_RESET, 20, false, 5);
    assert_int_equal(down_mode(&d, 5 + 20 * CLOCK_MS - 1), DOWN_RESET);
    assert_int_equal(down_mode(&d, 5 + 20 * CLOCK_MS), DOWN_UP);
    assert_int_equal(d.times, 1);
}

static void test_down__without_a_time__ends_when_it_is_told_to(void **state)
{
    struct down d = {.until_us = DOWN_FOR_EVER};

    (void)state;
    down_begin(&d, DOWN_REFUSE, -1, false, 0);
    assert_int_equal(down_mode(&d, INT64_MAX - 1), DOWN_REFUSE);
    down_begin(&d, DOWN_503, -1, true, 1); /* another way of being down */
    assert_int_equal(down_mode(&d, 2), DOWN_503);
    assert_true(d.cut);
    down_begin(&d, DOWN_UP, 0, false, 3);
    assert_int_equal(down_mode(&d, 3), DOWN_UP);
    assert_int_equal(d.times, 2);
}

static void test_down__each_mode__has_a_name(void **state)
{
    (void)state;
    for (int i = DOWN_UP; i <= DOWN_503; i++) {
        enum down_mode mode = DOWN_UP;

        assert_true(down_mode_named(slice_str(down_mode_name((enum down_mode)i)), &mode));
        assert_int_equal(mode, i);
    }
    assert_false(down_mode_named(SLICE("refused"), &(enum down_mode){DOWN_UP}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_down__for_a_while__ends_at_its_moment),
        cmocka_unit_test(test_down__without_a_time__ends_when_it_is_told_to),
        cmocka_unit_test(test_down__each_mode__has_a_name),
    };

    return cmocka_run_group_tests_name("sim_down", tests, NULL, NULL);
}
