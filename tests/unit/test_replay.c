/* replay: what it foretells, against what then happens. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "metergate/base/clock.h"
#include "metergate/base/err.h"
#include "metergate/gate/gate.h"
#include "metergate/gate/replay.h"

#define MINUTE (60 * CLOCK_S)
#define T0     (1000 * CLOCK_S)

enum { QUEUES = 3, CALLS = 60 };

struct stage {
    uint64_t random;
    int64_t now_us;
    struct gate *gate;
    struct budget *queues[QUEUES], *shared;
    struct ticket tickets[CALLS];
    int64_t foretold_us[CALLS], started_us[CALLS];
};

static int64_t between(struct stage *s, int64_t low, int64_t high)
{
    s->random ^= s->random << 13;
    s->random ^= s->random >> 7;
    s->random ^= s->random << 17;
    return low + (int64_t)(s->random % (uint64_t)(high - low + 1));
}

static void raise_stage(struct stage *s, uint64_t seed)
{
    *s = (struct stage){.random = seed * 7919 + 1, .now_us = T0, .gate = gate_new()};
    for (int q = 0; q < QUEUES; q++) {
        const struct limit limits[] = {
            {METRIC_TOKENS, between(s, 500, 3000), MINUTE, false, "tpm"},
            {METRIC_REQUESTS, between(s, 2, 20), 10 * CLOCK_S, between(s, 0, 3) == 0, "rpm"},
            {METRIC_INPUT, between(s, 3000, 9000), 10 * MINUTE, false, "itpm"},
        };

        s->queues[q] =
            gate_budget_new(s->gate, "model", (int)between(s, 0, 3) * 100, limits, (size_t)between(s, 1, 3));
    }
    s->shared = gate_budget_new(s->gate, "upstream", 0,
                                &(struct limit){METRIC_TOKENS, between(s, 2000, 5000), MINUTE, false, "tpm"},
                                (size_t)between(s, 0, 1));
    if (between(s, 0, 3) == 0)
        gate_pause(s->gate, s->queues[0], s->now_us + between(s, 1, 90) * CLOCK_S);
}

/* Everyone who can go goes, and is over at once; what each took is what was reserved. */
static void turn(struct stage *s)
{
    struct ticket *t;

    while ((t = gate_next(s->gate, s->now_us)) != NULL) {
        s->started_us[t - s->tickets] = s->now_us;
        gate_close(s->gate, t, s->now_us, NULL);
    }
}

static void arrive(struct stage *s, struct ticket *t)
{
    struct budget *both[] = {s->queues[between(s, 0, QUEUES - 1)], s->shared};
    const struct estimate e = {.input = between(s, 1, between(s, 0, 4) ? 300 : 4000), .choices = 1};
    struct cost cost = profile_reserve(PROFILE_OPENAI, &e);
    struct gate_refusal why;

    ticket_init(t, &cost, both, 2, s->now_us, CLOCK_NEVER);
    assert_int_equal(gate_offer(s->gate, t, s->now_us, &why), GATE_HELD);
    turn(s);
    s->now_us += between(s, 0, 500 * CLOCK_MS);
}

static void play(uint64_t seed)
{
    static struct stage s;

    raise_stage(&s, seed);
    for (int i = 0; i < CALLS; i++)
        arrive(&s, &s.tickets[i]);
    s.now_us += GATE_REPLAY_EVERY_US;
    turn(&s);
    for (int i = 0; i < CALLS; i++) {
        if (s.tickets[i].state == TICKET_HELD)
            s.foretold_us[i] = gate_predict(s.gate, &s.tickets[i], s.now_us).start_us;
    }
    for (int64_t at_us = gate_wakeup(s.gate); at_us < CLOCK_NEVER; at_us = gate_wakeup(s.gate)) {
        s.now_us = at_us > s.now_us ? at_us : s.now_us;
        turn(&s);
    }
    for (int i = 0; i < CALLS; i++) {
        if (s.tickets[i].state != TICKET_IDLE)
            fail_msg("seed %" PRIu64 ": call %d never went", seed, i);
        if (s.foretold_us[i] && s.foretold_us[i] != s.started_us[i])
            fail_msg("seed %" PRIu64 ": call %d went %" PRId64 " us after what was foretold", seed, i,
                     s.started_us[i] - s.foretold_us[i]);
    }
    gate_free(s.gate);
}

static void test_replay__charges_as_reserved__foretells_every_start_to_the_microsecond(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 200; seed++)
        play(seed);
}

static void test_replay__it_is_over__leaves_everything_as_it_was(void **state)
{
    static struct stage s;
    int64_t used[QUEUES];

    (void)state;
    raise_stage(&s, 4);
    for (int i = 0; i < CALLS; i++)
        arrive(&s, &s.tickets[i]);
    for (int q = 0; q < QUEUES; q++)
        used[q] = s.queues[q]->limits[0].window.used;
    replay_held(s.gate, s.now_us);
    for (int q = 0; q < QUEUES; q++) {
        assert_int_equal(s.queues[q]->limits[0].window.used, used[q]);
        assert_int_equal(s.queues[q]->limits[0].window.reserved, 0);
        assert_int_equal(s.queues[q]->in_flight, 0);
        assert_null(s.queues[q]->twin);
    }
    for (int i = 0; i < CALLS; i++) {
        if (s.tickets[i].state == TICKET_HELD)
            gate_cancel(s.gate, &s.tickets[i], s.now_us);
    }
    gate_free(s.gate);
}

static void test_replay__call_that_arrived_since__has_its_estimate_until_the_next_replay(void **state)
{
    const struct limit limit = {METRIC_TOKENS, 1000, MINUTE, false, "tpm"};
    const struct estimate big = {.input = 600, .choices = 1}, small = {.input = 400, .choices = 1};
    struct gate *g = gate_new();
    struct budget *b = gate_budget_new(g, "model", 0, &limit, 1);
    struct cost big_cost = profile_reserve(PROFILE_OPENAI, &big),
                small_cost = profile_reserve(PROFILE_OPENAI, &small);
    struct ticket t[4];
    struct gate_refusal why;

    (void)state;
    for (int i = 0; i < 4; i++)
        ticket_init(&t[i], i < 3 ? &big_cost : &small_cost, &b, 1, T0, CLOCK_NEVER);
    assert_int_equal(gate_offer(g, &t[0], T0, &why), GATE_HELD);
    assert_ptr_equal(gate_next(g, T0), &t[0]);
    gate_close(g, &t[0], T0, NULL);
    assert_int_equal(gate_offer(g, &t[1], T0, &why), GATE_HELD);
    assert_int_equal(gate_offer(g, &t[2], T0, &why), GATE_HELD);
    assert_int_equal(gate_predict(g, &t[2], T0).start_us, T0 + 2 * MINUTE);
    assert_int_equal(gate_offer(g, &t[3], T0, &why), GATE_HELD);
    assert_int_equal(gate_predict(g, &t[3], T0).start_us,
                     T0 + 2 * MINUTE); /* all before it first: 1,600 tokens */
    assert_int_equal(gate_predict(g, &t[3], T0 + GATE_REPLAY_EVERY_US).start_us, T0 + GATE_REPLAY_EVERY_US);
    for (int i = 1; i < 4; i++)
        gate_cancel(g, &t[i], T0);
    gate_free(g);
}

static void test_replay__stopped_or_waiting_for_calls_in_flight__is_told_as_if_they_were_over(void **state)
{
    const struct limit cap = {METRIC_CONCURRENT, 1, 0, false, "concurrent"};
    const struct estimate e = {.input = 1, .choices = 1};
    struct gate *g = gate_new();
    struct budget *b = gate_budget_new(g, "model", 0, &cap, 1);
    struct cost cost = profile_reserve(PROFILE_OPENAI, &e);
    struct ticket first, second;
    struct gate_refusal why;
    struct prediction p;

    (void)state;
    ticket_init(&first, &cost, &b, 1, T0, CLOCK_NEVER);
    ticket_init(&second, &cost, &b, 1, T0, CLOCK_NEVER);
    assert_int_equal(gate_offer(g, &first, T0, &why), GATE_HELD);
    assert_ptr_equal(gate_next(g, T0), &first);
    assert_int_equal(gate_offer(g, &second, T0, &why), GATE_HELD);
    gate_stop(g);
    p = gate_predict(g, &second, T0);
    assert_int_equal(p.start_us, T0);
    assert_int_equal(p.slack_us, CLOCK_NEVER);
    gate_cancel(g, &second, T0);
    gate_close(g, &first, T0, NULL);
    gate_free(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_replay__charges_as_reserved__foretells_every_start_to_the_microsecond),
        cmocka_unit_test(test_replay__it_is_over__leaves_everything_as_it_was),
        cmocka_unit_test(test_replay__call_that_arrived_since__has_its_estimate_until_the_next_replay),
        cmocka_unit_test(test_replay__stopped_or_waiting_for_calls_in_flight__is_told_as_if_they_were_over),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
