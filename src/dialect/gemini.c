/*
 * gemini: one row, its request and its answer. JSON here is protobuf's: a member may be written in camelCase
 * or with underscores.
 */
#include "metergate/dialect/gemini.h"

#include <errno.h>
#include <string.h>

#include "metergate/dialect/answer.h"
#include "metergate/dialect/counter.h"
#include "metergate/dialect/fields.h"
#include "metergate/dialect/path_model.h"
#include "metergate/dialect/refusal.h"
#include "metergate/dialect/tap.h"
#include "metergate/gate/profile.h"

static enum endpoint classify(struct slice method, struct slice path)
{
    static const struct {
        const char *method;
        enum endpoint endpoint;
    } rows[] = {
        {":generatecontent", ENDPOINT_GENERATE}, {":streamgeneratecontent", ENDPOINT_GENERATE},
        {":embedcontent", ENDPOINT_EMBED},       {":batchembedcontents", ENDPOINT_EMBED},
        {":predict", ENDPOINT_INVOKE},           {":predictlongrunning", ENDPOINT_INVOKE},
    };

    if (!slice_eq(method, SLICE("POST")))
        return ENDPOINT_PASSED;
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++)
        if (slice_ends(path, slice_str(rows[i].method)))
            return rows[i].endpoint;
    return ENDPOINT_PASSED;
}

/* ---- the request ---- */

enum { F_CONTENTS, F_CONTENT, F_REQUESTS, F_SYSTEM, F_TOOLS, F_CONFIG, F_CACHED, FIELDS };

/* Inside generationConfig. */
static void read_config(struct slice body, const struct field *config, struct dialect_request *r)
{
    struct field f[] = {{.name = "maxOutputTokens", .other_name = "max_output_tokens"},
                        {.name = "candidateCount", .other_name = "candidate_count"}};
    struct slice text = field_raw(body, config);

    if (config->value.type != SCAN_OBJECT || fields_read(text, f, MG_ARRAY_LEN(f), NULL) < 0)
        return;
    r->max_tokens = field_number(text, &f[0], DIALECT_TOKENS_MAX);
    r->n = field_number(text, &f[1], DIALECT_N_MAX);
    if (r->n < 1)
        r->n = 1;
}

static int read_request(const struct dialect_input *in, struct dialect_request *ret, const char **ret_why)
{
    struct field f[FIELDS] = {
        [F_CONTENTS] = {.name = "contents"},
        [F_CONTENT] = {.name = "content"},
        [F_REQUESTS] = {.name = "requests"},
        [F_SYSTEM] = {.name = "systemInstruction", .other_name = "system_instruction"},
        [F_TOOLS] = {.name = "tools"},
        [F_CONFIG] = {.name = "generationConfig", .other_name = "generation_config"},
        [F_CACHED] = {.name = "cachedContent", .other_name = "cached_content"},
    };

    *ret = (struct dialect_request){.endpoint = in->endpoint, .n = 1};
    ret->stream = path_model_method_is(in->path, "streamgeneratecontent");
    if (path_model_gemini(in->path, ret->model) < 0) {
        *ret_why = "the path names no model";
        return -EBADMSG;
    }
    if (fields_read(in->body, f, FIELDS, &ret->close_at) < 0) {
        *ret_why = "the body is not a JSON object";
        return -EBADMSG;
    }
    read_config(in->body, &f[F_CONFIG], ret);
    ret->prompt = field_span(&f[f[F_CONTENTS].times   ? F_CONTENTS
                                : f[F_REQUESTS].times ? F_REQUESTS
                                                      : F_CONTENT]);
    ret->system = field_span(&f[F_SYSTEM]);
    ret->tools = field_span(&f[F_TOOLS]);
    ret->response_format = field_span(&f[F_CONFIG]);
    if (f[F_CACHED].value.type == SCAN_STRING) {
        ret->reference = REFERENCE_PROMPT;
        if (field_text(in->body, &f[F_CACHED], ret->refers_to, sizeof ret->refers_to) < 0)
            ret->refers_to[0] = '\0';
    }
    return 0;
}

static int count_request(struct slice body, const struct dialect_request *r, struct request_count *ret)
{
    struct counter k;
    struct scan s;

    if (r->endpoint == ENDPOINT_INVOKE) {
        *ret = (struct request_count){.parts.exact = true};
        return 0;
    }
    if (r->prompt.n == 0)
        return -EBADMSG;
    counter_init(&k, r->model);
    if (body.p[r->prompt.at] == '[') {
        scan_init(&s, counter_part(body, r->prompt));
        counter_messages(&k, &s);
    } else {
        counter_blocks_at(&k, body, r->prompt);
    }
    counter_blocks_at(&k, body, r->system);
    counter_tools_at(&k, body, r->tools);
    counter_schemas_at(&k, body, r->response_format);
    counter_finish(&k, r->endpoint == ENDPOINT_GENERATE, ret);
    return 0;
}

/* ---- the answer ---- */

enum { TAKE_USAGE, TAKE_ERROR, TAKE_TEXT, TAKE_JSON, TAKE_FINISH };

#define SMALL_MAX ((size_t)16 << 10)

/* An answer, and the elements of an array of them. */
static const struct tap_path paths[] = {
    {{"usageMetadata"}, TAKE_USAGE, SMALL_MAX, false},
    {{"error"}, TAKE_ERROR, SMALL_MAX, false},
    {{"candidates", "*", "content", "parts", "*", "text"}, TAKE_TEXT, ANSWER_TEXT_MAX, false},
    {{"candidates", "*", "content", "parts", "*", "functionCall"}, TAKE_JSON, ANSWER_TEXT_MAX, false},
    {{"candidates", "*", "finishReason"}, TAKE_FINISH, 64, false},
    {{"*", "usageMetadata"}, TAKE_USAGE, SMALL_MAX, false},
    {{"*", "error"}, TAKE_ERROR, SMALL_MAX, false},
    {{"*", "candidates", "*", "content", "parts", "*", "text"}, TAKE_TEXT, ANSWER_TEXT_MAX, false},
    {{"*", "candidates", "*", "content", "parts", "*", "functionCall"}, TAKE_JSON, ANSWER_TEXT_MAX, false},
};

/* "flex", "priority" or "standard" (Google, UsageMetadata.serviceTier, 2026); an enum's name may be in capitals. */
static enum usage_tier tier_of(struct slice text)
{
    if (slice_eq_nocase(text, SLICE("\"flex\"")))
        return TIER_FLEX;
    return slice_eq_nocase(text, SLICE("\"priority\"")) ? TIER_PRIORITY : TIER_STANDARD;
}

static bool read_usage(struct slice object, struct usage *ret)
{
    enum { PROMPT, TOOL_PROMPT, CACHED, CANDIDATES, THOUGHTS, COUNTS, TIER = COUNTS, N };
    struct field f[N] = {
        [PROMPT] = {.name = "promptTokenCount"},        [TOOL_PROMPT] = {.name = "toolUsePromptTokenCount"},
        [CACHED] = {.name = "cachedContentTokenCount"}, [CANDIDATES] = {.name = "candidatesTokenCount"},
        [THOUGHTS] = {.name = "thoughtsTokenCount"},    [TIER] = {.name = "serviceTier"},
    };
    int64_t n[COUNTS];

    if (fields_read(object, f, N, NULL) < 0 || f[PROMPT].value.type != SCAN_NUMBER)
        return false;
    for (int i = 0; i < COUNTS; i++)
        n[i] = field_number(object, &f[i], DIALECT_TOKENS_MAX);
    *ret = (struct usage){
        .input = n[PROMPT] + n[TOOL_PROMPT],
        .cached = n[CACHED],
        .output = n[CANDIDATES] + n[THOUGHTS],
        .reasoning = n[THOUGHTS],
        .tier = tier_of(field_raw(object, &f[TIER])),
    };
    return true;
}

static void value(struct answer *a, const struct tap_value *v)
{
    struct usage u;

    switch (v->what) {
    case TAKE_USAGE:
        if (read_usage(v->raw, &u)) {
            answer_saw_usage(a, &u);
            answer_saw_tier(a, u.tier);
        }
        break;
    case TAKE_ERROR:
        answer_saw_error_object(a, v, "status"); /* RESOURCE_EXHAUSTED */
        break;
    case TAKE_FINISH: /* tells that a stream of events is at its end */
        if (answer_inside(v).n)
            answer_saw_done(a);
        break;
    case TAKE_JSON:
        answer_saw_text(a, v->index, v->raw, v->left_out);
        break;
    default:
        answer_saw_string(a, v);
        break;
    }
}

const struct dialect dialect_gemini = {
    .name = "gemini",
    .classify = classify,
    .read = read_request,
    .count = count_request,
    .event_paths = paths, /* an event is an answer */
    .event_paths_n = MG_ARRAY_LEN(paths),
    .paths = paths,
    .paths_n = MG_ARRAY_LEN(paths),
    .value = value,
    .refuse = refusal_as_gemini,
    .key_header = "x-goog-api-key",
    .key_prefix = "",
};
