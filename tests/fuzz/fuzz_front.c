/*
 * fuzz_front: bytes on a connection, through the socket, libmicrohttpd and all our checks. What the front announces, request by
 * request, is what a slow reader makes of the same bytes that was written straight from RFC 9112: no request begins where
 * another one's body is. Where that reader finds no request the front announces none, and nothing after it. The first request
 * of a connection is announced if there is one. All that was opened is closed.
 *
 * The slow reader takes strict forms, and those lax ones of libmicrohttpd that nobody behind it can see (odd-requests.md has
 * them): bare LFs among chunks, a NUL in place of a CR, what is as long as the end of a head, lines with a NUL at their
 * beginning before a request, and such a line, or one with a colon there that is not the first, as the end of a trailer.
 *
 * The first byte says after how many bytes the client waits before it sends the rest.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "metergate/base/buf.h"
#include "metergate/base/log.h"
#include "metergate/net/front.h"
#include "place.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define BODY_MAX  ((size_t)1 << 16)
#define INPUT_MAX ((size_t)1 << 15)
#define TURNS_MAX 2000

static struct {
    struct loop *loop;
    struct front *front;
    struct listener listener;
    struct buf told;   /* what was announced, as text */
    unsigned answered; /* answers that were given */
} world;

/* ---- what the front announces ---- */

static void write_head(struct buf *out, const struct http_head *h)
{
    buf_addf(out, "%.*s %.*s 1.%d\n", (int)h->method.n, h->method.p, (int)h->target.n, h->target.p, h->minor);
    for (size_t i = 0; i < h->header_count; i++) {
        buf_add_slice(out, h->headers[i].name);
        buf_add_char(out, ':');
        buf_add_slice(out, h->headers[i].value);
        buf_add_char(out, '\n');
    }
    buf_add_char(out, '\n');
}

static void reply(struct exchange *x, int status)
{
    exchange_reply(x, status, NULL, 0, SLICE("x"));
    world.answered++;
}

static void on_head(void *ctx, struct exchange *x)
{
    (void)ctx;
    write_head(&world.told, exchange_head(x));
    exchange_buffer_body(x, BODY_MAX);
}

static void on_bad(void *ctx, struct exchange *x, int status, const char *why)
{
    (void)ctx;
    MG_ASSERT(why && why[0] && (status == 505 || (status >= 400 && status < 500)));
    reply(x, status);
}

static void on_body(void *ctx, struct exchange *x, int rc)
{
    (void)ctx;
    if (rc == 0) {
        buf_addf(&world.told, "%zu bytes\n", exchange_body(x).n);
        buf_add_slice(&world.told, exchange_body(x));
        buf_add_char(&world.told, '\n');
    }
    reply(x, rc == 0 ? 200 : 413);
}

static void on_nothing(void *ctx, struct exchange *x)
{
    (void)ctx;
    (void)x;
}

static void on_done(void *ctx, struct exchange *x, bool complete)
{
    (void)ctx;
    (void)x;
    (void)complete;
}

static const struct front_ops ops = {
    .on_head = on_head,
    .on_bad = on_bad,
    .on_body = on_body,
    .on_drain = on_nothing,
    .on_gone = on_nothing,
    .on_done = on_done,
};

/* ---- the slow reader: each takes something off *in, or says that it is not there ---- */

static bool take_line(struct slice *in, bool may_be_bare, struct slice *ret)
{
    size_t n = slice_find(*in, '\n');

    if (n == in->n)
        return false;
    *ret = slice_head(*in, n);
    *in = slice_skip(*in, n + 1);
    if (ret->n && (ret->p[ret->n - 1] == '\r' || ret->p[ret->n - 1] == '\0')) {
        *ret = slice_head(*ret, ret->n - 1);
        return true;
    }
    return may_be_bare;
}

static bool take_word(struct slice *line, struct slice *ret)
{
    size_t n = slice_find(*line, ' ');

    if (n == 0 || n == line->n)
        return false;
    *ret = slice_head(*line, n);
    *line = slice_skip(*line, n + 1);
    return true;
}

/*
 * Behind the last value (or the version, without headers) libmicrohttpd leaves four NULs, whatever it was that it took for the
 * end: CRs, LFs, NULs, a colon. Those that are four bytes long cannot be told apart. The length of the line, with that end; 0:
 * this is not the last one.
 */
static size_t last_line(struct slice in)
{
    size_t n = 0;

    while (n < in.n && in.p[n] && in.p[n] != '\r' && in.p[n] != '\n')
        n++;
    if (in.n - n < 4 || in.p[n + 3] != '\n' || !memchr(in.p + n, '\n', 3))
        return 0;
    for (size_t i = n; i < n + 3; i++)
        if (in.p[i] && in.p[i] != '\r' && in.p[i] != '\n' && in.p[i] != ':')
            return 0;
    return n + 4;
}

static bool add_header(struct slice line, struct http_head *h, struct http_header *to, size_t max)
{
    size_t colon = slice_find(line, ':');

    if (colon == line.n || h->header_count == max)
        return false;
    to[h->header_count++] = (struct http_header){slice_head(line, colon), slice_trim(slice_skip(line, colon + 1))};
    return true;
}

/* Header lines up to the empty one. Those of a trailer (h NULL) go nowhere: all that matters is where they end. */
static bool take_headers(struct slice *in, bool may_be_bare, struct http_head *h, struct http_header *to, size_t max)
{
    struct slice line;

    for (bool first = true;; first = false) {
        size_t last = h ? last_line(*in) : 0;

        if (last > 4) {
            line = slice_head(*in, last - 4);
            *in = slice_skip(*in, last);
            return add_header(line, h, to, max);
        }
        if (!take_line(in, may_be_bare, &line))
            return false;
        if (line.n == 0 || (!h && (line.p[0] == '\0' || (!first && line.p[0] == ':'))))
            return true;
        if (h && !add_header(line, h, to, max))
            return false;
    }
}

static bool take_head(struct slice *in, struct http_head *h, struct http_header *to, size_t max)
{
    struct slice line;
    size_t last;

    for (;;) { /* RFC 9112 2.2: an empty line before the request line is ignored; to libmicrohttpd a NUL ends a line */
        struct slice from = *in;

        last = last_line(*in);
        if (!take_line(in, true, &line))
            return false;
        if (line.n == 0 || line.p[0] == '\0')
            continue;
        if (last > 4) { /* without a header */
            line = slice_head(from, last - 4);
            *in = slice_skip(from, last);
        } else if (line.p[line.n] == '\n') {
            return false;
        }
        break;
    }
    if (!take_word(&line, &h->method) || !take_word(&line, &h->target))
        return false;
    if (!slice_eq(line, SLICE("HTTP/1.1")) && !slice_eq(line, SLICE("HTTP/1.0")))
        return false;
    h->minor = line.p[7] - '0';
    h->headers = to;
    return last > 4 || take_headers(in, false, h, to, max);
}

static bool take_chunks(struct slice *in, struct buf *body)
{
    struct slice line, nothing;

    for (;;) {
        size_t size = 0, digits = 0;

        if (!take_line(in, true, &line))
            return false;
        while (digits < line.n && slice_hex_digit(line.p[digits]) >= 0) {
            size = size * 16 + (size_t)slice_hex_digit(line.p[digits++]);
            if (size > INPUT_MAX)
                return false;
        }
        if (digits == 0 || (digits < line.n && line.p[digits] != ';'))
            return false;
        if (size == 0)
            return take_headers(in, true, NULL, NULL, 0);
        if (size > in->n)
            return false;
        buf_add_slice(body, slice_head(*in, size));
        *in = slice_skip(*in, size);
        if (!take_line(in, true, &nothing) || nothing.n)
            return false;
    }
}

/* libmicrohttpd refuses a length with blanks behind it, though they mean nothing. */
static bool has_blank_length(const struct http_head *h)
{
    struct slice v = http_header_get(h->headers, h->header_count, SLICE("content-length"));

    return v.p && v.p[v.n] != '\r';
}

/* Appends the next request; false: there is none. A head may be there without its body. */
static bool read_request(struct slice *in, struct buf *out, bool *ret_is_plain)
{
    struct http_header headers[256];
    struct http_head h = {0};
    struct http_framing framing = {0};
    struct slice all = *in;
    struct buf body;
    bool whole = true;

    if (!take_head(in, &h, headers, MG_ARRAY_LEN(headers)) || http_check_head(&h, &framing))
        return false;
    write_head(out, &h);
    all = slice_head(all, all.n - in->n);
    *ret_is_plain = !has_blank_length(&h) && !memchr(all.p, '\0', all.n) && !memmem(all.p, all.n, "\n:", 2) &&
                    slice_ends(all, SLICE("\r\n\r\n")) && !slice_starts(all, SLICE("\r\n\r\n")); /* libmicrohttpd 1.0 takes one */
    buf_init(&body, BUF_UNLIMITED);
    if (framing.chunked)
        whole = take_chunks(in, &body);
    else if (framing.content_length > 0 && (uint64_t)framing.content_length > in->n)
        whole = false;
    else if (framing.content_length > 0)
        buf_add_slice(&body, slice_head(*in, (size_t)framing.content_length));
    if (whole && !framing.chunked)
        *in = slice_skip(*in, body.n);
    if (whole) {
        buf_addf(out, "%zu bytes\n", body.n);
        buf_add_slice(out, buf_slice(&body));
        buf_add_char(out, '\n');
    }
    buf_release(&body);
    return whole;
}

/* ---- the connection ---- */

static void free_world(void)
{
    front_free(world.front);
    listener_release(&world.listener);
    loop_free(world.loop);
    buf_release(&world.told);
}

static void make_world(void)
{
    const struct front_config config = {.shards = 1, .max_connections = 16};
    struct errbuf e;
    char address[128];

    if (!place_make())
        return;
    log_setup(LOG_LEVEL_ERROR, LOG_FORMAT_TEXT);
    snprintf(address, sizeof address, "unix:%s", place_path("s").text);
    world.loop = loop_new();
    MG_ASSERT(world.loop);
    buf_init(&world.told, BUF_UNLIMITED);
    MG_ASSERT(front_new(world.loop, &config, &ops, NULL, &world.front, &e) == 0);
    MG_ASSERT(listener_open(&world.listener, address, 0600, &e) == 0);
    MG_ASSERT(front_listen(world.front, &world.listener) == 0 && atexit(free_world) == 0);
}

static int connect_client(void)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), size = 1 << 20;

    MG_ASSERT(fd >= 0);
    MG_ASSERT(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size) == 0);
    MG_ASSERT(connect(fd, (const struct sockaddr *)&world.listener.addr.sa, world.listener.addr.len) == 0);
    return fd;
}

/* Sends all of it and lets the front work until three turns tell nothing new; false: the front has ended the connection. */
static bool send_and_turn(int fd, struct slice bytes, struct buf *answers)
{
    int quiet = 0;
    bool open = true;

    for (int turns = 0; quiet < 3 && turns < TURNS_MAX; turns++) {
        char got[4096];
        ssize_t n = bytes.n ? send(fd, bytes.p, bytes.n, MSG_DONTWAIT | MSG_NOSIGNAL) : 0;

        open = open && (n >= 0 || errno == EAGAIN);
        bytes = slice_skip(bytes, !open ? bytes.n : n > 0 ? (size_t)n : 0);
        loop_turn(world.loop, 0);
        quiet++;
        for (;;) {
            ssize_t m = recv(fd, got, sizeof got, MSG_DONTWAIT);

            if (m <= 0) {
                open = open && m < 0 && errno == EAGAIN;
                break;
            }
            buf_add(answers, got, (size_t)m);
            quiet = 0;
        }
        if (n > 0)
            quiet = 0;
    }
    return open;
}

static void wait_for_the_end(void)
{
    for (int turns = 0; turns < TURNS_MAX; turns++) {
        struct front_stats s = front_stats(world.front);

        if (s.connections == 0 && s.exchanges == 0) {
            MG_ASSERT(s.body_bytes == 0 && s.answer_bytes == 0);
            return;
        }
        loop_turn(world.loop, 1000);
    }
    err_bug("a connection or an exchange is left over", __FILE__, __LINE__);
}

/* Every answer that was given came, each with a final status of ours or an interim one before it. */
static void check_answers(struct slice answers)
{
    unsigned finals = 0;

    while (answers.n) {
        const char *end = memmem(answers.p, answers.n, "\r\n\r\n", 4);

        MG_ASSERT(end && slice_starts(answers, SLICE("HTTP/1.")));
        if (answers.p[9] == '1') {
            answers = slice_skip(answers, (size_t)(end - answers.p) + 4);
            continue;
        }
        MG_ASSERT(answers.p[9] == '2' || answers.p[9] == '4' || answers.p[9] == '5');
        finals++;
        end = memmem(end, answers.n - (size_t)(end - answers.p), "HTTP/1.", 7);
        answers = end ? slice_skip(answers, (size_t)(end - answers.p)) : slice_of(NULL, 0);
    }
    MG_ASSERT(finals <= world.answered);
}

static void check(bool is_right, const struct buf *naive)
{
    if (is_right)
        return;
    fprintf(stderr, "the slow reader:\n%.*s\nthe front:\n%.*s\n", (int)naive->n, naive->p, (int)world.told.n,
            world.told.p);
    err_bug("the front has announced something else", __FILE__, __LINE__);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct slice input = slice_of((const char *)data, n), first;
    struct buf answers, naive;
    bool is_plain = false, more, ignored;
    int fd;

    if (n < 2 || n > INPUT_MAX)
        return 0;
    make_world();
    first = slice_head(slice_skip(input, 1), data[0]);
    input = slice_skip(input, 1);
    world.answered = 0;
    buf_reset(&world.told);
    buf_init(&answers, BUF_UNLIMITED);
    buf_init(&naive, BUF_UNLIMITED);
    fd = connect_client();
    if (send_and_turn(fd, first, &answers))
        (void)send_and_turn(fd, slice_skip(input, first.n), &answers);
    close(fd);
    wait_for_the_end();
    check_answers(buf_slice(&answers));
    more = read_request(&input, &naive, &is_plain);
    check(!is_plain || world.told.n, &naive);
    while (more)
        more = read_request(&input, &naive, &ignored);
    check(slice_starts(buf_slice(&naive), buf_slice(&world.told)), &naive);
    buf_release(&answers);
    buf_release(&naive);
    return 0;
}
