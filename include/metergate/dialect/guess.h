/*
 * guess: a body whose path is not known (metergate count --chat, POST /-/estimate): whose it is, by its
 * members.
 *
 *   contents                  Gemini, generateContent; the model is a member here ("model", with or without
 * "models/") requests, or content      Gemini, batchEmbedContents or embedContent messages Anthropic when it
 * says `system` or the model is a Claude, else OpenAI's chat/completions input                     OpenAI's
 * embeddings when the model's name says "embed", else its responses prompt                    OpenAI's
 * completions
 */
#ifndef METERGATE_DIALECT_GUESS_H
#define METERGATE_DIALECT_GUESS_H

#include "metergate/base/err.h"
#include "metergate/dialect/dialect.h"

struct guess {
    const struct dialect *dialect;
    struct dialect_request request;
};

/* `model` (empty: the body's) takes the place of the body's. -EBADMSG with a sentence. */
int guess_read(struct slice body, struct slice model, struct guess *ret, const char **ret_why) MG_MUSTCHECK;

/* Whose a model most likely is, by its name alone: claude* is Anthropic's, gemini* Google's, any other
 * OpenAI's. */
const struct dialect *guess_of_model(struct slice model);

#endif
