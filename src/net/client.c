/*
 * client: one accepted connection.
 *
 * libmicrohttpd does not look at a suspended connection, so nobody would notice that a held client left.
 * Therefore each descriptor is in our epoll too, for EPOLLRDHUP alone and edge-triggered: one event in its
 * life, no cost per request. A client that closed only its sending side looks the same; it counts as gone
 * when its request would have to wait.
 *
 * Deadlines are lazy: moving one later is a store, because the timer, when it fires early, sets itself again.
 * A busy connection so touches the heap about once per idle timeout.
 */
#include "front_inside.h"

#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

struct client *client_new(struct front *f, int fd, const struct net_addr *peer)
{
    struct client *c = xcalloc(1, sizeof *c);

    list_init(&c->of_owner);
    list_init(&c->clients);
    list_init(&c->of_shard);
    list_init(&c->nudged);
    c->front = f;
    c->fd = fd;
    c->peer = *peer;
    c->local.len = sizeof c->local.sa;
    if (getsockname(fd, (struct sockaddr *)&c->local.sa, &c->local.len) < 0)
        c->local.len = 0;
    c->deadline_us = CLOCK_NEVER;
    return c;
}

static void client_on_event(void *ctx, uint32_t events)
{
    struct client *c = ctx;

    if (!(events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)))
        return;
    c->left = true;
    if (c->exchange && c->exchange->announced)
        exchange_lose(c->exchange);
    else /* a last request may have come together with the end; it will be announced in this turn */
        client_deadline(c, loop_now_us(c->front->loop) + CLIENT_LEFT_GRACE_US);
}

void client_open(struct client *c)
{
    struct front *f = c->front;

    list_push_back(&f->clients, &c->clients);
    list_push_back(&c->shard->clients, &c->of_shard);
    owner_join(c);
    f->stats.connections++;
    f->stats.accepted++;
    /*
     * Without the watch a held client's leaving is noticed late, at its first answer: not worth refusing it.
     */
    (void)!loop_watch_set(f->loop, &c->watch, c->fd, EPOLLRDHUP | EPOLLET, client_on_event, c);
    client_deadline(c, loop_now_us(f->loop) + f->config.head_timeout_us);
}

void client_close(struct client *c)
{
    struct front *f = c->front;

    MG_ASSERT(!c->exchange);
    client_not_expected(c);
    loop_watch_clear(f->loop, &c->watch);
    loop_timer_clear(f->loop, &c->timer);
    list_unlink(&c->clients);
    list_unlink(&c->of_shard);
    list_unlink(&c->nudged);
    owner_leave(c);
    f->stats.connections--;
    f->leaving -= c->told_to_leave;
    front_look_for_relief(f);
    loop_bury(f->loop, c, free);
}

int client_who(struct client *c)
{
    if (!c->asked_who) {
        c->asked_who = true;
        c->who_rc = peer_look(c->fd, &c->peer, &c->local, &c->who);
    }
    return c->who_rc;
}

/* Its time is over: who had what to do. */
static void count_end(const struct client *c)
{
    struct front_stats *stats = &c->front->stats;

    if (c->left || c->place == CLIENT_BUSY)
        return;
    if (c->place == CLIENT_ANSWERED)
        stats->closed[FRONT_CLOSED_UNREAD]++;
    else
        stats->closed[c->place == CLIENT_IDLE && c->served ? FRONT_CLOSED_IDLE : FRONT_CLOSED_SLOW]++;
}

static void client_on_timer(void *ctx)
{
    struct client *c = ctx;

    if (c->deadline_us > loop_now_us(c->front->loop)) {
        client_deadline(c, c->deadline_us);
        return;
    }
    count_end(c);
    misread_end(c);
}

void client_deadline(struct client *c, int64_t at_us)
{
    c->deadline_us = at_us;
    if (at_us == CLOCK_NEVER || (loop_timer_is_set(&c->timer) && c->timer.node.key <= at_us))
        return;
    loop_timer_set(c->front->loop, &c->timer, at_us, client_on_timer, c);
}

void client_not_expected(struct client *c)
{
    c->front->stats.expected -= c->expected;
    c->expected = false;
}

/* An end of ours that crosses a request on its way reaches the client as a reset, or as no answer to what it sent. */
void client_last_call(struct client *c)
{
    struct front *f = c->front;
    int64_t now = loop_now_us(f->loop), until = now + FRONT_LAST_CALL_US, quiet_since;
    int unread = 0;

    if (c->expected || (c->exchange && c->exchange->announced))
        return;
    if (!c->exchange && (ioctl(c->fd, FIONREAD, &unread) < 0 || unread == 0)) {
        quiet_since = c->deadline_us - (c->served ? f->config.idle_timeout_us : f->config.head_timeout_us);
        until = quiet_since + FRONT_LAST_CALL_US;
    }
    if (c->shut || c->left || until <= now) {
        client_shutdown(c);
        return;
    }
    c->expected = true;
    f->stats.expected++;
    if (!c->exchange) /* else the rest of its head has the time that it has */
        client_deadline(c, until);
}

void client_shutdown(struct client *c)
{
    client_not_expected(c);
    c->deadline_us = CLOCK_NEVER;
    c->shut = true;
    list_unlink(&c->of_owner);
    shutdown(c->fd, SHUT_RDWR);
    front_nudge(c->front, c);
}
