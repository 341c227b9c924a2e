/* net/ as a whole: requests through the fixture's proxy, between raw sockets on both sides. */
#include "net_fixture.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <dirent.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define HOST "Host: x\r\n"

static int start(void **state)
{
    static const struct netfix_options plain;

    *state = netfix_start(&plain);
    return 0;
}

static int stop(void **state)
{
    netfix_wait_idle(*state);
    netfix_stop(*state);
    return 0;
}

/* A client that has sent `request`, and the provider's end of what became of it, its head already read. */
struct pair {
    int client, up;
    char head[4096]; /* as the provider got it */
};

static struct pair open_pair(struct netfix *nf, const char *request)
{
    struct pair p = {.client = sock_connect(netfix_port(nf))};

    sock_send_str(p.client, request);
    p.up = sock_accept(nf);
    sock_read_until(p.up, p.head, sizeof p.head, "\r\n\r\n");
    return p;
}

static void close_pair(struct pair p)
{
    close(p.client);
    close(p.up);
}

static void expect_text(int fd, const char *want)
{
    char got[8192];

    assert_true(strlen(want) < sizeof got);
    got[sock_read_exactly(fd, got, strlen(want))] = '\0';
    assert_string_equal(got, want);
}

static void expect_head(int fd, char *head, size_t max, const char *status_line)
{
    sock_read_until(fd, head, max, "\r\n\r\n");
    if (strncmp(head, status_line, strlen(status_line)) != 0)
        fail_msg("wanted %s, got %s", status_line, head);
}

static const char get[] = "GET /pass HTTP/1.1\r\n" HOST "\r\n";

/* ---- whole calls --------------------------------------------------------------------------------------- */

static void test_proxy__plain_call__passes_bytes_and_headers_both_ways(void **state)
{
    struct netfix *nf = *state;
    char want[256];
    struct pair p = open_pair(nf, "POST /pass//a/../b?x=%20&y=? HTTP/1.1\r\n" HOST "X-OdD-CaSe: v  w\r\n"
                                  "X-Empty:\r\nContent-Length: 5\r\n\r\nhello");

    snprintf(
        want, sizeof want,
        "POST /pass//a/../b?x=%%20&y=? HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nX-OdD-CaSe: v  w\r\nX-Empty:\r\n"
        "Content-Length: 5\r\n\r\n",
        netfix_upstream_port(nf));
    assert_string_equal(p.head, want);
    expect_text(p.up, "hello");
    sock_send_str(p.up, "HTTP/1.1 404 Whatever\r\nDate: then\r\nSet-Cookie: a\r\nset-cookie: b\r\nX-None:\r\n"
                        "Content-Length: 3\r\n\r\nbye");
    expect_text(p.client,
                "HTTP/1.1 404 Not Found\r\nDate: then\r\nSet-Cookie: a\r\nset-cookie: b\r\nX-None:  \r\n"
                "Content-Length: 3\r\n\r\nbye");
    close_pair(p);
}

static void test_proxy__chunked_request__is_forwarded_with_its_length(void **state)
{
    struct pair p = open_pair(*state, "POST /pass HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"
                                      "3\r\nabc\r\n5\r\ndefgh\r\n0\r\nTrailer: t\r\n\r\n");

    assert_non_null(strstr(p.head, "\r\nContent-Length: 8\r\n"));
    assert_null(strstr(p.head, "Transfer-Encoding"));
    expect_text(p.up, "abcdefgh");
    close_pair(p);
}

static void test_proxy__chunked_answer__arrives_chunk_by_chunk(void **state)
{
    struct pair p = open_pair(*state, get);
    char head[1024];

    sock_send_str(p.up, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    expect_head(p.client, head, sizeof head, "HTTP/1.1 200 OK\r\n");
    assert_non_null(strstr(head, "Transfer-Encoding: chunked\r\n"));
    sock_send_str(p.up, "4\r\nwiki\r\n");
    expect_text(p.client, "4\r\nwiki\r\n");
    sock_send_str(p.up, "5\r\npedia\r\n0\r\nX-Trailer: lost\r\n\r\n");
    expect_text(p.client, "5\r\npedia\r\n0\r\n\r\n");
    close_pair(p);
}

static void test_proxy__answer_there_at_once__becomes_one_piece_with_a_length(void **state)
{
    struct pair p = open_pair(*state, get);
    char head[1024];

    sock_send_str(p.up, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nwiki\r\n0\r\n\r\n");
    expect_head(p.client, head, sizeof head, "HTTP/1.1 200 OK\r\n");
    assert_non_null(strstr(head, "Content-Length: 4\r\n"));
    expect_text(p.client, "wiki");
    close_pair(p);
}

static void test_proxy__events__pass_one_by_one(void **state)
{
    struct pair p = open_pair(*state, get);
    char event[64], want[80], head[1024];

    sock_send_str(p.up, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n");
    expect_head(p.client, head, sizeof head, "HTTP/1.1 200 OK\r\n");
    for (int i = 0; i < 100; i++) { /* the next event is sent only when this one was seen */
        int n = snprintf(event, sizeof event, "data: event %d\n\n", i);

        snprintf(want, sizeof want, "%X\r\n%s\r\n", (unsigned)n, event);
        sock_send_str(p.up, event);
        expect_text(p.client, want);
    }
    close(p.up); /* a length was not given: the close is the end */
    expect_text(p.client, "0\r\n\r\n");
    close(p.client);
}

static void test_proxy__kept_connections__are_used_again_on_both_sides(void **state)
{
    struct netfix *nf = *state;
    struct pair p = open_pair(nf, get);
    char head[1024];

    for (int i = 0; i < 3; i++) {
        if (i > 0) {
            sock_send_str(p.client, get);
            sock_read_until(p.up, p.head, sizeof p.head, "\r\n\r\n");
        }
        sock_send_str(p.up, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        expect_head(p.client, head, sizeof head, "HTTP/1.1 200 OK\r\n");
        expect_text(p.client, "ok");
    }
    assert_int_equal(netfix_counts(nf).front.accepted, 1);
    assert_int_equal(netfix_counts(nf).pool.connections, 1);
    assert_true(netfix_counts(nf).last_reused);
    close_pair(p);
}

static void test_proxy__pipelined_requests__are_answered_in_order(void **state)
{
    struct netfix *nf = *state;
    struct pair p = open_pair(nf, "GET /pass/1 HTTP/1.1\r\n" HOST "\r\nGET /local HTTP/1.1\r\n" HOST "\r\n"
                                  "GET /pass/3 HTTP/1.1\r\n" HOST "\r\n");
    char head[1024];

    assert_memory_equal(p.head, "GET /pass/1 ", 12);
    sock_send_str(p.up, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\none");
    expect_head(p.client, head, sizeof head, "HTTP/1.1 200 OK\r\n");
    expect_text(p.client, "one");
    expect_head(p.client, head, sizeof head, "HTTP/1.1 200 OK\r\n");
    expect_text(p.client, "local\n");
    sock_read_until(p.up, p.head, sizeof p.head, "\r\n\r\n");
    assert_memory_equal(p.head, "GET /pass/3 ", 12);
    sock_send_str(p.up, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nthree");
    expect_head(p.client, head, sizeof head, "HTTP/1.1 200 OK\r\n");
    expect_text(p.client, "three");
    close_pair(p);
}

static void test_proxy__bodyless_answers__keep_the_connection_in_step(void **state)
{
    static const struct {
        const char *request, *answer, *has, *has_not;
    } rows[] = {
        {"HEAD /pass HTTP/1.1\r\n" HOST "\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n",
         "Content-Length: 1234\r\n", "chunked"},
        {get, "HTTP/1.1 204 No Content\r\n\r\n", "HTTP/1.1 204 No Content\r\n", "Content-Length"},
        {get, "HTTP/1.1 304 Not Modified\r\nETag: e\r\nContent-Length: 9\r\n\r\n", "ETag: e\r\n", "chunked"},
    };
    struct netfix *nf = *state;
    int client = sock_connect(netfix_port(nf)), up = -1;
    char head[1024];

    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++) {
        sock_send_str(client, rows[i].request);
        if (i < 2) { /* that of HEAD is not kept: a body might follow */
            if (up >= 0)
                close(up);
            up = sock_accept(nf);
        }
        sock_read_until(up, head, sizeof head, "\r\n\r\n");
        sock_send_str(up, rows[i].answer);
        sock_read_until(client, head, sizeof head, "\r\n\r\n");
        assert_non_null(strstr(head, rows[i].has));
        assert_null(strstr(head, rows[i].has_not));
    }
    sock_send_str(client, "GET /local HTTP/1.1\r\n" HOST "\r\n");
    expect_head(client, head, sizeof head, "HTTP/1.1 200 OK\r\n");
    expect_text(client, "local\n");
    close(client);
    if (up >= 0)
        close(up);
}

static void test_proxy__head_without_a_length__has_no_body_either(void **state)
{
    struct pair p = open_pair(*state, "HEAD /pass HTTP/1.1\r\n" HOST "\r\n");
    char head[1024];

    sock_send_str(p.up, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    expect_head(p.client, head, sizeof head, "HTTP/1.1 200 OK\r\n");
    assert_null(strstr(head, "Content-Length"));
    assert_true(sock_is_closed(p.client)); /* the price of saying nothing about the length */
    close_pair(p);
}

/* ---- back-pressure ------------------------------------------------------------------------------------- */

struct flood {
    int fd;
    size_t n;
};

static char flood_byte(size_t at)
{
    return (char)(at * 2654435761u >> 13);
}

static void *send_flood(void *arg)
{
    const struct flood *f = arg;
    char chunk[65536];

    for (size_t at = 0; at < f->n;) {
        size_t n = f->n - at < sizeof chunk ? f->n - at : sizeof chunk;

        for (size_t i = 0; i < n; i++)
            chunk[i] = flood_byte(at + i);
        sock_send(f->fd, chunk, n);
        at += n;
    }
    return NULL;
}

static void read_flood(int fd, size_t total)
{
    char chunk[65536];

    for (size_t at = 0; at < total;) {
        size_t want = total - at < sizeof chunk ? total - at : sizeof chunk;
        size_t n = sock_read_exactly(fd, chunk, want);

        assert_int_equal(n, want);
        for (size_t i = 0; i < n; i++)
            if (chunk[i] != flood_byte(at + i))
                fail_msg("byte %zu differs", at + i);
        at += n;
    }
}

#define FLOOD_BYTES ((size_t)24 * 1024 * 1024)

static void test_proxy__slow_reader__makes_the_provider_wait(void **state)
{
    struct netfix *nf = *state;
    struct pair p = open_pair(nf, get);
    struct flood flood = {p.up, FLOOD_BYTES};
    char head[1024];
    pthread_t thread;

    snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", flood.n);
    sock_send_str(p.up, head);
    expect_head(p.client, head, sizeof head, "HTTP/1.1 200 OK\r\n");
    assert_int_equal(pthread_create(&thread, NULL, send_flood, &flood), 0);
    netfix_wait_buffered(nf, EXCHANGE_HIGH_BYTES); /* the client reads nothing until then */
    read_flood(p.client, flood.n);
    pthread_join(thread, NULL);
    assert_true(netfix_counts(nf).most_buffered <= EXCHANGE_HIGH_BYTES + 65536);
    close_pair(p);
}

static void test_proxy__slow_provider__makes_the_client_wait(void **state)
{
    struct netfix *nf = *state;
    char head[1024];
    struct pair p;
    struct flood flood = {.n = FLOOD_BYTES};
    pthread_t thread;

    snprintf(head, sizeof head, "PUT /stream HTTP/1.1\r\n" HOST "Content-Length: %zu\r\n\r\n", flood.n);
    p = open_pair(nf, head);
    assert_non_null(strstr(p.head, "Content-Length: 25165824\r\n"));
    flood.fd = p.client;
    assert_int_equal(pthread_create(&thread, NULL, send_flood, &flood), 0);
    netfix_wait_uploaded(nf, TRANSFER_HIGH_BYTES);
    read_flood(p.up, flood.n);
    pthread_join(thread, NULL);
    assert_true(netfix_counts(nf).most_uploaded <= TRANSFER_HIGH_BYTES + 65536);
    sock_send_str(p.up, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    expect_head(p.client, head, sizeof head, "HTTP/1.1 200 OK\r\n");
    expect_text(p.client, "ok");
    close_pair(p);
}

static void test_proxy__streamed_chunked_body__passes_as_it_comes(void **state)
{
    struct pair p = open_pair(*state, "POST /stream HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n");
    char head[1024];

    assert_non_null(strstr(p.head, "Transfer-Encoding: chunked\r\n"));
    sock_send_str(p.client, "3\r\nabc\r\n");
    expect_text(p.up, "3\r\nabc\r\n");
    sock_send_str(p.client, "2\r\nde\r\n");
    expect_text(p.up, "2\r\nde\r\n");
    sock_send_str(p.client, "0\r\n\r\n");
    expect_text(p.up, "0\r\n\r\n");
    sock_send_str(p.up, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    expect_head(p.client, head, sizeof head, "HTTP/1.1 200 OK\r\n");
    expect_text(p.client, "ok");
    close_pair(p);
}

/* ---- leaving and cutting ------------------------------------------------------------------------------- */

static void test_proxy__client_leaves_before_the_answer__upstream_is_closed(void **state)
{
    struct pair p = open_pair(*state, get);

    close(p.client);
    assert_true(sock_is_closed(p.up));
    netfix_wait_gone(*state, 1);
    close(p.up);
}

static void test_proxy__client_leaves_in_a_stream__upstream_is_closed(void **state)
{
    struct pair p = open_pair(*state, get);
    char head[1024];

    sock_send_str(p.up, "HTTP/1.1 200 OK\r\n\r\ndata: 1\n\n");
    expect_head(p.client, head, sizeof head, "HTTP/1.1 200 OK\r\n");
    close(p.client);
    assert_true(sock_is_closed(p.up));
    netfix_wait_gone(*state, 1);
    close(p.up);
}

static void test_proxy__client_that_reads_nothing_leaves__upstream_is_closed(void **state)
{
    struct netfix *nf = *state;
    struct pair p = open_pair(nf, get);
    char chunk[65536] = {0};

    sock_send_str(p.up, "HTTP/1.1 200 OK\r\n\r\n");
    while (send(p.up, chunk, sizeof chunk, MSG_NOSIGNAL | MSG_DONTWAIT) > 0)
        ;
    netfix_wait_buffered(nf, 1);
    shutdown(p.client, SHUT_WR); /* it still could read, but says that it is done */
    netfix_wait_gone(nf, 1);
    close_pair(p);
}

static void test_proxy__client_leaves_in_its_body__upstream_is_closed(void **state)
{
    struct pair p = open_pair(*state, "POST /stream HTTP/1.1\r\n" HOST "Content-Length: 10\r\n\r\n");

    sock_send_str(p.client, "abc");
    expect_text(p.up, "abc");
    close(p.client);
    assert_true(sock_is_closed(p.up));
    close(p.up);
}

static void test_proxy__upstream_cut_short_of_its_length__is_not_a_whole_answer(void **state)
{
    struct netfix *nf = *state;
    struct pair p = open_pair(nf, get);
    char head[1024];

    sock_send_str(p.up, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
    expect_head(p.client, head, sizeof head, "HTTP/1.1 200 OK\r\n");
    assert_non_null(strstr(head, "Content-Length: 100\r\n"));
    expect_text(p.client, "half");
    close(p.up);
    assert_true(sock_is_closed(p.client));
    assert_int_equal(netfix_counts(nf).last_result, TRANSFER_CUT);
    close(p.client);
}

static void test_proxy__upstream_cut_between_chunks__has_no_last_chunk(void **state)
{
    struct netfix *nf = *state;
    struct pair p = open_pair(nf, get);
    char head[1024];

    sock_send_str(p.up, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n");
    expect_head(p.client, head, sizeof head, "HTTP/1.1 200 OK\r\n");
    expect_text(p.client, "4\r\nhalf\r\n");
    close(p.up);
    assert_true(sock_is_closed(p.client));
    assert_int_equal(netfix_counts(nf).last_result, TRANSFER_CUT);
    close(p.client);
}

static void test_proxy__cut_answer_to_http_1_0__is_a_reset_and_a_whole_one_is_not(void **state)
{
    struct netfix *nf = *state;
    struct pair p = open_pair(nf, "GET /pass HTTP/1.0\r\n\r\n");
    char head[1024];

    sock_send_str(p.up, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n");
    expect_head(p.client, head, sizeof head, "HTTP/1.1 200 OK\r\n");
    assert_null(strstr(head, "chunked"));
    expect_text(p.client, "half");
    close(p.up);
    assert_true(sock_is_reset(p.client));
    close(p.client);

    p = open_pair(nf, "GET /pass HTTP/1.0\r\n\r\n");
    sock_send_str(p.up, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nfull\r\n");
    expect_head(p.client, head, sizeof head, "HTTP/1.1 200 OK\r\n");
    expect_text(p.client, "full");
    sock_send_str(p.up, "0\r\n\r\n");
    assert_false(sock_is_reset(p.client));
    close_pair(p);
}

/* libmicrohttpd closed these, and forgot them when another connection of the same daemon was older. */
static void test_proxy__answers_ended_by_a_close__leave_no_connection_behind(void **state)
{
    static const struct netfix_options one_shard = {.front = {.shards = 1}};
    struct netfix *nf = netfix_start(&one_shard);
    int older = sock_connect(netfix_port(nf));
    char head[1024];

    (void)state;
    sock_send_str(older, "GET /hold HTTP/1.1\r\n" HOST "\r\n");
    netfix_wait_held(nf, 1);
    netfix_release(nf);
    expect_head(older, head, sizeof head, "HTTP/1.1 200 OK\r\n");
    for (int i = 0; i < 3; i++) {
        struct pair p = open_pair(nf, get);

        sock_send_str(p.up, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
        expect_head(p.client, head, sizeof head, "HTTP/1.1 200 OK\r\n");
        close(p.up);
        netfix_wait_connections(nf, 1); /* before the client has closed its side */
        close(p.client);

        p = open_pair(nf, "GET /pass HTTP/1.0\r\n\r\n");
        sock_send_str(p.up, "HTTP/1.1 200 OK\r\n\r\nfull");
        expect_head(p.client, head, sizeof head, "HTTP/1.1 200 OK\r\n");
        expect_text(p.client, "full");
        close(p.up);
        netfix_wait_connections(nf, 1);
        close(p.client);
    }
    close(older);
    netfix_wait_idle(nf);
    netfix_stop(nf);
}

/* ---- nothing is left behind ---------------------------------------------------------------------------- */

static unsigned open_descriptors(void)
{
    DIR *dir = opendir("/proc/self/fd");
    unsigned n = 0;

    assert_non_null(dir);
    while (readdir(dir)) /* cppcheck-suppress readdirCalled */
        n++;
    closedir(dir);
    return n;
}

static void test_proxy__after_all_kinds_of_ends__no_descriptor_is_left(void **state)
{
    static const struct netfix_options plain;
    unsigned before = open_descriptors();
    struct netfix *nf = netfix_start(&plain);

    *state = nf;
    test_proxy__plain_call__passes_bytes_and_headers_both_ways(state);
    test_proxy__events__pass_one_by_one(state);
    test_proxy__client_leaves_in_a_stream__upstream_is_closed(state);
    test_proxy__upstream_cut_between_chunks__has_no_last_chunk(state);
    netfix_wait_idle(nf);
    netfix_stop(nf);
    assert_int_equal(open_descriptors(), before);
}

static void test_proxy__stopped_in_the_middle_of_everything__ends_all(void **state)
{
    static const struct netfix_options plain;
    struct netfix *nf = netfix_start(&plain);
    struct pair waiting = open_pair(nf, get), streaming = open_pair(nf, get);
    int held = sock_connect(netfix_port(nf)), idle = sock_connect(netfix_port(nf));
    char head[1024];

    (void)state;
    sock_send_str(held, "GET /hold HTTP/1.1\r\n" HOST "\r\n");
    netfix_wait_held(nf, 1);
    sock_send_str(streaming.up, "HTTP/1.1 200 OK\r\n\r\ndata: 1\n\n");
    expect_head(streaming.client, head, sizeof head, "HTTP/1.1 200 OK\r\n");
    netfix_stop(nf);
    close_pair(waiting);
    close_pair(streaming);
    close(held);
    close(idle);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_proxy__plain_call__passes_bytes_and_headers_both_ways),
        TEST(test_proxy__chunked_request__is_forwarded_with_its_length),
        TEST(test_proxy__chunked_answer__arrives_chunk_by_chunk),
        TEST(test_proxy__answer_there_at_once__becomes_one_piece_with_a_length),
        TEST(test_proxy__events__pass_one_by_one),
        TEST(test_proxy__kept_connections__are_used_again_on_both_sides),
        TEST(test_proxy__pipelined_requests__are_answered_in_order),
        TEST(test_proxy__bodyless_answers__keep_the_connection_in_step),
        TEST(test_proxy__head_without_a_length__has_no_body_either),
        TEST(test_proxy__slow_reader__makes_the_provider_wait),
        TEST(test_proxy__slow_provider__makes_the_client_wait),
        TEST(test_proxy__streamed_chunked_body__passes_as_it_comes),
        TEST(test_proxy__client_leaves_before_the_answer__upstream_is_closed),
        TEST(test_proxy__client_leaves_in_a_stream__upstream_is_closed),
        TEST(test_proxy__client_that_reads_nothing_leaves__upstream_is_closed),
        TEST(test_proxy__client_leaves_in_its_body__upstream_is_closed),
        TEST(test_proxy__upstream_cut_short_of_its_length__is_not_a_whole_answer),
        TEST(test_proxy__upstream_cut_between_chunks__has_no_last_chunk),
        TEST(test_proxy__cut_answer_to_http_1_0__is_a_reset_and_a_whole_one_is_not),
        cmocka_unit_test(test_proxy__answers_ended_by_a_close__leave_no_connection_behind),
        cmocka_unit_test(test_proxy__after_all_kinds_of_ends__no_descriptor_is_left),
        cmocka_unit_test(test_proxy__stopped_in_the_middle_of_everything__ends_all),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
