/* gate: what one call after the other is told. What holds for any traffic is in tests/sim. */
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

/* A gate with one budget, and calls of one profile. */
struct house {
    struct gate *gate;
    struct budget *b;
    enum profile profile;
};

static struct house house(const struct limit *limits, size_t n)
{
    struct house h = {.gate = gate_new(), .profile = PROFILE_OPENAI};

    h.b = gate_budget_new(h.gate, "model", 0, limits, n);
    return h;
}

static enum gate_verdict offer_to(struct house *h, struct ticket *t, struct budget *const *budgets, size_t n,
                                  const struct estimate *e, int64_t now_us, int64_t deadline_us,
                                  struct gate_refusal *why)
{
    struct cost c = profile_reserve(h->profile, e);

    ticket_init(t, &c, budgets, n, now_us, deadline_us);
    return gate_offer(h->gate, t, now_us, why);
}

static enum gate_verdict offer_by(struct house *h, struct ticket *t, int64_t input, int64_t now_us,
                                  int64_t deadline_us, struct gate_refusal *why)
{
    const struct estimate e = {.input = input, .choices = 1, .exact = true};

    return offer_to(h, t, &h->b, 1, &e, now_us, deadline_us, why);
}

static void hold(struct house *h, struct ticket *t, int64_t input, int64_t now_us)
{
    struct gate_refusal why;

    assert_int_equal(offer_by(h, t, input, now_us, CLOCK_NEVER, &why), GATE_HELD);
    assert_int_equal(t->state, TICKET_HELD);
}

static void hold_with(struct house *h, struct ticket *t, struct budget *first, struct budget *second,
                      int64_t input, int64_t now_us)
{
    struct budget *const budgets[] = {first, second};
    const struct estimate e = {.input = input, .choices = 1, .exact = true};
    struct gate_refusal why;

    assert_int_equal(offer_to(h, t, budgets, 2, &e, now_us, CLOCK_NEVER, &why), GATE_HELD);
}

/* It goes now, and the provider has it at once. */
static void assert_goes(struct house *h, struct ticket *t, int64_t now_us)
{
    assert_ptr_equal(gate_next(h->gate, now_us), t);
    assert_int_equal(t->state, TICKET_DISPATCHED);
    gate_sent(h->gate, t, now_us);
}

/* Whatever else changes meanwhile: what leaves a window wakes the gate, for nothing if it is not enough. */
static void assert_nobody_goes_before(struct house *h, int64_t now_us, int64_t at_us)
{
    assert_null(gate_next(h->gate, now_us));
    while (gate_wakeup(h->gate) < at_us) {
        assert_true(gate_wakeup(h->gate) > now_us);
        now_us = gate_wakeup(h->gate);
        assert_null(gate_next(h->gate, now_us));
    }
    assert_int_equal(gate_wakeup(h->gate), at_us);
    if (at_us < CLOCK_NEVER)
        assert_null(gate_next(h->gate, at_us - 1));
}

static void finish(struct house *h, struct ticket *t, int64_t input, int64_t now_us)
{
    const struct usage u = {.input = input};
    struct cost c = profile_settle(h->profile, &(struct estimate){.choices = 1}, &u);

    gate_close(h->gate, t, now_us, &c);
    assert_int_equal(t->state, TICKET_IDLE);
}

/* ---- too large ---- */

static void test_gate__story_40666_tokens_of_30000__is_refused_with_the_counted_input(void **state)
{
    const struct limit limit = {.metric = METRIC_TOKENS, .max = 30000, .span_us = MINUTE, .key = "tpm"};
    const struct estimate e = {
        .input = 40666, .expected_output = 500, .characters = 162664, .choices = 1, .exact = true};
    struct house h = house(&limit, 1);
    struct gate_refusal why;
    struct ticket t;

    (void)state;
    assert_int_equal(offer_to(&h, &t, &h.b, 1, &e, T0, CLOCK_NEVER, &why), GATE_TOO_LARGE);
    assert_int_equal(t.state, TICKET_IDLE);
    assert_int_equal(why.requested, 40666);
    assert_int_equal(why.limit->max, 30000);
    assert_string_equal(why.limit->key, "tpm");
    gate_free(h.gate);
}

static void
test_gate__too_large__only_by_an_exact_count_charged_in_full_and_by_the_providers_own_estimate(void **state)
{
    static const struct {
        enum profile profile;
        enum metric metric;
        struct estimate e;
        enum gate_verdict verdict;
        int64_t requested;
    } rows[] = {
        {PROFILE_OPENAI, METRIC_TOKENS, {2000, 0, 8000, 0, 1, true}, GATE_TOO_LARGE, 2000},
        {PROFILE_OPENAI,
         METRIC_TOKENS,
         {2000, 0, 8000, 0, 1, false},
         GATE_HELD,
         0}, /* a guess never refuses */
        {PROFILE_OPENAI,
         METRIC_TOKENS,
         {2000, 0, 4000, 0, 1, true},
         GATE_HELD,
         0}, /* the provider may count less */
        {PROFILE_OPENAI, METRIC_TOKENS, {10, 5000, 40, 0, 1, true}, GATE_HELD, 0}, /* our own expectation */
        {PROFILE_OPENAI,
         METRIC_TOKENS,
         {10, 10, 40, 501, 2, true},
         GATE_TOO_LARGE,
         1002}, /* the client's own bound */
        {PROFILE_OPENAI, METRIC_TOKENS, {10, 10, 40, 500, 2, true}, GATE_HELD, 0},
        {PROFILE_ACTUAL,
         METRIC_TOKENS,
         {2000, 0, 8000, 0, 1, true},
         GATE_HELD,
         0}, /* not charged in full on arrival */
        {PROFILE_ACTUAL, METRIC_INPUT, {2000, 9, 8000, 0, 1, true}, GATE_TOO_LARGE, 2000},
        {PROFILE_ACTUAL, METRIC_OUTPUT, {2000, 9000, 8000, 9000, 1, true}, GATE_HELD, 0},
    };

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++) {
        const struct limit limit = {.metric = rows[i].metric, .max = 1000, .span_us = MINUTE, .key = "x"};
        struct house h = house(&limit, 1);
        struct gate_refusal why = {0};
        struct ticket t;

        h.profile = rows[i].profile;
        assert_int_equal(offer_to(&h, &t, &h.b, 1, &rows[i].e, T0, CLOCK_NEVER, &why), rows[i].verdict);
        assert_int_equal(why.requested, rows[i].requested);
        if (t.state == TICKET_HELD)
            gate_cancel(h.gate, &t, T0);
        gate_free(h.gate);
    }
}

static void test_gate__call_bigger_than_max__is_reserved_as_max_and_runs_alone(void **state)
{
    const struct estimate guess = {.input = 5000, .choices = 1};
    struct house h = house(&tpm, 1);
    struct ticket small, big, after;
    struct gate_refusal why;

    (void)state;
    hold(&h, &small, 1, T0);
    assert_goes(&h, &small, T0);
    assert_int_equal(offer_to(&h, &big, &h.b, 1, &guess, T0, CLOCK_NEVER, &why), GATE_HELD);
    assert_nobody_goes_before(&h, T0, T0 + MINUTE);
    assert_goes(&h, &big, T0 + MINUTE);
    assert_int_equal(budget_figures(h.b, &h.b->limits[0]).reserved, 1000);
    hold(&h, &after, 1, T0 + MINUTE);
    assert_nobody_goes_before(&h, T0 + MINUTE, T0 + 2 * MINUTE);
    finish(&h, &small, 1, T0 + MINUTE);
    finish(&h, &big, 5000, T0 + MINUTE);
    assert_nobody_goes_before(&h, T0 + MINUTE, T0 + 2 * MINUTE);
    gate_cancel(h.gate, &after, T0 + MINUTE);
    gate_free(h.gate);
}

static void test_gate__absurd_guess_in_the_queue__refuses_nobody_behind_it(void **state)
{
    const struct estimate guess = {
        .input = INT64_MAX, .expected_output = INT64_MAX, .max_output = INT64_MAX, .choices = 9};
    struct house h = house(&tpm, 1);
    struct ticket first, absurd, after;
    struct gate_refusal why;

    (void)state;
    hold(&h, &first, 1000, T0);
    assert_goes(&h, &first, T0);
    assert_int_equal(offer_to(&h, &absurd, &h.b, 1, &guess, T0, CLOCK_NEVER, &why), GATE_HELD);
    assert_int_equal(offer_by(&h, &after, 10, T0, T0 + 2 * MINUTE, &why), GATE_HELD);
    assert_int_equal(gate_predict(h.gate, &after, T0).start_us, T0 + 2 * MINUTE);
    finish(&h, &first, 1000, T0);
    gate_cancel(h.gate, &absurd, T0);
    gate_cancel(h.gate, &after, T0);
    gate_free(h.gate);
}

/* ---- several budgets, several limits ---- */

static void test_gate__several_budgets__give_all_or_nothing(void **state)
{
    struct house h = house(&tpm, 1);
    struct budget *upstream = gate_budget_new(h.gate, "upstream", 0, &one_call, 1);
    struct ticket first, second;

    (void)state;
    hold_with(&h, &first, h.b, upstream, 10, T0);
    hold_with(&h, &second, h.b, upstream, 10, T0);
    assert_goes(&h, &first, T0);
    assert_nobody_goes_before(&h, T0, CLOCK_NEVER);
    assert_int_equal(budget_figures(h.b, &h.b->limits[0]).reserved, 10);
    assert_ptr_equal(gate_why(h.gate, &second, T0).budget, upstream);
    assert_int_equal(gate_next_dispatch_us(h.gate, h.b, T0), CLOCK_NEVER);
    finish(&h, &first, 10, T0 + 5);
    assert_int_equal(gate_wakeup(h.gate), 0);
    assert_goes(&h, &second, T0 + 5);
    finish(&h, &second, 10, T0 + 6);
    gate_free(h.gate);
}

static void test_gate__shared_upstream__goes_by_age_over_all_queues(void **state)
{
    struct house h = house(&tpm, 1);
    struct budget *other = gate_budget_new(h.gate, "other", 0, &tpm, 1);
    struct budget *upstream = gate_budget_new(h.gate, "upstream", 0, &one_call, 1);
    struct ticket t[6];

    (void)state;
    for (size_t i = 0; i < 6; i++)
        hold_with(&h, &t[i], i == 1 || i == 2 || i == 5 ? other : h.b, upstream, 10, T0 + (int64_t)i);
    for (size_t i = 0; i < 6; i++) {
        assert_goes(&h, &t[i], T0 + 10);
        assert_null(gate_next(h.gate, T0 + 10));
        finish(&h, &t[i], 10, T0 + 10);
    }
    gate_free(h.gate);
}

static void test_gate__limits_of_different_spans__the_last_one_decides(void **state)
{
    const struct limit limits[] = {{METRIC_REQUESTS, 1, CLOCK_S, false, "rps"},
                                   {METRIC_TOKENS, 100, MINUTE, false, "tpm"},
                                   {METRIC_TOKENS, 250, 10 * MINUTE, false, "tp10m"}};
    static const int64_t starts[] = {0, 1, 60, 61, 600}; /* s: 50 tokens each */
    struct house h = house(limits, 3);
    struct ticket t[5];

    (void)state;
    h.b->limits[2].limit.max = 200;
    for (size_t i = 0; i < 5; i++)
        hold(&h, &t[i], 50, T0);
    for (size_t i = 0; i < 5; i++) {
        assert_goes(&h, &t[i], T0 + starts[i] * CLOCK_S);
        if (i < 4)
            assert_nobody_goes_before(&h, T0 + starts[i] * CLOCK_S, T0 + starts[i + 1] * CLOCK_S);
        finish(&h, &t[i], 50, T0 + starts[i] * CLOCK_S);
    }
    gate_free(h.gate);
}

static void test_gate__head_that_waits_for_hours__is_passed_by_what_cannot_meet_it(void **state)
{
    const struct limit limits[] = {{METRIC_TOKENS, 1000, MINUTE, false, "tpm"},
                                   {METRIC_TOKENS, 3000, 60 * MINUTE, false, "tph"}};
    struct house h = house(limits, 2);
    struct ticket first[3], head, small, more;

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        hold(&h, &first[i], i == 2 ? 500 : 1000, T0 + (int64_t)i * MINUTE);
        assert_goes(&h, &first[i], T0 + (int64_t)i * MINUTE);
        finish(&h, &first[i], i == 2 ? 500 : 1000, T0 + (int64_t)i * MINUTE);
    }
    hold(&h, &head, 900, T0 + 3 * MINUTE); /* an hour is 2,500 full */
    hold(&h, &small, 400, T0 + 3 * MINUTE);
    hold(&h, &more, 101, T0 + 3 * MINUTE);
    assert_goes(&h, &small,
                T0 + 3 * MINUTE); /* beside the head's 900 it would not fit a minute, nor must it */
    assert_nobody_goes_before(&h, T0 + 3 * MINUTE, T0 + 60 * MINUTE);
    assert_goes(&h, &head, T0 + 60 * MINUTE);
    finish(&h, &small, 400, T0 + 60 * MINUTE);
    finish(&h, &head, 900, T0 + 60 * MINUTE);
    gate_cancel(h.gate, &more, T0 + 60 * MINUTE);
    gate_free(h.gate);
}

static void test_gate__smooth__keeps_requests_apart_by_the_microsecond(void **state)
{
    const struct limit limit = {
        .metric = METRIC_REQUESTS, .max = 60, .span_us = MINUTE, .smooth = true, .key = "rpm"};
    struct house h = house(&limit, 1);
    struct ticket t[3];

    (void)state;
    for (size_t i = 0; i < 3; i++)
        hold(&h, &t[i], 1, T0);
    for (size_t i = 0; i < 3; i++) {
        assert_goes(&h, &t[i], T0 + (int64_t)i * CLOCK_S);
        if (i < 2)
            assert_nobody_goes_before(&h, T0 + (int64_t)i * CLOCK_S, T0 + (int64_t)(i + 1) * CLOCK_S);
        finish(&h, &t[i], 1, T0 + (int64_t)i * CLOCK_S);
    }
    gate_free(h.gate);
}

/* ---- order ---- */

static void test_gate__call_that_is_refused_again_and_again__lets_others_go_first(void **state)
{
    const struct cost refused = profile_refused(PROFILE_OPENAI);
    struct house h = house(&one_call, 1);
    struct ticket poison, t[4];

    (void)state;
    hold(&h, &poison, 10, T0);
    for (int i = 0; i < 4; i++)
        hold(&h, &t[i], 10, T0);
    assert_goes(&h, &poison, T0);
    gate_requeue_behind(h.gate, &poison, T0, &refused, 1);
    assert_goes(&h, &t[0], T0);
    finish(&h, &t[0], 10, T0);
    assert_goes(&h, &poison, T0);
    gate_requeue_behind(h.gate, &poison, T0, &refused, 2);
    assert_goes(&h, &t[1], T0);
    finish(&h, &t[1], 10, T0);
    assert_goes(&h, &t[2], T0);
    finish(&h, &t[2], 10, T0);
    assert_goes(&h, &poison, T0);
    gate_requeue_behind(h.gate, &poison, T0, &refused, 1000); /* there are not so many: behind the last */
    assert_goes(&h, &t[3], T0);
    finish(&h, &t[3], 10, T0);
    assert_goes(&h, &poison, T0);
    gate_requeue_behind(h.gate, &poison, T0, &refused, 4); /* nobody is there */
    assert_goes(&h, &poison, T0);
    finish(&h, &poison, 10, T0);
    gate_free(h.gate);
}

static void test_gate__call_that_comes_back__is_before_all_that_came_later(void **state)
{
    struct house h = house(&tpm, 1);
    struct cost refused = profile_refused(PROFILE_OPENAI);
    struct ticket first, second;

    (void)state;
    hold(&h, &first, 600, T0);
    assert_goes(&h, &first, T0);
    hold(&h, &second, 600, T0 + 1);
    gate_pause(h.gate, h.b, T0 + 10);
    gate_requeue(h.gate, &first, T0 + 2, &refused);
    assert_int_equal(first.state, TICKET_HELD);
    assert_nobody_goes_before(&h, T0 + 2, T0 + 10);
    assert_null(gate_why(h.gate, &first, T0 + 2).limit); /* a pause */
    assert_goes(&h, &first, T0 + 10);
    assert_nobody_goes_before(&h, T0 + 10, T0 + 10 + MINUTE);
    finish(&h, &first, 600, T0 + 10);
    gate_cancel(h.gate, &second, T0 + 10);
    gate_free(h.gate);
}

static void test_gate__pause__is_never_shortened(void **state)
{
    struct house h = house(&tpm, 1);
    struct ticket t;

    (void)state;
    gate_pause(h.gate, h.b, T0 + 10);
    gate_pause(h.gate, h.b, T0 + 5);
    hold(&h, &t, 1, T0);
    assert_nobody_goes_before(&h, T0, T0 + 10);
    gate_pause(h.gate, h.b, T0 + 20);
    assert_int_equal(gate_wakeup(h.gate), 0); /* something has changed: ask again */
    assert_nobody_goes_before(&h, T0 + 10, T0 + 20);
    assert_goes(&h, &t, T0 + 20);
    finish(&h, &t, 1, T0 + 20);
    gate_free(h.gate);
}

static void test_gate__head_that_leaves__lets_those_behind_it_go(void **state)
{
    struct house h = house(&tpm, 1);
    struct ticket first, head, behind;

    (void)state;
    hold(&h, &first, 600, T0);
    assert_goes(&h, &first, T0);
    hold(&h, &head, 900, T0);
    hold(&h, &behind, 400, T0);
    assert_nobody_goes_before(&h, T0, T0 + MINUTE);
    gate_cancel(h.gate, &head, T0 + 1);
    assert_int_equal(gate_wakeup(h.gate), 0);
    assert_goes(&h, &behind, T0 + 1);
    finish(&h, &first, 600, T0 + 1);
    finish(&h, &behind, 400, T0 + 1);
    gate_free(h.gate);
}

static void test_gate__head_that_a_call_in_flight_decides__is_not_starved_by_small_ones(void **state)
{
    const struct estimate slow = {.input = 1, .expected_output = 499, .choices = 1},
                          small = {.input = 1, .expected_output = 59, .choices = 1};
    struct house h = house(&tpm, 1);
    struct ticket running, head, passing;
    struct gate_refusal why;

    (void)state;
    h.profile = PROFILE_ACTUAL;
    assert_int_equal(offer_to(&h, &running, &h.b, 1, &slow, T0, CLOCK_NEVER, &why), GATE_HELD);
    assert_goes(&h, &running, T0);
    hold(&h, &head, 600, T0);
    assert_int_equal(offer_to(&h, &passing, &h.b, 1, &small, T0, CLOCK_NEVER, &why), GATE_HELD);
    assert_nobody_goes_before(&h, T0, CLOCK_NEVER); /* the answer may end at any moment, and shorter */
    finish(&h, &running, 1, T0 + 9 * CLOCK_S);
    assert_goes(&h, &head, T0 + 9 * CLOCK_S);
    assert_goes(&h, &passing, T0 + 9 * CLOCK_S);
    finish(&h, &head, 600, T0 + 9 * CLOCK_S);
    finish(&h, &passing, 1, T0 + 9 * CLOCK_S);
    gate_free(h.gate);
}

/* ---- deadlines ---- */

static void test_gate__deadline__is_refused_on_arrival_by_the_prediction_and_to_the_microsecond(void **state)
{
    struct house h = house(&tpm, 1);
    struct ticket first, late, in_time;
    struct gate_refusal why;

    (void)state;
    hold(&h, &first, 900, T0);
    assert_goes(&h, &first, T0);
    assert_int_equal(offer_by(&h, &late, 200, T0 + 5, T0 + MINUTE - 1, &why), GATE_MAX_WAIT);
    assert_int_equal(why.wait_us, MINUTE - 5);
    assert_int_equal(late.state, TICKET_IDLE);
    assert_int_equal(offer_by(&h, &in_time, 200, T0 + 5, T0 + MINUTE, &why), GATE_HELD);
    assert_goes(&h, &in_time, T0 + MINUTE); /* at its deadline it may still start */
    finish(&h, &first, 900, T0 + MINUTE);
    finish(&h, &in_time, 200, T0 + MINUTE);
    gate_free(h.gate);
}

static void test_gate__deadline__refuses_nobody_who_could_go_at_once(void **state)
{
    struct house h = house(&tpm, 1);
    struct ticket first, head, small;
    struct gate_refusal why;

    (void)state;
    hold(&h, &first, 600, T0);
    assert_goes(&h, &first, T0);
    hold(&h, &head, 900, T0);
    assert_null(gate_next(h.gate, T0));
    assert_int_equal(offer_by(&h, &small, 600, T0, T0 + 1, &why), GATE_MAX_WAIT);
    assert_int_equal(offer_by(&h, &small, 100, T0, T0 + 1, &why), GATE_HELD);
    assert_goes(&h, &small, T0);
    finish(&h, &first, 600, T0);
    finish(&h, &small, 100, T0);
    gate_cancel(h.gate, &head, T0);
    gate_free(h.gate);
}

static void test_gate__call_that_expires__is_told_its_wait_and_frees_those_behind_it_at_once(void **state)
{
    struct house h = house(&one_call, 1);
    struct limit both[] = {one_call, tpm};
    struct ticket running, head, behind;
    struct gate_refusal why;
    int64_t wait_us = -1;

    (void)state;
    both[0].max = 2;
    gate_budget_update(h.gate, h.b, 0, both, 2);
    hold(&h, &running, 500, T0);
    assert_goes(&h, &running, T0);
    assert_int_equal(offer_by(&h, &head, 600, T0, T0 + 2 * MINUTE, &why), GATE_HELD);
    hold(&h, &behind, 500, T0);
    gate_pause(h.gate, h.b, T0 + 2 * MINUTE + 1); /* the unforeseen */
    assert_null(gate_next(h.gate, T0));
    assert_int_equal(gate_wakeup(h.gate), T0 + 2 * MINUTE);
    assert_null(gate_expire(h.gate, T0 + 2 * MINUTE - 1, &wait_us));
    assert_null(gate_next(h.gate, T0 + 2 * MINUTE));
    assert_ptr_equal(gate_expire(h.gate, T0 + 2 * MINUTE, &wait_us), &head);
    assert_int_equal(wait_us, 1);
    assert_int_equal(head.state, TICKET_IDLE);
    assert_int_equal(gate_wakeup(h.gate), 0);
    assert_nobody_goes_before(&h, T0 + 2 * MINUTE, T0 + 2 * MINUTE + 1);
    assert_goes(&h, &behind, T0 + 2 * MINUTE + 1);
    finish(&h, &running, 500, T0 + 2 * MINUTE + 1);
    finish(&h, &behind, 500, T0 + 2 * MINUTE + 1);
    gate_free(h.gate);
}

/* ---- changes and long runs ---- */

static void test_gate__limits_that_change__take_effect_at_once_and_keep_history_and_places(void **state)
{
    struct limit more = tpm, other[] = {{METRIC_REQUESTS, 5, MINUTE, false, "rpm"}, tpm};
    struct house h = house(&tpm, 1);
    struct ticket first, second, third;

    (void)state;
    more.max = 2000;
    hold(&h, &first, 800, T0);
    assert_goes(&h, &first, T0);
    hold(&h, &second, 900, T0);
    hold(&h, &third, 900, T0);
    assert_nobody_goes_before(&h, T0, T0 + MINUTE);
    gate_budget_update(h.gate, h.b, 0, &more, 1);
    assert_int_equal(gate_wakeup(h.gate), 0);
    assert_goes(&h, &second, T0 + 1);
    assert_nobody_goes_before(&h, T0 + 1, T0 + MINUTE);
    gate_budget_update(h.gate, h.b, 0, other, 2); /* lowered: 1,700 are in it */
    finish(&h, &first, 800, T0 + 2);
    finish(&h, &second, 900, T0 + 2);
    assert_int_equal(budget_figures(h.b, &h.b->limits[1]).used, 1700);
    assert_nobody_goes_before(&h, T0 + 2, T0 + MINUTE + 1);
    assert_goes(&h, &third, T0 + MINUTE + 1);
    finish(&h, &third, 900, T0 + MINUTE + 1);
    gate_free(h.gate);
}

static void test_gate__a_million_calls_a_minute__take_bounded_memory(void **state)
{
    const struct limit limit = {.metric = METRIC_TOKENS, .max = 1000000, .span_us = MINUTE, .key = "tpm"};
    struct house h = house(&limit, 1);
    size_t most = 0;

    (void)state;
    for (int64_t i = 0; i < 200000; i++) {
        struct ticket t;

        hold(&h, &t, 1, T0 + 300 * i);
        assert_goes(&h, &t, T0 + 300 * i);
        finish(&h, &t, 1, T0 + 300 * i);
        if (window_entries(&h.b->limits[0].window) > most)
            most = window_entries(&h.b->limits[0].window);
    }
    assert_true(most <= WINDOW_EXACT + WINDOW_SLOTS + 1);
    gate_free(h.gate);
}

static void test_gate__ticket_of_a_finished_call__may_be_used_again(void **state)
{
    struct house h = house(&tpm, 1);
    struct ticket t;

    (void)state;
    for (int i = 0; i < 3; i++) {
        hold(&h, &t, 100, T0);
        assert_goes(&h, &t, T0);
        gate_sent(h.gate, &t, T0); /* said twice: no matter */
        finish(&h, &t, 100, T0);
    }
    assert_int_equal(budget_figures(h.b, &h.b->limits[0]).used, 300);
    gate_free(h.gate);
}

static void test_gate__budget_without_limits__holds_nobody(void **state)
{
    struct house h = house(NULL, 0);
    struct ticket t[3];

    (void)state;
    for (size_t i = 0; i < 3; i++)
        hold(&h, &t[i], INT64_MAX, T0);
    for (size_t i = 0; i < 3; i++)
        assert_goes(&h, &t[i], T0);
    assert_nobody_goes_before(&h, T0, CLOCK_NEVER);
    for (size_t i = 0; i < 3; i++)
        finish(&h, &t[i], 1, T0);
    assert_int_equal(h.b->in_flight, 0);
    gate_free(h.gate);
}

/* A caller that left the queue and has come back goes before those who came in between. */
static void test_gate__a_place_taken_over__is_that_of_the_one_who_left(void **state)
{
    struct house h = house(&tpm, 1);
    struct ticket running = {0}, left = {0}, later = {0}, back = {0};
    const struct estimate e = {.input = 600, .choices = 1, .exact = true};
    struct cost c = profile_reserve(h.profile, &e);
    struct gate_refusal why;

    (void)state;
    hold(&h, &running, 900, T0);
    assert_goes(&h, &running, T0);
    hold(&h, &left, 600, T0);
    hold(&h, &later, 600, T0 + 1);
    gate_cancel(h.gate, &left, T0 + 2);
    ticket_init(&back, &c, &h.b, 1, T0, T0 + MINUTE);
    gate_take_place(&back, gate_place(&left));
    /* its deadline leaves no time for anybody before it */
    assert_int_equal(gate_offer(h.gate, &back, T0 + 3, &why), GATE_HELD);
    assert_true(gate_predict(h.gate, &back, T0 + 3).start_us <= T0 + MINUTE);
    assert_goes(&h, &back, T0 + MINUTE);
    assert_null(gate_next(h.gate, T0 + MINUTE));
    gate_close(h.gate, &running, T0 + MINUTE, NULL);
    gate_close(h.gate, &back, T0 + MINUTE, NULL);
    gate_cancel(h.gate, &later, T0 + MINUTE);
    gate_free(h.gate);
}

/* ---- output as it is produced, and attempts whose usage comes later ---- */

static int64_t taken(struct house *h, int64_t now_us)
{
    budget_advance(h->b, now_us);
    return h->b->limits[0].window.used + h->b->limits[0].window.reserved;
}

static struct cost anthropic(int64_t input, int64_t output)
{
    const struct usage u = {.input = input, .output = output};

    return profile_settle(PROFILE_ANTHROPIC, &(struct estimate){.choices = 1}, &u);
}

static void dispatch_stream(struct house *h, struct ticket *t, int64_t output)
{
    const struct estimate e = {.input = 10, .expected_output = output, .choices = 1};
    struct gate_refusal why;

    h->profile = PROFILE_ANTHROPIC;
    assert_int_equal(offer_to(h, t, &h->b, 1, &e, T0, CLOCK_NEVER, &why), GATE_HELD);
    assert_goes(h, t, T0);
}

static void test_gate__output_as_produced__leaves_the_window_a_span_after_it_came(void **state)
{
    const struct limit otpm = {.metric = METRIC_OUTPUT, .max = 1000, .span_us = MINUTE, .key = "otpm"};
    struct house h = house(&otpm, 1);
    struct cost c = anthropic(10, 700);
    struct ticket t;

    (void)state;
    dispatch_stream(&h, &t, 500);
    assert_int_equal(taken(&h, T0), 500);
    gate_produced(h.gate, &t, T0 + 10 * CLOCK_S, 300);
    assert_int_equal(taken(&h, T0 + 10 * CLOCK_S), 500);
    gate_produced(h.gate, &t, T0 + 20 * CLOCK_S, 300); /* more than was expected */
    assert_int_equal(taken(&h, T0 + 20 * CLOCK_S), 600);
    gate_close(h.gate, &t, T0 + 30 * CLOCK_S, &c);
    assert_int_equal(taken(&h, T0 + 30 * CLOCK_S), 700);
    assert_int_equal(h.b->limits[0].window.reserved, 0);
    assert_int_equal(taken(&h, T0 + 10 * CLOCK_S + MINUTE), 400);
    assert_int_equal(taken(&h, T0 + 20 * CLOCK_S + MINUTE), 100);
    assert_int_equal(taken(&h, T0 + 30 * CLOCK_S + MINUTE), 0);
    gate_free(h.gate);
}

static void test_gate__less_produced_than_was_told__is_not_charged_twice(void **state)
{
    const struct limit otpm = {.metric = METRIC_OUTPUT, .max = 1000, .span_us = MINUTE, .key = "otpm"};
    struct house h = house(&otpm, 1);
    struct cost c = anthropic(10, 150);
    struct ticket t;

    (void)state;
    dispatch_stream(&h, &t, 500);
    gate_produced(h.gate, &t, T0 + CLOCK_S, 200);
    gate_close(h.gate, &t, T0 + 2 * CLOCK_S, &c);
    assert_int_equal(taken(&h, T0 + 2 * CLOCK_S), 200);
    assert_int_equal(taken(&h, T0 + CLOCK_S + MINUTE), 0);
    gate_free(h.gate);
}

/* Of each profile: the estimate counts until the usage is known, in flight nothing is, and nothing remains.
 */
static void leave_and_correct(enum profile p, const struct cost *final, int64_t expect)
{
    const struct estimate e = {.input = 100, .expected_output = 50, .choices = 1};
    struct house h = house(&tpm, 1);
    struct gate_refusal why;
    struct gate_left left;
    struct ticket t;

    h.profile = p;
    assert_int_equal(offer_to(&h, &t, &h.b, 1, &e, T0, CLOCK_NEVER, &why), GATE_HELD);
    assert_goes(&h, &t, T0);
    gate_leave(h.gate, &t, T0 + CLOCK_S, &left);
    assert_int_equal(t.state, TICKET_IDLE);
    assert_int_equal(h.b->in_flight, 0);
    assert_int_equal(taken(&h, T0 + CLOCK_S), 150);
    assert_int_equal(h.b->limits[0].window.reserved, 0);
    gate_correct(h.gate, &left, T0 + 2 * CLOCK_S, final);
    assert_int_equal(taken(&h, T0 + 2 * CLOCK_S), expect);
    assert_int_equal(h.b->limits[0].window.open, 0);
    assert_int_equal(taken(&h, T0 + 2 * CLOCK_S + MINUTE), 0);
    gate_free(h.gate);
}

static void test_gate__usage_that_comes_later__corrects_what_was_charged(void **state)
{
    static const enum profile profiles[] = {PROFILE_ACTUAL, PROFILE_OPENAI, PROFILE_ANTHROPIC};
    const struct usage less = {.input = 100, .output = 10}, more = {.input = 100, .output = 90};

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(profiles); i++) {
        struct cost c = profile_settle(profiles[i], &(struct estimate){.choices = 1}, &less);

        leave_and_correct(profiles[i], &c, 110);
        c = profile_settle(profiles[i], &(struct estimate){.choices = 1}, &more);
        leave_and_correct(profiles[i], &c, 190);
        leave_and_correct(profiles[i], NULL, 150);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gate__story_40666_tokens_of_30000__is_refused_with_the_counted_input),
        cmocka_unit_test(
            test_gate__too_large__only_by_an_exact_count_charged_in_full_and_by_the_providers_own_estimate),
        cmocka_unit_test(test_gate__call_bigger_than_max__is_reserved_as_max_and_runs_alone),
        cmocka_unit_test(test_gate__absurd_guess_in_the_queue__refuses_nobody_behind_it),
        cmocka_unit_test(test_gate__several_budgets__give_all_or_nothing),
        cmocka_unit_test(test_gate__shared_upstream__goes_by_age_over_all_queues),
        cmocka_unit_test(test_gate__limits_of_different_spans__the_last_one_decides),
        cmocka_unit_test(test_gate__head_that_waits_for_hours__is_passed_by_what_cannot_meet_it),
        cmocka_unit_test(test_gate__smooth__keeps_requests_apart_by_the_microsecond),
        cmocka_unit_test(test_gate__call_that_is_refused_again_and_again__lets_others_go_first),
        cmocka_unit_test(test_gate__call_that_comes_back__is_before_all_that_came_later),
        cmocka_unit_test(test_gate__pause__is_never_shortened),
        cmocka_unit_test(test_gate__head_that_leaves__lets_those_behind_it_go),
        cmocka_unit_test(test_gate__head_that_a_call_in_flight_decides__is_not_starved_by_small_ones),
        cmocka_unit_test(test_gate__deadline__is_refused_on_arrival_by_the_prediction_and_to_the_microsecond),
        cmocka_unit_test(test_gate__deadline__refuses_nobody_who_could_go_at_once),
        cmocka_unit_test(test_gate__call_that_expires__is_told_its_wait_and_frees_those_behind_it_at_once),
        cmocka_unit_test(test_gate__limits_that_change__take_effect_at_once_and_keep_history_and_places),
        cmocka_unit_test(test_gate__a_million_calls_a_minute__take_bounded_memory),
        cmocka_unit_test(test_gate__ticket_of_a_finished_call__may_be_used_again),
        cmocka_unit_test(test_gate__budget_without_limits__holds_nobody),
        cmocka_unit_test(test_gate__a_place_taken_over__is_that_of_the_one_who_left),
        cmocka_unit_test(test_gate__output_as_produced__leaves_the_window_a_span_after_it_came),
        cmocka_unit_test(test_gate__less_produced_than_was_told__is_not_charged_twice),
        cmocka_unit_test(test_gate__usage_that_comes_later__corrects_what_was_charged),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
