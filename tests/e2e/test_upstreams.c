/* upstreams: which provider a call reaches, and whose key it carries. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <cjson/cJSON.h>

#include "fixture.h"

#define CHAT(model)                                                                                          \
    "{\"model\":\"" model "\",\"max_tokens\":5,\"messages\":[{\"role\":\"user\",\"content\":\"hello\"}]}"

/* The simulator takes the second upstream's key alone; callers of the fixture bring another one. */
#define SECOND_KEY "{\"api_keys\":[\"sk-second\"]}"

#define SECOND(api_key)                                                                                      \
    "upstreams:\n"                                                                                           \
    "  first: {base_url: $SIMULATOR/v1}\n"                                                                   \
    "  second: {base_url: $SIMULATOR/v1" api_key "}\n"                                                       \
    "models:\n"                                                                                              \
    "  gpt-4o: {upstream: second, tpm: 30000}\n"

#define WITH_KEY ", api_key: {env: METERGATE_TEST_KEY}"

static void assert_answered(struct client_reply r, int status, const char *refused)
{
    const char *why = client_header(&r, "Metergate-Refused");

    if (r.status != status)
        fail_msg("%d: %s", r.status, r.body.n ? r.body.p : "nothing");
    assert_string_equal(why ? why : "", refused);
    client_reply_release(&r);
}

/* How many calls for gpt-4o the provider has seen. */
static int arrivals(const struct fixture *f)
{
    cJSON *audit = fixture_audit(f);
    int n = json_at(audit, "models.gpt-4o") ? (int)json_number(audit, "models.gpt-4o.arrivals") : 0;

    cJSON_Delete(audit);
    return n;
}

static void test_entry__names_an_upstream_with_a_key__the_call_goes_there(void **state)
{
    struct fixture f;
    cJSON *status;

    (void)state;
    setenv("METERGATE_TEST_KEY", "sk-second", 1);
    fixture_start(&f, SECOND_KEY, SECOND(WITH_KEY));
    unsetenv("METERGATE_TEST_KEY");
    assert_answered(fixture_chat(&f, CHAT("gpt-4o")), 200, "");
    assert_answered(fixture_call(&f, "POST", "/first/v1/chat/completions", CHAT("gpt-4o")), 200, "");
    assert_answered(fixture_call(&f, "POST", "/second/v1/chat/completions", CHAT("gpt-4o")), 200, "");
    fixture_wait_status(&f, "totals.completed", 3);
    status = fixture_status(&f);
    assert_string_equal(json_text(status, "budgets.0.name"), "gpt-4o");
    assert_string_equal(json_text(status, "budgets.0.upstream"), "second");
    assert_null(json_at(status, "budgets.1")); /* one budget, whatever the path */
    cJSON_Delete(status);
    assert_answered(fixture_chat(&f, CHAT("gpt-4o-mini")), 401,
                    ""); /* another model stays with the first, and its key */
    fixture_assert_idle(&f);
    fixture_stop(&f);
}

static void test_entry__names_an_upstream_without_a_key__the_clients_is_not_sent_there(void **state)
{
    struct fixture f;

    (void)state;
    fixture_start(&f, NULL, SECOND(""));
    assert_answered(fixture_chat(&f, CHAT("gpt-4o")), 404, "no-route");
    assert_int_equal(arrivals(&f), 0);
    assert_answered(fixture_call(&f, "POST", "/second/v1/chat/completions", CHAT("gpt-4o")), 200,
                    ""); /* its path chose it */
    assert_int_equal(arrivals(&f), 1);
    assert_answered(fixture_chat(&f, CHAT("gpt-4o-mini")), 200, "");
    fixture_wait_status(&f, "totals.completed", 2);
    fixture_assert_idle(&f);
    fixture_stop(&f);
}

/* The call was moved to an upstream that had a key, and goes when that has none any more. */
static void test_entry__whose_upstream_loses_its_key__takes_no_clients_key_along(void **state)
{
    const char *limited = "upstreams:\n"
                          "  first: {base_url: $SIMULATOR/v1}\n"
                          "  second: {base_url: $SIMULATOR/v1" WITH_KEY "}\n"
                          "headroom: 0%\nmodels:\n  gpt-4o: {upstream: second, rpm: 1}\n";
    const char *without = "upstreams:\n"
                          "  first: {base_url: $SIMULATOR/v1}\n"
                          "  second: {base_url: $SIMULATOR/v1}\n"
                          "models:\n  gpt-4o: {upstream: second, rpm: 100}\n";
    struct client_async *held;
    struct fixture f = {0};
    cJSON *audit;
    char *seen;

    (void)state;
    setenv("METERGATE_TEST_KEY", "sk-second", 1);
    fixture_start(&f, NULL, limited); /* it takes any key, and none */
    unsetenv("METERGATE_TEST_KEY");
    assert_answered(fixture_chat(&f, CHAT("gpt-4o")), 200, "");
    held = fixture_chat_start(&f, CHAT("gpt-4o"));
    fixture_wait_status(&f, "held", 1);
    fixture_write_config(&f, without);
    process_signal(f.daemon, SIGHUP);
    assert_answered(client_finish(held), 200, "");
    assert_int_equal(arrivals(&f), 2);
    audit = fixture_audit(&f);
    seen = cJSON_Print(audit);
    assert_non_null(strstr(seen, "sk-second")); /* it does show what it saw */
    assert_null(strstr(seen, "sk-test"));
    free(seen);
    cJSON_Delete(audit);
    fixture_assert_idle(&f);
    fixture_stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_entry__names_an_upstream_with_a_key__the_call_goes_there),
        cmocka_unit_test(test_entry__names_an_upstream_without_a_key__the_clients_is_not_sent_there),
        cmocka_unit_test(test_entry__whose_upstream_loses_its_key__takes_no_clients_key_along),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
