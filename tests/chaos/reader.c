/* reader: `left` counts only in COUNTED and CHUNK; WHOLE and BAD are left by reader_begin alone. */
#include "reader.h"

#include <stdio.h>
#include <string.h>

#include "metergate/base/slice.h"

#define HEAD_MAX 32768

void reader_begin(struct reader *r, bool head_only)
{
    struct buf body = r->body, line = r->line;

    buf_reset(&body);
    buf_reset(&line);
    *r = (struct reader){.state = READER_HEAD, .head_only = head_only, .body = body, .line = line};
    r->body.max = r->line.max = BUF_UNLIMITED;
}

void reader_release(struct reader *r)
{
    buf_release(&r->body);
    buf_release(&r->line);
}

static void bad(struct reader *r, const char *why)
{
    r->state = READER_BAD;
    r->why = why;
}

/* One line of the head; false when it is none. */
static bool read_field(struct reader *r, struct slice line, int64_t *length, bool *chunked)
{
    size_t colon = slice_find(line, ':');
    struct slice name = slice_head(line, colon), value = slice_trim(slice_skip(line, colon + 1));

    if (colon == 0 || colon >= line.n)
        return false;
    if (slice_eq_nocase(name, SLICE("content-length")))
        return *length < 0 && slice_int64(value, length) == 0 && *length >= 0;
    if (slice_eq_nocase(name, SLICE("transfer-encoding"))) {
        *chunked = slice_eq_nocase(value, SLICE("chunked"));
        return *chunked;
    }
    if (slice_eq_nocase(name, SLICE("metergate-request-id")))
        snprintf(r->id, sizeof r->id, "%.*s", (int)value.n, value.p);
    if (slice_eq_nocase(name, SLICE("connection")) && slice_eq_nocase(value, SLICE("close")))
        r->close = true;
    return true;
}

static void begin_body(struct reader *r, int64_t length, bool chunked)
{
    if (chunked && length >= 0)
        bad(r, "both a length and chunks");
    else if (r->head_only || r->status == 204 || r->status == 304 || length == 0)
        r->state = READER_WHOLE;
    else if (chunked)
        r->state = READER_SIZE;
    else if (length > 0)
        r->state = READER_COUNTED;
    else
        r->state = READER_UNTIL_CLOSE;
    r->left = length;
    if (r->state == READER_UNTIL_CLOSE)
        r->close = true;
}

static void read_head(struct reader *r)
{
    struct slice rest = buf_slice(&r->line), line = slice_head(rest, slice_find(rest, '\r'));
    int64_t status, length = -1;
    bool chunked = false;

    if (line.n < 12 || memcmp(line.p, "HTTP/1.", 7) != 0 || slice_int64(slice_of(line.p + 9, 3), &status) < 0) {
        bad(r, "no status line");
        return;
    }
    r->status = (int)status;
    for (rest = slice_skip(rest, line.n + 2); rest.n > 2; rest = slice_skip(rest, line.n + 2)) {
        line = slice_head(rest, slice_find(rest, '\r'));
        if (!read_field(r, line, &length, &chunked)) {
            bad(r, "a field that cannot be read");
            return;
        }
    }
    buf_reset(&r->line);
    if (status < 200) {
        r->interims += status == 100;
        r->status = 0;
        if (status != 100 && status != 102)
            bad(r, "an interim answer that nobody asked for");
        return;
    }
    begin_body(r, length, chunked);
}

static void read_size(struct reader *r)
{
    int64_t n = 0;
    size_t digits = r->line.n - 2;

    for (size_t i = 0; i < digits; i++) {
        char c = r->line.p[i];
        int value = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;

        if (value < 0 || digits > 8) {
            bad(r, "a chunk size that cannot be read");
            return;
        }
        n = n * 16 + value;
    }
    buf_reset(&r->line);
    r->left = n;
    r->state = n ? READER_CHUNK : READER_CHUNK_END;
}

static void take_line(struct reader *r)
{
    const struct buf *l = &r->line;
    bool ended = l->n >= 2 && memcmp(l->p + l->n - 2, "\r\n", 2) == 0;

    if (r->state == READER_HEAD && l->n >= 4 && memcmp(l->p + l->n - 4, "\r\n\r\n", 4) == 0)
        read_head(r);
    else if (r->state == READER_SIZE && ended)
        read_size(r);
    else if (r->state == READER_CHUNK_END && l->n == 2 && !ended)
        bad(r, "a chunk that does not end, or a trailer");
    else if (r->state == READER_CHUNK_END && ended) {
        buf_reset(&r->line);
        r->state = r->left ? READER_SIZE : READER_WHOLE;
    } else if (l->n > HEAD_MAX)
        bad(r, "an endless line");
}

static size_t take_body(struct reader *r, const char *p, size_t n)
{
    if (r->state != READER_UNTIL_CLOSE && (int64_t)n > r->left)
        n = (size_t)r->left;
    buf_add(&r->body, p, n);
    if (r->state == READER_UNTIL_CLOSE)
        return n;
    r->left -= (int64_t)n;
    if (r->left == 0 && r->state == READER_COUNTED) {
        r->state = READER_WHOLE;
    } else if (r->left == 0) {
        r->left = 1; /* not the last chunk */
        r->state = READER_CHUNK_END;
    }
    return n;
}

size_t reader_feed(struct reader *r, const char *p, size_t n)
{
    size_t done = 0;

    while (done < n && r->state != READER_WHOLE && r->state != READER_BAD) {
        if (r->state == READER_COUNTED || r->state == READER_CHUNK || r->state == READER_UNTIL_CLOSE) {
            done += take_body(r, p + done, n - done);
        } else {
            buf_add_char(&r->line, p[done++]);
            take_line(r);
        }
    }
    return done;
}

void reader_end(struct reader *r)
{
    if (r->state == READER_UNTIL_CLOSE)
        r->state = READER_WHOLE;
}

bool reader_is_cut(const struct reader *r)
{
    return r->state != READER_WHOLE && r->state != READER_BAD && (r->state != READER_HEAD || r->line.n > 0);
}
