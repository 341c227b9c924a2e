/*
 * pretoken: cutting text into the pieces that byte pair encoding works on, one by one.
 *
 * These are the patterns of OpenAI's tiktoken (tiktoken_ext/openai_public.py), matched by hand from left to
 * right:
 *
 *   o200k
 * [^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?
 *         |
 * [^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?
 *         | \p{N}{1,3} | ?[^\s\p{L}\p{N}]+[\r\n/]* | \s*[\r\n]+ | \s+(?!\S) | \s+
 *   cl100k  (?i:'s|'t|'re|'ve|'m|'ll|'d) | [^\r\n\p{L}\p{N}]?\p{L}+
 *         | \p{N}{1,3} | ?[^\s\p{L}\p{N}]+[\r\n]* | \s*[\r\n]+ | \s+(?!\S) | \s+
 *
 * Every text is covered: the pieces joined are the text. The time is linear in the text; a byte is looked at
 * a bounded number of times.
 */
#ifndef METERGATE_TOKENS_PRETOKEN_H
#define METERGATE_TOKENS_PRETOKEN_H

#include <stddef.h>

#include "metergate/base/slice.h"
#include "metergate/tokens/encoding.h"

/*
 * Where the piece that begins at p ends; p < end, and the result is above p and at most `end`, which must be
 * the end of the text (what follows a piece decides where it ends). The text must be well-formed UTF-8 for
 * the answer to mean something; whatever it is, nothing outside p..end is read.
 */
const char *pretoken_end(enum encoding e, const char *p, const char *end);

/*
 * Of text that may go on: how many of its bytes are so far from its end that a piece that ends there or before ends there whatever follows.
 */
size_t pretoken_certain(struct slice text);

#endif
