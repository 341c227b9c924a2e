/* polite: when lower classes leave room, how much, and that the search's bound says the same as the rule. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "metergate/base/clock.h"
#include "metergate/gate/budget.h"

#define MINUTE (60 * CLOCK_S)
#define T0     (1000 * CLOCK_S)

static struct budget *budget(int64_t tpm)
{
    const struct limit limits[] = {{METRIC_TOKENS, tpm, MINUTE, false, "tpm"},
                                   {METRIC_REQUESTS, 60, MINUTE, false, "rpm"}};

    return budget_new("model", 0, limits, 2);
}

static struct cost cost(int64_t tokens)
{
    const struct estimate e = {.input = tokens, .choices = 1};

    return profile_reserve(PROFILE_OPENAI, &e);
}

/* A call of that class comes and goes at once, as the gate lets it. */
static void goes(struct budget *b, enum ticket_class class, int64_t tokens, int64_t now_us)
{
    struct cost c = cost(tokens);

    polite_came(&b->polite, class, now_us);
    polite_goes(b, class, &c, now_us);
    budget_advance(b, now_us);
    window_stamp(&b->limits[0].window, now_us, tokens);
    window_stamp(&b->limits[1].window, now_us, 1);
}

static struct manners manners(const struct budget *b, enum ticket_class class, int64_t now_us)
{
    struct manners m;

    polite_manners(b, class, now_us, &m);
    return m;
}

static void test_polite__one_class_alone__leaves_nothing(void **state)
{
    struct budget *b = budget(1000);

    (void)state;
    goes(b, TICKET_NORMAL, 100, T0);
    assert_false(manners(b, TICKET_NORMAL, T0).any);
    assert_false(manners(b, TICKET_HIGH, T0).any);
    budget_free(b);
}

static void test_polite__higher_class_that_was_seen__is_in_play_for_15_minutes(void **state)
{
    struct budget *b = budget(1000);

    (void)state;
    goes(b, TICKET_HIGH, 100, T0);
    assert_true(manners(b, TICKET_NORMAL, T0 + 15 * MINUTE - 1).any);
    assert_true(manners(b, TICKET_LOW, T0).any);
    assert_false(manners(b, TICKET_HIGH, T0).any);
    assert_false(manners(b, TICKET_NORMAL, T0 + 15 * MINUTE).any);
    budget_free(b);
}

static void test_polite__higher_class_that_is_expected__paces_but_keeps_no_room(void **state)
{
    struct budget *b = budget(1000);
    struct manners m;

    (void)state;
    b->polite.expected = 1u << TICKET_HIGH;
    m = manners(b, TICKET_NORMAL, T0);
    assert_true(m.any && m.paced[0] && m.paced[1]);
    assert_int_equal(m.door[0], 0);
    b->polite.mode = POLITE_NEVER;
    assert_false(manners(b, TICKET_NORMAL, T0).any);
    b->polite.mode = POLITE_ALWAYS;
    b->polite.expected = 0;
    assert_true(manners(b, TICKET_NORMAL, T0).any);
    budget_free(b);
}

static void test_polite__typical_calls_of_a_third_of_the_limit__are_not_paced(void **state)
{
    struct budget *b = budget(1000);

    (void)state;
    b->polite.mode = POLITE_ALWAYS;
    for (int i = 0; i < 20; i++)
        goes(b, TICKET_LOW, 300, T0);
    assert_true(manners(b, TICKET_LOW, T0).paced[0]);
    for (int i = 0; i < 200; i++)
        goes(b, TICKET_LOW, 400, T0);
    assert_false(manners(b, TICKET_LOW, T0).paced[0]);
    assert_true(manners(b, TICKET_LOW, T0).paced[1]); /* of requests each is one */
    budget_free(b);
}

static void test_polite__pace__is_even_with_a_burst_of_two_typical_calls(void **state)
{
    struct budget *b = budget(100000);
    struct manners m;

    (void)state;
    b->polite.mode = POLITE_ALWAYS;
    for (int i = 0; i < 2000; i++) /* far more than the prior */
        goes(b, TICKET_LOW, 5000, T0);
    m = manners(b, TICKET_LOW, T0);
    /* 2 x 5,000 of 105,000 a minute */
    assert_in_range(m.burst_us[0], MINUTE * 10000 / 105000 - 2, MINUTE * 10000 / 105000 + 2);
    assert_in_range(b->limits[0].pace.even_us, T0 + MINUTE * 95,
                    T0 + MINUTE * 96); /* 10 M at 105,000 a minute */
    budget_free(b);
}

static void test_polite__door__keeps_what_95_of_100_single_calls_need(void **state)
{
    struct budget *b = budget(100000);

    (void)state;
    for (int i = 1; i <= 64; i++)
        goes(b, TICKET_HIGH, i < 62 ? 1000 + i : 90000, T0);
    assert_int_equal(manners(b, TICKET_NORMAL, T0).door[0], 1000 + 60);
    for (int i = 0; i < 10; i++)
        goes(b, TICKET_HIGH, 90000, T0);
    /* at most what comes back in 10 s, and a twentieth */
    assert_int_equal(manners(b, TICKET_NORMAL, T0).door[0], 100000 / 6 + 5000);
    assert_int_equal(manners(b, TICKET_NORMAL, T0).door[1], 1);
    budget_free(b);
}

static void test_polite__what_was_seen_half_an_hour_ago__is_forgotten(void **state)
{
    struct budget *b = budget(100000);

    (void)state;
    for (int i = 0; i < 64; i++)
        goes(b, TICKET_HIGH, 9000, T0);
    goes(b, TICKET_HIGH, 10, T0 + 31 * MINUTE);
    assert_int_equal(manners(b, TICKET_NORMAL, T0 + 31 * MINUTE).door[0], 10);
    budget_free(b);
}

/* The search asks for the most that may go, the head for the moment at which it may: the same rule, twice. */
static void test_polite__most_and_earliest__agree(void **state)
{
    uint64_t random = 88172645463325252u;
    int allowed = 0, refused = 0;

    (void)state;
    for (int round = 0; round < 3000; round++) {
        struct budget *b = budget(1000);
        int64_t now_us = T0;

        b->polite.mode = POLITE_ALWAYS;
        for (int i = 0; i < 12; i++) {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            now_us += (int64_t)(random % (8 * CLOCK_S));
            goes(b, random >> 60 < 6 ? TICKET_HIGH : TICKET_NORMAL, 1 + (int64_t)(random >> 20) % 150,
                 now_us);
        }
        budget_advance(b, now_us);
        for (int64_t need = 1; need <= 1000; need += 37) {
            struct manners m = manners(b, TICKET_NORMAL, now_us);
            int64_t room = 1000 - b->limits[0].window.used;
            bool by_most = need <= polite_most(b, 0, &m, now_us);
            bool by_earliest = polite_earliest(b, 0, &m, need, now_us) <= now_us;

            if (need > room) /* not for manners to decide */
                continue;
            assert_int_equal(by_most, by_earliest);
            allowed += by_most;
            refused += !by_most;
        }
        budget_free(b);
    }
    assert_true(allowed > 1000 && refused > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_polite__one_class_alone__leaves_nothing),
        cmocka_unit_test(test_polite__higher_class_that_was_seen__is_in_play_for_15_minutes),
        cmocka_unit_test(test_polite__higher_class_that_is_expected__paces_but_keeps_no_room),
        cmocka_unit_test(test_polite__typical_calls_of_a_third_of_the_limit__are_not_paced),
        cmocka_unit_test(test_polite__pace__is_even_with_a_burst_of_two_typical_calls),
        cmocka_unit_test(test_polite__door__keeps_what_95_of_100_single_calls_need),
        cmocka_unit_test(test_polite__what_was_seen_half_an_hour_ago__is_forgotten),
        cmocka_unit_test(test_polite__most_and_earliest__agree),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
