/* faults: what a provider that misbehaves can make of a call, and what it cannot. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <cmocka.h>
#include <cjson/cJSON.h>

#include "fixture.h"

#define CHAT(text) "{\"model\":\"gpt-4o\",\"max_tokens\":20,\"messages\":[{\"role\":\"user\",\"content\":\"" text "\"}]}"
#define TWO_ATTEMPTS                                                                                                        \
    "upstreams:\n"                                                                                                          \
    "  openai: {dialect: openai, base_url: $SIMULATOR/v1, counting: actual, retry: {attempts: 2}}\n"

static void test_retry_after_0__is_no_wait__and_uses_an_attempt_up(void **state)
{
    struct fixture f;
    struct client_reply r;

    (void)state;
    fixture_start(&f, NULL, TWO_ATTEMPTS);
    r = fixture_chat(&f, CHAT("hello [[fault=status:529,retry_after:0]]"));
    assert_int_equal(r.status, 529);
    assert_string_equal(client_header(&r, "Metergate-Attempts"), "2");
    client_reply_release(&r);
    fixture_assert_idle(&f);
    fixture_stop(&f);
}

static void test_tiny_waits__grow_when_they_do_not_help(void **state)
{
    struct fixture f;
    struct client_reply r;

    (void)state;
    fixture_start(&f, "{\"faults\":[{\"fault\":\"status:429,retry_after_ms:1\",\"next\":8}]}", TWO_ATTEMPTS);
    r = fixture_chat(&f, CHAT("hello"));
    assert_int_equal(r.status, 200);
    assert_string_equal(client_header(&r, "Metergate-Attempts"), "9");
    assert_true(r.head_us - r.start_us >= 510000); /* 2 + 4 + ... + 256 ms */
    client_reply_release(&r);
    fixture_assert_idle(&f);
    fixture_stop(&f);
}

/* ---- a provider that the test plays by itself: it frames its answers by closing, as HTTP/1.0 servers do -------------- */

static int listen_anywhere(int *ret_port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(fd, 8), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
    *ret_port = ntohs(a.sin_port);
    return fd;
}

/* One call, answered with `n` bytes of `answer` and the close. */
static struct client_reply call_answered(const struct fixture *f, int listener, const char *body, const char *answer, size_t n)
{
    struct client_async *a = fixture_chat_start(f, body);
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    struct buf request;

    assert_true(fd >= 0);
    buf_init(&request, BUF_UNLIMITED);
    assert_true(raw_read(fd, &request, "]}", FIXTURE_TIMEOUT_MS) > 0);
    buf_release(&request);
    raw_send(fd, answer, n);
    close(fd);
    return client_finish(a);
}

#define STREAM_HEAD "HTTP/1.0 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
#define JSON_HEAD   "HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n"
#define EVENT       "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hi\"}}]}\n\n"
#define DONE        "data: [DONE]\n\n"
#define STREAM      "{\"model\":\"gpt-4o\",\"stream\":true,\"stream_options\":null,\"messages\":[]}"

static void test_answer_that_the_close_ends__is_whole_only_where_its_text_is(void **state)
{
    static const struct {
        const char *body, *answer;
        size_t head;
    } rows[] = {
        {CHAT("hello"), JSON_HEAD "{\"choices\":[{\"message\":{\"content\":\"hi\"}}]}", sizeof JSON_HEAD - 1},
        {STREAM, STREAM_HEAD EVENT EVENT DONE, sizeof STREAM_HEAD - 1},
    };
    struct fixture f;
    char yaml[256];
    int port, listener = listen_anywhere(&port);

    (void)state;
    fixture_start_simulator(&f, NULL, NULL);
    snprintf(yaml, sizeof yaml, "upstreams:\n  openai: {dialect: openai, base_url: \"http://127.0.0.1:%d/v1\"}\n", port);
    fixture_start_daemon(&f, yaml, NULL);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        size_t whole = strlen(rows[i].answer);
        struct client_reply r = call_answered(&f, listener, rows[i].body, rows[i].answer, whole);

        assert_int_equal(r.status, 200);
        assert_int_equal(r.error, 0);
        assert_string_equal(r.body.p, rows[i].answer + rows[i].head);
        client_reply_release(&r);
        for (size_t n = rows[i].head; n < whole - 2; n += 7) { /* the last blank line more or less changes nothing */
            r = call_answered(&f, listener, rows[i].body, rows[i].answer, n);
            if (r.error == 0)
                fail_msg("row %zu cut after %zu of %zu bytes looks whole", i, n, whole);
            client_reply_release(&r);
        }
    }
    fixture_assert_idle(&f);
    fixture_stop(&f);
    close(listener);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_retry_after_0__is_no_wait__and_uses_an_attempt_up),
        cmocka_unit_test(test_tiny_waits__grow_when_they_do_not_help),
        cmocka_unit_test(test_answer_that_the_close_ends__is_whole_only_where_its_text_is),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
