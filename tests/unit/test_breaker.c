/* breaker: when it opens, when the probes go, and what closes it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "metergate/base/clock.h"
#include "metergate/base/err.h"
#include "metergate/gate/breaker.h"

#define T0 (100 * CLOCK_S)

static struct prng seeded = {3};

/*
 * Attempts that are sent `every_us` and fail after `takes_us`. Returns how many it took to open it; 0: it is
 * closed.
 */
static int fail_until_open(struct breaker *b, int n, int64_t every_us, int64_t takes_us)
{
    for (int i = 0; i < n; i++) {
        int64_t sent = T0 + i * every_us;

        if (breaker_failed(b, &seeded, sent, sent + takes_us))
            return i + 1;
    }
    return 0;
}

static void assert_within(int64_t v, int64_t least, int64_t most)
{
    if (v < least || v > most)
        fail_msg("%lld is not in %lld..%lld", (long long)v, (long long)least, (long long)most);
}

static struct breaker opened(void)
{
    struct breaker b = {0};

    assert_int_equal(fail_until_open(&b, 5, CLOCK_MS, 0), 5);
    return b;
}

static void test_closed__opens_after_5_quick_failures_or_3_slow_ones(void **state)
{
    static const struct {
        int64_t every_us, takes_us;
        int opens_at; /* of 6 */
    } rows[] = {
        {0, CLOCK_MS, 5},            /* one crowd */
        {CLOCK_S, CLOCK_MS, 5},      /* 3 in 2 s, 4 in 3 s */
        {2 * CLOCK_S, 0, 4},         /* 3 in 4 s, 4 in 6 s */
        {5 * CLOCK_S / 2, 0, 3},     /* 3 in 5 s */
        {11 * CLOCK_S, 10 * CLOCK_S, 3}, /* connections that time out */
    };

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++) {
        struct breaker b = {0};

        assert_int_equal(fail_until_open(&b, 6, rows[i].every_us, rows[i].takes_us), rows[i].opens_at);
        assert_true(b.open);
    }
}

static void test_closed__any_answer_in_between__begins_the_row_anew(void **state)
{
    struct breaker b = {0};

    (void)state;
    assert_int_equal(fail_until_open(&b, 4, CLOCK_S, 0), 0);
    assert_false(breaker_answered(&b, T0 - CLOCK_S)); /* one that was sent before, too */
    assert_int_equal(fail_until_open(&b, 4, CLOCK_S, 0), 0);
    assert_false(b.open);
}

static void test_open__probes_go_ever_later_up_to_30_s(void **state)
{
    static const int64_t least_ms[] = {500, 1000, 2000, 4000, 8000, 15000, 15000, 15000};
    struct breaker b = opened();

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(least_ms); i++) {
        int64_t sent = b.probe_us;

        assert_within(b.probe_us - b.known_us, least_ms[i] * CLOCK_MS, 2 * least_ms[i] * CLOCK_MS - 1);
        assert_true(breaker_failed(&b, &seeded, sent, sent + 10 * CLOCK_MS));
    }
    assert_int_equal(b.failures, 5 + (int)MG_ARRAY_LEN(least_ms));
}

/* What was sent before it opened fails after that: that is no news, and no reason to wait longer. */
static void test_open__failures_of_the_crowd_that_opened_it__change_nothing(void **state)
{
    struct breaker b = opened();
    int64_t probe = b.probe_us;

    (void)state;
    for (int i = 0; i < 50; i++)
        assert_false(breaker_failed(&b, &seeded, T0, b.opened_us + CLOCK_S));
    assert_int_equal(b.probe_us, probe);
}

static void test_open__closes_by_an_answer_to_what_was_sent_since__and_by_no_older_one(void **state)
{
    struct breaker b = opened();

    (void)state;
    assert_false(breaker_answered(&b, b.opened_us - 1));
    assert_true(b.open);
    assert_true(breaker_answered(&b, b.probe_us));
    assert_false(b.open);
    assert_false(breaker_answered(&b, b.probe_us)); /* told once */
}

static void test_reopened__begins_with_the_shortest_wait(void **state)
{
    struct breaker b = opened();

    (void)state;
    for (int i = 0; i < 6; i++)
        assert_true(breaker_failed(&b, &seeded, b.probe_us, b.probe_us));
    assert_true(breaker_answered(&b, b.probe_us));
    b = opened();
    assert_within(b.probe_us - b.opened_us, CLOCK_S / 2, CLOCK_S - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_closed__opens_after_5_quick_failures_or_3_slow_ones),
        cmocka_unit_test(test_closed__any_answer_in_between__begins_the_row_anew),
        cmocka_unit_test(test_open__probes_go_ever_later_up_to_30_s),
        cmocka_unit_test(test_open__failures_of_the_crowd_that_opened_it__change_nothing),
        cmocka_unit_test(test_open__closes_by_an_answer_to_what_was_sent_since__and_by_no_older_one),
        cmocka_unit_test(test_reopened__begins_with_the_shortest_wait),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
