/*
 * sock: libcurl's descriptors in our loop. `want` is what curl asked for last; `watch` may be for more, until an event shows that
 * it is narrowed. A published sock carries or has carried a request, and curl closes it through pool_close_socket; others curl
 * closes by itself, so their watches are only ever forgotten (see loop_watch_forget).
 */
#include "upstream_inside.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "metergate/base/log.h"
#include "metergate/net/listener.h"

static struct sock *sock_get(struct upstream_pool *p, int fd)
{
    if (fd >= p->sock_cap) {
        int cap = p->sock_cap ? p->sock_cap : 64;

        while (cap <= fd)
            cap *= 2;
        p->socks = xrealloc(p->socks, (size_t)cap * sizeof p->socks[0]);
        memset(p->socks + p->sock_cap, 0, (size_t)(cap - p->sock_cap) * sizeof p->socks[0]);
        p->sock_cap = cap;
    }
    if (!p->socks[fd]) {
        p->socks[fd] = xcalloc(1, sizeof *p->socks[fd]);
        p->socks[fd]->fd = fd;
        list_init(&p->socks[fd]->socks);
    }
    return p->socks[fd];
}

static void sock_on_event(void *ctx, uint32_t events)
{
    struct sock *s = ctx;
    struct upstream_pool *p = s->lane->pool;
    int what = 0;

    if (!s->want) { /* a kept connection that the provider closed: curl finds it dead at the next use */
        (void)!loop_watch_set(p->loop, &s->watch, s->fd, EPOLLIN, sock_on_event, s); /* also if forgotten */
        loop_watch_clear(p->loop, &s->watch);
        return;
    }
    if (!(events & (s->want | EPOLLERR | EPOLLHUP))) {
        (void)!loop_watch_set(p->loop, &s->watch, s->fd, s->want, sock_on_event, s);
        return;
    }
    what |= events & EPOLLIN ? CURL_CSELECT_IN : 0;
    what |= events & EPOLLOUT ? CURL_CSELECT_OUT : 0;
    what |= events & (EPOLLERR | EPOLLHUP) ? CURL_CSELECT_ERR : 0;
    lane_drive(s->lane, s->fd, what);
}

int sock_on_want(CURL *easy, curl_socket_t fd, int what, void *ctx, void *unused)
{
    struct lane *lane = ctx;
    struct sock *s = sock_get(lane->pool, fd);

    (void)easy;
    (void)unused;
    s->lane = lane;
    if (what == CURL_POLL_REMOVE) {
        s->want = 0;
        if (!s->published) /* curl closes it by itself, or has already */
            loop_watch_forget(lane->pool->loop, &s->watch);
        return 0;
    }
    s->want = (what & CURL_POLL_IN ? (uint32_t)EPOLLIN : 0) | (what & CURL_POLL_OUT ? (uint32_t)EPOLLOUT : 0);
    if ((s->watch.events & s->want) == s->want)
        return 0;
    if (loop_watch_set(lane->pool->loop, &s->watch, fd, s->want, sock_on_event, s) < 0)
        log_error("cannot watch an upstream connection: it will time out");
    return 0;
}

curl_socket_t pool_open_socket(void *ctx, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct lane *lane = ctx;
    struct loop *l = lane->pool->loop;
    struct sock *s;
    uint32_t watched;
    int fd;

    (void)purpose;
    if (lane->broken) {
        errno = ENOMEM;
        return CURL_SOCKET_BAD;
    }
    fd = socket(address->family, address->socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, address->protocol);
    if (fd < 0)
        return CURL_SOCKET_BAD;
    s = sock_get(lane->pool, fd);
    watched = s->watch.events;
    s->lane = lane;
    s->published = false;
    s->local_port = 0;
    list_push_back(&lane->socks, &s->socks);
    if (watched) {
        /*
         * curl closed the last one of this number behind our back, and may believe that it is still watched.
         */
        loop_watch_forget(l, &s->watch);
        (void)!loop_watch_set(l, &s->watch, fd, watched, sock_on_event, s);
    }
    return fd;
}

int pool_close_socket(void *ctx, curl_socket_t fd)
{
    struct upstream_pool *p = ctx;
    struct sock *s = sock_get(p, fd);

    if (s->transfer) {
        transfer_lose_sock(s->transfer);
        s->transfer = NULL;
    }
    loop_watch_clear(p->loop, &s->watch);
    list_unlink(&s->socks);
    if (s->published)
        p->stats.connections--;
    s->published = false;
    s->want = 0;
    return close(fd);
}

bool sock_is_drained(const struct sock *s)
{
    int waiting = 0;

    return ioctl(s->fd, SIOCOUTQ, &waiting) == 0 && waiting == 0;
}

bool sock_has_input(const struct sock *s)
{
    struct pollfd p = {.fd = s->fd, .events = POLLIN};

    return poll(&p, 1, 0) > 0;
}

/* Its two ends, once it is connected. */
static void sock_learn_ends(struct sock *s)
{
    struct net_addr local = {.len = sizeof local.sa}, remote = {.len = sizeof remote.sa};
    const void *ip;

    if (getsockname(s->fd, (struct sockaddr *)&local.sa, &local.len) < 0 ||
        getpeername(s->fd, (struct sockaddr *)&remote.sa, &remote.len) < 0)
        return; /* the loser of a race between addresses */
    ip = remote.sa.ss_family == AF_INET6 ? (const void *)&((const struct sockaddr_in6 *)&remote.sa)->sin6_addr
                                         : (const void *)&((const struct sockaddr_in *)&remote.sa)->sin_addr;
    if (!inet_ntop(remote.sa.ss_family, ip, s->remote_ip, sizeof s->remote_ip))
        return;
    s->remote_port = net_addr_port(&remote);
    s->local_port = net_addr_port(&local);
}

/* 7.88 does not say which connection a transfer uses, only its two ends. */
struct sock *pool_find_sock(struct transfer *t, const char *remote_ip, int remote_port, int local_port)
{
    LIST_EACH(&t->lane->socks, node, next)
    {
        struct sock *s = LIST_ENTRY(node, struct sock, socks);

        if (!s->local_port)
            sock_learn_ends(s);
        if (s->local_port != local_port || s->remote_port != remote_port ||
            strcmp(s->remote_ip, remote_ip) != 0)
            continue;
        if (!s->published)
            t->pool->stats.connections++;
        s->published = true;
        if (s->transfer)
            s->transfer->sock = NULL;
        s->transfer = t;
        return s;
    }
    return NULL;
}
