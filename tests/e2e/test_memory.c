/* What the daemon keeps in memory while calls are on their way. */
#include <poll.h>
#include <pthread.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "client.h"
#include "fixture.h"
#include "played.h"

enum { STREAMS = 24, BODY_BYTES = 1 << 20 };

static int64_t resident_kb(pid_t pid)
{
    char path[64], line[256];
    int64_t kb = -1;
    FILE *f;

    snprintf(path, sizeof path, "/proc/%d/status", pid);
    f = fopen(path, "re");
    assert_non_null(f);
    while (kb < 0 && fgets(line, sizeof line, f))
        if (strncmp(line, "VmRSS:", 6) == 0)
            kb = strtoll(line + 6, NULL, 10);
    fclose(f);
    assert_true(kb > 0);
    return kb;
}

/* A prompt of BODY_BYTES whose answer stalls after its first events. */
static char *make_body(void)
{
    static const char words[] = "the quiet garden of the river in Lisbon ";
    struct buf b;

    buf_init(&b, BUF_UNLIMITED);
    buf_add_str(&b, "{\"model\":\"gpt-4o\",\"stream\":true,\"max_tokens\":40,\"messages\":[{\"role\":\"user\",\"content\":\""
                    "[[out=30]] [[fault=stall_after:900]] ");
    while (b.n < BODY_BYTES)
        buf_add_str(&b, words);
    buf_add_str(&b, "\"}]}");
    return buf_take(&b, NULL);
}

static void test_body__once_the_answer_has_begun__is_not_kept(void **state)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    (void)state;
    skip(); /* its allocator keeps what is freed */
#else
    struct client_async *calls[STREAMS];
    struct fixture f;
    char *body = make_body();
    int64_t before;

    (void)state;
    fixture_start(&f, NULL, FIXTURE_UPSTREAM);
    before = resident_kb(process_pid(f.daemon));
    for (int i = 0; i < STREAMS; i++) {
        calls[i] = fixture_chat_start(&f, body);
        assert_true(client_wait_body(calls[i], "data:", FIXTURE_TIMEOUT_MS));
    }
    /* the counters' own tables and one body that is being read are there, 24 bodies are not */
    assert_true(resident_kb(process_pid(f.daemon)) - before < STREAMS * BODY_BYTES / 1024 / 2);
    for (int i = 0; i < STREAMS; i++) {
        struct client_reply r;

        client_leave(calls[i]);
        r = client_finish(calls[i]);
        client_reply_release(&r);
    }
    free(body);
    fixture_assert_idle(&f);
    fixture_stop(&f);
#endif
}

/* Writes until the peer has taken nothing for 300 ms, or all is written. Returns how much was. */
static size_t put_what_goes(int fd, size_t most)
{
    static const char zeros[1 << 16];
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    size_t put = 0;

    while (put < most && poll(&p, 1, 300) == 1) {
        ssize_t n = send(fd, zeros, most - put < sizeof zeros ? most - put : sizeof zeros, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (n > 0)
            put += (size_t)n;
    }
    return put;
}

static size_t read_all(int fd, size_t most)
{
    static char piece[1 << 16];
    size_t got = 0;

    while (got < most) {
        ssize_t n = recv(fd, piece, most - got < sizeof piece ? most - got : sizeof piece, 0);

        if (n <= 0)
            break;
        got += (size_t)n;
    }
    return got;
}

struct flow {
    int fd;
    size_t left;
};

static void *write_rest(void *arg)
{
    static const char zeros[1 << 16];
    struct flow *it = arg;

    while (it->left > 0) {
        ssize_t n = send(it->fd, zeros, it->left < sizeof zeros ? it->left : sizeof zeros, MSG_NOSIGNAL);

        if (n <= 0)
            break;
        it->left -= (size_t)n;
    }
    return NULL;
}

enum { FLOW_BYTES = 50 << 20, FLOW_KEPT_KB = 4096 }; /* 256 KiB each way, and what the code itself touches */

/* Bytes go in at `from` and nobody takes them: they stay with their sender, and arrive when they are asked for. */
static void assert_held_back(const struct fixture *f, const char *what, int from, int to)
{
    int64_t before = resident_kb(process_pid(f->daemon)), kept;
    struct flow rest = {from, FLOW_BYTES};
    pthread_t thread;
    size_t put = put_what_goes(from, FLOW_BYTES);

    kept = resident_kb(process_pid(f->daemon)) - before;
    if (put >= FLOW_BYTES || kept >= FLOW_KEPT_KB)
        fail_msg("%s: %zu KiB went in, %" PRId64 " KiB are kept", what, put >> 10, kept);
    rest.left -= put;
    assert_int_equal(pthread_create(&thread, NULL, write_rest, &rest), 0);
    assert_int_equal(read_all(to, FLOW_BYTES), FLOW_BYTES);
    pthread_join(thread, NULL);
    assert_true(resident_kb(process_pid(f->daemon)) - before < FLOW_KEPT_KB);
}

static void read_head(int fd)
{
    char c[4] = {0};

    while (memcmp(c, "\r\n\r\n", 4) != 0) {
        memmove(c, c + 1, 3);
        assert_int_equal(recv(fd, c + 3, 1, 0), 1);
    }
}

static void test_50_mb__that_the_other_side_does_not_take__stay_with_their_sender(void **state)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    (void)state;
    skip();
#else
    static const char *const requests[] = {
        "GET /v1/files/f/content HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "POST /v1/files HTTP/1.1\r\nHost: localhost\r\nContent-Length: 52428800\r\n\r\n",
    };
    struct fixture f = {0};
    int listener = played_start(&f, "", "");

    (void)state;
    for (int uploads = 0; uploads < 2; uploads++) {
        int client = raw_connect(f.port), provider;

        raw_send_text(client, requests[uploads]);
        provider = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        assert_true(provider >= 0);
        read_head(provider);
        if (uploads) {
            assert_held_back(&f, "an upload", client, provider);
            raw_send_text(provider, "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n");
            read_head(client);
        } else {
            raw_send_text(provider, "HTTP/1.1 200 OK\r\nContent-Length: 52428800\r\nConnection: close\r\n\r\n");
            read_head(client);
            assert_held_back(&f, "an answer", provider, client);
        }
        close(client);
        close(provider);
    }
    fixture_assert_idle(&f);
    fixture_stop(&f);
    close(listener);
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_body__once_the_answer_has_begun__is_not_kept),
        cmocka_unit_test(test_50_mb__that_the_other_side_does_not_take__stay_with_their_sender),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
