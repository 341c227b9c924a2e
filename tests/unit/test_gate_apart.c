/* gate: calls that also take from a budget of their client, beside calls that do not. */
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
static const struct limit one_call = {.metric = METRIC_CONCURRENT, .max = 1, .key = "concurrent"};
/* Holds a call of that budget, and, unless it is NULL, of that client's. */
static void hold(struct gate *g, struct budget *b, struct budget *client, struct ticket *t, int64_t tokens,
                 int64_t now_us)
{
    const struct estimate e = {.input = tokens, .choices = 1, .exact = true};
    struct cost c = profile_reserve(PROFILE_OPENAI, &e);
    struct budget *of[] = {b, client};
    struct gate_refusal why;

    ticket_init(t, &c, of, client ? 2 : 1, now_us, CLOCK_NEVER);
    ticket_belongs(t, client, 1, TICKET_NORMAL);
    assert_int_equal(gate_offer(g, t, now_us, &why), GATE_HELD);
}

static void assert_goes(struct gate *g, struct ticket *t, int64_t now_us)
{
    assert_ptr_equal(gate_next(g, now_us), t);
    gate_sent(g, t, now_us);
}

/* The queue remembers that somebody else's call was there, which took from nothing of the client's. */
static void test_gate__place_of_a_client_that_frees__wakes_its_call_in_another_queue(void **state)
{
    struct gate *g = gate_new();
    struct budget *m = gate_budget_new(g, "m", 0, &tpm, 1), *n = gate_budget_new(g, "n", 0, &tpm, 1),
                  *client = gate_budget_new(g, "client", 0, &one_call, 1);
    struct ticket flying, waits, other;

    (void)state;
    hold(g, n, client, &flying, 10, T0);
    assert_goes(g, &flying, T0);
    gate_stop(g); /* so that the other one is still there */
    hold(g, m, NULL, &other, 10, T0);
    hold(g, m, client, &waits, 10, T0);
    gate_resume(g);
    assert_goes(g, &other, T0);
    assert_null(gate_next(g, T0));
    gate_close(g, &flying, T0 + CLOCK_S, NULL);
    assert_goes(g, &waits, T0 + CLOCK_S);
    gate_close(g, &other, T0 + CLOCK_S, NULL);
    gate_close(g, &waits, T0 + CLOCK_S, NULL);
    gate_free(g);
}

/* The head of m waits for the client's window; the call of n came after it and would take from that, too. It
 * was found when the head had to wait, and nobody asked for a while. */
static void test_gate__nobody_asks_until_a_barring_head_can_go__goes_on(void **state)
{
    struct gate *g = gate_new();
    struct budget *m = gate_budget_new(g, "m", 0, NULL, 0), *n = gate_budget_new(g, "n", 0, NULL, 0),
                  *o = gate_budget_new(g, "o", 0, NULL, 0),
                  *client = gate_budget_new(g, "client", 0, &tpm, 1);
    struct ticket used, head, free_one, later, small;

    (void)state;
    hold(g, o, client, &used, 600, T0);
    assert_goes(g, &used, T0);
    gate_close(g, &used, T0, NULL);
    hold(g, o, NULL, &free_one, 1, T0);
    hold(g, m, client, &head, 800, T0);
    hold(g, n, client, &later, 300, T0);
    hold(g, m, client, &small, 10, T0);
    assert_goes(g, &free_one, T0);
    assert_goes(g, &head, T0 + 2 * MINUTE);
    assert_goes(g, &small, T0 + 2 * MINUTE);
    assert_null(gate_next(g, T0 + 2 * MINUTE));
    gate_close(g, &free_one, T0 + 2 * MINUTE, NULL);
    gate_close(g, &head, T0 + 2 * MINUTE, NULL);
    gate_close(g, &small, T0 + 2 * MINUTE, NULL);
    gate_cancel(g, &later, T0 + 2 * MINUTE);
    gate_free(g);
}

/* Its own cap holds it back for as long as its other call takes. */
static void test_gate__head_that_waits_for_its_client_alone__keeps_no_room(void **state)
{
    struct gate *g = gate_new();
    struct budget *m = gate_budget_new(g, "m", 0, &tpm, 1),
                  *client = gate_budget_new(g, "client", 0, &one_call, 1);
    struct ticket flying, head, other;

    (void)state;
    hold(g, m, client, &flying, 10, T0);
    assert_goes(g, &flying, T0);
    hold(g, m, client, &head, 600, T0);
    hold(g, m, NULL, &other, 700, T0);
    assert_goes(g, &other, T0);
    gate_close(g, &other, T0, NULL);
    gate_close(g, &flying, T0, NULL);
    gate_cancel(g, &head, T0);
    gate_free(g);
}

/* Else they would take the room that it gathers, each time. */
static void test_gate__head_that_waits_for_its_client_alone__is_not_passed_by_it(void **state)
{
    const struct estimate slow = {.input = 1, .expected_output = 499, .choices = 1};
    struct gate *g = gate_new();
    struct budget *m = gate_budget_new(g, "m", 0, NULL, 0), /* nothing but the client's own binds */
        *client = gate_budget_new(g, "client", 0, &tpm, 1), *of[] = {m, client};
    struct cost c = profile_reserve(PROFILE_ACTUAL, &slow);
    struct ticket flying, other, head, small;
    struct gate_refusal why;

    (void)state;
    ticket_init(&flying, &c, of, 2, T0, CLOCK_NEVER);
    ticket_belongs(&flying, client, 1, TICKET_NORMAL);
    assert_int_equal(gate_offer(g, &flying, T0, &why), GATE_HELD);
    assert_goes(g, &flying, T0);
    gate_stop(g); /* so that the other one is still there */
    hold(g, m, client, &head, 600, T0);
    hold(g, m, client, &small, 10, T0);
    hold(g, m, NULL, &other, 10, T0);
    gate_resume(g);
    assert_goes(g, &other, T0);
    assert_null(gate_next(g, T0 + CLOCK_S));
    gate_close(g, &other, T0, NULL);
    gate_cancel(g, &small, T0);
    gate_cancel(g, &head, T0);
    gate_close(g, &flying, T0, NULL);
    gate_free(g);
}

static const struct limit one_a_day = {
    .metric = METRIC_REQUESTS, .max = 1, .span_us = 1440 * MINUTE, .key = "rpd"};

/* A client that has used up its day is no reason for small calls to pass a big one for ever. */
static void test_gate__head_that_waits_for_its_client_alone__another_gets_the_promise(void **state)
{
    struct gate *g = gate_new();
    struct budget *m = gate_budget_new(g, "m", 0, &tpm, 1),
                  *client = gate_budget_new(g, "client", 0, &one_a_day, 1);
    const struct estimate large = {.input = 900, .choices = 1};
    const struct cost c = profile_reserve(PROFILE_OPENAI, &large);
    struct ticket flying, head, big, small[40] = {0};
    struct gate_refusal why;
    bool went = false;

    (void)state;
    ticket_init(&big, &c, &m, 1, T0, CLOCK_NEVER);
    ticket_belongs(&big, &big, 1, TICKET_NORMAL);
    hold(g, m, client, &flying, 10, T0);
    assert_goes(g, &flying, T0);
    gate_close(g, &flying, T0, NULL);
    hold(g, m, client, &head, 10, T0);
    for (int i = 0; i < 40 && !went; i++) {
        struct ticket *t;
        int64_t now = T0 + 6 * CLOCK_S * i;

        hold(g, m, NULL, &small[i], 200, now);
        if (i == 6)
            assert_int_equal(gate_offer(g, &big, now, &why), GATE_HELD);
        while ((t = gate_next(g, now)) != NULL) {
            went |= t == &big;
            gate_sent(g, t, now);
            gate_close(g, t, now, NULL);
        }
    }
    assert_true(went);
    gate_cancel(g, &head, T0);
    for (int i = 0; i < 40; i++) {
        if (small[i].state == TICKET_HELD)
            gate_cancel(g, &small[i], T0);
    }
    gate_free(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gate__head_that_waits_for_its_client_alone__another_gets_the_promise),
        cmocka_unit_test(test_gate__place_of_a_client_that_frees__wakes_its_call_in_another_queue),
        cmocka_unit_test(test_gate__nobody_asks_until_a_barring_head_can_go__goes_on),
        cmocka_unit_test(test_gate__head_that_waits_for_its_client_alone__keeps_no_room),
        cmocka_unit_test(test_gate__head_that_waits_for_its_client_alone__is_not_passed_by_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
