/*
 * front: libmicrohttpd (0.9.75 or 1.0) behind our own loop. What was measured with 0.9.75, and is the reason for the shape:
 *
 * - Resuming one connection makes libmicrohttpd walk all suspended ones of that daemon. With 9,500 calls held
 *   in one daemon a call that passes through costs 608 us instead of 99. Hence many small daemons ("shards")
 *   in this one thread, without listen sockets; we accept and deal the connections out in turn.
 * - A shard's epoll descriptor sits level-triggered in our epoll; inside, libmicrohttpd is edge-triggered.
 *   What one MHD_run leaves over raises no new event but shows as MHD_get_timeout() == 0: run again, a
 *   bounded number of times.
 * - MHD_resume_connection wakes nobody in external mode: the shard must be run. We resume at the end of the
 *   turn, when the whole answer is often there already; then head and body leave in one sendmsg.
 * - A handler or reader that returns without data and without suspending is called again for ever: each path
 *   below answers, suspends or closes.
 * - Suspending an already suspended connection corrupts its lists: front_suspend is the only caller, and
 *   asserts.
 * - The 32 KiB pool of a connection holds the request's head, the head of the answer and one chunk; larger
 *   pools are mmapped and wiped after each request.
 * - NOTIFY_COMPLETED is the only place where an exchange ends, NOTIFY_CLOSED the only one for a client.
 *
 * - What libmicrohttpd itself cannot parse (no colon in a header, a head over the limit, broken chunks,
 * HTTP/2's preface) it would answer with a page of its own. It tells its log first: misread.c answers then.
 *
 * Known limits: a first line without a blank (TLS, SSH) is answered by closing; the reason phrase of an
 * answer is the standard one of its status.
 */
#include "front_inside.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <microhttpd.h>

#include "metergate/base/spare.h"
#include "metergate/net/linger.h"

#define SHARDS_DEFAULT      256u
#define CONNECTIONS_DEFAULT 16384u
#define CONNECTION_BYTES    INT64_C(12288) /* measured: with a call on it, without the body */
#define RUNS_PER_TURN       16
#define ANSWER_BYTES        (INT64_C(256) << 20)

/*
 * Of 1.0 and later, asked for while we run: a program built for 0.9.75 may find 1.0. MHD_USE_NO_THREAD_SAFETY, without which
 * MHD_add_connection only puts the connection into a list; and MHD_USE_PEDANTIC_CHECKS, which reads heads as RFC 9112 wants them.
 */
#define FLAGS_SINCE_1_0 ((1u << 19) | MHD_USE_PEDANTIC_CHECKS)


/* ---- suspending and resuming --------------------------------------------------------------------------- */

static void front_flush(void *ctx);

static void front_wants_flush(struct front *f)
{
    loop_task_queue(f->loop, &f->flush, front_flush, f);
}

static void shard_mark_dirty(struct shard *s)
{
    list_push_back(&s->front->dirty, &s->dirty);
    front_wants_flush(s->front);
}

void front_suspend(struct exchange *x)
{
    MG_ASSERT(!x->suspended);
    x->suspended = true;
    client_deadline(x->client, CLOCK_NEVER);
    owner_place(x->client, CLIENT_BUSY);
    MHD_suspend_connection(x->conn);
}

void front_kick(struct front *f, struct exchange *x)
{
    if (!x->suspended)
        return;
    list_push_back(&f->kicked, &x->kicked);
    front_wants_flush(f);
}

void front_queue_drain(struct front *f, struct exchange *x)
{
    list_push_back(&f->drained, &x->drained);
    front_wants_flush(f);
}

void front_nudge(struct front *f, struct client *c)
{
    list_push_back(&f->nudged, &c->nudged);
    front_wants_flush(f);
}

/*
 * A connection that was closed while its state machine ran, by the reader's answer for instance, is cleaned
 * up only when libmicrohttpd looks at it again, and in epoll mode it may have no reason to: then it would
 * stay for ever. It does look at every connection that has a timeout of its own, each time it runs. Only
 * connections that are about to end get here.
 */
static void front_look_at(struct client *c)
{
    (void)MHD_set_connection_option(c->conn, MHD_CONNECTION_OPTION_TIMEOUT, 1u);
    shard_mark_dirty(c->shard);
}

static void front_resume(struct exchange *x)
{
    const struct front_config *config = &x->front->config;

    x->suspended = false;
    if (x->state == X_ANSWER) {
        client_deadline(x->client, loop_now_us(x->front->loop) + config->write_timeout_us);
        owner_place(x->client, CLIENT_ANSWERED);
    } else if (x->state == X_BODY) {
        exchange_await_body(x);
        owner_place(x->client, CLIENT_ASKING);
    }
    MHD_resume_connection(x->conn);
    shard_mark_dirty(x->client->shard);
}

/* Edge-triggered inside: it is done only when it says that nothing is pending. */
static void shard_run(struct shard *s)
{
    unsigned long long timeout_ms;

    for (int i = 0; i < RUNS_PER_TURN; i++) {
        MHD_run(s->daemon);
        if (MHD_get_timeout(s->daemon, &timeout_ms) != MHD_YES || timeout_ms != 0)
            return;
    }
    list_push_back(&s->front->dirty, &s->dirty);
    loop_timer_set(s->front->loop, &s->front->again, loop_now_us(s->front->loop), front_flush, s->front);
}

static void front_flush(void *ctx)
{
    struct front *f = ctx;
    struct list now;

    while (!list_empty(&f->kicked)) {
        struct exchange *x = LIST_ENTRY(list_first(&f->kicked), struct exchange, kicked);

        list_unlink(&x->kicked);
        front_resume(x);
    }
    while (!list_empty(&f->nudged)) {
        struct client *c = LIST_ENTRY(list_first(&f->nudged), struct client, nudged);

        list_unlink(&c->nudged);
        front_look_at(c);
    }
    /* Those that have more to do put themselves back, for the next turn. */
    list_init(&now);
    LIST_EACH(&f->dirty, node, next)
    list_push_back(&now, node);
    while (!list_empty(&now)) {
        struct shard *s = LIST_ENTRY(list_first(&now), struct shard, dirty);

        list_unlink(&s->dirty);
        shard_run(s);
    }
    while (!list_empty(&f->drained)) {
        struct exchange *x = LIST_ENTRY(list_first(&f->drained), struct exchange, drained);

        list_unlink(&x->drained);
        if (x->state != X_DONE && !x->gone)
            f->ops->on_drain(f->ctx, x);
    }
}

static void shard_on_event(void *ctx, uint32_t events)
{
    (void)events;
    shard_mark_dirty(ctx);
}

/* ---- the head of a request ----------------------------------------------------------------------------- */

static size_t front_url_as_is(void *cls, struct MHD_Connection *conn, char *s)
{
    (void)cls;
    (void)conn;
    return strlen(s);
}

/*
 * The request line was read. libmicrohttpd decodes the target in place after this; we want it as it came. It
 * also takes the query apart, argument by argument, into the pool, and when that is full the connection hangs
 * (0.9.75 goes on reading where it has just queued an error). The bytes are its own writable buffer, so we
 * end the query before it looks.
 */
static void *front_on_target(void *cls, const char *target, struct MHD_Connection *conn)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(conn, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    struct exchange *x = exchange_new(info->socket_context, conn, target ? target : "");
    char *query = target ? strchr((char *)target, '?') : NULL;

    (void)cls;
    if (query && query[1])
        query[1] = '\0';
    return x;
}

struct header_sink {
    struct http_header *to;
    size_t n, cap;
};

static enum MHD_Result front_on_header(void *cls, enum MHD_ValueKind kind, const char *key, size_t key_n,
                                       const char *value, size_t value_n)
{
    struct header_sink *sink = cls;

    (void)kind;
    MG_ASSERT(sink->n < sink->cap);
    sink->to[sink->n++] = (struct http_header){slice_of(key, key_n), slice_of(value ? value : "", value_n)};
    return MHD_YES;
}

/* Exactly as much memory as they take: a held call keeps them. Bounded: each takes its place in the pool. */
static void front_collect_headers(struct exchange *x)
{
    int count = MHD_get_connection_values_n(x->conn, MHD_HEADER_KIND, NULL, NULL);
    struct header_sink sink = {.cap = count > 0 ? (size_t)count : 0};

    if (sink.cap == 0)
        return;
    sink.to = xcalloc(sink.cap, sizeof sink.to[0]);
    (void)MHD_get_connection_values_n(x->conn, MHD_HEADER_KIND, front_on_header, &sink);
    x->head.headers = sink.to;
    x->head.header_count = sink.n;
}

static int front_minor_version(const char *version)
{
    if (strcmp(version, "HTTP/1.1") == 0)
        return 1;
    return strcmp(version, "HTTP/1.0") == 0 ? 0 : -1;
}

static const char *front_read_head(struct exchange *x, const char *method, const char *url,
                                   const char *version)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(x->conn, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    struct http_header *headers;
    const char *why;

    x->head.method = slice_str(method);
    x->head.minor = front_minor_version(version);
    front_collect_headers(x);
    why = plain_head_check(&x->head, method, url, version, info ? info->header_size : 0);
    if (why)
        return why;
    headers = (struct http_header *)x->head.headers;
    for (size_t i = 0; i < x->head.header_count; i++)
        headers[i].value = slice_trim(headers[i].value);
    return http_check_head(&x->head, &x->framing);
}

/* ---- what libmicrohttpd calls -------------------------------------------------------------------------- */

static enum MHD_Result front_first_call(struct exchange *x, const char *method, const char *url,
                                        const char *version)
{
    const char *why;
    bool too_large;

    if (x->front->stopping)
        return MHD_NO;
    why = front_read_head(x, method, url, version);
    too_large = front_head_room(x) < POOL_BYTES - FRONT_HEAD_BYTES;
    if (!why && too_large)
        exchange_spoil(x, 431, HEAD_TOO_LARGE);
    else
        exchange_announce(x, why);
    if (x->gone || x->cut)
        return MHD_NO;
    if (!exchange_answers_early(x))
        return MHD_YES;
    x->client->linger = true; /* it may be sending; libmicrohttpd closes after the answer */
    if (x->finished && too_large) {
        front_answer_past(x);
        return MHD_NO;
    }
    return front_queue_answer(x) ? MHD_YES : MHD_NO;
}

/*
 * The request is complete and the answer may be: the call after the last piece, and again after each resume.
 */
static enum MHD_Result front_last_call(struct exchange *x)
{
    if (x->state == X_BODY)
        exchange_end_body(x);
    if (x->gone || x->cut)
        return MHD_NO;
    if (x->started)
        return front_queue_answer(x) ? MHD_YES : MHD_NO;
    if (x->client->left) { /* nobody would tell us again */
        exchange_lose(x);
        return MHD_NO;
    }
    front_suspend(x);
    return MHD_YES;
}

static enum MHD_Result front_on_request(void *cls, struct MHD_Connection *conn, const char *url,
                                        const char *method, const char *version, const char *piece,
                                        size_t *piece_n, void **con_cls)
{
    struct exchange *x = *con_cls;
    size_t n = *piece_n;

    (void)cls;
    (void)conn;
    if (x->state == X_HEAD)
        return front_first_call(x, method, url, version);
    if (n == 0)
        return front_last_call(x);
    *piece_n = 0; /* always all of it: what is left over would make libmicrohttpd call again at once */
    if (!exchange_take_piece(x, piece, n)) {
        if (x->finished && !x->gone && !x->cut)
            front_answer_past(x);
        return MHD_NO;
    }
    if (x->paused && !x->suspended) /* it may call once more for the next chunk of the same read */
        front_suspend(x);
    return MHD_YES;
}

static void front_end(struct exchange *x, bool complete)
{
    struct client *c = x->client;

    c->served = true;
    client_deadline(c, loop_now_us(x->front->loop) + x->front->config.idle_timeout_us);
    if (!x->announced) /* refused by libmicrohttpd itself, perhaps in the middle of what the client sends */
        c->linger = true;
    exchange_end(x, complete);
    exchange_bury(x);
    owner_place(c, CLIENT_IDLE);
    ports_retry(c->front); /* when all are taken, an idle one may make room */
}

static void front_on_completed(void *cls, struct MHD_Connection *conn, void **con_cls,
                               enum MHD_RequestTerminationCode how)
{
    struct exchange *x = *con_cls;
    struct client *c;

    (void)cls;
    (void)conn;
    if (!x)
        return;
    *con_cls = NULL;
    c = x->client;
    front_end(x, x->delivered ||
                     (how == MHD_REQUEST_TERMINATED_COMPLETED_OK && x->finished && !x->cut && !x->gone));
    if (c->left || c->front->draining || c->front->shedding)
        client_shutdown(c);
}

static void front_on_connection(void *cls, struct MHD_Connection *conn, void **socket_context,
                                enum MHD_ConnectionNotificationCode what)
{
    struct front *f = cls;
    struct client *c;

    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
        c = f->accepting;
        f->accepting = NULL;
        *socket_context = c;
        c->conn = conn;
        client_open(c);
        return;
    }
    c = *socket_context;
    if (c->exchange) /* some of its error paths forget NOTIFY_COMPLETED */
        front_end(c->exchange, c->exchange->delivered);
    if (!c->served && !c->shut && !f->stopping)
        misread_closed(c);
    if (c->linger && !c->left && !f->stopping) {
        int fd = dup(c->fd); /* keeps the connection while libmicrohttpd closes its descriptor */

        if (fd >= 0)
            linger_start(&f->lingering, fd);
    }
    f->shed_clients -= c->shed;
    client_close(c);
    ports_retry(f);
}

/* ---- accepted ------------------------------------------------------------------------------------------ */

int front_add_client(struct front *f, int fd, const struct net_addr *peer)
{
    static const struct sockaddr_in nobody = {.sin_family = AF_INET};
    struct shard *s = &f->shards[f->next_shard];
    struct client *c = client_new(f, fd, peer);

    f->next_shard = (f->next_shard + 1) % f->config.shards;
    c->shard = s;
    f->accepting = c; /* front_on_connection takes it */
    /* It only keeps the address for logs of its own, and wants some. */
    MHD_add_connection(s->daemon, fd, (const struct sockaddr *)&nobody, sizeof nobody);
    if (f->accepting == c) { /* refused before it was told to us; the descriptor is closed */
        f->accepting = NULL;
        free(c);
        spare_use(); /* else nobody would come in while bodies that are held have taken everything */
        return -ENOMEM;
    }
    c->shed = f->shedding;
    f->shed_clients += c->shed;
    shard_mark_dirty(s); /* the request is often there already */
    return 0;
}

void front_drain(struct front *f)
{
    f->draining = true;
    LIST_EACH (&f->clients, node, next)
        client_last_call(LIST_ENTRY(node, struct client, clients));
}

void front_shed(struct front *f, bool on)
{
    f->shedding = on;
    if (!on)
        ports_retry(f);
    LIST_EACH (&f->clients, node, next) {
        struct client *c = LIST_ENTRY(node, struct client, clients);

        if (on && !c->exchange)
            client_shutdown(c);
    }
}

void front_stop_listening(struct front *f)
{
    ports_close(f);
}

/* ---- birth and death ----------------------------------------------------------------------------------- */

static void front_on_panic(void *cls, const char *file, unsigned line, const char *reason)
{
    (void)cls;
    err_bug(reason ? reason : "libmicrohttpd", file, (int)line);
}

/* Its log, of which one message matters: it is about to answer with a page of its own. */
static void shard_on_log(void *cls, const char *fmt, va_list ap)
{
    static const char refusal[] = "Error processing request (HTTP response code is %u ('%s'))";
    unsigned status;

    if (strncmp(fmt, refusal, sizeof refusal - 1) != 0)
        return;
    status = va_arg(ap, unsigned);
    misread_answer(cls, (int)status, va_arg(ap, const char *));
}

bool front_reads_strictly(void)
{
    return MHD_get_version()[0] != '0';
}

static int shard_start(struct shard *s, struct front *f, struct errbuf *e)
{
    const union MHD_DaemonInfo *info;
    int rc;

    s->front = f;
    list_init(&s->dirty);
    list_init(&s->clients);
    s->daemon = MHD_start_daemon(
        MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_NO_LISTEN_SOCKET | MHD_USE_ERROR_LOG |
            (front_reads_strictly() ? FLAGS_SINCE_1_0 : 0),
        0, NULL, NULL, front_on_request, f, MHD_OPTION_EXTERNAL_LOGGER, shard_on_log, s,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, POOL_BYTES, MHD_OPTION_CONNECTION_LIMIT,
        f->config.max_connections, MHD_OPTION_URI_LOG_CALLBACK, front_on_target, f,
        MHD_OPTION_UNESCAPE_CALLBACK, front_url_as_is, NULL, MHD_OPTION_NOTIFY_COMPLETED, front_on_completed,
        f, MHD_OPTION_NOTIFY_CONNECTION, front_on_connection, f, MHD_OPTION_END);
    info = s->daemon ? MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_EPOLL_FD) : NULL;
    if (!info) {
        err_set(e, "cannot start the HTTP server: %s", strerror(errno));
        return -EMFILE;
    }
    rc = loop_watch_set(f->loop, &s->watch, info->epoll_fd, EPOLLIN, shard_on_event, s);
    if (rc < 0)
        err_set(e, "cannot watch the HTTP server: %s", strerror(-rc));
    return rc;
}

static void shard_stop(struct shard *s)
{
    if (!s->daemon)
        return;
    list_unlink(&s->dirty);
    loop_watch_clear(s->front->loop, &s->watch);
    MHD_stop_daemon(s->daemon);
    s->daemon = NULL;
}

static int64_t or_default(int64_t value, int64_t fallback)
{
    return value ? value : fallback;
}

static struct front_config front_fill(const struct front_config *given)
{
    struct front_config c = *given;

    c.shards = c.shards ? c.shards : SHARDS_DEFAULT;
    c.max_connections = c.max_connections ? c.max_connections : CONNECTIONS_DEFAULT;
    c.head_timeout_us = or_default(c.head_timeout_us, 30 * CLOCK_S);
    c.body_timeout_us = or_default(c.body_timeout_us, 60 * CLOCK_S);
    c.body_bytes_per_s = or_default(c.body_bytes_per_s, 1024);
    c.idle_timeout_us = or_default(c.idle_timeout_us, 75 * CLOCK_S);
    c.write_timeout_us = or_default(c.write_timeout_us, 600 * CLOCK_S);
    c.room_idle_us = or_default(c.room_idle_us, CLOCK_S);
    c.room_slow_us = or_default(c.room_slow_us, 10 * CLOCK_S);
    c.answer_bytes_total = or_default(c.answer_bytes_total, ANSWER_BYTES);
    return c;
}

static void front_on_lingered(void *ctx)
{
    ports_retry(ctx);
}

int front_new(struct loop *l, const struct front_config *config, const struct front_ops *ops, void *ctx,
              struct front **ret, struct errbuf *e)
{
    struct front *f = xcalloc(1, sizeof *f);

    MHD_set_panic_func(front_on_panic, NULL);
    f->loop = l;
    f->ops = ops;
    f->ctx = ctx;
    f->config = front_fill(config);
    ports_init(f);
    owners_init(&f->owners);
    list_init(&f->clients);
    list_init(&f->kicked);
    list_init(&f->drained);
    list_init(&f->nudged);
    list_init(&f->dirty);
    linger_init(&f->lingering, l, front_on_lingered, f);
    f->shards = xcalloc(f->config.shards, sizeof f->shards[0]);
    for (unsigned i = 0; i < f->config.shards; i++) {
        int rc = shard_start(&f->shards[i], f, e);

        if (rc < 0) {
            front_free(f);
            return rc;
        }
    }
    *ret = f;
    return 0;
}

void front_free(struct front *f)
{
    if (!f)
        return;
    f->stopping = true;
    front_stop_listening(f);
    /*
     * Stopping a daemon with a suspended connection is not allowed: each loses its client first, and is
     * resumed.
     */
    LIST_EACH(&f->clients, node, next)
    {
        struct exchange *x = LIST_ENTRY(node, struct client, clients)->exchange;

        if (x && x->announced)
            exchange_lose(x);
        if (x)
            front_kick(f, x);
    }
    front_flush(f);
    for (unsigned i = 0; i < f->config.shards; i++)
        shard_stop(&f->shards[i]);
    linger_stop_all(&f->lingering);
    owners_release(&f->owners);
    loop_task_clear(f->loop, &f->flush);
    loop_timer_clear(f->loop, &f->again);
    relief_stop(&f->relief, f->loop);
    MG_ASSERT(list_empty(&f->clients) && f->stats.exchanges == 0);
    free(f->shards);
    free(f);
}

void front_set_body_bytes_total(struct front *f, int64_t bytes)
{
    f->config.body_bytes_total = bytes;
}

void front_look_for_relief(struct front *f)
{
    if (!f->stopping)
        relief_look(&f->relief, f->loop, f->stats.body_bytes + (int64_t)f->stats.connections * CONNECTION_BYTES);
}

const char *front_closed_name(enum front_closed why)
{
    static const char *const names[FRONT_CLOSED] = {"idle", "slow", "unread", "room"};

    return names[why];
}

struct front_stats front_stats(const struct front *f)
{
    struct front_stats s = f->stats;

    s.lingering = f->lingering.count;
    return s;
}
