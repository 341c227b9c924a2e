/* gzip: crc is kept inverted between calls, as RFC 1952 section 8 computes it. */
#include "gzip.h"

#include "metergate/base/buf.h"

void gzip_begin(struct gzip *z, struct buf *out)
{
    *z = (struct gzip){.crc = UINT32_MAX};
    buf_add(out, "\x1f\x8b\x08\0\0\0\0\0\0\xff", 10);
}

static void add_u16(struct buf *out, unsigned v)
{
    buf_add_char(out, (char)(v & 0xff));
    buf_add_char(out, (char)(v >> 8 & 0xff));
}

void gzip_add(struct gzip *z, struct buf *out, struct slice bytes)
{
    for (size_t i = 0; i < bytes.n; i++) {
        z->crc ^= (unsigned char)bytes.p[i];
        for (int bit = 0; bit < 8; bit++)
            z->crc = z->crc & 1 ? z->crc >> 1 ^ 0xEDB88320u : z->crc >> 1;
    }
    z->n += (uint32_t)bytes.n;
    while (bytes.n) {
        struct slice block = slice_head(bytes, 65535);

        buf_add_char(out, '\0');
        add_u16(out, (unsigned)block.n);
        add_u16(out, ~(unsigned)block.n);
        buf_add_slice(out, block);
        bytes = slice_skip(bytes, block.n);
    }
}

void gzip_end(struct gzip *z, struct buf *out)
{
    buf_add(out, "\x01\0\0\xff\xff", 5);
    add_u16(out, ~z->crc & 0xffff);
    add_u16(out, ~z->crc >> 16);
    add_u16(out, z->n & 0xffff);
    add_u16(out, z->n >> 16);
}
