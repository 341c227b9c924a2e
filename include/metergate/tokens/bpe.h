/*
 * bpe: how many tokens a piece is, by byte pair encoding.
 *
 * The definition: begin with single bytes and merge the neighbours whose merged bytes have the lowest rank,
 * the leftmost first, until no two neighbours can merge. Doing it that way costs more than linear time; what
 * is done here gives the same answer in linear time, because an encoding is right exactly if each two
 * neighbours in it are (bpe_neighbours).
 *
 * Functions of their arguments alone, over read-only tables: any thread may call them.
 */
#ifndef METERGATE_TOKENS_BPE_H
#define METERGATE_TOKENS_BPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "metergate/tokens/tables.h"

struct bpe_count {
    int64_t tokens;
    uint64_t
        steps; /* the work: bytes looked up in the trie and neighbours compared; at most a constant times n */
};

/* Pairs of tokens that were compared lately, of one vocabulary; its owner hands it in, one thread at a time.
 * Zeros at first. */
#define BPE_MEMO_BITS 14
struct bpe_memo {
    uint64_t
        known[1 << BPE_MEMO_BITS]; /* private: direct-mapped, (left:18 right:18) + 1, then the answer's bit */
};

/* Memory is constant (about 18 KiB of stack), whatever n is. n may be 0. `memo` may be NULL. */
struct bpe_count bpe_count(const struct bpe_tables *t, struct bpe_memo *memo, const char *p, size_t n);

/* Pieces up to this are merged as the definition says. */
#define BPE_SHORT 15

/*
 * The same answer by the two ways that bpe_count has, for tests. `_back` goes through the text greedily and
 * steps back where that was wrong, but at most `back` bytes (up to BPE_BACK): if that is not enough, it
 * starts over with the other.
 * `_all` finds the encoding of every prefix of the text, which needs no stepping back but more work for each
 * byte.
 */
#define BPE_BACK ((size_t)3840)
struct bpe_count bpe_count_back(const struct bpe_tables *t, struct bpe_memo *memo, const char *p, size_t n,
                                size_t back);
struct bpe_count bpe_count_all(const struct bpe_tables *t, const char *p, size_t n);

/* The token with exactly these bytes, or BPE_NONE. */
uint32_t bpe_rank(const struct bpe_tables *t, const char *p, size_t n);

/* Would encoding the bytes of both together give these two tokens? Adds the comparisons that it took to
 * *steps. */
bool bpe_neighbours(const struct bpe_tables *t, uint32_t left, uint32_t right, uint64_t *steps);

#endif
