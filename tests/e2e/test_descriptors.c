/* The daemon under a low limit of open files: what it says of it, and that nobody is lost by it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "client.h"
#include "fixture.h"

/* The daemon of a fixture whose simulator runs, with `limit` open files at most. */
static struct process *start_with_limit(struct fixture *f, int limit, const char *yaml)
{
    char program[1024], command[1400];

    fixture_write_config(f, yaml);
    fixture_program("metergated", program, sizeof program);
    snprintf(command, sizeof command, "ulimit -n %d && exec %s -c %s -l 127.0.0.1:0", limit, program, f->config);
    return process_start((const char *const[]){"/bin/sh", "-c", command, NULL});
}

static void read_port(struct fixture *f)
{
    static const char said[] = "listening on 127.0.0.1:";
    char *log, *at;

    assert_true(process_wait_log(f->daemon, 0, said, FIXTURE_TIMEOUT_MS));
    log = process_log(f->daemon);
    at = strstr(log, said);
    f->port = (int)strtol(at + sizeof said - 1, NULL, 10);
    snprintf(f->url, sizeof f->url, "http://127.0.0.1:%d", f->port);
    free(log);
}

static void assert_says(struct fixture *f, const char *text, bool yes)
{
    char *log = process_log(f->daemon);

    if ((strstr(log, text) != NULL) != yes)
        fail_msg("%s in the log:\n%s", yes ? "not" : "unwanted", log);
    free(log);
}

static void test_limit__is_said_and_a_queue_too_long_for_it_warned_of(void **state)
{
    struct fixture f = {0};

    (void)state;
    fixture_start_simulator(&f, NULL, NULL);
    f.daemon = start_with_limit(&f, 1024, FIXTURE_UPSTREAM);
    read_port(&f);
    assert_says(&f, "1024 open files allowed: up to 672 connections of clients and 224 calls in flight", true);
    assert_says(&f, "queue.max_requests is 10000, but no more than 672 connections can be open", true);
    fixture_stop_daemon(&f);
    process_free(f.daemon);
    f.daemon = start_with_limit(&f, 1024, FIXTURE_UPSTREAM "queue: {max_requests: 672}\n");
    read_port(&f);
    assert_says(&f, "queue.max_requests is", false);
    fixture_stop(&f);
}

static void test_limit__too_low_to_work__is_refused_at_start(void **state)
{
    struct fixture f = {0};

    (void)state;
    fixture_start_simulator(&f, NULL, NULL);
    f.daemon = start_with_limit(&f, 200, FIXTURE_UPSTREAM);
    assert_int_equal(process_wait_exit(f.daemon, FIXTURE_TIMEOUT_MS), 1);
    assert_says(&f, "only 200 open files are allowed, at least 256 are needed: raise the limit (LimitNOFILE= of the service, ulimit -n)", true);
    process_free(f.daemon);
    f.daemon = NULL;
    fixture_stop(&f);
}

/* More clients than there are descriptors, and more calls than may be in flight: all are answered in the end. */
static void test_limit__more_clients_than_it_carries__wait_for_their_turn(void **state)
{
    enum { CLIENTS = 300 };
    static const char body[] =
        "{\"model\":\"gpt-4o\",\"max_tokens\":5,\"messages\":[{\"role\":\"user\",\"content\":\"one of many\"}]}";
    struct fixture f = {0};
    char request[512];
    int fds[CLIENTS];

    (void)state;
    fixture_start_simulator(&f, "{\"models\":{\"gpt-4o\":{\"first_byte_ms\":20}}}", NULL);
    f.daemon = start_with_limit(&f, 256, FIXTURE_UPSTREAM);
    read_port(&f);
    snprintf(request, sizeof request,
             "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n%s",
             sizeof body - 1, body);
    for (int i = 0; i < CLIENTS; i++) {
        fds[i] = raw_connect(f.port);
        raw_send_text(fds[i], request);
    }
    for (int i = 0; i < CLIENTS; i++) {
        struct buf got;

        buf_init(&got, BUF_UNLIMITED);
        assert_true(raw_read(fds[i], &got, NULL, FIXTURE_TIMEOUT_MS) > 0);
        assert_true(slice_starts(buf_slice(&got), SLICE("HTTP/1.1 200")));
        buf_release(&got);
        close(fds[i]);
    }
    fixture_assert_idle(&f);
    fixture_stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_limit__is_said_and_a_queue_too_long_for_it_warned_of),
        cmocka_unit_test(test_limit__too_low_to_work__is_refused_at_start),
        cmocka_unit_test(test_limit__more_clients_than_it_carries__wait_for_their_turn),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
