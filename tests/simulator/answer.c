/*
 * answer: `out` is empty whenever control leaves this file with state OPEN, except between the head and the first piece
 * of a whole answer, which travel together. body_bytes counts what of the body (before chunk framing) was written.
 */
#include "answer.h"

#include <inttypes.h>
#include <stdarg.h>

#include "sim.h"
#include "wire.h"

void answer_init(struct answer *a, struct sim *sim, struct wire *wire, const struct plan *plan, bool head_only)
{
    *a = (struct answer){.sim = sim, .wire = wire, .plan = plan, .head_only = head_only};
    buf_init(&a->headers, BUF_UNLIMITED);
    buf_init(&a->out, BUF_UNLIMITED);
    buf_init(&a->events, BUF_UNLIMITED);
}

void answer_release(struct answer *a)
{
    buf_release(&a->headers);
    buf_release(&a->out);
    buf_release(&a->events);
}

struct buf *answer_headers(struct answer *a)
{
    return &a->headers;
}

void answer_header(struct answer *a, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    buf_addv(&a->headers, fmt, ap);
    va_end(ap);
    buf_add_str(&a->headers, "\r\n");
}

/* ---- how it may end ---- */

static void gone(struct answer *a)
{
    a->state = ANSWER_GONE;
    a->close = true;
}

void answer_last(struct answer *a)
{
    void (*on_last)(void *arg) = a->on_last;

    a->on_last = NULL;
    if (on_last)
        on_last(a->arg);
}

static void cut(struct answer *a, bool reset)
{
    a->state = ANSWER_CUT;
    a->close = true;
    a->reset = reset;
}

static void flush(struct answer *a)
{
    if (a->state == ANSWER_OPEN && wire_write(a->wire, a->out.p, a->out.n) < 0)
        gone(a);
    buf_reset(&a->out);
}

void answer_pause(struct answer *a, int64_t ms)
{
    if (a->state == ANSWER_OPEN && ms > 0 && wire_pause(a->wire, ms * 1000) == WIRE_GONE)
        gone(a);
}

/* ---- the head ---- */

static const char *reason(int status)
{
    static const struct {
        int status;
        const char *text;
    } reasons[] = {
        {102, "Processing"},          {103, "Early Hints"},        {200, "OK"},
        {400, "Bad Request"},         {401, "Unauthorized"},       {404, "Not Found"},
        {403, "Forbidden"},           {529, "Overloaded"},         {413, "Content Too Large"},   {429, "Too Many Requests"},  {500, "Internal Server Error"},
        {502, "Bad Gateway"},         {503, "Service Unavailable"}, {504, "Gateway Timeout"},
    };

    for (size_t i = 0; i < MG_ARRAY_LEN(reasons); i++)
        if (reasons[i].status == status)
            return reasons[i].text;
    return "Unknown";
}

/* What comes before any answer: waiting, 1xx, and the faults that leave no answer at all. */
static void prelude(struct answer *a)
{
    const struct plan *p = a->plan;

    if (p->hold > 0 && !sim_hold(a->sim, a->wire))
        gone(a);
    answer_pause(a, p->latency_ms);
    if (a->state != ANSWER_OPEN)
        return;
    for (int64_t i = 0; p->interim > 0 && i < (p->interims > 0 ? p->interims : 1); i++)
        buf_addf(&a->out, "HTTP/1.1 %d %s\r\nLink: </sim>; rel=preload\r\n\r\n", (int)p->interim, reason((int)p->interim));
    if (p->garbage > 0) {
        buf_add_str(&a->out, "220 this is no web server\r\n");
        flush(a);
    }
    if (a->state == ANSWER_OPEN && (p->garbage > 0 || p->close_before_answer > 0 || p->reset_before_answer > 0))
        cut(a, p->reset_before_answer > 0);
}

static void add_head(struct answer *a, int status, const char *type, int64_t length)
{
    const struct plan *p = a->plan;

    a->status = status;
    a->chunked = length < 0 || p->trailers > 0 || p->bad_chunk >= 0;
    buf_addf(&a->out, "HTTP/1.1 %d %s\r\nContent-Type: %s\r\n", status, reason(status), type);
    if (a->chunked)
        buf_add_str(&a->out, "Transfer-Encoding: chunked\r\n");
    else
        buf_addf(&a->out, "Content-Length: %" PRId64 "\r\n",
                 length + (p->length_off > 0 ? p->length_off : 0) - (p->length_short > 0 ? p->length_short : 0));
    if (p->length_off > 0 || p->length_short > 0 || p->close_header > 0)
        a->close = true;
    if (p->close_header > 0)
        buf_add_str(&a->out, "Connection: close\r\n");
    if (p->trailers > 0)
        buf_add_str(&a->out, "Trailer: X-Sim-Trailer\r\n");
    if (p->gzip > 0)
        buf_add_str(&a->out, "Content-Encoding: gzip\r\n");
    buf_add_slice(&a->out, buf_slice(&a->headers));
    buf_add_str(&a->out, "\r\n");
}

/* ---- the body ---- */

/* How many of the next n bytes of the body may go before a fault stops them; n when none does. */
static size_t allowance(const struct answer *a, size_t n)
{
    const int64_t stops[] = {a->plan->close_after, a->plan->reset_after, a->plan->stall_after};

    for (size_t i = 0; i < MG_ARRAY_LEN(stops); i++)
        if (stops[i] >= 0 && stops[i] - a->body_bytes < (int64_t)n)
            n = stops[i] > a->body_bytes ? (size_t)(stops[i] - a->body_bytes) : 0;
    return n;
}

/* Silence until the client leaves or a release, which ends the answer. */
static void stall(struct answer *a)
{
    if (!sim_hold(a->sim, a->wire))
        gone(a);
    else
        cut(a, false);
}

static void stop(struct answer *a)
{
    flush(a);
    if (a->state != ANSWER_OPEN)
        return;
    if (a->plan->stall_after >= 0 && a->body_bytes == a->plan->stall_after) {
        stall(a);
        return;
    }
    cut(a, a->plan->reset_after >= 0 && a->body_bytes == a->plan->reset_after);
}

/* Bytes as they go into the body, framed, and written when anything is to be seen of their edges. */
static void put(struct answer *a, struct slice bytes)
{
    size_t may = allowance(a, bytes.n);

    if (a->state != ANSWER_OPEN || bytes.n == 0)
        return;
    if (a->chunked && a->plan->bad_chunk >= 0 && a->pieces++ == a->plan->bad_chunk) {
        buf_add_str(&a->out, "xyz\r\n");
        flush(a);
        cut(a, false);
        return;
    }
    if (a->chunked)
        buf_addf(&a->out, "%zx\r\n", bytes.n);
    buf_add(&a->out, bytes.p, may);
    a->body_bytes += (int64_t)may;
    if (may < bytes.n) {
        stop(a);
        return;
    }
    if (a->chunked)
        buf_add_str(&a->out, "\r\n");
    flush(a);
}

static void put_split(struct answer *a, struct slice bytes)
{
    size_t step = a->plan->split > 0 ? (size_t)a->plan->split : bytes.n;

    if (a->head_only)
        return;
    if (a->plan->split > 0)
        flush(a);
    for (; bytes.n && a->state == ANSWER_OPEN; bytes = slice_skip(bytes, step))
        put(a, slice_head(bytes, step));
}

void answer_piece(struct answer *a, struct slice bytes)
{
    struct buf packed;

    if (a->state != ANSWER_OPEN)
        return;
    if (a->plan->gzip <= 0) {
        put_split(a, bytes);
        return;
    }
    buf_init(&packed, BUF_UNLIMITED);
    gzip_add(&a->gzip, &packed, bytes);
    put_split(a, buf_slice(&packed));
    buf_release(&packed);
}

static void begin_gzip(struct answer *a)
{
    struct buf packed;

    if (a->plan->gzip <= 0 || a->state != ANSWER_OPEN)
        return;
    buf_init(&packed, BUF_UNLIMITED);
    gzip_begin(&a->gzip, &packed);
    put_split(a, buf_slice(&packed));
    buf_release(&packed);
}

void answer_begin(struct answer *a, int status, const char *type)
{
    prelude(a);
    if (a->state != ANSWER_OPEN)
        return;
    add_head(a, status, type, -1);
    flush(a);
    begin_gzip(a);
}

static void flush_events(struct answer *a)
{
    answer_piece(a, buf_slice(&a->events));
    buf_reset(&a->events);
    a->waiting = 0;
}

void answer_named_event(struct answer *a, const char *name, struct slice json)
{
    buf_addf(&a->events, "event: %s%s", name, a->plan->crlf > 0 ? "\r\n" : "\n");
    answer_event(a, json);
}

void answer_event(struct answer *a, struct slice json)
{
    const char *end = a->plan->crlf > 0 ? "\r\n" : "\n";

    if (a->plan->comments > 0)
        buf_addf(&a->events, ": still here%s%s", end, end);
    buf_add_str(&a->events, "data: ");
    buf_add_slice(&a->events, json);
    buf_addf(&a->events, "%s%s", end, end);
    a->events_begun++;
    if (a->plan->coalesce < 0 || ++a->waiting == a->plan->coalesce || a->events_begun == a->plan->close_event ||
        a->events_begun == a->plan->stall_event)
        flush_events(a);
    if (a->state == ANSWER_OPEN && a->events_begun == a->plan->stall_event)
        stall(a);
    else if (a->state == ANSWER_OPEN && a->events_begun == a->plan->close_event)
        cut(a, false);
}

void answer_end(struct answer *a)
{
    answer_last(a);
    flush_events(a);
    if (a->state == ANSWER_OPEN && a->plan->gzip > 0) {
        struct buf packed;

        buf_init(&packed, BUF_UNLIMITED);
        gzip_end(&a->gzip, &packed);
        put_split(a, buf_slice(&packed));
        buf_release(&packed);
    }
    if (a->state != ANSWER_OPEN)
        return;
    if (a->chunked && !a->head_only)
        buf_addf(&a->out, "0\r\n%s\r\n", a->plan->trailers > 0 ? "X-Sim-Trailer: here\r\n" : "");
    flush(a);
    /* a fault at exactly the last byte */
    if (a->state == ANSWER_OPEN)
        a->state = ANSWER_DONE;
}

void answer_whole(struct answer *a, int status, const char *type, struct slice body)
{
    struct buf packed;

    if (a->state == ANSWER_OPEN)
        prelude(a);
    if (a->state != ANSWER_OPEN)
        return;
    buf_init(&packed, BUF_UNLIMITED);
    if (a->plan->gzip > 0) {
        gzip_begin(&a->gzip, &packed);
        gzip_add(&a->gzip, &packed, body);
        gzip_end(&a->gzip, &packed);
        body = buf_slice(&packed);
    }
    add_head(a, status, type, (int64_t)body.n);
    answer_last(a);
    put_split(a, body);
    flush(a);
    if (a->state == ANSWER_OPEN && a->chunked && !a->head_only) {
        buf_addf(&a->out, "0\r\n%s\r\n", a->plan->trailers > 0 ? "X-Sim-Trailer: here\r\n" : "");
        flush(a);
    }
    if (a->state == ANSWER_OPEN)
        a->state = ANSWER_DONE;
    buf_release(&packed);
}
