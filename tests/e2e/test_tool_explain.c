/* What `metergate explain` tells of calls that went an odd way, from documents that a server gives. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "metergate/base/err.h"
#include "tool_fixture.h"

/* "explain" of a call with these members besides its id. */
static struct outcome explain(const char *members)
{
    char doc[2048];
    const struct fake_answer one[] = {{"/-/calls/mg-0000001-1", 200, doc}, {0}};
    struct fake_server *s;
    struct outcome o;

    snprintf(doc, sizeof doc, "{\"id\":\"mg-0000001-1\",%s}", members);
    s = fake_server_start(one);
    o = TOOL("explain", "--url", fake_server_url(s), "mg-0000001-1");
    fake_server_stop(s);
    assert_string_equal(o.err, "");
    assert_int_equal(o.status, 0);
    return o;
}

static void assert_lines_fit(const char *text)
{
    for (const char *line = text; *line; line += strcspn(line, "\n") + 1) {
        if (strcspn(line, "\n") > 80)
            fail_msg("longer than 80 places: %.*s", (int)strcspn(line, "\n"), line);
    }
}

static void test_explain__refused_for_a_limit__names_it_and_whose_it_is(void **state)
{
    static const struct {
        const char *reason, *hold, *says;
    } rows[] = {
        {"budget-usd", "{\"limit\":\"usd_per_day\",\"of\":\"client\",\"name\":\"nightly\",\"from_ms\":0,\"to_ms\":0}",
         " 0 ms  refused: no room in the dollars per day (usd_per_day) of client nightly\n"},
        {"budget-usd", "{\"limit\":\"price\",\"of\":\"budget\",\"name\":\"llama\",\"from_ms\":0,\"to_ms\":0}",
         " 0 ms  refused: no price of its model was known, and one is needed for a money limit of budget llama\n"},
        {"max-wait",
         "{\"limit\":\"rpm\",\"of\":\"budget\",\"name\":\"a\",\"from_ms\":0,\"to_ms\":0},"
         "{\"limit\":\"tpm\",\"of\":\"budget\",\"name\":\"a\",\"from_ms\":7,\"to_ms\":7}",
         " 0 ms  waited 0 ms: no room in the requests per minute (rpm) of budget a\n"
         " 7 ms  refused: no room in the tokens per minute (tpm) of budget a\n"},
    };

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++) {
        char doc[1024];
        struct outcome o;

        snprintf(doc, sizeof doc,
                 "\"state\":\"ended\",\"outcome\":\"refused\",\"status\":429,\"reason\":\"%s\",\"usage_source\":\"none\","
                 "\"estimated_input_tokens\":8,\"cost_nano_usd\":0,\"price\":null,\"attempts\":0,\"holds\":[%s]",
                 rows[i].reason, rows[i].hold);
        o = explain(doc);
        text_has(o.out, rows[i].says);
        text_has(o.out, "\n\nwhy      ");
        assert_lines_fit(strstr(o.out, "why "));
        assert_null(strstr(o.out, "\ncost"));
        outcome_release(&o);
    }
}

/* A wait that is too short for its figures is no refusal. */
static void test_explain__completed_after_no_time__was_not_refused(void **state)
{
    struct outcome o = explain("\"state\":\"ended\",\"outcome\":\"completed\",\"attempts\":1,\"holds\":[{\"limit\":\"tpm\","
                               "\"of\":\"budget\",\"name\":\"a\",\"from_ms\":3,\"to_ms\":3}]");

    (void)state;
    text_has(o.out, "waited 0 ms: no room in the tokens per minute (tpm) of budget a\n");
    assert_null(strstr(o.out, "refused"));
    outcome_release(&o);
}

static void test_explain__held_by_a_pause__goes_after_resume(void **state)
{
    struct outcome o = explain("\"state\":\"held\",\"predicted_start_ms\":null,\"holds\":[{\"limit\":\"tpm\",\"of\":\"budget\","
                               "\"name\":\"a\",\"from_ms\":0,\"to_ms\":5},{\"limit\":\"stop\",\"of\":\"\",\"name\":\"\","
                               "\"from_ms\":5,\"to_ms\":9}]");

    (void)state;
    text_has(o.out, "\nnext     it goes after `metergate resume`\n");
    assert_null(strstr(o.out, "in flight"));
    outcome_release(&o);
}

static void test_explain__price_without_a_figure__says_so_and_shows_what_there_is(void **state)
{
    struct outcome o =
        explain("\"state\":\"ended\",\"outcome\":\"completed\",\"model\":\"gpt-3.5-turbo\",\"attempts\":1,\"usage_source\":"
                "\"provider\",\"input_tokens\":20,\"cached_tokens\":2,\"output_tokens\":3,\"cost_nano_usd\":null,\"price\":{"
                "\"name\":\"gpt-3.5-turbo\",\"since\":\"2024-01-25\",\"usd_per_million\":{\"input\":0.5,\"cached\":null,"
                "\"cache_write\":0.5,\"cache_write_1h\":0.5,\"output\":1.5}}");

    (void)state;
    text_has(o.out, "cost     unpriced: the price of gpt-3.5-turbo lacks a figure that it needs;\n"
                    "         `prices:` in the configuration adds what is missing\n"
                    "         USD per million tokens: input 0.5, cache write 0.5, cache write of an\n"
                    "         hour 0.5, output 1.5\n");
    assert_null(strstr(o.out, "was known"));
    assert_lines_fit(o.out);
    outcome_release(&o);
}

static void test_explain__passed_through__has_neither_tokens_nor_cost(void **state)
{
    struct outcome o = explain("\"state\":\"ended\",\"outcome\":\"completed\",\"status\":200,\"model\":\"\",\"upstream\":\"openai\","
                               "\"endpoint\":\"passed\",\"usage_source\":\"none\",\"estimated_input_tokens\":0,"
                               "\"estimated_output_tokens\":0,\"cost_nano_usd\":0,\"attempts\":1,\"first_byte_ms\":3");

    (void)state;
    text_has(o.out, "for      no model, passed through uncounted, at openai\n");
    assert_null(strstr(o.out, "tokens"));
    assert_null(strstr(o.out, "cost"));
    outcome_release(&o);
}

static void test_explain__error_of_the_provider__used_nothing(void **state)
{
    struct outcome o = explain("\"state\":\"ended\",\"outcome\":\"completed\",\"status\":500,\"reason\":\"server_error\","
                               "\"usage_source\":\"none\",\"estimated_input_tokens\":14,\"estimated_output_tokens\":512,"
                               "\"cost_nano_usd\":0,\"price\":null,\"attempts\":1");

    (void)state;
    text_has(o.out, "tokens   14 in and 512 out were expected, none were used\n");
    assert_null(strstr(o.out, "cost"));
    outcome_release(&o);
}

static void test_explain__lease__was_granted_not_sent(void **state)
{
    struct outcome o = explain("\"state\":\"leased\",\"endpoint\":\"reserve\",\"attempts\":1,\"queued_ms\":40,"
                               "\"estimated_input_tokens\":1200");

    (void)state;
    text_has(o.out, "now      a program has it as a lease and has not settled it\n");
    text_has(o.out, "40 ms  granted, as a lease\n");
    text_has(o.out, "1,200 in and 0 out are expected\n");
    assert_null(strstr(o.out, "sent"));
    outcome_release(&o);
}

/* Where the id of a call that is held comes from. */
static void test_calls__now__are_those_that_are_not_over(void **state)
{
    static const struct fake_answer answers[] = {
        {"/-/calls/now?client=nightly", 200,
         "{\"calls\":[{\"id\":\"mg-0000001-9\",\"client\":\"nightly\",\"model\":\"\",\"estimated_input_tokens\":1187,"
         "\"estimated_output_tokens\":300,\"queued_ms\":3400,\"total_ms\":3410,\"state\":\"held\",\"cost_nano_usd\":0}]}"},
        {0}};
    struct fake_server *s = fake_server_start(answers);
    struct outcome o = TOOL("calls", "--now", "--client", "nightly", "--url", fake_server_url(s));
    struct outcome csv = TOOL("calls", "--now", "--csv", "--url", fake_server_url(s));

    (void)state;
    assert_int_equal(o.status, 0);
    assert_string_equal(o.out, "ID            CLIENT   MODEL  INPUT  OUTPUT  WAITED  SO FAR  NOW\n"
                               "mg-0000001-9  nightly  -      1,187     300   3.4 s   3.4 s  held\n");
    assert_int_equal(csv.status, 64);
    outcome_release(&o);
    outcome_release(&csv);
    fake_server_stop(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_explain__refused_for_a_limit__names_it_and_whose_it_is, tool_environment),
        cmocka_unit_test_setup(test_explain__completed_after_no_time__was_not_refused, tool_environment),
        cmocka_unit_test_setup(test_explain__held_by_a_pause__goes_after_resume, tool_environment),
        cmocka_unit_test_setup(test_explain__price_without_a_figure__says_so_and_shows_what_there_is, tool_environment),
        cmocka_unit_test_setup(test_explain__passed_through__has_neither_tokens_nor_cost, tool_environment),
        cmocka_unit_test_setup(test_explain__error_of_the_provider__used_nothing, tool_environment),
        cmocka_unit_test_setup(test_calls__now__are_those_that_are_not_over, tool_environment),
        cmocka_unit_test_setup(test_explain__lease__was_granted_not_sent, tool_environment),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
