/*
 * openai: the dialect of api.openai.com and of everything that speaks like it.
 *
 * Metered: POST .../chat/completions. Everything else passes.
 *
 * Counting (sources in tokens/chat.h): messages with their roles, names, text and tool calls as the published
 * rule has them; images by their size; tools, functions and response_format by the tokens of their JSON,
 * which is normally more than what the provider renders of it. The count is exact when only text took part
 * and the model's encoding and overhead are published.
 */
#ifndef METERGATE_DIALECT_OPENAI_H
#define METERGATE_DIALECT_OPENAI_H

#include "metergate/dialect/dialect.h"

extern const struct dialect dialect_openai;

#endif
