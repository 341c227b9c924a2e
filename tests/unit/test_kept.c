/*
 * kept: what a provider that charges on arrival may go on counting though less was used, and the pieces of a
 * window that it lies in.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "metergate/base/clock.h"
#include "metergate/gate/budget.h"
#include "metergate/gate/counter.h"
#include "metergate/gate/pieces.h"

#define MINUTE (60 * CLOCK_S)
#define T0     (100 * CLOCK_S)

static const struct limit tpm = {.metric = METRIC_TOKENS, .max = 10000, .span_us = MINUTE, .key = "tpm"};

/* Of which 400 are charged on arrival, for max_tokens; 100 are used. */
static const struct estimate asked = {
    .input = 50, .expected_output = 50, .max_output = 400, .choices = 1, .exact = true};
static const struct usage used = {.input = 50, .output = 50};

struct call {
    struct charge ch[1];
};

static void goes(struct budget *b, struct call *c, int64_t now_us)
{
    const struct cost cost = profile_reserve(PROFILE_OPENAI, &asked);

    budget_advance(b, now_us);
    budget_open(b, &cost, now_us, c->ch);
    charge_time(c->ch, now_us);
}

/* The head of its answer says that so much is left. */
static void says(struct budget *b, struct call *c, int64_t remaining, bool refused, int64_t now_us)
{
    const struct counter counter = {.metric = METRIC_TOKENS, .remaining = remaining, .reset_us = -1};
    const struct counter_source from = {.charges = c->ch, .charge_count = 1, .refused = refused};

    (void)counter_correct(b, &from, &counter, 1, now_us);
}

static void ends(struct budget *b, struct call *c, int64_t now_us)
{
    const struct cost final = profile_settle(PROFILE_OPENAI, &asked, &used);

    charge_close(c->ch, &final, now_us);
    budget_leave(b);
}

/* One call after another, a tenth of a second each; the provider counts `each` of every one, and refills all
 * the time. */
static int64_t play(struct budget *b, int calls, int64_t each, int64_t now_us)
{
    int64_t debt = 0;

    for (int i = 0; i < calls; i++) {
        struct call c;

        goes(b, &c, now_us);
        debt = debt > 16 ? debt - 16 : 0; /* 10,000 a minute */
        says(b, &c, 10000 - debt - 400, false, now_us + 50 * CLOCK_MS);
        ends(b, &c, now_us + 60 * CLOCK_MS);
        debt += each;
        now_us += 100 * CLOCK_MS;
    }
    budget_advance(b, now_us);
    return b->limits[0].window.used;
}

static void test_kept__provider_that_tells_no_counters__is_taken_to_give_back(void **state)
{
    struct budget *b = budget_new("model", 0, &tpm, 1);
    struct call c;

    (void)state;
    goes(b, &c, T0);
    assert_int_equal(b->limits[0].window.used, 400);
    ends(b, &c, T0 + CLOCK_S);
    assert_int_equal(b->limits[0].window.used, 100);
    budget_free(b);
}

static void test_kept__counters_are_told__the_charge_stays_and_leaves_with_its_moment(void **state)
{
    struct budget *b = budget_new("model", 0, &tpm, 1);
    struct call c;

    (void)state;
    goes(b, &c, T0);
    says(b, &c, 9600, false, T0 + CLOCK_S / 2);
    ends(b, &c, T0 + CLOCK_S);
    assert_int_equal(b->limits[0].window.used, 400);
    assert_int_equal(budget_ours(&b->limits[0]), 100);
    budget_advance(b, T0 + MINUTE - 1);
    assert_int_equal(b->limits[0].window.used, 400);
    budget_advance(b, T0 + MINUTE);
    assert_int_equal(b->limits[0].window.used, 0);
    budget_free(b);
}

static void test_kept__counter_that_refills_all_the_time__does_not_look_like_giving_back(void **state)
{
    struct budget *b = budget_new("model", 0, &tpm, 1);

    (void)state;
    assert_int_equal(play(b, 20, 400, T0), 20 * 400);
    budget_free(b);
}

static void test_kept__counter_that_gave_back__gives_all_back(void **state)
{
    struct budget *b = budget_new("model", 0, &tpm, 1);

    (void)state;
    assert_int_equal(play(b, 20, 100, T0), 20 * 100);
    budget_free(b);
}

static void test_kept__refusal__ends_the_trust(void **state)
{
    struct budget *b = budget_new("model", 0, &tpm, 1);
    struct call c;

    (void)state;
    (void)play(b, 20, 100, T0);
    goes(b, &c, T0 + 2 * MINUTE);
    says(b, &c, 0, true, T0 + 2 * MINUTE + 1);
    charge_close(c.ch, &(struct cost){.on_arrival = {[METRIC_REQUESTS] = 1}}, T0 + 2 * MINUTE + 2);
    budget_leave(b);
    goes(b, &c, T0 + 4 * MINUTE);
    says(b, &c, 9600, false, T0 + 4 * MINUTE + 1);
    ends(b, &c, T0 + 4 * MINUTE + 2);
    assert_int_equal(b->limits[0].window.used, 400);
    budget_free(b);
}

static void test_pieces__of_one_slot__leave_together_and_late_by_a_slot_at_most(void **state)
{
    static struct pieces p;
    struct window w;
    uint64_t handle;

    (void)state;
    p = (struct pieces){0};
    window_init(&w, MINUTE);
    handle = window_stamp_open(&w, 0, 10);
    (void)window_stamp_open(&w, CLOCK_S, 10);
    pieces_add_to(&p, &w, handle, 0, CLOCK_S, 5);
    pieces_add(&p, &w, CLOCK_S, 7);
    assert_int_equal(w.used, 32);
    window_advance(&w, MINUTE);
    assert_int_equal(w.used, 22); /* the 5 went on with the 7 */
    window_advance(&w, MINUTE + CLOCK_S);
    assert_int_equal(w.used, 0);
    window_release(&w);
}

static void test_pieces__a_thousand_of_a_span__are_bounded_and_sum_up(void **state)
{
    static struct pieces p;
    int64_t now_us = 0, left;
    struct window w;

    (void)state;
    p = (struct pieces){0};
    window_init(&w, MINUTE);
    for (int i = 0; i < 10000; i++) {
        now_us += MINUTE / 1000;
        window_advance(&w, now_us);
        pieces_add(&p, &w, now_us, 1);
        assert_true(p.n <= PIECES_MAX);
        assert_int_equal(pieces_sum(&p, &w), w.used);
        assert_true(i < 2000 || (w.used >= 999 && w.used <= 1000 + 2 * 1000 / PIECES_SLOTS));
    }
    assert_int_equal(pieces_take(&p, &w, INT64_MAX, 300), 300);
    assert_int_equal(pieces_sum(&p, &w), w.used);
    assert_int_equal(pieces_take(&p, &w, 0, 300), 0); /* nothing was known before the beginning */
    left = w.used;
    assert_int_equal(pieces_take(&p, &w, INT64_MAX, INT64_MAX), left);
    assert_int_equal(w.used, 0);
    window_release(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kept__provider_that_tells_no_counters__is_taken_to_give_back),
        cmocka_unit_test(test_kept__counters_are_told__the_charge_stays_and_leaves_with_its_moment),
        cmocka_unit_test(test_kept__counter_that_refills_all_the_time__does_not_look_like_giving_back),
        cmocka_unit_test(test_kept__counter_that_gave_back__gives_all_back),
        cmocka_unit_test(test_kept__refusal__ends_the_trust),
        cmocka_unit_test(test_pieces__of_one_slot__leave_together_and_late_by_a_slot_at_most),
        cmocka_unit_test(test_pieces__a_thousand_of_a_span__are_bounded_and_sum_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
