/*
 * scope: an upstream with `scope: key`: each credential has windows of its own, by whatever header it comes. Windows
 * are an hour long: what does not go at once does not go in the time of a test.
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
#include "metergate/proxy/budgets.h"

#define BODY "{\"model\":\"m\",\"max_tokens\":5,\"messages\":[{\"role\":\"user\",\"content\":\"hello\"}]}"

#define UPSTREAM(more) "headroom: 0%\nupstreams:\n  openai: {base_url: $SIMULATOR/v1, counting: actual" more "}\n"
#define ONE_AN_HOUR    "models:\n  m: {rpm: {max: 1, per: 1h}}\n"
#define BY_KEY         UPSTREAM(", scope: key") ONE_AN_HOUR

static struct client_async *start_with(const struct fixture *f, const char *path, const char *header)
{
    const char *const headers[] = {header, "Content-Type: application/json", "anthropic-version: 2023-06-01", NULL};
    char url[256];

    snprintf(url, sizeof url, "%s%s", f->url, path);
    return client_start(&(struct client_call){.url = url, .headers = headers, .body = BODY});
}

static struct client_async *start(const struct fixture *f, const char *key)
{
    char header[128];

    snprintf(header, sizeof header, "Authorization: Bearer %s", key);
    return start_with(f, "/openai/v1/chat/completions", header);
}

static int end(struct client_async *a)
{
    struct client_reply r = client_finish(a);
    int status = r.status;

    client_reply_release(&r);
    return status;
}

static void leave(const struct fixture *f, struct client_async *a, int cancelled)
{
    client_leave(a);
    assert_int_equal(end(a), 0);
    fixture_wait_status(f, "totals.cancelled", cancelled);
}

/* A member of the last budget of the status; static. */
static const char *last_budget(const struct fixture *f, const char *member)
{
    static char text[64];
    cJSON *status = fixture_status(f);
    const cJSON *budgets = json_at(status, "budgets");
    const cJSON *last = cJSON_GetArrayItem(budgets, cJSON_GetArraySize(budgets) - 1);
    const cJSON *value = cJSON_GetObjectItem(last, member);

    snprintf(text, sizeof text, "%s", cJSON_IsString(value) ? value->valuestring : "(none)");
    cJSON_Delete(status);
    return text;
}

static int budget_count(const struct fixture *f)
{
    cJSON *status = fixture_status(f);
    int n = cJSON_GetArraySize(json_at(status, "budgets"));

    cJSON_Delete(status);
    return n;
}

static void test_two_keys__of_which_one_is_used_up__the_other_goes_at_once(void **state)
{
    struct client_async *held;
    struct client_reply r;
    struct fixture f;
    char label[64];

    (void)state;
    fixture_start(&f, NULL, BY_KEY);
    assert_int_equal(end(start(&f, "sk-first-organisation")), 200);
    snprintf(label, sizeof label, "%s", last_budget(&f, "key"));
    held = start(&f, "sk-first-organisation");
    fixture_wait_status(&f, "budgets.0.held", 1);
    assert_int_equal(end(start(&f, "sk-second-organisation")), 200);
    assert_int_equal(budget_count(&f), 2);
    assert_string_equal(last_budget(&f, "name"), "m");
    assert_string_not_equal(last_budget(&f, "key"), label);
    r = fixture_call(&f, "GET", "/-/status", NULL);
    assert_null(strstr(r.body.p, "organisation"));
    client_reply_release(&r);
    r = fixture_call(&f, "GET", "/metrics", NULL);
    assert_non_null(strstr(r.body.p, label));
    assert_null(strstr(r.body.p, "organisation"));
    client_reply_release(&r);
    leave(&f, held, 1);
    fixture_assert_idle(&f);
    fixture_stop(&f);
}

static void test_one_key__in_another_header__is_the_same_account(void **state)
{
    struct client_async *held;
    struct fixture f;

    (void)state;
    fixture_start(&f, NULL, "headroom: 0%\nupstreams:\n  anthropic: {base_url: $SIMULATOR, scope: key}\n" ONE_AN_HOUR);
    assert_int_equal(end(start_with(&f, "/v1/messages", "x-api-key: sk-one")), 200);
    held = start_with(&f, "/v1/messages", "Authorization: Bearer sk-one");
    fixture_wait_status(&f, "budgets.0.held", 1);
    assert_int_equal(end(start_with(&f, "/v1/messages", "x-api-key: sk-two")), 200);
    leave(&f, held, 1);
    fixture_stop(&f);
}

static void test_keys__where_the_configuration_has_its_own__share_its_windows(void **state)
{
    struct client_async *held;
    struct fixture f;

    (void)state;
    assert_int_equal(setenv("METERGATE_TEST_KEY", "sk-ours", 1), 0);
    fixture_start(&f, NULL, UPSTREAM(", scope: key, api_key: {env: METERGATE_TEST_KEY}") ONE_AN_HOUR);
    assert_int_equal(end(start(&f, "sk-one")), 200);
    held = start(&f, "sk-two");
    fixture_wait_status(&f, "budgets.0.held", 1);
    assert_string_equal(last_budget(&f, "key"), "(none)");
    leave(&f, held, 1);
    fixture_stop(&f);
    unsetenv("METERGATE_TEST_KEY");
}

static void test_scope__that_a_reload_brings__lets_the_held_calls_of_other_keys_go(void **state)
{
    struct client_async *first, *second;
    struct client_reply r;
    struct fixture f;

    (void)state;
    fixture_start(&f, NULL, UPSTREAM("") ONE_AN_HOUR);
    assert_int_equal(end(start(&f, "sk-one")), 200);
    first = start(&f, "sk-two");
    fixture_wait_status(&f, "budgets.0.held", 1);
    second = start(&f, "sk-two");
    fixture_wait_status(&f, "budgets.0.held", 2);
    fixture_write_config(&f, BY_KEY);
    r = fixture_call(&f, "POST", "/-/reload", "");
    assert_int_equal(r.status, 200);
    client_reply_release(&r);
    assert_int_equal(end(first), 200);
    leave(&f, second, 1);
    fixture_assert_idle(&f);
    fixture_stop(&f);
}

static void call_as(const struct fixture *f, int from, int to, int status)
{
    char key[32];

    for (int i = from; i < to; i++) {
        snprintf(key, sizeof key, "sk-%d", i);
        assert_int_equal(end(start(f, key)), status);
    }
}

static void test_invented_keys__more_than_are_kept__take_no_window_of_a_real_one(void **state)
{
    struct client_async *held;
    struct fixture f;

    (void)state;
    fixture_start(&f, "{\"api_keys\":[\"sk-real\",\"sk-late\"]}", BY_KEY);
    assert_int_equal(end(start(&f, "sk-real")), 200);
    call_as(&f, 0, BUDGETS_MAX + 10, 401);
    assert_in_range(budget_count(&f), 1, BUDGETS_MAX);
    held = start(&f, "sk-real"); /* its hour is not forgotten */
    fixture_wait_status(&f, "budgets.0.held", 1);
    assert_int_equal(end(start(&f, "sk-late")), 200);
    assert_string_not_equal(last_budget(&f, "key"), "other");
    leave(&f, held, 1);
    fixture_assert_idle(&f);
    fixture_stop(&f);
}

static void test_real_keys__more_than_are_kept__share_one_account(void **state)
{
    struct client_async *held;
    struct fixture f;

    (void)state;
    fixture_start(&f, NULL, BY_KEY);
    call_as(&f, 0, BUDGETS_MAX, 200);
    assert_int_equal(budget_count(&f), BUDGETS_MAX);
    assert_int_equal(end(start(&f, "sk-late")), 200);
    assert_string_equal(last_budget(&f, "key"), "other");
    held = start(&f, "sk-later");
    fixture_wait_status(&f, "held", 1);
    assert_int_equal(budget_count(&f), BUDGETS_MAX + 1);
    leave(&f, held, 1);
    fixture_assert_idle(&f);
    fixture_stop(&f);
}

/* The answer to a question that shows that key. */
static cJSON *ask(const struct fixture *f, const char *path, const char *key, const char *body, int status)
{
    char header[128], url[256];
    const char *const headers[] = {header, NULL};
    struct client_reply r;
    cJSON *doc;

    snprintf(header, sizeof header, "Authorization: Bearer %s", key);
    snprintf(url, sizeof url, "%s%s", f->url, path);
    r = client_run(&(struct client_call){.url = url, .headers = headers, .body = body});
    if (r.status != status)
        fail_msg("%d: %s", r.status, r.body.n ? r.body.p : r.error_text);
    doc = client_json(&r);
    client_reply_release(&r);
    return doc;
}

static void test_questions__with_a_key__are_about_its_windows(void **state)
{
    static const char wish[] = "{\"model\":\"m\",\"tokens\":5,\"max_wait\":0}";
    struct fixture f;
    cJSON *doc, *lease;
    char report[128];

    (void)state;
    fixture_start(&f, NULL, BY_KEY);
    lease = ask(&f, "/-/reserve", "sk-one", wish, 200);
    doc = ask(&f, "/-/estimate", "sk-one", BODY, 200);
    assert_true(json_number(doc, "wait_ms") > 0);
    cJSON_Delete(doc);
    cJSON_Delete(ask(&f, "/-/reserve", "sk-one", wish, 429));
    doc = ask(&f, "/-/estimate", "sk-two", BODY, 200);
    assert_int_equal(json_number(doc, "wait_ms"), 0);
    cJSON_Delete(doc);
    assert_int_equal(end(start(&f, "sk-two")), 200);
    snprintf(report, sizeof report, "{\"lease\":\"%s\",\"input_tokens\":5}", json_at(lease, "lease")->valuestring);
    cJSON_Delete(ask(&f, "/-/settle", "sk-one", report, 200));
    cJSON_Delete(lease);
    fixture_assert_idle(&f);
    fixture_stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_two_keys__of_which_one_is_used_up__the_other_goes_at_once),
        cmocka_unit_test(test_one_key__in_another_header__is_the_same_account),
        cmocka_unit_test(test_keys__where_the_configuration_has_its_own__share_its_windows),
        cmocka_unit_test(test_scope__that_a_reload_brings__lets_the_held_calls_of_other_keys_go),
        cmocka_unit_test(test_questions__with_a_key__are_about_its_windows),
        cmocka_unit_test(test_invented_keys__more_than_are_kept__take_no_window_of_a_real_one),
        cmocka_unit_test(test_real_keys__more_than_are_kept__share_one_account),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
