/*
 * openai_request: reads the body of a metered call, and finds the place of the splice.
 *
 * Of a key that stands twice the last one counts, as it does at the provider; but where such a key decides
 * about the splice, the body is left alone, because nobody can know what another parser makes of it.
 */
#include "metergate/dialect/openai_parts.h"

#include <errno.h>
#include <string.h>

#include "metergate/base/scan.h"
#include "metergate/base/scan_text.h"
#include "metergate/dialect/fields.h"
#include "metergate/dialect/multipart.h"

/* ---- which endpoint ---- */

static bool is_response_id(struct slice path)
{
    size_t slash = path.n;

    while (slash && path.p[slash - 1] != '/')
        slash--;
    return slash > 0 && slash < path.n && slice_ends(slice_head(path, slash), SLICE("/responses/"));
}

enum endpoint openai_classify(struct slice method, struct slice path)
{
    static const struct {
        const char *path;
        enum endpoint endpoint;
    } rows[] = {
        {"/chat/completions", ENDPOINT_CHAT},
        {"/completions", ENDPOINT_COMPLETIONS},
        {"/embeddings", ENDPOINT_EMBEDDINGS},
        {"/responses", ENDPOINT_RESPONSES},
        {"/responses/compact", ENDPOINT_RESPONSES},
        {"/images/generations", ENDPOINT_INVOKE},
        {"/images/edits", ENDPOINT_INVOKE},
        {"/images/variations", ENDPOINT_INVOKE},
        {"/audio/speech", ENDPOINT_INVOKE},
        {"/audio/transcriptions", ENDPOINT_INVOKE},
        {"/audio/translations", ENDPOINT_INVOKE},
        {"/moderations", ENDPOINT_INVOKE},
        {"/videos", ENDPOINT_INVOKE},
    };

    if (slice_ends(path, SLICE("/")))
        path.n--;
    if (slice_eq(method, SLICE("GET")))
        return is_response_id(path) ? ENDPOINT_RETRIEVE : ENDPOINT_PASSED;
    if (!slice_eq(method, SLICE("POST")))
        return ENDPOINT_PASSED;
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++)
        if (slice_ends(path, slice_str(rows[i].path)))
            return rows[i].endpoint;
    return ENDPOINT_PASSED;
}

/* ---- reading ---- */

enum {
    F_MODEL,
    F_STREAM,
    F_STREAM_OPTIONS,
    F_MAX_TOKENS,
    F_MAX_COMPLETION_TOKENS,
    F_MAX_OUTPUT_TOKENS,
    F_N,
    F_BEST_OF,
    F_MESSAGES,
    F_PROMPT,
    F_INPUT,
    F_INSTRUCTIONS,
    F_TOOLS,
    F_FUNCTIONS,
    F_RESPONSE_FORMAT,
    F_TEXT,
    F_PREVIOUS,
    F_CONVERSATION,
    F_BACKGROUND,
    FIELDS
};

static const struct field names[FIELDS] = {
    [F_MODEL] = {.name = "model"},
    [F_STREAM] = {.name = "stream"},
    [F_STREAM_OPTIONS] = {.name = "stream_options"},
    [F_MAX_TOKENS] = {.name = "max_tokens"},
    [F_MAX_COMPLETION_TOKENS] = {.name = "max_completion_tokens"},
    [F_MAX_OUTPUT_TOKENS] = {.name = "max_output_tokens"},
    [F_N] = {.name = "n"},
    [F_BEST_OF] = {.name = "best_of"},
    [F_MESSAGES] = {.name = "messages"},
    [F_PROMPT] = {.name = "prompt"},
    [F_INPUT] = {.name = "input"},
    [F_INSTRUCTIONS] = {.name = "instructions"},
    [F_TOOLS] = {.name = "tools"},
    [F_FUNCTIONS] = {.name = "functions"},
    [F_RESPONSE_FORMAT] = {.name = "response_format"},
    [F_TEXT] = {.name = "text"},
    [F_PREVIOUS] = {.name = "previous_response_id"},
    [F_CONVERSATION] = {.name = "conversation"},
    [F_BACKGROUND] = {.name = "background"},
};

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

static enum usage_wish wish_of(struct slice body, const struct field f[FIELDS])
{
    const struct field *o = &f[F_STREAM_OPTIONS];
    bool empty;

    if (o->times > 1 || f[F_STREAM].times > 1)
        return USAGE_AMBIGUOUS;
    if (o->value.type == SCAN_NONE || o->value.type == SCAN_NULL)
        return USAGE_UNSAID;
    return read_wish(field_raw(body, o), &empty);
}

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t max_tokens(struct slice body, const struct field f[FIELDS])
{
    int64_t most = field_number(body, &f[F_MAX_TOKENS], DIALECT_TOKENS_MAX);

    most = larger(most, field_number(body, &f[F_MAX_COMPLETION_TOKENS], DIALECT_TOKENS_MAX));
    return larger(most, field_number(body, &f[F_MAX_OUTPUT_TOKENS], DIALECT_TOKENS_MAX));
}

/* `best_of` answers are produced of which `n` are given; every prompt of a list gets its own. */
static int64_t answers(struct slice body, const struct field f[FIELDS], enum endpoint e)
{
    int64_t n = larger(1, field_number(body, &f[F_N], DIALECT_N_MAX)), prompts = 1;
    struct scan s;

    if (e != ENDPOINT_COMPLETIONS)
        return n;
    n = larger(n, field_number(body, &f[F_BEST_OF], DIALECT_N_MAX));
    scan_init(&s, field_raw(body, &f[F_PROMPT]));
    if (f[F_PROMPT].value.type == SCAN_ARRAY && scan_enter(&s, SCAN_ARRAY) && scan_element(&s) &&
        scan_peek(&s) != SCAN_NUMBER) /* a list of numbers is one prompt, in tokens */
        prompts = field_elements(body, &f[F_PROMPT]);
    return n * prompts < DIALECT_N_MAX ? n * prompts : DIALECT_N_MAX;
}

/* An id that is given by itself, or in an object as {"id":"..."}. */
static void read_id(struct slice body, const struct field *f, char ret[DIALECT_ID_MAX])
{
    struct field id = {.name = "id"};
    struct slice inside = field_raw(body, f);

    if (f->value.type == SCAN_STRING && field_text(body, f, ret, DIALECT_ID_MAX) < 0)
        ret[0] = '\0';
    if (f->value.type == SCAN_OBJECT &&
        (fields_read(inside, &id, 1, NULL) < 0 || field_text(inside, &id, ret, DIALECT_ID_MAX) < 0))
        ret[0] = '\0';
}

static bool is_given(const struct field *f)
{
    return f->value.type == SCAN_STRING || f->value.type == SCAN_OBJECT;
}

static void read_reference(struct slice body, const struct field f[FIELDS], struct dialect_request *r)
{
    static const struct {
        int field;
        enum reference reference;
    } rows[] = {{F_PREVIOUS, REFERENCE_RESPONSE},
                {F_CONVERSATION, REFERENCE_CONVERSATION},
                {F_PROMPT, REFERENCE_PROMPT}};

    for (size_t i = 0; i < MG_ARRAY_LEN(rows) && r->reference == REFERENCE_NONE; i++) {
        if (!is_given(&f[rows[i].field]))
            continue;
        r->reference = rows[i].reference;
        read_id(body, &f[rows[i].field], r->refers_to);
    }
}

static void read_spans(const struct field f[FIELDS], struct dialect_request *r)
{
    static const int prompts[ENDPOINTS] = {
        [ENDPOINT_CHAT] = F_MESSAGES,   [ENDPOINT_COMPLETIONS] = F_PROMPT, [ENDPOINT_EMBEDDINGS] = F_INPUT,
        [ENDPOINT_RESPONSES] = F_INPUT, [ENDPOINT_INVOKE] = F_PROMPT,
    };

    r->stream_options = field_span(&f[F_STREAM_OPTIONS]);
    r->prompt = field_span(&f[prompts[r->endpoint]]);
    r->tools = field_span(&f[F_TOOLS]);
    r->functions = field_span(&f[F_FUNCTIONS]);
    r->response_format = field_span(&f[F_RESPONSE_FORMAT]);
    if (r->endpoint == ENDPOINT_RESPONSES) {
        r->system = field_span(&f[F_INSTRUCTIONS]);
        r->response_format = field_span(&f[F_TEXT]);
    }
}

static int not_json(const char **ret_why)
{
    *ret_why = "the body is not a JSON object";
    return -EBADMSG;
}

/* Only what carries a file comes as a form. */
static int read_form(const struct dialect_input *in, struct dialect_request *ret, const char **ret_why)
{
    if (in->endpoint != ENDPOINT_INVOKE)
        return not_json(ret_why);
    multipart_read_model(in->content_type, in->body, ret->model);
    return 0;
}

int openai_read_unnamed(const struct dialect_input *in, struct dialect_request *ret, const char **ret_why)
{
    struct slice body = in->body;
    struct field f[FIELDS];

    *ret = (struct dialect_request){.endpoint = in->endpoint, .n = 1};
    if (multipart_is(in->content_type))
        return read_form(in, ret, ret_why);
    memcpy(f, names, sizeof f);
    if (fields_read(body, f, FIELDS, &ret->close_at) < 0)
        return not_json(ret_why);
    if (field_text(body, &f[F_MODEL], ret->model, sizeof ret->model) < 0)
        ret->model[0] = '\0';
    ret->stream = field_is_true(&f[F_STREAM]);
    ret->max_tokens = max_tokens(body, f);
    ret->n = answers(body, f, in->endpoint);
    ret->usage_wish = wish_of(body, f);
    read_spans(f, ret);
    if (in->endpoint == ENDPOINT_RESPONSES) {
        ret->background = field_is_true(&f[F_BACKGROUND]);
        read_reference(body, f, ret);
    }
    return 0;
}

int openai_read(const struct dialect_input *in, struct dialect_request *ret, const char **ret_why)
{
    int rc = openai_read_unnamed(in, ret, ret_why);

    if (rc == 0 && !ret->model[0]) {
        *ret_why = "the body names no model";
        return -EBADMSG;
    }
    return rc;
}

/* ---- the splice ---- */

bool openai_splice(struct slice body, const struct dialect_request *r, struct splice *ret)
{
    const struct span *o = &r->stream_options;
    bool empty;

    if (r->endpoint != ENDPOINT_CHAT && r->endpoint != ENDPOINT_COMPLETIONS)
        return false; /* responses always report it */
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
