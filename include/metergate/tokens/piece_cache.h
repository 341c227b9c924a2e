/*
 * piece_cache: what this thread has counted lately: short pieces, and pairs of tokens.
 *
 * One table a thread and an encoding, of a fixed size, direct-mapped: a piece has one place, and the last one
 * there stays. It neither grows nor needs to be emptied, and whoever sends strange text only makes it miss. A
 * key is the whole piece, so an answer is never another piece's.
 *
 * The tables belong to their thread and go when it ends.
 */
#ifndef METERGATE_TOKENS_PIECE_CACHE_H
#define METERGATE_TOKENS_PIECE_CACHE_H

#include <endian.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "metergate/tokens/bpe.h"
#include "metergate/tokens/encoding.h"

#define PIECE_CACHE_LONGEST 15 /* bytes; longer pieces are counted each time */
#define PIECE_CACHE_BITS    17 /* 131,072 places of 16 bytes */

/*
 * The bytes of a piece, zeros behind them, and in the last byte its size and, in a table, its count:
 *
 *   lo: bytes 0..7     hi: bytes 8..14, count (4 bits), size (4 bits)
 *
 * A piece of 15 bytes has at most 15 tokens. No piece is empty, so a zeroed place holds none.
 */
struct piece_key {
    uint64_t lo, hi;
};

#define PIECE_COUNT_SHIFT 56
#define PIECE_COUNT_MASK  (UINT64_C(15) << PIECE_COUNT_SHIFT)

struct piece_cache {
    struct bpe_memo memo; /* for bpe_count */
    struct piece_key place[1 << PIECE_CACHE_BITS];
};

/* This thread's table, made at the first call; NULL when there is no memory for it: count without. */
struct piece_cache *piece_cache_of_thread(enum encoding e);

/* 1 <= n <= PIECE_CACHE_LONGEST; 16 bytes can be read at p. */
static inline struct piece_key piece_key_inside(const char *p, size_t n)
{
    static const uint64_t lows[16] = {0,
                                      0xff,
                                      0xffff,
                                      0xffffff,
                                      0xffffffff,
                                      0xffffffffff,
                                      0xffffffffffff,
                                      0xffffffffffffff,
                                      UINT64_MAX,
                                      UINT64_MAX,
                                      UINT64_MAX,
                                      UINT64_MAX,
                                      UINT64_MAX,
                                      UINT64_MAX,
                                      UINT64_MAX,
                                      UINT64_MAX};
    static const uint64_t highs[16] = {
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xffff, 0xffffff, 0xffffffff, 0xffffffffff, 0xffffffffffff, 0xffffffffffffff};
    struct piece_key k;

    memcpy(&k.lo, p, 8);
    memcpy(&k.hi, p + 8, 8);
    k.lo = le64toh(k.lo) & lows[n];
    k.hi = (le64toh(k.hi) & highs[n]) | (uint64_t)n << 60;
    return k;
}

/* Likewise; `end` is the end of the text that p lies in: nothing behind it is read. */
static inline struct piece_key piece_key_of(const char *p, size_t n, const char *end)
{
    char bytes[16] = {0};

    if (end - p >= 16)
        return piece_key_inside(p, n);
    memcpy(bytes, p, n);
    return piece_key_inside(bytes, n);
}

static inline size_t piece_key_size(const struct piece_key *k)
{
    return k->hi >> 60;
}

/* Where the key's place is. It must be looked at and, when that misses, filled, before the next call. */
static inline struct piece_key *piece_cache_place(struct piece_cache *c, const struct piece_key *k)
{
    uint64_t h = (k->lo ^ (k->hi << 23 | k->hi >> 41)) * UINT64_C(0x9e3779b97f4a7c15);

    return &c->place[(h ^ h >> 29) * UINT64_C(0xbf58476d1ce4e5b9) >> (64 - PIECE_CACHE_BITS)];
}

/* The count of the key's piece, or 0 when the place holds another. */
static inline unsigned piece_cache_get(const struct piece_key *place, const struct piece_key *k)
{
    if (place->lo != k->lo || (place->hi & ~PIECE_COUNT_MASK) != k->hi)
        return 0;
    return (unsigned)(place->hi >> PIECE_COUNT_SHIFT) & 15;
}

static inline void piece_cache_put(struct piece_key *place, const struct piece_key *k, unsigned count)
{
    place->lo = k->lo;
    place->hi = k->hi | (uint64_t)count << PIECE_COUNT_SHIFT;
}

#endif
