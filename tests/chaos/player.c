/* player: `over` is set by leave() alone, which also closes the descriptor, notes the time, and what was not answered. */
#include "player.h"

#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "metergate/base/clock.h"
#include "socket.h"

#define NEVER       ((size_t)-1)
#define SEEN_BEHIND 16000

/* ---- what it will do ---- */

static size_t any_byte(struct rng *rng, size_t most)
{
    /* half of them near the start, where the heads are */
    return (size_t)rng_range(rng, 0, rng_chance(rng, 50) || most < 600 ? 600 : (int64_t)most);
}

static void draw_exit(struct player *p, bool calm)
{
    struct rng *r = &p->rng;

    p->exit_sent = p->exit_received = NEVER;
    p->exit = rng_chance(r, calm ? 30 : 60) ? (enum player_exit)rng_range(r, EXIT_CLOSE, EXIT_STOPS_READING) : EXIT_NONE;
    p->patient = calm && p->exit == EXIT_NONE;
    if (p->exit == EXIT_STOPS_READING || (p->exit != EXIT_NONE && rng_chance(r, 50)))
        p->exit_received = any_byte(r, 300000);
    else if (p->exit != EXIT_NONE && rng_chance(r, 60))
        p->exit_sent = any_byte(r, p->letters[0]->body.n + 300);
    else if (p->exit == EXIT_HALF) /* the usual case: all was sent */
        p->exit_sent = NEVER - 1;
}

static void draw_form(struct player *p)
{
    struct rng *r = &p->rng;

    p->form.minor = rng_chance(r, 85);
    p->form.chunked = p->form.minor && rng_chance(r, 30);
    p->form.expect = p->form.minor && rng_chance(r, 10);
    p->form.close = rng_chance(r, 10);
    if (p->form.minor && !p->form.close)
        p->n = (size_t)rng_range(r, 1, PLAYER_LETTERS);
    p->pipelined = !p->form.expect && rng_chance(r, 60);
}

/*
 * A client that leaves behind more than the receiving socket takes leaves unseen: its FIN waits behind bytes that nobody reads
 * while an earlier request of the connection is being answered.
 */
static void pick_letters(struct player *p, const struct letters *letters, bool calm)
{
    for (size_t i = 0; i < p->n; i++)
        do
            p->letters[i] = letters_pick(letters, &p->rng, calm);
        while (i > 0 && p->pipelined && !calm && p->letters[i]->body.n > SEEN_BEHIND);
}

/* Whoever sends slowly shall have sent it all in a quarter of a second or so. */
static void draw_step(struct player *p)
{
    size_t bytes = 0;

    for (size_t i = 0; i < p->n; i++)
        bytes += p->letters[i]->body.n;
    if (rng_chance(&p->rng, 25))
        p->step = bytes / 100 + (size_t)rng_range(&p->rng, 1, 100);
}

void player_init(struct player *p, int id, uint64_t seed, const struct letters *letters, const struct player_rules *rules,
                 struct rng *rng)
{
    *p = (struct player){.fd = -1, .id = id, .seed = seed, .n = 1, .rng = {rng_next(rng)}, .step = NEVER, .wait_at = NEVER, .form = {.id = id}};
    buf_init(&p->out, BUF_UNLIMITED);
    p->lost = rules->lost;
    p->ids = rules->ids;
    draw_form(p);
    pick_letters(p, letters, rules->calm);
    draw_step(p);
    draw_exit(p, rules->calm);
    p->start_us = rules->start_us + rng_range(&p->rng, 0, 100) * CLOCK_MS;
    p->patience_us = p->patient ? CLOCK_NEVER : p->start_us + rng_range(&p->rng, 1, rules->patience_us);
    reader_begin(&p->reader, strcmp(p->letters[0]->method, "HEAD") == 0);
}

void player_release(struct player *p)
{
    if (p->fd >= 0)
        socket_end(p->fd, true);
    p->fd = -1;
    buf_release(&p->out);
    reader_release(&p->reader);
}

/* ---- failing ---- */

void player_print(const struct player *p, FILE *out)
{
    static const char *const exits[] = {"stays", "closes", "resets", "half-closes", "stops reading"};

    fprintf(out, "  client %d %s%s%s%s: %zu of %zu bytes sent, %zu received, %zu of %zu answers%s:", p->id, exits[p->exit],
            p->patient ? ", patient" : "", p->form.minor ? "" : ", HTTP/1.0", p->pipelined ? ", pipelined" : "", p->sent, p->out.n,
            p->received, p->reading, p->n, p->over ? "" : ", not over");
    for (size_t i = 0; i < p->n; i++)
        fprintf(out, " %s %s (%zu bytes)", p->letters[i]->method, p->letters[i]->target, p->letters[i]->body.n);
    fprintf(out, ", left %s at %" PRId64 " ms\n", p->was_reset ? "by RST" : "by FIN", (p->left_us - p->start_us) / CLOCK_MS);
}

static bool alone;

void player_fails_alone(void)
{
    alone = true;
}

static void fail_player(const struct player *p, const char *what)
{
    const struct letter *l = p->letters[p->reading < p->n ? p->reading : p->n - 1];

    print_error("seed %" PRIu64 ", client %d, answer %zu of %zu: %s\n"
                "  %s %s HTTP/1.%d%s%s%s, status %d, %zu bytes of a body (%zu expected), %zu of %zu sent\n",
                p->seed, p->id, p->reading + 1, p->n, what, l->method, l->target, p->form.minor, p->form.chunked ? ", chunked" : "",
                p->form.expect ? ", Expect" : "", p->pipelined ? ", pipelined" : "", p->reader.status, p->reader.body.n,
                l->answer.n, p->sent, p->out.n);
    print_error("  %.*s\n", (int)(p->reader.body.n < 400 ? p->reader.body.n : 400), p->reader.body.n ? p->reader.body.p : "");
    if (alone)
        _exit(PLAYER_FAILED);
    fail();
}

/* ---- answers ---- */

/* What a proxy may say when its provider, or its client, does not do what it should. */
static bool is_excuse(int status)
{
    return status == 408 || status == 413 || status == 429 || status == 500 || status == 502 || status == 503 || status == 504;
}

static void judge(struct player *p)
{
    const struct letter *l = p->letters[p->reading];
    const struct reader *r = &p->reader;

    if (r->state == READER_BAD)
        fail_player(p, r->why);
    if (r->interims > 1 || (r->interims && !p->form.expect))
        fail_player(p, "100 Continue that was not asked for");
    if (r->status != l->status && (p->patient || !(is_excuse(r->status) || (p->lost && r->status == 404))))
        fail_player(p, "a status that cannot be");
    if (p->ids && l->to != LETTER_TO_DAEMON && r->id[0])
        buf_addf(p->ids, "%s\n", r->id);
    p->saw.answered += r->status == l->status;
    p->saw.refused += r->status != l->status && r->status < 500;
    p->saw.failed += r->status != l->status && r->status >= 500;
    if (r->status != l->status || l->any_body || strcmp(l->method, "HEAD") == 0)
        return;
    if (r->body.n != l->answer.n || (r->body.n && memcmp(r->body.p, l->answer.p, r->body.n) != 0))
        fail_player(p, "a whole answer that is not the right one");
}

/* By its own will, or because the stream ended. */
static void leave(struct player *p, bool reset, bool own, int64_t now_us)
{
    int64_t open = p->writing > p->reading ? (int64_t)(p->writing - p->reading) : 0;

    if (p->fd >= 0)
        socket_end(p->fd, reset);
    p->fd = -1;
    p->over = true;
    p->saw.left += own ? open : 0;
    p->saw.cut += own ? 0 : open;
    p->was_reset = reset;
    if (!p->left_us)
        p->left_us = now_us;
}

/* The stream ended. */
static void ended(struct player *p, bool reset, int64_t now_us)
{
    bool was_cut;

    if (!reset)
        reader_end(&p->reader);
    was_cut = p->reader.state != READER_WHOLE;
    if (!was_cut && p->reading < p->n)
        judge(p);
    if (was_cut && p->patient)
        fail_player(p, reset ? "the connection was reset" : "the connection was closed");
    if (!was_cut)
        p->reading++;
    leave(p, false, false, now_us);
}

/* Ready for the next answer; false when there is none to come. */
static bool next_answer(struct player *p)
{
    bool closes = p->reader.close;

    p->reading++;
    if (p->reading == p->n || closes)
        return false;
    reader_begin(&p->reader, strcmp(p->letters[p->reading]->method, "HEAD") == 0);
    return true;
}

static void read_bytes(struct player *p, const char *bytes, size_t n, int64_t now_us)
{
    p->received += n;
    while (n > 0) {
        size_t took = reader_feed(&p->reader, bytes, n);

        bytes += took;
        n -= took;
        if (p->reader.state != READER_WHOLE && p->reader.state != READER_BAD)
            return;
        judge(p);
        if (next_answer(p))
            continue;
        /* a refusal of half a HEAD may have a body: nobody knows its method yet, and the connection ends with it */
        if (n > 0 && !(p->reader.head_only && p->reader.status == 408))
            fail_player(p, "bytes after the last answer");
        leave(p, false, false, now_us);
        return;
    }
}

static void receive(struct player *p, int64_t now_us)
{
    char piece[65536];
    size_t most = p->exit_received == NEVER ? sizeof piece : p->exit_received - p->received;
    ssize_t n = recv(p->fd, piece, most && most < sizeof piece ? most : sizeof piece, 0);

    if (n > 0)
        read_bytes(p, piece, (size_t)n, now_us);
    else if (n == 0 || errno != EAGAIN)
        ended(p, n < 0, now_us);
}

/* ---- sending ---- */

static void write_next(struct player *p)
{
    size_t body;

    letter_write(p->letters[p->writing], &p->form, &p->rng, &p->out, &body);
    if (p->form.expect && body < p->out.n)
        p->wait_at = body;
    p->writing++;
}

/* A server that does not say 100 Continue is not waited for for ever (RFC 9110, 10.1.1). */
#define EXPECT_US (20 * CLOCK_MS)

static size_t may_send(const struct player *p, int64_t now_us)
{
    size_t n = p->out.n - p->sent;

    if (p->half || p->next_us > now_us)
        return 0;
    if (p->wait_at != NEVER && p->wait_at - p->sent < n)
        n = p->wait_at - p->sent;
    if (p->exit_sent < NEVER - 1 && p->exit_sent - p->sent < n)
        n = p->exit_sent - p->sent;
    return n < p->step ? n : p->step;
}

static void send_some(struct player *p, int64_t now_us)
{
    size_t n = may_send(p, now_us);
    ssize_t done = n ? send(p->fd, p->out.p + p->sent, n, MSG_NOSIGNAL) : 0;

    if (done > 0)
        p->sent += (size_t)done;
    else if (done < 0 && errno != EAGAIN)
        p->half = true; /* it no longer listens; there may be an answer to read */
    if (p->step != NEVER)
        p->next_us = now_us + rng_range(&p->rng, 0, 3) * CLOCK_MS;
    if (p->wait_at == p->sent)
        p->next_us = now_us + EXPECT_US;
}

/* ---- leaving ---- */

static bool wants_to_leave(const struct player *p)
{
    if (p->exit == EXIT_NONE || p->half || p->deaf)
        return false;
    return p->sent >= p->exit_sent || p->received >= p->exit_received ||
           (p->exit_sent == NEVER - 1 && p->writing == p->n && p->sent == p->out.n);
}

static void do_exit(struct player *p, int64_t now_us)
{
    switch (p->exit) {
    case EXIT_CLOSE:
    case EXIT_RESET:
        leave(p, p->exit == EXIT_RESET, true, now_us);
        break;
    case EXIT_HALF:
        shutdown(p->fd, SHUT_WR);
        p->half = true;
        break;
    case EXIT_STOPS_READING:
        p->deaf = true;
        break;
    case EXIT_NONE:
    default:
        break;
    }
}

/* ---- the loop's side ---- */

static void open_connection(struct player *p, int port, int64_t now_us)
{
    struct sockaddr_in addr = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int on = 1, small = 4096;

    p->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_true(p->fd >= 0);
    if (p->exit == EXIT_STOPS_READING)
        setsockopt(p->fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    if (connect(p->fd, (struct sockaddr *)&addr, sizeof addr) < 0 && errno != EINPROGRESS) {
        if (p->patient)
            fail_player(p, "cannot connect");
        leave(p, false, false, now_us);
        return;
    }
    setsockopt(p->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    do
        write_next(p);
    while (p->pipelined && p->writing < p->n);
}

void player_poll(const struct player *p, struct pollfd *fd, int64_t now_us, int64_t *wake_us)
{
    int64_t wake = p->fd < 0 ? p->start_us : p->patience_us;
    size_t n = p->fd < 0 ? 0 : may_send(p, now_us);

    *fd = (struct pollfd){.fd = p->fd};
    if (p->over)
        return;
    if (p->fd >= 0 && !p->half && p->next_us > now_us && p->next_us < wake)
        wake = p->next_us;
    if (wake < *wake_us)
        *wake_us = wake;
    fd->events = (short)((p->deaf ? 0 : POLLIN) | (n ? POLLOUT : 0));
    if (p->deaf) /* a hangup would wake us for nothing */
        fd->fd = n ? fd->fd : -1;
}

static void send_or_go_on(struct player *p, int64_t now_us)
{
    bool waited = p->wait_at != NEVER && p->sent == p->wait_at;

    if (waited && (p->reader.interims || p->next_us <= now_us)) {
        p->wait_at = NEVER;
        p->next_us = now_us;
    }
    if (!p->pipelined && p->writing < p->n && p->reading == p->writing)
        write_next(p);
    if (may_send(p, now_us))
        send_some(p, now_us);
}

void player_run(struct player *p, const struct pollfd *fd, int port, int64_t now_us)
{
    if (p->over)
        return;
    if (p->fd < 0) {
        if (p->start_us <= now_us)
            open_connection(p, port, now_us);
        return;
    }
    if (fd->revents & (POLLIN | POLLHUP | POLLERR) && !p->deaf)
        receive(p, now_us);
    if (!p->over)
        send_or_go_on(p, now_us);
    if (!p->over && wants_to_leave(p))
        do_exit(p, now_us);
    if (!p->over && p->patience_us <= now_us)
        leave(p, rng_chance(&p->rng, 50), true, now_us);
}
