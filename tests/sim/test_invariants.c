/*
 * invariants: what must hold for any traffic (docs/architecture.md), over thousands of random worlds. A failure prints its
 * seed; `test_invariants SEED` plays that world alone.
 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "metergate/base/clock.h"
#include "world.h"

#define MINUTE (60 * CLOCK_S)
#define DAY    (86400 * CLOCK_S)

static const struct limit some_limits[][3] = {
    {{METRIC_TOKENS, 1000, MINUTE, false, "tpm"}},
    {{METRIC_TOKENS, 1000, MINUTE, false, "tpm"}, {METRIC_REQUESTS, 5, MINUTE, false, "rpm"}},
    {{METRIC_INPUT, 700, MINUTE, false, "itpm"}, {METRIC_OUTPUT, 300, MINUTE, false, "otpm"}},
    {{METRIC_TOKENS, 800, 10 * CLOCK_S, false, "tpm"}, {METRIC_TOKENS, 4000, 5 * MINUTE, false, "tpd"}, {METRIC_REQUESTS, 40, DAY, false, "rpd"}},
    {{METRIC_CONCURRENT, 3, 0, false, "concurrent"}, {METRIC_TOKENS, 900, MINUTE, false, "tpm"}},
};

static void random_budgets(struct world *w)
{
    static const struct limit shared = {METRIC_CONCURRENT, 6, 0, false, "concurrent"};

    world_budget(w, WORLD_SHARED, "upstream", 0, &shared, world_random(w) % 2);
    for (int b = 1; b < WORLD_BUDGETS; b++) {
        const struct limit *limits = some_limits[world_random(w) % MG_ARRAY_LEN(some_limits)];
        size_t n = limits[2].max ? 3 : limits[1].max ? 2 : 1;

        world_budget(w, b, "model", (int)(world_random(w) % 3) * 100, limits, n);
    }
}

/* Estimates at or above the truth, unless `wrong`. */
static void random_arrival(struct world *w, int64_t largest, bool wrong, int64_t max_wait_us)
{
    enum profile profile = world_random(w) % 2 ? PROFILE_ACTUAL : PROFILE_OPENAI;
    struct estimate e = {.choices = 1, .exact = world_random(w) % 2};
    struct usage truth;
    struct actor *a;

    e.input = world_between(w, 1, largest);
    e.expected_output = world_between(w, 0, largest / 2);
    truth = (struct usage){.input = world_between(w, 0, e.input), .output = world_between(w, 0, e.expected_output)};
    if (wrong)
        truth.output = world_between(w, 0, 2 * largest);
    a = world_arrive(w, 1 + (int)(world_random(w) % (WORLD_BUDGETS - 1)), profile, &e, &truth, max_wait_us);
    a->refusals_left = wrong && world_random(w) % 4 == 0 ? 1 : 0;
}

static void step(struct world *w)
{
    int64_t next = world_next(w), to = w->now_us + world_between(w, 0, 8 * CLOCK_S);

    world_advance(w, next > w->now_us && next < to ? next : to);
}

/* ---- 1: never over, and 4: everything returns to zero ----------------------------------------------------------------- */

static void play(uint64_t seed, int calls, int64_t largest, bool rough)
{
    struct world w;

    world_init(&w, seed);
    random_budgets(&w);
    w.latency_us = world_random(&w) % 2 ? 3 * CLOCK_S : 0;
    w.check_conserving = calls <= 40;
    for (int i = 0; i < calls; i++) {
        int64_t max_wait = rough && world_random(&w) % 5 == 0 ? world_between(&w, 0, 90 * CLOCK_S) : DAY;

        random_arrival(&w, largest, rough, max_wait);
        if (rough && world_random(&w) % 6 == 0) {
            struct actor *a = &w.actors[world_random(&w) % (uint64_t)w.actor_count];

            if (!a->over)
                world_cancel(&w, a);
        }
        world_turn(&w);
        while (world_random(&w) % 3)
            step(&w);
    }
    world_run_out(&w);
    world_assert_empty(&w);
    if (!rough)
        world_assert_provider_never_over(&w);
    world_release(&w);
}

static void test_random_traffic__right_estimates__never_passes_the_limit_in_any_span(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 400; seed++)
        play(seed, 30, 120, false);
    for (uint64_t seed = 1; seed <= 20; seed++)
        play(seed, 400, 60, false);
}

static void test_random_traffic__wrong_estimates_refusals_and_leavers__never_dispatches_over_and_ends_at_zero(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 800; seed++)
        play(seed, 30, 400, true);
    for (uint64_t seed = 1; seed <= 20; seed++)
        play(seed, 400, 200, true);
}

static void test_random_traffic__calls_bigger_than_their_limits__still_all_run(void **state)
{
    (void)state;
    for (uint64_t seed = 5000; seed <= 5300; seed++)
        play(seed, 20, 3000, true);
}

/* ---- 2: nothing idles ------------------------------------------------------------------------------------------------- */

struct batch {
    double makespan_s, bound_s, used;
};

/* A batch that is there from the start; sizes from low to high, at headroom 0. */
static struct batch run_batch(uint64_t seed, int calls, int64_t low, int64_t high, int64_t limit_max)
{
    const struct limit limit = {METRIC_TOKENS, limit_max, MINUTE, false, "tpm"};
    struct batch r = {0};
    struct world w;
    int64_t total = 0, last = 0, before_last = 0, spans;

    world_init(&w, seed);
    world_budget(&w, 1, "model", 0, &limit, 1);
    for (int i = 0; i < calls; i++) {
        struct estimate e = {.input = world_between(&w, low, high), .choices = 1, .exact = true};
        struct usage truth = {.input = e.input};

        world_arrive(&w, 1, PROFILE_OPENAI, &e, &truth, 30 * DAY);
        total += e.input;
    }
    world_turn(&w);
    world_run_out(&w);
    for (int i = 0; i < calls; i++) {
        if (w.actors[i].started_first_us > last)
            last = w.actors[i].started_first_us;
    }
    for (int i = 0; i < calls; i++)
        before_last += w.actors[i].started_first_us < last ? w.actors[i].estimate.input : 0;
    spans = (total + limit_max - 1) / limit_max - 1;
    r.makespan_s = (double)(last - 1000000) / CLOCK_S;
    r.bound_s = 60 * (double)spans;
    /* the last calls do not fill their span: what counts is the time until they go */
    r.used = (double)before_last / ((double)limit_max * (double)(last - 1000000) / (double)MINUTE);
    world_assert_empty(&w);
    world_release(&w);
    return r;
}

static void test_saturated__small_calls__use_99_percent_of_the_limit(void **state)
{
    double worst = 0;

    (void)state;
    for (uint64_t seed = 1; seed <= 8; seed++) {
        struct batch r = run_batch(seed, 2000, 100, 300, 30000);

        if (r.makespan_s / r.bound_s > worst)
            worst = r.makespan_s / r.bound_s;
        if (r.used < 0.99)
            fail_msg("seed %" PRIu64 ": %.4f used", seed, r.used);
    }
    printf("calls of at most 1 %% of the limit: makespan at most %.4f of the packing bound\n", worst);
    assert_true(worst <= 1.02);
}

static void test_saturated__mixed_sizes__end_within_5_percent_of_the_packing_bound(void **state)
{
    double worst = 0;

    (void)state;
    for (uint64_t seed = 1; seed <= 8; seed++) {
        struct batch r = run_batch(seed, 600, 100, 3000, 30000);

        if (r.makespan_s / r.bound_s > worst)
            worst = r.makespan_s / r.bound_s;
    }
    printf("calls of 0.3 to 10 %% of the limit: makespan at most %.4f of the packing bound\n", worst);
    assert_true(worst <= 1.05);
}

/* ---- 5: predictions ----------------------------------------------------------------------------------------------------- */

static void predict(uint64_t seed, double *ret_error_s, int64_t *ret_calls)
{
    struct world w;

    world_init(&w, seed);
    for (int b = 1; b < WORLD_BUDGETS; b++) {
        const struct limit *limits = some_limits[(seed + (uint64_t)b) % 2];

        world_budget(&w, b, "model", 0, limits, limits[1].max ? 2 : 1);
    }
    for (int i = 0; i < 40; i++) {
        struct estimate e = {.input = world_between(&w, 1, 400), .choices = 1, .exact = true};
        struct usage truth = {.input = e.input};

        world_arrive(&w, 1 + (int)(world_random(&w) % (WORLD_BUDGETS - 1)), PROFILE_OPENAI, &e, &truth, DAY);
    }
    world_turn(&w);
    world_run_out(&w);
    for (int i = 0; i < w.actor_count; i++) {
        const struct actor *a = &w.actors[i];
        int64_t late = a->started_first_us - a->predicted.start_us;

        if (late > a->predicted.slack_us)
            world_fail(&w, "call %d started %.3f s after its prediction, which said %.3f", i, (double)late / CLOCK_S,
                       (double)a->predicted.slack_us / CLOCK_S);
        *ret_error_s += late < 0 ? (double)-late / CLOCK_S : (double)late / CLOCK_S;
        *ret_calls += 1;
    }
    world_release(&w);
}

static void test_predictions__without_later_arrivals__are_never_early_by_more_than_they_say(void **state)
{
    double error_s = 0;
    int64_t calls = 0;

    (void)state;
    for (uint64_t seed = 1; seed <= 300; seed++)
        predict(seed, &error_s, &calls);
    printf("predicted starts: mean error %.1f s over %" PRId64 " calls that waited up to %d minutes\n",
           error_s / (double)calls, calls, 5);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_traffic__right_estimates__never_passes_the_limit_in_any_span),
        cmocka_unit_test(test_random_traffic__wrong_estimates_refusals_and_leavers__never_dispatches_over_and_ends_at_zero),
        cmocka_unit_test(test_random_traffic__calls_bigger_than_their_limits__still_all_run),
        cmocka_unit_test(test_saturated__small_calls__use_99_percent_of_the_limit),
        cmocka_unit_test(test_saturated__mixed_sizes__end_within_5_percent_of_the_packing_bound),
        cmocka_unit_test(test_predictions__without_later_arrivals__are_never_early_by_more_than_they_say),
    };

    if (argc == 2) {
        play(strtoull(argv[1], NULL, 10), 30, 400, true);
        return 0;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
