/* profile: what a call costs, and when. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "metergate/gate/profile.h"

static const struct estimate story = {.input = 21605, .expected_output = 512, .characters = 80000, .choices = 1, .exact = true};

static void test_profile__openai__charges_the_larger_of_sum_characters_and_bound_on_arrival(void **state)
{
    struct estimate e = story;
    struct cost c = profile_reserve(PROFILE_OPENAI, &e);

    (void)state;
    assert_int_equal(c.on_arrival[METRIC_TOKENS], 22117);
    assert_int_equal(c.at_end[METRIC_TOKENS], 0);
    assert_int_equal(c.floor[METRIC_TOKENS], 20000);
    assert_int_equal(c.on_arrival[METRIC_REQUESTS], 1);
    e.characters = 100000;
    assert_int_equal(profile_reserve(PROFILE_OPENAI, &e).on_arrival[METRIC_TOKENS], 25000);
    e.max_output = 20000;
    e.choices = 2;
    assert_int_equal(profile_reserve(PROFILE_OPENAI, &e).on_arrival[METRIC_TOKENS], 40000);
    assert_int_equal(profile_reserve(PROFILE_OPENAI, &e).floor[METRIC_TOKENS], 40000);
}

static void test_profile__actual__charges_input_on_arrival_and_output_at_the_end(void **state)
{
    struct cost c = profile_reserve(PROFILE_ACTUAL, &story);

    (void)state;
    assert_int_equal(c.on_arrival[METRIC_TOKENS], 21605);
    assert_int_equal(c.at_end[METRIC_TOKENS], 512);
    assert_int_equal(c.on_arrival[METRIC_INPUT], 21605);
    assert_int_equal(c.on_arrival[METRIC_OUTPUT], 0);
    assert_int_equal(c.at_end[METRIC_OUTPUT], 512);
    assert_int_equal(cost_total(&c, METRIC_TOKENS), 22117);
}

static void test_profile__settling__takes_what_was_reported(void **state)
{
    const struct usage u = {.input = 100, .cached = 40, .output = 7};
    struct cost c = profile_settle(PROFILE_OPENAI, &story, &u);

    (void)state;
    assert_int_equal(c.on_arrival[METRIC_TOKENS], 107);
    c = profile_settle(PROFILE_ACTUAL, &story, &u);
    assert_int_equal(c.on_arrival[METRIC_TOKENS], 100);
    assert_int_equal(c.at_end[METRIC_TOKENS], 7);
}

static void test_profile__anthropic__charges_input_without_cache_reads_and_output_as_produced(void **state)
{
    const struct usage u = {.input = 100, .cached = 40, .cache_write = 30, .output = 7};
    struct cost c = profile_reserve(PROFILE_ANTHROPIC, &story);

    (void)state;
    assert_int_equal(c.on_arrival[METRIC_INPUT], 21605);
    assert_int_equal(c.on_arrival[METRIC_OUTPUT], 0);
    assert_int_equal(c.at_end[METRIC_OUTPUT], 512);
    assert_false(c.in_full[METRIC_OUTPUT]);
    c = profile_settle(PROFILE_ANTHROPIC, &story, &u);
    assert_int_equal(c.on_arrival[METRIC_INPUT], 60);
    assert_int_equal(c.at_end[METRIC_OUTPUT], 7);
    assert_int_equal(cost_total(&c, METRIC_TOKENS), 67);
    assert_true(profile_charges_as_produced(PROFILE_ANTHROPIC));
    assert_false(profile_charges_as_produced(PROFILE_ACTUAL));
}

static void test_profile__azure__charges_the_prompt_and_its_bound_on_arrival(void **state)
{
    struct estimate e = story;
    struct cost c;

    (void)state;
    assert_int_equal(profile_reserve(PROFILE_AZURE, &e).on_arrival[METRIC_TOKENS], 22117);
    e.max_output = 1000;
    e.choices = 2;
    c = profile_reserve(PROFILE_AZURE, &e);
    assert_int_equal(c.on_arrival[METRIC_TOKENS], 23605);
    assert_int_equal(c.floor[METRIC_TOKENS], 2000);
    assert_int_equal(c.at_end[METRIC_TOKENS], 0);
}

static void test_profile__groq__charges_as_azure_and_gives_back_what_came_from_a_cache(void **state)
{
    const struct usage u = {.input = 21605, .cached = 20000, .output = 7};
    struct estimate e = story;
    struct cost c;

    (void)state;
    e.max_output = 1000;
    c = profile_reserve(PROFILE_GROQ, &e);
    assert_int_equal(c.on_arrival[METRIC_TOKENS], 22605);
    assert_int_equal(c.on_arrival[METRIC_INPUT], 21605);
    assert_int_equal(c.floor[METRIC_TOKENS], 1000);
    assert_int_equal(c.at_end[METRIC_TOKENS], 0);
    c = profile_settle(PROFILE_GROQ, &e, &u);
    assert_int_equal(c.on_arrival[METRIC_TOKENS], 1612);
    assert_int_equal(c.on_arrival[METRIC_INPUT], 1605);
    assert_int_equal(c.at_end[METRIC_TOKENS], 0);
}

static void test_profile__gemini__counts_input_alone(void **state)
{
    const struct usage u = {.input = 100, .output = 7};
    struct cost c = profile_reserve(PROFILE_GEMINI, &story);

    (void)state;
    assert_int_equal(cost_total(&c, METRIC_TOKENS), 21605);
    assert_true(c.in_full[METRIC_TOKENS]);
    c = profile_settle(PROFILE_GEMINI, &story, &u);
    assert_int_equal(cost_total(&c, METRIC_TOKENS), 100);
    assert_int_equal(c.at_end[METRIC_OUTPUT], 7); /* for a limit that the user adds */
}

static void test_profile__a_refused_attempt__costs_a_request_and_no_tokens(void **state)
{
    struct cost c = profile_refused(PROFILE_OPENAI);

    (void)state;
    assert_int_equal(cost_total(&c, METRIC_REQUESTS), 1);
    assert_int_equal(cost_total(&c, METRIC_TOKENS), 0);
    assert_int_equal(cost_total(&c, METRIC_INPUT), 0);
    assert_int_equal(cost_total(&c, METRIC_OUTPUT), 0);
}

static void test_profile__absurd_figures__are_clamped_and_never_overflow(void **state)
{
    const struct estimate e = {.input = INT64_MAX, .expected_output = INT64_MAX, .characters = -5, .max_output = INT64_MAX,
                               .choices = INT64_MAX};
    const struct usage u = {.input = -1, .output = INT64_MAX};

    (void)state;
    assert_int_equal(profile_reserve(PROFILE_OPENAI, &e).on_arrival[METRIC_TOKENS], PROFILE_AMOUNT_MAX);
    assert_int_equal(profile_reserve(PROFILE_ACTUAL, &e).at_end[METRIC_TOKENS], PROFILE_AMOUNT_MAX);
    assert_int_equal(profile_settle(PROFILE_OPENAI, &e, &u).on_arrival[METRIC_TOKENS], PROFILE_AMOUNT_MAX);
    assert_int_equal(profile_settle(PROFILE_ACTUAL, &e, &u).on_arrival[METRIC_INPUT], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_profile__openai__charges_the_larger_of_sum_characters_and_bound_on_arrival),
        cmocka_unit_test(test_profile__actual__charges_input_on_arrival_and_output_at_the_end),
        cmocka_unit_test(test_profile__settling__takes_what_was_reported),
        cmocka_unit_test(test_profile__anthropic__charges_input_without_cache_reads_and_output_as_produced),
        cmocka_unit_test(test_profile__azure__charges_the_prompt_and_its_bound_on_arrival),
        cmocka_unit_test(test_profile__groq__charges_as_azure_and_gives_back_what_came_from_a_cache),
        cmocka_unit_test(test_profile__gemini__counts_input_alone),
        cmocka_unit_test(test_profile__a_refused_attempt__costs_a_request_and_no_tokens),
        cmocka_unit_test(test_profile__absurd_figures__are_clamped_and_never_overflow),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
