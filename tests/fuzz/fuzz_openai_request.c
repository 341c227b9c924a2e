/*
 * fuzz_openai_request: any body is read or refused without harm. What is read keeps its bounds; a splice can
 * be taken out again, leaves a body that says what was wanted, and is never made twice.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "metergate/base/scan.h"
#include "metergate/dialect/dialect.h"
#include "metergate/dialect/openai.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check_span(struct slice body, struct span s)
{
    MG_ASSERT(s.at <= body.n && s.n <= body.n - s.at);
}

static void check_splice(struct slice body, const struct dialect_request *r)
{
    struct dialect_request again;
    struct splice sp, undo;
    struct buf after, back;
    const char *why;

    if (!dialect_openai.splice(body, r, &sp))
        return;
    MG_ASSERT(r->stream);
    buf_init(&after, BUF_UNLIMITED);
    buf_init(&back, BUF_UNLIMITED);
    MG_ASSERT(splice_apply(&sp, body, &after) == 0);
    MG_ASSERT(dialect_openai.read(&(struct dialect_input){.endpoint = r->endpoint, .body = buf_slice(&after)}, &again, &why) == 0);
    MG_ASSERT(again.usage_wish == USAGE_WANTED && again.stream);
    MG_ASSERT(again.max_tokens == r->max_tokens && again.n == r->n && strcmp(again.model, r->model) == 0);
    undo = (struct splice){
        .at = sp.at, .cut_bytes = sp.insert.n, .insert = slice_of(body.p + sp.at, sp.cut_bytes)};
    MG_ASSERT(splice_apply(&undo, buf_slice(&after), &back) == 0);
    MG_ASSERT(slice_eq(buf_slice(&back), body));
    MG_ASSERT(!dialect_openai.splice(buf_slice(&after), &again, &sp));
    buf_release(&after);
    buf_release(&back);
}

/* The first byte says which endpoint the rest is a body of. */
static enum endpoint endpoint_of(char c)
{
    static const enum endpoint endpoints[] = {ENDPOINT_COMPLETIONS, ENDPOINT_EMBEDDINGS, ENDPOINT_RESPONSES,
                                              ENDPOINT_INVOKE};

    return c >= '1' && c <= '4' ? endpoints[c - '1'] : ENDPOINT_CHAT;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    char *copy = malloc(n ? n : 1); /* of exactly its size */
    struct slice body = slice_of(copy, n);
    struct dialect_request r;
    struct dialect_input in;
    struct request_count c;
    const char *why = NULL;

    MG_ASSERT(copy);
    memcpy(copy, data, n);
    in = (struct dialect_input){.endpoint = endpoint_of(n ? copy[0] : 0)};
    if (in.endpoint != ENDPOINT_CHAT)
        body = slice_skip(body, 1);
    in.body = body;
    if (dialect_openai.read(&in, &r, &why) == 0) {
        MG_ASSERT(r.model[0] && memchr(r.model, '\0', sizeof r.model));
        MG_ASSERT(r.n >= 1 && r.n <= DIALECT_N_MAX && r.max_tokens >= 0 &&
                  r.max_tokens <= DIALECT_TOKENS_MAX);
        MG_ASSERT(r.close_at < body.n && body.p[r.close_at] == '}');
        MG_ASSERT(memchr(r.refers_to, '\0', sizeof r.refers_to));
        check_span(body, r.stream_options);
        check_span(body, r.prompt);
        check_span(body, r.system);
        check_span(body, r.tools);
        check_span(body, r.functions);
        check_span(body, r.response_format);
        if (dialect_openai.count(body, &r, &c) == 0)
            MG_ASSERT(c.input_tokens >= 0 && c.characters >= 0 && c.characters <= (int64_t)n);
        check_splice(body, &r);
    } else {
        MG_ASSERT(why);
    }
    free(copy);
    return 0;
}
