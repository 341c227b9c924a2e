/* text: prose of common words, one in 32 never seen before. */
#include "text.h"

#include <stdlib.h>
#include <string.h>

static const char *const words[] = {
    "the",      "of",      "and",      "a",        "to",      "in",      "is",      "you",     "that",     "it",
    "was",      "for",     "on",       "are",      "as",      "with",    "his",     "they",    "be",       "at",
    "queue",    "window",  "budget",   "waiting",  "morning", "river",   "Lisbon",  "garden",  "measure",  "twenty",
    "provider", "because", "question", "answered", "quietly", "Tuesday", "however", "patience", "don't",   "engineer",
};

static uint32_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return (uint32_t)(*state >> 16);
}

static void add_prose(struct buf *out, size_t bytes, uint64_t *random)
{
    size_t end = out->n + bytes;

    while (out->n < end) {
        uint32_t r = next_random(random);

        if (r >> 27 == 0)
            for (uint32_t i = 0; i < 3 + r % 8; i++)
                buf_add_char(out, (char)('a' + next_random(random) % 26));
        else
            buf_add_str(out, words[r % MG_ARRAY_LEN(words)]);
        buf_add_str(out, r >> 24 % 13 == 1 ? ". " : " ");
    }
}

void text_add_chat(struct buf *out, const struct text_chat *chat, uint64_t *random)
{
    bool messages = chat->path && strcmp(chat->path, "/v1/messages") == 0;
    struct buf body;

    buf_init(&body, BUF_UNLIMITED);
    buf_addf(&body, "{\"model\":\"%s\",%s", chat->model, chat->stream ? "\"stream\":true," : "");
    if (chat->max_tokens)
        buf_addf(&body, "\"max_tokens\":%lld,", (long long)chat->max_tokens);
    buf_add_str(&body, messages ? "\"messages\":["
                                : "\"temperature\":0.7,\"messages\":[{\"role\":\"system\",\"content\":\"You are a careful clerk.\"},");
    buf_add_str(&body, "{\"role\":\"user\",\"content\":\"");
    add_prose(&body, chat->body_bytes > 200 ? chat->body_bytes - 200 : 1, random);
    buf_add_str(&body, "\"}]}");
    buf_addf(out,
             "POST %s%s HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\nContent-Type: application/json\r\n"
             "User-Agent: OpenAI/Python 1.30.1\r\nAuthorization: Bearer sk-bench-0123456789abcdef0123456789\r\n"
             "X-Stainless-Lang: python\r\nX-Stainless-Runtime: CPython\r\n",
             chat->prefix ? chat->prefix : "", chat->path ? chat->path : "/v1/chat/completions");
    if (messages)
        buf_add_str(out, "anthropic-version: 2023-06-01\r\n");
    if (chat->bench)
        buf_addf(out, "X-Bench: %s\r\n", chat->bench);
    buf_addf(out, "Content-Length: %zu\r\n\r\n", body.n);
    buf_add(out, body.p, body.n);
    buf_release(&body);
}

void requests_make(struct requests *rs, const struct text_chat *chat, size_t n, uint64_t seed)
{
    uint64_t random = 88172645463325252u + seed * 977;

    buf_init(&rs->bytes, BUF_UNLIMITED);
    rs->n = n;
    rs->at = xcalloc(n + 1, sizeof rs->at[0]);
    for (size_t i = 0; i < n; i++) {
        text_add_chat(&rs->bytes, chat, &random);
        rs->at[i + 1] = rs->bytes.n;
    }
}

void requests_release(struct requests *rs)
{
    buf_release(&rs->bytes);
    free(rs->at);
}
