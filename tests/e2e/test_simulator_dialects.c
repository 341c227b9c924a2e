/* The simulator's dialects, asked without a daemon: what each says, and how it refuses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <cjson/cJSON.h>

#include "fixture.h"

#define HELLO  "\"messages\":[{\"role\":\"user\",\"content\":\"hello [[out=3]]\"}]"
#define CLAUDE "{\"model\":\"claude-opus-5\",\"max_tokens\":9," HELLO
#define ASK    "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"hello [[out=3]]\"}]}]"

struct row {
    const char *path, *header, *body;
    int status;
    const char *says[4];
};

/* `[[out=3]]` is 3 tokens, and the same words for the same question. */
static const struct row rows[] = {
    {"/v1/messages",
     "anthropic-version: 2023-06-01",
     CLAUDE "}",
     200,
     {"\"type\":\"message\"", "\"output_tokens\":3", "\"stop_reason\":\"end_turn\""}},
    {"/v1/messages",
     "anthropic-version: 2026-10-21",
     CLAUDE ",\"temperature\":1}",
     400,
     {"{\"type\":\"error\",\"error\":{\"type\":\"invalid_request_error\"", "\"request_id\""}},
    {"/v1/messages", "X-None: 1", CLAUDE "}", 400, {"anthropic-version"}},
    {"/v1/messages",
     "anthropic-version: 2023-06-01",
     "{\"model\":\"claude-opus-5\"," HELLO "}",
     400,
     {"max_tokens"}},
    {"/v1/messages",
     "anthropic-version: 2023-06-01",
     CLAUDE ",\"stream\":true}",
     200,
     {"event: message_start\ndata: {\"type\":\"message_start\"", "event: ping", "\"text_delta\"",
      "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"}},
    {"/v1/messages/count_tokens",
     "anthropic-version: 2023-06-01",
     "{\"model\":\"claude-opus-5\"," HELLO "}",
     200,
     {"{\"input_tokens\":"}},
    {"/v1beta/models/gemini-2.5-flash:generateContent",
     "x-goog-api-key: k",
     ASK "}",
     200,
     {"\"finishReason\":\"STOP\"", "\"candidatesTokenCount\":3"}},
    {"/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse",
     "x-goog-api-key: k",
     ASK "}",
     200,
     {"data: {\"candidates\"", "\r\n\r\ndata: "}},
    {"/v1beta/models/gemini-2.5-flash:streamGenerateContent",
     "x-goog-api-key: k",
     ASK "}",
     200,
     {"[{\"candidates\"", ",\r\n{\"candidates\""}},
    {"/v1beta/models/gemini-2.5-flash:countTokens", "x-goog-api-key: k", ASK "}", 200, {"{\"totalTokens\":"}},
    {"/v1beta/models/e:batchEmbedContents",
     "x-goog-api-key: k",
     "{\"requests\":[{\"content\":{\"parts\":[{\"text\":\"a\"}]}},{\"content\":{\"parts\":[{\"text\":\"b\"}]}"
     "}]}",
     200,
     {"{\"embeddings\":[{\"values\":", ",{\"values\":"}},
    {"/v1beta/models/gemini-2.5-flash:generateContent",
     "x-goog-api-key: k",
     "no JSON",
     400,
     {"{\"error\":{\"code\":400,\"message\":", "\"status\":\"INVALID_ARGUMENT\""}},
    {"/v1/responses",
     "X-None: 1",
     "{\"model\":\"gpt-5\",\"input\":\"hello [[out=3]]\"}",
     200,
     {"\"object\":\"response\"", "\"output_tokens\":3", "\"type\":\"output_text\""}},
    {"/v1/responses",
     "X-None: 1",
     "{\"model\":\"gpt-5\",\"input\":\"hello\",\"stream\":true}",
     200,
     {"event: response.created\n", "event: response.output_text.delta\n", "event: response.completed\n"}},
    {"/v1/responses",
     "X-None: 1",
     "{\"model\":\"gpt-5\",\"input\":\"x\",\"previous_response_id\":\"resp_none\"}",
     400,
     {"previous_response_not_found"}},
    {"/v1/completions",
     "X-None: 1",
     "{\"model\":\"davinci-002\",\"prompt\":[\"a\",\"b\"],\"max_tokens\":2}",
     200,
     {"\"index\":1", "\"completion_tokens\":4"}},
    {"/openai/deployments/mine/chat/completions?api-version=2024-10-21",
     "api-key: k",
     "{" HELLO "}",
     200,
     {"\"model\":\"mine\"", "\"completion_tokens\":3"}},
    {"/v1/audio/transcriptions",
     "Content-Type: multipart/form-data; boundary=X",
     "--X\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nwhisper-1\r\n--X--\r\n",
     200,
     {"{\"text\":"}},
    {"/v1/images/generations",
     "X-None: 1",
     "{\"model\":\"gpt-image-1\",\"prompt\":\"a\"}",
     200,
     {"b64_json"}},
    {"/api/chat",
     "X-None: 1",
     "{\"model\":\"llama3\"," HELLO "}",
     200,
     {"\"done\":false}\n", "\"eval_count\":3}\n"}},
};

static struct client_reply ask(const struct fixture *f, const char *path, const char *header,
                               const char *body)
{
    const char *const headers[] = {"Authorization: Bearer k", header, NULL};
    char url[256];

    snprintf(url, sizeof url, "%s%s", f->simulator_url, path);
    return client_run(&(struct client_call){.url = url, .headers = headers, .body = body});
}

static void test_each_dialect__says_what_its_provider_says(void **state)
{
    struct fixture f = {0};

    (void)state;
    fixture_start_simulator(&f, NULL, NULL);
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++) {
        struct client_reply r = ask(&f, rows[i].path, rows[i].header, rows[i].body);
        struct client_reply again = ask(&f, rows[i].path, rows[i].header, rows[i].body);

        if (r.status != rows[i].status)
            fail_msg("%s: %d %s", rows[i].path, r.status, r.body.n ? r.body.p : "");
        for (size_t k = 0; k < MG_ARRAY_LEN(rows[i].says) && rows[i].says[k]; k++)
            if (!strstr(r.body.p, rows[i].says[k]))
                fail_msg("%s: no %s in %s", rows[i].path, rows[i].says[k], r.body.p);
        assert_true(slice_eq(buf_slice(&r.body), buf_slice(&again.body)));
        client_reply_release(&r);
        client_reply_release(&again);
    }
    fixture_stop(&f);
}

static void test_each_dialect__takes_its_own_credential_alone(void **state)
{
    static const struct {
        const char *path, *header;
        int status;
    } keys[] = {
        {"/v1/messages", "x-api-key: sk-good", 200},
        {"/v1/messages", "Authorization: Bearer sk-good", 200},
        {"/v1/messages", "x-api-key: sk-bad", 401},
        {"/v1beta/models/g:generateContent", "x-goog-api-key: sk-good", 200},
        {"/v1beta/models/g:generateContent?key=sk-good", "X-None: 1", 200},
        {"/v1beta/models/g:generateContent", "X-None: 1", 401},
        {"/openai/deployments/d/chat/completions", "api-key: sk-good", 200},
        {"/openai/deployments/d/chat/completions", "api-key: sk-bad", 401},
    };
    struct fixture f = {0};

    (void)state;
    fixture_start_simulator(&f, "{\"api_keys\":[\"sk-good\"]}", NULL);
    for (size_t i = 0; i < MG_ARRAY_LEN(keys); i++) {
        const char *const headers[] = {keys[i].header, "anthropic-version: 2023-06-01", NULL};
        const char *body = strstr(keys[i].path, "messages")      ? CLAUDE "}"
                           : strstr(keys[i].path, "deployments") ? "{" HELLO "}"
                                                                 : ASK "}";
        struct client_reply r;
        char url[256];

        snprintf(url, sizeof url, "%s%s", f.simulator_url, keys[i].path);
        r = client_run(&(struct client_call){.url = url,
                                             .headers = strstr(keys[i].path, "messages")
                                                            ? headers
                                                            : (const char *const[]){keys[i].header, NULL},
                                             .body = body});
        if (r.status != keys[i].status)
            fail_msg("%s with %s: %d", keys[i].path, keys[i].header, r.status);
        client_reply_release(&r);
    }
    fixture_stop(&f);
}

static void test_each_dialect__refuses_in_its_own_words(void **state)
{
    static const struct {
        const char *path, *header, *body;
        const char *in_head, *in_body;
    } limits[] = {
        {"/v1/messages", "anthropic-version: 2023-06-01", CLAUDE "}",
         "anthropic-ratelimit-requests-limit: 1\r\n", "\"type\":\"rate_limit_error\""},
        {"/v1beta/models/g:generateContent", "x-goog-api-key: k", ASK "}", "application/json",
         "\"retryDelay\":\""},
        {"/openai/deployments/d/chat/completions", "api-key: k", "{" HELLO "}",
         "retry-after-ms: ", "\"code\":\"429\""},
    };
    struct fixture f = {0};

    (void)state;
    fixture_start_simulator(&f, "{\"models\":{\"*\":{\"rpm\":1}}}", NULL);
    for (size_t i = 0; i < MG_ARRAY_LEN(limits); i++) {
        struct client_reply first = ask(&f, limits[i].path, limits[i].header, limits[i].body);
        struct client_reply r = ask(&f, limits[i].path, limits[i].header, limits[i].body);

        assert_int_equal(first.status, 200);
        assert_int_equal(r.status, 429);
        if (!strstr(r.head.p, limits[i].in_head) || !strstr(r.body.p, limits[i].in_body))
            fail_msg("%s: %s%s", limits[i].path, r.head.p, r.body.p);
        client_reply_release(&first);
        client_reply_release(&r);
    }
    fixture_stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_dialect__says_what_its_provider_says),
        cmocka_unit_test(test_each_dialect__takes_its_own_credential_alone),
        cmocka_unit_test(test_each_dialect__refuses_in_its_own_words),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
