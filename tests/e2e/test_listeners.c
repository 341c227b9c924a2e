/* listeners: where the daemon answers, and what a service manager may hand it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <arpa/inet.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sysexits.h>
#include <unistd.h>

#include "fixture.h"
#include "handover.h"
#include "metergate/base/user.h"
#include "metergate/net/listener.h"
#include "tool_fixture.h"

#define TOKEN "a-token-for-other-machines"

/* argv: alone PROGRAM ARGUMENT...: in a network of its own, whose loopback is down: it has no ::1 */
static int alone(char **argv)
{
    if (unshare(CLONE_NEWNET) < 0)
        return 77;
    execv(argv[2], argv + 2);
    return 127;
}

/* ---- sockets ---- */

static struct net_addr address_of(int fd)
{
    struct net_addr a = {.len = sizeof a.sa};

    assert_int_equal(getsockname(fd, (struct sockaddr *)&a.sa, &a.len), 0);
    return a;
}

/* The answer to a GET at that address, whole; empty when nobody listens there. Free it. */
static char *get(const struct net_addr *to, const char *path, const char *host, const char *header)
{
    int fd = socket(to->sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct buf request, answer;

    buf_init(&request, BUF_UNLIMITED);
    buf_init(&answer, BUF_UNLIMITED);
    assert_true(fd >= 0);
    if (connect(fd, (const struct sockaddr *)&to->sa, to->len) == 0) {
        buf_addf(&request, "GET %s HTTP/1.1\r\nHost: %s\r\n%s%sConnection: close\r\n\r\n", path, host, header,
                 header[0] ? "\r\n" : "");
        raw_send(fd, request.p, request.n);
        assert_true(raw_read(fd, &answer, NULL, FIXTURE_TIMEOUT_MS) >= 0);
    }
    close(fd);
    buf_release(&request);
    return buf_take(&answer, NULL);
}

/* "200" and the like; "" when nobody listens there. */
static void expect(const struct net_addr *to, const char *path, const char *host, const char *header,
                   const char *status)
{
    char *answer = get(to, path, host, header);
    bool good =
        status[0] ? strstr(answer, "HTTP/1.1 ") == answer && strncmp(answer + 9, status, 3) == 0 : !answer[0];

    if (!good)
        fail_msg("%s of %s at %s: got\n%s\nwant %s", path, host, net_addr_format(to).text, answer, status);
    free(answer);
}

static struct net_addr parse(const char *text)
{
    struct net_addr a;

    assert_int_equal(net_addr_parse(slice_str(text), &a), 0);
    return a;
}

static void new_fixture(struct fixture *f, const char *yaml)
{
    *f = (struct fixture){0};
    fixture_write_config(f, yaml);
}

static void run_daemon(struct fixture *f)
{
    f->daemon = process_start((const char *const[]){program_path("metergated"), "-c", f->config, NULL});
    fixture_wait_log(f, 0, "ready, listening on");
    fixture_wait_log(f, 0, "\n");
}

/* Where it said that it listens, the first address of that kind. */
static struct net_addr heard_at(struct fixture *f, const char *prefix)
{
    char *log = process_log(f->daemon),
         *at = strstr(strstr(log, "listening on ") + strlen("listening on "), prefix);
    struct net_addr a;

    assert_non_null(at);
    at[strcspn(at, ", \n")] = '\0';
    a = parse(at);
    free(log);
    return a;
}

/* It ends with that status, and says so. */
static void expect_end(struct fixture *f, int status, const char *sentence)
{
    int got = process_wait_exit(f->daemon, FIXTURE_TIMEOUT_MS);

    if (got != status || !process_wait_log(f->daemon, 0, sentence, FIXTURE_TIMEOUT_MS)) {
        char *log = process_log(f->daemon);

        fail_msg("ended with %d, want %d and %s\n%s", got, status, sentence, log);
        free(log);
    }
    process_free(f->daemon);
    f->daemon = NULL;
}

/* ---- addresses of the configuration ---- */

static void test_listen__ipv4_ipv6_and_unix__all_answer(void **state)
{
    int v6 = handover_listening("[::1]:0");
    struct net_addr where;
    struct fixture f;
    struct stat st;
    char path[96];

    (void)state;
    umask(0); /* the mode must not depend on it */
    new_fixture(&f, v6 < 0 ? "listen: [\"127.0.0.1:0\", \"unix:$DIR/s\"]\n"
                           : "listen: [\"127.0.0.1:0\", \"[::1]:0\", \"unix:$DIR/s\"]\n");
    run_daemon(&f);
    umask(077);
    where = heard_at(&f, "127.0.0.1:");
    expect(&where, "/healthz", "127.0.0.1", "", "200");
    if (v6 >= 0) {
        where = heard_at(&f, "[::1]:");
        expect(&where, "/healthz", "[::1]:4283", "", "200");
        close(v6);
    }
    snprintf(path, sizeof path, "unix:%s/s", f.dir);
    where = parse(path);
    expect(&where, "/-/status", "localhost", "", "200");
    assert_int_equal(stat(path + 5, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    fixture_stop_daemon(&f);
    assert_int_equal(access(path + 5, F_OK), -1);
    fixture_stop(&f);
}

static void test_listen__a_caller_over_unix__is_its_user(void **state)
{
    char name[USER_NAME_SIZE], path[96], header[128], *answer;
    struct net_addr where;
    struct fixture f;

    (void)state;
    if (user_name(geteuid(), name) < 0)
        snprintf(name, sizeof name, "uid-%u", (unsigned)geteuid());
    new_fixture(&f, "listen: [\"unix:$DIR/s\"]\nupstreams:\n  openai: {base_url: \"http://127.0.0.1:1/v1\", "
                    "retry: {for: []}}\n");
    run_daemon(&f);
    snprintf(path, sizeof path, "unix:%s/s", f.dir);
    where = parse(path);
    free(get(&where, "/v1/models", "localhost", ""));
    snprintf(header, sizeof header, "client=%s ", name);
    fixture_wait_log(&f, 0, header);
    answer = get(&where, "/-/status", "localhost", "");
    snprintf(header, sizeof header, "\"name\":\"%s\"", name);
    assert_non_null(strstr(answer, header));
    free(answer);
    fixture_stop(&f);
}

/* An address of this machine that others could reach, with port 0; false when it has none. */
static bool outer_address(char *text, size_t size)
{
    struct ifaddrs *all, *a;
    bool found = false;

    assert_int_equal(getifaddrs(&all), 0);
    for (a = all; a && !found; a = a->ifa_next) {
        char host[INET6_ADDRSTRLEN];

        if (!a->ifa_addr || (a->ifa_flags & IFF_LOOPBACK))
            continue;
        if (a->ifa_addr->sa_family == AF_INET) {
            inet_ntop(AF_INET, &((struct sockaddr_in *)(void *)a->ifa_addr)->sin_addr, host, sizeof host);
            snprintf(text, size, "%s:0", host);
            found = true;
        } else if (a->ifa_addr->sa_family == AF_INET6) {
            const struct in6_addr *in6 = &((struct sockaddr_in6 *)(void *)a->ifa_addr)->sin6_addr;

            inet_ntop(AF_INET6, in6, host, sizeof host);
            snprintf(text, size, "[%s]:0", host);
            found = !IN6_IS_ADDR_LINKLOCAL(in6); /* those want an interface as well */
        }
    }
    freeifaddrs(all);
    return found;
}

#define WITH_TOKEN "clients:\n  require_token: true\n  ana: {token: {env: METERGATE_TEST_TOKEN}}\n"
#define SEND_TOKEN "Metergate-Token: " TOKEN

static void test_listen__for_other_machines__with_tokens(void **state)
{
    char text[80], yaml[400];
    struct net_addr_text host;
    struct net_addr where;
    struct fixture f;

    (void)state;
    setenv("METERGATE_TEST_TOKEN", TOKEN, 1);
    if (!outer_address(text, sizeof text))
        skip();
    snprintf(yaml, sizeof yaml, "listen: [\"%s\"]\n" WITH_TOKEN, text);
    new_fixture(&f, yaml);
    run_daemon(&f);
    where = heard_at(&f, text[0] == '[' ? "[" : "");
    host = net_addr_format(&where);
    expect(&where, "/healthz", host.text, "", "200");
    expect(&where, "/-/status", host.text, "", "401");
    expect(&where, "/-/status", host.text, SEND_TOKEN, "200");
    host.text[strlen(host.text) - 1] = '\0'; /* another port of the same host is ours as well */
    expect(&where, "/-/status", host.text, SEND_TOKEN, "200");
    expect(&where, "/-/status", "evil.example", SEND_TOKEN, "403");
    expect(&where, "/-/status", "192.0.2.9", SEND_TOKEN, "403");
    fixture_stop(&f);
}

static void test_listen__a_default_address_that_is_missing__is_a_warning(void **state)
{
    struct fixture f;

    (void)state;
    new_fixture(&f, "listen: [\"127.0.0.1:4283\", \"[::1]:4283\"]\n");
    f.daemon = process_start(
        (const char *const[]){"/proc/self/exe", "alone", program_path("metergated"), "-c", f.config, NULL});
    if (!process_wait_log(f.daemon, 0, "ready, listening on 127.0.0.1:4283\n", FIXTURE_TIMEOUT_MS)) {
        assert_int_equal(process_wait_exit(f.daemon, FIXTURE_TIMEOUT_MS),
                         77); /* only root has a network to give */
        process_free(f.daemon);
        f.daemon = NULL;
        fixture_stop(&f);
        skip();
    }
    fixture_wait_log(
        &f, 0, "warn  cannot listen on [::1]:4283: Cannot assign requested address; not listening there\n");
    fixture_stop(&f);
}

/* ---- keys that anybody could spend ---- */

static bool warns_of_the_key(const char *yaml)
{
    struct fixture f;
    bool warned;
    char *log;

    new_fixture(&f, yaml);
    run_daemon(&f);
    log = process_log(f.daemon);
    warned = strstr(log, "every local user can spend the api_key of upstream keyed through ") != NULL;
    assert_true(!warned || strstr(log, "clients.users: [NAME], or clients.require_token: true"));
    free(log);
    fixture_stop(&f);
    return warned;
}

#define KEYED                                                                                                \
    "upstreams:\n  keyed: {base_url: \"http://127.0.0.1:1\", api_key: {env: METERGATE_TEST_TOKEN}}\n"

static void test_key__that_every_user_can_spend__is_warned_of(void **state)
{
    (void)state;
    setenv("METERGATE_TEST_TOKEN", TOKEN, 1);
    assert_true(warns_of_the_key(KEYED));
    assert_false(warns_of_the_key("upstreams:\n  keyed: {base_url: \"http://127.0.0.1:1\"}\n"));
    assert_false(warns_of_the_key("listen: [\"unix:$DIR/s\"]\n" KEYED));
    assert_false(warns_of_the_key(KEYED "clients: {users: [root]}\n"));
    assert_false(warns_of_the_key(KEYED WITH_TOKEN));
}

/* ---- socket activation ---- */

static void test_activation__sockets_of_every_kind__take_the_place_of_listen(void **state)
{
    char path[96];
    struct net_addr tcp, local, listen_at;
    struct fixture f;
    int fds[2], own = handover_listening("127.0.0.1:0");
    char yaml[160];

    (void)state;
    listen_at = address_of(own);
    close(own); /* a port that is free now */
    snprintf(yaml, sizeof yaml, "listen: [\"%s\"]\n", net_addr_format(&listen_at).text);
    new_fixture(&f, yaml);
    snprintf(path, sizeof path, "unix:%s/handed", f.dir);
    fds[0] = handover_listening("127.0.0.1:0");
    fds[1] = handover_listening(path);
    tcp = address_of(fds[0]);
    local = address_of(fds[1]);
    handover_start(&f, fds, 2);
    fixture_wait_log(&f, 0, "ready, listening on 127.0.0.1:");
    fixture_wait_log(&f, 0, ", unix:");
    expect(&tcp, "/healthz", "localhost", "", "200");
    expect(&local, "/healthz", "localhost", "", "200");
    expect(&listen_at, "/healthz", "localhost", "", "");
    fixture_stop_daemon(&f);
    assert_int_equal(access(path + 5, F_OK), 0); /* it is the service manager's */
    close(fds[0]);
    close(fds[1]);
    fixture_stop(&f);
}

static void test_activation__for_another_process__is_left_alone(void **state)
{
    struct net_addr where, handed;
    struct fixture f;
    int fd = handover_listening("127.0.0.1:0");

    (void)state;
    handed = address_of(fd);
    new_fixture(&f, "");
    setenv("LISTEN_PID", "1", 1);
    handover_start(&f, &fd, 1);
    unsetenv("LISTEN_PID");
    fixture_wait_log(&f, 0, "ready, listening on 127.0.0.1:");
    fixture_wait_log(&f, 0, "\n");
    where = heard_at(&f, "127.0.0.1:");
    assert_int_not_equal(net_addr_port(&where), net_addr_port(&handed));
    expect(&where, "/healthz", "localhost", "", "200");
    close(fd);
    fixture_stop(&f);
}

static void test_activation__of_what_is_no_listening_socket__is_one_sentence_and_1(void **state)
{
    struct net_addr any = parse("127.0.0.1:0");
    struct fixture f;
    int fds[] = {socket(AF_INET, SOCK_DGRAM, 0), socket(AF_INET, SOCK_STREAM, 0), open("/dev/null", O_RDONLY),
                 socket(AF_UNIX, SOCK_SEQPACKET, 0)};
    struct sockaddr_un un = {.sun_family = AF_UNIX};

    (void)state;
    assert_int_equal(bind(fds[0], (struct sockaddr *)&any.sa, any.len), 0);
    assert_int_equal(bind(fds[1], (struct sockaddr *)&any.sa, any.len), 0);
    assert_int_equal(bind(fds[3], (struct sockaddr *)&un, sizeof un.sun_family),
                     0); /* a name of the kernel's choice */
    assert_int_equal(listen(fds[3], 1), 0);
    new_fixture(&f, "");
    for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++) {
        handover_start(&f, &fds[i], 1);
        expect_end(&f, EXIT_FAILURE,
                   i < 3 ? "error the service manager ($LISTEN_FDS) handed over what cannot be used: "
                           "descriptor 3 is not a "
                           "listening socket\n"
                         : "descriptor 3 is no TCP socket, nor a Unix socket for streams\n");
        close(fds[i]);
    }
    fixture_stop(&f);
}

static void test_activation__of_a_socket_for_other_machines__wants_tokens(void **state)
{
    struct net_addr where = parse("127.0.0.1:0");
    struct fixture f;
    int fd = handover_listening("0.0.0.0:0");

    (void)state;
    where = address_of(fd);
    ((struct sockaddr_in *)&where.sa)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setenv("METERGATE_TEST_TOKEN", TOKEN, 1);
    new_fixture(&f, "");
    handover_start(&f, &fd, 1);
    expect_end(&f, EXIT_FAILURE,
               "can be reached from other machines: that needs clients.require_token: true and tokens");
    fixture_write_config(&f, WITH_TOKEN);
    handover_start(&f, &fd, 1);
    fixture_wait_log(&f, 0, "ready, listening on 0.0.0.0:");
    expect(&where, "/-/status", "localhost", SEND_TOKEN, "200");
    expect(&where, "/-/status", "localhost", "", "401");
    close(fd);
    fixture_stop(&f);
}

static int all_tests(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_listen__ipv4_ipv6_and_unix__all_answer),
        cmocka_unit_test(test_listen__a_caller_over_unix__is_its_user),
        cmocka_unit_test(test_listen__for_other_machines__with_tokens),
        cmocka_unit_test(test_listen__a_default_address_that_is_missing__is_a_warning),
        cmocka_unit_test(test_key__that_every_user_can_spend__is_warned_of),
        cmocka_unit_test(test_activation__sockets_of_every_kind__take_the_place_of_listen),
        cmocka_unit_test(test_activation__for_another_process__is_left_alone),
        cmocka_unit_test(test_activation__of_what_is_no_listening_socket__is_one_sentence_and_1),
        cmocka_unit_test(test_activation__of_a_socket_for_other_machines__wants_tokens),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The program is also the launcher of its own tests. */
int main(int argc, char **argv)
{
    if (handover_is_launcher(argc, argv))
        return handover_launch(argv);
    if (argc > 2 && strcmp(argv[1], "alone") == 0)
        return alone(argv);
    return all_tests();
}
