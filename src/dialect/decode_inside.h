/*
 * decode_inside: what decode.c wants of a library that decompresses. Each library has one file.
 */
#ifndef METERGATE_DIALECT_DECODE_INSIDE_H
#define METERGATE_DIALECT_DECODE_INSIDE_H

#include <stddef.h>

#include "metergate/base/slice.h"

enum codec_said {
    CODEC_GOES_ON, /* it wants more input, or more room for output */
    CODEC_ENDED,   /* a member or frame is complete; another may follow */
    CODEC_BROKEN,
    CODEC_NO_MEMORY
};

/* What is left of the input, and of the room for output, after each step. */
struct codec_io {
    struct slice in;
    char *out;
    size_t out_n;
};

struct codec {
    void *(*open)(unsigned char first); /* NULL: no memory */
    enum codec_said (*step)(void *state, struct codec_io *io);
    void (*close)(void *state);
};

extern const struct codec codec_gzip;    /* decode_zlib.c */
extern const struct codec codec_deflate; /* decode_zlib.c; ends with its first body */
extern const struct codec codec_zstd;    /* decode_zstd.c */

#endif
