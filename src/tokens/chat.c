/*
 * chat: the sums. Nothing here knows JSON but the filter that drops white space between its tokens.
 */
#include "metergate/tokens/chat.h"

#include "metergate/base/err.h"
#include "metergate/base/slice.h"
#include "metergate/tokens/count.h"
#include "metergate/tokens/image.h"

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
        .exact = enc.exact && is_published(name),
        .per_message = PER_MESSAGE,
        .per_name = PER_NAME,
        .image_tokens = image_default_tokens(model, n),
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
    c->tokens += c->per_message;
}

void chat_count_text(struct chat_count *c, const char *text, size_t n)
{
    c->tokens += tokens_count(c->encoding, text, n);
}

void chat_count_name(struct chat_count *c, const char *text, size_t n)
{
    c->tokens += c->per_name;
    chat_count_text(c, text, n);
}

void chat_count_estimate(struct chat_count *c, int64_t tokens)
{
    MG_ASSERT(tokens >= 0);
    c->fixed += tokens;
    c->exact = false;
}

void chat_count_tokens(struct chat_count *c, int64_t tokens)
{
    c->fixed += tokens;
}

void chat_count_bare(struct chat_count *c)
{
    c->exact = c->encoding_exact;
}

void chat_count_image(struct chat_count *c)
{
    chat_count_estimate(c, c->image_tokens);
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

/*
 * Counted by chunks of a fixed size, so that a body of many megabytes needs no copy. Cutting between
 * characters adds at most a few tokens for each chunk, in the direction that an upper estimate may err.
 */
static int64_t count_compact(enum encoding e, const char *json, size_t n)
{
    char chunk[4096];
    size_t have = 0;
    bool in_string = false, escaped = false;
    int64_t tokens = 0;

    for (size_t i = 0; i < n; i++) {
        bool begins_character = (json[i] & 0xc0) != 0x80;

        if (!matters(json[i], &in_string, &escaped))
            continue;
        if (have == sizeof chunk || (have > sizeof chunk - 4 && begins_character)) {
            tokens += tokens_count(e, chunk, have);
            have = 0;
        }
        chunk[have++] = json[i];
    }
    return tokens + tokens_count(e, chunk, have);
}

void chat_count_tool_json(struct chat_count *c, const char *json, size_t n)
{
    int64_t frame = c->tools ? TOOL_FRAME : TOOL_FRAME + TOOLS_FRAME;

    c->tools = true;
    c->tokens += count_compact(c->encoding, json, n);
    chat_count_estimate(c, frame);
}

struct token_total chat_count_total(const struct chat_count *c)
{
    return (struct token_total){
        .tokens = (c->tokens * c->scale_permille + 999) / 1000 + c->fixed + CHAT_PRIMING, .exact = c->exact};
}
