/*
 * cuts: answers that end, stall or drip at any byte, and clients that leave meanwhile. Nothing that was cut looks whole, and
 * nothing stays held, in flight or reserved behind it.
 */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <cjson/cJSON.h>

#include "metergate/base/clock.h"
#include "played.h"

#define STREAM    "{\"model\":\"gpt-4o\",\"stream\":true,\"stream_options\":null,\"messages\":[]}"
#define JSON_TYPE "Content-Type: application/json\r\n"
#define SSE_TYPE  "Content-Type: text/event-stream\r\n"
#define BODY      "{\"choices\":[{\"message\":{\"content\":\"hi\"}}]}"
#define EVENT     "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hi\"}}]}\n\n"
#define DONE      "data: [DONE]\n\n"
#define OK        "HTTP/1.1 200 OK\r\n"
#define CHUNKED   "Transfer-Encoding: chunked\r\n\r\n"

#define SIZED_JSON   OK JSON_TYPE "Content-Length: 42\r\n\r\n" BODY
#define CHUNKED_JSON OK JSON_TYPE CHUNKED "14\r\n{\"choices\":[{\"messag\r\n18\r\ne\":{\"content\":\"hi\"}}]}  \r\n0\r\n\r\n"
#define CLOSED_JSON  OK JSON_TYPE "Connection: close\r\n\r\n" BODY
#define CLOSED_SSE   OK SSE_TYPE "Connection: close\r\n\r\n" EVENT EVENT DONE
#define CHUNKED_SSE                                                                                          \
    OK SSE_TYPE CHUNKED "36\r\ndata: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"\"}}]}\r\n"        \
                        "10\r\n\n\ndata: [DONE]\n\n\r\n0\r\n\r\n"

#define SSE_BEGUN OK SSE_TYPE CHUNKED "c\r\ndata: 1234\n\n\r\n"

/* `needless`: how many bytes at the end may be missing without anything being lost that was to be said. */
static const struct framing {
    const char *body, *answer;
    size_t needless;
} framings[] = {
    {PLAYED_CHAT, SIZED_JSON, 0},
    {PLAYED_CHAT, CHUNKED_JSON, 1}, /* the last line feed behind the last chunk */
    {PLAYED_CHAT, CLOSED_JSON, 0},
    {STREAM, CHUNKED_SSE, 1},
    {STREAM, CLOSED_SSE, 2}, /* the blank line behind [DONE] */
};

static void cut_everywhere(const struct fixture *f, int listener, size_t row, enum played_end how)
{
    const struct framing *it = &framings[row];
    size_t whole = strlen(it->answer) - it->needless;
    size_t head = (size_t)(strstr(it->answer, "\r\n\r\n") - it->answer) + 4;

    for (size_t n = 0; n < whole; n++) {
        struct client_reply r = played_call(f, listener, it->body, it->answer, n, how);
        bool refused = r.status == 502 && r.error == 0;

        /* what a reset takes away may have been the head's last byte */
        if (n < head ? !refused : r.error == 0 && !(refused && how == PLAYED_RESETS))
            fail_msg("row %zu cut after %zu of %zu: status %d, %s", row, n, whole, r.status,
                     r.error ? r.error_text : "a clean end");
        if (refused)
            assert_string_equal(client_header(&r, "Metergate-Refused"), "upstream-protocol");
        client_reply_release(&r);
    }
    fixture_assert_idle(f); /* what one of them had left behind would still be there */
}

static void test_answer_cut_at_every_byte__never_looks_whole(void **state)
{
    struct fixture f = {0};
    int listener = played_start(&f, ", retry: {attempts: 1}", "");

    (void)state;
    for (size_t i = 0; i < sizeof framings / sizeof framings[0]; i++) {
        struct client_reply r =
            played_call(&f, listener, framings[i].body, framings[i].answer, strlen(framings[i].answer), PLAYED_CLOSES);

        if (r.status != 200 || r.error)
            fail_msg("row %zu whole: %d %s", i, r.status, r.error_text);
        client_reply_release(&r);
        cut_everywhere(&f, listener, i, PLAYED_CLOSES);
        cut_everywhere(&f, listener, i, PLAYED_RESETS);
    }
    fixture_stop(&f);
    close(listener);
}

/* The client has had the first event: there is no way back to another status. */
static void test_answer_reset_while_its_client_reads__has_no_clean_end(void **state)
{
    static const enum played_end ends[] = {PLAYED_CLOSES, PLAYED_RESETS};
    struct fixture f = {0};
    int listener = played_start(&f, "", "");

    (void)state;
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        struct client_async *a = fixture_chat_start(&f, STREAM);
        int fd = played_take(listener);
        struct client_reply r;

        raw_send_text(fd, SSE_BEGUN);
        assert_true(client_wait_body(a, "1234", FIXTURE_TIMEOUT_MS));
        played_end(fd, ends[i]);
        r = client_finish(a);
        assert_int_equal(r.status, 200);
        assert_int_not_equal(r.error, 0);
        client_reply_release(&r);
        fixture_assert_idle(&f);
    }
    fixture_stop(&f);
    close(listener);
}

/* ---- silence and slowness ------------------------------------------------------------------------------------------ */

#define SHORT_TIMES ", retry: {attempts: 1}, timeout: {first_byte: 250ms, idle: 200ms}"

static void test_stall__ends_when_its_time_is_over__wherever_it_is(void **state)
{
    static const struct {
        const char *sent;
        int status; /* 0: an unclean end */
    } rows[] = {
        {"", 504},
        {"HTTP/1.1 200 OK\r\nContent-Le", 504},
        {"HTTP/1.1 102 Processing\r\n\r\n", 504},
        {OK "Content-Length: 9\r\n\r\n", 0},
        {OK "Content-Length: 9\r\n\r\nshort", 0},
        {OK CHUNKED "9\r\nshort", 0},
        {OK CHUNKED "5\r\nshort\r\n0\r\n", 0},
        {OK JSON_TYPE "\r\n" BODY, 0}, /* whole as it looks: only the close would have said so */
    };
    struct fixture f = {0};
    int listener = played_start(&f, SHORT_TIMES, "");

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct client_async *a = fixture_chat_start(&f, PLAYED_CHAT);
        int fd = played_take(listener);
        struct client_reply r;

        raw_send_text(fd, rows[i].sent);
        r = client_finish(a);
        if (rows[i].status == 0 ? r.error == 0 : r.error != 0 || r.status != rows[i].status)
            fail_msg("row %zu: status %d, %s", i, r.status, r.error ? r.error_text : "a clean end");
        if (rows[i].status)
            assert_string_equal(client_header(&r, "Metergate-Refused"), "upstream-timeout");
        if (r.end_us - r.start_us < 190000 || r.end_us - r.start_us > 5 * CLOCK_S)
            fail_msg("row %zu ended after %lld us", i, (long long)(r.end_us - r.start_us));
        client_reply_release(&r);
        close(fd);
        fixture_assert_idle(&f);
    }
    fixture_stop(&f);
    close(listener);
}

/* Longer than `idle` in all, never between two bytes. */
static void test_drip__of_single_bytes__arrives_whole(void **state)
{
    struct fixture f = {0};
    int listener = played_start(&f, SHORT_TIMES, ""), one = 1, fd;
    struct client_async *a = fixture_chat_start(&f, PLAYED_CHAT);
    struct client_reply r;

    (void)state;
    fd = played_take(listener);
    assert_int_equal(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one), 0);
    raw_send_text(fd, OK JSON_TYPE "Content-Length: 42\r\n\r\n");
    for (size_t i = 0; i < strlen(BODY); i++) {
        raw_send(fd, &BODY[i], 1);
        poll(NULL, 0, 6); /* the slowness is what is tested */
    }
    r = client_finish(a);
    assert_int_equal(r.error, 0);
    assert_int_equal(r.status, 200);
    assert_string_equal(r.body.p, BODY);
    assert_true(r.end_us - r.start_us > 200000);
    client_reply_release(&r);
    close(fd);
    fixture_assert_idle(&f);
    fixture_stop(&f);
    close(listener);
}

/* A listener whose backlog is full takes no connection and refuses none. */
static void test_connection_that_is_not_taken__is_502_after_its_time(void **state)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct fixture f = {0};
    struct client_reply r;
    int listener = played_start(&f, ", retry: {attempts: 1}, timeout: {connect: 300ms}", ""), crowd[4];
    socklen_t n = sizeof at;

    (void)state;
    assert_int_equal(listen(listener, 0), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&at, &n), 0);
    for (size_t i = 0; i < sizeof crowd / sizeof crowd[0]; i++) {
        crowd[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        assert_true(crowd[i] >= 0);
        (void)!connect(crowd[i], (struct sockaddr *)&at, sizeof at);
    }
    r = fixture_chat(&f, PLAYED_CHAT);
    assert_int_equal(r.status, 502);
    assert_string_equal(client_header(&r, "Metergate-Refused"), "upstream-connect");
    assert_true(r.end_us - r.start_us >= 290000 && r.end_us - r.start_us < 5 * CLOCK_S);
    client_reply_release(&r);
    for (size_t i = 0; i < sizeof crowd / sizeof crowd[0]; i++)
        close(crowd[i]);
    fixture_assert_idle(&f);
    fixture_stop(&f);
    close(listener);
}

/* ---- answers and ends that come early ------------------------------------------------------------------------------ */

/* The provider has read the head at most: an answer then is the answer, whether it goes on to read or leaves. */
static void test_answer_before_the_body_was_read__is_passed_on(void **state)
{
    enum { BIG = 8 << 20 };
    static const char *const paths[] = {"/v1/chat/completions", "/v1/files"}; /* held whole, and streamed */
    static const char too_large[] = "HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig";
    char *body = malloc(BIG + 1);
    struct fixture f = {0};
    int listener = played_start(&f, "", "");

    (void)state;
    assert_non_null(body);
    memset(body, ' ', BIG);
    body[BIG] = '\0';
    memcpy(body, "{\"model\":\"gpt-4o\",\"max_tokens\":5,\"messages\":[", 45);
    memcpy(body + BIG - 2, "]}", 2);
    for (int i = 0; i < 6; i++) {
        char url[128];
        const struct client_call call = {.method = "POST", .url = url, .body = body, .body_bytes = BIG};
        struct client_async *a;
        struct client_reply r;
        char some[1000];
        int fd;

        snprintf(url, sizeof url, "%s%s", f.url, paths[i % 2]);
        a = client_start(&call);
        fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        assert_true(fd >= 0 && recv(fd, some, sizeof some, 0) > 0);
        raw_send_text(fd, too_large);
        if (i / 2 == 1)
            shutdown(fd, SHUT_WR);
        assert_true(client_wait_body(a, "big", FIXTURE_TIMEOUT_MS));
        played_end(fd, i / 2 == 2 ? PLAYED_RESETS : PLAYED_CLOSES);
        r = client_finish(a);
        assert_int_equal(r.status, 413);
        client_reply_release(&r);
        fixture_assert_idle(&f);
    }
    free(body);
    fixture_stop(&f);
    close(listener);
}

static void test_client_that_leaves__is_an_abort_upstream_within_a_second(void **state)
{
    static const char *const sent[] = {"", SSE_BEGUN}; /* SENT, STREAMING */
    struct fixture f = {0};
    int listener = played_start(&f, "", "");

    (void)state;
    for (size_t i = 0; i < sizeof sent / sizeof sent[0]; i++) {
        struct client_async *a = fixture_chat_start(&f, STREAM);
        int fd = played_take(listener);
        struct pollfd p = {.fd = fd, .events = POLLIN};
        struct client_reply r;
        char byte;

        raw_send_text(fd, sent[i]);
        assert_true(i == 0 || client_wait_body(a, "1234", FIXTURE_TIMEOUT_MS));
        client_leave(a);
        r = client_finish(a);
        client_reply_release(&r);
        assert_int_equal(poll(&p, 1, 1000), 1);
        assert_true(recv(fd, &byte, 1, 0) <= 0);
        close(fd);
        fixture_assert_idle(&f);
    }
    fixture_wait_status(&f, "totals.cancelled", 2);
    fixture_stop(&f);
    close(listener);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answer_cut_at_every_byte__never_looks_whole),
        cmocka_unit_test(test_answer_reset_while_its_client_reads__has_no_clean_end),
        cmocka_unit_test(test_stall__ends_when_its_time_is_over__wherever_it_is),
        cmocka_unit_test(test_drip__of_single_bytes__arrives_whole),
        cmocka_unit_test(test_connection_that_is_not_taken__is_502_after_its_time),
        cmocka_unit_test(test_answer_before_the_body_was_read__is_passed_on),
        cmocka_unit_test(test_client_that_leaves__is_an_abort_upstream_within_a_second),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
