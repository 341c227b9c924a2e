/* dialects: what requests of each say and cost, and the usage in answers of each. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "metergate/dialect/anthropic.h"
#include "metergate/dialect/answer.h"
#include "metergate/dialect/azure.h"
#include "metergate/dialect/gemini.h"
#include "metergate/dialect/ollama.h"
#include "metergate/dialect/openai.h"
#include "metergate/gate/profile.h"

/* ---- which endpoint ---- */

static void test_classify__each_dialect(void **state)
{
    static const struct {
        const struct dialect *d;
        const char *method, *path;
        enum endpoint endpoint;
    } rows[] = {
        {&dialect_anthropic, "POST", "/v1/messages", ENDPOINT_MESSAGES},
        {&dialect_anthropic, "POST", "/messages", ENDPOINT_MESSAGES},
        {&dialect_anthropic, "POST", "/v1/messages/count_tokens", ENDPOINT_PASSED},
        {&dialect_anthropic, "POST", "/v1/messages/batches", ENDPOINT_PASSED},
        {&dialect_anthropic, "GET", "/v1/messages", ENDPOINT_PASSED},
        {&dialect_gemini, "POST", "/v1beta/models/gemini-2.5-flash:generatecontent", ENDPOINT_GENERATE},
        {&dialect_gemini, "POST", "/v1beta/models/gemini-2.5-flash:streamgeneratecontent", ENDPOINT_GENERATE},
        {&dialect_gemini, "POST", "/v1alpha/models/e:embedcontent", ENDPOINT_EMBED},
        {&dialect_gemini, "POST", "/v1beta/models/e:batchembedcontents", ENDPOINT_EMBED},
        {&dialect_gemini, "POST", "/v1beta/models/imagen-4:predict", ENDPOINT_INVOKE},
        {&dialect_gemini, "POST", "/v1beta/models/gemini-2.5-flash:counttokens", ENDPOINT_PASSED},
        {&dialect_gemini, "GET", "/v1beta/models", ENDPOINT_PASSED},
        {&dialect_azure, "POST", "/openai/deployments/mine/chat/completions", ENDPOINT_CHAT},
        {&dialect_azure, "POST", "/openai/v1/responses", ENDPOINT_RESPONSES},
        {&dialect_ollama, "POST", "/api/chat", ENDPOINT_INVOKE},
        {&dialect_ollama, "POST", "/api/embed", ENDPOINT_INVOKE},
        {&dialect_ollama, "POST", "/api/pull", ENDPOINT_PASSED},
    };

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++)
        if (rows[i].d->classify(slice_str(rows[i].method), slice_str(rows[i].path)) != rows[i].endpoint)
            fail_msg("%s %s", rows[i].method, rows[i].path);
    assert_ptr_equal(dialect_spoken(&dialect_gemini, SLICE("/v1beta/openai/chat/completions")),
                     &dialect_openai);
    assert_ptr_equal(dialect_spoken(&dialect_gemini, SLICE("/v1beta/models/x:generatecontent")),
                     &dialect_gemini);
    assert_ptr_equal(dialect_spoken(&dialect_ollama, SLICE("/v1/chat/completions")), &dialect_openai);
    assert_ptr_equal(dialect_spoken(&dialect_ollama, SLICE("/api/chat")), &dialect_ollama);
    assert_ptr_equal(dialect_spoken(&dialect_azure, SLICE("/openai/v1/responses")), &dialect_azure);
}

/* ---- requests ---- */

struct request_row {
    const struct dialect *d;
    enum endpoint endpoint;
    const char *path, *body, *model;
    bool stream;
    int64_t max_tokens, n;
    int64_t tokens; /* -1: nothing to count */
    bool exact;
};

static const struct request_row requests[] = {
    {&dialect_openai, ENDPOINT_EMBEDDINGS, "/v1/embeddings",
     "{\"model\":\"text-embedding-3-small\",\"input\":\"hello world\"}", "text-embedding-3-small", false, 0,
     1, 2, true},
    {&dialect_openai, ENDPOINT_EMBEDDINGS, "/v1/embeddings",
     "{\"model\":\"text-embedding-3-small\",\"input\":[\"hello world\",\"hello\"]}", "text-embedding-3-small",
     false, 0, 1, 3, true},
    {&dialect_openai, ENDPOINT_EMBEDDINGS, "/v1/embeddings",
     "{\"model\":\"text-embedding-3-small\",\"input\":[[1,2,3],[4,5]]}", "text-embedding-3-small", false, 0,
     1, 5, true},
    {&dialect_openai, ENDPOINT_EMBEDDINGS, "/v1/embeddings", "{\"model\":\"m\"}", "m", false, 0, 1, -1,
     false},
    {&dialect_openai, ENDPOINT_COMPLETIONS, "/v1/completions",
     "{\"model\":\"davinci-002\",\"prompt\":\"hello world\",\"max_tokens\":7,\"n\":2,\"best_of\":3}",
     "davinci-002", false, 7, 3, 2, true},
    {&dialect_openai, ENDPOINT_COMPLETIONS, "/v1/completions",
     "{\"model\":\"davinci-002\",\"prompt\":[\"hello\",\"world\"],\"n\":2,\"stream\":true}", "davinci-002",
     true, 0, 4, 2, true},
    {&dialect_openai, ENDPOINT_COMPLETIONS, "/v1/completions",
     "{\"model\":\"davinci-002\",\"prompt\":[9,8,7]}", "davinci-002", false, 0, 1, 3, true},
    /* "hello world" is 2; a message 3, its role 1, the priming 3 */
    {&dialect_openai, ENDPOINT_RESPONSES, "/v1/responses",
     "{\"model\":\"gpt-4o\",\"input\":\"hello world\",\"max_output_tokens\":50}", "gpt-4o", false, 50, 1, 8,
     false},
    {&dialect_openai, ENDPOINT_RESPONSES, "/v1/responses",
     "{\"model\":\"gpt-4o\",\"input\":[{\"role\":\"user\",\"content\":[{\"type\":\"input_text\",\"text\":"
     "\"hello "
     "world\"}]}],\"instructions\":\"hello world\"}",
     "gpt-4o", false, 0, 1, 14, false},
    {&dialect_anthropic, ENDPOINT_MESSAGES, "/v1/messages",
     "{\"model\":\"claude-sonnet-4-5\",\"max_tokens\":64,\"stream\":true,\"messages\":[{\"role\":\"user\","
     "\"content\":\"hello world\"}]}",
     "claude-sonnet-4-5", true, 64, 1, 10, false}, /* (3 + 1 + 2) x 1.2 + 3 */
    {&dialect_anthropic, ENDPOINT_MESSAGES, "/v1/messages",
     "{\"model\":\"claude-sonnet-4-5\",\"system\":[{\"type\":\"text\",\"text\":\"hello "
     "world\",\"cache_control\":{\"type\":\"ephemeral\"}}],\"messages\":[{\"role\":\"user\",\"content\":[{"
     "\"type\":"
     "\"text\",\"text\":\"hello world\"},{\"type\":\"image\",\"source\":{\"type\":\"base64\",\"media_type\":"
     "\"image/png\",\"data\":\"AAAA\"}}]}]}",
     "claude-sonnet-4-5", false, 0, 1, 16 + 1568, false}, /* (6 + 5) x 1.2 + 3 */
    {&dialect_gemini, ENDPOINT_GENERATE, "/v1beta/models/gemini-2.5-flash:streamGenerateContent",
     "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"hello world\"}]}],\"generation_config\":{"
     "\"max_output_tokens\":33,\"candidateCount\":2}}",
     "gemini-2.5-flash", true, 33, 2, 10, false}, /* (3 + 1 + 2) x 1.1 + 3 */
    /* the data before its type, the slash escaped; 1024 x 768 is two tiles */
    {&dialect_gemini, ENDPOINT_GENERATE, "/v1beta/models/gemini-2.5-flash:generateContent",
     "{\"contents\":[{\"parts\":[{\"inlineData\":{\"data\":\"iVBORw0KGgoAAAANSUhEUgAABAAAAAMACAYAAAA=\",\"mimeType\":\"image\\/"
     "png\"}}]}]}",
     "gemini-2.5-flash", false, 0, 1, 3 + 516 + 3, false},
    {&dialect_gemini, ENDPOINT_GENERATE, "/v1beta/models/gemini-2.5-flash:generateContent",
     "{\"contents\":[{\"parts\":[{\"inline_data\":{\"data\":\"UklGRgAAAABXQVZFZm10IBAAAAABAAEAQB8AABAAAAAAAAAA\",\"mime_type\":"
     "\"audio/wav\"}}]}]}",
     "gemini-2.5-flash", false, 0, 1, 3 + 72 + 3, false}, /* 36 bytes at 16 a second: 2.25 s */
    {&dialect_anthropic, ENDPOINT_MESSAGES, "/v1/messages",
     "{\"model\":\"claude-sonnet-4-5\",\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"document\",\"title\":\"an image\","
     "\"source\":{\"type\":\"text\",\"data\":\"hello world\",\"media_type\":\"text/plain\"}}]}]}",
     "claude-sonnet-4-5", false, 0, 1, 13, false}, /* (3 + 1 + 2 + 2) x 1.2 + 3 */
    {&dialect_gemini, ENDPOINT_GENERATE, "/prefix/v1beta/tunedModels/my%2Dtune:generateContent",
     "{\"contents\":[]}", "my-tune", false, 0, 1, 3, false},
    {&dialect_gemini, ENDPOINT_EMBED, "/v1beta/models/gemini-embedding-001:embedContent",
     "{\"content\":{\"parts\":[{\"text\":\"hello world\"}]}}", "gemini-embedding-001", false, 0, 1, 2, false},
    {&dialect_gemini, ENDPOINT_EMBED, "/v1beta/models/gemini-embedding-001:batchEmbedContents",
     "{\"requests\":[{\"content\":{\"parts\":[{\"text\":\"hello world\"}]}}]}", "gemini-embedding-001", false,
     0, 1, 6, false},
    {&dialect_azure, ENDPOINT_CHAT, "/openai/deployments/My-4o/chat/completions",
     "{\"model\":\"ignored\",\"messages\":[]}", "My-4o", false, 0, 1, 3, false},
    {&dialect_azure, ENDPOINT_CHAT, "/openai/deployments/My-4o/chat/completions", "{\"messages\":[]}",
     "My-4o", false, 0, 1, 3, false},
    {&dialect_azure, ENDPOINT_RESPONSES, "/openai/v1/responses",
     "{\"model\":\"gpt-4o\",\"input\":\"hello world\"}", "gpt-4o", false, 0, 1, 8, false},
    {&dialect_ollama, ENDPOINT_INVOKE, "/api/chat", "{\"model\":\"llama3\",\"messages\":[]}", "llama3", false,
     0, 1, 0, true},
    {&dialect_openai, ENDPOINT_INVOKE, "/v1/images/generations",
     "{\"model\":\"gpt-image-1\",\"prompt\":\"a cat\"}", "gpt-image-1", false, 0, 1, 0, true},
};

static void check_request(const struct request_row *row)
{
    const struct dialect_input in = {
        .endpoint = row->endpoint, .path = slice_str(row->path), .body = slice_str(row->body)};
    struct dialect_request r;
    struct request_count c;
    const char *why = "";
    int rc;

    if (row->d->read(&in, &r, &why) != 0)
        fail_msg("%s %s: %s", row->path, row->body, why);
    assert_string_equal(r.model, row->model);
    assert_int_equal(r.endpoint, row->endpoint);
    assert_int_equal(r.stream, row->stream);
    assert_int_equal(r.max_tokens, row->max_tokens);
    assert_int_equal(r.n, row->n);
    rc = row->d->count(in.body, &r, &c);
    if (row->tokens < 0) {
        assert_int_equal(rc, -EBADMSG);
        return;
    }
    assert_int_equal(rc, 0);
    if (c.input_tokens != row->tokens || c.parts.exact != row->exact)
        fail_msg("%s: counted %d, exact %d", row->body, (int)c.input_tokens, c.parts.exact);
}

static void test_requests__each_dialect(void **state)
{
    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(requests); i++)
        check_request(&requests[i]);
}

static void test_requests__that_cannot_be_read__still_say_the_model_of_their_path(void **state)
{
    static const struct {
        const struct dialect *d;
        enum endpoint endpoint;
        const char *path, *body, *model;
    } rows[] = {
        {&dialect_gemini, ENDPOINT_GENERATE, "/v1beta/models/gemini-x:generateContent", "not json",
         "gemini-x"},
        {&dialect_azure, ENDPOINT_CHAT, "/openai/deployments/mine/chat/completions", "", "mine"},
        {&dialect_azure, ENDPOINT_CHAT, "/openai/v1/chat/completions", "{\"messages\":[]}", ""},
        {&dialect_anthropic, ENDPOINT_MESSAGES, "/v1/messages", "{\"messages\":[]}", ""},
        {&dialect_openai, ENDPOINT_RESPONSES, "/v1/responses", "{\"prompt\":{\"id\":\"pmpt_1\"}}", ""},
    };
    struct dialect_request r;
    const char *why;

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++) {
        const struct dialect_input in = {
            .endpoint = rows[i].endpoint, .path = slice_str(rows[i].path), .body = slice_str(rows[i].body)};

        why = NULL;
        assert_int_equal(rows[i].d->read(&in, &r, &why), -EBADMSG);
        assert_non_null(why);
        assert_string_equal(r.model, rows[i].model);
        assert_int_equal(r.endpoint, rows[i].endpoint);
    }
}

static void test_responses__what_they_refer_to(void **state)
{
    static const struct {
        const char *body;
        enum reference reference;
        const char *id;
        bool background;
    } rows[] = {
        {"{\"model\":\"m\",\"input\":\"x\"}", REFERENCE_NONE, "", false},
        {"{\"model\":\"m\",\"previous_response_id\":null,\"conversation\":null}", REFERENCE_NONE, "", false},
        {"{\"model\":\"m\",\"previous_response_id\":\"resp_1\"}", REFERENCE_RESPONSE, "resp_1", false},
        {"{\"model\":\"m\",\"conversation\":\"conv_1\"}", REFERENCE_CONVERSATION, "conv_1", false},
        {"{\"model\":\"m\",\"conversation\":{\"id\":\"conv_2\"}}", REFERENCE_CONVERSATION, "conv_2", false},
        {"{\"model\":\"m\",\"prompt\":{\"id\":\"pmpt_1\",\"version\":\"2\"},\"background\":true}",
         REFERENCE_PROMPT, "pmpt_1", true},
    };
    struct dialect_request r;
    const char *why;

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++) {
        const struct dialect_input in = {.endpoint = ENDPOINT_RESPONSES, .body = slice_str(rows[i].body)};

        assert_int_equal(dialect_openai.read(&in, &r, &why), 0);
        assert_int_equal(r.reference, rows[i].reference);
        assert_string_equal(r.refers_to, rows[i].id);
        assert_int_equal(r.background, rows[i].background);
    }
}

static void test_forms__name_their_model_in_a_part(void **state)
{
    static const struct {
        const char *type, *body, *model;
    } rows[] = {
        {"multipart/form-data; boundary=XX",
         "--XX\r\nContent-Disposition: form-data; name=\"file\"; filename=\"model\"\r\n\r\nmodel\r\n--XX\r\n"
         "content-disposition: form-data; name=\"model\"\r\n\r\nwhisper-1\r\n--XX--\r\n",
         "whisper-1"},
        {"multipart/form-data; boundary=\"a b\"",
         "preamble\r\n--a b\r\nContent-Disposition: form-data; name=model\r\n\r\ngpt-image-1\r\n--a b--",
         "gpt-image-1"},
        {"multipart/form-data; boundary=XX",
         "--XX\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nwhisper", ""},
        {"multipart/form-data; boundary=XX", "--XX--", ""},
        {"multipart/form-data; boundary=XX", "--XX\r\n--XX\r\n\r\n--XX", ""},
        {"multipart/form-data; boundary=XX", "", ""},
        {"multipart/form-data", "--\r\n", ""},
    };
    struct dialect_request r;
    const char *why;

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++) {
        const struct dialect_input in = {.endpoint = ENDPOINT_INVOKE,
                                         .content_type = slice_str(rows[i].type),
                                         .body = slice_str(rows[i].body)};
        int rc = dialect_openai.read(&in, &r, &why);

        assert_string_equal(r.model, rows[i].model);
        assert_int_equal(rc, rows[i].model[0] ? 0 : -EBADMSG);
    }
}

/* ---- answers ---- */

static const struct answer_row {
    const struct dialect *d;
    const char *type, *body;
    struct usage usage;
    bool complete;
    const char *id, *error;
} answers[] = {
    {&dialect_openai,
     "application/json",
     "{\"object\":\"list\",\"data\":[{\"embedding\":[0.1,0.2]}],\"usage\":{\"prompt_tokens\":8,\"total_"
     "tokens\":8}}",
     {.input = 8},
     true,
     NULL,
     NULL},
    {&dialect_openai,
     "application/json",
     "{\"id\":\"resp_1\",\"error\":null,\"output\":[],\"usage\":{\"input_tokens\":36,\"input_tokens_"
     "details\":{"
     "\"cached_tokens\":4},\"output_tokens\":87,\"output_tokens_details\":{\"reasoning_tokens\":9}}}",
     {.input = 36, .cached = 4, .output = 87, .reasoning = 9},
     true,
     "resp_1",
     NULL},
    {&dialect_openai,
     "text/event-stream",
     "event: response.created\ndata: "
     "{\"type\":\"response.created\",\"response\":{\"id\":\"resp_2\",\"usage\":null,"
     "\"error\":null}}\n\nevent: response.output_text.delta\ndata: "
     "{\"type\":\"response.output_text.delta\",\"delta\":"
     "\"hi\"}\n\nevent: response.completed\ndata: "
     "{\"type\":\"response.completed\",\"response\":{\"id\":\"resp_2\","
     "\"error\":null,\"usage\":{\"input_tokens\":3,\"output_tokens\":4}}}\n\n",
     {.input = 3, .output = 4},
     true,
     "resp_2",
     NULL},
    {&dialect_openai,
     "text/event-stream",
     "event: response.failed\ndata: "
     "{\"type\":\"response.failed\",\"response\":{\"id\":\"resp_3\",\"error\":{\"code\":"
     "\"rate_limit_exceeded\",\"message\":\"m\"},\"usage\":{\"input_tokens\":3,\"output_tokens\":0}}}\n\n",
     {.input = 3},
     true,
     "resp_3",
     "rate_limit_exceeded"},
    {&dialect_anthropic,
     "application/json",
     "{\"type\":\"message\",\"content\":[{\"type\":\"text\",\"text\":\"hi\"}],\"usage\":{\"input_tokens\":10,"
     "\"cache_creation_input_tokens\":20,\"cache_read_input_tokens\":30,\"output_tokens\":5,\"output_tokens_"
     "details\":{"
     "\"thinking_tokens\":2}}}",
     {.input = 60, .cached = 30, .cache_write = 20, .output = 5, .reasoning = 2},
     true,
     NULL,
     NULL},
    {&dialect_anthropic,
     "text/event-stream",
     "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":10,"
     "\"cache_read_input_tokens\":30,\"cache_creation_input_tokens\":20,\"output_tokens\":1}}}\n\n"
     "event: ping\ndata: {\"type\": \"ping\"}\n\n"
     "event: content_block_delta\ndata: "
     "{\"type\":\"content_block_delta\",\"delta\":{\"type\":\"text_delta\",\"text\":"
     "\"hello\"}}\n\n"
     "event: message_delta\ndata: {\"type\":\"message_delta\",\"usage\":{\"output_tokens\":7}}\n\n"
     "event: message_delta\ndata: "
     "{\"type\":\"message_delta\",\"usage\":{\"input_tokens\":11,\"cache_read_input_tokens\":"
     "null,\"output_tokens\":15}}\n\n"
     "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
     {.input = 61, .cached = 30, .cache_write = 20, .output = 15},
     true,
     NULL,
     NULL},
    {&dialect_anthropic,
     "text/event-stream",
     "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":10,"
     "\"output_tokens\":1}}}\n\n"
     "event: error\ndata: "
     "{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n",
     {.input = 10, .output = 1},
     false,
     NULL,
     "overloaded_error"},
    {&dialect_gemini,
     "application/json",
     "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"hi\"}]},\"finishReason\":\"STOP\"}],"
     "\"usageMetadata\":{"
     "\"promptTokenCount\":9,\"cachedContentTokenCount\":4,\"candidatesTokenCount\":5,\"thoughtsTokenCount\":"
     "6,"
     "\"toolUsePromptTokenCount\":1,\"totalTokenCount\":21}}",
     {.input = 10, .cached = 4, .output = 11, .reasoning = 6},
     true,
     NULL,
     NULL},
    {&dialect_gemini,
     "application/json",
     "[{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"h\"}]}}],\"usageMetadata\":{"
     "\"promptTokenCount\":9,"
     "\"candidatesTokenCount\":1}}\n,\r\n{\"usageMetadata\":{\"promptTokenCount\":9,\"candidatesTokenCount\":"
     "3}}]",
     {.input = 9, .output = 3},
     true,
     NULL,
     NULL},
    {&dialect_gemini,
     "text/event-stream",
     "data: "
     "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"h\"}]}}],\"usageMetadata\":{\"promptTokenCount\":"
     "9}}"
     "\r\n\r\ndata: {\"candidates\":[{\"finishReason\":\"STOP\"}],\"usageMetadata\":{\"promptTokenCount\":9,"
     "\"candidatesTokenCount\":3}}\r\n\r\n",
     {.input = 9, .output = 3},
     true,
     NULL,
     NULL},
    {&dialect_ollama,
     "application/x-ndjson",
     "{\"message\":{\"content\":\"h\"},\"done\":false}\n{\"done\":true,\"prompt_eval_count\":26,\"eval_"
     "count\":29}\n",
     {.input = 26, .output = 29},
     true,
     NULL,
     NULL},
};

static void check_answer(const struct answer_row *row, size_t step)
{
    const struct answer_conf conf = {
        .dialect = row->d, .model = "m", .stream = true, .content_type = slice_str(row->type)};
    struct answer *a = answer_new(&conf);
    struct slice in = slice_str(row->body);
    struct usage u = {0};

    for (; in.n; in = slice_skip(in, step))
        assert_int_equal(answer_feed(a, slice_head(in, step), NULL), 0);
    assert_int_equal(answer_finish(a, NULL), 0);
    if (!answer_usage(a, &u) || u.input != row->usage.input || u.cached != row->usage.cached ||
        u.cache_write != row->usage.cache_write || u.cache_write_1h != row->usage.cache_write_1h ||
        u.output != row->usage.output || u.reasoning != row->usage.reasoning || u.tier != TIER_STANDARD)
        fail_msg("%s: %d %d %d %d %d", row->body, (int)u.input, (int)u.cached, (int)u.cache_write,
                 (int)u.output, (int)u.reasoning);
    if (answer_complete(a) != row->complete)
        fail_msg("%s: complete %d", row->body, answer_complete(a));
    if (row->id)
        assert_string_equal(answer_id(a), row->id);
    else
        assert_null(answer_id(a));
    if (row->error) {
        assert_string_equal(answer_error(a), row->error);
        assert_true(answer_error_status(a) == 429 || answer_error_status(a) == 529);
        assert_true(slice_starts(answer_error_object(a), SLICE("{\"")));
    } else {
        assert_null(answer_error(a));
    }
    answer_free(a);
}

static void test_answers__each_dialect__in_any_pieces(void **state)
{
    static const size_t steps[] = {1, 5, 100000};

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(answers); i++)
        for (size_t k = 0; k < MG_ARRAY_LEN(steps); k++)
            check_answer(&answers[i], steps[k]);
}

static void test_answers__their_text__is_counted_when_no_usage_came(void **state)
{
    static const struct {
        const struct dialect *d;
        const char *body;
    } rows[] = {
        {&dialect_openai,
         "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"delta\":"
         "\"hello world\"}\n\n"},
        {&dialect_anthropic,
         "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"delta\":{\"text\":"
         "\"hello\"}}\n\nevent: content_block_delta\ndata: {\"type\":\"content_block_delta\","
         "\"delta\":{\"text\":\" world\"}}\n\n"},
        {&dialect_gemini,
         "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"hello world\"}]}}]}\n\n"},
    };

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++) {
        const struct answer_conf conf = {
            .dialect = rows[i].d, .model = "m", .stream = true, .content_type = SLICE("text/event-stream")};
        struct answer *a = answer_new(&conf);
        struct usage u;

        assert_int_equal(answer_feed(a, slice_str(rows[i].body), NULL), 0);
        assert_int_equal(answer_finish(a, NULL), 0);
        assert_false(answer_usage(a, &u));
        assert_int_equal(answer_counted_output(a), 2);
        assert_int_equal(answer_produced(a), 2); /* 11 bytes */
        assert_false(answer_complete(a));
        answer_free(a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_classify__each_dialect),
        cmocka_unit_test(test_requests__each_dialect),
        cmocka_unit_test(test_requests__that_cannot_be_read__still_say_the_model_of_their_path),
        cmocka_unit_test(test_responses__what_they_refer_to),
        cmocka_unit_test(test_forms__name_their_model_in_a_part),
        cmocka_unit_test(test_answers__each_dialect__in_any_pieces),
        cmocka_unit_test(test_answers__their_text__is_counted_when_no_usage_came),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
