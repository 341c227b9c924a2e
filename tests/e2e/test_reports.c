/*
 * reports: /-/usage, /-/calls, /-/calls/ID and /-/compare tell what the calls of this test used, at once
 * after their answers, in every way in which they can be asked; and what cannot be asked is refused in words.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <cjson/cJSON.h>

#include "fixture.h"
#include "metergate/base/clock.h"
#include "metergate/base/err.h"

#define KEPT "state_dir: $DIR/state\n" FIXTURE_UPSTREAM
#define PRICED                                                                                               \
    KEPT "prices:\n"                                                                                         \
         "  gpt-4o: {input: 2.50, cached: 1.25, output: 10}\n"                                               \
         "  gpt-3.5-turbo: {input: 0.50, output: 1.50}\n"

/* ---- calls, and what they used ---- */

struct used {
    char id[32]; /* Metergate-Request-Id */
    int64_t input, output;
};

static struct used chat(const struct fixture *f, const char *path, const char *model, const char *prompt)
{
    struct used u;
    struct client_reply r;
    char body[512];
    cJSON *json;

    snprintf(body, sizeof body,
             "{\"model\":\"%s\",\"max_tokens\":30,\"messages\":[{\"role\":\"user\",\"content\":\"%s\"}]}",
             model, prompt);
    r = fixture_call(f, "POST", path, body);
    if (r.status != 200)
        fail_msg("%d: %s", r.status, r.body.n ? r.body.p : r.error_text);
    json = client_json(&r);
    snprintf(u.id, sizeof u.id, "%s", client_header(&r, "Metergate-Request-Id"));
    u.input = (int64_t)json_number(json, "usage.prompt_tokens");
    u.output = (int64_t)json_number(json, "usage.completion_tokens");
    cJSON_Delete(json);
    client_reply_release(&r);
    return u;
}

/* Three of gpt-4o, two of them of the client nightly, and one of gpt-3.5-turbo. */
#define CALLS 4
static void make_calls(const struct fixture *f, struct used ret[CALLS])
{
    ret[0] = chat(f, "/@nightly/v1/chat/completions", "gpt-4o", "one [[out=7]]");
    ret[1] = chat(f, "/@editor/v1/chat/completions", "gpt-4o", "one two [[out=9]]");
    ret[2] = chat(f, "/@editor/v1/chat/completions", "gpt-3.5-turbo", "one two three [[out=11]]");
    ret[3] = chat(f, "/@nightly/v1/chat/completions", "gpt-4o", "one two three four [[out=13]]");
}

static int64_t cost_4o(const struct used *u)
{
    return u->input * 2500 + u->output * 10000;
}

static int64_t cost_35(const struct used *u)
{
    return u->input * 500 + u->output * 1500;
}

/* ---- questions ---- */

static cJSON *ask(const struct fixture *f, const char *path)
{
    struct client_reply r = fixture_call(f, "GET", path, NULL);
    cJSON *json;

    if (r.status != 200 || strcmp(client_header(&r, "Content-Type"), "application/json") != 0)
        fail_msg("%s: %d %s", path, r.status, r.body.n ? r.body.p : r.error_text);
    json = client_json(&r);
    client_reply_release(&r);
    return json;
}

static void assert_refused(const struct fixture *f, const char *method, const char *path, int status,
                           const char *words)
{
    struct client_reply r = fixture_call(f, method, path, NULL);

    if (r.status != status || !r.body.n || !strstr(r.body.p, words) ||
        strchr(r.body.p, '\n') != r.body.p + r.body.n - 1)
        fail_msg("%s %s: %d %s", method, path, r.status, r.body.n ? r.body.p : r.error_text);
    client_reply_release(&r);
}

static void assert_number(const cJSON *json, const char *path, int64_t value)
{
    double got = json_number(json, path);

    if (got != (double)value)
        fail_msg("%s: %.0f, not %lld", path, got, (long long)value);
}

/* The row of that key of a usage report. */
static const cJSON *row_of(const cJSON *report, const char *key)
{
    const cJSON *row;

    cJSON_ArrayForEach(row, json_at(report, "rows"))
    {
        if (strcmp(json_text(row, "key"), key) == 0)
            return row;
    }
    fail_msg("no row for %s", key);
    return NULL;
}

/* ---- usage ---- */

static void test_usage__right_after_the_answers__has_their_tokens_and_cost(void **state)
{
    struct used u[CALLS];
    struct fixture f;
    const cJSON *row;
    cJSON *json;

    (void)state;
    fixture_start(&f, NULL, PRICED);
    make_calls(&f, u);
    json = ask(&f, "/-/usage");
    assert_string_equal(json_text(json, "by"), "model");
    assert_int_equal(strlen(json_text(json, "since")), 24);
    assert_int_equal(cJSON_GetArraySize(json_at(json, "rows")), 2);
    row = json_at(json, "rows.0"); /* the dearest first */
    assert_string_equal(json_text(row, "key"), "gpt-4o");
    assert_number(row, "calls", 3);
    assert_number(row, "input_tokens", u[0].input + u[1].input + u[3].input);
    assert_number(row, "output_tokens", u[0].output + u[1].output + u[3].output);
    assert_number(row, "cached_tokens", 0);
    assert_number(row, "cost_nano_usd", cost_4o(&u[0]) + cost_4o(&u[1]) + cost_4o(&u[3]));
    assert_number(row, "unpriced_calls", 0);
    assert_number(row_of(json, "gpt-3.5-turbo"), "cost_nano_usd", cost_35(&u[2]));
    cJSON_Delete(json);
    json = ask(&f, "/-/usage?by=client&since=1h");
    assert_number(row_of(json, "nightly"), "input_tokens", u[0].input + u[3].input);
    assert_number(row_of(json, "editor"), "calls", 2);
    cJSON_Delete(json);
    fixture_assert_idle(&f);
    fixture_stop(&f);
}

static void test_usage__by_every_key__counts_all_calls(void **state)
{
    static const char *const keys[] = {"model", "client", "budget", "upstream", "endpoint", "day", "hour"};
    struct used u[CALLS];
    struct fixture f;

    (void)state;
    fixture_start(&f, NULL, PRICED);
    make_calls(&f, u);
    for (size_t i = 0; i < MG_ARRAY_LEN(keys); i++) {
        char path[64];
        const cJSON *row;
        double calls = 0;
        cJSON *json;

        snprintf(path, sizeof path, "/-/usage?by=%s&since=2d&until=", keys[i]);
        json = ask(&f, path);
        assert_string_equal(json_text(json, "by"), keys[i]);
        cJSON_ArrayForEach(row, json_at(json, "rows")) calls += json_number(row, "calls");
        assert_int_equal(calls, CALLS);
        cJSON_Delete(json);
    }
    fixture_stop(&f);
}

static void test_usage__a_span_that_ended_before__is_empty(void **state)
{
    struct used u[CALLS];
    struct fixture f;
    cJSON *json;

    (void)state;
    fixture_start(&f, NULL, PRICED);
    make_calls(&f, u);
    json = ask(&f, "/-/usage?since=2026-01-01&until=1h");
    assert_string_equal(json_text(json, "since"), "2026-01-01T00:00:00.000Z");
    assert_int_equal(cJSON_GetArraySize(json_at(json, "rows")), 0);
    cJSON_Delete(json);
    fixture_stop(&f);
}

/* What was kept is there after a start anew. */
static void test_usage__of_a_daemon_before__is_still_there(void **state)
{
    struct used u[CALLS];
    struct fixture f;
    cJSON *json;

    (void)state;
    fixture_start(&f, NULL, PRICED);
    make_calls(&f, u);
    fixture_stop_daemon(&f);
    fixture_start_daemon(&f, PRICED, NULL);
    json = ask(&f, "/-/usage");
    assert_number(row_of(json, "gpt-4o"), "calls", 3);
    cJSON_Delete(json);
    fixture_stop(&f);
}

/* ---- calls ---- */

static void assert_ids(const struct fixture *f, const char *path, const struct used *u, const int *want,
                       int n)
{
    cJSON *json = ask(f, path);

    assert_int_equal(cJSON_GetArraySize(json_at(json, "calls")), n);
    for (int i = 0; i < n; i++) {
        char at[32];

        snprintf(at, sizeof at, "calls.%d.id", i);
        assert_string_equal(json_text(json, at), u[want[i]].id);
    }
    cJSON_Delete(json);
}

static void test_calls__any_filter__gives_the_latest_first(void **state)
{
    struct used u[CALLS];
    struct fixture f;
    char path[96];

    (void)state;
    fixture_start(&f, NULL, PRICED);
    make_calls(&f, u);
    assert_ids(&f, "/-/calls", u, (const int[]){3, 2, 1, 0}, 4);
    assert_ids(&f, "/-/calls?limit=2", u, (const int[]){3, 2}, 2);
    assert_ids(&f, "/-/calls?client=editor", u, (const int[]){2, 1}, 2);
    assert_ids(&f, "/-/calls?model=gpt%2D4o&limit=2", u, (const int[]){3, 1}, 2);
    assert_ids(&f, "/-/calls?model=gpt-4o&client=editor", u, (const int[]){1}, 1);
    assert_ids(&f, "/-/calls?model=gpt-9", u, NULL, 0);
    assert_ids(&f, "/-/calls?before=1h", u, NULL, 0);
    snprintf(path, sizeof path, "/-/calls?before=%s&limit=2", u[2].id);
    assert_ids(&f, path, u, (const int[]){1, 0}, 2);
    fixture_stop(&f);
}

static void test_call__by_the_id_of_its_answer__has_all_that_is_known(void **state)
{
    struct used u[CALLS];
    struct fixture f;
    char path[64];
    cJSON *json;

    (void)state;
    fixture_start(&f, NULL, PRICED);
    make_calls(&f, u);
    snprintf(path, sizeof path, "/-/calls/%s", u[3].id);
    json = ask(&f, path);
    assert_string_equal(json_text(json, "id"), u[3].id);
    assert_string_equal(json_text(json, "client"), "nightly");
    assert_string_equal(json_text(json, "model"), "gpt-4o");
    assert_string_equal(json_text(json, "upstream"), "openai");
    assert_string_equal(json_text(json, "outcome"), "completed");
    assert_string_equal(json_text(json, "usage_source"), "provider");
    assert_string_equal(json_text(json, "state"), "ended");
    assert_number(json, "status", 200);
    assert_true(cJSON_IsNull(json_at(json, "reason")));
    assert_number(json, "input_tokens", u[3].input);
    assert_number(json, "output_tokens", u[3].output);
    assert_number(json, "cost_nano_usd", cost_4o(&u[3]));
    assert_string_equal(json_text(json, "price.name"), "gpt-4o");
    assert_true(json_number(json, "price.usd_per_million.input") == 2.5);
    assert_true(json_number(json, "price.usd_per_million.output") == 10);
    assert_number(json, "attempts", 1);
    assert_true(json_number(json, "total_ms") >= json_number(json, "first_byte_ms"));
    assert_true(cJSON_IsArray(json_at(json, "holds")));
    cJSON_Delete(json);
    fixture_stop(&f);
}

/* ---- compare ---- */

static void test_compare__a_cheap_and_a_dear_model__has_the_ratio_of_their_costs(void **state)
{
    struct used u[CALLS];
    struct fixture f;
    int64_t dear;
    double ratio;
    cJSON *json;

    (void)state;
    fixture_start(&f, NULL, PRICED);
    make_calls(&f, u);
    dear = cost_4o(&u[0]) + cost_4o(&u[1]) + cost_4o(&u[3]);
    json = ask(&f, "/-/compare?model=gpt-4o&model=gpt-3.5-turbo&model=gpt-9&since=1h");
    assert_int_equal(cJSON_GetArraySize(json_at(json, "models")), 3);
    assert_string_equal(json_text(json, "models.1.model"), "gpt-3.5-turbo");
    assert_number(json, "models.0.calls", 3);
    assert_number(json, "models.0.completed", 3);
    assert_number(json, "models.0.sampled_calls", 3);
    assert_number(json, "models.0.cost_nano_usd", dear);
    assert_number(json, "models.0.cost_nano_usd_per_call", (2 * dear + 3) / 6);
    assert_true(json_number(json, "models.0.cost_ratio") == 1);
    ratio = 3.0 * (double)cost_35(&u[2]) / (double)dear - json_number(json, "models.1.cost_ratio");
    assert_true(ratio < 0.00005001 && ratio > -0.00005001);
    assert_true(json_number(json, "models.1.total_ms.p95") >= json_number(json, "models.1.total_ms.p50"));
    assert_number(json, "models.2.calls", 0);
    assert_true(cJSON_IsNull(json_at(json, "models.2.cost_ratio")));
    assert_true(cJSON_IsNull(json_at(json, "models.2.total_ms.p50")));
    cJSON_Delete(json);
    fixture_stop(&f);
}

/* ---- what cannot be asked ---- */

static void test_reports__bad_questions__are_refused_in_a_sentence(void **state)
{
    struct fixture f;

    (void)state;
    fixture_start(&f, NULL, KEPT);
    assert_refused(&f, "GET", "/-/usage?by=month", 400, "by: \"month\" is not model, client, budget");
    assert_refused(&f, "GET", "/-/usage?since=yesterday", 400,
                   "since: \"yesterday\" is not a duration back from now");
    assert_refused(&f, "GET", "/-/usage?since=1h&colour=red", 400,
                   "\"colour\" is no parameter of this address");
    assert_refused(&f, "GET", "/-/calls?limit=10001", 400,
                   "limit: \"10001\" is not a number from 1 to 10000");
    assert_refused(&f, "GET", "/-/compare?model=a", 400, "model: a comparison takes 2 to 10 of them");
    assert_refused(&f, "GET", "/-/calls/17", 400, "\"17\" is not the id of a call");
    assert_refused(&f, "GET", "/-/calls/mg-0000000-1", 404, "The ledger has no call mg-0000000-1.");
    assert_refused(&f, "GET", "/-/calls?before=mg-0000000-1", 404, "The ledger has no call mg-0000000-1.");
    assert_refused(&f, "POST", "/-/usage", 405, "GET and HEAD only");
    assert_refused(&f, "GET", "/@nightly/-/usage?by=month", 400, "by: ");
    fixture_stop(&f);
}

static void test_reports__without_a_ledger__say_why(void **state)
{
    static const char *const paths[] = {"/-/usage", "/-/calls", "/-/calls/mg-0000000-1",
                                        "/-/compare?model=a&model=b"};
    struct fixture f;

    (void)state;
    fixture_start(&f, NULL, FIXTURE_UPSTREAM); /* state_dir: none */
    for (size_t i = 0; i < MG_ARRAY_LEN(paths); i++)
        assert_refused(&f, "GET", paths[i], 404, "No call is kept: the daemon has no state_dir");
    fixture_stop(&f);
}

/* ---- many at once ---- */

#define MANY 100

/* Everyone leaves before he is answered; some do so while it is their turn. */
/* That a client has left is seen a moment later, and then its question goes. */
static void wait_for_room(const struct fixture *f)
{
    int64_t end_us = clock_now_us() + FIXTURE_TIMEOUT_MS * CLOCK_MS;
    int status = 503;

    while (status == 503 && clock_now_us() < end_us) {
        struct client_reply r = fixture_call(f, "GET", "/-/usage", NULL);

        status = r.status;
        client_reply_release(&r);
    }
    assert_int_equal(status, 200);
}

static void test_reports__clients_that_leave__take_their_questions_along(void **state)
{
    static const char question[] = "GET /-/usage?by=day&since=30d HTTP/1.1\r\nHost: localhost\r\n\r\n";
    struct fixture f;
    int fd[MANY];

    (void)state;
    fixture_start(&f, NULL, KEPT);
    for (int i = 0; i < MANY; i++) {
        fd[i] = raw_connect(f.port);
        raw_send_text(fd[i], question);
        if (i % 3 == 0)
            close(fd[i]);
    }
    for (int i = 0; i < MANY; i++) {
        if (i % 3)
            close(fd[i]);
    }
    wait_for_room(&f);
    cJSON_Delete(ask(&f, "/-/usage")); /* the thread lives */
    fixture_stop(&f);
}

/* 32 wait, the others are told to come again: whoever asks is answered by one or the other. */
static void test_reports__more_questions_than_may_wait__are_all_answered(void **state)
{
    static const char question[] =
        "GET /-/calls?limit=10 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    struct fixture f;
    int fd[MANY], answered = 0;

    (void)state;
    fixture_start(&f, NULL, KEPT);
    for (int i = 0; i < MANY; i++) {
        fd[i] = raw_connect(f.port);
        raw_send_text(fd[i], question);
    }
    for (int i = 0; i < MANY; i++) {
        struct buf out;

        buf_init(&out, BUF_UNLIMITED);
        assert_true(raw_read(fd[i], &out, NULL, FIXTURE_TIMEOUT_MS) > 0);
        if (strstr(out.p, "{\"calls\":[]}"))
            answered++;
        else if (!strstr(out.p, " 503 ") || !strstr(out.p, "Too many questions"))
            fail_msg("%s", out.p);
        buf_release(&out);
        close(fd[i]);
    }
    assert_true(answered >= 32);
    fixture_stop(&f);
}

/* A stop while questions wait: the daemon answers or closes, and ends. */
static void test_reports__a_stop_among_questions__ends_well(void **state)
{
    static const char question[] =
        "GET /-/usage?by=hour&since=30d HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    struct fixture f;
    int fd[20];

    (void)state;
    fixture_start(&f, NULL, KEPT);
    for (int i = 0; i < 20; i++) {
        fd[i] = raw_connect(f.port);
        raw_send_text(fd[i], question);
    }
    fixture_stop(&f);
    for (int i = 0; i < 20; i++)
        close(fd[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reports__without_a_ledger__say_why),
        cmocka_unit_test(test_reports__bad_questions__are_refused_in_a_sentence),
        cmocka_unit_test(test_usage__right_after_the_answers__has_their_tokens_and_cost),
        cmocka_unit_test(test_usage__by_every_key__counts_all_calls),
        cmocka_unit_test(test_usage__a_span_that_ended_before__is_empty),
        cmocka_unit_test(test_usage__of_a_daemon_before__is_still_there),
        cmocka_unit_test(test_calls__any_filter__gives_the_latest_first),
        cmocka_unit_test(test_call__by_the_id_of_its_answer__has_all_that_is_known),
        cmocka_unit_test(test_compare__a_cheap_and_a_dear_model__has_the_ratio_of_their_costs),
        cmocka_unit_test(test_reports__clients_that_leave__take_their_questions_along),
        cmocka_unit_test(test_reports__more_questions_than_may_wait__are_all_answered),
        cmocka_unit_test(test_reports__a_stop_among_questions__ends_well),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
