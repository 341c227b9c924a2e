/* window: the rolling sum, by example and against a plain list of charges. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "metergate/base/clock.h"
#include "metergate/base/err.h"
#include "metergate/gate/window.h"

#define SPAN (60 * CLOCK_S)

static struct window window_of_a_minute(void)
{
    struct window w;

    window_init(&w, SPAN);
    return w;
}

static void test_window__empty__has_room_now_and_nothing_to_wait_for(void **state)
{
    struct window w = window_of_a_minute();

    (void)state;
    window_advance(&w, 5);
    assert_int_equal(w.used, 0);
    assert_int_equal(window_earliest(&w, 5, 0), 5);
    assert_int_equal(window_earliest(&w, 5, -1), CLOCK_NEVER);
    assert_int_equal(window_sum_at(&w, 5), 0);
    window_release(&w);
}

static void test_window__charge__leaves_exactly_one_span_after_its_time(void **state)
{
    struct window w = window_of_a_minute();

    (void)state;
    window_stamp(&w, 10, 700);
    window_advance(&w, SPAN + 9);
    assert_int_equal(w.used, 700);
    assert_int_equal(window_sum_at(&w, SPAN + 9), 700);
    assert_int_equal(window_sum_at(&w, SPAN + 10), 0);
    window_advance(&w, SPAN + 10);
    assert_int_equal(w.used, 0);
    assert_int_equal(window_entries(&w), 0);
    window_release(&w);
}

static void test_window__times_before_the_clock_began__are_times_like_others(void **state)
{
    struct window w = window_of_a_minute();

    (void)state;
    window_stamp(&w, -SPAN - 5, 1);
    window_stamp(&w, -20, 100);
    window_stamp(&w, -30, 10); /* older than the last: with it, so late and never early */
    window_stamp(&w, 0, 1000);
    assert_int_equal(window_entries(&w), 3);
    window_advance(&w, 0);
    assert_int_equal(w.used, 1110);
    assert_int_equal(window_earliest(&w, 0, 1000), SPAN - 20);
    assert_int_equal(window_next_leave(&w, 0), SPAN - 20);
    assert_int_equal(window_sum_at(&w, SPAN - 20), 1000);
    window_advance(&w, SPAN);
    assert_int_equal(w.used, 0);
    window_release(&w);
}

static void test_window__reserved__counts_and_never_leaves_by_itself(void **state)
{
    struct window w = window_of_a_minute();

    (void)state;
    window_reserve(&w, 300);
    window_stamp(&w, 0, 500);
    window_advance(&w, 1);
    assert_int_equal(window_sum_at(&w, 1), 800);
    assert_int_equal(window_earliest(&w, 1, 800), 1);
    assert_int_equal(window_earliest(&w, 1, 300), SPAN);
    assert_int_equal(window_earliest(&w, 1, 299), CLOCK_NEVER);
    assert_int_equal(window_sum_at(&w, 9 * SPAN), 300);
    window_reserve(&w, -300);
    assert_int_equal(window_earliest(&w, 1, 299), SPAN);
    window_release(&w);
}

static void test_window__settling__replaces_the_amount_and_keeps_the_time(void **state)
{
    struct window w = window_of_a_minute();
    uint64_t first = window_stamp_open(&w, 0, 500), second;

    (void)state;
    second = window_stamp_open(&w, 20, 100);
    window_advance(&w, 30);
    assert_int_equal(w.open, 600);
    window_settle(&w, first, 500, 100);
    assert_int_equal(w.used, 200);
    assert_int_equal(w.open, 100);
    assert_int_equal(window_earliest(&w, 30, 100), SPAN);
    window_settle(&w, second, 100, 900);
    assert_int_equal(w.used, 1000);
    assert_int_equal(w.open, 0);
    assert_int_equal(window_sum_at(&w, SPAN), 900);
    window_release(&w);
}

static void test_window__settling_what_has_left__changes_nothing(void **state)
{
    struct window w = window_of_a_minute();
    uint64_t first = window_stamp_open(&w, 0, 500), second;

    (void)state;
    second = window_stamp_open(&w, 20, 100);
    window_advance(&w, SPAN);
    assert_int_equal(w.open, 100); /* in flight or not, it has left */
    window_settle(&w, first, 500, 5000);
    assert_int_equal(w.used, 100);
    window_advance(&w, 2 * SPAN);
    window_settle(&w, second, 100, 0);
    assert_int_equal(w.used, 0);
    assert_int_equal(w.open, 0);
    window_release(&w);
}

static void test_window__earliest__is_the_moment_at_which_enough_has_left(void **state)
{
    static const struct {
        int64_t ceiling, at_us;
    } rows[] = {{600, 40},        {599, SPAN + 10}, {500, SPAN + 10}, {499, SPAN + 20},
                {300, SPAN + 20}, {299, SPAN + 30}, {0, SPAN + 30}};
    struct window w = window_of_a_minute();

    (void)state;
    window_stamp(&w, 10, 100);
    window_stamp(&w, 20, 200);
    window_stamp(&w, 30, 300);
    window_advance(&w, 40);
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++)
        assert_int_equal(window_earliest(&w, 40, rows[i].ceiling), rows[i].at_us);
    window_release(&w);
}

static void test_window__crowded__is_bounded_and_expires_late_by_a_slot_at_most(void **state)
{
    const int64_t charges = 100000;
    const int64_t step = SPAN / charges;
    struct window w = window_of_a_minute();
    size_t most = 0;

    (void)state;
    for (int64_t i = 0; i < 3 * charges; i++) {
        int64_t now = i * step, within = i < charges ? i : charges - 1;

        window_advance(&w, now);
        window_stamp(&w, now, 1);
        if (window_entries(&w) > most)
            most = window_entries(&w);
        /* never early: everything of the last span is there; late: at most what came in one slot more */
        assert_true(w.used > within && w.used <= within + 1 + charges / WINDOW_SLOTS + 2);
    }
    assert_true(most <= WINDOW_EXACT + WINDOW_SLOTS + 1);
    window_advance(&w, 3 * charges * step + SPAN + SPAN / WINDOW_SLOTS);
    assert_int_equal(w.used, 0);
    window_release(&w);
}

static void test_window__crowded__what_it_said_of_leaving_stays_true(void **state)
{
    struct window w = window_of_a_minute();
    int64_t now = 0, leaves;

    (void)state;
    for (; window_entries(&w) < WINDOW_EXACT; now += 10)
        window_stamp(&w, now, 1);
    window_stamp(&w, now, 7);
    leaves = window_earliest(&w, now, 0);
    assert_true(leaves >= now + SPAN && leaves <= now + SPAN + SPAN / WINDOW_SLOTS);
    for (int i = 0; i < 50; i++) { /* charges of the same slot come late, and do not push it */
        now += SPAN / WINDOW_SLOTS / 50;
        window_stamp(&w, now, 1);
        assert_int_equal(window_earliest(&w, now, 0), leaves);
    }
    window_advance(&w, leaves - 1);
    assert_int_equal(w.used, 57);
    window_advance(&w, leaves);
    assert_int_equal(w.used, 0);
    window_release(&w);
}

/* ---- against a plain list ---- */

enum { CHARGES_MAX = 900 }; /* below WINDOW_EXACT: everything is exact */

struct plain {
    struct {
        int64_t t_us, amount;
        uint64_t handle;
        bool settled;
    } charges[CHARGES_MAX];
    int n;
    int64_t reserved;
};

static int64_t plain_sum_at(const struct plain *p, int64_t t_us)
{
    int64_t sum = p->reserved;

    for (int i = 0; i < p->n; i++)
        sum += p->charges[i].t_us + SPAN > t_us ? p->charges[i].amount : 0;
    return sum;
}

static int64_t plain_earliest(const struct plain *p, int64_t now_us, int64_t ceiling)
{
    int64_t best = CLOCK_NEVER;

    if (plain_sum_at(p, now_us) <= ceiling)
        return now_us;
    for (int i = 0; i < p->n; i++) {
        int64_t at = p->charges[i].t_us + SPAN;

        if (at > now_us && at < best && plain_sum_at(p, at) <= ceiling)
            best = at;
    }
    return best;
}

static uint64_t next_random(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

static void settle(struct window *w, struct plain *p, int i, int64_t amount)
{
    if (p->charges[i].settled)
        return;
    window_settle(w, p->charges[i].handle, p->charges[i].amount, amount);
    p->charges[i].amount = amount;
    p->charges[i].settled = true;
}

static void play(uint64_t first_seed)
{
    struct window w = window_of_a_minute();
    static struct plain p;
    uint64_t seed = first_seed * 7919;
    int64_t now = 0;

    p.n = 0;
    p.reserved = 0;
    while (p.n < CHARGES_MAX) {
        int64_t amount = (int64_t)(next_random(&seed) % 1000), ceiling;

        now += next_random(&seed) % 3 ? (int64_t)(next_random(&seed) % (SPAN / 100)) : 0;
        window_advance(&w, now);
        if (next_random(&seed) % 4 == 0) {
            window_reserve(&w, amount);
            p.reserved += amount;
        } else if (next_random(&seed) % 4 == 0 && p.n > 0) {
            int i = (int)(next_random(&seed) % (uint64_t)p.n);

            settle(&w, &p, i, amount);
        } else {
            p.charges[p.n].t_us = now;
            p.charges[p.n].amount = amount;
            p.charges[p.n].settled = false;
            p.charges[p.n++].handle = window_stamp_open(&w, now, amount);
        }
        ceiling = (int64_t)(next_random(&seed) % (uint64_t)(plain_sum_at(&p, now) + 1));
        if (w.used + w.reserved != plain_sum_at(&p, now) ||
            window_earliest(&w, now, ceiling) != plain_earliest(&p, now, ceiling) ||
            window_sum_at(&w, now + SPAN / 3) != plain_sum_at(&p, now + SPAN / 3))
            fail_msg("seed %" PRIu64 " after %d charges", first_seed, p.n);
    }
    window_release(&w);
}

static void test_window__random_charges__agrees_with_a_plain_list(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 4; seed++)
        play(seed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_window__empty__has_room_now_and_nothing_to_wait_for),
        cmocka_unit_test(test_window__charge__leaves_exactly_one_span_after_its_time),
        cmocka_unit_test(test_window__times_before_the_clock_began__are_times_like_others),
        cmocka_unit_test(test_window__reserved__counts_and_never_leaves_by_itself),
        cmocka_unit_test(test_window__settling__replaces_the_amount_and_keeps_the_time),
        cmocka_unit_test(test_window__settling_what_has_left__changes_nothing),
        cmocka_unit_test(test_window__earliest__is_the_moment_at_which_enough_has_left),
        cmocka_unit_test(test_window__crowded__is_bounded_and_expires_late_by_a_slot_at_most),
        cmocka_unit_test(test_window__crowded__what_it_said_of_leaving_stays_true),
        cmocka_unit_test(test_window__random_charges__agrees_with_a_plain_list),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
