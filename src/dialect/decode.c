/*
 * decode: what must always be true between two calls.
 *
 *   The codec holds memory exactly while state is STATE_OPEN. Every byte that went in has given all that it can: no
 *   output waits inside the codec. in_bytes and out_bytes count over all members and frames of a body. windows is the number
 *   of those whose has_window is set.
 */
#include "metergate/dialect/decode.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>

#include "decode_inside.h"

enum state { STATE_NEW, STATE_OPEN, STATE_ENDED, STATE_GAVE_UP };

struct decode {
    enum decode_kind kind;
    enum state state;
    decode_sink sink;
    void *arg;
    void *codec_state;
    bool in_member; /* begun, and not ended */
    uint64_t in_bytes, out_bytes;
    bool bounded; /* it gives up over a bomb */
    bool has_window;
};

static atomic_int windows;

enum decode_kind decode_kind_of(struct slice content_encoding)
{
    static const struct {
        const char *name;
        enum decode_kind kind;
    } rows[] = {{"gzip", DECODE_GZIP}, {"x-gzip", DECODE_GZIP}, {"deflate", DECODE_DEFLATE}, {"zstd", DECODE_ZSTD}};
    struct slice name = slice_trim(content_encoding);

    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++)
        if (slice_eq_nocase(name, slice_str(rows[i].name)))
            return rows[i].kind;
    return DECODE_NONE;
}

bool decode_is_coded(struct slice content_encoding)
{
    struct slice name = slice_trim(content_encoding);

    return name.n && !slice_eq_nocase(name, SLICE("identity"));
}

static const struct codec *codec_of(enum decode_kind kind)
{
    return kind == DECODE_ZSTD ? &codec_zstd : kind == DECODE_GZIP ? &codec_gzip : &codec_deflate;
}

struct decode *decode_new(enum decode_kind kind, decode_sink sink, void *arg)
{
    struct decode *d = xcalloc(1, sizeof *d);

    MG_ASSERT(kind != DECODE_NONE);
    d->kind = kind;
    d->sink = sink;
    d->arg = arg;
    d->bounded = true;
    return d;
}

static void leave(struct decode *d, enum state to)
{
    if (d->state == STATE_OPEN)
        codec_of(d->kind)->close(d->codec_state);
    if (d->has_window)
        atomic_fetch_sub(&windows, 1);
    d->has_window = false;
    d->state = to;
}

void decode_free(struct decode *d)
{
    if (!d)
        return;
    leave(d, STATE_ENDED);
    free(d);
}

/* False: others have all the windows. A whole body does not ask: it has one for the time of a call. */
static bool take_window(struct decode *d)
{
    if (d->kind != DECODE_ZSTD || !d->bounded || d->has_window)
        return true;
    if (atomic_fetch_add(&windows, 1) < DECODE_WINDOWS_MAX) {
        d->has_window = true;
        return true;
    }
    atomic_fetch_sub(&windows, 1);
    return false;
}

static int open_codec(struct decode *d, unsigned char first)
{
    if (!take_window(d)) {
        leave(d, STATE_GAVE_UP);
        return 0;
    }
    d->codec_state = codec_of(d->kind)->open(first);
    if (!d->codec_state)
        return -ENOMEM;
    d->state = STATE_OPEN;
    return 0;
}

static bool is_bomb(const struct decode *d)
{
    return d->out_bytes > DECODE_OUT_MAX ||
           (d->out_bytes > DECODE_FREE_BYTES && d->out_bytes / DECODE_RATIO_MAX > d->in_bytes);
}

/* What the codec's word makes of the state. */
static int judge(struct decode *d, enum codec_said said)
{
    if (said == CODEC_NO_MEMORY)
        return -ENOMEM;
    d->in_member = said == CODEC_GOES_ON;
    if (said == CODEC_ENDED && d->kind == DECODE_DEFLATE)
        leave(d, STATE_ENDED);
    else if (said == CODEC_BROKEN || (d->bounded && is_bomb(d)))
        leave(d, STATE_GAVE_UP);
    return 0;
}

int decode_feed(struct decode *d, struct slice in)
{
    char piece[DECODE_PIECE_MAX];
    struct codec_io io = {.in = in};
    bool full = false;
    int rc = 0;

    if (d->state == STATE_NEW && in.n)
        rc = open_codec(d, (unsigned char)in.p[0]);
    while (rc == 0 && d->state == STATE_OPEN && (io.in.n || full)) {
        size_t before = io.in.n, n;
        enum codec_said said;

        io.out = piece;
        io.out_n = sizeof piece;
        said = codec_of(d->kind)->step(d->codec_state, &io);
        n = sizeof piece - io.out_n;
        full = io.out_n == 0 && said == CODEC_GOES_ON;
        d->in_bytes += before - io.in.n;
        d->out_bytes += n;
        rc = n ? d->sink(d->arg, slice_of(piece, n)) : 0;
        if (rc == 0)
            rc = judge(d, said);
    }
    return rc;
}

bool decode_gave_up(const struct decode *d)
{
    return d->state == STATE_GAVE_UP;
}

static int add_piece(void *arg, struct slice piece)
{
    return buf_append(arg, piece.p, piece.n);
}

int decode_body(struct slice content_encoding, struct slice body, struct buf *out)
{
    enum decode_kind kind = decode_kind_of(content_encoding);
    struct decode *d;
    int rc;

    if (kind == DECODE_NONE)
        return -ENOTSUP;
    d = decode_new(kind, add_piece, out);
    d->bounded = false; /* `out` is */
    rc = decode_feed(d, body);
    if (rc == 0 && (d->state == STATE_GAVE_UP || d->in_member || d->state == STATE_NEW))
        rc = -EBADMSG;
    decode_free(d);
    return rc;
}
