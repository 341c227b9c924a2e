/*
 * encoding: which vocabulary a model's text is counted with.
 *
 * The rules are those of OpenAI's tiktoken (model.py, August 2026) with two differences: a fine-tuned name
 * (`ft:gpt-4.1-mini:org:suffix:id`) counts as the model that it was tuned from, where tiktoken takes gpt-4.1
 * for gpt-4, and a name that it does not know still gets an encoding.
 */
#ifndef METERGATE_TOKENS_ENCODING_H
#define METERGATE_TOKENS_ENCODING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "metergate/base/slice.h"

enum encoding {
    ENCODING_O200K,  /* o200k_base: GPT-4o and later */
    ENCODING_CL100K, /* cl100k_base: GPT-4, GPT-3.5, the embeddings */
    ENCODINGS
};

struct model_encoding {
    enum encoding encoding;
    bool exact; /* it is the model's own; false: the nearest that we have */
};

/*
 * Unknown names that look like OpenAI's (gpt-*, o4-*) are o200k_base, exact: every model since GPT-4o uses
 * it. Every other unknown name, and OpenAI's oldest models (p50k, r50k, gpt2), count as o200k_base, not
 * exact. A vendor before the name, as gateways and clouds write it ("openai/", "openrouter/openai/", "us.anthropic."), is ignored. Never fails; an empty name is an unknown one.
 */
struct model_encoding encoding_for_model(const char *model, size_t n);

/*
 * How many of the model's own tokens stand for 1000 of the nearest encoding's, when that is not exact; else
 * 1000. Rather too many, so that a budget is not overspent: Claude up to 4.6 1200, and 1500 since 4.7, whose
 * vocabulary makes "approximately 30 percent more" of a text (Anthropic, token counting, 2026); Gemini 1100, at
 * about 4 characters a token (Google, understand and count tokens); others 1000.
 */
int64_t encoding_scale_permille(const char *model, size_t n);

/* "o200k_base", "cl100k_base". */
const char *encoding_name(enum encoding e);

/* The name without its vendors, and without what fine-tuning adds (`ft:` before; the organisation and all that
 * follows it after): part of what was given. */
struct slice encoding_base_model(const char *model, size_t n);

#endif
