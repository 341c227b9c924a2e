/* Local clients that mean harm, or forget to close, and the daemon as it is: others go on, and nothing is left behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <cjson/cJSON.h>

#include "exposition.h"
#include "fixture.h"

#define CHAT "{\"model\":\"gpt-4o\",\"max_tokens\":5,\"messages\":[{\"role\":\"user\",\"content\":\"hello\"}]}"

static void assert_call_goes(const struct fixture *f)
{
    struct client_reply r = fixture_chat(f, CHAT);

    assert_int_equal(r.error, 0);
    assert_int_equal(r.status, 200);
    client_reply_release(&r);
}

/* ---- more connections than there may be ---- */

static void start_with_limit(struct fixture *f, int limit)
{
    static const char said[] = "listening on 127.0.0.1:";
    char program[1024], command[1400], *log, *at;

    fixture_start_simulator(f, NULL, NULL);
    fixture_write_config(f, FIXTURE_UPSTREAM);
    fixture_program("metergated", program, sizeof program);
    snprintf(command, sizeof command, "ulimit -n %d && exec %s -c %s -l 127.0.0.1:0", limit, program, f->config);
    f->daemon = process_start((const char *const[]){"/bin/sh", "-c", command, NULL});
    assert_true(process_wait_log(f->daemon, 0, said, FIXTURE_TIMEOUT_MS));
    log = process_log(f->daemon);
    at = strstr(log, said);
    f->port = (int)strtol(at + sizeof said - 1, NULL, 10);
    snprintf(f->url, sizeof f->url, "http://127.0.0.1:%d", f->port);
    free(log);
}

/* A third more than the 672 that there may be, in every kind of doing nothing. */
static void test_crowd__that_takes_all_connections__keeps_no_call_out(void **state)
{
    enum { CROWD = 900 };
    static const char *const kinds[] = {
        "",
        "GET /heal",
        "GET /healthz HTTP/1.1\r\nHost: loc",
        "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n{",
    };
    struct fixture f = {0};
    struct cJSON *status;
    int fds[CROWD];

    (void)state;
    start_with_limit(&f, 1024);
    for (int i = 0; i < CROWD; i++) {
        fds[i] = raw_connect(f.port);
        raw_send_text(fds[i], kinds[i % 5]);
        if (i % 100 == 99)
            assert_call_goes(&f);
    }
    for (int i = 0; i < 20; i++)
        assert_call_goes(&f);
    fixture_wait_log(&f, 0, "all 672 connections are taken: those that do nothing are closed when new ones come");
    status = fixture_status(&f);
    assert_true(json_number(status, "process.descriptors") < 1024);
    assert_true(json_number(status, "process.connections") <= 672);
    cJSON_Delete(status);
    for (int i = 0; i < CROWD; i++)
        close(fds[i]);
    fixture_wait_status(&f, "process.connections", 1);
    fixture_assert_idle(&f);
    fixture_stop(&f);
}

static void test_storm__of_connections_that_are_reset__leaves_nothing(void **state)
{
    const struct linger now = {1, 0};
    struct fixture f = {0};

    (void)state;
    fixture_start(&f, NULL, FIXTURE_UPSTREAM);
    for (int i = 0; i < 3000; i++) {
        int fd = raw_connect(f.port);

        if (i % 3)
            raw_send_text(fd, i % 3 == 1 ? "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n" : "POST /v1/chat/completions HTTP/1.1\r\n");
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
        close(fd);
        if (i % 500 == 0)
            assert_call_goes(&f);
    }
    fixture_wait_status(&f, "process.connections", 1);
    fixture_assert_idle(&f);
    fixture_stop(&f);
}

/* ---- answers that nobody reads ---- */

/* Sends it again and again until nothing is taken any more; how many bytes went. */
static int64_t send_until_stuck(int fd, const char *text)
{
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    int64_t sent = 0;

    while (poll(&p, 1, 300) == 1) {
        ssize_t n = send(fd, text, strlen(text), MSG_DONTWAIT | MSG_NOSIGNAL);

        if (n <= 0)
            break;
        sent += n;
    }
    return sent;
}

static void test_pipelined_requests__whose_answers_nobody_reads__are_not_read_either(void **state)
{
    static const char page[] = "GET /-/ HTTP/1.1\r\nHost: localhost\r\n\r\n";
    struct fixture f = {0};
    struct exposition e;
    int fds[20];

    (void)state;
    fixture_start(&f, NULL, FIXTURE_UPSTREAM);
    for (int i = 0; i < 20; i++) {
        fds[i] = raw_connect(f.port);
        assert_true(send_until_stuck(fds[i], page) < (16 << 20));
    }
    assert_call_goes(&f);
    exposition_fetch(&f, &e);
    assert_true(exposition_sum(&e, "metergate_answer_bytes", "") < 20 * 100000);
    exposition_release(&e);
    for (int i = 0; i < 20; i++)
        close(fds[i]);
    fixture_wait_status(&f, "process.connections", 1);
    fixture_assert_idle(&f);
    fixture_stop(&f);
}

/* ---- pages of other sites ---- */

/* Nothing is asked of anybody, and not a byte of the body is waited for. */
static void test_page_of_another_site__is_refused_by_its_head_alone(void **state)
{
    static const char *const targets[] = {"POST /-/estimate", "POST /-/reserve", "POST /-/reload", "POST /v1/chat/completions",
                                          "POST /v1/files",   "GET /-/usage",    "GET /-/events",  "GET /metrics"};
    static const char *const pages[] = {"Host: localhost\r\nOrigin: https://evil.example\r\n",
                                        "Host: localhost\r\nSec-Fetch-Site: cross-site\r\n", "Host: evil.example\r\n"};
    struct fixture f = {0};
    struct cJSON *audit;

    (void)state;
    fixture_start(&f, NULL, FIXTURE_UPSTREAM);
    for (size_t i = 0; i < MG_ARRAY_LEN(targets); i++) {
        for (size_t k = 0; k < MG_ARRAY_LEN(pages); k++) {
            int fd = raw_connect(f.port);
            char request[300];
            struct buf got;

            buf_init(&got, BUF_UNLIMITED);
            snprintf(request, sizeof request, "%s HTTP/1.1\r\n%sContent-Length: 60000000\r\n\r\n", targets[i], pages[k]);
            raw_send_text(fd, request);
            assert_true(raw_read(fd, &got, "\r\n\r\n", FIXTURE_TIMEOUT_MS) > 0);
            if (!slice_starts(buf_slice(&got), SLICE("HTTP/1.1 403 ")) || !strstr(got.p, "Metergate-Refused: origin\r\n"))
                fail_msg("%s: %s", request, got.p);
            buf_release(&got);
            close(fd);
        }
    }
    audit = fixture_audit(&f);
    assert_int_equal(json_number(audit, "connections_opened"), 0);
    cJSON_Delete(audit);
    fixture_assert_idle(&f);
    fixture_stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_crowd__that_takes_all_connections__keeps_no_call_out),
        cmocka_unit_test(test_storm__of_connections_that_are_reset__leaves_nothing),
        cmocka_unit_test(test_pipelined_requests__whose_answers_nobody_reads__are_not_read_either),
        cmocka_unit_test(test_page_of_another_site__is_refused_by_its_head_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
