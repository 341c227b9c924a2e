/*
 * utf8: what is well-formed, and what stands for the rest.
 *
 * Well-formed is table 3-7 of the Unicode Standard: no overlong forms, no surrogates, nothing above U+10FFFF.
 * Every maximal ill-formed part becomes one U+FFFD, as the Unicode Standard recommends and as browsers,
 * Python and Rust do.
 */
#ifndef METERGATE_TOKENS_UTF8_H
#define METERGATE_TOKENS_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* How many bytes from the start are whole well-formed characters; n when all are. */
size_t utf8_valid(const char *p, size_t n);

/*
 * What stands at p, n >= 1 bytes of it: the size of a whole character, or, with *ret_whole false, of an
 * ill-formed part: the longest beginning of some character, or else one byte. 0: it is the beginning of a
 * character whose rest is not there.
 */
size_t utf8_next(const char *p, size_t n, bool *ret_whole);

#define UTF8_REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */

#endif
