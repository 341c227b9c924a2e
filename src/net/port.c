/*
 * port: a listening socket of the front. While accepting is off no port is watched, and accept_retry or the end of a
 * connection (ports_retry) puts it on again; while it is on each is.
 *
 * There are never more descriptors of clients than max_connections, those that linger included, but for those in the
 * middle of being closed to make room: LEAVING_MAX at the most.
 */
#include "front_inside.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "metergate/base/log.h"

#define ACCEPTS_PER_TURN 64
#define LEAVING_MAX      16u
#define SHED_CLIENTS     64u /* that came while memory is short: each takes 45 KiB of what was kept back */
#define RETRY_US         (100 * CLOCK_MS) /* by then one that could not go yet may */
#define SAY_AGAIN_US     (60 * CLOCK_S)

struct port {
    struct list ports; /* in front.ports */
    struct front *front;
    struct listener *listener; /* borrowed */
    struct loop_watch watch;
};

static void on_port(void *ctx, uint32_t events);
static void accept_on(void *ctx);

void ports_init(struct front *f)
{
    list_init(&f->ports);
}

static void accept_off(struct front *f)
{
    f->accepting_off = true;
    LIST_EACH (&f->ports, node, next)
        loop_watch_clear(f->loop, &LIST_ENTRY(node, struct port, ports)->watch);
    loop_timer_set(f->loop, &f->accept_retry, loop_now_us(f->loop) + RETRY_US, accept_on, f);
}

static void accept_on(void *ctx)
{
    struct front *f = ctx;

    f->accepting_off = false;
    loop_timer_clear(f->loop, &f->accept_retry);
    LIST_EACH (&f->ports, node, next) {
        struct port *p = LIST_ENTRY(node, struct port, ports);

        if (loop_watch_set(f->loop, &p->watch, p->listener->fd, EPOLLIN, on_port, p) < 0)
            log_error("cannot watch %s: no new connections on it", net_addr_format(&p->listener->addr).text);
    }
}

void ports_retry(struct front *f)
{
    if (f->accepting_off && !list_empty(&f->ports))
        accept_on(f);
}

/* Once a minute at most. */
static bool may_say(const struct front *f, int64_t *said_us)
{
    int64_t now = loop_now_us(f->loop);

    if (*said_us && now - *said_us <= SAY_AGAIN_US)
        return false;
    *said_us = now;
    return true;
}

/* There is no descriptor for one that waits. One fewer that is idle helps, a moment later. */
static void on_starved(struct front *f, int error)
{
    if (may_say(f, &f->starved_said_us))
        log_warn("no new connections for a moment: %s", strerror(error));
    if (f->leaving < LEAVING_MAX && !linger_stop_first(&f->lingering))
        (void)owners_make_room(f);
    accept_off(f);
}

static bool is_full(const struct front *f)
{
    return f->stats.connections + f->lingering.count - f->leaving >= f->config.max_connections;
}

/* Whether somebody waits there: nobody is closed for nobody. */
static bool is_asked_for(const struct port *p)
{
    struct pollfd look = {.fd = p->listener->fd, .events = POLLIN};

    return poll(&look, 1, 0) == 1;
}

/* Whether one more may be accepted now; when all are taken, one is closed for it. */
static bool has_room(const struct port *p)
{
    struct front *f = p->front;

    if (f->shedding && f->shed_clients >= SHED_CLIENTS) {
        accept_off(f);
        return false;
    }
    if (!is_full(f))
        return true;
    if (f->leaving >= LEAVING_MAX || !is_asked_for(p)) /* the former are closed at the end of this turn */
        return false;
    if (may_say(f, &f->full_said_us))
        log_warn("all %u connections are taken: those that do nothing are closed when new ones come",
                 f->config.max_connections);
    if (linger_stop_first(&f->lingering) || owners_make_room(f))
        return true;
    accept_off(f); /* the rest waits in the backlog until somebody leaves */
    return false;
}

static void on_port(void *ctx, uint32_t events)
{
    struct port *p = ctx;
    struct front *f = p->front;

    (void)events;
    for (int i = 0; i < ACCEPTS_PER_TURN && has_room(p); i++) {
        struct net_addr peer = {.len = sizeof peer.sa};
        int fd = accept4(p->listener->fd, (struct sockaddr *)&peer.sa, &peer.len, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd >= 0 && front_add_client(f, fd, &peer) == 0)
            continue;
        if (fd >= 0)
            errno = ENOMEM;
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            on_starved(f, errno);
            return;
        }
        if (errno == EAGAIN)
            return;
    }
}

int front_listen(struct front *f, struct listener *ln)
{
    struct port *p = xcalloc(1, sizeof *p);
    int rc;

    list_init(&p->ports);
    p->front = f;
    p->listener = ln;
    rc = loop_watch_set(f->loop, &p->watch, ln->fd, EPOLLIN, on_port, p);
    if (rc < 0) {
        free(p);
        return rc;
    }
    list_push_back(&f->ports, &p->ports);
    return 0;
}

void ports_close(struct front *f)
{
    while (!list_empty(&f->ports)) {
        struct port *p = LIST_ENTRY(list_first(&f->ports), struct port, ports);

        loop_watch_clear(f->loop, &p->watch);
        list_unlink(&p->ports);
        loop_bury(f->loop, p, free);
    }
    f->accepting_off = true;
    loop_timer_clear(f->loop, &f->accept_retry);
}
