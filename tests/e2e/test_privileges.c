/* privileges: what the daemon may do, what others may do to it, and who it is after root has started it. */
#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <cjson/cJSON.h>

#include "fixture.h"
#include "remains.h"
#include "tool_fixture.h"

#define NOBODY 65534 /* in Debian's /etc/passwd */
#define CHAT   "{\"model\":\"gpt-4o\",\"max_tokens\":5,\"messages\":[{\"role\":\"user\",\"content\":\"hello\"}]}"

static void need_root(void)
{
    if (geteuid() != 0) {
        print_message("only root can become somebody else\n");
        skip();
    }
}

/* A file of /proc/PID. */
static void read_proc(const struct fixture *f, const char *name, char *ret, size_t size)
{
    char path[64];
    ssize_t n;
    int fd;

    snprintf(path, sizeof path, "/proc/%d/%s", (int)process_pid(f->daemon), name);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    n = read(fd, ret, size - 1);
    assert_true(n > 0);
    ret[n] = '\0';
    close(fd);
}

static void assert_status(const struct fixture *f, const char *line)
{
    char text[8192];

    read_proc(f, "status", text, sizeof text);
    if (!strstr(text, line))
        fail_msg("/proc/PID/status does not say %s:\n%s", line, text);
}

static void write_key(const struct fixture *f, mode_t mode)
{
    char path[128];
    FILE *file;

    snprintf(path, sizeof path, "%s/key", f->dir);
    file = fopen(path, "we");
    assert_non_null(file);
    assert_true(fputs("sk-of-a-file\n", file) > 0);
    assert_int_equal(fchmod(fileno(file), mode), 0);
    assert_int_equal(fclose(file), 0);
}

static mode_t mode_of(const struct fixture *f, const char *name, uid_t owner)
{
    char path[128];
    struct stat st;

    snprintf(path, sizeof path, "%s/%s", f->dir, name);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_uid, owner);
    return st.st_mode & 07777;
}

static void assert_works(const struct fixture *f)
{
    struct client_reply r = fixture_chat(f, CHAT);

    assert_int_equal(r.status, 200);
    client_reply_release(&r);
}

/* ---- whoever starts it -------------------------------------------------------------------------------------- */

static void test_process__can_neither_be_dumped_nor_gain_rights(void **state)
{
    char limits[8192], path[64];
    struct fixture f;
    struct stat st;
    mode_t mask = umask(022);

    (void)state;
    fixture_start(&f, NULL, FIXTURE_UPSTREAM "state_dir: $DIR/state\n");
    umask(mask);
    assert_status(&f, "\nNoNewPrivs:\t1\n");
    read_proc(&f, "limits", limits, sizeof limits);
    assert_non_null(strstr(limits, "Max core file size        0                    0 "));
    snprintf(path, sizeof path, "/proc/%d/mem", (int)process_pid(f.daemon));
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_uid, 0); /* of an undumpable process these are root's, whoever runs it */
    assert_works(&f);
    assert_int_equal(mode_of(&f, "state", geteuid()), 0700);
    assert_int_equal(mode_of(&f, "state/ledger.db", geteuid()), 0600);
    assert_int_equal(mode_of(&f, "state/journal", geteuid()), 0600);
    fixture_stop(&f);
}

static void assert_no_start(const struct fixture *f, const char *sentence)
{
    struct outcome o = tool_run_program((const char *const[]){program_path("metergated"), "-c", f->config, NULL}, NULL);

    if (o.status != EXIT_FAILURE || !strstr(o.err, sentence))
        fail_msg("got %d\n%swant 1 and %s", o.status, o.err, sentence);
    outcome_release(&o);
}

static void test_state_dir__that_others_can_write_to__is_refused(void **state)
{
    static const mode_t open_modes[] = {0770, 0707, 0722, 01777};
    struct fixture f = {0};
    char path[128], sentence[80];

    (void)state;
    fixture_write_config(&f, "state_dir: $DIR/state\n");
    snprintf(path, sizeof path, "%s/state", f.dir);
    assert_int_equal(mkdir(path, 0700), 0);
    for (size_t i = 0; i < sizeof open_modes / sizeof open_modes[0]; i++) {
        assert_int_equal(chmod(path, open_modes[i]), 0);
        snprintf(sentence, sizeof sentence, "/state (its mode is %04o): chmod 700", (unsigned)open_modes[i]);
        assert_no_start(&f, sentence);
    }
    fixture_stop(&f);
}

/* ---- root ----------------------------------------------------------------------------------------------- */

#define AS_NOBODY                                                                                            \
    "user: nobody\n"                                                                                         \
    "state_dir: $DIR/deep/state\n"                                                                           \
    "upstreams:\n"                                                                                           \
    "  openai: {base_url: $SIMULATOR/v1, api_key: {file: $DIR/key}}\n"

/* The directory may be passed through, and the file that it is told to read again may be read. */
static void start_as_nobody(struct fixture *f, const char *yaml)
{
    *f = (struct fixture){0};
    fixture_start_simulator(f, NULL, NULL);
    assert_int_equal(chmod(f->dir, 0711), 0);
    write_key(f, 0600);
    fixture_start_daemon(f, yaml, NULL);
    assert_int_equal(chmod(f->config, 0644), 0);
}

static void test_user__root_becomes_that_user_for_good(void **state)
{
    struct fixture f;

    (void)state;
    need_root();
    start_as_nobody(&f, AS_NOBODY);
    fixture_wait_log(&f, 0, "running as user nobody\n");
    assert_status(&f, "\nUid:\t65534\t65534\t65534\t65534\n");
    assert_status(&f, "\nGid:\t65534\t65534\t65534\t65534\n");
    assert_status(&f, "\nCapPrm:\t0000000000000000\n");
    assert_status(&f, "\nCapEff:\t0000000000000000\n");
    assert_status(&f, "\nCapInh:\t0000000000000000\n");
    assert_status(&f, "\nCapAmb:\t0000000000000000\n");
    assert_status(&f, "\nNoNewPrivs:\t1\n");
    if (remains_can_be_locked())
        assert_status(&f, "\nVmLck:\t      64 kB\n"); /* what was locked stays locked */
    assert_works(&f); /* with a key that it could not read now */
    assert_int_equal(mode_of(&f, "deep", NOBODY), 0700);
    assert_int_equal(mode_of(&f, "deep/state", NOBODY), 0700);
    assert_int_equal(mode_of(&f, "deep/state/ledger.db", NOBODY), 0600);
    fixture_stop(&f);
}

static void test_user__is_undumpable_after_the_change_too(void **state)
{
    char path[64];
    struct fixture f;
    struct stat st;

    (void)state;
    need_root();
    start_as_nobody(&f, AS_NOBODY);
    snprintf(path, sizeof path, "/proc/%d/mem", (int)process_pid(f.daemon));
    assert_int_equal(stat(path, &st), 0);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    assert_int_equal(st.st_uid, 0);
#endif
    fixture_stop(&f);
}

/* All or nothing: with the key that it has it goes on. */
static void test_user__a_reload_that_he_cannot_read__is_refused_in_words(void **state)
{
    struct fixture f;
    size_t mark;

    (void)state;
    need_root();
    start_as_nobody(&f, AS_NOBODY);
    mark = process_log_mark(f.daemon);
    process_signal(f.daemon, SIGHUP);
    fixture_wait_log(&f, mark, "/key: Permission denied");
    fixture_wait_log(&f, mark, "reload: keeping the running configuration");
    assert_works(&f);
    write_key(&f, 0640);
    {
        char path[128];

        snprintf(path, sizeof path, "%s/key", f.dir);
        assert_int_equal(chown(path, 0, NOBODY), 0); /* 0640 root:nobody, as packages do it */
    }
    mark = process_log_mark(f.daemon);
    process_signal(f.daemon, SIGHUP);
    fixture_wait_log(&f, mark, "reload: done");
    assert_works(&f);
    fixture_stop(&f);
}

static void test_user__of_a_state_dir_of_root__is_told_what_to_type(void **state)
{
    struct fixture f = {0};
    char path[128];

    (void)state;
    need_root();
    fixture_write_config(&f, "user: nobody\nstate_dir: $DIR/state\n");
    snprintf(path, sizeof path, "%s/state", f.dir);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_no_start(&f, "belongs to user 0 and not to the one that the daemon becomes: chown -R 65534:65534");
    fixture_stop(&f);
}

static void test_user__a_unix_socket__is_his(void **state)
{
    struct fixture f = {0};
    char path[128];

    (void)state;
    need_root();
    fixture_write_config(&f, "user: nobody\nlisten: [\"unix:$DIR/socket\"]\n");
    f.daemon = process_start((const char *const[]){program_path("metergated"), "-c", f.config, NULL});
    fixture_wait_log(&f, 0, "ready, listening on unix:");
    snprintf(path, sizeof path, "%s/socket", f.dir);
    assert_int_equal(mode_of(&f, "socket", NOBODY), 0600);
    fixture_stop(&f);
}

/* uid 12345 has no entry in /etc/passwd; containers name their users so. */
static void test_user__a_bare_number__has_the_group_of_that_number(void **state)
{
    struct fixture f;

    (void)state;
    need_root();
    fixture_start(&f, NULL, FIXTURE_UPSTREAM "user: 12345\n");
    assert_status(&f, "\nUid:\t12345\t12345\t12345\t12345\n");
    assert_status(&f, "\nGid:\t12345\t12345\t12345\t12345\n");
    assert_status(&f, "\nGroups:\t \n");
    assert_works(&f);
    fixture_stop(&f);
}

/* What it keeps is to read files (a reload) and to see whose a connection is. */
static void test_root__that_stays__gives_up_what_it_does_not_use(void **state)
{
    struct fixture f;

    (void)state;
    need_root();
    fixture_start(&f, NULL, FIXTURE_UPSTREAM "user: root\n");
    assert_status(&f, "\nUid:\t0\t0\t0\t0\n");
    assert_status(&f, "\nCapPrm:\t0000000000080006\n");
    assert_status(&f, "\nCapEff:\t0000000000080006\n");
    assert_works(&f);
    {
        char *log = process_log(f.daemon);

        assert_null(strstr(log, "running as root")); /* it was told to */
        free(log);
    }
    fixture_stop(&f);
}

/* Where the tree lies in root's home, he cannot. */
static bool nobody_can_run(const char *program)
{
    bool can;

    assert_int_equal(seteuid(NOBODY), 0);
    can = faccessat(AT_FDCWD, program, X_OK, AT_EACCESS) == 0;
    assert_int_equal(seteuid(0), 0);
    return can;
}

/* The same binary, started by nobody: the option is for root. */
static void test_user__of_a_daemon_that_root_did_not_start__is_a_warning(void **state)
{
    struct fixture f = {0};

    (void)state;
    need_root();
    if (!nobody_can_run(program_path("metergated")))
        skip();
    fixture_write_config(&f, "user: root\n");
    assert_int_equal(chmod(f.dir, 0711), 0);
    assert_int_equal(chmod(f.config, 0644), 0);
    f.daemon = process_start((const char *const[]){"/usr/bin/setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
                                                   program_path("metergated"), "-c", f.config, NULL});
    fixture_wait_log(&f, 0, "user: root is for a daemon that root starts; this one stays user 65534");
    fixture_wait_log(&f, 0, "ready, listening on");
    assert_status(&f, "\nUid:\t65534\t65534\t65534\t65534\n");
    fixture_stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_process__can_neither_be_dumped_nor_gain_rights),
        cmocka_unit_test(test_state_dir__that_others_can_write_to__is_refused),
        cmocka_unit_test(test_user__root_becomes_that_user_for_good),
        cmocka_unit_test(test_user__is_undumpable_after_the_change_too),
        cmocka_unit_test(test_user__a_reload_that_he_cannot_read__is_refused_in_words),
        cmocka_unit_test(test_user__of_a_state_dir_of_root__is_told_what_to_type),
        cmocka_unit_test(test_user__a_unix_socket__is_his),
        cmocka_unit_test(test_user__a_bare_number__has_the_group_of_that_number),
        cmocka_unit_test(test_root__that_stays__gives_up_what_it_does_not_use),
        cmocka_unit_test(test_user__of_a_daemon_that_root_did_not_start__is_a_warning),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
