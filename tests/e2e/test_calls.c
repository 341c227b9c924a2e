/* calls: what becomes of one call, seen from outside: the real daemon between a client and the simulator. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include <cjson/cJSON.h>

#include "metergate/base/secret.h"
#include "fixture.h"

#define CHAT(model, text) "{\"model\":\"" model "\",\"max_tokens\":50,\"messages\":[{\"role\":\"user\",\"content\":\"" text "\"}]}"
#define STREAM(model, text)                                                                                                 \
    "{\"model\":\"" model "\",\"max_tokens\":50,\"stream\":true,\"messages\":[{\"role\":\"user\",\"content\":\"" text "\"}]}"

/* A window that no test waits for: what is in it stays in it. */
#define LONG_LIMIT FIXTURE_UPSTREAM "headroom: 0%\nmodels:\n  gpt-4o: {tpm: {max: 1000, per: 1h}}\n"

/* As FIXTURE_UPSTREAM, charging as OpenAI documents it. */
#define FIXTURE_OPENAI "upstreams:\n  openai: {dialect: openai, base_url: $SIMULATOR/v1}\n"

static double used(const struct fixture *f)
{
    cJSON *status = fixture_status(f);
    double v = json_number(status, "budgets.0.limits.0.used");

    cJSON_Delete(status);
    return v;
}

static void assert_total(const struct fixture *f, const char *name, double want)
{
    cJSON *status = fixture_status(f);
    char path[64];

    snprintf(path, sizeof path, "totals.%s", name);
    if (json_number(status, path) != want)
        fail_msg("totals.%s is %g, not %g", name, json_number(status, path), want);
    cJSON_Delete(status);
}

static void test_plain_call__passes_and_settles_to_the_reported_usage(void **state)
{
    struct fixture f;
    struct client_reply r;
    cJSON *json;

    (void)state;
    fixture_start(&f, NULL, LONG_LIMIT);
    r = fixture_chat(&f, CHAT("gpt-4o", "hello [[out=20]]"));
    assert_int_equal(r.status, 200);
    json = client_json(&r);
    assert_int_equal((int)json_number(json, "usage.completion_tokens"), 20);
    fixture_wait_status(&f, "totals.completed", 1);
    assert_int_equal((int)used(&f), (int)json_number(json, "usage.total_tokens"));
    assert_string_equal(client_header(&r, "Metergate-Budget"), "gpt-4o");
    assert_string_equal(client_header(&r, "Metergate-Attempts"), "1");
    assert_non_null(client_header(&r, "Metergate-Request-Id"));
    assert_non_null(client_header(&r, "Metergate-Queued-Ms"));
    assert_non_null(client_header(&r, "Metergate-Estimated-Tokens"));
    cJSON_Delete(json);
    client_reply_release(&r);
    fixture_assert_idle(&f);
    fixture_stop(&f);
}

static void test_stream__splice_is_taken_out_again__and_usage_is_settled(void **state)
{
    struct fixture f;
    struct client_reply direct, through;

    (void)state;
    fixture_start(&f, NULL, LONG_LIMIT);
    through = fixture_chat(&f, STREAM("gpt-4o", "hello [[out=30]]"));
    assert_int_equal(through.status, 200);
    assert_null(strstr(through.body.p, "usage"));
    assert_non_null(strstr(through.body.p, "data: [DONE]"));
    fixture_wait_status(&f, "totals.completed", 1);
    assert_true(used(&f) > 30);
    {
        char url[128];
        const struct client_call call = {.url = url, .body = STREAM("gpt-4o", "hello [[out=30]]")};

        snprintf(url, sizeof url, "%s/v1/chat/completions", f.simulator_url);
        direct = client_run(&call);
    }
    assert_int_equal(direct.body.n, through.body.n);
    assert_memory_equal(direct.body.p, through.body.p, direct.body.n);
    client_reply_release(&direct);
    client_reply_release(&through);
    fixture_assert_idle(&f);
    fixture_stop(&f);
}

static void sha256_hex(const char *body, char *ret)
{
    struct secret_fingerprint sum = secret_fingerprint_of(slice_str(body));

    for (size_t i = 0; i < sizeof sum.bytes; i++)
        snprintf(ret + 2 * i, 3, "%02x", sum.bytes[i]);
}

static void test_bodies__reach_the_provider_byte_for_byte_but_for_the_splice(void **state)
{
#define MESSAGES "\"messages\":[{\"role\":\"user\",\"content\":\"h\\u00e9llo [[out=2]]\"}]"
    static const struct {
        const char *sent, *seen; /* NULL: the same */
    } rows[] = {
        {"{\"model\":\"gpt-4o\"," MESSAGES "}", NULL},
        {" {\t\"model\" : \"gpt-4o\" ,\r\n \"seed\":1e0, " MESSAGES " } \n", NULL},
        {"{\"model\":\"x\",\"model\":\"gpt-4o\"," MESSAGES "}", NULL},
        {"{\"stream\":false,\"model\":\"gpt-4o\"," MESSAGES "}", NULL},
        {"{\"stream\":true,\"stream_options\":{\"include_usage\":false},\"model\":\"gpt-4o\"," MESSAGES "}", NULL},
        {"{\"stream\":true,\"stream_options\":{\"include_usage\":true},\"model\":\"gpt-4o\"," MESSAGES "}", NULL},
        {"{\"stream\":true,\"model\":\"gpt-4o\"," MESSAGES " }",
         "{\"stream\":true,\"model\":\"gpt-4o\"," MESSAGES " ,\"stream_options\":{\"include_usage\":true}}"},
        {"{\"stream\":true,\"stream_options\": null ,\"model\":\"gpt-4o\"," MESSAGES "}",
         "{\"stream\":true,\"stream_options\": {\"include_usage\":true} ,\"model\":\"gpt-4o\"," MESSAGES "}"},
        {"not JSON at all", NULL},
        {"{\"model\":\"gpt-4o\"", NULL},
    };
#undef MESSAGES
    struct fixture f;
    cJSON *audit;
    const cJSON *list, *other;
    size_t chats = 0, others = 0;

    (void)state;
    fixture_start(&f, "{\"models\":{\"gpt-4o\":{}}}", FIXTURE_UPSTREAM);
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++) {
        struct client_reply r = fixture_chat(&f, rows[i].sent);

        client_reply_release(&r);
    }
    audit = fixture_audit(&f);
    list = json_at(audit, "models.gpt-4o.list");
    other = json_at(audit, "other.list");
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++) {
        bool readable = i < MG_ARRAY_LEN(rows) - 2;
        const cJSON *seen = cJSON_GetArrayItem(readable ? list : other, (int)(readable ? chats++ : others++));
        char want[65];

        sha256_hex(rows[i].seen ? rows[i].seen : rows[i].sent, want);
        if (strcmp(json_text(seen, "sha256"), want) != 0)
            fail_msg("the provider saw another body than: %s", rows[i].seen ? rows[i].seen : rows[i].sent);
    }
    cJSON_Delete(audit);
    fixture_assert_idle(&f);
    fixture_stop(&f);
}

static void test_call_without_room__is_held_until_the_exact_moment(void **state)
{
    struct fixture f;
    struct client_reply first, second;
    struct client_async *waiting;
    cJSON *audit;
    double apart_us;

    (void)state;
    fixture_start(&f, "{\"models\":{\"gpt-4o\":{\"tpm\":1000,\"window_ms\":1500}}}",
                  FIXTURE_UPSTREAM "headroom: 0%\nmodels:\n  gpt-4o: {tpm: {max: 60, per: 1500ms}}\n");
    first = fixture_chat(&f, CHAT("gpt-4o", "hello [[out=40]]"));
    assert_int_equal(first.status, 200);
    waiting = fixture_chat_start(&f, CHAT("gpt-4o", "hello [[out=41]]"));
    fixture_wait_status(&f, "held", 1);
    second = client_finish(waiting);
    assert_int_equal(second.status, 200);
    assert_true(atoi(client_header(&second, "Metergate-Queued-Ms")) > 1000);
    audit = fixture_audit(&f);
    apart_us = json_number(audit, "models.gpt-4o.list.1.t_us") - json_number(audit, "models.gpt-4o.list.0.t_us");
    assert_true(apart_us >= 1500000);
    assert_true(apart_us < 1500000 + 250000); /* a slow machine; the exact moment is tested in virtual time */
    cJSON_Delete(audit);
    client_reply_release(&first);
    client_reply_release(&second);
    fixture_assert_idle(&f);
    fixture_stop(&f);
}

static void test_burst__of_many_calls__never_passes_the_limit_by_a_microsecond(void **state)
{
    struct fixture f;
    struct client_async *calls[64];
    cJSON *audit;

    (void)state;
    fixture_start(&f, "{\"models\":{\"gpt-4o\":{\"tpm\":100000,\"rpm\":32,\"window_ms\":1000}}}",
                  FIXTURE_UPSTREAM "headroom: 0%\nmodels:\n  gpt-4o: {rpm: {max: 32, per: 1s}}\n");
    for (size_t i = 0; i < MG_ARRAY_LEN(calls); i++)
        calls[i] = fixture_chat_start(&f, CHAT("gpt-4o", "hello [[out=2]]"));
    for (size_t i = 0; i < MG_ARRAY_LEN(calls); i++) {
        struct client_reply r = client_finish(calls[i]);

        assert_int_equal(r.status, 200);
        client_reply_release(&r);
    }
    audit = fixture_audit(&f);
    assert_int_equal((int)json_number(audit, "n429"), 0);
    assert_true(json_number(audit, "models.gpt-4o.peak_requests") <= 32);
    cJSON_Delete(audit);
    fixture_assert_idle(&f);
    fixture_stop(&f);
}

static void test_client_that_leaves_while_held__costs_nothing(void **state)
{
    struct fixture f;
    struct client_reply r;
    struct client_async *waiting;

    (void)state;
    fixture_start(&f, NULL, FIXTURE_UPSTREAM "headroom: 0%\nmodels:\n  gpt-4o: {tpm: {max: 60, per: 1h}}\n");
    r = fixture_chat(&f, CHAT("gpt-4o", "hello [[out=40]]"));
    client_reply_release(&r);
    waiting = fixture_chat_start(&f, CHAT("gpt-4o", "hello [[out=40]]"));
    fixture_wait_status(&f, "held", 1);
    client_leave(waiting);
    r = client_finish(waiting);
    client_reply_release(&r);
    fixture_wait_status(&f, "totals.cancelled", 1);
    fixture_wait_status(&f, "held", 0);
    assert_total(&f, "dispatched", 1);
    fixture_assert_idle(&f);
    fixture_stop(&f);
}

static void test_client_that_leaves_during_the_answer__aborts_upstream(void **state)
{
    struct fixture f;
    struct client_reply r;
    struct client_async *going;

    (void)state;
    fixture_start(&f, NULL, LONG_LIMIT);
    going = fixture_chat_start(&f, STREAM("gpt-4o", "hello [[out=40]] [[fault=stall_after:900]]"));
    assert_true(client_wait_body(going, "data:", FIXTURE_TIMEOUT_MS));
    client_leave(going);
    r = client_finish(going);
    client_reply_release(&r);
    fixture_sim_wait(&f, "aborted=1");
    fixture_wait_status(&f, "totals.cancelled", 1);
    assert_true(used(&f) > 10); /* the input stays charged */
    fixture_assert_idle(&f);
    fixture_stop(&f);
}

static void test_429_with_a_wait__is_retried_inside(void **state)
{
    struct fixture f;
    struct client_reply r;

    (void)state;
    fixture_start(&f, "{\"faults\":[{\"fault\":\"status:429,retry_after_ms:300\",\"next\":2}]}", LONG_LIMIT);
    r = fixture_chat(&f, CHAT("gpt-4o", "hello [[out=20]]"));
    assert_int_equal(r.status, 200);
    assert_string_equal(client_header(&r, "Metergate-Attempts"), "3");
    assert_total(&f, "upstream_429", 2);
    assert_total(&f, "retries", 2);
    client_reply_release(&r);
    fixture_assert_idle(&f);
    fixture_stop(&f);
}

static void test_quota_429__passes_through_unchanged(void **state)
{
    struct fixture f;
    struct client_reply r;

    (void)state;
    fixture_start(&f, "{\"faults\":[{\"fault\":\"status:429,quota:1\",\"next\":1}]}", LONG_LIMIT);
    r = fixture_chat(&f, CHAT("gpt-4o", "hello [[out=20]]"));
    assert_int_equal(r.status, 429);
    assert_non_null(strstr(r.body.p, "insufficient_quota"));
    assert_null(client_header(&r, "Metergate-Refused"));
    assert_total(&f, "retries", 0);
    assert_int_equal((int)used(&f), 0);
    client_reply_release(&r);
    fixture_assert_idle(&f);
    fixture_stop(&f);
}

static void test_500__passes_through_and_is_not_retried(void **state)
{
    struct fixture f;
    struct client_reply r;

    (void)state;
    fixture_start(&f, NULL, LONG_LIMIT);
    r = fixture_chat(&f, CHAT("gpt-4o", "hello [[fault=status:500]]"));
    assert_int_equal(r.status, 500);
    assert_total(&f, "retries", 0);
    assert_total(&f, "completed", 1);
    client_reply_release(&r);
    fixture_assert_idle(&f);
    fixture_stop(&f);
}

static void test_503__is_retried_and_given_after_the_last_attempt(void **state)
{
    struct fixture f;
    struct client_reply r;

    (void)state;
    fixture_start(&f, NULL, LONG_LIMIT);
    r = fixture_chat(&f, CHAT("gpt-4o", "hello [[fault=status:503]]"));
    assert_int_equal(r.status, 503);
    assert_string_equal(client_header(&r, "Metergate-Attempts"), "3");
    client_reply_release(&r);
    fixture_assert_idle(&f);
    fixture_stop(&f);
}

static void test_too_large__is_refused_at_once_in_the_callers_shape(void **state)
{
    struct fixture f;
    struct client_reply r;
    struct buf body;
    cJSON *json;

    (void)state;
    fixture_start(&f, NULL, FIXTURE_OPENAI "models:\n  gpt-4o: {tpm: 30000}\n");
    buf_init(&body, BUF_UNLIMITED);
    buf_add_str(&body, "{\"model\":\"gpt-4o\",\"messages\":[{\"role\":\"user\",\"content\":\"");
    for (int i = 0; i < 40659; i++)
        buf_add_str(&body, " word");
    buf_add_str(&body, "\"}]}");
    r = fixture_chat(&f, body.p);
    assert_int_equal(r.status, 413);
    assert_string_equal(client_header(&r, "Metergate-Refused"), "too-large");
    json = client_json(&r);
    assert_non_null(strstr(json_text(json, "error.message"), "Limit 30000, Requested 40666"));
    assert_string_equal(json_text(json, "error.code"), "rate_limit_exceeded");
    cJSON_Delete(json);
    client_reply_release(&r);
    buf_release(&body);
    assert_total(&f, "refused", 1);
    assert_total(&f, "dispatched", 0);
    fixture_assert_idle(&f);
    fixture_stop(&f);
}

/* A chat body of about so many bytes. */
static void big_body(struct buf *body, size_t bytes)
{
    buf_init(body, BUF_UNLIMITED);
    buf_add_str(body, "{\"model\":\"gpt-3.5-turbo\",\"max_tokens\":5,\"messages\":[{\"role\":\"user\",\"content\":\"[[out=5]]");
    while (body->n < bytes)
        buf_add_str(body, " the river carries what the gate lets pass");
    buf_add_str(body, "\"}]}");
}

static void test_big_bodies__are_counted_beside_the_loop_and_their_clients_may_leave(void **state)
{
    struct fixture f;
    struct client_reply r;
    struct client_async *going[4];
    struct buf body;
    cJSON *json;

    (void)state;
    fixture_start(&f, NULL, FIXTURE_UPSTREAM);
    big_body(&body, 300000);
    r = fixture_chat(&f, body.p);
    assert_int_equal(r.status, 200);
    json = client_json(&r);
    assert_int_equal(atoi(client_header(&r, "Metergate-Estimated-Tokens")), (int)json_number(json, "usage.total_tokens"));
    cJSON_Delete(json);
    client_reply_release(&r);
    buf_release(&body);
    big_body(&body, 8000000);
    for (size_t i = 0; i < MG_ARRAY_LEN(going); i++)
        going[i] = fixture_chat_start(&f, body.p);
    fixture_wait_status(&f, "totals.calls", 5);
    for (size_t i = 0; i < MG_ARRAY_LEN(going); i++) {
        client_leave(going[i]);
        r = client_finish(going[i]);
        client_reply_release(&r);
    }
    buf_release(&body);
    fixture_assert_idle(&f);
    fixture_stop(&f);
}

static void test_max_wait__that_cannot_be_kept_is_refused_with_a_computed_retry_after(void **state)
{
    const char *const headers[] = {"Metergate-Max-Wait: 5s", "Content-Type: application/json", NULL};
    struct fixture f;
    struct client_reply r;
    char url[128];
    const struct client_call call = {.url = url, .headers = headers, .body = CHAT("gpt-4o", "hello [[out=40]]")};
    int wait_s;

    (void)state;
    fixture_start(&f, NULL, FIXTURE_UPSTREAM "headroom: 0%\nmodels:\n  gpt-4o: {tpm: {max: 60, per: 1h}}\n");
    r = fixture_chat(&f, CHAT("gpt-4o", "hello [[out=40]]"));
    client_reply_release(&r);
    snprintf(url, sizeof url, "%s/v1/chat/completions", f.url);
    r = client_run(&call);
    assert_int_equal(r.status, 429);
    assert_string_equal(client_header(&r, "Metergate-Refused"), "max-wait");
    wait_s = atoi(client_header(&r, "Retry-After"));
    assert_in_range(wait_s, 3500, 3600);
    assert_non_null(strstr(r.body.p, "Please try again in"));
    client_reply_release(&r);
    fixture_assert_idle(&f);
    fixture_stop(&f);
}

static void test_held_call__is_refused_at_its_deadline(void **state)
{
    const char *const headers[] = {"Metergate-Max-Wait: 900ms", "Content-Type: application/json", NULL};
    struct fixture f;
    struct client_async *stuck;
    struct client_reply r;
    char url[128];
    const struct client_call call = {.url = url, .headers = headers, .body = CHAT("gpt-4o", "hello [[out=40]]")};

    (void)state;
    /* a cap on calls in flight predicts nothing, so the call is held and must hear of its deadline */
    fixture_start(&f, NULL, FIXTURE_UPSTREAM "models:\n  gpt-4o: {concurrent: 1}\n");
    stuck = fixture_chat_start(&f, CHAT("gpt-4o", "hello [[fault=hold]]"));
    fixture_sim_wait(&f, "held=1");
    snprintf(url, sizeof url, "%s/v1/chat/completions", f.url);
    r = client_run(&call);
    assert_int_equal(r.status, 429);
    assert_string_equal(client_header(&r, "Metergate-Refused"), "max-wait");
    assert_true(r.end_us - r.start_us >= 900000);
    client_reply_release(&r);
    fixture_sim_post(&f, "/_sim/release", NULL);
    r = client_finish(stuck);
    assert_int_equal(r.status, 200);
    client_reply_release(&r);
    fixture_assert_idle(&f);
    fixture_stop(&f);
}

static void test_full_queue__is_refused_honestly_and_what_need_not_wait_still_goes(void **state)
{
    struct fixture f;
    struct client_async *held[4];
    struct client_reply r;

    (void)state;
    fixture_start(&f, NULL, FIXTURE_UPSTREAM "headroom: 0%\nqueue: {max_requests: 5}\nmodels:\n  gpt-4o: {rpm: {max: 1, per: 1h}}\n");
    r = fixture_chat(&f, CHAT("gpt-4o", "hello"));
    client_reply_release(&r);
    for (size_t i = 0; i < MG_ARRAY_LEN(held); i++)
        held[i] = fixture_chat_start(&f, CHAT("gpt-4o", "hello"));
    fixture_wait_status(&f, "held", 4); /* 80 % of 5: all that one client may hold */
    r = fixture_chat(&f, CHAT("gpt-4o", "hello"));
    assert_int_equal(r.status, 429);
    assert_string_equal(client_header(&r, "Metergate-Refused"), "queue-full");
    assert_true(atoi(client_header(&r, "Retry-After")) > 3000);
    client_reply_release(&r);
    r = fixture_chat(&f, CHAT("gpt-3.5-turbo", "hello [[out=2]]"));
    assert_int_equal(r.status, 200);
    client_reply_release(&r);
    for (size_t i = 0; i < MG_ARRAY_LEN(held); i++) {
        client_leave(held[i]);
        r = client_finish(held[i]);
        client_reply_release(&r);
    }
    fixture_assert_idle(&f);
    fixture_stop(&f);
}

static void test_upstream_that_refuses_connections__is_tried_three_times_then_502(void **state)
{
    struct fixture f;
    struct client_reply r;

    (void)state;
    fixture_start(&f, NULL, "upstreams:\n  openai: {dialect: openai, base_url: \"http://127.0.0.1:9/v1\"}\n");
    r = fixture_chat(&f, CHAT("gpt-4o", "hello"));
    assert_int_equal(r.status, 502);
    assert_string_equal(client_header(&r, "Metergate-Refused"), "upstream-connect");
    assert_total(&f, "retries", 2);
    assert_total(&f, "failed", 1);
    client_reply_release(&r);
    fixture_assert_idle(&f);
    fixture_stop(&f);
}

static void test_answer_cut_in_the_middle__never_looks_whole(void **state)
{
    struct fixture f;
    struct client_reply r;

    (void)state;
    fixture_start(&f, NULL, LONG_LIMIT);
    r = fixture_chat(&f, STREAM("gpt-4o", "hello [[out=40]] [[fault=close_after:700]]"));
    assert_int_not_equal(r.error, 0);
    assert_null(r.body.p ? strstr(r.body.p, "[DONE]") : NULL);
    client_reply_release(&r);
    r = fixture_chat(&f, CHAT("gpt-4o", "hello [[out=40]] [[fault=close_after:100]]"));
    assert_int_not_equal(r.error, 0);
    client_reply_release(&r);
    fixture_wait_status(&f, "totals.failed", 2);
    fixture_assert_idle(&f);
    fixture_stop(&f);
}

static void test_https_upstream__is_verified(void **state)
{
    char certs[] = "/tmp/metergate-certs-XXXXXX", yaml[400];
    const char *const more[] = {"--make-certs", certs, NULL};
    struct process *provider;
    struct client_reply r;
    struct fixture f = {0};

    (void)state;
    assert_non_null(mkdtemp(certs));
    fixture_start_simulator(&f, "{}", more);
    provider = f.simulator; /* it speaks HTTPS only: the fixture has nothing to ask it */
    f.simulator = NULL;
    snprintf(yaml, sizeof yaml, "upstreams:\n  openai: {base_url: \"https://localhost:%d/v1\", ca_file: %s/ca.pem}\n"
             "  strange: {base_url: \"https://localhost:%d/v1\", retry: {attempts: 1}}\n",
             f.simulator_port, certs, f.simulator_port);
    fixture_start_daemon(&f, yaml, NULL);
    r = fixture_chat(&f, CHAT("gpt-4o", "hello [[out=20]]"));
    assert_int_equal(r.status, 200);
    client_reply_release(&r);
    /* The same provider by its other name, whose roots do not know it: the connection that is kept is not its. */
    r = fixture_call(&f, "POST", "/strange/v1/chat/completions", CHAT("gpt-4o", "hello [[out=20]]"));
    assert_int_equal(r.status, 502);
    assert_string_equal(client_header(&r, "Metergate-Refused"), "upstream-connect");
    client_reply_release(&r);
    fixture_stop_daemon(&f);

    snprintf(yaml, sizeof yaml, "upstreams:\n  openai: {base_url: \"https://localhost:%d/v1\", retry: {attempts: 1}}\n",
             f.simulator_port);
    fixture_start_daemon(&f, yaml, NULL);
    r = fixture_chat(&f, CHAT("gpt-4o", "hello"));
    assert_int_equal(r.status, 502);
    assert_string_equal(client_header(&r, "Metergate-Refused"), "upstream-connect");
    client_reply_release(&r);
    fixture_stop_daemon(&f);
    f.simulator = NULL;
    process_signal(provider, SIGTERM);
    assert_int_equal(process_wait_exit(provider, FIXTURE_TIMEOUT_MS), 0);
    process_free(provider);
    for (size_t i = 0; i < 3; i++) {
        static const char *const files[] = {"ca.pem", "cert.pem", "key.pem"};

        snprintf(yaml, sizeof yaml, "%s/%s", certs, files[i]);
        unlink(yaml);
    }
    rmdir(certs);
    fixture_stop(&f);
}

static void test_stop__tells_held_calls_to_come_again_and_lets_the_others_end(void **state)
{
    struct fixture f;
    struct client_async *going, *waiting;
    struct client_reply r;

    (void)state;
    fixture_start(&f, NULL, FIXTURE_UPSTREAM "models:\n  gpt-4o: {concurrent: 1}\n");
    going = fixture_chat_start(&f, CHAT("gpt-4o", "hello [[out=20]] [[fault=hold]]"));
    fixture_sim_wait(&f, "held=1");
    waiting = fixture_chat_start(&f, CHAT("gpt-4o", "hello"));
    fixture_wait_status(&f, "held", 1);
    process_signal(f.daemon, 15);
    r = client_finish(waiting);
    assert_int_equal(r.status, 503);
    assert_string_equal(client_header(&r, "Metergate-Refused"), "draining");
    assert_string_equal(client_header(&r, "Retry-After"), "1");
    assert_string_equal(client_header(&r, "x-should-retry"), "true");
    client_reply_release(&r);
    r = fixture_chat(&f, CHAT("gpt-4o", "hello")); /* nobody who comes now waits for an answer that never comes */
    assert_int_equal(r.status, 503);
    assert_string_equal(client_header(&r, "Metergate-Refused"), "draining");
    client_reply_release(&r);
    r = fixture_call(&f, "GET", "/readyz", NULL);
    assert_int_equal(r.status, 503);
    client_reply_release(&r);
    fixture_sim_post(&f, "/_sim/release", NULL);
    r = client_finish(going);
    assert_int_equal(r.status, 200);
    assert_int_equal(r.error, 0);
    client_reply_release(&r);
    fixture_stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain_call__passes_and_settles_to_the_reported_usage),
        cmocka_unit_test(test_stream__splice_is_taken_out_again__and_usage_is_settled),
        cmocka_unit_test(test_bodies__reach_the_provider_byte_for_byte_but_for_the_splice),
        cmocka_unit_test(test_call_without_room__is_held_until_the_exact_moment),
        cmocka_unit_test(test_burst__of_many_calls__never_passes_the_limit_by_a_microsecond),
        cmocka_unit_test(test_client_that_leaves_while_held__costs_nothing),
        cmocka_unit_test(test_client_that_leaves_during_the_answer__aborts_upstream),
        cmocka_unit_test(test_429_with_a_wait__is_retried_inside),
        cmocka_unit_test(test_quota_429__passes_through_unchanged),
        cmocka_unit_test(test_500__passes_through_and_is_not_retried),
        cmocka_unit_test(test_503__is_retried_and_given_after_the_last_attempt),
        cmocka_unit_test(test_too_large__is_refused_at_once_in_the_callers_shape),
        cmocka_unit_test(test_big_bodies__are_counted_beside_the_loop_and_their_clients_may_leave),
        cmocka_unit_test(test_max_wait__that_cannot_be_kept_is_refused_with_a_computed_retry_after),
        cmocka_unit_test(test_held_call__is_refused_at_its_deadline),
        cmocka_unit_test(test_full_queue__is_refused_honestly_and_what_need_not_wait_still_goes),
        cmocka_unit_test(test_upstream_that_refuses_connections__is_tried_three_times_then_502),
        cmocka_unit_test(test_answer_cut_in_the_middle__never_looks_whole),
        cmocka_unit_test(test_https_upstream__is_verified),
        cmocka_unit_test(test_stop__tells_held_calls_to_come_again_and_lets_the_others_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
