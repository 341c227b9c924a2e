/*
 * learning limits: numbers of the configuration that are not the provider's, somebody else who uses the same key, and
 * what is remembered. Windows of a second or two; the provider's own limiter is the judge.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <cjson/cJSON.h>

#include "fixture.h"
#include "metergate/base/buf.h"
#include "metergate/base/clock.h"

#define CALLS 80

/* 20 tokens or so in, 80 out. */
#define CHAT_OF(model)                                                                                       \
    "{\"model\":\"" model "\",\"max_tokens\":80,\"messages\":[{\"role\":\"user\",\"content\":"               \
    "\"one two three four five six [[out=80]]\"}]}"

/* So many at a time; each must be answered. The time that it took. */
static int64_t ask_in_lanes(const struct fixture *f, const char *body, int n, int lanes)
{
    struct client_async *calls[CALLS];
    int64_t start_us = clock_now_us();

    for (int i = 0; i < n + lanes; i++) {
        if (i >= lanes) {
            struct client_reply r = client_finish(calls[i - lanes]);

            if (r.status != 200)
                fail_msg("call %d: status %d %s", i - lanes, r.status, r.body.n ? r.body.p : "");
            client_reply_release(&r);
        }
        if (i < n)
            calls[i] = fixture_chat_start(f, body);
    }
    return clock_now_us() - start_us;
}

/* All at once. */
static int64_t ask_all(const struct fixture *f, const char *body, int n)
{
    return ask_in_lanes(f, body, n, n);
}

static int64_t refusals(const struct fixture *f)
{
    cJSON *audit = fixture_audit(f);
    int64_t n = (int64_t)json_number(audit, "n429");

    cJSON_Delete(audit);
    return n;
}

/* The row of that limit in the status of the only budget; NULL when it has none. Borrowed of *ret. */
static const cJSON *limit_row(const struct fixture *f, const char *metric, cJSON **ret)
{
    const cJSON *row;

    *ret = fixture_status(f);
    cJSON_ArrayForEach(row, json_at(*ret, "budgets.0.limits")) if (strcmp(json_text(row, "metric"), metric) == 0) return row;
    return NULL;
}

static void assert_limit(const struct fixture *f, const char *metric, int64_t max, bool learned)
{
    cJSON *status;
    const cJSON *row = limit_row(f, metric, &status);

    assert_non_null(row);
    assert_int_equal(json_number(row, "max"), max);
    assert_int_equal(cJSON_IsTrue(cJSON_GetObjectItem(row, "learned")), learned);
    cJSON_Delete(status);
}

static void assert_no_limit(const struct fixture *f, const char *metric)
{
    cJSON *status;

    assert_null(limit_row(f, metric, &status));
    cJSON_Delete(status);
}

static void test_wrong_numbers__with_learn__become_the_providers_and_no_client_sees_it(void **state)
{
    static const char *const limiters[] = {"rolling", "bucket"};
    static const int configured[] = {4000, 1000};

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        char settings[256], yaml[512];
        struct fixture f;
        int64_t took_us;

        snprintf(settings, sizeof settings,
                 "{\"models\":{\"gpt-4o\":{\"tpm\":2000,\"window_ms\":1000,\"limiter\":\"%s\",\"first_byte_ms\":10}}}",
                 limiters[i / 2]);
        snprintf(yaml, sizeof yaml, FIXTURE_UPSTREAM "models:\n  gpt-4o: {tpm: {max: %d, per: 1s}, learn: true}\n",
                 configured[i % 2]);
        fixture_start(&f, settings, yaml);
        took_us = ask_all(&f, CHAT_OF("gpt-4o"), CALLS);
        assert_limit(&f, "tpm", 2000, true);
        assert_no_limit(&f, "learning");
        if (refusals(&f) > 2)
            fail_msg("%s, %d instead of 2000: %lld refused", limiters[i / 2], configured[i % 2], (long long)refusals(&f));
        /* 8,000 tokens at 1,600 a second: 4 windows after the first one, and one to get there */
        if (took_us > 6 * CLOCK_S)
            fail_msg("%s, %d instead of 2000: took %lld ms", limiters[i / 2], configured[i % 2],
                     (long long)(took_us / 1000));
        fixture_assert_idle(&f);
        fixture_stop(&f);
    }
}

static void test_wrong_numbers__without_learn__are_lowered_and_never_raised(void **state)
{
    static const char settings[] = "{\"models\":{\"*\":{\"tpm\":2000,\"window_ms\":60000,\"limiter\":\"bucket\"}}}";
    struct fixture f;
    struct client_reply r;

    (void)state;
    fixture_start(&f, settings, FIXTURE_UPSTREAM "models:\n  gpt-4o: {tpm: 4000}\n");
    for (int i = 0; i < 3; i++) { /* that it is of a minute follows from the figures, the third time */
        r = fixture_chat(&f, CHAT_OF("gpt-4o"));
        assert_int_equal(r.status, 200);
        client_reply_release(&r);
    }
    assert_limit(&f, "tpm", 2000, true);
    fixture_stop(&f);
    fixture_start(&f, settings, FIXTURE_UPSTREAM "models:\n  gpt-4o: {tpm: 1000}\n");
    for (int i = 0; i < 3; i++) {
        r = fixture_chat(&f, CHAT_OF("gpt-4o"));
        client_reply_release(&r);
    }
    assert_limit(&f, "tpm", 1000, false);
    fixture_stop(&f);
}

/* No entry, no number: the first burst meets a provider of whom nothing is known. */
static void test_no_numbers__a_first_burst__does_not_hit_the_wall(void **state)
{
    struct fixture f;

    (void)state;
    fixture_start(&f, "{\"models\":{\"*\":{\"rpm\":1000,\"tpm\":2500,\"window_ms\":60000,\"limiter\":\"bucket\",\"first_byte_ms\":20}}}",
                  FIXTURE_UPSTREAM "models:\n  \"*\": {learn: true}\n");
    ask_all(&f, CHAT_OF("some-model"), 15);
    assert_int_equal(refusals(&f), 0);
    assert_limit(&f, "tpm", 2500, true);
    assert_limit(&f, "rpm", 1000, true);
    assert_no_limit(&f, "learning");
    fixture_stop(&f);
}

static void test_no_headers__calls_in_flight__are_few_and_double(void **state)
{
    struct fixture f;
    struct cJSON *audit;

    (void)state;
    fixture_start(&f, "{\"rate_limit_headers\":false,\"models\":{\"*\":{\"first_byte_ms\":10}}}",
                  FIXTURE_UPSTREAM "models:\n  \"*\": {learn: true}\n");
    ask_all(&f, CHAT_OF("some-model"), CALLS);
    assert_limit(&f, "learning", 4 + CALLS, false);
    assert_no_limit(&f, "tpm"); /* what remembers is nobody's limit */
    audit = fixture_audit(&f);
    assert_true(json_number(audit, "peak_in_flight") <= 4 + CALLS);
    cJSON_Delete(audit);
    fixture_assert_idle(&f);
    fixture_stop(&f);
}

/* No header ever; the sixth request is told the limit in words. */
static void test_no_headers__a_refusal_in_words__is_learned(void **state)
{
    const char *const hurried[] = {"Authorization: Bearer k", "Content-Type: application/json", "Metergate-Max-Wait: 1",
                                   NULL};
    struct client_reply r;
    struct fixture f;
    char url[128];

    (void)state;
    fixture_start(&f,
                  "{\"rate_limit_headers\":false,\"models\":{\"*\":{\"rpm\":5,\"window_ms\":60000,\"refusal_style\":\"plain\"}}}",
                  FIXTURE_UPSTREAM "models:\n  \"*\": {learn: true}\n");
    ask_all(&f, CHAT_OF("some-model"), 4);
    ask_all(&f, CHAT_OF("some-model"), 1);
    assert_no_limit(&f, "rpm");
    snprintf(url, sizeof url, "%s/v1/chat/completions", f.url);
    r = client_run(&(struct client_call){.url = url, .headers = hurried, .body = CHAT_OF("some-model")});
    assert_int_equal(r.status, 429);
    assert_string_equal(client_header(&r, "Metergate-Refused"), "max-wait");
    client_reply_release(&r);
    assert_limit(&f, "rpm", 5, true);
    assert_int_equal(refusals(&f), 1);
    fixture_stop(&f);
}

static void test_limits__a_restart__remembers_them(void **state)
{
#define KEPT "state_dir: $DIR/state\n" FIXTURE_UPSTREAM "models:\n  gpt-4o: {tpm: {max: 9000, per: 1s}, learn: true}\n"
    struct client_reply r;
    struct fixture f;

    (void)state;
    fixture_start(&f, "{\"models\":{\"gpt-4o\":{\"tpm\":2000,\"window_ms\":1000}}}", KEPT);
    r = fixture_chat(&f, CHAT_OF("gpt-4o"));
    client_reply_release(&r);
    assert_limit(&f, "tpm", 2000, true);
    fixture_stop_daemon(&f);
    fixture_sim_config(&f, "{\"rate_limit_headers\":false}");
    fixture_start_daemon(&f, KEPT, NULL);
    ask_all(&f, CHAT_OF("gpt-4o"), 40);
    assert_limit(&f, "tpm", 2000, true);
    assert_no_limit(&f, "learning");
    assert_int_equal(refusals(&f), 0);
    fixture_stop(&f);
}

/* ---- somebody else ---- */

/* 429s that came later than `after_us` after the first arrival. */
static int refused_after(const struct fixture *f, const char *model, int64_t after_us)
{
    cJSON *audit = fixture_audit(f);
    const cJSON *call, *list;
    double first_us = -1;
    char path[64];
    int n = 0;

    snprintf(path, sizeof path, "models.%s.list", model);
    list = json_at(audit, path);
    cJSON_ArrayForEach(call, list) {
        double t_us = json_number(call, "t_us");

        if (first_us < 0 || t_us < first_us)
            first_us = t_us;
    }
    cJSON_ArrayForEach(call, list) {
        n += (int)json_number(call, "status") == 429 && json_number(call, "t_us") - first_us > (double)after_us;
    }
    cJSON_Delete(audit);
    return n;
}

static void test_half_of_the_key__taken_by_somebody_else__costs_no_refusal_after_the_first_window(void **state)
{
    static const char *const limiters[] = {"rolling", "bucket"};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        char settings[256];
        struct fixture f;
        int64_t took_us;

        snprintf(settings, sizeof settings,
                 "{\"models\":{\"gpt-4o\":{\"tpm\":4000,\"window_ms\":2000,\"first_byte_ms\":50,\"limiter\":\"%s\","
                 "\"foreign\":{\"tokens\":40,\"every_ms\":40}}}}",
                 limiters[i]);
        fixture_start(&f, settings, FIXTURE_UPSTREAM "models:\n  gpt-4o: {tpm: {max: 4000, per: 2s}}\n");
        took_us = ask_in_lanes(&f, CHAT_OF("gpt-4o"), CALLS, 6);
        if (refused_after(&f, "gpt-4o", 2 * CLOCK_S) > 0)
            fail_msg("%s: %d refused after the first window, %d in all", limiters[i],
                     refused_after(&f, "gpt-4o", 2 * CLOCK_S), refused_after(&f, "gpt-4o", -1));
        /* 3,200 tokens in the first window, then 1,200 in each: 8,400 are there after six */
        if (took_us > 14 * CLOCK_S)
            fail_msg("%s: took %lld ms", limiters[i], (long long)(took_us / 1000));
        fixture_assert_idle(&f);
        fixture_stop(&f);
    }
}

static void ask_as(const struct fixture *f, const char *authorization)
{
    const char *const headers[] = {authorization, "Content-Type: application/json", NULL};
    struct client_reply r;
    char url[128];

    snprintf(url, sizeof url, "%s/v1/chat/completions", f->url);
    r = client_run(&(struct client_call){.url = url, .headers = headers, .body = CHAT_OF("gpt-4o")});
    assert_int_equal(r.status, 200);
    client_reply_release(&r);
}

static void test_two_organizations__behind_one_budget__are_told_of_and_correct_nothing(void **state)
{
    struct fixture f;
    cJSON *status;

    (void)state;
    fixture_start(&f, "{\"scope\":\"key\",\"models\":{\"gpt-4o\":{\"tpm\":100000}}}",
                  FIXTURE_UPSTREAM "models:\n  gpt-4o: {tpm: 100000}\n");
    ask_as(&f, "Authorization: Bearer one");
    fixture_sim_post(&f, "/_sim/charge", "{\"model\":\"gpt-4o\",\"tokens\":50000,\"key\":\"two\"}");
    ask_as(&f, "Authorization: Bearer two");
    fixture_wait_log(&f, 0, "set `scope: key` for this upstream");
    status = fixture_status(&f);
    assert_int_equal(json_number(status, "budgets.0.organizations"), 2);
    assert_true(json_number(status, "budgets.0.limits.0.used") < 1000); /* what the second has used is not the first's */
    cJSON_Delete(status);
    fixture_assert_idle(&f);
    fixture_stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wrong_numbers__with_learn__become_the_providers_and_no_client_sees_it),
        cmocka_unit_test(test_wrong_numbers__without_learn__are_lowered_and_never_raised),
        cmocka_unit_test(test_no_numbers__a_first_burst__does_not_hit_the_wall),
        cmocka_unit_test(test_no_headers__calls_in_flight__are_few_and_double),
        cmocka_unit_test(test_no_headers__a_refusal_in_words__is_learned),
        cmocka_unit_test(test_limits__a_restart__remembers_them),
        cmocka_unit_test(test_half_of_the_key__taken_by_somebody_else__costs_no_refusal_after_the_first_window),
        cmocka_unit_test(test_two_organizations__behind_one_budget__are_told_of_and_correct_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
