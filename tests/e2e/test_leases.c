/*
 * leases: POST /-/reserve and POST /-/settle, for programs that call a provider by themselves. What becomes
 * of a lease that nobody settles takes ten minutes, and is in tests/unit/test_reserve.c.
 */
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
#include "metergate/base/err.h"

#define CHAT(text)                                                                                           \
    "{\"model\":\"gpt-4o\",\"max_tokens\":20,\"messages\":[{\"role\":\"user\",\"content\":\"" text "\"}]}"
#define RESERVE(tokens) "{\"model\":\"gpt-4o\",\"tokens\":" tokens "}"
#define WITH(models)    "headroom: 0%\n" FIXTURE_UPSTREAM "models:\n" models
#define HOUR            WITH("  gpt-4o: {tpm: {max: 1000, per: 1h}}\n")
#define ONE_AT_A_TIME   WITH("  gpt-4o: {concurrent: 1}\n")
#define NO_LEASE        "00000000000000000000000000000000"

struct id {
    char text[40];
};

/* ---- what a program does ---- */

static struct client_async *start_with(const struct fixture *f, const char *path, const char *body,
                                       const char *header)
{
    const char *const headers[] = {header, NULL};
    char url[128];

    snprintf(url, sizeof url, "%s%s", f->url, path);
    return client_start(&(struct client_call){.url = url, .headers = header ? headers : NULL, .body = body});
}

static struct client_async *reserve_start(const struct fixture *f, const char *body)
{
    return start_with(f, "/-/reserve", body, NULL);
}

/* The lease in an answer; *ret_waited_ms may be NULL. */
static struct id granted(struct client_reply r, double *ret_waited_ms)
{
    struct id id;
    cJSON *json;

    if (r.status != 200)
        fail_msg("%d %s", r.status, r.body.n ? r.body.p : "");
    assert_string_equal(client_header(&r, "Content-Type"), "application/json");
    json = client_json(&r);
    assert_int_equal(cJSON_GetArraySize(json), 2);
    snprintf(id.text, sizeof id.text, "%s", json_text(json, "lease"));
    assert_int_equal(strlen(id.text), 32);
    if (ret_waited_ms)
        *ret_waited_ms = json_number(json, "waited_ms");
    cJSON_Delete(json);
    client_reply_release(&r);
    return id;
}

static struct id reserve(const struct fixture *f, const char *body)
{
    return granted(client_finish(reserve_start(f, body)), NULL);
}

static void expect(struct client_reply r, int status, const char *refused)
{
    const char *reason = client_header(&r, "Metergate-Refused");

    if (r.status != status || (refused && (!reason || strcmp(reason, refused) != 0)))
        fail_msg("%d %s instead of %d %s: %s", r.status, reason ? reason : "-", status,
                 refused ? refused : "-", r.body.n ? r.body.p : "");
    client_reply_release(&r);
}

/* `rest` are the members after the lease. */
static struct client_reply settle_says(const struct fixture *f, const char *lease, const char *rest)
{
    char body[300];

    snprintf(body, sizeof body, "{\"lease\":\"%s\",%s}", lease, rest);
    return fixture_call(f, "POST", "/-/settle", body);
}

static void settle(const struct fixture *f, struct id id, const char *rest)
{
    struct client_reply r = settle_says(f, id.text, rest);

    assert_string_equal(r.body.p, "{\"settled\":true}\n");
    expect(r, 200, NULL);
}

static double status_of(const struct fixture *f, const char *path)
{
    cJSON *status = fixture_status(f);
    double v = json_number(status, path);

    cJSON_Delete(status);
    return v;
}

static void assert_status(const struct fixture *f, const char *path, int value)
{
    if ((int)status_of(f, path) != value)
        fail_msg("%s is %g, not %d", path, status_of(f, path), value);
}

/* Ends the daemon's part; what is still open then is the test's mistake. */
static void stop_idle(struct fixture *f)
{
    fixture_assert_idle(f);
    fixture_stop(f);
}

/* ---- one lease ---- */

static void test_lease__from_grant_to_settling__is_charged_and_then_corrected(void **state)
{
    struct fixture f;
    struct id id;

    (void)state;
    fixture_start(&f, NULL, HOUR);
    id = reserve(&f, RESERVE("600"));
    assert_status(&f, "in_flight", 1);
    assert_status(&f, "budgets.0.in_flight", 1);
    assert_status(&f, "budgets.0.limits.0.reserved", 600);
    assert_status(&f, "totals.dispatched", 1);
    settle(&f, id, "\"input_tokens\":150,\"output_tokens\":50");
    assert_status(&f, "budgets.0.limits.0.reserved", 0);
    assert_status(&f, "budgets.0.limits.0.used", 200);
    assert_status(&f, "totals.calls", 1);
    assert_status(&f, "totals.completed", 1);
    assert_status(&f, "clients.0.tokens", 200);
    stop_idle(&f);
}

static void test_lease__settled_twice_or_never_granted__is_404_and_changes_nothing(void **state)
{
    struct fixture f;
    struct id id;

    (void)state;
    fixture_start(&f, NULL, HOUR);
    id = reserve(&f, RESERVE("600"));
    settle(&f, id, "\"input_tokens\":100,\"output_tokens\":0");
    expect(settle_says(&f, id.text, "\"input_tokens\":900,\"output_tokens\":0"), 404, "bad-request");
    expect(settle_says(&f, NO_LEASE, "\"input_tokens\":900,\"output_tokens\":0"), 404, "bad-request");
    expect(settle_says(&f, "", "\"input_tokens\":900"), 404, "bad-request");
    assert_status(&f, "budgets.0.limits.0.used", 100);
    assert_status(&f, "totals.completed", 1);
    stop_idle(&f);
}

/* A provider that counts input without what a cache gave, and input apart from output. */
static void test_lease__of_an_anthropic_model__is_settled_as_that_provider_counts(void **state)
{
    struct fixture f;
    struct id id;

    (void)state;
    fixture_start(&f, NULL,
                  "headroom: 0%\nupstreams:\n  anthropic: {base_url: $SIMULATOR}\n"
                  "models:\n  claude: {match: [\"claude-*\"], itpm: {max: 1000, per: 1h}, otpm: {max: 500, "
                  "per: 1h}}\n");
    id = reserve(&f, "{\"model\":\"claude-sonnet-4-5\",\"input_tokens\":700,\"output_tokens\":300}");
    assert_status(&f, "budgets.0.limits.0.reserved", 700);
    assert_status(&f, "budgets.0.limits.1.reserved", 300);
    settle(&f, id, "\"input_tokens\":650,\"cached_tokens\":600,\"output_tokens\":40");
    assert_status(&f, "budgets.0.limits.0.used", 50);
    assert_status(&f, "budgets.0.limits.1.used", 40);
    stop_idle(&f);
}

static void test_lease__told_that_the_provider_answered_429__pauses_the_budget(void **state)
{
    struct fixture f;
    struct id id;

    (void)state;
    fixture_start(&f, NULL, HOUR);
    id = reserve(&f, RESERVE("600"));
    settle(&f, id, "\"status\":429,\"retry_after\":100");
    assert_true(status_of(&f, "budgets.0.paused_until_ms") > 50000);
    assert_true(status_of(&f, "budgets.0.paused_until_ms") <= 100000);
    assert_status(&f, "budgets.0.limits.0.used", 0);
    assert_status(&f, "totals.upstream_429", 1);
    assert_status(&f, "totals.failed", 1);
    expect(client_finish(start_with(&f, "/v1/chat/completions", CHAT("later"), "Metergate-Max-Wait: 5")), 429,
           "max-wait");
    fixture_stop(&f);
    fixture_start(&f, NULL, HOUR); /* whoever says so does not stop everybody for a day */
    id = reserve(&f, RESERVE("600"));
    settle(&f, id, "\"status\":429,\"retry_after\":\"1d\"");
    assert_true(status_of(&f, "budgets.0.paused_until_ms") <= 600000);
    fixture_stop(&f);
}

/* ---- beside calls ---- */

static void test_call__waits_for_a_lease__and_goes_when_it_is_settled(void **state)
{
    struct client_async *call;
    struct fixture f;
    struct id id;

    (void)state;
    fixture_start(&f, NULL, ONE_AT_A_TIME);
    id = reserve(&f, RESERVE("10"));
    call = fixture_chat_start(&f, CHAT("after the lease"));
    fixture_wait_status(&f, "held", 1);
    settle(&f, id, "\"input_tokens\":10,\"output_tokens\":1");
    expect(client_finish(call), 200, NULL);
    stop_idle(&f);
}

static void test_reservation__waits_for_a_call__and_goes_after_it(void **state)
{
    struct client_async *call, *held;
    double waited_ms, took_ms;
    struct client_reply r;
    struct fixture f;
    struct id id;

    (void)state;
    fixture_start(&f, "{\"faults\":[{\"fault\":\"hold\",\"next\":1}]}", ONE_AT_A_TIME);
    call = fixture_chat_start(&f, CHAT("in the way"));
    fixture_sim_wait(&f, "held=1");
    held = reserve_start(&f, RESERVE("10"));
    fixture_wait_status(&f, "held", 1);
    assert_status(&f, "budgets.0.held", 1);
    fixture_sim_post(&f, "/_sim/release", NULL);
    expect(client_finish(call), 200, NULL);
    r = client_finish(held);
    took_ms = (double)(r.end_us - r.start_us) / 1000;
    id = granted(r, &waited_ms);
    assert_true(waited_ms >= 0 && waited_ms <= took_ms);
    settle(&f, id, "\"input_tokens\":10,\"output_tokens\":1");
    stop_idle(&f);
}

/* 900 of the hour's 1000 are reserved, 100 were used: the call has room the moment that is known. */
static void test_lease__that_used_less__gives_its_room_back_at_once(void **state)
{
    struct client_async *held;
    struct fixture f;
    struct id id, other;

    (void)state;
    fixture_start(&f, NULL, HOUR);
    id = reserve(&f, RESERVE("900"));
    held = reserve_start(&f, RESERVE("400"));
    fixture_wait_status(&f, "held", 1);
    settle(&f, id, "\"input_tokens\":100,\"output_tokens\":0");
    other = granted(client_finish(held), NULL);
    assert_status(&f, "budgets.0.limits.0.used", 100);
    assert_status(&f, "budgets.0.limits.0.reserved", 400);
    settle(&f, other, "\"input_tokens\":0,\"output_tokens\":400");
    assert_status(&f, "budgets.0.limits.0.used", 500);
    stop_idle(&f);
}

/* ---- refusals, in the shape of calls' ---- */

static void test_reservation__that_must_not_wait_so_long__is_told_when_to_come_again(void **state)
{
    static const char *const bodies[] = {"{\"model\":\"gpt-4o\",\"tokens\":500,\"max_wait\":5}",
                                         "{\"model\":\"gpt-4o\",\"tokens\":500,\"max_wait\":\"5s\"}",
                                         RESERVE("500")};
    struct client_reply r;
    struct fixture f;
    struct id id;
    cJSON *json;

    (void)state;
    fixture_start(&f, NULL, HOUR);
    id = reserve(&f, RESERVE("900"));
    settle(&f, id, "\"input_tokens\":900,\"output_tokens\":0");
    for (size_t i = 0; i < MG_ARRAY_LEN(bodies); i++) {
        r = client_finish(
            start_with(&f, "/-/reserve", bodies[i], i == 2 ? "Metergate-Max-Wait: 5" : "X-None: 1"));
        assert_true(strtol(client_header(&r, "Retry-After"), NULL, 10) > 3000);
        json = client_json(&r);
        assert_string_equal(json_text(json, "error.type"), "tokens");
        assert_non_null(strstr(json_text(json, "error.message"),
                               "Rate limit reached for gpt-4o on tokens per min (TPM). "));
        cJSON_Delete(json);
        expect(r, 429, "max-wait");
    }
    assert_status(&f, "totals.refused", 3);
    stop_idle(&f);
}

static void
test_reservation__that_can_never_fit__is_413_where_the_provider_charges_all_on_arrival(void **state)
{
    struct client_reply r;
    struct fixture f;
    struct id id;

    (void)state;
    fixture_start(&f, NULL,
                  "headroom: 0%\nupstreams:\n  openai: {base_url: $SIMULATOR/v1, counting: openai}\n"
                  "models:\n  gpt-4o: {tpm: {max: 1000, per: 1h}}\n");
    r = fixture_call(&f, "POST", "/-/reserve", RESERVE("1001"));
    assert_non_null(strstr(
        r.body.p, "Request too large for gpt-4o on tokens per min (TPM): Limit 1000, Requested 1001."));
    expect(r, 413, "too-large");
    id = reserve(&f, RESERVE("1000"));
    settle(&f, id, "\"input_tokens\":1,\"output_tokens\":1");
    fixture_stop(&f);
}

static void test_reservation__of_a_full_queue__is_429(void **state)
{
    struct client_async *held;
    struct fixture f;
    struct id id;

    (void)state;
    fixture_start(&f, NULL, "queue: {max_requests: 1}\n" ONE_AT_A_TIME);
    id = reserve(&f, RESERVE("10"));
    held = reserve_start(&f, RESERVE("11"));
    fixture_wait_status(&f, "held", 1);
    expect(fixture_call(&f, "POST", "/-/reserve", RESERVE("12")), 429, "queue-full");
    settle(&f, id, "\"input_tokens\":1");
    settle(&f, granted(client_finish(held), NULL), "\"input_tokens\":1");
    stop_idle(&f);
}

static void test_bad_requests__are_refused_with_a_sentence_and_cost_nothing(void **state)
{
    static const struct {
        const char *path, *body, *header;
        int status;
        const char *refused, *says;
    } rows[] = {
        {"/-/reserve", "", NULL, 400, "bad-request", "is no reservation: it is not a JSON object."},
        {"/-/reserve", "{\"model\":\"gpt-4o\"", NULL, 400, "bad-request", "not a JSON object"},
        {"/-/reserve", "{\"model\":\"gpt-4o\"}", NULL, 400, "bad-request", "how many \\\"tokens\\\""},
        {"/-/reserve", "{\"tokens\":5}", NULL, 400, "bad-request", "names no \\\"model\\\""},
        {"/-/reserve", RESERVE("-5"), NULL, 400, "bad-request", "whole number"},
        {"/-/reserve", RESERVE("5,\"token\":1"), NULL, 400, "bad-request",
         "\\\"token\\\", which means nothing"},
        {"/-/reserve", RESERVE("5,\"upstream\":\"nowhere\""), NULL, 404, "no-route",
         "no upstream named \\\"nowhere\\\""},
        {"/-/reserve", "{\"model\":\"claude-x\",\"tokens\":5}", NULL, 404, "no-route", "dialect anthropic"},
        {"/-/reserve", "{\"model\":\"gemini-x\",\"tokens\":5}", NULL, 404, "no-route", "dialect gemini"},
        {"/-/reserve", RESERVE("5"), "Metergate-Max-Wait: soon", 400, "bad-request", "Metergate-Max-Wait"},
        {"/-/reserve", RESERVE("5"), "Metergate-Priority: highest", 400, "bad-request", "Metergate-Priority"},
        {"/-/reserve", RESERVE("5"), "Metergate-Client: a b", 400, "bad-request", "Metergate-Client"},
        {"/-/reserve", RESERVE("5"), "Origin: https://elsewhere.example", 403, "origin", "another origin"},
        {"/-/reserve", RESERVE("5"), "Metergate-Token: nobody", 401, "token", "Metergate-Token"},
        {"/-/settle", "{}", NULL, 400, "bad-request", "settles no lease: it names no \\\"lease\\\"."},
        {"/-/settle", "{\"lease\":\"" NO_LEASE "\"}", NULL, 400, "bad-request", "what was used"},
        {"/-/settle", "{\"lease\":\"" NO_LEASE "\",\"status\":500}", NULL, 400, "bad-request", "only be 429"},
        {"/-/settle", "{\"lease\":\"" NO_LEASE "\",\"input_tokens\":5}", NULL, 404, "bad-request",
         "No lease of this id"},
        {"/-/settle", "{\"lease\":\"" NO_LEASE "\",\"input_tokens\":5}", "Origin: https://elsewhere.example",
         403, "origin", "another origin"},
    };
    char big[9000];
    struct fixture f;

    (void)state;
    /* all upstreams speak OpenAI's dialect, those that are built in, too */
    fixture_start(&f, NULL,
                  "upstreams:\n  anthropic: {dialect: openai, base_url: $SIMULATOR/v1}\n"
                  "  gemini: {dialect: openai, base_url: $SIMULATOR/v1}\n");
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++) {
        struct client_reply r = client_finish(start_with(&f, rows[i].path, rows[i].body, rows[i].header));

        if (!strstr(r.body.p, rows[i].says))
            fail_msg("row %zu: %s", i, r.body.p);
        expect(r, rows[i].status, rows[i].refused);
    }
    snprintf(big, sizeof big, "%8500s", RESERVE("5"));
    expect(fixture_call(&f, "POST", "/-/reserve", big), 413, "too-large");
    expect(fixture_call(&f, "POST", "/-/settle", big), 413, "too-large");
    expect(fixture_call(&f, "GET", "/-/reserve", NULL), 405, NULL);
    expect(fixture_call(&f, "GET", "/-/settle", NULL), 405, NULL);
    assert_status(&f, "totals.dispatched", 0);
    assert_int_equal(status_of(&f, "totals.calls"), status_of(&f, "totals.refused"));
    stop_idle(&f);
}

/* ---- who, and where to ---- */

static void test_reservation__belongs_to_its_client__by_path_or_header(void **state)
{
    struct client_reply r;
    struct fixture f;
    struct id a, b;

    (void)state;
    fixture_start(&f, NULL, HOUR "clients:\n  nightly: {max_wait: 1s}\n");
    r = client_finish(start_with(&f, "/@nightly/-/reserve", RESERVE("600"), NULL));
    assert_string_equal(client_header(&r, "Metergate-Client"), "nightly");
    assert_string_equal(client_header(&r, "Metergate-Budget"), "gpt-4o");
    assert_int_equal(strncmp(client_header(&r, "Metergate-Request-Id"), "mg-", 3), 0);
    a = granted(r, NULL);
    r = client_finish(start_with(&f, "/-/reserve", RESERVE("300"), "Metergate-Client: editor"));
    assert_string_equal(client_header(&r, "Metergate-Client"), "editor");
    b = granted(r, NULL);
    settle(&f, a, "\"input_tokens\":600");
    settle(&f, b, "\"input_tokens\":300");
    expect(client_finish(start_with(&f, "/@nightly/-/reserve", RESERVE("500"), NULL)), 429,
           "max-wait"); /* its max_wait */
    stop_idle(&f);
}

static void test_reservation__with_tokens_required__needs_one_and_so_does_settling(void **state)
{
    static const char *const token[] = {"Metergate-Token: secret-of-ana-0123456789", NULL};
    char body[200], url[128];
    struct client_reply r;
    struct fixture f;
    struct id id;

    (void)state;
    assert_int_equal(setenv("METERGATE_TEST_ANA", "secret-of-ana-0123456789", 1), 0);
    fixture_start(&f, NULL,
                  HOUR "clients:\n  require_token: true\n  ana: {token: {env: METERGATE_TEST_ANA}}\n");
    expect(client_finish(start_with(&f, "/-/reserve", RESERVE("5"), NULL)), 401, "token");
    r = client_finish(start_with(&f, "/@bo/-/reserve", RESERVE("5"), token[0]));
    assert_string_equal(client_header(&r, "Metergate-Client"), "ana");
    id = granted(r, NULL);
    snprintf(body, sizeof body, "{\"lease\":\"%s\",\"input_tokens\":5}", id.text);
    snprintf(url, sizeof url, "%s/-/settle", f.url);
    expect(client_finish(client_start(&(struct client_call){.url = url, .body = body})), 401, "token");
    expect(client_finish(client_start(&(struct client_call){.url = url, .body = body, .headers = token})),
           200, NULL);
    fixture_stop(&f);
}

static void test_reservation__finds_its_upstream__by_entry_name_and_model(void **state)
{
    static const struct {
        const char *body, *upstream, *budget;
    } rows[] = {
        {"{\"model\":\"gpt-4o\",\"tokens\":1}", "openai", "gpt-4o"},
        {"{\"model\":\"claude-x\",\"tokens\":1}", "anthropic", "claude-x"},
        {"{\"model\":\"models/gemini-x\",\"tokens\":1}", "gemini", "gemini-x"},
        {"{\"model\":\"llama\",\"tokens\":1}", "groq", "llama"}, /* its entry says so */
        {"{\"model\":\"gpt-4o-mini\",\"tokens\":1,\"upstream\":\"groq\"}", "groq",
         "gpt-4o-mini"}, /* the body does */
    };
    struct fixture f;

    (void)state;
    fixture_start(&f, NULL,
                  "upstreams:\n  openai: {base_url: $SIMULATOR/v1}\n  anthropic: {base_url: $SIMULATOR}\n"
                  "  gemini: {base_url: $SIMULATOR}\n  groq: {dialect: openai, base_url: $SIMULATOR/v1}\n"
                  "models:\n  llama: {upstream: groq, rpm: 100}\n");
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++) {
        struct id id = reserve(&f, rows[i].body);
        cJSON *status = fixture_status(&f);
        char path[40];

        snprintf(path, sizeof path, "budgets.%zu.upstream", i);
        assert_string_equal(json_text(status, path), rows[i].upstream);
        snprintf(path, sizeof path, "budgets.%zu.name", i);
        assert_string_equal(json_text(status, path), rows[i].budget);
        cJSON_Delete(status);
        settle(&f, id, "\"input_tokens\":1");
    }
    stop_idle(&f);
}

/* ---- whatever happens meanwhile ---- */

static void test_reservation__whose_client_leaves__costs_nothing(void **state)
{
    struct client_async *held;
    struct client_reply r;
    struct fixture f;
    struct id id;

    (void)state;
    fixture_start(&f, NULL, HOUR);
    id = reserve(&f, RESERVE("900"));
    held = reserve_start(&f, RESERVE("500"));
    fixture_wait_status(&f, "held", 1);
    client_leave(held);
    r = client_finish(held);
    client_reply_release(&r);
    fixture_wait_status(&f, "totals.cancelled", 1);
    assert_status(&f, "held", 0);
    settle(&f, id, "\"input_tokens\":0");
    assert_status(&f, "budgets.0.limits.0.used", 0);
    assert_status(&f, "totals.dispatched", 1);
    stop_idle(&f);
}

static void test_reservation__while_paused__is_held_until_resumed(void **state)
{
    struct client_async *held;
    struct fixture f;

    (void)state;
    fixture_start(&f, NULL, HOUR);
    expect(fixture_call(&f, "POST", "/-/pause", ""), 200, NULL);
    held = reserve_start(&f, RESERVE("500"));
    fixture_wait_status(&f, "held", 1);
    expect(fixture_call(&f, "POST", "/-/resume", ""), 200, NULL);
    settle(&f, granted(client_finish(held), NULL), "\"input_tokens\":1");
    stop_idle(&f);
}

static void test_reload__keeps_leases_and_moves_reservations_that_wait(void **state)
{
    struct client_async *held;
    struct fixture f;
    struct id id;

    (void)state;
    fixture_start(&f, NULL, ONE_AT_A_TIME);
    id = reserve(&f, RESERVE("10"));
    held = reserve_start(&f, RESERVE("20"));
    fixture_wait_status(&f, "held", 1);
    fixture_write_config(&f,
                         WITH("  other: {match: [\"gpt-*\"], concurrent: 1, tpm: {max: 100, per: 1h}}\n"));
    expect(fixture_call(&f, "POST", "/-/reload", ""), 200, NULL);
    settle(&f, granted(client_finish(held), NULL),
           "\"input_tokens\":30"); /* nobody is in flight in its new entry */
    assert_status(&f, "budgets.1.limits.1.used", 30);
    settle(&f, id, "\"input_tokens\":5");
    assert_status(&f, "totals.completed", 2);
    stop_idle(&f);
}

static void test_stop__does_not_wait_for_leases__and_tells_who_is_held(void **state)
{
    struct client_async *held;
    struct client_reply r;
    struct fixture f;

    (void)state;
    fixture_start(&f, NULL, "drain: 1h\n" ONE_AT_A_TIME);
    (void)reserve(&f, RESERVE("10"));
    held = reserve_start(&f, RESERVE("20"));
    fixture_wait_status(&f, "held", 1);
    process_signal(f.daemon, SIGTERM);
    r = client_finish(held);
    assert_string_equal(client_header(&r, "Retry-After"), "1");
    expect(r, 503, "draining");
    assert_int_equal(process_wait_exit(f.daemon, FIXTURE_TIMEOUT_MS), 0);
    fixture_wait_log(&f, 0, "endpoint=reserve model=gpt-4o status=200 ");
    fixture_wait_log(&f, 0, "reason=the daemon stopped");
    fixture_stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lease__from_grant_to_settling__is_charged_and_then_corrected),
        cmocka_unit_test(test_lease__settled_twice_or_never_granted__is_404_and_changes_nothing),
        cmocka_unit_test(test_lease__of_an_anthropic_model__is_settled_as_that_provider_counts),
        cmocka_unit_test(test_lease__told_that_the_provider_answered_429__pauses_the_budget),
        cmocka_unit_test(test_call__waits_for_a_lease__and_goes_when_it_is_settled),
        cmocka_unit_test(test_reservation__waits_for_a_call__and_goes_after_it),
        cmocka_unit_test(test_lease__that_used_less__gives_its_room_back_at_once),
        cmocka_unit_test(test_reservation__that_must_not_wait_so_long__is_told_when_to_come_again),
        cmocka_unit_test(
            test_reservation__that_can_never_fit__is_413_where_the_provider_charges_all_on_arrival),
        cmocka_unit_test(test_reservation__of_a_full_queue__is_429),
        cmocka_unit_test(test_bad_requests__are_refused_with_a_sentence_and_cost_nothing),
        cmocka_unit_test(test_reservation__belongs_to_its_client__by_path_or_header),
        cmocka_unit_test(test_reservation__with_tokens_required__needs_one_and_so_does_settling),
        cmocka_unit_test(test_reservation__finds_its_upstream__by_entry_name_and_model),
        cmocka_unit_test(test_reservation__whose_client_leaves__costs_nothing),
        cmocka_unit_test(test_reservation__while_paused__is_held_until_resumed),
        cmocka_unit_test(test_reload__keeps_leases_and_moves_reservations_that_wait),
        cmocka_unit_test(test_stop__does_not_wait_for_leases__and_tells_who_is_held),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
