/*
 * fuzz_openai_request: any body is read or refused without harm. What is read is JSON, keeps its bounds, and names the model that
 * its last member "model" names; a splice leaves JSON whose members are the same as before but for the option, can be taken out
 * again, and is never made twice. The same of a deployment of Azure's, whose model is in the path.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "metergate/base/scan.h"
#include "metergate/base/scan_text.h"
#include "metergate/dialect/azure.h"
#include "metergate/dialect/dialect.h"
#include "metergate/dialect/openai.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check_span(struct slice body, struct span s)
{
    MG_ASSERT(s.at <= body.n && s.n <= body.n - s.at);
}

/* All members of the outermost object but `stream_options`, as they stand: names and values. False: it is no object. */
static bool other_members(struct slice body, struct buf *out)
{
    struct scan_value key, v;
    struct scan s;

    scan_init(&s, body);
    if (!scan_enter(&s, SCAN_OBJECT))
        return false;
    while (scan_member(&s, &key)) {
        bool is_option = scan_is(&s, &key, "stream_options");

        v = scan_value(&s);
        if (is_option)
            continue;
        buf_add_slice(out, scan_text(&s, &key));
        buf_add_char(out, '\n');
        buf_add_slice(out, slice_head(slice_skip(body, v.at), v.n));
        buf_add_char(out, '\n');
    }
    return scan_end(&s) == 0;
}

static void check_same_but_for_option(struct slice before, struct slice after)
{
    struct buf a, b;

    buf_init(&a, BUF_UNLIMITED);
    buf_init(&b, BUF_UNLIMITED);
    MG_ASSERT(other_members(before, &a) && other_members(after, &b));
    MG_ASSERT(slice_eq(buf_slice(&a), buf_slice(&b)));
    buf_release(&a);
    buf_release(&b);
}

/* What the last member of that name says; false when there is none, or it is no string. */
static bool last_string(struct slice body, const char *name, struct buf *ret)
{
    struct scan_value key, v;
    struct scan s;
    bool found = false;

    scan_init(&s, body);
    MG_ASSERT(scan_enter(&s, SCAN_OBJECT));
    while (scan_member(&s, &key)) {
        bool is_it = scan_is(&s, &key, name);

        v = scan_value(&s);
        if (!is_it)
            continue;
        buf_reset(ret);
        found = v.type == SCAN_STRING && scan_decode(scan_text(&s, &v), ret) == 0;
    }
    MG_ASSERT(scan_end(&s) == 0);
    return found;
}

static void check_model(struct slice body, const struct dialect_request *r)
{
    struct buf model;

    buf_init(&model, BUF_UNLIMITED);
    MG_ASSERT(last_string(body, "model", &model) && slice_eq(buf_slice(&model), slice_str(r->model)));
    buf_release(&model);
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
    MG_ASSERT((int64_t)after.n - (int64_t)body.n == splice_growth_bytes(&sp));
    check_same_but_for_option(body, buf_slice(&after));
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

/* What OpenAI's reader takes, Azure's takes as well; a deployment in the path is the model, whatever the body says. */
static void check_azure(struct slice body, const struct dialect_request *openai)
{
    const struct dialect_input in = {.endpoint = openai->endpoint, .path = SLICE("/openai/deployments/mine/x"), .body = body};
    struct dialect_request r;
    struct splice sp, other;
    const char *why;

    MG_ASSERT(dialect_azure.read(&in, &r, &why) == 0 && strcmp(r.model, "mine") == 0);
    MG_ASSERT(r.stream == openai->stream && r.max_tokens == openai->max_tokens && r.n == openai->n);
    if (dialect_azure.splice && dialect_azure.splice(body, &r, &sp))
        MG_ASSERT(dialect_openai.splice(body, openai, &other) && sp.at == other.at && sp.cut_bytes == other.cut_bytes &&
                  slice_eq(sp.insert, other.insert));
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
        check_model(body, &r);
        check_splice(body, &r);
        check_azure(body, &r);
    } else {
        MG_ASSERT(why);
    }
    free(copy);
    return 0;
}
