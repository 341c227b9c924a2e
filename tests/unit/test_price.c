/* price: what usage costs. The same sums are made with 128 bits and one division. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "metergate/base/prng.h"
#include "metergate/gate/price.h"

__extension__ typedef __int128 int128;

/* Thousandths of a dollar per million tokens. */
#define M(x) (INT64_C(1000) * (x))

/* claude-sonnet-4-5's */
static const struct price sonnet = {
    .name = "sonnet",
    .rates = {{M(3000), M(300), M(3750), M(6000), M(15000)}},
    .long_above = 200000,
    .long_rates = {{M(6000), M(600), M(7500), M(12000), M(22500)}},
    .priority = {2, 1},
};

static int64_t cost_of(struct usage u)
{
    return price_cost(&sonnet, &u);
}

static void test_price__plain_usage__is_tokens_times_rates(void **state)
{
    (void)state;
    assert_int_equal(cost_of((struct usage){.input = 1000, .output = 100}), 3000000 + 1500000);
    assert_int_equal(cost_of((struct usage){.input = 1}), 3000); /* 0.000003 USD */
    assert_int_equal(cost_of((struct usage){0}), 0);
}

static void test_price__cached_and_written_tokens__are_billed_once_each(void **state)
{
    (void)state;
    /* 10 plain, 20 read, 30 written for five minutes, 40 for an hour */
    assert_int_equal(cost_of((struct usage){.input = 100, .cached = 20, .cache_write = 70, .cache_write_1h = 40}),
                     10 * 3000 + 20 * 300 + 30 * 3750 + 40 * 6000);
}

static void test_price__reasoning__is_inside_output(void **state)
{
    (void)state;
    assert_int_equal(cost_of((struct usage){.output = 100, .reasoning = 80}), 100 * 15000);
}

static void test_price__counts_that_contradict_each_other__bill_nothing_twice(void **state)
{
    static const struct {
        struct usage u;
        int64_t cost;
    } rows[] = {
        {{.input = 10, .cached = 20}, INT64_C(10) * 300},
        {{.input = 10, .cached = 4, .cache_write = 20}, INT64_C(4) * 300 + INT64_C(6) * 3750},
        {{.input = 10, .cache_write = 4, .cache_write_1h = 20}, INT64_C(6) * 3000 + INT64_C(4) * 6000},
        {{.input = 10, .cache_write_1h = 5}, INT64_C(10) * 3000}, /* it is of cache_write, which is none */
        {{.input = 10, .cached = INT64_MAX, .cache_write = INT64_MAX, .cache_write_1h = INT64_MAX}, INT64_C(10) * 300},
        {{.input = -5, .cached = -1, .cache_write = -1, .cache_write_1h = -1, .output = -1}, 0},
        {{.input = 0, .cached = 5, .output = 1}, 15000},
        {{.input = 10, .cached = -3}, INT64_C(10) * 3000},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_int_equal(cost_of(rows[i].u), rows[i].cost);
}

static void test_price__the_sum__is_rounded_once_half_up(void **state)
{
    static const struct {
        int64_t input, output, cost; /* at 400 and 100 picodollars a token */
    } rows[] = {{1, 0, 0}, {1, 1, 1}, {1, 2, 1}, {2, 0, 1}, {5, 0, 2}, {3, 2, 1}, {3, 3, 2}, {0, 4, 0}, {0, 5, 1}};
    const struct rates r = {{400, 0, 0, 0, 100}};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct usage u = {.input = rows[i].input, .output = rows[i].output};

        assert_int_equal(rates_cost(&r, &u), rows[i].cost);
    }
}

static void test_price__a_long_call__is_billed_by_its_rates_altogether(void **state)
{
    struct usage u = {.input = 200000, .cached = 1000, .output = 10};

    (void)state;
    assert_int_equal(cost_of(u), INT64_C(199000) * 3000 + INT64_C(1000) * 300 + INT64_C(10) * 15000);
    u.input++;
    assert_int_equal(cost_of(u), INT64_C(199001) * 6000 + INT64_C(1000) * 600 + INT64_C(10) * 22500);
}

static void test_price__tiers__change_every_rate(void **state)
{
    struct price mini = {.rates = {{M(150), M(75), M(150), M(150), M(600)}}, .priority = {5, 3}};
    struct usage u = {.input = 30, .cached = 10, .output = 10};
    int64_t full = INT64_C(20) * 150 + INT64_C(10) * 75 + INT64_C(10) * 600;

    (void)state;
    assert_int_equal(price_cost(&mini, &u), full);
    u.tier = TIER_FLEX;
    assert_int_equal(price_cost(&mini, &u), full / 2);
    u.tier = TIER_BATCH;
    assert_int_equal(price_cost(&mini, &u), full / 2);
    u.tier = TIER_PRIORITY;
    assert_int_equal(price_cost(&mini, &u), 20 * 250 + 10 * 125 + 10 * 1000);
    assert_int_equal(price_rates(&mini, &u).pico[RATE_OUTPUT], M(1000));
    mini.priority = (struct price_times){0, 0};
    assert_int_equal(price_cost(&mini, &u), PRICE_UNKNOWN);
}

static void test_price__a_tier_of_a_long_call__is_of_the_long_rates(void **state)
{
    struct usage u = {.input = 300000, .tier = TIER_BATCH};

    (void)state;
    assert_int_equal(cost_of(u), INT64_C(300000) * 3000);
}

static void test_price__half_of_an_odd_rate__is_rounded_up(void **state)
{
    const struct price p = {.rates = {{1, 3, 0, PRICE_UNKNOWN, 5}}, .priority = {1, 3}};
    struct usage u = {.tier = TIER_FLEX};
    struct rates r = price_rates(&p, &u);

    (void)state;
    assert_int_equal(r.pico[RATE_INPUT], 1);
    assert_int_equal(r.pico[RATE_CACHED], 2);
    assert_int_equal(r.pico[RATE_CACHE_WRITE], 0);
    assert_int_equal(r.pico[RATE_CACHE_WRITE_1H], PRICE_UNKNOWN);
    assert_int_equal(r.pico[RATE_OUTPUT], 3);
    u.tier = TIER_PRIORITY;
    r = price_rates(&p, &u);
    assert_int_equal(r.pico[RATE_INPUT], 0); /* a third */
    assert_int_equal(r.pico[RATE_OUTPUT], 2);
}

static void test_price__an_unknown_rate__matters_to_those_alone_who_need_it(void **state)
{
    (void)state;
    for (size_t i = 0; i < RATES; i++) {
        struct usage all = {.input = 10, .cached = 2, .cache_write = 4, .cache_write_1h = 2, .output = 1};
        struct usage none = all;
        struct rates r = sonnet.rates;

        r.pico[i] = PRICE_UNKNOWN;
        assert_int_equal(rates_cost(&r, &all), PRICE_UNKNOWN);
        switch (i) {
        case RATE_INPUT:
            none.input = 6;
            break;
        case RATE_CACHED:
            none.cached = 0;
            break;
        case RATE_CACHE_WRITE:
            none.cache_write = 2;
            break;
        case RATE_CACHE_WRITE_1H:
            none.cache_write_1h = 0;
            break;
        default:
            none.output = 0;
            break;
        }
        assert_int_equal(rates_cost(&r, &none), rates_cost(&sonnet.rates, &none));
        assert_true(rates_cost(&r, &none) > 0);
    }
    assert_int_equal(price_cost(NULL, &(struct usage){.input = 1}), PRICE_UNKNOWN);
}

static void test_price__a_sum_that_does_not_fit__is_the_largest(void **state)
{
    const struct rates r = {{2 * PRICE_RATE_MAX, 999, 999, 999, 2 * PRICE_RATE_MAX}};

    (void)state;
    assert_int_equal(rates_cost(&r, &(struct usage){.input = 1000000000, .output = 1000000000}), INT64_C(4000000000000000000));
    assert_int_equal(rates_cost(&r, &(struct usage){.input = 3000000000, .output = 2000000000}), INT64_MAX);
    assert_int_equal(rates_cost(&r, &(struct usage){.input = INT64_MAX}), INT64_MAX);
    assert_int_equal(rates_cost(&r, &(struct usage){.input = INT64_MAX, .cached = INT64_MAX}), INT64_MAX);
    /* an unknown rate is not covered up by it */
    assert_int_equal(rates_cost(&(struct rates){{2 * PRICE_RATE_MAX, 0, 0, 0, PRICE_UNKNOWN}},
                                &(struct usage){.input = INT64_MAX, .output = 1}),
                     PRICE_UNKNOWN);
}

/* ---- against 128 bits ---- */

static int64_t amount(struct prng *r, int64_t most)
{
    switch (prng_below(r, 4)) {
    case 0:
        return prng_below(r, 4);
    case 1:
        return most - prng_below(r, 4);
    default:
        return prng_below(r, most + 1);
    }
}

static int64_t slow_cost(const struct rates *r, const int64_t tokens[RATES])
{
    int128 pico = 0, nano;

    for (size_t i = 0; i < RATES; i++) {
        if (tokens[i] && r->pico[i] < 0)
            return PRICE_UNKNOWN;
        pico += (int128)tokens[i] * r->pico[i];
    }
    nano = (pico + 500) / 1000;
    return nano > INT64_MAX ? INT64_MAX : (int64_t)nano;
}

static void test_price__random_usage__costs_what_128_bits_say(void **state)
{
    struct prng random = {7};

    (void)state;
    for (int run = 0; run < 200000; run++) {
        int64_t most = prng_below(&random, 8) ? 1000000000 : INT64_C(1) << 40;
        struct usage u = {0};
        int64_t tokens[RATES];
        struct rates r;

        for (size_t i = 0; i < RATES; i++) {
            tokens[i] = prng_below(&random, 4) ? amount(&random, most) : 0;
            r.pico[i] = prng_below(&random, 16) ? amount(&random, 2 * PRICE_RATE_MAX) : PRICE_UNKNOWN;
        }
        u.cached = tokens[RATE_CACHED];
        u.cache_write_1h = tokens[RATE_CACHE_WRITE_1H];
        u.cache_write = tokens[RATE_CACHE_WRITE] + u.cache_write_1h;
        u.input = tokens[RATE_INPUT] + u.cached + u.cache_write;
        u.output = tokens[RATE_OUTPUT];
        assert_int_equal(rates_cost(&r, &u), slow_cost(&r, tokens));
    }
}

/* Whatever is said, each token of input is billed at one rate. */
static void test_price__random_contradictions__stay_between_the_cheapest_and_the_dearest_rate(void **state)
{
    struct prng random = {8};

    (void)state;
    for (int run = 0; run < 200000; run++) {
        struct usage u = {
            .input = amount(&random, 1000),
            .cached = amount(&random, 2000) - 500,
            .cache_write = amount(&random, 2000) - 500,
            .cache_write_1h = amount(&random, 2000) - 500,
        };
        int64_t cost = rates_cost(&sonnet.rates, &u);

        assert_in_range(cost, u.input * 300, u.input * 6000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_price__plain_usage__is_tokens_times_rates),
        cmocka_unit_test(test_price__cached_and_written_tokens__are_billed_once_each),
        cmocka_unit_test(test_price__reasoning__is_inside_output),
        cmocka_unit_test(test_price__counts_that_contradict_each_other__bill_nothing_twice),
        cmocka_unit_test(test_price__the_sum__is_rounded_once_half_up),
        cmocka_unit_test(test_price__a_long_call__is_billed_by_its_rates_altogether),
        cmocka_unit_test(test_price__tiers__change_every_rate),
        cmocka_unit_test(test_price__a_tier_of_a_long_call__is_of_the_long_rates),
        cmocka_unit_test(test_price__half_of_an_odd_rate__is_rounded_up),
        cmocka_unit_test(test_price__an_unknown_rate__matters_to_those_alone_who_need_it),
        cmocka_unit_test(test_price__a_sum_that_does_not_fit__is_the_largest),
        cmocka_unit_test(test_price__random_usage__costs_what_128_bits_say),
        cmocka_unit_test(test_price__random_contradictions__stay_between_the_cheapest_and_the_dearest_rate),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
