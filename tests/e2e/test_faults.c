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

/* ---- answers that are no answer, or only a part of one ------------------------------------------------------------- */

/* A daemon whose provider is this test; the simulator is there for fixture_assert_idle alone. */
static int start_before(struct fixture *f, const char *options)
{
    char yaml[300];
    int port, listener = listen_anywhere(&port);

    fixture_start_simulator(f, NULL, NULL);
    snprintf(yaml, sizeof yaml,
             "upstreams:\n  openai: {dialect: openai, base_url: \"http://127.0.0.1:%d/v1\", counting: actual%s}\n"
             "models:\n  gpt-4o: {tpm: 1M}\n",
             port, options);
    fixture_start_daemon(f, yaml, NULL);
    return listener;
}

#define JSON_TYPE "Content-Type: application/json\r\n"
#define BODY      "{\"choices\":[{\"message\":{\"content\":\"hi\"}}]}"
#define MORE_X    "x: 1234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890\r\n"
#define MORE_10X  MORE_X MORE_X MORE_X MORE_X MORE_X MORE_X MORE_X MORE_X MORE_X MORE_X

static void test_answer_that_is_none__is_502_at_once_or_read_with_care(void **state)
{
    static const struct {
        const char *answer;
        int status; /* 0: an unclean end */
        const char *body;
    } rows[] = {
        {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc", 502, NULL},
        {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\n{}", 200, "{}"},
        {"HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\n{}", 502, NULL},
        {"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\n{}", 502, NULL},
        {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", 200, "{}"},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n", 0, NULL},
        {"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n", 502, NULL},
        {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
         "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", 200, "{}"},
        {"HTTP/1.1 204 No Content\r\n\r\n", 204, ""},
        {"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n", 302, ""},
        {"HTTP/1.1 200 OK\r\n" JSON_TYPE "Content-Length: 6\r\n\r\n{\"a\":1", 200, "{\"a\":1"},
        {"HTTP/1.1 200 OK\r\nX-Odd: a\001b\r\nContent-Length: 2\r\n\r\n{}", 200, "{}"},
        {"HTTP/1.1 200 OK\r\nX-Folded: a\r\n b\r\nContent-Length: 2\r\n\r\n{}", 200, "{}"},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n2\r\n{}\r\n0\r\nX-T: 1\r\n\r\n", 200, "{}"},
        {"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort", 0, NULL},
        {"HTTP/2 200\r\n\r\n", 502, NULL},
        {"SSH-2.0-OpenSSH_9.2\r\n", 502, NULL},
        {"<html>no HTTP at all</html>", 502, NULL},
        {"", 502, NULL},
    };
    struct fixture f = {0};
    int listener = start_before(&f, ", retry: {attempts: 1}");

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct client_reply r =
            call_answered(&f, listener, CHAT("hello"), rows[i].answer, strlen(rows[i].answer));

        if (rows[i].status == 0 ? r.error == 0 : r.error != 0 || r.status != rows[i].status)
            fail_msg("row %zu: status %d, %s", i, r.status, r.error ? r.error_text : "a clean end");
        if (rows[i].body && rows[i].body[0] && strcmp(r.body.p, rows[i].body) != 0)
            fail_msg("row %zu: body %s", i, r.body.p);
        if (r.status == 502)
            assert_string_equal(client_header(&r, "Metergate-Refused"), "upstream-protocol");
        assert_null(r.head.p ? memchr(r.head.p, 1, r.head.n) : NULL);
        assert_null(r.status == 200 ? client_header(&r, "X-T") : NULL);
        client_reply_release(&r);
    }
    fixture_assert_idle(&f);
    fixture_stop(&f);
    close(listener);
}

static void test_heads_without_end__are_502(void **state)
{
    static const char begin[] = "HTTP/1.1 200 OK\r\n", interim[] = "HTTP/1.1 102 Processing\r\n\r\n";
    struct fixture f = {0};
    int listener = start_before(&f, ", retry: {attempts: 1}");
    struct client_reply r;
    struct buf b;

    (void)state;
    buf_init(&b, BUF_UNLIMITED);
    buf_add_str(&b, begin);
    for (int i = 0; i < 30; i++)
        buf_add_str(&b, MORE_10X);
    r = call_answered(&f, listener, CHAT("hello"), b.p, b.n);
    assert_int_equal(r.status, 502);
    client_reply_release(&r);
    buf_reset(&b);
    for (int i = 0; i < 200; i++)
        buf_add_str(&b, interim);
    r = call_answered(&f, listener, CHAT("hello"), b.p, b.n);
    assert_int_equal(r.status, 502);
    client_reply_release(&r);
    buf_release(&b);
    fixture_assert_idle(&f);
    fixture_stop(&f);
    close(listener);
}

#define CHUNKED_JSON "HTTP/1.1 200 OK\r\n" JSON_TYPE "Transfer-Encoding: chunked\r\n\r\n14\r\n{\"choices\":[{\"messag\r\n" \
                     "18\r\ne\":{\"content\":\"hi\"}}]}  \r\n0\r\n\r\n"
#define SIZED_JSON   "HTTP/1.1 200 OK\r\n" JSON_TYPE "Content-Length: 42\r\n\r\n" BODY
#define CHUNKED_SSE                                                                                          \
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"               \
    "36\r\ndata: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"\"}}]}\r\n10\r\n\n\ndata: [DONE]\n\n\r\n0\r\n\r\n"

/* Wherever it is cut: 502 before the head is whole, an unclean end after it. */
static void test_answer_cut_at_every_byte__never_looks_whole(void **state)
{
    static const struct {
        const char *body, *answer;
    } rows[] = {{CHAT("hello"), SIZED_JSON}, {CHAT("hello"), CHUNKED_JSON}, {STREAM, CHUNKED_SSE}};
    struct fixture f = {0};
    int listener = start_before(&f, ", retry: {attempts: 1}");

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        size_t whole = strlen(rows[i].answer);
        size_t head = (size_t)(strstr(rows[i].answer, "\r\n\r\n") - rows[i].answer) + 4;
        struct client_reply r = call_answered(&f, listener, rows[i].body, rows[i].answer, whole);

        if (r.status != 200 || r.error)
            fail_msg("row %zu whole: %d %s", i, r.status, r.error_text);
        client_reply_release(&r);
        if (strstr(rows[i].answer, "chunked"))
            whole--; /* the last line feed behind the last chunk: everything was said before it */
        for (size_t n = 0; n < whole; n++) {
            r = call_answered(&f, listener, rows[i].body, rows[i].answer, n);
            if (n < head ? r.status != 502 || r.error : r.error == 0)
                fail_msg("row %zu cut after %zu of %zu: status %d, %s", i, n, whole, r.status,
                         r.error ? r.error_text : "a clean end");
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
        cmocka_unit_test(test_answer_that_is_none__is_502_at_once_or_read_with_care),
        cmocka_unit_test(test_heads_without_end__are_502),
        cmocka_unit_test(test_answer_cut_at_every_byte__never_looks_whole),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
