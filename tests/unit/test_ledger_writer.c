/*
 * writer: what ended is in the database, whatever happens to the file, the disk or the process. Seen through
 * ledger.h.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <cmocka.h>

#include "ledger_rig.h"
#include "metergate/ledger/schema.h"

/* ---- when all is well ---- */

static void test_writer__an_ended_row__is_in_the_database(void **state)
{
    struct ledger *l = opened();

    (void)state;
    assert_string_equal(ledger_dir(l), at.dir);
    assert_true(ledger_flush(l, 0));
    assert_true(health_of(l).ok);
    end_row(l, 7);
    expect_works(l, 1);
    assert_int_equal(ask(at.db, "SELECT id FROM calls"), 7);
    assert_int_equal(health_of(l).written, 1);
    ledger_close(l);
    expect_logged(0, 0);
}

static void test_writer__a_row_that_is_dropped__is_nowhere(void **state)
{
    struct ledger *l = opened();
    struct ledger_row *begun = ledger_take(l), *taken = ledger_take(l);

    (void)state;
    random_row(&dice, 1, clock_wall_us(), begun);
    ledger_begin(l, begun);
    ledger_drop(l, taken);
    end_row(l, 2);
    ledger_drop(l, begun);
    expect_works(l, 1);
    ledger_close(l);
    l = opened();
    assert_int_equal(health_of(l).recovered, 0);
    expect_works(l, 1);
    ledger_close(l);
}

static void test_writer__many_rows__are_all_written_and_slots_come_back(void **state)
{
    struct ledger *l = opened();

    (void)state;
    for (int i = 0; i < 40; i++) {
        end_rows(l, 1 + i * 1000, 1000);
        assert_true(i % 8 || ledger_flush(l, LONG_MS));
    }
    expect_works(l, 40000);
    assert_int_equal(health_of(l).written, 40000);
    ledger_close(l);
}

static void test_writer__a_stop__writes_what_waits(void **state)
{
    struct ledger *l = opened();

    (void)state;
    end_rows(l, 1, 3000);
    ledger_close(l);
    assert_int_equal(ask(at.db, "SELECT count(*) FROM calls"), 3000);
}

static void test_writer__between_batches__it_tidies(void **state)
{
    struct ledger *l = ledger_open(at.dir, 3600 * CLOCK_S);
    struct ledger_row *old = ledger_take(l);

    (void)state;
    random_row(&dice, 1, clock_wall_us() - 7200 * CLOCK_S, old);
    old->charge.sent_us = 0;
    ledger_end(l, old);
    for (int id = 2; id < 6; id++) { /* a step after each batch, before the next */
        assert_true(ledger_flush(l, LONG_MS));
        end_row(l, id);
    }
    assert_true(ledger_flush(l, LONG_MS));
    assert_int_equal(ask(at.db, "SELECT count(*) FROM calls WHERE id = 1"), 0);
    assert_int_equal(ask(at.db, "SELECT min(until_s) % 120 FROM charges"), 0);
    assert_int_equal(ask(at.db, "SELECT sum(calls) FROM hours"), 5);
    ledger_close(l);
}

/* ---- when the file is not what it should be ---- */

static void test_writer__locked_by_another__waits_tells_once_and_goes_on(void **state)
{
    struct ledger *l = opened();
    struct db *other;

    (void)state;
    end_row(l, 1);
    expect_works(l, 1);
    assert_int_equal(db_open(at.db, 50, &other), DB_OK);
    assert_int_equal(db_exec(other, "BEGIN EXCLUSIVE"), DB_OK);
    end_rows(l, 2, 10);
    expect_trouble(l, "another process has it locked", 10);
    assert_false(ledger_flush(l, 1000)); /* tried some more times meanwhile */
    expect_logged(1, 0);
    assert_int_equal(db_exec(other, "ROLLBACK"), DB_OK);
    db_close(other);
    expect_works(l, 11);
    expect_logged(1, 1);
    ledger_close(l);
}

/* Files that were set aside, without what stood beside them. */
static size_t count_damaged(void)
{
    char pattern[128];
    glob_t found;
    size_t n;

    snprintf(pattern, sizeof pattern, "%s.damaged-20??????T??????Z", at.db);
    assert_int_equal(glob(pattern, 0, NULL, &found), 0);
    n = found.gl_pathc;
    globfree(&found);
    return n;
}

static void write_garbage(long from, size_t n)
{
    FILE *f = fopen(at.db, from ? "r+" : "w");

    assert_non_null(f);
    assert_int_equal(fseek(f, from, SEEK_SET), 0);
    while (n--)
        assert_int_equal(fputc('g', f), 'g');
    assert_int_equal(fclose(f), 0);
}

static void test_writer__a_file_that_is_no_database__is_set_aside_at_once(void **state)
{
    struct ledger *l;

    (void)state;
    write_garbage(0, 10000);
    l = opened();
    assert_true(health_of(l).ok);
    end_row(l, 1);
    expect_works(l, 1);
    assert_int_equal(count_damaged(), 1);
    expect_logged(1, 0);
    ledger_close(l);
}

static void test_writer__damaged_again_within_a_minute__waits_and_does_not_fill_the_disk(void **state)
{
    struct ledger *l;
    char wal[128];

    (void)state;
    write_garbage(0, 10000);
    l = opened();
    end_row(l, 1);
    expect_works(l, 1);
    snprintf(wal, sizeof wal, "%s-wal", at.db);
    assert_int_equal(unlink(at.db), 0);
    assert_int_equal(unlink(wal), 0); /* it has all that the database had */
    write_garbage(0, 10000);
    end_row(l, 2);
    expect_trouble(l, "it is damaged (file is not a database)", 1);
    assert_int_equal(count_damaged(), 1);
    ledger_close(l);
    l = opened(); /* the next run knows nothing of it, but may have to wait for another second to name it by */
    end_row(l, 3);
    expect_recovered(l, 1);
    expect_works(l, 2);
    ledger_close(l);
}

static void test_writer__a_page_that_is_damaged__is_found_when_it_is_written(void **state)
{
    struct ledger *l = opened();

    (void)state;
    end_rows(l, 1, 100);
    expect_works(l, 100);
    ledger_close(l);
    write_garbage(4096, 61440);
    l = opened();
    end_rows(l, 1000, 5);
    expect_works(l, 5);
    assert_int_equal(count_damaged(), 1);
    expect_logged(1, 0);
    ledger_close(l);
}

static void test_writer__a_file_of_a_newer_version__is_left_alone_and_rows_wait(void **state)
{
    struct ledger *l = opened();
    char sql[64];

    (void)state;
    ledger_close(l);
    snprintf(sql, sizeof sql, "PRAGMA user_version = %d", SCHEMA_VERSION + 1);
    tell(at.db, sql);
    l = opened();
    assert_false(health_of(l).ok);
    end_rows(l, 1, 5);
    expect_trouble(l, "newer Metergate", 5);
    assert_int_equal(ask(at.db, "SELECT count(*) FROM calls"), 0);
    snprintf(sql, sizeof sql, "PRAGMA user_version = %d", SCHEMA_VERSION);
    tell(at.db, sql);
    expect_works(l, 5);
    ledger_close(l);
}

static void test_writer__a_directory_in_its_place__is_told_and_it_works_when_that_is_gone(void **state)
{
    struct ledger *l;

    (void)state;
    assert_int_equal(mkdir(at.db, 0700), 0);
    l = opened();
    end_rows(l, 1, 5);
    expect_trouble(l, "directory", 5);
    assert_int_equal(rmdir(at.db), 0);
    expect_works(l, 5);
    expect_logged(1, 1);
    ledger_close(l);
}

static void test_writer__the_directory_goes_and_comes_back__nothing_is_lost(void **state)
{
    struct ledger *l = opened();
    char away[80];

    (void)state;
    snprintf(away, sizeof away, "%s-away", at.dir);
    end_row(l, 1);
    expect_works(l, 1);
    assert_int_equal(rename(at.dir, away), 0);
    end_rows(l, 2, 5);
    expect_trouble(l, "it cannot be opened", 5);
    assert_int_equal(rename(away, at.dir), 0);
    expect_recovered(l, 0); /* the journal is in its place again, too, and nothing in it is of an earlier process */
    expect_works(l, 6);
    ledger_close(l);
}

static void test_writer__the_file_is_removed__a_new_one_is_begun(void **state)
{
    struct ledger *l = opened();

    (void)state;
    end_row(l, 1);
    expect_works(l, 1);
    assert_int_equal(unlink(at.db), 0);
    end_row(l, 2);
    expect_works(l, 1);
    assert_int_equal(ask(at.db, "SELECT id FROM calls"), 2);
    ledger_close(l);
    assert_int_equal(ask(at.db, "SELECT id FROM calls"), 2);
}

static void path_of(const char *name, char ret[256])
{
    snprintf(ret, 256, "%s/%s", at.dir, name);
}

/* What is written into a log that has no name would be gone after a kill, and nobody could read the rest meanwhile. */
static void test_writer__a_part_of_the_database_is_removed__nothing_is_lost(void **state)
{
    static const char *const parts[] = {"ledger.db-wal", "ledger.db-shm"};
    struct ledger *l = opened();
    int64_t calls = 0;
    char path[256];

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(parts); i++) {
        end_row(l, ++calls);
        expect_works(l, calls);
        path_of(parts[i], path);
        assert_int_equal(unlink(path), 0);
        end_row(l, ++calls);
        expect_works(l, calls);
        assert_int_equal(access(path, F_OK), 0);
    }
    ledger_close(l);
    assert_int_equal(ask(at.db, "SELECT count(*) FROM calls"), calls);
}

static void test_writer__a_row_that_it_does_not_take__is_dropped_and_others_are_kept(void **state)
{
    struct ledger *l = opened();

    (void)state;
    tell(at.db, "CREATE TRIGGER t BEFORE INSERT ON calls WHEN new.id = 13 BEGIN SELECT RAISE(ABORT, 'unlucky'); END");
    end_rows(l, 10, 10);
    assert_true(ledger_flush(l, LONG_MS));
    assert_int_equal(ask(at.db, "SELECT count(*) FROM calls"), 9);
    assert_int_equal(health_of(l).lost, 1);
    assert_int_equal(health_of(l).written, 9);
    assert_true(health_of(l).ok);
    expect_logged(1, 0);
    assert_non_null(strstr(log_last, "mg-0000000-13 (unlucky)"));
    ledger_close(l);
}

static void test_writer__a_database_that_takes_no_row__keeps_them_all(void **state)
{
    struct ledger *l = opened();

    (void)state;
    tell(at.db, "CREATE TRIGGER t BEFORE INSERT ON calls BEGIN SELECT RAISE(ABORT, 'none'); END");
    end_rows(l, 1, 10);
    expect_trouble(l, "it takes no rows (none)", 10);
    tell(at.db, "DROP TRIGGER t");
    expect_works(l, 10);
    ledger_close(l);
}

/* ---- full disks ---- */

static void test_writer__a_file_that_may_not_grow__rows_wait_until_it_may(void **state)
{
    struct rlimit old, small;
    struct ledger *l = opened();
    struct stat st;
    char wal[128];

    (void)state;
    signal(SIGXFSZ, SIG_IGN);
    end_row(l, 1);
    expect_works(l, 1);
    snprintf(wal, sizeof wal, "%s-wal", at.db);
    assert_int_equal(stat(wal, &st), 0);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small = (struct rlimit){(rlim_t)st.st_size, old.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    end_rows(l, 2, 100);
    expect_trouble(l, "", 100);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    expect_works(l, 101);
    expect_logged(1, 1);
    ledger_close(l);
}

static void fill(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    char block[4096] = {0};

    assert_true(fd >= 0);
    while (write(fd, block, sizeof block) > 0) {
    }
    close(fd);
}

static void test_writer__a_full_disk__is_told_and_works_when_there_is_room(void **state)
{
    struct ledger *l;
    char filler[96];

    (void)state;
    if (mount("tmpfs", at.dir, "tmpfs", MS_NOSUID | MS_NODEV, "size=6m") < 0) {
        print_message("cannot mount a small disk here: %s\n", strerror(errno));
        skip();
    }
    snprintf(filler, sizeof filler, "%s/filler", at.dir);
    l = opened();
    end_row(l, 1);
    expect_works(l, 1);
    fill(filler);
    end_rows(l, 2, 400);
    expect_trouble(l, "the disk is full", 400);
    assert_int_equal(unlink(filler), 0);
    expect_works(l, 401);
    expect_logged(1, 1);
    ledger_close(l);
    assert_int_equal(umount(at.dir), 0);
}

/* ---- a process that dies ---- */

static void expect_killed(pid_t child)
{
    int status;

    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

/* What the dead one does in its last moments; it never returns. */
static void begin_and_die(int64_t id)
{
    struct ledger *l = opened();
    struct ledger_row *r = ledger_take(l);

    random_row(&dice, id, 0, r);
    snprintf(r->client, sizeof r->client, "nightly");
    r->cost_nano = 777;
    r->charge = (struct row_charge){.on_arrival = {[METRIC_REQUESTS] = 1, [METRIC_TOKENS] = 1234}};
    ledger_begin(l, r);
    raise(SIGKILL);
}

static void test_writer__an_attempt_in_flight_when_it_died__counts_as_it_stands(void **state)
{
    int64_t before_s = clock_wall_us() / CLOCK_S;
    pid_t child = fork();
    struct ledger *l;

    (void)state;
    assert_true(child >= 0);
    if (child == 0)
        begin_and_die(5);
    expect_killed(child);
    l = opened();
    assert_int_equal(health_of(l).recovered, 1);
    expect_works(l, 1);
    assert_int_equal(ask(at.db, "SELECT calls.id = 5 AND status = 0 AND outcome = 3 AND source = 3 AND cost_nano = 777"
                                " AND names.text = 'daemon died' FROM calls JOIN names ON names.id = reason"), 1);
    assert_int_equal(ask(at.db, "SELECT tokens FROM charges JOIN names ON id = scope"
                                " WHERE text = 'client:nightly' AND requests = 1 AND cost_nano = 777"), 1234);
    assert_true(ask(at.db, "SELECT min(until_s) FROM charges") > before_s);
    ledger_close(l);
    l = opened();
    assert_int_equal(health_of(l).recovered, 0);
    ledger_close(l);
}

/* The journal loses its name while an attempt is under way; then the process dies. It never returns. */
static void lose_the_journal_and_die(const char *journal, const char *away)
{
    int64_t end_us = clock_now_us() + LONG_MS * CLOCK_MS;
    struct ledger *l = opened();
    struct ledger_row *r = ledger_take(l);

    random_row(&dice, 5, clock_wall_us(), r);
    ledger_begin(l, r);
    if (away ? rename(journal, away) < 0 : unlink(journal) < 0)
        _exit(3);
    end_row(l, 6);
    while (access(journal, F_OK) < 0 && clock_now_us() < end_us)
        (void)ledger_flush(l, 1);
    end_row(l, 7); /* once that is written, or is in the journal, the slots have moved */
    if (!ledger_flush(l, LONG_MS))
        _exit(4);
    raise(SIGKILL);
}

static void lose_the_journal(const char *away)
{
    char journal[256];
    struct ledger *l;
    pid_t child;

    path_of("journal", journal);
    child = fork();
    assert_true(child >= 0);
    if (child == 0)
        lose_the_journal_and_die(journal, away);
    expect_killed(child);
    l = opened();
    assert_int_equal(health_of(l).recovered, 1);
    expect_works(l, 3);
    ledger_close(l);
}

static void test_writer__the_journal_is_removed__attempts_are_in_a_new_one(void **state)
{
    (void)state;
    lose_the_journal(NULL);
}

static void test_writer__the_journal_is_renamed__its_rows_are_in_the_new_one_alone(void **state)
{
    char journal[256], away[256];
    struct ledger *l;

    (void)state;
    path_of("journal", journal);
    path_of("away", away);
    lose_the_journal(away);
    assert_int_equal(rename(away, journal), 0);
    l = opened();
    assert_int_equal(health_of(l).recovered, 0);
    expect_works(l, 3);
    ledger_close(l);
}

/* Ends rows for ever, the id of each goes into the pipe when it ended. */
static void end_rows_for_ever(int to, int64_t id)
{
    struct ledger *l = opened();

    dice.state = (uint64_t)id;
    for (;; id++) {
        struct ledger_row *begun = ledger_take(l), *r = ledger_take(l);

        if (!begun || !r)
            _exit(3);
        random_row(&dice, id, clock_wall_us(), begun);
        *r = *begun;
        ledger_begin(l, begun);
        ledger_end(l, r);
        ledger_drop(l, begun);
        if (write(to, &id, sizeof id) != (ssize_t)sizeof id)
            _exit(4);
    }
}

/* Until so many have ended; the last id that did. */
static int64_t kill_after(int rows, int64_t first)
{
    int64_t id = 0, last = first - 1;
    int fds[2];
    pid_t child;

    assert_int_equal(pipe(fds), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        close(fds[0]);
        end_rows_for_ever(fds[1], first);
    }
    close(fds[1]);
    while (rows-- && read(fds[0], &id, sizeof id) == (ssize_t)sizeof id)
        last = id;
    kill(child, SIGKILL);
    expect_killed(child);
    while (read(fds[0], &id, sizeof id) == (ssize_t)sizeof id)
        last = id;
    close(fds[0]);
    return last;
}

static void test_writer__killed_at_random_moments__no_ended_row_is_missing_or_twice(void **state)
{
    int64_t first = 1, last = 0;
    char sql[128];

    (void)state;
    for (int round = 0; round < 25; round++) {
        struct ledger *l;

        last = kill_after((int)prng_below(&dice, 3000) + 1, first);
        l = opened();
        assert_true(health_of(l).ok);
        ledger_close(l);
        snprintf(sql, sizeof sql, "SELECT count(*) FROM calls WHERE id BETWEEN %lld AND %lld", (long long)first,
                 (long long)last);
        assert_int_equal(ask(at.db, sql), last - first + 1);
        first = ask(at.db, "SELECT max(id) FROM calls") + 1;
        assert_true(first - last <= 2); /* the one that was under way */
    }
    assert_int_equal(ask(at.db, "SELECT sum(calls) FROM hours"), ask(at.db, "SELECT count(*) FROM calls"));
    assert_int_equal(ask(at.db, "SELECT integrity_check = 'ok' FROM pragma_integrity_check"), 1);
    expect_logged(0, 0);
}

static void end_under_lock_and_die(int rows)
{
    struct ledger *l = opened();
    struct db *other;

    if (db_open(at.db, 50, &other) != DB_OK || db_exec(other, "BEGIN EXCLUSIVE") != DB_OK)
        _exit(5);
    end_rows(l, 1, rows);
    raise(SIGKILL);
}

static void test_writer__rows_that_waited_when_it_died__are_written_by_the_next(void **state)
{
    pid_t child = fork();
    struct ledger *l;

    (void)state;
    assert_true(child >= 0);
    if (child == 0)
        end_under_lock_and_die(2000);
    expect_killed(child);
    l = opened();
    assert_int_equal(health_of(l).recovered, 2000);
    expect_works(l, 2000);
    ledger_close(l);
}

static void test_writer__rows_of_the_dead_and_a_broken_file__wait_for_it(void **state)
{
    char aside[128];
    pid_t child = fork();
    struct ledger *l;

    (void)state;
    assert_true(child >= 0);
    if (child == 0)
        end_under_lock_and_die(200);
    expect_killed(child);
    snprintf(aside, sizeof aside, "%s/aside", at.dir);
    assert_int_equal(rename(at.db, aside), 0);
    assert_int_equal(mkdir(at.db, 0700), 0);
    l = opened();
    assert_int_equal(health_of(l).recovered, 0);
    end_rows(l, 1000, 5);
    expect_trouble(l, "directory", 5);
    assert_int_equal(rmdir(at.db), 0);
    expect_recovered(l, 200);
    expect_works(l, 205);
    ledger_close(l);
}

#define IN_PLACE(f) cmocka_unit_test_setup_teardown(f, make, unmake)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_PLACE(test_writer__an_ended_row__is_in_the_database),
        IN_PLACE(test_writer__a_row_that_is_dropped__is_nowhere),
        IN_PLACE(test_writer__many_rows__are_all_written_and_slots_come_back),
        IN_PLACE(test_writer__a_stop__writes_what_waits),
        IN_PLACE(test_writer__between_batches__it_tidies),
        IN_PLACE(test_writer__locked_by_another__waits_tells_once_and_goes_on),
        IN_PLACE(test_writer__a_file_that_is_no_database__is_set_aside_at_once),
        IN_PLACE(test_writer__damaged_again_within_a_minute__waits_and_does_not_fill_the_disk),
        IN_PLACE(test_writer__a_page_that_is_damaged__is_found_when_it_is_written),
        IN_PLACE(test_writer__a_file_of_a_newer_version__is_left_alone_and_rows_wait),
        IN_PLACE(test_writer__a_directory_in_its_place__is_told_and_it_works_when_that_is_gone),
        IN_PLACE(test_writer__the_directory_goes_and_comes_back__nothing_is_lost),
        IN_PLACE(test_writer__the_file_is_removed__a_new_one_is_begun),
        IN_PLACE(test_writer__a_part_of_the_database_is_removed__nothing_is_lost),
        IN_PLACE(test_writer__a_row_that_it_does_not_take__is_dropped_and_others_are_kept),
        IN_PLACE(test_writer__a_database_that_takes_no_row__keeps_them_all),
        IN_PLACE(test_writer__a_file_that_may_not_grow__rows_wait_until_it_may),
        IN_PLACE(test_writer__a_full_disk__is_told_and_works_when_there_is_room),
        IN_PLACE(test_writer__an_attempt_in_flight_when_it_died__counts_as_it_stands),
        IN_PLACE(test_writer__the_journal_is_removed__attempts_are_in_a_new_one),
        IN_PLACE(test_writer__the_journal_is_renamed__its_rows_are_in_the_new_one_alone),
        IN_PLACE(test_writer__killed_at_random_moments__no_ended_row_is_missing_or_twice),
        IN_PLACE(test_writer__rows_that_waited_when_it_died__are_written_by_the_next),
        IN_PLACE(test_writer__rows_of_the_dead_and_a_broken_file__wait_for_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
