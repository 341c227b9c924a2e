/*
 * openai_request: reads a chat body, and finds the place of the splice.
 *
 * Of a key that stands twice the last one counts, as it does at the provider; but where such a key decides
 * about the splice, the body is left alone, because nobody can know what another parser makes of it.
 */
#include "metergate/dialect/openai_parts.h"

#include <errno.h>
#include <string.h>

#include "metergate/base/scan.h"
#include "metergate/base/scan_text.h"

enum endpoint openai_classify(struct slice method, struct slice path)
{
    if (slice_ends(path, SLICE("/")))
        path.n--;
    if (slice_eq(method, SLICE("POST")) && slice_ends(path, SLICE("/chat/completions")))
        return ENDPOINT_CHAT;
    return ENDPOINT_PASSED;
}

/* ---- reading
 * --------------------------------------------------------------------------------------------------- */

/* The values of the fields that steer; type SCAN_NONE where absent. */
struct fields {
    struct scan_value model, stream, max_tokens, max_completion_tokens, n, stream_options;
    struct scan_value messages, tools, functions, response_format;
    int streams, options; /* how often stream and stream_options stand there */
};

static struct scan_value *field(struct fields *f, const struct scan *s, const struct scan_value *key)
{
    const struct {
        const char *name;
        struct scan_value *at;
    } names[] = {
        {"model", &f->model},
        {"messages", &f->messages},
        {"stream", &f->stream},
        {"stream_options", &f->stream_options},
        {"max_tokens", &f->max_tokens},
        {"max_completion_tokens", &f->max_completion_tokens},
        {"n", &f->n},
        {"tools", &f->tools},
        {"functions", &f->functions},
        {"response_format", &f->response_format},
    };

    for (size_t i = 0; i < MG_ARRAY_LEN(names); i++)
        if (scan_is(s, key, names[i].name))
            return names[i].at;
    return NULL;
}

static int read_fields(struct slice body, struct fields *f, size_t *ret_close_at)
{
    struct scan_value key, *at;
    struct scan s;

    scan_init(&s, body);
    if (!scan_enter(&s, SCAN_OBJECT))
        return -EBADMSG;
    while (scan_member(&s, &key)) {
        at = field(f, &s, &key);
        f->streams += at == &f->stream;
        f->options += at == &f->stream_options;
        if (at)
            *at = scan_value(&s);
        else
            scan_value(&s);
    }
    *ret_close_at = s.at - 1;
    return scan_end(&s);
}

/* A whole number in 0..most; what is absent, null, of another type, negative or a fraction is 0: the provider
 * refuses it. */
static int64_t read_number(struct slice body, const struct scan_value *v, int64_t most)
{
    int64_t n;
    int rc;

    if (v->type != SCAN_NUMBER)
        return 0;
    rc = scan_int64(scan_inside(body, v), &n);
    if (rc == -ERANGE)
        return body.p[v->at] == '-' ? 0 : most;
    if (rc < 0 || n < 0)
        return 0;
    return n < most ? n : most;
}

static int read_model(struct slice body, const struct scan_value *v, char ret[DIALECT_MODEL_MAX])
{
    struct buf name;
    int rc = -EBADMSG;

    buf_init(&name, DIALECT_MODEL_MAX - 1);
    if (v->type == SCAN_STRING && scan_decode(scan_inside(body, v), &name) == 0 && name.n > 0 &&
        !memchr(name.p, '\0', name.n)) {
        memcpy(ret, name.p, name.n + 1);
        rc = 0;
    }
    buf_release(&name);
    return rc;
}

/* What the options say about usage, and whether they are an object with something in it. */
static enum usage_wish read_wish(struct slice options, bool *ret_empty)
{
    enum usage_wish wish = USAGE_UNSAID;
    struct scan_value key, v;
    int said = 0;
    struct scan s;

    *ret_empty = true;
    scan_init(&s, options);
    if (!scan_enter(&s, SCAN_OBJECT))
        return USAGE_AMBIGUOUS;
    while (scan_member(&s, &key)) {
        bool usage = scan_is(&s, &key, "include_usage");

        *ret_empty = false;
        v = scan_value(&s);
        if (!usage)
            continue;
        said++;
        wish = v.type == SCAN_TRUE ? USAGE_WANTED : USAGE_REFUSED;
    }
    return said > 1 ? USAGE_AMBIGUOUS : wish;
}

static enum usage_wish wish_of(struct slice body, const struct fields *f)
{
    const struct scan_value *o = &f->stream_options;
    bool empty;

    if (f->options > 1 || f->streams > 1)
        return USAGE_AMBIGUOUS;
    if (o->type == SCAN_NONE || o->type == SCAN_NULL)
        return USAGE_UNSAID;
    return read_wish(scan_inside(body, o), &empty);
}

static struct span span_of(const struct scan_value *v)
{
    return (struct span){.at = v->at, .n = v->n};
}

int openai_read(struct slice body, struct dialect_request *ret, const char **ret_why)
{
    struct dialect_request r = {0};
    struct fields f = {0};
    int64_t completion;

    if (read_fields(body, &f, &r.close_at) < 0) {
        *ret_why = "the body is not a JSON object";
        return -EBADMSG;
    }
    if (read_model(body, &f.model, r.model) < 0) {
        *ret_why = "the body names no model";
        return -EBADMSG;
    }
    r.stream = f.stream.type == SCAN_TRUE;
    r.max_tokens = read_number(body, &f.max_tokens, DIALECT_TOKENS_MAX);
    completion = read_number(body, &f.max_completion_tokens, DIALECT_TOKENS_MAX);
    if (completion > r.max_tokens)
        r.max_tokens = completion;
    r.n = read_number(body, &f.n, DIALECT_N_MAX);
    if (r.n < 1)
        r.n = 1;
    r.usage_wish = wish_of(body, &f);
    r.stream_options = span_of(&f.stream_options);
    r.messages = span_of(&f.messages);
    r.tools = span_of(&f.tools);
    r.functions = span_of(&f.functions);
    r.response_format = span_of(&f.response_format);
    *ret = r;
    return 0;
}

/* ---- the splice
 * -------------------------------------------------------------------------------------------------- */

bool openai_splice(struct slice body, const struct dialect_request *r, struct splice *ret)
{
    const struct span *o = &r->stream_options;
    bool empty;

    if (!r->stream || r->usage_wish != USAGE_UNSAID)
        return false;
    if (o->n == 0) {
        /* the comma is right: a body that says stream has a member before its end */
        *ret = (struct splice){.at = r->close_at,
                               .insert = SLICE(",\"stream_options\":{\"include_usage\":true}")};
        return true;
    }
    if (body.p[o->at] == 'n') {
        *ret = (struct splice){.at = o->at, .cut_bytes = o->n, .insert = SLICE("{\"include_usage\":true}")};
        return true;
    }
    read_wish(slice_of(body.p + o->at, o->n), &empty);
    *ret =
        (struct splice){.at = o->at + o->n - 1,
                        .insert = empty ? SLICE("\"include_usage\":true") : SLICE(",\"include_usage\":true")};
    return true;
}
