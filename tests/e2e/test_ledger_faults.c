/*
 * The ledger when its files cannot be had: calls go on as if nothing were, people are told, and when it is
 * over what was missed is there. Disks of their own come from a mount namespace; where none may be made,
 * those tests are skipped.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <cjson/cJSON.h>

#include "ledger_fixture.h"
#include "metergate/ledger/db.h"

static const char config[] = LEDGER_STATE LEDGER_UPSTREAMS;

/* ---- disks ---- */

static void write_text(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);

    if (fd < 0)
        return;
    (void)!write(fd, text, strlen(text));
    close(fd);
}

/* A mount namespace of our own; without root, with a user namespace around it. Before there is any thread. */
static bool may_mount(void)
{
    static int may = -1;
    char map[64];
    uid_t uid = getuid();
    gid_t gid = getgid();

    if (may >= 0)
        return may;
    may = 0;
    if (unshare(CLONE_NEWNS) < 0) {
        if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
            return false;
        write_text("/proc/self/setgroups", "deny");
        snprintf(map, sizeof map, "0 %u 1", uid);
        write_text("/proc/self/uid_map", map);
        snprintf(map, sizeof map, "0 %u 1", gid);
        write_text("/proc/self/gid_map", map);
    }
    may = mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
    return may;
}

/* The simulator runs, and DIR/state is a small disk. False: it may not be. */
static bool start_with_disk(struct fixture *f, const char *size)
{
    char options[64];

    *f = (struct fixture){0};
    fixture_start_simulator(f, NULL, NULL);
    fixture_write_config(f, config);
    assert_int_equal(mkdir(ledger_path(f, ""), 0700), 0);
    snprintf(options, sizeof options, "size=%s,mode=700", size);
    if (may_mount() && mount("tmpfs", ledger_path(f, ""), "tmpfs", MS_NOSUID | MS_NODEV, options) == 0)
        return true;
    print_message("a disk of our own may not be mounted: %s\n", strerror(errno));
    fixture_stop(f);
    return false;
}

static void stop_with_disk(struct fixture *f)
{
    fixture_stop_daemon(f);
    assert_int_equal(umount2(ledger_path(f, ""), MNT_DETACH), 0);
    fixture_stop(f);
}

/* Takes all room that there is. */
static void fill_disk(const struct fixture *f)
{
    static const char block[4096];
    int fd = open(ledger_path(f, "filler"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    while (write(fd, block, sizeof block) > 0)
        ;
    assert_int_equal(errno, ENOSPC);
    close(fd);
}

/* ---- what people are told ---- */

static void check_told(const struct fixture *f, bool ok)
{
    static const char *const wells[] = {"metergate_ledger_ok 0\n", "metergate_ledger_ok 1\n"};
    struct client_reply ready = fixture_call(f, "GET", "/readyz", NULL),
                        metrics = fixture_call(f, "GET", "/metrics", NULL);
    cJSON *status = fixture_status(f);

    assert_int_equal(ready.status, 200);
    if (ok && strcmp(ready.body.p, "ok\n") != 0)
        fail_msg("readyz says %s", ready.body.p);
    if (!ok && (strncmp(ready.body.p, "ok\n", 3) != 0 || !strstr(ready.body.p + 3, "ledger")))
        fail_msg("readyz says %s", ready.body.p);
    if (!strstr(metrics.body.p, wells[ok]))
        fail_msg("no %s in the metrics", wells[ok]);
    if (!ok)
        assert_true(strlen(json_text(status, "ledger.problem")) > 5);
    cJSON_Delete(status);
    client_reply_release(&ready);
    client_reply_release(&metrics);
}

static void make_calls(const struct fixture *f, int n)
{
    for (int i = 0; i < n; i++)
        ledger_chat(f, "gpt-4o", 5, 200);
}

/* ---- */

/* Calls until the daemon says so: what its files have already may last for a while. How many. */
static int call_until_unwell(const struct fixture *f)
{
    int calls = 0;

    for (bool ok = true; ok && calls < 5000; calls += 20) {
        cJSON *status;

        make_calls(f, 20);
        status = fixture_status(f);
        ok = cJSON_IsTrue(json_at(status, "ledger.ok"));
        cJSON_Delete(status);
    }
    ledger_wait_ok(f, false);
    return calls;
}

static void test_full_disk__calls_go_on__and_are_there_when_there_is_room_again(void **state)
{
    struct fixture f;
    int calls = 5;

    (void)state;
    if (!start_with_disk(&f, "8m"))
        skip();
    fixture_start_daemon(&f, config, NULL);
    make_calls(&f, 5);
    ledger_wait_calls(&f, 5);
    check_told(&f, true);
    fill_disk(&f);
    calls += call_until_unwell(&f);
    check_told(&f, false);
    make_calls(&f, 20);
    calls += 20;
    assert_int_equal(unlink(ledger_path(&f, "filler")), 0);
    ledger_wait_ok(&f, true);
    check_told(&f, true);
    ledger_wait_calls(&f, calls);
    stop_with_disk(&f);
}

/* By a stop first, then by a kill: each leaves rows in the journal that the next one finds, and cannot write
 * either. */
static void test_full_disk__over_two_restarts__loses_nothing(void **state)
{
    struct fixture f;
    int calls;

    (void)state;
    if (!start_with_disk(&f, "8m"))
        skip();
    fixture_start_daemon(&f, config, NULL);
    make_calls(&f, 5);
    ledger_wait_calls(&f, 5);
    fill_disk(&f);
    calls = 5 + call_until_unwell(&f);
    fixture_stop_daemon(&f);
    fixture_start_daemon(&f, config, NULL);
    ledger_wait_ok(&f, false);
    ledger_kill(&f);
    fixture_start_daemon(&f, config, NULL);
    make_calls(&f, 10);
    ledger_wait_ok(&f, false);
    assert_int_equal(unlink(ledger_path(&f, "filler")), 0);
    ledger_wait_ok(&f, true);
    ledger_wait_calls(&f, calls + 10);
    stop_with_disk(&f);
}

static void test_read_only_directory__calls_go_on__and_are_there_when_it_can_be_written(void **state)
{
    struct fixture f;

    (void)state;
    if (!start_with_disk(&f, "8m"))
        skip();
    assert_int_equal(mount(NULL, ledger_path(&f, ""), NULL, MS_REMOUNT | MS_RDONLY, NULL), 0);
    fixture_start_daemon(&f, config, NULL);
    make_calls(&f, 10);
    ledger_wait_ok(&f, false);
    check_told(&f, false);
    assert_int_equal(mount(NULL, ledger_path(&f, ""), NULL, MS_REMOUNT, NULL), 0);
    ledger_wait_ok(&f, true);
    check_told(&f, true);
    make_calls(&f, 3);
    ledger_wait_calls(&f, 13);
    stop_with_disk(&f);
}

static void test_locked_database__calls_go_on__and_are_there_when_it_is_free(void **state)
{
    struct fixture f;
    struct db *db;

    (void)state;
    fixture_start(&f, NULL, config);
    make_calls(&f, 2);
    ledger_wait_calls(&f, 2);
    assert_int_equal(db_open(ledger_path(&f, "ledger.db"), 5000, &db), DB_OK);
    assert_int_equal(db_exec(db, "BEGIN EXCLUSIVE"), DB_OK);
    make_calls(&f, 10);
    ledger_wait_ok(&f, false);
    check_told(&f, false);
    make_calls(&f, 10);
    assert_int_equal(ledger_ask(&f, "SELECT count(*) FROM calls"), 2);
    assert_int_equal(db_exec(db, "COMMIT"), DB_OK);
    db_close(db);
    ledger_wait_ok(&f, true);
    check_told(&f, true);
    ledger_wait_calls(&f, 22);
    fixture_stop(&f);
}

/* What waited for the lock outlives the daemon, and a start that finds it locked. */
static void test_locked_database__kill_and_start__lose_nothing(void **state)
{
    struct fixture f;
    struct db *db;

    (void)state;
    fixture_start(&f, NULL, config);
    make_calls(&f, 2);
    ledger_wait_calls(&f, 2);
    assert_int_equal(db_open(ledger_path(&f, "ledger.db"), 5000, &db), DB_OK);
    assert_int_equal(db_exec(db, "BEGIN EXCLUSIVE"), DB_OK);
    make_calls(&f, 10);
    ledger_kill(&f);
    fixture_start_daemon(&f, config, NULL);
    make_calls(&f, 10);
    ledger_wait_ok(&f, false);
    assert_int_equal(ledger_ask(&f, "SELECT count(*) FROM calls"), 2);
    assert_int_equal(db_exec(db, "COMMIT"), DB_OK);
    db_close(db);
    ledger_wait_ok(&f, true);
    ledger_wait_calls(&f, 22);
    fixture_stop(&f);
}

static void chat(const struct fixture *f, const char *model, int out, int status)
{
    struct client_reply r;
    char body[256];

    snprintf(body, sizeof body,
             "{\"model\":\"%s\",\"max_tokens\":%d,\"messages\":[{\"role\":\"user\",\"content\":\"hello\"}]}",
             model, out);
    r = ledger_post(f, "/v1/chat/completions", "Metergate-Max-Wait: 1", body);
    if (r.status != status)
        fail_msg("a call with %s was answered %d: %s", model, r.status, r.body.n ? r.body.p : r.error_text);
    client_reply_release(&r);
}

/* What the journal alone remembers is not granted again. */
static void test_locked_database__kill_and_start__grant_nothing_twice(void **state)
{
    static const char limits[] =
        LEDGER_STATE LEDGER_UPSTREAMS "models:\n"
                                      "  few: {match: [gpt-4.1], rpd: 4}\n"
                                      "  dear: {match: [gpt-4o], usd_per_day: 0.025}\n";
    struct client_async *a;
    struct client_reply r;
    struct fixture f;
    struct db *db;

    (void)state;
    fixture_start(&f, "{\"faults\":[{\"fault\":\"hold\",\"model\":\"gpt-4.1\",\"skip\":3,\"next\":1}]}",
                  limits);
    chat(&f, "gpt-4.1", 1, 200);
    ledger_wait_calls(&f, 1);
    assert_int_equal(db_open(ledger_path(&f, "ledger.db"), 5000, &db), DB_OK);
    assert_int_equal(db_exec(db, "BEGIN EXCLUSIVE"), DB_OK);
    for (int i = 0; i < 2; i++) {
        chat(&f, "gpt-4.1", 1, 200);
        chat(&f, "gpt-4o", 1000, 200);
    }
    /* the fourth is in flight */
    a = fixture_chat_start(
        &f, "{\"model\":\"gpt-4.1\",\"messages\":[{\"role\":\"user\",\"content\":\"hello\"}]}");
    fixture_sim_wait(&f, "held=1");
    ledger_kill(&f);
    r = client_finish(a);
    client_reply_release(&r);
    fixture_start_daemon(&f, limits, NULL);
    chat(&f, "gpt-4.1", 1, 429);
    chat(&f, "gpt-4o", 1000, 429);
    assert_int_equal(db_exec(db, "COMMIT"), DB_OK);
    db_close(db);
    ledger_wait_ok(&f, true);
    chat(&f, "gpt-4.1", 1, 429);
    chat(&f, "gpt-4o", 1000, 429);
    ledger_wait_calls(&f, 10);
    fixture_stop(&f);
}

/* ---- garbage ---- */

static void put_garbage(const struct fixture *f, const char *name)
{
    FILE *file = fopen(ledger_path(f, name), "we");

    assert_non_null(file);
    for (int i = 0; i < 3000; i++)
        fprintf(file, "this is no ledger %d\n", i * 7919);
    assert_int_equal(fclose(file), 0);
}

static void test_garbage_in_the_database__it_is_set_aside__and_a_new_one_begun(void **state)
{
    struct fixture f = {0};

    (void)state;
    fixture_start_simulator(&f, NULL, NULL);
    fixture_write_config(&f, config);
    assert_int_equal(mkdir(ledger_path(&f, ""), 0700), 0);
    put_garbage(&f, "ledger.db");
    fixture_start_daemon(&f, config, NULL);
    make_calls(&f, 5);
    ledger_wait_ok(&f, true);
    ledger_wait_calls(&f, 5);
    assert_true(ledger_files(&f, "ledger.db.damaged-") >= 1);
    fixture_stop(&f);
}

/* Pages in the middle of a database that was good, while nobody had it open. */
static void test_damaged_database__it_is_set_aside__and_calls_are_kept_from_then_on(void **state)
{
    struct fixture f;
    struct stat st;
    int fd;

    (void)state;
    fixture_start(&f, NULL, config);
    make_calls(&f, 30);
    ledger_wait_calls(&f, 30);
    fixture_stop_daemon(&f);
    fd = open(ledger_path(&f, "ledger.db"), O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &st), 0);
    for (off_t at = 100; at + 512 < st.st_size; at += 512)
        assert_int_equal(pwrite(fd, "not a page of a b-tree, nor a number", 36, at), 36);
    close(fd);
    fixture_start_daemon(&f, config, NULL);
    make_calls(&f, 5);
    ledger_wait_ok(&f, true);
    ledger_wait_calls(&f, 5);
    assert_true(ledger_files(&f, "ledger.db.damaged-") >= 1);
    fixture_stop(&f);
}

static void test_garbage_in_the_journal__is_not_believed__and_calls_are_kept(void **state)
{
    struct fixture f = {0};

    (void)state;
    fixture_start_simulator(&f, NULL, NULL);
    fixture_write_config(&f, config);
    assert_int_equal(mkdir(ledger_path(&f, ""), 0700), 0);
    put_garbage(&f, "journal");
    fixture_start_daemon(&f, config, NULL);
    make_calls(&f, 5);
    ledger_wait_ok(&f, true);
    ledger_wait_calls(&f, 5);
    ledger_kill(&f);
    fixture_start_daemon(&f, config, NULL);
    make_calls(&f, 1);
    ledger_wait_calls(&f, 6);
    fixture_stop(&f);
}

/* ---- who may read it, and none at all ---- */

static void test_files__of_the_ledger__are_their_owners_alone(void **state)
{
    static const char *const names[] = {"ledger.db", "ledger.db-wal", "ledger.db-shm", "journal"};
    struct fixture f;

    (void)state;
    fixture_start(&f, NULL, config);
    make_calls(&f, 1);
    ledger_wait_calls(&f, 1);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct stat st;

        if (stat(ledger_path(&f, names[i]), &st) < 0)
            fail_msg("%s: %s", names[i], strerror(errno));
        assert_int_equal(st.st_mode & 0777, 0600);
    }
    fixture_stop(&f);
}

static void test_state_dir_none__everything_works__and_there_is_no_usage(void **state)
{
    struct client_reply r;
    struct fixture f;

    (void)state;
    fixture_start(&f, NULL, LEDGER_UPSTREAMS);
    make_calls(&f, 5);
    r = fixture_call(&f, "GET", "/-/usage", NULL);
    assert_int_equal(r.status, 404);
    client_reply_release(&r);
    r = fixture_call(&f, "GET", "/readyz", NULL);
    assert_int_equal(r.status, 200);
    assert_string_equal(r.body.p, "ok\n");
    client_reply_release(&r);
    fixture_assert_idle(&f);
    fixture_stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_files__of_the_ledger__are_their_owners_alone),
        cmocka_unit_test(test_state_dir_none__everything_works__and_there_is_no_usage),
        cmocka_unit_test(test_locked_database__calls_go_on__and_are_there_when_it_is_free),
        cmocka_unit_test(test_locked_database__kill_and_start__lose_nothing),
        cmocka_unit_test(test_locked_database__kill_and_start__grant_nothing_twice),
        cmocka_unit_test(test_garbage_in_the_database__it_is_set_aside__and_a_new_one_begun),
        cmocka_unit_test(test_damaged_database__it_is_set_aside__and_calls_are_kept_from_then_on),
        cmocka_unit_test(test_garbage_in_the_journal__is_not_believed__and_calls_are_kept),
        cmocka_unit_test(test_full_disk__calls_go_on__and_are_there_when_there_is_room_again),
        cmocka_unit_test(test_full_disk__over_two_restarts__loses_nothing),
        cmocka_unit_test(test_read_only_directory__calls_go_on__and_are_there_when_it_can_be_written),
    };

    (void)may_mount(); /* no thread runs yet */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
