/*
 * count: how many tokens a text is.
 *
 * Exact for both encodings: the same number as `len(encode_ordinary(text))` of OpenAI's tiktoken. Text is
 * ordinary text:
 * "<|endoftext|>" written in a prompt is counted as the characters that it is, as the API does.
 */
#ifndef METERGATE_TOKENS_COUNT_H
#define METERGATE_TOKENS_COUNT_H

#include <stddef.h>
#include <stdint.h>

#include "metergate/base/slice.h"
#include "metergate/tokens/encoding.h"

/*
 * n bytes of UTF-8; zeros are characters like others; p may be NULL when n is 0. Every ill-formed part counts
 * as one U+FFFD (utf8.h). Linear in n. May be called by any thread; each keeps tables of up to 2.1 MiB an
 * encoding for itself, until it ends. Never fails. Text that comes in parts: feed.h.
 */
int64_t tokens_count(enum encoding e, const char *text, size_t n);

/*
 * The same, but counting stops soon after the limit is passed: an answer above it means "more than the
 * limit", and at least that many.
 */
int64_t tokens_count_until(enum encoding e, const char *text, size_t n, int64_t limit);

/*
 * For feed.c: counts well-formed text, which must begin with a piece, as far as whole pieces end at or before
 * `last`; returns how far that is. Stops soon after the limit is passed.
 */
size_t tokens_count_pieces(enum encoding e, struct slice text, size_t last, int64_t limit,
                           int64_t *ret_tokens);

#endif
