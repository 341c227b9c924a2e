/*
 * fuzz_dialects: any request and any answer of each dialect is read without harm, and within its bounds. The
 * first byte picks the dialect and what it is given: `0` to `9` a request of that row, `a` to `e` a stream,
 * `A` to `E` a plain answer, `f` a form. What an answer says is the same in one piece as in pieces of every size up to 7, and
 * all of it passes. A request that is read is JSON, to its last byte.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "metergate/base/scan.h"
#include "metergate/dialect/anthropic.h"
#include "metergate/dialect/answer.h"
#include "metergate/dialect/azure.h"
#include "metergate/dialect/gemini.h"
#include "metergate/dialect/guess.h"
#include "metergate/dialect/multipart.h"
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

static bool is_json(struct slice text)
{
    struct scan s;

    scan_init(&s, text);
    scan_value(&s);
    return scan_end(&s) == 0;
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
    MG_ASSERT(multipart_is(in->content_type) || is_json(in->body));
    check_span(in->body, r.prompt);
    check_span(in->body, r.system);
    check_span(in->body, r.tools);
    check_span(in->body, r.response_format);
    if (d->count(in->body, &r, &c) == 0)
        check_count(in->body, &c);
}

/* What an answer has said, as a text. */
static void write_answer(struct answer *a, struct buf *out)
{
    struct usage u = {0};
    bool has_usage = answer_usage(a, &u);

    MG_ASSERT(answer_counted_output(a) >= 0 && answer_produced(a) >= 0);
    MG_ASSERT(u.input >= 0 && u.output >= 0 && u.cached >= 0 && u.cache_write >= 0 && u.cache_write_1h >= 0 &&
              u.reasoning >= 0 && u.tier < USAGE_TIERS && answer_tier(a) < USAGE_TIERS);
    MG_ASSERT(!answer_id(a) || (answer_id(a)[0] && strlen(answer_id(a)) < DIALECT_ID_MAX));
    MG_ASSERT(!answer_error(a) || strlen(answer_error(a)) < 64);
    MG_ASSERT(answer_error_object(a).n <= 4096);
    MG_ASSERT(!answer_lacks_end(a) || !answer_complete(a));
    buf_addf(out, "%d %lld %lld %lld %lld %lld %lld %d %d %d %lld %lld %d %d %s %s %d ", has_usage, (long long)u.input,
             (long long)u.cached, (long long)u.cache_write, (long long)u.cache_write_1h, (long long)u.output,
             (long long)u.reasoning, (int)u.tier, (int)answer_tier(a), answer_usage_is_behind(a),
             (long long)answer_counted_output(a), (long long)answer_produced(a), answer_complete(a), answer_lacks_end(a),
             answer_id(a) ? answer_id(a) : "-", answer_error(a) ? answer_error(a) : "-", answer_error_status(a));
    buf_add_slice(out, answer_error_object(a));
}

static void run_answer(const struct dialect *d, struct slice body, const char *type, size_t largest, struct buf *ret)
{
    const struct answer_conf conf = {
        .dialect = d, .model = "m", .stream = true, .content_type = slice_str(type)};
    struct answer *a = answer_new(&conf);
    struct slice rest = body;
    struct buf out;
    size_t step = largest > 7 ? largest : 1;

    buf_init(&out, BUF_UNLIMITED);
    for (; rest.n; rest = slice_skip(rest, step), step = largest > 7 ? largest : step % largest + 1)
        MG_ASSERT(answer_feed(a, slice_head(rest, step), &out) == 0);
    MG_ASSERT(answer_finish(a, &out) == 0);
    MG_ASSERT(!answer_rewrites(a) && slice_eq(buf_slice(&out), body));
    write_answer(a, ret);
    buf_release(&out);
    answer_free(a);
}

static void read_answer(const struct dialect *d, struct slice body, const char *type)
{
    struct buf whole, pieces;

    buf_init(&whole, BUF_UNLIMITED);
    buf_init(&pieces, BUF_UNLIMITED);
    run_answer(d, body, type, SIZE_MAX, &whole);
    run_answer(d, body, type, 7, &pieces);
    MG_ASSERT(slice_eq(buf_slice(&whole), buf_slice(&pieces)));
    buf_release(&whole);
    buf_release(&pieces);
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
