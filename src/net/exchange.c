/*
 * exchange: what must always be true.
 *
 * - The state changes in exchange_enter alone, along x_next.
 * - libmicrohttpd calls for an exchange only while it is not suspended; user calls may come at any time
 *   before on_done. So the functions that send only note what was given and kick; front.c does the talking at
 *   the end of the turn.
 * - front.stats.body_bytes and answer_bytes are the sums of body.n and of out.n - out_taken over all
 *   exchanges.
 * - An answer is owed while neither finished nor cut. Losing the client then means on_gone, once.
 */
#include "front_inside.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "metergate/base/log.h"

/*
 * A rest of a body up to this size is read and dropped so that the connection can be kept after an early
 * answer.
 */
#define BODY_DROP_BYTES INT64_C(1048576)

/*
 * A body announced as this long or shorter gets its memory in one piece: growing leaves holes behind. Pages that nothing is
 * written to cost nothing.
 */
#define BODY_AHEAD_BYTES INT64_C(1048576)

/* More than this stays allocated for a kept answer buffer only while it is full. */
#define OUT_KEEP_BYTES ((size_t)64 * 1024)

#define BIT(s) (1u << (s))
static const unsigned x_next[] = {
    [X_HEAD] = BIT(X_BODY) | BIT(X_DONE),
    [X_BODY] = BIT(X_WAIT) | BIT(X_ANSWER) | BIT(X_DONE), /* ANSWER: given before the body was read */
    [X_WAIT] = BIT(X_ANSWER) | BIT(X_DONE),
    [X_ANSWER] = BIT(X_DONE),
    [X_DONE] = 0,
};
static const char *const x_name[] = {
    [X_HEAD] = "head", [X_BODY] = "body", [X_WAIT] = "wait", [X_ANSWER] = "answer", [X_DONE] = "done",
};

void exchange_enter(struct exchange *x, enum xstate to)
{
    MG_ASSERT(x_next[x->state] & BIT(to));
    log_debug("exchange %llu: %s -> %s", (unsigned long long)x->id, x_name[x->state], x_name[to]);
    x->state = to;
    if (to == X_WAIT)
        owner_place(x->client, CLIENT_BUSY);
    else if (to == X_ANSWER)
        owner_place(x->client, CLIENT_ANSWERED);
}

/* While the request is being read; 0: none. */
static void set_deadline(struct exchange *x, int64_t in_us)
{
    if (x->client->left && in_us > CLIENT_LEFT_GRACE_US)
        in_us = CLIENT_LEFT_GRACE_US;
    client_deadline(x->client, in_us ? loop_now_us(x->front->loop) + in_us : CLOCK_NEVER);
}

/*
 * More of the body is expected: after no longer a pause than body_timeout, and in all at no slower pace than
 * body_bytes_per_s, counted from where the client was last told to go on.
 */
static void await_body(struct exchange *x, bool anew)
{
    const struct front_config *config = &x->front->config;
    int64_t now = loop_now_us(x->front->loop), earned, left;

    if (anew) {
        x->pace_us = now;
        x->pace_seen = x->body_seen;
    }
    earned = (x->body_seen - x->pace_seen) / config->body_bytes_per_s * CLOCK_S;
    left = x->pace_us + earned + config->body_timeout_us - now;
    if (left > config->body_timeout_us)
        left = config->body_timeout_us;
    set_deadline(x, left > 0 ? left : 1);
}

void exchange_await_body(struct exchange *x)
{
    await_body(x, true);
}

/* ---- birth and death ----------------------------------------------------------------------------------- */

struct exchange *exchange_new(struct client *c, struct MHD_Connection *conn, const char *target)
{
    struct exchange *x = xcalloc(1, sizeof *x);

    MG_ASSERT(!c->exchange);
    x->front = c->front;
    x->client = c;
    x->conn = conn;
    list_init(&x->kicked);
    list_init(&x->drained);
    x->target = xstrdup(target); /* bounded by FRONT_HEAD_BYTES; libmicrohttpd cuts its own copy up */
    x->head.target = slice_str(x->target);
    x->framing.content_length = -1;
    x->content_length = -1;
    buf_init(&x->body, 0);
    buf_init(&x->headers, FRONT_HEAD_BYTES);
    buf_init(&x->out, BUF_UNLIMITED);
    c->exchange = x;
    owner_place(c, CLIENT_ASKING);
    if (c->served || c->expected) /* else its time runs from accept */
        set_deadline(x, c->front->config.head_timeout_us);
    return x;
}

static void drop_out(struct exchange *x)
{
    x->front->stats.answer_bytes -= (int64_t)(x->out.n - x->out_taken);
    x->out_taken = 0;
    buf_release(&x->out);
}

/* Its body is complete, or of no use any more. */
static void forget_owner_bytes(struct exchange *x)
{
    x->client->owner->body_bytes -= x->owner_bytes;
    x->owner_bytes = 0;
}

void exchange_take_body(struct exchange *x, struct buf *ret)
{
    x->front->stats.body_bytes -= (int64_t)x->body.n;
    *ret = x->body;
    buf_init(&x->body, 0);
}

void exchange_drop_body(struct exchange *x)
{
    forget_owner_bytes(x);
    x->front->stats.body_bytes -= (int64_t)x->body.n;
    buf_release(&x->body);
}

void exchange_bury(struct exchange *x)
{
    x->client->exchange = NULL;
    list_unlink(&x->kicked);
    list_unlink(&x->drained);
    exchange_drop_body(x);
    drop_out(x);
    buf_release(&x->headers);
    free((void *)x->head.headers);
    free(x->target);
    front_look_for_relief(x->front);
    loop_bury(x->front->loop, x, free);
}

void exchange_end(struct exchange *x, bool complete)
{
    const struct front *f = x->front;

    if (x->announced && !x->gone && !x->finished && !x->cut) {
        x->gone = true;
        f->ops->on_gone(f->ctx, x);
    }
    exchange_enter(x, X_DONE);
    if (!x->announced)
        return;
    x->front->stats.exchanges--;
    f->ops->on_done(f->ctx, x, complete);
}

void exchange_lose(struct exchange *x)
{
    const struct front *f = x->front;

    if (x->state == X_BODY) /* its answer may be there, and a rest of the body in the socket */
        set_deadline(x, CLIENT_LEFT_GRACE_US);
    if (x->gone || x->finished || x->cut)
        return;
    x->gone = true;
    drop_out(x);
    f->ops->on_gone(f->ctx, x);
    if (x->suspended)
        front_kick(x->front, x);
    else
        client_shutdown(x->client);
}

/* ---- the request --------------------------------------------------------------------------------------- */

static void refuse_body(struct exchange *x, int rc)
{
    const struct front *f = x->front;

    x->body_mode = XBODY_DROP;
    x->body_rc = rc;
    exchange_drop_body(x);
    f->ops->on_body(f->ctx, x, rc);
}

/* What the announced length alone already rules out. */
static int body_too_long(const struct exchange *x, int64_t more)
{
    const struct front *f = x->front;
    int64_t total = f->config.body_bytes_total, others = x->client->owner->body_bytes - x->owner_bytes;

    if (x->body_seen + more > (int64_t)x->body_max)
        return -E2BIG;
    if (total && f->stats.body_bytes + more > total)
        return -ENOBUFS;
    /* Bodies that never come to their end would else keep the calls of all others out. */
    if (total && others > 0 && others + x->owner_bytes + more > total / 2)
        return -ENOBUFS;
    return 0;
}

/* From here on on_done is owed. */
static void admit(struct exchange *x)
{
    struct front *f = x->front;

    exchange_enter(x, X_BODY);
    await_body(x, true);
    f->stats.requests++;
    f->stats.exchanges++;
    x->id = f->stats.requests;
    x->announced = true;
    client_not_expected(x->client);
}

void exchange_spoil(struct exchange *x, int status, const char *why)
{
    struct front *f = x->front;

    if (x->state == X_HEAD)
        admit(x);
    if (x->started || x->gone || x->cut)
        return;
    f->stats.bad_requests++;
    x->bad = true;
    f->ops->on_bad(f->ctx, x, status, why);
    MG_ASSERT(x->started || x->cut);
}

void exchange_announce(struct exchange *x, const char *fault)
{
    struct front *f = x->front;
    int rc;

    if (fault) {
        exchange_spoil(x, 400, fault);
        return;
    }
    admit(x);
    x->expects_continue = slice_eq_nocase(exchange_header(x, SLICE("expect")), SLICE("100-continue"));
    f->ops->on_head(f->ctx, x);
    MG_ASSERT(x->started || x->cut || x->body_mode != XBODY_DROP);
    if (x->body_mode != XBODY_BUFFER)
        return;
    rc = body_too_long(x, x->framing.content_length > 0 ? x->framing.content_length : 0);
    if (rc < 0)
        refuse_body(x, rc);
}

/* Room for the announced length is made at once only up to a little: a length is only a claim. */
static int body_append(struct exchange *x, const char *p, size_t n)
{
    int64_t length = x->framing.content_length;
    int rc = body_too_long(x, (int64_t)n);

    if (rc < 0)
        return rc;
    if (!x->body_seen && length > 0 && length <= BODY_AHEAD_BYTES) {
        rc = buf_reserve(&x->body, (size_t)length);
        if (rc < 0)
            return rc;
    }
    rc = buf_append(&x->body, p, n);
    if (rc < 0)
        return rc;
    x->front->stats.body_bytes += (int64_t)n;
    x->client->owner->body_bytes += (int64_t)n;
    x->owner_bytes += (int64_t)n;
    return 0;
}

bool exchange_take_piece(struct exchange *x, const char *p, size_t n)
{
    const struct front *f = x->front;
    int rc;

    switch (x->body_mode) {
    case XBODY_BUFFER:
        rc = body_append(x, p, n);
        x->body_seen += (int64_t)n;
        if (rc < 0)
            refuse_body(x, rc == -ENOMEM ? -ENOBUFS : rc);
        break;
    case XBODY_STREAM:
        x->body_seen += (int64_t)n;
        if (x->finished) /* the rest is of no use to anybody */
            x->body_dropped += (int64_t)n;
        else
            f->ops->on_chunk(f->ctx, x, p, n);
        break;
    case XBODY_DROP:
        x->body_seen += (int64_t)n;
        x->body_dropped += (int64_t)n;
        break;
    }
    if (!x->gone && !x->suspended)
        await_body(x, false);
    return !x->gone && !x->cut && x->body_dropped <= BODY_DROP_BYTES;
}

void exchange_end_body(struct exchange *x)
{
    const struct front *f = x->front;

    exchange_enter(x, X_WAIT);
    forget_owner_bytes(x);
    set_deadline(x, 0); /* holding has no limit here; the user knows his own */
    x->paused = false;
    if (x->body_mode == XBODY_BUFFER) {
        buf_trim(&x->body); /* a held body costs its own size */
        f->ops->on_body(f->ctx, x, 0);
    } else if (x->body_mode == XBODY_STREAM && !x->finished && !x->cut) {
        f->ops->on_body_end(f->ctx, x);
    }
}

bool exchange_answers_early(const struct exchange *x)
{
    int64_t length = x->framing.content_length;

    if (x->cut || x->bad)
        return true;
    if (!x->finished || (!x->framing.chunked && length <= 0))
        return false;
    return x->framing.chunked || x->expects_continue || length > BODY_DROP_BYTES;
}

void exchange_buffer_body(struct exchange *x, size_t max_bytes)
{
    MG_ASSERT(x->state == X_BODY && !x->body_seen);
    x->body_mode = XBODY_BUFFER;
    x->body_max = max_bytes;
    buf_init(&x->body, max_bytes);
}

void exchange_stream_body(struct exchange *x)
{
    MG_ASSERT(x->state == X_BODY && !x->body_seen);
    x->body_mode = XBODY_STREAM;
}

void exchange_pause_body(struct exchange *x)
{
    if (x->state == X_BODY)
        x->paused = true;
}

void exchange_resume_body(struct exchange *x)
{
    if (!x->paused)
        return;
    x->paused = false;
    await_body(x, true);
    front_kick(x->front, x);
}

/* ---- the answer ---------------------------------------------------------------------------------------- */

bool exchange_is_bodyless(const struct exchange *x)
{
    return x->status == 204 || x->status == 304 || slice_eq(x->head.method, SLICE("HEAD"));
}

/* The answer may go on: what was paused for it, or waits for it, is woken. */
static void wake(struct exchange *x)
{
    if (x->state == X_BODY)
        x->paused = false; /* the rest of the body is of no use to anybody; front.c drops it */
    front_kick(x->front, x);
}

static void keep_header(struct exchange *x, const struct http_header *h)
{
    /* libmicrohttpd leaves headers without a value out; one blank is read as none. */
    struct slice value = h->value.n ? h->value : SLICE(" ");

    if (!http_is_token(h->name) || !http_is_field_value(h->value) || http_is_hop_by_hop(h->name) ||
        slice_eq_nocase(h->name, SLICE("content-length")))
        return;
    if (h->name.n + value.n + 2 > FRONT_HEAD_BYTES - x->headers.n) {
        x->cut = true; /* more than libmicrohttpd could send: rather no answer than half a head */
        return;
    }
    buf_add_slice(&x->headers, h->name);
    buf_add_char(&x->headers, '\0');
    buf_add_slice(&x->headers, value);
    buf_add_char(&x->headers, '\0');
}

void exchange_start(struct exchange *x, int status, const struct http_header *headers, size_t header_count,
                    int64_t content_length)
{
    MG_ASSERT(!x->started && x->state != X_DONE);
    MG_ASSERT(status >= 200 && status <= 999);
    x->started = true;
    if (x->gone || x->cut)
        return;
    x->status = status;
    x->content_length = content_length;
    for (size_t i = 0; i < header_count; i++)
        keep_header(x, &headers[i]);
    if (x->state == X_WAIT)
        wake(x);
}

size_t exchange_write(struct exchange *x, const void *p, size_t n)
{
    MG_ASSERT(x->started && !x->finished);
    if (n == 0 || x->gone || x->cut || exchange_is_bodyless(x))
        return exchange_buffered(x);
    x->written += (int64_t)n;
    if ((x->content_length >= 0 && x->written > x->content_length) || buf_append(&x->out, p, n) < 0) {
        exchange_abort(x);
        return 0;
    }
    x->front->stats.answer_bytes += (int64_t)n;
    if (x->front->stats.answer_bytes > x->front->config.answer_bytes_total)
        owners_drop_unread(x->front);
    if (exchange_buffered(x) > EXCHANGE_HIGH_BYTES)
        x->over_high = true;
    if (x->state == X_ANSWER)
        front_kick(x->front, x);
    return exchange_buffered(x);
}

void exchange_finish(struct exchange *x)
{
    MG_ASSERT(x->started);
    if (x->gone || x->cut || x->finished)
        return;
    if (x->content_length >= 0 && x->written < x->content_length && !exchange_is_bodyless(x)) {
        exchange_abort(x);
        return;
    }
    x->finished = true;
    wake(x);
}

void exchange_abort(struct exchange *x)
{
    if (x->gone || x->cut || x->state == X_DONE)
        return;
    x->cut = true;
    drop_out(x);
    wake(x);
    /* libmicrohttpd is reading, and would go on until the client has sent everything. */
    if (x->state == X_BODY && !x->suspended)
        client_shutdown(x->client);
}

void exchange_reply(struct exchange *x, int status, const struct http_header *headers, size_t header_count,
                    struct slice body)
{
    exchange_start(x, status, headers, header_count, (int64_t)body.n);
    (void)exchange_write(x, body.p, body.n);
    exchange_finish(x);
}

size_t exchange_take_out(struct exchange *x, char *p, size_t max)
{
    size_t n = exchange_buffered(x);

    if (n > max)
        n = max;
    if (n == 0)
        return 0;
    memcpy(p, x->out.p + x->out_taken, n);
    x->out_taken += n;
    x->front->stats.answer_bytes -= (int64_t)n;
    if (x->out_taken == x->out.n) {
        x->out_taken = 0;
        if (x->out.cap > OUT_KEEP_BYTES)
            buf_release(&x->out);
        else
            buf_reset(&x->out);
    } else if (x->out_taken > x->out.n / 2) {
        buf_drop_head(&x->out, x->out_taken);
        x->out_taken = 0;
    }
    if (x->over_high && exchange_buffered(x) <= EXCHANGE_LOW_BYTES) {
        x->over_high = false;
        front_queue_drain(x->front, x);
    }
    return n;
}

int exchange_interim(struct exchange *x, int status)
{
    static const char processing[] = "HTTP/1.1 102 Processing\r\n\r\n";
    ssize_t n;

    MG_ASSERT(status == 102);
    if (x->state != X_WAIT || !x->suspended || x->started || x->gone || x->cut || x->head.minor < 1)
        return -EINVAL;
    /* libmicrohttpd has nothing buffered for a suspended connection that was not answered: we may write. */
    n = send(x->client->fd, processing, sizeof processing - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n == (ssize_t)sizeof processing - 1)
        return 0;
    if (n < 0)
        return errno == EAGAIN ? -EAGAIN : -EPIPE;
    exchange_abort(x); /* half a line went out: nothing that follows could be read */
    return -EPIPE;
}

/* ---- what is known ------------------------------------------------------------------------------------- */

void exchange_set_user(struct exchange *x, void *user)
{
    x->user = user;
}

void *exchange_user(const struct exchange *x)
{
    return x->user;
}

uint64_t exchange_id(const struct exchange *x)
{
    return x->id;
}

const struct http_head *exchange_head(const struct exchange *x)
{
    return &x->head;
}

struct slice exchange_header(const struct exchange *x, struct slice name)
{
    return http_header_get(x->head.headers, x->head.header_count, name);
}

int64_t exchange_content_length(const struct exchange *x)
{
    if (x->framing.chunked)
        return -1;
    return x->framing.content_length < 0 ? 0 : x->framing.content_length;
}

struct slice exchange_body(const struct exchange *x)
{
    return buf_slice(&x->body);
}

const struct net_addr *exchange_peer(const struct exchange *x)
{
    return &x->client->peer;
}

const struct net_addr *exchange_local(const struct exchange *x)
{
    return &x->client->local;
}

int exchange_peer_who(const struct exchange *x, struct peer *ret)
{
    int rc = client_who(x->client);

    if (rc == 0)
        *ret = x->client->who;
    return rc;
}

int exchange_peer_uid(const struct exchange *x, uid_t *ret)
{
    struct peer who;
    int rc = exchange_peer_who(x, &who);

    if (rc == 0)
        *ret = who.uid;
    return rc;
}

void exchange_set_origin(struct exchange *x, const char *origin)
{
    snprintf(x->client->origin, sizeof x->client->origin, "%s", origin);
    x->client->has_origin = true;
}

bool exchange_origin(const struct exchange *x, struct slice *ret)
{
    if (x->client->has_origin)
        *ret = slice_str(x->client->origin);
    return x->client->has_origin;
}

bool exchange_is_gone(const struct exchange *x)
{
    return x->gone;
}

bool exchange_is_cut(const struct exchange *x)
{
    return x->cut;
}

bool exchange_is_started(const struct exchange *x)
{
    return x->started;
}

size_t exchange_buffered(const struct exchange *x)
{
    return x->out.n - x->out_taken;
}
