/*
 * sha256: FIPS 180-4, for the programs that run while Metergate is being built, where no library may be
 * assumed.
 */
#ifndef METERGATE_TOOLS_VOCAB_SHA256_H
#define METERGATE_TOOLS_VOCAB_SHA256_H

#include <stddef.h>
#include <stdint.h>

struct sha256 {
    uint32_t state[8];       /* private */
    uint64_t bytes;          /* private: how many were added */
    unsigned char block[64]; /* private: the last, unfinished block */
};

void sha256_init(struct sha256 *s);
void sha256_add(struct sha256 *s, const void *p, size_t n);

/* 64 lower-case hexadecimal digits and a NUL. */
void sha256_finish_hex(struct sha256 *s, char ret_hex[65]);

#endif
