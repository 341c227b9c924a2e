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

/* ---- what is known of calls that have ended ---- */

static void seat(struct gate *g, struct budget *b, struct ticket *t, int64_t input, int64_t now_us)
{
    const struct estimate e = {.input = input, .choices = 1};
    struct cost cost = profile_reserve(PROFILE_OPENAI, &e);
    struct gate_refusal why;

    ticket_init(t, &cost, &b, 1, now_us, CLOCK_NEVER);
    assert_int_equal(gate_offer(g, t, now_us, &why), GATE_HELD);
}

static int64_t start_of(struct gate *g, const struct ticket *t, int64_t now_us)
{
    int estimates = 1000;

    return gate_start_us(g, t, now_us, &estimates);
}

/* Each reserves 600 of 1,000, takes 100, and lasts five seconds: one after the other, not one a minute. */
static void test_replay__calls_take_less_and_last__is_foretold_once_one_has_ended(void **state)
{
    const struct limit limit = {METRIC_TOKENS, 1000, MINUTE, false, "tpm"};
    const struct estimate small = {.input = 100, .choices = 1};
    const struct cost taken = profile_reserve(PROFILE_OPENAI, &small);
    struct gate *g = gate_new();
    struct budget *b = gate_budget_new(g, "model", 0, &limit, 1);
    int64_t now = T0, foretold;
    struct ticket t[4];

    (void)state;
    for (int i = 0; i < 4; i++)
        seat(g, b, &t[i], 600, now);
    assert_ptr_equal(gate_next(g, now), &t[0]);
    gate_sent(g, &t[0], now);
    assert_null(gate_next(g, now));
    assert_int_equal(start_of(g, &t[3], now), T0 + 3 * MINUTE); /* nothing is known yet */
    now += 5 * CLOCK_S;
    gate_close(g, &t[0], now, &taken);
    assert_int_equal(budget_likely_us(b), 5 * CLOCK_S);
    assert_in_range(budget_likely_permille(b, METRIC_TOKENS), 166, 167);
    foretold = start_of(g, &t[3], now);
    assert_int_equal(foretold, now + 10 * CLOCK_S);
    for (int i = 1; i < 4; i++) {
        assert_ptr_equal(gate_next(g, now), &t[i]);
        if (i == 3)
            assert_int_equal(now, foretold);
        gate_sent(g, &t[i], now);
        assert_null(gate_next(g, now));
        now += 5 * CLOCK_S;
        gate_close(g, &t[i], now, &taken);
    }
    gate_free(g);
}

/* ---- in parts ---- */

enum { CROWD = 3 * GATE_REPLAY_AT_ONCE };

struct crowd {
    struct gate *gate;
    struct budget *budgets[2];
    struct ticket t[CROWD];
};

static void gather(struct crowd *c)
{
    const struct limit limit = {METRIC_TOKENS, 10000, MINUTE, false, "tpm"};

    c->gate = gate_new();
    for (int i = 0; i < 2; i++)
        c->budgets[i] = gate_budget_new(c->gate, "model", 0, &limit, 1);
    for (int i = 0; i < CROWD; i++)
        seat(c->gate, c->budgets[i % 2], &c->t[i], 50 + i % 7 * 100, T0);
    for (struct ticket *t; (t = gate_next(c->gate, T0)) != NULL;)
        gate_close(c->gate, t, T0, NULL);
}

static void disperse(struct crowd *c)
{
    for (int i = 0; i < CROWD; i++) {
        if (c->t[i].state == TICKET_HELD)
            gate_cancel(c->gate, &c->t[i], T0);
    }
    gate_free(c->gate);
}

static void test_replay__in_parts__foretells_what_it_does_at_once(void **state)
{
    static struct crowd c;
    static int64_t at_once[CROWD];
    int estimates = 0, parts = 1;

    (void)state;
    gather(&c);
    replay_held(c.gate, T0);
    for (int i = 0; i < CROWD; i++) {
        at_once[i] = c.t[i].replayed_us;
        c.t[i].replayed_us = 0;
        assert_true(c.t[i].state != TICKET_HELD || at_once[i] > T0);
    }
    assert_int_equal(gate_start_us(c.gate, &c.t[CROWD - 1], T0, &estimates), CLOCK_NEVER); /* not known yet */
    while (gate_replay_more(c.gate))
        parts++;
    assert_in_range(parts, 4, 100);
    for (int i = 0; i < CROWD; i++) {
        if (c.t[i].state == TICKET_HELD)
            assert_int_equal(gate_start_us(c.gate, &c.t[i], T0, &estimates), at_once[i]);
        assert_null(c.t[i].stand_in);
    }
    assert_false(gate_replay_more(c.gate));
    disperse(&c);
}

/* Calls leave, come and go in the middle of it, and budgets change, which ends it. */
static void test_replay__in_parts_while_calls_leave__goes_on_without_them(void **state)
{
    static struct crowd c;
    int estimates = 0;

    (void)state;
    for (int parts = 0; parts < 14; parts++) {
        gather(&c);
        (void)gate_start_us(c.gate, &c.t[CROWD - 1], T0, &estimates);
        for (int i = 0; i < parts; i++)
            (void)gate_replay_more(c.gate);
        for (int i = parts % 3; i < CROWD; i += 3) {
            if (c.t[i].state != TICKET_HELD)
                continue;
            gate_cancel(c.gate, &c.t[i], T0);
            assert_null(c.t[i].stand_in);
        }
        if (parts % 4 == 3)
            gate_pause(c.gate, c.budgets[0], T0 + MINUTE);
        while (gate_replay_more(c.gate)) {
        }
        for (int i = 0; i < CROWD; i++) {
            if (c.t[i].state == TICKET_HELD && parts % 4 != 3)
                assert_true(c.t[i].replayed_us > T0);
            assert_null(c.t[i].stand_in);
        }
        disperse(&c);
    }
}

/* ---- what nobody can know ---- */

static void test_start__calls_in_flight_decide__is_not_known(void **state)
{
    const struct limit limits[] = {{METRIC_TOKENS, 1000, MINUTE, false, "tpm"},
                                   {METRIC_CONCURRENT, 1, 0, false, "concurrent"}};
    struct gate *g = gate_new();
    struct budget *b = gate_budget_new(g, "model", 0, limits, 2);
    struct ticket t[4];

    (void)state;
    for (int i = 0; i < 4; i++)
        seat(g, b, &t[i], 450, T0);
    assert_ptr_equal(gate_next(g, T0), &t[0]);
    gate_sent(g, &t[0], T0);
    assert_null(gate_next(g, T0));
    assert_int_equal(start_of(g, &t[1], T0), CLOCK_NEVER); /* there is room: the first has to end */
    assert_int_equal(start_of(g, &t[3], T0), CLOCK_NEVER);
    gate_close(g, &t[0], T0, NULL);
    assert_ptr_equal(gate_next(g, T0), &t[1]);
    gate_sent(g, &t[1], T0);
    assert_null(gate_next(g, T0));
    assert_int_equal(start_of(g, &t[2], T0 + GATE_REPLAY_EVERY_US), T0 + MINUTE); /* by then it will have ended */
    gate_stop(g);
    assert_int_equal(start_of(g, &t[2], T0 + GATE_REPLAY_EVERY_US), CLOCK_NEVER);
    gate_resume(g);
    gate_close(g, &t[1], T0, NULL);
    gate_cancel(g, &t[2], T0);
    gate_cancel(g, &t[3], T0);
    gate_free(g);
}

static void test_start__while_one_goes_to_see__is_known_of_that_alone(void **state)
{
    const struct limit limit = {METRIC_TOKENS, 1000, MINUTE, false, "tpm"};
    struct gate *g = gate_new();
    struct budget *b = gate_budget_new(g, "model", 0, &limit, 1);
    struct ticket t[3];

    (void)state;
    for (int i = 0; i < 3; i++)
        seat(g, b, &t[i], 100, T0);
    gate_probe(g, b, T0 + 5 * CLOCK_S, 15 * CLOCK_S);
    assert_null(gate_next(g, T0));
    assert_int_equal(start_of(g, &t[0], T0), T0 + 5 * CLOCK_S);
    assert_int_equal(start_of(g, &t[1], T0), CLOCK_NEVER);
    assert_ptr_equal(gate_next(g, T0 + 5 * CLOCK_S), &t[0]);
    assert_null(gate_next(g, T0 + 5 * CLOCK_S));
    assert_int_equal(start_of(g, &t[1], T0 + 5 * CLOCK_S), CLOCK_NEVER);
    gate_close(g, &t[0], T0 + 6 * CLOCK_S, NULL);
    gate_probe_end(g, b);
    assert_int_equal(start_of(g, &t[1], T0 + 6 * CLOCK_S), T0 + 6 * CLOCK_S);
    gate_cancel(g, &t[1], T0);
    gate_cancel(g, &t[2], T0);
    gate_free(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_replay__charges_as_reserved__foretells_every_start_to_the_microsecond),
        cmocka_unit_test(test_replay__it_is_over__leaves_everything_as_it_was),
        cmocka_unit_test(test_replay__call_that_arrived_since__has_its_estimate_until_the_next_replay),
        cmocka_unit_test(test_replay__calls_take_less_and_last__is_foretold_once_one_has_ended),
        cmocka_unit_test(test_replay__in_parts__foretells_what_it_does_at_once),
        cmocka_unit_test(test_replay__in_parts_while_calls_leave__goes_on_without_them),
        cmocka_unit_test(test_start__calls_in_flight_decide__is_not_known),
        cmocka_unit_test(test_start__while_one_goes_to_see__is_known_of_that_alone),
        cmocka_unit_test(test_replay__stopped_or_waiting_for_calls_in_flight__is_told_as_if_they_were_over),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
