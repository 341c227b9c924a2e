/* The simulator's accounts: who is admitted and what is charged, in virtual time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../simulator/model.h"
#include "metergate/base/clock.h"

#define MINUTE (60 * CLOCK_S)

static struct model *model_with(struct model_config config)
{
    config.limits.window_ms = 60000;
    config.limits.day_ms = 86400000;
    return model_new("m", &config);
}

static struct verdict arrive(struct model *m, int64_t input, int64_t now_us, struct claim *claim)
{
    struct demand demand = {.input = input, .chars = input * 4};

    return model_arrive(m, &demand, now_us, claim);
}

static void test_actual__output__counts_from_the_end(void **state)
{
    struct model *m = model_with((struct model_config){.limits.max[METRIC_TOKENS] = 100});
    struct claim claim, other;

    (void)state;
    assert_int_equal(arrive(m, 60, 0, &claim).kind, VERDICT_ADMITTED);
    assert_int_equal(arrive(m, 40, 1, &other).kind, VERDICT_ADMITTED);
    model_finish(m, &claim, 60, 30, 20 * CLOCK_S);
    /* 60 left at one minute, 40 a microsecond later, 30 are there until a minute after their end */
    assert_int_equal(arrive(m, 31, MINUTE, &other).kind, VERDICT_LIMITED);
    assert_int_equal(arrive(m, 70, MINUTE + 1, &other).kind, VERDICT_ADMITTED);
    assert_int_equal(arrive(m, 30, MINUTE + 20 * CLOCK_S - 1, &other).wait_us, 1);
    assert_int_equal(charges_peak(&m->limits.counted[METRIC_TOKENS], MINUTE), 130);
    model_free(m);
}

static void test_refused_for_tokens__uses__one_request(void **state)
{
    struct model *m =
        model_with((struct model_config){.limits.max[METRIC_TOKENS] = 100, .limits.max[METRIC_REQUESTS] = 2});
    struct claim claim;
    struct verdict v;

    (void)state;
    assert_int_equal(arrive(m, 100, 0, &claim).kind, VERDICT_ADMITTED);
    v = arrive(m, 1, 0, &claim);
    assert_int_equal(v.kind, VERDICT_LIMITED);
    assert_int_equal(v.metric, METRIC_TOKENS);
    v = arrive(m, 1, 1, &claim);
    assert_int_equal(v.metric, METRIC_REQUESTS);
    assert_int_equal(v.used, 2);
    assert_int_equal(m->refused, 2);
    assert_int_equal(charges_total(&m->limits.counted[METRIC_REQUESTS]), 3);
    model_free(m);
}

static void test_too_large__goes_before__what_could_wait(void **state)
{
    struct model *m =
        model_with((struct model_config){.limits.max[METRIC_TOKENS] = 100, .limits.max[METRIC_REQUESTS] = 1});
    struct claim claim;
    struct verdict v;

    (void)state;
    assert_int_equal(arrive(m, 1, 0, &claim).kind, VERDICT_ADMITTED);
    v = arrive(m, 101, 0, &claim);
    assert_int_equal(v.kind, VERDICT_TOO_LARGE);
    assert_int_equal(v.max, 100);
    assert_int_equal(v.requested, 101);
    model_free(m);
}

static void test_input_and_output__have_limits__of_their_own(void **state)
{
    struct model *m =
        model_with((struct model_config){.limits.max[METRIC_INPUT] = 100, .limits.max[METRIC_OUTPUT] = 10});
    struct claim claim, other;

    (void)state;
    assert_int_equal(arrive(m, 50, 0, &claim).kind, VERDICT_ADMITTED);
    /* output is charged as it comes, so a second one may start; together they go over */
    assert_int_equal(arrive(m, 40, 0, &other).kind, VERDICT_ADMITTED);
    model_finish(m, &claim, 50, 9, CLOCK_S);
    assert_int_equal(arrive(m, 11, CLOCK_S, &other).metric, METRIC_INPUT);
    assert_int_equal(arrive(m, 10, CLOCK_S, &other).kind, VERDICT_ADMITTED);
    model_finish(m, &other, 10, 9, 2 * CLOCK_S);
    assert_int_equal(arrive(m, 1, MINUTE, &other).metric, METRIC_OUTPUT);
    assert_int_equal(arrive(m, 1, MINUTE + CLOCK_S, &other).kind, VERDICT_ADMITTED);
    model_free(m);
}

static void test_openai__refund__keeps_the_time_of_arrival(void **state)
{
    struct model *m = model_with((struct model_config){
        .limits.max[METRIC_TOKENS] = 1000, .charging = CHARGING_OPENAI, .refund = true});
    struct demand demand = {.input = 10, .chars = 40, .max_output = 900};
    struct claim claim, other;

    (void)state;
    assert_int_equal(model_arrive(m, &demand, 0, &claim).kind, VERDICT_ADMITTED);
    assert_int_equal(claim.charged[METRIC_TOKENS], 900);
    assert_int_equal(model_arrive(m, &demand, 1, &other).kind, VERDICT_LIMITED);
    model_finish(m, &claim, 10, 50, 30 * CLOCK_S);
    assert_int_equal(model_arrive(m, &demand, 30 * CLOCK_S, &other).kind, VERDICT_ADMITTED);
    assert_int_equal(charges_total(&m->limits.counted[METRIC_TOKENS]), 960);
    demand.max_output = 100;
    assert_int_equal(model_arrive(m, &demand, MINUTE - 1, &claim).kind, VERDICT_LIMITED);
    assert_int_equal(model_arrive(m, &demand, MINUTE, &claim).kind, VERDICT_ADMITTED);
    model_free(m);
}

static void test_configure__a_new_maximum__keeps_what_was_charged(void **state)
{
    struct model *m = model_with((struct model_config){.limits.max[METRIC_TOKENS] = 100});
    struct model_config next = m->config;
    struct claim claim;

    (void)state;
    assert_int_equal(arrive(m, 80, 0, &claim).kind, VERDICT_ADMITTED);
    next.limits.max[METRIC_TOKENS] = 50;
    model_configure(m, &next);
    assert_int_equal(arrive(m, 1, 1, &claim).kind, VERDICT_LIMITED);
    next.limits.limiter = LIMITER_BUCKET;
    model_configure(m, &next);
    assert_int_equal(arrive(m, 50, 1, &claim).kind, VERDICT_ADMITTED);
    model_free(m);
}

/* ---- charging ---- */

static void test_charging__on_arrival__is_what_each_provider_takes(void **state)
{
    static const struct {
        enum charging charging;
        int64_t tokens, input;
    } rows[] = {
        {CHARGING_ACTUAL, 300, 300}, {CHARGING_GEMINI, 300, 300}, {CHARGING_GROQ, 100, 100},
        {CHARGING_AZURE, 1100, 300}, {CHARGING_OPENAI, 800, 300},
    };
    const struct demand demand = {.input = 300, .cached = 200, .chars = 1000, .max_output = 800};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct model *m = model_with((struct model_config){.charging = rows[i].charging});
        struct claim claim;

        assert_int_equal(model_arrive(m, &demand, 0, &claim).kind, VERDICT_ADMITTED);
        assert_int_equal(claim.charged[METRIC_TOKENS], rows[i].tokens);
        assert_int_equal(charges_total(&m->limits.counted[METRIC_TOKENS]), rows[i].tokens);
        assert_int_equal(charges_total(&m->limits.counted[METRIC_INPUT]), rows[i].input);
        model_free(m);
    }
}

/* openai takes the larger of characters / 4, rounded up, and max_tokens */
static void test_openai__a_long_prompt__is_estimated_by_its_characters(void **state)
{
    struct model *m = model_with((struct model_config){.charging = CHARGING_OPENAI});
    const struct demand demand = {.input = 700, .chars = 4001, .max_output = 800};
    struct claim claim;

    (void)state;
    assert_int_equal(model_arrive(m, &demand, 0, &claim).kind, VERDICT_ADMITTED);
    assert_int_equal(claim.charged[METRIC_TOKENS], 1001);
    model_free(m);
}

static void test_charging__at_the_end__is_what_each_provider_takes(void **state)
{
    static const struct {
        enum charging charging;
        bool refund;
        int64_t tokens; /* of 300 in, 200 of them cached, max_tokens 800, 50 out */
    } rows[] = {
        {CHARGING_ACTUAL, false, 350}, {CHARGING_ACTUAL, true, 350}, {CHARGING_GEMINI, false, 300},
        {CHARGING_GEMINI, true, 300},  {CHARGING_GROQ, false, 150},  {CHARGING_GROQ, true, 150},
        {CHARGING_AZURE, false, 1100}, {CHARGING_AZURE, true, 350},  {CHARGING_OPENAI, false, 800},
        {CHARGING_OPENAI, true, 350},
    };
    const struct demand demand = {.input = 300, .cached = 200, .chars = 1000, .max_output = 800};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct model *m = model_with(
            (struct model_config){.limits.max = {[METRIC_TOKENS] = 5000, [METRIC_DAY_TOKENS] = 9000},
                                  .charging = rows[i].charging,
                                  .refund = rows[i].refund});
        struct standing minute, day;
        struct claim claim;

        assert_int_equal(model_arrive(m, &demand, 0, &claim).kind, VERDICT_ADMITTED);
        model_finish(m, &claim, 300, 50, CLOCK_S);
        assert_true(model_standing(m, METRIC_TOKENS, CLOCK_S, &minute));
        assert_true(model_standing(m, METRIC_DAY_TOKENS, CLOCK_S, &day));
        assert_int_equal(5000 - minute.left, rows[i].tokens);
        assert_int_equal(9000 - day.left, rows[i].tokens);
        assert_int_equal(charges_total(&m->limits.counted[METRIC_TOKENS]), rows[i].tokens);
        assert_int_equal(charges_total(&m->limits.counted[METRIC_OUTPUT]), 50);
        model_free(m);
    }
}

/* Anthropic: buckets for input and output; output counts as it is produced and comes back all the time. */
static void test_anthropic__output__is_charged_as_produced_into_a_bucket(void **state)
{
    struct model *m = model_with((struct model_config){
        .limits.max = {[METRIC_INPUT] = 60000, [METRIC_OUTPUT] = 600}, .limits.limiter = LIMITER_BUCKET});
    struct standing s;
    struct claim claim, other;

    (void)state;
    assert_int_equal(arrive(m, 1000, 0, &claim).kind, VERDICT_ADMITTED);
    model_produce(m, &claim, 300, 0);
    model_produce(m, &claim, 300, CLOCK_S); /* nothing new */
    assert_true(model_standing(m, METRIC_OUTPUT, CLOCK_S, &s));
    assert_int_equal(s.left, 310); /* 10 a second come back */
    assert_int_equal(s.reset_us, 29 * CLOCK_S);
    model_produce(m, &claim, 610, CLOCK_S);
    /* full to the last token: nothing starts before one token is back, which takes a tenth of a second */
    assert_int_equal(arrive(m, 1, CLOCK_S, &other).metric, METRIC_OUTPUT);
    assert_int_equal(arrive(m, 1, CLOCK_S, &other).wait_us, CLOCK_S / 10);
    assert_int_equal(arrive(m, 1, CLOCK_S + CLOCK_S / 10 - 1, &other).kind, VERDICT_LIMITED);
    assert_int_equal(arrive(m, 1, CLOCK_S + CLOCK_S / 10, &other).kind, VERDICT_ADMITTED);
    model_finish(m, &claim, 1000, 610, 2 * CLOCK_S);
    assert_int_equal(charges_total(&m->limits.counted[METRIC_OUTPUT]), 610);
    assert_int_equal(charges_peak(&m->limits.counted[METRIC_OUTPUT], CLOCK_S), 310); /* (0, 1 s] */
    model_free(m);
}

/* "Limit 30000, Used 29937, Requested 385. Please try again in 644ms": with a use that is not whole */
static void test_bucket__the_wait__follows_from_what_the_message_says(void **state)
{
    struct model *m = model_with(
        (struct model_config){.limits.max[METRIC_TOKENS] = 30000, .limits.limiter = LIMITER_BUCKET});
    struct claim claim;
    struct verdict v;

    (void)state;
    assert_int_equal(arrive(m, 29937, 0, &claim).kind, VERDICT_ADMITTED);
    v = arrive(m, 385, 1500, &claim); /* three quarters of a token have come back */
    assert_int_equal(v.used, 29937);
    assert_int_equal(v.wait_us, 644 * CLOCK_MS);
    assert_int_equal(arrive(m, 385, 1500 + v.wait_us, &claim).kind, VERDICT_ADMITTED);
    model_free(m);
}

/* ---- days, calls in flight, pools ---- */

static void test_a_day__has_limits_of_its_own__as_long_as_is_said(void **state)
{
    struct model_config config = {
        .limits = {.max = {[METRIC_REQUESTS] = 10, [METRIC_DAY_REQUESTS] = 2, [METRIC_DAY_TOKENS] = 50},
                   .window_ms = 1000,
                   .day_ms = 10000}};
    struct model *m = model_new("m", &config);
    struct claim claim;
    struct verdict v;

    (void)state;
    v = arrive(m, 51, 0, &claim);
    assert_int_equal(v.kind, VERDICT_TOO_LARGE);
    assert_int_equal(v.metric, METRIC_DAY_TOKENS);
    assert_int_equal(v.span_ms, 10000);
    assert_int_equal(arrive(m, 20, 0, &claim).kind,
                     VERDICT_ADMITTED); /* the second: the refused one was a request too */
    v = arrive(m, 20, 5 * CLOCK_S, &claim);
    assert_int_equal(v.metric, METRIC_DAY_REQUESTS);
    assert_int_equal(v.wait_us, 5 * CLOCK_S);
    assert_string_equal(metric_title(v.metric), "requests per day (RPD)");
    assert_int_equal(arrive(m, 20, 10 * CLOCK_S, &claim).kind, VERDICT_ADMITTED);
    model_free(m);
}

static void test_concurrent__beyond_it__is_refused_until_one_has_ended(void **state)
{
    struct model *m = model_with((struct model_config){.limits.concurrent = 2});
    struct claim first, second, third;
    struct verdict v;

    (void)state;
    assert_int_equal(arrive(m, 1, 0, &first).kind, VERDICT_ADMITTED);
    assert_int_equal(arrive(m, 1, 0, &second).kind, VERDICT_ADMITTED);
    v = arrive(m, 1, 0, &third);
    assert_int_equal(v.kind, VERDICT_BUSY);
    assert_int_equal(v.max, 2);
    model_reset(m); /* who is in flight stays so */
    assert_int_equal(arrive(m, 1, 1, &third).kind, VERDICT_BUSY);
    model_finish(m, &first, 1, 1, 2);
    assert_int_equal(arrive(m, 1, 2, &third).kind, VERDICT_ADMITTED);
    assert_int_equal(m->refused, 1);
    model_free(m);
}

static void test_pool__is_shared__and_named_in_the_refusal(void **state)
{
    struct pool pool = {.name = "family"};
    struct model *a = model_with((struct model_config){.limits.max[METRIC_TOKENS] = 80}),
                 *b = model_with((struct model_config){0});
    struct standing s;
    struct claim claim, other;
    struct verdict v;

    (void)state;
    limits_init(&pool.limits,
                &(struct limits_config){.max[METRIC_TOKENS] = 100, .window_ms = 60000, .day_ms = 86400000});
    a->pool = b->pool = &pool;
    assert_int_equal(arrive(a, 60, 0, &claim).kind, VERDICT_ADMITTED);
    v = arrive(b, 41, 1, &other);
    assert_string_equal(v.pool, "family");
    assert_int_equal(v.used, 60);
    assert_int_equal(v.wait_us, MINUTE - 1);
    assert_int_equal(arrive(b, 30, 1, &other).kind, VERDICT_ADMITTED);
    /* of its own 80, 20 are left; of the pool's 100, 10: those are what counts */
    assert_true(model_standing(a, METRIC_TOKENS, 1, &s));
    assert_int_equal(s.max, 100);
    assert_int_equal(s.left, 10);
    model_finish(a, &claim, 60, 5, 2);
    assert_int_equal(charges_total(&pool.limits.counted[METRIC_TOKENS]), 95);
    assert_int_equal(pool.limits.in_flight, 1);
    /* a call that leaves its pool while it runs is settled where it was charged */
    b->pool = NULL;
    model_finish(b, &other, 30, 5, 3);
    assert_int_equal(charges_total(&pool.limits.counted[METRIC_TOKENS]), 100);
    assert_int_equal(pool.limits.in_flight, 0);
    model_free(a);
    model_free(b);
    limits_release(&pool.limits);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_actual__output__counts_from_the_end),
        cmocka_unit_test(test_refused_for_tokens__uses__one_request),
        cmocka_unit_test(test_too_large__goes_before__what_could_wait),
        cmocka_unit_test(test_input_and_output__have_limits__of_their_own),
        cmocka_unit_test(test_openai__refund__keeps_the_time_of_arrival),
        cmocka_unit_test(test_configure__a_new_maximum__keeps_what_was_charged),
        cmocka_unit_test(test_charging__on_arrival__is_what_each_provider_takes),
        cmocka_unit_test(test_openai__a_long_prompt__is_estimated_by_its_characters),
        cmocka_unit_test(test_charging__at_the_end__is_what_each_provider_takes),
        cmocka_unit_test(test_anthropic__output__is_charged_as_produced_into_a_bucket),
        cmocka_unit_test(test_bucket__the_wait__follows_from_what_the_message_says),
        cmocka_unit_test(test_a_day__has_limits_of_its_own__as_long_as_is_said),
        cmocka_unit_test(test_concurrent__beyond_it__is_refused_until_one_has_ended),
        cmocka_unit_test(test_pool__is_shared__and_named_in_the_refusal),
    };

    return cmocka_run_group_tests_name("sim_model", tests, NULL, NULL);
}
