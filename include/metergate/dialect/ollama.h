/*
 * ollama: the native dialect of Ollama (/api/...). Its calls have no limits but max_concurrent: chat,
 * generate and embed are each one request, and everything else (tags, pull, show) passes. Answers are JSON
 * lines; the last one tells usage.
 */
#ifndef METERGATE_DIALECT_OLLAMA_H
#define METERGATE_DIALECT_OLLAMA_H

#include "metergate/dialect/dialect.h"

extern const struct dialect dialect_ollama;

#endif
