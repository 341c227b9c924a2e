/* tidy: charges get coarser and never come earlier; old calls go, their hours stay. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "ledger_rows.h"
#include "metergate/ledger/store.h"
#include "metergate/ledger/tidy.h"

#define T0        INT64_C(1795860000) /* s: 2026-11-28, at the beginning of an hour */
#define RETENTION (400 * INT64_C(86400) * CLOCK_S)
#define DAY_S     INT64_C(86400)

static struct ledger_place at;
static struct store *store;

static int make(void **state)
{
    struct errbuf e;

    (void)state;
    place_make(&at);
    return store_open(at.db, 50, &store, &e);
}

static int unmake(void **state)
{
    (void)state;
    store_close(store);
    place_remove(&at);
    return 0;
}

/* One step; whether there are more. */
static bool step(int64_t now_s, int64_t retention_us)
{
    struct errbuf e;
    bool more;

    assert_int_equal(store_tidy(store, now_s * CLOCK_S, retention_us, &more, &e), DB_OK);
    return more;
}

static void tidy(int64_t now_s)
{
    while (step(now_s, RETENTION)) {
    }
}

/* So many tokens of one client, that were used until that second. */
static void charge(const char *client, int64_t t_s, int64_t tokens)
{
    struct ledger_row r = {.kind = ROW_ATTEMPT, .t_us = t_s * CLOCK_S - 500000,
                           .charge.on_arrival = {[METRIC_TOKENS] = tokens}};
    const struct ledger_row *one = &r;
    struct errbuf e;

    snprintf(r.client, sizeof r.client, "%s", client);
    assert_int_equal(store_write(store, &one, 1, &e), DB_OK);
}

/* What a window that begins there still holds, were it filled from the database now. */
static int64_t held_after(int64_t s)
{
    char sql[128];

    snprintf(sql, sizeof sql, "SELECT coalesce(sum(tokens), 0) FROM charges WHERE until_s > %lld", (long long)s);
    return ask(at.db, sql);
}

/* ---- coarser ---- */

static const struct {
    int64_t age_s; /* of the charge that stands at T0 */
    int64_t slot_s; /* of 0: gone */
} coarser[] = {
    {0, 1}, {600, 1}, {610, 10}, {3500, 10}, {3600 + 240, 120}, {DAY_S, 120}, {DAY_S + 7200, 3600},
    {31 * DAY_S, 3600}, {32 * DAY_S + 3600, DAY_S}, {365 * DAY_S, DAY_S}, {367 * DAY_S + 3600, 0},
};

static void test_tidy__a_charge__has_a_slot_by_its_age(void **state)
{
    const int64_t t = T0 - 3599; /* the first second of an hour */

    for (size_t i = 0; i < MG_ARRAY_LEN(coarser); i++) {
        int64_t end = coarser[i].slot_s == 0 ? 0 : (t + coarser[i].slot_s - 1) / coarser[i].slot_s * coarser[i].slot_s;

        charge("c", t, 5);
        tidy(t + coarser[i].age_s);
        assert_int_equal(ask(at.db, "SELECT coalesce(max(until_s), 0) FROM charges"), end);
        assert_int_equal(held_after(0), end ? 5 : 0);
        unmake(state);
        make(state);
    }
}

static void test_tidy__slots_of_one_end__are_added_up(void **state)
{
    (void)state;
    charge("c", T0 + 1, 1);
    charge("c", T0 + 9, 2);
    charge("c", T0 + 10, 4);
    charge("c", T0 + 11, 8);
    charge("d", T0 + 2, 16);
    tidy(T0 + 620);
    assert_int_equal(ask(at.db, "SELECT count(*) FROM charges"), 3);
    assert_int_equal(ask(at.db, "SELECT tokens FROM charges WHERE until_s = 1795860010 AND tokens < 16"), 7);
    assert_int_equal(ask(at.db, "SELECT tokens FROM charges WHERE until_s = 1795860020"), 8);
    assert_int_equal(ask(at.db, "SELECT tokens FROM charges WHERE until_s = 1795860010 AND tokens > 15"), 16);
}

/* The slot that a charge of that second may have by then at the most. */
static int64_t slot_at(int64_t t_s, int64_t now_s)
{
    int64_t age = now_s - t_s;
    int64_t slot = age >= DAY_S ? 3600 : age >= 3600 ? 120 : age >= 600 ? 10 : 1;

    return (t_s + slot - 1) / slot * slot;
}

#define CHARGES 400

static void test_tidy__random_charges_and_times__nothing_leaves_early_or_much_later(void **state)
{
    int64_t when[CHARGES], tokens[CHARGES];
    struct prng p = {11};
    int64_t now = T0;
    char name[8];
    int n = 0;

    (void)state;
    while (n < CHARGES) {
        now += prng_below(&p, 4) ? prng_below(&p, 100) : prng_below(&p, 20000);
        for (int k = 0; k < 5 && n < CHARGES; k++, n++) {
            when[n] = now - (prng_below(&p, 10) ? prng_below(&p, 30) : prng_below(&p, 2 * DAY_S)); /* some came late */
            tokens[n] = prng_below(&p, 1000) + 1;
            snprintf(name, sizeof name, "c%d", (int)prng_below(&p, 3));
            charge(name, when[n], tokens[n]);
        }
        if (prng_below(&p, 2))
            step(now, RETENTION); /* in the midst of a round */
        if (prng_below(&p, 4))
            continue;
        while (step(now, RETENTION)) {
        }
        tidy(now); /* what came while a round was under way is of the next one */
        for (int k = 0; k < 40; k++) {
            int64_t from = now - prng_below(&p, 3 * DAY_S), least = 0, most = 0;

            for (int i = 0; i < n; i++) {
                least += when[i] > from ? tokens[i] : 0;
                most += slot_at(when[i], now) > from ? tokens[i] : 0;
            }
            assert_in_range(held_after(from), least, most);
        }
    }
    assert_true(ask(at.db, "SELECT count(*) FROM charges") < CHARGES);
}

static void test_tidy__a_charge_that_comes_late__gets_coarser_in_the_next_round(void **state)
{
    (void)state;
    charge("c", T0 + 5, 1);
    tidy(T0 + 2 * DAY_S);
    charge("c", T0 + 7, 2);
    tidy(T0 + 2 * DAY_S);
    assert_int_equal(ask(at.db, "SELECT count(*) FROM charges"), 1);
    assert_int_equal(ask(at.db, "SELECT tokens FROM charges WHERE until_s = 1795860000 + 3600"), 3);
}

static void test_tidy__many_scopes__are_done_in_steps(void **state)
{
    char name[16];
    int steps = 0;

    (void)state;
    for (int i = 0; i < 600; i++) {
        snprintf(name, sizeof name, "c%d", i);
        charge(name, T0 + 5, 1);
        charge(name, T0 + 6, 1);
    }
    while (step(T0 + 620, RETENTION))
        steps++;
    assert_true(steps >= 3);
    assert_int_equal(ask(at.db, "SELECT count(*) FROM charges WHERE tokens = 2 AND until_s = 1795860010"), 600);
}

/* ---- a clock that jumps ---- */

static void test_tidy__the_clock_is_years_ahead_for_a_while__little_is_forgotten(void **state)
{
    (void)state;
    charge("c", T0, 5);
    tidy(T0 + 60);
    for (int i = 0; i < 300; i++)
        tidy(T0 + 1000 * DAY_S + INT64_C(60) * i);
    assert_int_equal(held_after(T0 - DAY_S), 5);
    tidy(T0 + 120); /* it is set right: at once as before */
    charge("c", T0 + 102, 1);
    charge("c", T0 + 101, 1);
    tidy(T0 + 720);
    assert_int_equal(ask(at.db, "SELECT tokens FROM charges WHERE until_s = 1795860110"), 2);
}

static void test_tidy__the_clock_is_years_ahead_before_the_first_round__nothing_is_forgotten(void **state)
{
    struct ledger_row r = {.id = 1, .t_us = T0 * CLOCK_S, .client = "c", .charge.on_arrival = {[METRIC_TOKENS] = 5}};
    const struct ledger_row *one = &r;
    struct errbuf e;

    (void)state;
    assert_int_equal(store_write(store, &one, 1, &e), DB_OK);
    tidy(T0 + 1000 * DAY_S);
    assert_int_equal(held_after(T0 - DAY_S), 5);
    assert_int_equal(ask(at.db, "SELECT count(*) FROM calls"), 1);
}

static void test_tidy__the_clock_is_years_behind_for_a_while__goes_on_where_it_was(void **state)
{
    (void)state;
    charge("c", T0 + 1, 5);
    tidy(T0 + 60);
    tidy(T0 - 2000 * DAY_S);
    assert_int_equal(held_after(0), 5);
    tidy(T0 + 720);
    assert_int_equal(ask(at.db, "SELECT tokens FROM charges WHERE until_s = 1795860010"), 5);
}

static void test_tidy__after_a_year_without_a_round__is_caught_up_day_by_day(void **state)
{
    (void)state;
    charge("c", T0, 5);
    tidy(T0 + 60);
    for (int i = 0; i < 370; i++)
        tidy(T0 + 400 * DAY_S + INT64_C(60) * i);
    assert_int_equal(held_after(0), 0);
}

/* ---- retention ---- */

static void add_calls(int64_t first_id, int n, int64_t t_s)
{
    struct ledger_row *rows = xcalloc((size_t)n, sizeof *rows);
    const struct ledger_row **all = xcalloc((size_t)n, sizeof *all);
    struct prng p = {(uint64_t)first_id};
    struct errbuf e;

    for (int i = 0; i < n; i++) {
        random_row(&p, first_id + i, t_s * CLOCK_S, &rows[i]);
        all[i] = &rows[i];
    }
    assert_int_equal(store_write(store, all, (size_t)n, &e), DB_OK);
    free(all);
    free(rows);
}

static void test_tidy__old_calls_and_holds__go_in_steps_and_their_hours_stay(void **state)
{
    int64_t hours, before;

    (void)state;
    add_calls(1, TIDY_ROWS + 10, T0);
    add_calls(100000, 20, T0 + 3600);
    hours = ask(at.db, "SELECT sum(calls) FROM hours");
    assert_int_equal(hours, TIDY_ROWS + 30);
    while (step(T0 + 3600, 3600 * CLOCK_S)) {
    }
    assert_int_equal(ask(at.db, "SELECT count(*) FROM calls"), hours); /* as old as they may be */
    while (before = ask(at.db, "SELECT count(*) FROM calls"), step(T0 + 3601, 3600 * CLOCK_S))
        assert_true(before - ask(at.db, "SELECT count(*) FROM calls") <= TIDY_ROWS);
    assert_int_equal(ask(at.db, "SELECT count(*) FROM calls"), 20);
    assert_int_equal(ask(at.db, "SELECT count(*) FROM holds WHERE call < 100000"), 0);
    assert_true(ask(at.db, "SELECT count(*) FROM holds") > 0);
    assert_int_equal(ask(at.db, "SELECT sum(calls) FROM hours"), hours);
}

static void test_tidy__a_step_that_fails__is_done_again(void **state)
{
    struct errbuf e;
    struct db *other;
    bool more;

    (void)state;
    charge("c", T0 + 5, 1);
    assert_int_equal(db_open(at.db, 50, &other), DB_OK);
    assert_int_equal(db_exec(other, "BEGIN EXCLUSIVE"), DB_OK);
    assert_int_equal(store_tidy(store, (T0 + 620) * CLOCK_S, RETENTION, &more, &e), DB_BUSY);
    assert_int_equal(db_exec(other, "COMMIT"), DB_OK);
    assert_int_equal(db_exec(other, "CREATE TRIGGER t BEFORE DELETE ON charges BEGIN SELECT RAISE(ABORT, 'no'); END"),
                     DB_OK);
    assert_int_equal(store_tidy(store, (T0 + 620) * CLOCK_S, RETENTION, &more, &e), DB_ERROR);
    assert_int_equal(db_exec(other, "DROP TRIGGER t"), DB_OK);
    assert_int_equal(ask(at.db, "SELECT until_s FROM charges"), T0 + 5);
    db_close(other);
    tidy(T0 + 620);
    assert_int_equal(ask(at.db, "SELECT until_s FROM charges"), T0 + 10);
}

#define IN_PLACE(f) cmocka_unit_test_setup_teardown(f, make, unmake)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_PLACE(test_tidy__a_charge__has_a_slot_by_its_age),
        IN_PLACE(test_tidy__slots_of_one_end__are_added_up),
        IN_PLACE(test_tidy__random_charges_and_times__nothing_leaves_early_or_much_later),
        IN_PLACE(test_tidy__a_charge_that_comes_late__gets_coarser_in_the_next_round),
        IN_PLACE(test_tidy__many_scopes__are_done_in_steps),
        IN_PLACE(test_tidy__the_clock_is_years_ahead_for_a_while__little_is_forgotten),
        IN_PLACE(test_tidy__the_clock_is_years_ahead_before_the_first_round__nothing_is_forgotten),
        IN_PLACE(test_tidy__the_clock_is_years_behind_for_a_while__goes_on_where_it_was),
        IN_PLACE(test_tidy__after_a_year_without_a_round__is_caught_up_day_by_day),
        IN_PLACE(test_tidy__old_calls_and_holds__go_in_steps_and_their_hours_stay),
        IN_PLACE(test_tidy__a_step_that_fails__is_done_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
