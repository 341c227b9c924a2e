/*
 * chat: the sums. Nothing here knows JSON but the filter that drops white space between its tokens.
 */
#include "metergate/tokens/chat.h"

#include "metergate/base/err.h"
#include "metergate/base/slice.h"
#include "metergate/tokens/count.h"
#include "metergate/tokens/feed.h"
#include "metergate/tokens/sound.h"

#define PER_MESSAGE 3
#define PER_NAME    1

/*
 * Tools are shown to the model as `namespace functions {...} // namespace functions`, which is about 16
 * tokens once, and a function as `type NAME = (_: {...}) => any;`, whose punctuation beyond that of its JSON
 * is at most about 8.
 */
#define TOOLS_FRAME 16
#define TOOL_FRAME  8

/* The families for which the cookbook publishes the sums, ended by NULL. */
static const char *const published[] = {
    "gpt-4o",        "gpt-4o-*",        "chatgpt-4o-*", "gpt-4",          "gpt-4-*",
    "gpt-3.5-turbo", "gpt-3.5-turbo-*", "gpt-35-turbo", "gpt-35-turbo-*", NULL};

static bool is_published(struct slice name)
{
    for (size_t i = 0; published[i]; i++)
        if (slice_glob(name, published[i]))
            return true;
    return false;
}

void chat_count_init(struct chat_count *c, struct model_encoding enc, const char *model, size_t n)
{
    struct slice name = encoding_base_model(model, n);

    *c = (struct chat_count){
        .encoding = enc.encoding,
        .encoding_exact = enc.exact,
        .parts.exact = enc.exact && is_published(name),
        .per_message = PER_MESSAGE,
        .per_name = PER_NAME,
        .model = slice_of(model, n),
        .scale_permille = encoding_scale_permille(model, n),
    };
    if (slice_eq(name, SLICE("gpt-3.5-turbo-0301"))) {
        /* its frame carried the role, which a name replaced */
        c->per_message = 4;
        c->per_name = -1;
    }
}

void chat_count_message(struct chat_count *c)
{
    c->parts.text += c->per_message;
}

void chat_count_text(struct chat_count *c, int64_t tokens)
{
    c->parts.text += tokens;
}

void chat_count_name(struct chat_count *c, int64_t tokens)
{
    c->parts.text += c->per_name + tokens;
}

void chat_count_inexact(struct chat_count *c)
{
    c->parts.exact = false;
}

void chat_count_estimate(struct chat_count *c, int64_t tokens)
{
    MG_ASSERT(tokens >= 0);
    c->parts.fixed += tokens;
    c->parts.exact = false;
}

void chat_count_hidden(struct chat_count *c, int64_t tokens)
{
    chat_count_estimate(c, tokens);
    c->parts.hidden = true;
}

void chat_count_tokens(struct chat_count *c, int64_t tokens)
{
    c->parts.fixed += tokens;
}

void chat_count_bare(struct chat_count *c)
{
    c->parts.exact = c->encoding_exact;
}

void chat_count_image(struct chat_count *c, struct slice text, enum image_detail detail)
{
    struct image_size size = image_size_in_text(text);

    c->parts.media += image_tokens(c->model, size, detail);
    c->parts.exact = false;
    c->parts.hidden |= size.width == 0;
}

void chat_count_sound(struct chat_count *c, struct slice text, bool is_video)
{
    c->parts.media += sound_tokens(c->model, text, is_video);
    c->parts.exact = false;
}

/* Is the byte part of the JSON, and not white space between its tokens? *in_string, *escaped: where the last
 * one was. */
static bool matters(char byte, bool *in_string, bool *escaped)
{
    if (*in_string) {
        *in_string = *escaped || byte != '"';
        *escaped = !*escaped && byte == '\\';
        return true;
    }
    *in_string = byte == '"';
    return byte != ' ' && byte != '\t' && byte != '\r' && byte != '\n';
}

/* Without a copy: what matters goes in chunks to a counter that takes parts. */
static int64_t count_compact(enum encoding e, const char *json, size_t n)
{
    bool in_string = false, escaped = false;
    struct tokens_feed f;
    char chunk[1024];
    size_t have = 0;

    feed_init(&f, e, INT64_MAX);
    for (size_t i = 0; i < n; i++) {
        if (!matters(json[i], &in_string, &escaped))
            continue;
        chunk[have++] = json[i];
        if (have == sizeof chunk) {
            feed_add(&f, chunk, have);
            have = 0;
        }
    }
    feed_add(&f, chunk, have);
    return feed_finish(&f);
}

void chat_count_tool_json(struct chat_count *c, const char *json, size_t n)
{
    int64_t frame = c->tools ? TOOL_FRAME : TOOL_FRAME + TOOLS_FRAME;

    c->tools = true;
    c->parts.tools += count_compact(c->encoding, json, n) + frame;
    c->parts.exact = false;
}

void chat_count_tool(struct chat_count *c, int64_t tokens)
{
    c->parts.tools += tokens;
    c->parts.exact = false;
}

struct token_total chat_count_total(const struct chat_count *c)
{
    struct token_total total = {.parts = c->parts};
    int32_t scale = (int32_t)(c->scale_permille * RATIO_ONE / 1000);

    total.parts.fixed += CHAT_PRIMING;
    total.tokens = ratio_times(scale, total.parts.text) + ratio_times(scale, total.parts.tools) +
                   total.parts.media + total.parts.fixed;
    return total;
}
