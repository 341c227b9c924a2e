/* provider: a connection's fate (where and how it ends) is drawn when it is accepted, and again for each further request. */
#include "provider.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "letter.h"
#include "metergate/base/clock.h"
#include "socket.h"

#define NEVER ((size_t)-1)

void provider_open(struct provider *p)
{
    *p = (struct provider){0};
    p->listen_fd = socket_listen(true, &p->port);
    for (size_t i = 0; i < PROVIDER_CONNECTIONS; i++)
        p->list[i].fd = -1;
}

static void end(struct provider_connection *c, bool reset)
{
    if (c->fd < 0)
        return;
    socket_end(c->fd, reset);
    buf_release(&c->in);
    buf_release(&c->out);
    c->fd = -1;
}

void provider_reset(struct provider *p, uint64_t seed)
{
    for (size_t i = 0; i < PROVIDER_CONNECTIONS; i++)
        end(&p->list[i], false);
    p->rng.s = seed;
}

void provider_close(struct provider *p)
{
    provider_reset(p, 0);
    close(p->listen_fd);
}

/* ---- what it does ---- */

static void draw_fate(struct provider *p, struct provider_connection *c)
{
    struct rng *r = &p->rng;

    c->read_end = rng_chance(r, 15) ? (size_t)rng_range(r, 1, rng_chance(r, 50) ? 400 : 100000) : NEVER;
    c->write_end = rng_chance(r, 50) ? (size_t)rng_range(r, 0, 900) : NEVER;
    c->step = rng_chance(r, 30) ? (size_t)rng_range(r, 1, 20) : NEVER;
    c->stalls = rng_chance(r, 20);
    c->resets = rng_chance(r, 50);
    c->early = rng_chance(r, 15);
    c->last = rng_chance(r, 30);
    c->answering = false;
}

static void accept_one(struct provider *p)
{
    int fd = accept4(p->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (fd < 0)
        return;
    for (size_t i = 0; i < PROVIDER_CONNECTIONS; i++) {
        struct provider_connection *c = &p->list[i];

        if (c->fd >= 0)
            continue;
        *c = (struct provider_connection){.fd = fd};
        buf_init(&c->in, BUF_UNLIMITED);
        buf_init(&c->out, BUF_UNLIMITED);
        draw_fate(p, c);
        return;
    }
    socket_end(fd, true);
}

static void write_framed(struct provider *p, struct provider_connection *c, const char *type, struct slice body)
{
    int how = (int)rng_range(&p->rng, 0, 2);

    buf_addf(&c->out, "HTTP/1.1 200 OK\r\nContent-Type: %s\r\n", type);
    if (how == 0) {
        buf_addf(&c->out, "Content-Length: %zu\r\n\r\n", body.n);
        buf_add_slice(&c->out, body);
    } else if (how == 1) {
        buf_addf(&c->out, "Transfer-Encoding: chunked\r\n\r\n%zx\r\n%.*s\r\n0\r\n\r\n", body.n, (int)body.n, body.p);
    } else {
        /* until the close: nobody can tell a cut one, so it is whole, and ends by FIN */
        buf_add_str(&c->out, "\r\n");
        buf_add_slice(&c->out, body);
        c->last = true;
        c->resets = c->stalls = false;
        if (c->write_end > c->out.n - body.n)
            c->write_end = NEVER;
    }
}

static void answer(struct provider *p, struct provider_connection *c)
{
    struct slice in = buf_slice(&c->in);
    bool stream = memmem(in.p, in.n, "?stream ", 8) != NULL;
    int kind = (int)rng_range(&p->rng, 0, 9);

    c->answering = true;
    if (kind == 0)
        for (int64_t i = rng_range(&p->rng, 1, 30); i > 0; i--)
            buf_add_str(&c->out, i % 2 ? "HTTP/1.1 102 Processing\r\n\r\n" : "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n");
    if (kind == 1)
        buf_add_str(&c->out, "HTTP/1.1 100 Continue\r\n\r\n");
    if (kind == 2)
        buf_add_str(&c->out, "HTTP/1.1 429 Too Many\r\nretry-after-ms: 20\r\nContent-Length: 2\r\n\r\n{}");
    else if (kind == 3)
        buf_add_str(&c->out, "HTTP/1.1 503 Busy\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}");
    else if (kind == 4)
        buf_add_str(&c->out, "SSH-2.0-OpenSSH_9.2\r\n");
    else
        write_framed(p, c, stream ? "text/event-stream" : "application/json",
                     stream ? SLICE(LETTER_RAW_STREAM) : SLICE(LETTER_RAW_JSON));
    if (kind == 3 || kind == 4)
        c->last = true;
}

/* Whether the request is there; with `early`, its head. */
static bool is_complete(const struct provider_connection *c)
{
    const char *end = c->in.n ? memmem(c->in.p, c->in.n, "\r\n\r\n", 4) : NULL;
    const char *length;
    int64_t n = 0;
    size_t head;

    if (!end)
        return false;
    head = (size_t)(end - c->in.p) + 4;
    length = memmem(c->in.p, head, "Content-Length: ", 16);
    if (c->early)
        return true;
    if (memmem(c->in.p, head, "chunked", 7))
        return memcmp(c->in.p + c->in.n - 5, "0\r\n\r\n", 5) == 0;
    if (length) {
        struct slice rest = slice_skip(buf_slice(&c->in), (size_t)(length - c->in.p) + 16);

        (void)!slice_int64(slice_head(rest, slice_find(rest, '\r')), &n);
    }
    return c->in.n >= head + (size_t)n;
}

static void receive(struct provider *p, struct provider_connection *c)
{
    char piece[32768];
    ssize_t n = recv(c->fd, piece, sizeof piece, 0);

    if (n <= 0) {
        if (n == 0 || errno != EAGAIN)
            end(c, false);
        return;
    }
    buf_add(&c->in, piece, (size_t)n);
    if (c->in.n >= c->read_end && !c->stalls)
        end(c, c->resets);
    else if (!c->answering && c->in.n < c->read_end && is_complete(c))
        answer(p, c);
}

static void send_some(struct provider *p, struct provider_connection *c, int64_t now_us)
{
    size_t stop = c->out.n < c->write_end ? c->out.n : c->write_end;
    size_t n = stop - c->sent < c->step ? stop - c->sent : c->step;
    ssize_t done = n ? send(c->fd, c->out.p + c->sent, n, MSG_NOSIGNAL) : 0;

    if (done < 0) {
        if (errno != EAGAIN)
            end(c, false);
        return;
    }
    c->sent += (size_t)done;
    c->next_us = c->step == NEVER ? now_us : now_us + rng_range(&p->rng, 0, 2) * CLOCK_MS;
    if (c->sent < stop)
        return;
    if (stop < c->out.n || c->last) {
        if (stop < c->out.n && c->stalls)
            c->write_end = c->sent; /* nothing more is to be written, until the peer leaves */
        else
            end(c, stop < c->out.n && c->resets);
        return;
    }
    buf_reset(&c->out);
    buf_reset(&c->in);
    c->sent = 0;
    draw_fate(p, c);
    if (rng_chance(&p->rng, 10)) /* an idle connection that the proxy may be about to use */
        end(c, c->resets);
}

static bool has_output(const struct provider_connection *c)
{
    return c->answering && c->sent < c->out.n && (c->sent < c->write_end || !c->stalls);
}

size_t provider_poll(struct provider *p, struct pollfd *fds, int64_t now_us, int64_t *wake_us)
{
    size_t n = 0;

    fds[n++] = (struct pollfd){.fd = p->listen_fd, .events = POLLIN};
    for (size_t i = 0; i < PROVIDER_CONNECTIONS; i++) {
        const struct provider_connection *c = &p->list[i];
        bool due = has_output(c) && c->next_us <= now_us;

        fds[n++] = (struct pollfd){.fd = c->fd, .events = (short)(POLLIN | (due ? POLLOUT : 0))};
        if (c->fd >= 0 && has_output(c) && !due && c->next_us < *wake_us)
            *wake_us = c->next_us;
    }
    return n;
}

void provider_run(struct provider *p, const struct pollfd *fds, size_t n, int64_t now_us)
{
    for (size_t i = 1; i < n; i++) {
        struct provider_connection *c = &p->list[i - 1];

        if (c->fd >= 0 && fds[i].revents & (POLLIN | POLLHUP | POLLERR))
            receive(p, c);
        if (c->fd >= 0 && fds[i].revents & POLLOUT && has_output(c))
            send_some(p, c, now_us);
    }
    if (fds[0].revents)
        accept_one(p);
}
