/* journal: states of slots, the order of what waits, bounds, growth, and moving from memory into the file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <cmocka.h>

#include "journal_rows.h"

static const struct ledger_row *fetched[JOURNAL_SLOTS_MAX];

static void expect_figures(struct journal *j, int64_t slots, int64_t waiting, int64_t open, int64_t lost)
{
    struct journal_figures f = journal_figures(j);

    assert_int_equal(f.slots, slots);
    assert_int_equal(f.waiting, waiting);
    assert_int_equal(f.open, open);
    assert_int_equal(f.lost, lost);
    assert_int_equal(f.damaged, 0);
}

static struct journal *attached(void)
{
    struct errbuf e;
    int rc;
    struct journal *j = attach_new(&rc, &e);

    if (!j)
        fail_msg("%d %s", rc, e.text);
    assert_string_equal(e.text, "");
    return j;
}

static void test_journal__a_slot__goes_through_its_states(void **state)
{
    struct journal *j = journal_new();
    struct ledger_row *open, *r;

    (void)state;
    expect_figures(j, 0, 0, 0, 0);
    open = open_row(j, 1, 1);
    expect_figures(j, JOURNAL_STEP, 0, 1, 0);
    assert_true(end_row(j, 1, 1));
    journal_drop(j, open);
    expect_figures(j, JOURNAL_STEP, 1, 0, 0);
    r = journal_take(j);
    journal_drop(j, r);
    assert_int_equal(journal_fetch(j, 0, fetched, 10), 1);
    assert_true(is_filled(fetched[0]));
    journal_written(j, 1);
    expect_figures(j, JOURNAL_STEP, 0, 0, 0);
    assert_int_equal(journal_fetch(j, 0, fetched, 10), 0);
    journal_free(j);
    journal_free(NULL);
}

static void test_journal__a_slot_that_was_used__is_zero_when_taken_again(void **state)
{
    static const struct ledger_row zero;
    struct journal *j = journal_new();
    struct ledger_row *r = take_filled(j, 77, 3);

    (void)state;
    journal_drop(j, r);
    assert_ptr_equal(journal_take(j), r); /* the same pages again and again */
    assert_memory_equal(r, &zero, sizeof zero);
    journal_free(j);
}

static void test_journal__the_first_that_waits__wakes_the_writer(void **state)
{
    struct journal *j = journal_new();

    (void)state;
    assert_true(end_row(j, 1, 1));
    assert_false(end_row(j, 2, 1));
    journal_written(j, 1);
    assert_false(end_row(j, 3, 1));
    journal_written(j, 2);
    assert_true(end_row(j, 4, 1));
    journal_free(j);
}

static void test_journal__ended_rows__come_oldest_first_and_stay_until_written(void **state)
{
    struct journal *j = journal_new();
    int64_t ended = 0, written = 0;

    (void)state;
    for (int round = 0; round < 200; round++) { /* round the ring of the queue more than once */
        size_t n, some = (size_t)round % 90 + 70;

        for (size_t i = 0; i < 150; i++)
            end_row(j, ++ended, 1);
        n = journal_fetch(j, 7, fetched, JOURNAL_SLOTS_MAX);
        assert_int_equal(n, ended - written - 7);
        assert_int_equal(journal_fetch(j, 0, fetched, some), some);
        for (size_t i = 0; i < some; i++) {
            assert_int_equal(fetched[i]->id, written + (int64_t)i + 1);
            assert_true(is_filled(fetched[i]));
        }
        journal_written(j, some);
        written += (int64_t)some;
    }
    assert_true(ended > JOURNAL_SLOTS_MAX);
    assert_int_equal(journal_fetch(j, (size_t)(ended - written), fetched, 10), 0);
    assert_int_equal(journal_fetch(j, (size_t)(ended - written) + 5, fetched, 10), 0);
    assert_int_equal(journal_fetch(j, 0, fetched, JOURNAL_SLOTS_MAX), ended - written);
    assert_int_equal(fetched[0]->id, written + 1);
    journal_free(j);
}

static void test_journal__nobody_writes__ended_rows_leave_a_quarter_to_attempts(void **state)
{
    static struct ledger_row *open[JOURNAL_SLOTS_MAX / 4];
    const int64_t most = INT64_C(3) * JOURNAL_SLOTS_MAX / 4;
    struct journal *j = attached();

    (void)state;
    for (int64_t i = 1; i <= most; i++)
        end_row(j, i, 1);
    expect_figures(j, most, most, 0, 0);
    assert_false(end_row(j, most + 1, 1));
    expect_figures(j, most + JOURNAL_STEP, most, 0, 1);
    for (size_t i = 0; i < MG_ARRAY_LEN(open); i++)
        open[i] = open_row(j, 100000 + (int64_t)i, 1);
    expect_figures(j, JOURNAL_SLOTS_MAX, most, JOURNAL_SLOTS_MAX / 4, 1);
    assert_null(journal_take(j));
    expect_figures(j, JOURNAL_SLOTS_MAX, most, JOURNAL_SLOTS_MAX / 4, 2);
    journal_drop(j, open[5]);
    assert_false(end_row(j, 5, 1)); /* there is a slot, but not for one that ended */
    expect_figures(j, JOURNAL_SLOTS_MAX, most, JOURNAL_SLOTS_MAX / 4 - 1, 3);
    journal_written(j, 1);
    end_row(j, most + 2, 1);
    assert_int_equal(journal_fetch(j, 0, fetched, JOURNAL_SLOTS_MAX), most);
    assert_int_equal(fetched[most - 1]->id, most + 2);
    journal_free(j);
    clear_dir("");
}

static void test_journal__it_grows__rows_keep_their_addresses(void **state)
{
    static struct ledger_row *open[5 * JOURNAL_STEP];
    struct journal *j = attached();
    struct stat st;

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(open); i++)
        open[i] = open_row(j, (int64_t)i + 1, 2);
    for (size_t i = 0; i < MG_ARRAY_LEN(open); i++) {
        assert_int_equal(open[i]->id, i + 1);
        assert_true(is_filled(open[i]));
    }
    assert_true(journal_is_attached(j));
    assert_int_equal(stat(file, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_true(st.st_blocks * 512 >= (int64_t)(MG_ARRAY_LEN(open) * sizeof(struct ledger_row)));
    journal_free(j);
    j = attached();
    assert_int_equal(found.n, MG_ARRAY_LEN(open));
    assert_false(found.spoilt);
    journal_free(j);
    clear_dir("");
}

static void test_journal__what_waits_in_memory__is_moved_into_the_file(void **state)
{
    enum { MANY = 3 * JOURNAL_STEP, LAST = 10 * MANY };
    static struct ledger_row *open[MANY];
    struct journal *j = journal_new();
    struct errbuf e;

    (void)state;
    for (int i = 0; i < MANY; i++) {
        open[i] = open_row(j, i + 1, 1);
        end_row(j, MANY + i + 1, 1);
    }
    assert_false(journal_is_attached(j));
    assert_int_equal(journal_attach(j, dir, note, &found, &e), 0);
    assert_true(journal_is_attached(j));
    journal_drop(j, open[0]);
    journal_written(j, 1);
    end_row(j, LAST, 1);
    for (int i = 1; i < MANY; i++)
        assert_true(is_filled(open[i]));
    journal_free(j);
    j = attached();
    assert_int_equal(found.n, 2 * MANY - 1);
    assert_false(found.spoilt);
    for (size_t i = 0; i < MANY - 1; i++) {
        assert_int_equal(found.v[i].id, MANY + i + 2);
        assert_false(found.v[i].open);
        assert_int_equal(found.v[MANY + i].id, i + 2);
        assert_true(found.v[MANY + i].open);
    }
    assert_int_equal(found.v[MANY - 1].id, LAST);
    journal_free(j);
    clear_dir("");
}

static void test_journal__a_row_that_is_being_written__is_waited_for_but_not_forever(void **state)
{
    struct journal *j = journal_new();
    struct ledger_row *r = take_filled(j, 1, 1);
    struct errbuf e;

    (void)state;
    assert_int_equal(journal_attach(j, dir, note, &found, &e), -EAGAIN);
    assert_true(strstr(e.text, "no moment"));
    journal_open(j, r);
    assert_int_equal(journal_attach(j, dir, note, &found, &e), 0);
    journal_free(j);
    j = attached();
    assert_int_equal(found.n, 1);
    journal_free(j);
    clear_dir("");
}

/* ---- two threads ---- */

struct writer {
    struct journal *j;
    _Atomic bool stop;
    int64_t written, attaches;
    bool spoilt;
};

static void *write_rows(void *arg)
{
    struct writer *w = arg;
    const struct ledger_row *rows[100];
    struct errbuf e;

    for (bool last = false; !last;) {
        size_t n;

        last = atomic_load(&w->stop);
        if (!journal_is_attached(w->j) && w->written > 1000)
            w->attaches += journal_attach(w->j, dir, note, &found, &e) == 0;
        while ((n = journal_fetch(w->j, 0, rows, 100)) > 0) {
            for (size_t i = 0; i < n; i++)
                w->spoilt |= rows[i]->id != ++w->written || !is_filled(rows[i]);
            journal_written(w->j, n);
        }
        sched_yield();
    }
    return NULL;
}

static void test_journal__loop_and_writer_at_once__no_row_is_lost_or_mixed(void **state)
{
    enum { CALLS = 30000, FLYING = 900 };
    static struct ledger_row *open[FLYING];
    struct writer w = {.j = journal_new()};
    pthread_t thread;

    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, write_rows, &w), 0);
    for (int64_t i = 0; i < CALLS; i++) {
        struct ledger_row **mine = &open[i * 7 % FLYING];

        while (journal_figures(w.j).waiting > JOURNAL_SLOTS_MAX / 2)
            sched_yield();
        if (*mine)
            journal_drop(w.j, *mine);
        *mine = open_row(w.j, 1000000 + i, 1);
        end_row(w.j, i + 1, 1);
    }
    for (size_t i = 0; i < FLYING; i++)
        journal_drop(w.j, open[i]);
    atomic_store(&w.stop, true);
    pthread_join(thread, NULL);
    assert_false(w.spoilt);
    assert_int_equal(w.written, CALLS);
    assert_true(w.attaches >= 1);
    assert_true(journal_is_attached(w.j));
    assert_int_equal(journal_figures(w.j).waiting + journal_figures(w.j).open + journal_figures(w.j).lost, 0);
    journal_free(w.j);
    clear_dir("");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_journal__a_slot__goes_through_its_states),
        cmocka_unit_test(test_journal__a_slot_that_was_used__is_zero_when_taken_again),
        cmocka_unit_test(test_journal__the_first_that_waits__wakes_the_writer),
        cmocka_unit_test(test_journal__ended_rows__come_oldest_first_and_stay_until_written),
        cmocka_unit_test(test_journal__nobody_writes__ended_rows_leave_a_quarter_to_attempts),
        cmocka_unit_test(test_journal__it_grows__rows_keep_their_addresses),
        cmocka_unit_test(test_journal__what_waits_in_memory__is_moved_into_the_file),
        cmocka_unit_test(test_journal__a_row_that_is_being_written__is_waited_for_but_not_forever),
        cmocka_unit_test(test_journal__loop_and_writer_at_once__no_row_is_lost_or_mixed),
    };

    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
