/* purse: money limits by example, and against a plain list of what was spent in random traffic. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "metergate/base/clock.h"
#include "metergate/base/err.h"
#include "metergate/base/prng.h"
#include "metergate/gate/purse.h"

#define HOUR  (3600 * CLOCK_S)
#define DAY   (24 * HOUR)
#define MONTH (30 * DAY)
#define CENT  INT64_C(10000000)
#define USD   (100 * CENT)

static const struct money_limit hour_and_day[] = {{"usd_per_hour", 1 * USD, HOUR}, {"usd_per_day", 5 * USD, DAY}};

static void test_purse__without_limits__has_room_for_anything_and_is_forgettable_when_idle(void **state)
{
    struct purse_refusal why;
    struct purse p = {0};

    (void)state;
    assert_true(purse_has_room(&p, 5, INT64_MAX, &why));
    purse_reserve(&p, USD);
    assert_false(purse_is_forgettable(&p, 5));
    purse_settle(&p, 6, USD, USD);
    assert_true(purse_is_forgettable(&p, 6));
    purse_release(&p);
}

static void test_purse__full_to_the_nano__refuses_one_more_and_says_all_figures(void **state)
{
    struct purse_refusal why;
    struct purse p = {0};

    (void)state;
    purse_set(&p, hour_and_day, 1);
    purse_settle(&p, 10, 0, 60 * CENT);
    purse_reserve(&p, 30 * CENT);
    assert_true(purse_has_room(&p, 20, 10 * CENT, &why));
    assert_false(purse_has_room(&p, 20, 10 * CENT + 1, &why));
    assert_ptr_equal(why.limit, &p.limit[0]);
    assert_string_equal(why.limit->key, "usd_per_hour");
    assert_int_equal(why.spent, 60 * CENT);
    assert_int_equal(why.reserved, 30 * CENT);
    assert_int_equal(why.wanted, 10 * CENT + 1);
    assert_int_equal(why.frees_us, HOUR + 10);
    assert_true(purse_has_room(&p, HOUR + 10, 10 * CENT + 1, &why));
    purse_release(&p);
}

static void test_purse__what_costs_nothing__has_room_even_when_more_was_spent_than_allowed(void **state)
{
    struct purse_refusal why;
    struct purse p = {0};

    (void)state;
    purse_set(&p, hour_and_day, 1);
    purse_settle(&p, 0, 0, 3 * USD);
    assert_false(purse_has_room(&p, 1, 1, &why));
    assert_true(purse_has_room(&p, 1, 0, &why));
    purse_release(&p);
}

static void test_purse__several_limits__names_the_one_that_frees_last(void **state)
{
    struct purse_refusal why;
    struct purse p = {0};

    (void)state;
    purse_set(&p, hour_and_day, 2);
    for (int i = 0; i < 5; i++)
        purse_settle(&p, i * HOUR, 0, 99 * CENT);
    assert_false(purse_has_room(&p, 4 * HOUR, 6 * CENT, &why));
    assert_string_equal(why.limit->key, "usd_per_day"); /* both are full */
    assert_int_equal(why.spent, 495 * CENT);
    assert_int_equal(why.frees_us, DAY);
    assert_false(purse_has_room(&p, 4 * HOUR, 2 * CENT, &why));
    assert_string_equal(why.limit->key, "usd_per_hour");
    assert_int_equal(why.frees_us, 5 * HOUR);
    purse_release(&p);
}

static void test_purse__a_call_above_a_limit__never_fits_and_that_limit_is_named(void **state)
{
    struct purse_refusal why;
    struct purse p = {0};

    (void)state;
    purse_set(&p, hour_and_day, 2);
    purse_reserve(&p, 4 * USD); /* of the day's five, so that its room depends on calls under way */
    assert_false(purse_has_room(&p, 0, 2 * USD, &why));
    assert_string_equal(why.limit->key, "usd_per_hour");
    assert_true(why.wanted > why.limit->max);
    assert_int_equal(why.frees_us, CLOCK_NEVER);
    assert_false(purse_has_room(&p, 0, 1 * USD, &why));
    assert_true(why.wanted <= why.limit->max);
    assert_int_equal(why.frees_us, CLOCK_NEVER); /* when the call that is under way ends */
    purse_settle(&p, 1, 4 * USD, 0);
    assert_true(purse_has_room(&p, 1, 1 * USD, &why));
    purse_release(&p);
}

static void test_purse__other_limits__keep_the_history_and_what_is_reserved(void **state)
{
    static const struct money_limit later[] = {
        {"usd_per_month", 9 * USD, MONTH}, {"usd_per_hour", 2 * USD, HOUR}, {"usd_per_day", 7 * USD, 2 * HOUR}};
    struct purse p = {0};

    (void)state;
    purse_reserve(&p, 7);
    purse_set(&p, hour_and_day, 2);
    assert_int_equal(p.window[0].reserved, 7);
    purse_settle(&p, 0, 0, 3 * CENT);
    purse_settle(&p, 2 * HOUR, 0, 5 * CENT);
    purse_settle(&p, 3 * HOUR - 1, 0, 1 * CENT);
    purse_set(&p, later, 3);
    purse_advance(&p, 3 * HOUR - 1);
    assert_int_equal(p.window[0].used, 9 * CENT); /* a new span: what the day's knew */
    assert_int_equal(p.window[1].used, 6 * CENT); /* the same span, though in another place */
    assert_int_equal(p.window[2].used, 6 * CENT); /* the day's, of what is inside two hours */
    purse_advance(&p, 3 * HOUR);
    assert_int_equal(p.window[1].used, 1 * CENT);
    for (size_t i = 0; i < p.n; i++)
        assert_int_equal(p.window[i].reserved, 7);
    purse_settle(&p, 3 * HOUR, 7, 0);
    for (size_t i = 0; i < p.n; i++)
        assert_int_equal(p.window[i].reserved, 0);
    purse_set(&p, NULL, 0);
    assert_true(purse_is_forgettable(&p, 3 * HOUR));
    purse_release(&p);
}

static void test_purse__restored_before_the_clock_began__leaves_a_span_after_it_was_spent(void **state)
{
    struct purse_refusal why;
    struct purse p = {0};

    (void)state;
    purse_set(&p, hour_and_day, 2);
    purse_restore(&p, -25 * HOUR, 4 * USD); /* has left them all */
    purse_restore(&p, -2 * HOUR, 3 * USD);
    purse_restore(&p, -HOUR / 2, 1 * USD);
    purse_advance(&p, 100);
    assert_int_equal(p.window[0].used, 1 * USD);
    assert_int_equal(p.window[1].used, 4 * USD);
    assert_false(purse_has_room(&p, 100, 1, &why));
    assert_int_equal(why.frees_us, HOUR / 2);
    assert_false(purse_has_room(&p, 100, 1 * USD + 1, &why));
    assert_string_equal(why.limit->key, "usd_per_hour"); /* never */
    assert_false(purse_has_room(&p, HOUR / 2, 2 * USD, &why));
    assert_true(purse_has_room(&p, HOUR / 2, 1 * USD, &why));
    purse_release(&p);
}

static void test_purse__a_months_restored_minutes__keep_the_hours_window_exact(void **state)
{
    struct purse p = {0};

    (void)state;
    purse_set(&p, hour_and_day, 1);
    for (int64_t minute = -43200; minute < 0; minute++)
        purse_restore(&p, minute * 60 * CLOCK_S, 1);
    purse_advance(&p, 0);
    assert_int_equal(p.window[0].used, 59); /* the one of an hour ago has left */
    assert_int_equal(window_entries(&p.window[0]), 59);
    purse_release(&p);
}

static void test_purse__absurd_amounts__stay_full_and_never_overflow(void **state)
{
    struct purse_refusal why;
    struct purse p = {0};

    (void)state;
    purse_set(&p, hour_and_day, 2);
    for (int i = 0; i < 40000; i++)
        purse_reserve(&p, INT64_MAX);
    for (int i = 0; i < 40000; i++) {
        assert_false(purse_has_room(&p, i, INT64_MAX, &why));
        assert_false(purse_has_room(&p, i, 1, &why));
        purse_settle(&p, i, INT64_MAX, INT64_MAX);
    }
    assert_int_equal(p.reserved, 0);
    assert_false(purse_has_room(&p, 40000, 1, &why));
    assert_true(purse_is_forgettable(&p, 40000 + DAY));
    purse_release(&p);
}

/* ---- random traffic against a list ---- */

#define CALLS  900 /* below the number from which windows round times */
#define RUNS   300

struct model {
    struct {
        int64_t at_us, nano;
    } spent[CALLS];
    size_t n;
    int64_t reserved[16]; /* of calls under way; 0: nobody */
};

static int64_t spent_within(const struct model *m, int64_t now_us, int64_t span_us)
{
    int64_t sum = 0;

    for (size_t i = 0; i < m->n; i++)
        sum += m->spent[i].at_us + span_us > now_us ? m->spent[i].nano : 0;
    return sum;
}

static int64_t reserved_sum(const struct model *m)
{
    int64_t sum = 0;

    for (size_t i = 0; i < MG_ARRAY_LEN(m->reserved); i++)
        sum += m->reserved[i];
    return sum;
}

/* Limit l has room for `nano` at t_us, when nothing else is spent. */
static bool fits(const struct model *m, const struct money_limit *l, int64_t nano, int64_t t_us)
{
    return spent_within(m, t_us, l->span_us) + reserved_sum(m) + nano <= l->max;
}

static bool all_fit(const struct model *m, const struct purse *p, int64_t nano, int64_t t_us)
{
    for (size_t i = 0; i < p->n; i++) {
        if (!fits(m, &p->limit[i], nano, t_us))
            return false;
    }
    return true;
}

static void check_refusal(const struct model *m, const struct purse *p, const struct purse_refusal *why, int64_t now_us)
{
    int64_t frees_us = why->frees_us;

    assert_int_equal(why->spent, spent_within(m, now_us, why->limit->span_us));
    assert_int_equal(why->reserved, reserved_sum(m));
    assert_false(fits(m, why->limit, why->wanted, now_us));
    if (frees_us == CLOCK_NEVER) {
        assert_false(all_fit(m, p, why->wanted, now_us + 2 * MONTH));
        return;
    }
    assert_true(frees_us > now_us);
    assert_true(all_fit(m, p, why->wanted, frees_us)); /* not only the limit that is named */
    assert_false(fits(m, why->limit, why->wanted, frees_us - 1));
}

static void arrive(struct model *m, struct purse *p, struct prng *random, int64_t now_us)
{
    int64_t nano = prng_below(random, 8) == 0 ? prng_below(random, 3 * USD) : 1 + prng_below(random, 20 * CENT);
    size_t place = (size_t)prng_below(random, (int64_t)MG_ARRAY_LEN(m->reserved));
    struct purse_refusal why;
    bool room;

    if (m->reserved[place] > 0)
        return;
    room = purse_has_room(p, now_us, nano, &why);
    assert_int_equal(room, nano == 0 || all_fit(m, p, nano, now_us));
    if (!room) {
        check_refusal(m, p, &why, now_us);
        return;
    }
    purse_reserve(p, nano);
    m->reserved[place] = nano;
}

static void end(struct model *m, struct purse *p, struct prng *random, int64_t now_us, size_t place)
{
    int64_t spent = prng_below(random, m->reserved[place] + 1);

    if (m->reserved[place] == 0)
        return;
    purse_settle(p, now_us, m->reserved[place], spent);
    m->reserved[place] = 0;
    m->spent[m->n].at_us = now_us;
    m->spent[m->n++].nano = spent;
    for (size_t i = 0; i < p->n; i++) /* as estimates are not below the truth */
        assert_true(spent_within(m, now_us, p->limit[i].span_us) <= p->limit[i].max);
}

static void run(uint64_t seed)
{
    static const struct money_limit limits[] = {
        {"usd_per_hour", 1 * USD, HOUR}, {"usd_per_day", 3 * USD, DAY}, {"usd_per_month", 9 * USD, MONTH}};
    struct model *m = xcalloc(1, sizeof *m);
    struct prng random = {seed};
    struct purse p = {0};
    int64_t now_us = 0;

    purse_set(&p, limits + prng_below(&random, 3), 1);
    purse_set(&p, limits, (size_t)prng_below(&random, 3) + 1);
    while (m->n < CALLS - MG_ARRAY_LEN(m->reserved) && now_us < MONTH + 10 * DAY) {
        now_us += prng_below(&random, 4) == 0 ? prng_below(&random, 4 * HOUR) : prng_below(&random, 60 * CLOCK_S);
        if (prng_below(&random, 2))
            arrive(m, &p, &random, now_us);
        else
            end(m, &p, &random, now_us, (size_t)prng_below(&random, (int64_t)MG_ARRAY_LEN(m->reserved)));
        assert_int_equal(p.reserved, reserved_sum(m));
    }
    for (size_t i = 0; i < MG_ARRAY_LEN(m->reserved); i++)
        end(m, &p, &random, now_us, i);
    assert_int_equal(p.reserved, 0);
    assert_true(purse_is_forgettable(&p, now_us + MONTH));
    purse_release(&p);
    free(m);
}

static void test_purse__random_traffic__is_as_a_plain_list_says(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= RUNS; seed++)
        run(seed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_purse__without_limits__has_room_for_anything_and_is_forgettable_when_idle),
        cmocka_unit_test(test_purse__full_to_the_nano__refuses_one_more_and_says_all_figures),
        cmocka_unit_test(test_purse__what_costs_nothing__has_room_even_when_more_was_spent_than_allowed),
        cmocka_unit_test(test_purse__several_limits__names_the_one_that_frees_last),
        cmocka_unit_test(test_purse__a_call_above_a_limit__never_fits_and_that_limit_is_named),
        cmocka_unit_test(test_purse__other_limits__keep_the_history_and_what_is_reserved),
        cmocka_unit_test(test_purse__restored_before_the_clock_began__leaves_a_span_after_it_was_spent),
        cmocka_unit_test(test_purse__a_months_restored_minutes__keep_the_hours_window_exact),
        cmocka_unit_test(test_purse__absurd_amounts__stay_full_and_never_overflow),
        cmocka_unit_test(test_purse__random_traffic__is_as_a_plain_list_says),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
