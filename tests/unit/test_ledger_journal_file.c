/* journal: what the next process finds of what this one wrote, whatever happened to this one or to the file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <cmocka.h>

#include "journal_rows.h"
#include "metergate/base/prng.h"

static struct journal *attached(void)
{
    struct errbuf e;
    int rc;
    struct journal *j = attach_new(&rc, &e);

    if (!j)
        fail_msg("%d %s", rc, e.text);
    return j;
}

/* Rows 1..n that ended, and n + 1 that is open; the process that wrote them is gone. */
static void leave_rows(int64_t n)
{
    struct journal *j = attached();

    for (int64_t i = 1; i <= n; i++)
        end_row(j, i, 1);
    open_row(j, n + 1, 1);
    journal_free(j);
}

/* The next process finds so many, and the one after it none. */
static void expect_found(size_t n, int64_t damaged)
{
    struct journal *j = attached();

    assert_int_equal(found.n, n);
    assert_false(found.spoilt);
    assert_int_equal(journal_figures(j).damaged, damaged);
    journal_free(j);
    j = attached();
    assert_int_equal(found.n, 0);
    assert_int_equal(journal_figures(j).damaged, 0);
    journal_free(j);
}

/* A child that does not outlive a test that fails. */
static pid_t fork_one(void)
{
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0)
        prctl(PR_SET_PDEATHSIG, SIGKILL);
    return pid;
}

static void test_journal__what_was_left__comes_in_order_and_once(void **state)
{
    struct journal *j = attached();

    (void)state;
    open_row(j, 10, 1);
    end_row(j, 3, 1);
    open_row(j, 9, 1);
    end_row(j, 1, 1);
    journal_drop(j, open_row(j, 8, 1));
    end_row(j, 2, 1);
    journal_written(j, 1); /* 3 */
    journal_free(j);
    j = attached();
    assert_int_equal(found.n, 4);
    assert_int_equal(found.v[0].id, 1);
    assert_int_equal(found.v[1].id, 2);
    assert_int_equal(found.v[2].id, 10);
    assert_int_equal(found.v[3].id, 9);
    assert_false(found.v[1].open);
    assert_true(found.v[2].open && found.v[3].open);
    journal_free(j);
    expect_found(0, 0);
    clear_dir("");
}

static void test_journal__an_open_row__is_not_given_beside_its_end(void **state)
{
    struct journal *j = attached();

    (void)state;
    open_row(j, 1, 1);
    open_row(j, 2, 1);
    open_row(j, 2, 2); /* another attempt of the same call */
    end_row(j, 2, 1);
    end_row(j, 5, 1);
    journal_free(j);
    j = attached();
    assert_int_equal(found.n, 4);
    assert_true(found.v[0].id == 2 && found.v[0].attempts == 1 && !found.v[0].open);
    assert_true(found.v[1].id == 5);
    assert_true(found.v[2].id == 1 && found.v[2].open);
    assert_true(found.v[3].id == 2 && found.v[3].attempts == 2 && found.v[3].open);
    journal_free(j);
    clear_dir("");
}

static void test_journal__a_row_that_cannot_be_kept__leaves_all_for_later(void **state)
{
    struct journal *j;
    struct errbuf e;
    int rc;

    (void)state;
    leave_rows(20);
    found.refuse_at = 5;
    assert_null(attach_new(&rc, &e));
    found.refuse_at = 0;
    assert_int_equal(rc, -EAGAIN);
    assert_true(strstr(e.text, dir) && strstr(e.text, "/journal: "));
    assert_int_equal(found.n, 4);
    j = journal_new();
    found.n = 0;
    found.refuse_at = 21;
    assert_int_equal(journal_attach(j, dir, note, &found, &e), -EAGAIN);
    found.refuse_at = 0;
    end_row(j, 500, 1); /* calls go on */
    found.n = 0;
    assert_int_equal(journal_attach(j, dir, note, &found, &e), 0);
    assert_int_equal(found.n, 21);
    journal_free(j);
    expect_found(1, 0);
    clear_dir("");
}

/* ---- kill -9 ---- */

enum { EVENTS_MAX = 4096, IDS = 64 };

/* What the child says of itself, in memory of both: no call of the system stands between two of its steps. */
struct story {
    _Atomic uint32_t n;
    struct {
        char what; /* o: opened, d: to be dropped, e: ended, w: to be told written */
        int32_t id;
    } v[EVENTS_MAX];
};

static void tell(struct story *s, char what, int64_t id)
{
    uint32_t n;

    while (atomic_load(&s->n) >= EVENTS_MAX) /* it waits to be killed */
        sched_yield();
    n = atomic_load(&s->n);
    s->v[n].what = what;
    s->v[n].id = (int32_t)id;
    atomic_store_explicit(&s->n, n + 1, memory_order_release);
}

static void live(struct story *s, uint64_t seed)
{
    struct journal *j = journal_new();
    struct ledger_row *open[IDS] = {NULL};
    struct prng dice = {seed};
    struct errbuf e;
    int64_t ids[IDS], next = 1;

    if (journal_attach(j, dir, note, &found, &e) < 0)
        _exit(1);
    for (;;) {
        size_t i = (size_t)prng_below(&dice, IDS);
        const struct ledger_row *rows[8];
        size_t n;

        if (!open[i]) {
            ids[i] = next++;
            open[i] = open_row(j, ids[i], 1);
            tell(s, 'o', ids[i]);
        } else {
            end_row(j, ids[i], 1);
            tell(s, 'e', ids[i]);
            tell(s, 'd', ids[i]);
            journal_drop(j, open[i]);
            open[i] = NULL;
        }
        if (prng_below(&dice, 10) > 0)
            continue;
        n = journal_fetch(j, 0, rows, 8);
        for (size_t k = 0; k < n; k++)
            tell(s, 'w', rows[k]->id);
        journal_written(j, n);
    }
}

static void expect_all_that_was_told(const struct story *s)
{
    static char last[EVENTS_MAX], has[EVENTS_MAX]; /* by id; has: e or o */
    uint32_t told = atomic_load(&s->n);

    memset(last, 0, sizeof last);
    memset(has, 0, sizeof has);
    for (uint32_t i = 0; i < told; i++) {
        if (s->v[i].what != 'd') /* an end stays an end */
            last[s->v[i].id] = s->v[i].what;
    }
    for (size_t i = 0; i < found.n; i++) {
        assert_int_equal(has[found.v[i].id], 0); /* each once */
        has[found.v[i].id] = found.v[i].open ? 'o' : 'e';
    }
    for (size_t id = 1; id < EVENTS_MAX; id++) {
        if ((last[id] == 'e' && has[id] != 'e') || (last[id] == 'o' && !has[id]))
            fail_msg("%zu was %c and is %d, after %u events", id, last[id], has[id], told);
    }
}

static void kill_one(struct story *s, uint64_t seed, struct prng *dice)
{
    uint32_t when = (uint32_t)prng_below(dice, EVENTS_MAX * 9 / 8); /* beyond the last: it waits */
    pid_t pid;
    int status = 0;

    atomic_store(&s->n, 0);
    pid = fork_one();
    if (pid == 0)
        live(s, seed);
    while (atomic_load_explicit(&s->n, memory_order_relaxed) < (when < EVENTS_MAX ? when : EVENTS_MAX) &&
           waitpid(pid, &status, WNOHANG) == 0)
        sched_yield();
    for (int64_t spin = prng_below(dice, 2000); spin > 0; spin--) /* somewhere between two events */
        atomic_load(&s->n);
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
    assert_true(WIFSIGNALED(status));
}

static void test_journal__killed_at_any_moment__nothing_that_counted_is_missing(void **state)
{
    /* cppcheck-suppress invalidFunctionArg; -1 is what an anonymous mapping has there */
    struct story *s = mmap(NULL, sizeof *s, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct prng dice = {20261128};

    (void)state;
    assert_true(s != MAP_FAILED);
    for (uint64_t run = 0; run < 400; run++) {
        struct journal *j;

        kill_one(s, run, &dice);
        j = attached();
        assert_false(found.spoilt);
        assert_int_equal(journal_figures(j).damaged, 0); /* not even half a row */
        expect_all_that_was_told(s);
        journal_free(j);
    }
    munmap(s, sizeof *s);
    clear_dir("");
}

/* ---- the file ---- */

static void read_file(unsigned char **ret, size_t *ret_n)
{
    FILE *f = fopen(file, "rb");
    struct stat st;

    assert_non_null(f);
    assert_int_equal(fstat(fileno(f), &st), 0);
    *ret_n = (size_t)st.st_size;
    *ret = malloc(*ret_n);
    assert_non_null(*ret);
    assert_int_equal(fread(*ret, 1, *ret_n, f), *ret_n);
    fclose(f);
}

static void write_file(const unsigned char *p, size_t n)
{
    FILE *f = fopen(file, "wb");

    assert_non_null(f);
    assert_int_equal(fwrite(p, 1, n, f), n);
    fclose(f);
}

/* Where the first slot lies, and how far it is to the next. */
static void find_slots(const unsigned char *p, size_t n, size_t *ret_first, size_t *ret_step)
{
    const unsigned char *a = memmem(p, n, "ENDE", 4), *b;

    assert_non_null(a);
    b = memmem(a + 1, n - (size_t)(a + 1 - p), "ENDE", 4);
    assert_non_null(b);
    *ret_first = (size_t)(a - p);
    *ret_step = (size_t)(b - a);
}

static void test_journal__any_bit_of_a_slot_flipped__the_row_is_damaged_and_the_others_are_there(void **state)
{
    unsigned char *p;
    size_t n, first, step;
    struct prng dice = {7};
    int gone = 0;

    (void)state;
    leave_rows(3);
    read_file(&p, &n);
    find_slots(p, n, &first, &step);
    for (size_t bit = 0; bit < 8 * step; bit += 1 + (size_t)prng_below(&dice, 30)) {
        struct journal *j;

        p[first + bit / 8] ^= (unsigned char)(1u << bit % 8);
        write_file(p, n);
        p[first + bit / 8] ^= (unsigned char)(1u << bit % 8);
        j = attached();
        assert_false(found.spoilt);
        assert_int_equal((int64_t)found.n + journal_figures(j).damaged, 4); /* there, or counted */
        gone += found.n == 3;
        if (found.n == 4 && bit >= 192 && bit < 8 * (24 + sizeof(struct ledger_row)))
            fail_msg("bit %zu", bit);
        journal_free(j);
    }
    assert_true(gone > 300);
    free(p);
    clear_dir("");
}

static void test_journal__rows_that_changed_places__are_all_there(void **state)
{
    unsigned char *p, *one;
    size_t n, first, step;
    struct journal *j;

    (void)state;
    leave_rows(3);
    read_file(&p, &n);
    find_slots(p, n, &first, &step);
    one = malloc(step);
    assert_non_null(one);
    memcpy(one, p + first, step);
    memcpy(p + first, p + first + step, step);
    memcpy(p + first + step, one, step);
    write_file(p, n);
    j = attached();
    assert_int_equal(found.n, 4);
    assert_true(found.v[0].id == 1 && found.v[1].id == 2); /* by their numbers, not by their places */
    journal_free(j);
    free(one);
    free(p);
    clear_dir("");
}

static void test_journal__a_file_that_was_cut__gives_the_rows_that_are_whole(void **state)
{
    unsigned char *p;
    size_t n, first, step;

    (void)state;
    leave_rows(30);
    read_file(&p, &n);
    find_slots(p, n, &first, &step);
    write_file(p, first + 12 * step + step / 2);
    expect_found(12, 1);
    write_file(p, first + 5 * step);
    expect_found(5, 0);
    write_file(p, first);
    expect_found(0, 0);
    write_file(p, 0);
    expect_found(0, 0);
    assert_int_equal(clear_dir("journal.damaged-"), 0);
    write_file(p, 20);
    expect_found(0, 0);
    assert_int_equal(clear_dir("journal.damaged-"), 1);
    free(p);
}

static void test_journal__a_file_without_a_head__gives_the_rows_that_are_whole(void **state)
{
    unsigned char *p;
    size_t n;

    (void)state;
    leave_rows(30);
    read_file(&p, &n);
    memset(p, 0, 4096); /* a power cut, before its first page was written */
    write_file(p, n);
    expect_found(31, 0);
    free(p);
    clear_dir("");
}

static void test_journal__what_is_no_journal__is_set_aside_and_said(void **state)
{
    static unsigned char garbage[300000];
    struct prng dice = {5};
    struct journal *j;
    struct errbuf e;
    unsigned char *p;
    size_t n;
    int rc;

    (void)state;
    for (size_t i = 0; i < sizeof garbage; i++)
        garbage[i] = (unsigned char)prng_next(&dice);
    write_file(garbage, sizeof garbage);
    j = attach_new(&rc, &e);
    assert_non_null(j);
    assert_true(strstr(e.text, "/journal: it is damaged or of another version, and now called journal.damaged-20"));
    end_row(j, 1, 1);
    journal_free(j);
    read_file(&p, &n);
    expect_found(1, 0);
    assert_int_equal(clear_dir("journal.damaged-"), 1);
    p[8]++; /* another version */
    write_file(p, n);
    j = attach_new(&rc, &e);
    assert_non_null(j);
    assert_int_equal(found.n, 0);
    journal_free(j);
    assert_int_equal(clear_dir("journal.damaged-"), 1);
    free(p);
}

static void test_journal__slots_of_garbage__are_counted_and_the_file_is_used(void **state)
{
    struct prng dice = {6};
    unsigned char *p;
    size_t n, first, step;

    (void)state;
    leave_rows(2);
    read_file(&p, &n);
    find_slots(p, n, &first, &step);
    for (size_t i = first + 10 * step; i < first + 30 * step; i++)
        p[i] = (unsigned char)(prng_next(&dice) | 1);
    write_file(p, n);
    expect_found(3, 20);
    free(p);
    clear_dir("");
}

static void test_journal__far_more_slots_than_there_may_be__is_bounded(void **state)
{
    (void)state;
    leave_rows(2);
    assert_int_equal(truncate(file, INT64_C(1) << 36), 0); /* sparse */
    expect_found(3, 0);
    clear_dir("");
}

static void test_journal__a_path_that_is_no_file__is_refused(void **state)
{
    struct errbuf e;
    int rc;

    (void)state;
    assert_int_equal(symlink("/etc/passwd", file), 0);
    assert_null(attach_new(&rc, &e));
    assert_int_equal(rc, -ELOOP);
    assert_true(strstr(e.text, "/journal: it is a symbolic link"));
    unlink(file);
    assert_int_equal(mkfifo(file, 0600), 0);
    assert_null(attach_new(&rc, &e));
    assert_int_equal(rc, -ENOTSUP);
    assert_true(strstr(e.text, "/journal: it is not a regular file"));
    unlink(file);
    assert_int_equal(mkdir(file, 0700), 0);
    assert_null(attach_new(&rc, &e));
    assert_int_equal(rc, -EISDIR);
    rmdir(file);
}

static void test_journal__others_could_read_it__they_no_longer_can(void **state)
{
    struct stat st;

    (void)state;
    leave_rows(1);
    assert_int_equal(chmod(file, 0644), 0);
    expect_found(2, 0);
    assert_int_equal(stat(file, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    clear_dir("");
}

static void test_journal__another_process_has_it__is_busy_until_it_ends(void **state)
{
    int ready[2], status;
    struct errbuf e;
    char byte;
    pid_t pid;
    int rc;

    (void)state;
    assert_int_equal(pipe(ready), 0);
    pid = fork_one();
    if (pid == 0) {
        struct journal *j = attach_new(&rc, &e);

        end_row(j, 1, 1);
        if (write(ready[1], "r", 1) != 1)
            _exit(1);
        for (;;)
            pause();
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_null(attach_new(&rc, &e));
    assert_int_equal(rc, -EBUSY);
    assert_true(strstr(e.text, "/journal: another process uses it"));
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
    expect_found(1, 0);
    close(ready[0]);
    close(ready[1]);
    clear_dir("");
}

/* ---- a full disk, played by a limit on the size of files ---- */

static void limit_files(rlim_t bytes)
{
    struct rlimit limit;

    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes == RLIM_INFINITY ? limit.rlim_max : bytes;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void test_journal__no_room_for_the_file__rows_wait_in_memory(void **state)
{
    struct journal *j = journal_new();
    struct errbuf e;
    int rc;

    (void)state;
    limit_files(100000);
    rc = journal_attach(j, dir, note, &found, &e);
    limit_files(RLIM_INFINITY);
    assert_int_equal(rc, -EFBIG);
    assert_true(strstr(e.text, "/journal: File too large"));
    end_row(j, 1, 1);
    found.n = 0;
    assert_int_equal(journal_attach(j, dir, note, &found, &e), 0);
    assert_int_equal(found.n, 0);
    assert_string_equal(e.text, "");
    assert_int_equal(clear_dir("journal.damaged-"), 0);
    journal_free(j);
    clear_dir("");
}

static void test_journal__no_room_to_grow__rows_wait_in_memory_and_move_later(void **state)
{
    enum { MANY = 3 * JOURNAL_STEP };
    struct journal *j = attached();
    struct errbuf e;
    struct stat st;
    int rc;

    (void)state;
    assert_int_equal(stat(file, &st), 0);
    limit_files((rlim_t)st.st_size);
    for (int64_t i = 1; i <= MANY; i++)
        end_row(j, i, 1);
    rc = journal_attach(j, dir, note, &found, &e);
    limit_files(RLIM_INFINITY);
    assert_int_equal(rc, -EFBIG);
    assert_false(journal_is_attached(j));
    assert_int_equal(journal_figures(j).lost, 0);
    assert_int_equal(journal_attach(j, dir, note, &found, &e), 0);
    assert_true(journal_is_attached(j));
    journal_free(j);
    expect_found(MANY, 0);
    assert_int_equal(stat(file, &st), 0);
    assert_true(st.st_size < (int64_t)(MANY * sizeof(struct ledger_row))); /* it gives back what it needs no more */
    clear_dir("");
}

static void test_journal__a_full_disk_at_the_start__the_blocks_that_it_has_are_used(void **state)
{
    struct stat st;

    (void)state;
    leave_rows(5);
    assert_int_equal(stat(file, &st), 0);
    limit_files((rlim_t)st.st_size);
    expect_found(6, 0);
    limit_files(RLIM_INFINITY);
    clear_dir("");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_journal__what_was_left__comes_in_order_and_once),
        cmocka_unit_test(test_journal__an_open_row__is_not_given_beside_its_end),
        cmocka_unit_test(test_journal__a_row_that_cannot_be_kept__leaves_all_for_later),
        cmocka_unit_test(test_journal__killed_at_any_moment__nothing_that_counted_is_missing),
        cmocka_unit_test(test_journal__any_bit_of_a_slot_flipped__the_row_is_damaged_and_the_others_are_there),
        cmocka_unit_test(test_journal__rows_that_changed_places__are_all_there),
        cmocka_unit_test(test_journal__a_file_that_was_cut__gives_the_rows_that_are_whole),
        cmocka_unit_test(test_journal__a_file_without_a_head__gives_the_rows_that_are_whole),
        cmocka_unit_test(test_journal__what_is_no_journal__is_set_aside_and_said),
        cmocka_unit_test(test_journal__slots_of_garbage__are_counted_and_the_file_is_used),
        cmocka_unit_test(test_journal__far_more_slots_than_there_may_be__is_bounded),
        cmocka_unit_test(test_journal__a_path_that_is_no_file__is_refused),
        cmocka_unit_test(test_journal__others_could_read_it__they_no_longer_can),
        cmocka_unit_test(test_journal__another_process_has_it__is_busy_until_it_ends),
        cmocka_unit_test(test_journal__no_room_for_the_file__rows_wait_in_memory),
        cmocka_unit_test(test_journal__no_room_to_grow__rows_wait_in_memory_and_move_later),
        cmocka_unit_test(test_journal__a_full_disk_at_the_start__the_blocks_that_it_has_are_used),
    };

    signal(SIGXFSZ, SIG_IGN); /* beyond the limit is an error, as on a full disk */
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
