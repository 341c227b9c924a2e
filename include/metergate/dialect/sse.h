/*
 * sse: server-sent events, cut out of a stream of bytes that comes in pieces of any size.
 *
 * An event is its lines and the blank line that ends it; lines end in LF, CRLF or CR, as the WHATWG's "event
 * stream" format has it. Each complete event is shown to the handler once. What the handler does not drop or
 * cut leaves byte for byte as it came, however the input was split.
 *
 * Holding (SSE_HOLD): an event leaves when it is complete and the handler has judged it. Otherwise every byte
 * leaves at once and the handler only watches; its judgement is ignored.
 *
 * An event longer than the maximum leaves unread, without being held to its end.
 */
#ifndef METERGATE_DIALECT_SSE_H
#define METERGATE_DIALECT_SSE_H

#include <stdbool.h>
#include <stddef.h>

#include "metergate/base/buf.h"
#include "metergate/base/err.h"
#include "metergate/base/slice.h"

/* One event; borrowed for the time of the call. */
struct sse_event {
    struct slice name; /* of its last `event:` line, or empty */
    struct slice data; /* of its `data:` lines, joined by LF; empty when it has none */
};

/* What becomes of it. */
struct sse_fate {
    bool drop;            /* no byte of it leaves */
    size_t cut_at, cut_n; /* these bytes of the data do not leave; all else does */
};

typedef void (*sse_handler)(void *arg, const struct sse_event *e, struct sse_fate *ret);

struct sse {
    sse_handler handler; /* all private */
    void *arg;
    struct buf pending; /* the event that is not complete yet */
    struct buf joined;  /* data of an event with several data lines */
    size_t event_max;
    bool hold;
    bool line_start;   /* the next byte begins a line */
    bool after_cr;     /* the last byte was CR: an LF now belongs to the same line end */
    bool event_start;  /* the next byte begins an event, but for an LF that still belongs to the last one */
    bool dropped_last; /* the last event was dropped */
    bool overlong;     /* the current event is leaving unread */
    bool first;        /* no event was complete yet: a byte order mark may stand here */
};

enum sse_mode { SSE_WATCH, SSE_HOLD };

void sse_init(struct sse *s, enum sse_mode mode, size_t event_max, sse_handler handler, void *arg);
void sse_release(struct sse *s);

/* Takes the next bytes; what leaves is appended to `out`, which may be NULL when watching. -ENOMEM, -E2BIG
 * (of out). */
int sse_feed(struct sse *s, struct slice in, struct buf *out) MG_MUSTCHECK;

/* The stream has ended: an event without its blank line counts as complete. */
int sse_finish(struct sse *s, struct buf *out) MG_MUSTCHECK;

#endif
