/* budget: what is usable, when there is room, and what attempts leave behind in limits that may change
 * meanwhile. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "metergate/base/clock.h"
#include "metergate/base/err.h"
#include "metergate/gate/budget.h"

#define MINUTE (60 * CLOCK_S)

static const struct limit tpm = {.metric = METRIC_TOKENS, .max = 1000, .span_us = MINUTE, .key = "tpm"};
static const struct limit tpd = {
    .metric = METRIC_TOKENS, .max = 5000, .span_us = BUDGET_DAY_US, .key = "tpd"};
static const struct limit rpm = {.metric = METRIC_REQUESTS, .max = 10, .span_us = MINUTE, .key = "rpm"};
static const struct limit rpd = {
    .metric = METRIC_REQUESTS, .max = 10, .span_us = BUDGET_DAY_US, .key = "rpd"};
static const struct limit three_calls = {.metric = METRIC_CONCURRENT, .max = 3, .key = "concurrent"};

static struct cost cost(int64_t input, int64_t output)
{
    const struct estimate e = {.input = input, .expected_output = output, .choices = 1, .exact = true};

    return profile_reserve(PROFILE_ACTUAL, &e);
}

/* One attempt on one budget. */
struct attempt {
    struct budget *b;
    struct charge charges[BUDGET_LIMITS_MAX];
    size_t n;
};

static struct attempt attempt(struct budget *b, const struct cost *c, int64_t now_us)
{
    struct attempt a = {.b = b, .n = b->limit_count};

    budget_advance(b, now_us);
    budget_open(b, c, now_us, a.charges);
    return a;
}

static void arrive(struct attempt *a, int64_t now_us)
{
    for (size_t i = 0; i < a->n; i++)
        charge_time(&a->charges[i], now_us);
}

static void finish(struct attempt *a, const struct cost *final, int64_t now_us)
{
    for (size_t i = 0; i < a->n; i++)
        charge_close(&a->charges[i], final, now_us);
    budget_leave(a->b);
}

static void assert_figures(struct budget *b, size_t i, int64_t now_us, int64_t used, int64_t reserved)
{
    struct limit_figures f;

    budget_advance(b, now_us);
    f = budget_figures(b, &b->limits[i]);
    assert_int_equal(f.used, used);
    assert_int_equal(f.reserved, reserved);
}

static int64_t earliest(struct budget *b, const struct cost *c, int64_t now_us)
{
    const struct budget_limit *limit;

    budget_advance(b, now_us);
    return budget_earliest(b, c, now_us, &limit);
}

static void test_budget__usable__is_max_less_the_headroom_where_headroom_applies(void **state)
{
    static const struct {
        struct limit limit;
        int headroom_permille;
        int64_t usable;
    } rows[] = {
        {{METRIC_TOKENS, 30000, MINUTE, false, "tpm"}, 200, 24000},
        {{METRIC_TOKENS, 30000, BUDGET_DAY_US, false, "tpd"}, 200, 24000},
        {{METRIC_TOKENS, 1999, MINUTE, false, "tpm"}, 1, 1997},
        {{METRIC_REQUESTS, 500, MINUTE, false, "rpm"}, 200, 400},
        {{METRIC_REQUESTS, 500, BUDGET_DAY_US, false, "rpd"}, 200, 500},
        {{METRIC_REQUESTS, 1, MINUTE, false, "rpm"}, 200, 1},
        {{METRIC_REQUESTS, 3, MINUTE, false, "rpm"}, 900, 1},
        {{METRIC_CONCURRENT, 4, 0, false, "concurrent"}, 500, 4},
        {{METRIC_TOKENS, INT64_MAX, MINUTE, false, "tpm"}, 0, INT64_MAX},
        {{METRIC_TOKENS, INT64_C(1) << 60, MINUTE, false, "tpm"}, 500, INT64_C(1) << 59},
    };

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++) {
        struct budget *b = budget_new("b", rows[i].headroom_permille, &rows[i].limit, 1);

        assert_int_equal(budget_usable(b, &b->limits[0]), rows[i].usable);
        budget_free(b);
    }
}

static void test_budget__need__is_cut_to_max_and_what_comes_on_arrival_first(void **state)
{
    struct budget *b = budget_new("b", 0, &tpm, 1);
    struct cost c = cost(700, 500);
    int64_t arrival, end;

    (void)state;
    budget_need(&b->limits[0], &c, &arrival, &end);
    assert_int_equal(arrival, 700);
    assert_int_equal(end, 300);
    c = cost(1700, 500);
    budget_need(&b->limits[0], &c, &arrival, &end);
    assert_int_equal(arrival, 1000);
    assert_int_equal(end, 0);
    assert_int_equal(budget_need_total(&b->limits[0], &c), 1000);
    budget_free(b);
}

static void test_budget__room__comes_when_the_last_limit_has_it(void **state)
{
    const struct limit limits[] = {rpm, tpm};
    struct budget *b = budget_new("b", 0, limits, 2);
    struct cost c = cost(900, 0), small = cost(100, 0), other = cost(101, 0);
    struct attempt a = attempt(b, &c, 0);
    const struct budget_limit *limit;

    (void)state;
    arrive(&a, 5);
    assert_int_equal(earliest(b, &small, 10), 10);
    assert_int_equal(budget_earliest(b, &other, 10, &limit), MINUTE + 5);
    assert_ptr_equal(limit, &b->limits[1]);
    b->paused_until_us = 2 * MINUTE;
    assert_int_equal(budget_earliest(b, &other, 10, &limit), 2 * MINUTE);
    assert_null(limit);
    finish(&a, &c, 20);
    budget_free(b);
}

static void test_budget__call_bigger_than_usable__waits_until_all_of_max_has_room(void **state)
{
    struct budget *b = budget_new("b", 200, &tpm, 1);
    struct cost fits = cost(800, 0), alone = cost(801, 0), beside = cost(199, 0), whole = cost(5000, 0),
                c = cost(200, 0);
    struct attempt a = attempt(b, &c, 0);

    (void)state;
    arrive(&a, 0);
    assert_int_equal(earliest(b, &fits, 1), MINUTE);
    assert_int_equal(earliest(b, &alone, 1), MINUTE);
    finish(&a, &beside, 1);
    assert_int_equal(earliest(b, &fits, 1), MINUTE); /* 199 + 800 is more than usable */
    assert_int_equal(earliest(b, &alone, 1), 1);     /* 199 + 801 is all of max */
    assert_int_equal(earliest(b, &whole, 1), MINUTE);
    budget_free(b);
}

static void test_budget__attempt__is_reserved_then_timed_then_what_it_was(void **state)
{
    struct budget *b = budget_new("b", 0, &tpm, 1);
    struct cost c = cost(300, 200), was = cost(310, 50);
    struct attempt a = attempt(b, &c, 0);

    (void)state;
    assert_figures(b, 0, 1, 0, 500);
    arrive(&a, 2 * CLOCK_S);
    assert_figures(b, 0, 2 * CLOCK_S, 0, 500);
    assert_int_equal(b->limits[0].window.reserved, 200); /* what is to come at the end */
    finish(&a, &was, 10 * CLOCK_S);
    assert_figures(b, 0, 10 * CLOCK_S, 360, 0);
    assert_figures(b, 0, MINUTE + 2 * CLOCK_S, 50, 0);
    assert_figures(b, 0, MINUTE + 10 * CLOCK_S, 0, 0);
    assert_int_equal(b->in_flight, 0);
    budget_free(b);
}

static void test_budget__long_answer__leaves_by_its_arrival_and_its_correction_is_too_late(void **state)
{
    struct budget *b = budget_new("b", 0, &tpm, 1);
    struct cost c = cost(300, 200), was = cost(999, 100);
    struct attempt a = attempt(b, &c, 0);

    (void)state;
    arrive(&a, 0);
    assert_figures(b, 0, MINUTE, 0, 200);
    finish(&a, &was, 2 * MINUTE);
    assert_figures(b, 0, 2 * MINUTE, 100, 0);
    budget_free(b);
}

static void test_budget__attempt_that_was_never_sent__counts_from_its_end(void **state)
{
    const struct limit limits[] = {tpm, rpm, three_calls};
    struct budget *b = budget_new("b", 0, limits, 3);
    struct cost c = cost(300, 200), none = profile_refused(PROFILE_ACTUAL);
    struct attempt a = attempt(b, &c, 0);

    (void)state;
    assert_int_equal(b->limits[2].in_flight, 1);
    finish(&a, &none, 7);
    assert_figures(b, 0, 7, 0, 0);
    assert_figures(b, 1, MINUTE + 6, 1, 0);
    assert_figures(b, 1, MINUTE + 7, 0, 0);
    assert_int_equal(b->limits[2].in_flight, 0);
    budget_free(b);
}

/* ---- room for two ---- */

static void test_budget__room_for_both__is_room_beside_the_first_when_it_starts(void **state)
{
    struct budget *b = budget_new("b", 0, &tpm, 1);
    struct cost c = cost(600, 0), head = cost(900, 0), fits = cost(100, 0), late = cost(101, 0);
    struct attempt a = attempt(b, &c, 0);

    (void)state;
    arrive(&a, 0);
    assert_true(budget_has_room_for_both(b, &head, MINUTE, &fits, 1));
    assert_false(budget_has_room_for_both(b, &head, MINUTE, &late, 1));
    assert_false(budget_has_room_for_both(b, &head, CLOCK_NEVER, &fits, 1)); /* any moment, so now */
    finish(&a, &c, 1);
    budget_free(b);
}

static void test_budget__room_for_both__what_has_long_left_by_then_does_not_count(void **state)
{
    const struct limit limits[] = {tpd, tpm};
    struct budget *b = budget_new("b", 0, limits, 2);
    struct cost head = cost(900, 0), small = cost(200, 0), slow = cost(100, 101);
    int64_t head_us = 3600 * CLOCK_S;

    (void)state;
    assert_true(budget_has_room_for_both(b, &head, head_us, &small, head_us - budget_stay_us(&b->limits[1])));
    assert_false(
        budget_has_room_for_both(b, &head, head_us, &small, head_us - budget_stay_us(&b->limits[1]) + 1));
    assert_false(
        budget_has_room_for_both(b, &head, head_us, &slow, 0)); /* nobody knows when its output ends */
    budget_free(b);
}

static void test_budget__room_for_both__counts_calls_in_flight_and_spacing(void **state)
{
    struct limit smooth = rpm;
    const struct limit *which[] = {&three_calls, &smooth};
    struct cost c = cost(1, 0);

    (void)state;
    smooth.smooth = true;
    for (size_t i = 0; i < 2; i++) {
        struct budget *b = budget_new("b", 0, which[i], 1);
        struct attempt a = attempt(b, &c, 0);

        if (i == 0) {
            assert_true(budget_has_room_for_both(b, &c, MINUTE, &c, 1));
            b->limits[0].limit.max = 2;
            assert_false(budget_has_room_for_both(b, &c, MINUTE, &c, 1));
        } else {
            assert_int_equal(budget_spacing_us(b, &b->limits[0]), 6 * CLOCK_S);
            assert_int_equal(earliest(b, &c, 1), 6 * CLOCK_S);
            assert_true(budget_has_room_for_both(b, &c, 20 * CLOCK_S, &c, 14 * CLOCK_S));
            assert_false(budget_has_room_for_both(b, &c, 20 * CLOCK_S, &c, 14 * CLOCK_S + 1));
        }
        finish(&a, &c, 2);
        budget_free(b);
    }
}

/* ---- limits that change ---- */

static void test_budget__update__keeps_windows_of_the_same_metric_and_span(void **state)
{
    const struct limit before[] = {tpm, rpm},
                       after[] = {rpm, {METRIC_TOKENS, 2000, MINUTE, false, "tpm"}, tpd};
    struct budget *b = budget_new("b", 0, before, 2);
    struct cost c = cost(300, 200);
    struct attempt a = attempt(b, &c, 0);

    (void)state;
    arrive(&a, 1);
    budget_update(b, 100, after, 3);
    assert_figures(b, 0, 2, 0, 1);
    assert_figures(b, 1, 2, 0, 500);
    assert_figures(b, 2, 2, 0, 0); /* new: it has seen nothing */
    assert_int_equal(budget_usable(b, &b->limits[1]), 1800);
    finish(&a, &c, 3);
    assert_figures(b, 0, 3, 1, 0);
    assert_figures(b, 1, 3, 500, 0);
    assert_figures(b, 2, 3, 0, 0);
    budget_free(b);
}

static void test_budget__limit_that_goes_and_comes_back__starts_empty_and_stays_right(void **state)
{
    struct budget *b = budget_new("b", 0, &tpm, 1);
    struct cost c = cost(300, 200);
    struct attempt old = attempt(b, &c, 0), young;

    (void)state;
    budget_update(b, 0, &rpd, 1);
    budget_update(b, 0, &tpm, 1);
    young = attempt(b, &c, 1);
    assert_figures(b, 0, 1, 0, 500);
    arrive(&old, 2);
    finish(&old, &c, 3);
    assert_figures(b, 0, 3, 0, 500);
    finish(&young, &c, 4);
    assert_figures(b, 0, 4, 500, 0);
    assert_int_equal(b->in_flight, 0);
    budget_free(b);
}

static void test_budget__cap_on_calls_in_flight_that_comes_later__knows_those_that_are(void **state)
{
    const struct limit both[] = {tpm, three_calls};
    struct budget *b = budget_new("b", 0, &tpm, 1);
    struct cost c = cost(1, 0);
    struct attempt a = attempt(b, &c, 0), second = attempt(b, &c, 0);

    (void)state;
    budget_update(b, 0, both, 2);
    assert_figures(b, 1, 1, 0, 2);
    finish(&a, &c, 1);
    finish(&second, &c, 1);
    assert_figures(b, 1, 1, 0, 0);
    budget_free(b);
}

/* ---- what an earlier run charged ---- */

static void restore(struct budget *b, int64_t at_us, int64_t requests, int64_t tokens)
{
    const int64_t amount[METRICS] = {
        [METRIC_REQUESTS] = requests, [METRIC_TOKENS] = tokens, [METRIC_CONCURRENT] = requests};

    budget_restore(b, at_us, amount);
}

static void test_budget__restored__leaves_each_window_one_span_after_it_was_charged(void **state)
{
    const struct limit limits[] = {rpm, tpm, tpd, three_calls};
    struct budget *b = budget_new("m", 0, limits, MG_ARRAY_LEN(limits));
    const struct cost c = cost(600, 0);

    (void)state;
    restore(b, -BUDGET_DAY_US - 60 * MINUTE, 7, 4000); /* before the machine was started, and gone from every window */
    restore(b, -2 * MINUTE, 5, 900);
    restore(b, -MINUTE / 2, 3, 500);
    restore(b, 0, 1, 100); /* the very moment at which the clock began */
    assert_figures(b, 0, 10, 4, 0);
    assert_figures(b, 1, 10, 600, 0);
    assert_figures(b, 2, 10, 1500, 0);
    assert_figures(b, 3, 10, 0, 0); /* nothing of then is in flight */
    assert_int_equal(earliest(b, &c, 10), MINUTE / 2);
    assert_figures(b, 1, MINUTE / 2, 100, 0);
    assert_figures(b, 1, MINUTE, 0, 0);
    assert_figures(b, 2, BUDGET_DAY_US - 2 * MINUTE - 1, 1500, 0);
    assert_figures(b, 2, BUDGET_DAY_US - 2 * MINUTE, 600, 0);
    assert_false(budget_is_forgettable(b, BUDGET_DAY_US - 1));
    assert_true(budget_is_forgettable(b, BUDGET_DAY_US));
    budget_free(b);
}

static void test_budget__restored_beyond_its_max__is_full_until_that_leaves_and_new_charges_stay_right(void **state)
{
    struct budget *b = budget_new("m", 0, &tpm, 1);
    const struct cost c = cost(100, 0);
    struct attempt a;

    (void)state;
    for (int i = 0; i < 100; i++)
        restore(b, -10 + i / 20, 1, INT64_MAX);
    assert_int_equal(earliest(b, &c, 5), MINUTE - 6); /* when the last of them leaves */
    a = attempt(b, &c, MINUTE - 6);
    arrive(&a, MINUTE - 5);
    assert_figures(b, 0, MINUTE - 5, 0, 100);
    finish(&a, &c, MINUTE);
    assert_figures(b, 0, MINUTE, 100, 0);
    assert_figures(b, 0, 2 * MINUTE - 5, 0, 0);
    budget_free(b);
}

static void test_budget__many_restored__leave_when_they_should_whatever_came_before(void **state)
{
    struct budget *b = budget_new("m", 0, &tpm, 1);

    (void)state;
    for (int64_t t = -5000; t <= 0; t++) /* a charge a second, eighty minutes long */
        restore(b, t * CLOCK_S, 1, 1);
    assert_int_equal(window_entries(&b->limits[0].window), 60);
    for (int64_t t = 0; t < 60; t++)
        assert_figures(b, 0, t * CLOCK_S, 60 - t, 0);
    assert_figures(b, 0, MINUTE, 0, 0);
    budget_free(b);
}

static void test_budget__restored_request_of_a_smooth_limit__keeps_the_next_one_apart(void **state)
{
    const struct cost c = cost(1, 0);
    struct limit smooth = rpm;
    struct budget *b;

    (void)state;
    smooth.smooth = true;
    b = budget_new("m", 0, &smooth, 1);
    restore(b, -20 * CLOCK_S, 1, 1);
    assert_int_equal(earliest(b, &c, 1), 1); /* six seconds after that are over */
    restore(b, -2 * CLOCK_S, 1, 1);
    restore(b, -2 * CLOCK_S, 0, 50); /* tokens that no request came with */
    assert_int_equal(earliest(b, &c, 1), 4 * CLOCK_S);
    budget_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_budget__usable__is_max_less_the_headroom_where_headroom_applies),
        cmocka_unit_test(test_budget__need__is_cut_to_max_and_what_comes_on_arrival_first),
        cmocka_unit_test(test_budget__room__comes_when_the_last_limit_has_it),
        cmocka_unit_test(test_budget__call_bigger_than_usable__waits_until_all_of_max_has_room),
        cmocka_unit_test(test_budget__attempt__is_reserved_then_timed_then_what_it_was),
        cmocka_unit_test(test_budget__long_answer__leaves_by_its_arrival_and_its_correction_is_too_late),
        cmocka_unit_test(test_budget__attempt_that_was_never_sent__counts_from_its_end),
        cmocka_unit_test(test_budget__room_for_both__is_room_beside_the_first_when_it_starts),
        cmocka_unit_test(test_budget__room_for_both__what_has_long_left_by_then_does_not_count),
        cmocka_unit_test(test_budget__room_for_both__counts_calls_in_flight_and_spacing),
        cmocka_unit_test(test_budget__update__keeps_windows_of_the_same_metric_and_span),
        cmocka_unit_test(test_budget__limit_that_goes_and_comes_back__starts_empty_and_stays_right),
        cmocka_unit_test(test_budget__cap_on_calls_in_flight_that_comes_later__knows_those_that_are),
        cmocka_unit_test(test_budget__restored__leaves_each_window_one_span_after_it_was_charged),
        cmocka_unit_test(test_budget__restored_beyond_its_max__is_full_until_that_leaves_and_new_charges_stay_right),
        cmocka_unit_test(test_budget__many_restored__leave_when_they_should_whatever_came_before),
        cmocka_unit_test(test_budget__restored_request_of_a_smooth_limit__keeps_the_next_one_apart),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
