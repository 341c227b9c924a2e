/*
 * client: each call has its own connection. A background call belongs to its thread; `lock` guards the reply while it
 * grows and the flags; after client_finish has joined, nothing is shared any more.
 */
#include "client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <cjson/cJSON.h>
#include <curl/curl.h>

#include "metergate/base/clock.h"
#include "metergate/base/slice.h"

struct client_async {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    CURLM *multi;
    CURL *easy;
    struct curl_slist *headers;
    char *body;
    size_t body_bytes, body_at;
    struct client_reply reply;
    bool leave, ended;
};

void client_reply_release(struct client_reply *r)
{
    buf_release(&r->head);
    buf_release(&r->body);
}

const char *client_header(const struct client_reply *r, const char *name)
{
    static _Thread_local char value[4096];
    struct slice rest = buf_slice(&r->head);

    while (rest.n) {
        struct slice line = slice_head(rest, slice_find(rest, '\n'));
        size_t colon = slice_find(line, ':');

        rest = slice_skip(rest, line.n + 1);
        if (colon == line.n || !slice_eq_nocase(slice_head(line, colon), slice_str(name)))
            continue;
        line = slice_skip(line, colon + 1);
        if (line.n && line.p[line.n - 1] == '\r')
            line.n--;
        line = slice_trim(line);
        snprintf(value, sizeof value, "%.*s", (int)line.n, line.p);
        return value;
    }
    return NULL;
}

struct cJSON *client_json(const struct client_reply *r)
{
    cJSON *json = cJSON_ParseWithLength(r->body.n ? r->body.p : "", r->body.n);

    if (!json)
        fail_msg("not JSON (status %d, %s): %.*s", r->status, r->error_text, (int)(r->body.n < 400 ? r->body.n : 400),
                 r->body.n ? r->body.p : "");
    return json;
}

/* ---- what libcurl calls, in the call's thread ---- */

static size_t on_header(char *p, size_t size, size_t n, void *arg)
{
    struct client_async *a = arg;

    pthread_mutex_lock(&a->lock);
    if (slice_starts(slice_of(p, size * n), SLICE("HTTP/"))) {
        buf_reset(&a->reply.head);
        a->reply.heads++;
    }
    buf_add(&a->reply.head, p, size * n);
    if (size * n == 2) {
        long status = 0;

        curl_easy_getinfo(a->easy, CURLINFO_RESPONSE_CODE, &status);
        a->reply.status = (int)status;
        a->reply.head_us = clock_now_us();
        pthread_cond_broadcast(&a->changed);
    }
    pthread_mutex_unlock(&a->lock);
    return size * n;
}

static size_t on_body(char *p, size_t size, size_t n, void *arg)
{
    struct client_async *a = arg;

    pthread_mutex_lock(&a->lock);
    buf_add(&a->reply.body, p, size * n);
    pthread_cond_broadcast(&a->changed);
    pthread_mutex_unlock(&a->lock);
    return size * n;
}

static size_t on_send(char *p, size_t size, size_t n, void *arg)
{
    struct client_async *a = arg;
    size_t left = a->body_bytes - a->body_at, put = size * n < left ? size * n : left;

    memcpy(p, a->body + a->body_at, put);
    a->body_at += put;
    return put;
}

/* ---- one call ---- */

static void set_body(struct client_async *a, const struct client_call *call)
{
    a->body_bytes = call->body_bytes ? call->body_bytes : strlen(call->body);
    a->body = xmalloc(a->body_bytes + 1);
    memcpy(a->body, call->body, a->body_bytes);
    curl_easy_setopt(a->easy, CURLOPT_POST, 1L);
    if (call->chunked) {
        a->headers = curl_slist_append(a->headers, "Transfer-Encoding: chunked");
        curl_easy_setopt(a->easy, CURLOPT_READFUNCTION, on_send);
        curl_easy_setopt(a->easy, CURLOPT_READDATA, a);
    } else {
        curl_easy_setopt(a->easy, CURLOPT_POSTFIELDS, a->body);
        curl_easy_setopt(a->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)a->body_bytes);
    }
}

static void set_up(struct client_async *a, const struct client_call *call)
{
    CURL *easy = a->easy;
    bool typed = false;

    curl_easy_setopt(easy, CURLOPT_URL, call->url);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)(call->timeout_ms ? call->timeout_ms : 30000));
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, a->reply.error_text);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, a);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, a);
    if (call->ca_file)
        curl_easy_setopt(easy, CURLOPT_CAINFO, call->ca_file);
    if (call->body)
        set_body(a, call);
    if (call->method) {
        curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, call->method);
        curl_easy_setopt(easy, CURLOPT_NOBODY, strcmp(call->method, "HEAD") == 0 ? 1L : 0L);
    }
    for (const char *const *h = call->headers; h && *h; h++) {
        typed = typed || strncasecmp(*h, "content-type:", 13) == 0;
        a->headers = curl_slist_append(a->headers, *h);
    }
    if (call->body && !typed)
        a->headers = curl_slist_append(a->headers, "Content-Type: application/json");
    /* no 100-continue unless a test asks for it by name */
    a->headers = curl_slist_append(a->headers, "Expect:");
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, a->headers);
}

static bool leaving(struct client_async *a)
{
    bool leave;

    pthread_mutex_lock(&a->lock);
    leave = a->leave;
    pthread_mutex_unlock(&a->lock);
    return leave;
}

static int transfer(struct client_async *a)
{
    int running = 1, left;
    CURLMsg *msg;

    curl_multi_add_handle(a->multi, a->easy);
    while (running && !leaving(a)) {
        curl_multi_perform(a->multi, &running);
        if (running)
            curl_multi_poll(a->multi, NULL, 0, 1000, NULL);
    }
    msg = curl_multi_info_read(a->multi, &left);
    return msg ? (int)msg->data.result : CURLE_ABORTED_BY_CALLBACK;
}

static void *call_main(void *arg)
{
    struct client_async *a = arg;
    int error = transfer(a);

    curl_multi_remove_handle(a->multi, a->easy);
    curl_easy_cleanup(a->easy);
    pthread_mutex_lock(&a->lock);
    a->reply.error = error;
    if (error && !a->reply.error_text[0])
        snprintf(a->reply.error_text, sizeof a->reply.error_text, "%s", curl_easy_strerror((CURLcode)error));
    a->reply.end_us = clock_now_us();
    a->ended = true;
    pthread_cond_broadcast(&a->changed);
    pthread_mutex_unlock(&a->lock);
    return NULL;
}

static void init_curl(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

struct client_async *client_start(const struct client_call *call)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct client_async *a = xcalloc(1, sizeof *a);
    pthread_condattr_t attr;

    pthread_once(&once, init_curl);
    pthread_mutex_init(&a->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&a->changed, &attr);
    pthread_condattr_destroy(&attr);
    buf_init(&a->reply.head, BUF_UNLIMITED);
    buf_init(&a->reply.body, BUF_UNLIMITED);
    a->multi = curl_multi_init();
    a->easy = curl_easy_init();
    set_up(a, call);
    a->reply.start_us = clock_now_us();
    assert_int_equal(pthread_create(&a->thread, NULL, call_main, a), 0);
    return a;
}

bool client_wait_body(struct client_async *a, const char *text, int64_t timeout_ms)
{
    struct timespec until;
    bool found;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += timeout_ms / 1000 + 1;
    pthread_mutex_lock(&a->lock);
    for (;;) {
        const struct buf *body = &a->reply.body;

        found = a->reply.head_us != 0 && (!text[0] || (body->n && memmem(body->p, body->n, text, strlen(text))));
        if (found || a->ended || pthread_cond_timedwait(&a->changed, &a->lock, &until) == ETIMEDOUT)
            break;
    }
    pthread_mutex_unlock(&a->lock);
    return found;
}

bool client_ended(struct client_async *a)
{
    bool ended;

    pthread_mutex_lock(&a->lock);
    ended = a->ended;
    pthread_mutex_unlock(&a->lock);
    return ended;
}

void client_leave(struct client_async *a)
{
    pthread_mutex_lock(&a->lock);
    a->leave = true;
    pthread_mutex_unlock(&a->lock);
    curl_multi_wakeup(a->multi);
}

struct client_reply client_finish(struct client_async *a)
{
    struct client_reply reply;

    pthread_join(a->thread, NULL);
    curl_multi_cleanup(a->multi);
    curl_slist_free_all(a->headers);
    free(a->body);
    pthread_cond_destroy(&a->changed);
    pthread_mutex_destroy(&a->lock);
    reply = a->reply;
    free(a);
    return reply;
}

struct client_reply client_run(const struct client_call *call)
{
    return client_finish(client_start(call));
}

/* ---- bare sockets ---- */

int raw_connect(int port)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    return fd;
}

void raw_send(int fd, const char *bytes, size_t n)
{
    while (n) {
        ssize_t put = send(fd, bytes, n, MSG_NOSIGNAL);

        /* the peer may have had enough already: what it answered is what counts */
        if (put < 0)
            return;
        bytes += put;
        n -= (size_t)put;
    }
}

void raw_send_text(int fd, const char *text)
{
    raw_send(fd, text, strlen(text));
}

int64_t raw_read(int fd, struct buf *out, const char *until, int64_t timeout_ms)
{
    int64_t end_us = clock_now_us() + timeout_ms * CLOCK_MS;
    size_t before = out->n;

    while (!until || !out->n || !memmem(out->p, out->n, until, strlen(until))) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        int64_t left_ms = (end_us - clock_now_us()) / CLOCK_MS;
        char piece[4096];
        ssize_t n;

        if (left_ms <= 0 || poll(&p, 1, (int)left_ms) <= 0)
            return -ETIMEDOUT;
        n = recv(fd, piece, sizeof piece, 0);
        if (n <= 0)
            break;
        buf_add(out, piece, (size_t)n);
    }
    return (int64_t)(out->n - before);
}

void raw_exchange(int port, const char *bytes, size_t n, struct buf *out)
{
    int fd = raw_connect(port);

    raw_send(fd, bytes, n);
    assert_true(raw_read(fd, out, NULL, 10000) >= 0);
    close(fd);
}
