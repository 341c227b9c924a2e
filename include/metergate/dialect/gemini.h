/*
 * gemini: the dialect of generativelanguage.googleapis.com.
 *
 * Metered: POST .../models/MODEL:generateContent, :streamGenerateContent, :embedContent, :batchEmbedContents;
 * :predict and :predictLongRunning (images, videos) are one request. countTokens, files, caches and models
 * pass. The model is in the path, not in the body.
 *
 * A stream comes as server-sent events with ?alt=sse, else as one JSON array in pieces. Both repeat
 * usageMetadata, cumulative: the last one counts. promptTokenCount includes what was cached;
 * thoughtsTokenCount is not in candidatesTokenCount (Google, GenerateContentResponse, 2026).
 */
#ifndef METERGATE_DIALECT_GEMINI_H
#define METERGATE_DIALECT_GEMINI_H

#include "metergate/dialect/dialect.h"

extern const struct dialect dialect_gemini;

#endif
