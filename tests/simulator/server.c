/*
 * server: a connection is on the list from before its thread starts until its thread is about to end; its memory is
 * freed by that thread. Its descriptor is open for as long as it is on the list.
 */
#include "server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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
    c->first = false;
    c->provider = !control;
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

/* One request from its head to its answer. 0, or -EBADMSG with a violation. */
static int serve_request(struct connection *c, const struct request *r, struct errbuf *e)
{
    struct plan plan;
    int rc;

    note_kind(c, control_wants(r));
    if (control_wants(r)) {
        rc = control_run(c->server->sim, &c->wire, r, e);
        c->close |= rc < 0;
        return rc == -EBADMSG ? rc : 0;
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
        if (rc == 0)
            rc = serve_request(c, r, &e);
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
    if (wire_open(&c->wire, c->fd, s->tls) == 0)
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

static int parse_address(const char *listen, struct sockaddr_storage *ret, socklen_t *ret_n, struct errbuf *e)
{
    struct slice text = slice_str(listen);
    size_t colon = text.n;
    char host[64];
    int64_t port;

    while (colon > 0 && listen[colon - 1] != ':')
        colon--;
    memset(ret, 0, sizeof *ret);
    if (colon == 0 || colon > sizeof host || slice_int64(slice_skip(text, colon), &port) < 0 || port > 65535) {
        err_set(e, "%s is not ADDR:PORT", listen);
        return -EINVAL;
    }
    snprintf(host, sizeof host, "%.*s", (int)(colon - 1), listen);
    if (host[0] == '[') {
        struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ret;

        host[strlen(host) - 1] = '\0';
        in6->sin6_family = AF_INET6;
        in6->sin6_port = htons((uint16_t)port);
        *ret_n = sizeof *in6;
        return inet_pton(AF_INET6, host + 1, &in6->sin6_addr) == 1 ? 0 : -EINVAL;
    }
    {
        struct sockaddr_in *in = (struct sockaddr_in *)ret;

        in->sin_family = AF_INET;
        in->sin_port = htons((uint16_t)port);
        *ret_n = sizeof *in;
        return inet_pton(AF_INET, host, &in->sin_addr) == 1 ? 0 : -EINVAL;
    }
}

static void print_address(struct server *s)
{
    struct sockaddr_storage bound = {0};
    socklen_t n = sizeof bound;
    char host[48] = "", port[8] = "";

    getsockname(s->listen_fd, (struct sockaddr *)&bound, &n);
    getnameinfo((struct sockaddr *)&bound, n, host, sizeof host, port, sizeof port, NI_NUMERICHOST | NI_NUMERICSERV);
    snprintf(s->address, sizeof s->address, bound.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
}

int server_open(struct server *s, struct sim *sim, const char *listen_on, struct ssl_ctx_st *tls, struct errbuf *e)
{
    struct sockaddr_storage address;
    socklen_t n = 0;
    int on = 1, rc;

    *s = (struct server){.sim = sim, .tls = tls, .listen_fd = -1};
    list_init(&s->connections);
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->all_gone, NULL);
    rc = parse_address(listen_on, &address, &n, e);
    if (rc < 0)
        return rc;
    s->listen_fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (s->listen_fd < 0)
        goto fail;
    setsockopt(s->listen_fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(s->listen_fd, (struct sockaddr *)&address, n) < 0 || listen(s->listen_fd, 4096) < 0)
        goto fail;
    print_address(s);
    return 0;
fail:
    rc = -errno;
    err_set(e, "cannot listen on %s: %s", listen_on, strerror(-rc));
    return rc;
}

static void start(struct server *s, int fd, const pthread_attr_t *attr)
{
    struct connection *c = xcalloc(1, sizeof *c);
    pthread_t thread;

    c->server = s;
    c->first = c->provider = true;
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

void server_run(struct server *s, int stop_fd)
{
    struct pollfd p[2] = {{.fd = s->listen_fd, .events = POLLIN}, {.fd = stop_fd, .events = POLLIN}};
    pthread_attr_t attr;

    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attr, STACK_BYTES);
    while (poll(p, 2, -1) < 0 || !p[1].revents) {
        int fd = p[0].revents ? accept4(s->listen_fd, NULL, NULL, SOCK_CLOEXEC) : -1;

        if (fd >= 0)
            start(s, fd, &attr);
    }
    pthread_attr_destroy(&attr);
    end_all(s);
}

void server_close(struct server *s)
{
    if (s->listen_fd >= 0)
        close(s->listen_fd);
    pthread_cond_destroy(&s->all_gone);
    pthread_mutex_destroy(&s->lock);
}
