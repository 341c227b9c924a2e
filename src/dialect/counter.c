/*
 * counter: blocks are told apart by the names of their members, which the three providers that write content
 * so use without contradiction. Nesting is followed to BLOCKS_DEPTH; what is deeper counts as JSON.
 */
#include "metergate/dialect/counter.h"

#include <string.h>

#include "metergate/base/scan_text.h"
#include "metergate/dialect/media.h"
#include "metergate/tokens/count.h"
#include "metergate/tokens/encoding.h"
#include "metergate/tokens/feed.h"

#define BLOCKS_DEPTH 24
#define SCHEMA_DEPTH 4

/* Reasoning that comes back encrypted: base64 of about 4 bytes a token. */
#define SEALED_BYTES_PER_TOKEN 5

void counter_init(struct counter *k, const char *model)
{
    size_t n = strlen(model);

    *k = (struct counter){0};
    chat_count_init(&k->chat, encoding_for_model(model, n), model, n);
}

/* All bytes but those that continue a character (10xxxxxx), eight at a time. */
static int64_t code_points(struct slice text)
{
    const uint64_t ones = UINT64_C(0x0101010101010101);
    int64_t n = (int64_t)text.n;
    size_t i = 0;

    for (uint64_t word; text.n - i >= sizeof word; i += sizeof word) {
        memcpy(&word, text.p + i, sizeof word);
        n -= (int64_t)(((word >> 7 & ~(word >> 6) & ones) * ones) >> 56);
    }
    for (; i < text.n; i++)
        n -= ((unsigned char)text.p[i] & 0xC0) == 0x80;
    return n;
}

/* The tokens of a string with escapes in it, which are resolved on the way; *ret_characters of what it means.
 */
static int64_t count_escaped(enum encoding e, struct slice inside, int64_t *ret_characters)
{
    struct tokens_feed f;
    char some[1024];

    *ret_characters = 0;
    feed_init(&f, e, INT64_MAX);
    while (inside.n) {
        size_t n = scan_decode_some(&inside, some, sizeof some);

        feed_add(&f, some, n);
        *ret_characters += code_points(slice_of(some, n));
    }
    return feed_finish(&f);
}

void counter_string(struct counter *k, const struct scan *s, const struct scan_value *v, enum meaning meaning)
{
    struct slice text = scan_text(s, v);
    int64_t characters, tokens;

    if (v->escaped) {
        tokens = count_escaped(k->chat.encoding, text, &characters);
    } else {
        tokens = tokens_count(k->chat.encoding, text.p, text.n);
        characters = meaning == MEANS_CONTENT ? code_points(text) : 0;
    }
    if (meaning == MEANS_NAME)
        chat_count_name(&k->chat, tokens);
    else
        chat_count_text(&k->chat, tokens);
    if (meaning == MEANS_CONTENT)
        k->characters += characters;
}

/* ---- tools and schemas ---- */

void counter_tools(struct counter *k, struct scan *s)
{
    struct scan_value v;

    if (!scan_enter(s, SCAN_ARRAY))
        return;
    while (scan_element(s)) {
        v = scan_value(s);
        if (v.type != SCAN_NONE)
            chat_count_tool_json(&k->chat, s->text.p + v.at, v.n);
    }
}

struct slice counter_part(struct slice body, struct span at)
{
    return slice_head(slice_skip(body, at.at), at.n);
}

void counter_tools_at(struct counter *k, struct slice body, struct span at)
{
    struct scan s;

    if (at.n == 0)
        return;
    scan_init(&s, counter_part(body, at));
    counter_tools(k, &s);
}

static void count_schemas(struct counter *k, struct scan *s, int depth)
{
    static const char *const schemas[] = {"json_schema",        "schema",
                                          "responseSchema",     "response_schema",
                                          "responseJsonSchema", "response_json_schema"};
    struct scan_value key, v;

    if (!scan_enter(s, SCAN_OBJECT))
        return;
    while (scan_member(s, &key)) {
        size_t i = 0;

        while (i < MG_ARRAY_LEN(schemas) && !scan_is(s, &key, schemas[i]))
            i++;
        if (i == MG_ARRAY_LEN(schemas) && depth < SCHEMA_DEPTH && scan_peek(s) == SCAN_OBJECT) {
            count_schemas(k, s, depth + 1);
            continue;
        }
        v = scan_value(s);
        if (i < MG_ARRAY_LEN(schemas) && v.type == SCAN_OBJECT)
            chat_count_tool_json(&k->chat, s->text.p + v.at, v.n);
    }
}

void counter_schemas_at(struct counter *k, struct slice body, struct span at)
{
    struct scan s;

    if (at.n == 0)
        return;
    scan_init(&s, counter_part(body, at));
    count_schemas(k, &s, 0);
}

/* ---- blocks ---- */

/* What a member of a block means; what has no row never reaches the model, or costs next to nothing. */
enum member {
    MEMBER_NONE,
    MEMBER_BLOCKS,
    MEMBER_ROLE,
    MEMBER_JSON,
    MEMBER_MEDIA,
    MEMBER_DETAIL,
    MEMBER_SEALED
};

static const struct {
    const char *name;
    enum member member;
} members[] = {
    {"role", MEMBER_ROLE},
    {"text", MEMBER_BLOCKS},
    {"content", MEMBER_BLOCKS},
    {"parts", MEMBER_BLOCKS},
    {"thinking", MEMBER_BLOCKS},
    {"refusal", MEMBER_BLOCKS},
    {"summary", MEMBER_BLOCKS},
    {"output", MEMBER_BLOCKS},
    {"arguments", MEMBER_BLOCKS},
    {"title", MEMBER_BLOCKS},
    {"context", MEMBER_BLOCKS},
    {"name", MEMBER_BLOCKS},
    {"input", MEMBER_JSON},
    {"action", MEMBER_JSON},
    {"functionCall", MEMBER_JSON},
    {"function_call", MEMBER_JSON},
    {"functionResponse", MEMBER_JSON},
    {"function_response", MEMBER_JSON},
    {"executableCode", MEMBER_JSON},
    {"codeExecutionResult", MEMBER_JSON},
    {"source", MEMBER_MEDIA},
    {"image_url", MEMBER_MEDIA},
    {"input_audio", MEMBER_MEDIA},
    {"inlineData", MEMBER_MEDIA},
    {"inline_data", MEMBER_MEDIA},
    {"fileData", MEMBER_MEDIA},
    {"file_data", MEMBER_MEDIA},
    {"file_id", MEMBER_MEDIA},
    {"file_url", MEMBER_MEDIA},
    {"detail", MEMBER_DETAIL},
    {"data", MEMBER_SEALED},
    {"encrypted_content", MEMBER_SEALED},
};

static enum member member_of(const struct scan *s, const struct scan_value *key)
{
    for (size_t i = 0; i < MG_ARRAY_LEN(members); i++)
        if (scan_is(s, key, members[i].name))
            return members[i].member;
    return MEMBER_NONE;
}

static void count_blocks(struct counter *k, struct scan *s, int depth);

static void count_member(struct counter *k, struct scan *s, enum member m)
{
    struct scan_value v = scan_value(s);

    if (v.type == SCAN_NONE || v.type == SCAN_NULL)
        return;
    switch (m) {
    case MEMBER_ROLE:
        if (v.type == SCAN_STRING)
            counter_string(k, s, &v, MEANS_ROLE);
        break;
    case MEMBER_JSON:
        if (v.type == SCAN_STRING)
            counter_string(k, s, &v, MEANS_CONTENT);
        else
            chat_count_tool_json(&k->chat, s->text.p + v.at, v.n);
        break;
    case MEMBER_SEALED:
        chat_count_hidden(&k->chat, (int64_t)(v.n / SEALED_BYTES_PER_TOKEN));
        break;
    case MEMBER_MEDIA:
    case MEMBER_DETAIL:
    case MEMBER_BLOCKS:
    case MEMBER_NONE:
    default:
        break;
    }
}

/* What stands beside an image says how closely it is to be looked at, before it or after it: so it is counted
 * at the block's end. */
struct pending {
    struct slice before, value, detail;
};

static void count_pending(struct counter *k, struct pending *p)
{
    if (p->value.n)
        media_count(k, p->before, p->value, p->detail);
    p->value.n = 0;
}

static void hold_media(struct counter *k, struct scan *s, enum member m, size_t block_at, struct pending *p)
{
    struct scan_value v = scan_value(s);

    if (m == MEMBER_DETAIL) {
        p->detail = v.type == SCAN_STRING ? scan_text(s, &v) : p->detail;
        return;
    }
    count_pending(k, p);
    if (v.type == SCAN_NONE || v.type == SCAN_NULL)
        return;
    p->before = slice_of(s->text.p + block_at, v.at - block_at); /* its own name is in it */
    p->value = slice_of(s->text.p + v.at, v.n);
}

static void count_block(struct counter *k, struct scan *s, int depth)
{
    size_t block_at = s->at;
    struct pending media = {0};
    struct scan_value key;

    while (scan_member(s, &key)) {
        enum member m = member_of(s, &key);

        if (m == MEMBER_BLOCKS)
            count_blocks(k, s, depth + 1);
        else if (m == MEMBER_MEDIA || m == MEMBER_DETAIL)
            hold_media(k, s, m, block_at, &media);
        else
            count_member(k, s, m);
    }
    count_pending(k, &media);
}

static void count_blocks(struct counter *k, struct scan *s, int depth)
{
    enum scan_type type = scan_peek(s);
    struct scan_value v;

    if (depth < BLOCKS_DEPTH && type == SCAN_OBJECT) {
        if (scan_enter(s, SCAN_OBJECT))
            count_block(k, s, depth);
        return;
    }
    if (depth < BLOCKS_DEPTH && type == SCAN_ARRAY) {
        if (scan_enter(s, SCAN_ARRAY))
            while (scan_element(s))
                count_blocks(k, s, depth + 1);
        return;
    }
    v = scan_value(s);
    if (v.type == SCAN_STRING)
        counter_string(k, s, &v, MEANS_CONTENT);
    else if (type == SCAN_OBJECT || type == SCAN_ARRAY)
        chat_count_tool_json(&k->chat, s->text.p + v.at, v.n);
}

void counter_blocks(struct counter *k, struct scan *s)
{
    chat_count_inexact(&k->chat);
    count_blocks(k, s, 0);
}

void counter_blocks_at(struct counter *k, struct slice body, struct span at)
{
    struct scan s;

    if (at.n == 0)
        return;
    scan_init(&s, counter_part(body, at));
    counter_blocks(k, &s);
}

void counter_messages(struct counter *k, struct scan *s)
{
    if (!scan_enter(s, SCAN_ARRAY))
        return;
    while (scan_element(s)) {
        chat_count_message(&k->chat);
        k->messages++;
        counter_blocks(k, s);
    }
}

/* ---- the sum ---- */

void counter_finish(struct counter *k, bool priming, struct request_count *ret)
{
    struct token_total total = chat_count_total(&k->chat);
    int64_t unprimed = priming ? 0 : CHAT_PRIMING;

    total.parts.fixed -= unprimed;
    *ret = (struct request_count){.input_tokens = total.tokens - unprimed,
                                  .parts = total.parts,
                                  .characters = k->characters,
                                  .messages = k->messages};
}
