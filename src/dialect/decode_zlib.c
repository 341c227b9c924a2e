/* decode_zlib: gzip and deflate. */
#include <stdlib.h>
#define ZLIB_CONST
#include <zlib.h>

#include "decode_inside.h"
#include "metergate/base/err.h"

#define STEP_MAX ((size_t)1 << 20) /* zlib counts in unsigned int */

static void *open_bits(int window_bits)
{
    z_stream *z = xcalloc(1, sizeof *z);

    if (inflateInit2(z, window_bits) == Z_OK)
        return z;
    free(z);
    return NULL;
}

static void *open_gzip(unsigned char first)
{
    (void)first;
    return open_bits(16 + MAX_WBITS);
}

/*
 * Whether a deflate body is wrapped is told by its first byte. RFC 1950 2.2: its low half is 8, the high half at
 * most 7. As RFC 1951 that byte would begin a stored block and have a set bit where writers pad with zeros.
 */
static void *open_deflate(unsigned char first)
{
    return open_bits((first & 0x8F) == 0x08 ? MAX_WBITS : -MAX_WBITS);
}

static enum codec_said step(void *state, struct codec_io *io)
{
    size_t in_n = io->in.n < STEP_MAX ? io->in.n : STEP_MAX;
    z_stream *z = state;
    int said;

    z->next_in = (const Bytef *)io->in.p;
    z->avail_in = (uInt)in_n;
    z->next_out = (Bytef *)io->out;
    z->avail_out = (uInt)io->out_n;
    said = inflate(z, Z_NO_FLUSH);
    io->in = slice_skip(io->in, in_n - z->avail_in);
    io->out += io->out_n - z->avail_out;
    io->out_n = z->avail_out;
    if (said == Z_STREAM_END) {
        (void)inflateReset(z);
        return CODEC_ENDED;
    }
    if (said == Z_MEM_ERROR)
        return CODEC_NO_MEMORY;
    return said == Z_OK || said == Z_BUF_ERROR ? CODEC_GOES_ON : CODEC_BROKEN; /* Z_BUF_ERROR: it wants more */
}

static void close_zlib(void *state)
{
    (void)inflateEnd(state);
    free(state);
}

const struct codec codec_gzip = {open_gzip, step, close_zlib};
const struct codec codec_deflate = {open_deflate, step, close_zlib};
