#include "metergate/net/listener.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void test_address__text__is_read_and_written_back(void **state)
{
    static const struct {
        const char *text, *back;
        bool loopback;
        int port;
    } rows[] = {
        {"127.0.0.1:4283", "127.0.0.1:4283", true, 4283},
        {"127.8.9.1:0", "127.8.9.1:0", true, 0},
        {"0.0.0.0:80", "0.0.0.0:80", false, 80},
        {"[::1]:4283", "[::1]:4283", true, 4283},
        {"[::]:65535", "[::]:65535", false, 65535},
        {"[::ffff:127.0.0.1]:1", "[::ffff:127.0.0.1]:1", true, 1},
        {"[::ffff:10.0.0.1]:1", "[::ffff:10.0.0.1]:1", false, 1},
        {"unix:/run/x.sock", "unix:/run/x.sock", true, 0},
    };
    struct net_addr a;

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++) {
        assert_int_equal(net_addr_parse(slice_str(rows[i].text), &a), 0);
        assert_string_equal(net_addr_format(&a).text, rows[i].back);
        assert_int_equal(net_addr_is_loopback(&a), rows[i].loopback);
        assert_int_equal(net_addr_port(&a), rows[i].port);
    }
    a.len = 0;
    assert_string_equal(net_addr_format(&a).text, "unknown");
    assert_false(net_addr_is_loopback(&a));
}

static void test_address__nonsense__is_refused(void **state)
{
    static const char *const rows[] = {
        "",           "127.0.0.1",     "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1",
        "127.0.0:80", "localhost:1",   "::1:80",     "[::1]",           "[::1]80",
        "[::1:80",    "1.2.3.4.5:6",   ":80",        "[127.0.0.1]:80",  "127.0.0.1:80 ",
        "unix:",      "127.0.0.1 :80", "[]:80",
    };
    struct net_addr a;

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++)
        if (net_addr_parse(slice_str(rows[i]), &a) != -EINVAL)
            fail_msg("%s was taken", rows[i]);
}

static void test_listener__port_0__becomes_a_real_port(void **state)
{
    struct listener a, b;
    struct errbuf e;
    char text[64];

    (void)state;
    assert_int_equal(listener_open(&a, "127.0.0.1:0", 0600, &e), 0);
    assert_true(net_addr_port(&a.addr) > 0);
    snprintf(text, sizeof text, "127.0.0.1:%d", net_addr_port(&a.addr));
    assert_int_equal(listener_open(&b, text, 0600, &e), -EADDRINUSE);
    assert_non_null(strstr(e.text, text));
    listener_release(&a);
    assert_int_equal(a.fd, -1);
    assert_int_equal(listener_open(&b, text, 0600, &e), 0); /* free again */
    listener_release(&b);
    assert_int_equal(listener_open(&b, "nonsense", 0600, &e), -EINVAL);
    assert_non_null(strstr(e.text, "nonsense"));
}

static void test_listener__unix_socket__has_its_mode_and_replaces_a_dead_one(void **state)
{
    char dir[] = "/tmp/metergate-test-XXXXXX", text[64];
    struct listener a, b;
    struct errbuf e;
    struct stat st;

    (void)state;
    assert_non_null(mkdtemp(dir));
    snprintf(text, sizeof text, "unix:%s/s", dir);
    assert_int_equal(listener_open(&a, text, 0600, &e), 0);
    assert_int_equal(stat(text + 5, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(listener_open(&b, text, 0600, &e), -EADDRINUSE); /* somebody answers on it */
    close(a.fd);                                                      /* as a crash would leave it */
    assert_int_equal(listener_open(&b, text, 0660, &e), 0);
    assert_int_equal(stat(text + 5, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0660);
    listener_release(&b);
    assert_int_equal(access(text + 5, F_OK), -1);
    assert_int_equal(rmdir(dir), 0);
}

static void test_listener__file_that_is_no_socket__is_left_alone(void **state)
{
    char path[] = "/tmp/metergate-test-XXXXXX", text[64];
    struct listener a;
    struct errbuf e;
    int fd = mkstemp(path);

    (void)state;
    close(fd);
    snprintf(text, sizeof text, "unix:%s", path);
    assert_int_equal(listener_open(&a, text, 0600, &e), -EADDRINUSE);
    assert_int_equal(unlink(path), 0);
}

static void test_listener__adopted__is_made_non_blocking_and_knows_its_address(void **state)
{
    struct listener a, b;
    struct errbuf e;

    (void)state;
    assert_int_equal(listener_open(&a, "127.0.0.1:0", 0600, &e), 0);
    assert_int_equal(fcntl(a.fd, F_SETFL, 0), 0);
    assert_int_equal(fcntl(a.fd, F_SETFD, 0), 0);
    assert_int_equal(listener_adopt(&b, a.fd, &e), 0);
    assert_int_equal(net_addr_port(&b.addr), net_addr_port(&a.addr));
    assert_true(fcntl(b.fd, F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(b.fd, F_GETFD) & FD_CLOEXEC);
    listener_release(&b);
    assert_int_equal(listener_adopt(&b, 0, &e), -ENOTSOCK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_address__text__is_read_and_written_back),
        cmocka_unit_test(test_address__nonsense__is_refused),
        cmocka_unit_test(test_listener__port_0__becomes_a_real_port),
        cmocka_unit_test(test_listener__unix_socket__has_its_mode_and_replaces_a_dead_one),
        cmocka_unit_test(test_listener__file_that_is_no_socket__is_left_alone),
        cmocka_unit_test(test_listener__adopted__is_made_non_blocking_and_knows_its_address),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
