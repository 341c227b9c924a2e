/* linger: a lingerer is in its list exactly while its descriptor is open. */
#include "metergate/net/linger.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

struct linger_fd {
    struct list all;
    struct loop *loop;
    struct loop_watch watch;
    struct loop_timer timer;
    int fd;
    size_t seen;
};

static void linger_end(void *ctx)
{
    struct linger_fd *g = ctx;

    list_unlink(&g->all);
    loop_watch_clear(g->loop, &g->watch);
    loop_timer_clear(g->loop, &g->timer);
    close(g->fd);
    loop_bury(g->loop, g, free);
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

void linger_start(struct loop *l, struct list *all, int fd)
{
    struct linger_fd *g = xcalloc(1, sizeof *g);

    list_init(&g->all);
    g->loop = l;
    g->fd = fd;
    list_push_back(all, &g->all);
    loop_timer_set(l, &g->timer, loop_now_us(l) + LINGER_US, linger_end, g);
    if (loop_watch_set(l, &g->watch, fd, EPOLLIN, linger_on_event, g) < 0)
        linger_end(g);
}

void linger_stop_all(struct list *all)
{
    while (!list_empty(all))
        linger_end(LIST_ENTRY(list_first(all), struct linger_fd, all));
}
