/* conn: after CONN_ANSWER nothing of the answer is left unread. */
#include "conn.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "rig.h"

void conn_open(struct conn *c, int port)
{
    conn_open_from(c, port, 1, 0);
}

void conn_open_from(struct conn *c, int port, int host, int rcvbuf)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    struct sockaddr_in from = {.sin_family = AF_INET};
    int one = 1;

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    from.sin_addr.s_addr = htonl((INADDR_LOOPBACK & 0xffffff00) + (uint32_t)host);
    *c = (struct conn){.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
    if (c->fd < 0)
        rig_fail("no socket for a client: %s", strerror(errno));
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (rcvbuf)
        setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &rcvbuf, sizeof rcvbuf);
    /* The port is chosen by connect, among those that are free towards this one destination. */
    setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
    if (host != 1 && bind(c->fd, (struct sockaddr *)&from, sizeof from) < 0)
        rig_fail("no address 127.0.0.%d: %s", host, strerror(errno));
    if (connect(c->fd, (struct sockaddr *)&to, sizeof to) < 0 && errno != EINPROGRESS)
        rig_fail("cannot connect to port %d: %s", port, strerror(errno));
}

void conn_close(struct conn *c)
{
    close(c->fd);
    c->fd = -1;
}

void conn_send(struct conn *c, const char *bytes, size_t n)
{
    c->out = bytes;
    c->out_n = n;
    c->out_at = 0;
    c->head_n = 0;
    c->in_body = false;
    c->status = 0;
    c->began_ns = rig_now_ns();
}

bool conn_is_sending(const struct conn *c)
{
    return c->out_at < c->out_n;
}

/* False: the connection is broken. */
static bool push(struct conn *c)
{
    while (c->out_at < c->out_n) {
        ssize_t n = send(c->fd, c->out + c->out_at, c->out_n - c->out_at, MSG_NOSIGNAL);

        if (n < 0)
            return errno == EAGAIN || errno == EINTR || errno == ENOTCONN;
        c->out_at += (size_t)n;
    }
    return true;
}

static const char *header(const char *head, const char *name)
{
    const char *at = strcasestr(head, name);

    return at ? at + strlen(name) : NULL;
}

/* The head is complete: how the body ends. */
static void read_head(struct conn *c)
{
    const char *length = header(c->head, "\r\ncontent-length:");
    const char *coding = header(c->head, "\r\ntransfer-encoding: chunked");

    c->status = c->head_n > 12 ? (int)strtol(c->head + 9, NULL, 10) : 0;
    c->chunked = coding != NULL;
    c->body_left = length ? strtoll(length, NULL, 10) : 0;
    c->in_body = true;
    memset(c->tail, 0, sizeof c->tail);
}

static bool body_ends(struct conn *c, const char *p, size_t n)
{
    size_t keep = n < sizeof c->tail ? n : sizeof c->tail;

    c->body_left -= c->chunked ? 0 : (int64_t)n;
    if (!c->chunked)
        return c->body_left <= 0;
    memmove(c->tail, c->tail + keep, sizeof c->tail - keep);
    memcpy(c->tail + sizeof c->tail - keep, p + n - keep, keep);
    return memcmp(c->tail, "0\r\n\r\n", sizeof c->tail) == 0;
}

/* The part of p that belongs to the head; 0 with in_body set when the head was complete before. */
static size_t take_head(struct conn *c, const char *p, size_t n)
{
    size_t old = c->head_n, room = sizeof c->head - 1 - old, taken = n < room ? n : room;
    char *end;

    memcpy(c->head + old, p, taken);
    c->head[old + taken] = '\0';
    end = strstr(c->head, "\r\n\r\n");
    if (!end) {
        c->head_n += taken;
        return taken;
    }
    c->head_n = (size_t)(end - c->head) + 4;
    taken = c->head_n - old;
    if (memcmp(c->head, "HTTP/1.1 1", 10) == 0)
        c->head_n = 0; /* an interim answer: the next head follows */
    else
        read_head(c);
    return taken;
}

enum conn_event conn_turn(struct conn *c, void (*on_body)(void *ctx, const char *p, size_t n), void *ctx)
{
    static char piece[65536];

    if (!push(c))
        return CONN_BROKEN;
    for (;;) {
        ssize_t n = recv(c->fd, piece, sizeof piece, 0);
        size_t head = 0;

        if (n < 0 && (errno == EAGAIN || errno == EINTR || errno == ENOTCONN))
            return CONN_MORE;
        if (n <= 0)
            return CONN_BROKEN;
        while (!c->in_body && head < (size_t)n)
            head += take_head(c, piece + head, (size_t)n - head);
        if (!c->in_body)
            continue;
        if (on_body && (size_t)n > head)
            on_body(ctx, piece + head, (size_t)n - head);
        if (body_ends(c, piece + head, (size_t)n - head))
            return CONN_ANSWER;
    }
}
