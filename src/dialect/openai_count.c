/*
 * openai_count: walks the parts of a body that cost tokens and adds them up.
 *
 * Of a chat, what the published rule says nothing about (images, tools, keys that a message has twice or
 * should not have) makes the count an estimate, never less than the text in it. The older completions and
 * embeddings are their text alone, without any frame.
 */
#include "metergate/dialect/openai_parts.h"

#include <errno.h>

#include "metergate/base/scan.h"
#include "metergate/base/scan_text.h"
#include "metergate/dialect/counter.h"
#include "metergate/dialect/fields.h"
#include "metergate/dialect/media.h"
#include "metergate/dialect/openai_tools.h"

/* A list of prompts of tokens is the deepest that there is. */
#define BARE_DEPTH 2

/* A message of the role "function" costs less by so many (openai_tools.h). */
#define FUNCTION_MESSAGE_LESS 2

/* One part of a content that is a list: {"type":"text","text":"..."}, {"type":"image_url",...}, ... */
static void count_part(struct counter *k, struct scan *s)
{
    struct scan_value key, v;

    if (!scan_enter(s, SCAN_OBJECT)) {
        chat_count_inexact(&k->chat);
        return;
    }
    while (scan_member(s, &key)) {
        static const char *const media[] = {"image_url", "input_audio", "file"};
        bool text = scan_is(s, &key, "text") || scan_is(s, &key, "refusal");
        size_t i = 0;

        while (i < MG_ARRAY_LEN(media) && !scan_is(s, &key, media[i]))
            i++;
        v = scan_value(s);
        if (text && v.type == SCAN_STRING)
            counter_string(k, s, &v, MEANS_CONTENT);
        else if (i < MG_ARRAY_LEN(media))
            media_count(k, slice_str(media[i]), slice_of(s->text.p + v.at, v.n), SLICE(""));
    }
}

/* Gives the string that the content is, or a value of no type. */
static struct scan_value count_content(struct counter *k, struct scan *s)
{
    struct scan_value v;

    if (scan_peek(s) == SCAN_ARRAY) {
        if (scan_enter(s, SCAN_ARRAY))
            while (scan_element(s))
                count_part(k, s);
        return (struct scan_value){0};
    }
    v = scan_value(s);
    if (v.type == SCAN_STRING) {
        counter_string(k, s, &v, MEANS_CONTENT);
        return v;
    }
    if (v.type != SCAN_NULL)
        chat_count_inexact(&k->chat);
    return (struct scan_value){0};
}

static void count_calls(struct counter *k, struct scan *s)
{
    if (!scan_enter(s, SCAN_ARRAY))
        return;
    while (scan_element(s)) {
        struct scan_value v = scan_value(s);

        if (v.type != SCAN_NONE)
            openai_call_count(k, slice_of(s->text.p + v.at, v.n));
    }
}

/* Members of a message that are neither its role, its content nor its name. */
static void count_other(struct counter *k, struct scan *s, const struct scan_value *key)
{
    bool call = scan_is(s, key, "function_call"), refusal = scan_is(s, key, "refusal");
    struct scan_value v;

    if (scan_is(s, key, "tool_calls") && scan_peek(s) == SCAN_ARRAY) {
        count_calls(k, s);
        return;
    }
    v = scan_value(s);
    if (v.type == SCAN_NULL || v.type == SCAN_NONE)
        return;
    if (call)
        openai_call_count(k, slice_of(s->text.p + v.at, v.n));
    else if (refusal && v.type == SCAN_STRING)
        counter_string(k, s, &v, MEANS_CONTENT);
    else
        chat_count_inexact(&k->chat); /* tool_call_id, audio, what a provider may have added */
}

/* What functions make of a message besides its own cost. */
struct message {
    bool system, function;
    struct scan_value content; /* when it is a string */
};

static void count_role(struct counter *k, struct scan *s, struct message *m)
{
    struct scan_value v = scan_value(s);

    if (v.type != SCAN_STRING)
        return;
    m->system |= scan_is(s, &v, "system");
    m->function |= scan_is(s, &v, "function");
    counter_string(k, s, &v, MEANS_ROLE);
}

static void count_message(struct counter *k, struct scan *s, struct message *m)
{
    int roles = 0, contents = 0, names = 0;
    struct scan_value key, v;

    chat_count_message(&k->chat);
    k->messages++;
    if (!scan_enter(s, SCAN_OBJECT)) {
        chat_count_inexact(&k->chat);
        return;
    }
    while (scan_member(s, &key)) {
        if (scan_is(s, &key, "content")) {
            contents++;
            m->content = count_content(k, s);
        } else if (scan_is(s, &key, "role")) {
            roles++;
            count_role(k, s, m);
        } else if (scan_is(s, &key, "name")) {
            names++;
            v = scan_value(s);
            if (v.type == SCAN_STRING)
                counter_string(k, s, &v, MEANS_NAME);
        } else {
            count_other(k, s, &key);
        }
    }
    if (roles != 1 || contents > 1 || names > 1)
        chat_count_inexact(&k->chat);
}

/* The older `functions` change what the messages cost (openai_tools.h). */
static void count_functions(struct counter *k, struct slice body, const struct dialect_request *r,
                            const struct message *system, int64_t function_messages)
{
    struct field choice = {.name = "function_call"};
    struct slice value = SLICE("");

    if (r->functions.n == 0)
        return;
    if (fields_read(body, &choice, 1, NULL) == 0)
        value = field_raw(body, &choice);
    openai_functions_count(k, counter_part(body, r->functions), value);
    chat_count_inexact(&k->chat);
    chat_count_text(&k->chat, -FUNCTION_MESSAGE_LESS * function_messages);
    if (system->system)
        chat_count_text(&k->chat, openai_functions_system(k, scan_inside(counter_part(body, r->prompt), &system->content)));
}

static int count_chat(struct slice body, const struct dialect_request *r, struct counter *k)
{
    struct message system = {0};
    int64_t function_messages = 0;
    struct scan s;

    if (body.p[r->prompt.at] != '[')
        return -EBADMSG;
    scan_init(&s, counter_part(body, r->prompt));
    if (scan_enter(&s, SCAN_ARRAY))
        while (scan_element(&s)) {
            struct message m = {0};

            count_message(k, &s, &m);
            function_messages += m.function;
            system = m.system && !system.system ? m : system;
        }
    if (r->tools.n)
        openai_tools_count(k, counter_part(body, r->tools));
    count_functions(k, body, r, &system, function_messages);
    counter_schemas_at(k, body, r->response_format);
    return 0;
}

/* ---- completions and embeddings: text, tokens, or a list of either ---- */

static void count_bare(struct counter *k, struct scan *s, int depth)
{
    struct scan_value v;

    if (depth < BARE_DEPTH && scan_peek(s) == SCAN_ARRAY) {
        if (scan_enter(s, SCAN_ARRAY))
            while (scan_element(s))
                count_bare(k, s, depth + 1);
        return;
    }
    if (scan_peek(s) == SCAN_OBJECT) { /* embeddings of other providers: {"text":...}, {"image_url":...} */
        counter_blocks(k, s);
        return;
    }
    v = scan_value(s);
    if (v.type == SCAN_STRING)
        counter_string(k, s, &v, MEANS_CONTENT);
    else if (v.type == SCAN_NUMBER)
        chat_count_tokens(&k->chat, 1);
    else
        chat_count_inexact(&k->chat);
}

/* ---- responses: a text, or a list of messages, calls and their results ---- */

static void count_responses(struct slice body, const struct dialect_request *r, struct counter *k)
{
    struct scan s;

    chat_count_inexact(&k->chat); /* its frame is not published */
    scan_init(&s, counter_part(body, r->prompt));
    if (r->prompt.n && body.p[r->prompt.at] == '[') {
        counter_messages(k, &s);
    } else if (r->prompt.n) {
        chat_count_message(&k->chat);
        k->messages++;
        counter_blocks(k, &s);
    }
    if (r->system.n)
        chat_count_message(&k->chat);
    counter_blocks_at(k, body, r->system);
    if (r->tools.n)
        openai_tools_count(k, counter_part(body, r->tools));
    counter_schemas_at(k, body, r->response_format);
}

int openai_count(struct slice body, const struct dialect_request *r, struct request_count *ret)
{
    bool bare = r->endpoint == ENDPOINT_COMPLETIONS || r->endpoint == ENDPOINT_EMBEDDINGS;
    struct counter k;
    struct scan s;
    int rc = 0;

    if (r->endpoint == ENDPOINT_INVOKE) {
        *ret = (struct request_count){.parts.exact = true};
        return 0;
    }
    if (r->prompt.n == 0 && r->endpoint != ENDPOINT_RESPONSES)
        return -EBADMSG;
    counter_init(&k, r->model);
    if (bare) {
        chat_count_bare(&k.chat);
        scan_init(&s, counter_part(body, r->prompt));
        count_bare(&k, &s, 0);
    } else if (r->endpoint == ENDPOINT_RESPONSES) {
        count_responses(body, r, &k);
    } else {
        rc = count_chat(body, r, &k);
    }
    counter_finish(&k, !bare, ret);
    return rc;
}
