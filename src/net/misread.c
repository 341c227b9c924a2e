/*
 * misread: requests that libmicrohttpd gives up before we see them whole. It would answer with a page of its
 * own (0.9.75 even sends the head of that twice), but says so to its log first, in the middle of working on
 * the connection. There our answer is written past it and our side of the connection is closed: the page
 * finds no way out, and libmicrohttpd closes the rest.
 *
 * The log does not say which connection it is. The status and the page say how far the request had come, and
 * so which of the shard's clients can be meant; with one alone it is known, with more the page is left to go
 * out. So the answer never reaches the wrong client, whatever comes at the same time, and the status is the
 * same either way.
 */
#include "front_inside.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "metergate/base/log.h"

/* Whoever sends nothing else must not fill the log with it. */
#define SAY_AGAIN_US CLOCK_S

/* How far a request had come when libmicrohttpd gave it up. */
enum {
    AT_LINE = 1, /* nothing was announced, not even the request line */
    AT_HEAD = 2, /* after the request line */
    AT_BODY = 4, /* in the chunks or the trailer of a body */
};

static const struct {
    int status;
    const char *page; /* a part of libmicrohttpd's text; NULL: any */
    int where;
    const char *why;
} rows[] = {
    {400, "chunked", AT_BODY, "the chunks of the body are not as they must be"},
    {413, "chunk", AT_BODY, "a chunk of the body is larger than anything can be"},
    {400, "Content-Length", AT_HEAD, "Content-Length is not a number"},
    {413, "Content-Length", AT_HEAD, "Content-Length is larger than anything can be"},
    {414, NULL, AT_LINE, "the request line is longer than 28 KiB"},
    {431, NULL, AT_HEAD | AT_BODY, HEAD_TOO_LARGE},
    {505, NULL, AT_LINE | AT_HEAD, "the version is neither HTTP/1.0 nor HTTP/1.1"},
    {400, NULL, AT_LINE | AT_HEAD | AT_BODY, "the head of the request is not HTTP"},
};

static int where_is(const struct client *c)
{
    const struct exchange *x = c->exchange;

    if (!x)
        return AT_LINE;
    if (x->state == X_HEAD)
        return AT_HEAD;
    return x->state == X_BODY && x->framing.chunked ? AT_BODY : 0;
}

static struct client *only_client_at(const struct shard *s, int where)
{
    struct client *found = NULL;

    LIST_EACH (&s->clients, node, next) {
        struct client *c = LIST_ENTRY(node, struct client, of_shard);

        if (!(where_is(c) & where))
            continue;
        if (found)
            return NULL;
        found = c;
    }
    return found;
}

static void answer(struct client *c, int status, const char *why)
{
    struct exchange *x = c->exchange ? c->exchange : exchange_new(c, c->conn, "");

    exchange_spoil(x, status, why);
    if (x->finished && !x->delivered)
        front_answer_past(x);
    shutdown(c->fd, SHUT_WR);
}

void misread_answer(struct shard *s, int status, const char *page)
{
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++) {
        struct client *c;

        if (rows[i].status != status || (rows[i].page && !strstr(page, rows[i].page)))
            continue;
        c = s->front->stopping ? NULL : only_client_at(s, rows[i].where);
        if (c)
            answer(c, status, rows[i].why);
        return;
    }
}

void misread_end(struct client *c)
{
    const struct exchange *x = c->exchange;

    if (x && !c->left && (x->state == X_HEAD || x->state == X_BODY))
        answer(c, 408, "the request did not come to its end in time");
    client_shutdown(c);
}

void misread_closed(const struct client *c)
{
    struct tcp_info info = {.tcpi_bytes_received = 0};
    struct front *f = c->front;
    int64_t now = loop_now_us(f->loop);
    socklen_t n = sizeof info;

    if (f->misread_said_us && now - f->misread_said_us < SAY_AGAIN_US)
        return;
    /* The end itself counts as a byte. */
    if (getsockopt(c->fd, IPPROTO_TCP, TCP_INFO, &info, &n) < 0 || info.tcpi_bytes_received <= 1)
        return;
    f->misread_said_us = now;
    log_info("a connection from %s ended without a request: what it sent is not HTTP; for TLS, this port "
             "speaks http://",
             net_addr_format(&c->peer).text);
}
