/*
 * handover: one daemon stops and the next one starts on the same listening sockets, as with metergate.socket: whoever has been let in is
 * answered, whoever has not waits for the next one, and nobody is refused or cut off.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "handover.h"
#include "metergate/base/clock.h"
#include "metergate/base/slice.h"
#include "metergate/net/front.h"
#include "metergate/net/listener.h"

#define BODY(text) "{\"model\":\"gpt-4o\",\"max_tokens\":20,\"messages\":[{\"role\":\"user\",\"content\":\"" text "\"}]}"

struct world {
    struct fixture f;
    int listening;
};

static void start_next(struct world *w)
{
    handover_start(&w->f, &w->listening, 1);
    fixture_wait_log(&w->f, 0, "ready, listening on 127.0.0.1:");
}

static void open_world(struct world *w, const char *yaml)
{
    struct net_addr where = {.len = sizeof where.sa};

    *w = (struct world){.listening = handover_listening("127.0.0.1:0")};
    assert_true(w->listening >= 0);
    assert_int_equal(getsockname(w->listening, (struct sockaddr *)&where.sa, &where.len), 0);
    w->f.port = net_addr_port(&where);
    snprintf(w->f.url, sizeof w->f.url, "http://127.0.0.1:%d", w->f.port);
    fixture_start_simulator(&w->f, NULL, NULL);
    fixture_write_config(&w->f, yaml);
    start_next(w);
}

static void stop_it(struct world *w)
{
    fixture_stop_daemon(&w->f);
    process_free(w->f.daemon);
    w->f.daemon = NULL;
}

static void close_world(struct world *w)
{
    fixture_stop(&w->f);
    close(w->listening);
}

static void request(struct buf *out, const char *body, const char *more)
{
    buf_addf(out,
             "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer sk-test\r\n%sContent-Type: "
             "application/json\r\nContent-Length: %zu\r\n\r\n%s",
             more, strlen(body), body);
}

static void send_call(int fd, const char *text, const char *more)
{
    struct buf out;

    buf_init(&out, BUF_UNLIMITED);
    request(&out, text, more);
    raw_send(fd, out.p, out.n);
    buf_release(&out);
}

/* Whether the answer that has come begins so; "" when the stream ended without any. */
static void expect_answer(int fd, const char *begins, const char *has)
{
    struct buf answer;

    buf_init(&answer, BUF_UNLIMITED);
    assert_true(raw_read(fd, &answer, NULL, FIXTURE_TIMEOUT_MS) >= 0);
    buf_add_char(&answer, '\0');
    if (strncmp(answer.p, begins, strlen(begins)) != 0 || !strstr(answer.p, has))
        fail_msg("got %s, not %s ... %s", answer.p, begins, has);
    buf_release(&answer);
}

/* ---- one stop ---- */

static void test_stop__with_sockets_of_a_manager__leaves_who_comes_to_the_next(void **state)
{
    struct client_async *going;
    struct client_reply r;
    struct world w;
    struct pollfd p = {.events = POLLIN};
    int late;

    (void)state;
    open_world(&w, FIXTURE_UPSTREAM);
    going = fixture_chat_start(&w.f, BODY("hello [[fault=hold]]"));
    fixture_sim_wait(&w.f, "held=1");
    process_signal(w.f.daemon, SIGTERM);
    fixture_wait_log(&w.f, 0, "draining for up to");
    late = raw_connect(w.f.port);
    send_call(late, BODY("hello"), "Connection: close\r\n");
    p.fd = late;
    assert_int_equal(poll(&p, 1, 700), 0); /* longer than what a connection without a request is waited for */
    fixture_sim_post(&w.f, "/_sim/release", NULL);
    r = client_finish(going);
    assert_int_equal(r.status, 200);
    client_reply_release(&r);
    assert_int_equal(process_wait_exit(w.f.daemon, FIXTURE_TIMEOUT_MS), 0);
    assert_int_equal(poll(&p, 1, 0), 0);
    process_free(w.f.daemon);
    start_next(&w);
    expect_answer(late, "HTTP/1.1 200 ", "");
    close(late);
    close_world(&w);
}

/* The daemon has accepted all connections that were made before: they are taken in their order. */
static void wait_accepted(struct world *w)
{
    struct client_reply r = fixture_call(&w->f, "GET", "/healthz", NULL);

    assert_int_equal(r.status, 200);
    client_reply_release(&r);
}

/*
 * What has come of the request when the daemon is told to stop: nothing, a part of its head, or an earlier one that was answered. The
 * rest comes while it drains. A machine that is too slow for what the daemon waits is no failure: then it is tried again.
 */
static bool told_when_it_comes(struct world *w, const char *before, const char *after)
{
    int fd = raw_connect(w->f.port);
    int64_t opened = clock_now_us();
    struct buf answer;
    bool told, late;

    buf_init(&answer, BUF_UNLIMITED);
    raw_send_text(fd, before);
    if (strstr(before, "\r\n\r\n"))
        assert_true(raw_read(fd, &answer, "ok\n", FIXTURE_TIMEOUT_MS) > 0);
    wait_accepted(w);
    buf_reset(&answer);
    process_signal(w->f.daemon, SIGTERM);
    fixture_wait_log(&w->f, 0, "draining for up to");
    raw_send_text(fd, after);
    late = clock_now_us() - opened > FRONT_LAST_CALL_US / 2;
    told = raw_read(fd, &answer, NULL, FIXTURE_TIMEOUT_MS) > 0;
    buf_add_char(&answer, '\0');
    told = told && strncmp(answer.p, "HTTP/1.1 503 ", 13) == 0 && strstr(answer.p, "Metergate-Refused: draining\r\n") &&
           strstr(answer.p, "Retry-After: 1\r\n");
    if (!told && !late)
        fail_msg("after %s it got %s", before, answer.p);
    buf_release(&answer);
    close(fd);
    assert_int_equal(process_wait_exit(w->f.daemon, FIXTURE_TIMEOUT_MS), 0);
    process_free(w->f.daemon);
    start_next(w);
    return told;
}

static void test_stop__a_connection_whose_request_is_on_its_way__is_told(void **state)
{
    static const char *const before[] = {"", "POST /v1/chat/completions HT", "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"};
    struct world w;
    struct buf whole;

    (void)state;
    buf_init(&whole, BUF_UNLIMITED);
    request(&whole, BODY("hello"), "");
    open_world(&w, FIXTURE_UPSTREAM);
    for (size_t i = 0; i < 3; i++) {
        const char *after = i == 1 ? whole.p + strlen(before[i]) : whole.p;
        int tries = 0;

        while (!told_when_it_comes(&w, before[i], after))
            assert_true(++tries < 20);
    }
    buf_release(&whole);
    close_world(&w);
}

static void test_stop__a_connection_that_sends_nothing__holds_it_up_for_half_a_second(void **state)
{
    struct world w;
    int64_t told;
    int fd;

    (void)state;
    open_world(&w, FIXTURE_UPSTREAM);
    fd = raw_connect(w.f.port);
    wait_accepted(&w);
    told = clock_now_us();
    process_signal(w.f.daemon, SIGTERM);
    expect_answer(fd, "", "");
    assert_int_equal(process_wait_exit(w.f.daemon, FIXTURE_TIMEOUT_MS), 0);
    assert_true(clock_now_us() - told < 30 * CLOCK_S); /* far from `drain`: the machine may be busy */
    close(fd);
    close_world(&w);
}

/* ---- restarts under load ---- */

enum { WORKERS = 8, RESTARTS = 4 };

struct load {
    struct world *w;
    bool keeps; /* the connection for the next call */
    const atomic_bool *stop;
    int answered, told;
    char wrong[400]; /* the first thing that must not happen; "" */
};

static int64_t content_length(const char *head)
{
    const char *at = strcasestr(head, "\r\nContent-Length:");
    int64_t n = -1;

    if (!at)
        return -1;
    at += strlen("\r\nContent-Length:");
    return slice_int64(slice_trim(slice_of(at, strcspn(at, "\r"))), &n) == 0 ? n : -1;
}

/* One whole answer into `answer`, as text; 0, or why not. */
static int read_whole(int fd, struct buf *answer)
{
    char piece[4096];

    for (;;) {
        const char *head_end;
        int64_t body;
        ssize_t n = recv(fd, piece, sizeof piece, 0);

        if (n <= 0)
            return n == 0 ? -ENODATA : -errno;
        if (answer->n)
            answer->n--; /* the NUL */
        buf_add(answer, piece, (size_t)n);
        buf_add_char(answer, '\0');
        head_end = strstr(answer->p, "\r\n\r\n");
        body = head_end ? content_length(answer->p) : -1;
        if (body >= 0 && (int64_t)answer->n - 1 - (head_end + 4 - answer->p) >= body)
            return 0;
        if (head_end && body < 0 && strstr(head_end, "\r\n0\r\n\r\n"))
            return 0;
    }
}

static int try_connect(int port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((in_port_t)port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd >= 0 && connect(fd, (const struct sockaddr *)&a, sizeof a) == 0)
        return fd;
    if (fd >= 0)
        close(fd);
    return -errno;
}

/* One call; the connection that is left for the next one, or -1. */
static int call_once(struct load *l, int fd, const struct buf *out)
{
    struct buf answer;
    int rc = 0;

    buf_init(&answer, BUF_UNLIMITED);
    if (fd < 0)
        fd = try_connect(l->w->f.port);
    if (fd < 0)
        rc = fd;
    else if (send(fd, out->p, out->n, MSG_NOSIGNAL) != (ssize_t)out->n)
        rc = -errno;
    else
        rc = read_whole(fd, &answer);
    if (rc < 0)
        snprintf(l->wrong, sizeof l->wrong, "%s after %zu bytes", strerror(-rc), answer.n);
    else if (strncmp(answer.p, "HTTP/1.1 200 ", 13) == 0)
        l->answered++;
    else if (strncmp(answer.p, "HTTP/1.1 503 ", 13) == 0 && strstr(answer.p, "Metergate-Refused: draining\r\n") &&
             strstr(answer.p, "Retry-After: 1\r\n"))
        l->told++;
    else
        snprintf(l->wrong, sizeof l->wrong, "%.390s", answer.p);
    if (fd >= 0 && (rc < 0 || !l->keeps || strcasestr(answer.p, "Connection: close\r\n"))) {
        close(fd);
        fd = -1;
    }
    buf_release(&answer);
    return fd;
}

static void *work(void *arg)
{
    struct load *l = arg;
    struct buf out;
    int fd = -1;

    buf_init(&out, BUF_UNLIMITED);
    request(&out, BODY("hello"), l->keeps ? "" : "Connection: close\r\n");
    while (!atomic_load(l->stop) && !l->wrong[0])
        fd = call_once(l, fd, &out);
    if (fd >= 0)
        close(fd);
    buf_release(&out);
    return NULL;
}

/* So many more calls have come to the simulator than when it was asked first. */
static void wait_calls(struct world *w, int *seen)
{
    char condition[32];

    *seen += 150;
    snprintf(condition, sizeof condition, "arrivals=%d", *seen);
    fixture_sim_wait(&w->f, condition);
}

static void test_restart__under_load__nobody_is_refused_or_reset(void **state)
{
    struct load loads[WORKERS];
    pthread_t threads[WORKERS];
    atomic_bool stop = false;
    int answered = 0, told = 0, seen = 0;
    struct world w;

    (void)state;
    open_world(&w, FIXTURE_UPSTREAM);
    for (int i = 0; i < WORKERS; i++) {
        loads[i] = (struct load){.w = &w, .keeps = i % 2, .stop = &stop};
        assert_int_equal(pthread_create(&threads[i], NULL, work, &loads[i]), 0);
    }
    for (int i = 0; i < RESTARTS; i++) {
        wait_calls(&w, &seen);
        stop_it(&w);
        start_next(&w);
    }
    wait_calls(&w, &seen);
    atomic_store(&stop, true);
    for (int i = 0; i < WORKERS; i++) {
        pthread_join(threads[i], NULL);
        if (loads[i].wrong[0])
            fail_msg("client %d after %d answers: %s", i, loads[i].answered, loads[i].wrong);
        answered += loads[i].answered;
        told += loads[i].told;
    }
    print_message("%d calls answered, %d told to come again, over %d restarts\n", answered, told, RESTARTS);
    assert_true(answered >= seen - WORKERS * RESTARTS);
    close_world(&w);
}

static int all_tests(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stop__with_sockets_of_a_manager__leaves_who_comes_to_the_next),
        cmocka_unit_test(test_stop__a_connection_whose_request_is_on_its_way__is_told),
        cmocka_unit_test(test_stop__a_connection_that_sends_nothing__holds_it_up_for_half_a_second),
        cmocka_unit_test(test_restart__under_load__nobody_is_refused_or_reset),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(int argc, char **argv)
{
    return handover_is_launcher(argc, argv) ? handover_launch(argv) : all_tests();
}
