/* peer: the kernel's answer for real connections, and no answer where it would be about somebody else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "metergate/net/peer.h"

#define SOMEBODY 12345 /* a user's number; nobody needs to have it */

/* A connection to a listener of ours. */
struct link {
    struct listener ln;
    int near, far; /* accepted; connected, -1 when another process has it */
    struct net_addr peer, local;
};

/* `from` NULL: from where the system likes. */
static int connect_from(const struct net_addr *from, const struct net_addr *to)
{
    int fd = socket(to->sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    while (fd >= 0 && from && bind(fd, (const struct sockaddr *)&from->sa, from->len) < 0)
        assert_int_equal(errno, EADDRINUSE); /* the kernel frees a port a moment after its last socket */
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&to->sa, to->len) < 0) {
        close(fd);
        fd = -1;
    }
    return fd;
}

static int connect_to(const struct net_addr *to)
{
    return connect_from(NULL, to);
}

static void take_in(struct link *l)
{
    l->peer.len = sizeof l->peer.sa;
    l->local.len = sizeof l->local.sa;
    do /* the listener does not block */
        l->near = accept(l->ln.fd, (struct sockaddr *)&l->peer.sa, &l->peer.len);
    while (l->near < 0 && errno == EAGAIN);
    assert_true(l->near >= 0);
    assert_int_equal(getsockname(l->near, (struct sockaddr *)&l->local.sa, &l->local.len), 0);
}

/* False when the machine does not have that address. */
static bool open_link(struct link *l, const char *address, const struct net_addr *to)
{
    struct errbuf e;

    *l = (struct link){.near = -1, .far = -1};
    if (listener_open(&l->ln, address, 0600, &e) < 0)
        return false;
    l->far = connect_to(to ? to : &l->ln.addr);
    assert_true(l->far >= 0);
    take_in(l);
    return true;
}

static void close_link(struct link *l)
{
    close(l->near);
    if (l->far >= 0)
        close(l->far);
    listener_release(&l->ln);
}

static int look(const struct link *l, struct peer *ret)
{
    return peer_look(l->near, &l->peer, &l->local, ret);
}

static int ask(const struct link *l, uid_t *ret)
{
    struct peer who;
    int rc = look(l, &who);

    if (rc == 0)
        *ret = who.uid;
    return rc;
}

static void assert_is_us(const char *address)
{
    struct link l;
    uid_t uid = SOMEBODY;

    if (!open_link(&l, address, NULL)) {
        print_message("this machine has no %s\n", address);
        return;
    }
    assert_int_equal(ask(&l, &uid), 0);
    assert_int_equal(uid, geteuid());
    close_link(&l);
}

static void test_peer__over_every_kind_of_socket__is_this_user(void **state)
{
    char dir[] = "/tmp/metergate-peer-XXXXXX", path[64];

    (void)state;
    assert_is_us("127.0.0.1:0");
    assert_is_us("[::1]:0");
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "unix:%s/s", dir);
    assert_is_us(path);
    assert_int_equal(rmdir(dir), 0);
}

/* What its programs are found by: the number of the far end, as fstat has it, and where in the control groups it was made. */
static void test_peer__over_tcp__has_the_inode_and_the_cgroup_of_his_socket(void **state)
{
    struct peer who, other;
    struct link l, m;
    struct stat st;

    (void)state;
    assert_true(open_link(&l, "127.0.0.1:0", NULL));
    assert_true(open_link(&m, "127.0.0.1:0", NULL));
    assert_int_equal(look(&l, &who), 0);
    assert_int_equal(look(&m, &other), 0);
    assert_int_equal(fstat(l.far, &st), 0);
    assert_int_equal(who.inode, st.st_ino);
    assert_int_not_equal(who.inode, other.inode);
    assert_int_equal(who.pid, 0);
    assert_true(who.cgroup == other.cgroup);
    if (who.cgroup == 0)
        print_message("this kernel does not tell the control group of a socket\n");
    close_link(&l);
    close_link(&m);
}

static void test_peer__over_a_unix_socket__has_a_process(void **state)
{
    char dir[] = "/tmp/metergate-peer-XXXXXX", path[64];
    struct peer who;
    struct link l;

    (void)state;
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "unix:%s/s", dir);
    assert_true(open_link(&l, path, NULL));
    assert_int_equal(look(&l, &who), 0);
    assert_int_equal(who.pid, getpid());
    assert_int_equal(who.inode, 0);
    close_link(&l);
    assert_int_equal(rmdir(dir), 0);
}

/* A socket from systemd may take both families: the client's own is an IPv4 one. */
static void test_peer__of_a_socket_for_both_families__is_this_user(void **state)
{
    struct sockaddr_in6 any = {.sin6_family = AF_INET6};
    socklen_t n = sizeof any;
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0), off = 0;
    uid_t uid = SOMEBODY;
    struct link l = {.near = -1};
    struct net_addr to;
    char text[32];
    struct errbuf e;

    (void)state;
    if (fd < 0 || setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off) < 0 ||
        bind(fd, (struct sockaddr *)&any, sizeof any) < 0 || listen(fd, 1) < 0)
        skip();
    assert_int_equal(getsockname(fd, (struct sockaddr *)&any, &n), 0);
    assert_int_equal(listener_adopt(&l.ln, fd, &e), 0);
    snprintf(text, sizeof text, "127.0.0.1:%d", net_addr_port(&l.ln.addr));
    assert_int_equal(net_addr_parse(slice_str(text), &to), 0);
    l.far = connect_to(&to);
    assert_true(l.far >= 0);
    take_in(&l);
    assert_int_equal(l.local.sa.ss_family, AF_INET6);
    assert_int_equal(ask(&l, &uid), 0);
    assert_int_equal(uid, geteuid());
    close_link(&l);
}

/* The kernel says user 0 of a socket that its process has closed: root must not be taken for it. */
static void test_peer__who_has_closed__is_nobody(void **state)
{
    struct linger at_once = {1, 0};
    struct link l;
    uid_t uid = SOMEBODY;

    (void)state;
    assert_true(open_link(&l, "127.0.0.1:0", NULL));
    close(l.far);
    l.far = -1;
    assert_int_equal(ask(&l, &uid), -ENOENT);
    close_link(&l);

    assert_true(open_link(&l, "127.0.0.1:0", NULL));
    assert_int_equal(setsockopt(l.far, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once), 0);
    close(l.far); /* a reset */
    l.far = -1;
    assert_int_equal(ask(&l, &uid), -ENOENT);
    l.far = connect_from(&l.peer, &l.ln.addr); /* a successor with the same addresses */
    assert_true(l.far >= 0);
    assert_int_equal(ask(&l, &uid), -ENOENT);
    assert_int_equal(uid, SOMEBODY);
    close_link(&l);
}

static void test_peer__who_has_closed_his_sending_side__is_still_known(void **state)
{
    struct link l;
    uid_t uid = SOMEBODY;

    (void)state;
    assert_true(open_link(&l, "127.0.0.1:0", NULL));
    assert_int_equal(shutdown(l.far, SHUT_WR), 0);
    assert_int_equal(ask(&l, &uid), 0);
    assert_int_equal(uid, geteuid());
    close_link(&l);
}

/* A listener on the port that the peer had is not the peer. */
static void test_peer__whose_port_is_a_listeners_now__is_nobody(void **state)
{
    struct listener other;
    struct link l;
    struct errbuf e;
    uid_t uid;

    (void)state;
    assert_true(open_link(&l, "127.0.0.1:0", NULL));
    assert_int_equal(listener_open(&other, "127.0.0.1:0", 0600, &e), 0);
    ((struct sockaddr_in *)&l.peer.sa)->sin_port = htons((uint16_t)net_addr_port(&other.addr));
    assert_int_equal(ask(&l, &uid), -ENOENT);
    listener_release(&other);
    close_link(&l);
}

static void test_peer__an_address_of_another_machine__is_nobody(void **state)
{
    struct net_addr elsewhere;
    struct link l;
    struct peer who;

    (void)state;
    assert_true(open_link(&l, "127.0.0.1:0", NULL));
    assert_int_equal(net_addr_parse(SLICE("192.0.2.1:5555"), &elsewhere), 0);
    assert_int_equal(peer_look(l.near, &elsewhere, &l.local, &who), -ENOENT);
    elsewhere.len = 0;
    assert_int_equal(peer_look(l.near, &elsewhere, &l.local, &who), -ENOENT);
    close_link(&l);
}

/* Who made the socket, not who owns the listener. */
static void test_peer__another_user__is_that_user(void **state)
{
    struct link l = {.far = -1};
    struct errbuf e;
    uid_t uid = 0;
    pid_t pid;
    int hold[2], status;

    (void)state;
    if (geteuid() != 0)
        skip();
    assert_int_equal(listener_open(&l.ln, "127.0.0.1:0", 0600, &e), 0);
    assert_int_equal(pipe(hold), 0);
    pid = fork();
    if (pid == 0) {
        char c;

        close(hold[1]);
        if (setuid(SOMEBODY) < 0 || connect_to(&l.ln.addr) < 0)
            _exit(1);
        _exit(read(hold[0], &c, 1) == 0 ? 0 : 1); /* the parent is done */
    }
    close(hold[0]);
    take_in(&l);
    assert_int_equal(ask(&l, &uid), 0);
    assert_int_equal(uid, SOMEBODY);
    close(hold[1]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    close_link(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_peer__over_every_kind_of_socket__is_this_user),
        cmocka_unit_test(test_peer__over_tcp__has_the_inode_and_the_cgroup_of_his_socket),
        cmocka_unit_test(test_peer__over_a_unix_socket__has_a_process),
        cmocka_unit_test(test_peer__of_a_socket_for_both_families__is_this_user),
        cmocka_unit_test(test_peer__who_has_closed__is_nobody),
        cmocka_unit_test(test_peer__who_has_closed_his_sending_side__is_still_known),
        cmocka_unit_test(test_peer__whose_port_is_a_listeners_now__is_nobody),
        cmocka_unit_test(test_peer__an_address_of_another_machine__is_nobody),
        cmocka_unit_test(test_peer__another_user__is_that_user),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
