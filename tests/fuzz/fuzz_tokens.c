/*
 * fuzz_tokens: any bytes count as the definition of byte pair encoding says, piece by piece, and no byte
 * behind them is read.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../naive_bpe.h"
#include "metergate/base/err.h"
#include "metergate/tokens/block.h"
#include "metergate/tokens/count.h"
#include "metergate/tokens/feed.h"
#include "metergate/tokens/pretoken.h"
#include "metergate/tokens/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* The definition is cubic in a piece: it is asked of short texts, and of one longer one in sixteen. */
#define LONGEST 256
#define SHORT   80

/* The pieces are whole characters and cover the text; the sum of their naive counts. */
static int64_t naive_count(enum encoding e, const struct bpe_tables *t, const char *text, size_t n)
{
    const char *p = text, *end = text + n;
    int64_t tokens = 0;

    while (p < end) {
        const char *next = pretoken_end(e, p, end);

        MG_ASSERT(next > p && next <= end);
        MG_ASSERT(utf8_valid(p, (size_t)(next - p)) == (size_t)(next - p));
        tokens += naive_bpe_count(t, p, (size_t)(next - p));
        p = next;
    }
    return tokens;
}

static void check(enum encoding e, const char *text, size_t n, const char *repaired, size_t repaired_n)
{
    static struct bpe_memo memo[ENCODINGS];
    struct bpe_tables t = tables_of(e);
    int64_t naive = n <= SHORT || n % 16 == 0 ? naive_bpe_count(&t, text, n) : bpe_count(&t, NULL, text, n).tokens;

    MG_ASSERT(tokens_count(e, text, n) == naive_count(e, &t, repaired, repaired_n));
    MG_ASSERT(tokens_count(e, repaired, repaired_n) == tokens_count(e, text, n));
    /* as one piece, ill-formed or not */
    MG_ASSERT(bpe_count(&t, NULL, text, n).tokens == naive);
    MG_ASSERT(bpe_count(&t, &memo[e], text, n).tokens == naive);
    MG_ASSERT(bpe_count_all(&t, text, n).tokens == naive);
    MG_ASSERT(bpe_count_back(&t, NULL, text, n, n % 8).tokens == naive);
    /* the pieces of ill-formed text mean nothing, but they stay inside */
    for (const char *p = text, *end = text + n; p < end;) {
        const char *next = pretoken_end(e, p, end);

        MG_ASSERT(next > p && next <= end);
        p = next;
    }
}

/* As Unicode recommends, by the steps that feed.c takes; free() it. At most three times as long. */
static char *repair(const char *text, size_t n, size_t *ret_n)
{
    char *to = malloc(3 * n + 1);
    size_t out = 0;

    MG_ASSERT(to);
    for (size_t at = 0; at < n;) {
        bool whole;
        size_t size = utf8_next(text + at, n - at, &whole);
        size_t step = size ? size : n - at;

        MG_ASSERT(step <= n - at);
        memcpy(to + out, whole ? text + at : UTF8_REPLACEMENT, whole ? size : 3);
        out += whole ? size : 3;
        at += step;
    }
    *ret_n = out;
    return to;
}

/* In two parts, cut anywhere. */
static void check_feed(enum encoding e, const char *text, size_t n, size_t cut)
{
    struct tokens_feed f;

    feed_init(&f, e, INT64_MAX);
    feed_add(&f, text, cut);
    feed_add(&f, text + cut, n - cut);
    MG_ASSERT(feed_finish(&f) == tokens_count(e, text, n));
}

/* What a block tells is what the patterns say; `text` is well-formed. */
static void check_block(enum encoding e, const char *text, size_t n)
{
    const char *p = text, *end = text + n;
    uint64_t starts, want = 0;

    if (n < BLOCK_BYTES)
        return;
    starts = block_plain(e, text);
    for (p = pretoken_end(e, p, end); p < text + BLOCK_BYTES && p < end; p = pretoken_end(e, p, end))
        want |= UINT64_C(1) << (p - text);
    MG_ASSERT(starts == 0 || (want & UINT64_MAX >> __builtin_clzll(starts)) == starts);
    MG_ASSERT(!block_best() || block_best()(e, text) == starts);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    size_t size = n < LONGEST ? n : LONGEST, repaired_n;
    char *text = malloc(size ? size : 1);
    char *repaired;

    MG_ASSERT(text);
    if (size)
        memcpy(text, data, size);
    repaired = repair(text, size, &repaired_n);
    MG_ASSERT(utf8_valid(repaired, repaired_n) == repaired_n);
    for (int e = 0; e < ENCODINGS; e++) {
        check((enum encoding)e, text, size, repaired, repaired_n);
        check_feed((enum encoding)e, text, size, size ? data[0] % size : 0);
        check_block((enum encoding)e, repaired, repaired_n);
    }
    free(text);
    free(repaired);
    return 0;
}
