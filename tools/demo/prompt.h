/* prompt: chat requests of exactly so many tokens, counted as the daemon and the provider count them. */
#ifndef DEMO_PROMPT_H
#define DEMO_PROMPT_H

#include <stdint.h>

#include "metergate/base/buf.h"

/* Appends the body of a chat request whose input is `input_tokens` and whose answer may have `max_tokens`. */
void prompt_body(struct buf *out, const char *model, int64_t input_tokens, int64_t max_tokens);

#endif
