/* estimate: POST /-/estimate tells what a call would cost and wait, for every dialect, and takes nothing. */
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

#define CONFIG                                                                                               \
    "headroom: 0%\n"                                                                                         \
    "upstreams:\n"                                                                                           \
    "  openai: {base_url: $SIMULATOR/v1, counting: openai}\n"                                                \
    "models:\n"                                                                                              \
    "  gpt-4o: {tpm: 1000}\n"

/* The parsed answer to a body; cJSON_Delete it. */
static cJSON *estimate(const struct fixture *f, const char *body, int status)
{
    struct client_reply r = fixture_call(f, "POST", "/-/estimate", body);
    cJSON *json = cJSON_Parse(r.body.p);

    if (r.status != status || !json)
        fail_msg("%.100s: %d %s", body, r.status, r.body.n ? r.body.p : "");
    client_reply_release(&r);
    return json;
}

static double number(const cJSON *json, const char *name)
{
    const cJSON *node = cJSON_GetObjectItem(json, name);

    assert_non_null(node);
    return cJSON_IsBool(node) ? cJSON_IsTrue(node) : node->valuedouble;
}

static void test_estimate__a_body_of_each_dialect__is_counted(void **state)
{
    static const struct {
        const char *body, *model, *encoding;
        int exact, input, output, charge;
    } rows[] = {
        {"{\"model\":\"gpt-4o\",\"messages\":[{\"role\":\"user\",\"content\":\"hello\"}],\"max_tokens\":100}",
         "gpt-4o", "o200k_base", 1, 8, 100, 108},
        {"{\"model\":\"gpt-4\",\"messages\":[{\"role\":\"user\",\"content\":\"hello\"}]}", "gpt-4",
         "cl100k_base", 1, 8, 512, 520},
        {"{\"model\":\"text-embedding-3-small\",\"input\":\"hello world\"}", "text-embedding-3-small",
         "cl100k_base", 1, 2, 0, 3}, /* a quarter of 11 characters, not below it */
        {"{\"model\":\"gpt-5\",\"input\":\"hello\",\"max_output_tokens\":7}", "gpt-5", "o200k_base", 0, 7, 7,
         14},
        {"{\"model\":\"claude-sonnet-4-5\",\"max_tokens\":9,\"messages\":[{\"role\":\"user\",\"content\":"
         "\"hello world\"}]}",
         "claude-sonnet-4-5", "o200k_base", 0, 10, 9, 19},
        {"{\"model\":\"models/"
         "gemini-2.5-flash\",\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"hello world\"}]}]}",
         "gemini-2.5-flash", "o200k_base", 0, 10, 512, 10},
        {"{\"model\":\"gpt-4o\",\"text\":\"caf\\u00e9 hello\"}", "gpt-4o", "o200k_base", 1, 3, 0, 3},
        {"{\"model\":\"llama-3\",\"text\":\"\"}", "llama-3", "o200k_base", 0, 0, 0, 0},
    };
    struct fixture f;

    (void)state;
    fixture_start(&f, NULL, CONFIG);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        cJSON *e = estimate(&f, rows[i].body, 200);

        assert_string_equal(cJSON_GetObjectItem(e, "model")->valuestring, rows[i].model);
        assert_string_equal(cJSON_GetObjectItem(e, "encoding")->valuestring, rows[i].encoding);
        if ((int)number(e, "exact") != rows[i].exact || (int)number(e, "input_tokens") != rows[i].input ||
            (int)number(e, "expected_output_tokens") != rows[i].output ||
            (int)number(e, "charge") != rows[i].charge || (int)number(e, "wait_ms") != 0 ||
            !number(e, "fits")) {
            char *text = cJSON_PrintUnformatted(e);

            fail_msg("%s: %s", rows[i].body, text);
        }
        cJSON_Delete(e);
    }
    fixture_assert_idle(&f);
    fixture_wait_status(&f, "totals.calls", 0);
    fixture_stop(&f);
}

static void test_estimate__a_full_window__tells_the_wait_and_what_never_fits(void **state)
{
    static const char body[] = "{\"model\":\"gpt-4o\",\"messages\":[{\"role\":\"user\",\"content\":\"hello "
                               "[[out=5]]\"}],\"max_tokens\":800}";
    struct client_reply r;
    struct fixture f;
    cJSON *e;

    (void)state;
    fixture_start(&f, NULL, CONFIG);
    e = estimate(
        &f,
        "{\"model\":\"gpt-4o\",\"messages\":[{\"role\":\"user\",\"content\":\"hello\"}],\"max_tokens\":2000}",
        200);
    assert_false(number(e, "fits"));
    cJSON_Delete(e);
    r = fixture_chat(&f, "{\"model\":\"gpt-4o\",\"messages\":[{\"role\":\"user\",\"content\":\"hello "
                         "[[out=500]]\"}],\"max_tokens\":500}");
    assert_int_equal(r.status, 200);
    client_reply_release(&r);
    e = estimate(&f, body, 200);
    assert_true(number(e, "wait_ms") > 50000 && number(e, "wait_ms") <= 60000);
    assert_true(number(e, "fits"));
    cJSON_Delete(e);
    fixture_wait_status(&f, "held", 0);
    fixture_wait_status(&f, "totals.calls", 1);
    fixture_stop(&f);
}

static void test_estimate__a_big_body__is_counted_off_the_loop(void **state)
{
    struct fixture f;
    struct buf body;
    cJSON *e;

    (void)state;
    buf_init(&body, BUF_UNLIMITED);
    buf_add_str(&body, "{\"model\":\"gpt-4.1\",\"text\":\"");
    for (int i = 0; i < 100000; i++)
        buf_add_str(&body, " word");
    buf_add_str(&body, "\"}");
    fixture_start(&f, NULL, CONFIG);
    e = estimate(&f, body.p, 200);
    assert_int_equal(number(e, "input_tokens"), 100000);
    cJSON_Delete(e);
    fixture_stop(&f);
    buf_release(&body);
}

/* Whoever leaves takes nothing along: the worker goes on with what it has, and gives it back. */
static void test_estimate__clients_that_leave__while_a_worker_counts__cost_nothing(void **state)
{
    const char *const headers[] = {"Content-Type: application/json", NULL};
    char url[128];
    struct fixture f;
    struct buf body;
    cJSON *e;

    (void)state;
    buf_init(&body, BUF_UNLIMITED);
    buf_add_str(&body, "{\"model\":\"gpt-4.1\",\"text\":\"");
    for (int i = 0; i < 200000; i++)
        buf_add_str(&body, " word");
    buf_add_str(&body, "\"}");
    fixture_start(&f, NULL, CONFIG);
    snprintf(url, sizeof url, "%s/-/estimate", f.url);
    for (int i = 0; i < 20; i++) {
        struct client_async *a =
            client_start(&(struct client_call){.url = url, .headers = headers, .body = body.p});
        struct client_reply r;

        client_leave(a);
        r = client_finish(a);
        client_reply_release(&r);
    }
    e = estimate(&f, body.p, 200); /* behind them all */
    assert_int_equal(number(e, "input_tokens"), 200000);
    cJSON_Delete(e);
    fixture_stop(&f);
    buf_release(&body);
}

static void test_estimate__what_is_no_request__is_a_clear_error(void **state)
{
    static const char *const bodies[] = {"",
                                         "[",
                                         "{}",
                                         "{\"model\":\"m\"}",
                                         "{\"messages\":[]}",
                                         "{\"text\":\"x\"}",
                                         "{\"model\":7,\"messages\":[]}",
                                         "{\"model\":\"m\",\"messages\":{}}"};
    struct client_reply r;
    struct fixture f;

    (void)state;
    fixture_start(&f, NULL, CONFIG);
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        cJSON *e = estimate(&f, bodies[i], 400);
        const cJSON *message = cJSON_GetObjectItem(cJSON_GetObjectItem(e, "error"), "message");

        assert_non_null(message);
        assert_non_null(strstr(message->valuestring, "estimated: "));
        cJSON_Delete(e);
    }
    r = fixture_call(&f, "GET", "/-/estimate", NULL);
    assert_int_equal(r.status, 405);
    client_reply_release(&r);
    fixture_stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_estimate__a_body_of_each_dialect__is_counted),
        cmocka_unit_test(test_estimate__a_full_window__tells_the_wait_and_what_never_fits),
        cmocka_unit_test(test_estimate__a_big_body__is_counted_off_the_loop),
        cmocka_unit_test(test_estimate__clients_that_leave__while_a_worker_counts__cost_nothing),
        cmocka_unit_test(test_estimate__what_is_no_request__is_a_clear_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
