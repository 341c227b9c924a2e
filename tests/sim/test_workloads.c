/*
 * workloads: the bars of docs/scheduling.md, asserted; and what must hold under whatever policy, in all
 * workloads of the catalogue. `make sim` prints the figures.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "bars.h"
#include "catalogue.h"
#include "measure.h"
#include "metergate/base/clock.h"
#include "metergate/base/err.h"

enum { SEEDS = 8 };

static void reach_bars_of(const char *workload)
{
    struct figures f;
    int missed = 0, asserted = 0;

    measure(catalogue_find(workload), &catalogue_contenders[FAIR].policy, SEEDS, &f);
    assert_int_equal(f.violations, 0);
    for (size_t i = 0; i < bars_count; i++) {
        const struct bar *b = &bars[i];
        double reached = b->of(&f);

        if (strcmp(b->workload, workload) != 0)
            continue;
        asserted++;
        if (bar_is_met(b, reached))
            continue;
        missed++;
        print_error("%s: %s is %g %s, and should be %s %g\n", workload, b->what, reached, b->unit,
                    b->at_least ? "at least" : "at most", b->bar);
    }
    assert_true(asserted > 0);
    assert_int_equal(missed, 0);
}

static void test_fair__one_batch_alone__pays_nothing(void **state)
{
    (void)state;
    reach_bars_of("W1");
    reach_bars_of("W9");
}

static void test_fair__high_calls_beside_a_batch__wait_seconds(void **state)
{
    (void)state;
    reach_bars_of("W2q");
    reach_bars_of("W2");
    reach_bars_of("W10");
}

static void test_fair__first_high_call__is_expected(void **state)
{
    (void)state;
    reach_bars_of("W11");
}

static void test_fair__agents_and_batches__agents_wait_seconds(void **state)
{
    (void)state;
    reach_bars_of("W4");
}

static void test_fair__clients_with_other_sizes__get_the_same(void **state)
{
    (void)state;
    reach_bars_of("W3");
    reach_bars_of("weights");
}

static void test_fair__a_large_limit__high_calls_hardly_wait(void **state)
{
    (void)state;
    reach_bars_of("W6");
    reach_bars_of("W6r");
}

static void test_fair__huge_calls__have_their_turn(void **state)
{
    (void)state;
    reach_bars_of("W5b");
    reach_bars_of("W8");
}

/* Whatever is wrong with estimates, providers and clients, and whatever the policy. */
static void test_gate__every_workload_and_policy__never_lets_go_without_room(void **state)
{
    (void)state;
    for (size_t i = 0; i < catalogue_tuned_count + catalogue_untuned_count; i++) {
        const struct workload *w = i < catalogue_tuned_count ? &catalogue_tuned[i]
                                                             : &catalogue_untuned[i - catalogue_tuned_count];

        for (int c = 0; c < CONTENDERS; c++) {
            struct figures f;

            measure(w, &catalogue_contenders[c].policy, 1, &f);
            if (f.violations > 0)
                print_error("%s, %s: %ld\n", w->name, catalogue_contenders[c].name, f.violations);
            assert_int_equal(f.violations, 0);
        }
    }
}

/* ---- clients that always wait ---- */

/* A few clients of any sizes and of weights up to `heaviest`, with or without a high one beside them, for
 * an hour. */
static void random_clients(uint64_t seed, int64_t heaviest, struct workload *ret)
{
    static const int64_t weights[] = {1, 1, 1, 2, 3, 5, 10, 100, 1000};
    struct rng r = {seed * 2654435761u};
    int n = (int)rng_range(&r, 2, 6);

    *ret = (struct workload){.name = "random", .profile = PROFILE_OPENAI, .for_s = 3600};
    ret->pools[0] = (struct pool){.name = "model", .expected = rng_chance(&r, 50) ? 1u << TICKET_HIGH : 0};
    ret->pools[0].limits[0] = (struct limit){.metric = METRIC_TOKENS, .max = 30000, .span_us = 60 * CLOCK_S};
    for (int i = 0; i < n; i++) {
        int64_t weight = weights[rng_range(&r, 0, MG_ARRAY_LEN(weights) - 1)];

        ret->streams[i] = (struct stream){.name = "client",
                                          .class = TICKET_NORMAL,
                                          .weight = weight < heaviest ? weight : heaviest,
                                          .pattern = STEADY,
                                          .calls = (int)rng_range(&r, 2, 20),
                                          .tokens = LOGNORMAL(rng_range(&r, 100, 3000), 0.8),
                                          .answer = BETWEEN(1000, 30000)};
    }
    if (rng_chance(&r, 50)) {
        ret->streams[n] = (struct stream){.name = "high",
                                          .class = TICKET_HIGH,
                                          .pattern = POISSON,
                                          .every_s = (double)rng_range(&r, 6, 60),
                                          .tokens = ALWAYS(1500),
                                          .answer = ALWAYS(5000)};
    }
}

/* How far any client gets from its share, over any time, in largest calls of any. */
static void share_among(int contender, int64_t heaviest, double most)
{
    double worst = 0, sum = 0;
    int runs = 0;

    for (uint64_t seed = 1; seed <= 300; seed++) {
        struct workload w;
        struct figures f;

        random_clients(seed, heaviest, &w);
        measure(&w, &catalogue_contenders[contender].policy, 1, &f);
        assert_int_equal(f.violations, 0);
        if (f.gap > worst)
            worst = f.gap;
        if (f.gap > most)
            print_error("seed %d: %.2f\n", (int)seed, f.gap);
        sum += f.gap;
        runs += f.gap > 0;
    }
    print_message("%d runs, weights to %d: off their shares by %.2f largest calls, %.2f at the worst\n", runs,
                  (int)heaviest, sum / runs, worst);
    assert_true(runs > 150);
    assert_true(worst <= most);
}

static void test_fair__clients_that_always_wait__get_their_shares(void **state)
{
    (void)state;
    share_among(FAIR, 10, 1.5);
}

/* What the comparison stands on: these are the figures of two policies that are known. */
static void test_fifo__a_batch_alone__is_as_simulated_before(void **state)
{
    struct figures f;

    (void)state;
    measure(catalogue_find("W1"), &catalogue_contenders[FIFO_EASY].policy, SEEDS, &f);
    assert_true(f.makespan <= 1.01 && f.util >= 99.5 && f.late_s <= 0);
    measure(catalogue_find("W1"), &catalogue_contenders[FIFO].policy, SEEDS, &f);
    assert_true(f.makespan >= 1.03 && f.makespan <= 1.07 && f.util <= 96.5);
    measure(catalogue_find("W2q"), &catalogue_contenders[FAIR_UNPACED].policy, SEEDS, &f);
    assert_true(f.util >= 99.5 && f.classes[TICKET_HIGH].p95_s >= 54 && f.classes[TICKET_HIGH].max_s <= 61);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fifo__a_batch_alone__is_as_simulated_before),
        cmocka_unit_test(test_fair__one_batch_alone__pays_nothing),
        cmocka_unit_test(test_fair__high_calls_beside_a_batch__wait_seconds),
        cmocka_unit_test(test_fair__first_high_call__is_expected),
        cmocka_unit_test(test_fair__agents_and_batches__agents_wait_seconds),
        cmocka_unit_test(test_fair__clients_with_other_sizes__get_the_same),
        cmocka_unit_test(test_fair__a_large_limit__high_calls_hardly_wait),
        cmocka_unit_test(test_fair__huge_calls__have_their_turn),
        cmocka_unit_test(test_fair__clients_that_always_wait__get_their_shares),
        cmocka_unit_test(test_gate__every_workload_and_policy__never_lets_go_without_room),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
