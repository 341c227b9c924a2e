/*
 * sse: what must always be true between two calls.
 *
 *   pending holds the bytes of the current event that have come so far and have not left (while holding) or
 * have not been shown (while watching); it never holds more than event_max bytes (and the LF of a CRLF at its end), and nothing
 * while the event is overlong. event_start implies line_start and an empty pending. after_cr is true exactly when the last
 * byte was a CR.
 *
 * An event may end in CR with its LF still to come. It is judged at the CR, so that it need not wait for
 * bytes that may never come, and the LF shares its fate: that is what dropped_last is for.
 */
#include "metergate/dialect/sse.h"

#include <errno.h>
#include <string.h>

#define BYTE_ORDER_MARK SLICE("\xEF\xBB\xBF")

void sse_init(struct sse *s, enum sse_mode mode, size_t event_max, sse_handler handler, void *arg)
{
    *s = (struct sse){.handler = handler,
                      .arg = arg,
                      .event_max = event_max,
                      .hold = mode == SSE_HOLD,
                      .line_start = true,
                      .event_start = true,
                      .first = true};
    buf_init(&s->pending, event_max + 1);
    buf_init(&s->joined, event_max);
}

void sse_release(struct sse *s)
{
    buf_release(&s->pending);
    buf_release(&s->joined);
}

/* ---- the lines of one complete event
 * ----------------------------------------------------------------------- */

struct line {
    struct slice name, value; /* a comment has an empty name; value without its one leading space */
};

/* Cuts the first line off; its end is CR, LF, CRLF or the end of the event. */
static struct line take_line(struct slice *rest)
{
    struct slice line;
    struct line l;
    size_t n = 0, end;

    while (n < rest->n && rest->p[n] != '\n' && rest->p[n] != '\r')
        n++;
    line = slice_head(*rest, n);
    end = n < rest->n ? 1 : 0;
    if (n + 1 < rest->n && rest->p[n] == '\r' && rest->p[n + 1] == '\n')
        end = 2;
    *rest = slice_skip(*rest, n + end);
    n = slice_find(line, ':');
    l.name = slice_head(line, n);
    l.value = slice_skip(line, n + 1);
    if (slice_starts(l.value, SLICE(" ")))
        l.value = slice_skip(l.value, 1);
    return l;
}

static struct slice without_mark(const struct sse *s, struct slice raw)
{
    return s->first && slice_starts(raw, BYTE_ORDER_MARK) ? slice_skip(raw, BYTE_ORDER_MARK.n) : raw;
}

/* The data as one text: in place when it is one line, else joined. */
static int collect(struct sse *s, struct slice raw, struct sse_event *ret)
{
    struct slice rest = without_mark(s, raw);
    size_t lines = 0;
    int rc = 0;

    *ret = (struct sse_event){0};
    buf_reset(&s->joined);
    while (rest.n && rc == 0) {
        struct line l = take_line(&rest);

        if (slice_eq(l.name, SLICE("event")))
            ret->name = l.value;
        if (!slice_eq(l.name, SLICE("data")))
            continue;
        if (lines == 1)
            rc = buf_append(&s->joined, ret->data.p, ret->data.n);
        if (lines >= 1 && rc == 0)
            rc = buf_append(&s->joined, "\n", 1);
        if (lines >= 1 && rc == 0)
            rc = buf_append(&s->joined, l.value.p, l.value.n);
        if (lines == 0)
            ret->data = l.value;
        lines++;
    }
    if (lines > 1)
        ret->data = buf_slice(&s->joined);
    return rc;
}

/* Appends the event without the bytes of its data that were cut. `at` counts the bytes of data passed so far.
 */
static int emit_cut(struct sse *s, struct slice raw, const struct sse_fate *fate, struct buf *out)
{
    struct slice rest = without_mark(s, raw);
    const char *from = raw.p;
    size_t at = 0, cut_end = fate->cut_at + fate->cut_n;
    int rc = 0;

    while (rest.n && rc == 0) {
        struct line l = take_line(&rest);
        size_t begin, end;

        if (!slice_eq(l.name, SLICE("data")))
            continue;
        begin = fate->cut_at > at ? fate->cut_at - at : 0;
        end = cut_end > at ? cut_end - at : 0;
        begin = begin < l.value.n ? begin : l.value.n;
        end = end < l.value.n ? end : l.value.n;
        at += l.value.n + 1; /* and the LF that joins */
        if (begin == end)
            continue;
        rc = buf_append(out, from, (size_t)(l.value.p + begin - from));
        from = l.value.p + end;
    }
    if (rc == 0)
        rc = buf_append(out, from, (size_t)(raw.p + raw.n - from));
    return rc;
}

/* Shows a complete event to the handler and, while holding, lets go what is left of it. */
static int judge(struct sse *s, struct slice raw, struct buf *out)
{
    struct sse_fate fate = {0};
    struct sse_event e;
    int rc = collect(s, raw, &e);

    if (rc < 0)
        return rc;
    s->handler(s->arg, &e, &fate);
    s->dropped_last = s->hold && fate.drop;
    if (s->hold && !fate.drop)
        rc = fate.cut_n ? emit_cut(s, raw, &fate, out) : buf_append(out, raw.p, raw.n);
    s->first = false;
    return rc;
}

/* ---- the stream
 * -------------------------------------------------------------------------------------------- */

static int let_go(struct sse *s, struct slice bytes, struct buf *out)
{
    return s->hold ? buf_append(out, bytes.p, bytes.n) : 0;
}

/* More bytes of the current event, which may become `most` bytes long. */
static int keep(struct sse *s, struct slice bytes, size_t most, struct buf *out)
{
    int rc = 0;

    if (!s->overlong && bytes.n > most - s->pending.n) {
        s->overlong = true;
        rc = let_go(s, buf_slice(&s->pending), out);
        buf_reset(&s->pending);
    }
    if (rc < 0)
        return rc;
    return s->overlong ? let_go(s, bytes, out) : buf_append(&s->pending, bytes.p, bytes.n);
}

/* The last bytes of the current event. An LF behind a CR does not count: it might have come later, and to nobody's notice. */
static int complete(struct sse *s, struct slice bytes, struct buf *out)
{
    size_t most = s->event_max + (slice_ends(bytes, SLICE("\r\n")) ? 1 : 0);
    int rc;

    if (!s->overlong && s->pending.n == 0 && bytes.n <= most) {
        rc = judge(s, bytes, out); /* whole in one piece: no copy */
    } else {
        rc = keep(s, bytes, most, out);
        if (rc == 0 && !s->overlong)
            rc = judge(s, buf_slice(&s->pending), out);
        else
            s->dropped_last = s->first = false;
    }
    buf_reset(&s->pending);
    s->overlong = false;
    return rc;
}

/* Steps over one byte; true when it ends an event. */
static bool step(struct sse *s, char c)
{
    bool blank = s->line_start;

    if (c == '\n' && s->after_cr) {
        s->after_cr = false;
        return false;
    }
    s->event_start = false;
    s->after_cr = c == '\r';
    s->line_start = c == '\r' || c == '\n';
    if (!s->line_start || !blank)
        return false;
    s->event_start = true;
    return true;
}

static int split(struct sse *s, struct slice in, struct buf *out)
{
    size_t from = 0, i = 0;
    int rc = 0;

    if (s->event_start && s->after_cr && in.n && in.p[0] == '\n') {
        s->after_cr = false;
        i = from = 1;
        if (!s->dropped_last)
            rc = let_go(s, slice_head(in, 1), out);
    }
    for (; i < in.n && rc == 0; i++) {
        if (!step(s, in.p[i]))
            continue;
        if (in.p[i] == '\r' && i + 1 < in.n &&
            in.p[i + 1] == '\n') { /* the LF belongs to it and is here already */
            s->after_cr = false;
            i++;
        }
        rc = complete(s, slice_of(in.p + from, i + 1 - from), out);
        from = i + 1;
    }
    if (rc == 0 && from < in.n)
        rc = keep(s, slice_skip(in, from), s->event_max, out);
    return rc;
}

int sse_feed(struct sse *s, struct slice in, struct buf *out)
{
    int rc;

    MG_ASSERT(out || !s->hold);
    if (!s->hold && out) {
        rc = buf_append(out, in.p, in.n);
        if (rc < 0)
            return rc;
    }
    return split(s, in, out);
}

int sse_finish(struct sse *s, struct buf *out)
{
    int rc = 0;

    MG_ASSERT(out || !s->hold);
    if (s->pending.n)
        rc = judge(s, buf_slice(&s->pending), out);
    buf_reset(&s->pending);
    s->event_start = s->line_start = true;
    s->after_cr = s->overlong = false;
    return rc;
}
