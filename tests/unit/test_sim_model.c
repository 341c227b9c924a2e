/* The simulator's accounts: who is admitted and what is charged, in virtual time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../simulator/model.h"
#include "metergate/base/buf.h"
#include "metergate/base/clock.h"

#define MINUTE (60 * CLOCK_S)

static struct model *model_with(struct model_config config)
{
    config.window_ms = 60000;
    return model_new("m", &config);
}

static struct verdict arrive(struct model *m, int64_t input, int64_t now_us, struct claim *claim)
{
    struct demand demand = {.input = input, .chars = input * 4};

    return model_arrive(m, &demand, now_us, claim);
}

static void test_actual__output__counts_from_the_end(void **state)
{
    struct model *m = model_with((struct model_config){.max[METRIC_TOKENS] = 100});
    struct claim claim, other;

    (void)state;
    assert_int_equal(arrive(m, 60, 0, &claim).kind, VERDICT_ADMITTED);
    assert_int_equal(arrive(m, 40, 1, &other).kind, VERDICT_ADMITTED);
    model_finish(m, &claim, 60, 30, 20 * CLOCK_S);
    /* 60 left at one minute, 40 a microsecond later, 30 are there until a minute after their end */
    assert_int_equal(arrive(m, 31, MINUTE, &other).kind, VERDICT_LIMITED);
    assert_int_equal(arrive(m, 70, MINUTE + 1, &other).kind, VERDICT_ADMITTED);
    assert_int_equal(arrive(m, 30, MINUTE + 20 * CLOCK_S - 1, &other).wait_us, 1);
    assert_int_equal(charges_peak(&m->tokens, MINUTE), 130);
    model_free(m);
}

static void test_refused_for_tokens__uses__one_request(void **state)
{
    struct model *m = model_with((struct model_config){.max[METRIC_TOKENS] = 100, .max[METRIC_REQUESTS] = 2});
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
    assert_int_equal(charges_total(&m->requests), 3);
    model_free(m);
}

static void test_too_large__goes_before__what_could_wait(void **state)
{
    struct model *m = model_with((struct model_config){.max[METRIC_TOKENS] = 100, .max[METRIC_REQUESTS] = 1});
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
    struct model *m = model_with((struct model_config){.max[METRIC_INPUT] = 100, .max[METRIC_OUTPUT] = 10});
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
    struct model *m =
        model_with((struct model_config){.max[METRIC_TOKENS] = 1000, .charging = CHARGING_OPENAI, .refund = true});
    struct demand demand = {.input = 10, .chars = 40, .max_output = 900};
    struct claim claim, other;

    (void)state;
    assert_int_equal(model_arrive(m, &demand, 0, &claim).kind, VERDICT_ADMITTED);
    assert_int_equal(claim.charged[METRIC_TOKENS], 900);
    assert_int_equal(model_arrive(m, &demand, 1, &other).kind, VERDICT_LIMITED);
    model_finish(m, &claim, 10, 50, 30 * CLOCK_S);
    assert_int_equal(model_arrive(m, &demand, 30 * CLOCK_S, &other).kind, VERDICT_ADMITTED);
    assert_int_equal(charges_total(&m->tokens), 960);
    demand.max_output = 100;
    assert_int_equal(model_arrive(m, &demand, MINUTE - 1, &claim).kind, VERDICT_LIMITED);
    assert_int_equal(model_arrive(m, &demand, MINUTE, &claim).kind, VERDICT_ADMITTED);
    model_free(m);
}

static void test_configure__a_new_maximum__keeps_what_was_charged(void **state)
{
    struct model *m = model_with((struct model_config){.max[METRIC_TOKENS] = 100});
    struct model_config next = m->config;
    struct claim claim;

    (void)state;
    assert_int_equal(arrive(m, 80, 0, &claim).kind, VERDICT_ADMITTED);
    next.max[METRIC_TOKENS] = 50;
    model_configure(m, &next);
    assert_int_equal(arrive(m, 1, 1, &claim).kind, VERDICT_LIMITED);
    next.limiter = LIMITER_BUCKET;
    model_configure(m, &next);
    assert_int_equal(arrive(m, 50, 1, &claim).kind, VERDICT_ADMITTED);
    model_free(m);
}

static void test_headers__tell__limit_remaining_and_reset(void **state)
{
    struct model *m = model_with(
        (struct model_config){.max[METRIC_TOKENS] = 160000, .max[METRIC_REQUESTS] = 5000, .limiter = LIMITER_BUCKET});
    struct claim claim;
    struct buf out;

    (void)state;
    buf_init(&out, BUF_UNLIMITED);
    assert_int_equal(arrive(m, 24, 0, &claim).kind, VERDICT_ADMITTED);
    model_print_headers(m, &out, 0);
    assert_string_equal(out.p, "x-ratelimit-limit-requests: 5000\r\nx-ratelimit-remaining-requests: 4999\r\n"
                               "x-ratelimit-reset-requests: 12ms\r\nx-ratelimit-limit-tokens: 160000\r\n"
                               "x-ratelimit-remaining-tokens: 159976\r\nx-ratelimit-reset-tokens: 9ms\r\n");
    buf_release(&out);
    model_free(m);
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
        cmocka_unit_test(test_headers__tell__limit_remaining_and_reset),
    };

    return cmocka_run_group_tests_name("sim_model", tests, NULL, NULL);
}
