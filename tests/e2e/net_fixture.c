/*
 * net_fixture: the proxy's data belongs to the loop thread; the test thread reaches it through netfix_call
 * alone.
 */
#include "net_fixture.h"

#include <setjmp.h>
#include <stdarg.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "metergate/base/buf.h"
#include "metergate/base/clock.h"
#include "metergate/base/list.h"

#define PATIENCE_MS 10000

struct netfix {
    struct loop *loop;
    struct front *front;
    struct upstream_pool *pool;
    struct listener listener;
    struct net_addr_text address;
    struct netfix_options options;
    int upstream_fd, upstream_port;
    char upstream[64];
    pthread_t thread;
    struct list held;
    struct netfix_counts counts;
    struct netfix_counts snapshot; /* written by the loop thread while the test thread waits for it */
};

/* One request on its way. */
struct call {
    struct netfix *nf;
    struct exchange *x;
    struct transfer *t;
    struct list held;
    bool streamed;
};

/* ---- the proxy ----------------------------------------------------------------------------------------- */

static void reply_text(struct exchange *x, int status, const char *text)
{
    struct http_header type = {SLICE("Content-Type"), SLICE("text/plain")};

    exchange_reply(x, status, &type, 1, slice_str(text));
}

static void on_upstream_sent(void *ctx, struct transfer *t)
{
    struct call *c = ctx;

    assert_true(transfer_is_sent(t));
    c->nf->counts.sent++;
}

static void on_upstream_head(void *ctx, struct transfer *t, const struct transfer_head *h)
{
    struct call *c = ctx;

    (void)t;
    exchange_start(c->x, h->status, h->headers, h->header_count, h->content_length);
}

static void on_upstream_data(void *ctx, struct transfer *t, const char *p, size_t n)
{
    struct call *c = ctx;
    size_t buffered = exchange_write(c->x, p, n);

    if (buffered > c->nf->counts.most_buffered)
        c->nf->counts.most_buffered = buffered;
    if (buffered > EXCHANGE_HIGH_BYTES)
        transfer_pause(t);
}

static void on_upstream_drain(void *ctx, struct transfer *t)
{
    struct call *c = ctx;

    (void)t;
    exchange_resume_body(c->x);
}

static void on_upstream_end(void *ctx, struct transfer *t, enum transfer_result r, const char *why)
{
    struct call *c = ctx;

    c->t = NULL;
    c->nf->counts.last_result = r;
    c->nf->counts.last_reused = transfer_is_reused(t);
    c->nf->counts.last_may_have_arrived = transfer_may_have_arrived(t);
    if (r == TRANSFER_OK)
        exchange_finish(c->x);
    else if (exchange_is_started(c->x))
        exchange_abort(c->x);
    else
        reply_text(c->x, 502, transfer_result_name(r));
    (void)why;
}

static const struct transfer_ops upstream_ops = {
    .on_sent = on_upstream_sent,
    .on_head = on_upstream_head,
    .on_data = on_upstream_data,
    .on_body_drain = on_upstream_drain,
    .on_end = on_upstream_end,
};

static void forward(struct call *c)
{
    struct netfix *nf = c->nf;
    const struct http_head *h = exchange_head(c->x);
    struct transfer_request r = nf->options.timeouts;
    struct http_header headers[64];
    struct buf url;

    buf_init(&url, BUF_UNLIMITED);
    buf_add_str(&url, nf->upstream);
    buf_add_slice(&url, h->target);
    r.url = url.p;
    r.method = h->method;
    r.header_count = 0;
    r.headers = headers;
    for (size_t i = 0; i < h->header_count && r.header_count < 64; i++)
        if (!http_is_hop_by_hop(h->headers[i].name) && !slice_eq_nocase(h->headers[i].name, SLICE("host")))
            headers[r.header_count++] = h->headers[i];
    r.has_body = exchange_content_length(c->x) != 0;
    r.streamed = c->streamed;
    r.streamed_bytes = exchange_content_length(c->x);
    r.body = exchange_body(c->x);
    assert_int_equal(transfer_start(nf->pool, &r, &upstream_ops, c, &c->t), 0);
    buf_release(&url);
}

static void on_head(void *ctx, struct exchange *x)
{
    struct netfix *nf = ctx;
    struct call *c = xcalloc(1, sizeof *c);
    struct slice target = exchange_head(x)->target;

    c->nf = nf;
    c->x = x;
    list_init(&c->held);
    exchange_set_user(x, c);
    if (exchange_peer_uid(x, &nf->counts.last_uid) < 0)
        nf->counts.last_uid = (uid_t)-1;
    if (slice_starts(target, SLICE("/local"))) {
        reply_text(x, 200, "local\n");
    } else if (slice_starts(target, SLICE("/small"))) {
        exchange_buffer_body(x, 1000);
    } else if (slice_starts(target, SLICE("/stream"))) {
        c->streamed = true;
        exchange_stream_body(x);
        forward(c);
    } else {
        exchange_buffer_body(x, (size_t)64 * 1024 * 1024);
    }
}

static void stop_transfer(struct call *c)
{
    struct transfer *t = c->t;

    c->t = NULL;
    if (t)
        transfer_abort(t);
}

static void on_bad(void *ctx, struct exchange *x, int status, const char *why)
{
    struct netfix *nf = ctx;

    nf->counts.bad++;
    if (exchange_user(x))
        stop_transfer(exchange_user(x));
    reply_text(x, status, why);
}

static void on_body(void *ctx, struct exchange *x, int rc)
{
    struct netfix *nf = ctx;
    struct call *c = exchange_user(x);
    struct slice target = exchange_head(x)->target;

    if (rc < 0) {
        reply_text(x, 413, "too long\n");
    } else if (slice_starts(target, SLICE("/hold"))) {
        list_push_back(&nf->held, &c->held);
        nf->counts.held++;
    } else if (slice_starts(target, SLICE("/small"))) {
        reply_text(x, 200, "ok\n");
    } else {
        forward(c);
    }
}

static void on_chunk(void *ctx, struct exchange *x, const char *p, size_t n)
{
    struct call *c = exchange_user(x);
    struct netfix *nf = ctx;
    size_t buffered = c->t ? transfer_write(c->t, p, n) : 0;

    if (buffered > nf->counts.most_uploaded)
        nf->counts.most_uploaded = buffered;
    if (buffered > TRANSFER_HIGH_BYTES)
        exchange_pause_body(x);
}

static void on_body_end(void *ctx, struct exchange *x)
{
    struct call *c = exchange_user(x);

    (void)ctx;
    if (c->t && exchange_content_length(x) != 0)
        transfer_finish_body(c->t);
}

static void on_drain(void *ctx, struct exchange *x)
{
    struct call *c = exchange_user(x);

    (void)ctx;
    if (c->t)
        transfer_resume(c->t);
}

static void unhold(struct call *c)
{
    if (!list_linked(&c->held))
        return;
    list_unlink(&c->held);
    c->nf->counts.held--;
}

static void on_gone(void *ctx, struct exchange *x)
{
    struct netfix *nf = ctx;
    struct call *c = exchange_user(x);

    nf->counts.gone++;
    if (!c)
        return;
    unhold(c);
    stop_transfer(c);
}

static void on_done(void *ctx, struct exchange *x, bool complete)
{
    struct netfix *nf = ctx;
    struct call *c = exchange_user(x);

    nf->counts.done++;
    nf->counts.complete += complete;
    if (!c)
        return;
    assert_null(c->t);
    unhold(c);
    free(c);
}

static const struct front_ops front_ops = {
    .on_head = on_head,
    .on_bad = on_bad,
    .on_body = on_body,
    .on_chunk = on_chunk,
    .on_body_end = on_body_end,
    .on_drain = on_drain,
    .on_gone = on_gone,
    .on_done = on_done,
};

/* ---- the thread ---------------------------------------------------------------------------------------- */

struct order {
    struct loop_post post;
    struct netfix *nf;
    void (*fn)(struct netfix *nf);
    sem_t done;
};

static void on_order(struct loop_post *post)
{
    struct order *o = MG_CONTAINER(post, struct order, post);

    o->fn(o->nf);
    sem_post(&o->done);
}

static void netfix_call(struct netfix *nf, void (*fn)(struct netfix *))
{
    struct order o = {.post.fn = on_order, .nf = nf, .fn = fn};

    sem_init(&o.done, 0, 0);
    loop_post(nf->loop, &o.post);
    while (sem_wait(&o.done) < 0 && errno == EINTR)
        ;
    sem_destroy(&o.done);
}

static void *run(void *arg)
{
    struct netfix *nf = arg;

    loop_run(nf->loop);
    return NULL;
}

struct netfix *netfix_start(const struct netfix_options *o)
{
    struct netfix *nf = xcalloc(1, sizeof *nf);
    struct errbuf e = {""};

    nf->options = *o;
    list_init(&nf->held);
    nf->upstream_fd = sock_listen(&nf->upstream_port);
    if (o->upstream_window)
        assert_int_equal(setsockopt(nf->upstream_fd, SOL_SOCKET, SO_RCVBUF, &o->upstream_window, sizeof(int)),
                         0);
    snprintf(nf->upstream, sizeof nf->upstream, "%s:%d", o->scheme_host ? o->scheme_host : "http://127.0.0.1",
             nf->upstream_port);
    if (o->upstream)
        snprintf(nf->upstream, sizeof nf->upstream, "%s", o->upstream);
    nf->loop = loop_new();
    assert_non_null(nf->loop);
    assert_int_equal(listener_open(&nf->listener, o->listen ? o->listen : "127.0.0.1:0", 0600, &e), 0);
    nf->address = net_addr_format(&nf->listener.addr);
    assert_int_equal(front_new(nf->loop, &o->front, &front_ops, nf, &nf->front, &e), 0);
    assert_int_equal(upstream_pool_new(nf->loop, &o->pool, &nf->pool, &e), 0);
    assert_int_equal(front_listen(nf->front, &nf->listener), 0);
    assert_int_equal(pthread_create(&nf->thread, NULL, run, nf), 0);
    return nf;
}

static void do_stop(struct netfix *nf)
{
    front_free(nf->front);
    upstream_pool_free(nf->pool);
    loop_stop(nf->loop);
}

void netfix_stop(struct netfix *nf)
{
    netfix_call(nf, do_stop);
    pthread_join(nf->thread, NULL);
    assert_true(list_empty(&nf->held));
    listener_release(&nf->listener);
    close(nf->upstream_fd);
    loop_free(nf->loop);
    free(nf);
}

const char *netfix_address(const struct netfix *nf)
{
    return nf->address.text;
}

int netfix_port(const struct netfix *nf)
{
    return net_addr_port(&nf->listener.addr);
}

int netfix_upstream_port(const struct netfix *nf)
{
    return nf->upstream_port;
}

static void do_release(struct netfix *nf)
{
    while (!list_empty(&nf->held)) {
        struct call *c = LIST_ENTRY(list_first(&nf->held), struct call, held);

        unhold(c);
        reply_text(c->x, 200, "released\n");
    }
}

void netfix_release(struct netfix *nf)
{
    netfix_call(nf, do_release);
}

static void do_interim(struct netfix *nf)
{
    LIST_EACH(&nf->held, node, next)
    assert_int_equal(exchange_interim(LIST_ENTRY(node, struct call, held)->x, 102), 0);
}

void netfix_interim(struct netfix *nf)
{
    netfix_call(nf, do_interim);
}

static void do_drain(struct netfix *nf)
{
    front_stop_listening(nf->front);
    front_drain(nf->front);
}

void netfix_drain(struct netfix *nf)
{
    netfix_call(nf, do_drain);
}

static void do_counts(struct netfix *nf)
{
    nf->counts.front = front_stats(nf->front);
    nf->counts.pool = upstream_stats(nf->pool);
    nf->counts.wakeups = loop_wakeups(nf->loop);
    nf->snapshot = nf->counts;
}

struct netfix_counts netfix_counts(struct netfix *nf)
{
    netfix_call(nf, do_counts);
    return nf->snapshot;
}

static void give_up(const struct netfix_counts *n, const char *what)
{
    fail_msg(
        "never: %s (connections %u exchanges %u active %u waiting %u held %u gone %u done %u complete %u)",
        what, n->front.connections, n->front.exchanges, n->pool.active, n->pool.waiting, n->held, n->gone,
        n->done, n->complete);
}

/*
 * Each look costs a turn of the loop, so this is no busy wait on the proxy's side; poll() gives way
 * meanwhile.
 */
#define WAIT_FOR(nf, condition)                                                                              \
    do {                                                                                                     \
        int64_t until_ = clock_now_us() + PATIENCE_MS * CLOCK_MS;                                            \
        struct netfix_counts n = netfix_counts(nf);                                                          \
        while (!(condition)) {                                                                               \
            if (clock_now_us() >= until_)                                                                    \
                give_up(&n, #condition);                                                                     \
            poll(NULL, 0, 1);                                                                                \
            n = netfix_counts(nf);                                                                           \
        }                                                                                                    \
    } while (0)

void netfix_wait_held(struct netfix *nf, unsigned held)
{
    WAIT_FOR(nf, n.held == held);
}

void netfix_wait_gone(struct netfix *nf, unsigned gone)
{
    WAIT_FOR(nf, n.gone == gone);
}

void netfix_wait_done(struct netfix *nf, unsigned done)
{
    WAIT_FOR(nf, n.done == done);
}

void netfix_wait_sent(struct netfix *nf, unsigned sent)
{
    WAIT_FOR(nf, n.sent == sent);
}

void netfix_wait_connections(struct netfix *nf, unsigned connections)
{
    WAIT_FOR(nf, n.front.connections == connections);
}

void netfix_wait_waiting(struct netfix *nf, unsigned waiting)
{
    WAIT_FOR(nf, n.pool.waiting == waiting);
}

void netfix_wait_buffered(struct netfix *nf, size_t more_than)
{
    WAIT_FOR(nf, n.most_buffered > more_than);
}

void netfix_wait_uploaded(struct netfix *nf, size_t more_than)
{
    WAIT_FOR(nf, n.most_uploaded > more_than);
}

void netfix_wait_idle(struct netfix *nf)
{
    WAIT_FOR(nf,
             n.front.exchanges == 0 && n.front.connections == 0 && n.pool.active == 0 && n.pool.waiting == 0);
}

/* ---- blocking sockets ---------------------------------------------------------------------------------- */

static void wait_readable(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};

    assert_int_equal(poll(&p, 1, PATIENCE_MS), 1);
}

int sock_listen(int *ret_port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(fd, 1024), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
    *ret_port = ntohs(a.sin_port);
    return fd;
}

int sock_connect(int port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    a.sin_port = htons((uint16_t)port);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
    return fd;
}

int sock_accept(const struct netfix *nf)
{
    int fd;

    wait_readable(nf->upstream_fd);
    fd = accept4(nf->upstream_fd, NULL, NULL, SOCK_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

void sock_send(int fd, const void *p, size_t n)
{
    const char *at = p;

    while (n) {
        ssize_t sent = send(fd, at, n, MSG_NOSIGNAL);

        assert_true(sent > 0);
        at += sent;
        n -= (size_t)sent;
    }
}

void sock_send_str(int fd, const char *s)
{
    sock_send(fd, s, strlen(s));
}

size_t sock_read_until(int fd, char *p, size_t max, const char *end)
{
    size_t n = 0, end_n = strlen(end);

    p[0] = '\0';
    while (n + 1 < max && (n < end_n || memcmp(p + n - end_n, end, end_n) != 0)) {
        ssize_t got;

        wait_readable(fd);
        got = recv(fd, p + n, 1, 0); /* byte by byte: nothing of the next message may be taken */
        if (got <= 0)
            break;
        n += (size_t)got;
        p[n] = '\0';
    }
    return n;
}

size_t sock_read_exactly(int fd, char *p, size_t n)
{
    size_t have = 0;

    while (have < n) {
        ssize_t got;

        wait_readable(fd);
        got = recv(fd, p + have, n - have, 0);
        if (got <= 0)
            break;
        have += (size_t)got;
    }
    return have;
}

bool sock_is_closed(int fd)
{
    char c;

    wait_readable(fd);
    return recv(fd, &c, 1, 0) <= 0;
}

bool sock_is_reset(int fd)
{
    char c;

    for (;;) {
        ssize_t got;

        wait_readable(fd);
        got = recv(fd, &c, 1, 0);
        if (got <= 0)
            return got < 0 && errno == ECONNRESET;
    }
}

bool sock_has_nothing(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};

    return poll(&p, 1, 0) == 0;
}
