/* backoff: how long nothing is sent after a refusal, by hand and over many seeds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "metergate/base/clock.h"
#include "metergate/base/err.h"
#include "metergate/gate/backoff.h"

#define T0    (100 * CLOCK_S)
#define SEEDS 200

static void assert_within(int64_t v, int64_t least, int64_t most)
{
    if (v < least || v > most)
        fail_msg("%lld is not in %lld..%lld", (long long)v, (long long)least, (long long)most);
}

static void test_prng__the_same_seed__gives_the_same_numbers_and_all_of_a_range(void **state)
{
    struct prng a = {7}, b = {7};
    int seen[10] = {0};

    (void)state;
    for (int i = 0; i < 1000; i++) {
        int64_t v = prng_below(&a, 10);

        assert_int_equal(v, prng_below(&b, 10));
        assert_within(v, 0, 9);
        seen[v]++;
    }
    for (size_t i = 0; i < MG_ARRAY_LEN(seen); i++)
        assert_within(seen[i], 60, 140);
    assert_int_equal(prng_below(&a, 1), 0);
}

static void test_refusals_in_a_row__wait_twice_as_long_each_up_to_8_s(void **state)
{
    static const int64_t least_ms[] = {500, 1000, 2000, 4000, 4000, 4000};

    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct prng random = {seed};
        struct backoff b = {0};
        int64_t now = T0;

        for (size_t i = 0; i < MG_ARRAY_LEN(least_ms); i++) {
            int64_t until = backoff_refused(&b, &random, now, now + 10 * CLOCK_MS);

            assert_within(until - now - 10 * CLOCK_MS, least_ms[i] * CLOCK_MS, 2 * least_ms[i] * CLOCK_MS - 1);
            now = until;
        }
    }
}

/* 50 calls that were sent together: one wait, and the next refusal is the second and not the 51st. */
static void test_a_crowd__counts_once_and_waits_for_one_moment(void **state)
{
    struct prng random = {1};
    struct backoff b = {0};
    int64_t until = backoff_refused(&b, &random, T0, T0 + CLOCK_MS);

    (void)state;
    for (int i = 2; i <= 50; i++)
        assert_int_equal(backoff_refused(&b, &random, T0, T0 + i * CLOCK_MS), until);
    assert_int_equal(b.refused, 1);
    assert_within(backoff_refused(&b, &random, until, until) - until, CLOCK_S, 2 * CLOCK_S - 1);
}

/*
 * One of the crowd whose refusal came when the others' wait was over: it waits anew, and no longer than they
 * did.
 */
static void test_a_straggler_of_a_crowd__waits_as_long_as_the_crowd_did(void **state)
{
    struct prng random = {1};
    struct backoff b = {0};
    int64_t until = backoff_refused(&b, &random, T0, T0 + CLOCK_MS);

    (void)state;
    assert_within(backoff_refused(&b, &random, T0, until + CLOCK_S) - until - CLOCK_S, CLOCK_S / 2, CLOCK_S - 1);
    assert_int_equal(b.refused, 1);
}

static void test_an_answer__ends_it_only_if_it_was_sent_after_what_was_refused(void **state)
{
    struct prng random = {1};
    struct backoff b = {0};
    int64_t until = backoff_refused(&b, &random, T0, T0 + CLOCK_MS);

    (void)state;
    backoff_answered(&b, T0 - CLOCK_S); /* a long answer that began before */
    backoff_answered(&b, T0);           /* of the same crowd: some fit, this one did not */
    assert_int_equal(b.refused, 1);
    backoff_answered(&b, until);
    assert_int_equal(b.refused, 0);
    assert_within(backoff_refused(&b, &random, until + 1, until + 2) - until - 2, CLOCK_S / 2, CLOCK_S - 1);
}

static void test_a_refusal_after_a_quiet_minute__begins_anew(void **state)
{
    struct prng random = {1};
    struct backoff b = {0};
    int64_t now = T0;

    (void)state;
    for (int i = 0; i < 5; i++)
        now = backoff_refused(&b, &random, now, now);
    now += 61 * CLOCK_S;
    assert_within(backoff_refused(&b, &random, now, now) - now, CLOCK_S / 2, CLOCK_S - 1);
}

static void test_named_wait__is_a_minimum_with_a_tenth_of_jitter_upwards(void **state)
{
    static const int64_t waits_us[] = {100 * CLOCK_MS, 644 * CLOCK_MS, 9 * CLOCK_S, 34 * CLOCK_S, 86400 * CLOCK_S};

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(waits_us); i++) {
        int64_t most = waits_us[i] / 10 < CLOCK_S ? waits_us[i] / 10 : CLOCK_S, seen_least = most, seen_most = 0;

        for (uint64_t seed = 0; seed < SEEDS; seed++) {
            struct prng random = {seed};
            struct backoff b = {0};
            int64_t more = backoff_named(&b, &random, T0, T0, waits_us[i]) - T0 - waits_us[i];

            assert_within(more, 0, most);
            seen_least = more < seen_least ? more : seen_least;
            seen_most = more > seen_most ? more : seen_most;
        }
        assert_true(seen_least < most / 4 && seen_most > most / 4 * 3);
    }
}

static void test_tiny_named_waits__double_up_to_a_second(void **state)
{
    struct prng random = {1};
    struct backoff b = {0};
    int64_t now = T0, until = T0;

    (void)state;
    for (int i = 1; i <= 12; i++) {
        int64_t least = CLOCK_MS << (i < 10 ? i : 10);

        until = backoff_named(&b, &random, now, now, CLOCK_MS);
        assert_within(until - now, least, least + least / 10);
        now = until;
    }
}

/* Waits that were named say nothing of how one without a name should grow. */
static void test_unnamed_after_many_named__begins_at_half_a_second(void **state)
{
    struct prng random = {1};
    struct backoff b = {0};
    int64_t now = T0;

    (void)state;
    for (int i = 0; i < 9; i++)
        now = backoff_named(&b, &random, now, now, 20 * CLOCK_S);
    assert_within(backoff_refused(&b, &random, now, now) - now, CLOCK_S / 2, CLOCK_S - 1);
}

static void test_a_crowd_with_several_named_waits__the_longest_counts(void **state)
{
    struct prng random = {1};
    struct backoff b = {0};
    int64_t long_us;

    (void)state;
    backoff_named(&b, &random, T0, T0 + 1, 2 * CLOCK_S);
    long_us = backoff_named(&b, &random, T0, T0 + 2, 9 * CLOCK_S);
    assert_int_equal(backoff_named(&b, &random, T0, T0 + 3, 1 * CLOCK_S), long_us);
    assert_int_equal(backoff_refused(&b, &random, T0, T0 + 4), long_us);
    assert_int_equal(b.named, 1);
}

static void test_gap__is_an_eighth_of_the_wait_and_random(void **state)
{
    struct prng random = {1};
    struct backoff b = {0};
    int64_t first, same = 0;

    (void)state;
    assert_int_equal(backoff_gap_us(&b, &random, T0), 0);
    backoff_named(&b, &random, T0, T0, CLOCK_S);
    first = backoff_gap_us(&b, &random, T0 + CLOCK_S);
    for (int i = 0; i < 100; i++) {
        int64_t gap = backoff_gap_us(&b, &random, T0 + CLOCK_S);

        assert_within(gap, CLOCK_S / 16, CLOCK_S / 8 * 11 / 10 * 3 / 2 + 1);
        same += gap == first;
    }
    assert_true(same < 5);
    assert_int_equal(backoff_gap_us(&b, &random, T0 + 62 * CLOCK_S + CLOCK_S / 10), 0);
}

static void test_gap__after_an_hours_wait__is_no_longer_than_after_two_seconds(void **state)
{
    struct prng random = {1};
    struct backoff b = {0};

    (void)state;
    backoff_named(&b, &random, T0, T0, 3600 * CLOCK_S);
    assert_int_equal(b.gap_us, CLOCK_S / 4);
}

/* A crowd does not count again; further refusals double, answers take a quarter. */
static void test_gap__grows_with_refusals_and_shrinks_with_answers(void **state)
{
    struct prng random = {1};
    struct backoff b = {0};
    int64_t now = T0, before;

    (void)state;
    for (int i = 0; i < 20; i++)
        backoff_refused(&b, &random, T0, T0 + 1 + i);
    assert_within(b.gap_us, CLOCK_S / 16, CLOCK_S / 8);
    for (int i = 0; i < 8; i++) {
        before = b.gap_us;
        now += CLOCK_S;
        backoff_refused(&b, &random, now, now);
        assert_true(b.gap_us >= 2 * before || b.gap_us == CLOCK_S);
        assert_within(backoff_gap_us(&b, &random, now), 1, BACKOFF_GAP_MAX_US);
    }
    for (int i = 1; b.gap_us > 0; i++) {
        assert_true(i < 30);
        backoff_answered(&b, now + i);
        assert_within(b.refused, 0, 0);
    }
}

/*
 * 60 calls at a provider that bears ten a second and names no wait: each gets through with its three
 * attempts.
 */
static void test_crowd_at_a_provider_with_a_pace__finds_it(void **state)
{
    enum { CALLS = 60, PACE = 10 };

    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct prng random = {seed};
        struct backoff b = {0};
        int64_t now = T0, served[CALLS] = {0};
        int attempts[CALLS] = {0}, most = 0;

        for (int call = 0; call < CALLS;) {
            int recent = 0;

            for (int i = 0; i < call; i++)
                recent += served[i] > now - CLOCK_S;
            most = ++attempts[call] > most ? attempts[call] : most;
            if (recent < PACE) {
                served[call++] = now;
                backoff_answered(&b, now);
                now += backoff_gap_us(&b, &random, now);
            } else {
                now = backoff_refused(&b, &random, now, now);
            }
        }
        assert_within(most, 1, 3);
        assert_within(now - T0, 4 * CLOCK_S, 14 * CLOCK_S);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_prng__the_same_seed__gives_the_same_numbers_and_all_of_a_range),
        cmocka_unit_test(test_refusals_in_a_row__wait_twice_as_long_each_up_to_8_s),
        cmocka_unit_test(test_a_crowd__counts_once_and_waits_for_one_moment),
        cmocka_unit_test(test_a_straggler_of_a_crowd__waits_as_long_as_the_crowd_did),
        cmocka_unit_test(test_an_answer__ends_it_only_if_it_was_sent_after_what_was_refused),
        cmocka_unit_test(test_a_refusal_after_a_quiet_minute__begins_anew),
        cmocka_unit_test(test_named_wait__is_a_minimum_with_a_tenth_of_jitter_upwards),
        cmocka_unit_test(test_tiny_named_waits__double_up_to_a_second),
        cmocka_unit_test(test_unnamed_after_many_named__begins_at_half_a_second),
        cmocka_unit_test(test_a_crowd_with_several_named_waits__the_longest_counts),
        cmocka_unit_test(test_gap__is_an_eighth_of_the_wait_and_random),
        cmocka_unit_test(test_gap__after_an_hours_wait__is_no_longer_than_after_two_seconds),
        cmocka_unit_test(test_gap__grows_with_refusals_and_shrinks_with_answers),
        cmocka_unit_test(test_crowd_at_a_provider_with_a_pace__finds_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
