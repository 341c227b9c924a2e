/*
 * shares: what calls have in common, exactly: the limits of one client over all its models, and of one entry over
 * all its names. Windows are an hour long: what does not go at once does not go in the time of a test.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <cjson/cJSON.h>

#include "fixture.h"

#define BODY(model) "{\"model\":\"" model "\",\"max_tokens\":5,\"messages\":[{\"role\":\"user\",\"content\":\"hello\"}]}"

static struct client_async *start(const struct fixture *f, const char *path, const char *body)
{
    static const char *const headers[] = {"Authorization: Bearer sk-test", "Content-Type: application/json", NULL};
    char url[256];

    snprintf(url, sizeof url, "%s%s/chat/completions", f->url, path);
    return client_start(&(struct client_call){.url = url, .headers = headers, .body = body});
}

static void end(struct client_async *a, int status)
{
    struct client_reply r = client_finish(a);

    if (r.status != status)
        fail_msg("%d instead of %d: %s", r.status, status, r.body.n ? r.body.p : r.error_text);
    client_reply_release(&r);
}

static void leave(const struct fixture *f, struct client_async *a, int cancelled)
{
    client_leave(a);
    end(a, 0);
    fixture_wait_status(f, "totals.cancelled", cancelled);
}

static void reload(struct fixture *f, const char *yaml)
{
    struct client_reply r;

    fixture_write_config(f, yaml);
    r = fixture_call(f, "POST", "/-/reload", "");
    if (r.status != 200)
        fail_msg("%d: %s", r.status, r.body.p);
    client_reply_release(&r);
}

/* The member of that name of the status' array; the caller deletes the status. */
static const cJSON *named(const cJSON *status, const char *array, const char *name)
{
    const cJSON *one;

    cJSON_ArrayForEach(one, json_at(status, array))
    {
        if (strcmp(cJSON_GetObjectItem(one, "name")->valuestring, name) == 0)
            return one;
    }
    fail_msg("no %s of the name %s", array, name);
    return NULL;
}

/* ---- clients ---- */

#define OF_ANA(limits) FIXTURE_UPSTREAM "headroom: 50%\nclients:\n  ana: {priority: low, " limits "}\n"

static void test_client__over_its_own_limit__waits_and_is_in_nobodys_way(void **state)
{
    struct client_async *held;
    struct fixture f;
    cJSON *status;

    (void)state;
    fixture_start(&f, NULL, OF_ANA("rpm: {max: 2, per: 1h}") "models:\n  m: {rpm: 1000}\n");
    end(start(&f, "/@ana/v1", BODY("m")), 200);
    end(start(&f, "/@ana/v1", BODY("another")), 200); /* in full: no headroom is taken off */
    held = start(&f, "/@ana/v1", BODY("m"));
    fixture_wait_status(&f, "held", 1);
    end(start(&f, "/@bo/v1", BODY("m")), 200);
    status = fixture_status(&f);
    assert_int_equal(json_number(named(status, "clients", "ana"), "limits.0.used"), 2);
    assert_int_equal(json_number(named(status, "clients", "ana"), "limits.0.usable"), 2);
    assert_int_equal(cJSON_GetArraySize(json_at(named(status, "clients", "bo"), "limits")), 0);
    assert_int_equal(json_number(status, "budgets.0.clients.0.held_by_priority.low"), 1);
    assert_int_equal(json_number(status, "budgets.0.clients.0.held_by_priority.high"), 0);
    cJSON_Delete(status);
    leave(&f, held, 1);
    fixture_assert_idle(&f);
    fixture_stop(&f);
}

static void test_client__with_calls_in_flight__has_no_more_than_its_own(void **state)
{
    struct client_async *first, *second;
    struct fixture f;

    (void)state;
    fixture_start(&f, "{\"faults\":[{\"fault\":\"hold\",\"next\":1}]}", OF_ANA("concurrent: 1") "models:\n  m: {rpm: 1000}\n");
    first = start(&f, "/@ana/v1", BODY("m"));
    fixture_sim_wait(&f, "held=1");
    second = start(&f, "/@ana/v1", BODY("m"));
    fixture_wait_status(&f, "held", 1);
    end(start(&f, "/@bo/v1", BODY("m")), 200);
    fixture_sim_post(&f, "/_sim/release", NULL);
    end(first, 200);
    end(second, 200);
    fixture_assert_idle(&f);
    fixture_stop(&f);
}

static void assert_refused(struct client_async *a, int status, const char *sentence)
{
    struct client_reply r = client_finish(a);

    if (r.status != status || !strstr(r.body.p, sentence))
        fail_msg("%d: %s", r.status, r.body.n ? r.body.p : r.error_text);
    client_reply_release(&r);
}

static void test_client__refused_for_its_own_limit__is_told_that_it_is_its_own(void **state)
{
    struct fixture f;

    (void)state;
    fixture_start(&f, NULL,
                  "upstreams:\n  openai: {base_url: $SIMULATOR/v1}\nmodels:\n  gpt-4o: {tpm: 100k}\n"
                  "clients:\n  ana: {max_wait: 0s, tpm: 4}\n  bo: {max_wait: 0s, rpm: {max: 1, per: 1h}}\n");
    assert_refused(start(&f, "/@ana/v1", BODY("gpt-4o")), 413,
                   "If the administrator allows more, raise `tpm` of `clients: ana` in Metergate's configuration.");
    end(start(&f, "/@bo/v1", BODY("gpt-4o")), 200);
    assert_refused(start(&f, "/@bo/v1", BODY("gpt-4o")), 429,
                   "Rate limit reached for gpt-4o on requests per min (RPM) of the client bo. ");
    fixture_assert_idle(&f);
    fixture_stop(&f);
}

static void test_client__whose_limits_a_reload_changes__waits_by_the_new_ones(void **state)
{
    struct client_async *first, *second;
    struct fixture f;

    (void)state;
    fixture_start(&f, NULL, OF_ANA("weight: 2") "models:\n  m: {rpm: {max: 2, per: 1h}}\n");
    end(start(&f, "/@ana/v1", BODY("m")), 200);
    first = start(&f, "/@ana/v1", BODY("m"));
    fixture_wait_status(&f, "held", 1);
    second = start(&f, "/@ana/v1", BODY("m"));
    fixture_wait_status(&f, "held", 2);
    reload(&f, OF_ANA("rpm: {max: 1, per: 1h}") "models:\n  m: {rpm: 1000}\n");
    end(first, 200); /* held before it had a limit, and charged to it all the same */
    fixture_wait_status(&f, "held", 1);
    reload(&f, OF_ANA("weight: 2") "models:\n  m: {rpm: 1000}\n");
    end(second, 200);
    reload(&f, FIXTURE_UPSTREAM);
    end(start(&f, "/@ana/v1", BODY("m")), 200);
    fixture_assert_idle(&f);
    fixture_stop(&f);
}

/* ---- who goes first ---- */

static int64_t arrival_us(const cJSON *audit, const char *model)
{
    char path[64];

    snprintf(path, sizeof path, "models.%s.list.0.t_us", model);
    return (int64_t)json_number(audit, path);
}

static void assert_order(const struct fixture *f, const char *const *models, size_t n)
{
    cJSON *audit = fixture_audit(f);

    for (size_t i = 1; i < n; i++) {
        if (arrival_us(audit, models[i]) <= arrival_us(audit, models[i - 1]))
            fail_msg("%s went before %s", models[i], models[i - 1]);
    }
    cJSON_Delete(audit);
}

/* A low and then a high one arrive while a call is in their way. */
static void low_then_high(const char *order, const char *const *models)
{
    struct client_async *first, *low, *high;
    struct fixture f;
    char yaml[512];

    snprintf(yaml, sizeof yaml,
             FIXTURE_UPSTREAM "queue: {order: %s}\nmodels:\n  all: {match: [\"*\"], concurrent: 1}\n"
                              "clients:\n  batch: {priority: low}\n  editor: {priority: high}\n",
             order);
    fixture_start(&f, "{\"models\":{\"a\":{},\"b\":{},\"c\":{}},\"faults\":[{\"fault\":\"hold\",\"next\":1}]}", yaml);
    first = start(&f, "/@batch/v1", BODY("a"));
    fixture_sim_wait(&f, "held=1");
    low = start(&f, "/@batch/v1", BODY("b"));
    fixture_wait_status(&f, "held", 1);
    high = start(&f, "/@editor/v1", BODY("c"));
    fixture_wait_status(&f, "held", 2);
    fixture_sim_post(&f, "/_sim/release", NULL);
    end(first, 200);
    end(low, 200);
    end(high, 200);
    assert_order(&f, models, 3);
    fixture_assert_idle(&f);
    fixture_stop(&f);
}

static void test_order__of_two_that_wait__is_by_priority_or_by_arrival(void **state)
{
    static const char *const fair[] = {"a", "c", "b"}, *const fifo[] = {"a", "b", "c"};

    (void)state;
    low_then_high("fair", fair);
    low_then_high("fifo", fifo);
}

/* ---- entries ---- */

static void test_two_models_of_one_entry__share_its_budget_exactly(void **state)
{
    struct client_async *held;
    struct fixture f;
    cJSON *status;

    (void)state;
    fixture_start(&f, NULL,
                  FIXTURE_UPSTREAM "headroom: 0%\nmodels:\n"
                                   "  family: {match: [\"m-*\", \"n-?\"], upstream: openai, rpm: {max: 3, per: 1h}}\n");
    end(start(&f, "/v1", BODY("m-small")), 200);
    end(start(&f, "/openai/v1", BODY("n-1")), 200);
    end(start(&f, "/v1", BODY("m-large")), 200);
    held = start(&f, "/v1", BODY("n-2"));
    fixture_wait_status(&f, "budgets.0.held", 1);
    end(start(&f, "/v1", BODY("n-10")), 200); /* no name of its */
    status = fixture_status(&f);
    assert_int_equal(json_number(named(status, "budgets", "family"), "limits.0.used"), 3);
    assert_int_equal(cJSON_GetArraySize(json_at(named(status, "budgets", "family"), "models")), 4);
    assert_int_equal(cJSON_GetArraySize(json_at(status, "budgets")), 2);
    cJSON_Delete(status);
    leave(&f, held, 1);
    fixture_assert_idle(&f);
    fixture_stop(&f);
}

static void test_two_models_of_one_entry__on_their_way_to_its_upstream__share_its_budget_exactly(void **state)
{
    struct client_async *held;
    struct fixture f;
    cJSON *status;

    (void)state;
    assert_int_equal(setenv("METERGATE_TEST_KEY", "sk-ours", 1), 0);
    fixture_start(&f, NULL,
                  "headroom: 0%\nupstreams:\n  openai: {base_url: $SIMULATOR/v1}\n"
                  "  other: {base_url: $SIMULATOR/other/v1, api_key: {env: METERGATE_TEST_KEY}}\n"
                  "models:\n  family: {match: [\"m-*\"], upstream: other, rpm: {max: 2, per: 1h}}\n");
    end(start(&f, "/v1", BODY("m-small")), 200);
    end(start(&f, "/other/v1", BODY("m-large")), 200);
    held = start(&f, "/v1", BODY("m-large"));
    fixture_wait_status(&f, "budgets.0.held", 1);
    status = fixture_status(&f);
    assert_int_equal(cJSON_GetArraySize(json_at(status, "budgets")), 1);
    assert_string_equal(json_at(status, "budgets.0.upstream")->valuestring, "other");
    assert_int_equal(json_number(status, "budgets.0.limits.0.used"), 2);
    cJSON_Delete(status);
    leave(&f, held, 1);
    fixture_assert_idle(&f);
    fixture_stop(&f);
    unsetenv("METERGATE_TEST_KEY");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_client__over_its_own_limit__waits_and_is_in_nobodys_way),
        cmocka_unit_test(test_client__with_calls_in_flight__has_no_more_than_its_own),
        cmocka_unit_test(test_client__refused_for_its_own_limit__is_told_that_it_is_its_own),
        cmocka_unit_test(test_client__whose_limits_a_reload_changes__waits_by_the_new_ones),
        cmocka_unit_test(test_order__of_two_that_wait__is_by_priority_or_by_arrival),
        cmocka_unit_test(test_two_models_of_one_entry__share_its_budget_exactly),
        cmocka_unit_test(test_two_models_of_one_entry__on_their_way_to_its_upstream__share_its_budget_exactly),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
