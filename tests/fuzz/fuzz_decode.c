/*
 * fuzz_decode: any bytes in any coding are decoded or given up, within bounds, and the same in one piece as in many. What the
 * libraries decode in one call, whole, is decoded to the same bytes; what they have coded comes back. The first byte picks the
 * coding: g, d, z of bytes that are coded, G, D, Z of a text to be coded (and repeated, the second byte says how often).
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <zlib.h>
#include <zstd.h>

#include "metergate/dialect/decode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static int add(void *arg, struct slice piece)
{
    MG_ASSERT(piece.n > 0 && piece.n <= DECODE_PIECE_MAX);
    return buf_append(arg, piece.p, piece.n) < 0 ? 1 : 0;
}

static bool decode_in(enum decode_kind kind, struct slice in, size_t step, struct buf *out)
{
    struct decode *d = decode_new(kind, add, out);
    bool gave_up;
    int rc = 0;

    for (; in.n && rc == 0; in = slice_skip(in, step))
        rc = decode_feed(d, slice_head(in, step));
    gave_up = decode_gave_up(d) || rc != 0;
    decode_free(d);
    return gave_up;
}

#define MOST ((size_t)1 << 20)

/* By the library in one call: false when that does not take all of it, or it is more than MOST. */
static bool naive_decode(enum decode_kind kind, struct slice in, struct buf *out)
{
    z_stream z = {.next_in = (Bytef *)(uintptr_t)in.p, .avail_in = (uInt)in.n, .next_out = (Bytef *)out->p, .avail_out = MOST};
    size_t rc;
    bool is_whole;

    if (kind == DECODE_ZSTD) {
        rc = ZSTD_decompress(out->p, MOST, in.p, in.n);
        out->n = ZSTD_isError(rc) ? 0 : rc;
        return !ZSTD_isError(rc);
    }
    MG_ASSERT(inflateInit2(&z, kind == DECODE_GZIP ? 15 + 16 : 15) == Z_OK);
    is_whole = inflate(&z, Z_FINISH) == Z_STREAM_END && z.avail_in == 0;
    out->n = z.total_out;
    (void)inflateEnd(&z);
    return is_whole;
}

static void naive_encode(enum decode_kind kind, struct slice in, struct buf *out)
{
    z_stream z = {.next_in = (Bytef *)(uintptr_t)in.p, .avail_in = (uInt)in.n, .next_out = (Bytef *)out->p, .avail_out = MOST};

    if (kind == DECODE_ZSTD) {
        out->n = ZSTD_compress(out->p, MOST, in.p, in.n, 1);
        MG_ASSERT(!ZSTD_isError(out->n));
        return;
    }
    MG_ASSERT(deflateInit2(&z, 6, Z_DEFLATED, kind == DECODE_GZIP ? 15 + 16 : 15, 8, Z_DEFAULT_STRATEGY) == Z_OK);
    MG_ASSERT(deflate(&z, Z_FINISH) == Z_STREAM_END);
    out->n = z.total_out;
    (void)deflateEnd(&z);
}

/* Room of MOST bytes for the libraries; kept, for it is large. */
static struct buf room;

static void release_room(void)
{
    buf_release(&room);
}

static struct buf *clear_room(void)
{
    if (!room.p) {
        buf_init(&room, MOST);
        MG_ASSERT(buf_reserve(&room, MOST) == 0 && atexit(release_room) == 0);
    }
    buf_reset(&room);
    return &room;
}

static void check_coded(const char *name, struct slice body)
{
    enum decode_kind kind = decode_kind_of(slice_str(name));
    struct buf whole, pieces, request, *naive = clear_room();
    bool gave_up, is_whole;
    int rc;

    buf_init(&whole, 4 * MOST);
    buf_init(&pieces, 4 * MOST);
    buf_init(&request, MOST);
    gave_up = decode_in(kind, body, body.n ? body.n : 1, &whole);
    if (decode_in(kind, body, 3, &pieces) == gave_up)
        MG_ASSERT(slice_starts(buf_slice(&whole), buf_slice(&pieces)) ||
                  slice_starts(buf_slice(&pieces), buf_slice(&whole)));
    rc = decode_body(slice_str(name), body, &request);
    MG_ASSERT(rc <= 0 && request.n <= MOST);
    is_whole = body.n && naive_decode(kind, body, naive);
    if (rc == 0 && is_whole)
        MG_ASSERT(slice_eq(buf_slice(&request), buf_slice(naive)));
    if (is_whole) { /* nothing but the ratio of a bomb may keep it from us */
        MG_ASSERT(rc == 0 || naive->n > DECODE_RATIO_MAX * body.n);
        MG_ASSERT(gave_up || slice_eq(buf_slice(&whole), buf_slice(naive)));
    }
    buf_release(&whole);
    buf_release(&pieces);
    buf_release(&request);
}

static void check_text(const char *name, struct slice text)
{
    enum decode_kind kind = decode_kind_of(slice_str(name));
    size_t times = text.n ? (size_t)(unsigned char)text.p[0] + 1 : 1;
    struct buf plain, back, *coded = clear_room();

    text = slice_head(slice_skip(text, 1), MOST / 512);
    buf_init(&plain, MOST);
    buf_init(&back, MOST);
    for (size_t i = 0; i < times; i++)
        buf_add_slice(&plain, text);
    naive_encode(kind, buf_slice(&plain), coded);
    MG_ASSERT(!decode_in(kind, buf_slice(coded), 5, &back));
    MG_ASSERT(slice_eq(buf_slice(&back), buf_slice(&plain)));
    buf_reset(&back);
    MG_ASSERT(decode_body(slice_str(name), buf_slice(coded), &back) == 0);
    MG_ASSERT(slice_eq(buf_slice(&back), buf_slice(&plain)));
    buf_release(&plain);
    buf_release(&back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct slice rest = slice_of((const char *)data + (n > 0), n - (n > 0));
    char what = n ? (char)data[0] : 'g';
    const char *name = (what | 0x20) == 'd' ? "deflate" : (what | 0x20) == 'z' ? "zstd" : "gzip";

    if (what == 'G' || what == 'D' || what == 'Z')
        check_text(name, rest);
    else
        check_coded(name, rest);
    return 0;
}
