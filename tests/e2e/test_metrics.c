/* metrics: the text format, and what the figures mean. What is written about them is in test_monitoring.c. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <cjson/cJSON.h>

#include "exposition.h"

#define CHAT(model, text) "{\"model\":\"" model "\",\"messages\":[{\"role\":\"user\",\"content\":\"" text "\"}]}"

static void call(const struct fixture *f, const char *path, const char *body, int status)
{
    struct client_reply r = fixture_call(f, body ? "POST" : "GET", path, body);

    if (r.status != status)
        fail_msg("%s: %d %s", path, r.status, r.body.p ? r.body.p : "");
    client_reply_release(&r);
}

static void assert_sum(const struct exposition *e, const char *name, const char *part, double want)
{
    double got = exposition_sum(e, name, part);

    if (fabs(got - want) > 1e-9)
        fail_msg("%s{%s} is %.9g, not %.9g", name, part, got, want);
}

/* ---- the format ---- */

/* Models are named by callers. */
static void test_metrics__whatever_models_are_named__is_well_formed(void **state)
{
    static const char config[] = FIXTURE_UPSTREAM "models:\n  gpt-4o: {tpm: 30000, rpm: 100, usd_per_day: 5}\n"
                                                  "  \"*\": {learn: false}\nclients:\n  nightly: {usd_per_month: 3, rpm: 7}\n";
    struct exposition e;
    struct fixture f;

    (void)state;
    fixture_start(&f, NULL, config);
    exposition_fetch(&f, &e); /* before any call */
    exposition_release(&e);
    call(&f, "/@nightly/v1/chat/completions", CHAT("gpt-4o", "hello"), 200);
    call(&f, "/v1/chat/completions", CHAT("a\\\"} 1\\nb\\\\n{x=\\\"", "hello"), 200);
    call(&f, "/v1/chat/completions", CHAT("a\\\\\\\"", "hello"), 200);
    call(&f, "/v1/chat/completions", CHAT("m\xc3\xbcll\xff\xe2\x82", "hello"), 200);
    call(&f, "/v1/models", NULL, 200);
    exposition_fetch(&f, &e);
    assert_sum(&e, "metergate_budget_calls_total",
               "budget=\"a\\\"} 1\\nb\\\\n{x=\\\"\",upstream=\"openai\",outcome=\"completed\"", 1);
    assert_sum(&e, "metergate_budget_calls_total", "budget=\"a\\\\\\\"\",upstream=\"openai\",outcome=\"completed\"", 1);
    assert_sum(&e, "metergate_money_max_usd", "client=\"nightly\",limit=\"usd_per_month\"", 3);
    exposition_release(&e);
    fixture_stop(&f);
}

/* The old entry and the new one of a name are told apart; so are the keys of `scope: key`. */
static void test_metrics__after_a_reload__no_series_stands_twice(void **state)
{
    static const char one[] = "upstreams:\n  openai: {dialect: openai, base_url: $SIMULATOR/v1, scope: key}\n"
                              "models:\n  gpt-4o: {rpm: 100}\n",
                      two[] = "upstreams:\n  openai: {dialect: openai, base_url: $SIMULATOR/v1}\n"
                              "models:\n  all: {match: [\"gpt-*\"], rpm: 100}\n";
    struct client_async *a;
    struct client_reply r;
    struct exposition e;
    struct fixture f;

    (void)state;
    fixture_start(&f, NULL, one);
    a = fixture_chat_start(&f, CHAT("gpt-4o", "hello[[fault=hold]]"));
    fixture_sim_wait(&f, "held=1");
    fixture_write_config(&f, two);
    call(&f, "/-/reload", "", 200);
    call(&f, "/v1/chat/completions", CHAT("gpt-4o", "hello"), 200);
    exposition_fetch(&f, &e);
    assert_sum(&e, "metergate_budget_in_flight", "", 1);
    assert_sum(&e, "metergate_budget_in_flight", ",key=\"k-", 1);
    exposition_release(&e);
    fixture_sim_post(&f, "/_sim/release", NULL);
    r = client_finish(a);
    assert_int_equal(r.status, 200);
    client_reply_release(&r);
    exposition_fetch(&f, &e);
    assert_sum(&e, "metergate_budget_in_flight", "", 0);
    exposition_release(&e);
    fixture_stop(&f);
}

/* ---- what they say ---- */

static double status_sum(const cJSON *array, const char *key)
{
    const cJSON *member;
    double v = 0;

    cJSON_ArrayForEach(member, array) v += json_number(member, key);
    return v;
}

/* The same counters from either side: a token of a budget is one of a client, a call's end is one everywhere. */
static void test_metrics__after_calls__add_up_with_each_other_and_with_status(void **state)
{
    struct exposition e;
    struct fixture f;
    cJSON *s;

    (void)state;
    fixture_start(&f, NULL, FIXTURE_UPSTREAM "models:\n  gpt-4o: {tpm: 300000}\n  \"*\": {learn: false}\n");
    call(&f, "/@a/v1/chat/completions", CHAT("gpt-4o", "hello [[cached=3]] [[reasoning=5]] [[out=20]]"), 200);
    call(&f, "/@b/v1/chat/completions", CHAT("gpt-4o-mini", "hello [[out=7]]"), 200);
    call(&f, "/@b/v1/chat/completions", CHAT("nobody-knows-its-price", "hello [[out=7]]"), 200);
    call(&f, "/@b/v1/chat/completions", CHAT("gpt-4o", "hello [[fault=status:500]]"), 500);
    call(&f, "/v1/models", NULL, 200);
    exposition_fetch(&f, &e);
    s = fixture_status(&f);
    assert_sum(&e, "metergate_calls_total", "", 5);
    assert_sum(&e, "metergate_budget_calls_total", "outcome=\"completed\"", 4); /* one passed through */
    assert_sum(&e, "metergate_tokens_total", "", status_sum(json_at(s, "clients"), "tokens"));
    assert_sum(&e, "metergate_client_tokens_total", "", status_sum(json_at(s, "clients"), "tokens"));
    assert_sum(&e, "metergate_tokens_total", "kind=\"cached\"", 3);
    assert_sum(&e, "metergate_tokens_total", "kind=\"reasoning\"", 5);
    assert_sum(&e, "metergate_tokens_total", "budget=\"gpt-4o\",upstream=\"openai\",kind=\"output\"", 20);
    assert_sum(&e, "metergate_cost_usd_total", "", exposition_sum(&e, "metergate_client_cost_usd_total", ""));
    assert_sum(&e, "metergate_unpriced_calls_total", "", 1);
    assert_sum(&e, "metergate_upstream_answers_total", "class=\"2xx\"", 4);
    assert_sum(&e, "metergate_upstream_calls_total", "", status_sum(json_at(s, "upstreams"), "calls"));
    assert_sum(&e, "metergate_upstream_calls_total", "upstream=\"openai\"", 5);
    assert_sum(&e, "metergate_upstream_answers_total", "class=\"5xx\"", 1);
    assert_sum(&e, "metergate_queue_wait_seconds", "", 4);
    assert_sum(&e, "metergate_call_seconds", "", 5);
    assert_sum(&e, "metergate_first_byte_seconds", "", 5);
    assert_sum(&e, "metergate_estimate_error_ratio", "", 3);
    assert_true(exposition_sum(&e, "process_open_fds", "") > 10);
    assert_true(exposition_sum(&e, "process_resident_memory_bytes", "") > 1e6);
    cJSON_Delete(s);
    exposition_release(&e);
    fixture_stop(&f);
}

static double value_of(const struct exposition *e, const char *family, const char *name)
{
    const struct family *m = exposition_family(e, family);

    for (size_t i = 0; m && i < m->n; i++) {
        if (strcmp(m->v[i].name, name) == 0)
            return m->v[i].value;
    }
    fail_msg("no %s", name);
    return 0;
}

static void test_metrics__a_call_that_waits__is_seen_now_and_in_the_histogram_later(void **state)
{
    struct client_async *first, *second;
    struct client_reply r;
    struct exposition e;
    struct fixture f;
    double waited;

    (void)state;
    fixture_start(&f, NULL, FIXTURE_UPSTREAM "models:\n  gpt-4o: {concurrent: 1}\n  \"*\": {learn: false}\n");
    first = fixture_chat_start(&f, CHAT("gpt-4o", "hello[[fault=hold]]"));
    fixture_sim_wait(&f, "held=1");
    second = fixture_chat_start(&f, CHAT("gpt-4o", "hello"));
    fixture_wait_status(&f, "held", 1);
    exposition_fetch(&f, &e);
    assert_sum(&e, "metergate_budget_held", "budget=\"gpt-4o\"", 1);
    assert_true(exposition_sum(&e, "metergate_budget_oldest_wait_seconds", "") > 0);
    assert_true(isnan(exposition_sum(&e, "metergate_budget_next_start_seconds", "")));
    assert_sum(&e, "metergate_queue_wait_seconds", "", 0); /* neither is over */
    exposition_release(&e);
    fixture_sim_post(&f, "/_sim/release", NULL);
    r = client_finish(first);
    client_reply_release(&r);
    r = client_finish(second);
    client_reply_release(&r);
    exposition_fetch(&f, &e);
    assert_sum(&e, "metergate_queue_wait_seconds", "", 2);
    waited = value_of(&e, "metergate_queue_wait_seconds", "metergate_queue_wait_seconds_sum");
    assert_true(waited > 0 && waited < 20);
    assert_sum(&e, "metergate_client_wait_seconds_total", "", waited);
    assert_sum(&e, "metergate_budget_wait_in_vain_seconds_total", "", 0);
    assert_sum(&e, "metergate_budget_oldest_wait_seconds", "", 0);
    exposition_release(&e);
    fixture_stop(&f);
}

/* Both ask the same scheduler; between the two questions a moment passes. */
static void assert_starts(const struct fixture *f, const char *metric, const char *path)
{
    struct exposition e;
    double want;
    cJSON *s;

    exposition_fetch(f, &e);
    s = fixture_status(f);
    want = json_number(s, path) / 1000;
    if (fabs(exposition_sum(&e, metric, "budget=\"gpt-4o\"") - want) > 0.5 + want * 0.02)
        fail_msg("%s is %g, status says %g", metric, exposition_sum(&e, metric, "budget=\"gpt-4o\""), want);
    cJSON_Delete(s);
    exposition_release(&e);
}

static void test_metrics__calls_that_wait_for_a_window__start_when_status_says(void **state)
{
    struct client_async *waits[3];
    struct exposition e;
    struct fixture f;

    (void)state;
    fixture_start(&f, NULL, "headroom: 0%\n" FIXTURE_UPSTREAM "models:\n  gpt-4o: {rpm: {max: 1, per: 100s}}\n");
    call(&f, "/v1/chat/completions", CHAT("gpt-4o", "hello"), 200);
    for (int i = 0; i < 3; i++) {
        waits[i] = fixture_chat_start(&f, CHAT("gpt-4o", "hello"));
        fixture_wait_status(&f, "held", i + 1);
    }
    assert_starts(&f, "metergate_budget_next_start_seconds", "budgets.0.next_dispatch_ms");
    assert_starts(&f, "metergate_budget_last_start_seconds", "budgets.0.last_dispatch_ms");
    exposition_fetch(&f, &e);
    assert_true(exposition_sum(&e, "metergate_budget_next_start_seconds", "") > 50);
    assert_true(exposition_sum(&e, "metergate_budget_last_start_seconds", "") > 200);
    exposition_release(&e);
    for (int i = 0; i < 3; i++) {
        struct client_reply r;

        client_leave(waits[i]);
        r = client_finish(waits[i]);
        client_reply_release(&r);
    }
    fixture_stop(&f);
}

/* The provider's own refusals and what became of them. */
static void test_metrics__a_provider_that_refuses_or_is_gone__is_counted_for_it(void **state)
{
    static const char config[] = FIXTURE_UPSTREAM
        "  gone: {dialect: openai, base_url: \"http://127.0.0.1:9/v1\", retry: {attempts: 1}}\n"
        "models:\n  \"*\": {learn: false}\n";
    struct exposition e;
    struct fixture f;

    (void)state;
    fixture_start(&f, "{\"faults\":[{\"fault\":\"status:429,retry_after_ms:10\",\"next\":2}]}", config);
    call(&f, "/v1/chat/completions", CHAT("gpt-4o", "hello"), 200);
    call(&f, "/gone/v1/chat/completions", CHAT("gpt-4o", "hello"), 502);
    exposition_fetch(&f, &e);
    assert_sum(&e, "metergate_upstream_429_total", "upstream=\"openai\"", 2);
    assert_sum(&e, "metergate_upstream_retries_total", "upstream=\"openai\"", 2);
    assert_sum(&e, "metergate_upstream_answers_total", "upstream=\"openai\",class=\"4xx\"", 2);
    assert_sum(&e, "metergate_first_byte_seconds", "upstream=\"openai\"", 3);
    assert_sum(&e, "metergate_upstream_connect_failures_total", "upstream=\"gone\"", 1);
    assert_sum(&e, "metergate_upstream_reachable", "upstream=\"gone\"", 0);
    assert_sum(&e, "metergate_call_seconds", "upstream=\"gone\"", 1);
    assert_sum(&e, "metergate_refused_total", "reason=\"upstream-connect\"", 1);
    exposition_release(&e);
    fixture_stop(&f);
}

static void test_metrics__a_call_that_leaves_while_it_waits__waited_in_vain(void **state)
{
    struct client_async *first, *second;
    struct client_reply r;
    struct exposition e;
    struct fixture f;

    (void)state;
    fixture_start(&f, NULL, FIXTURE_UPSTREAM "models:\n  gpt-4o: {concurrent: 1}\n  \"*\": {learn: false}\n");
    first = fixture_chat_start(&f, CHAT("gpt-4o", "hello[[fault=hold]]"));
    fixture_sim_wait(&f, "held=1");
    second = fixture_chat_start(&f, CHAT("gpt-4o", "hello"));
    fixture_wait_status(&f, "held", 1);
    client_leave(second);
    fixture_wait_status(&f, "totals.cancelled", 1);
    exposition_fetch(&f, &e);
    assert_true(exposition_sum(&e, "metergate_budget_wait_in_vain_seconds_total", "") > 0);
    assert_sum(&e, "metergate_budget_wait_in_vain_seconds_total", "",
               value_of(&e, "metergate_queue_wait_seconds", "metergate_queue_wait_seconds_sum"));
    assert_sum(&e, "metergate_budget_calls_total", "outcome=\"cancelled\"", 1);
    assert_sum(&e, "metergate_call_seconds", "", 0);
    exposition_release(&e);
    fixture_sim_post(&f, "/_sim/release", NULL);
    r = client_finish(first);
    client_reply_release(&r);
    r = client_finish(second);
    client_reply_release(&r);
    fixture_stop(&f);
}

/* Prometheus takes a counter that falls for one that was reset, and counts all of it again. */
static void test_metrics__a_background_response_that_used_less_than_expected__lets_no_counter_fall(void **state)
{
    static const char body[] = "{\"model\":\"gpt-4.1\",\"background\":true,\"max_output_tokens\":400,\"input\":\"x [[out=3]]\"}";
    double tokens, cost, left;
    struct client_reply r;
    struct exposition e;
    struct fixture f;
    char path[128];
    cJSON *json, *s;

    (void)state;
    fixture_start(&f, NULL, FIXTURE_UPSTREAM);
    r = fixture_call(&f, "POST", "/v1/responses", body);
    assert_int_equal(r.status, 200);
    json = client_json(&r);
    snprintf(path, sizeof path, "/v1/responses/%s", json_text(json, "id"));
    cJSON_Delete(json);
    client_reply_release(&r);
    exposition_fetch(&f, &e);
    tokens = exposition_sum(&e, "metergate_tokens_total", "");
    cost = exposition_sum(&e, "metergate_cost_usd_total", "");
    exposition_release(&e);
    call(&f, path, NULL, 200);
    s = fixture_status(&f);
    left = status_sum(json_at(s, "clients"), "tokens");
    cJSON_Delete(s);
    assert_true(left < tokens); /* or this shows nothing */
    exposition_fetch(&f, &e);
    assert_sum(&e, "metergate_tokens_total", "", tokens);
    assert_sum(&e, "metergate_client_tokens_total", "", tokens);
    assert_sum(&e, "metergate_cost_usd_total", "", cost);
    assert_sum(&e, "metergate_client_cost_usd_total", "", cost);
    exposition_release(&e);
    call(&f, "/v1/chat/completions", CHAT("gpt-4.1", "hello [[out=900]]"), 200); /* and then they go on */
    s = fixture_status(&f);
    exposition_fetch(&f, &e);
    assert_sum(&e, "metergate_client_tokens_total", "", status_sum(json_at(s, "clients"), "tokens"));
    exposition_release(&e);
    cJSON_Delete(s);
    fixture_stop(&f);
}

/* How Prometheus sends it. */
static void test_metrics__with_tokens_required__takes_one_as_bearer(void **state)
{
    static const char config[] = "upstreams:\n  openai: {dialect: openai, base_url: $SIMULATOR/v1}\n"
                                 "clients:\n  require_token: true\n  prometheus: {token: {file: $DIR/token}}\n";
    static const char *const headers[] = {"Authorization: Bearer 0123456789abcdef0123", NULL};
    char path[128], url[128];
    struct client_reply r;
    struct fixture f;
    FILE *token;

    (void)state;
    fixture_start_simulator(&f, NULL, NULL);
    snprintf(path, sizeof path, "%s/token", f.dir);
    token = fopen(path, "we");
    assert_non_null(token);
    assert_int_equal(fchmod(fileno(token), 0600), 0);
    fputs("0123456789abcdef0123\n", token);
    assert_int_equal(fclose(token), 0);
    fixture_start_daemon(&f, config, NULL);
    snprintf(url, sizeof url, "%s/metrics", f.url);
    r = client_run(&(struct client_call){.url = url});
    assert_int_equal(r.status, 401);
    client_reply_release(&r);
    r = client_run(&(struct client_call){.url = url, .headers = headers});
    assert_int_equal(r.status, 200);
    client_reply_release(&r);
    fixture_stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_metrics__whatever_models_are_named__is_well_formed),
        cmocka_unit_test(test_metrics__after_a_reload__no_series_stands_twice),
        cmocka_unit_test(test_metrics__after_calls__add_up_with_each_other_and_with_status),
        cmocka_unit_test(test_metrics__a_call_that_waits__is_seen_now_and_in_the_histogram_later),
        cmocka_unit_test(test_metrics__calls_that_wait_for_a_window__start_when_status_says),
        cmocka_unit_test(test_metrics__a_provider_that_refuses_or_is_gone__is_counted_for_it),
        cmocka_unit_test(test_metrics__a_call_that_leaves_while_it_waits__waited_in_vain),
        cmocka_unit_test(test_metrics__a_background_response_that_used_less_than_expected__lets_no_counter_fall),
        cmocka_unit_test(test_metrics__with_tokens_required__takes_one_as_bearer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
