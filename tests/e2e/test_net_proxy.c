/* net/ as a whole: requests through the fixture's proxy, between raw sockets on both sides. */
#include "net_fixture.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "metergate/base/clock.h"

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

static void check_answer(int fd, const char *status, const char *body)
{
    char head[4096], got[4096];
    const char *length;

    sock_read_until(fd, head, sizeof head, "\r\n\r\n");
    assert_memory_equal(head, status, strlen(status));
    length = strstr(head, "Content-Length: ");
    assert_non_null(length);
    assert_int_equal(strtoul(length + 16, NULL, 10), strlen(body));
    assert_int_equal(sock_read_exactly(fd, got, strlen(body)), strlen(body));
    assert_memory_equal(got, body, strlen(body));
}

static void test_proxy__plain_call__passes_bytes_and_headers_both_ways(void **state)
{
    struct netfix *nf = *state;
    int client = sock_connect(netfix_port(nf)), up;
    char got[4096], want[256];

    sock_send_str(client, "POST /pass//a/../b?x=%20&y=? HTTP/1.1\r\n" HOST "X-OdD-CaSe: v  w\r\nX-Empty:\r\n"
                          "Content-Length: 5\r\n\r\nhello");
    up = sock_accept(nf);
    sock_read_until(up, got, sizeof got, "hello");
    snprintf(
        want, sizeof want,
        "POST /pass//a/../b?x=%%20&y=? HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nX-OdD-CaSe: v  w\r\nX-Empty:\r\n"
        "Content-Length: 5\r\n\r\nhello",
        netfix_upstream_port(nf));
    assert_string_equal(got, want);
    sock_send_str(up, "HTTP/1.1 404 Whatever\r\nDate: then\r\nSet-Cookie: a\r\nset-cookie: b\r\n"
                      "Content-Length: 3\r\n\r\nbye");
    sock_read_until(client, got, sizeof got, "bye");
    assert_string_equal(got, "HTTP/1.1 404 Not Found\r\nDate: then\r\nSet-Cookie: a\r\nset-cookie: b\r\n"
                             "Content-Length: 3\r\n\r\nbye");
    close(client);
    close(up);
}

static void test_proxy__kept_connections__are_used_again_on_both_sides(void **state)
{
    struct netfix *nf = *state;
    int client = sock_connect(netfix_port(nf)), up = -1;
    char got[4096];

    for (int i = 0; i < 3; i++) {
        sock_send_str(client, "GET /pass HTTP/1.1\r\n" HOST "\r\n");
        if (i == 0)
            up = sock_accept(nf);
        sock_read_until(up, got, sizeof got, "\r\n\r\n");
        sock_send_str(up, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        check_answer(client, "HTTP/1.1 200 OK", "ok");
    }
    assert_int_equal(netfix_counts(nf).front.accepted, 1);
    close(client);
    close(up);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_proxy__plain_call__passes_bytes_and_headers_both_ways, start,
                                        stop),
        cmocka_unit_test_setup_teardown(test_proxy__kept_connections__are_used_again_on_both_sides, start,
                                        stop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
