/* wire: `in` holds unread bytes; `broken` never goes back to false; SIGPIPE is ignored by the process. */
#include "wire.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <openssl/ssl.h>

#include "metergate/base/clock.h"

#define PIECE ((size_t)64 << 10)

int wire_open(struct wire *w, int fd, struct ssl_ctx_st *tls)
{
    int on = 1;

    *w = (struct wire){.fd = fd, .wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    buf_init(&w->in, BUF_UNLIMITED);
    w->received_us = clock_now_us();
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on);
    if (!tls)
        return 0;
    w->ssl = SSL_new(tls);
    if (!w->ssl || SSL_set_fd(w->ssl, fd) != 1 || SSL_accept(w->ssl) != 1)
        return -EPROTO;
    return 0;
}

void wire_close(struct wire *w, bool reset)
{
    if (reset) {
        struct linger now = {.l_onoff = 1, .l_linger = 0};

        setsockopt(w->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    } else if (w->ssl && SSL_is_init_finished(w->ssl)) {
        SSL_shutdown(w->ssl);
    }
    SSL_free(w->ssl);
    close(w->fd);
    close(w->wake_fd);
    buf_release(&w->in);
    w->fd = w->wake_fd = -1;
    w->ssl = NULL;
}

/* The moment that the kernel noted, on our clock; both clocks run at the same rate over so short a time. */
static int64_t stamp_us(struct msghdr *msg)
{
    int64_t now_us = clock_now_us(), ago_us;

    for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
        struct timespec ts;

        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_TIMESTAMPNS)
            continue;
        memcpy(&ts, CMSG_DATA(c), sizeof ts);
        ago_us = clock_wall_us() - ((int64_t)ts.tv_sec * CLOCK_S + ts.tv_nsec / 1000);
        /* somebody set the wall clock: better no stamp than a wrong one */
        if (ago_us >= 0 && ago_us < 10 * CLOCK_S)
            return now_us - ago_us;
    }
    return now_us;
}

static ssize_t receive_plain(struct wire *w, char *p, size_t n)
{
    union {
        char bytes[CMSG_SPACE(sizeof(struct timespec))];
        struct cmsghdr align;
    } control;
    struct iovec iov = {p, n};
    struct msghdr msg = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
    ssize_t got = recvmsg(w->fd, &msg, 0);

    if (got > 0)
        w->received_us = stamp_us(&msg);
    return got;
}

static int wait_readable(struct wire *w, int64_t timeout_us)
{
    struct pollfd p = {.fd = w->fd, .events = POLLIN | POLLRDHUP};
    struct timespec ts = {timeout_us / CLOCK_S, timeout_us % CLOCK_S * 1000};
    int n;

    if (w->ssl && SSL_pending(w->ssl) > 0)
        return 0;
    do
        n = ppoll(&p, 1, timeout_us < 0 ? NULL : &ts, NULL);
    while (n < 0 && errno == EINTR);
    return n > 0 ? 0 : -ETIMEDOUT;
}

int wire_fill(struct wire *w, int64_t timeout_us)
{
    ssize_t got;

    if (wait_readable(w, timeout_us) < 0)
        return -ETIMEDOUT;
    if (buf_reserve(&w->in, PIECE) < 0)
        return -EPIPE;
    if (w->ssl) {
        int n = SSL_read(w->ssl, w->in.p + w->in.n, (int)PIECE);

        got = n > 0 ? n : SSL_get_error(w->ssl, n) == SSL_ERROR_ZERO_RETURN ? 0 : -1;
        w->received_us = clock_now_us();
    } else {
        got = receive_plain(w, w->in.p + w->in.n, PIECE);
    }
    if (got < 0) {
        w->broken = true;
        return -EPIPE;
    }
    w->in.n += (size_t)got;
    w->in.p[w->in.n] = '\0';
    return got > 0;
}

bool wire_has_more(struct wire *w)
{
    char c;

    if (w->in.n > 0)
        return true;
    if (w->ssl)
        return SSL_pending(w->ssl) > 0;
    return recv(w->fd, &c, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

int wire_write(struct wire *w, const void *p, size_t n)
{
    const char *at = p;

    while (n && !w->broken) {
        size_t piece = n < PIECE ? n : PIECE;
        ssize_t put = w->ssl ? SSL_write(w->ssl, at, (int)piece) : send(w->fd, at, piece, MSG_NOSIGNAL);

        if (put < 0 && errno == EINTR && !w->ssl)
            continue;
        if (put <= 0) {
            w->broken = true;
            break;
        }
        at += put;
        n -= (size_t)put;
    }
    return w->broken ? -EPIPE : 0;
}

void wire_linger(struct wire *w, int64_t us)
{
    shutdown(w->fd, SHUT_WR);
    (void)wire_pause(w, us);
}

enum wire_event wire_pause(struct wire *w, int64_t us)
{
    int64_t until_us = us < 0 ? CLOCK_NEVER : clock_now_us() + us;

    for (;;) {
        struct pollfd p[2] = {{.fd = w->fd, .events = POLLRDHUP}, {.fd = w->wake_fd, .events = POLLIN}};
        int64_t left_us = until_us - clock_now_us();
        struct timespec ts = {left_us / CLOCK_S, left_us % CLOCK_S * 1000};
        uint64_t count;
        int n;

        if (left_us <= 0)
            return WIRE_TIME;
        n = ppoll(p, 2, us < 0 ? NULL : &ts, NULL);
        if (n > 0 && p[0].revents) {
            w->broken = true;
            return WIRE_GONE;
        }
        if (n > 0 && p[1].revents && read(w->wake_fd, &count, sizeof count) == sizeof count)
            return WIRE_WOKEN;
    }
}

void wire_wake(struct wire *w)
{
    uint64_t one = 1;

    /* an eventfd takes any number of these */
    if (write(w->wake_fd, &one, sizeof one) < 0)
        abort();
}
