/* Limits of money: what is spent stops at once and says so, whatever has no price is not let through, prices
 * are the configuration's. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <cjson/cJSON.h>

#include "ledger_fixture.h"

/* With gpt-4o, "hello" is 8 tokens of input: 0.00002 USD, and a thousand of output 0.01. */
#define HELLO(model, out)                                                                                    \
    "{\"model\":\"" model "\",\"max_tokens\":" out                                                           \
    ",\"messages\":[{\"role\":\"user\",\"content\":\"hello\"}]}"

static struct client_reply chat_of(const struct fixture *f, const char *client, const char *body)
{
    char path[64];

    snprintf(path, sizeof path, "%s/v1/chat/completions", client);
    return ledger_post(f, path, NULL, body);
}

static void goes(const struct fixture *f, const char *client, const char *body)
{
    struct client_reply r = chat_of(f, client, body);

    if (r.status != 200)
        fail_msg("%s of %s: %d %s", body, client, r.status, r.body.n ? r.body.p : "");
    client_reply_release(&r);
}

/* Refused for good, at once, with a sentence in which `words` stand. */
static void is_refused(const struct fixture *f, const char *client, const char *body,
                       const char *const *words)
{
    struct client_reply r = chat_of(f, client, body);

    assert_int_equal(r.status, 429);
    assert_string_equal(client_header(&r, "Metergate-Refused"), "budget-usd");
    assert_string_equal(client_header(&r, "x-should-retry"), "false");
    assert_null(client_header(&r, "Retry-After"));
    for (; *words; words++)
        if (!strstr(r.body.p, *words))
            fail_msg("no %s in %s", *words, r.body.p);
    client_reply_release(&r);
}

static int64_t billed(const struct fixture *f, const char *model)
{
    cJSON *audit = fixture_audit(f);
    char path[128];
    int64_t nano;

    snprintf(path, sizeof path, "models.%s.bill.cost_nano", model);
    nano = ledger_int(audit, path);
    cJSON_Delete(audit);
    return nano;
}

static void test_money__of_a_model_is_spent__refuses_and_names_the_limit(void **state)
{
    struct fixture f;

    (void)state;
    fixture_start(&f, NULL, LEDGER_STATE LEDGER_UPSTREAMS "models:\n  gpt-4o: {usd_per_day: 0.025}\n");
    goes(&f, "", HELLO("gpt-4o", "1000"));
    goes(&f, "", HELLO("gpt-4o", "1000"));
    is_refused(&f, "", HELLO("gpt-4o", "1000"), (const char *const[]){"usd_per_day", "gpt-4o", NULL});
    /* what fits still goes, other models too, and nothing of the refused one was sent */
    goes(&f, "", HELLO("gpt-4o", "100"));
    goes(&f, "", HELLO("gpt-4o-mini", "1000"));
    ledger_wait_calls(&f, 5);
    assert_int_equal(billed(&f, "gpt-4o"), 2 * 10020000 + 1020000);
    assert_int_equal(ledger_ask(&f, "SELECT sum(cost_nano) FROM calls WHERE attempts > 0") -
                         billed(&f, "gpt-4o-mini"),
                     billed(&f, "gpt-4o"));
    assert_int_equal(ledger_ask(&f, "SELECT cost_nano FROM calls WHERE attempts = 0"), 0);
    fixture_stop(&f);
}

static void test_money__of_a_client_is_spent__refuses_him_alone(void **state)
{
    struct fixture f;

    (void)state;
    fixture_start(&f, NULL,
                  LEDGER_STATE LEDGER_UPSTREAMS "clients:\n  nightly: {usd_per_hour: 0.015}\n  editor: {}\n");
    goes(&f, "/@nightly", HELLO("gpt-4o", "1000"));
    is_refused(&f, "/@nightly", HELLO("gpt-4o", "1000"),
               (const char *const[]){"usd_per_hour", "nightly", NULL});
    goes(&f, "/@nightly", HELLO("gpt-4o-mini", "1000"));
    goes(&f, "/@editor", HELLO("gpt-4o", "1000"));
    fixture_stop(&f);
}

static void test_money__for_a_model_without_a_price__refuses_and_names_prices(void **state)
{
    struct fixture f;

    (void)state;
    fixture_start(&f, NULL,
                  LEDGER_STATE LEDGER_UPSTREAMS "models:\n  mine: {match: [my-model*], usd_per_month: 100}\n"
                                                "  \"*\": {learn: false}\n");
    is_refused(&f, "", HELLO("my-model-2", "10"), (const char *const[]){"prices:", "my-model-2", NULL});
    goes(&f, "", HELLO("other-model", "10"));
    ledger_wait_calls(&f, 2);
    assert_int_equal(ledger_ask(&f, "SELECT count(*) FROM calls WHERE cost_nano IS NULL AND attempts = 1"),
                     1);
    fixture_stop(&f);
}

static void test_money__prices_of_the_configuration__are_what_is_billed(void **state)
{
    struct fixture f;
    cJSON *usage;

    (void)state;
    fixture_start(
        &f,
        "{\"models\":{\"gpt-4o\":{\"price_input\":1000000,\"price_cached\":250000,\"price_output\":2000000},"
        "\"my-model\":{\"price_input\":330000,\"price_cached\":330000,\"price_output\":70000}}}",
        LEDGER_STATE LEDGER_UPSTREAMS "prices:\n"
                                      "  gpt-4o: {input: 1.00, cached: 0.25, output: 2}\n"
                                      "  my-model: {input: 0.33, output: 0.07}\n"
                                      "models:\n  mine: {match: [my-model], usd_per_month: 100}\n"
                                      "  \"*\": {learn: false}\n");
    goes(&f, "",
         "{\"model\":\"gpt-4o\",\"messages\":[{\"role\":\"user\",\"content\":\"one two [[cached=7]] "
         "[[out=13]]\"}]}");
    for (int i = 0; i < 3; i++)
        goes(&f, "", HELLO("my-model", "17"));
    ledger_wait_calls(&f, 4);
    usage = ledger_get(&f, "/-/usage?by=model&since=24h");
    assert_int_equal(ledger_int(ledger_row(usage, "gpt-4o"), "cost_nano_usd"), billed(&f, "gpt-4o"));
    assert_int_equal(ledger_int(ledger_row(usage, "my-model"), "cost_nano_usd"), billed(&f, "my-model"));
    assert_int_equal(ledger_int(ledger_row(usage, "my-model"), "unpriced_calls"), 0);
    cJSON_Delete(usage);
    fixture_stop(&f);
}

#define MANY 40

/* All at once, held by the provider until the last one has been decided on. */
static void test_money__of_many_calls_at_once__is_never_more_than_the_limit(void **state)
{
    struct client_async *a[MANY];
    int answered = 0, refused = 0;
    struct fixture f;

    (void)state;
    fixture_start(&f, "{\"models\":{\"gpt-4o\":{\"first_byte_ms\":5}}}",
                  LEDGER_STATE LEDGER_UPSTREAMS "models:\n  gpt-4o: {usd_per_day: 0.055}\n");
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < MANY; i++)
            a[i] = fixture_chat_start(&f, HELLO("gpt-4o", "400"));
        for (int i = 0; i < MANY; i++) {
            struct client_reply r = client_finish(a[i]);

            answered += r.status == 200;
            refused += r.status == 429;
            client_reply_release(&r);
        }
    }
    /* 0.00402 each */
    assert_int_equal(answered, 13);
    assert_int_equal(refused, 3 * MANY - 13);
    assert_true(billed(&f, "gpt-4o") <= 55000000);
    ledger_wait_calls(&f, (int64_t)3 * MANY);
    assert_int_equal(ledger_ask(&f, "SELECT sum(cost_nano) FROM calls"), billed(&f, "gpt-4o"));
    fixture_stop(&f);
}

/* What was estimated and not used is there for others again. */
static void test_money__that_an_answer_did_not_need__is_there_again(void **state)
{
    struct client_async *a;
    struct client_reply r;
    struct fixture f;

    (void)state;
    fixture_start(&f, NULL, LEDGER_STATE LEDGER_UPSTREAMS "models:\n  gpt-4o: {usd_per_day: 0.006}\n");
    /* 0.004 is expected, 0.0004 is used */
    a = fixture_chat_start(
        &f, "{\"model\":\"gpt-4o\",\"max_tokens\":400,\"messages\":[{\"role\":\"user\",\"content\":"
            "\"[[out=40]] [[fault=hold]]\"}]}");
    fixture_sim_wait(&f, "held=1");
    is_refused(&f, "", HELLO("gpt-4o", "400"), (const char *const[]){"usd_per_day", NULL});
    fixture_sim_post(&f, "/_sim/release", NULL);
    r = client_finish(a);
    assert_int_equal(r.status, 200);
    client_reply_release(&r);
    goes(&f, "", HELLO("gpt-4o", "400"));
    is_refused(&f, "", HELLO("gpt-4o", "400"), (const char *const[]){"usd_per_day", NULL});
    fixture_stop(&f);
}

/* A reload gives the model its first limit while one call is in flight: what that costs counts. */
static void test_money__of_calls_that_came_before_their_limit__is_counted(void **state)
{
    static const char limit[] = LEDGER_STATE LEDGER_UPSTREAMS "models:\n  gpt-4o: {usd_per_day: 0.006}\n"
                                                              "clients:\n  a: {usd_per_day: 0.006}\n";
    struct client_async *a;
    struct client_reply r;
    struct fixture f;

    (void)state;
    fixture_start(&f, NULL, LEDGER_STATE LEDGER_UPSTREAMS "models:\n  gpt-4o: {concurrent: 9}\n");
    a = ledger_post_start(&f, "/@a/v1/chat/completions", NULL,
                          "{\"model\":\"gpt-4o\",\"max_tokens\":400,\"messages\":[{\"role\":\"user\",\"content\":"
                          "\"[[fault=hold]]\"}]}");
    fixture_sim_wait(&f, "held=1");
    fixture_write_config(&f, limit);
    r = fixture_call(&f, "POST", "/-/reload", "");
    assert_int_equal(r.status, 200);
    client_reply_release(&r);
    is_refused(&f, "/@b", HELLO("gpt-4o", "400"), (const char *const[]){"Reserved 0.00", "models", NULL});
    is_refused(&f, "/@a", HELLO("gpt-4.1", "400"), (const char *const[]){"Reserved 0.00", "clients", NULL});
    fixture_sim_post(&f, "/_sim/release", NULL);
    r = client_finish(a);
    assert_int_equal(r.status, 200);
    client_reply_release(&r);
    is_refused(&f, "/@b", HELLO("gpt-4o", "400"), (const char *const[]){"Spent 0.00", "models", NULL});
    goes(&f, "/@b", HELLO("gpt-4o", "100"));
    fixture_stop(&f);
}

/* The answer says nothing of what was used, and a price for tokens is of no use then. */
static void test_money__of_speech__is_unpriced_though_its_tokens_have_a_price(void **state)
{
    struct client_reply r;
    struct fixture f;

    (void)state;
    fixture_start(&f, NULL,
                  LEDGER_STATE LEDGER_UPSTREAMS "prices:\n  \"free\": {input: 0, output: 0}\n  \"*\": {input: 1, output: 2}\n");
    r = ledger_post(&f, "/v1/audio/speech", NULL, "{\"model\":\"tts-1\",\"input\":\"x\",\"voice\":\"a\"}");
    assert_int_equal(r.status, 200);
    client_reply_release(&r);
    r = ledger_post(&f, "/v1/audio/speech", NULL, "{\"model\":\"free\",\"input\":\"x\",\"voice\":\"a\"}");
    assert_int_equal(r.status, 200);
    client_reply_release(&r);
    ledger_wait_calls(&f, 2);
    assert_int_equal(ledger_ask(&f, "SELECT count(*) FROM calls WHERE cost_nano IS NULL"), 1);
    assert_int_equal(ledger_ask(&f, "SELECT sum(unpriced) FROM hours"), 1);
    assert_int_equal(ledger_ask(&f, "SELECT count(*) FROM calls WHERE cost_nano = 0"), 1);
    fixture_stop(&f);
}

static int count_of(const char *text, const char *part, size_t n)
{
    int count = 0;

    for (const char *line = text; *line; line += strcspn(line, "\n") + (line[strcspn(line, "\n")] == '\n'))
        count += strncmp(line, part, n) == 0;
    return count;
}

/* No head stands twice and no series has two values: either makes Prometheus drop all of it. */
static void assert_well_formed(const char *text)
{
    for (const char *line = text; *line; line += strcspn(line, "\n") + 1) {
        size_t n = strcspn(line, "\n");

        while (n > 0 && line[0] != '#' && line[n - 1] != ' ')
            n--; /* without the value */
        if (count_of(text, line, n) != 1)
            fail_msg("twice: %.*s", (int)n, line);
    }
}

static void test_money__limits__are_in_the_metrics_in_dollars(void **state)
{
    static const char *const lines[] = {
        "\nmetergate_money_spent_usd{budget=\"gpt-4o\",upstream=\"openai\",limit=\"usd_per_day\"} 0.00102\n",
        "\nmetergate_money_reserved_usd{budget=\"gpt-4o\",upstream=\"openai\",limit=\"usd_per_day\"} 0.0040325\n",
        "\nmetergate_money_max_usd{budget=\"gpt-4o\",upstream=\"openai\",limit=\"usd_per_day\"} 5.5\n",
        "\nmetergate_money_spent_usd{client=\"nightly\",limit=\"usd_per_month\"} 0.00102\n",
        "\nmetergate_money_reserved_usd{client=\"nightly\",limit=\"usd_per_month\"} 0\n",
    };
    struct client_async *a;
    struct client_reply r;
    struct fixture f;

    (void)state;
    fixture_start(&f, NULL,
                  LEDGER_STATE LEDGER_UPSTREAMS "models:\n  gpt-4o: {usd_per_day: 5.5}\nclients:\n  nightly: {usd_per_month: 3}\n");
    goes(&f, "/@nightly", HELLO("gpt-4o", "100"));
    a = fixture_chat_start(&f, "{\"model\":\"gpt-4o\",\"max_tokens\":400,\"messages\":[{\"role\":\"user\",\"content\":"
                               "\"hello[[fault=hold]]\"}]}");
    fixture_sim_wait(&f, "held=1");
    r = fixture_call(&f, "GET", "/metrics", NULL);
    for (size_t i = 0; i < MG_ARRAY_LEN(lines); i++) {
        if (!strstr(r.body.p, lines[i]))
            fail_msg("no %s in %s", lines[i], strstr(r.body.p, "# HELP metergate_money"));
    }
    assert_well_formed(r.body.p);
    client_reply_release(&r);
    fixture_sim_post(&f, "/_sim/release", NULL);
    r = client_finish(a);
    client_reply_release(&r);
    fixture_stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_money__of_a_model_is_spent__refuses_and_names_the_limit),
        cmocka_unit_test(test_money__of_a_client_is_spent__refuses_him_alone),
        cmocka_unit_test(test_money__for_a_model_without_a_price__refuses_and_names_prices),
        cmocka_unit_test(test_money__prices_of_the_configuration__are_what_is_billed),
        cmocka_unit_test(test_money__of_many_calls_at_once__is_never_more_than_the_limit),
        cmocka_unit_test(test_money__limits__are_in_the_metrics_in_dollars),
        cmocka_unit_test(test_money__that_an_answer_did_not_need__is_there_again),
        cmocka_unit_test(test_money__of_calls_that_came_before_their_limit__is_counted),
        cmocka_unit_test(test_money__of_speech__is_unpriced_though_its_tokens_have_a_price),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
