/*
 * prompt: every word is one token of both vocabularies, with the space before it. Words have three letters,
 * and a few have four, so that a prompt has four characters a token: then the provider's own estimate of it,
 * characters / 4, is the exact count too, and its messages have the figures of the story. That it is so is
 * checked each time.
 */
#include "prompt.h"

#include <string.h>

#include "metergate/base/err.h"
#include "metergate/base/json.h"
#include "metergate/tokens/chat.h"
#include "metergate/tokens/count.h"

static const char *const words[] = {"the", "and", "can", "how", "new", "run",
                                    "set", "all", "one", "way", "not", "for"};
static const char *const longer[] = {"gate", "open", "when", "room", "here", "call", "wait", "turn"};

/* The input tokens of a request with this one message. */
static int64_t count(const char *model, const struct buf *content)
{
    size_t n = strlen(model);
    struct chat_count c;

    chat_count_init(&c, encoding_for_model(model, n), model, n);
    chat_count_message(&c);
    chat_count_text(&c, tokens_count(c.encoding, "user", 4));
    chat_count_text(&c, tokens_count(c.encoding, content->p, content->n));
    return chat_count_total(&c).tokens;
}

static void add_word(struct buf *content, int64_t i, int64_t longer_words)
{
    if (i)
        buf_add_char(content, ' ');
    if (i < longer_words)
        buf_add_str(content, longer[i % (int64_t)MG_ARRAY_LEN(longer)]);
    else
        buf_add_str(content, words[i % (int64_t)MG_ARRAY_LEN(words)]);
}

/* What a message adds to its text is made up for by longer words, one letter each. */
static void write_content(struct buf *content, const char *model, int64_t input_tokens)
{
    int64_t frame = count(model, content), n = input_tokens - frame;

    for (int64_t i = 0; i < n; i++)
        add_word(content, i, 4 * frame + 1);
    MG_ASSERT(count(model, content) == input_tokens);
    MG_ASSERT((int64_t)content->n == 4 * input_tokens);
}

void prompt_body(struct buf *out, const char *model, int64_t input_tokens, int64_t max_tokens)
{
    struct json_writer w;
    struct buf content;

    buf_init(&content, BUF_UNLIMITED);
    write_content(&content, model, input_tokens);
    json_init(&w, out);
    json_object_begin(&w);
    json_member_str(&w, "model", slice_str(model));
    json_member_int(&w, "max_tokens", max_tokens);
    json_key(&w, "messages");
    json_array_begin(&w);
    json_object_begin(&w);
    json_member_str(&w, "role", SLICE("user"));
    json_member_str(&w, "content", buf_slice(&content));
    json_object_end(&w);
    json_array_end(&w);
    json_object_end(&w);
    buf_release(&content);
}
