/* foreign, counter: what a provider's counters show of others' use, in windows and budgets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "metergate/base/clock.h"
#include "metergate/gate/counter.h"
#include "metergate/gate/foreign.h"
#include "metergate/gate/gate.h"

#define MINUTE (60 * CLOCK_S)

/* A window of a minute of a limit of 1000. */
struct bench {
    struct window w;
    struct foreign *f;
};

static void set_up(struct bench *b)
{
    window_init(&b->w, MINUTE);
    b->f = NULL;
}

static void tear_down(struct bench *b)
{
    foreign_free(b->f);
    window_release(&b->w);
}

/* Of a request sent at sent_us; ours was between the two. */
static bool hear(struct bench *b, int64_t now_us, int64_t sent_us, int64_t remaining, int64_t ours_least,
                 int64_t ours_most)
{
    const struct foreign_reading r = {.max = 1000,
                                      .remaining = remaining,
                                      .ours_least = ours_least,
                                      .ours_most = ours_most,
                                      .sent_us = sent_us};

    window_advance(&b->w, now_us);
    return foreign_observe(&b->f, &b->w, &r, now_us);
}

static int64_t used(struct bench *b, int64_t now_us)
{
    window_advance(&b->w, now_us);
    return b->w.used;
}

static void test_foreign__use_that_is_not_ours__fills_the_window_and_leaves_a_span_later(void **state)
{
    struct bench b;

    (void)state;
    set_up(&b);
    assert_true(hear(&b, 5, 0, 300, 100, 100));
    assert_int_equal(foreign_amount(b.f, &b.w), 600);
    assert_int_equal(used(&b, 5), 600);
    assert_int_equal(b.w.open, 0); /* people see it as used, not as in flight */
    assert_int_equal(used(&b, 5 + MINUTE - 1), 600);
    assert_int_equal(used(&b, 5 + MINUTE), 0);
    assert_int_equal(foreign_amount(b.f, &b.w), 0);
    tear_down(&b);
}

static void test_foreign__what_calls_in_flight_explain__is_nobody_elses(void **state)
{
    struct bench b;

    (void)state;
    set_up(&b);
    assert_false(hear(&b, 5, 0, 300, 100, 700)); /* 700 are gone: all may be ours */
    assert_true(hear(&b, 6, 1, 300, 100, 650));
    assert_int_equal(foreign_amount(b.f, &b.w), 50);
    hear(&b, 7, 2, 300, 100, 690); /* between 10 and 600: no news */
    assert_int_equal(foreign_amount(b.f, &b.w), 50);
    tear_down(&b);
}

static void test_foreign__a_counter_that_recovers__gives_back_the_oldest_first(void **state)
{
    struct bench b;

    (void)state;
    set_up(&b);
    hear(&b, 0, 0, 900, 0, 0);
    hear(&b, 20 * CLOCK_S, 20 * CLOCK_S, 400, 0, 0);
    assert_int_equal(used(&b, 20 * CLOCK_S), 600);
    assert_true(hear(&b, 21 * CLOCK_S, 21 * CLOCK_S, 950, 0, 0));
    assert_int_equal(used(&b, 21 * CLOCK_S), 50);
    assert_int_equal(used(&b, MINUTE), 50); /* it is of the younger ones */
    assert_true(hear(&b, MINUTE, MINUTE, 1000, 500, 500)); /* it counts less than we do: no credit */
    assert_int_equal(used(&b, MINUTE), 0);
    assert_int_equal(foreign_amount(b.f, &b.w), 0);
    tear_down(&b);
}

static void test_foreign__a_rounded_counter__corrects_by_what_is_certain(void **state)
{
    struct foreign_reading r = {.max = 1000, .remaining = 800, .rounding = 50};
    struct bench b;

    (void)state;
    set_up(&b);
    assert_true(foreign_observe(&b.f, &b.w, &r, 0));
    assert_int_equal(b.w.used, 150);
    r.remaining = 900; /* between 50 and 150 */
    foreign_observe(&b.f, &b.w, &r, 1);
    assert_int_equal(b.w.used, 150);
    r.remaining = 910;
    assert_true(foreign_observe(&b.f, &b.w, &r, 2));
    assert_int_equal(b.w.used, 140);
    tear_down(&b);
}

static void test_foreign__an_older_answer_that_comes_late__lowers_nothing(void **state)
{
    struct bench b;

    (void)state;
    set_up(&b);
    hear(&b, 10, 8, 500, 0, 0);
    assert_false(hear(&b, 11, 5, 1000, 0, 0));
    assert_int_equal(used(&b, 11), 500);
    assert_false(hear(&b, 12, 5, 200, 0, 100)); /* vaguer */
    assert_int_equal(used(&b, 12), 500);
    assert_true(hear(&b, 13, 5, 200, 0, 0));
    assert_int_equal(used(&b, 13), 800);
    tear_down(&b);
}

static void test_foreign__a_steady_consumer__does_not_leave_all_at_once(void **state)
{
    struct bench b;

    (void)state;
    set_up(&b);
    for (int64_t t = 0; t <= 3 * MINUTE; t += CLOCK_S) {
        hear(&b, t, t, 500, 0, 0);
        assert_int_equal(used(&b, t), 500);
    }
    assert_int_equal(used(&b, 3 * MINUTE + MINUTE / 2 - CLOCK_S), 500);
    assert_in_range(used(&b, 3 * MINUTE + MINUTE * 3 / 4), 200, 300);
    assert_int_equal(used(&b, 4 * MINUTE), 0);
    tear_down(&b);
}

static void test_foreign__a_million_readings__keep_the_window_small_and_exact(void **state)
{
    struct bench b;
    uint32_t x = 1;

    (void)state;
    set_up(&b);
    for (int64_t t = 0; t < 4 * MINUTE; t += 1000) {
        int64_t left;

        x = x * 1664525 + 1013904223;
        left = 200 + (x >> 16) % 600;
        hear(&b, t, t, left, 0, 0);
        assert_int_equal(used(&b, t), 1000 - left);
        assert_int_equal(foreign_amount(b.f, &b.w), 1000 - left);
    }
    assert_true(window_entries(&b.w) < 2000);
    tear_down(&b);
}

static void test_foreign__while_others_are_about__little_goes_unheard_and_then_by_and_by(void **state)
{
    struct foreign_reading r = {.max = 1000, .remaining = 800};
    struct bench b;

    (void)state;
    set_up(&b);
    assert_int_equal(foreign_earliest(b.f, &b.w, 960, 500, 5), 5); /* nobody was heard of */
    foreign_observe(&b.f, &b.w, &r, 10);
    assert_int_equal(foreign_earliest(b.f, &b.w, 960, 500, 10), 10); /* nothing is unheard: whatever its size */
    r.mark = foreign_sent(b.f, 50, 20);
    assert_int_equal(foreign_earliest(b.f, &b.w, 960, 10, 20), 20); /* 60 of 960 */
    assert_int_equal(foreign_earliest(b.f, &b.w, 960, 26, 20), 20 + CLOCK_S);
    foreign_sent(b.f, 26, 30);
    assert_int_equal(foreign_earliest(b.f, &b.w, 960, 50, 30), 20 + CLOCK_S * 66 / 16);
    r.sent_us = 25;
    foreign_observe(&b.f, &b.w, &r, 40); /* of the first one */
    assert_int_equal(foreign_earliest(b.f, &b.w, 960, 50, 40), 25 + CLOCK_S);
    foreign_quiet(b.f);
    assert_int_equal(foreign_earliest(b.f, &b.w, 960, 500, 50), 50);
    foreign_sent(b.f, 500, 60);
    assert_true(foreign_earliest(b.f, &b.w, 960, 50, 70) > 70);
    assert_int_equal(foreign_earliest(b.f, &b.w, 960, 50, 10 * MINUTE + 40), 10 * MINUTE + 40); /* long ago */
    tear_down(&b);
}

static void test_foreign__in_silence__others_go_on_as_they_did(void **state)
{
    struct bench b;

    (void)state;
    set_up(&b);
    hear(&b, 1, 1, 1000, 0, 0); /* nobody */
    hear(&b, 6 * CLOCK_S + 1, 6 * CLOCK_S + 1, 970, 0, 0);
    assert_int_equal(foreign_expected(b.f, &b.w, 6 * CLOCK_S + 1), 0);
    assert_in_range(foreign_expected(b.f, &b.w, 36 * CLOCK_S), 134, 135); /* 300 in a span, 30 are there: half of 270 */
    assert_int_equal(foreign_amount(b.f, &b.w), 30);
    window_advance(&b.w, 66 * CLOCK_S + 1);
    assert_int_equal(foreign_expected(b.f, &b.w, 66 * CLOCK_S + 1), 300);
    hear(&b, 67 * CLOCK_S, 67 * CLOCK_S, 800, 0, 0); /* 200: they are watched for longer than a span by now */
    assert_int_equal(foreign_amount(b.f, &b.w), 200);
    assert_int_equal(foreign_expected(b.f, &b.w, 97 * CLOCK_S), 0);
    hear(&b, 98 * CLOCK_S, 98 * CLOCK_S, 1000, 0, 0);
    assert_int_equal(foreign_expected(b.f, &b.w, 120 * CLOCK_S), 0);
    tear_down(&b);
}

/* ---- counters and limits ---- */

static const struct limit limits[] = {
    {.metric = METRIC_TOKENS, .max = 1000, .span_us = MINUTE, .key = "tpm"},
    {.metric = METRIC_REQUESTS, .max = 10, .span_us = MINUTE, .key = "rpm"},
    {.metric = METRIC_REQUESTS, .max = 200, .span_us = BUDGET_DAY_US, .key = "rpd"},
    {.metric = METRIC_CONCURRENT, .max = 3, .key = "concurrent"},
};

static void test_counter__of_what_limit_it_is__by_span_or_size_or_reset(void **state)
{
    static const struct {
        struct counter c;
        int limit;
    } rows[] = {
        {{.metric = METRIC_TOKENS, .span_us = MINUTE, .limit = 1}, 0},
        {{.metric = METRIC_TOKENS, .limit = 5}, 0},
        {{.metric = METRIC_TOKENS, .span_us = BUDGET_DAY_US}, -1}, /* of a day: says nothing of the minute */
        {{.metric = METRIC_REQUESTS, .limit = 10, .reset_us = 1}, 1},
        {{.metric = METRIC_REQUESTS, .limit = 60, .reset_us = CLOCK_S}, 1},
        {{.metric = METRIC_REQUESTS, .limit = 200, .reset_us = 7 * MINUTE}, 2}, /* by its size */
        {{.metric = METRIC_REQUESTS, .limit = 300, .reset_us = 120 * MINUTE}, 2},
        {{.metric = METRIC_REQUESTS, .span_us = BUDGET_DAY_US, .limit = 10}, 2},
        {{.metric = METRIC_INPUT, .limit = 1000}, -1},
        {{.metric = METRIC_CONCURRENT, .limit = 3}, -1},
    };
    struct budget *b = budget_new("b", 0, limits, 4);

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_int_equal(counter_limit(b, &rows[i].c), rows[i].limit);
    budget_free(b);
}

static struct cost cost(int64_t tokens)
{
    const struct estimate e = {.input = tokens, .choices = 1, .exact = true};

    return profile_reserve(PROFILE_ACTUAL, &e);
}

static int64_t used_of(struct budget *b, size_t i, int64_t now_us)
{
    budget_advance(b, now_us);
    return b->limits[i].window.used;
}

static void test_counter__the_tightest_of_two__counts(void **state)
{
    static const struct counter both[] = {
        {.metric = METRIC_TOKENS, .limit = 1000, .remaining = 900, .reset_us = -1},
        {.metric = METRIC_TOKENS, .limit = 800, .remaining = 300, .reset_us = -1}, /* of the project */
    };
    struct budget *b = budget_new("b", 0, limits, 4);
    const struct counter_source nobody = {0};

    (void)state;
    for (int i = 0; i < 3; i++) {
        counter_correct(b, &nobody, both, 2, i);
        assert_int_equal(used_of(b, 0, i), 700);
    }
    budget_free(b);
}

static void test_counter__calls_that_came_after_the_request__may_be_in_it_or_not(void **state)
{
    struct counter c = {.metric = METRIC_TOKENS, .remaining = 800, .reset_us = -1};
    struct budget *b = budget_new("b", 0, limits, 4);
    struct charge first[4], second[4];
    const struct cost c200 = cost(200), c300 = cost(300);
    const struct counter_source of_first = {.charges = first, .charge_count = 4};

    (void)state;
    budget_open(b, &c200, 0, first);
    for (int i = 0; i < 4; i++)
        charge_time(&first[i], 10);
    budget_open(b, &c300, 20, second);
    c.remaining = 500;
    counter_correct(b, &of_first, &c, 1, 25); /* the second is on its way: it may be there, or not yet */
    assert_int_equal(used_of(b, 0, 25), 200);
    c.remaining = 800;
    for (int i = 0; i < 4; i++)
        charge_time(&second[i], 30);
    assert_false(counter_correct(b, &of_first, &c, 1, 40));
    c.remaining = 500;
    assert_false(counter_correct(b, &of_first, &c, 1, 41)); /* with the second one */
    c.remaining = 499;
    assert_true(counter_correct(b, &of_first, &c, 1, 42));
    assert_int_equal(used_of(b, 0, 42), 501);
    for (int i = 0; i < 4; i++) {
        charge_close(&first[i], NULL, 50);
        charge_close(&second[i], NULL, 50);
    }
    budget_leave(b);
    budget_leave(b);
    budget_free(b);
}

static void test_budget__others_are_expected__a_call_waits_for_them_but_one_may_always_go(void **state)
{
    struct counter c = {.metric = METRIC_TOKENS, .remaining = 1000, .reset_us = -1};
    struct budget *b = budget_new("b", 0, limits, 1);
    const struct counter_source nobody = {0};
    const struct budget_limit *l;
    const struct cost c400 = cost(400), c900 = cost(900);

    (void)state;
    counter_correct(b, &nobody, &c, 1, 1);
    c.remaining = 900;
    counter_correct(b, &nobody, &c, 1, 6 * CLOCK_S + 1); /* 100 in six seconds: all of it in a minute */
    budget_advance(b, 7 * CLOCK_S);
    assert_int_equal(budget_earliest(b, &c400, 7 * CLOCK_S, &l), 7 * CLOCK_S);
    budget_advance(b, 55 * CLOCK_S);
    assert_int_equal(budget_earliest(b, &c400, 55 * CLOCK_S, &l), 66 * CLOCK_S + 1); /* not before the window is empty */
    budget_advance(b, 67 * CLOCK_S);
    assert_int_equal(budget_earliest(b, &c900, 67 * CLOCK_S, &l), 67 * CLOCK_S);
    budget_free(b);
}

static void test_counter__a_refused_call__is_not_in_it(void **state)
{
    static const struct counter none_left = {.metric = METRIC_TOKENS, .remaining = 0, .reset_us = -1};
    struct budget *b = budget_new("b", 0, limits, 4);
    struct charge charges[4];
    const struct cost c = cost(400);
    const struct counter_source from = {.charges = charges, .charge_count = 4, .refused = true};

    (void)state;
    budget_open(b, &c, 0, charges);
    for (int i = 0; i < 4; i++)
        charge_time(&charges[i], 10);
    assert_true(counter_correct(b, &from, &none_left, 1, 20));
    assert_int_equal(used_of(b, 0, 20), 1400); /* until it is closed */
    for (int i = 0; i < 4; i++) {
        const struct cost refused = profile_refused(PROFILE_ACTUAL);

        charge_close(&charges[i], &refused, 20);
    }
    budget_leave(b);
    assert_int_equal(used_of(b, 0, 20), 1000); /* an empty window of ours, and still no room */
    budget_free(b);
}

static void test_counter__absurd_figures__change_nothing(void **state)
{
    static const struct counter bad[] = {
        {.metric = METRIC_TOKENS, .remaining = -1},
        {.metric = METRIC_TOKENS, .remaining = INT64_MAX},
        {.metric = METRIC_TOKENS, .remaining = 0, .rounding = INT64_MAX},
        {.metric = METRIC_TOKENS, .remaining = 0, .rounding = -1},
    };
    static const struct limit endless = {
        .metric = METRIC_TOKENS, .max = INT64_C(1) << 50, .span_us = MINUTE, .key = "tpm"};
    static const struct counter none_left = {.metric = METRIC_TOKENS, .remaining = 0};
    struct budget *b = budget_new("b", 0, limits, 4);
    const struct counter_source nobody = {0};

    (void)state;
    assert_false(counter_correct(b, &nobody, bad, 4, 0));
    budget_free(b);
    b = budget_new("b", 0, &endless, 1);
    assert_false(counter_correct(b, &nobody, &none_left, 1, 0));
    budget_free(b);
}

static void test_counter__a_limit_that_changes__keeps_what_others_used(void **state)
{
    static const struct counter c = {.metric = METRIC_TOKENS, .remaining = 400, .reset_us = -1};
    struct budget *b = budget_new("b", 0, limits, 4), *copy;
    const struct counter_source nobody = {0};
    struct limit less = limits[0];

    (void)state;
    counter_correct(b, &nobody, &c, 1, 0);
    copy = budget_copy(b, 1);
    assert_int_equal(used_of(copy, 0, 1), 600);
    budget_free(copy);
    less.max = 500;
    budget_update(b, 0, &less, 1);
    assert_int_equal(used_of(b, 0, 1), 600);
    counter_correct(b, &nobody, &c, 1, 2);
    assert_int_equal(used_of(b, 0, 2), 100);
    budget_update(b, 0, NULL, 0);
    budget_free(b);
}

/* ---- the gate ---- */

static void test_gate__what_others_had_and_gave_back__lets_a_held_call_go_at_once(void **state)
{
    struct counter c = {.metric = METRIC_TOKENS, .remaining = 0, .reset_us = -1};
    struct gate *g = gate_new();
    struct budget *b = gate_budget_new(g, "b", 0, limits, 1);
    struct ticket first = {0}, second = {0};
    const struct cost c100 = cost(100);
    struct gate_refusal why;

    (void)state;
    ticket_init(&first, &c100, &b, 1, 0, CLOCK_NEVER);
    ticket_init(&second, &c100, &b, 1, 0, CLOCK_NEVER);
    gate_offer(g, &first, 0, &why);
    assert_ptr_equal(gate_next(g, 0), &first);
    gate_sent(g, &first, 1);
    gate_observe(g, &first, 2, &c, 1, false);
    gate_offer(g, &second, 3, &why);
    assert_null(gate_next(g, 3));
    assert_int_equal(gate_wakeup(g), 1 + MINUTE); /* what is ours leaves then: as much as it needs */
    c.remaining = 1000;
    gate_observe(g, &first, 4, &c, 1, false);
    assert_int_equal(gate_wakeup(g), 0);
    assert_ptr_equal(gate_next(g, 4), &second);
    gate_close(g, &first, 5, NULL);
    gate_close(g, &second, 5, NULL);
    gate_free(g);
}

static void test_gate__more_calls_may_be_in_flight__one_goes_at_once(void **state)
{
    static const struct limit one = {.metric = METRIC_CONCURRENT, .max = 1, .key = "learning"};
    struct gate *g = gate_new();
    struct budget *b = gate_budget_new(g, "b", 0, &one, 1);
    struct ticket first = {0}, second = {0};
    const struct cost c100 = cost(100);
    struct gate_refusal why;

    (void)state;
    ticket_init(&first, &c100, &b, 1, 0, CLOCK_NEVER);
    ticket_init(&second, &c100, &b, 1, 0, CLOCK_NEVER);
    gate_offer(g, &first, 0, &why);
    gate_offer(g, &second, 0, &why);
    assert_ptr_equal(gate_next(g, 0), &first);
    assert_null(gate_next(g, 0));
    gate_limit_calls(g, b, 0, 2);
    assert_int_equal(gate_wakeup(g), 0);
    assert_ptr_equal(gate_next(g, 1), &second);
    gate_close(g, &first, 5, NULL);
    gate_close(g, &second, 5, NULL);
    gate_free(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_foreign__use_that_is_not_ours__fills_the_window_and_leaves_a_span_later),
        cmocka_unit_test(test_foreign__what_calls_in_flight_explain__is_nobody_elses),
        cmocka_unit_test(test_foreign__a_counter_that_recovers__gives_back_the_oldest_first),
        cmocka_unit_test(test_foreign__a_rounded_counter__corrects_by_what_is_certain),
        cmocka_unit_test(test_foreign__an_older_answer_that_comes_late__lowers_nothing),
        cmocka_unit_test(test_foreign__a_steady_consumer__does_not_leave_all_at_once),
        cmocka_unit_test(test_foreign__a_million_readings__keep_the_window_small_and_exact),
        cmocka_unit_test(test_foreign__while_others_are_about__little_goes_unheard_and_then_by_and_by),
        cmocka_unit_test(test_foreign__in_silence__others_go_on_as_they_did),
        cmocka_unit_test(test_counter__of_what_limit_it_is__by_span_or_size_or_reset),
        cmocka_unit_test(test_counter__the_tightest_of_two__counts),
        cmocka_unit_test(test_counter__calls_that_came_after_the_request__may_be_in_it_or_not),
        cmocka_unit_test(test_budget__others_are_expected__a_call_waits_for_them_but_one_may_always_go),
        cmocka_unit_test(test_counter__a_refused_call__is_not_in_it),
        cmocka_unit_test(test_counter__absurd_figures__change_nothing),
        cmocka_unit_test(test_counter__a_limit_that_changes__keeps_what_others_used),
        cmocka_unit_test(test_gate__what_others_had_and_gave_back__lets_a_held_call_go_at_once),
        cmocka_unit_test(test_gate__more_calls_may_be_in_flight__one_goes_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
