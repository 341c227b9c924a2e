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
#include <stdio.h>
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

/* ---- the request --------------------------------------------------------------------------------------- */

/* curl writes Content-Length and Transfer-Encoding itself, and must not wait for 100 Continue. */
static bool is_ours(struct slice name)
{
    return slice_eq_nocase(name, SLICE("content-length")) ||
           slice_eq_nocase(name, SLICE("transfer-encoding")) || slice_eq_nocase(name, SLICE("expect"));
}

/* `between` is curl's: ": ", or ";" for a header without a value, or ":" for one of its own that it shall not send. */
static void transfer_add_line(struct transfer *t, struct slice name, const char *between, struct slice value)
{
    buf_add_slice(&t->lines, name);
    buf_add_str(&t->lines, between);
    buf_add_slice(&t->lines, value);
    buf_add_char(&t->lines, '\0');
}

/* curl only reads its list, so that need not be made of a dozen pieces by curl_slist_append, which copies each line. */
static void transfer_list_lines(struct transfer *t, size_t n)
{
    char *line = t->lines.p;

    t->headers = xcalloc(n, sizeof *t->headers);
    for (size_t i = 0; i < n; i++) {
        t->headers[i].data = line;
        t->headers[i].next = i + 1 < n ? &t->headers[i + 1] : NULL;
        line += strlen(line) + 1;
    }
    curl_easy_setopt(t->easy, CURLOPT_HTTPHEADER, t->headers);
}

/* Who speaks so has not shown who he is in this request, but for all that follow on its connection. */
static bool authenticates_connection(const struct http_header *h)
{
    return slice_eq_nocase(h->name, SLICE("authorization")) &&
           (slice_eq_nocase(slice_head(h->value, 4), SLICE("NTLM")) ||
            slice_eq_nocase(slice_head(h->value, 9), SLICE("Negotiate")));
}

static void transfer_keep_apart(struct transfer *t)
{
    curl_easy_setopt(t->easy, CURLOPT_FRESH_CONNECT, 1L);
    curl_easy_setopt(t->easy, CURLOPT_FORBID_REUSE, 1L);
}

static int transfer_add_headers(struct transfer *t, const struct transfer_request *request)
{
    static const char *const own[] = {"Accept", "Content-Type", "User-Agent", "Proxy-Connection"};
    size_t n = 1;

    transfer_add_line(t, SLICE("Expect"), ":", SLICE(""));
    for (size_t i = 0; i < request->header_count; i++) {
        const struct http_header *h = &request->headers[i];

        if (!http_is_token(h->name) || !http_is_field_value(h->value) || memchr(h->value.p, '\0', h->value.n))
            return -EINVAL;
        if (is_ours(h->name))
            continue;
        if (authenticates_connection(h))
            transfer_keep_apart(t);
        transfer_add_line(t, h->name, h->value.n ? ": " : ";", h->value);
        n++;
    }
    for (size_t i = 0; i < MG_ARRAY_LEN(own); i++) {
        if (http_header_get(request->headers, request->header_count, slice_str(own[i])).p)
            continue;
        transfer_add_line(t, slice_str(own[i]), ":", SLICE(""));
        n++;
    }
    transfer_list_lines(t, n);
    return 0;
}

/* curl keeps a copy. Without it the request would be another one, or go another way. */
static void transfer_set_text(struct transfer *t, CURLoption option, const char *text)
{
    if (curl_easy_setopt(t->easy, option, text) != CURLE_OK)
        t->incomplete = true;
}

static void transfer_set_method(struct transfer *t, const struct transfer_request *request,
                                const char *method)
{
    CURL *e = t->easy;
    bool empty_post = !request->has_body && (strcmp(method, "POST") == 0 || strcmp(method, "PUT") == 0 ||
                                             strcmp(method, "PATCH") == 0);

    if (strcmp(method, "HEAD") == 0) {
        curl_easy_setopt(e, CURLOPT_NOBODY, 1L);
        curl_easy_setopt(e, CURLOPT_FORBID_REUSE, 1L); /* a body that comes all the same would be the next call's answer */
        return;
    }
    if (t->streamed) {
        curl_easy_setopt(e, CURLOPT_UPLOAD, 1L);
        curl_easy_setopt(e, CURLOPT_INFILESIZE_LARGE, (curl_off_t)request->streamed_bytes);
        curl_easy_setopt(e, CURLOPT_READFUNCTION, on_read);
        curl_easy_setopt(e, CURLOPT_READDATA, t);
        if (request->streamed_bytes < 0) {
            curl_easy_setopt(e, CURLOPT_VERBOSE, 1L); /* else nothing is shown to: */
            curl_easy_setopt(e, CURLOPT_DEBUGFUNCTION, on_debug);
            curl_easy_setopt(e, CURLOPT_DEBUGDATA, t);
        }
    } else if (t->has_body || empty_post) {
        curl_easy_setopt(e, CURLOPT_POST, 1L);
        curl_easy_setopt(e, CURLOPT_POSTFIELDS, request->body.n ? request->body.p : ""); /* not copied */
        curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body.n);
    } else {
        curl_easy_setopt(e, CURLOPT_HTTPGET, 1L); /* with POST it would announce an empty body */
    }
    transfer_set_text(t, CURLOPT_CUSTOMREQUEST, method);
}

/* The path and query exactly as given; through a plain proxy curl must write the absolute form itself. */
static int transfer_set_url(struct transfer *t, const struct transfer_request *request)
{
    const char *authority = strstr(request->url, "://");
    bool proxied = request->proxy && request->proxy[0];
    const char *target;
    struct buf with_slash;

    for (const char *p = request->url; *p; p++)
        if ((unsigned char)*p <= 0x20 || *p == 0x7f || *p == '#')
            return -EINVAL;
    t->https = strncasecmp(request->url, "https://", 8) == 0;
    if (!authority || (!t->https && strncasecmp(request->url, "http://", 7) != 0))
        return -EINVAL;
    transfer_set_text(t, CURLOPT_URL, request->url);
    transfer_set_text(t, CURLOPT_PROXY, proxied ? request->proxy : "");
    if (proxied && !t->https)
        return 0;
    target = authority + 3 + strcspn(authority + 3, "/?");
    if (*target == '/') {
        transfer_set_text(t, CURLOPT_REQUEST_TARGET, target);
        return 0;
    }
    buf_init(&with_slash, BUF_UNLIMITED);
    buf_addf(&with_slash, "/%s", target);
    transfer_set_text(t, CURLOPT_REQUEST_TARGET, with_slash.p);
    buf_release(&with_slash);
    return 0;
}

static void transfer_set_common(struct transfer *t, const struct transfer_request *request)
{
    int64_t connect_us = request->connect_timeout_us ? request->connect_timeout_us : 10 * CLOCK_S;
    CURL *e = t->easy;

    curl_easy_setopt(e, CURLOPT_PRIVATE, t);
    curl_easy_setopt(e, CURLOPT_SHARE, t->pool->share);
    curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
    transfer_set_text(t, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(e, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(e, CURLOPT_QUICK_EXIT, 1L); /* else an abort waits for the resolver's thread */
    curl_easy_setopt(e, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(e, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
    transfer_set_text(t, CURLOPT_NOPROXY, "");
    curl_easy_setopt(e, CURLOPT_HTTP_CONTENT_DECODING, 0L);
    curl_easy_setopt(e, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, (long)(connect_us / CLOCK_MS));
    curl_easy_setopt(e, CURLOPT_MAXAGE_CONN, (long)((t->pool->config.keep_idle_us + CLOCK_S - 1) / CLOCK_S));
    curl_easy_setopt(e, CURLOPT_ERRORBUFFER, t->error);
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
        curl_easy_setopt(e, CURLOPT_CAINFO, NULL); /* the store comes ready made */
        transfer_set_text(t, CURLOPT_CAPATH, t->trust ? trust_path(t->trust) : NULL); /* whose kept connections it may use */
        curl_easy_setopt(e, CURLOPT_SSL_CTX_FUNCTION, on_ssl_ctx);
        curl_easy_setopt(e, CURLOPT_SSL_CTX_DATA, t);
    }
}

int transfer_prepare(struct transfer *t, const struct transfer_request *request)
{
    char method[32];
    int rc;

    if (!http_is_token(request->method) || request->method.n >= sizeof method || !request->url)
        return -EINVAL;
    memcpy(method, request->method.p, request->method.n);
    method[request->method.n] = '\0';
    t->easy = curl_easy_init();
    if (!t->easy)
        return -ENOMEM;
    t->has_body = request->has_body;
    t->streamed = request->has_body && request->streamed;
    t->body_bytes = (int64_t)request->body.n;
    t->safe = !t->has_body &&
              (strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0 || strcmp(method, "OPTIONS") == 0);
    t->first_byte_us = request->first_byte_timeout_us;
    t->idle_us = request->idle_timeout_us;
    t->trust = request->trust ? request->trust : t->pool->config.trust;
    t->check_at_us = CLOCK_NEVER;
    buf_init(&t->lines, BUF_UNLIMITED);
    buf_init(&t->upload, BUF_UNLIMITED);
    answer_head_init(&t->head, t->pool->config.max_head_bytes);
    rc = transfer_set_url(t, request);
    if (rc == 0)
        rc = transfer_add_headers(t, request);
    if (rc < 0)
        return rc;
    transfer_set_method(t, request, method);
    transfer_set_common(t, request);
    return t->incomplete ? -ENOMEM : 0;
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
