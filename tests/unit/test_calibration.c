/* ratio and calibration: what is learned from answers, and what cannot lead it astray. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include <string.h>

#include "metergate/tokens/calibration.h"

static uint32_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return (uint32_t)(*state >> 16);
}

/* ---- ratio ---- */

static void test_ratio__nothing_learned__is_the_guess(void **state)
{
    struct ratio r;

    (void)state;
    ratio_init(&r, 12000);
    assert_int_equal(ratio_apply(&r, 100), 120);
    assert_int_equal(ratio_apply(&r, 0), 0);
}

static void test_ratio__steady_answers__are_learned_soon(void **state)
{
    struct ratio r;

    (void)state;
    ratio_init(&r, RATIO_ONE);
    ratio_learn(&r, 1000, 1330);
    assert_in_range(r.mean, 13200, 13300); /* one long answer says more than the guess */
    for (int i = 0; i < 10; i++)
        ratio_learn(&r, 1000, 1330);
    assert_int_equal(ratio_apply(&r, 1000), 1330);
}

static void test_ratio__a_fifth_of_the_answers_far_off__do_not_move_it(void **state)
{
    uint64_t random = 9;
    struct ratio r;

    (void)state;
    ratio_init(&r, RATIO_ONE);
    for (int i = 0; i < 200; i++)
        ratio_learn(&r, 500, i % 5 == 2 ? 4000 : 650 + next_random(&random) % 21 - 10);
    assert_in_range(ratio_apply(&r, 500), 645, 660);
}

static void test_ratio__a_frame_on_top__is_told_from_the_tokens(void **state)
{
    static const int32_t frames[] = {-8, 0, 9, 350};

    (void)state;
    for (size_t f = 0; f < sizeof frames / sizeof frames[0]; f++) {
        uint64_t random = 21;
        struct ratio r;

        ratio_init(&r, RATIO_ONE);
        for (int i = 0; i < 100; i++) {
            int64_t counted = 60 + next_random(&random) % 3000;

            ratio_learn(&r, counted, counted * 14 / 10 + frames[f]);
        }
        assert_in_range(r.slope, 13980, 14020);
        assert_in_range(ratio_apply(&r, 100), 140 + frames[f] - 2, 140 + frames[f] + 2);
        assert_in_range(ratio_apply(&r, 5000), 7000 + frames[f] - 12, 7000 + frames[f] + 12);
    }
}

static void test_ratio__what_no_tokenizer_does__is_not_learned(void **state)
{
    static const int64_t rows[][2] = {{0, 10},        {-1, 10},       {10, 0},
                                      {10, -1},       {100, 9},       {100, 1001},
                                      {INT64_MAX, 1}, {1, INT64_MAX}, {INT64_MAX, INT64_MAX}};
    struct ratio r;

    (void)state;
    ratio_init(&r, RATIO_ONE);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        ratio_learn(&r, rows[i][0], rows[i][1]);
    assert_int_equal(r.seen, 0);
    assert_int_equal(r.mean, RATIO_ONE);
}

static void test_ratio__another_tokenizer_from_now_on__is_learned_within_a_ring(void **state)
{
    struct ratio r;

    (void)state;
    ratio_init(&r, RATIO_ONE);
    for (int i = 0; i < 100; i++)
        ratio_learn(&r, 300, 360);
    r.seen +=
        (UINT32_MAX - 200) / RATIO_SAMPLES * RATIO_SAMPLES; /* its end comes soon, and the ring is in step */
    for (int i = 0; i < 300; i++)
        ratio_learn(&r, 300, 360);
    assert_true(r.seen > RATIO_SAMPLES);
    for (int i = 0; i < RATIO_SAMPLES + 3; i++)
        ratio_learn(&r, 300, 450);
    assert_int_equal(ratio_apply(&r, 300), 450);
}

/* Sizes of every kind, reports of every kind: no line leads below 0 or out of bounds. */
static void test_ratio__wild_answers__give_no_wild_line(void **state)
{
    uint64_t random = 4;

    (void)state;
    for (int round = 0; round < 200; round++) {
        struct ratio r;

        ratio_init(&r, RATIO_ONE);
        for (int i = 0; i < 70; i++)
            ratio_learn(&r, next_random(&random) >> next_random(&random) % 32,
                        next_random(&random) >> next_random(&random) % 32);
        for (int64_t counted = 0; counted < INT32_MAX; counted = counted * 3 + 1) {
            int64_t tokens = ratio_apply(&r, counted);

            assert_true(tokens >= 0 && tokens <= counted * 10 + INT32_MAX);
        }
    }
}

static void test_ratio__samples_learned_again__give_the_same_line(void **state)
{
    struct ratio_sample kept[RATIO_SAMPLES];
    struct ratio a, b;
    int n;

    (void)state;
    ratio_init(&a, RATIO_ONE);
    ratio_init(&b, RATIO_ONE);
    for (int i = 0; i < 100; i++)
        ratio_learn(&a, 100 + i, 120 + 2 * i);
    n = ratio_samples(&a, kept);
    assert_int_equal(n, RATIO_SAMPLES);
    for (int i = 0; i < n; i++)
        ratio_learn(&b, kept[i].counted, kept[i].reported);
    assert_int_equal(a.slope, b.slope);
    assert_int_equal(a.offset, b.offset);
}

/* ---- calibration ---- */

#define MODEL(c, name) calibration_init(c, name, strlen(name))

/* A provider that makes 1.33 times as many tokens, give or take 5 %: after 50 calls the mean error is below 3
 * %. */
static void test_calibration__another_tokenizer_with_noise__is_met_after_fifty_calls(void **state)
{
    static const char *const models[] = {"claude-sonnet-4-5", "llama-3", "gpt-4o"};
    uint64_t random = 77;

    (void)state;
    for (size_t m = 0; m < sizeof models / sizeof models[0]; m++) {
        struct calibration c;
        double sum = 0;

        MODEL(&c, models[m]);
        for (int i = 0; i < 250; i++) {
            int64_t text = 40 + next_random(&random) % 4000;
            struct token_parts parts = {.text = text, .fixed = 3};
            int64_t noise = (int64_t)(next_random(&random) % 1001) - 500;
            int64_t reported = text * 133 * (10000 + noise) / 1000000 + 3;
            int64_t estimated = calibration_tokens(&c, &parts);

            if (i >= 50)
                sum += (double)(estimated - reported) / (double)reported;
            calibration_learn(&c, &parts, estimated, reported);
        }
        assert_true(sum / 200 < 0.01 && sum / 200 > -0.01);
        assert_true(calibration_errors(&c).absolute < 0.03);
        assert_int_equal(calibration_errors(&c).calls, 250);
    }
}

static void test_calibration__published_rules__hold_until_the_provider_keeps_contradicting(void **state)
{
    const struct token_parts parts = {.text = 1000, .fixed = 3, .exact = true};
    struct calibration c;

    (void)state;
    MODEL(&c, "gpt-4o");
    for (int i = 0; i < 20; i++) /* half a percent more is no other tokenizer */
        calibration_learn(&c, &parts, 1003, 1008);
    assert_int_equal(calibration_tokens(&c, &parts), 1003);
    assert_true(calibration_is_exact(&c, &parts));
    for (int i = 0; i < 7; i++)
        calibration_learn(&c, &parts, 1003, 1333);
    MODEL(&c, "gpt-4o");
    for (int i = 0; i < 7; i++)
        calibration_learn(&c, &parts, 1003, 1333);
    assert_int_equal(calibration_tokens(&c, &parts), 1003);
    calibration_learn(&c, &parts, 1003, 1333);
    assert_in_range(calibration_tokens(&c, &parts), 1320, 1340);
    assert_false(calibration_is_exact(&c, &parts));
}

static void test_calibration__the_largest_part__learns(void **state)
{
    struct calibration c;

    (void)state;
    MODEL(&c, "claude-opus-4-8");
    for (int i = 0; i < 40; i++)
        calibration_learn(&c, &(struct token_parts){.text = 1000, .fixed = 10}, 0, 1410);
    assert_int_equal(c.text.mean, 14000);
    for (int i = 0; i < 40; i++)
        calibration_learn(&c, &(struct token_parts){.text = 100, .tools = 2000, .fixed = 10}, 0,
                          140 + 3000 + 10);
    assert_int_equal(c.text.mean, 14000);
    assert_int_equal(c.tools.mean, 15000);
    for (int i = 0; i < 40; i++)
        calibration_learn(&c, &(struct token_parts){.text = 100, .tools = 20, .media = 1000, .fixed = 10}, 0,
                          140 + 30 + 1100 + 10);
    assert_int_equal(c.media.mean, 11000);
    assert_int_equal(
        calibration_tokens(&c, &(struct token_parts){.text = 100, .tools = 100, .media = 100, .fixed = 1}),
        140 + 150 + 110 + 1);
}

static void test_calibration__hidden_input__teaches_nothing_but_is_an_error(void **state)
{
    struct calibration c;

    (void)state;
    MODEL(&c, "claude-opus-4-8");
    calibration_learn(&c, &(struct token_parts){.text = 1000, .fixed = 1000, .hidden = true}, 2500, 5000);
    assert_int_equal(c.text.seen, 0);
    assert_true(calibration_errors(&c).mean == -0.5 && calibration_errors(&c).absolute == 0.5);
    calibration_learn(&c, &(struct token_parts){.text = 1000}, 1500, 0); /* nothing was reported */
    calibration_learn(&c, &(struct token_parts){.text = 1000}, 1500, INT64_MAX);
    assert_int_equal(calibration_errors(&c).calls, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ratio__nothing_learned__is_the_guess),
        cmocka_unit_test(test_ratio__steady_answers__are_learned_soon),
        cmocka_unit_test(test_ratio__a_fifth_of_the_answers_far_off__do_not_move_it),
        cmocka_unit_test(test_ratio__what_no_tokenizer_does__is_not_learned),
        cmocka_unit_test(test_ratio__another_tokenizer_from_now_on__is_learned_within_a_ring),
        cmocka_unit_test(test_ratio__a_frame_on_top__is_told_from_the_tokens),
        cmocka_unit_test(test_ratio__wild_answers__give_no_wild_line),
        cmocka_unit_test(test_ratio__samples_learned_again__give_the_same_line),
        cmocka_unit_test(test_calibration__another_tokenizer_with_noise__is_met_after_fifty_calls),
        cmocka_unit_test(test_calibration__published_rules__hold_until_the_provider_keeps_contradicting),
        cmocka_unit_test(test_calibration__the_largest_part__learns),
        cmocka_unit_test(test_calibration__hidden_input__teaches_nothing_but_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
