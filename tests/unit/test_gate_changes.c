/* gate: what a reload changes while calls wait: limits, headroom, spans, and the budget that a call waits
 * for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "metergate/base/clock.h"
#include "metergate/gate/gate.h"

#define MINUTE (60 * CLOCK_S)
#define T0     (100 * CLOCK_S)

static const struct limit tpm = {.metric = METRIC_TOKENS, .max = 1000, .span_us = MINUTE, .key = "tpm"};
static const struct limit three_calls = {.metric = METRIC_CONCURRENT, .max = 3, .key = "concurrent"};

static void hold(struct gate *g, struct budget *b, struct ticket *t, int64_t tokens, int64_t now_us)
{
    const struct estimate e = {.input = tokens, .choices = 1, .exact = true};
    struct cost c = profile_reserve(PROFILE_OPENAI, &e);
    struct gate_refusal why;

    ticket_init(t, &c, &b, 1, now_us, CLOCK_NEVER);
    assert_int_equal(gate_offer(g, t, now_us, &why), GATE_HELD);
}

static void assert_goes(struct gate *g, struct ticket *t, int64_t now_us)
{
    assert_ptr_equal(gate_next(g, now_us), t);
    gate_sent(g, t, now_us);
}

static void finish(struct gate *g, struct ticket *t, int64_t now_us)
{
    gate_close(g, t, now_us, NULL);
    assert_int_equal(t->state, TICKET_IDLE);
}

static void test_gate__span_that_changes__keeps_what_is_still_inside_it(void **state)
{
    struct limit half = tpm, twice = tpm;
    struct gate *g = gate_new();
    struct budget *b = gate_budget_new(g, "model", 0, &tpm, 1);
    struct ticket old, young, waiting;

    (void)state;
    half.span_us = MINUTE / 2;
    twice.span_us = 2 * MINUTE;
    hold(g, b, &old, 500, T0);
    assert_goes(g, &old, T0);
    hold(g, b, &young, 400, T0 + 20 * CLOCK_S);
    assert_goes(g, &young, T0 + 20 * CLOCK_S);
    finish(g, &old, T0 + 21 * CLOCK_S);
    hold(g, b, &waiting, 600, T0 + 31 * CLOCK_S);
    assert_null(gate_next(g, T0 + 31 * CLOCK_S));
    assert_int_equal(gate_wakeup(g), T0 + MINUTE);

    gate_budget_update(g, b, 0, &twice, 1);
    assert_null(gate_next(g, T0 + 31 * CLOCK_S));
    assert_int_equal(gate_wakeup(g), T0 + 2 * MINUTE);

    gate_budget_update(g, b, 0, &half, 1); /* the old one has left a window of 30 s: 400 + 600 fit */
    assert_goes(g, &waiting, T0 + 31 * CLOCK_S);
    assert_int_equal(budget_figures(b, &b->limits[0]).reserved, 1000);
    finish(g, &young, T0 + 32 * CLOCK_S);
    finish(g, &waiting, T0 + 32 * CLOCK_S);
    assert_int_equal(budget_figures(b, &b->limits[0]).used, 1000);
    budget_advance(b, T0 + 50 * CLOCK_S);
    assert_int_equal(budget_figures(b, &b->limits[0]).used, 600);
    gate_free(g);
}

static void test_gate__spans_that_change_places__keep_each_its_own_history(void **state)
{
    const struct limit before[] = {{METRIC_TOKENS, 1000, MINUTE, false, "tpm"},
                                   {METRIC_TOKENS, 9000, MINUTE * 60, false, "tpd"}},
                       after[] = {{METRIC_TOKENS, 1000, MINUTE * 60, false, "tpm"},
                                  {METRIC_TOKENS, 9000, MINUTE * 90, false, "tpd"}};
    struct gate *g = gate_new();
    struct budget *b = gate_budget_new(g, "model", 0, before, 2);
    struct ticket t;

    (void)state;
    hold(g, b, &t, 500, T0);
    assert_goes(g, &t, T0);
    finish(g, &t, T0);
    gate_budget_update(g, b, 0, after, 2);
    budget_advance(b, T0 + 2 * MINUTE);
    assert_int_equal(budget_figures(b, &b->limits[0]).used, 500); /* the hour's window goes on, by its span */
    assert_int_equal(budget_figures(b, &b->limits[1]).used, 0);   /* of the minute's nothing is left */
    gate_free(g);
}

static void test_gate__headroom_that_changes__takes_effect_at_once(void **state)
{
    struct gate *g = gate_new();
    struct budget *b = gate_budget_new(g, "model", 200, &tpm, 1);
    struct ticket first, second;

    (void)state;
    hold(g, b, &first, 500, T0);
    assert_goes(g, &first, T0);
    hold(g, b, &second, 400, T0);
    assert_null(gate_next(g, T0));
    gate_budget_update(g, b, 0, &tpm, 1);
    assert_int_equal(gate_wakeup(g), 0);
    assert_goes(g, &second, T0);
    finish(g, &first, T0);
    finish(g, &second, T0);
    gate_free(g);
}

static void test_gate__limits_that_come_and_go__hold_and_release_at_once(void **state)
{
    const struct limit both[] = {tpm, {METRIC_REQUESTS, 2, MINUTE, false, "rpm"}};
    struct gate *g = gate_new();
    struct budget *b = gate_budget_new(g, "model", 0, &tpm, 1);
    struct ticket t[4];

    (void)state;
    for (size_t i = 0; i < 4; i++)
        hold(g, b, &t[i], 400, T0);
    assert_goes(g, &t[0], T0);
    gate_budget_update(g, b, 0, both, 2);
    assert_goes(g, &t[1], T0); /* the new one starts empty */
    assert_null(gate_next(g, T0));
    gate_budget_update(g, b, 0, both, 0);
    assert_goes(g, &t[2], T0);
    assert_goes(g, &t[3], T0);
    for (size_t i = 0; i < 4; i++)
        finish(g, &t[i], T0);
    assert_int_equal(b->in_flight, 0);
    gate_free(g);
}

static void
test_gate__cap_on_calls_in_flight__lowered_below_what_flies_lets_nobody_go_until_it_fits(void **state)
{
    struct limit one = three_calls, four = three_calls;
    struct gate *g = gate_new();
    struct budget *b = gate_budget_new(g, "model", 0, &three_calls, 1);
    struct ticket t[6];

    (void)state;
    one.max = 1;
    four.max = 4;
    for (size_t i = 0; i < 6; i++)
        hold(g, b, &t[i], 1, T0);
    for (size_t i = 0; i < 3; i++)
        assert_goes(g, &t[i], T0);
    gate_budget_update(g, b, 0, &one, 1);
    finish(g, &t[0], T0);
    finish(g, &t[1], T0);
    assert_null(gate_next(g, T0));
    finish(g, &t[2], T0);
    assert_goes(g, &t[3], T0);
    assert_null(gate_next(g, T0));
    gate_budget_update(g, b, 0, &four, 1);
    assert_goes(g, &t[4], T0);
    assert_goes(g, &t[5], T0);
    for (size_t i = 3; i < 6; i++)
        finish(g, &t[i], T0);
    gate_free(g);
}

static void test_gate__smooth__new_distance_counts_from_the_last_request_on(void **state)
{
    const struct limit slow = {METRIC_REQUESTS, 1, MINUTE, true, "rpm"},
                       fast = {METRIC_REQUESTS, 60, MINUTE, true, "rpm"};
    struct gate *g = gate_new();
    struct budget *b = gate_budget_new(g, "model", 0, &slow, 1);
    struct ticket first, second;

    (void)state;
    hold(g, b, &first, 1, T0);
    assert_goes(g, &first, T0);
    finish(g, &first, T0);
    hold(g, b, &second, 1, T0);
    assert_null(gate_next(g, T0));
    assert_int_equal(gate_wakeup(g), T0 + MINUTE);
    gate_budget_update(g, b, 0, &fast, 1);
    assert_null(gate_next(g, T0));
    assert_int_equal(gate_wakeup(g), T0 + CLOCK_S);
    assert_goes(g, &second, T0 + CLOCK_S);
    finish(g, &second, T0 + CLOCK_S);
    gate_free(g);
}

/* The prediction of an arrival comes from the loads in the queue, which the limits cut. */
static void test_gate__deadline__is_judged_by_the_new_limits(void **state)
{
    struct limit large = tpm;
    struct gate *g = gate_new();
    struct budget *b;
    struct ticket first, head, late;
    const struct estimate e = {.input = 1000, .choices = 1, .exact = false};
    struct cost c = profile_reserve(PROFILE_OPENAI, &e);
    struct gate_refusal why;

    (void)state;
    large.max = 100000;
    b = gate_budget_new(g, "model", 0, &large, 1);
    hold(g, b, &first, 100000, T0);
    assert_goes(g, &first, T0);
    hold(g, b, &head, 50000, T0);
    gate_budget_update(g, b, 0, &tpm, 1); /* the head now runs alone: it takes one span, not fifty */
    ticket_init(&late, &c, &b, 1, T0, T0 + 3 * MINUTE);
    assert_int_equal(gate_offer(g, &late, T0, &why), GATE_HELD);
    gate_cancel(g, &late, T0);
    gate_cancel(g, &head, T0);
    finish(g, &first, T0);
    gate_free(g);
}

static void test_gate__call_that_is_moved__stands_by_its_arrival_in_the_new_queue(void **state)
{
    struct gate *g = gate_new();
    struct budget *from = gate_budget_new(g, "from", 0, &tpm, 1), *to = gate_budget_new(g, "to", 0, &tpm, 1);
    struct ticket full[2], old, middle, young;

    (void)state;
    hold(g, from, &full[0], 1000, T0);
    hold(g, to, &full[1], 1000, T0);
    assert_goes(g, &full[0], T0);
    assert_goes(g, &full[1], T0);
    hold(g, to, &old, 1000, T0);
    hold(g, from, &middle, 1000, T0);
    hold(g, to, &young, 1000, T0);
    assert_null(gate_next(g, T0));
    gate_move(g, &middle, &to, 1);
    assert_int_equal(from->line.n, 0);
    assert_int_equal(to->line.n, 3);
    assert_null(gate_next(g, T0));
    finish(g, &full[0], T0);
    finish(g, &full[1], T0);
    assert_goes(g, &old, T0 + MINUTE);
    assert_null(gate_next(g, T0 + MINUTE));
    finish(g, &old, T0 + MINUTE);
    assert_goes(g, &middle, T0 + 2 * MINUTE);
    finish(g, &middle, T0 + 2 * MINUTE);
    assert_null(gate_next(g, T0 + 2 * MINUTE));
    gate_cancel(g, &young, T0 + 2 * MINUTE);
    gate_free(g);
}

static void test_gate__budget__may_be_forgotten_when_it_remembers_nothing(void **state)
{
    struct gate *g = gate_new();
    struct budget *b = gate_budget_new(g, "model", 0, &tpm, 1);
    struct ticket t;

    (void)state;
    assert_true(budget_is_forgettable(b, T0));
    hold(g, b, &t, 10, T0);
    assert_false(budget_is_forgettable(b, T0));
    assert_goes(g, &t, T0);
    assert_false(budget_is_forgettable(b, T0)); /* in flight */
    finish(g, &t, T0 + MINUTE / 2);
    assert_false(budget_is_forgettable(b, T0 + MINUTE - 1));
    assert_true(budget_is_forgettable(b, T0 + MINUTE));
    gate_pause(g, b, T0 + 3 * MINUTE);
    assert_false(budget_is_forgettable(b, T0 + MINUTE));
    gate_budget_free(g, b);
    assert_true(list_empty(gate_budgets(g)));
    gate_free(g);
}

static void test_gate__stopped__nothing_goes_and_nobody_knows_when(void **state)
{
    struct gate *g = gate_new();
    struct budget *b = gate_budget_new(g, "model", 0, &tpm, 1);
    struct ticket t;

    (void)state;
    gate_stop(g);
    hold(g, b, &t, 10, T0);
    assert_null(gate_next(g, T0));
    assert_int_equal(gate_wakeup(g), CLOCK_NEVER);
    assert_int_equal(gate_next_dispatch_us(g, b, T0), CLOCK_NEVER);
    gate_resume(g);
    assert_int_equal(gate_wakeup(g), 0);
    assert_int_equal(gate_next_dispatch_us(g, b, T0), T0);
    assert_goes(g, &t, T0);
    finish(g, &t, T0);
    gate_free(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gate__span_that_changes__keeps_what_is_still_inside_it),
        cmocka_unit_test(test_gate__spans_that_change_places__keep_each_its_own_history),
        cmocka_unit_test(test_gate__headroom_that_changes__takes_effect_at_once),
        cmocka_unit_test(test_gate__limits_that_come_and_go__hold_and_release_at_once),
        cmocka_unit_test(
            test_gate__cap_on_calls_in_flight__lowered_below_what_flies_lets_nobody_go_until_it_fits),
        cmocka_unit_test(test_gate__smooth__new_distance_counts_from_the_last_request_on),
        cmocka_unit_test(test_gate__deadline__is_judged_by_the_new_limits),
        cmocka_unit_test(test_gate__call_that_is_moved__stands_by_its_arrival_in_the_new_queue),
        cmocka_unit_test(test_gate__budget__may_be_forgotten_when_it_remembers_nothing),
        cmocka_unit_test(test_gate__stopped__nothing_goes_and_nobody_knows_when),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
