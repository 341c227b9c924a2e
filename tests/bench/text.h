/* text: requests as clients of a provider send them, each with a body that no other has. */
#ifndef BENCH_TEXT_H
#define BENCH_TEXT_H

#include <stddef.h>
#include <stdint.h>

#include "metergate/base/buf.h"

/* What differs between the requests of two measurements; zero or NULL where nothing is said. */
struct text_chat {
    const char *prefix;    /* before the path: "" or "/secure" */
    const char *path;      /* NULL: /v1/chat/completions; /v1/messages: as Anthropic's SDK asks */
    const char *model;
    size_t body_bytes;     /* about so long */
    const char *bench;     /* the header X-Bench */
    int64_t max_tokens;
    int stream;
};

/* Appends head and body. `random` moves on. */
void text_add_chat(struct buf *out, const struct text_chat *chat, uint64_t *random);

/* Many requests in one piece of memory. */
struct requests {
    struct buf bytes;
    size_t *at; /* n + 1 of them */
    size_t n;
};

void requests_make(struct requests *rs, const struct text_chat *chat, size_t n, uint64_t seed);
void requests_release(struct requests *rs);

#endif
