/* The simulator's limiters: what the end-to-end tests believe must be right itself. Virtual time throughout. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../simulator/duration.h"
#include "../simulator/limiter.h"
#include "metergate/base/buf.h"
#include "metergate/base/clock.h"

#define MINUTE (60 * CLOCK_S)

static void test_rolling__two_calls_one_span_apart__never_meet(void **state)
{
    struct limiter l;

    (void)state;
    limiter_init(&l, LIMITER_ROLLING, 100, MINUTE);
    limiter_charge(&l, 100, 5);
    assert_int_equal(limiter_wait_us(&l, 100, 5 + MINUTE - 1), 1);
    assert_int_equal(limiter_wait_us(&l, 100, 5 + MINUTE), 0);
    assert_int_equal(limiter_used(&l, 5 + MINUTE - 1), 100);
    assert_int_equal(limiter_used(&l, 5 + MINUTE), 0);
    limiter_release(&l);
}

static void test_rolling__wait__is_until_enough_has_left(void **state)
{
    struct limiter l;

    (void)state;
    limiter_init(&l, LIMITER_ROLLING, 30000, MINUTE);
    limiter_charge(&l, 12071, 10 * CLOCK_S);
    limiter_charge(&l, 5000, 20 * CLOCK_S);
    assert_int_equal(limiter_wait_us(&l, 12929, 30 * CLOCK_S), 0);
    assert_int_equal(limiter_wait_us(&l, 22117, 30 * CLOCK_S), 40 * CLOCK_S);
    assert_int_equal(limiter_wait_us(&l, 30000, 30 * CLOCK_S), 50 * CLOCK_S);
    assert_true(limiter_wait_us(&l, 30001, 30 * CLOCK_S) == LIMITER_NEVER);
    assert_int_equal(limiter_reset_us(&l, 30 * CLOCK_S), 50 * CLOCK_S);
    limiter_release(&l);
}

static void test_rolling__a_late_comer__is_checked_in_every_span_it_would_be_in(void **state)
{
    struct limiter l;

    (void)state;
    limiter_init(&l, LIMITER_ROLLING, 10, 1000);
    limiter_charge(&l, 6, 2000);
    /* at 1500 the span (500, 1500] is empty, but (1000, 2000] would hold both */
    assert_int_equal(limiter_wait_us(&l, 4, 1500), 0);
    assert_true(limiter_wait_us(&l, 5, 1500) > 0);
    limiter_charge(&l, 4, 1500);
    assert_int_equal(limiter_used(&l, 1999), 4);
    assert_int_equal(limiter_used(&l, 2000), 10);
    assert_int_equal(limiter_used(&l, 2499), 10);
    assert_int_equal(limiter_used(&l, 2500), 6);
    limiter_release(&l);
}

static void test_rolling__adjust__keeps_the_time(void **state)
{
    struct limiter l;
    struct charge_ref a, b;

    (void)state;
    limiter_init(&l, LIMITER_ROLLING, 100, 1000);
    a = limiter_charge(&l, 60, 0);
    b = limiter_charge(&l, 40, 0);
    limiter_adjust(&l, a, -50, 500);
    assert_int_equal(limiter_used(&l, 500), 50);
    limiter_adjust(&l, b, 10, 500);
    assert_int_equal(limiter_used(&l, 999), 60);
    assert_int_equal(limiter_used(&l, 1000), 0);
    limiter_adjust(&l, b, 1000, 2000);
    assert_int_equal(limiter_used(&l, 2000), 0);
    limiter_release(&l);
}

/* Random traffic, moments slightly out of order, against the definition. */
static void test_rolling__random_traffic__agrees_with_the_definition(void **state)
{
    static struct charge all[4000];
    struct limiter l;
    struct charges copy;
    int64_t now = 0;
    size_t n = 0;

    (void)state;
    srandom(7);
    limiter_init(&l, LIMITER_ROLLING, 1000, 5000);
    charges_init(&copy);
    while (n < 4000) {
        int64_t amount = 1 + random() % 300, at = now + random() % 40, sum = 0;

        now += random() % 60;
        for (size_t i = 0; i < n; i++)
            if (all[i].at_us > at - 5000 && all[i].at_us <= at)
                sum += all[i].amount;
        assert_int_equal(limiter_used(&l, at), sum);
        if (limiter_wait_us(&l, amount, at) > 0)
            continue;
        limiter_charge(&l, amount, at);
        charges_add(&copy, at, amount);
        all[n] = (struct charge){at, n, amount};
        n++;
    }
    assert_true(charges_peak(&copy, 5000) <= 1000);
    assert_true(charges_peak(&copy, 5000) > 900);
    charges_release(&copy);
    limiter_release(&l);
}

/* The messages that people were shown: wait = (used + requested - limit) * 60 / limit. */
static void test_bucket__wait__reproduces_the_messages(void **state)
{
    static const struct {
        int64_t max, used, requested;
        const char *says;
    } rows[] = {
        {10000, 8554, 3082, "9.816s"},   {30000, 14567, 24754, "18.642s"}, {30000, 29937, 385, "644ms"},
        {250000, 250000, 143071, "34.337s"}, {3, 3, 1, "20s"},
    };
    struct buf says;

    (void)state;
    buf_init(&says, BUF_UNLIMITED);
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++) {
        struct limiter l;

        limiter_init(&l, LIMITER_BUCKET, rows[i].max, MINUTE);
        limiter_charge(&l, rows[i].used, 1000);
        buf_reset(&says);
        duration_print(&says, limiter_wait_us(&l, rows[i].requested, 1000));
        assert_string_equal(says.p, rows[i].says);
        limiter_release(&l);
    }
    buf_release(&says);
}

static void test_bucket__reset__reproduces_the_headers(void **state)
{
    struct limiter l;

    (void)state;
    limiter_init(&l, LIMITER_BUCKET, 160000, MINUTE);
    limiter_charge(&l, 24, 0);
    assert_int_equal(limiter_reset_us(&l, 0), 9 * CLOCK_MS);
    limiter_release(&l);
    limiter_init(&l, LIMITER_BUCKET, 5000, MINUTE);
    limiter_charge(&l, 1, 0);
    assert_int_equal(limiter_reset_us(&l, 0), 12 * CLOCK_MS);
    limiter_release(&l);
}

static void test_bucket__refill__is_exact_to_the_microsecond(void **state)
{
    struct limiter l;
    int64_t wait;

    (void)state;
    limiter_init(&l, LIMITER_BUCKET, 7, MINUTE);
    limiter_charge(&l, 7, 0);
    wait = limiter_wait_us(&l, 1, 0);
    assert_int_equal(wait, (MINUTE + 6) / 7);
    assert_int_equal(limiter_wait_us(&l, 1, wait - 1), 1);
    assert_int_equal(limiter_wait_us(&l, 1, wait), 0);
    /* many small steps lose nothing */
    for (int64_t t = wait; t <= MINUTE; t += 997)
        (void)limiter_used(&l, t);
    assert_int_equal(limiter_used(&l, MINUTE), 0);
    limiter_release(&l);
}

static void test_fixed__starts_again__at_every_multiple(void **state)
{
    struct limiter l;

    (void)state;
    limiter_init(&l, LIMITER_FIXED, 10, 1000);
    limiter_charge(&l, 10, 2999);
    assert_int_equal(limiter_wait_us(&l, 1, 2999), 1);
    assert_int_equal(limiter_wait_us(&l, 10, 3000), 0);
    limiter_charge(&l, 10, 3000);
    assert_int_equal(limiter_wait_us(&l, 1, 3100), 900);
    limiter_release(&l);
}

static void test_a_charge_over_max__blocks_until_it_is_below(void **state)
{
    struct limiter l;

    (void)state;
    limiter_init(&l, LIMITER_ROLLING, 10, 1000);
    limiter_charge(&l, 8, 0);
    limiter_charge(&l, 50, 100);
    assert_int_equal(limiter_wait_us(&l, 1, 500), 600);
    assert_int_equal(limiter_wait_us(&l, 1, 1000), 100);
    limiter_release(&l);
}

static void test_duration__is_written__as_go_does(void **state)
{
    static const struct {
        int64_t us;
        const char *says;
    } rows[] = {
        {0, "0s"},          {9000, "9ms"},        {12000, "12ms"},       {CLOCK_S, "1s"},      {1500000, "1.5s"},
        {360000000, "6m0s"}, {432000000, "7m12s"}, {7621233000, "2h7m1.233s"}, {3600000000, "1h0m0s"}, {1010000, "1.01s"},
    };
    struct buf says;

    (void)state;
    buf_init(&says, BUF_UNLIMITED);
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++) {
        buf_reset(&says);
        duration_print(&says, rows[i].us);
        assert_string_equal(says.p, rows[i].says);
    }
    buf_release(&says);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rolling__two_calls_one_span_apart__never_meet),
        cmocka_unit_test(test_rolling__wait__is_until_enough_has_left),
        cmocka_unit_test(test_rolling__a_late_comer__is_checked_in_every_span_it_would_be_in),
        cmocka_unit_test(test_rolling__adjust__keeps_the_time),
        cmocka_unit_test(test_rolling__random_traffic__agrees_with_the_definition),
        cmocka_unit_test(test_bucket__wait__reproduces_the_messages),
        cmocka_unit_test(test_bucket__reset__reproduces_the_headers),
        cmocka_unit_test(test_bucket__refill__is_exact_to_the_microsecond),
        cmocka_unit_test(test_fixed__starts_again__at_every_multiple),
        cmocka_unit_test(test_a_charge_over_max__blocks_until_it_is_below),
        cmocka_unit_test(test_duration__is_written__as_go_does),
    };

    return cmocka_run_group_tests_name("sim_limiter", tests, NULL, NULL);
}
