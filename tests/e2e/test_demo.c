/* `make demo`, with a minute of three seconds: the story holds, and nothing of it is left behind. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <arpa/inet.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "metergate/base/buf.h"
#include "tool_fixture.h"

/* A directory of the test's own, where the demo makes its files. */
static int own_tmpdir(void **state)
{
    static char dir[32];

    snprintf(dir, sizeof dir, "/tmp/mg-demo-XXXXXX");
    assert_non_null(mkdtemp(dir));
    *state = dir;
    return setenv("TMPDIR", dir, 1);
}

/* It must be empty again. */
static int remove_tmpdir(void **state)
{
    return rmdir(*state);
}

static void test_demo__story__holds(void **state)
{
    const char *argv[] = {program_path("metergate-demo"), "--window", "3", NULL};
    struct outcome o = tool_run_program(argv, NULL);

    (void)state;
    if (o.status != 0)
        fail_msg("exit status %d\n%s%s", o.status, o.out, o.err);
    assert_non_null(strstr(o.out, "Limit 30000, Requested 40666"));
    /* `metergate status` against the real daemon */
    assert_non_null(strstr(o.out, "gpt-4o         tpm       3 s   30,000   30,000  12,071         0   17,929     1"));
    /* `metergate compare` of twenty texts, 60 to 155 tokens, by the prices of both */
    assert_non_null(strstr(o.out, "cost                        $0.015375000   $0.002575000\n"));
    assert_non_null(strstr(o.out, "gpt-3.5-turbo costs 1/6.0 of gpt-4o a call\n"));
    assert_null(strstr(o.out, "NOT SO"));
    assert_null(strchr(o.out, '\033')); /* no colours in a file */
    outcome_release(&o);
}

/* Reads the demo's output until `text` is in it. */
static void read_until(int fd, struct buf *out, const char *text)
{
    char chunk[4096];

    while (!out->n || !strstr(out->p, text)) {
        ssize_t n = read(fd, chunk, sizeof chunk);

        if (n <= 0)
            fail_msg("the demo ended without '%s':\n%s", text, out->n ? out->p : "");
        buf_add(out, chunk, (size_t)n);
    }
}

static bool listens(int port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), rc;

    assert_true(fd >= 0);
    a.sin_port = htons((uint16_t)port);
    rc = connect(fd, (struct sockaddr *)&a, sizeof a);
    close(fd);
    return rc == 0;
}

static int port_after(const struct buf *out, const char *text)
{
    const char *at = strstr(out->p, text);

    assert_non_null(at);
    return (int)strtol(at + strlen(text), NULL, 10);
}

static void test_demo__interrupted__leaves_nothing_behind(void **state)
{
    struct buf out;
    int fds[2], status;
    pid_t pid;

    (void)state;
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        dup2(fds[1], STDOUT_FILENO);
        execl(program_path("metergate-demo"), "metergate-demo", (char *)NULL);
        _exit(255);
    }
    close(fds[1]);
    buf_init(&out, BUF_UNLIMITED);
    read_until(fds[0], &out, "one call is held");
    kill(pid, SIGINT);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 128 + SIGINT);
    assert_false(listens(port_after(&out, "provider   http://127.0.0.1:")));
    assert_false(listens(port_after(&out, "metergate  http://127.0.0.1:")));
    close(fds[0]);
    buf_release(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_demo__interrupted__leaves_nothing_behind, own_tmpdir,
                                        remove_tmpdir),
        cmocka_unit_test_setup_teardown(test_demo__story__holds, own_tmpdir, remove_tmpdir),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
