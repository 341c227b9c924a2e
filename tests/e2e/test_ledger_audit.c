/*
 * The ledger against the provider's own books: whatever calls did and however they ended, tokens and money of
 * each model are those of the simulator's bill, to the nano-dollar, and every call is one row.
 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <cjson/cJSON.h>

#include "ledger_fixture.h"
#include "metergate/tokens/encoding.h"
#include "metergate/ledger/row.h"

#define CHAT(model, text, more)                                                                              \
    "{\"model\":\"" model "\"," more "\"messages\":[{\"role\":\"user\",\"content\":\"call %d " text "\"}]}"
#define ASK(text, more)                                                                                      \
    "{" more "\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"call %d " text "\"}]}]}"
/* Of another model than chats: what the simulator counts of a response is not what OpenAI does, and is
 * learned. */
#define RESPONSE(text, more) "{\"model\":\"gpt-4.1\"," more "\"input\":\"call %d " text "\"}"

#define STREAM    "\"stream\":true,"
#define ANTHROPIC "anthropic-version: 2023-06-01"
#define GEMINI    "/v1beta/models/gemini-2.5-flash"

/* One way of calling; %d becomes the call's number. */
struct kind {
    const char *path, *header, *body;
    int status;
    enum row_source source;
};

static const struct kind kinds[] = {
    {"/v1/chat/completions", NULL, CHAT("gpt-4o", "one two three [[cached=5]] [[out=7]]", ""), 200,
     ROW_BY_PROVIDER},
    {"/v1/chat/completions", NULL, CHAT("gpt-4o", "[[out=30]] [[reasoning=11]]", STREAM), 200,
     ROW_BY_PROVIDER},
    {"/v1/chat/completions", NULL, CHAT("gpt-4o-mini", "[[out=21]] [[cached=3]]", STREAM), 200,
     ROW_BY_PROVIDER},
    {"/v1/chat/completions", NULL, CHAT("gpt-4o-mini-2024-07-18", "[[unicode]] [[out=33]]", ""), 200,
     ROW_BY_PROVIDER},
    {"/v1/chat/completions", NULL, CHAT("gpt-4o", "[[tier=flex]] [[out=9]]", ""), 200, ROW_BY_PROVIDER},
    {"/v1/chat/completions", NULL, CHAT("gpt-4o", "[[tier=priority]] [[out=9]]", STREAM), 200,
     ROW_BY_PROVIDER},
    {"/v1/chat/completions", NULL, CHAT("gpt-3.5-turbo", "[[out=12]]", ""), 200, ROW_BY_PROVIDER},
    {"/v1/completions", NULL, "{\"model\":\"gpt-3.5-turbo\",\"max_tokens\":8,\"prompt\":\"call %d\"}", 200,
     ROW_BY_PROVIDER},
    {"/v1/completions", NULL,
     "{\"model\":\"gpt-3.5-turbo\",\"max_tokens\":8,\"n\":2,\"stream\":true,\"prompt\":\"call %d\"}", 200,
     ROW_BY_PROVIDER},
    {"/v1/embeddings", NULL, "{\"model\":\"text-embedding-3-small\",\"input\":\"call %d of the canal\"}", 200,
     ROW_BY_PROVIDER},
    {"/v1/embeddings", NULL, "{\"model\":\"text-embedding-3-small\",\"input\":[\"call %d\",\"field\"]}", 200,
     ROW_BY_PROVIDER},
    {"/v1/responses", NULL, RESPONSE("[[cached=4]] [[reasoning=9]] [[out=14]]", ""), 200, ROW_BY_PROVIDER},
    {"/v1/responses", NULL, RESPONSE("[[tier=flex]] [[out=17]]", STREAM), 200, ROW_BY_PROVIDER},
    {"/v1/messages", ANTHROPIC,
     CHAT("claude-sonnet-4-6", "one two three [[cached=5]] [[written=4]] [[written_1h=3]] [[out=13]]",
          "\"max_tokens\":50,"),
     200, ROW_BY_PROVIDER},
    {"/v1/messages", ANTHROPIC,
     CHAT("claude-sonnet-4-6", "four five [[written=2]] [[written_1h=6]] [[out=19]]",
          STREAM "\"max_tokens\":50,"),
     200, ROW_BY_PROVIDER},
    {GEMINI ":generateContent", "x-goog-api-key: k", ASK("[[cached=4]] [[out=8]]", ""), 200, ROW_BY_PROVIDER},
    {GEMINI ":streamGenerateContent?alt=sse", "x-goog-api-key: k", ASK("[[reasoning=7]] [[out=15]]", ""), 200,
     ROW_BY_PROVIDER},
    {GEMINI ":streamGenerateContent", "x-goog-api-key: k", ASK("[[out=6]]", ""), 200, ROW_BY_PROVIDER},
    /* usage that nobody reports is counted from the text */
    {"/v1/chat/completions", NULL, CHAT("gpt-4o", "[[unicode]] [[out=25]] [[fault=no_usage]]", ""), 200,
     ROW_COUNTED},
    {"/v1/chat/completions", NULL, CHAT("gpt-4o-mini", "[[out=25]] [[fault=no_usage]]", STREAM), 200,
     ROW_COUNTED},
    /* cut between two events: what arrived is what was produced */
    {"/v1/chat/completions", NULL, CHAT("gpt-4o", "[[out=40]] [[fault=close_event:12]]", STREAM), 200,
     ROW_COUNTED},
    {"/v1/chat/completions", NULL, CHAT("gpt-4o", "[[tier=flex]] [[out=40]] [[fault=close_event:4]]", STREAM),
     200, ROW_COUNTED},
    {"/v1/chat/completions", NULL,
     CHAT("gpt-3.5-turbo", "[[unicode]] [[out=40]] [[fault=close_event:9]]", STREAM), 200, ROW_COUNTED},
    {"/v1/completions", NULL,
     "{\"model\":\"gpt-3.5-turbo\",\"max_tokens\":30,\"stream\":true,\"prompt\":\"call %d "
     "[[fault=close_event:8]]\"}",
     200, ROW_COUNTED},
    {"/v1/chat/completions", NULL, CHAT("gpt-4o-mini", "[[out=9]] [[fault=status:500]]", ""), 500,
     ROW_NO_USAGE},
    {"/v1/messages", ANTHROPIC, CHAT("claude-sonnet-4-6", "[[fault=status:500]]", STREAM "\"max_tokens\":5,"),
     500, ROW_NO_USAGE},
    {"/v1/chat/completions", NULL, CHAT("somebody-elses-model", "[[out=5]]", ""), 200, ROW_BY_PROVIDER},
    {"/v1/chat/completions", NULL, CHAT("somebody-elses-model", "[[fault=status:500]]", ""), 500,
     ROW_NO_USAGE},
};

#define KINDS ((int)(sizeof kinds / sizeof kinds[0]))
#define CALLS 300
#define BATCH 12

static const char config[] = LEDGER_STATE LEDGER_UPSTREAMS "queue: {max_body: 4KiB}\n"
                                                           "models:\n"
                                                           "  gate: {match: [one-at-a-time], concurrent: 1}\n"
                                                           "  \"*\": {learn: false}\n";

static struct client_async *start_call(const struct fixture *f, const struct kind *k, int i)
{
    const char *number = strstr(k->body, "%d");
    char body[1024];

    snprintf(body, sizeof body, "%.*s%d%s", (int)(number - k->body), k->body, i, number + 2);
    return ledger_post_start(f, k->path, k->header, body);
}

/* An answer that is cut may end before its head was on its way. */
static bool is_cut(const struct kind *k)
{
    return strstr(k->body, "close_event") != NULL;
}

static void run_calls(const struct fixture *f)
{
    for (int i = 0; i < CALLS; i += BATCH) {
        struct client_async *a[BATCH] = {NULL};

        for (int k = 0; k < BATCH && i + k < CALLS; k++)
            a[k] = start_call(f, &kinds[(i + k) % KINDS], i + k);
        for (int k = 0; k < BATCH && a[k]; k++) {
            const struct kind *kind = &kinds[(i + k) % KINDS];
            struct client_reply r = client_finish(a[k]);

            if (is_cut(kind) ? r.error == 0 : r.status != kind->status)
                fail_msg("%s: %d instead of %d: %s", kind->body, r.status, kind->status,
                         r.body.n ? r.body.p : r.error_text);
            client_reply_release(&r);
        }
    }
}

/* ---- the odd ones ---- */

/* A body that is larger than may be held. */
static void too_large(const struct fixture *f)
{
    char body[6000];
    struct client_reply r;
    int n =
        snprintf(body, sizeof body, "{\"model\":\"gpt-4o\",\"messages\":[{\"role\":\"user\",\"content\":\"");

    memset(body + n, 'x', 5000);
    snprintf(body + n + 5000, sizeof body - (size_t)n - 5000, "\"}]}");
    r = ledger_post(f, "/v1/chat/completions", NULL, body);
    assert_int_equal(r.status, 413);
    client_reply_release(&r);
}

/* One is in flight, the other is held and leaves. */
static void cancelled_while_held(const struct fixture *f)
{
    struct client_async *first, *second;
    struct client_reply r;

    first = ledger_post_start(
        f, "/v1/chat/completions", NULL,
        "{\"model\":\"one-at-a-time\",\"messages\":[{\"role\":\"user\",\"content\":\"[[out=4]] "
        "[[fault=hold]]\"}]}");
    fixture_sim_wait(f, "held=1");
    second = ledger_post_start(
        f, "/v1/chat/completions", NULL,
        "{\"model\":\"one-at-a-time\",\"messages\":[{\"role\":\"user\",\"content\":\"[[out=4]]\"}]}");
    fixture_wait_status(f, "held", 1);
    client_leave(second);
    r = client_finish(second);
    client_reply_release(&r);
    fixture_wait_status(f, "held", 0);
    fixture_sim_post(f, "/_sim/release", NULL);
    r = client_finish(first);
    assert_int_equal(r.status, 200);
    client_reply_release(&r);
}

/* Its usage is known when it is asked for. */
static void background(const struct fixture *f)
{
    struct client_reply r = ledger_post(
        f, "/v1/responses", NULL,
        "{\"model\":\"gpt-4.1\",\"background\":true,\"input\":\"later [[reasoning=3]] [[out=22]]\"}");
    cJSON *json = client_json(&r);
    char path[128];

    assert_int_equal(r.status, 200);
    snprintf(path, sizeof path, "/v1/responses/%s", json_text(json, "id"));
    cJSON_Delete(json);
    client_reply_release(&r);
    r = fixture_call(f, "GET", path, NULL);
    assert_int_equal(r.status, 200);
    client_reply_release(&r);
}

/* Leaves a stream that has fallen silent, once all that came of it is there: four words and the second
 * choice's beginning. */
static void leave(const struct fixture *f)
{
    struct client_async *a = fixture_chat_start(
        f,
        "{\"model\":\"gpt-4o\",\"stream\":true,\"n\":2,\"messages\":[{\"role\":\"user\",\"content\":\"gone "
        "[[out=4]] [[fault=stall_event:7]]\"}]}");
    struct client_reply r;

    assert_true(client_wait_body(a, "\"index\":1", FIXTURE_TIMEOUT_MS));
    client_leave(a);
    r = client_finish(a);
    client_reply_release(&r);
    fixture_sim_wait(f, "aborted=1");
}

/* How many calls there were. */
static int odd_calls(const struct fixture *f)
{
    too_large(f);
    leave(f);
    cancelled_while_held(f);
    background(f);
    return 1 + 1 + 2 + 2;
}

/* ---- the comparison ---- */

static const struct {
    const char *usage, *bill;
} columns[] = {
    {"input_tokens", "input"},      {"cached_tokens", "cached"},       {"cache_write_tokens", "cache_write"},
    {"output_tokens", "output"},    {"reasoning_tokens", "reasoning"}, {"cost_nano_usd", "cost_nano"},
    {"unpriced_calls", "unpriced"},
};

/* The sum over all rows whose model is charged to that account: it, and its dated snapshots. */
static int64_t sum_of(const cJSON *usage, const char *account, const char *column)
{
    const cJSON *row;
    size_t n = strlen(account);
    int64_t sum = 0;

    cJSON_ArrayForEach(row, json_at(usage, "rows"))
    {
        const char *key = json_text(row, "key");

        if (strncmp(key, account, n) == 0 && (key[n] == '\0' || strncmp(key + n, "-20", 3) == 0))
            sum += ledger_int(row, column);
    }
    return sum;
}

static void compare(const cJSON *usage, const cJSON *audit)
{
    int wrong = 0, models = 0;
    const cJSON *model;

    cJSON_ArrayForEach(model, json_at(audit, "models"))
    {
        const cJSON *bill = json_at(model, "bill");

        models++;
        for (size_t i = 0; i < MG_ARRAY_LEN(columns); i++) {
            int64_t ours = sum_of(usage, model->string, columns[i].usage),
                    theirs = ledger_int(bill, columns[i].bill);

            if (ours == theirs)
                continue;
            wrong++;
            print_error("%s: %s is %" PRId64 ", the provider's is %" PRId64 "\n", model->string,
                        columns[i].usage, ours, theirs);
        }
    }
    assert_int_equal(wrong, 0);
    assert_true(models >= 7);
}

/* Each row tells where its figures come from. */
static void check_sources(const struct fixture *f)
{
    int64_t expected[ROW_SOURCES] = {0};

    for (int i = 0; i < CALLS; i++)
        expected[kinds[i % KINDS].source]++;
    for (int i = 0; i < ROW_SOURCES; i++) {
        char sql[128];

        snprintf(sql, sizeof sql, "SELECT count(*) FROM calls WHERE source = %d", i);
        if (ledger_ask(f, sql) != expected[i])
            fail_msg("%" PRId64 " rows instead of %" PRId64 " have their usage from %s", ledger_ask(f, sql),
                     expected[i], row_source_name((enum row_source)i));
    }
}

static void test_ledger__300_mixed_calls__are_the_providers_figures_exactly(void **state)
{
    static const char settings[] =
        "{\"models\":{\"gpt-4o-mini\":{}},\"faults\":["
        "{\"fault\":\"status:429,retry_after_ms:5\",\"model\":\"gpt-*\",\"skip\":5,\"every\":9,\"next\":15},"
        "{\"fault\":\"status:429,retry_after_ms:5\",\"model\":\"claude-*\",\"skip\":3,\"every\":5,\"next\":3}"
        "]}";
    cJSON *usage, *audit;
    struct fixture f;
    int64_t nano = 0;
    const cJSON *row;
    int calls = CALLS;

    (void)state;
    fixture_start(&f, settings, config);
    run_calls(&f);
    ledger_wait_calls(&f, CALLS);
    check_sources(&f);
    calls += odd_calls(&f);
    fixture_assert_idle(&f);
    ledger_wait_calls(&f, calls);
    usage = ledger_get(&f, "/-/usage?by=model&since=24h");
    audit = fixture_audit(&f);
    compare(usage, audit);
    assert_int_equal(ledger_int(audit, "n429"), 18);
    cJSON_ArrayForEach(row, json_at(usage, "rows")) nano += ledger_int(row, "cost_nano_usd");
    assert_true(nano > 0);
    assert_int_equal(ledger_ask(&f, "SELECT sum(cost_nano) FROM calls"), nano);
    cJSON_Delete(usage);
    usage = ledger_get(&f, "/-/usage?by=day&since=24h");
    assert_true(ledger_int(usage, "rows.0.calls") > 0);
    cJSON_Delete(usage);
    cJSON_Delete(audit);
    fixture_stop(&f);
}

/*
 * The simulator counts a Claude's text by the public vocabulary; the daemon expects more of it, because its own makes more
 * (encoding_scale_permille), as long as it has not seen otherwise. 15 USD per million.
 */
static int64_t more_of_claude(const cJSON *audit, const char *what)
{
    int64_t output = ledger_int(audit, "models.claude-sonnet-4-6.bill.output");
    int64_t more = (output * encoding_scale_permille("claude-sonnet-4-6", 17) + 500) / 1000 - output;

    if (strcmp(what, "output") == 0)
        return more;
    return strcmp(what, "cost_nano") == 0 ? more * 15000 : 0;
}

/*
 * What was told by then is the provider's word: Gemini tells with every event, Anthropic all of the input
 * with the first. Anthropic's output is counted from its text by a vocabulary that is not its own; the
 * simulator's is that one.
 */
static void test_ledger__answers_that_report_as_they_go__are_cut_at_what_they_reported(void **state)
{
    static const struct kind cut[] = {
        {GEMINI ":streamGenerateContent?alt=sse", "x-goog-api-key: k",
         ASK("[[cached=4]] [[reasoning=7]] [[out=40]] [[fault=close_event:9]]", ""), 200, ROW_BY_PROVIDER},
        {"/v1/messages", ANTHROPIC,
         CHAT("claude-sonnet-4-6",
              "one two [[cached=5]] [[written_1h=4]] [[out=40]] [[fault=close_event:14]]",
              STREAM "\"max_tokens\":50,"),
         200, ROW_COUNTED},
    };
    cJSON *usage, *audit;
    struct fixture f;

    (void)state;
    fixture_start(&f, NULL, config);
    for (size_t i = 0; i < MG_ARRAY_LEN(cut); i++) {
        struct client_reply r = client_finish(start_call(&f, &cut[i], (int)i));

        assert_true(r.error != 0);
        client_reply_release(&r);
    }
    ledger_wait_calls(&f, 2);
    usage = ledger_get(&f, "/-/usage?by=model&since=24h");
    audit = fixture_audit(&f);
    for (int i = 0; i < 2; i++) {
        const char *const names[] = {"gemini-2.5-flash", "claude-sonnet-4-6"};

        for (size_t k = 0; k < MG_ARRAY_LEN(columns); k++) {
            char path[128];

            int64_t want;

            snprintf(path, sizeof path, "models.%s.bill.%s", names[i], columns[k].bill);
            want = ledger_int(audit, path) + (i == 1 ? more_of_claude(audit, columns[k].bill) : 0);
            if (want != sum_of(usage, names[i], columns[k].usage))
                fail_msg("%s: %" PRId64 " of %s instead of %" PRId64, names[i],
                         sum_of(usage, names[i], columns[k].usage), columns[k].usage, want);
        }
    }
    cJSON_Delete(usage);
    cJSON_Delete(audit);
    fixture_stop(&f);
}

/* Nothing of it could be seen: what was expected stands for what was lost, and says so. */
static void test_ledger__answer_cut_before_anything_could_be_read__is_estimated(void **state)
{
    struct client_reply r;
    struct fixture f;
    cJSON *call;

    (void)state;
    fixture_start(&f, NULL, config);
    r = fixture_chat(
        &f, "{\"model\":\"gpt-4o\",\"max_tokens\":30,\"messages\":[{\"role\":\"user\",\"content\":\"hello "
            "[[out=30]] [[fault=close_after:5]]\"}]}");
    ledger_wait_calls(&f, 1);
    call = ledger_get(&f, "/-/calls?limit=1");
    assert_string_equal(json_text(call, "calls.0.outcome"), "failed");
    assert_string_equal(json_text(call, "calls.0.usage_source"), "estimated");
    assert_int_equal(ledger_ask(&f, "SELECT output FROM calls"),
                     ledger_ask(&f, "SELECT estimated_output FROM calls"));
    assert_int_equal(ledger_ask(&f, "SELECT input FROM calls"),
                     ledger_ask(&f, "SELECT estimated_input FROM calls"));
    assert_true(ledger_ask(&f, "SELECT output FROM calls") > 0);
    assert_int_equal(ledger_ask(&f, "SELECT cost_nano FROM calls"),
                     ledger_ask(&f, "SELECT input * 2500 + output * 10000 FROM calls"));
    cJSON_Delete(call);
    client_reply_release(&r);
    fixture_stop(&f);
}

/* ---- the story ---- */

/* The same 20 texts, of lengths that differ. */
static void ask_both(const struct fixture *f)
{
    static const char *const models[] = {"gpt-4o", "gpt-3.5-turbo"};

    for (int i = 0; i < 20; i++)
        for (int m = 0; m < 2; m++) {
            struct client_reply r;
            struct buf body;

            buf_init(&body, BUF_UNLIMITED);
            buf_addf(&body,
                     "{\"model\":\"%s\",\"messages\":[{\"role\":\"user\",\"content\":\"Is this of fields?",
                     models[m]);
            for (int k = 0; k < i; k++)
                buf_add_str(&body, " water");
            buf_addf(&body, " [[out=%d]]\"}]}", 5 + i);
            r = fixture_chat(f, body.p);
            assert_int_equal(r.status, 200);
            client_reply_release(&r);
            buf_release(&body);
        }
}

static void test_compare__the_same_20_texts_to_two_models__shows_what_the_cheap_one_saves(void **state)
{
    int64_t calls[2], nano[2], theirs[2];
    cJSON *compared, *audit;
    struct fixture f;

    (void)state;
    fixture_start(&f, NULL, config);
    ask_both(&f);
    ledger_wait_calls(&f, 40);
    compared = ledger_get(&f, "/-/compare?model=gpt-4o&model=gpt-3.5-turbo");
    audit = fixture_audit(&f);
    for (int m = 0; m < 2; m++) {
        const char *name = m ? "gpt-3.5-turbo" : "gpt-4o";
        char path[64];
        const cJSON *row = cJSON_GetArrayItem(json_at(compared, "models"), m);

        assert_string_equal(json_text(row, "model"), name);
        calls[m] = ledger_int(row, "calls");
        nano[m] = ledger_int(row, "cost_nano_usd");
        snprintf(path, sizeof path, "models.%s.bill.cost_nano", name);
        theirs[m] = ledger_int(audit, path);
    }
    assert_int_equal(calls[0], 20);
    assert_int_equal(calls[1], 20);
    assert_int_equal(nano[0], theirs[0]);
    assert_int_equal(nano[1], theirs[1]);
    assert_true(nano[0] > 5 * nano[1]);
    cJSON_Delete(compared);
    cJSON_Delete(audit);
    fixture_stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ledger__300_mixed_calls__are_the_providers_figures_exactly),
        cmocka_unit_test(test_ledger__answers_that_report_as_they_go__are_cut_at_what_they_reported),
        cmocka_unit_test(test_ledger__answer_cut_before_anything_could_be_read__is_estimated),
        cmocka_unit_test(test_compare__the_same_20_texts_to_two_models__shows_what_the_cheap_one_saves),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
