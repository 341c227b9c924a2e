/* status: the figures that people see add up, and /metrics says the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <cjson/cJSON.h>

#include "exposition.h"

enum { CLIENTS = 7, CALLS = 40 };

static const char *const models[] = {"gpt-4o", "gpt-3.5-turbo", "free-for-all"};

/* A call of client `i % CLIENTS` to one of the models; its connection. */
static int send_call(const struct fixture *f, int i)
{
    char body[256], request[512];
    int fd = raw_connect(f->port), n;

    n = snprintf(body, sizeof body,
                 "{\"model\":\"%s\",\"messages\":[{\"role\":\"user\",\"content\":\"%d\"}]}", models[i % 3],
                 i);
    snprintf(request, sizeof request,
             "POST /@client-%d/v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n"
             "Content-Type: application/json\r\n\r\n%s",
             i % CLIENTS, n, body);
    raw_send_text(fd, request);
    return fd;
}

/* The sum of the numbers at `key` of all members of the array. */
static int sum(const cJSON *array, const char *key)
{
    const cJSON *member;
    double v = 0;

    cJSON_ArrayForEach(member, array) v += json_number(member, key);
    return (int)v;
}

static int sum_of_shares(const cJSON *budgets)
{
    const cJSON *budget;
    int v = 0;

    cJSON_ArrayForEach(budget, budgets)
    {
        int held = sum(json_at(budget, "clients"), "held");

        assert_int_equal(held, (int)json_number(budget, "held"));
        v += held;
    }
    return v;
}

static int sum_of_hours(const cJSON *clients)
{
    const cJSON *client;
    int v = 0;

    cJSON_ArrayForEach(client, clients) v += (int)json_number(client, "hour.calls");
    return v;
}

static void assert_adds_up(const struct fixture *f, int held, int in_flight)
{
    cJSON *s = fixture_status(f);
    const cJSON *budgets = json_at(s, "budgets"), *clients = json_at(s, "clients"), *t = json_at(s, "totals");

    assert_int_equal((int)json_number(s, "held"), held);
    assert_int_equal((int)json_number(s, "in_flight"), in_flight);
    assert_int_equal(sum(budgets, "held"), held);
    assert_int_equal(sum_of_shares(budgets), held);
    assert_int_equal(sum(clients, "held"), held);
    assert_int_equal(sum(clients, "in_flight"), in_flight);
    assert_int_equal(sum(budgets, "in_flight"), in_flight);
    assert_int_equal(sum(json_at(s, "upstreams"), "connections"), in_flight);
    assert_int_equal((int)json_number(t, "calls"),
                     held + in_flight + (int)json_number(t, "completed") + (int)json_number(t, "refused") +
                         (int)json_number(t, "cancelled") + (int)json_number(t, "failed"));
    assert_int_equal(sum(clients, "calls"), (int)json_number(t, "calls") - held - in_flight);
    assert_int_equal((int)json_number(s, "hour.calls"), (int)json_number(t, "calls") - held - in_flight);
    assert_int_equal(sum_of_hours(clients), (int)json_number(s, "hour.calls"));
    assert_int_equal(sum(json_at(s, "upstreams"), "upstream_429"), (int)json_number(t, "upstream_429"));
    assert_int_equal(sum(json_at(s, "upstreams"), "retries"), (int)json_number(t, "retries"));
    assert_int_equal((int)json_number(s, "hour.upstream_429"), (int)json_number(t, "upstream_429"));
    assert_int_equal((int)json_number(s, "hour.retries"), (int)json_number(t, "retries"));
    cJSON_Delete(s);
}

static void assert_metrics_say_the_same(const struct fixture *f, int held, int in_flight)
{
    struct exposition e;

    exposition_fetch(f, &e);
    assert_int_equal((int)exposition_sum(&e, "metergate_held", ""), held);
    assert_int_equal((int)exposition_sum(&e, "metergate_budget_held", ""), held);
    assert_int_equal((int)exposition_sum(&e, "metergate_client_held", ""), held);
    assert_int_equal((int)exposition_sum(&e, "metergate_in_flight", ""), in_flight);
    assert_int_equal((int)exposition_sum(&e, "metergate_budget_in_flight", ""), in_flight);
    assert_int_equal((int)exposition_sum(&e, "metergate_client_in_flight", ""), in_flight);
    assert_int_equal((int)exposition_sum(&e, "metergate_upstream_in_flight", ""), in_flight);
    assert_int_equal((int)exposition_sum(&e, "metergate_calls_total", ""), CALLS);
    assert_int_equal((int)exposition_sum(&e, "metergate_client_calls_total", ""), CALLS - held - in_flight);
    exposition_release(&e);
}

static void test_status__held_and_in_flight__add_up_whoever_waits_for_what(void **state)
{
    struct client_reply r;
    struct fixture f;
    int fds[CALLS];

    (void)state;
    fixture_start(&f, "{\"faults\":[{\"fault\":\"hold\"}]}",
                  FIXTURE_UPSTREAM "models:\n  gpt-4o: {concurrent: 2}\n  gpt-3.5-turbo: {concurrent: 3}\n  \"*\": {learn: false}\n");
    r = fixture_call(&f, "POST", "/-/pause", "");
    client_reply_release(&r);
    for (int i = 0; i < CALLS; i++)
        fds[i] = send_call(&f, i);
    fixture_wait_status(&f, "held", CALLS);
    assert_adds_up(&f, CALLS, 0);
    r = fixture_call(&f, "POST", "/-/resume", "");
    client_reply_release(&r);
    fixture_sim_wait(&f, "held=18"); /* 2 + 3 + all 13 that have no limit */
    assert_adds_up(&f, CALLS - 18, 18);
    assert_metrics_say_the_same(&f, CALLS - 18, 18);
    for (int i = 0; i < CALLS; i += 4)
        close(fds[i]); /* held or not */
    fixture_wait_status(&f, "totals.cancelled", 10);
    fixture_sim_config(&f, "{\"faults\":[]}");
    fixture_sim_post(&f, "/_sim/release", NULL);
    fixture_wait_status(&f, "totals.completed", CALLS - 10);
    fixture_assert_idle(&f);
    assert_adds_up(&f, 0, 0);
    assert_metrics_say_the_same(&f, 0, 0);
    for (int i = 0; i < CALLS; i++) {
        if (i % 4 != 0)
            close(fds[i]);
    }
    fixture_stop(&f);
}

/* A call that is moved to another entry counts there; one of an entry that is gone is told apart from the new
 * ones. */
#define REST "  \"*\": {learn: false}\n"

static void test_status__after_a_reload__adds_up_as_well(void **state)
{
    static const char one[] = FIXTURE_UPSTREAM "models:\n  all: {match: [\"gpt-*\"], concurrent: 1}\n" REST,
                      two[] = FIXTURE_UPSTREAM "models:\n  gpt-4o: {concurrent: 1}\n" REST,
                      none[] = FIXTURE_UPSTREAM;
    static const char *const yamls[] = {two, one, none};
    struct fixture f;
    int fds[CALLS];

    (void)state;
    fixture_start(&f, "{\"faults\":[{\"fault\":\"hold\"}]}", one);
    for (int i = 0; i < CALLS; i++)
        fds[i] = send_call(&f, i);
    fixture_wait_status(&f, "held", 26);
    for (size_t i = 0; i < 3; i++) {
        struct client_reply r;

        fixture_write_config(&f, yamls[i]);
        r = fixture_call(&f, "POST", "/-/reload", "");
        assert_int_equal(r.status, 200);
        client_reply_release(&r);
        fixture_wait_status(&f, "in_flight", 15); /* the new entry let one go */
        assert_adds_up(&f, CALLS - 15, 15);
        assert_metrics_say_the_same(&f, CALLS - 15, 15);
    }
    fixture_sim_config(&f, "{\"faults\":[]}");
    fixture_sim_post(&f, "/_sim/release", NULL);
    fixture_wait_status(&f, "totals.completed", CALLS);
    assert_adds_up(&f, 0, 0);
    for (int i = 0; i < CALLS; i++)
        close(fds[i]);
    fixture_stop(&f);
}

/* Of the budgets of that name, the one that is (not) retired: how many it holds. */
static int held_of(const struct fixture *f, const char *name, bool retired)
{
    cJSON *s = fixture_status(f);
    const cJSON *b;
    int held = -1;

    cJSON_ArrayForEach(b, json_at(s, "budgets"))
    {
        if (strcmp(json_text(b, "name"), name) != 0 || cJSON_IsTrue(json_at(b, "retired")) != retired)
            continue;
        assert_int_equal(held, -1); /* there is one, not two that nobody could tell apart */
        held = (int)json_number(b, "held");
    }
    cJSON_Delete(s);
    return held;
}

static void test_status__two_budgets_of_one_name_after_a_reload__can_be_told_apart(void **state)
{
    struct client_reply r;
    struct fixture f;
    int fd;

    (void)state;
    fixture_start(&f, NULL, FIXTURE_UPSTREAM "models:\n  gpt-4o: {rpm: {max: 1, per: 1h}}\n" REST);
    r = fixture_chat(&f, "{\"model\":\"gpt-4o\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}");
    client_reply_release(&r);
    fd = send_call(&f, 0);
    fixture_wait_status(&f, "held", 1);
    assert_int_equal(held_of(&f, "gpt-4o", false), 1);
    fixture_write_config(&f, FIXTURE_UPSTREAM "models:\n" REST);
    r = fixture_call(&f, "POST", "/-/reload", "");
    client_reply_release(&r);
    r = fixture_chat(&f, "{\"model\":\"gpt-4o\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}");
    assert_int_equal(r.status, 200);
    client_reply_release(&r);
    assert_int_equal(held_of(&f, "gpt-4o", true), 1);
    assert_int_equal(held_of(&f, "gpt-4o", false), 0);
    close(fd);
    fixture_wait_status(&f, "held", 0);
    assert_int_equal(held_of(&f, "gpt-4o", true), -1);
    fixture_stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_status__held_and_in_flight__add_up_whoever_waits_for_what),
        cmocka_unit_test(test_status__after_a_reload__adds_up_as_well),
        cmocka_unit_test(test_status__two_budgets_of_one_name_after_a_reload__can_be_told_apart),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
