/*
 * fuzz_decode: any bytes in any coding are decoded or given up, within bounds, and the same in one piece as
 * in many. The first byte picks the coding: g, d, z.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    char *copy = malloc(n ? n : 1); /* of exactly its size */
    struct slice body;
    struct buf whole, pieces, request;
    const char *name;

    MG_ASSERT(copy);
    memcpy(copy, data, n);
    body = slice_skip(slice_of(copy, n), 1);
    name = n && copy[0] == 'd' ? "deflate" : n && copy[0] == 'z' ? "zstd" : "gzip";
    buf_init(&whole, (size_t)4 << 20);
    buf_init(&pieces, (size_t)4 << 20);
    buf_init(&request, (size_t)1 << 20);
    if (decode_in(decode_kind_of(slice_str(name)), body, body.n ? body.n : 1, &whole) ==
        decode_in(decode_kind_of(slice_str(name)), body, 3, &pieces))
        MG_ASSERT(slice_starts(buf_slice(&whole), buf_slice(&pieces)) ||
                  slice_starts(buf_slice(&pieces), buf_slice(&whole)));
    MG_ASSERT(decode_body(slice_str(name), body, &request) <= 0 && request.n <= (size_t)1 << 20);
    buf_release(&whole);
    buf_release(&pieces);
    buf_release(&request);
    free(copy);
    return 0;
}
