/*
 * openai_answer: usage, text and errors out of OpenAI's answers, plain and streamed.
 *
 * An event is changed only when all of it is JSON, and only by what the splice into the request made the
 * provider add: the chunk without choices that carries usage, and one `"usage":null` member.
 */
#include "metergate/dialect/openai_parts.h"

#include "metergate/base/scan.h"
#include "metergate/base/scan_text.h"
#include "metergate/dialect/answer.h"
#include "metergate/dialect/sse.h"
#include "metergate/dialect/tap.h"
#include "metergate/gate/profile.h"

/* ---- usage
 * --------------------------------------------------------------------------------------------------- */

/* A count of tokens: whole and not negative, or it is not taken; bounded, so that no sum of them overflows.
 */
static void read_count(struct scan *s, int64_t *ret)
{
    struct scan_value v = scan_value(s);
    int64_t n;

    if (v.type == SCAN_NUMBER && scan_int64(scan_text(s, &v), &n) == 0 && n >= 0)
        *ret = n < DIALECT_TOKENS_MAX ? n : DIALECT_TOKENS_MAX;
}

struct detail {
    const char *name;
    int64_t *at;
};

/* Inside prompt_tokens_details or completion_tokens_details. */
static void read_details(struct scan *s, const struct detail *details, size_t n)
{
    struct scan_value key;

    if (!scan_enter(s, SCAN_OBJECT))
        return;
    while (scan_member(s, &key)) {
        size_t i = 0;

        while (i < n && !scan_is(s, &key, details[i].name))
            i++;
        if (i < n)
            read_count(s, details[i].at);
        else
            scan_value(s);
    }
}

bool openai_read_usage(struct slice object, struct usage *ret)
{
    struct usage u = {0};
    int64_t total = -1, input = -1, output = -1;
    const struct detail input_details[] = {{"cached_tokens", &u.cached},
                                           {"cache_write_tokens", &u.cache_write}};
    const struct detail output_details[] = {{"reasoning_tokens", &u.reasoning}};
    struct scan_value key;
    struct scan s;

    scan_init(&s, object);
    if (scan_enter(&s, SCAN_OBJECT)) {
        while (scan_member(&s, &key)) {
            if (scan_is(&s, &key, "prompt_tokens") || scan_is(&s, &key, "input_tokens"))
                read_count(&s, &input);
            else if (scan_is(&s, &key, "completion_tokens") || scan_is(&s, &key, "output_tokens"))
                read_count(&s, &output);
            else if (scan_is(&s, &key, "total_tokens"))
                read_count(&s, &total);
            else if (scan_is(&s, &key, "prompt_cache_hit_tokens")) /* DeepSeek */
                read_count(&s, &u.cached);
            else if (scan_is(&s, &key, "prompt_tokens_details") || scan_is(&s, &key, "input_tokens_details"))
                read_details(&s, input_details, MG_ARRAY_LEN(input_details));
            else if (scan_is(&s, &key, "completion_tokens_details") ||
                     scan_is(&s, &key, "output_tokens_details"))
                read_details(&s, output_details, MG_ARRAY_LEN(output_details));
            else
                scan_value(&s);
        }
    }
    if (scan_end(&s) < 0 || (input < 0 && output < 0))
        return false;
    u.input = input > 0 ? input : 0;
    if (output < 0 && total > u.input) /* embeddings report no output; others may leave it out */
        output = total - u.input;
    u.output = output > 0 ? output : 0;
    *ret = u;
    return true;
}

/*
 * The tier by its name, quotes and all. "auto" is what was asked for, "default" and "scale" (tokens bought in advance)
 * are billed as usual; priority processing is called fast mode since 2026-07-30 (OpenAI, API fast mode). Ultrafast has
 * prices of its own. What other providers write here (Groq: "on_demand") is none of these.
 */
static enum usage_tier tier_of(struct slice text)
{
    static const struct {
        const char *name;
        enum usage_tier tier;
    } rows[] = {{"\"flex\"", TIER_FLEX},
                {"\"priority\"", TIER_PRIORITY},
                {"\"fast\"", TIER_PRIORITY},
                {"\"batch\"", TIER_BATCH},
                {"\"ultrafast\"", TIER_OTHER}};

    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++) {
        if (slice_eq(text, slice_str(rows[i].name)))
            return rows[i].tier;
    }
    return TIER_STANDARD;
}

/* ---- errors
 * -------------------------------------------------------------------------------------------------- */

struct slice openai_error_code(struct slice object)
{
    struct slice code = {0}, type = {0};
    struct scan_value key, v;
    struct scan s;

    scan_init(&s, object);
    if (!scan_enter(&s, SCAN_OBJECT))
        return code;
    while (scan_member(&s, &key)) {
        bool is_code = scan_is(&s, &key, "code"), is_type = scan_is(&s, &key, "type");

        v = scan_value(&s);
        if (is_code && (v.type == SCAN_STRING || v.type == SCAN_NUMBER))
            code = scan_text(&s, &v);
        if (is_type && v.type == SCAN_STRING)
            type = scan_text(&s, &v);
    }
    return code.n ? code : type;
}

/* ---- plain answers
 * --------------------------------------------------------------------------------------------- */

enum { TAKE_USAGE, TAKE_ERROR, TAKE_TEXT, TAKE_ID, TAKE_TYPE, TAKE_TIER };

#define SMALL_MAX     ((size_t)16 << 10)
#define TIER_NAME_MAX ((size_t)32)

const struct tap_path openai_paths[OPENAI_PATHS] = {
    {{"usage"}, TAKE_USAGE, SMALL_MAX, false},
    {{"error"}, TAKE_ERROR, SMALL_MAX, false},
    {{"choices", "*", "message", "content"}, TAKE_TEXT, ANSWER_TEXT_MAX, false},
    {{"choices", "*", "message", "refusal"}, TAKE_TEXT, ANSWER_TEXT_MAX, false},
    {{"choices", "*", "message", "reasoning_content"}, TAKE_TEXT, ANSWER_TEXT_MAX, false},
    {{"choices", "*", "message", "reasoning"}, TAKE_TEXT, ANSWER_TEXT_MAX, false},
    {{"choices", "*", "message", "function_call", "name"}, TAKE_TEXT, ANSWER_TEXT_MAX, false},
    {{"choices", "*", "message", "function_call", "arguments"}, TAKE_TEXT, ANSWER_TEXT_MAX, false},
    {{"choices", "*", "message", "tool_calls", "*", "function", "name"}, TAKE_TEXT, ANSWER_TEXT_MAX, false},
    {{"choices", "*", "message", "tool_calls", "*", "function", "arguments"}, TAKE_TEXT, ANSWER_TEXT_MAX, false},
    {{"choices", "*", "text"}, TAKE_TEXT, ANSWER_TEXT_MAX, false},
    {{"id"}, TAKE_ID, DIALECT_ID_MAX, false},
    {{"service_tier"}, TAKE_TIER, TIER_NAME_MAX, false},
    {{"output", "*", "content", "*", "text"}, TAKE_TEXT, ANSWER_TEXT_MAX, false},
    {{"output", "*", "name"}, TAKE_TEXT, ANSWER_TEXT_MAX, false},
    {{"output", "*", "arguments"}, TAKE_TEXT, ANSWER_TEXT_MAX, false},
};

/* Of the events of a response. The deltas are of texts, refusals, reasoning and arguments alike. */
static const struct tap_path response_paths[] = {
    {{"type"}, TAKE_TYPE, 64, false},
    {{"delta"}, TAKE_TEXT, ANSWER_TEXT_MAX, false},
    {{"code"}, TAKE_ERROR, SMALL_MAX, false},
    {{"error"}, TAKE_ERROR, SMALL_MAX, false}, /* of gateways that write it so */
    {{"response", "id"}, TAKE_ID, DIALECT_ID_MAX, false},
    {{"response", "usage"}, TAKE_USAGE, SMALL_MAX, false},
    {{"response", "service_tier"}, TAKE_TIER, TIER_NAME_MAX, false},
    {{"response", "error"}, TAKE_ERROR, SMALL_MAX, false},
};

/* OpenAI, responses streaming events: after these nothing follows, and they carry usage. */
static bool is_response_end(struct slice type)
{
    return slice_eq(type, SLICE("response.completed")) || slice_eq(type, SLICE("response.incomplete")) ||
           slice_eq(type, SLICE("response.failed"));
}

static void saw_error_object(struct answer *a, struct slice object)
{
    answer_saw_error(a, openai_error_code(object));
    answer_saw_error_body(a, object);
}

void openai_value(struct answer *a, const struct tap_value *v)
{
    struct usage u;

    switch (v->what) {
    case TAKE_USAGE:
        if (openai_read_usage(v->raw, &u))
            answer_saw_usage(a, &u);
        break;
    case TAKE_ERROR:
        if (slice_starts(v->raw, SLICE("\"")))
            answer_saw_error(a, answer_inside(v));
        else if (slice_starts(v->raw, SLICE("{"))) /* a response that went well says null */
            saw_error_object(a, v->raw);
        break;
    case TAKE_ID:
        if (v->left_out == 0)
            answer_saw_id(a, answer_inside(v));
        break;
    case TAKE_TIER:
        if (slice_starts(v->raw, SLICE("\"")))
            answer_saw_tier(a, tier_of(v->raw));
        break;
    case TAKE_TYPE:
        if (is_response_end(answer_inside(v)))
            answer_saw_done(a);
        else if (slice_eq(answer_inside(v), SLICE("error")) && !answer_error(a))
            answer_saw_error(a, SLICE("error"));
        break;
    default:
        answer_saw_string(a, v);
        break;
    }
}

/* ---- events
 * ---------------------------------------------------------------------------------------------------- */

/* What the members of one chunk say. */
struct chunk {
    struct scan_value usage, choices, error, groq, tier; /* type SCAN_NONE where absent */
    bool no_choices;                                     /* choices is there, and empty */
    size_t null_at, null_n;                        /* `"usage":null` and the comma that goes with it */
};

/* The bytes to cut for the member that was just read: from the end of the member before it, or, for the first
 * one, to the beginning of the next. */
static void mark_null(struct chunk *c, size_t before_end, const struct scan_value *key,
                      const struct scan_value *v)
{
    c->null_at = before_end ? before_end : key->at;
    c->null_n = v->at + v->n - c->null_at;
}

static bool read_chunk(struct slice data, struct chunk *c)
{
    struct scan_value key, v;
    size_t before_end = 0; /* where the member before this one ends; 0 for the first */
    bool open_end = false; /* the cut reaches to the next key */
    struct scan s;

    *c = (struct chunk){0};
    scan_init(&s, data);
    if (!scan_enter(&s, SCAN_OBJECT))
        return false;
    while (scan_member(&s, &key)) {
        bool usage = scan_is(&s, &key, "usage"), choices = scan_is(&s, &key, "choices");
        bool error = scan_is(&s, &key, "error"), groq = scan_is(&s, &key, "x_groq");
        bool tier = scan_is(&s, &key, "service_tier");

        if (open_end)
            c->null_n = key.at - c->null_at;
        open_end = false;
        v = scan_value(&s);
        if (usage) {
            c->usage = v;
            open_end = v.type == SCAN_NULL && before_end == 0;
            if (v.type == SCAN_NULL)
                mark_null(c, before_end, &key, &v);
        }
        if (choices)
            c->choices = v;
        if (error)
            c->error = v;
        if (groq)
            c->groq = v;
        if (tier)
            c->tier = v;
        before_end = v.at + v.n;
    }
    return scan_end(&s) == 0;
}

static struct slice text_of(struct slice data, const struct scan_value *v)
{
    return slice_head(slice_skip(data, v->at), v->n);
}

/* Usage under a key of an object: Groq's x_groq.usage. */
static void read_nested_usage(struct answer *a, struct slice object)
{
    struct scan_value key, v;
    struct usage u;
    struct scan s;

    scan_init(&s, object);
    if (!scan_enter(&s, SCAN_OBJECT))
        return;
    while (scan_member(&s, &key)) {
        bool usage = scan_is(&s, &key, "usage");

        v = scan_value(&s);
        if (usage && v.type == SCAN_OBJECT && openai_read_usage(scan_text(&s, &v), &u))
            answer_saw_usage(a, &u);
    }
}

/* The strings of a delta that the model wrote. Deltas nest as tool_calls[].function.{name,arguments} do, no
 * deeper. */
static void read_delta(struct answer *a, int64_t index, struct scan *s)
{
    static const char *const texts[] = {"content",   "refusal", "reasoning_content", "reasoning", "name",
                                        "arguments", "text"};
    struct scan_value key, v;

    if (!scan_enter(s, SCAN_OBJECT))
        return;
    while (scan_member(s, &key)) {
        bool inside = scan_is(s, &key, "function") || scan_is(s, &key, "function_call");
        size_t i = 0;

        if (inside && s->depth < 5) {
            read_delta(a, index, s);
            continue;
        }
        if (scan_is(s, &key, "tool_calls") && scan_peek(s) == SCAN_ARRAY && s->depth < 5) {
            if (scan_enter(s, SCAN_ARRAY))
                while (scan_element(s))
                    read_delta(a, index, s);
            continue;
        }
        while (i < MG_ARRAY_LEN(texts) && !scan_is(s, &key, texts[i]))
            i++;
        v = scan_value(s);
        if (i < MG_ARRAY_LEN(texts) && v.type == SCAN_STRING)
            answer_saw_text(a, index, scan_text(s, &v), 0);
    }
}

/* One choice of a chunk. Its number may stand behind its text, so it is looked for first. */
static void read_choice(struct answer *a, struct slice choice)
{
    struct scan_value key, v;
    int64_t index = 0;
    struct scan s;

    scan_init(&s, choice);
    if (!scan_enter(&s, SCAN_OBJECT))
        return;
    while (scan_member(&s, &key)) {
        bool is_index = scan_is(&s, &key, "index");

        v = scan_value(&s);
        if (is_index && scan_int64(scan_text(&s, &v), &index) < 0)
            index = 0;
    }
    scan_init(&s, choice);
    if (!scan_enter(&s, SCAN_OBJECT))
        return;
    while (scan_member(&s, &key)) {
        if (scan_is(&s, &key, "delta")) {
            read_delta(a, index, &s);
            continue;
        }
        {
            bool legacy = scan_is(&s, &key, "text");

            v = scan_value(&s);
            if (legacy && v.type == SCAN_STRING)
                answer_saw_text(a, index, scan_text(&s, &v), 0);
        }
    }
}

/* Tells whether there were none. */
static bool read_choices(struct answer *a, struct slice choices)
{
    struct scan_value v;
    bool none = true;
    struct scan s;

    scan_init(&s, choices);
    if (!scan_enter(&s, SCAN_ARRAY))
        return false;
    while (scan_element(&s)) {
        v = scan_value(&s);
        read_choice(a, scan_text(&s, &v));
        none = false;
    }
    return none;
}

void openai_event(struct answer *a, const struct sse_event *e, bool hide_usage, struct sse_fate *ret)
{
    bool no_choices = false, has_usage = false;
    struct chunk c;
    struct usage u;

    if (slice_starts(e->data, SLICE("[DONE]"))) {
        answer_saw_done(a);
        return;
    }
    if (slice_starts(e->name, SLICE("response.")) || slice_eq(e->name, SLICE("error"))) {
        answer_tap(a, e->data, response_paths, MG_ARRAY_LEN(response_paths));
        return;
    }
    if (!read_chunk(e->data, &c))
        return;
    if (c.choices.type == SCAN_ARRAY)
        no_choices = read_choices(a, text_of(e->data, &c.choices));
    if (c.tier.type == SCAN_STRING)
        answer_saw_tier(a, tier_of(text_of(e->data, &c.tier)));
    if (c.groq.type == SCAN_OBJECT)
        read_nested_usage(a, text_of(e->data, &c.groq));
    if (c.usage.type == SCAN_OBJECT)
        has_usage = openai_read_usage(text_of(e->data, &c.usage), &u);
    if (has_usage)
        answer_saw_usage(a, &u);
    if (c.error.type == SCAN_OBJECT || c.error.type == SCAN_STRING)
        saw_error_object(a, text_of(e->data, &c.error));
    if (!hide_usage)
        return;
    ret->drop = has_usage && no_choices;
    ret->cut_at = c.null_at;
    ret->cut_n = c.null_n;
}
