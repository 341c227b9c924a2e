/*
 * fuzz_dialects: any request and any answer of each dialect is read without harm, and within its bounds. The
 * first byte picks the dialect and what it is given: `0` to `9` a request of that row, `a` to `e` a stream,
 * `A` to `E` a plain answer, `f` a form. Answers come in pieces of every size up to 7.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "metergate/dialect/anthropic.h"
#include "metergate/dialect/answer.h"
#include "metergate/dialect/azure.h"
#include "metergate/dialect/gemini.h"
#include "metergate/dialect/guess.h"
#include "metergate/dialect/ollama.h"
#include "metergate/dialect/openai.h"
#include "metergate/gate/profile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static const struct dialect *const dialects[] = {&dialect_openai, &dialect_anthropic, &dialect_gemini,
                                                 &dialect_azure, &dialect_ollama};

static const struct {
    const struct dialect *dialect;
    enum endpoint endpoint;
    const char *path;
} rows[] = {
    {&dialect_openai, ENDPOINT_COMPLETIONS, "/v1/completions"},
    {&dialect_openai, ENDPOINT_EMBEDDINGS, "/v1/embeddings"},
    {&dialect_openai, ENDPOINT_RESPONSES, "/v1/responses"},
    {&dialect_openai, ENDPOINT_INVOKE, "/v1/images/generations"},
    {&dialect_anthropic, ENDPOINT_MESSAGES, "/v1/messages"},
    {&dialect_gemini, ENDPOINT_GENERATE, "/v1beta/models/g%2d2:streamGenerateContent"},
    {&dialect_gemini, ENDPOINT_EMBED, "/v1beta/models/g:batchEmbedContents"},
    {&dialect_azure, ENDPOINT_CHAT, "/openai/deployments/mine/chat/completions"},
    {&dialect_azure, ENDPOINT_RESPONSES, "/openai/v1/responses"},
    {&dialect_ollama, ENDPOINT_INVOKE, "/api/chat"},
};

static void check_span(struct slice body, struct span s)
{
    MG_ASSERT(s.at <= body.n && s.n <= body.n - s.at);
}

static void check_count(struct slice body, const struct request_count *c)
{
    MG_ASSERT(c->input_tokens >= 0 && c->characters >= 0 && c->characters <= (int64_t)body.n);
    MG_ASSERT(c->parts.text >= 0 && c->parts.tools >= 0 && c->parts.media >= 0 && c->parts.fixed >= 0);
    MG_ASSERT(!c->parts.exact || !c->parts.hidden);
}

/* Whose it is, its members tell. */
static void guess(struct slice body, const char *model)
{
    struct request_count c;
    const char *why = NULL;
    struct guess g;

    if (guess_read(body, slice_str(model), &g, &why) < 0) {
        MG_ASSERT(why);
        return;
    }
    MG_ASSERT(g.request.model[0] && memchr(g.request.model, '\0', sizeof g.request.model));
    check_span(body, g.request.prompt);
    if (g.dialect->count(body, &g.request, &c) == 0)
        check_count(body, &c);
}

static void read_request(const struct dialect *d, const struct dialect_input *in)
{
    struct dialect_request r;
    struct request_count c;
    const char *why = NULL;

    if (d->read(in, &r, &why) != 0) {
        MG_ASSERT(why && memchr(r.model, '\0', sizeof r.model));
        return;
    }
    MG_ASSERT(r.model[0] && memchr(r.model, '\0', sizeof r.model) &&
              memchr(r.refers_to, '\0', sizeof r.refers_to));
    MG_ASSERT(r.endpoint == in->endpoint && r.n >= 1 && r.n <= DIALECT_N_MAX);
    MG_ASSERT(r.max_tokens >= 0 && r.max_tokens <= DIALECT_TOKENS_MAX);
    check_span(in->body, r.prompt);
    check_span(in->body, r.system);
    check_span(in->body, r.tools);
    check_span(in->body, r.response_format);
    if (d->count(in->body, &r, &c) == 0)
        check_count(in->body, &c);
}

static void read_answer(const struct dialect *d, struct slice body, const char *type)
{
    const struct answer_conf conf = {
        .dialect = d, .model = "m", .stream = true, .content_type = slice_str(type)};
    struct answer *a = answer_new(&conf);
    struct usage u;
    size_t step = 1;

    for (; body.n; body = slice_skip(body, step), step = step % 7 + 1)
        MG_ASSERT(answer_feed(a, slice_head(body, step), NULL) == 0);
    MG_ASSERT(answer_finish(a, NULL) == 0);
    MG_ASSERT(answer_counted_output(a) >= 0 && answer_produced(a) >= 0);
    if (answer_usage(a, &u))
        MG_ASSERT(u.input >= 0 && u.output >= 0 && u.cached >= 0 && u.cache_write >= 0 && u.reasoning >= 0);
    MG_ASSERT(!answer_id(a) || strlen(answer_id(a)) < DIALECT_ID_MAX);
    answer_free(a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    char *copy = malloc(n ? n : 1); /* of exactly its size */
    struct slice body;
    char what;

    MG_ASSERT(copy);
    memcpy(copy, data, n);
    what = n ? copy[0] : '0';
    body = slice_skip(slice_of(copy, n), 1);
    if (what >= '0' && what <= '9') {
        const struct dialect_input in = {
            .endpoint = rows[what - '0'].endpoint, .path = slice_str(rows[what - '0'].path), .body = body};

        read_request(rows[what - '0'].dialect, &in);
    } else if (what == 'g') {
        guess(body, "");
        guess(body, "claude-x");
    } else if (what == 'f') {
        const struct dialect_input in = {.endpoint = ENDPOINT_INVOKE,
                                         .content_type = SLICE("multipart/form-data; boundary=X"),
                                         .body = body};

        read_request(&dialect_openai, &in);
    } else if (what >= 'a' && what <= 'e') {
        read_answer(dialects[what - 'a'], body, "text/event-stream");
    } else if (what >= 'A' && what <= 'E') {
        read_answer(dialects[what - 'A'], body, "application/json");
    }
    free(copy);
    return 0;
}
