/* gate_probe: only one goes, at its moment; the others stay where they are, and all go when it is over. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "metergate/base/clock.h"
#include "metergate/base/err.h"
#include "metergate/gate/gate.h"

#define T0       (100 * CLOCK_S)
#define PATIENCE (15 * CLOCK_S)
#define HOUR     (3600 * CLOCK_S)

/* Two models at one upstream, and two calls for each; a1 came first, then b1, a2, b2. */
struct scene {
    struct gate *gate;
    struct budget *upstream, *a, *b;
    struct ticket a1, b1, a2, b2;
};

static struct cost one_request(void)
{
    const struct estimate e = {.input = 10, .choices = 1};

    return profile_reserve(PROFILE_OPENAI, &e);
}

static enum gate_verdict offer(struct scene *s, struct ticket *t, struct budget *model, int64_t now_us, int64_t max_wait_us,
                               struct gate_refusal *ret_why)
{
    struct cost cost = one_request();

    ticket_init(t, &cost, (struct budget *const[]){model, s->upstream}, 2, now_us, now_us + max_wait_us);
    return gate_offer(s->gate, t, now_us, ret_why);
}

static void hold(struct scene *s, struct ticket *t, struct budget *model)
{
    struct gate_refusal why;

    assert_int_equal(offer(s, t, model, T0, HOUR, &why), GATE_HELD);
}

static void set(struct scene *s)
{
    *s = (struct scene){.gate = gate_new()};
    s->upstream = gate_budget_new(s->gate, "upstream", 0, NULL, 0);
    s->a = gate_budget_new(s->gate, "a", 0, NULL, 0);
    s->b = gate_budget_new(s->gate, "b", 0, NULL, 0);
}

static void release(struct scene *s)
{
    struct ticket *const all[] = {&s->a1, &s->b1, &s->a2, &s->b2};

    for (size_t i = 0; i < MG_ARRAY_LEN(all); i++) {
        if (all[i]->state == TICKET_HELD)
            gate_cancel(s->gate, all[i], T0);
        if (all[i]->state == TICKET_DISPATCHED)
            gate_close(s->gate, all[i], T0, NULL);
    }
    gate_free(s->gate);
}

static void hold_all(struct scene *s)
{
    hold(s, &s->a1, s->a);
    hold(s, &s->b1, s->b);
    hold(s, &s->a2, s->a);
    hold(s, &s->b2, s->b);
}

static void test_probe__of_the_upstream__one_call_of_all_models_goes_at_its_moment(void **state)
{
    int64_t at = T0 + CLOCK_S;
    struct scene s;

    (void)state;
    set(&s);
    gate_probe(s.gate, s.upstream, at, PATIENCE);
    hold_all(&s);
    assert_null(gate_next(s.gate, T0));
    assert_int_equal(gate_wakeup(s.gate), at);
    assert_null(gate_next(s.gate, at - 1));
    assert_ptr_equal(gate_next(s.gate, at), &s.a1); /* the oldest */
    assert_null(gate_next(s.gate, at));
    assert_int_equal(gate_wakeup(s.gate), at + PATIENCE);
    release(&s);
}

static void test_probe__that_nobody_tells_of__is_followed_by_another(void **state)
{
    struct scene s;

    (void)state;
    set(&s);
    gate_probe(s.gate, s.upstream, T0, PATIENCE);
    hold_all(&s);
    assert_ptr_equal(gate_next(s.gate, T0), &s.a1);
    gate_sent(s.gate, &s.a1, T0 + 1);
    assert_null(gate_next(s.gate, T0 + PATIENCE - 1));
    assert_ptr_equal(gate_next(s.gate, T0 + PATIENCE), &s.b1);
    assert_null(gate_next(s.gate, T0 + PATIENCE));
    release(&s);
}

static void test_probe__that_failed__goes_back_to_the_front_and_is_the_next(void **state)
{
    struct cost refused = profile_refused(PROFILE_OPENAI);
    struct scene s;

    (void)state;
    set(&s);
    gate_probe(s.gate, s.upstream, T0, PATIENCE);
    hold_all(&s);
    assert_ptr_equal(gate_next(s.gate, T0), &s.a1);
    gate_probe(s.gate, s.upstream, T0 + 2 * CLOCK_S, PATIENCE);
    gate_requeue(s.gate, &s.a1, T0 + 1, &refused);
    assert_null(gate_next(s.gate, T0 + 1));
    assert_int_equal(gate_wakeup(s.gate), T0 + 2 * CLOCK_S);
    assert_ptr_equal(gate_next(s.gate, T0 + 2 * CLOCK_S), &s.a1);
    release(&s);
}

static void test_probe_end__all_go_at_once_in_their_order(void **state)
{
    struct scene s;

    (void)state;
    set(&s);
    gate_probe(s.gate, s.upstream, T0, PATIENCE);
    hold_all(&s);
    assert_ptr_equal(gate_next(s.gate, T0), &s.a1);
    assert_null(gate_next(s.gate, T0));
    gate_probe_end(s.gate, s.upstream);
    assert_int_equal(gate_wakeup(s.gate), 0);
    assert_ptr_equal(gate_next(s.gate, T0 + 1), &s.b1);
    assert_ptr_equal(gate_next(s.gate, T0 + 1), &s.a2);
    assert_ptr_equal(gate_next(s.gate, T0 + 1), &s.b2);
    release(&s);
}

static void test_probe__of_one_model__leaves_the_other_alone(void **state)
{
    struct scene s;

    (void)state;
    set(&s);
    gate_probe(s.gate, s.a, T0 + CLOCK_S, PATIENCE);
    hold_all(&s);
    assert_ptr_equal(gate_next(s.gate, T0), &s.b1);
    assert_ptr_equal(gate_next(s.gate, T0), &s.b2);
    assert_null(gate_next(s.gate, T0));
    assert_ptr_equal(gate_next(s.gate, T0 + CLOCK_S), &s.a1);
    assert_null(gate_next(s.gate, T0 + CLOCK_S));
    release(&s);
}

static void test_pause__longer_than_the_probes_wait__counts(void **state)
{
    struct scene s;

    (void)state;
    set(&s);
    gate_probe(s.gate, s.a, T0 + CLOCK_S, PATIENCE);
    gate_pause(s.gate, s.a, T0 + 5 * CLOCK_S);
    hold(&s, &s.a1, s.a);
    hold(&s, &s.a2, s.a);
    assert_null(gate_next(s.gate, T0 + 4 * CLOCK_S));
    assert_int_equal(gate_wakeup(s.gate), T0 + 5 * CLOCK_S);
    assert_ptr_equal(gate_next(s.gate, T0 + 5 * CLOCK_S), &s.a1);
    assert_null(gate_next(s.gate, T0 + 5 * CLOCK_S));
    release(&s);
}

/*
 * Calls whose deadline is before the next probe are told; while a probe is out it may be answered at any
 * moment, and nobody is refused for it.
 */
static void test_prediction__waits_for_the_probe_but_not_for_its_answer(void **state)
{
    struct gate_refusal why;
    struct scene s;

    (void)state;
    set(&s);
    gate_probe(s.gate, s.upstream, T0 + 20 * CLOCK_S, PATIENCE);
    assert_int_equal(offer(&s, &s.b1, s.b, T0, 19 * CLOCK_S, &why), GATE_MAX_WAIT);
    assert_int_equal(why.wait_us, 20 * CLOCK_S);
    hold(&s, &s.a1, s.a);
    hold(&s, &s.a2, s.a);
    assert_int_equal(gate_predict(s.gate, &s.a2, T0).start_us, T0 + 20 * CLOCK_S);
    assert_ptr_equal(gate_next(s.gate, T0 + 20 * CLOCK_S), &s.a1);
    assert_int_equal(offer(&s, &s.b1, s.b, T0 + 20 * CLOCK_S, CLOCK_S, &why), GATE_HELD);
    release(&s);
}

/*
 * The head waits for a limit of its own: a small one goes as the probe, so that recovery does not wait for
 * the head.
 */
static void test_probe__while_the_head_waits_for_tokens__a_small_call_is_it(void **state)
{
    static const struct limit tpm = {.metric = METRIC_TOKENS, .max = 100, .span_us = 60 * CLOCK_S, .key = "tpm"};
    const struct estimate sizes[] = {{.input = 80, .choices = 1}, {.input = 90, .choices = 1}, {.input = 5, .choices = 1}};
    struct ticket *tickets[3];
    struct gate_refusal why;
    struct scene s;

    (void)state;
    set(&s);
    s.a = gate_budget_new(s.gate, "tight", 0, &tpm, 1);
    tickets[0] = &s.a1;
    tickets[1] = &s.a2;
    tickets[2] = &s.b1;
    for (size_t i = 0; i < MG_ARRAY_LEN(tickets); i++) {
        struct cost cost = profile_reserve(PROFILE_OPENAI, &sizes[i]);

        ticket_init(tickets[i], &cost, (struct budget *const[]){s.a, s.upstream}, 2, T0, T0 + HOUR);
        assert_int_equal(gate_offer(s.gate, tickets[i], T0, &why), GATE_HELD);
        if (i > 0)
            continue;
        assert_ptr_equal(gate_next(s.gate, T0), &s.a1);
        gate_sent(s.gate, &s.a1, T0);
        gate_close(s.gate, &s.a1, T0, NULL);
        gate_probe(s.gate, s.upstream, T0 + CLOCK_S, PATIENCE);
    }
    assert_null(gate_next(s.gate, T0));
    assert_int_equal(gate_wakeup(s.gate), T0 + CLOCK_S);
    assert_ptr_equal(gate_next(s.gate, T0 + CLOCK_S), &s.b1);
    release(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_probe__of_the_upstream__one_call_of_all_models_goes_at_its_moment),
        cmocka_unit_test(test_probe__that_nobody_tells_of__is_followed_by_another),
        cmocka_unit_test(test_probe__that_failed__goes_back_to_the_front_and_is_the_next),
        cmocka_unit_test(test_probe_end__all_go_at_once_in_their_order),
        cmocka_unit_test(test_probe__of_one_model__leaves_the_other_alone),
        cmocka_unit_test(test_pause__longer_than_the_probes_wait__counts),
        cmocka_unit_test(test_prediction__waits_for_the_probe_but_not_for_its_answer),
        cmocka_unit_test(test_probe__while_the_head_waits_for_tokens__a_small_call_is_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
