/*
 * endpoints: what a call of each provider's interface is charged, with the answers that the provider gives.
 * What the daemon holds of a budget is read from its status.
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
#include <zlib.h>
#include <zstd.h>

#include "heard.h"

#define JSON "Content-Type: application/json\r\n"

/* Only the limits' names matter: none is ever reached. */
#define CONFIG                                                                                               \
    "upstreams:\n"                                                                                           \
    "  openai: {base_url: $0/v1, counting: openai}\n"                                                        \
    "  anthropic: {base_url: $0}\n"                                                                          \
    "  gemini: {base_url: $0}\n"                                                                             \
    "  azure: {base_url: $0}\n"                                                                              \
    "  ollama: {base_url: $0}\n"                                                                             \
    "models:\n"                                                                                              \
    "  all: {match: [\"*\"], tpm: 1M, itpm: 1M, otpm: 1M, rpm: 1000}\n"

struct taken {
    int64_t tpm, itpm, otpm, rpm;
};

static int64_t figure(const cJSON *limits, const char *metric)
{
    const cJSON *l;

    cJSON_ArrayForEach(l, limits)
    {
        if (strcmp(json_text(l, "metric"), metric) == 0)
            return (int64_t)(json_number(l, "used") + json_number(l, "reserved"));
    }
    fail_msg("no %s", metric);
    return 0;
}

/* What the budget of that upstream holds. All 0 while there is none. */
static struct taken taken(const struct heard *h, const char *upstream)
{
    cJSON *status = fixture_status(&h->f);
    struct taken t = {0};
    const cJSON *b;

    cJSON_ArrayForEach(b, json_at(status, "budgets"))
    {
        const cJSON *limits = json_at(b, "limits");

        if (strcmp(json_text(b, "upstream"), upstream) == 0 && cJSON_GetArraySize(limits) > 0)
            t = (struct taken){figure(limits, "tpm"), figure(limits, "itpm"), figure(limits, "otpm"),
                               figure(limits, "rpm")};
    }
    cJSON_Delete(status);
    return t;
}

struct row {
    const char *line, *headers, *body, *answer, *upstream;
    struct taken cost;
};

static const struct row rows[] = {
    {"POST /v1/embeddings",
     JSON,
     "{\"model\":\"text-embedding-3-small\",\"input\":\"hello\"}",
     "{\"data\":[],\"usage\":{\"prompt_tokens\":8,\"total_tokens\":8}}",
     "openai",
     {8, 8, 0, 1}},
    {"POST /v1/completions",
     JSON,
     "{\"model\":\"davinci-002\",\"prompt\":\"hello\"}",
     "{\"choices\":[{\"text\":\"x\"}],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":7,\"total_"
     "tokens\":12}}",
     "openai",
     {12, 5, 7, 1}},
    {"POST /v1/responses",
     JSON,
     "{\"model\":\"gpt-5\",\"input\":\"hello\"}",
     "{\"id\":\"resp_1\",\"usage\":{\"input_tokens\":36,\"output_tokens\":87,\"total_tokens\":123}}",
     "openai",
     {123, 36, 87, 1}},
    /* one request, whatever usage it reports */
    {"POST /v1/images/generations",
     JSON,
     "{\"model\":\"gpt-image-1\",\"prompt\":\"a cat\"}",
     "{\"data\":[],\"usage\":{\"input_tokens\":10,\"output_tokens\":4000}}",
     "openai",
     {0, 0, 0, 1}},
    {"POST /v1/audio/transcriptions",
     "Content-Type: multipart/form-data; boundary=X\r\n",
     "--X\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nwhisper-1\r\n--X--\r\n",
     "{\"text\":\"hi\"}",
     "openai",
     {0, 0, 0, 1}},
    {"POST /v1/moderations",
     JSON,
     "{\"input\":\"no model at all\"}",
     "{\"results\":[]}",
     "openai",
     {0, 0, 0, 1}},
    /* what passes through costs nothing */
    {"POST /v1/files",
     "Content-Type: application/octet-stream\r\n",
     "bytes",
     "{\"id\":\"file-1\"}",
     "openai",
     {0, 0, 0, 0}},
    {"GET /v1/models", "", NULL, "{\"data\":[]}", "openai", {0, 0, 0, 0}},
    /* a cache read is free of ITPM, and not of money */
    {"POST /v1/messages",
     JSON "anthropic-version: 2023-06-01\r\n",
     "{\"model\":\"claude-sonnet-4-5\",\"max_tokens\":9,\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]"
     "}",
     "{\"type\":\"message\",\"content\":[{\"type\":\"text\",\"text\":\"x\"}],\"usage\":{\"input_tokens\":10,"
     "\"cache_creation_input_tokens\":20,\"cache_read_input_tokens\":1000,\"output_tokens\":5}}",
     "anthropic",
     {35, 30, 5, 1}},
    {"POST /v1/messages/count_tokens",
     JSON "anthropic-version: 2023-06-01\r\n",
     "{\"model\":\"claude-sonnet-4-5\",\"messages\":[]}",
     "{\"input_tokens\":2095}",
     "anthropic",
     {0, 0, 0, 0}},
    {"POST /v1beta/models/gemini-2.5-flash:generateContent",
     JSON "x-goog-api-key: k\r\n",
     "{\"contents\":[{\"parts\":[{\"text\":\"hi\"}]}]}",
     "{\"candidates\":[],\"usageMetadata\":{\"promptTokenCount\":9,\"candidatesTokenCount\":5,"
     "\"thoughtsTokenCount\":6}}",
     "gemini",
     {9, 9, 11, 1}},
    {"POST /v1beta/models/gemini-2.5-flash:streamGenerateContent",
     JSON "x-goog-api-key: k\r\n",
     "{\"contents\":[{\"parts\":[{\"text\":\"hi\"}]}]}",
     "[{\"usageMetadata\":{\"promptTokenCount\":9}},\n{\"usageMetadata\":{\"promptTokenCount\":9,"
     "\"candidatesTokenCount\":4}}]",
     "gemini",
     {9, 9, 4, 1}},
    {"POST /v1beta/models/gemini-embedding-001:embedContent",
     JSON "x-goog-api-key: k\r\n",
     "{\"content\":{\"parts\":[{\"text\":\"hello world\"}]}}",
     "{\"embedding\":{\"values\":[0.1]}}",
     "gemini",
     {2, 2, 0, 1}},
    {"POST /v1beta/openai/chat/completions",
     JSON "x-goog-api-key: k\r\n",
     "{\"model\":\"gemini-2.5-flash\",\"messages\":[]}",
     "{\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":2}}",
     "gemini",
     {7, 7, 2, 1}},
    {"POST /openai/deployments/mine/chat/completions?api-version=2024-10-21",
     JSON "api-key: k\r\n",
     "{\"messages\":[]}",
     "{\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":2}}",
     "azure",
     {9, 7, 2, 1}},
    /* Ollama's own interface is limited by max_concurrent alone */
    {"POST /api/chat",
     JSON,
     "{\"model\":\"llama3\",\"messages\":[]}",
     "{\"done\":true,\"prompt_eval_count\":26,\"eval_count\":29}\n",
     "ollama",
     {0, 0, 0, 0}},
};

static void check_row(struct heard *h, const struct row *row)
{
    struct taken before = taken(h, row->upstream), after;
    struct heard_call c;
    char request[512];

    snprintf(request, sizeof request, "%s HTTP/1.1\r\nAuthorization: Bearer k\r\n%s", row->line,
             row->headers);
    c = heard_json(h, request, row->body, row->answer);
    assert_int_equal(heard_status(&c), 200);
    assert_true(heard_has(&c.reply, row->answer));
    if (row->body)
        assert_true(heard_has(&c.request, row->body));
    heard_release(&c);
    fixture_assert_idle(&h->f);
    after = taken(h, row->upstream);
    if (after.tpm - before.tpm != row->cost.tpm || after.itpm - before.itpm != row->cost.itpm ||
        after.otpm - before.otpm != row->cost.otpm || after.rpm - before.rpm != row->cost.rpm)
        fail_msg("%s: tpm %d, itpm %d, otpm %d, rpm %d", row->line, (int)(after.tpm - before.tpm),
                 (int)(after.itpm - before.itpm), (int)(after.otpm - before.otpm),
                 (int)(after.rpm - before.rpm));
}

static void test_call__of_each_endpoint__costs_what_its_provider_charges(void **state)
{
    struct heard h;

    (void)state;
    heard_start(&h, 1, CONFIG);
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++)
        check_row(&h, &rows[i]);
    heard_stop(&h);
}

/* ---- streams ---- */

static const char anthropic_stream[] =
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
    "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":10,"
    "\"cache_read_input_tokens\":30,\"output_tokens\":1}}}\n\n"
    "event: ping\ndata: {\"type\": \"ping\"}\n\n"
    "event: content_block_delta\ndata: "
    "{\"type\":\"content_block_delta\",\"delta\":{\"type\":\"text_delta\",\"text\":"
    "\"hello\"}}\n\n"
    "event: message_delta\ndata: {\"type\":\"message_delta\",\"usage\":{\"output_tokens\":15}}\n\n"
    "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";

static const char responses_stream[] =
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
    "event: response.created\ndata: "
    "{\"type\":\"response.created\",\"response\":{\"id\":\"resp_s\",\"usage\":null}}\n\n"
    "event: response.completed\ndata: "
    "{\"type\":\"response.completed\",\"response\":{\"id\":\"resp_s\",\"usage\":{"
    "\"input_tokens\":20,\"output_tokens\":30}}}\n\n";

static const char gemini_stream[] =
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
    "data: "
    "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"h\"}]}}],\"usageMetadata\":{\"promptTokenCount\":"
    "9}}"
    "\r\n\r\ndata: {\"candidates\":[{\"finishReason\":\"STOP\"}],\"usageMetadata\":{\"promptTokenCount\":9,"
    "\"candidatesTokenCount\":3}}\r\n\r\n";

static void test_stream__of_each_dialect__passes_unchanged_and_is_settled(void **state)
{
    static const struct {
        const char *line, *body, *answer, *upstream;
        struct taken cost;
    } streams[] = {
        {"POST /v1/messages",
         "{\"model\":\"claude-opus-5\",\"stream\":true,\"max_tokens\":9,\"messages\":[]}",
         anthropic_stream,
         "anthropic",
         {25, 10, 15, 1}},
        {"POST /v1/responses",
         "{\"model\":\"gpt-5\",\"stream\":true,\"input\":\"x\"}",
         responses_stream,
         "openai",
         {50, 20, 30, 1}},
        {"POST /v1beta/models/g:streamGenerateContent?alt=sse",
         "{\"contents\":[]}",
         gemini_stream,
         "gemini",
         {9, 9, 3, 1}},
    };
    struct heard h;

    (void)state;
    heard_start(&h, 1, CONFIG);
    for (size_t i = 0; i < MG_ARRAY_LEN(streams); i++) {
        struct heard_call c;
        struct taken t;
        char request[256];

        snprintf(request, sizeof request, "%s HTTP/1.1\r\n" JSON, streams[i].line);
        c = heard_call(&h, request, streams[i].body, strlen(streams[i].body), streams[i].answer,
                       strlen(streams[i].answer));
        assert_int_equal(heard_status(&c), 200);
        assert_true(heard_has(&c.request, streams[i].body)); /* nothing is spliced in */
        assert_true(heard_has(&c.reply, "event-stream"));
        heard_release(&c);
        fixture_assert_idle(&h.f);
        t = taken(&h, streams[i].upstream);
        if (memcmp(&t, &streams[i].cost, sizeof t) != 0)
            fail_msg("%s: tpm %d, itpm %d, otpm %d, rpm %d", streams[i].line, (int)t.tpm, (int)t.itpm,
                     (int)t.otpm, (int)t.rpm);
    }
    heard_stop(&h);
}

/* ---- what the provider keeps ---- */

/* The Metergate-Estimated-Tokens of a response without output, asked for with this body. */
static int64_t estimate_of(struct heard *h, const char *body, const char *answer)
{
    struct heard_call c = heard_json(h, "POST /v1/responses HTTP/1.1\r\n" JSON, body, answer);
    const char *at;
    int64_t tokens;

    assert_int_equal(heard_status(&c), 200);
    at = strstr(c.reply.p, "Metergate-Estimated-Tokens: ");
    assert_non_null(at);
    tokens = atoll(strchr(at, ' '));
    heard_release(&c);
    return tokens;
}

static void test_response__that_builds_on_another__counts_all_of_that(void **state)
{
    static const char answer[] = "{\"id\":\"resp_7\",\"usage\":{\"input_tokens\":5000,\"output_tokens\":0}}";
    static const char later[] = "{\"id\":\"resp_8\",\"usage\":{\"input_tokens\":9000,\"output_tokens\":0}}";
    struct heard h;
    int64_t alone;

    (void)state;
    heard_start(&h, 1, CONFIG);
    estimate_of(&h, "{\"model\":\"m\",\"input\":\"x\",\"max_output_tokens\":1}", answer);
    alone = estimate_of(&h, "{\"model\":\"m\",\"input\":\"x\",\"max_output_tokens\":1}", answer);
    assert_true(alone < 20);
    assert_int_equal(
        estimate_of(
            &h,
            "{\"model\":\"m\",\"input\":\"x\",\"max_output_tokens\":1,\"previous_response_id\":\"resp_7\"}",
            later),
        alone + 5000);
    assert_int_equal(
        estimate_of(
            &h,
            "{\"model\":\"m\",\"input\":\"x\",\"max_output_tokens\":1,\"previous_response_id\":\"resp_8\"}",
            answer),
        alone + 9000);
    /* not known: by its bytes */
    assert_int_equal(
        estimate_of(
            &h,
            "{\"model\":\"m\",\"input\":\"x\",\"max_output_tokens\":1,\"previous_response_id\":\"resp_x\"}",
            answer),
        (int64_t)sizeof "{\"model\":\"m\",\"input\":\"x\",\"max_output_tokens\":1,\"previous_response_id\":"
                        "\"resp_x\"}" -
            1);
    estimate_of(
        &h, "{\"model\":\"m\",\"input\":\"x\",\"max_output_tokens\":1,\"conversation\":{\"id\":\"conv_1\"}}",
        answer);
    assert_int_equal(
        estimate_of(&h,
                    "{\"model\":\"m\",\"input\":\"x\",\"max_output_tokens\":1,\"conversation\":\"conv_1\"}",
                    later),
        alone + 5000);
    heard_stop(&h);
}

static void test_background__stays_at_its_estimate_until_a_poll_shows_usage(void **state)
{
    static const char body[] =
        "{\"model\":\"m\",\"input\":\"x\",\"background\":true,\"max_output_tokens\":400}";
    struct heard_call c;
    struct taken first;
    struct heard h;

    (void)state;
    heard_start(&h, 1, CONFIG);
    c = heard_json(&h, "POST /v1/responses HTTP/1.1\r\n" JSON, body,
                   "{\"id\":\"resp_b\",\"status\":\"queued\",\"usage\":null,\"output\":[]}");
    assert_int_equal(heard_status(&c), 200);
    heard_release(&c);
    first = taken(&h, "openai");
    assert_true(first.tpm >= 400 && first.tpm < 420);
    c = heard_json(&h, "GET /v1/responses/resp_b HTTP/1.1\r\n", NULL,
                   "{\"id\":\"resp_b\",\"status\":\"in_progress\",\"usage\":null}");
    heard_release(&c);
    assert_int_equal(taken(&h, "openai").tpm, first.tpm);
    c = heard_json(
        &h, "GET /v1/responses/resp_b HTTP/1.1\r\n", NULL,
        "{\"id\":\"resp_b\",\"status\":\"completed\",\"usage\":{\"input_tokens\":11,\"output_tokens\":22}}");
    heard_release(&c);
    assert_int_equal(taken(&h, "openai").tpm, 33);
    assert_int_equal(taken(&h, "openai").rpm, 1);
    heard_stop(&h);
}

/* ---- content codings ---- */

static void pack(const char *coding, const char *text, struct buf *out)
{
    size_t n = strlen(text), room = n + 1000;

    buf_init(out, BUF_UNLIMITED);
    assert_int_equal(buf_reserve(out, room), 0);
    if (strcmp(coding, "zstd") == 0) {
        out->n = ZSTD_compress(out->p, room, text, n, 3);
        assert_false(ZSTD_isError(out->n));
    } else {
        z_stream z = {.next_in = (Bytef *)(uintptr_t)text,
                      .avail_in = (uInt)n,
                      .next_out = (Bytef *)out->p,
                      .avail_out = (uInt)room};

        assert_int_equal(
            deflateInit2(&z, 6, Z_DEFLATED, strcmp(coding, "gzip") == 0 ? 31 : 15, 8, Z_DEFAULT_STRATEGY),
            Z_OK);
        assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
        out->n = room - z.avail_out;
        deflateEnd(&z);
    }
}

static void test_compressed__bodies_and_answers_travel_as_they_came_and_are_read(void **state)
{
    static const char *const codings[] = {"gzip", "deflate", "zstd"};
    static const char chat[] =
        "{\"model\":\"gpt-4o\",\"stream\":true,\"max_tokens\":1,\"messages\":[{\"role\":\"user\","
        "\"content\":\"hello\"}]}";
    static const char events[] =
        "data: {\"choices\":[{\"delta\":{\"content\":\"x\"}}]}\n\ndata: {\"choices\":[],\"usage\":{"
        "\"prompt_tokens\":100,\"completion_tokens\":11}}\n\ndata: [DONE]\n\n";
    struct heard h;

    (void)state;
    heard_start(&h, 1, CONFIG);
    for (size_t i = 0; i < MG_ARRAY_LEN(codings); i++) {
        struct buf body, packed, answer;
        struct heard_call c;
        char request[256];

        pack(codings[i], chat, &body);
        pack(codings[i], events, &packed);
        buf_init(&answer, BUF_UNLIMITED);
        buf_addf(&answer,
                 "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Encoding: "
                 "%s\r\nContent-Length: %zu\r\n"
                 "Connection: close\r\n\r\n",
                 codings[i], packed.n);
        buf_add_slice(&answer, buf_slice(&packed));
        snprintf(request, sizeof request,
                 "POST /v1/chat/completions HTTP/1.1\r\n" JSON "Content-Encoding: %s\r\n", codings[i]);
        c = heard_call(&h, request, body.p, body.n, answer.p, answer.n);
        assert_int_equal(heard_status(&c), 200);
        assert_true(heard_has(&c.reply, "Metergate-Budget: all\r\n"));
        assert_true(heard_has(&c.reply, "Metergate-Estimated-Tokens: 9\r\n")); /* 8 and max_tokens */
        assert_non_null(memmem(c.request.p, c.request.n, body.p, body.n));
        assert_non_null(memmem(c.reply.p, c.reply.n, packed.p, packed.n));
        heard_release(&c);
        fixture_assert_idle(&h.f);
        assert_int_equal(taken(&h, "openai").tpm, 111 * ((int64_t)i + 1));
        buf_release(&answer);
        buf_release(&packed);
        buf_release(&body);
    }
    heard_stop(&h);
}

/* Google names the wait in the body alone. */
static void test_compressed_429__is_read_for_its_wait(void **state)
{
    static const char *const headers[] = {"x-goog-api-key: k", "Content-Type: application/json", NULL};
    struct client_reply r;
    struct fixture f;
    char url[128];

    (void)state;
    fixture_start(&f, "{\"faults\":[{\"fault\":\"status:429,retry_after:2,gzip:1\",\"next\":1}]}",
                  "upstreams:\n  gemini: {base_url: $SIMULATOR}\nmodels:\n  g: {tpm: 1M}\n");
    snprintf(url, sizeof url, "%s/v1beta/models/g:generateContent", f.url);
    r = client_run(&(struct client_call){
        .url = url, .headers = headers, .body = "{\"contents\":[{\"parts\":[{\"text\":\"x\"}]}]}"});
    assert_int_equal(r.status, 200);
    assert_string_equal(client_header(&r, "Metergate-Attempts"), "2");
    assert_true(r.head_us - r.start_us >= 1900000); /* without a named wait it is at most 0.7 s */
    client_reply_release(&r);
    fixture_assert_idle(&f);
    fixture_stop(&f);
}

/* The budget of that upstream has met this model. */
static bool has_met(const struct heard *h, const char *upstream, const char *model)
{
    cJSON *status = fixture_status(&h->f);
    const cJSON *b, *name;
    bool met = false;

    cJSON_ArrayForEach(b, json_at(status, "budgets"))
        cJSON_ArrayForEach(name, json_at(b, "models"))
            met |= strcmp(json_text(b, "upstream"), upstream) == 0 && strcmp(name->valuestring, model) == 0;
    cJSON_Delete(status);
    return met;
}

static void test_body_that_cannot_be_read__is_forwarded_and_charged_by_its_bytes(void **state)
{
    static const struct {
        const char *line, *headers, *body, *upstream, *model;
    } bodies[] = {
        {"POST /v1/chat/completions", JSON, "{\"model\":\"gpt-4o\",\"messages\":[", "openai", "*"},
        {"POST /v1/responses", JSON, "{\"prompt\":{\"id\":\"pmpt_1\"},\"x\":\"0123456789\"}", "openai", "*"},
        {"POST /v1/chat/completions", JSON "Content-Encoding: br\r\n", "0123456789", "openai", "*"},
        {"POST /v1/chat/completions", JSON "Content-Encoding: gzip\r\n", "0123456789", "openai", "*"},
        {"POST /v1beta/models/gemini-x:generateContent", JSON, "not JSON at all", "gemini", "gemini-x"},
        {"POST /openai/deployments/mine/chat/completions", JSON "api-key: k\r\n", "not JSON at all", "azure",
         "mine"},
        {"POST /v1beta/models/gemini-y:generateContent", JSON "Content-Encoding: br\r\n", "0123456789", "gemini",
         "gemini-y"},
        {"POST /openai/deployments/theirs/chat/completions", JSON "Content-Encoding: gzip\r\n", "0123456789", "azure",
         "theirs"},
    };
    struct heard h;

    (void)state;
    heard_start(&h, 1, CONFIG);
    for (size_t i = 0; i < MG_ARRAY_LEN(bodies); i++) {
        static const char answer[] =
            "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        int64_t before = taken(&h, bodies[i].upstream).itpm;
        struct heard_call c;
        char request[256];

        snprintf(request, sizeof request, "%s HTTP/1.1\r\n%s", bodies[i].line, bodies[i].headers);
        c = heard_call(&h, request, bodies[i].body, strlen(bodies[i].body), answer, sizeof answer - 1);
        assert_int_equal(heard_status(&c), 400);
        assert_true(heard_has(&c.request, bodies[i].body));
        heard_release(&c);
        fixture_assert_idle(&h.f);
        assert_int_equal(taken(&h, bodies[i].upstream).itpm - before, (int64_t)strlen(bodies[i].body));
        if (strcmp(bodies[i].model, "*") != 0 && !has_met(&h, bodies[i].upstream, bodies[i].model))
            fail_msg("%s: not charged to its model", bodies[i].line);
    }
    heard_stop(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_call__of_each_endpoint__costs_what_its_provider_charges),
        cmocka_unit_test(test_stream__of_each_dialect__passes_unchanged_and_is_settled),
        cmocka_unit_test(test_response__that_builds_on_another__counts_all_of_that),
        cmocka_unit_test(test_background__stays_at_its_estimate_until_a_poll_shows_usage),
        cmocka_unit_test(test_compressed__bodies_and_answers_travel_as_they_came_and_are_read),
        cmocka_unit_test(test_compressed_429__is_read_for_its_wait),
        cmocka_unit_test(test_body_that_cannot_be_read__is_forwarded_and_charged_by_its_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
