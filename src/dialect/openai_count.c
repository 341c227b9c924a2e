/*
 * openai_count: walks the parts of a chat body that cost tokens and adds them up.
 *
 * Text is counted as it reads, without JSON's escapes. What the published rule says nothing about (images,
 * tools, keys that a message has twice or should not have) makes the count an estimate, never less than the
 * text in it.
 *
 * `characters` are the code points of the messages' contents: OpenAI documents an estimate "based on the
 * character count" without saying of what; this is the least that it can mean, and what it is used for
 * (refusing a call that cannot ever fit) must not say too much.
 */
#include "metergate/dialect/openai_parts.h"

#include <errno.h>

#include "metergate/base/scan.h"
#include "metergate/base/scan_text.h"
#include "metergate/tokens/chat.h"
#include "metergate/tokens/encoding.h"

/* An audio clip or a file given by its id: nothing in the body tells its length. */
#define UNKNOWN_PART_TOKENS 1000

struct counter {
    struct chat_count chat;
    int64_t characters, messages;
    struct buf text; /* one string, decoded */
    int rc;          /* the first failure (memory); later work is skipped */
};

enum meaning { MEANS_CONTENT, MEANS_ROLE, MEANS_NAME };

static int64_t code_points(struct slice text)
{
    int64_t n = 0;

    for (size_t i = 0; i < text.n; i++)
        n += ((unsigned char)text.p[i] & 0xC0) != 0x80;
    return n;
}

static void count_string(struct counter *k, const struct scan *s, const struct scan_value *v,
                         enum meaning meaning)
{
    struct slice text = scan_text(s, v);

    if (v->escaped && k->rc == 0) {
        buf_reset(&k->text);
        k->rc = scan_decode(text, &k->text);
        text = buf_slice(&k->text);
    }
    if (k->rc < 0)
        return;
    if (meaning == MEANS_NAME)
        chat_count_name(&k->chat, text.p, text.n);
    else
        chat_count_text(&k->chat, text.p, text.n);
    if (meaning == MEANS_CONTENT)
        k->characters += code_points(text);
}

/* One part of a content that is a list: {"type":"text","text":"..."}, {"type":"image_url",...}, ... */
static void count_part(struct counter *k, struct scan *s)
{
    struct scan_value key, v;

    if (!scan_enter(s, SCAN_OBJECT)) {
        chat_count_estimate(&k->chat, 0);
        return;
    }
    while (scan_member(s, &key)) {
        bool text = scan_is(s, &key, "text") || scan_is(s, &key, "refusal");
        bool image = scan_is(s, &key, "image_url");
        bool other = scan_is(s, &key, "input_audio") || scan_is(s, &key, "file");

        v = scan_value(s);
        if (text && v.type == SCAN_STRING)
            count_string(k, s, &v, MEANS_CONTENT);
        else if (image)
            chat_count_image(&k->chat);
        else if (other)
            chat_count_estimate(&k->chat, UNKNOWN_PART_TOKENS);
    }
}

/* A list of tool definitions or calls, each with its frame. */
static void count_tools(struct counter *k, struct scan *s)
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

static void count_content(struct counter *k, struct scan *s)
{
    struct scan_value v;

    if (scan_peek(s) == SCAN_ARRAY) {
        if (scan_enter(s, SCAN_ARRAY))
            while (scan_element(s))
                count_part(k, s);
        return;
    }
    v = scan_value(s);
    if (v.type == SCAN_STRING)
        count_string(k, s, &v, MEANS_CONTENT);
    else if (v.type != SCAN_NULL)
        chat_count_estimate(&k->chat, 0);
}

/* Members of a message that are neither its role, its content nor its name. */
static void count_other(struct counter *k, struct scan *s, const struct scan_value *key)
{
    bool call = scan_is(s, key, "function_call"), refusal = scan_is(s, key, "refusal");
    struct scan_value v;

    if (scan_is(s, key, "tool_calls")) {
        count_tools(k, s);
        return;
    }
    v = scan_value(s);
    if (v.type == SCAN_NULL || v.type == SCAN_NONE)
        return;
    if (call)
        chat_count_tool_json(&k->chat, s->text.p + v.at, v.n);
    else if (refusal && v.type == SCAN_STRING)
        count_string(k, s, &v, MEANS_CONTENT);
    else
        chat_count_estimate(&k->chat, 0); /* tool_call_id, audio, what a provider may have added */
}

static void count_message(struct counter *k, struct scan *s)
{
    int roles = 0, contents = 0, names = 0;
    struct scan_value key, v;

    chat_count_message(&k->chat);
    k->messages++;
    if (!scan_enter(s, SCAN_OBJECT)) {
        chat_count_estimate(&k->chat, 0);
        return;
    }
    while (scan_member(s, &key)) {
        bool role = scan_is(s, &key, "role"), name = scan_is(s, &key, "name");

        if (scan_is(s, &key, "content")) {
            contents++;
            count_content(k, s);
        } else if (role || name) {
            roles += role;
            names += name;
            v = scan_value(s);
            if (v.type == SCAN_STRING)
                count_string(k, s, &v, role ? MEANS_ROLE : MEANS_NAME);
        } else {
            count_other(k, s, &key);
        }
    }
    if (roles != 1 || contents > 1 || names > 1)
        chat_count_estimate(&k->chat, 0);
}

/* A schema that the answer must follow is shown to the model; the plain formats are not. */
static void count_format(struct counter *k, struct scan *s)
{
    struct scan_value key, v;

    if (!scan_enter(s, SCAN_OBJECT))
        return;
    while (scan_member(s, &key)) {
        bool schema = scan_is(s, &key, "json_schema");

        v = scan_value(s);
        if (schema && v.type == SCAN_OBJECT)
            chat_count_tool_json(&k->chat, s->text.p + v.at, v.n);
    }
}

static struct slice part_of(struct slice body, struct span at)
{
    return slice_head(slice_skip(body, at.at), at.n);
}

int openai_count(struct slice body, const struct dialect_request *r, struct request_count *ret)
{
    size_t model_n = slice_str(r->model).n;
    struct counter k = {0};
    struct token_total total;
    struct scan s;

    if (r->messages.n == 0 || body.p[r->messages.at] != '[')
        return -EBADMSG;
    buf_init(&k.text, BUF_UNLIMITED);
    chat_count_init(&k.chat, encoding_for_model(r->model, model_n), r->model, model_n);
    scan_init(&s, part_of(body, r->messages));
    if (scan_enter(&s, SCAN_ARRAY))
        while (scan_element(&s))
            count_message(&k, &s);
    if (r->tools.n) {
        scan_init(&s, part_of(body, r->tools));
        count_tools(&k, &s);
    }
    if (r->functions.n) {
        scan_init(&s, part_of(body, r->functions));
        count_tools(&k, &s);
    }
    if (r->response_format.n) {
        scan_init(&s, part_of(body, r->response_format));
        count_format(&k, &s);
    }
    buf_release(&k.text);
    if (k.rc < 0)
        return k.rc;
    total = chat_count_total(&k.chat);
    *ret = (struct request_count){.input_tokens = total.tokens,
                                  .exact = total.exact,
                                  .characters = k.characters,
                                  .messages = k.messages};
    return 0;
}
