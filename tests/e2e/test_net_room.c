/* All connections are taken: who goes for whom. And what clients can make us keep. */
#include "net_fixture.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "metergate/base/clock.h"

#define HOST  "Host: x\r\n"
#define LOCAL "GET /local HTTP/1.1\r\n" HOST "\r\n"
#define HOLD  "GET /hold HTTP/1.1\r\n" HOST "\r\n"

enum { MOST = 20, SOMEBODY = 65534 };

/* Nobody is left in peace for longer than a turn of the loop takes. */
static int start(void **state)
{
    static const struct netfix_options few = {
        .front = {.shards = 3, .max_connections = MOST, .body_bytes_total = 5000, .room_idle_us = 1, .room_slow_us = 1}};

    *state = netfix_start(&few);
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

/* A connection of another local user. */
static int ask_as_somebody(struct netfix *nf, const char *request)
{
    int fd;

    if (seteuid(SOMEBODY) < 0)
        fail_msg("cannot become user %d", SOMEBODY);
    fd = sock_connect(netfix_port(nf));
    assert_int_equal(seteuid(0), 0);
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

static void expect_local(int fd)
{
    expect(fd, "HTTP/1.1 200 OK\r\n", "local\n");
}

static uint64_t closed_for_room(struct netfix *nf)
{
    return netfix_counts(nf).front.closed[FRONT_CLOSED_ROOM];
}

/* Connected, answered once, silent since; one after the other. */
static void fill_idle(struct netfix *nf, int *fds, int n)
{
    for (int i = 0; i < n; i++) {
        fds[i] = ask(nf, LOCAL);
        expect_local(fds[i]);
    }
}

static void close_all(const int *fds, int n)
{
    for (int i = 0; i < n; i++)
        close(fds[i]);
}

static void test_room__all_idle__the_longest_idle_goes(void **state)
{
    struct netfix *nf = *state;
    int fds[MOST], late;

    fill_idle(nf, fds, MOST);
    sock_send_str(fds[0], LOCAL); /* so the second is the one that has been idle the longest */
    expect_local(fds[0]);
    late = ask(nf, LOCAL);
    expect_local(late);
    assert_true(sock_is_closed(fds[1]));
    assert_int_equal(closed_for_room(nf), 1);
    for (int i = 0; i < MOST; i++) {
        if (i == 1)
            continue;
        sock_send_str(fds[i], LOCAL);
        expect_local(fds[i]);
    }
    close_all(fds, MOST);
    close(late);
}

static void test_room__silent_from_the_beginning__goes_too(void **state)
{
    struct netfix *nf = *state;
    int fds[MOST], late;

    for (int i = 0; i < MOST; i++)
        fds[i] = sock_connect(netfix_port(nf));
    netfix_wait_connections(nf, MOST);
    late = ask(nf, LOCAL);
    expect_local(late);
    assert_true(sock_is_closed(fds[0]));
    assert_int_equal(closed_for_room(nf), 1);
    close_all(fds, MOST);
    close(late);
}

static void test_room__held_ones__are_never_closed_for_a_new_one(void **state)
{
    struct netfix *nf = *state;
    int fds[MOST], first, second;

    fds[0] = ask(nf, LOCAL);
    expect_local(fds[0]);
    for (int i = 1; i < MOST; i++)
        fds[i] = ask(nf, HOLD);
    netfix_wait_held(nf, MOST - 1);
    first = ask(nf, HOLD);
    netfix_wait_held(nf, MOST);
    assert_true(sock_is_closed(fds[0]));
    second = ask(nf, LOCAL);
    assert_int_equal(netfix_counts(nf).front.connections, MOST);
    assert_true(sock_has_nothing(second));
    netfix_release(nf); /* then they are idle, and one makes room */
    expect(first, "HTTP/1.1 200 OK\r\n", "released\n");
    expect_local(second);
    assert_int_equal(closed_for_room(nf), 2);
    close_all(fds, MOST);
    close(first);
    close(second);
}

static void test_room__slow_requests__are_told_408_and_go(void **state)
{
    static const char *const slow[] = {
        "GET /local HTTP/1.1\r\nHos",
        "POST /small HTTP/1.1\r\n" HOST "Content-Length: 10\r\n\r\nabc",
        "POST /stream HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n3\r\nab",
    };
    struct netfix *nf = *state;
    int fds[MOST], late[3];

    for (int i = 0; i < MOST; i++)
        fds[i] = ask(nf, i < 3 ? slow[i] : HOLD);
    netfix_wait_held(nf, MOST - 3);
    for (int i = 0; i < 3; i++) {
        late[i] = ask(nf, HOLD);
        netfix_wait_held(nf, (unsigned)(MOST - 3 + i + 1));
    }
    for (int i = 0; i < 3; i++)
        expect(fds[i], "HTTP/1.1 408 ", "");
    assert_int_equal(closed_for_room(nf), 3);
    close_all(fds, MOST);
    close_all(late, 3);
}

static void test_room__who_has_less_than_his_share__keeps_what_he_has(void **state)
{
    struct netfix *nf = *state;
    int mine, fds[MOST], late[5];

    if (geteuid() != 0)
        skip(); /* two users are needed */
    mine = ask(nf, LOCAL);
    expect_local(mine); /* the longest idle of all */
    for (int i = 0; i < MOST - 1; i++) {
        fds[i] = ask_as_somebody(nf, LOCAL);
        expect_local(fds[i]);
    }
    for (int i = 0; i < 5; i++) { /* mine and his newcomers alike: he pays */
        late[i] = i % 2 ? ask(nf, LOCAL) : ask_as_somebody(nf, LOCAL);
        expect_local(late[i]);
        assert_true(sock_is_closed(fds[i]));
    }
    assert_int_equal(closed_for_room(nf), 5);
    sock_send_str(mine, LOCAL);
    expect_local(mine);
    close(mine);
    close_all(fds, MOST - 1);
    close_all(late, 5);
}

static void test_room__crowd_of_another_user__locks_nobody_out(void **state)
{
    struct netfix *nf = *state;
    int fds[3 * MOST], mine;

    if (geteuid() != 0)
        skip();
    for (int i = 0; i < 3 * MOST; i++) /* two thirds of them wait in the backlog, or are closed for others */
        fds[i] = ask_as_somebody(nf, "GET /local HT");
    mine = ask(nf, LOCAL);
    expect_local(mine);
    close(mine);
    close_all(fds, 3 * MOST);
}

#define PART(length) "POST /hold HTTP/1.1\r\n" HOST "Content-Length: " length "\r\n\r\n"

static void test_room__bodies_without_an_end__of_one_user_take_half(void **state)
{
    struct netfix *nf = *state;
    char body[3000];
    int first = ask(nf, PART("2000")), second, whole;

    memset(body, 'x', sizeof body);
    sock_send(first, body, 1900);
    while (netfix_counts(nf).front.body_bytes != 1900) { /* each question is a turn of the loop */
    }
    second = ask(nf, PART("1000")); /* 2,500 is the half */
    sock_send(second, body, 1000);
    expect(second, "HTTP/1.1 413 ", "too long\n");
    whole = ask(nf, PART("500"));
    sock_send(whole, body, 500);
    netfix_wait_held(nf, 1); /* complete: it does not count any more */
    if (geteuid() == 0) {
        int other = ask_as_somebody(nf, PART("2300"));

        sock_send(other, body, 2300);
        netfix_wait_held(nf, 2);
        close(other);
    }
    sock_send(first, body, 100);
    close(first);
    close(second);
    close(whole);
}

/* Each is answered, and still sends a body that nobody wants. */
static void test_room__lingering_ones__count_and_go_first(void **state)
{
    struct netfix *nf = *state;
    int fds[3 * MOST], idle = ask(nf, LOCAL);

    expect_local(idle);
    for (int i = 0; i < 3 * MOST; i++) {
        struct front_stats s;

        fds[i] = ask(nf, "POST /local HTTP/1.1\r\n" HOST "Content-Length: 100000000\r\n\r\nabc");
        expect(fds[i], "HTTP/1.1 200 ", "local\n");
        s = netfix_counts(nf).front;
        assert_true(s.connections + s.lingering <= MOST);
    }
    assert_true(netfix_counts(nf).front.lingering > 0);
    assert_int_equal(closed_for_room(nf), 0);
    sock_send_str(idle, LOCAL);
    expect_local(idle);
    close(idle);
    close_all(fds, 3 * MOST);
}

/* ---- answers that nobody takes ------------------------------------------------------------------------- */

static int start_small_memory(void **state)
{
    static const struct netfix_options small = {
        .front = {.max_connections = 50, .answer_bytes_total = 1 << 20, .room_slow_us = 1}};

    *state = netfix_start(&small);
    return 0;
}

static int connect_narrow(int port)
{
    int fd = sock_connect(port), bytes = 2048;

    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
    return fd;
}

/* Twenty times 8 MiB, of which each would have 256 KiB in our memory besides what is in the kernel's. */
static void test_room__answers_that_nobody_takes__are_cut_when_they_are_too_many(void **state)
{
    enum { READERS = 20, LENGTH = 8 << 20 };
    static const char head[] = "HTTP/1.1 200 OK\r\nContent-Length: 8388608\r\n\r\n";
    struct netfix *nf = *state;
    char *body = calloc(1, LENGTH), got[4096];
    int fds[READERS];

    for (int i = 0; i < READERS; i++) {
        struct netfix_counts now;
        ssize_t sent = 0;
        int up;

        fds[i] = connect_narrow(netfix_port(nf));
        sock_send_str(fds[i], "GET /pass HTTP/1.1\r\n" HOST "\r\n");
        up = sock_accept(nf);
        sock_read_until(up, got, sizeof got, "\r\n\r\n");
        sock_send_str(up, head);
        for (int quiet = 0; sent < LENGTH && quiet < 20;) { /* until it is taken no more */
            struct pollfd p = {.fd = up, .events = POLLOUT};
            ssize_t n = poll(&p, 1, 5) == 1 ? send(up, body, (size_t)(LENGTH - sent), MSG_DONTWAIT | MSG_NOSIGNAL) : 0;

            quiet = n > 0 ? 0 : quiet + 1;
            sent += n > 0 ? n : 0;
            if (n < 0)
                break;
        }
        now = netfix_counts(nf);
        assert_true(now.front.answer_bytes <= (2 << 20));
        close(up);
    }
    assert_true(netfix_counts(nf).front.closed[FRONT_CLOSED_UNREAD] > 0);
    close_all(fds, READERS);
    free(body);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_room__all_idle__the_longest_idle_goes),
        TEST(test_room__silent_from_the_beginning__goes_too),
        TEST(test_room__held_ones__are_never_closed_for_a_new_one),
        TEST(test_room__slow_requests__are_told_408_and_go),
        TEST(test_room__who_has_less_than_his_share__keeps_what_he_has),
        TEST(test_room__crowd_of_another_user__locks_nobody_out),
        TEST(test_room__bodies_without_an_end__of_one_user_take_half),
        TEST(test_room__lingering_ones__count_and_go_first),
        cmocka_unit_test_setup_teardown(test_room__answers_that_nobody_takes__are_cut_when_they_are_too_many,
                                        start_small_memory, stop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
