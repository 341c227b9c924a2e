/* heard: one call at a time, and one connection for each. */
#include "heard.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "played.h"

void heard_start(struct heard *h, int n, const char *yaml)
{
    struct buf out;

    *h = (struct heard){.n = n};
    for (int i = 0; i < n; i++)
        h->listeners[i] = played_listen(&h->ports[i]);
    buf_init(&out, BUF_UNLIMITED);
    for (; *yaml; yaml++) {
        if (yaml[0] == '$' && yaml[1] >= '0' && yaml[1] < '0' + n)
            buf_addf(&out, "http://127.0.0.1:%d", h->ports[*++yaml - '0']);
        else
            buf_add_char(&out, *yaml);
    }
    fixture_start_simulator(&h->f, NULL, NULL);
    fixture_start_daemon(&h->f, out.p, NULL);
    buf_release(&out);
}

void heard_stop(struct heard *h)
{
    fixture_assert_idle(&h->f);
    fixture_stop(&h->f);
    for (int i = 0; i < h->n; i++)
        close(h->listeners[i]);
}

/* How many bytes the request has in all; 0 while its head is not there. */
static size_t request_bytes(const struct buf *request)
{
    const char *end = request->n ? strstr(request->p, "\r\n\r\n") : NULL;
    const char *length = request->n ? strcasestr(request->p, "\r\ncontent-length:") : NULL;

    if (!end)
        return 0;
    return (size_t)(end - request->p) + 4 +
           (length && length < end ? strtoul(length + sizeof "\r\ncontent-length:" - 1, NULL, 10) : 0);
}

static void hear(int listener, struct buf *request, const char *answer, size_t answer_bytes)
{
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    char piece[65536];

    assert_true(fd >= 0);
    while (request_bytes(request) == 0 || request->n < request_bytes(request)) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        ssize_t n;

        assert_int_equal(poll(&p, 1, FIXTURE_TIMEOUT_MS), 1);
        n = read(fd, piece, sizeof piece);
        assert_true(n > 0);
        buf_add(request, piece, (size_t)n);
    }
    raw_send(fd, answer, answer_bytes);
    close(fd);
}

/* Waits for whoever is called, or for the daemon's own reply on `client`. */
static int wait_for_one(struct heard *h, int client)
{
    struct pollfd p[HEARD_MAX + 1];

    for (int i = 0; i < h->n; i++)
        p[i] = (struct pollfd){.fd = h->listeners[i], .events = POLLIN};
    p[h->n] = (struct pollfd){.fd = client, .events = POLLIN};
    assert_true(poll(p, (nfds_t)h->n + 1, FIXTURE_TIMEOUT_MS) > 0);
    for (int i = 0; i < h->n; i++)
        if (p[i].revents)
            return i;
    return -1;
}

struct heard_call heard_call(struct heard *h, const char *request, const char *body, size_t body_bytes,
                             const char *answer, size_t answer_bytes)
{
    struct heard_call c = {.who = -1};
    int fd = raw_connect(h->f.port);
    struct buf out;

    buf_init(&c.request, BUF_UNLIMITED);
    buf_init(&c.reply, BUF_UNLIMITED);
    buf_init(&out, BUF_UNLIMITED);
    buf_addf(&out, "%sHost: localhost\r\nConnection: close\r\n", request);
    if (body)
        buf_addf(&out, "Content-Length: %zu\r\n", body_bytes);
    buf_add_str(&out, "\r\n");
    buf_add(&out, body, body_bytes);
    raw_send(fd, out.p, out.n);
    c.who = wait_for_one(h, fd);
    if (c.who >= 0)
        hear(h->listeners[c.who], &c.request, answer, answer_bytes);
    assert_true(raw_read(fd, &c.reply, NULL, FIXTURE_TIMEOUT_MS) >= 0);
    close(fd);
    buf_release(&out);
    return c;
}

void heard_release(struct heard_call *c)
{
    buf_release(&c->request);
    buf_release(&c->reply);
}

struct heard_call heard_json(struct heard *h, const char *request, const char *body, const char *json)
{
    struct heard_call c;
    struct buf answer;

    buf_init(&answer, BUF_UNLIMITED);
    buf_addf(&answer,
             "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %zu\r\nConnection: "
             "close\r\n\r\n%s",
             strlen(json), json);
    c = heard_call(h, request, body, body ? strlen(body) : 0, answer.p, answer.n);
    buf_release(&answer);
    return c;
}

int heard_status(const struct heard_call *c)
{
    return c->reply.n > 12 ? atoi(c->reply.p + 9) : 0;
}

bool heard_has(const struct buf *message, const char *line)
{
    return message->n && memmem(message->p, message->n, line, strlen(line)) != NULL;
}
