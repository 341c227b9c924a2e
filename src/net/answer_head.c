/*
 * answer_head: lines point into text by offset while it grows; `headers` is made of them once, when the head
 * is complete, and text does not change after that.
 */
#include "metergate/net/answer_head.h"

#include <errno.h>
#include <stdlib.h>

void answer_head_init(struct answer_head *h, size_t max_bytes)
{
    *h = (struct answer_head){.max_bytes = max_bytes};
    buf_init(&h->text, max_bytes);
}

void answer_head_release(struct answer_head *h)
{
    buf_release(&h->text);
    free(h->lines);
    free(h->headers);
    answer_head_init(h, h->max_bytes);
}

void answer_head_restart(struct answer_head *h)
{
    buf_reset(&h->text);
    h->line_n = 0;
    h->status = 0;
}

static struct slice without_line_end(struct slice s)
{
    while (s.n && (s.p[s.n - 1] == '\n' || s.p[s.n - 1] == '\r'))
        s.n--;
    return s;
}

/* "HTTP/1.1 200 OK": the reason may be missing, the rest may not. Newer libcurls let "HTTP/3.0 200 OK" come this far. */
static int add_status(struct answer_head *h, struct slice line)
{
    struct slice code;
    int64_t status;

    answer_head_restart(h);
    if (line.n < 12 || !slice_starts(line, SLICE("HTTP/1.")) || line.p[8] != ' ' ||
        (line.p[7] != '0' && line.p[7] != '1'))
        return -EPROTO;
    code = slice_head(slice_skip(line, 9), 3);
    if (slice_int64(code, &status) < 0 || status < 100 || (line.n > 12 && line.p[12] != ' '))
        return -EPROTO;
    h->minor = line.p[7] - '0';
    h->status = (int)status;
    return 0;
}

static void add_to(struct answer_head *h, struct slice s, size_t *ret_at, size_t *ret_n)
{
    *ret_at = h->text.n;
    *ret_n = s.n;
    buf_add_slice(&h->text, s); /* fits: what answer_head_add has counted is not less */
}

static void add_field(struct answer_head *h, struct slice line)
{
    size_t colon = slice_find(line, ':');
    struct answer_line *to;

    if (line.p[0] == ' ' ||
        line.p[0] == '\t') { /* the rest of a folded value; its blank is one byte of the line */
        struct slice more = slice_trim(line);

        if (!h->line_n || !more.n)
            return;
        to = &h->lines[h->line_n - 1];
        buf_add_char(&h->text, ' ');
        buf_add_slice(&h->text, more);
        to->value_n += 1 + more.n;
        return;
    }
    if (colon == line.n)
        return; /* no header; a provider's slip that nobody needs to suffer for */
    if (h->line_n == h->line_cap) {
        h->line_cap = h->line_cap ? h->line_cap * 2 : 32; /* bounded by max_bytes */
        h->lines = xrealloc(h->lines, h->line_cap * sizeof h->lines[0]);
    }
    to = &h->lines[h->line_n++];
    add_to(h, slice_head(line, colon), &to->name, &to->name_n);
    add_to(h, slice_trim(slice_skip(line, colon + 1)), &to->value, &to->value_n);
}

/* The value of one Content-Length line; a list of equal ones is one, as RFC 9110 8.6 has it. -EPROTO. */
static int read_length(struct slice value, int64_t *ret)
{
    int64_t n = -1;

    for (bool more = true; more;) {
        size_t comma = slice_find(value, ',');
        int64_t one;

        if (slice_int64(slice_trim(slice_head(value, comma)), &one) < 0 || one < 0 || (n >= 0 && one != n))
            return -EPROTO;
        n = one;
        more = comma < value.n;
        value = slice_skip(value, comma + 1);
    }
    *ret = n;
    return 0;
}

static bool names_too_much(const struct answer_head *h)
{
    size_t options = 0;

    for (size_t i = 0; i < h->line_n; i++) {
        if (slice_eq_nocase(h->headers[i].name, SLICE("connection")))
            options += http_list_count(h->headers[i].value);
    }
    return options > HTTP_OPTIONS_MAX;
}

/*
 * Lengths that contradict each other, or are none, cannot be followed by a body that anybody should believe. Nor can a
 * transfer coding that is not just "chunked": we asked for none, and curl would take the close for the end of it.
 */
static int check_framing(struct answer_head *h)
{
    bool chunked = false;

    h->length = -1;
    for (size_t i = 0; i < h->line_n; i++) {
        int64_t n;

        if (slice_eq_nocase(h->headers[i].name, SLICE("transfer-encoding"))) {
            if (chunked || !slice_eq_nocase(h->headers[i].value, SLICE("chunked")))
                return -EPROTO;
            chunked = true;
        }
        if (!slice_eq_nocase(h->headers[i].name, SLICE("content-length")))
            continue;
        if (read_length(h->headers[i].value, &n) < 0 || (h->length >= 0 && n != h->length))
            return -EPROTO;
        h->length = n;
    }
    return 0;
}

static int finish(struct answer_head *h)
{
    if (h->status == 101)
        return -EPROTO; /* nobody asked for another protocol */
    if (h->status < 200) {
        if (++h->interim > ANSWER_HEAD_INTERIM_MAX)
            return -E2BIG;
        answer_head_restart(h);
        return 0;
    }
    h->headers = xcalloc(h->line_n + 1, sizeof h->headers[0]);
    for (size_t i = 0; i < h->line_n; i++) {
        const struct answer_line *from = &h->lines[i];

        h->headers[i].name = slice_of(h->text.p + from->name, from->name_n);
        h->headers[i].value = slice_of(h->text.p + from->value, from->value_n);
    }
    if (check_framing(h) < 0 || names_too_much(h))
        return -EPROTO;
    h->done = true;
    return 1;
}

int answer_head_add(struct answer_head *h, struct slice line)
{
    if (h->done)
        return 0;
    h->bytes += line.n;
    if (h->bytes > h->max_bytes)
        return -E2BIG;
    line = without_line_end(line);
    if (!h->status)
        return line.n ? add_status(h, line) : 0;
    if (slice_starts(line, SLICE("HTTP/"))) /* libcurl, which delimits the body, takes it for a header */
        return -EPROTO;
    if (!line.n)
        return finish(h);
    add_field(h, line);
    return 0;
}

bool answer_head_promises_too_much(const struct answer_head *h)
{
    bool chunked = http_header_get(h->headers, h->line_n, SLICE("transfer-encoding")).p != NULL;

    return (h->status == 204 && (chunked || h->length > 0)) || (h->status == 304 && chunked);
}

int64_t answer_head_content_length(const struct answer_head *h)
{
    if (h->status == 204)
        return 0;
    return http_header_get(h->headers, h->line_n, SLICE("transfer-encoding")).p ? -1 : h->length;
}
