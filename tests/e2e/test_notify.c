/* notify: what the service manager hears, which the test plays with a datagram socket. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "fixture.h"
#include "metergate/base/clock.h"

#define YAML FIXTURE_UPSTREAM "models:\n  gpt-4o: {tpm: %d}\n"

/* A socket at a path of its own, or of that abstract name. */
static int manager_open(const char *name)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    socklen_t n = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name));
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    memcpy(a.sun_path, name, strlen(name));
    if (name[0] == '@')
        a.sun_path[0] = '\0';
    assert_int_equal(bind(fd, (struct sockaddr *)&a, n), 0);
    return fd;
}

/* The next message must begin so; its text is returned until the next call. */
static const char *hear(int fd, const char *begins)
{
    static char text[512];
    struct pollfd p = {.fd = fd, .events = POLLIN};
    ssize_t n;

    assert_int_equal(poll(&p, 1, FIXTURE_TIMEOUT_MS), 1);
    n = recv(fd, text, sizeof text - 1, 0);
    assert_true(n > 0);
    text[n] = '\0';
    if (strncmp(text, begins, strlen(begins)) != 0)
        fail_msg("heard %s, not %s", text, begins);
    return text;
}

static void start(struct fixture *f, const char *socket_name, int tpm)
{
    char yaml[300];

    setenv("NOTIFY_SOCKET", socket_name, 1);
    snprintf(yaml, sizeof yaml, YAML, tpm);
    fixture_start(f, NULL, yaml);
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
}

static void life(const char *name)
{
    int manager = manager_open(name);
    struct fixture f;
    char where[64];

    start(&f, name, 30000);
    snprintf(where, sizeof where, "STATUS=holding 0, in flight 0; listening on 127.0.0.1:%d\n", f.port);
    assert_non_null(strstr(hear(manager, "READY=1\n"), where));

    assert_int_equal(kill(process_pid(f.daemon), SIGHUP), 0);
    assert_non_null(strstr(hear(manager, "RELOADING=1\n"), "\nMONOTONIC_USEC="));
    assert_non_null(strstr(hear(manager, "READY=1\n"), where));

    fixture_write_config(&f, "models: 7\n");
    assert_int_equal(kill(process_pid(f.daemon), SIGHUP), 0);
    hear(manager, "RELOADING=1\n");
    assert_non_null(strstr(hear(manager, "READY=1\n"), "refused"));

    fixture_stop_daemon(&f);
    assert_non_null(strstr(hear(manager, "STOPPING=1\n"), "STATUS=draining: 0 calls in flight\n"));
    assert_string_equal(hear(manager, "EXTEND_TIMEOUT_USEC="), "EXTEND_TIMEOUT_USEC=90000000\n"); /* `drain` is a minute */
    fixture_stop(&f);
    close(manager);
}

static void test_notify__ready_reload_and_stop__are_told(void **state)
{
    char path[64];

    (void)state;
    snprintf(path, sizeof path, "/tmp/metergate-notify-%d", (int)getpid());
    unlink(path);
    life(path);
    unlink(path);
    snprintf(path, sizeof path, "@metergate-notify-%d", (int)getpid());
    life(path);
}

/* The pid that is watched is the daemon's, which is not known before it runs: without it, any. */
static void test_notify__watchdog__is_told_twice_a_period(void **state)
{
    char name[64];
    struct fixture f;
    int manager;

    (void)state;
    snprintf(name, sizeof name, "@metergate-watchdog-%d", (int)getpid());
    manager = manager_open(name);
    setenv("WATCHDOG_USEC", "100000", 1);
    start(&f, name, 30000);
    hear(manager, "READY=1\n");
    for (int i = 0; i < 3; i++)
        hear(manager, "WATCHDOG=1\n");
    fixture_stop(&f);
    close(manager);
}

#define CHAT(text) "{\"model\":\"gpt-4o\",\"messages\":[{\"role\":\"user\",\"content\":\"" text "\"}]}"

/* Each of these comes at some time, whatever was true in between. */
static void hear_status(int fd, const char *status)
{
    char line[64];
    int64_t until = clock_now_us() + FIXTURE_TIMEOUT_MS * CLOCK_MS;

    snprintf(line, sizeof line, "STATUS=%s", status);
    while (!strstr(hear(fd, ""), line)) {
        if (clock_now_us() > until)
            fail_msg("never heard %s", line);
    }
}

static void assert_silence(int fd, int ms)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};

    assert_int_equal(poll(&p, 1, ms), 0);
}

static void test_notify__what_is_held_and_in_flight__is_the_status_while_it_changes(void **state)
{
    struct client_async *first, *second, *third;
    struct fixture f;
    char name[64];
    int manager;

    (void)state;
    snprintf(name, sizeof name, "@metergate-status-%d", (int)getpid());
    manager = manager_open(name);
    setenv("NOTIFY_SOCKET", name, 1);
    fixture_start(&f, NULL, FIXTURE_UPSTREAM "models:\n  gpt-4o: {concurrent: 1}\n");
    unsetenv("NOTIFY_SOCKET");
    hear(manager, "READY=1\n");
    first = fixture_chat_start(&f, CHAT("hello [[fault=hold]]"));
    fixture_sim_wait(&f, "held=1");
    second = fixture_chat_start(&f, CHAT("hello [[fault=hold]]"));
    third = fixture_chat_start(&f, CHAT("hello"));
    hear_status(manager, "holding 2, in flight 1; listening on ");
    client_reply_release(&(struct client_reply[]){fixture_call(&f, "POST", "/-/pause", "")}[0]);
    hear_status(manager, "paused, holding 2, in flight 1; listening on ");
    client_reply_release(&(struct client_reply[]){fixture_call(&f, "POST", "/-/resume", "")}[0]);
    hear_status(manager, "holding 2, in flight 1; listening on ");
    assert_silence(manager, 1200); /* longer than a second: nothing has changed, so there is nothing to say */
    fixture_sim_post(&f, "/_sim/release", NULL);
    client_reply_release(&(struct client_reply[]){client_finish(first)}[0]);
    fixture_sim_wait(&f, "held=1");
    hear_status(manager, "holding 1, in flight 1; listening on ");
    process_signal(f.daemon, SIGTERM);
    hear_status(manager, "draining: 1 call in flight\n");
    client_reply_release(&(struct client_reply[]){client_finish(third)}[0]);
    fixture_sim_post(&f, "/_sim/release", NULL);
    client_reply_release(&(struct client_reply[]){client_finish(second)}[0]);
    assert_int_equal(process_wait_exit(f.daemon, FIXTURE_TIMEOUT_MS), 0);
    fixture_stop(&f);
    close(manager);
}

static void test_notify__many_calls_in_a_moment__are_few_messages(void **state)
{
    int64_t started, seconds;
    struct fixture f;
    char name[64];
    int manager, said = 0;
    struct pollfd p = {.events = POLLIN};

    (void)state;
    snprintf(name, sizeof name, "@metergate-few-%d", (int)getpid());
    manager = manager_open(name);
    start(&f, name, 1000000);
    hear(manager, "READY=1\n");
    started = clock_now_us();
    for (int i = 0; i < 300; i++)
        client_reply_release(&(struct client_reply[]){fixture_chat(&f, CHAT("hello"))}[0]);
    seconds = (clock_now_us() - started) / CLOCK_S + 1;
    for (p.fd = manager; poll(&p, 1, 0) == 1; said++)
        hear(manager, "STATUS=");
    assert_true(said <= seconds + 1);
    fixture_stop(&f);
    close(manager);
}

static void test_notify__another_process_is_watched__nothing_is_said(void **state)
{
    char name[64], pid[16];
    struct fixture f;
    int manager;

    (void)state;
    snprintf(name, sizeof name, "@metergate-other-%d", (int)getpid());
    snprintf(pid, sizeof pid, "%d", (int)getpid());
    manager = manager_open(name);
    setenv("WATCHDOG_USEC", "20000", 1);
    setenv("WATCHDOG_PID", pid, 1);
    start(&f, name, 30000);
    hear(manager, "READY=1\n");
    client_reply_release(&(struct client_reply[]){fixture_call(&f, "GET", "/healthz", NULL)}[0]);
    fixture_stop_daemon(&f);
    hear(manager, "STOPPING=1\n"); /* and nothing before it */
    fixture_stop(&f);
    close(manager);
}

static void test_notify__a_manager_that_is_not_there__stops_nobody(void **state)
{
    static const char *const names[] = {"/nowhere/at/all", "relative", "@", ""};

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(names); i++) {
        struct fixture f;
        struct client_reply r;

        start(&f, names[i], 30000);
        r = fixture_call(&f, "GET", "/healthz", NULL);
        assert_int_equal(r.status, 200);
        client_reply_release(&r);
        fixture_stop(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_notify__ready_reload_and_stop__are_told),
        cmocka_unit_test(test_notify__watchdog__is_told_twice_a_period),
        cmocka_unit_test(test_notify__another_process_is_watched__nothing_is_said),
        cmocka_unit_test(test_notify__what_is_held_and_in_flight__is_the_status_while_it_changes),
        cmocka_unit_test(test_notify__many_calls_in_a_moment__are_few_messages),
        cmocka_unit_test(test_notify__a_manager_that_is_not_there__stops_nobody),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
