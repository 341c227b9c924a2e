/* played: what is returned is open; every wait has FIXTURE_TIMEOUT_MS. */
#include "played.h"

#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

int played_listen(int *ret_port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(fd, 8), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
    *ret_port = ntohs(a.sin_port);
    return fd;
}

int played_start(struct fixture *f, const char *options, const char *more)
{
    char yaml[600];
    int port, listener = played_listen(&port);

    fixture_start_simulator(f, NULL, NULL);
    snprintf(yaml, sizeof yaml,
             "upstreams:\n  openai: {dialect: openai, base_url: \"http://127.0.0.1:%d/v1\", counting: actual%s}\n"
             "models:\n  gpt-4o: {tpm: 1M}\n  \"*\": {learn: true}\n%s",
             port, options, more);
    fixture_start_daemon(f, yaml, NULL);
    return listener;
}

int played_take(int listener)
{
    struct pollfd p = {.fd = listener, .events = POLLIN};
    struct buf request;
    int fd;

    assert_int_equal(poll(&p, 1, FIXTURE_TIMEOUT_MS), 1);
    fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    assert_true(fd >= 0);
    buf_init(&request, BUF_UNLIMITED);
    assert_true(raw_read(fd, &request, "]}", FIXTURE_TIMEOUT_MS) > 0);
    buf_release(&request);
    return fd;
}

void played_end(int fd, enum played_end how)
{
    struct linger now = {.l_onoff = 1, .l_linger = 0};

    if (how == PLAYED_RESETS)
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close(fd);
}

struct client_reply played_call(const struct fixture *f, int listener, const char *body, const char *answer, size_t n,
                                enum played_end how)
{
    struct client_async *a = fixture_chat_start(f, body);
    int fd = played_take(listener);

    raw_send(fd, answer, n);
    played_end(fd, how);
    return client_finish(a);
}
