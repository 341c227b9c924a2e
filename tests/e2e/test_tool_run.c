/* `metergate run` while calls are held: what it says, to whom, and that the command does not notice. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "fixture.h"
#include "metergate/base/clock.h"
#include "terminal.h"
#include "tool_fixture.h"

#define CHAT                                                                                                 \
    "{\"model\":\"gpt-4o\",\"max_tokens\":20,\"messages\":[{\"role\":\"user\",\"content\":\"hello\"}]}"
#define NIGHTLY_CHAT "/@nightly/v1/chat/completions"

/* A command that lives until it is told to end. */
#define LASTING "sh", "-c", "echo begun; exec sleep 1000"

static struct client_async *start_call(const struct fixture *f, const char *path)
{
    static const char *const headers[] = {"Authorization: Bearer sk-test", NULL};
    char url[256];

    snprintf(url, sizeof url, "%s%s", f->url, path);
    return client_start(
        &(struct client_call){.url = url, .headers = headers, .body = CHAT, .timeout_ms = 60000});
}

static void finish_call(struct client_async *a)
{
    struct client_reply r = client_finish(a);

    assert_int_equal(r.status, 200);
    client_reply_release(&r);
}

static void post(const struct fixture *f, const char *path)
{
    struct client_reply r = fixture_call(f, "POST", path, "");

    assert_int_equal(r.status, 200);
    client_reply_release(&r);
}

#define RUN(f, ...)                                                                                          \
    process_start(                                                                                           \
        (const char *const[]){tool_path(), "run", "--url", (f)->url, "-c", "nightly", __VA_ARGS__, NULL})

/* It ended of itself or by our signal, and all that was its output with it, at once. */
static void assert_end(struct process *p, int status)
{
    int64_t before_us;

    assert_int_equal(process_wait_exit(p, FIXTURE_TIMEOUT_MS), status);
    before_us = clock_now_us();
    assert_false(process_wait_log(p, 0, "never to be seen", FIXTURE_TIMEOUT_MS));
    assert_in_range(clock_now_us() - before_us, 0, 5 * CLOCK_S);
    process_free(p);
}

static void assert_log_lacks(struct process *p, const char *text)
{
    char *log = process_log(p);

    if (strstr(log, text))
        fail_msg("'%s' is in:\n%s", text, log);
    free(log);
}

static void test_run__held_calls__are_told_of_on_stderr_until_they_go(void **state)
{
    struct client_async *mine[2], *other;
    struct process *p, *elsewhere;
    struct fixture f;

    (void)state;
    fixture_start(&f, NULL, FIXTURE_UPSTREAM "models:\n  gpt-4o: {tpm: 30k}\n");
    post(&f, "/-/pause");
    p = RUN(&f, LASTING);
    elsewhere = process_start(
        (const char *const[]){tool_path(), "run", "--url", f.url, "-c", "editor", LASTING, NULL});
    for (int i = 0; i < 2; i++)
        mine[i] = start_call(&f, NIGHTLY_CHAT);
    other = start_call(&f, "/@third/v1/chat/completions");
    assert_true(process_wait_log(p, 0, "metergate: holding 2 calls for gpt-4o: everything is paused",
                                 FIXTURE_TIMEOUT_MS));
    post(&f, "/-/resume");
    assert_true(process_wait_log(p, 0, "metergate: all calls go on\n", FIXTURE_TIMEOUT_MS));
    for (int i = 0; i < 2; i++)
        finish_call(mine[i]);
    finish_call(other);
    assert_log_lacks(elsewhere, "metergate:");
    process_signal(p, SIGTERM);
    process_signal(elsewhere, SIGTERM);
    assert_end(p, 128 + SIGTERM);
    assert_end(elsewhere, 128 + SIGTERM);
    fixture_stop(&f);
}

static void test_run__full_budget__the_line_says_of_which(void **state)
{
    struct client_async *first, *second;
    struct client_reply left;
    struct process *p;
    struct fixture f;

    (void)state;
    fixture_start(&f, NULL, FIXTURE_UPSTREAM "headroom: 0%\nmodels:\n  gpt-4o: {rpm: {max: 1, per: 20s}}\n");
    p = RUN(&f, LASTING);
    first = start_call(&f, NIGHTLY_CHAT);
    finish_call(first);
    second = start_call(&f, NIGHTLY_CHAT);
    assert_true(process_wait_log(p, 0, "metergate: holding 1 call for gpt-4o", FIXTURE_TIMEOUT_MS));
    client_leave(second);
    left = client_finish(second);
    client_reply_release(&left);
    assert_true(process_wait_log(p, 0, "metergate: all calls go on\n", FIXTURE_TIMEOUT_MS));
    process_signal(p, SIGKILL);
    assert_end(p, 128 + SIGKILL);
    fixture_stop(&f);
}

static void test_run__quiet__says_nothing(void **state)
{
    struct process *p, *loud;
    struct client_async *call;
    struct fixture f;

    (void)state;
    fixture_start(&f, NULL, FIXTURE_UPSTREAM "models:\n  gpt-4o: {tpm: 30k}\n");
    post(&f, "/-/pause");
    p = RUN(&f, "--quiet", LASTING);
    assert_true(process_wait_log(p, 0, "begun\n", FIXTURE_TIMEOUT_MS));
    loud = RUN(&f, LASTING); /* begins later, so what it says the other would have said */
    call = start_call(&f, NIGHTLY_CHAT);
    assert_true(process_wait_log(loud, 0, "holding 1 call", FIXTURE_TIMEOUT_MS));
    post(&f, "/-/resume");
    assert_true(process_wait_log(loud, 0, "all calls go on", FIXTURE_TIMEOUT_MS));
    finish_call(call);
    assert_log_lacks(p, "metergate:");
    process_signal(p, SIGINT);
    process_signal(loud, SIGINT);
    assert_end(p, 128 + SIGINT);
    assert_end(loud, 128 + SIGINT);
    fixture_stop(&f);
}

/* stty tostop stops the whole group of whoever writes: what we say must not cost the command its life. */
static void test_run__background_of_a_terminal_that_stops_writers__goes_on(void **state)
{
    static const char script[] = "stty tostop; set -m; mkfifo $2/begun\n"
                                 "\"$0\" run --url $1 -c nightly sh -c \"echo >$2/begun; exec sleep 1000\" &\n"
                                 "read line <$2/begun; rm $2/begun; echo begun\n"
                                 "read line; kill %1; wait %1; echo \"status $?\"";
    struct terminal *t;
    struct process *loud;
    struct client_async *call;
    struct fixture f;

    (void)state;
    fixture_start(&f, NULL, FIXTURE_UPSTREAM "models:\n  gpt-4o: {tpm: 30k}\n");
    post(&f, "/-/pause");
    t = terminal_start((const char *const[]){"/bin/bash", "-c", script, tool_path(), f.url, f.dir, NULL}, "vt100", 24, 80);
    terminal_wait(t, "begun");
    loud = RUN(&f, LASTING); /* begins later, so what it says the other would have said */
    call = start_call(&f, NIGHTLY_CHAT);
    assert_true(process_wait_log(loud, 0, "holding 1 call", FIXTURE_TIMEOUT_MS));
    post(&f, "/-/resume");
    assert_true(process_wait_log(loud, 0, "all calls go on", FIXTURE_TIMEOUT_MS));
    finish_call(call);
    terminal_type(t, "\n");
    terminal_wait(t, "status 143"); /* and not 150: stopped by SIGTTOU */
    assert_null(strstr(terminal_text(t), "metergate:"));
    assert_int_equal(terminal_wait_exit(t), 0);
    terminal_free(t);
    process_signal(loud, SIGINT);
    assert_end(loud, 128 + SIGINT);
    fixture_stop(&f);
}

/* The daemon may go and come back; the command's life and its output are its own. */
static void test_run__daemon_that_ends__is_not_spoken_of(void **state)
{
    struct process *p;
    struct fixture f;

    (void)state;
    fixture_start(&f, NULL, FIXTURE_UPSTREAM "models:\n  gpt-4o: {tpm: 30k}\n");
    p = RUN(&f, "sh", "-c", "echo begun; read line; echo ended", "sh");
    assert_true(process_wait_log(p, 0, "begun\n", FIXTURE_TIMEOUT_MS));
    fixture_stop_daemon(&f);
    process_signal(p, SIGTERM);
    assert_log_lacks(p, "metergate:");
    assert_int_not_equal(process_wait_exit(p, FIXTURE_TIMEOUT_MS), -1);
    process_free(p);
    fixture_stop(&f);
}

/* ---- the command is what it is without */

static const struct fake_answer daemon_answers[] = {
    {"/", 200, "Metergate is running\n"}, {"/healthz", 200, "ok\n"}, {"/-/status", 200, "{}"}, {0}};

static void assert_run_status(const char *url, int status, const char *const *command)
{
    const char *argv[16] = {tool_path(), "run", "--url", url};
    struct process *p;
    size_t n = 4;

    for (; *command; command++)
        argv[n++] = *command;
    p = process_start(argv);
    assert_end(p, status);
}

static void test_run__any_end_of_the_command__is_its_own_and_the_pipe_ends(void **state)
{
    struct fake_server *s = fake_server_start(daemon_answers);
    const char *url = fake_server_url(s);

    (void)state;
    assert_run_status(url, 0, (const char *const[]){"true", NULL});
    assert_run_status(url, 3, (const char *const[]){"sh", "-c", "exit 3", NULL});
    assert_run_status(url, 126, (const char *const[]){"/", NULL});
    assert_run_status(url, 127, (const char *const[]){"no-such-program-here", NULL});
    assert_run_status(url, 128 + SIGTERM, (const char *const[]){"sh", "-c", "kill -TERM $$", NULL});
    assert_run_status(url, 128 + SIGKILL, (const char *const[]){"sh", "-c", "kill -KILL $$", NULL});
    fake_server_stop(s);
}

/* No child, the same process, and the signals as they were. */
static void test_run__command__sees_no_other_process(void **state)
{
    static const char look[] = "read children </proc/$$/task/$$/children; echo \"<$$> <$children>\"\n"
                               "grep -E '^Sig(Blk|Ign)' /proc/self/status";
    static const char before[] =
        "grep -E '^Sig(Blk|Ign)' /proc/self/status; exec \"$0\" run --url \"$1\" sh -c \"$2\"";
    struct fake_server *s = fake_server_start(daemon_answers);
    const char *argv[] = {"/bin/sh", "-c", before, tool_path(), fake_server_url(s), look, NULL};
    char first[512], second[512], expect[64];
    struct process *p = process_start(argv);
    char *log, *own;

    (void)state;
    assert_int_equal(process_wait_exit(p, FIXTURE_TIMEOUT_MS), 0);
    assert_false(process_wait_log(p, 0, "never to be seen", FIXTURE_TIMEOUT_MS));
    log = process_log(p);
    snprintf(expect, sizeof expect, "<%d> <>\n", (int)process_pid(p));
    own = strstr(log, expect);
    if (!own)
        fail_msg("'%s' is not in:\n%s", expect, log);
    snprintf(first, sizeof first, "%.*s", (int)(own - log), log);
    snprintf(second, sizeof second, "%s", own + strlen(expect));
    assert_string_equal(first, second);
    free(log);
    process_free(p);
    fake_server_stop(s);
}

/* What it inherited and closes is closed: whoever reads the other end sees that. */
static void test_run__descriptor_that_the_command_closes__is_closed(void **state)
{
    struct fake_server *s = fake_server_start(daemon_answers);
    struct pollfd end = {.events = POLLIN};
    char script[64], byte;
    struct process *p;
    int fds[2];

    (void)state;
    assert_int_equal(pipe2(fds, O_NONBLOCK), 0);
    snprintf(script, sizeof script, "exec %d>&- ; exec sleep 1000", fds[1]);
    p = process_start(
        (const char *const[]){tool_path(), "run", "--url", fake_server_url(s), "sh", "-c", script, NULL});
    close(fds[1]);
    end.fd = fds[0];
    assert_int_equal(poll(&end, 1, FIXTURE_TIMEOUT_MS), 1);
    assert_int_equal(read(fds[0], &byte, 1), 0);
    close(fds[0]);
    assert_int_equal(process_wait_exit(p, 0), -1);
    process_signal(p, SIGTERM);
    assert_end(p, 128 + SIGTERM);
    fake_server_stop(s);
}

static void test_run__stderr_closed__the_command_runs(void **state)
{
    struct fake_server *s = fake_server_start(daemon_answers);
    const char *argv[] = {
        "/bin/sh",          "-c", "\"$0\" run --url \"$1\" sh -c 'echo out; exit 5' 2>&-", tool_path(),
        fake_server_url(s), NULL};
    struct outcome o = tool_run_program(argv, NULL);

    (void)state;
    assert_int_equal(o.status, 5);
    assert_string_equal(o.out, "out\n");
    outcome_release(&o);
    fake_server_stop(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_run__any_end_of_the_command__is_its_own_and_the_pipe_ends,
                               tool_environment),
        cmocka_unit_test_setup(test_run__command__sees_no_other_process, tool_environment),
        cmocka_unit_test_setup(test_run__descriptor_that_the_command_closes__is_closed, tool_environment),
        cmocka_unit_test_setup(test_run__stderr_closed__the_command_runs, tool_environment),
        cmocka_unit_test_setup(test_run__held_calls__are_told_of_on_stderr_until_they_go, tool_environment),
        cmocka_unit_test_setup(test_run__full_budget__the_line_says_of_which, tool_environment),
        cmocka_unit_test_setup(test_run__quiet__says_nothing, tool_environment),
        cmocka_unit_test_setup(test_run__background_of_a_terminal_that_stops_writers__goes_on, tool_environment),
        cmocka_unit_test_setup(test_run__daemon_that_ends__is_not_spoken_of, tool_environment),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
