/*
 * invariants: what design section 4 promises of the gate, over thousands of random runs. SIM_SEED=n runs one seed alone,
 * SIM_RUNS=n another number of runs.
 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "metergate/base/clock.h"
#include "traffic.h"

static uint64_t number(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);

    return text ? strtoull(text, NULL, 10) : otherwise;
}

/* A plan by the dice: which kind of traffic, how regular the times, how big the calls. */
static struct traffic_plan random_plan(uint64_t seed, int calls)
{
    static const int64_t quanta[] = {1, 1000, 250000, 1000000};
    struct rng r = {seed * 2654435761u + 12345};
    struct traffic_plan p = {.seed = seed, .calls = calls};

    p.profile = rng_chance(&r, 50) ? PROFILE_OPENAI : PROFILE_ACTUAL;
    p.honest = rng_chance(&r, 60);
    p.trouble = rng_chance(&r, 60);
    p.updates = rng_chance(&r, 25);
    p.queues = (int)rng_range(&r, 1, 3);
    p.quantum_us = quanta[rng_range(&r, 0, 3)];
    p.gap_us = rng_chance(&r, 50) ? CLOCK_S : 20 * CLOCK_S;
    p.delay_us = rng_chance(&r, 30) ? 0 : rng_chance(&r, 50) ? 50 * CLOCK_MS : 5 * CLOCK_S;
    p.duration_us = rng_chance(&r, 50) ? CLOCK_S : 90 * CLOCK_S;
    p.tokens = rng_chance(&r, 50) ? 12 : 1000;
    return p;
}

static void test_gate__any_traffic__never_over_never_idle_and_zero_at_the_end(void **state)
{
    uint64_t first = number("SIM_SEED", number("SIM_FIRST", 1)), runs = number("SIM_SEED", 0) ? 1 : number("SIM_RUNS", 4000);
    long dispatches = 0, idles = 0;

    (void)state;
    for (uint64_t seed = first; seed < first + runs; seed++) {
        struct traffic_plan plan = random_plan(seed, 18);
        struct traffic tr;

        plan.brute = true;
        traffic_init(&tr, &plan);
        traffic_run(&tr);
        dispatches += tr.dispatches;
        idles += tr.idles;
        traffic_release(&tr);
    }
    print_message("%ld dispatches and %ld idle moments of %" PRIu64 " runs, each checked against all possibilities\n",
                  dispatches, idles, runs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gate__any_traffic__never_over_never_idle_and_zero_at_the_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
