/*
 * transfer: one request on one easy handle of libcurl 7.88.
 *
 * - State changes along T_WAITING, T_CONNECT, T_AWAIT, T_BODY, T_ENDED; T_AWAIT begins anew when curl repeats
 *   the request on a fresh connection.
 * - Callbacks of curl run inside curl: they note, and call the user; of curl they only ask, or set an option. An aborted
 *   transfer's callbacks return failure, so that curl ends it.
 * - Whether a repeat is allowed is decided in on_prereq, the one place that every sending passes: see
 *   upstream.h. It is also where a kept connection is left alone on which something waits to be read: curl 7.88 takes
 *   it for alive, and would give what nobody had asked for to this call as its answer.
 *
 * on_sent: SIOCOUTQ counts what the peer's kernel has not acknowledged. It is looked at 100 ms after the
 * request began to be sent, then after 100, 200, ... at most 1 s more, and when the first byte of the answer
 * comes. That is late by half a round trip at best and 100 ms as a rule; the charge then lies later than the
 * provider's own, which is the safe side: a busy provider counts a request when it gets to it, tens of milliseconds after
 * its kernel has acknowledged it.
 *
 * A body without a length goes out in chunks that curl writes. Where the kernel takes only part of the request's head (a machine
 * short of memory for sockets), curl 7.88 forgets that when it has sent the rest: the body would follow without its framing, and the
 * provider read a client's bytes as sizes of chunks, and as requests. on_debug is where that can be seen, and on_read where it ends.
 */
#include "upstream_inside.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "metergate/base/spare.h"

#define SENT_FIRST_CHECK_US (100 * CLOCK_MS)
#define SENT_CHECK_MAX_US   (1 * CLOCK_S)

/* ---- time ---------------------------------------------------------------------------------------------- */

static void transfer_on_timer(void *ctx);

/* When the present state has lasted too long; CLOCK_NEVER: never. */
static int64_t transfer_deadline(const struct transfer *t)
{
    if (t->state == T_AWAIT && t->first_byte_us)
        return t->progress_us + t->first_byte_us;
    if (t->state == T_BODY && t->idle_us && !t->paused)
        return t->progress_us + t->idle_us;
    return CLOCK_NEVER;
}

/* Lazy: a timer that is set early enough stays; when it fires it looks again. */
static void transfer_arm(struct transfer *t)
{
    int64_t at = transfer_deadline(t);

    if (t->check_at_us < at)
        at = t->check_at_us;
    if (at == CLOCK_NEVER || (loop_timer_is_set(&t->timer) && t->timer.node.key <= at))
        return;
    loop_timer_set(t->pool->loop, &t->timer, at, transfer_on_timer, t);
}

static void transfer_enter(struct transfer *t, enum tstate to)
{
    if (t->state == T_CONNECT)
        t->pool->connecting--;
    if (to == T_CONNECT)
        t->pool->connecting++;
    t->state = to;
    t->progress_us = loop_now_us(t->pool->loop);
    transfer_arm(t);
}

static void transfer_mark_sent(struct transfer *t)
{
    t->check_at_us = CLOCK_NEVER;
    if (t->sent)
        return;
    t->sent = true;
    if (t->ops && t->ops->on_sent)
        t->ops->on_sent(t->ctx, t);
}

/* All bytes of the request were handed to the kernel, and none waits there. */
static bool transfer_is_drained(struct transfer *t)
{
    curl_off_t uploaded = 0;
    long head_bytes = 0;

    curl_easy_getinfo(t->easy, CURLINFO_SIZE_UPLOAD_T, &uploaded);
    curl_easy_getinfo(t->easy, CURLINFO_REQUEST_SIZE, &head_bytes);
    if (uploaded > t->sent_bytes) {
        t->sent_bytes = uploaded;
        t->progress_us = loop_now_us(t->pool->loop);
    }
    if (head_bytes == 0 || (t->has_body && !t->streamed && uploaded < t->body_bytes))
        return false;
    if (t->streamed && !(t->upload_finished && t->upload.n == t->upload_taken))
        return false;
    return t->sock && sock_is_drained(t->sock);
}

void transfer_lose_sock(struct transfer *t)
{
    t->unacked = !transfer_is_drained(t);
    t->sock = NULL;
}

static void transfer_on_timer(void *ctx)
{
    struct transfer *t = ctx;
    int64_t now = loop_now_us(t->pool->loop);

    if (t->state == T_AWAIT && (t->check_at_us <= now || transfer_deadline(t) <= now)) {
        bool drained = transfer_is_drained(t);

        if (t->check_at_us <= now && drained) {
            transfer_mark_sent(t);
        } else if (t->check_at_us <= now) {
            t->check_at_us = now + t->check_step_us;
            t->check_step_us =
                t->check_step_us * 2 < SENT_CHECK_MAX_US ? t->check_step_us * 2 : SENT_CHECK_MAX_US;
        }
    }
    if (t->state == T_ENDED) /* on_sent aborted it */
        return;
    if (transfer_deadline(t) > now)
        transfer_arm(t);
    else if (t->state == T_AWAIT)
        pool_end(t, TRANSFER_TIMEOUT_FIRST_BYTE, "the provider did not begin its answer in time");
    else
        pool_end(t, TRANSFER_TIMEOUT_IDLE, "the provider's answer stalled");
}

/* ---- callbacks of curl --------------------------------------------------------------------------------- */

/* Ends it from inside a callback: curl is told by the callback's return value, the user by transfer_judge. */
static size_t transfer_fail(struct transfer *t, enum transfer_result verdict, const char *why)
{
    t->verdict = verdict;
    t->why = why;
    return 0;
}

/* Of a record that was read for the last answer something is left: it is in no socket's buffer any more. */
static bool transfer_tls_has_input(const struct transfer *t)
{
    const struct curl_tlssessioninfo *tls = NULL;

    return t->https && curl_easy_getinfo(t->easy, CURLINFO_TLS_SSL_PTR, &tls) == CURLE_OK && tls && tls->internals &&
           trust_has_input(tls->internals);
}

/*
 * A connection is there and the request will be sent on it now: for the first time, or again because the kept
 * connection that it went over has died without a byte of answer.
 */
static int on_prereq(void *ctx, char *remote_ip, char *local_ip, int remote_port, int local_port)
{
    struct transfer *t = ctx;

    (void)local_ip;
    if (t->state == T_ENDED)
        return CURL_PREREQFUNC_ABORT;
    if (t->sends && !t->safe && !t->unacked) {
        t->refused_repeat = true;
        return CURL_PREREQFUNC_ABORT;
    }
    t->reused = !t->opened;
    t->sock = pool_find_sock(t, remote_ip, remote_port, local_port);
    if (t->reused && t->sock && (sock_has_input(t->sock) || transfer_tls_has_input(t))) {
        t->stale = true;
        t->sock->transfer = NULL; /* it has sent nothing over this one */
        t->sock = NULL;
        return CURL_PREREQFUNC_ABORT;
    }
    if (t->sends)
        t->pool->stats.retried++;
    t->sends++;
    t->opened = false;
    t->unacked = false; /* until it is known better: transfer_lose_sock */
    t->head_torn = false;
    t->sent_bytes = 0;
    answer_head_restart(&t->head);
    transfer_enter(t, T_AWAIT);
    if (!t->sent && t->ops->on_sent) {
        t->check_step_us = SENT_FIRST_CHECK_US;
        t->check_at_us = t->progress_us + SENT_FIRST_CHECK_US;
        transfer_arm(t);
    }
    return CURL_PREREQFUNC_OK;
}

/*
 * A line of what a proxy says to CONNECT: none of it is the provider's. What follows a refusal curl would read to its end,
 * byte by byte and without leaving in between, so it is not let come to that.
 */
static size_t on_tunnel_line(struct transfer *t, struct slice line)
{
    enum transfer_result verdict = t->sends ? TRANSFER_RESET : TRANSFER_CONNECT; /* as transfer_judge has it */
    int64_t status = 0;

    t->tunnel_bytes += line.n;
    if (t->tunnel_bytes > t->pool->config.max_head_bytes)
        return transfer_fail(t, verdict, "the proxy's answer is too long");
    if (!slice_starts(line, SLICE("HTTP/")))
        return line.n;
    if (slice_int64(slice_head(slice_skip(line, slice_find(line, ' ') + 1), 3), &status) < 0 || status >= 300)
        return transfer_fail(t, verdict,
                             status == 407 ? "the proxy wants a user and a password" : "the proxy opens no tunnel");
    return line.n;
}

/* A line behind the body: dropped, but libcurl keeps a copy of each. */
static size_t on_trailer(struct transfer *t, size_t n)
{
    t->trailer_bytes += n;
    if (t->trailer_bytes > t->pool->config.max_head_bytes)
        return transfer_fail(t, TRANSFER_PROTOCOL, "the trailers of the answer are too long");
    return n;
}

static size_t on_header(char *p, size_t size, size_t count, void *ctx)
{
    struct transfer *t = ctx;
    size_t n = size * count;
    int rc;

    if (t->state == T_ENDED)
        return 0;
    if (t->opened)
        return on_tunnel_line(t, slice_of(p, n));
    if (t->head.done)
        return on_trailer(t, n);
    rc = answer_head_add(&t->head, slice_of(p, n));
    if (rc == -E2BIG)
        return transfer_fail(t, TRANSFER_PROTOCOL, "the head of the answer is too long");
    if (rc < 0)
        return transfer_fail(t, TRANSFER_PROTOCOL, "the head of the answer is not valid HTTP/1");
    if (rc == 0)
        return n;
    if (answer_head_promises_too_much(&t->head))
        curl_easy_setopt(t->easy, CURLOPT_FORBID_REUSE, 1L);
    transfer_mark_sent(t);
    if (t->state == T_ENDED)
        return 0;
    transfer_enter(t, T_BODY);
    t->ops->on_head(t->ctx, t,
                    &(struct transfer_head){
                        .status = t->head.status,
                        .minor = t->head.minor,
                        .headers = t->head.headers,
                        .header_count = t->head.line_n,
                        .content_length = answer_head_content_length(&t->head),
                    });
    return t->state == T_ENDED ? 0 : n;
}

/*
 * 8.5 (Ubuntu 24.04) reads on through a pause as long as anything comes, and keeps it, up to 64 MiB. It does so in turns of 100 reads,
 * and before each turn it looks whether the transfer is faster than it may be: so a paused one may do a byte a second.
 */
static void transfer_rein(const struct transfer *t, bool in)
{
    unsigned version = curl_version_info(CURLVERSION_NOW)->version_num;

    if (version >= 0x080000 && version < 0x080700)
        curl_easy_setopt(t->easy, CURLOPT_MAX_RECV_SPEED_LARGE, (curl_off_t)(in ? 1 : 0));
}

static size_t on_body(char *p, size_t size, size_t count, void *ctx)
{
    struct transfer *t = ctx;
    size_t n = size * count;

    if (t->state == T_ENDED)
        return 0;
    if (!t->head.done)
        return transfer_fail(t, TRANSFER_PROTOCOL, "the answer has a body and no head");
    if (t->paused) {
        t->recv_paused = true;
        transfer_rein(t, true);
        return CURL_WRITEFUNC_PAUSE;
    }
    t->progress_us = loop_now_us(t->pool->loop);
    t->ops->on_data(t->ctx, t, p, n);
    return t->state == T_ENDED ? 0 : n;
}

static size_t on_read(char *p, size_t size, size_t count, void *ctx)
{
    struct transfer *t = ctx;
    size_t max = size * count;
    size_t n = t->upload.n - t->upload_taken;

    if (t->state == T_ENDED)
        return CURL_READFUNC_ABORT;
    if (t->head_torn) {
        (void)transfer_fail(t, TRANSFER_RESET, "the kernel took only part of the request's head");
        return CURL_READFUNC_ABORT;
    }
    if (n == 0 && t->upload_finished)
        return 0;
    if (n == 0) {
        t->send_paused = true;
        return CURL_READFUNC_PAUSE;
    }
    if (n > max)
        n = max;
    memcpy(p, t->upload.p + t->upload_taken, n);
    t->upload_taken += n;
    t->progress_us = loop_now_us(t->pool->loop);
    if (t->upload_taken > t->upload.n / 2) {
        buf_drop_head(&t->upload, t->upload_taken);
        t->upload_taken = 0;
    }
    if (t->upload_over_high && t->upload.n - t->upload_taken <= TRANSFER_LOW_BYTES) {
        t->upload_over_high = false;
        t->ops->on_body_drain(t->ctx, t);
    }
    return t->state == T_ENDED ? CURL_READFUNC_ABORT : n;
}

/* The head, as much of it as was sent at once. */
static int on_debug(CURL *easy, curl_infotype type, char *p, size_t n, void *ctx)
{
    struct transfer *t = ctx;

    (void)easy;
    if (type == CURLINFO_HEADER_OUT && (n < 4 || memcmp(p + n - 4, "\r\n\r\n", 4) != 0))
        t->head_torn = true;
    return 0;
}

static CURLcode on_ssl_ctx(CURL *easy, void *ssl_ctx, void *ctx)
{
    const struct transfer *t = ctx;

    (void)easy;
    if (!t->trust)
        return CURLE_SSL_CERTPROBLEM;
    trust_apply(t->trust, ssl_ctx);
    return CURLE_OK;
}

static curl_socket_t on_open_socket(void *ctx, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct transfer *t = ctx;
    curl_socket_t fd = pool_open_socket(t->lane, purpose, address);

    t->opened = true;
    t->starved = fd == CURL_SOCKET_BAD && (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM);
    t->tunnel_bytes = 0;
    return fd;
}

void transfer_set_callbacks(struct transfer *t, const struct transfer_request *request)
{
    CURL *e = t->easy;

    curl_easy_setopt(e, CURLOPT_PREREQFUNCTION, on_prereq);
    curl_easy_setopt(e, CURLOPT_PREREQDATA, t);
    curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(e, CURLOPT_HEADERDATA, t);
    curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(e, CURLOPT_WRITEDATA, t);
    curl_easy_setopt(e, CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
    curl_easy_setopt(e, CURLOPT_OPENSOCKETDATA, t);
    curl_easy_setopt(e, CURLOPT_CLOSESOCKETFUNCTION, pool_close_socket);
    curl_easy_setopt(e, CURLOPT_CLOSESOCKETDATA, t->pool);
    if (t->https) {
        curl_easy_setopt(e, CURLOPT_SSL_CTX_FUNCTION, on_ssl_ctx);
        curl_easy_setopt(e, CURLOPT_SSL_CTX_DATA, t);
    }
    if (!t->streamed)
        return;
    curl_easy_setopt(e, CURLOPT_READFUNCTION, on_read);
    curl_easy_setopt(e, CURLOPT_READDATA, t);
    if (request->streamed_bytes < 0) {
        curl_easy_setopt(e, CURLOPT_VERBOSE, 1L); /* else nothing is shown to: */
        curl_easy_setopt(e, CURLOPT_DEBUGFUNCTION, on_debug);
        curl_easy_setopt(e, CURLOPT_DEBUGDATA, t);
    }
}

void transfer_free(struct transfer *t)
{
    MG_ASSERT(!list_linked(&t->pooled) && !t->sock);
    list_unlink(&t->unpaused);
    loop_timer_clear(t->pool->loop, &t->timer);
    curl_easy_cleanup(t->easy);
    free(t->headers);
    buf_release(&t->lines);
    answer_head_release(&t->head);
    buf_release(&t->upload);
    loop_bury(t->pool->loop, t, free);
}

void transfer_begin(struct transfer *t)
{
    t->refusals = spare_refusals();
    transfer_enter(t, T_CONNECT);
}

/* ---- the verdict --------------------------------------------------------------------------------------- */

const char *transfer_result_name(enum transfer_result r)
{
    static const char *const names[] = {
        [TRANSFER_OK] = "ok",
        [TRANSFER_CONNECT] = "connect",
        [TRANSFER_RESET] = "reset",
        [TRANSFER_CUT] = "cut",
        [TRANSFER_TIMEOUT_CONNECT] = "timeout-connect",
        [TRANSFER_TIMEOUT_FIRST_BYTE] = "timeout-first-byte",
        [TRANSFER_TIMEOUT_IDLE] = "timeout-idle",
        [TRANSFER_PROTOCOL] = "protocol",
        [TRANSFER_MEMORY] = "memory",
    };

    return names[r];
}

bool transfer_lacks_memory(const struct transfer *t, CURLcode code)
{
    return t->sends == 0 && t->verdict == TRANSFER_OK && code != CURLE_OK &&
           (code == CURLE_OUT_OF_MEMORY || t->refusals != spare_refusals());
}

enum transfer_result transfer_judge(const struct transfer *t, CURLcode code, const char **ret_why)
{
    *ret_why = t->error[0] ? t->error : curl_easy_strerror(code);
    if (t->verdict != TRANSFER_OK) {
        *ret_why = t->why;
        return t->verdict;
    }
    if (t->refused_repeat) {
        *ret_why = "the kept connection was closed after the request had been sent";
        return TRANSFER_RESET;
    }
    if (code == CURLE_OK && t->head.done) {
        *ret_why = "";
        return TRANSFER_OK;
    }
    if (transfer_lacks_memory(t, code)) {
        *ret_why = "there was no memory for a connection";
        return TRANSFER_MEMORY;
    }
    if (t->sends == 0)
        return code == CURLE_OPERATION_TIMEDOUT ? TRANSFER_TIMEOUT_CONNECT : TRANSFER_CONNECT;
    if (t->head.done)
        return TRANSFER_CUT;
    if (code == CURLE_OK)
        *ret_why = "the connection was closed in the head of the answer";
    if (t->refusals != spare_refusals()) {
        *ret_why = "there was no memory to read the answer";
        return TRANSFER_PROTOCOL;
    }
    /* 7.88's words for a line over 100 KB, and for one that continues none */
    if (code == CURLE_OUT_OF_MEMORY || code == CURLE_BAD_FUNCTION_ARGUMENT) {
        *ret_why = "the head of the answer has a line that cannot be read";
        return TRANSFER_PROTOCOL;
    }
    if (code == CURLE_UNSUPPORTED_PROTOCOL || code == CURLE_WEIRD_SERVER_REPLY)
        return TRANSFER_PROTOCOL;
    return TRANSFER_RESET;
}

/* ---- what the user calls ------------------------------------------------------------------------------- */

void transfer_pause(struct transfer *t)
{
    t->paused = true;
}

void transfer_resume(struct transfer *t)
{
    if (!t->paused)
        return;
    t->paused = false;
    t->progress_us = loop_now_us(t->pool->loop);
    transfer_arm(t);
    if (t->recv_paused)
        pool_unpause(t);
}

void transfer_unpause(struct transfer *t)
{
    int mask = CURLPAUSE_CONT;

    t->recv_paused = t->recv_paused && t->paused;
    if (t->send_paused && (t->upload.n > t->upload_taken || t->upload_finished))
        t->send_paused = false;
    mask |= t->recv_paused ? CURLPAUSE_RECV : 0;
    mask |= t->send_paused ? CURLPAUSE_SEND : 0;
    if (!t->recv_paused)
        transfer_rein(t, false);
    curl_easy_pause(t->easy, mask);
}

size_t transfer_write(struct transfer *t, const void *p, size_t n)
{
    MG_ASSERT(t->streamed && !t->upload_finished);
    buf_add(&t->upload, p, n);
    if (t->upload.n - t->upload_taken > TRANSFER_HIGH_BYTES)
        t->upload_over_high = true;
    if (t->send_paused)
        pool_unpause(t);
    return t->upload.n - t->upload_taken;
}

void transfer_finish_body(struct transfer *t)
{
    t->upload_finished = true;
    if (t->send_paused)
        pool_unpause(t);
}

bool transfer_is_sent(const struct transfer *t)
{
    return t->sent;
}

bool transfer_is_reused(const struct transfer *t)
{
    return t->reused;
}

bool transfer_has_sent_body(const struct transfer *t)
{
    curl_off_t uploaded = 0;

    MG_ASSERT(t->head.done);
    curl_easy_getinfo(t->easy, CURLINFO_SIZE_UPLOAD_T, &uploaded);
    return !t->has_body || t->streamed || uploaded >= t->body_bytes;
}

bool transfer_may_have_arrived(const struct transfer *t)
{
    return t->sends > 0 && !t->unacked;
}
