/*
 * request: every byte of the head is looked at by exactly one of the rules below. What passes is a request that no two
 * HTTP parsers can read differently.
 */
#include "request.h"

#include <errno.h>
#include <string.h>

size_t request_head_length(struct slice bytes)
{
    for (size_t i = 0; i < bytes.n; i++) {
        if (bytes.p[i] != '\n')
            continue;
        if (i + 1 < bytes.n && bytes.p[i + 1] == '\n')
            return i + 2;
        if (i + 2 < bytes.n && bytes.p[i + 1] == '\r' && bytes.p[i + 2] == '\n')
            return i + 3;
    }
    return 0;
}

static bool is_tchar(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c && strchr("!#$%&'*+-.^_`|~", c));
}

static bool all_tchar(struct slice s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!is_tchar(s.p[i]))
            return false;
    return s.n > 0;
}

/* Cuts the next line, which must end in CR LF and hold neither elsewhere. */
static int next_line(struct slice *rest, struct slice *ret, struct errbuf *e)
{
    size_t n = slice_find(*rest, '\n');

    if (n == rest->n || n == 0 || rest->p[n - 1] != '\r') {
        err_set(e, "a line ends in a bare LF");
        return -EBADMSG;
    }
    *ret = slice_head(*rest, n - 1);
    *rest = slice_skip(*rest, n + 1);
    if (memchr(ret->p, '\r', ret->n) || memchr(ret->p, '\0', ret->n)) {
        err_set(e, "a bare CR or a NUL inside a line");
        return -EBADMSG;
    }
    return 0;
}

static int read_request_line(struct request *r, struct slice line, struct errbuf *e)
{
    size_t sp = slice_find(line, ' '), end, mark;
    struct slice rest;

    r->method = slice_head(line, sp);
    rest = slice_skip(line, sp + 1);
    end = slice_find(rest, ' ');
    r->target = slice_head(rest, end);
    if (!all_tchar(r->method)) {
        err_set(e, "the method is not a token");
        return -EBADMSG;
    }
    if (!slice_eq(slice_skip(rest, end + 1), SLICE("HTTP/1.1"))) {
        err_set(e, "the request line does not end in HTTP/1.1");
        return -EBADMSG;
    }
    if (r->target.n == 0 || r->target.p[0] != '/') {
        err_set(e, "the target is not in origin form");
        return -EBADMSG;
    }
    for (size_t i = 0; i < r->target.n; i++)
        if (r->target.p[i] <= ' ' || r->target.p[i] == 0x7f || r->target.p[i] == '#') {
            err_set(e, "a byte that no target may have: \\x%02x", (unsigned char)r->target.p[i]);
            return -EBADMSG;
        }
    mark = slice_find(r->target, '?');
    r->path = slice_head(r->target, mark);
    r->query = slice_skip(r->target, mark + 1);
    return 0;
}

static int read_header(struct request *r, struct slice line, struct errbuf *e)
{
    size_t colon = slice_find(line, ':');
    struct header h;

    if (line.p[0] == ' ' || line.p[0] == '\t') {
        err_set(e, "obsolete line folding");
        return -EBADMSG;
    }
    if (colon == line.n) {
        err_set(e, "a header line without a colon");
        return -EBADMSG;
    }
    h.name = slice_head(line, colon);
    h.value = slice_trim(slice_skip(line, colon + 1));
    if (!all_tchar(h.name)) {
        err_set(e, "bad header name \"%.*s\"", (int)(h.name.n < 60 ? h.name.n : 60), h.name.p);
        return -EBADMSG;
    }
    for (size_t i = 0; i < h.value.n; i++)
        if (((unsigned char)h.value.p[i] < ' ' && h.value.p[i] != '\t') || h.value.p[i] == 0x7f) {
            err_set(e, "a control byte in the value of %.*s", (int)h.name.n, h.name.p);
            return -EBADMSG;
        }
    if (r->n_headers == REQUEST_HEADERS) {
        err_set(e, "more than %d headers", REQUEST_HEADERS);
        return -EBADMSG;
    }
    r->headers[r->n_headers++] = h;
    return 0;
}

/* ---- what the headers may say ---- */

/* Stops at the proxy, or is nobody's business here. */
static const char *const forbidden[] = {
    "keep-alive", "proxy-connection", "proxy-authorization", "proxy-authenticate", "te", "trailer", "upgrade", "expect",
    "http2-settings",
};

/* May stand there once. */
static const char *const single[] = {
    "host", "content-length", "transfer-encoding", "content-type", "authorization", "content-encoding", "user-agent",
};

static int check_name(const struct request *r, const struct header *h, struct errbuf *e)
{
    for (size_t i = 0; i < MG_ARRAY_LEN(forbidden); i++)
        if (slice_eq_nocase(h->name, slice_str(forbidden[i]))) {
            err_set(e, "the header %s must not travel", forbidden[i]);
            return -EBADMSG;
        }
    if (h->name.n >= 10 && slice_eq_nocase(slice_head(h->name, 10), SLICE("metergate-"))) {
        err_set(e, "the header %.*s must not travel", (int)h->name.n, h->name.p);
        return -EBADMSG;
    }
    for (size_t i = 0; i < MG_ARRAY_LEN(single); i++)
        if (slice_eq_nocase(h->name, slice_str(single[i])) && request_header(r, h->name) != &h->value) {
            err_set(e, "two %s headers", single[i]);
            return -EBADMSG;
        }
    return 0;
}

static int check_connection(struct request *r, struct slice value, struct errbuf *e)
{
    if (slice_eq_nocase(value, SLICE("close")))
        r->close = true;
    else if (!slice_eq_nocase(value, SLICE("keep-alive"))) {
        err_set(e, "Connection names what should have stopped before: %.*s", (int)(value.n < 60 ? value.n : 60), value.p);
        return -EBADMSG;
    }
    return 0;
}

static int check_host(const struct request *r, struct errbuf *e)
{
    const struct slice *host = request_header(r, SLICE("host"));

    if (!host || host->n == 0) {
        err_set(e, "no Host header");
        return -EBADMSG;
    }
    for (size_t i = 0; i < host->n; i++) {
        char c = host->p[i];

        if (!is_tchar(c) && c != ':' && c != '[' && c != ']') {
            err_set(e, "a Host header that is no host");
            return -EBADMSG;
        }
    }
    return 0;
}

static int check_framing(struct request *r, struct errbuf *e)
{
    const struct slice *length = request_header(r, SLICE("content-length"));
    const struct slice *coding = request_header(r, SLICE("transfer-encoding"));

    if (length && coding) {
        err_set(e, "Content-Length and Transfer-Encoding together");
        return -EBADMSG;
    }
    if (coding && !slice_eq_nocase(*coding, SLICE("chunked"))) {
        err_set(e, "a Transfer-Encoding other than chunked");
        return -EBADMSG;
    }
    r->chunked = coding != NULL;
    if (length && slice_int64(*length, &r->body_bytes) < 0) {
        err_set(e, "a Content-Length that is no number");
        return -EBADMSG;
    }
    return 0;
}

int request_parse(struct request *r, struct slice head, struct errbuf *e)
{
    struct slice rest = head, line;

    r->n_headers = 0;
    r->body_bytes = 0;
    r->chunked = r->close = false;
    if (next_line(&rest, &line, e) < 0 || read_request_line(r, line, e) < 0)
        return -EBADMSG;
    for (;;) {
        if (next_line(&rest, &line, e) < 0)
            return -EBADMSG;
        if (line.n == 0)
            break;
        if (read_header(r, line, e) < 0)
            return -EBADMSG;
    }
    for (size_t i = 0; i < r->n_headers; i++) {
        if (check_name(r, &r->headers[i], e) < 0)
            return -EBADMSG;
        if (slice_eq_nocase(r->headers[i].name, SLICE("connection")) &&
            check_connection(r, r->headers[i].value, e) < 0)
            return -EBADMSG;
    }
    return check_host(r, e) < 0 ? -EBADMSG : check_framing(r, e);
}

const struct slice *request_header(const struct request *r, struct slice name)
{
    for (size_t i = 0; i < r->n_headers; i++)
        if (slice_eq_nocase(r->headers[i].name, name))
            return &r->headers[i].value;
    return NULL;
}

int request_query(const struct request *r, const char *key, struct slice *ret)
{
    struct slice rest = r->query;

    while (rest.n) {
        struct slice pair = slice_head(rest, slice_find(rest, '&'));
        size_t eq = slice_find(pair, '=');

        rest = slice_skip(rest, pair.n + 1);
        if (slice_eq(slice_head(pair, eq), slice_str(key))) {
            *ret = slice_skip(pair, eq + 1);
            return 0;
        }
    }
    return -ENOENT;
}

int64_t request_query_int(const struct request *r, const char *key, int64_t otherwise)
{
    struct slice text;
    int64_t v;

    return request_query(r, key, &text) == 0 && slice_int64(text, &v) == 0 ? v : otherwise;
}
