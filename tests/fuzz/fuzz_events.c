/*
 * fuzz_events: a stream of server-sent events in pieces of any size is cut into those that a slow reader finds in the whole of
 * it, line by line as the WHATWG's text has it, and what no handler takes out leaves byte for byte. The first two bytes choose
 * the pieces, the third how long an event may be (0: as long as it likes) and whether it is held.
 */
#include <stdint.h>
#include <string.h>

#include "metergate/dialect/sse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum { HOLD = 128 }; /* bit of the third byte */

#define DROPPED "drop" /* an event with this data is dropped, */
#define CUT     "cut"  /* and this is taken out of the data of one that begins with it */

/* ---- what comes of a stream ---- */

struct outcome {
    struct buf events, out;
};

static void write_event(struct buf *to, struct slice name, struct slice data)
{
    buf_addf(to, "%zu:%zu:", name.n, data.n);
    buf_add_slice(to, name);
    buf_add_slice(to, data);
    buf_add_char(to, '\n');
}

static void on_event(void *arg, const struct sse_event *e, struct sse_fate *ret)
{
    struct outcome *o = arg;

    write_event(&o->events, e->name, e->data);
    ret->drop = slice_eq(e->data, SLICE(DROPPED));
    if (slice_starts(e->data, SLICE(CUT)))
        ret->cut_n = sizeof CUT - 1;
}

static void run(struct slice in, struct slice splits, size_t most, bool hold, struct outcome *ret)
{
    struct sse s;

    buf_init(&ret->events, BUF_UNLIMITED);
    buf_init(&ret->out, BUF_UNLIMITED);
    sse_init(&s, hold ? SSE_HOLD : SSE_WATCH, most, on_event, ret);
    for (size_t i = 0; in.n; i++) {
        size_t piece = splits.n ? (size_t)(unsigned char)splits.p[i % splits.n] % 16 + 1 : in.n;

        MG_ASSERT(sse_feed(&s, slice_head(in, piece), &ret->out) == 0);
        in = slice_skip(in, piece);
    }
    MG_ASSERT(sse_finish(&s, &ret->out) == 0);
    sse_release(&s);
}

static void release(struct outcome *o)
{
    buf_release(&o->events);
    buf_release(&o->out);
}

/* ---- the slow reader ---- */

/* An event's lines so far. */
struct naive {
    struct buf name, data;
    size_t data_lines;
    size_t bytes; /* of it, line ends included, but for the LF of a CRLF at its very end */
};

static void naive_end(struct naive *e, size_t most, struct buf *out)
{
    if (e->bytes && e->bytes <= most)
        write_event(out, buf_slice(&e->name), buf_slice(&e->data));
    buf_reset(&e->name);
    buf_reset(&e->data);
    e->data_lines = e->bytes = 0;
}

static void naive_line(struct naive *e, struct slice line)
{
    size_t colon = slice_find(line, ':');
    struct slice name = slice_head(line, colon), value = slice_skip(line, colon + 1);

    if (value.n && value.p[0] == ' ')
        value = slice_skip(value, 1);
    if (slice_eq(name, SLICE("event"))) {
        buf_reset(&e->name);
        buf_add_slice(&e->name, value);
    } else if (slice_eq(name, SLICE("data"))) {
        if (e->data_lines++)
            buf_add_char(&e->data, '\n');
        buf_add_slice(&e->data, value);
    }
}

/* An event that ends in CR is over there: an LF behind it is nobody's. */
static void naive_read(struct slice in, size_t most, struct buf *out)
{
    struct naive e = {.bytes = 0};

    buf_init(&e.name, BUF_UNLIMITED);
    buf_init(&e.data, BUF_UNLIMITED);
    for (bool first = true; in.n; first = false) {
        size_t end = 0, more;
        struct slice line;

        while (end < in.n && in.p[end] != '\r' && in.p[end] != '\n')
            end++;
        line = slice_head(in, end);
        more = end < in.n ? 1 : 0;
        if (more && in.p[end] == '\r' && end + 1 < in.n && in.p[end + 1] == '\n')
            more = 2;
        in = slice_skip(in, end + more);
        e.bytes += end + more;
        if (first && slice_starts(line, SLICE("\xef\xbb\xbf")))
            line = slice_skip(line, 3);
        naive_line(&e, line);
        if (end == 0) {
            e.bytes -= more - 1;
            naive_end(&e, most, out);
        }
    }
    naive_end(&e, most, out);
    buf_release(&e.name);
    buf_release(&e.data);
}

static void check(struct slice in, struct slice splits, size_t most, bool hold)
{
    struct outcome whole, pieces, again;
    struct buf naive;

    run(in, slice_of(NULL, 0), most, hold, &whole);
    run(in, splits, most, hold, &pieces);
    MG_ASSERT(slice_eq(buf_slice(&whole.out), buf_slice(&pieces.out)));
    MG_ASSERT(slice_eq(buf_slice(&whole.events), buf_slice(&pieces.events)));
    if (!hold || (!memmem(in.p, in.n, DROPPED, 4) && !memmem(in.p, in.n, CUT, 3)))
        MG_ASSERT(slice_eq(buf_slice(&whole.out), in));
    MG_ASSERT(whole.out.n <= in.n);
    buf_init(&naive, BUF_UNLIMITED);
    naive_read(in, most, &naive);
    MG_ASSERT(slice_eq(buf_slice(&whole.events), buf_slice(&naive)));
    run(buf_slice(&whole.out), splits, most, true, &again);
    MG_ASSERT(again.out.n <= whole.out.n);
    release(&whole);
    release(&pieces);
    release(&again);
    buf_release(&naive);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct slice in = slice_of((const char *)data, n), splits = slice_head(in, 2);
    size_t most;

    if (n < 3)
        return 0;
    most = data[2] & 127;
    in = slice_skip(in, 3);
    check(in, splits, most ? most : (size_t)1 << 20, data[2] & HOLD);
    return 0;
}
