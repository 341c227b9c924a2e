/* load: `next` requests were begun, `done` have ended; every connection has one under way until none is left. */
#include "load.h"

#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "conn.h"
#include "rig.h"

struct load {
    int epoll_fd, port;
    const struct requests *rs;
    size_t next, done;
    int errors;
    double *latency_us;
};

static bool call_next(struct load *l, struct conn *c)
{
    struct epoll_event ev = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = c};

    if (l->next == l->rs->n)
        return false;
    if (c->fd < 0) {
        conn_open(c, l->port);
        if (epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, c->fd, &ev) < 0)
            rig_fail("epoll");
    }
    conn_send(c, l->rs->bytes.p + l->rs->at[l->next], l->rs->at[l->next + 1] - l->rs->at[l->next]);
    l->next++;
    return true;
}

static void on_event(struct load *l, struct conn *c)
{
    for (;;) {
        enum conn_event e = conn_turn(c, NULL, NULL);

        if (e == CONN_MORE)
            return;
        l->latency_us[l->done++] = (double)(rig_now_ns() - c->began_ns) / 1000;
        l->errors += e == CONN_BROKEN || c->status != 200;
        if (e == CONN_BROKEN)
            conn_close(c);
        if (!call_next(l, c))
            return;
    }
}

struct load_result load_run(int port, int connections, const struct requests *rs, pid_t pid)
{
    struct load l = {.epoll_fd = epoll_create1(EPOLL_CLOEXEC), .port = port, .rs = rs};
    struct conn *conns = xcalloc((size_t)connections, sizeof *conns);
    struct epoll_event batch[64];
    struct load_result r;
    double cpu = rig_cpu_us(pid), seconds;
    int64_t from = rig_now_ns();

    l.latency_us = xcalloc(rs->n, sizeof l.latency_us[0]);
    for (int i = 0; i < connections; i++) {
        conns[i].fd = -1;
        call_next(&l, &conns[i]);
    }
    while (l.done < rs->n) {
        int n = epoll_wait(l.epoll_fd, batch, MG_ARRAY_LEN(batch), 30000);

        if (n <= 0)
            rig_fail("no answer for 30 s: %zu of %zu calls are done", l.done, rs->n);
        for (int i = 0; i < n; i++)
            on_event(&l, batch[i].data.ptr);
    }
    seconds = (double)(rig_now_ns() - from) / 1e9;
    r = (struct load_result){
        .cpu_us = (rig_cpu_us(pid) - cpu) / (double)rs->n,
        .calls_per_s = (double)rs->n / seconds,
        .errors = l.errors,
    };
    r.p50_us = quantile(l.latency_us, (int)rs->n, 0.5);
    r.p99_us = quantile(l.latency_us, (int)rs->n, 0.99);
    for (int i = 0; i < connections; i++)
        if (conns[i].fd >= 0)
            conn_close(&conns[i]);
    close(l.epoll_fd);
    free(conns);
    free(l.latency_us);
    return r;
}
