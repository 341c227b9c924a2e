/*
 * invariants: what docs/architecture.md promises of the gate, over thousands of random runs. SIM_SEED=n runs
 * one seed alone, SIM_RUNS=n another number of runs.
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
    static const enum profile profiles[] = {PROFILE_OPENAI, PROFILE_ACTUAL, PROFILE_ANTHROPIC, PROFILE_AZURE,
                                            PROFILE_GEMINI};
    struct rng r = {seed * 2654435761u + 12345};
    struct traffic_plan p = {.seed = seed, .calls = calls};

    p.profile = profiles[rng_range(&r, 0, MG_ARRAY_LEN(profiles) - 1)];
    p.honest = rng_chance(&r, 60);
    p.trouble = rng_chance(&r, 60);
    p.updates = rng_chance(&r, 25);
    p.queues = (int)rng_range(&r, 1, 3);
    p.quantum_us = quanta[rng_range(&r, 0, 3)];
    p.gap_us = rng_chance(&r, 50) ? CLOCK_S : 20 * CLOCK_S;
    p.delay_us = rng_chance(&r, 30) ? 0 : rng_chance(&r, 50) ? 50 * CLOCK_MS : 5 * CLOCK_S;
    p.duration_us = rng_chance(&r, 50) ? CLOCK_S : 90 * CLOCK_S;
    p.tokens = rng_chance(&r, 50) ? 12 : 1000;
    p.clients = (int)rng_range(&r, 0, 4);
    p.classes = p.clients > 1 && rng_chance(&r, 50);
    p.apart = p.classes; /* whom a head that leaves room to others bars, the oracle cannot tell */
    return p;
}

static void test_gate__any_traffic__never_over_never_idle_and_zero_at_the_end(void **state)
{
    uint64_t first = number("SIM_SEED", number("SIM_FIRST", 1)),
             runs = number("SIM_SEED", 0) ? 1 : number("SIM_RUNS", 10000);
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
    print_message("%ld dispatches and %ld idle moments of %" PRIu64
                  " runs, each checked against all possibilities\n",
                  dispatches, idles, runs);
}

static void test_gate__longer_traffic__the_same_without_trying_every_moment(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 30; seed++) {
        struct traffic_plan plan = random_plan(seed, 250);
        struct traffic tr;

        traffic_init(&tr, &plan);
        traffic_run(&tr);
        traffic_release(&tr);
    }
}

/* No call is bigger than any limit, so that no reservation is cut and nothing is corrected upwards. */
static void halve(struct traffic *tr)
{
    for (int i = 0; i < tr->plan.calls; i++) {
        struct estimate *e = &tr->calls[i].estimate;

        e->input = (e->input + 1) / 2;
        e->expected_output /= 2;
        e->characters = 0;
        e->max_output = 0;
    }
}

/* ---- the head's promise ---- */

static void keep_promises(struct traffic *tr)
{
    for (int q = 0; q < tr->plan.queues; q++) {
        struct traffic_call *head = traffic_head(tr, tr->queues[q]);
        int64_t at_us = head ? gate_next_dispatch_us(tr->gate, tr->queues[q], tr->now_us) : CLOCK_NEVER;

        if (at_us < CLOCK_NEVER && (head->promised_us == 0 || at_us < head->promised_us))
            head->promised_us = at_us;
    }
}

static void check_promise(struct traffic *tr, struct traffic_call *c)
{
    long *promises = tr->ctx;

    if (c->promised_us == 0)
        return;
    ++*promises;
    if (tr->now_us > c->promised_us && !tr->plan.classes)
        traffic_fail(tr, "a head goes %" PRId64 " us after the moment it was promised",
                     tr->now_us - c->promised_us);
}

/* Whatever passes it, whatever ends when: it goes at the earliest moment that it was ever told, or before. */
static void test_gate__head_of_a_queue__is_never_delayed_by_those_that_pass_it(void **state)
{
    long promises = 0;

    (void)state;
    for (uint64_t seed = 1; seed <= 600; seed++) {
        struct traffic_plan plan = random_plan(seed, 60);
        struct traffic tr;

        plan.trouble = plan.updates = false;
        plan.honest = plan.apart = true;
        traffic_init(&tr, &plan);
        halve(&tr);
        tr.on_turn = keep_promises;
        tr.on_dispatch = check_promise;
        tr.ctx = &promises;
        traffic_run(&tr);
        traffic_release(&tr);
    }
    print_message("%ld promises kept\n", promises);
}

/* ---- a full queue ---- */

struct batch {
    double fill;     /* of the limit's window, on average, from the first start to the last */
    double makespan; /* the last start over the packing bound: whole spans that the tokens need, but one */
};

/* Calls that are all there from the start, against 30,000 tokens a minute and no headroom. */
static struct batch run_batch(uint64_t seed, int calls, int64_t least, int64_t most)
{
    const struct limit limit = {.metric = METRIC_TOKENS, .max = 30000, .span_us = 60 * CLOCK_S, .key = "tpm"};
    const struct traffic_plan plan = {.seed = seed,
                                      .calls = calls,
                                      .profile = PROFILE_OPENAI,
                                      .honest = true,
                                      .exact = true,
                                      .apart = true,
                                      .queues = 1,
                                      .quantum_us = 1,
                                      .tokens = most,
                                      .duration_us = 5 * CLOCK_S};
    struct rng r = {seed};
    struct batch result = {0};
    struct traffic tr;
    int64_t start_us, bound_us, total = 0, last_us = 0;

    traffic_init_limits(&tr, &plan, &limit, 1);
    start_us = tr.now_us;
    for (int i = 0; i < calls; i++) {
        tr.calls[i].estimate =
            (struct estimate){.input = rng_range(&r, least, most), .choices = 1, .exact = true};
        total += tr.calls[i].estimate.input;
    }
    traffic_run(&tr);
    for (int i = 0; i < calls; i++) {
        if (tr.calls[i].start_us - start_us > last_us)
            last_us = tr.calls[i].start_us - start_us;
    }
    for (int i = 0; i < calls; i++) {
        int64_t inside_us = last_us - (tr.calls[i].start_us - start_us);

        if (inside_us > limit.span_us)
            inside_us = limit.span_us;
        result.fill += (double)tr.calls[i].estimate.input * (double)inside_us;
    }
    result.fill /= (double)limit.max * (double)last_us;
    bound_us = (total - 1) / limit.max * limit.span_us;
    result.makespan = (double)last_us / (double)bound_us;
    traffic_release(&tr);
    return result;
}

static void worst_batch(const char *what, int calls, int64_t least, int64_t most, double fill,
                        double makespan)
{
    struct batch worst = {.fill = 2};

    for (uint64_t seed = 1; seed <= 8; seed++) {
        struct batch b = run_batch(seed, calls, least, most);

        if (b.fill < worst.fill)
            worst.fill = b.fill;
        if (b.makespan > worst.makespan)
            worst.makespan = b.makespan;
    }
    print_message("%s: the limit is %.2f %% full at the least, makespan at most %.4f of the packing bound\n",
                  what, 100 * worst.fill, worst.makespan);
    assert_true(worst.fill >= fill);
    assert_true(worst.makespan <= makespan);
}

static void test_gate__full_queue_of_small_calls__uses_99_percent_and_ends_within_2_percent(void **state)
{
    (void)state;
    worst_batch("calls of at most 1 % of the limit", 2000, 20, 300, 0.99, 1.02);
}

static void test_gate__full_queue_of_mixed_sizes__ends_within_5_percent(void **state)
{
    (void)state;
    worst_batch("calls of 0.1 % to 10 %", 600, 30, 3000, 0.97, 1.05);
    worst_batch("calls of 0.1 % to 25 %", 400, 30, 7500, 0.95, 1.05);
}

/* ---- fair shares ---- */

enum { SHARERS = 4, SHARED_CALLS = 400 };

/* How far any client was from its share of what all had, in largest calls, while all of them waited. */
struct shares {
    int64_t had[SHARERS], largest, waiting[SHARERS];
    double worst;
};

static int sharer_of(const struct traffic *tr, const struct traffic_call *c)
{
    return (int)((const struct traffic_call *)c->ticket.client - tr->calls) % SHARERS;
}

static void take_share(struct traffic *tr, struct traffic_call *c)
{
    struct shares *s = tr->ctx;
    int64_t all = 0, weights = 0;
    int who = sharer_of(tr, c);

    if (s->waiting[who]-- == 0)
        return;
    for (int i = 0; i < SHARERS; i++) {
        if (s->waiting[i] <= 0)
            return; /* from here on not all of them wait */
    }
    s->had[who] += cost_total(&c->ticket.cost, METRIC_TOKENS);
    for (int i = 0; i < SHARERS; i++) {
        all += s->had[i];
        weights += 1 + i;
    }
    for (int i = 0; i < SHARERS; i++) {
        double off = (double)s->had[i] - (double)all * (1 + i) / (double)weights;

        off = (off < 0 ? -off : off) / (double)s->largest;
        if (off > s->worst)
            s->worst = off;
    }
}

static double worst_share(bool backfill)
{
    double worst = 0;

    for (uint64_t seed = 1; seed <= 100; seed++) {
        const struct limit limit = {.metric = METRIC_TOKENS, .max = 10000, .span_us = 60 * CLOCK_S};
        const struct traffic_plan plan = {.seed = seed,
                                          .calls = SHARED_CALLS,
                                          .profile = PROFILE_OPENAI,
                                          .exact = true,
                                          .apart = true,
                                          .queues = 1,
                                          .quantum_us = 1,
                                          .tokens = 1000,
                                          .duration_us = 5 * CLOCK_S};
        struct shares s = {.largest = 1000};
        struct traffic tr;

        traffic_init_limits(&tr, &plan, &limit, 1);
        tr.sharers = SHARERS;
        gate_set_policy(tr.gate, &(struct gate_policy){.no_backfill = !backfill});
        for (int i = 0; i < SHARED_CALLS; i++) {
            struct estimate *e = &tr.calls[i].estimate;

            *e = (struct estimate){.input = rng_range(&tr.rng, 1, 1000), .choices = 1, .exact = true};
            s.waiting[i % SHARERS]++;
        }
        tr.on_dispatch = take_share;
        tr.ctx = &s;
        traffic_run(&tr);
        worst = s.worst > worst ? s.worst : worst;
        traffic_release(&tr);
    }
    return worst;
}

static void test_gate__clients_that_always_wait__have_their_shares_within_one_largest_call(void **state)
{
    double strict = worst_share(false), filled = worst_share(true);

    (void)state;
    print_message(
        "weights 1 to 4: at most %.2f largest calls from a client's share; %.2f where small calls pass\n",
        strict, filled);
    assert_true(strict <= 1);
    assert_true(filled <= 1.25); /* and one that was let pass, which its client pays back */
}

/* ---- predictions ---- */

struct score {
    bool taken;
    long calls, bounded;
    double waited_s, error_s, late_s;
};

/* As soon as the last call has come: when will each one start? */
static void ask(struct traffic *tr)
{
    struct score *score = tr->ctx;

    if (score->taken || tr->arrived < tr->plan.calls)
        return;
    score->taken = true;
    for (int i = 0; i < tr->plan.calls; i++) {
        struct traffic_call *c = &tr->calls[i];

        if (c->ticket.state != TICKET_HELD)
            continue;
        c->predicted = gate_predict(tr->gate, &c->ticket, tr->now_us);
        c->promised_us = tr->now_us; /* when it was asked */
    }
}

static void judge(struct traffic *tr, struct traffic_call *c)
{
    struct score *score = tr->ctx;
    int64_t late_us = tr->now_us - c->predicted.start_us;

    if (c->promised_us == 0)
        return;
    score->calls++;
    score->bounded += c->predicted.slack_us < CLOCK_NEVER;
    score->waited_s += (double)(tr->now_us - c->promised_us) / CLOCK_S;
    score->error_s += (double)(late_us < 0 ? -late_us : late_us) / CLOCK_S;
    score->late_s += (double)late_us / CLOCK_S;
    if (late_us > c->predicted.slack_us)
        traffic_fail(tr, "a call starts %" PRId64 " us after its prediction, which allowed %" PRId64, late_us,
                     c->predicted.slack_us);
}

static void test_gate__predicted_starts__are_never_early_by_more_than_they_say(void **state)
{
    struct score score = {0};

    (void)state;
    for (uint64_t seed = 1; seed <= 800; seed++) {
        struct traffic_plan plan = random_plan(seed, 40);
        struct traffic tr;

        plan.trouble = plan.updates = false;
        plan.honest = plan.apart = true;
        plan.exact = seed % 2 == 0;
        plan.profile = PROFILE_OPENAI;
        plan.gap_us = CLOCK_S;
        plan.delay_us = 0;
        score.taken = false;
        traffic_init(&tr, &plan);
        halve(&tr);
        tr.on_turn = ask;
        tr.on_dispatch = judge;
        tr.ctx = &score;
        traffic_run(&tr);
        traffic_release(&tr);
    }
    print_message(
        "%ld predictions, %ld with a bound: waits of %.1f s on average, %.1f s off (%+.1f s late)\n",
        score.calls, score.bounded, score.waited_s / (double)score.calls, score.error_s / (double)score.calls,
        score.late_s / (double)score.calls);
    assert_true(score.bounded > score.calls / 3); /* those who leave room to others name none */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gate__any_traffic__never_over_never_idle_and_zero_at_the_end),
        cmocka_unit_test(test_gate__longer_traffic__the_same_without_trying_every_moment),
        cmocka_unit_test(test_gate__head_of_a_queue__is_never_delayed_by_those_that_pass_it),
        cmocka_unit_test(test_gate__full_queue_of_small_calls__uses_99_percent_and_ends_within_2_percent),
        cmocka_unit_test(test_gate__full_queue_of_mixed_sizes__ends_within_5_percent),
        cmocka_unit_test(test_gate__clients_that_always_wait__have_their_shares_within_one_largest_call),
        cmocka_unit_test(test_gate__predicted_starts__are_never_early_by_more_than_they_say),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
