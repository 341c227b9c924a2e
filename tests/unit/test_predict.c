/* predict: the estimate where it can be worked out by hand. How good it is over random traffic, tests/sim
 * prints. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "metergate/base/clock.h"
#include "metergate/gate/gate.h"

#define MINUTE (60 * CLOCK_S)
#define T0     (100 * CLOCK_S)

enum { CALLS = 16 };

/* A budget whose window was filled with `used` tokens at T0, and a queue. */
struct scene {
    struct gate *gate;
    struct budget *b;
    struct ticket first, queue[CALLS];
    int n;
};

static void ticket(struct scene *s, struct ticket *t, int64_t input)
{
    const struct estimate e = {.input = input, .choices = 1};
    struct cost c = profile_reserve(PROFILE_OPENAI, &e);

    ticket_init(t, &c, &s->b, 1, T0, CLOCK_NEVER);
}

static void set(struct scene *s, int headroom_permille, const struct limit *limits, size_t n, int64_t used)
{
    struct gate_refusal why;

    *s = (struct scene){.gate = gate_new()};
    s->b = gate_budget_new(s->gate, "model", headroom_permille, limits, n);
    ticket(s, &s->first, used);
    assert_int_equal(gate_offer(s->gate, &s->first, T0, &why), GATE_HELD);
    assert_ptr_equal(gate_next(s->gate, T0), &s->first);
    gate_sent(s->gate, &s->first, T0);
    gate_close(s->gate, &s->first, T0, &s->first.cost);
}

static void queue(struct scene *s, int64_t input)
{
    struct ticket *t = &s->queue[s->n++];
    struct gate_refusal why;

    ticket(s, t, input);
    assert_int_equal(gate_offer(s->gate, t, T0, &why), GATE_HELD);
}

/* Of a call that would come now. */
static struct prediction outlook(struct scene *s, int64_t input)
{
    struct ticket t;

    ticket(s, &t, input);
    ticket_advance(&t, T0);
    return predict_arrival(&t, T0);
}

static void clear(struct scene *s)
{
    for (int i = 0; i < s->n; i++)
        gate_cancel(s->gate, &s->queue[i], T0);
    gate_free(s->gate);
}

static const struct limit tpm = {.metric = METRIC_TOKENS, .max = 1000, .span_us = MINUTE, .key = "tpm"};

static void test_predict__nobody_ahead__is_exact(void **state)
{
    struct scene s;

    (void)state;
    set(&s, 0, &tpm, 1, 600);
    assert_int_equal(outlook(&s, 400).start_us, T0);
    assert_int_equal(outlook(&s, 401).start_us, T0 + MINUTE);
    assert_int_equal(outlook(&s, 401).soonest_us, T0 + MINUTE);
    assert_int_equal(outlook(&s, 9000).start_us, T0 + MINUTE);
    gate_pause(s.gate, s.b, T0 + 2 * MINUTE);
    assert_int_equal(outlook(&s, 1).start_us, T0 + 2 * MINUTE);
    clear(&s);
}

static void test_predict__tokens_ahead__flow_one_limit_a_span(void **state)
{
    struct scene s;

    (void)state;
    set(&s, 0, &tpm, 1, 1000);
    for (int i = 0; i < 5; i++)
        queue(&s, 500);
    assert_int_equal(outlook(&s, 500).start_us, T0 + 3 * MINUTE); /* the sixth half */
    assert_int_equal(outlook(&s, 501).start_us, T0 + 4 * MINUTE);
    assert_int_equal(outlook(&s, 500).soonest_us, T0 + 2 * MINUTE);
    assert_true(outlook(&s, 500).slack_us < CLOCK_NEVER);
    clear(&s);
}

static void test_predict__calls_that_run_alone__take_a_span_each_whatever_their_size(void **state)
{
    struct scene s;

    (void)state;
    set(&s, 900, &tpm, 1, 1000);
    for (int i = 0; i < 4; i++)
        queue(&s, 950);
    assert_int_equal(outlook(&s, 100).start_us, T0 + 5 * MINUTE);
    clear(&s);
}

static void test_predict__requests_kept_apart__come_one_after_the_other(void **state)
{
    const struct limit rpm = {
        .metric = METRIC_REQUESTS, .max = 60, .span_us = MINUTE, .smooth = true, .key = "rpm"};
    struct scene s;

    (void)state;
    set(&s, 0, &rpm, 1, 1);
    for (int i = 0; i < 5; i++)
        queue(&s, 1);
    assert_int_equal(outlook(&s, 1).start_us, T0 + 6 * CLOCK_S);
    clear(&s);
}

static void test_predict__what_a_call_in_flight_decides__has_no_bound(void **state)
{
    const struct limit limits[] = {tpm, {.metric = METRIC_CONCURRENT, .max = 2, .key = "concurrent"}};
    struct scene s;

    (void)state;
    set(&s, 0, limits, 2, 1000);
    assert_true(outlook(&s, 1).slack_us < CLOCK_NEVER);
    queue(&s, 1);
    queue(&s, 1);
    assert_int_equal(outlook(&s, 1).slack_us, CLOCK_NEVER);
    clear(&s);
}

static void test_predict__absurd_numbers__wait_for_ever_and_never_overflow(void **state)
{
    const struct limit narrow = {
        .metric = METRIC_TOKENS, .max = 1, .span_us = INT64_C(30) * BUDGET_DAY_US, .key = "x"};
    struct scene s;

    (void)state;
    set(&s, 0, &narrow, 1, 1);
    for (int i = 0; i < CALLS; i++)
        queue(&s, INT64_MAX);
    assert_int_equal(outlook(&s, INT64_MAX).start_us, T0 + (CALLS + 1) * narrow.span_us);
    assert_true(outlook(&s, INT64_MAX).slack_us <= CLOCK_NEVER);
    clear(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_predict__nobody_ahead__is_exact),
        cmocka_unit_test(test_predict__tokens_ahead__flow_one_limit_a_span),
        cmocka_unit_test(test_predict__calls_that_run_alone__take_a_span_each_whatever_their_size),
        cmocka_unit_test(test_predict__requests_kept_apart__come_one_after_the_other),
        cmocka_unit_test(test_predict__what_a_call_in_flight_decides__has_no_bound),
        cmocka_unit_test(test_predict__absurd_numbers__wait_for_ever_and_never_overflow),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
