/*
 * origin: a request is read whole before anything is answered; a connection is a stream (on the heap), held (on the
 * list), or waits for its next request. Bodies are counted and thrown away.
 */
#include "origin.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/ssl.h>

#include "metergate/base/err.h"
#include "metergate/base/heap.h"
#include "metergate/base/list.h"
#include "rig.h"

#define PLAIN                                                                                                \
    "{\"id\":\"chatcmpl-bench000000000000000000000000\",\"object\":\"chat.completion\",\"created\":1700000000," \
    "\"model\":\"gpt-4o-2024-08-06\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":" \
    "\"It was the quiet engineer of the garden in Lisbon who measured twenty mornings by the river and wrote them all " \
    "down.\",\"refusal\":null},\"logprobs\":null,\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":420," \
    "\"completion_tokens\":25,\"total_tokens\":445,\"prompt_tokens_details\":{\"cached_tokens\":0}," \
    "\"completion_tokens_details\":{\"reasoning_tokens\":0}},\"system_fingerprint\":\"fp_bench\"}"
#define STREAM_HEAD "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
#define EVENT                                                                                                \
    "data: {\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":" \
    "\"gpt-4o\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\" word\"},\"finish_reason\":null}],\"t\":%lld}\n\n"
#define LAST                                                                                                 \
    "data: {\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":" \
    "\"gpt-4o\",\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":9,\"total_tokens\":18}}\n\n" \
    "data: [DONE]\n\n"

struct peer {
    int fd;
    SSL *ssl; /* NULL: plain */
    char head[8192];
    size_t head_n;
    bool in_body;
    int64_t body_left;
    struct list held;
    struct heap_node next; /* key: when the next event is due */
    int64_t every_ns;
    int events_left;
};

struct origin {
    int epoll_fd, plain_fd, tls_fd;
    SSL_CTX *tls;
    struct list held;
    struct heap streams;
    char answer[2048];
    size_t answer_n;
};

static void peer_free(struct origin *o, struct peer *p)
{
    heap_remove(&o->streams, &p->next);
    list_unlink(&p->held);
    SSL_free(p->ssl);
    close(p->fd);
    free(p);
}

/* All of it: what the socket's buffer does not take at once is an error, since nothing here is that big. */
static bool peer_write(struct peer *p, const char *bytes, size_t n)
{
    if (p->ssl)
        return SSL_write(p->ssl, bytes, (int)n) == (int)n;
    return send(p->fd, bytes, n, MSG_NOSIGNAL) == (ssize_t)n;
}

static bool peer_write_chunk(struct peer *p, const char *bytes, size_t n, bool last)
{
    char chunk[1024];
    int len = snprintf(chunk, sizeof chunk, "%zx\r\n%.*s\r\n%s", n, (int)n, bytes, last ? "0\r\n\r\n" : "");

    return peer_write(p, chunk, (size_t)len);
}

static bool answer(struct origin *o, struct peer *p)
{
    return peer_write(p, o->answer, o->answer_n);
}

static bool release_all(struct origin *o, struct peer *p)
{
    while (!list_empty(&o->held)) {
        struct peer *h = LIST_ENTRY(list_first(&o->held), struct peer, held);

        list_unlink(&h->held);
        answer(o, h);
    }
    return answer(o, p);
}

/* The request is complete. False: the connection is of no more use. */
static bool serve(struct origin *o, struct peer *p)
{
    const char *wish = strcasestr(p->head, "\r\nx-bench: ");
    char *end;

    p->head_n = 0;
    p->in_body = false;
    if (!wish)
        return answer(o, p);
    wish += strlen("\r\nx-bench: ");
    if (strncmp(wish, "release", 7) == 0)
        return release_all(o, p);
    if (strncmp(wish, "hold", 4) == 0) {
        list_push_back(&o->held, &p->held);
        return true;
    }
    p->every_ns = strtoll(wish + 4, &end, 10) * 1000000;
    p->events_left = (int)strtol(end, NULL, 10);
    /* streams that begin together must not beat together */
    heap_set(&o->streams, &p->next, rig_now_ns() + (int64_t)p->fd * 7919 % 1000 * p->every_ns / 1000);
    return peer_write(p, STREAM_HEAD, sizeof STREAM_HEAD - 1);
}

static void send_due_events(struct origin *o)
{
    int64_t now = rig_now_ns();
    struct heap_node *first;

    while ((first = heap_first(&o->streams)) && first->key <= now) {
        struct peer *p = MG_CONTAINER(first, struct peer, next);
        char event[512];
        int n = snprintf(event, sizeof event, EVENT, (long long)rig_now_ns());
        bool last = p->events_left-- <= 0;

        if (last)
            heap_remove(&o->streams, &p->next);
        else
            heap_set(&o->streams, &p->next, first->key + p->every_ns);
        /* A stream that nobody reads any more ends when its socket says so. */
        (void)!(last ? peer_write_chunk(p, LAST, sizeof LAST - 1, true)
                     : peer_write_chunk(p, event, (size_t)n, false));
    }
}

/* Takes bytes of one request. False: broken. */
static bool take(struct origin *o, struct peer *p, const char *bytes, size_t n)
{
    size_t room = sizeof p->head - 1 - p->head_n, taken = n < room ? n : room;
    const char *end, *length;

    if (p->in_body) {
        p->body_left -= (int64_t)n;
        return p->body_left > 0 || serve(o, p);
    }
    memcpy(p->head + p->head_n, bytes, taken);
    p->head[p->head_n + taken] = '\0';
    end = strstr(p->head, "\r\n\r\n");
    if (!end) {
        p->head_n += taken;
        return p->head_n < sizeof p->head - 1;
    }
    length = strcasestr(p->head, "\r\ncontent-length:");
    p->body_left = length && length < end ? strtoll(length + 17, NULL, 10) : 0;
    p->body_left -= (int64_t)(n - ((size_t)(end - p->head) + 4 - p->head_n));
    p->head[end - p->head + 2] = '\0';
    p->in_body = true;
    return p->body_left > 0 || serve(o, p);
}

static void on_peer(struct origin *o, struct peer *p)
{
    static char piece[65536];

    for (;;) {
        ssize_t n = p->ssl ? SSL_read(p->ssl, piece, sizeof piece) : recv(p->fd, piece, sizeof piece, 0);

        if (n > 0 && take(o, p, piece, (size_t)n))
            continue;
        if (n <= 0 && p->ssl && SSL_get_error(p->ssl, (int)n) == SSL_ERROR_WANT_READ)
            return;
        if (n < 0 && !p->ssl && (errno == EAGAIN || errno == EINTR))
            return;
        peer_free(o, p);
        return;
    }
}

static void on_listener(struct origin *o, int fd, bool tls)
{
    int one = 1, peer_fd;

    while ((peer_fd = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct peer *p = xcalloc(1, sizeof *p);
        struct epoll_event ev = {.events = EPOLLIN, .data.ptr = p};

        p->fd = peer_fd;
        list_init(&p->held);
        setsockopt(peer_fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        if (tls) {
            p->ssl = SSL_new(o->tls);
            SSL_set_fd(p->ssl, peer_fd);
            SSL_set_accept_state(p->ssl);
        }
        MG_ASSERT(epoll_ctl(o->epoll_fd, EPOLL_CTL_ADD, peer_fd, &ev) == 0);
    }
}

static void turn(struct origin *o)
{
    struct epoll_event batch[64];
    struct heap_node *first = heap_first(&o->streams);
    int64_t wait_ns = first ? first->key - rig_now_ns() : 0;
    struct timespec wait = {.tv_sec = wait_ns > 0 ? wait_ns / 1000000000 : 0,
                            .tv_nsec = wait_ns > 0 ? wait_ns % 1000000000 : 0};
    int n = epoll_pwait2(o->epoll_fd, batch, MG_ARRAY_LEN(batch), first ? &wait : NULL, NULL);

    for (int i = 0; i < n; i++) {
        if (batch[i].data.ptr == &o->plain_fd)
            on_listener(o, o->plain_fd, false);
        else if (batch[i].data.ptr == &o->tls_fd)
            on_listener(o, o->tls_fd, true);
        else
            on_peer(o, batch[i].data.ptr);
    }
    send_due_events(o);
}

void origin_serve(int plain_fd, int tls_fd, const char *cert, const char *key)
{
    struct origin o = {.plain_fd = plain_fd, .tls_fd = tls_fd, .epoll_fd = epoll_create1(EPOLL_CLOEXEC)};
    struct epoll_event plain = {.events = EPOLLIN, .data.ptr = &o.plain_fd};
    struct epoll_event secure = {.events = EPOLLIN, .data.ptr = &o.tls_fd};

    signal(SIGPIPE, SIG_IGN);
    list_init(&o.held);
    heap_init(&o.streams);
    o.answer_n = (size_t)snprintf(o.answer, sizeof o.answer,
                                  "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
                                  sizeof PLAIN - 1, PLAIN);
    o.tls = SSL_CTX_new(TLS_server_method());
    if (!o.tls || SSL_CTX_use_certificate_chain_file(o.tls, cert) != 1 ||
        SSL_CTX_use_PrivateKey_file(o.tls, key, SSL_FILETYPE_PEM) != 1)
        rig_fail("the origin cannot use its certificate");
    MG_ASSERT(epoll_ctl(o.epoll_fd, EPOLL_CTL_ADD, plain_fd, &plain) == 0);
    MG_ASSERT(epoll_ctl(o.epoll_fd, EPOLL_CTL_ADD, tls_fd, &secure) == 0);
    for (;;)
        turn(&o);
}
