/* linger: a lingerer is in its list, and counted, exactly while its descriptor is open. */
#include "metergate/net/linger.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

struct linger_fd {
    struct list all;
    struct lingering *owner;
    struct loop_watch watch;
    struct loop_timer timer;
    int fd;
    size_t seen;
};

static void stop(struct linger_fd *g)
{
    struct loop *l = g->owner->loop;

    list_unlink(&g->all);
    g->owner->count--;
    loop_watch_clear(l, &g->watch);
    loop_timer_clear(l, &g->timer);
    close(g->fd);
    loop_bury(l, g, free);
}

static void linger_end(void *ctx)
{
    struct lingering *owner = ((struct linger_fd *)ctx)->owner;

    stop(ctx);
    owner->ended(owner->ctx);
}

static void linger_on_event(void *ctx, uint32_t events)
{
    struct linger_fd *g = ctx;
    char buf[16384];
    ssize_t n;

    (void)events;
    n = recv(g->fd, buf, sizeof buf, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n > 0)
        g->seen += (size_t)n;
    if (n <= 0 || g->seen > LINGER_BYTES)
        linger_end(g);
}

void linger_init(struct lingering *g, struct loop *l, void (*ended)(void *ctx), void *ctx)
{
    *g = (struct lingering){.loop = l, .ended = ended, .ctx = ctx};
    list_init(&g->all);
}

void linger_start(struct lingering *owner, int fd)
{
    struct linger_fd *g = xcalloc(1, sizeof *g);
    struct loop *l = owner->loop;

    list_init(&g->all);
    g->owner = owner;
    g->fd = fd;
    owner->count++;
    list_push_back(&owner->all, &g->all);
    loop_timer_set(l, &g->timer, loop_now_us(l) + LINGER_US, linger_end, g);
    if (loop_watch_set(l, &g->watch, fd, EPOLLIN, linger_on_event, g) < 0)
        stop(g);
}

bool linger_stop_first(struct lingering *g)
{
    if (list_empty(&g->all))
        return false;
    stop(LIST_ENTRY(list_first(&g->all), struct linger_fd, all));
    return true;
}

void linger_stop_all(struct lingering *g)
{
    while (linger_stop_first(g))
        ;
}
