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

#include "metergate/tokens/encoding.h"

/*
 * n bytes of UTF-8; zeros are characters like others; p may be NULL when n is 0. Every ill-formed part counts
 * as one U+FFFD (utf8.h). Linear in n. May be called by any thread; each keeps tables of about 0.5 MiB an
 * encoding for itself, until it ends.
 *
 * Never fails. Only ill-formed text needs memory, for a repaired copy; without that memory, the answer is the
 * bytes of the copy, which no count passes.
 */
int64_t tokens_count(enum encoding e, const char *text, size_t n);

#endif
