/*
 * steered: the daemon with clocks, a resolver and system calls that the test steers (tests/shim): suspends, clocks that are set, names
 * that nobody resolves, and a kernel that takes a byte at a time. Programs with a sanitizer cannot be steered: skipped there.
 */
#include <netdb.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>
#include <cmocka.h>

#include "fixture.h"
#include "ledger_fixture.h"
#include "metergate/base/clock.h"
#include "../shim/steer.h"

#define CHAT(model) "{\"model\":\"" model "\",\"max_tokens\":5,\"messages\":[{\"role\":\"user\",\"content\":\"hello [[out=5]]\"}]}"
#define HOUR_US     (3600 * CLOCK_S)
#define DECADES_US  (INT64_C(20) * 366 * 24 * HOUR_US)

/* Both programs, the daemon steered. False: it cannot be. */
static bool start_steered(struct fixture *f, struct steer **ret, const char *settings, const char *yaml)
{
    *f = (struct fixture){0};
    if (!steer_can())
        return false;
    *ret = steer_new(1);
    assert_non_null(*ret);
    fixture_start_simulator(f, settings, NULL);
    snprintf((*ret)->name, sizeof(*ret)->name, "provider.test");
    (*ret)->answers[0] = (struct steer_answer){.address = {"127.0.0.1"}, .n = 1};
    (*ret)->answers[1] = (struct steer_answer){.hangs = true};
    (*ret)->answers[2] = (struct steer_answer){.error = EAI_AGAIN};
    (*ret)->answers[3] = (struct steer_answer){.address = {"::1", "127.0.0.1"}, .n = 2};
    steer_on(*ret);
    fixture_start_daemon(f, yaml, NULL);
    steer_off();
    return true;
}

static void stop_steered(struct fixture *f, struct steer *s)
{
    steer_calm(s);
    fixture_assert_idle(f);
    fixture_stop(f);
    steer_free(s);
}

static void assert_chat(const struct fixture *f, const char *body, int status)
{
    struct client_reply r = fixture_chat(f, body);

    if (r.status != status)
        fail_msg("%s was answered %d: %s", body, r.status, r.body.n ? r.body.p : r.error_text);
    client_reply_release(&r);
}

/* ---- suspend ---- */

/*
 * One call stands at the provider, two wait for a minute's tokens, when the machine sleeps for eight hours: the minute is over, the
 * held calls' time too, and the one in flight has been without an answer for too long. Nothing waits for anything else.
 */
static void test_suspend__of_hours__ends_what_is_over_at_once_and_frees_the_windows(void **state)
{
    static const char yaml[] = "upstreams:\n  openai: {dialect: openai, base_url: $SIMULATOR/v1, counting: actual, timeout: {first_byte: 300s}}\n"
                               "queue: {max_wait: 10m}\nmodels:\n  gpt-4o: {rpm: 1}\n";
    struct client_async *first, *held[2];
    struct client_reply r;
    struct fixture f;
    struct steer *s = NULL;
    int64_t start_us;

    (void)state;
    if (!start_steered(&f, &s, "{\"faults\":[{\"fault\":\"hold\",\"next\":1}]}", yaml))
        skip();
    first = fixture_chat_start(&f, CHAT("gpt-4o"));
    fixture_sim_wait(&f, "held=1");
    for (int i = 0; i < 2; i++)
        held[i] = fixture_chat_start(&f, CHAT("gpt-4o"));
    fixture_wait_status(&f, "held", 2);
    start_us = clock_now_us();
    steer_suspend(s, 8 * HOUR_US);
    fixture_wait_status(&f, "held", 0);
    steer_suspend(s, HOUR_US); /* should the request have been on its way still, the provider has had its time from then on */
    r = client_finish(first);
    if (r.status != 504)
        fail_msg("the call in flight was answered %d: %s", r.status, r.error_text);
    client_reply_release(&r);
    for (int i = 0; i < 2; i++) {
        r = client_finish(held[i]);
        assert_true(r.status == 200 || r.status == 429); /* one may go before its deadline is looked at */
        client_reply_release(&r);
    }
    assert_true(clock_now_us() - start_us < 5 * CLOCK_S);
    fixture_sim_post(&f, "/_sim/release", NULL);
    steer_suspend(s, 120 * CLOCK_S);
    assert_chat(&f, CHAT("gpt-4o"), 200); /* the window has aged */
    stop_steered(&f, s);
}

/* ---- the wall clock ---- */

/* Whatever the clock on the wall says, windows go on, and what is written down stays readable. */
static void test_wall_clock__set_by_decades__changes_no_decision(void **state)
{
    static const int64_t steps_us[] = {HOUR_US, -HOUR_US, DECADES_US, -DECADES_US, 0};
    static const char yaml[] = LEDGER_STATE LEDGER_UPSTREAMS
        "models:\n  gpt-4o: {rpm: {max: 100, per: 1h}, usd_per_day: 1000}\n";
    struct fixture f;
    struct steer *s = NULL;
    cJSON *status;

    (void)state;
    if (!start_steered(&f, &s, NULL, yaml))
        skip();
    for (size_t i = 0; i < MG_ARRAY_LEN(steps_us); i++) {
        steer_set_wall(s, steps_us[i]);
        for (int j = 0; j < 3; j++)
            ledger_chat(&f, "gpt-4o", 5, 200);
        status = fixture_status(&f);
        assert_int_equal((int)json_number(status, "budgets.0.limits.0.used"), 3 * (int)(i + 1));
        cJSON_Delete(status);
        cJSON_Delete(ledger_get(&f, "/-/usage"));
        cJSON_Delete(ledger_get(&f, "/-/usage?by=day"));
    }
    ledger_wait_calls(&f, 3 * (int64_t)MG_ARRAY_LEN(steps_us));
    stop_steered(&f, s);
}

/* ---- names ---- */

#define BY_NAME                                                                                                    \
    "upstreams:\n"                                                                                                 \
    "  openai: {dialect: openai, base_url: $SIMULATOR/v1, counting: actual}\n"                                     \
    "  named: {dialect: openai, base_url: http://provider.test:%d/v1, counting: actual, timeout: {connect: 1s}}\n" \
    "models:\n  there: {match: [gpt-named], upstream: named}\n"

/* The port of the simulator is known only when it runs: the upstream by name comes by a reload. */
static bool start_by_name(struct fixture *f, struct steer **s)
{
    char yaml[1024];
    size_t mark;

    if (!start_steered(f, s, NULL, FIXTURE_UPSTREAM))
        return false;
    snprintf(yaml, sizeof yaml, "%.*s:%d%s", (int)(strstr(BY_NAME, ":%d") - BY_NAME), BY_NAME, f->simulator_port,
             strstr(BY_NAME, ":%d") + 3);
    fixture_write_config(f, yaml);
    mark = process_log_mark(f->daemon);
    process_signal(f->daemon, SIGHUP);
    fixture_wait_log(f, mark, "reload: done");
    return true;
}

static struct client_async *ask_named(const struct fixture *f)
{
    static const char *const key[] = {"Authorization: Bearer sk-test", NULL};
    char url[128];
    struct client_call call = {.url = url, .headers = key, .body = CHAT("gpt-named")};

    snprintf(url, sizeof url, "%s/named/v1/chat/completions", f->url);
    return client_start(&call);
}

static struct client_reply answer_named(const struct fixture *f)
{
    return client_finish(ask_named(f));
}

/* 20 calls wait for a name that never comes; half of their clients leave. Nobody else is one moment slower for it. */
static void test_resolver__that_hangs__delays_nobody_else(void **state)
{
    struct client_async *waiting[20];
    struct fixture f;
    struct steer *s = NULL;
    int64_t slowest_us = 0;

    (void)state;
    if (!start_by_name(&f, &s))
        skip();
    atomic_store(&s->answer, 1);
    for (size_t i = 0; i < MG_ARRAY_LEN(waiting); i++)
        waiting[i] = ask_named(&f);
    fixture_wait_status(&f, "in_flight", 20);
    for (size_t i = 0; i < MG_ARRAY_LEN(waiting) / 2; i++)
        client_leave(waiting[i]);
    for (int i = 0; i < 50; i++) {
        struct client_reply r = fixture_chat(&f, CHAT("gpt-4o"));

        if (r.status != 200)
            fail_msg("call %d beside them was answered %d: %s", i, r.status, r.error_text);
        if (r.end_us - r.start_us > slowest_us)
            slowest_us = r.end_us - r.start_us;
        client_reply_release(&r);
    }
    print_message("slowest of 50 calls beside 20 that wait for a name: %d ms\n", (int)(slowest_us / CLOCK_MS));
    assert_true(slowest_us < 500 * CLOCK_MS); /* a resolver's patience is seconds */
    for (size_t i = 0; i < MG_ARRAY_LEN(waiting) / 2; i++) {
        struct client_reply r = client_finish(waiting[i]);

        client_reply_release(&r);
    }
    atomic_store(&s->answer, 0);
    for (size_t i = MG_ARRAY_LEN(waiting) / 2; i < MG_ARRAY_LEN(waiting); i++) {
        struct client_reply r = client_finish(waiting[i]);

        assert_int_equal(r.status, 200);
        client_reply_release(&r);
    }
    stop_steered(&f, s);
}

static void test_resolver__that_fails_and_comes_back__loses_no_call(void **state)
{
    struct client_reply r;
    struct client_async *a;
    struct fixture f;
    struct steer *s = NULL;

    (void)state;
    if (!start_by_name(&f, &s))
        skip();
    atomic_store(&s->answer, 2);
    a = ask_named(&f);
    for (int64_t end_us = clock_now_us() + 10 * CLOCK_S; atomic_load(&s->asked) == 0;)
        assert_true(clock_now_us() < end_us);
    atomic_store(&s->answer, 0);
    r = client_finish(a);
    assert_int_equal(r.status, 200);
    client_reply_release(&r);
    stop_steered(&f, s);
}

static void test_first_address__that_is_dead__costs_the_call_nothing(void **state)
{
    struct client_reply r;
    struct fixture f;
    struct steer *s = NULL;

    (void)state;
    if (!start_by_name(&f, &s))
        skip();
    atomic_store(&s->answer, 3);
    r = answer_named(&f);
    assert_int_equal(r.status, 200);
    assert_string_equal(client_header(&r, "Metergate-Attempts"), "1");
    client_reply_release(&r);
    stop_steered(&f, s);
}

/* ---- a kernel that takes a byte at a time ---- */

/*
 * libcurl 7.88 forgets to frame a body of unknown length when the request's head did not go out at once: the provider would read
 * the client's bytes as sizes of chunks. Such an upload is given up before its first byte.
 */
static void test_chunked_upload__whose_head_is_torn__is_given_up_before_its_body(void **state)
{
    static const char *const key[] = {"Authorization: Bearer sk-test", NULL};
    char url[128], body[3000];
    struct client_call call = {.url = url, .headers = key, .body = body, .chunked = true};
    struct client_reply r;
    struct fixture f;
    struct steer *s = NULL;

    (void)state;
    if (!start_steered(&f, &s, NULL, FIXTURE_UPSTREAM))
        skip();
    memset(body, 'a', sizeof body - 1);
    body[sizeof body - 1] = '\0';
    snprintf(url, sizeof url, "%s/v1/files", f.url);
    atomic_store(&s->short_per_mille, 1000);
    r = client_run(&call);
    assert_int_equal(r.status, 502);
    client_reply_release(&r);
    assert_chat(&f, CHAT("gpt-4o"), 200); /* a body whose length is known follows its head in any case */
    fixture_sim_post(&f, "/_sim/reset", NULL); /* half a head is a violation, and none of ours */
    atomic_store(&s->short_per_mille, 0);
    r = client_run(&call);
    assert_int_equal(r.status, 200);
    client_reply_release(&r);
    stop_steered(&f, s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_suspend__of_hours__ends_what_is_over_at_once_and_frees_the_windows),
        cmocka_unit_test(test_wall_clock__set_by_decades__changes_no_decision),
        cmocka_unit_test(test_resolver__that_hangs__delays_nobody_else),
        cmocka_unit_test(test_resolver__that_fails_and_comes_back__loses_no_call),
        cmocka_unit_test(test_first_address__that_is_dead__costs_the_call_nothing),
        cmocka_unit_test(test_chunked_upload__whose_head_is_torn__is_given_up_before_its_body),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
