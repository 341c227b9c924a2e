/*
 * server: a connection is on the list from before its thread starts until its thread is about to end; its
 * memory is freed by that thread. Its descriptor is open for as long as it is on the list. What others read
 * of a connection while its thread runs (provider, busy, last, ended) is guarded by the server's lock.
 */
#include "server.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "control.h"
#include "exchange.h"
#include "metergate/base/clock.h"
#include "request.h"
#include "sim.h"
#include "tls.h"
#include "wire.h"

#define STACK_BYTES     ((size_t)512 << 10)
#define HEAD_SILENCE_US (30 * CLOCK_S)
#define LINGER_US       (CLOCK_S / 2)

struct connection {
    struct list link;
    struct server *server;
    struct wire wire;
    int fd; /* the wire's, for server_run to end it */
    int64_t id;
    bool first;    /* no request yet */
    bool provider; /* counted among the provider's connections */
    bool control;  /* it came to the control address */
    bool busy;     /* a call is being served */
    bool last;     /* and no other one will be */
    bool ended;    /* the server has shut it */
    bool close, reset;
    int64_t calls;
};

/* ---- one connection ---- */

/* The next head, copied out of the wire. 1; 0 when there is no next one; -EBADMSG with a violation. */
static int read_head(struct connection *c, struct buf *head, int64_t idle_us, struct errbuf *e)
{
    struct wire *w = &c->wire;
    size_t n;

    buf_reset(head);
    while ((n = request_head_length(buf_slice(&w->in))) == 0) {
        int rc;

        if (w->in.n > REQUEST_HEAD_MAX) {
            err_set(e, "a head of more than %zu bytes", REQUEST_HEAD_MAX);
            return -EBADMSG;
        }
        rc = wire_fill(w, w->in.n ? HEAD_SILENCE_US : idle_us);
        if (rc > 0)
            continue;
        if (w->in.n == 0)
            return 0;
        err_set(e, rc == -ETIMEDOUT ? "a head that stopped in the middle" : "closed in the middle of a head");
        return -EBADMSG;
    }
    buf_add(head, w->in.p, n);
    buf_drop_head(&w->in, n);
    return 1;
}

static void note_kind(struct connection *c, bool control)
{
    if (!c->first)
        return;
    pthread_mutex_lock(&c->server->lock);
    c->first = false;
    c->provider = !control;
    pthread_mutex_unlock(&c->server->lock);
    sim_connection_is(c->server->sim, c->provider);
}

/* Every request that is not as it should be ends here: noted, answered 400, closed. */
static void violated(struct connection *c, const struct errbuf *e, const struct buf *head)
{
    static const char answer[] = "HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nConnection: close\r\n";
    char length[64];
    struct buf out;
    struct errbuf full;
    int n;
    struct slice line = slice_head(buf_slice(head), slice_find(buf_slice(head), '\r'));

    err_set(&full, "%s (%.*s)", e->text, (int)(line.n < 100 ? line.n : 100), line.n ? line.p : "");
    note_kind(c, false);
    sim_violation(c->server->sim, full.text);
    buf_init(&out, BUF_UNLIMITED);
    buf_add_str(&out, "{\"error\":{\"message\":");
    audit_quote(&out, slice_str(full.text));
    buf_add_str(&out, ",\"type\":\"violation\",\"param\":null,\"code\":null}}");
    n = snprintf(length, sizeof length, "Content-Length: %zu\r\n\r\n", out.n);
    /* it is closed whether these arrive or not */
    if (wire_write(&c->wire, answer, sizeof answer - 1) == 0 && wire_write(&c->wire, length, (size_t)n) == 0 &&
        wire_write(&c->wire, out.p, out.n) == 0)
        wire_linger(&c->wire, LINGER_US);
    c->close = true;
    buf_release(&out);
}

/* A call begins, unless the connection was shut before: nobody could hear the answer. */
static bool begin(struct connection *c)
{
    bool ended;

    pthread_mutex_lock(&c->server->lock);
    ended = c->ended;
    c->busy = !ended;
    pthread_mutex_unlock(&c->server->lock);
    return !ended;
}

/* It has ended. Whether it was the last one here. */
static bool end(struct connection *c)
{
    bool last;

    pthread_mutex_lock(&c->server->lock);
    c->busy = false;
    last = c->last;
    pthread_mutex_unlock(&c->server->lock);
    return last;
}

static int serve_control(struct connection *c, const struct request *r, struct errbuf *e)
{
    int rc = control_run(c->server->sim, &c->wire, r, e);

    c->close |= rc < 0;
    return rc == -EBADMSG ? rc : 0;
}

/* One request from its head to its answer. 0, or -EBADMSG with a violation. */
static int serve_request(struct connection *c, const struct request *r, struct errbuf *e)
{
    struct plan plan;
    int rc;

    note_kind(c, control_wants(r));
    if (control_wants(r))
        return serve_control(c, r, e);
    if (c->control) {
        err_set(e, "a provider's call on the control address");
        return -EBADMSG;
    }
    plan_init(&plan);
    sim_plan_connection(c->server->sim, r->path, &plan);
    if (plan.close_before_read > 0 || plan.reset_before_read > 0) {
        c->close = true;
        c->reset = plan.reset_before_read > 0;
        return 0;
    }
    rc = exchange_run(c->server->sim, &c->wire, r, c->id, &c->close, &c->reset, e);
    c->close |= rc < 0;
    return rc == -EBADMSG ? rc : 0;
}

static void serve_connection(struct connection *c)
{
    struct request *r = xmalloc(sizeof *r);
    struct errbuf e;
    struct buf head;

    buf_init(&head, BUF_UNLIMITED);
    while (!c->close) {
        int64_t max_calls, idle_us = sim_keepalive_us(c->server->sim, &max_calls);
        int rc = read_head(c, &head, idle_us, &e);

        if (rc == 0)
            break;
        if (rc > 0)
            rc = request_parse(r, buf_slice(&head), &e);
        if (!begin(c))
            break;
        if (rc == 0)
            rc = serve_request(c, r, &e);
        c->close |= end(c);
        if (rc < 0)
            violated(c, &e, &head);
        else if (r->close || (max_calls && ++c->calls >= max_calls))
            c->close = true;
    }
    buf_release(&head);
    free(r);
}

static void *connection_main(void *arg)
{
    struct connection *c = arg;
    struct server *s = c->server;

    sim_connection_opened(s->sim);
    if (wire_open(&c->wire, c->fd, c->control ? NULL : s->tls) == 0)
        serve_connection(c);
    pthread_mutex_lock(&s->lock);
    list_unlink(&c->link);
    pthread_mutex_unlock(&s->lock);
    wire_close(&c->wire, c->reset);
    note_kind(c, false);
    sim_connection_closed(s->sim, c->provider);
    free(c);
    tls_end_thread();
    pthread_mutex_lock(&s->lock);
    s->threads--;
    pthread_cond_signal(&s->all_gone);
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

/* ---- listening ---- */

int server_open(struct server *s, struct sim *sim, const char *listen_on, const char *control, struct ssl_ctx_st *tls,
                struct errbuf *e)
{
    int rc;

    *s = (struct server){.sim = sim, .tls = tls, .provider = {.fd = -1, .keeper_fd = -1}};
    s->control = s->provider;
    list_init(&s->connections);
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->all_gone, NULL);
    rc = listener_open(&s->provider, listen_on, e);
    if (rc == 0 && control)
        rc = listener_open(&s->control, control, e);
    return rc;
}

static void start(struct server *s, int fd, bool control, const pthread_attr_t *attr)
{
    struct connection *c = xcalloc(1, sizeof *c);
    pthread_t thread;

    c->server = s;
    c->first = c->provider = true;
    c->control = control;
    c->fd = fd;
    list_init(&c->link);
    pthread_mutex_lock(&s->lock);
    c->id = ++s->connections_ever;
    list_push_back(&s->connections, &c->link);
    s->threads++;
    pthread_mutex_unlock(&s->lock);
    if (pthread_create(&thread, attr, connection_main, c) == 0)
        return;
    pthread_mutex_lock(&s->lock);
    list_unlink(&c->link);
    s->threads--;
    pthread_mutex_unlock(&s->lock);
    close(fd);
    free(c);
}

static void end_all(struct server *s)
{
    sim_stop(s->sim);
    pthread_mutex_lock(&s->lock);
    LIST_EACH(&s->connections, node, next)
        shutdown(LIST_ENTRY(node, struct connection, link)->fd, SHUT_RDWR);
    while (s->threads > 0)
        pthread_cond_wait(&s->all_gone, &s->lock);
    pthread_mutex_unlock(&s->lock);
}

/* ---- being down ---- */

/* What is idle is shut at once; what is busy ends with its call, or at once too with `cut`. */
static void end_provider(struct server *s, bool cut)
{
    pthread_mutex_lock(&s->lock);
    LIST_EACH(&s->connections, node, next)
    {
        struct connection *c = LIST_ENTRY(node, struct connection, link);

        if (!c->provider || c->control)
            continue;
        c->last = true;
        if (c->busy && !cut)
            continue;
        c->ended = !c->busy;
        shutdown(c->fd, SHUT_RDWR);
    }
    pthread_mutex_unlock(&s->lock);
}

/*
 * Does what the sim is told about being down; tells how long poll may wait for the next change by itself,
 * in ms.
 */
static int obey(struct server *s)
{
    int64_t until_us, order, left_us;
    bool cut;
    enum down_mode mode = sim_down_mode(s->sim, &until_us, &cut, &order);

    if (mode != s->mode) {
        int rc = 0;

        if (mode == DOWN_REFUSE)
            listener_deafen(&s->provider);
        else
            rc = listener_hear(&s->provider);
        MG_ASSERT(rc == 0); /* the port is kept */
        if (mode == DOWN_REFUSE || mode == DOWN_RESET)
            end_provider(s, cut);
        s->mode = mode;
    }
    sim_down_obeyed(s->sim, order);
    if (until_us == DOWN_FOR_EVER)
        return -1;
    left_us = until_us - clock_now_us();
    if (left_us <= 0)
        return 0;
    return left_us < INT32_MAX ? (int)((left_us + CLOCK_MS - 1) / CLOCK_MS) : INT32_MAX / 1000;
}

static void accept_one(struct server *s, const struct listener *l, const pthread_attr_t *attr)
{
    static const struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    int fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC);

    if (fd < 0)
        return;
    if (l == &s->control || s->mode != DOWN_RESET) {
        start(s, fd, l == &s->control, attr);
        return;
    }
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    close(fd);
    sim_down_attempt(s->sim);
}

void server_run(struct server *s, int stop_fd)
{
    struct pollfd p[] = {{.fd = stop_fd, .events = POLLIN},
                         {.fd = s->sim->wake_fd, .events = POLLIN},
                         {.fd = s->control.fd, .events = POLLIN},
                         {.events = POLLIN}};
    pthread_attr_t attr;

    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attr, STACK_BYTES);
    for (;;) {
        int wait_ms = obey(s);

        p[3].fd = s->provider.fd; /* poll passes over those that are -1 */
        if (poll(p, MG_ARRAY_LEN(p), wait_ms) <= 0)
            continue;
        if (p[0].revents)
            break;
        if (p[2].revents)
            accept_one(s, &s->control, &attr);
        /* what came while the order was on its way is for the new state */
        if (p[3].revents && !p[1].revents)
            accept_one(s, &s->provider, &attr);
    }
    pthread_attr_destroy(&attr);
    end_all(s);
}

void server_close(struct server *s)
{
    listener_release(&s->provider);
    listener_release(&s->control);
    pthread_cond_destroy(&s->all_gone);
    pthread_mutex_destroy(&s->lock);
}
