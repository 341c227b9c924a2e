/* control: pause, resume, reload, by HTTP and by the metergate command: what they do, and who may. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cmocka.h>
#include <cjson/cJSON.h>

#include "fixture.h"
#include "metergate/base/slice.h"
#include "tool_fixture.h"

#define CHAT(text)                                                                                           \
    "{\"model\":\"gpt-4o\",\"max_tokens\":20,\"messages\":[{\"role\":\"user\",\"content\":\"" text "\"}]}"

static void assert_status(struct client_reply r, int status)
{
    if (r.status != status)
        fail_msg("%d instead of %d: %.*s", r.status, status, (int)r.body.n,
                 r.body.n ? r.body.p : r.error_text);
    client_reply_release(&r);
}

static void assert_flag(const struct fixture *f, const char *name, bool value)
{
    cJSON *status = fixture_status(f);

    assert_int_equal(cJSON_IsTrue(json_at(status, name)), value);
    cJSON_Delete(status);
}

static void test_pause__holds_everybody_until_resume(void **state)
{
    struct client_async *going, *held[3];
    struct fixture f;
    struct client_reply r;

    (void)state;
    fixture_start(&f, "{\"faults\":[{\"fault\":\"hold\",\"next\":1}]}", FIXTURE_UPSTREAM);
    going = fixture_chat_start(&f, CHAT("one"));
    fixture_sim_wait(&f, "held=1");
    assert_status(fixture_call(&f, "POST", "/-/pause", ""), 200);
    assert_flag(&f, "paused", true);
    for (int i = 0; i < 3; i++)
        held[i] = fixture_chat_start(&f, CHAT("two"));
    fixture_wait_status(&f, "budgets.0.held", 3);
    r = fixture_call(&f, "GET", "/metrics", NULL);
    assert_non_null(strstr(r.body.p, "\nmetergate_paused 1\n"));
    assert_non_null(strstr(r.body.p, "\nmetergate_held 3\n"));
    client_reply_release(&r);
    fixture_sim_post(&f, "/_sim/release", NULL);
    assert_status(client_finish(going), 200);                        /* what was in flight goes on */
    assert_status(fixture_call(&f, "GET", "/v1/models", NULL), 200); /* what passes through is not held */
    assert_status(fixture_call(&f, "POST", "/-/pause", ""), 200);    /* twice is once */
    fixture_wait_status(&f, "held", 3);
    r = fixture_call(&f, "POST", "/-/resume", "");
    assert_true(slice_eq(buf_slice(&r.body), SLICE("{\"paused\":false}\n")));
    client_reply_release(&r);
    for (int i = 0; i < 3; i++)
        assert_status(client_finish(held[i]), 200);
    assert_flag(&f, "paused", false);
    fixture_assert_idle(&f);
    fixture_stop(&f);
}

static void test_pause__deadlines_and_the_queues_bound_count_on(void **state)
{
    const char *const hurry[] = {"Metergate-Max-Wait: 300ms", NULL};
    struct client_async *held;
    struct client_reply r;
    struct fixture f;
    char url[128];
    struct client_call call = {.url = url, .headers = hurry, .body = CHAT("one")};

    (void)state;
    fixture_start(&f, NULL, FIXTURE_UPSTREAM "queue: {max_requests: 1}\n");
    snprintf(url, sizeof url, "%s/v1/chat/completions", f.url);
    assert_status(fixture_call(&f, "POST", "/-/pause", ""), 200);
    r = client_run(&call); /* nobody is refused early, and nobody is forgotten */
    assert_int_equal(r.status, 429);
    assert_string_equal(client_header(&r, "Metergate-Refused"), "max-wait");
    assert_true(r.head_us - r.start_us >= 300000);
    client_reply_release(&r);
    held = fixture_chat_start(&f, CHAT("one"));
    fixture_wait_status(&f, "held", 1);
    r = fixture_chat(&f, CHAT("one"));
    assert_int_equal(r.status, 429);
    assert_string_equal(client_header(&r, "Metergate-Refused"), "queue-full");
    client_reply_release(&r);
    assert_status(fixture_call(&f, "POST", "/-/resume", ""), 200);
    assert_status(client_finish(held), 200);
    fixture_assert_idle(&f);
    fixture_stop(&f);
}

static void test_commands__are_for_programs_of_this_machine(void **state)
{
    static const char *const paths[] = {"/-/pause", "/-/resume", "/-/reload"};
    const char *const origin[] = {"Origin: http://localhost:3000", NULL};
    struct fixture f;

    (void)state;
    fixture_start(&f, NULL, FIXTURE_UPSTREAM "allow: {origins: [\"http://localhost:3000\"]}\n");
    for (size_t i = 0; i < 3; i++) {
        char url[128];
        struct client_call call = {.method = "POST", .url = url, .headers = origin, .body = "{}"};
        struct client_reply r;

        snprintf(url, sizeof url, "%s%s", f.url, paths[i]);
        r = client_run(&call);
        assert_int_equal(r.status, 403);
        assert_string_equal(client_header(&r, "Metergate-Refused"), "origin");
        client_reply_release(&r);
        r = fixture_call(&f, "GET", paths[i], NULL);
        assert_int_equal(r.status, 405);
        assert_string_equal(client_header(&r, "Allow"), "POST");
        client_reply_release(&r);
    }
    assert_flag(&f, "paused", false);
    fixture_stop(&f);
}

/* An address of this machine that is not loopback; false when it has none. */
static bool own_address(char *text, size_t size)
{
    struct ifaddrs *all, *i;
    bool found = false;

    assert_int_equal(getifaddrs(&all), 0);
    for (i = all; i && !found; i = i->ifa_next) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)i->ifa_addr;

        found = in && in->sin_family == AF_INET && (i->ifa_flags & IFF_UP) &&
                !(i->ifa_flags & IFF_LOOPBACK) && inet_ntop(AF_INET, &in->sin_addr, text, (socklen_t)size);
    }
    freeifaddrs(all);
    return found;
}

static void test_commands__from_another_address__are_refused_whatever_the_token(void **state)
{
    const char *const token[] = {"Metergate-Token: 0123456789abcdef0123456789abcdef", NULL};
    struct fixture f = {0};
    char ip[64], url[128];
    struct client_call call = {.method = "POST", .url = url, .headers = token, .body = "{}"};

    (void)state;
    if (!own_address(ip, sizeof ip)) {
        print_message("this machine has loopback alone\n");
        skip();
    }
    setenv("METERGATE_TEST_TOKEN", "0123456789abcdef0123456789abcdef", 1);
    fixture_start_simulator(&f, NULL, NULL);
    fixture_start_daemon(&f,
                         "listen: [\"0.0.0.0:0\"]\n" FIXTURE_UPSTREAM
                         "clients: {require_token: true, ana: {token: {env: METERGATE_TEST_TOKEN}}}\n",
                         NULL);
    unsetenv("METERGATE_TEST_TOKEN");
    snprintf(url, sizeof url, "http://%s:%d/-/pause", ip, f.port);
    assert_status(client_run(&call), 403);
    snprintf(url, sizeof url, "%s/-/pause", f.url);
    assert_status(client_run(&call), 200);
    fixture_stop(&f);
}

static void test_tool__commands_the_daemon(void **state)
{
    struct client_async *going;
    struct fixture f;
    struct outcome o;

    (void)state;
    fixture_start(&f, "{\"faults\":[{\"fault\":\"hold\",\"next\":1}]}", FIXTURE_UPSTREAM "drain: 10s\n");
    o = TOOL("pause", "--url", f.url);
    assert_int_equal(o.status, 0);
    outcome_release(&o);
    assert_flag(&f, "paused", true);
    o = TOOL("status", "--url", f.url);
    assert_non_null(strstr(o.out, ", paused\n"));
    outcome_release(&o);
    o = TOOL("resume", "--url", f.url);
    assert_int_equal(o.status, 0);
    outcome_release(&o);
    assert_flag(&f, "paused", false);
    o = TOOL("reload", "--url", f.url);
    assert_int_equal(o.status, 0);
    assert_string_equal(o.out, "reloaded\n");
    outcome_release(&o);
    fixture_write_config(&f, "headrom: 1%\n");
    o = TOOL("reload", "--url", f.url);
    assert_int_equal(o.status, 78);
    assert_non_null(
        strstr(o.err, "metergate.yaml:3:1: unknown key \"headrom\"; did you mean \"headroom\"?\n"));
    assert_string_equal(o.out, "");
    outcome_release(&o);

    fixture_write_config(&f, FIXTURE_UPSTREAM);
    going = fixture_chat_start(&f, CHAT("one"));
    fixture_sim_wait(&f, "held=1");
    process_signal(f.daemon, SIGTERM);
    fixture_wait_log(&f, 0, "draining");
    o = TOOL("reload", "--url", f.url);
    assert_int_equal(o.status, 69);
    assert_non_null(strstr(o.err, "metergate: the daemon is stopping\n"));
    outcome_release(&o);
    fixture_sim_post(&f, "/_sim/release", NULL);
    assert_status(client_finish(going), 200);
    fixture_stop(&f);

    o = TOOL("pause", "--url", unanswered_url());
    assert_int_equal(o.status, 69);
    outcome_release(&o);
}

static void test_tool__over_a_unix_socket__commands_as_well(void **state)
{
    struct fixture f = {0};
    char path[256], listen[160];
    const char *argv[] = {path, "-c", f.config, "-l", listen, NULL};
    struct outcome o;

    (void)state;
    fixture_start_simulator(&f, NULL, NULL);
    fixture_program("metergated", path, sizeof path);
    fixture_write_config(&f, FIXTURE_UPSTREAM);
    snprintf(listen, sizeof listen, "unix:%s/socket", f.dir);
    f.daemon = process_start(argv);
    fixture_wait_log(&f, 0, "ready, listening on unix:");
    o = TOOL("reload", "--url", listen);
    assert_string_equal(o.out, "reloaded\n");
    outcome_release(&o);
    fixture_stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pause__holds_everybody_until_resume),
        cmocka_unit_test(test_pause__deadlines_and_the_queues_bound_count_on),
        cmocka_unit_test(test_commands__are_for_programs_of_this_machine),
        cmocka_unit_test(test_commands__from_another_address__are_refused_whatever_the_token),
        cmocka_unit_test(test_tool__commands_the_daemon),
        cmocka_unit_test(test_tool__over_a_unix_socket__commands_as_well),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
