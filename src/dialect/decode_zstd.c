/* decode_zstd: zstd. */
#include <zstd.h>

#include "decode_inside.h"

/* 8 MiB: RFC 9659, 3. */
#define WINDOW_LOG_MAX 23

static void *open_zstd(unsigned char first)
{
    ZSTD_DCtx *z = ZSTD_createDCtx();

    (void)first;
    if (z && !ZSTD_isError(ZSTD_DCtx_setParameter(z, ZSTD_d_windowLogMax, WINDOW_LOG_MAX)))
        return z;
    ZSTD_freeDCtx(z);
    return NULL;
}

static enum codec_said step(void *state, struct codec_io *io)
{
    ZSTD_inBuffer in = {.src = io->in.p, .size = io->in.n};
    ZSTD_outBuffer out = {.dst = io->out, .size = io->out_n};
    size_t said = ZSTD_decompressStream(state, &out, &in);

    io->in = slice_skip(io->in, in.pos);
    io->out += out.pos;
    io->out_n -= out.pos;
    if (ZSTD_isError(said))
        return CODEC_BROKEN;
    return said == 0 ? CODEC_ENDED : CODEC_GOES_ON;
}

static void close_zstd(void *state)
{
    ZSTD_freeDCtx(state);
}

const struct codec codec_zstd = {open_zstd, step, close_zstd};
