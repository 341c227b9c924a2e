/* trouble: when it is tried again, and what is told of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "metergate/base/clock.h"
#include "metergate/ledger/trouble.h"

#define T0 (1000 * CLOCK_S)

static void test_trouble__that_stays__is_tried_later_and_later(void **state)
{
    static const int64_t wait_s[] = {1, 2, 4, 8, 16, 30, 30, 30};
    struct trouble t = {0};

    (void)state;
    for (size_t i = 0; i < sizeof wait_s / sizeof wait_s[0]; i++) {
        trouble_set(&t, T0, false, "full");
        assert_true(t.on);
        assert_int_equal(t.retry_us - T0, wait_s[i] * CLOCK_S);
    }
    (void)trouble_clear(&t);
    assert_false(t.on);
    assert_string_equal(t.problem, "");
    trouble_set(&t, T0, false, "full");
    assert_int_equal(t.retry_us - T0, CLOCK_S);
}

static void test_trouble__that_passes_by_itself__is_tried_soon_each_time(void **state)
{
    struct trouble t = {0};

    (void)state;
    for (int i = 0; i < 5; i++) {
        trouble_set(&t, T0, true, "locked");
        assert_int_equal(t.retry_us - T0, TROUBLE_SOON_MS * CLOCK_MS);
    }
}

static void test_trouble__is_told_once_and_once_a_minute(void **state)
{
    struct trouble t = {0};

    (void)state;
    assert_false(trouble_tell(&t, T0));
    trouble_set(&t, T0, false, "full");
    assert_true(trouble_tell(&t, T0));
    assert_false(trouble_tell(&t, T0 + 59 * CLOCK_S));
    assert_true(trouble_tell(&t, T0 + 60 * CLOCK_S));
    assert_true(trouble_clear(&t));
    assert_false(trouble_tell(&t, T0 + 200 * CLOCK_S));
}

static void test_trouble__that_comes_and_goes__is_told_no_more_often(void **state)
{
    struct trouble t = {0};
    int told = 0, over = 0;

    (void)state;
    for (int s = 0; s < 180; s++) {
        trouble_set(&t, T0 + s * CLOCK_S, true, "locked");
        told += trouble_tell(&t, T0 + s * CLOCK_S);
        over += trouble_clear(&t);
    }
    assert_int_equal(told, 3);
    assert_int_equal(over, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_trouble__that_stays__is_tried_later_and_later),
        cmocka_unit_test(test_trouble__that_passes_by_itself__is_tried_soon_each_time),
        cmocka_unit_test(test_trouble__is_told_once_and_once_a_minute),
        cmocka_unit_test(test_trouble__that_comes_and_goes__is_told_no_more_often),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
