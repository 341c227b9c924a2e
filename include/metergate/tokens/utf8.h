/*
 * utf8: what is well-formed, and what stands for the rest.
 *
 * Well-formed is table 3-7 of the Unicode Standard: no overlong forms, no surrogates, nothing above U+10FFFF.
 * Every maximal ill-formed part becomes one U+FFFD, as the Unicode Standard recommends and as browsers,
 * Python and Rust do.
 */
#ifndef METERGATE_TOKENS_UTF8_H
#define METERGATE_TOKENS_UTF8_H

#include <stddef.h>
#include <stdint.h>

#include "metergate/base/err.h"

/* How many bytes from the start are whole well-formed characters; n when all are. */
size_t utf8_valid(const char *p, size_t n);

/* The size of the text once it is repaired: at most 3n. */
size_t utf8_repaired_size(const char *p, size_t n);

/* A copy with U+FFFD in it, owned by the caller: free() it. -ENOMEM. */
int utf8_repair(const char *p, size_t n, char **ret, size_t *ret_n) MG_MUSTCHECK;

#endif
