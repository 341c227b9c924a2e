/*
 * bench_tokens: how fast text is counted, in MB (10^6 bytes) a second of this thread's CPU time. "first" is
 * the first pass over a text, "warm" the best of five more. The texts are made here, the same on every
 * machine.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "metergate/base/buf.h"
#include "metergate/tokens/count.h"

#define TEXT_BYTES ((size_t)4000000)

static const char *const words[] = {
    "the",      "of",      "and",      "a",        "to",      "in",      "is",      "you",
    "that",     "it",      "was",      "for",      "on",      "are",     "as",      "with",
    "his",      "they",    "be",       "at",       "queue",   "window",  "budget",  "waiting",
    "provider", "morning", "question", "answered", "quietly", "because", "Tuesday", "however",
    "patience", "don't",   "measure",  "engineer", "garden",  "twenty",  "Lisbon",  "river",
};

static const char *const code[] = {
    "if (n < 0)\n    ", "return ", "->next",        "size_t ",    "i++) {\n", "\t\t", "0x1f",
    "\"key\": ",        "},\n",    "struct call *", "fooBarBaz(", " = 42;\n",
};

static const char *const mixed[] = {
    "队列", "不会",      "忘记",  "任何人。", "очередь ", "никого ", "行列は",
    "ﾄｰｸﾝ", "대기열은 ", "कतार ", "الطابور ", "plain ",   "\n",      "ครับ",
};

static uint32_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return (uint32_t)(*state >> 16);
}

/* Low numbers come often, as common words do; now and then a word that nobody has written before. */
static void make_text(struct buf *b, const char *const *from, size_t n, const char *between)
{
    uint64_t random = 42;

    while (b->n < TEXT_BYTES) {
        uint32_t r = next_random(&random);

        buf_add_str(b, from[(uint64_t)(r % 1024) * (r / 1024 % 1024) * n >> 20]);
        if (r >> 27 == 0)
            for (uint32_t i = 0; i < 4 + r % 7; i++)
                buf_add_char(b, (char)('a' + next_random(&random) % 26));
        buf_add_str(b, r >> 28 == 1 ? ".\n" : between);
    }
}

static double cpu_seconds(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void measure(const char *name, const struct buf *text)
{
    for (int e = 0; e < ENCODINGS; e++) {
        double best = 1e9, first = 0;
        int64_t tokens = 0;

        for (int pass = 0; pass < 6; pass++) {
            double start = cpu_seconds(), took;

            tokens = tokens_count((enum encoding)e, text->p, text->n);
            took = cpu_seconds() - start;
            if (pass == 0)
                first = took;
            else if (took < best)
                best = took;
        }
        printf("%-10s %-12s %9lld tokens  first %6.1f MB/s  warm %6.1f MB/s\n", name,
               encoding_name((enum encoding)e), (long long)tokens, (double)text->n / first / 1e6,
               (double)text->n / best / 1e6);
    }
}

int main(void)
{
    static const struct {
        const char *name;
        const char *const *from;
        size_t n;
        const char *between;
    } kinds[] = {
        {"prose", words, MG_ARRAY_LEN(words), " "},
        {"code", code, MG_ARRAY_LEN(code), ""},
        {"mixed", mixed, MG_ARRAY_LEN(mixed), ""},
    };

    for (size_t i = 0; i < MG_ARRAY_LEN(kinds); i++) {
        struct buf text;

        buf_init(&text, BUF_UNLIMITED);
        make_text(&text, kinds[i].from, kinds[i].n, kinds[i].between);
        measure(kinds[i].name, &text);
        buf_release(&text);
    }
    return 0;
}
