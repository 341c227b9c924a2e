/* The simulator itself: what the other tests believe of it. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <cjson/cJSON.h>

#include "fixture.h"
#include "metergate/base/clock.h"
#include "metergate/base/err.h"
#include "metergate/tokens/count.h"

static struct fixture fixture;

/* One simulator serves all the tests here; each begins with a reset. */
static int start_simulator(void **state)
{
    (void)state;
    fixture_start_simulator(&fixture, NULL, NULL);
    return 0;
}

static int stop_simulator(void **state)
{
    (void)state;
    fixture_sim_post(&fixture, "/_sim/reset", NULL);
    fixture_stop(&fixture);
    return 0;
}

static int fresh(void **state)
{
    *state = &fixture;
    fixture_sim_post(&fixture, "/_sim/reset", NULL);
    return 0;
}

#define HELLO "\"messages\":[{\"role\":\"user\",\"content\":\"hello\"}]"

static struct client_reply post(const char *path, const char *body)
{
    char url[256];
    struct client_call call = {.url = url, .body = body, .method = "POST"};

    snprintf(url, sizeof url, "%s%s", fixture.simulator_url, path);
    return client_run(&call);
}

static struct client_async *post_async(const char *body)
{
    char url[256];
    struct client_call call = {.url = url, .body = body};

    snprintf(url, sizeof url, "%s/v1/chat/completions", fixture.simulator_url);
    return client_start(&call);
}

static struct client_reply chat(const char *body)
{
    return post("/v1/chat/completions", body);
}

/* The body of a chat call with this prompt. Static. */
static const char *prompt(const char *model, const char *text, const char *more)
{
    static char body[4096];

    snprintf(body, sizeof body, "{\"model\":\"%s\",\"messages\":[{\"role\":\"user\",\"content\":\"%s\"}]%s}", model, text, more);
    return body;
}

static int chat_status(const char *body)
{
    struct client_reply reply = chat(body);
    int status = reply.error ? -reply.error : reply.status;

    client_reply_release(&reply);
    return status;
}

static void assert_contains(const struct buf *b, const char *text)
{
    if (!b->n || !strstr(b->p, text))
        fail_msg("\"%s\" is not in: %.*s", text, (int)(b->n < 2000 ? b->n : 2000), b->n ? b->p : "");
}

static void assert_lacks(const struct buf *b, const char *text)
{
    if (b->n && strstr(b->p, text))
        fail_msg("\"%s\" is in: %.*s", text, (int)(b->n < 2000 ? b->n : 2000), b->p);
}

/* ---- answers ---- */

static void test_chat__usage__is_exact(void **state)
{
    static const char *const models[] = {"gpt-4o", "gpt-3.5-turbo"};
    static const enum encoding encodings[] = {ENCODING_O200K, ENCODING_CL100K};

    (void)state;
    for (int i = 0; i < 4; i++) {
        struct client_reply reply =
            chat(prompt(models[i % 2], i < 2 ? "hello [[out=200]]" : "hello [[out=200]] [[unicode]]", ""));
        cJSON *json = client_json(&reply);
        const char *text = json_text(json, "choices.0.message.content");

        assert_int_equal(reply.status, 200);
        assert_int_equal(json_number(json, "usage.completion_tokens"), 200);
        assert_int_equal(tokens_count(encodings[i % 2], text, strlen(text)), 200);
        assert_int_equal(json_number(json, "usage.total_tokens"), json_number(json, "usage.prompt_tokens") + 200);
        cJSON_Delete(json);
        client_reply_release(&reply);
    }
}

static void test_chat__hello__is_eight_prompt_tokens(void **state)
{
    struct client_reply reply = chat("{\"model\":\"gpt-4o\"," HELLO ",\"max_tokens\":7,\"n\":3}");
    cJSON *json = client_json(&reply);

    (void)state;
    assert_int_equal(json_number(json, "usage.prompt_tokens"), 8);
    assert_int_equal(json_number(json, "usage.completion_tokens"), 21);
    assert_string_equal(json_text(json, "choices.2.finish_reason"), "length");
    cJSON_Delete(json);
    client_reply_release(&reply);
}

static void test_chat__asked_twice__answers_the_same(void **state)
{
    struct client_reply a = chat(prompt("gpt-4o", "the same [[out=30]]", "")), b = chat(prompt("gpt-4o", "the same [[out=30]]", ""));

    (void)state;
    assert_int_equal(a.body.n, b.body.n);
    assert_memory_equal(a.body.p, b.body.p, a.body.n);
    client_reply_release(&a);
    client_reply_release(&b);
}

static void test_chat__bad_requests__are_refused_as_openai_does(void **state)
{
    static const struct {
        const char *body, *says;
    } rows[] = {
        {"{", "could not parse the JSON body"},
        {"{\"messages\":[]}", "you must provide a model parameter"},
        {"{\"model\":\"gpt-4o\"}", "Missing required parameter: 'messages'"},
        {"{\"model\":\"gpt-4o\"," HELLO ",\"stream_options\":{\"include_usage\":true}}", "only allowed when 'stream' is enabled"},
        {"{\"model\":\"gpt-4o\"," HELLO "} x", "could not parse the JSON body"},
    };

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++) {
        struct client_reply reply = chat(rows[i].body);

        assert_int_equal(reply.status, 400);
        assert_contains(&reply.body, rows[i].says);
        client_reply_release(&reply);
    }
}

static void test_tool__asked_for__is_called(void **state)
{
    const char *tools = ",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"dig\",\"parameters\":{}}}]";
    struct client_reply reply = chat(prompt("gpt-4o", "[[tool]] [[out=4]]", tools));
    cJSON *json = client_json(&reply), *arguments;

    (void)state;
    assert_string_equal(json_text(json, "choices.0.message.tool_calls.0.function.name"), "dig");
    assert_string_equal(json_text(json, "choices.0.finish_reason"), "tool_calls");
    arguments = cJSON_Parse(json_text(json, "choices.0.message.tool_calls.0.function.arguments"));
    assert_int_equal(tokens_count(ENCODING_O200K, json_text(arguments, "text"), strlen(json_text(arguments, "text"))), 4);
    cJSON_Delete(arguments);
    cJSON_Delete(json);
    client_reply_release(&reply);
}

static void test_embeddings__both_formats__and_usage(void **state)
{
    struct client_reply a = post("/v1/embeddings", "{\"model\":\"text-embedding-3-small\",\"input\":[\"hello\",\"hello hello\"]}");
    struct client_reply b =
        post("/v1/embeddings", "{\"model\":\"text-embedding-3-small\",\"input\":\"hello\",\"encoding_format\":\"base64\"}");
    cJSON *json = client_json(&a);

    (void)state;
    assert_int_equal(json_number(json, "usage.prompt_tokens"), 3);
    assert_int_equal(cJSON_GetArraySize(json_at(json, "data.1.embedding")), 8);
    assert_contains(&b.body, "\"embedding\":\"AACAPAAAAD0AAEA9");
    cJSON_Delete(json);
    client_reply_release(&a);
    client_reply_release(&b);
}

/* ---- streams ---- */

/* The events of a stream: how many of each kind. */
struct stream {
    int events, usage_null, usage, roles, done;
    char text[4096];
    double total_tokens;
};

static struct stream read_stream(const struct buf *body)
{
    struct stream s = {0};
    const char *at = body->n ? body->p : "";

    while ((at = strstr(at, "data: ")) != NULL) {
        const char *end = strpbrk(at, "\r\n");
        cJSON *json = cJSON_ParseWithLength(at + 6, (size_t)(end - at - 6));
        const cJSON *content = json_at(json, "choices.0.delta.content");

        s.events++;
        s.done += strncmp(at + 6, "[DONE]", 6) == 0;
        s.usage_null += cJSON_IsNull(json_at(json, "usage"));
        s.roles += json_at(json, "choices.0.delta.role") != NULL;
        if (cJSON_IsObject(json_at(json, "usage"))) {
            s.usage++;
            s.total_tokens = json_number(json, "usage.total_tokens");
            assert_int_equal(cJSON_GetArraySize(json_at(json, "choices")), 0);
        }
        if (cJSON_IsString(content))
            snprintf(s.text + strlen(s.text), sizeof s.text - strlen(s.text), "%s", content->valuestring);
        cJSON_Delete(json);
        at = end;
    }
    return s;
}

static struct stream stream_of(const char *text, const char *more)
{
    struct client_reply reply = chat(prompt("gpt-4o", text, more));
    struct stream s = read_stream(&reply.body);

    assert_int_equal(reply.status, 200);
    assert_int_equal(reply.error, 0);
    assert_contains(&reply.head, "text/event-stream");
    client_reply_release(&reply);
    return s;
}

static void test_stream__without_include_usage__says_nothing_of_usage(void **state)
{
    struct stream s = stream_of("hello [[out=5]]", ",\"stream\":true");

    (void)state;
    /* role, five pieces, finish, [DONE] */
    assert_int_equal(s.events, 8);
    assert_int_equal(s.usage_null + s.usage, 0);
    assert_int_equal(s.roles, 1);
    assert_int_equal(s.done, 1);
}

static void test_stream__with_include_usage__null_everywhere_and_one_chunk_more(void **state)
{
    struct stream s = stream_of("hello [[out=5]]", ",\"stream\":true,\"stream_options\":{\"include_usage\":true}");

    (void)state;
    assert_int_equal(s.events, 9);
    assert_int_equal(s.usage_null, 7);
    assert_int_equal(s.usage, 1);
    assert_int_equal(s.total_tokens, tokens_count(ENCODING_O200K, "hello [[out=5]]", 15) + 7 + 5);
}

static void test_stream__text__is_that_of_the_plain_answer(void **state)
{
    struct stream s = stream_of("a story [[out=60]] [[unicode]]", ",\"stream\":true");
    struct client_reply reply = chat(prompt("gpt-4o", "a story [[out=60]] [[unicode]]", ""));
    cJSON *json = client_json(&reply);

    (void)state;
    assert_string_equal(s.text, json_text(json, "choices.0.message.content"));
    cJSON_Delete(json);
    client_reply_release(&reply);
}

static void test_stream__framing_faults__change_nothing_that_is_said(void **state)
{
    static const char *const faults[] = {"split:1", "split:7", "coalesce", "coalesce:3", "crlf", "comments", "crlf,comments,split:2",
                                         "trailers", "interim", "interim:102,interims:3", "event_ms:1", "latency_ms:5"};
    struct stream plain;

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(faults); i++) {
        char text[128];
        struct stream s;

        snprintf(text, sizeof text, "one text [[out=12]] [[fault=%s]]", faults[i]);
        s = stream_of(text, ",\"stream\":true,\"stream_options\":{\"include_usage\":true}");
        assert_int_equal(s.events, 16);
        assert_int_equal(s.usage, 1);
        assert_int_equal(s.done, 1);
    }
    plain = stream_of("one text [[out=12]] [[fault=no_done,no_usage]]",
                      ",\"stream\":true,\"stream_options\":{\"include_usage\":true}");
    assert_int_equal(plain.events, 14);
}

/* ---- limits ---- */

static void test_rolling__a_window__admits_what_fits_and_says_when_more_does(void **state)
{
    struct client_reply reply;
    cJSON *audit;

    (void)state;
    fixture_sim_config(&fixture, "{\"models\":{\"gpt-4o\":{\"tpm\":100,\"window_ms\":600000,\"limiter\":\"rolling\"}}}");
    fixture_sim_post(&fixture, "/_sim/charge", "{\"model\":\"gpt-4o\",\"tokens\":60}");
    reply = chat("{\"model\":\"gpt-4o\"," HELLO ",\"max_tokens\":30}");
    assert_int_equal(reply.status, 200);
    assert_string_equal(client_header(&reply, "x-ratelimit-limit-tokens"), "100");
    assert_string_equal(client_header(&reply, "x-ratelimit-remaining-tokens"), "32");
    client_reply_release(&reply);

    /* 60 + 8 + 30 are in the window; 8 do not fit before the 60 leave, ten minutes after they came */
    reply = chat("{\"model\":\"gpt-4o\"," HELLO ",\"max_tokens\":30}");
    assert_int_equal(reply.status, 429);
    assert_contains(&reply.body, "tokens per min (TPM): Limit 100, Used 98, Requested 8. Please try again in ");
    assert_contains(&reply.body, "\"code\":\"rate_limit_exceeded\"");
    assert_in_range(strtol(client_header(&reply, "retry-after"), NULL, 10), 590, 600);
    client_reply_release(&reply);

    audit = fixture_audit(&fixture);
    assert_int_equal(json_number(audit, "models.gpt-4o.peak_tokens"), 98);
    assert_int_equal(json_number(audit, "models.gpt-4o.peak_requests"), 2);
    assert_int_equal(json_number(audit, "n429"), 1);
    cJSON_Delete(audit);
}

static void test_rolling__exactly_one_window_later__there_is_room(void **state)
{
    const char *body = "{\"model\":\"gpt-4o\"," HELLO ",\"max_tokens\":1}";
    cJSON *audit;

    (void)state;
    fixture_sim_config(&fixture, "{\"models\":{\"gpt-4o\":{\"tpm\":0,\"rpm\":1,\"window_ms\":300}}}");
    assert_int_equal(chat_status(body), 200);
    /* nothing to wait for but the time itself */
    while (chat_status(body) == 429)
        ;
    audit = fixture_audit(&fixture);
    {
        int last = (int)json_number(audit, "arrivals") - 1;
        char path[64];
        double first_us = json_number(audit, "models.gpt-4o.list.0.t_us"), last_us;

        snprintf(path, sizeof path, "models.gpt-4o.list.%d.t_us", last);
        last_us = json_number(audit, path);
        assert_true(last_us - first_us >= 300000);
        snprintf(path, sizeof path, "models.gpt-4o.list.%d.t_us", last - 1);
        assert_true(json_number(audit, path) - first_us < 300000);
    }
    cJSON_Delete(audit);
}

static void test_too_large__is_said__with_limit_and_request(void **state)
{
    struct client_reply reply;

    (void)state;
    fixture_sim_config(&fixture, "{\"models\":{\"gpt-4o\":{\"tpm\":7,\"rpm\":0,\"window_ms\":60000}}}");
    reply = chat("{\"model\":\"gpt-4o-2024-08-06\"," HELLO "}");
    assert_int_equal(reply.status, 429);
    assert_contains(&reply.body, "Request too large for gpt-4o in organization org-simulator on tokens per min (TPM): Limit 7, "
                                 "Requested 8. The input or output tokens must be reduced");
    assert_null(client_header(&reply, "retry-after"));
    client_reply_release(&reply);
}

static void test_openai_charging__takes_max_tokens_and_refunds(void **state)
{
    struct client_reply reply;
    cJSON *audit;

    (void)state;
    fixture_sim_config(&fixture, "{\"models\":{\"charged\":{\"tpm\":1000,\"charging\":\"openai\"},"
                                 "\"refunded\":{\"tpm\":1000,\"charging\":\"openai\",\"refund\":true}}}");
    reply = chat(prompt("charged", "[[out=3]]", ",\"max_tokens\":400,\"n\":2"));
    assert_string_equal(client_header(&reply, "x-ratelimit-remaining-tokens"), "200");
    client_reply_release(&reply);
    reply = chat(prompt("refunded", "[[out=3]]", ",\"max_tokens\":400,\"n\":2"));
    assert_string_equal(client_header(&reply, "x-ratelimit-remaining-tokens"), "200");
    client_reply_release(&reply);
    audit = fixture_audit(&fixture);
    assert_int_equal(json_number(audit, "models.charged.tokens"), 800);
    assert_true(json_number(audit, "models.refunded.tokens") < 30);
    assert_int_equal(json_number(audit, "models.refunded.list.0.charged"), 800);
    cJSON_Delete(audit);
}

/* ---- faults ---- */

static void test_status_faults__as_many_as_asked__with_their_headers(void **state)
{
    const char *body = "{\"model\":\"gpt-4o-mini\"," HELLO "}";
    struct client_reply reply;

    (void)state;
    fixture_sim_config(&fixture, "{\"faults\":[{\"fault\":\"status:429,retry_after:2,retry_after_ms:1500\",\"skip\":1,\"next\":1},"
                                 "{\"fault\":\"status:529,should_retry:0\",\"every\":4}]}");
    assert_int_equal(chat_status(body), 529);
    reply = chat(body);
    assert_int_equal(reply.status, 429);
    assert_string_equal(client_header(&reply, "retry-after"), "2");
    assert_string_equal(client_header(&reply, "retry-after-ms"), "1500");
    assert_contains(&reply.body, "Please try again in 1.5s");
    client_reply_release(&reply);
    assert_int_equal(chat_status(body), 200);
    assert_int_equal(chat_status(body), 200);
    reply = chat(body);
    assert_int_equal(reply.status, 529);
    assert_string_equal(client_header(&reply, "x-should-retry"), "false");
    client_reply_release(&reply);
}

static void test_broken_answers__are_broken__as_asked(void **state)
{
    static const struct {
        const char *fault;
        int error; /* of libcurl */
    } rows[] = {
        {"close_before_answer", 52}, {"reset_before_answer", 56}, {"close_after:40", 18},  {"reset_after:40", 56},
        {"length_off:5", 18},        {"bad_chunk", 56},           {"garbage", 1},          {"stream_error:3", 0},
    };

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++) {
        char text[128];
        int status;

        snprintf(text, sizeof text, "[[fault=%s]]", rows[i].fault);
        status = chat_status(prompt("gpt-4o-mini", text, ""));
        if (status != (rows[i].error ? -rows[i].error : 200))
            fail_msg("%s: %d", rows[i].fault, status);
    }
    fixture_sim_config(&fixture, "{\"faults\":[{\"fault\":\"reset_before_read\",\"next\":1},{\"fault\":\"close_before_read\",\"next\":1}]}");
    assert_int_equal(chat_status(prompt("gpt-4o-mini", "x", "")), -56);
    assert_int_equal(chat_status(prompt("gpt-4o-mini", "x", "")), 200);
}

static void test_gzip__unasked__can_be_decoded(void **state)
{
    struct client_reply reply = chat(prompt("gpt-4o-mini", "[[fault=gzip]] [[out=5]]", ""));

    (void)state;
    assert_string_equal(client_header(&reply, "content-encoding"), "gzip");
    assert_memory_equal(reply.body.p, "\x1f\x8b\x08", 3);
    /* stored: the text stands in it as it is */
    assert_non_null(memmem(reply.body.p, reply.body.n, "chat.completion", 15));
    client_reply_release(&reply);
}

static void test_stream_error__comes_inside__a_200(void **state)
{
    struct client_reply reply = chat(prompt("gpt-4o-mini", "[[fault=stream_error:3]]", ",\"stream\":true"));

    (void)state;
    assert_int_equal(reply.status, 200);
    assert_contains(&reply.body, "data: {\"error\":{\"message\":\"The server had an error");
    assert_lacks(&reply.body, "[DONE]");
    client_reply_release(&reply);
}

static void test_huge__is_as_long__as_asked(void **state)
{
    struct client_reply reply = chat(prompt("gpt-4o-mini", "[[fault=huge:300000]]", ""));
    cJSON *json = client_json(&reply);

    (void)state;
    assert_int_equal(reply.body.n, 300000);
    cJSON_Delete(json);
    client_reply_release(&reply);
}

static void test_unknown_fault__is_an_error(void **state)
{
    struct client_reply reply = post("/_sim/config", "{\"faults\":[{\"fault\":\"statsu:500\"}]}");

    (void)state;
    assert_int_equal(reply.status, 400);
    assert_contains(&reply.body, "statsu");
    client_reply_release(&reply);
    assert_int_equal(chat_status(prompt("gpt-4o-mini", "[[fault=nope]]", "")), 400);
}

/* ---- events ---- */

static void test_hold__waits__until_released(void **state)
{
    struct client_async *a, *b;
    struct client_reply reply;

    (void)state;
    a = post_async(prompt("gpt-4o-mini", "[[fault=hold]] a", ""));
    fixture_sim_wait(&fixture, "held=1&in_flight=1");
    b = post_async(prompt("gpt-4o-mini", "[[fault=hold]] b", ""));
    fixture_sim_wait(&fixture, "held=2&arrivals=2");
    assert_false(client_ended(a));
    fixture_sim_post(&fixture, "/_sim/release?n=1", NULL);
    reply = client_finish(a);
    assert_int_equal(reply.status, 200);
    client_reply_release(&reply);
    assert_false(client_ended(b));
    client_leave(b);
    fixture_sim_wait(&fixture, "aborted=1&in_flight=0&held=0&connections=0");
    reply = client_finish(b);
    assert_int_equal(reply.status, 0);
    client_reply_release(&reply);
}

static void test_stall__in_the_middle__is_an_abort_when_the_client_leaves(void **state)
{
    struct client_async *a = post_async(prompt("gpt-4o-mini", "[[fault=stall_after:700]] [[out=20]]", ",\"stream\":true"));
    struct client_reply reply;
    cJSON *audit;

    (void)state;
    assert_true(client_wait_body(a, "data: ", 5000));
    fixture_sim_wait(&fixture, "held=1");
    client_leave(a);
    reply = client_finish(a);
    assert_int_equal(reply.status, 200);
    assert_int_equal(reply.body.n, 700);
    client_reply_release(&reply);
    fixture_sim_wait(&fixture, "aborted=1");
    audit = fixture_audit(&fixture);
    assert_true(cJSON_IsTrue(json_at(audit, "models.gpt-4o-mini.list.0.aborted")));
    assert_in_range((uint64_t)json_number(audit, "models.gpt-4o-mini.list.0.output"), 1, 5);
    cJSON_Delete(audit);
}

static void test_wait__for_what_does_not_come__is_504(void **state)
{
    char url[128];
    struct client_call call = {.url = url};
    struct client_reply reply;

    (void)state;
    snprintf(url, sizeof url, "%s/_sim/wait?arrivals=1&timeout_ms=20", fixture.simulator_url);
    reply = client_run(&call);
    assert_int_equal(reply.status, 504);
    client_reply_release(&reply);
}

/* ---- the audit ---- */

static void test_audit__notes__what_was_sent(void **state)
{
    static const char *const headers[] = {"Authorization: Bearer sk-audit", "X-Odd: a \"b\"", NULL};
    char url[256];
    struct client_call call = {.url = url, .body = "abc", .headers = headers, .method = "PUT", .chunked = true};
    struct client_reply reply;
    cJSON *audit;
    char *text;

    (void)state;
    snprintf(url, sizeof url, "%s/v1/any%%20thing?x=%%2F&y", fixture.simulator_url);
    reply = client_run(&call);
    assert_int_equal(reply.status, 200);
    audit = fixture_audit(&fixture);
    assert_string_equal(json_text(audit, "other.list.0.sha256"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_string_equal(json_text(audit, "other.list.0.target"), "/v1/any%20thing?x=%2F&y");
    assert_string_equal(json_text(audit, "other.list.0.method"), "PUT");
    assert_int_equal(json_number(audit, "connections_opened"), 1);
    text = cJSON_PrintUnformatted(json_at(audit, "other.list.0.headers"));
    assert_non_null(strstr(text, "[\"X-Odd\",\"a \\\"b\\\"\"]"));
    free(text);
    cJSON_Delete(audit);
    client_reply_release(&reply);
}

static char process_state(const struct process *p)
{
    char path[64], state = '?';
    FILE *f;

    snprintf(path, sizeof path, "/proc/%d/stat", (int)process_pid(p));
    f = fopen(path, "re");
    assert_non_null(f);
    if (fscanf(f, "%*d (%*[^)]) %c", &state) != 1)
        state = '?';
    fclose(f);
    return state;
}

static void test_arrival__is_when_the_bytes_came__not_when_a_thread_ran(void **state)
{
    static const char call[] = "POST /v1/x HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab";
    int fd = raw_connect(fixture.simulator_port);
    struct buf out;
    cJSON *audit;
    int64_t stopped_us;

    (void)state;
    buf_init(&out, BUF_UNLIMITED);
    fixture_sim_wait(&fixture, "connections=1");
    process_signal(fixture.simulator, SIGSTOP);
    while (process_state(fixture.simulator) != 'T')
        ;
    raw_send_text(fd, call);
    for (stopped_us = clock_now_us(); clock_now_us() < stopped_us + 50 * CLOCK_MS;)
        ;
    process_signal(fixture.simulator, SIGCONT);
    assert_true(raw_read(fd, &out, "\"}", 5000) > 0);
    close(fd);
    fixture_sim_wait(&fixture, "in_flight=0");
    audit = fixture_audit(&fixture);
    assert_true(json_number(audit, "other.list.0.end_us") - json_number(audit, "other.list.0.t_us") >= 50000);
    cJSON_Delete(audit);
    buf_release(&out);
}

static void test_api_keys__when_configured__are_asked_for(void **state)
{
    static const char *const good[] = {"Authorization: Bearer sk-good", NULL};
    char url[256];
    struct client_call call = {.url = url, .body = "{\"model\":\"gpt-4o-mini\"," HELLO "}", .headers = good};
    struct client_reply reply;

    (void)state;
    snprintf(url, sizeof url, "%s/v1/chat/completions", fixture.simulator_url);
    fixture_sim_config(&fixture, "{\"api_keys\":[\"sk-good\"]}");
    reply = client_run(&call);
    assert_int_equal(reply.status, 200);
    client_reply_release(&reply);
    assert_int_equal(chat_status(call.body), 401);
    fixture_sim_config(&fixture, "{\"api_keys\":[]}");
}

/* ---- strictness ---- */

#define HOST "Host: x\r\n"

static void test_strictness__what_no_proxy_may_send__is_a_violation(void **state)
{
    static const struct {
        const char *bytes, *says;
    } rows[] = {
        {"GET /v1/x HTTP/1.1\n" HOST "\r\n", "bare LF"},
        {"GET /v1/x HTTP/1.1\r\n\r\n", "no Host"},
        {"GET /v1/x HTTP/1.1\r\n" HOST HOST "\r\n", "two host"},
        {"GET /v1/x HTTP/1.0\r\n" HOST "\r\n", "HTTP/1.1"},
        {"GET  /v1/x HTTP/1.1\r\n" HOST "\r\n", "HTTP/1.1"},
        {"GET http://x/v1/x HTTP/1.1\r\n" HOST "\r\n", "origin form"},
        {"GET /v1/x#y HTTP/1.1\r\n" HOST "\r\n", "target"},
        {"GE T /v1/x HTTP/1.1\r\n" HOST "\r\n", "HTTP/1.1"},
        {"G(T /v1/x HTTP/1.1\r\n" HOST "\r\n", "token"},
        {"GET /v1/x HTTP/1.1\r\n" HOST "A: b\r\n c\r\n\r\n", "folding"},
        {"GET /v1/x HTTP/1.1\r\n" HOST "A : b\r\n\r\n", "bad header name"},
        {"GET /v1/x HTTP/1.1\r\n" HOST ": b\r\n\r\n", "bad header name"},
        {"GET /v1/x HTTP/1.1\r\n" HOST "nothing\r\n\r\n", "without a colon"},
        {"GET /v1/x HTTP/1.1\r\n" HOST "A: b\x01\r\n\r\n", "control byte"},
        {"GET /v1/x HTTP/1.1\r\n" HOST "A: b\rc\r\n\r\n", "bare CR"},
        {"GET /v1/x HTTP/1.1\r\n" HOST "Expect: 100-continue\r\n\r\n", "expect"},
        {"GET /v1/x HTTP/1.1\r\n" HOST "TE: trailers\r\n\r\n", "te must not travel"},
        {"GET /v1/x HTTP/1.1\r\n" HOST "Keep-Alive: 5\r\n\r\n", "keep-alive must not"},
        {"GET /v1/x HTTP/1.1\r\n" HOST "Proxy-Authorization: x\r\n\r\n", "proxy-authorization"},
        {"GET /v1/x HTTP/1.1\r\n" HOST "Upgrade: h2c\r\n\r\n", "upgrade"},
        {"GET /v1/x HTTP/1.1\r\n" HOST "Connection: close, x-a\r\n\r\n", "Connection names"},
        {"GET /v1/x HTTP/1.1\r\n" HOST "metergate-client: a\r\n\r\n", "metergate-client must not"},
        {"POST /v1/x HTTP/1.1\r\n" HOST "Content-Length: 1\r\nContent-Length: 1\r\n\r\na", "two content-length"},
        {"POST /v1/x HTTP/1.1\r\n" HOST "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "together"},
        {"POST /v1/x HTTP/1.1\r\n" HOST "Content-Length: +1\r\n\r\na", "no number"},
        {"POST /v1/x HTTP/1.1\r\n" HOST "Content-Length: 1, 1\r\n\r\na", "no number"},
        {"POST /v1/x HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "other than chunked"},
        {"POST /v1/x HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n1;x=y\r\na\r\n0\r\n\r\n", "chunk size"},
        {"POST /v1/x HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n-1\r\na\r\n0\r\n\r\n", "chunk size"},
        {"POST /v1/x HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n", "chunk"},
        {"POST /v1/x HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n0\r\nA: b\r\n\r\n", "trailer"},
        {"POST /v1/x HTTP/1.1\r\n" HOST "Content-Length: 1\r\n\r\nab", "after the body"},
        {"POST /v1/x HTTP/1.1\r\n" HOST "Content-Type: a\r\nContent-Type: a\r\nContent-Length: 0\r\n\r\n", "two content-type"},
    };

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++) {
        struct buf out;

        buf_init(&out, BUF_UNLIMITED);
        raw_exchange(fixture.simulator_port, rows[i].bytes, strlen(rows[i].bytes), &out);
        assert_contains(&out, "HTTP/1.1 400 ");
        assert_contains(&out, rows[i].says);
        buf_release(&out);
    }
    {
        cJSON *audit = fixture_audit(&fixture);

        assert_int_equal(json_number(audit, "n_violations"), MG_ARRAY_LEN(rows));
        assert_int_equal(json_number(audit, "arrivals"), 0);
        cJSON_Delete(audit);
    }
}

static void test_keep_alive__several_calls__share_a_connection(void **state)
{
    static const char call[] = "POST /v1/x HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab";
    int fd = raw_connect(fixture.simulator_port);
    struct buf out;
    cJSON *audit;

    (void)state;
    buf_init(&out, BUF_UNLIMITED);
    for (int i = 0; i < 3; i++) {
        buf_reset(&out);
        raw_send_text(fd, call);
        assert_true(raw_read(fd, &out, "\"}", 5000) > 0);
        assert_contains(&out, "200 OK");
    }
    close(fd);
    fixture_sim_wait(&fixture, "connections=0");
    audit = fixture_audit(&fixture);
    assert_int_equal(json_number(audit, "connections_opened"), 1);
    assert_int_equal(json_number(audit, "arrivals"), 3);
    cJSON_Delete(audit);
    buf_release(&out);
}

static void test_tls__with_its_own_authority__is_verified(void **state)
{
    struct fixture f = {0};
    const char *more[] = {"--make-certs", f.dir, NULL};
    char url[128], ca[128];
    struct client_call call = {.url = url, .ca_file = ca, .body = "{\"model\":\"gpt-4o\"," HELLO "}"};
    struct client_reply reply;

    (void)state;
    snprintf(f.dir, sizeof f.dir, "/tmp/metergate-test-XXXXXX");
    assert_non_null(mkdtemp(f.dir));
    fixture_start_simulator(&f, "{}", more);
    snprintf(url, sizeof url, "https://localhost:%d/v1/chat/completions", f.simulator_port);
    snprintf(ca, sizeof ca, "%s/ca.pem", f.dir);
    reply = client_run(&call);
    assert_int_equal(reply.error, 0);
    assert_int_equal(reply.status, 200);
    client_reply_release(&reply);
    call.ca_file = NULL;
    reply = client_run(&call);
    assert_int_equal(reply.error, 60);
    client_reply_release(&reply);
    process_signal(f.simulator, SIGTERM);
    assert_int_equal(process_wait_exit(f.simulator, 10000), 0);
    process_free(f.simulator);
    f.simulator = NULL;
    fixture_stop(&f);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, fresh)
    const struct CMUnitTest tests[] = {
        TEST(test_chat__usage__is_exact),
        TEST(test_chat__hello__is_eight_prompt_tokens),
        TEST(test_chat__asked_twice__answers_the_same),
        TEST(test_chat__bad_requests__are_refused_as_openai_does),
        TEST(test_tool__asked_for__is_called),
        TEST(test_embeddings__both_formats__and_usage),
        TEST(test_stream__without_include_usage__says_nothing_of_usage),
        TEST(test_stream__with_include_usage__null_everywhere_and_one_chunk_more),
        TEST(test_stream__text__is_that_of_the_plain_answer),
        TEST(test_stream__framing_faults__change_nothing_that_is_said),
        TEST(test_rolling__a_window__admits_what_fits_and_says_when_more_does),
        TEST(test_rolling__exactly_one_window_later__there_is_room),
        TEST(test_too_large__is_said__with_limit_and_request),
        TEST(test_openai_charging__takes_max_tokens_and_refunds),
        TEST(test_status_faults__as_many_as_asked__with_their_headers),
        TEST(test_broken_answers__are_broken__as_asked),
        TEST(test_gzip__unasked__can_be_decoded),
        TEST(test_stream_error__comes_inside__a_200),
        TEST(test_huge__is_as_long__as_asked),
        TEST(test_unknown_fault__is_an_error),
        TEST(test_hold__waits__until_released),
        TEST(test_stall__in_the_middle__is_an_abort_when_the_client_leaves),
        TEST(test_wait__for_what_does_not_come__is_504),
        TEST(test_audit__notes__what_was_sent),
        TEST(test_arrival__is_when_the_bytes_came__not_when_a_thread_ran),
        TEST(test_api_keys__when_configured__are_asked_for),
        TEST(test_strictness__what_no_proxy_may_send__is_a_violation),
        TEST(test_keep_alive__several_calls__share_a_connection),
        cmocka_unit_test(test_tls__with_its_own_authority__is_verified),
    };
#undef TEST

    return cmocka_run_group_tests_name("simulator", tests, start_simulator, stop_simulator);
}
