/*
 * gzip: RFC 1952 around stored blocks: what a decoder must accept, made without a compression library. For answers that
 * come compressed although nobody asked.
 */
#ifndef SIMULATOR_GZIP_H
#define SIMULATOR_GZIP_H

#include <stdint.h>

#include "metergate/base/slice.h"

struct buf;

struct gzip {
    uint32_t crc; /* private */
    uint32_t n;   /* private */
};

/* Each appends what it makes; gzip_add ends on a byte, so that a reader can have it at once. */
void gzip_begin(struct gzip *z, struct buf *out);
void gzip_add(struct gzip *z, struct buf *out, struct slice bytes);
void gzip_end(struct gzip *z, struct buf *out);

#endif
