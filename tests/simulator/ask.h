/*
 * ask: what a request of any dialect but chat asks for: its prompt is all text that stands in the members
 * that the caller names, wherever in them. Directives in it are those of chat_request.h. The answer depends
 * on model and prompt alone.
 */
#ifndef SIMULATOR_ASK_H
#define SIMULATOR_ASK_H

#include <stdbool.h>
#include <stdint.h>

#include "chat_request.h"
#include "model.h"
#include "prose.h"

struct exchange;

struct ask {
    struct chat_request r; /* its json, prompt, stream, max_tokens, out, tool, wants_tool, unicode */
    char model[MODEL_NAME_MAX];
    bool as_json;   /* the text is {"text":"..."}: a tool's arguments, or what a schema asks for */
    int64_t input;  /* tokens of the prompt */
    int64_t tokens; /* of the answer */
    bool full;      /* the bound ended it */
    uint64_t seed;
    struct buf piece; /* private */
    struct prose prose;
};

/*
 * Reads the body. `model` is what the path names, or empty: then the body does. `prompts` ends with NULL.
 * False: the exchange has its error already. Release it either way.
 */
bool ask_read(struct ask *a, struct exchange *x, struct slice model, const char *const *prompts);
void ask_release(struct ask *a);

/* How long the answer is: [[out=N]], the model's `out`, max_tokens, 16; call it once the call is admitted: from then on the
 * exchange has used its input, and what was thought before. */
void ask_decide(struct ask *a, struct exchange *x);

/* Tells the limits what it needs: its input, and max_tokens. */
struct demand ask_demand(const struct ask *a);

/* The answer's text in pieces, from the beginning after ask_begin; the exchange's output grows with them. */
void ask_begin(struct ask *a);
bool ask_next(struct ask *a, struct exchange *x, struct slice *ret);

/* All of it at once. */
void ask_text(struct ask *a, struct exchange *x, struct buf *out);

/* The member of an object of an object, ...: "generationConfig.maxOutputTokens". */
const struct cJSON *ask_at(const struct ask *a, const char *path);

#endif
