/*
 * anthropic: the dialect of api.anthropic.com.
 *
 * Metered: POST .../messages, with or without /v1. count_tokens, batches, models and files pass.
 *
 * Counting: Claude's vocabulary is not public. Texts count as o200k_base's tokens times a ratio
 * (encoding_scale_permille), tools by their JSON and the prompt that goes with them, images by the most that
 * one costs (Anthropic, vision and tool use, 2026). Never exact.
 *
 * Usage: all input is input_tokens + cache_read_input_tokens + cache_creation_input_tokens. In a stream,
 * message_start tells the input, and message_delta's figures are cumulative: the last one of each counts. What was
 * written to a cache for an hour stands inside cache_creation; service_tier and speed tell how it is billed.
 */
#ifndef METERGATE_DIALECT_ANTHROPIC_H
#define METERGATE_DIALECT_ANTHROPIC_H

#include "metergate/dialect/dialect.h"

extern const struct dialect dialect_anthropic;

#endif
