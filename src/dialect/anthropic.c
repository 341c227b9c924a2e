/*
 * anthropic: one row, its request and its answer. A stream's events need no reader of their own: what matters
 * in them stands under the same few paths.
 */
#include "metergate/dialect/anthropic.h"

#include <errno.h>

#include "metergate/base/scan.h"
#include "metergate/base/scan_text.h"
#include "metergate/dialect/answer.h"
#include "metergate/dialect/counter.h"
#include "metergate/dialect/fields.h"
#include "metergate/dialect/refusal.h"
#include "metergate/dialect/tap.h"
#include "metergate/gate/profile.h"

/* The prompt that comes with tools: 290 to 804 tokens, by model and choice (Anthropic, tool use, mid-2026).
 */
#define TOOL_PROMPT_TOKENS 500

static enum endpoint classify(struct slice method, struct slice path)
{
    if (slice_ends(path, SLICE("/")))
        path.n--;
    return slice_eq(method, SLICE("POST")) && slice_ends(path, SLICE("/messages")) ? ENDPOINT_MESSAGES
                                                                                   : ENDPOINT_PASSED;
}

/* ---- the request ---- */

enum {
    F_MODEL,
    F_STREAM,
    F_MAX_TOKENS,
    F_MESSAGES,
    F_SYSTEM,
    F_TOOLS,
    F_OUTPUT_FORMAT,
    F_OUTPUT_CONFIG,
    FIELDS
};

static int read_request(const struct dialect_input *in, struct dialect_request *ret, const char **ret_why)
{
    struct field f[FIELDS] = {
        [F_MODEL] = {.name = "model"},
        [F_STREAM] = {.name = "stream"},
        [F_MAX_TOKENS] = {.name = "max_tokens"},
        [F_MESSAGES] = {.name = "messages"},
        [F_SYSTEM] = {.name = "system"},
        [F_TOOLS] = {.name = "tools"},
        [F_OUTPUT_FORMAT] = {.name = "output_format"},
        [F_OUTPUT_CONFIG] = {.name = "output_config"},
    };

    *ret = (struct dialect_request){.endpoint = in->endpoint, .n = 1};
    if (fields_read(in->body, f, FIELDS, &ret->close_at) < 0) {
        *ret_why = "the body is not a JSON object";
        return -EBADMSG;
    }
    ret->stream = field_is_true(&f[F_STREAM]);
    ret->max_tokens = field_number(in->body, &f[F_MAX_TOKENS], DIALECT_TOKENS_MAX);
    ret->prompt = field_span(&f[F_MESSAGES]);
    ret->system = field_span(&f[F_SYSTEM]);
    ret->tools = field_span(&f[F_TOOLS]);
    ret->response_format = field_span(&f[f[F_OUTPUT_CONFIG].times ? F_OUTPUT_CONFIG : F_OUTPUT_FORMAT]);
    if (field_text(in->body, &f[F_MODEL], ret->model, sizeof ret->model) < 0) {
        *ret_why = "the body names no model";
        return -EBADMSG;
    }
    return 0;
}

static int count_request(struct slice body, const struct dialect_request *r, struct request_count *ret)
{
    struct counter k;
    struct scan s;

    if (r->prompt.n == 0 || body.p[r->prompt.at] != '[')
        return -EBADMSG;
    counter_init(&k, r->model);
    scan_init(&s, counter_part(body, r->prompt));
    counter_messages(&k, &s);
    if (r->system.n)
        chat_count_message(&k.chat);
    counter_blocks_at(&k, body, r->system);
    counter_tools_at(&k, body, r->tools);
    counter_schemas_at(&k, body, r->response_format);
    if (r->tools.n > sizeof "[]")
        chat_count_estimate(&k.chat, TOOL_PROMPT_TOKENS);
    counter_finish(&k, true, ret);
    return 0;
}

/* ---- the answer ---- */

enum { TAKE_USAGE, TAKE_ERROR, TAKE_TEXT, TAKE_JSON, TAKE_TYPE };

#define SMALL_MAX ((size_t)16 << 10)

static const struct tap_path paths[] = {
    {{"usage"}, TAKE_USAGE, SMALL_MAX, false},
    {{"error"}, TAKE_ERROR, SMALL_MAX, false},
    {{"content", "*", "text"}, TAKE_TEXT, ANSWER_TEXT_MAX, false},
    {{"content", "*", "thinking"}, TAKE_TEXT, ANSWER_TEXT_MAX, false},
    {{"content", "*", "name"}, TAKE_TEXT, ANSWER_TEXT_MAX, false},
    {{"content", "*", "input"}, TAKE_JSON, ANSWER_TEXT_MAX, false},
};

static const struct tap_path event_paths[] = {
    {{"type"}, TAKE_TYPE, 64, false},
    {{"usage"}, TAKE_USAGE, SMALL_MAX, false},
    {{"message", "usage"}, TAKE_USAGE, SMALL_MAX, false},
    {{"error"}, TAKE_ERROR, SMALL_MAX, false},
    {{"delta", "text"}, TAKE_TEXT, ANSWER_TEXT_MAX, false},
    {{"delta", "thinking"}, TAKE_TEXT, ANSWER_TEXT_MAX, false},
    {{"delta", "partial_json"}, TAKE_TEXT, ANSWER_TEXT_MAX, false},
    {{"content_block", "name"}, TAKE_TEXT, ANSWER_TEXT_MAX, false},
};

/*
 * What it wrote to caches for how long: {"ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens"}. The sum is there
 * besides, as a rule (`has_sum`).
 */
static void merge_creation(struct slice object, bool has_sum, struct usage *u)
{
    struct field f[] = {{.name = "ephemeral_5m_input_tokens"}, {.name = "ephemeral_1h_input_tokens"}};

    if (fields_read(object, f, MG_ARRAY_LEN(f), NULL) < 0)
        return;
    if (f[1].value.type == SCAN_NUMBER)
        u->cache_write_1h = field_number(object, &f[1], DIALECT_TOKENS_MAX);
    if (!has_sum && (f[0].value.type == SCAN_NUMBER || f[1].value.type == SCAN_NUMBER))
        u->cache_write = field_number(object, &f[0], DIALECT_TOKENS_MAX) + u->cache_write_1h;
}

/*
 * Batches are billed differently, and fast mode (`speed`). The priority tier is not: it is paid for in advance, and
 * its tokens count at the list price here (Anthropic, service tiers, 2026).
 */
static void read_tier(struct answer *a, struct slice object)
{
    struct field f[] = {{.name = "service_tier"}, {.name = "speed"}};
    enum usage_tier tier = TIER_STANDARD;

    if (fields_read(object, f, MG_ARRAY_LEN(f), NULL) < 0 ||
        (f[0].value.type != SCAN_STRING && f[1].value.type != SCAN_STRING))
        return;
    if (slice_eq(field_raw(object, &f[1]), SLICE("\"fast\"")))
        tier = TIER_PRIORITY;
    else if (slice_eq(field_raw(object, &f[0]), SLICE("\"batch\"")))
        tier = TIER_BATCH;
    answer_saw_tier(a, tier);
}

/* Takes over what the object gives of `u`, and leaves the rest: a null or absent figure is the one before. */
static void merge_usage(struct slice object, struct usage *u)
{
    enum { INPUT, CACHE_READ, CACHE_CREATION, OUTPUT, DETAILS, CREATION, N };
    struct field f[N] = {
        [INPUT] = {.name = "input_tokens"},
        [CACHE_READ] = {.name = "cache_read_input_tokens"},
        [CACHE_CREATION] = {.name = "cache_creation_input_tokens"},
        [OUTPUT] = {.name = "output_tokens"},
        [DETAILS] = {.name = "output_tokens_details"},
        [CREATION] = {.name = "cache_creation"},
    };
    int64_t plain = u->input - u->cached - u->cache_write;
    int64_t *const figures[] = {&plain, &u->cached, &u->cache_write, &u->output};
    struct field thinking = {.name = "thinking_tokens"};

    if (fields_read(object, f, N, NULL) < 0)
        return;
    for (int i = INPUT; i <= OUTPUT; i++)
        if (f[i].value.type == SCAN_NUMBER)
            *figures[i] = field_number(object, &f[i], DIALECT_TOKENS_MAX);
    if (f[CREATION].value.type == SCAN_OBJECT)
        merge_creation(field_raw(object, &f[CREATION]), f[CACHE_CREATION].value.type == SCAN_NUMBER, u);
    u->input = plain + u->cached + u->cache_write;
    if (f[DETAILS].value.type == SCAN_OBJECT &&
        fields_read(field_raw(object, &f[DETAILS]), &thinking, 1, NULL) == 0)
        u->reasoning = field_number(field_raw(object, &f[DETAILS]), &thinking, DIALECT_TOKENS_MAX);
}

static void value(struct answer *a, const struct tap_value *v)
{
    struct usage u = {0};

    switch (v->what) {
    case TAKE_USAGE:
        if (!slice_starts(v->raw, SLICE("{")))
            break;
        answer_usage(a, &u);
        merge_usage(v->raw, &u);
        answer_saw_usage(a, &u);
        read_tier(a, v->raw);
        break;
    case TAKE_ERROR:
        answer_saw_error_object(a, v, "type"); /* overloaded_error */
        break;
    case TAKE_TYPE:
        if (slice_eq(answer_inside(v), SLICE("message_stop")))
            answer_saw_done(a);
        break;
    case TAKE_JSON: /* as it stands: it was written token by token */
        answer_saw_text(a, v->index, v->raw, v->left_out);
        break;
    default:
        answer_saw_string(a, v);
        break;
    }
}

const struct dialect dialect_anthropic = {
    .name = "anthropic",
    .classify = classify,
    .read = read_request,
    .count = count_request,
    .event_paths = event_paths,
    .event_paths_n = MG_ARRAY_LEN(event_paths),
    .paths = paths,
    .paths_n = MG_ARRAY_LEN(paths),
    .value = value,
    .refuse = refusal_as_anthropic,
    .key_header = "x-api-key",
    .key_prefix = "",
};
