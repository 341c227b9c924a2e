/* What a restart remembers: what was spent of days and of money, after a stop and after a kill. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <cjson/cJSON.h>

#include "ledger_fixture.h"

/* A chat costs 8 tokens of input ("hello") and `out` of output; with gpt-4o 20 and 10 * out millionths of a
 * dollar. */
static const char config[] = LEDGER_STATE LEDGER_UPSTREAMS "clients:\n"
                                                           "  nightly: {usd_per_day: 0.025}\n"
                                                           "models:\n"
                                                           "  few: {match: [gpt-4.1], rpd: 3}\n"
                                                           "  small: {match: [gpt-4o-mini], tpd: 1000}\n"
                                                           "  dear: {match: [gpt-4o], usd_per_day: 0.025}\n"
                                                           "  \"*\": {learn: false}\n";

enum how { BY_TERM, BY_KILL };

static void restart(struct fixture *f, enum how how)
{
    if (how == BY_TERM)
        fixture_stop_daemon(f);
    else
        ledger_kill(f);
    fixture_start_daemon(f, config, NULL);
}

/* One call that waits for at most a second. */
static struct client_reply call(const struct fixture *f, const char *client, const char *model, int out)
{
    char path[64], body[256];

    snprintf(path, sizeof path, "%s/v1/chat/completions", client);
    snprintf(body, sizeof body,
             "{\"model\":\"%s\",\"max_tokens\":%d,\"messages\":[{\"role\":\"user\",\"content\":\"hello\"}]}",
             model, out);
    return ledger_post(f, path, "Metergate-Max-Wait: 1", body);
}

static void goes(const struct fixture *f, const char *client, const char *model, int out)
{
    struct client_reply r = call(f, client, model, out);

    if (r.status != 200)
        fail_msg("%s with %s: %d %s", model, client, r.status, r.body.n ? r.body.p : "");
    client_reply_release(&r);
}

static void is_refused(const struct fixture *f, const char *client, const char *model, int out,
                       const char *reason)
{
    struct client_reply r = call(f, client, model, out);
    const char *refused = client_header(&r, "Metergate-Refused");

    if (r.status != 429 || !refused || strcmp(refused, reason) != 0)
        fail_msg("%s with %s: %d, %s, %s", model, client, r.status, refused ? refused : "-",
                 r.body.n ? r.body.p : "");
    client_reply_release(&r);
}

static void remembers_days_and_money(enum how how)
{
    struct fixture f;

    fixture_start(&f, NULL, config);
    goes(&f, "", "gpt-4.1", 1);
    goes(&f, "", "gpt-4.1", 1);
    goes(&f, "", "gpt-4o-mini", 600);
    goes(&f, "", "gpt-4o", 1000);
    goes(&f, "/@nightly", "gpt-4", 300); /* 8 * 30 + 300 * 60 millionths */
    restart(&f, how);
    goes(&f, "", "gpt-4.1", 1);
    is_refused(&f, "", "gpt-4.1", 1, "max-wait");
    is_refused(&f, "", "gpt-4o-mini", 400, "max-wait");
    goes(&f, "", "gpt-4o-mini", 300);
    goes(&f, "", "gpt-4o", 1000);
    is_refused(&f, "", "gpt-4o", 1000, "budget-usd");
    is_refused(&f, "/@nightly", "gpt-4", 300, "budget-usd");
    goes(&f, "/@nightly", "gpt-4", 50);
    /* and again: what was restored once is so twice */
    restart(&f, how);
    is_refused(&f, "", "gpt-4.1", 1, "max-wait");
    is_refused(&f, "", "gpt-4o-mini", 300, "max-wait");
    is_refused(&f, "", "gpt-4o", 1000, "budget-usd");
    is_refused(&f, "/@nightly", "gpt-4", 300, "budget-usd");
    fixture_stop(&f);
}

static void test_restart__after_a_stop__remembers_what_was_spent(void **state)
{
    (void)state;
    remembers_days_and_money(BY_TERM);
}

static void test_restart__after_a_kill__remembers_what_was_spent(void **state)
{
    (void)state;
    remembers_days_and_money(BY_KILL);
}

/* A call in flight at the kill has its charge, and a row that says what became of it. */
static void test_restart__call_in_flight_at_the_kill__counts_at_its_charge(void **state)
{
    struct client_async *a;
    struct client_reply r;
    struct fixture f;
    cJSON *calls;

    (void)state;
    fixture_start(&f, "{\"faults\":[{\"fault\":\"hold\",\"next\":1}]}", config);
    a = ledger_post_start(&f, "/v1/chat/completions", NULL,
                          "{\"model\":\"gpt-4o-mini\",\"max_tokens\":600,\"messages\":[{\"role\":\"user\","
                          "\"content\":\"hello\"}]}");
    fixture_sim_wait(&f, "held=1");
    ledger_kill(&f);
    r = client_finish(a);
    assert_int_equal(r.status, 0);
    client_reply_release(&r);
    fixture_start_daemon(&f, config, NULL);
    is_refused(&f, "", "gpt-4o-mini", 600, "max-wait");
    goes(&f, "", "gpt-4o-mini", 300);
    ledger_wait_calls(&f, 3);
    calls = ledger_get(&f, "/-/calls?limit=100&model=gpt-4o-mini");
    assert_string_equal(json_text(calls, "calls.2.outcome"), "failed");
    assert_string_equal(json_text(calls, "calls.2.reason"), "daemon died");
    assert_string_equal(json_text(calls, "calls.2.usage_source"), "estimated");
    cJSON_Delete(calls);
    fixture_stop(&f);
}

static int chat_with_key(const struct fixture *f, const char *key, int out)
{
    const char *const headers[] = {key, "Metergate-Max-Wait: 1", NULL};
    char url[128], body[256];
    struct client_reply r;

    snprintf(url, sizeof url, "%s/v1/chat/completions", f->url);
    snprintf(body, sizeof body,
             "{\"model\":\"gpt-4o-mini\",\"max_tokens\":%d,\"messages\":[{\"role\":\"user\",\"content\":"
             "\"hello\"}]}",
             out);
    r = client_run(&(struct client_call){.url = url, .headers = headers, .body = body});
    client_reply_release(&r);
    return r.status;
}

/* Keys are known again by a hash that is the same in the next run; neither they nor it are in the files. */
static void test_restart__where_each_key_has_its_limits__remembers_each(void **state)
{
    static const char keys[] =
        LEDGER_STATE "upstreams:\n"
                     "  openai: {dialect: openai, base_url: $SIMULATOR/v1, counting: actual, "
                     "scope: key}\n"
                     "models:\n"
                     "  small: {match: [gpt-4o-mini], tpd: 1000}\n";
    static const char ana[] = "Authorization: Bearer sk-ana-secret",
                      bo[] = "Authorization: Bearer sk-bo-secret";
    struct fixture f;

    (void)state;
    fixture_start(&f, "{\"scope\":\"key\"}", keys);
    assert_int_equal(chat_with_key(&f, ana, 600), 200);
    assert_int_equal(chat_with_key(&f, bo, 100), 200);
    ledger_kill(&f);
    fixture_start_daemon(&f, keys, NULL);
    assert_int_equal(chat_with_key(&f, ana, 600), 429);
    assert_int_equal(chat_with_key(&f, bo, 600), 200);
    assert_int_equal(chat_with_key(&f, ana, 300), 200);
    assert_int_equal(chat_with_key(&f, bo, 600), 429);
    ledger_wait_calls(&f, 6);
    assert_int_equal(ledger_ask(&f, "SELECT count(*) FROM names WHERE text LIKE '%secret%'"), 0);
    fixture_stop(&f);
}

/* A second daemon on the same directory would grant everything twice: it does not take what the first one
 * has. */
static void test_restart__of_another_beside_it__leaves_the_ledger_to_the_first(void **state)
{
    struct process *second;
    char path[256];
    struct fixture f;
    const char *argv[] = {path, "-c", f.config, NULL};

    (void)state;
    fixture_start(&f, NULL, config);
    goes(&f, "", "gpt-4o", 10);
    ledger_wait_calls(&f, 1);
    fixture_program("metergated", path, sizeof path);
    second = process_start(argv);
    assert_true(process_wait_log(second, 0, "ready, listening on ", FIXTURE_TIMEOUT_MS) ||
                process_wait_exit(second, FIXTURE_TIMEOUT_MS) > 0);
    process_signal(second, SIGTERM);
    (void)process_wait_exit(second, FIXTURE_TIMEOUT_MS);
    process_free(second);
    goes(&f, "", "gpt-4o", 10);
    ledger_wait_ok(&f, true);
    ledger_wait_calls(&f, 2);
    fixture_stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_restart__after_a_stop__remembers_what_was_spent),
        cmocka_unit_test(test_restart__after_a_kill__remembers_what_was_spent),
        cmocka_unit_test(test_restart__call_in_flight_at_the_kill__counts_at_its_charge),
        cmocka_unit_test(test_restart__where_each_key_has_its_limits__remembers_each),
        cmocka_unit_test(test_restart__of_another_beside_it__leaves_the_ledger_to_the_first),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
