/*
 * A key that somebody else uses as well, in virtual time: our gate in front of the simulator's limiter, which refuses
 * what does not fit and says with every answer what is left. A minute, 30,000 tokens; calls of 100 to 500 tokens that
 * wait without end.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#define charge sim_charge /* the limiter has a struct of that name, too */
#include "../simulator/limiter.h"
#undef charge

#include "metergate/base/clock.h"
#include "metergate/base/err.h"
#include "metergate/gate/counter.h"
#include "metergate/gate/gate.h"

#define MINUTE (60 * CLOCK_S)
#define CALLS  64

enum phase { WAITS, TRAVELS, AT_PROVIDER, COMES_BACK, ANSWERS };

struct call {
    struct ticket ticket;
    enum phase phase;
    int64_t tokens, at_us; /* when the next thing happens to it */
    int64_t remaining;
    bool refused;
};

struct world {
    struct gate *gate;
    struct budget *budget;
    struct limiter limiter;
    struct call calls[CALLS];
    uint32_t seed;
    int64_t now_us;
    int64_t others_tokens, others_every_us, others_next_us; /* the other consumer: 0: none */
    bool others_ask; /* it takes only what fits; else it takes, whatever */
    int64_t warm_us; /* figures are from here on: */
    int64_t ours, others, refused;
};

static int64_t below(struct world *w, int64_t n)
{
    w->seed = w->seed * 1664525 + 1013904223;
    return (w->seed >> 8) % n;
}

static void wait_again(struct world *w, struct call *c)
{
    struct estimate e = {.choices = 1, .exact = true};
    struct gate_refusal why;
    struct cost cost;

    c->tokens = e.input = 100 + below(w, 400);
    c->phase = WAITS;
    cost = profile_reserve(PROFILE_ACTUAL, &e);
    c->ticket = (struct ticket){0};
    ticket_init(&c->ticket, &cost, &w->budget, 1, w->now_us, CLOCK_NEVER);
    assert_int_equal(gate_offer(w->gate, &c->ticket, w->now_us, &why), GATE_HELD);
}

static void set_up(struct world *w, enum limiter_kind kind, int headroom, int64_t max)
{
    const struct limit limit = {.metric = METRIC_TOKENS, .max = max, .span_us = MINUTE, .key = "tpm"};

    *w = (struct world){.gate = gate_new(), .seed = 7, .warm_us = MINUTE};
    w->budget = gate_budget_new(w->gate, "b", headroom, &limit, 1);
    limiter_init(&w->limiter, kind, 30000, MINUTE);
    for (int i = 0; i < CALLS; i++)
        wait_again(w, &w->calls[i]);
}

static void tear_down(struct world *w)
{
    for (int i = 0; i < CALLS; i++) {
        if (w->calls[i].phase == WAITS)
            gate_cancel(w->gate, &w->calls[i].ticket, w->now_us);
        else
            gate_close(w->gate, &w->calls[i].ticket, w->now_us, NULL);
    }
    assert_int_equal(w->budget->limits[0].window.reserved, 0);
    gate_free(w->gate);
    limiter_release(&w->limiter);
}

/* The provider has the request: it charges it or refuses it, and writes down what is left. */
static void judge(struct world *w, struct call *c)
{
    c->refused = limiter_wait_us(&w->limiter, c->tokens, w->now_us) > 0;
    if (!c->refused)
        limiter_charge(&w->limiter, c->tokens, w->now_us);
    c->remaining = w->limiter.max - limiter_used(&w->limiter, w->now_us);
    if (c->remaining < 0)
        c->remaining = 0;
    if (w->now_us < w->warm_us)
        return;
    w->ours += c->refused ? 0 : c->tokens;
    w->refused += c->refused;
}

static void step(struct world *w, struct call *c)
{
    const struct counter counter = {
        .metric = METRIC_TOKENS, .limit = w->limiter.max, .remaining = c->remaining, .reset_us = -1};
    const struct cost nothing = profile_refused(PROFILE_ACTUAL);

    switch (c->phase) {
    case TRAVELS: /* its last byte has left; it arrives a little later or earlier */
        c->phase = AT_PROVIDER;
        c->at_us += below(w, 3000);
        break;
    case AT_PROVIDER:
        judge(w, c);
        gate_sent(w->gate, &c->ticket, w->now_us + below(w, 500));
        c->phase = COMES_BACK;
        c->at_us += 20 * CLOCK_MS + below(w, 2000 * CLOCK_MS);
        break;
    case COMES_BACK:
        gate_observe(w->gate, &c->ticket, w->now_us, &counter, 1, c->refused);
        c->phase = ANSWERS;
        c->at_us += c->refused ? 0 : below(w, 5 * CLOCK_S);
        break;
    case ANSWERS:
        gate_close(w->gate, &c->ticket, w->now_us, c->refused ? &nothing : NULL);
        wait_again(w, c);
        break;
    case WAITS:
        break;
    }
}

static void others_take(struct world *w)
{
    w->others_next_us += w->others_every_us;
    if (w->others_ask && limiter_wait_us(&w->limiter, w->others_tokens, w->now_us) > 0)
        return;
    limiter_charge(&w->limiter, w->others_tokens, w->now_us);
    w->others += w->now_us >= w->warm_us ? w->others_tokens : 0;
}

static void let_go(struct world *w)
{
    struct ticket *t;

    while ((t = gate_next(w->gate, w->now_us)) != NULL) {
        struct call *c = MG_CONTAINER(t, struct call, ticket);

        c->phase = TRAVELS;
        c->at_us = w->now_us + 10 * CLOCK_MS;
    }
}

static int64_t next_us(const struct world *w)
{
    int64_t at_us = gate_wakeup(w->gate);

    for (int i = 0; i < CALLS; i++) {
        if (w->calls[i].phase != WAITS && w->calls[i].at_us < at_us)
            at_us = w->calls[i].at_us;
    }
    if (w->others_tokens > 0 && w->others_next_us < at_us)
        at_us = w->others_next_us;
    return at_us > w->now_us ? at_us : w->now_us;
}

static void run(struct world *w, int64_t until_us)
{
    while ((w->now_us = next_us(w)) < until_us) {
        for (int i = 0; i < CALLS; i++) {
            while (w->calls[i].phase != WAITS && w->calls[i].at_us <= w->now_us)
                step(w, &w->calls[i]);
        }
        while (w->others_tokens > 0 && w->others_next_us <= w->now_us)
            others_take(w);
        let_go(w);
    }
}

#define MINUTES INT64_C(20) /* that are looked at, after the first */

/* Runs and ends it; what is left in w are figures. */
static void play(struct world *w)
{
    run(w, (MINUTES + 1) * MINUTE);
    tear_down(w);
}

static const struct half_row {
    enum limiter_kind kind;
    int headroom;
    int64_t tokens, every_us; /* of the others */
    int64_t refused;          /* at the most */
} halves[] = {
    {LIMITER_ROLLING, 200, 250, CLOCK_S, 0},
    {LIMITER_ROLLING, 100, 250, CLOCK_S, 0},
    {LIMITER_ROLLING, 200, 1250, 5 * CLOCK_S, 0},
    {LIMITER_BUCKET, 200, 250, CLOCK_S, 0},
    {LIMITER_BUCKET, 100, 250, CLOCK_S, MINUTES}, /* what is known is some seconds old, and a bucket has no memory */
    {LIMITER_BUCKET, 200, 1250, 5 * CLOCK_S, 0},
};

static void test_foreign_use__half_of_the_key__no_refusal_after_the_first_window_and_little_lost(void **state)
{
    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(halves); i++) {
        const struct half_row *row = &halves[i];
        struct world w;
        int64_t left;

        set_up(&w, row->kind, row->headroom, 30000);
        w.others_tokens = row->tokens;
        w.others_every_us = row->every_us;
        play(&w);
        left = MINUTES * 30 * (1000 - row->headroom) - w.others;
        if (w.refused > row->refused || w.ours < left * 97 / 100)
            fail_msg("row %zu: refused %lld, took %lld of %lld", i, (long long)w.refused, (long long)w.ours,
                     (long long)left);
    }
}

static void test_foreign_use__nobody_else__costs_nothing(void **state)
{
    static const enum limiter_kind kinds[] = {LIMITER_ROLLING, LIMITER_BUCKET, LIMITER_FIXED};

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(kinds); i++) {
        struct world w;

        set_up(&w, kinds[i], 0, 30000);
        play(&w);
        assert_int_equal(w.refused, 0);
        assert_true(w.ours > MINUTES * 30000 * 99 / 100);
    }
}

static void test_foreign_use__a_limit_that_is_twice_the_providers__is_held_by_what_is_left(void **state)
{
    (void)state;
    for (int bucket = 0; bucket < 2; bucket++) {
        struct world w;

        set_up(&w, bucket ? LIMITER_BUCKET : LIMITER_ROLLING, 200, 60000);
        play(&w);
        assert_int_equal(w.refused, 0);
        assert_true(w.ours > MINUTES * 30000 / 2);
    }
}

static void test_foreign_use__all_of_the_key__is_tried_by_single_calls(void **state)
{
    (void)state;
    for (int bucket = 0; bucket < 2; bucket++) {
        struct world w;

        set_up(&w, bucket ? LIMITER_BUCKET : LIMITER_ROLLING, 200, 30000);
        w.others_tokens = 300; /* they ask for more than there is, and go on asking */
        w.others_every_us = CLOCK_S / 2;
        w.others_ask = true;
        play(&w);
        assert_true(w.refused < MINUTES * 10);
        assert_true(w.ours > 0);
    }
}

static void test_foreign_use__others_that_stop__leave_their_room_within_a_window(void **state)
{
    struct world w;

    (void)state;
    set_up(&w, LIMITER_ROLLING, 0, 30000);
    w.others_tokens = 250;
    w.others_every_us = CLOCK_S;
    run(&w, 5 * MINUTE);
    w.others_tokens = 0;
    w.warm_us = 7 * MINUTE;
    w.ours = w.refused = 0;
    run(&w, 17 * MINUTE);
    assert_int_equal(w.refused, 0);
    assert_true(w.ours > INT64_C(30000) * 10 * 98 / 100);
    tear_down(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_foreign_use__half_of_the_key__no_refusal_after_the_first_window_and_little_lost),
        cmocka_unit_test(test_foreign_use__nobody_else__costs_nothing),
        cmocka_unit_test(test_foreign_use__a_limit_that_is_twice_the_providers__is_held_by_what_is_left),
        cmocka_unit_test(test_foreign_use__all_of_the_key__is_tried_by_single_calls),
        cmocka_unit_test(test_foreign_use__others_that_stop__leave_their_room_within_a_window),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
