/* The clients' side: what is refused, held, left, drained. Only what belongs to a client is in play here. */
#include "net_fixture.h"

#include <setjmp.h>
#include <stdarg.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "metergate/base/clock.h"

#define HOST "Host: x\r\n"

static int start(void **state)
{
    static const struct netfix_options plain;

    *state = netfix_start(&plain);
    return 0;
}

/* Timeouts short enough to be waited for. */
static int start_impatient(void **state)
{
    static const struct netfix_options impatient = {
        .front = {.head_timeout_us = 30 * CLOCK_MS,
                  .body_timeout_us = 30 * CLOCK_MS,
                  .idle_timeout_us = 30 * CLOCK_MS},
    };

    *state = netfix_start(&impatient);
    return 0;
}

static int start_few(void **state)
{
    static const struct netfix_options few = {
        .front = {.shards = 3, .max_connections = 20, .body_bytes_total = 5000}};

    *state = netfix_start(&few);
    return 0;
}

/* All connections in one daemon of libmicrohttpd. */
static int start_crowded(void **state)
{
    static const struct netfix_options crowded = {.front = {.shards = 1}};

    *state = netfix_start(&crowded);
    return 0;
}

static int stop(void **state)
{
    netfix_wait_idle(*state);
    netfix_stop(*state);
    return 0;
}

static int ask(struct netfix *nf, const char *request)
{
    int fd = sock_connect(netfix_port(nf));

    sock_send_str(fd, request);
    return fd;
}

static void expect(int fd, const char *status_line, const char *body)
{
    char head[4096], got[4096];

    sock_read_until(fd, head, sizeof head, "\r\n\r\n");
    if (strncmp(head, status_line, strlen(status_line)) != 0)
        fail_msg("wanted %s, got %s", status_line, head);
    got[sock_read_exactly(fd, got, strlen(body))] = '\0';
    assert_string_equal(got, body);
}

/* ---- what is refused ----------------------------------------------------------------------------------- */

#define POST "POST /pass HTTP/1.1\r\n"

static const struct {
    const char *name, *request;
} smuggling[] = {
    {"blank before the colon", POST HOST "Content-Length : 5\r\n\r\nhello"},
    {"two lengths", POST HOST "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello"},
    {"two equal lengths", POST HOST "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello"},
    {"length list", POST HOST "Content-Length: 5, 5\r\n\r\nhello"},
    {"length and chunked", POST HOST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
    {"chunked and length", POST HOST "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n"},
    {"gzip, chunked", POST HOST "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"},
    {"identity", POST HOST "Transfer-Encoding: identity\r\n\r\n"},
    {"chunked twice", POST HOST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
    {"xchunked", POST HOST "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"},
    {"vertical tab before chunked", POST HOST "Transfer-Encoding: \vchunked\r\n\r\n0\r\n\r\n"},
    {"chunked in 1.0", "POST /pass HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
    {"no host", "GET /pass HTTP/1.1\r\n\r\n"},
    {"two hosts", "GET /pass HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n"},
    {"host with a path", "GET /pass HTTP/1.1\r\nHost: x/y\r\n\r\n"},
    {"host with a user", "GET /pass HTTP/1.1\r\nHost: a@b\r\n\r\n"},
    {"folded", "GET /pass HTTP/1.1\r\n" HOST "A: b\r\n c\r\n\r\n"},
    {"folded with a tab", "GET /pass HTTP/1.1\r\n" HOST "A: b\r\n\tc\r\n\r\n"},
    {"folded length", POST HOST "Content-Length:\r\n 5\r\n\r\nhello"},
    {"bare line feed", "GET /pass HTTP/1.1\n" HOST "\r\n"},
    {"bare line feed in the head", "GET /pass HTTP/1.1\r\nHost: x\nA: b\r\n\r\n"},
    {"bare line feed at the end", "GET /pass HTTP/1.1\r\n" HOST "\n"},
    {"bare carriage return in a value", "GET /pass HTTP/1.1\r\n" HOST "A: b\rContent-Length: 3\r\n\r\n"},
    {"empty name", "GET /pass HTTP/1.1\r\n" HOST ": v\r\n\r\n"},
    {"blank in a name", "GET /pass HTTP/1.1\r\n" HOST "A B: v\r\n\r\n"},
    {"control in a name", "GET /pass HTTP/1.1\r\n" HOST "A\x01: v\r\n\r\n"},
    {"8-bit in a name", "GET /pass HTTP/1.1\r\n" HOST "A\xc3\xa9: v\r\n\r\n"},
    {"control in a value", "GET /pass HTTP/1.1\r\n" HOST "A: v\x01\r\n\r\n"},
    {"delete in a value", "GET /pass HTTP/1.1\r\n" HOST "A: v\x7f\r\n\r\n"},
    {"negative length", POST HOST "Content-Length: -5\r\n\r\nhello"},
    {"signed length", POST HOST "Content-Length: +5\r\n\r\nhello"},
    {"hexadecimal length", POST HOST "Content-Length: 0x5\r\n\r\nhello"},
    {"length of words", POST HOST "Content-Length: five\r\n\r\nhello"},
    {"empty length", POST HOST "Content-Length:\r\n\r\nhello"},
    {"length beyond all measure", POST HOST "Content-Length: 99999999999999999999999\r\n\r\nhello"},
    {"method with a blank", "GE(T /pass HTTP/1.1\r\n" HOST "\r\n"},
    {"target with a blank", "GET /pass /x HTTP/1.1\r\n" HOST "\r\n"},
    {"target with a tab", "GET /pa\tss HTTP/1.1\r\n" HOST "\r\n"},
    {"target with a fragment", "GET /pass#x HTTP/1.1\r\n" HOST "\r\n"},
    {"target of 8-bit bytes", "GET /pass\xc3\xa9 HTTP/1.1\r\n" HOST "\r\n"},
    {"method in lower case", "get /pass HTTP/1.1\r\n" HOST "\r\n"},
    {"two credentials", "GET /pass HTTP/1.1\r\n" HOST "Authorization: a\r\nAuthorization: b\r\n\r\n"},
    {"version 1.2", "GET /pass HTTP/1.2\r\n" HOST "\r\n"},
    {"version 2.0", "GET /pass HTTP/2.0\r\n" HOST "\r\n"},
    {"no version", "GET /pass\r\n" HOST "\r\n"},
    {"no colon", "GET /pass HTTP/1.1\r\n" HOST "nonsense\r\n\r\n"},
    {"h2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"},
    {"tls", "\x16\x03\x01\x02\r\n\r\n"},
};

/* Answered 4xx/505 or closed, never forwarded, and nothing after it on the connection is believed. */
static void test_front__ambiguous_request__is_refused_and_nothing_is_forwarded(void **state)
{
    struct netfix *nf = *state;
    char got[8192];

    for (size_t i = 0; i < MG_ARRAY_LEN(smuggling); i++) {
        int fd = ask(nf, smuggling[i].request);

        send(fd, "GET /pass/second HTTP/1.1\r\n" HOST "\r\n", 35, MSG_NOSIGNAL);
        sock_read_until(fd, got, sizeof got, "never in an answer");
        if (got[0] && strncmp(got, "HTTP/1.1 4", 10) != 0 && strncmp(got, "HTTP/1.1 505", 12) != 0)
            fail_msg("%s: %s", smuggling[i].name, got);
        if (strstr(got, "HTTP/1.1 2"))
            fail_msg("%s: the second request was answered: %s", smuggling[i].name, got);
        close(fd);
    }
    netfix_wait_idle(nf);
    assert_int_equal(netfix_counts(nf).pool.started, 0);
    assert_int_equal(netfix_counts(nf).bad, MG_ARRAY_LEN(smuggling) - 1); /* TLS is only closed */
}

static const struct {
    const char *sent, *answer;
} misread[] = {
    {"GET /pass HTTP/1.1\r\n" HOST "nonsense\r\n\r\n", "HTTP/1.1 400 "},
    {"GET /pass HTTP/3.0\r\n" HOST "\r\n", "HTTP/1.1 505 "},
    {POST HOST "Content-Length: x\r\n\r\n", "HTTP/1.1 400 "},
    {POST HOST "Transfer-Encoding: chunked\r\n\r\nx\r\n", "HTTP/1.1 400 "},
    {"POST /stream HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nx\r\n", "HTTP/1.1 400 "},
};

static void ask_misread(struct netfix *nf, size_t i, char *got, size_t size)
{
    int fd = ask(nf, misread[i].sent);

    sock_read_until(fd, got, size, "never");
    if (strncmp(got, misread[i].answer, strlen(misread[i].answer)) != 0)
        fail_msg("%s: %s", misread[i].sent, got);
    close(fd);
}

/* What libmicrohttpd cannot read is answered by us, when it is clear whose request it was; once, and to him
 * alone. */
static void test_front__unreadable_request__is_answered_by_us_and_never_to_another(void **state)
{
    struct netfix *nf = *state;
    int head, body;
    char got[4096];

    for (size_t i = 0; i < MG_ARRAY_LEN(misread); i++) {
        ask_misread(nf, i, got, sizeof got);
        assert_null(strstr(got, "<html>"));
        assert_null(strstr(got + 1, "HTTP/1.1 "));
    }
    netfix_wait_done(nf, MG_ARRAY_LEN(misread));
    assert_int_equal(netfix_counts(nf).bad, MG_ARRAY_LEN(misread));
    head = ask(nf, "GET /local HTTP/1.1\r\n" HOST "A: ");
    body = ask(nf, "POST /small HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n3\r\nabc");
    for (size_t i = 0; i < MG_ARRAY_LEN(misread); i++)
        ask_misread(nf, i, got, sizeof got);
    sock_send_str(head, "b\r\n\r\n");
    expect(head, "HTTP/1.1 200 OK\r\n", "local\n");
    sock_send_str(body, "\r\n0\r\n\r\n");
    expect(body, "HTTP/1.1 200 OK\r\n", "ok\n");
    close(head);
    close(body);
}

static void test_front__odd_but_valid_request__is_let_in(void **state)
{
    static const char *const rows[] = {
        "GET /local HTTP/1.1\r\nhOsT: [::1]:80\r\n\r\n",
        "GET /local HTTP/1.1\r\nHost:\r\n\r\n",
        "GET /local?a=%00&b=c;d HTTP/1.1\r\nHost: x\r\nA:v\r\nB:\t v \t\r\nC:\r\n\r\n",
        "\r\nGET /local HTTP/1.1\r\nHost: x\r\n\r\n", /* one empty line at least, says RFC 9112, 2.2 */
        "M-SEARCH /local HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /local%C3%A9 HTTP/1.1\r\nHost: x\r\nA: \xc3\xa9\r\n\r\n",
        "POST /local HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
        "POST /local HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: CHUNKED\r\n\r\n1\r\nx\r\n0\r\n\r\n",
        "GET /local HTTP/1.0\r\n\r\n",
    };

    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++) {
        int fd = ask(*state, rows[i]);

        expect(fd, "HTTP/1.1 200 OK\r\n", "local\n");
        close(fd);
    }
}

static void test_front__many_headers_and_arguments__are_let_in_up_to_the_limit(void **state)
{
    struct netfix *nf = *state;
    char request[70000];
    int n = snprintf(request, sizeof request, "GET /local HTTP/1.1\r\n" HOST);
    int fd;

    for (int i = 0; i < 100; i++)
        n += snprintf(request + n, sizeof request - (size_t)n, "X-Header-%d: value %d\r\n", i, i);
    snprintf(request + n, sizeof request - (size_t)n, "\r\n");
    fd = ask(nf, request);
    expect(fd, "HTTP/1.1 200 OK\r\n", "local\n");
    close(fd);

    /* A query is not taken apart; what is over the limit is refused, whatever it consists of. */
    for (int what = 0; what < 3; what++) {
        n = snprintf(request, sizeof request, "GET /local?");
        for (int i = 0; what == 0 && i < 10000; i++)
            n += snprintf(request + n, sizeof request - (size_t)n, "a&");
        for (int i = 0; what == 1 && i < 5000; i++)
            n += snprintf(request + n, sizeof request - (size_t)n, "aaaaaaaaaa");
        n += snprintf(request + n, sizeof request - (size_t)n, " HTTP/1.1\r\n" HOST "Connection: close\r\n");
        for (int i = 0; what == 2 && i < 3000; i++)
            n += snprintf(request + n, sizeof request - (size_t)n, "A: bbbbbbbbb\r\n");
        snprintf(request + n, sizeof request - (size_t)n, "\r\n");
        fd = ask(nf, request);
        sock_read_until(fd, request, sizeof request, "never");
        assert_memory_equal(request, what == 0 ? "HTTP/1.1 200" : "HTTP/1.1 4", 10);
        close(fd);
    }
}

/* Whatever the length of a head, and whatever it consists of, there is an answer. */
static void test_front__head_of_any_size__is_answered(void **state)
{
    static const char *const piece[] = {"x", "A: bbbbbbbbb\r\n", "a=b; "};
    struct netfix *nf = *state;
    char request[70000], got[70000];

    for (size_t what = 0; what < 3; what++) {
        bool let_in = true;

        for (int bytes = 1000; bytes < 36000; bytes += 211) {
            int n = snprintf(request, sizeof request, "GET /local HTTP/1.1\r\n" HOST "Connection: close\r\n%s",
                             what == 0   ? "X-Long: "
                             : what == 2 ? "Cookie: "
                                         : "");
            bool in;
            int fd;

            while (n < bytes)
                n += snprintf(request + n, sizeof request - (size_t)n, "%s", piece[what]);
            snprintf(request + n, sizeof request - (size_t)n, "\r\n%s", what == 1 ? "" : "\r\n");
            fd = ask(nf, request);
            sock_read_until(fd, got, sizeof got, "never");
            in = strncmp(got, "HTTP/1.1 200", 12) == 0;
            if (!in && strncmp(got, "HTTP/1.1 431", 12) != 0)
                fail_msg("a head of %d bytes (%s...): \"%.60s\"", n, piece[what], got);
            assert_true(let_in || !in); /* from some length on none */
            let_in = in;
            close(fd);
        }
        assert_false(let_in);
    }
}

/* ---- bodies -------------------------------------------------------------------------------------------- */

static void test_front__expect_100__is_answered_before_the_body(void **state)
{
    int fd = ask(*state, "POST /small HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: 3\r\n\r\n");

    expect(fd, "HTTP/1.1 100 Continue\r\n", "");
    sock_send_str(fd, "abc");
    expect(fd, "HTTP/1.1 200 OK\r\n", "ok\n");
    close(fd);
}

static void test_front__body_announced_too_long__is_refused_though_it_is_sent(void **state)
{
    struct netfix *nf = *state;
    static char megabytes[8 << 20];
    int fd = ask(nf, "POST /small HTTP/1.1\r\n" HOST "Content-Length: 8388608\r\n\r\n");

    sock_send(fd, megabytes, sizeof megabytes); /* a client that reads only afterwards */
    expect(fd, "HTTP/1.1 413 ", "too long\n");
    assert_true(sock_is_closed(fd));
    close(fd);

    fd = ask(nf, "POST /small HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: 8388608\r\n\r\n");
    expect(fd, "HTTP/1.1 413 ", "too long\n");
    close(fd);
}

static void test_front__body_a_little_too_long__is_refused_and_the_connection_kept(void **state)
{
    char body[2001];
    int fd = ask(*state, "POST /small HTTP/1.1\r\n" HOST "Content-Length: 2000\r\n\r\n");

    memset(body, 'x', 2000);
    sock_send(fd, body, 2000);
    expect(fd, "HTTP/1.1 413 ", "too long\n");
    sock_send_str(fd, "POST /small HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n7d0\r\n");
    sock_send(fd, body, 2000);
    sock_send_str(fd, "\r\n0\r\n\r\n");
    expect(fd, "HTTP/1.1 413 ", "too long\n");
    sock_send_str(fd, "GET /local HTTP/1.1\r\n" HOST "\r\n");
    expect(fd, "HTTP/1.1 200 OK\r\n", "local\n");
    close(fd);
}

static void test_front__endless_chunks__are_answered_and_cut_off(void **state)
{
    struct netfix *nf = *state;
    static char chunk[65536];
    int fd = ask(nf, "POST /small HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n");
    ssize_t sent;

    memset(chunk, 'x', sizeof chunk);
    do {
        sent = send(fd, "10000\r\n", 7, MSG_NOSIGNAL);
        if (sent > 0)
            sent = send(fd, chunk, sizeof chunk, MSG_NOSIGNAL);
        if (sent > 0)
            sent = send(fd, "\r\n", 2, MSG_NOSIGNAL);
    } while (sent > 0 && sock_has_nothing(fd));
    expect(fd, "HTTP/1.1 413 ", "too long\n");
    netfix_wait_done(nf, 1);
    assert_int_equal(netfix_counts(nf).complete, 1);
    close(fd);
}

static void test_front__broken_chunks__are_refused(void **state)
{
    static const char *const rows[] = {
        "x\r\nabc\r\n",          "3\r\nabcd\r\n", "-3\r\nabc\r\n", "0x3\r\nabc\r\n",
        "fffffffffffffffff\r\n", "3 \r\nabc\r\n", "\r\n"};
    struct netfix *nf = *state;
    char got[4096];

    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++) {
        int fd = ask(nf, "POST /pass HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n");

        sock_send_str(fd, rows[i]);
        sock_read_until(fd, got, sizeof got, "never");
        assert_true(!got[0] || strncmp(got, "HTTP/1.1 4", 10) == 0);
        close(fd);
    }
    netfix_wait_idle(nf);
    assert_int_equal(netfix_counts(nf).pool.started, 0);
}

static void test_front__all_bodies_together_over_the_limit__are_refused(void **state)
{
    struct netfix *nf = *state;
    char body[3000];
    int first = ask(nf, "POST /hold HTTP/1.1\r\n" HOST "Content-Length: 3000\r\n\r\n"), second;

    memset(body, 'x', sizeof body);
    sock_send(first, body, sizeof body);
    netfix_wait_held(nf, 1);
    assert_int_equal(netfix_counts(nf).front.body_bytes, 3000);
    second = ask(nf, "POST /hold HTTP/1.1\r\n" HOST "Content-Length: 3000\r\n\r\n");
    sock_send(second, body, sizeof body);
    expect(second, "HTTP/1.1 413 ", "too long\n");
    netfix_release(nf);
    expect(first, "HTTP/1.1 200 OK\r\n", "released\n");
    assert_int_equal(netfix_counts(nf).front.body_bytes, 0);
    close(first);
    close(second);
}

/* ---- holding and leaving ------------------------------------------------------------------------------- */

#define HOLD "POST /hold HTTP/1.1\r\n" HOST "Content-Length: 4\r\n\r\nbody"

static void test_front__two_hundred_held__are_all_released(void **state)
{
    struct netfix *nf = *state;
    int fds[200];

    for (int i = 0; i < 200; i++)
        fds[i] = ask(nf, HOLD);
    netfix_wait_held(nf, 200);
    assert_int_equal(netfix_counts(nf).front.body_bytes, 800);
    netfix_release(nf);
    for (int i = 0; i < 200; i++)
        expect(fds[i], "HTTP/1.1 200 OK\r\n", "released\n");
    for (int i = 0; i < 200; i++) { /* and their connections are as good as new */
        sock_send_str(fds[i], "GET /local HTTP/1.1\r\n" HOST "\r\n");
        expect(fds[i], "HTTP/1.1 200 OK\r\n", "local\n");
        close(fds[i]);
    }
    assert_int_equal(netfix_counts(nf).complete, 400);
}

static void test_front__held_client_leaves__is_noticed_at_once(void **state)
{
    struct netfix *nf = *state;
    int stays = ask(nf, HOLD), leaves = ask(nf, HOLD), halves = ask(nf, HOLD), resets = ask(nf, HOLD);
    struct linger now = {1, 0};

    netfix_wait_held(nf, 4);
    close(leaves);
    netfix_wait_gone(nf, 1);
    shutdown(halves, SHUT_WR);
    netfix_wait_gone(nf, 2);
    setsockopt(resets, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close(resets);
    netfix_wait_gone(nf, 3);
    netfix_wait_held(nf, 1);
    netfix_release(nf);
    expect(stays, "HTTP/1.1 200 OK\r\n", "released\n");
    close(stays);
    close(halves);
}

static void test_front__held_client_with_pipelined_requests_leaves__is_noticed_at_once(void **state)
{
    int fd = ask(*state, HOLD HOLD HOLD);

    netfix_wait_held(*state, 1);
    close(fd);
    netfix_wait_gone(*state, 1);
}

static void test_front__half_closed_client__gets_what_needs_no_waiting(void **state)
{
    int fd = ask(*state, "GET /local HTTP/1.1\r\n" HOST "\r\n");

    shutdown(fd, SHUT_WR);
    expect(fd, "HTTP/1.1 200 OK\r\n", "local\n");
    assert_true(sock_is_closed(fd));
    close(fd);
}

static void test_front__client_leaving_with_its_request__is_never_held(void **state)
{
    struct netfix *nf = *state;
    int fd = ask(nf, HOLD);

    close(fd);
    netfix_wait_done(nf, 1);
    netfix_wait_held(nf, 0);
}

static void test_front__interim_answers__come_while_held(void **state)
{
    struct netfix *nf = *state;
    int fd = ask(nf, HOLD);

    netfix_wait_held(nf, 1);
    netfix_interim(nf);
    expect(fd, "HTTP/1.1 102 Processing\r\n\r\n", "");
    netfix_interim(nf);
    expect(fd, "HTTP/1.1 102 Processing\r\n\r\n", "");
    netfix_release(nf);
    expect(fd, "HTTP/1.1 200 OK\r\n", "released\n");
    close(fd);
}

/* ---- connections --------------------------------------------------------------------------------------- */

static void test_front__beyond_the_limit__connections_wait_for_their_turn(void **state)
{
    struct netfix *nf = *state;
    int fds[20], late;

    for (int i = 0; i < 20; i++)
        fds[i] = ask(nf, "GET /hold HTTP/1.1\r\n" HOST "\r\n");
    netfix_wait_held(nf, 20);
    late = ask(nf, "GET /local HTTP/1.1\r\n" HOST "\r\n");
    assert_int_equal(netfix_counts(nf).front.connections, 20);
    assert_true(sock_has_nothing(late));
    close(fds[7]);
    expect(late, "HTTP/1.1 200 OK\r\n", "local\n");
    for (int i = 0; i < 20; i++)
        if (i != 7)
            close(fds[i]);
    close(late);
}

static void test_front__slow_clients__are_told_and_cut_off_in_each_state(void **state)
{
    static const struct {
        const char *sent, *answer;
    } rows[] = {
        {"", ""},
        {"GET /lo", ""}, /* nobody can tell from nothing at all */
        {"GET /local HTTP/1.1\r\nHos", "HTTP/1.1 408 "},
        {"POST /small HTTP/1.1\r\n" HOST "Content-Length: 10\r\n\r\nabc", "HTTP/1.1 408 "},
        {"POST /small HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n3\r\nab", "HTTP/1.1 408 "},
        {"POST /stream HTTP/1.1\r\n" HOST "Content-Length: 10\r\n\r\nabc", "HTTP/1.1 408 "},
        {"POST /local HTTP/1.1\r\n" HOST "Content-Length: 10\r\n\r\nabc",
         "HTTP/1.1 200 "}, /* answered early */
        {"GET /local HTTP/1.1\r\n" HOST "\r\n", "HTTP/1.1 200 "},
    };
    struct netfix *nf = *state;

    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++) {
        int fd = ask(nf, rows[i].sent);
        char got[4096];

        sock_read_until(fd, got, sizeof got, "never");
        if (strncmp(got, rows[i].answer, strlen(rows[i].answer)) != 0 || (!rows[i].answer[0] && got[0]))
            fail_msg("row %zu: %s", i, got);
        close(fd);
    }
}

static void test_front__client_leaving_in_the_middle_of_its_head__was_no_bad_request(void **state)
{
    struct netfix *nf = *state;

    close(ask(nf, "GET /local HTTP/1.1\r\nHos"));
    close(ask(nf, "GET /lo"));
    netfix_wait_idle(nf);
    assert_int_equal(netfix_counts(nf).bad, 0);
    assert_int_equal(netfix_counts(nf).done, 0);
}

/* Never a long pause, and never an end. */
static void test_front__dribbled_body__is_cut_off_though_it_goes_on(void **state)
{
    struct netfix *nf = *state;
    int fd = ask(nf, "POST /pass HTTP/1.1\r\n" HOST "Content-Length: 100000\r\n\r\n");
    struct pollfd p = {.fd = fd, .events = POLLIN};
    int bytes = 0;

    while (poll(&p, 1, 3) == 0 && bytes++ < 900)
        send(fd, "x", 1, MSG_NOSIGNAL);
    assert_true(bytes < 900);
    expect(fd, "HTTP/1.1 408 ", "");
    close(fd);
}

static void test_front__held_longer_than_any_timeout__is_not_cut_off(void **state)
{
    struct netfix *nf = *state;
    int held = ask(nf, HOLD), idle = ask(nf, "GET /local HTTP/1.1\r\n" HOST "\r\n");

    netfix_wait_held(nf, 1);
    expect(idle, "HTTP/1.1 200 OK\r\n", "local\n");
    assert_true(sock_is_closed(idle)); /* the timeout has passed for this one, which came later */
    netfix_release(nf);
    expect(held, "HTTP/1.1 200 OK\r\n", "released\n");
    close(held);
    close(idle);
}

static void test_front__draining__closes_idle_ones_and_finishes_the_others(void **state)
{
    struct netfix *nf = *state;
    int held = ask(nf, HOLD), idle = ask(nf, "GET /local HTTP/1.1\r\n" HOST "\r\n");
    char head[1024];

    netfix_wait_held(nf, 1);
    expect(idle, "HTTP/1.1 200 OK\r\n", "local\n");
    netfix_drain(nf);
    assert_true(sock_is_closed(idle));
    netfix_release(nf);
    sock_read_until(held, head, sizeof head, "\r\n\r\n");
    assert_non_null(strstr(head, "Connection: close\r\n"));
    expect(held, "released\n", "");
    assert_true(sock_is_closed(held));
    close(held);
    close(idle);
}

static void test_front__with_nothing_open__the_loop_sleeps(void **state)
{
    struct netfix *nf = *state;
    int fd = ask(nf, "GET /local HTTP/1.1\r\n" HOST "\r\n");
    uint64_t before;

    expect(fd, "HTTP/1.1 200 OK\r\n", "local\n");
    close(fd);
    netfix_wait_idle(nf);
    before = netfix_counts(nf).wakeups;
    for (uint64_t i = 1; i <= 20; i++) /* only the questions themselves wake it */
        assert_int_equal(netfix_counts(nf).wakeups, before + i);
}

static void test_front__unix_socket_and_ipv6__work_like_the_rest(void **state)
{
    struct netfix_options o = {.listen = "unix:/tmp/metergate-test-net.sock"};
    struct sockaddr_un un = {.sun_family = AF_UNIX, .sun_path = "/tmp/metergate-test-net.sock"};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    struct netfix *nf = netfix_start(&o);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)state;
    assert_int_equal(connect(fd, (struct sockaddr *)&un, sizeof un), 0);
    sock_send_str(fd, HOLD);
    netfix_wait_held(nf, 1);
    assert_int_equal(netfix_counts(nf).last_uid, getuid());
    netfix_release(nf);
    expect(fd, "HTTP/1.1 200 OK\r\n", "released\n");
    sock_send_str(fd, HOLD);
    netfix_wait_held(nf, 1);
    close(fd);
    netfix_wait_gone(nf, 1);
    netfix_stop(nf);
    assert_int_equal(access(un.sun_path, F_OK), -1);

    o.listen = "[::1]:0";
    nf = netfix_start(&o);
    in6.sin6_port = htons((uint16_t)netfix_port(nf));
    fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&in6, sizeof in6), 0);
    sock_send_str(fd, "GET /local HTTP/1.1\r\n" HOST "\r\n");
    expect(fd, "HTTP/1.1 200 OK\r\n", "local\n");
    close(fd);
    netfix_stop(nf);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_front__ambiguous_request__is_refused_and_nothing_is_forwarded),
        cmocka_unit_test_setup_teardown(
            test_front__unreadable_request__is_answered_by_us_and_never_to_another, start_crowded, stop),
        TEST(test_front__odd_but_valid_request__is_let_in),
        TEST(test_front__many_headers_and_arguments__are_let_in_up_to_the_limit),
        TEST(test_front__head_of_any_size__is_answered),
        TEST(test_front__expect_100__is_answered_before_the_body),
        TEST(test_front__body_announced_too_long__is_refused_though_it_is_sent),
        TEST(test_front__body_a_little_too_long__is_refused_and_the_connection_kept),
        TEST(test_front__endless_chunks__are_answered_and_cut_off),
        TEST(test_front__broken_chunks__are_refused),
        cmocka_unit_test_setup_teardown(test_front__all_bodies_together_over_the_limit__are_refused,
                                        start_few, stop),
        TEST(test_front__two_hundred_held__are_all_released),
        TEST(test_front__held_client_leaves__is_noticed_at_once),
        TEST(test_front__held_client_with_pipelined_requests_leaves__is_noticed_at_once),
        TEST(test_front__half_closed_client__gets_what_needs_no_waiting),
        TEST(test_front__client_leaving_with_its_request__is_never_held),
        TEST(test_front__interim_answers__come_while_held),
        cmocka_unit_test_setup_teardown(test_front__beyond_the_limit__connections_wait_for_their_turn,
                                        start_few, stop),
        cmocka_unit_test_setup_teardown(test_front__slow_clients__are_told_and_cut_off_in_each_state,
                                        start_impatient, stop),
        TEST(test_front__client_leaving_in_the_middle_of_its_head__was_no_bad_request),
        cmocka_unit_test_setup_teardown(test_front__dribbled_body__is_cut_off_though_it_goes_on,
                                        start_impatient, stop),
        cmocka_unit_test_setup_teardown(test_front__held_longer_than_any_timeout__is_not_cut_off,
                                        start_impatient, stop),
        TEST(test_front__draining__closes_idle_ones_and_finishes_the_others),
        TEST(test_front__with_nothing_open__the_loop_sleeps),
        cmocka_unit_test(test_front__unix_socket_and_ipv6__work_like_the_rest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
