/*
 * The commands of `metergate` that show the ledger, against a server that gives recorded documents: what is
 * shown of each, in every form; what is made of documents that are old, odd or hostile; and what is said when
 * there is none.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "metergate/base/buf.h"
#include "recorded.h"
#include "tool_fixture.h"

static const struct fake_answer answers[] = {
    {"/-/usage", 200, recorded_usage},
    {"/-/usage?by=client&since=7d&until=2026-11-01T00%3A00%3A00Z", 200, "{\"by\":\"client\",\"rows\":[]}"},
    {"/-/calls", 200, recorded_calls},
    {"/-/calls?limit=5&client=a%26limit%3D9%20%C3%A4&model=gpt-4o", 200, "{\"calls\":[]}"},
    {"/-/calls/mg-00c0ffe-7", 200, recorded_story},
    {"/-/calls/mg-00c0ffe-6", 200, recorded_refused},
    {"/-/calls/mg-00c0ffe-9", 200, recorded_held},
    {"/-/calls/..%2F..%2Fstatus%3Fa", 400, "That is no id of a call.\n"},
    {"/-/calls/..", 400, "That is no id of a call.\n"},
    {"/-/compare?model=gpt-4o&model=gpt-3.5-turbo&since=30d", 200, recorded_compare},
    {"/-/compare?model=a&model=b%2Fc&since=90d", 200, "{\"models\":[]}"},
    {"/-/prices", 200, recorded_prices},
    {"/-/prices?model=ft%3Agpt-4o", 200, "{\"day\":\"2026-11-28\",\"prices\":[]}"},
    {0},
};

/* What one question of a server with these answers brings; arguments as for TOOL. */
static struct outcome with(const struct fake_answer *from, const char *const *words)
{
    struct fake_server *s = fake_server_start(from);
    const char *argv[16] = {tool_path(), "--url", fake_server_url(s)};
    struct outcome o;
    size_t n = 3;

    while (*words) {
        assert_true(n < 15);
        argv[n++] = *words++;
    }
    o = tool_run_program(argv, NULL);
    fake_server_stop(s);
    return o;
}

#define ASK(from, ...) with(from, (const char *const[]){__VA_ARGS__, NULL})

static void assert_done(const struct outcome *o)
{
    assert_string_equal(o->err, "");
    assert_int_equal(o->status, 0);
}

static void assert_has(const char *text, const char *const *parts, size_t n)
{
    for (size_t i = 0; i < n; i++)
        text_has(text, parts[i]);
}

/* ---- usage ---- */

static void test_usage__text__is_a_table_with_a_total_and_says_what_is_unpriced(void **state)
{
    struct outcome o = ASK(answers, "usage");

    (void)state;
    assert_done(&o);
    assert_string_equal(
        o.out,
        "2026-11-27 14:03:12 to 2026-11-28 14:03:12 UTC\n"
        "\n"
        "MODEL         CALLS      INPUT  CACHED  CACHE WRITE  OUTPUT  REASONING           COST  UNPRICED\n"
        "gpt-4o        1,200  1,234,567   1,024            5  98,765         77      $0.004210         0\n"
        "=SUM(A1),\"x\"      3        900       0            0     300          0  $1,234.000000         1\n"
        "(none)            9         70       0            0       8          0       unpriced         7\n"
        "total         1,212  1,235,537   1,024            5  99,073         77  $1,234.004210         8\n"
        "\n"
        "unpriced: 8 calls: what they cost is not known and in no sum. `metergate prices` shows the\n"
        "prices in force, `prices:` in the configuration adds one.\n");
    outcome_release(&o);
}

static void test_usage__csv__has_every_figure_in_full_and_no_formula(void **state)
{
    struct outcome o = ASK(answers, "usage", "--csv");

    (void)state;
    assert_done(&o);
    assert_string_equal(
        o.out, "key,calls,input_tokens,cached_tokens,cache_write_tokens,output_tokens,reasoning_tokens,"
               "cost_nano_usd,unpriced_calls,cost_usd\r\n"
               "gpt-4o,1200,1234567,1024,5,98765,77,4210000,0,0.004210000\r\n"
               "\"'=SUM(A1),\"\"x\"\"\",3,900,0,0,300,0,1234000000000,1,1234.000000000\r\n"
               ",9,70,0,0,8,0,,7,\r\n");
    outcome_release(&o);
}

static void test_usage__options__become_parameters_of_the_question(void **state)
{
    struct outcome o =
        ASK(answers, "usage", "--by", "client", "--since=7d", "--until", "2026-11-01T00:00:00Z");

    (void)state;
    assert_done(&o);
    assert_string_equal(o.out, "no calls\n");
    outcome_release(&o);
}

static void test_usage__all_priced__needs_no_column_for_others(void **state)
{
    static const struct fake_answer priced[] = {
        {"/-/usage", 200,
         "{\"by\":\"day\",\"rows\":[{\"key\":\"2026-11-28\",\"calls\":1,\"cost_nano_usd\":1}]}"},
        {0}};
    struct outcome o = ASK(priced, "usage");

    (void)state;
    assert_done(&o);
    assert_null(strcasestr(o.out, "unpriced"));
    text_has(o.out, "DAY         CALLS  INPUT");
    text_has(o.out, "$0.000000001\n");
    outcome_release(&o);
}

/* Beyond what a double keeps, beyond 64 bits, below 0, and no number at all. */
static void test_usage__huge_and_odd_numbers__are_exact_or_the_nearest(void **state)
{
    static const struct fake_answer huge[] = {{"/-/usage", 200,
                                               "{\"by\":\"model\",\"rows\":[{\"key\":\"a\",\"calls\":"
                                               "9007199254740993,\"input_tokens\":9223372036854775807,"
                                               "\"cached_tokens\":-5,\"output_tokens\":1e30,\"reasoning_"
                                               "tokens\":\"12\",\"cost_nano_usd\":9007199254740993,"
                                               "\"unpriced_calls\":0},{\"key\":\"b\",\"calls\":1.5,\"input_"
                                               "tokens\":1,\"cached_tokens\":-9223372036854775808,"
                                               "\"output_tokens\":-1e30,\"cost_nano_usd\":-1}]}"},
                                              {0}};
    static const char *const parts[] = {"9,007,199,254,740,993  9,223,372,036,854,775,807 ",
                                        " 9,223,372,036,854,775,807 ",
                                        "$9,007,199.254740993\n",
                                        "-9,223,372,036,854,775,808",
                                        "-$0.000000001\n",
                                        "$9,007,199.254740992\n"};
    struct outcome text = ASK(huge, "usage"), csv = ASK(huge, "usage", "--csv");

    (void)state;
    assert_done(&text);
    assert_done(&csv);
    assert_has(text.out, parts, MG_ARRAY_LEN(parts));
    text_has(csv.out, "\r\na,9007199254740993,9223372036854775807,-5,,9223372036854775807,12,"
                      "9007199254740993,0,9007199.254740993\r\n");
    outcome_release(&text);
    outcome_release(&csv);
}

/* ---- calls ---- */

static void test_calls__text__is_one_line_each(void **state)
{
    struct outcome o = ASK(answers, "calls");

    (void)state;
    assert_done(&o);
    assert_string_equal(o.out, "ENDED (UTC)          ID            CLIENT   MODEL              INPUT  OUTPUT "
                               "         COST  WAITED    TOOK  OUTCOME\n"
                               "2026-11-28 14:03:12  mg-00c0ffe-7  nightly  gpt-4o-2024-08-06  1,187     211 "
                               " $0.003797500   5.2 s   8.2 s  completed\n"
                               "2026-11-28 14:03:10  mg-00c0ffe-6  editor   gpt-4o                 0       0 "
                               " $0.000000000   8.2 s   8.2 s  "
                               "refused 429 max-wait\n"
                               "2026-11-28 14:03:09  mg-00c0ffe-5  @cmd     llama                 12       0 "
                               "     unpriced    0 ms  340 ms  completed\n");
    outcome_release(&o);
}

static void test_calls__csv__leaves_empty_what_is_not_known(void **state)
{
    struct outcome o = ASK(answers, "calls", "--csv");

    (void)state;
    assert_done(&o);
    assert_int_equal(text_lines(o.out), 4);
    text_has(o.out, "id,time,client,budget,model,upstream,endpoint,outcome,status,reason,attempts,estimated_"
                    "input_tokens,");
    text_has(o.out, ",cost_nano_usd,cost_usd,price,price_since\r\n");
    text_has(o.out,
             "\r\nmg-00c0ffe-7,2026-11-28T14:03:12.345Z,nightly,gpt-4o,gpt-4o-2024-08-06,openai,chat,"
             "completed,200,,1,1200,"
             "300,1187,1024,0,0,211,0,provider,5230,6100,8200,3797500,0.003797500,gpt-4o,2024-10-01\r\n");
    text_has(o.out, "\r\nmg-00c0ffe-5,2026-11-28T14:03:09.000Z,'@cmd,llama,llama,local,chat,completed,200,,1,"
                    ",,12,,,,0,,,0,12,"
                    "340,,,,\r\n");
    outcome_release(&o);
}

static void test_calls__names_of_any_characters__stay_one_parameter(void **state)
{
    struct outcome o = ASK(answers, "calls", "-n", "5", "-c", "a&limit=9 \xc3\xa4", "-m", "gpt-4o");

    (void)state;
    assert_done(&o);
    assert_string_equal(o.out, "no calls\n");
    outcome_release(&o);
}

/* More than a status answer may have, and more than a tree of it could. */
static void test_calls__ten_thousand_with_long_names__are_shown(void **state)
{
    struct fake_answer many[] = {{"/-/calls", 200, NULL}, {0}};
    struct buf doc;
    struct outcome o;

    (void)state;
    buf_init(&doc, BUF_UNLIMITED);
    buf_add_str(&doc, "{\"calls\":[");
    for (int i = 0; i < 10000; i++)
        buf_addf(&doc, "%s{\"id\":\"mg-00c0ffe-%d\",\"model\":\"%0900d\",\"input_tokens\":%d}", i ? "," : "",
                 i + 1, 7, i);
    buf_add_str(&doc, "]}");
    many[0].body = doc.p;
    o = ASK(many, "calls", "--limit", "10000");
    outcome_release(&o); /* asked for with a parameter that this server does not know */
    o = ASK(many, "calls");
    assert_done(&o);
    assert_int_equal(text_lines(o.out), 10001);
    text_has(o.out, " 00000000000000000000000000000...  9,999 ");
    outcome_release(&o);
    buf_release(&doc);
}

/* ---- explain ---- */

static void test_explain__ended_call__is_a_story(void **state)
{
    struct outcome o = ASK(answers, "explain", "mg-00c0ffe-7");

    (void)state;
    assert_done(&o);
    assert_string_equal(o.out, "call     mg-00c0ffe-7 of nightly\n"
                               "for      gpt-4o-2024-08-06, chat, at openai, from budget gpt-4o\n"
                               "outcome  completed, status 200\n"
                               "ended    2026-11-28 14:03:12 UTC\n"
                               "\n"
                               "AFTER  WHAT HAPPENED\n"
                               " 0 ms  arrived\n"
                               " 0 ms  waited 1.2 s: others were before it in the queue of budget gpt-4o\n"
                               "1.2 s  waited 4 s: no room in the tokens per minute (tpm) of budget gpt-4o\n"
                               "5.3 s  waited 600 ms: a pause after a refusal or a failed connection of account\n"
                               "5.9 s  sent, attempt 2\n"
                               "6.1 s  first byte of the answer\n"
                               "8.2 s  ended\n"
                               "\n"
                               "tokens   1,187 in (1,200 expected), 1,024 of them from the cache\n"
                               "         211 out (300 expected), 20 of them reasoning\n"
                               "         as the provider reported\n"
                               "cost     $0.003797500, by the price of gpt-4o since 2024-10-01\n"
                               "         USD per million tokens: input 2.5, cached 1.25, output 10\n");
    outcome_release(&o);
}

static void test_explain__refused_call__says_why_and_what_to_change(void **state)
{
    static const char *const parts[] = {
        "outcome  refused, status 429, max-wait\n",
        " 0 ms  waited 8.2 s: no room in the tokens per minute (tpm) of client editor\n",
        "8.2 s  ended\n",
        "tokens   1,200 in and 300 out were expected\n",
        "\nwhy      It would have had to wait longer than it may: raise `max_wait`",
    };
    struct outcome o = ASK(answers, "explain", "mg-00c0ffe-6");

    (void)state;
    assert_done(&o);
    assert_has(o.out, parts, MG_ARRAY_LEN(parts));
    assert_null(strstr(o.out, "sent"));
    assert_null(strstr(o.out, "cost"));
    outcome_release(&o);
}

static void test_explain__every_reason_of_a_refusal__has_its_advice(void **state)
{
    static const char *const rows[][2] = {
        {"too-large", "more than a limit's maximum"},
        {"budget-usd", "`prices:`"},
        {"queue-full", "`queue.max_requests`"},
        {"draining", "send the call again.\n"},
        {"token", "Metergate-Token"},
        {"upstream-connect", "`base_url`"},
        {"upstream-timeout", "`timeout.first_byte`"},
        {"user", "`clients.users`"},
        {"no-route", "base URL"},
    };

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++) {
        char doc[256];
        const struct fake_answer one[] = {{"/-/calls/mg-0000001-1", 200, doc}, {0}};
        struct outcome o;

        snprintf(doc, sizeof doc, "{\"id\":\"mg-0000001-1\",\"state\":\"ended\",\"reason\":\"%s\"}",
                 rows[i][0]);
        o = ASK(one, "explain", "mg-0000001-1");
        assert_done(&o);
        text_has(o.out, "\nwhy      ");
        text_has(o.out, rows[i][1]);
        outcome_release(&o);
    }
}

static void test_explain__held_call__tells_what_it_waits_for_and_when_it_goes(void **state)
{
    static const char *const parts[] = {
        "now      it is held\n",
        " 0 ms  waited 40 ms: no room in the requests per minute (rpm) of upstream openai\n",
        "40 ms  waited until now: no room in weekly\n",
        "next     it goes in 3.2 s, as things are now\n",
        "1,200 in and 300 out are expected\n",
    };
    struct outcome o = ASK(answers, "explain", "mg-00c0ffe-9");

    (void)state;
    assert_done(&o);
    assert_has(o.out, parts, MG_ARRAY_LEN(parts));
    assert_null(strstr(o.out, "ended"));
    assert_null(strstr(o.out, "cost"));
    outcome_release(&o);
}

static void test_explain__call_without_a_price__is_unpriced_and_not_free(void **state)
{
    static const struct fake_answer one[] = {{"/-/calls/mg-0000001-1", 200,
                                              "{\"id\":\"mg-0000001-1\",\"state\":\"ended\",\"model\":"
                                              "\"llama\",\"attempts\":1,\"usage_source\":\"counted\","
                                              "\"input_tokens\":3,\"cost_nano_usd\":null,\"price\":null}"},
                                             {0}};
    struct outcome o = ASK(one, "explain", "mg-0000001-1");

    (void)state;
    assert_done(&o);
    text_has(o.out,
             "cost     unpriced: no price of llama was known; `prices:` in the configuration adds one\n");
    text_has(o.out, "counted from the answer's text");
    assert_null(strchr(o.out, '$'));
    outcome_release(&o);
}

/* A call of something that is only passed through has neither model nor budget. */
static void test_explain__call_without_a_model__is_told_without_gaps(void **state)
{
    static const struct fake_answer one[] = {{"/-/calls/mg-0000001-1", 200,
                                              "{\"id\":\"mg-0000001-1\",\"state\":\"ended\",\"client\":\"\","
                                              "\"model\":\"\",\"budget\":\"\",\"upstream\":\"openai\","
                                              "\"endpoint\":\"passed\",\"outcome\":\"completed\",\"status\":"
                                              "404,\"attempts\":1,\"usage_source\":\"counted\"}"},
                                             {0}};
    struct outcome o = ASK(one, "explain", "mg-0000001-1");

    (void)state;
    assert_done(&o);
    text_has(o.out, "call     mg-0000001-1\nfor      no model, passed through uncounted, at openai\noutcome  "
                    "completed, status 404\n");
    text_has(o.out, "cost     unpriced: no price was known;");
    outcome_release(&o);
}

static void test_explain__id_with_a_path_in_it__stays_one_part_of_the_path(void **state)
{
    static const char *const ids[] = {"../../status?a", ".."};

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(ids); i++) {
        struct outcome o = ASK(answers, "explain", ids[i]);

        assert_int_equal(o.status, 64);
        assert_string_equal(o.err, "metergate: That is no id of a call.\n");
        outcome_release(&o);
    }
}

/* ---- compare ---- */

static void test_compare__text__has_a_column_a_model_and_ratios_in_words(void **state)
{
    static const char *const parts[] = {
        "2026-10-29 14:03:12 to 2026-11-28 14:03:12 UTC\n",
        " gpt-4o  gpt-3.5-turbo ",
        "\ninput tokens a call              1,200.1 ",
        "\noutput tokens a call               300.0 ",
        "\ncost a call                 $0.006000000   ",
        "   $0.000447600 ",
        "\ncost                        $0.120000000   ",
        "   $0.002238000  unpriced ",
        "\nwaited, mean                       1.2 s          1.2 s     1.2 s         1.2 s\n",
        "  half of them within             800 ms         800 ms    800 ms        800 ms\n",
        "  95 % of them within              5.2 s          5.2 s     5.2 s         5.2 s\n",
        "\nuntil the first byte, mean           1 s            1 s         -           1 s\n",
        "  half of them within             340 ms         340 ms         -        340 ms\n",
        "  95 % of them within               61 s           61 s         -          61 s\n",
        "\nuntil the end, mean                1.2 s          1.2 s     1.2 s           3 s\n",
        "  half of them within             800 ms         800 ms    800 ms           3 s\n",
        "  95 % of them within             3m 10s         3m 10s    3m 10s         100 s\n",
        "\n\ngpt-3.5-turbo costs 1/13.4 of gpt-4o a call\n",
        "\nllama and gpt-4o: no ratio, the cost of llama a call is not known\n",
        "\ngpt-6 costs 10.0 times gpt-4o a call\n",
        "\nfew calls: 5 of gpt-3.5-turbo were completed, its figures may be chance\n",
        "\nunpriced: 21 calls of llama: what they cost ",
        "\nunpriced: 1 call of gpt-6: what it cost ",
    };
    struct outcome o = ASK(answers, "compare", "gpt-4o", "gpt-3.5-turbo");

    (void)state;
    assert_done(&o);
    assert_has(o.out, parts, MG_ARRAY_LEN(parts));
    assert_null(strstr(o.out, "few calls: 20"));
    outcome_release(&o);
}

static void test_compare__ratios__are_right_at_the_edges(void **state)
{
    static const struct {
        const char *first, *other, *says;
    } rows[] = {
        {"100", "100", "b costs the same as a a call\n"},
        {"100", "0", "b costs nothing, a does\n"},
        {"0", "100", "a costs nothing, b does\n"},
        {"0", "0", "b costs the same as a a call\n"},
        {"134", "10", "b costs 1/13.4 of a a call\n"},
        {"3", "2", "b costs 1/1.5 of a a call\n"},
        {"2", "3", "b costs 1.5 times a a call\n"},
        {"0.4", "0.3", "b costs 1/1.3 of a a call\n"},
        {"1", "9000000000000000", "b costs 9,000,000,000,000,000.0 times a a call\n"},
        {"9000000000000000", "3000000000000000", "b costs 1/3.0 of a a call\n"},
        {"null", "5", "the cost of a a call is not known\n"},
        {"5", "1e3", "the cost of b a call is not known\n"},
        {"5", "\"5\"", "the cost of b a call is not known\n"},
    };

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++) {
        char doc[256];
        const struct fake_answer one[] = {{"/-/compare?model=a&model=b&since=30d", 200, doc}, {0}};
        struct outcome o;

        snprintf(doc, sizeof doc,
                 "{\"models\":[{\"model\":\"a\",\"cost_nano_usd_per_call\":%s},{\"model\":\"b\",\"cost_nano_"
                 "usd_per_call\":%s}]}",
                 rows[i].first, rows[i].other);
        o = ASK(one, "compare", "a", "b");
        assert_done(&o);
        text_has(o.out, rows[i].says);
        outcome_release(&o);
    }
}

static void test_compare__nothing_to_compare__is_said(void **state)
{
    struct outcome o = ASK(answers, "compare", "--since", "90d", "a", "b/c");

    (void)state;
    assert_done(&o);
    assert_string_equal(o.out, "no calls\n");
    outcome_release(&o);
}

/* ---- prices ---- */

static void test_prices__text__says_where_each_price_is_from(void **state)
{
    struct outcome o = ASK(answers, "prices");

    (void)state;
    assert_done(&o);
    assert_string_equal(
        o.out,
        "USD per million tokens, 2026-11-28\n"
        "\n"
        "   MODEL                 SINCE       INPUT  CACHED  CACHE WRITE  1 HOUR  OUTPUT  FROM\n"
        "   gpt-4o                2024-10-01   2.50    1.25            -       -   10.00  OpenAI, pricing\n"
        "*  gemini-2.5-pro        -            1.25   0.125         1.25    1.25   10.00  configuration\n"
        "     input over 200,000               2.50    0.25         2.50    2.50   15.00  \n"
        "\n"
        "* from `prices:` of the configuration, which go before what is built in\n"
        "- not known: a call that needs it is unpriced\n");
    outcome_release(&o);
}

/* What a glob leaves out is no unknown price: it depends on the name that is called. */
static void test_prices__glob_of_the_configuration__does_not_say_that_calls_are_unpriced(void **state)
{
    static const struct fake_answer one[] = {
        {"/-/prices", 200,
         "{\"prices\":[{\"match\":\"my*\",\"since\":null,\"source\":\"configuration\",\"configured\":true,"
         "\"usd_per_million\":{\"input\":1,\"cached\":null,\"cache_write\":null,\"cache_write_1h\":null,\"output\":2}}]}"},
        {0}};
    struct outcome o = ASK(one, "prices");

    (void)state;
    assert_done(&o);
    text_has(o.out, "*  my*    -       1.00      ..           ..      ..    2.00  configuration\n");
    text_has(o.out, "\n.. as built in for the model that is called");
    assert_null(strstr(o.out, "unpriced"));
    outcome_release(&o);
}

static void test_prices__model_without_one__is_1_and_says_what_to_do(void **state)
{
    struct outcome o = ASK(answers, "prices", "ft:gpt-4o"),
                   json = ASK(answers, "prices", "ft:gpt-4o", "--json");

    (void)state;
    assert_int_equal(o.status, 1);
    assert_string_equal(o.out, "");
    assert_string_equal(
        o.err,
        "metergate: no price of ft:gpt-4o is known: its calls are unpriced; `prices:` in the configuration "
        "adds one\n");
    assert_done(&json);
    assert_string_equal(json.out, "{\"day\":\"2026-11-28\",\"prices\":[]}\n");
    outcome_release(&o);
    outcome_release(&json);
}

/* ---- all of them ---- */

static const struct {
    const char *path, *json;
    const char *words[4];
    const char *csv; /* "--csv", where there is such a form */
} commands[] = {
    {"/-/usage", recorded_usage, {"usage"}, "--csv"},
    {"/-/calls", recorded_calls, {"calls"}, "--csv"},
    {"/-/calls/mg-00c0ffe-7", recorded_story, {"explain", "mg-00c0ffe-7"}, NULL},
    {"/-/calls/mg-00c0ffe-9", recorded_held, {"explain", "mg-00c0ffe-9"}, NULL},
    {"/-/compare?model=gpt-4o&model=gpt-3.5-turbo&since=30d",
     recorded_compare,
     {"compare", "gpt-4o", "gpt-3.5-turbo"},
     NULL},
    {"/-/prices", recorded_prices, {"prices"}, NULL},
};

/* One command against one answer; `form` is an option or NULL. */
static struct outcome command(size_t i, const char *form, int status, const char *body)
{
    const struct fake_answer one[] = {{commands[i].path, status, body}, {0}};
    const char *words[6] = {NULL};
    size_t n = 0;

    while (n < 4 && commands[i].words[n]) {
        words[n] = commands[i].words[n];
        n++;
    }
    words[n] = form;
    return with(one, words);
}

static void test_reports__json__is_the_daemons_own(void **state)
{
    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(commands); i++) {
        struct outcome o = command(i, "--json", 200, commands[i].json);

        assert_done(&o);
        assert_int_equal(o.out_n, strlen(commands[i].json) + 1);
        assert_memory_equal(o.out, commands[i].json, o.out_n - 1);
        outcome_release(&o);
    }
}

/* What an older daemon leaves out, and what is of another type than it was. */
static void test_reports__documents_with_little_in_them__are_shown_as_far_as_they_go(void **state)
{
    static const char *const docs[] = {
        "{}",
        "{\"rows\":[],\"calls\":[],\"models\":[],\"prices\":[],\"holds\":[]}",
        "{\"rows\":[{}],\"calls\":[{}],\"models\":[{}],\"prices\":[{}],\"holds\":[{}]}",
        "{\"rows\":[1,null,\"x\",[]],\"calls\":[1,null,\"x\",[]],\"models\":[1,null,\"x\",[]],\"prices\":[1,"
        "null,\"x\",[]],"
        "\"holds\":[1,null,\"x\",[]]}",
        "{\"rows\":{\"a\":1},\"calls\":7,\"models\":\"x\",\"prices\":null,\"holds\":true,\"by\":[],\"since\":"
        "{},\"until\":1,"
        "\"state\":7,\"price\":[],\"day\":{}}",
    };

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(commands); i++) {
        for (size_t k = 0; k < MG_ARRAY_LEN(docs); k++) {
            struct outcome text = command(i, NULL, 200, docs[k]);

            assert_done(&text);
            assert_true(text.out_n > 0);
            outcome_release(&text);
            if (commands[i].csv) {
                struct outcome csv = command(i, commands[i].csv, 200, docs[k]);

                assert_done(&csv);
                assert_in_range(text_lines(csv.out), 1, 5);
                outcome_release(&csv);
            }
        }
    }
}

/* What would do things to a terminal, to a spreadsheet, and to printf. */
static const char evil[] =
    "=\\u001b[31m\\n\\r\\u009b2J\\u202e\\u0007\\u0000\xc2\x9b\x9b\\uff21\xe6\xb0\xb4%s%n";

/* The length of what stands before the next quote, those that are escaped left aside. */
static size_t inside(struct slice s)
{
    size_t n = 0;

    while (n < s.n && s.p[n] != '"')
        n += 1 + (s.p[n] == '\\');
    return n;
}

/* The document with that in the place of each of its texts. */
static char *make_hostile(const char *json)
{
    struct slice rest = slice_str(json);
    struct buf b;

    buf_init(&b, BUF_UNLIMITED);
    while (rest.n) {
        size_t at = slice_find(rest, '"'), end = at + 1 + inside(slice_skip(rest, at + 1));

        buf_add_slice(&b, slice_head(rest, at));
        if (at < rest.n) {
            bool name = end + 1 < rest.n && rest.p[end + 1] == ':';

            buf_add_char(&b, '"');
            buf_add_slice(&b, name ? slice_head(slice_skip(rest, at + 1), end - at - 1) : slice_str(evil));
            buf_add_char(&b, '"');
        }
        rest = slice_skip(rest, end + 1);
    }
    return buf_take(&b, NULL);
}

static void assert_harmless(const struct outcome *o, bool csv)
{
    assert_int_equal(strlen(o->out), o->out_n);
    for (size_t i = 0; i < o->out_n; i++) {
        unsigned char c = (unsigned char)o->out[i];

        assert_true(c >= ' ' || c == '\n' || (csv && c == '\r' && o->out[i + 1] == '\n'));
        assert_int_not_equal(c, 0x7f);
        assert_false(c == 0xc2 && (unsigned char)o->out[i + 1] < 0xa0);
    }
    assert_null(strstr(o->out, "\xe2\x80\xae"));
    assert_true(slice_utf8(slice_str(o->out)) > 0);
}

static void test_reports__hostile_texts__do_not_reach_the_terminal(void **state)
{
    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(commands); i++) {
        char *hostile = make_hostile(commands[i].json);
        struct outcome text = command(i, NULL, 200, hostile);

        assert_done(&text);
        assert_harmless(&text, false);
        text_has(text.out, "=?[31m");
        text_has(text.out, "\xe6\xb0\xb4");
        outcome_release(&text);
        if (commands[i].csv) {
            struct outcome csv = command(i, commands[i].csv, 200, hostile);

            assert_done(&csv);
            assert_harmless(&csv, true);
            text_has(csv.out, "\n'=?[31m");
            assert_null(strstr(csv.out, ",="));
            outcome_release(&csv);
        }
        free(hostile);
    }
}

static void test_reports__no_document__is_one_line_and_the_status_that_fits(void **state)
{
    static const struct {
        int http;
        const char *body;
        int status;
        const char *says;
    } rows[] = {
        {400, "`by` takes model, client, budget, upstream, endpoint, day or hour.\nMore.\n", 64,
         "metergate: `by` takes model, client, budget, upstream, endpoint, day or hour.\n"},
        {404, "Nothing is kept: `state_dir` is \"none\".\n", 1,
         "metergate: Nothing is kept: `state_dir` is \"none\".\n"},
        {404, "Metergate has no such address of its own; see /, /healthz.\n", 69,
         "is older than this command\n"},
        {404, "{\"error\":{\"message\":\"No such call.\"}}", 1, "metergate: No such call.\n"},
        {404, "<html>not here</html>", 69, "is answered 404: is that Metergate?\n"},
        {404, "", 69, "is that Metergate?\n"},
        {503, "32 reports are being made already; ask again.\n", 1,
         "metergate: 32 reports are being made already; ask again.\n"},
        {500, "\x1b[31mred\r\x9b", 1, "metergate: ?[31mred??\n"},
        {401, "", 77, "wants a client token"},
        {403, "", 77, "does not serve this user"},
        {200, "", 69, "is that Metergate?\n"},
        {200, "ok\n", 69, "is that Metergate?\n"},
        {200, "[]", 69, "is that Metergate?\n"},
        {200, "{\"rows\":[", 69, "is that Metergate?\n"},
        {200, "{} {}", 69, "is that Metergate?\n"},
        {302, "Moved.\n", 69, "is that Metergate?\n"},
    };

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(commands); i++) {
        for (size_t k = 0; k < MG_ARRAY_LEN(rows); k++) {
            struct outcome o = command(i, "--json", rows[k].http, rows[k].body);

            assert_string_equal(o.out, "");
            assert_int_equal(text_lines(o.err), 1);
            text_has(o.err, rows[k].says);
            assert_int_equal(o.status, rows[k].status);
            outcome_release(&o);
        }
    }
}

static void test_status__hostile_texts__do_not_reach_the_terminal(void **state)
{
    char *hostile =
        make_hostile("{\"version\":\"x\",\"uptime_s\":1e300,\"budgets\":[{\"name\":\"x\",\"key\":\"x\","
                     "\"limits\":[{\"metric\":"
                     "\"x\"}]}],\"clients\":[{\"name\":\"x\"}],\"upstreams\":[{\"name\":\"x\"}]}");
    const struct fake_answer one[] = {{"/-/status", 200, hostile}, {0}};
    struct outcome o = ASK(one, "status");

    (void)state;
    assert_done(&o);
    assert_harmless(&o, false);
    text_has(o.out, "Metergate =?[31m");
    text_has(o.out, "upstream =?[31m");
    outcome_release(&o);
    free(hostile);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_usage__text__is_a_table_with_a_total_and_says_what_is_unpriced,
                               tool_environment),
        cmocka_unit_test_setup(test_usage__csv__has_every_figure_in_full_and_no_formula, tool_environment),
        cmocka_unit_test_setup(test_usage__options__become_parameters_of_the_question, tool_environment),
        cmocka_unit_test_setup(test_usage__all_priced__needs_no_column_for_others, tool_environment),
        cmocka_unit_test_setup(test_usage__huge_and_odd_numbers__are_exact_or_the_nearest, tool_environment),
        cmocka_unit_test_setup(test_calls__text__is_one_line_each, tool_environment),
        cmocka_unit_test_setup(test_calls__csv__leaves_empty_what_is_not_known, tool_environment),
        cmocka_unit_test_setup(test_calls__names_of_any_characters__stay_one_parameter, tool_environment),
        cmocka_unit_test_setup(test_calls__ten_thousand_with_long_names__are_shown, tool_environment),
        cmocka_unit_test_setup(test_explain__ended_call__is_a_story, tool_environment),
        cmocka_unit_test_setup(test_explain__refused_call__says_why_and_what_to_change, tool_environment),
        cmocka_unit_test_setup(test_explain__every_reason_of_a_refusal__has_its_advice, tool_environment),
        cmocka_unit_test_setup(test_explain__held_call__tells_what_it_waits_for_and_when_it_goes,
                               tool_environment),
        cmocka_unit_test_setup(test_explain__call_without_a_price__is_unpriced_and_not_free,
                               tool_environment),
        cmocka_unit_test_setup(test_explain__call_without_a_model__is_told_without_gaps, tool_environment),
        cmocka_unit_test_setup(test_explain__id_with_a_path_in_it__stays_one_part_of_the_path,
                               tool_environment),
        cmocka_unit_test_setup(test_compare__text__has_a_column_a_model_and_ratios_in_words,
                               tool_environment),
        cmocka_unit_test_setup(test_compare__ratios__are_right_at_the_edges, tool_environment),
        cmocka_unit_test_setup(test_compare__nothing_to_compare__is_said, tool_environment),
        cmocka_unit_test_setup(test_prices__text__says_where_each_price_is_from, tool_environment),
        cmocka_unit_test_setup(test_prices__glob_of_the_configuration__does_not_say_that_calls_are_unpriced,
                               tool_environment),
        cmocka_unit_test_setup(test_prices__model_without_one__is_1_and_says_what_to_do, tool_environment),
        cmocka_unit_test_setup(test_reports__json__is_the_daemons_own, tool_environment),
        cmocka_unit_test_setup(test_reports__documents_with_little_in_them__are_shown_as_far_as_they_go,
                               tool_environment),
        cmocka_unit_test_setup(test_reports__hostile_texts__do_not_reach_the_terminal, tool_environment),
        cmocka_unit_test_setup(test_reports__no_document__is_one_line_and_the_status_that_fits,
                               tool_environment),
        cmocka_unit_test_setup(test_status__hostile_texts__do_not_reach_the_terminal, tool_environment),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
