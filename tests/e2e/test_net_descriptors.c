/* What net/ does when the process has no descriptor left: nobody is lost, and nothing spins. */
#include "net_fixture.h"

#include <setjmp.h>
#include <stdarg.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define HOST "Host: x\r\n"
#define POST "POST /pass HTTP/1.1\r\n" HOST "Content-Length: 4\r\n\r\nbody"
#define OK   "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

enum { FEW = 600 };

static int taken[FEW];
static int taken_n;
static struct rlimit usual;

/* Takes every descriptor that this process may still have. */
static void starve(void)
{
    struct rlimit few;
    int fd;

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &usual), 0);
    few = (struct rlimit){FEW, usual.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    while ((fd = dup(STDIN_FILENO)) >= 0)
        taken[taken_n++] = fd;
    assert_int_equal(errno, EMFILE);
}

static void feed(void)
{
    while (taken_n)
        close(taken[--taken_n]);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &usual), 0);
}

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

static void expect(int fd, const char *status_line, const char *body)
{
    char head[4096], got[64];

    sock_read_until(fd, head, sizeof head, "\r\n\r\n");
    assert_memory_equal(head, status_line, strlen(status_line));
    got[sock_read_exactly(fd, got, strlen(body))] = '\0';
    assert_string_equal(got, body);
}

static void test_starved__call_to_the_provider__waits_for_a_descriptor(void **state)
{
    struct netfix *nf = *state;
    int fd = sock_connect(netfix_port(nf)), up;
    struct netfix_counts counts;
    char head[4096];

    sock_send_str(fd, "GET /local HTTP/1.1\r\n" HOST "\r\n");
    expect(fd, "HTTP/1.1 200 OK\r\n", "local\n"); /* the connection is accepted */
    starve();
    sock_send_str(fd, POST);
    netfix_wait_waiting(nf, 1);
    feed();
    up = sock_accept(nf);
    sock_read_until(up, head, sizeof head, "body");
    sock_send_str(up, OK);
    expect(fd, "HTTP/1.1 200 OK\r\n", "ok");
    counts = netfix_counts(nf);
    assert_true(counts.pool.started >= 2 && counts.pool.started < 50);
    assert_int_equal(counts.pool.active + counts.pool.waiting, 0);
    close(fd);
    close(up);
}

static void test_starved__call_that_waits_and_leaves__is_gone(void **state)
{
    struct netfix *nf = *state;
    int fd = sock_connect(netfix_port(nf));

    sock_send_str(fd, "GET /local HTTP/1.1\r\n" HOST "\r\n");
    expect(fd, "HTTP/1.1 200 OK\r\n", "local\n");
    starve();
    sock_send_str(fd, POST);
    netfix_wait_waiting(nf, 1);
    close(fd);
    netfix_wait_idle(nf);
    feed();
}

static void test_starved__new_client__waits_without_keeping_the_loop_busy(void **state)
{
    struct netfix *nf = *state;
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct pollfd answer = {.fd = fd, .events = POLLIN};
    uint64_t before;

    to.sin_port = htons((uint16_t)netfix_port(nf));
    starve();
    before = netfix_counts(nf).wakeups;
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    sock_send_str(fd, "GET /local HTTP/1.1\r\n" HOST "\r\n");
    assert_int_equal(poll(&answer, 1, 250), 0); /* nobody takes it */
    assert_true(netfix_counts(nf).wakeups - before < 15);
    feed();
    expect(fd, "HTTP/1.1 200 OK\r\n", "local\n");
    close(fd);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_starved__call_to_the_provider__waits_for_a_descriptor),
        TEST(test_starved__call_that_waits_and_leaves__is_gone),
        TEST(test_starved__new_client__waits_without_keeping_the_loop_busy),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
