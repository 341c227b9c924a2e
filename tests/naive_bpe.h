/*
 * naive_bpe: byte pair encoding as its definition reads, in cubic time: what the real one must agree with on
 * short pieces.
 */
#ifndef METERGATE_TESTS_NAIVE_BPE_H
#define METERGATE_TESTS_NAIVE_BPE_H

#include <stdlib.h>
#include <string.h>

#include "metergate/tokens/bpe.h"

static inline int64_t naive_bpe_count(const struct bpe_tables *t, const char *p, size_t n)
{
    size_t *cut = malloc((n + 1) * sizeof *cut); /* the parts' borders */
    size_t parts = n;

    MG_ASSERT(cut);
    for (size_t i = 0; i <= n; i++)
        cut[i] = i;
    for (;;) {
        uint32_t best = BPE_NONE;
        size_t at = 0;

        for (size_t i = 0; i + 2 <= parts; i++) {
            uint32_t rank = bpe_rank(t, p + cut[i], cut[i + 2] - cut[i]);

            if (rank < best) {
                best = rank;
                at = i;
            }
        }
        if (best == BPE_NONE)
            break;
        memmove(cut + at + 1, cut + at + 2, (parts - at - 1) * sizeof *cut);
        parts--;
    }
    free(cut);
    return (int64_t)parts;
}

#endif
