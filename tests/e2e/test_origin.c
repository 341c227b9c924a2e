/*
 * origin: programs and units that say no name are clients of their own. The programs are this driver, run again under another
 * argument vector: with ORIGIN_ASK in its environment it makes one request and prints the client that the answer names.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fixture.h"
#include "metergate/base/cgroup.h"
#include "metergate/base/unit.h"
#include "metergate/base/user.h"
#include "metergate/net/listener.h"

#define CHAT "{\"model\":\"gpt-4o\",\"max_tokens\":5,\"messages\":[{\"role\":\"user\",\"content\":\"hello\"}]}"
#define LEASE "{\"model\":\"gpt-4o\",\"tokens\":10}"
#define UPSTREAMS "upstreams:\n  openai: {base_url: $SIMULATOR/v1}\n"

/* ---- the program ---- */

static int connect_to(const char *address)
{
    struct net_addr to;
    int fd;

    if (net_addr_parse(slice_str(address), &to) < 0)
        return -1;
    fd = socket(to.sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return fd >= 0 && connect(fd, (struct sockaddr *)&to.sa, to.len) == 0 ? fd : -1;
}

/* Prints what follows "Metergate-Client: " in the answer, or "none". */
static int be_a_program(const char *address)
{
    const char *path = getenv("ORIGIN_PATH"), *body = getenv("ORIGIN_BODY"), *name;
    int fd = connect_to(address);
    struct buf text;
    char piece[4096];
    ssize_t n;

    if (fd < 0 || !path || !body)
        return 1;
    buf_init(&text, BUF_UNLIMITED);
    buf_addf(&text, "%s %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
             *body ? "POST" : "GET", path, strlen(body), body);
    if (send(fd, text.p, text.n, 0) != (ssize_t)text.n)
        return 1;
    buf_reset(&text);
    while ((n = recv(fd, piece, sizeof piece, 0)) > 0)
        buf_add(&text, piece, (size_t)n);
    name = text.p ? strcasestr(text.p, "\nMetergate-Client: ") : NULL;
    name = name ? name + strlen("\nMetergate-Client: ") : text.p && strncmp(text.p, "HTTP/1.1 401", 12) == 0 ? "401" : "none";
    printf("%.*s\n", (int)strcspn(name, "\r\n"), name);
    buf_release(&text);
    close(fd);
    return 0;
}

/* Runs `argv` (this driver, under its names) in that control group (NULL: in ours); what it prints. */
static void run(const char *const *argv, const char *group, char *ret, size_t size)
{
    int out[2], status;
    ssize_t n = 0, more;
    pid_t pid;

    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    pid = fork();
    if (pid == 0) {
        FILE *procs = group ? fopen(group, "we") : NULL;

        if (group && (!procs || fprintf(procs, "%d\n", (int)getpid()) < 0 || fclose(procs) != 0))
            _exit(1);
        if (dup2(out[1], STDOUT_FILENO) < 0)
            _exit(1);
        execv("/proc/self/exe", (char *const *)(void *)argv);
        _exit(1);
    }
    close(out[1]);
    while ((more = read(out[0], ret + n, size - 1 - (size_t)n)) > 0)
        n += more;
    ret[n] = '\0';
    close(out[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    ret[strcspn(ret, "\n")] = '\0';
}

/* ---- what is expected ---- */

static char user[USER_NAME_SIZE];

static const char *const nightly[] = {"/usr/bin/python3", "-u", "/srv/nightly.py", NULL};
static const char *const report[] = {"report", "--all", NULL};

static int find_user(void **state)
{
    (void)state;
    if (user_name(geteuid(), user) < 0)
        snprintf(user, sizeof user, "uid-%u", (unsigned)geteuid());
    return 0;
}

/* Where the tests are a unit or a container themselves, so are all programs that they start. */
static void skip_in_a_unit(void)
{
    char path[CGROUP_PATH_SIZE];
    struct unit u;

    if (cgroup_of_process(getpid(), path) < 0)
        return;
    u = unit_of_cgroup(slice_str(path));
    if (u.name[0] && !u.is_general) {
        print_message("these tests run as unit %s: programs are not told apart in it\n", u.name);
        skip();
    }
}

static void ask_for(const char *address, const char *path, const char *body)
{
    setenv("ORIGIN_ASK", address, 1);
    setenv("ORIGIN_PATH", path, 1);
    setenv("ORIGIN_BODY", body, 1);
}

static void ask_daemon(const struct fixture *f, const char *path, const char *body)
{
    char address[32];

    snprintf(address, sizeof address, "127.0.0.1:%d", f->port);
    ask_for(address, path, body);
}

static void assert_client(const char *const *argv, const char *group, const char *of_user, const char *want)
{
    char got[256], name[256];

    snprintf(name, sizeof name, "%s%s%s", of_user, of_user[0] && want[0] ? "." : "", want);
    run(argv, group, got, sizeof got);
    assert_string_equal(got, name);
}

/* ---- programs ---- */

static void test_programs__of_one_user__are_clients_of_their_own(void **state)
{
    struct fixture f;
    cJSON *status;
    char *text;

    (void)state;
    skip_in_a_unit();
    fixture_start(&f, NULL, UPSTREAMS);
    ask_daemon(&f, "/v1/chat/completions", CHAT);
    assert_client(nightly, NULL, user, "nightly.py");
    assert_client(report, NULL, user, "report");
    assert_client(nightly, NULL, user, "nightly.py");
    ask_daemon(&f, "/@named/v1/chat/completions", CHAT);
    assert_client(nightly, NULL, "", "named");
    status = fixture_status(&f);
    text = cJSON_PrintUnformatted(status);
    assert_non_null(strstr(text, ".nightly.py\""));
    assert_non_null(strstr(text, ".report\""));
    free(text);
    cJSON_Delete(status);
    fixture_assert_idle(&f);
    fixture_stop(&f);
}

static void test_programs__that_reserve__are_named_too(void **state)
{
    struct fixture f;

    (void)state;
    skip_in_a_unit();
    fixture_start(&f, NULL, UPSTREAMS "models:\n  gpt-4o: {tpm: 100000}\n");
    ask_daemon(&f, "/-/reserve", LEASE);
    assert_client(nightly, NULL, user, "nightly.py");
    ask_daemon(&f, "/-/estimate", CHAT);
    assert_client(report, NULL, "", "none"); /* its answer names nobody; it was one */
    fixture_stop(&f);
}

/* Nothing waits for what would have to be searched for. */
static void test_programs__whose_calls_pass_through__are_their_user(void **state)
{
    struct fixture f;

    (void)state;
    skip_in_a_unit();
    fixture_start(&f, NULL, UPSTREAMS);
    ask_daemon(&f, "/v1/models", "");
    assert_client(nightly, NULL, user, "");
    fixture_assert_idle(&f);
    fixture_stop(&f);
}

static void test_programs__over_a_unix_socket__are_named_too(void **state)
{
    struct fixture f = {0};
    char address[128];

    (void)state;
    skip_in_a_unit();
    fixture_start(&f, NULL, "listen: [\"127.0.0.1:0\", \"unix:$DIR/s\"]\n" UPSTREAMS);
    snprintf(address, sizeof address, "unix:%s/s", f.dir);
    ask_for(address, "/v1/chat/completions", CHAT);
    assert_client(nightly, NULL, user, "nightly.py");
    fixture_stop(&f);
}

static void test_programs__that_the_configuration_knows__are_these_clients(void **state)
{
    struct fixture f;
    char yaml[512];

    (void)state;
    skip_in_a_unit();
    snprintf(yaml, sizeof yaml, UPSTREAMS "clients:\n  %s: {priority: low}\n  nightly.py: {max_wait: 2h}\n", user);
    fixture_start(&f, NULL, yaml);
    ask_daemon(&f, "/v1/chat/completions", CHAT);
    assert_client(nightly, NULL, "", "nightly.py");
    assert_client(report, NULL, user, ""); /* what a user may holds for all that he starts */
    fixture_stop(&f);

    setenv("ORIGIN_TOKEN", "planted-token-0123456789", 1);
    snprintf(yaml, sizeof yaml, UPSTREAMS "clients:\n  %s: {token: {env: ORIGIN_TOKEN}}\n  report: {}\n", user);
    fixture_start(&f, NULL, yaml);
    ask_daemon(&f, "/v1/chat/completions", CHAT);
    assert_client(report, NULL, "", "report");
    assert_client(nightly, NULL, "", "401"); /* its user's, who wants a token */
    fixture_stop(&f);
}

/* ---- units ---- */

/* A control group of that name, "" when this machine lets us make none; the file that takes processes in. */
static void make_group(const char *name, char dir[CGROUP_PATH_SIZE], char procs[CGROUP_PATH_SIZE])
{
    char mount[CGROUP_PATH_SIZE / 2];
    char root[CGROUP_PATH_SIZE];

    dir[0] = '\0';
    if (cgroup_mount(root) < 0 || strlen(root) >= sizeof mount)
        return;
    memcpy(mount, root, strlen(root) + 1);
    snprintf(dir, CGROUP_PATH_SIZE, "%s/%s", mount, name);
    snprintf(procs, CGROUP_PATH_SIZE, "%s/%s/cgroup.procs", mount, name);
    if ((mkdir(dir, 0755) < 0 && errno != EEXIST) || access(procs, W_OK) < 0)
        dir[0] = '\0';
}

static void test_units__two_of_one_user__are_two_clients(void **state)
{
    char one[CGROUP_PATH_SIZE], two[CGROUP_PATH_SIZE], into_one[CGROUP_PATH_SIZE], into_two[CGROUP_PATH_SIZE];
    struct fixture f;

    (void)state;
    make_group("metergate-test-one.service", one, into_one);
    make_group("metergate-test-two.service", two, into_two);
    if (!one[0] || !two[0]) {
        print_message("no control groups of version 2 can be made here\n");
        skip();
    }
    fixture_start(&f, NULL, UPSTREAMS);
    ask_daemon(&f, "/v1/chat/completions", CHAT);
    assert_client(nightly, into_one, user, "metergate-test-one");
    assert_client(nightly, into_two, user, "metergate-test-two");
    assert_client(report, into_one, user, "metergate-test-one");
    ask_daemon(&f, "/v1/models", ""); /* known by now: also what passes through is the unit's */
    assert_client(report, into_one, user, "metergate-test-one");
    fixture_stop(&f);
    assert_int_equal(rmdir(one), 0);
    assert_int_equal(rmdir(two), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_programs__of_one_user__are_clients_of_their_own),
        cmocka_unit_test(test_programs__that_reserve__are_named_too),
        cmocka_unit_test(test_programs__whose_calls_pass_through__are_their_user),
        cmocka_unit_test(test_programs__over_a_unix_socket__are_named_too),
        cmocka_unit_test(test_programs__that_the_configuration_knows__are_these_clients),
        cmocka_unit_test(test_units__two_of_one_user__are_two_clients),
    };
    const char *ask = getenv("ORIGIN_ASK");

    if (ask)
        return be_a_program(ask);
    return cmocka_run_group_tests(tests, find_user, NULL);
}
