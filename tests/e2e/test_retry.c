/* retry: who waits when a provider refuses or is down, for how long, and what becomes of the calls meanwhile. */
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

#include "metergate/base/clock.h"
#include "played.h"

#define CHAT(model, text)                                                                                    \
    "{\"model\":\"" model "\",\"max_tokens\":20,\"messages\":[{\"role\":\"user\",\"content\":\"" text "\"}]}"

/* No limits: only refusals hold anybody. */
#define OPEN FIXTURE_UPSTREAM "models:\n  gpt-4o: {tpm: 100M}\n  gpt-4o-mini: {tpm: 100M}\n"

#define CROWD 20

static double audited(const struct fixture *f, const char *path)
{
    cJSON *audit = fixture_audit(f);
    double v = json_number(audit, path);

    cJSON_Delete(audit);
    return v;
}

static double counted(const struct fixture *f, const char *path)
{
    cJSON *status = fixture_status(f);
    double v = json_number(status, path);

    cJSON_Delete(status);
    return v;
}

static void assert_answered(struct client_reply r, int status)
{
    if (r.status != status)
        fail_msg("%d: %s", r.status, r.body.n ? r.body.p : "nothing");
    client_reply_release(&r);
}

static void assert_metric(const struct fixture *f, const char *line)
{
    struct client_reply r = fixture_call(f, "GET", "/metrics", NULL);

    assert_int_equal(r.status, 200);
    if (!strstr(r.body.p, line))
        fail_msg("/metrics lacks %s", line);
    client_reply_release(&r);
}

static struct client_async *start_with_max_wait(const struct fixture *f, const char *body, const char *max_wait)
{
    const char *const headers[] = {"Authorization: Bearer sk-test", max_wait, NULL};
    char url[128];
    const struct client_call call = {.url = url, .headers = headers, .body = body};

    snprintf(url, sizeof url, "%s/v1/chat/completions", f->url);
    return client_start(&call);
}

static void post(const struct fixture *f, const char *path)
{
    assert_answered(fixture_call(f, "POST", path, NULL), 200);
}

/* All are sent in one turn: without that the first one's failure would hold the others back. */
static void start_crowd(const struct fixture *f, struct client_async **ret, const char *body)
{
    post(f, "/-/pause");
    for (int i = 0; i < CROWD; i++)
        ret[i] = fixture_chat_start(f, body);
    fixture_wait_status(f, "held", CROWD);
    post(f, "/-/resume");
}

static void finish_crowd(struct client_async *const *crowd)
{
    for (int i = 0; i < CROWD; i++)
        assert_answered(client_finish(crowd[i]), 200);
}

/* ---- 429 ---------------------------------------------------------------------------------------------------- */

static void test_429_of_one_model__the_other_models_calls_go_on(void **state)
{
    struct client_async *refused;
    struct client_reply r;
    struct fixture f;

    (void)state;
    fixture_start(&f, "{\"faults\":[{\"fault\":\"status:429,retry_after:3600\",\"next\":1}]}", OPEN);
    refused = fixture_chat_start(&f, CHAT("gpt-4o", "hello"));
    fixture_wait_status(&f, "budgets.0.held", 1);
    fixture_wait_status(&f, "totals.upstream_429", 1);
    for (int i = 0; i < 5; i++)
        assert_answered(fixture_chat(&f, CHAT("gpt-4o-mini", "hello")), 200);
    assert_int_equal((int)counted(&f, "budgets.0.held"), 1);
    assert_true(counted(&f, "budgets.0.paused_until_ms") > 3500000);
    assert_int_equal((int)counted(&f, "budgets.1.paused_until_ms"), 0);
    client_leave(refused);
    r = client_finish(refused);
    client_reply_release(&r);
    fixture_assert_idle(&f);
    fixture_stop(&f);
}

/* What Google says of a quota that all models of a project share. */
#define ACCOUNT_BODY                                                                                         \
    "{\"error\":{\"code\":429,\"message\":\"Quota exceeded.\",\"status\":\"RESOURCE_EXHAUSTED\",\"details\":[{\"@type\":"      \
    "\"type.googleapis.com/google.rpc.QuotaFailure\",\"violations\":[{\"quotaId\":\"GenerateRequestsPerMinutePerProject\"" \
    "}]},{\"@type\":\"type.googleapis.com/google.rpc.RetryInfo\",\"retryDelay\":\"3600s\"}]}}"

static void test_429_of_the_account__stops_all_models(void **state)
{
    char answer[800];
    struct fixture f = {0};
    int listener = played_start(&f, "", ""), fd, n;
    struct client_async *refused = fixture_chat_start(&f, PLAYED_CHAT);
    struct client_reply r;

    (void)state;
    n = snprintf(answer, sizeof answer, "HTTP/1.1 429 Too Many Requests\r\nContent-Length: %zu\r\n\r\n%s",
                 sizeof ACCOUNT_BODY - 1, ACCOUNT_BODY);
    fd = played_take(listener);
    raw_send(fd, answer, (size_t)n);
    fixture_wait_status(&f, "totals.upstream_429", 1);
    fixture_wait_status(&f, "held", 1);
    r = client_finish(start_with_max_wait(&f, CHAT("another", "hello"), "Metergate-Max-Wait: 10s"));
    assert_int_equal(r.status, 429);
    assert_string_equal(client_header(&r, "Metergate-Refused"), "max-wait");
    assert_true(strtol(client_header(&r, "Retry-After"), NULL, 10) > 3500);
    client_reply_release(&r);
    client_leave(refused);
    r = client_finish(refused);
    client_reply_release(&r);
    close(fd);
    fixture_assert_idle(&f);
    fixture_stop(&f);
    close(listener);
}

static void test_429__the_call_keeps_its_place(void **state)
{
    struct client_async *first, *second;
    struct fixture f;
    cJSON *audit;

    (void)state;
    fixture_start(&f, "{\"faults\":[{\"fault\":\"status:429,retry_after:1\",\"next\":1}]}", OPEN);
    first = fixture_chat_start(&f, CHAT("gpt-4o", "the first"));
    fixture_wait_status(&f, "totals.upstream_429", 1);
    second = fixture_chat_start(&f, CHAT("gpt-4o", "second"));
    fixture_wait_status(&f, "held", 2);
    assert_answered(client_finish(first), 200);
    assert_answered(client_finish(second), 200);
    audit = fixture_audit(&f);
    assert_int_equal((int)json_number(audit, "models.gpt-4o.list.0.status"), 429);
    assert_string_equal(json_text(audit, "models.gpt-4o.list.0.sha256"), json_text(audit, "models.gpt-4o.list.1.sha256"));
    assert_string_not_equal(json_text(audit, "models.gpt-4o.list.1.sha256"),
                            json_text(audit, "models.gpt-4o.list.2.sha256"));
    assert_true(json_number(audit, "models.gpt-4o.list.1.t_us") - json_number(audit, "models.gpt-4o.list.0.t_us") >= 1e6);
    cJSON_Delete(audit);
    fixture_assert_idle(&f);
    fixture_stop(&f);
}

/* No minute is invented: half a second at the least, a second at the most (and what the machine adds). */
static void test_429_without_a_wait__backs_off_from_half_a_second(void **state)
{
    struct client_reply r;
    struct fixture f;

    (void)state;
    fixture_start(&f, "{\"faults\":[{\"fault\":\"status:429\",\"next\":1}]}", OPEN);
    r = fixture_chat(&f, CHAT("gpt-4o", "hello"));
    assert_int_equal(r.status, 200);
    assert_string_equal(client_header(&r, "Metergate-Attempts"), "2");
    assert_true(r.head_us - r.start_us >= CLOCK_S / 2);
    assert_true(r.head_us - r.start_us < 5 * CLOCK_S);
    client_reply_release(&r);
    fixture_assert_idle(&f);
    fixture_stop(&f);
}

/* All of a crowd are refused at one moment: the wait is that of one refusal, and they come back one by one. */
static void test_429_of_a_crowd__is_one_refusal__and_nobody_comes_back_at_the_same_moment(void **state)
{
    struct client_async *crowd[CROWD];
    double first_us, last_us = 0;
    struct fixture f;
    cJSON *audit;

    (void)state;
    fixture_start(&f, "{\"faults\":[{\"fault\":\"hold:1,status:429\",\"next\":20}]}", OPEN);
    start_crowd(&f, crowd, CHAT("gpt-4o", "hello"));
    fixture_sim_wait(&f, "held=20");
    fixture_sim_post(&f, "/_sim/release", NULL);
    finish_crowd(crowd);
    assert_int_equal((int)counted(&f, "totals.retries"), CROWD);
    audit = fixture_audit(&f);
    first_us = json_number(audit, "models.gpt-4o.list.20.t_us");
    for (int i = CROWD; i < 2 * CROWD; i++) {
        char path[64];

        snprintf(path, sizeof path, "models.gpt-4o.list.%d.t_us", i);
        last_us = json_number(audit, path);
    }
    assert_true(first_us - json_number(audit, "models.gpt-4o.list.0.end_us") < 3e6);
    assert_true(last_us - first_us >= 1e5);
    cJSON_Delete(audit);
    fixture_assert_idle(&f);
    fixture_stop(&f);
}

#define IN_STREAM                                                                                            \
    "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"id\":\"resp_1\"}}\n\n"                     \
    "event: response.failed\ndata: {\"type\":\"response.failed\",\"response\":{\"id\":\"resp_1\",\"error\":{\"code\":"           \
    "\"rate_limit_exceeded\",\"message\":\"Rate limit reached. Please try again in 1h2m3s.\"}}}\n\n"

/* The stream is its client's; those who come next wait as it says. */
static void test_rate_limit_inside_a_200__passes_and_the_next_calls_wait(void **state)
{
    static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n" IN_STREAM;
    struct fixture f = {0};
    int listener = played_start(&f, "", "");
    struct client_reply r =
        played_call(&f, listener, "{\"model\":\"gpt-4o\",\"stream\":true,\"stream_options\":{\"include_usage\":true},\"messages\":[]}",
                    answer, sizeof answer - 1, PLAYED_CLOSES);

    (void)state;
    assert_int_equal(r.status, 200);
    assert_string_equal(r.body.p, IN_STREAM);
    client_reply_release(&r);
    r = client_finish(start_with_max_wait(&f, CHAT("gpt-4o", "hello"), "Metergate-Max-Wait: 10s"));
    assert_int_equal(r.status, 429);
    assert_string_equal(client_header(&r, "Metergate-Refused"), "max-wait");
    assert_true(strtol(client_header(&r, "Retry-After"), NULL, 10) > 3600);
    client_reply_release(&r);
    fixture_assert_idle(&f);
    fixture_stop(&f);
    close(listener);
}

/* ---- answers that no waiting helps --------------------------------------------------------------------------- */

#define OPENAI(message, type, code)                                                                          \
    "{\"error\":{\"message\":\"" message "\",\"type\":\"" type "\",\"param\":null,\"code\":\"" code "\"}}"
#define GOOGLE(quota)                                                                                        \
    "{\"error\":{\"code\":429,\"message\":\"You exceeded your current quota\",\"status\":\"RESOURCE_EXHAUSTED\",\"details\":[{" \
    "\"@type\":\"type.googleapis.com/google.rpc.QuotaFailure\",\"violations\":[{\"quotaId\":\"" quota "\"}]},{\"@type\":"    \
    "\"type.googleapis.com/google.rpc.RetryInfo\",\"retryDelay\":\"26s\"}]}}"

/* facts: OpenAI's billing codes, Anthropic's spend limits, Google's quota of a day, Azure's day, a plain "do not". */
static void test_terminal_answer__passes_unchanged_at_once_and_nobody_waits_for_it(void **state)
{
    static const struct {
        int status;
        const char *headers, *body;
        const char *should_retry; /* that the client sees */
    } rows[] = {
        {429, "", OPENAI("You exceeded your current quota", "insufficient_quota", "insufficient_quota"), NULL},
        {429, "", OPENAI("No credit", "insufficient_quota", "credit_balance_exhausted"), NULL},
        {429, "Retry-After: 20\r\n", OPENAI("Limit", "insufficient_quota", "organization_usage_limit_exceeded"), NULL},
        {429, "", OPENAI("Limit", "billing", "organization_spend_limit_exceeded"), NULL},
        {429, "", OPENAI("Limit", "billing", "project_spend_limit_exceeded"), NULL},
        {429, "", OPENAI("Limit", "billing", "billing_hard_limit_reached"), NULL},
        {400, "", OPENAI("Limit", "billing", "billing_hard_limit_reached"), NULL},
        {429, "",
         OPENAI("Request too large for gpt-4o in organization org-X on tokens per min (TPM): Limit 30000, Requested 40666.",
                "tokens", "rate_limit_exceeded"),
         "false"},
        {429, "x-should-retry: false\r\nRetry-After: 5\r\n", OPENAI("Not now", "requests", "rate_limit_exceeded"), "false"},
        {503, "x-should-retry: false\r\n", OPENAI("Not now", "server_error", "overloaded"), "false"},
        {429, "",
         "{\"type\":\"error\",\"error\":{\"type\":\"rate_limit_error\",\"message\":\"Spend limit\",\"details\":{\"error_code\":"
         "\"enforced_spend_limit_reached\"}},\"request_id\":\"req_1\"}",
         NULL},
        {400, "",
         "{\"type\":\"error\",\"error\":{\"type\":\"invalid_request_error\",\"message\":\"You have reached your specified API "
         "usage limits\"}}",
         NULL},
        {413, "", OPENAI("Request too large for model on tokens per minute (TPM)", "tokens", "rate_limit_exceeded"), NULL},
        {429, "", GOOGLE("GenerateRequestsPerDayPerProjectPerModel-FreeTier"), NULL},
        {429, "Retry-After: 86400\r\n",
         "{\"error\":{\"code\":\"429\",\"message\":\"Requests have exceeded token rate limit of your current OpenAI S0 pricing "
         "tier. Please retry after 86400 seconds.\"}}",
         "false"},
        {500, "Retry-After: 1\r\n", OPENAI("The server had an error", "server_error", "x"), NULL},
        {502, "", "<html>Bad gateway</html>", NULL},
        {504, "Retry-After: 1\r\n", "", NULL},
    };
    struct fixture f = {0};
    int listener = played_start(&f, "", "");

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++) {
        struct client_reply r;
        char answer[1200];
        const char *retry;
        int n = snprintf(answer, sizeof answer, "HTTP/1.1 %d No\r\n%sContent-Length: %zu\r\n\r\n%s", rows[i].status,
                         rows[i].headers, strlen(rows[i].body), rows[i].body);

        r = played_call(&f, listener, PLAYED_CHAT, answer, (size_t)n, PLAYED_CLOSES);
        if (r.status != rows[i].status || strcmp(r.body.n ? r.body.p : "", rows[i].body) != 0)
            fail_msg("row %zu: %d %s", i, r.status, r.body.n ? r.body.p : "");
        assert_string_equal(client_header(&r, "Metergate-Attempts"), "1");
        assert_null(client_header(&r, "Metergate-Refused"));
        retry = client_header(&r, "x-should-retry");
        assert_string_equal(retry ? retry : "", rows[i].should_retry ? rows[i].should_retry : "");
        client_reply_release(&r);
        assert_int_equal((int)counted(&f, "budgets.0.paused_until_ms"), 0);
    }
    fixture_assert_idle(&f);
    fixture_stop(&f);
    close(listener);
}

/* ---- a provider that is down --------------------------------------------------------------------------------- */

#define NOBODY_YAML                                                                                          \
    "upstreams:\n  openai: {dialect: openai, base_url: \"http://127.0.0.1:%d/v1\", counting: actual%s}\n"    \
    "models:\n  gpt-4o: {tpm: 100M}\n  gpt-4o-mini: {tpm: 100M}\n"

/* The daemon before a port where nobody listens yet. */
static int start_before_nobody(struct fixture *f, const char *options)
{
    char yaml[400];
    int port;

    close(played_listen(&port));
    snprintf(yaml, sizeof yaml, NOBODY_YAML, port, options);
    fixture_start_daemon(f, yaml, NULL);
    return port;
}

static void start_listening(struct fixture *f, int port)
{
    char address[32];

    snprintf(address, sizeof address, "127.0.0.1:%d", port);
    fixture_start_simulator(f, NULL, (const char *const[]){"--listen", address, NULL});
}

static void test_upstream_down__calls_are_held__a_probe_goes_now_and_then__and_all_go_when_it_is_back(void **state)
{
    struct client_async *crowd[CROWD], *late;
    struct fixture f = {0};
    struct client_reply r;
    cJSON *status;
    int port = start_before_nobody(&f, "");

    (void)state;
    start_crowd(&f, crowd, CHAT("gpt-4o", "hello"));
    fixture_wait_log(&f, 0, "cannot be reached");
    fixture_wait_status(&f, "held", CROWD);
    status = fixture_status(&f);
    assert_true(cJSON_IsFalse(json_at(status, "upstreams.0.reachable")));
    cJSON_Delete(status);
    assert_metric(&f, "metergate_upstream_breaker_open{upstream=\"openai\"} 1\n");
    late = fixture_chat_start(&f, CHAT("gpt-4o-mini", "hello")); /* another model waits as well */
    fixture_wait_status(&f, "held", CROWD + 1);
    fixture_wait_status(&f, "totals.retries", 3); /* more probes than a call has attempts: nobody's are used up */
    r = client_finish(start_with_max_wait(&f, CHAT("gpt-4o", "hello"), "Metergate-Max-Wait: 100ms"));
    assert_int_equal(r.status, 429); /* a deadline is one, whatever the reason for the wait */
    assert_string_equal(client_header(&r, "Metergate-Refused"), "max-wait");
    client_reply_release(&r);
    assert_answered(fixture_call(&f, "GET", "/v1/models", NULL), 502); /* what passes through is not held */
    assert_int_equal((int)counted(&f, "held"), CROWD + 1);
    start_listening(&f, port);
    finish_crowd(crowd);
    assert_answered(client_finish(late), 200);
    fixture_wait_log(&f, 0, "answers again");
    assert_metric(&f, "metergate_upstream_breaker_open{upstream=\"openai\"} 0\n");
    assert_metric(&f, "metergate_upstream_reachable{upstream=\"openai\"} 1\n");
    assert_true(audited(&f, "models.gpt-4o.arrivals") == CROWD);
    fixture_assert_idle(&f);
    fixture_stop(&f);
}

/* It is there again, and a call that passes through is the first to know. */
static void test_upstream_down__a_call_that_passes_through__closes_the_breaker(void **state)
{
    struct client_async *crowd[CROWD];
    struct fixture f = {0};
    int port = start_before_nobody(&f, "");
    double waited_us;
    cJSON *audit;

    (void)state;
    start_crowd(&f, crowd, CHAT("gpt-4o", "hello"));
    fixture_wait_log(&f, 0, "cannot be reached");
    fixture_wait_status(&f, "totals.retries", 3); /* the next probe goes in 4 s or more */
    start_listening(&f, port);
    assert_answered(fixture_call(&f, "GET", "/v1/models", NULL), 200);
    finish_crowd(crowd);
    audit = fixture_audit(&f);
    waited_us = json_number(audit, "models.gpt-4o.list.0.t_us") - json_number(audit, "other.list.0.t_us");
    assert_true(waited_us > 0 && waited_us < 1e6);
    cJSON_Delete(audit);
    fixture_assert_idle(&f);
    fixture_stop(&f);
}

/* One attempt means one: whoever asks for that finds out at once, each time. */
static void test_upstream_down__with_retry_attempts_1__every_call_is_told_at_once(void **state)
{
    struct fixture f = {0};

    (void)state;
    start_before_nobody(&f, ", retry: {attempts: 1}");
    for (int i = 0; i < 8; i++) {
        struct client_reply r = fixture_chat(&f, CHAT("gpt-4o", "hello"));

        assert_int_equal(r.status, 502);
        assert_string_equal(client_header(&r, "Metergate-Refused"), "upstream-connect");
        client_reply_release(&r);
    }
    fixture_stop(&f);
}

static void test_upstream_down__a_reload_to_another_address__lets_all_go(void **state)
{
    struct client_async *crowd[CROWD];
    struct fixture f = {0};

    (void)state;
    start_before_nobody(&f, "");
    start_crowd(&f, crowd, CHAT("gpt-4o", "hello"));
    fixture_wait_log(&f, 0, "cannot be reached");
    fixture_wait_status(&f, "totals.retries", 2); /* the next probe goes in 2 s or more */
    fixture_start_simulator(&f, NULL, NULL);
    fixture_write_config(&f, OPEN);
    post(&f, "/-/reload");
    assert_metric(&f, "metergate_upstream_breaker_open{upstream=\"openai\"} 0\n");
    finish_crowd(crowd);
    fixture_assert_idle(&f);
    fixture_stop(&f);
}

/* The calls that are held find out one after the other, and nobody is held any more. */
static void test_upstream_down__a_reload_to_one_attempt__tells_all(void **state)
{
    struct client_async *crowd[CROWD];
    struct fixture f = {0};
    char yaml[400];
    int port = start_before_nobody(&f, "");

    (void)state;
    start_crowd(&f, crowd, CHAT("gpt-4o", "hello"));
    fixture_wait_log(&f, 0, "cannot be reached");
    snprintf(yaml, sizeof yaml, NOBODY_YAML, port, ", retry: {attempts: 1}");
    fixture_write_config(&f, yaml);
    post(&f, "/-/reload");
    for (int i = 0; i < CROWD; i++)
        assert_answered(client_finish(crowd[i]), 502);
    assert_metric(&f, "metergate_upstream_breaker_open{upstream=\"openai\"} 0\n");
    fixture_stop(&f);
}

static void test_model_overloaded__its_calls_are_held__the_other_models_go_on(void **state)
{
    struct client_async *crowd[CROWD];
    struct fixture f;
    (void)state;
    fixture_start(&f, "{\"faults\":[{\"fault\":\"status:529\",\"model\":\"gpt-4o\"}]}",
                  "upstreams:\n  openai: {dialect: openai, base_url: $SIMULATOR/v1, counting: actual, retry: {attempts: 100}}\n"
                  "models:\n  gpt-4o: {tpm: 100M}\n  gpt-4o-mini: {tpm: 100M}\n");
    start_crowd(&f, crowd, CHAT("gpt-4o", "hello"));
    fixture_wait_log(&f, 0, "is overloaded");
    fixture_wait_status(&f, "totals.retries", 2); /* two probes */
    assert_metric(&f, "metergate_budget_breaker_open{budget=\"gpt-4o\",upstream=\"openai\"} 1\n");
    assert_metric(&f, "metergate_upstream_breaker_open{upstream=\"openai\"} 0\n");
    for (int i = 0; i < 5; i++)
        assert_answered(fixture_chat(&f, CHAT("gpt-4o-mini", "hello")), 200);
    assert_metric(&f, "metergate_budget_breaker_open{budget=\"gpt-4o\",upstream=\"openai\"} 1\n");
    assert_true(counted(&f, "totals.retries") <= 4); /* and no more than probes went meanwhile */
    fixture_sim_config(&f, "{\"faults\":[]}");
    finish_crowd(crowd);
    fixture_wait_log(&f, 0, "answers again");
    fixture_assert_idle(&f);
    fixture_stop(&f);
}

/* A call that makes its provider fail must not keep its queue for ever, breaker or not. */
static void test_model_overloaded__a_probe_that_is_answered_uses_up_its_attempts(void **state)
{
    struct client_async *crowd[CROWD];
    int given_up = 0;
    struct fixture f;

    (void)state;
    fixture_start(&f, "{\"faults\":[{\"fault\":\"status:503\",\"next\":22}]}", OPEN);
    start_crowd(&f, crowd, CHAT("gpt-4o", "hello"));
    for (int i = 0; i < CROWD; i++) {
        struct client_reply r = client_finish(crowd[i]);

        given_up += r.status == 503;
        if (r.status == 503)
            assert_string_equal(client_header(&r, "Metergate-Attempts"), "3");
        else
            assert_int_equal(r.status, 200);
        client_reply_release(&r);
    }
    assert_int_equal(given_up, 1);
    fixture_assert_idle(&f);
    fixture_stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_429_of_one_model__the_other_models_calls_go_on),
        cmocka_unit_test(test_429_of_the_account__stops_all_models),
        cmocka_unit_test(test_429__the_call_keeps_its_place),
        cmocka_unit_test(test_429_without_a_wait__backs_off_from_half_a_second),
        cmocka_unit_test(test_429_of_a_crowd__is_one_refusal__and_nobody_comes_back_at_the_same_moment),
        cmocka_unit_test(test_rate_limit_inside_a_200__passes_and_the_next_calls_wait),
        cmocka_unit_test(test_terminal_answer__passes_unchanged_at_once_and_nobody_waits_for_it),
        cmocka_unit_test(test_upstream_down__calls_are_held__a_probe_goes_now_and_then__and_all_go_when_it_is_back),
        cmocka_unit_test(test_upstream_down__a_call_that_passes_through__closes_the_breaker),
        cmocka_unit_test(test_upstream_down__with_retry_attempts_1__every_call_is_told_at_once),
        cmocka_unit_test(test_upstream_down__a_reload_to_another_address__lets_all_go),
        cmocka_unit_test(test_upstream_down__a_reload_to_one_attempt__tells_all),
        cmocka_unit_test(test_model_overloaded__its_calls_are_held__the_other_models_go_on),
        cmocka_unit_test(test_model_overloaded__a_probe_that_is_answered_uses_up_its_attempts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
