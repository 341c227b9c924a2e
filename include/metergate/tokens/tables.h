/*
 * tables: the vocabularies and the character classes as read-only data inside the binary.
 *
 * The tables are made while Metergate is being built (tools/vocab/expand.c) and embedded byte for byte
 * (src/tokens/tables.S): nothing is parsed at start, no file can be lost, and a page costs memory only once
 * it has been looked at. This header is the layout that both sides share, in the byte order of the machine
 * that is built for.
 *
 *   vocabulary:  | head 64 B | cells: u64 x cells | tokens: u64 x tokens | pairs: u64 x 2^pair_bits |
 *   classes:     | blocks: u8 x 4352 (code point / 256) | class: u8 x 256 x (blocks in use) |
 *
 * A token is named by its rank. BPE_NONE is no token.
 */
#ifndef METERGATE_TOKENS_TABLES_H
#define METERGATE_TOKENS_TABLES_H

#include <stdint.h>

#include "metergate/tokens/encoding.h"

#define BPE_NONE     UINT32_C(0x3ffff)
#define BPE_LONGEST  128 /* bytes of the longest token of any vocabulary, at most */
#define TABLES_MAGIC UINT32_C(0x4d475432)

struct tables_head {
    uint32_t magic;     /* TABLES_MAGIC */
    uint32_t cells;     /* a multiple of 256, at least 256 */
    uint32_t tokens;    /* below BPE_NONE */
    uint32_t pair_bits; /* 1..31 */
    uint32_t unused[12];
};

/* One vocabulary, borrowed from the binary: never freed. */
struct bpe_tables {
    const uint64_t *cells;  /* a double-array trie of all tokens; cells[0] is its root */
    const uint64_t *tokens; /* by rank */
    const uint64_t *pairs;  /* hash of (left, right) to the rank that they merge to: see pair_rank */
    uint32_t pair_shift;    /* private: 64 - pair_bits */
    uint32_t n_tokens;
};

struct bpe_tables tables_of(enum encoding e);

/*
 * A cell is  base:24 | label:9 | token:18.  From the cell of a text, the cell of that text followed by the
 * byte c is cells[base ^ c], if that one's label is c; the label of an unused cell is no byte at all. No two
 * cells share a base other than 0, so the label alone tells that the step is one of the trie's; base 0 means
 * that nothing follows. token is the rank of the text itself.
 */
#define CELL_UNUSED UINT64_C(0x100)

static inline uint64_t cell_make(uint32_t base, uint64_t label, uint32_t token)
{
    return base | label << 24 | (uint64_t)token << 33;
}

static inline uint32_t cell_base(uint64_t cell)
{
    return (uint32_t)cell & 0xffffff;
}

static inline uint32_t cell_label(uint64_t cell)
{
    return (uint32_t)(cell >> 24) & 0x1ff;
}

static inline uint32_t cell_token(uint64_t cell)
{
    return (uint32_t)(cell >> 33) & BPE_NONE;
}

/*
 * A token is  left:18 | right:18 | prefix:18 | size:8.  left and right are the tokens that it is merged from,
 * itself for a single byte; prefix is the longest other token that it begins with, BPE_NONE if there is none;
 * size is in bytes.
 */
static inline uint64_t token_make(uint32_t left, uint32_t right, uint32_t prefix, uint32_t size)
{
    return left | (uint64_t)right << 18 | (uint64_t)prefix << 36 | (uint64_t)size << 54;
}

static inline uint32_t token_left(uint64_t token)
{
    return (uint32_t)token & BPE_NONE;
}

static inline uint32_t token_right(uint64_t token)
{
    return (uint32_t)(token >> 18) & BPE_NONE;
}

static inline uint32_t token_prefix(uint64_t token)
{
    return (uint32_t)(token >> 36) & BPE_NONE;
}

static inline uint32_t token_size(uint64_t token)
{
    return (uint32_t)(token >> 54);
}

/* Where the search for a pair begins; it ends at a free slot, going up, round the end. */
static inline uint32_t pair_slot(uint32_t left, uint32_t right, uint32_t pair_shift)
{
    return (uint32_t)((((uint64_t)left << 18 | right) * UINT64_C(0x9e3779b97f4a7c15)) >> pair_shift);
}

/* A pair in the table is  rank:18 | right:18 | left:18; a free slot is PAIR_FREE. */
#define PAIR_FREE UINT64_MAX

static inline uint64_t pair_key(uint32_t left, uint32_t right)
{
    return (uint64_t)left << 18 | right;
}

static inline uint64_t pair_make(uint32_t left, uint32_t right, uint32_t rank)
{
    return pair_key(left, right) << 18 | rank;
}

/* The rank of the token that the two merge to; BPE_NONE when they do not. A free slot reads as no rank. */
static inline uint32_t pair_rank(const uint64_t *pairs, uint32_t pair_shift, uint32_t left, uint32_t right)
{
    uint32_t mask = (uint32_t)(UINT64_MAX >> pair_shift);
    uint64_t key = pair_key(left, right);

    for (uint32_t at = pair_slot(left, right, pair_shift);; at = (at + 1) & mask) {
        uint64_t pair = pairs[at];

        if (pair >> 18 == key || pair == PAIR_FREE)
            return (uint32_t)pair & BPE_NONE;
    }
}

/* What the pre-token patterns distinguish. */
enum char_class {
    CHAR_OTHER,   /* everything that is none of these: punctuation, symbols, control, unassigned */
    CHAR_UPPER,   /* Lu, Lt */
    CHAR_LOWER,   /* Ll */
    CHAR_LETTER,  /* Lm, Lo: letters without case */
    CHAR_MARK,    /* Mn, Mc, Me */
    CHAR_NUMBER,  /* Nd, Nl, No */
    CHAR_SPACE,   /* White_Space but the next */
    CHAR_NEWLINE, /* \r and \n */
    CHAR_CLASSES
};

#define CLASS_BLOCKS     (0x110000 / 256)
#define CLASS_MAX_BLOCKS 256

extern const unsigned char tables_classes[];

/* The class of a code point up to U+10FFFF. */
static inline enum char_class char_class_of(uint32_t cp)
{
    return (
        enum char_class)tables_classes[CLASS_BLOCKS + (uint32_t)tables_classes[cp >> 8] * 256 + (cp & 255)];
}

#endif
