/*
 * block: where the pieces of a stretch of ASCII begin, 64 bytes at a time.
 *
 * The patterns of pretoken.h look ahead by a few characters and back by none, so what a piece's start means
 * does not depend on anything before it. That makes a block a pure function of its 64 bytes: each byte's
 * class becomes a bit in one mask a class, and the patterns become arithmetic on those masks, without a
 * branch for a byte or a piece.
 */
#ifndef METERGATE_TOKENS_BLOCK_H
#define METERGATE_TOKENS_BLOCK_H

#include <stdint.h>

#include "metergate/tokens/encoding.h"

#define BLOCK_BYTES 64

/*
 * A piece begins at p, and BLOCK_BYTES bytes can be read. Bit i of the answer: a piece begins at p + i, too.
 * Every piece that begins before the highest of those bits has its bit; bit 0 is never set. What cannot be
 * told from these bytes (what is not ASCII, a piece or white space that reaches their end) is left out, so 0
 * says only: ask pretoken_end.
 */
typedef uint64_t block_fn(enum encoding e, const char *p);

/* The fastest that this machine can run; NULL where none is faster than pretoken_end. */
block_fn *block_best(void);

/* The same answer in plain C, slowly: for tests on any machine. */
uint64_t block_plain(enum encoding e, const char *p);

#endif
