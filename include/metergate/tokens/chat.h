/*
 * chat: the prompt tokens of a chat request, added up while somebody else walks its JSON.
 *
 * For text the rules are those of OpenAI's cookbook (How to count tokens with tiktoken): every message costs
 * 3 tokens and its texts, a name 1 more, and the answer is primed with 3. They are published for the models
 * of the GPT-3.5, GPT-4 and GPT-4o families, and exact there. For others the same sum is taken, and is not
 * exact.
 *
 * What a tool definition or a tool call costs is not published. The model sees it in a shorter form than
 * JSON; so the tokens of its JSON without insignificant white space, and a little for the frame around it,
 * are an upper estimate.
 *
 *     struct chat_count c;
 *     chat_count_init(&c, encoding_for_model(model, n), model, n);
 *     chat_count_message(&c);                     for each message
 *     chat_count_text(&c, tokens_count(c.encoding, "user", 4));   its role
 *     chat_count_text(&c, ...);                      its content, or each text part of it
 *     total = chat_count_total(&c);
 *
 * Texts are the characters meant, without JSON's escapes. Nothing is kept of them. The struct holds no
 * memory.
 */
#ifndef METERGATE_TOKENS_CHAT_H
#define METERGATE_TOKENS_CHAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "metergate/tokens/calibration.h"
#include "metergate/tokens/encoding.h"
#include "metergate/tokens/image.h"

/* What the answer is primed with. */
#define CHAT_PRIMING 3

struct chat_count {
    enum encoding encoding;   /* readable */
    bool encoding_exact;      /* private: it is the model's own */
    bool tools;               /* private: the frame around tools is counted */
    int per_message;          /* private */
    int per_name;             /* private */
    struct slice model;       /* private: borrowed */
    int64_t scale_permille;   /* private: encoding_scale_permille */
    struct token_parts parts; /* private: so far */
};

struct token_total {
    int64_t tokens; /* of the parts, by the ratios that are published: what calibration.h begins with */
    struct token_parts parts;
};

/* The model's name is borrowed as long as anything is counted. */
void chat_count_init(struct chat_count *c, struct model_encoding enc, const char *model, size_t n);

/* The fixed cost of one more message. */
void chat_count_message(struct chat_count *c);

/* A role, a content, a text part, a refusal: one call for each text, with its tokens. */
void chat_count_text(struct chat_count *c, int64_t tokens);

/* The `name` of a message's author. */
void chat_count_name(struct chat_count *c, int64_t tokens);

/* One tool or function definition, one tool call, or a whole array of them, as JSON; estimated. It need not
 * be valid. */
void chat_count_tool_json(struct chat_count *c, const char *json, size_t n);

/* The same, by a rule that somebody else knows: so many tokens. */
void chat_count_tool(struct chat_count *c, int64_t tokens);

/*
 * An image (image.h): `text` is its data: URL, its base64, or its address, as it stands in a JSON string; of an address the size is not
 * known. Estimated.
 */
void chat_count_image(struct chat_count *c, struct slice text, enum image_detail detail);

/* A recording in base64, likewise (sound.h). Estimated. */
void chat_count_sound(struct chat_count *c, struct slice text, bool is_video);

/* Tokens that are written as their numbers. */
void chat_count_tokens(struct chat_count *c, int64_t tokens);

/* What follows is text without any frame (completions, embeddings), whose count is as exact as the encoding:
 * the published sums are of chats alone. */
void chat_count_bare(struct chat_count *c);

/* What follows no published rule. */
void chat_count_inexact(struct chat_count *c);

/* A frame or a prompt that the provider adds, of about so many tokens. */
void chat_count_estimate(struct chat_count *c, int64_t tokens);

/* A file or page by its id or address, a tool that the provider runs: nothing tells how much it is; so many
 * are assumed. */
void chat_count_hidden(struct chat_count *c, int64_t tokens);

/* The sum, the priming of the answer included. More may be counted afterwards. */
struct token_total chat_count_total(const struct chat_count *c);

#endif
