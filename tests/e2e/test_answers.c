/*
 * answers: what the clients of a provider see that is broken, or hostile, or no provider at all, row by row of the manual's
 * table, and that the call behind each gets its own answer.
 */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
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

#include "metergate/base/err.h"
#include "odd_answers.h"
#include "played.h"

#define MANUAL "docs/odd-answers.md"
#define OPTIONS ", retry: {attempts: 1}, timeout: {first_byte: 400ms, idle: 300ms}"
#define NEXT    "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnext"

static struct client_async *begin(const struct fixture *f, const char *method)
{
    char url[128];

    if (!method)
        return fixture_chat_start(f, PLAYED_CHAT);
    snprintf(url, sizeof url, "%s/v1/models", f->url);
    return client_start(&(struct client_call){.method = method, .url = url});
}

static int take(int listener, const char *method)
{
    struct buf request;
    int fd;

    if (!method)
        return played_take(listener);
    fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    assert_true(fd >= 0);
    buf_init(&request, BUF_UNLIMITED);
    assert_true(raw_read(fd, &request, "\r\n\r\n", FIXTURE_TIMEOUT_MS) > 0);
    buf_release(&request);
    return fd;
}

/* All of it, or until the daemon has closed: then the rest interests nobody. */
static void send_what_is_wanted(int fd, const char *p, size_t n)
{
    while (n) {
        ssize_t sent = send(fd, p, n, MSG_NOSIGNAL);

        if (sent <= 0)
            return;
        p += sent;
        n -= (size_t)sent;
    }
}

/* The next call: whether it came over `fd` (-1: closed already), and it must get its own answer wherever it came. */
static bool next_call_stays(const struct fixture *f, int listener, int fd)
{
    struct client_async *a = fixture_chat_start(f, PLAYED_CHAT);
    struct pollfd p[2] = {{.fd = listener, .events = POLLIN}, {.fd = fd, .events = POLLIN}};
    struct client_reply r;
    bool stays = false;
    int came = -1;

    while (came < 0) {
        char byte;

        assert_true(poll(p, 2, FIXTURE_TIMEOUT_MS) > 0);
        if (p[1].revents && recv(fd, &byte, 1, MSG_PEEK) <= 0)
            p[1].fd = -1; /* it was closed: the other will come */
        else if (p[1].revents)
            came = fd;
        else if (p[0].revents)
            came = played_take(listener);
    }
    stays = came == fd;
    if (stays) {
        struct buf request;

        buf_init(&request, BUF_UNLIMITED);
        assert_true(raw_read(fd, &request, "]}", FIXTURE_TIMEOUT_MS) > 0);
        buf_release(&request);
    }
    raw_send_text(came, NEXT);
    r = client_finish(a);
    if (r.status != 200 || r.error || strcmp(r.body.n ? r.body.p : "", "next") != 0)
        fail_msg("the call behind it got %d %s: %s", r.status, r.error_text, r.body.n ? r.body.p : "nothing");
    client_reply_release(&r);
    if (!stays)
        close(came);
    return stays;
}

static bool has_header(const struct odd_answer *row, const struct client_reply *r)
{
    const char *value = row->header ? client_header(r, row->header) : NULL;

    if (!row->header)
        return true;
    return row->value ? value && strcmp(value, row->value) == 0 : !value;
}

/* Says what is otherwise than the table says; true when nothing is. */
static bool is_as_told(const struct odd_answer *row, const struct client_reply *r, bool stays, bool in_pieces)
{
    const char *refused = client_header(r, "Metergate-Refused");
    bool ok = (row->cut || r->status == row->status) && (r->error != 0) == row->cut &&
              strcmp(refused ? refused : "", row->refused) == 0 &&
              (!row->body || strcmp(r->body.n ? r->body.p : "", row->body) == 0) && has_header(row, r) &&
              (in_pieces || stays == row->stays); /* what comes behind an answer may come before or after its end is seen */

    if (!ok)
        print_error("%s: status %d %s, %s, body \"%.60s\", %s%s, the connection %s\n", row->name, r->status,
                    refused ? refused : "", r->error ? r->error_text : "a clean end", r->body.n ? r->body.p : "",
                    row->header ? row->header : "", has_header(row, r) ? "" : " is otherwise", stays ? "stays" : "closes");
    return ok;
}

static bool check(const struct fixture *f, int listener, const struct odd_answer *row, size_t piece)
{
    struct client_async *a = begin(f, row->method);
    int fd = take(listener, row->method), one = 1;
    struct client_reply r;
    struct buf bytes;
    bool ok;

    assert_int_equal(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one), 0);
    buf_init(&bytes, BUF_UNLIMITED);
    odd_answer_write(row, &bytes);
    for (size_t at = 0; at < bytes.n; at += piece)
        send_what_is_wanted(fd, bytes.p + at, bytes.n - at < piece ? bytes.n - at : piece);
    buf_release(&bytes);
    if (row->end != ODD_WAITS) {
        played_end(fd, row->end == ODD_RESETS ? PLAYED_RESETS : PLAYED_CLOSES);
        fd = -1;
    }
    r = client_finish(a);
    ok = is_as_told(row, &r, next_call_stays(f, listener, fd), piece < SIZE_MAX);
    client_reply_release(&r);
    if (fd >= 0)
        close(fd);
    return ok;
}

static void check_all(bool in_pieces)
{
    struct fixture f = {0};
    int listener = played_start(&f, OPTIONS, ""), wrong = 0;

    for (size_t i = 0; i < odd_answers_count; i++)
        wrong += !check(&f, listener, &odd_answers[i], !in_pieces ? SIZE_MAX : odd_answers[i].times ? 1000 : 1);
    assert_int_equal(wrong, 0);
    fixture_assert_idle(&f);
    fixture_stop(&f);
    close(listener);
}

static void test_odd_answer__is_passed_refused_or_cut_as_the_table_says(void **state)
{
    (void)state;
    check_all(false);
}

static void test_odd_answer__in_pieces__is_read_all_the_same(void **state)
{
    (void)state;
    check_all(true);
}

/* ---- the table for people ---- */

static void print_row(const struct odd_answer *r, struct buf *out)
{
    if (r->chapter)
        buf_addf(out, "\n## %s\n| answer | its client sees | connection |\n|---|---|---|\n", r->chapter);
    if (r->cut)
        buf_addf(out, "| %s | cut", r->name);
    else
        buf_addf(out, "| %s | %d%s%s%s", r->name, r->status, r->refused[0] ? " `" : "", r->refused, r->refused[0] ? "`" : "");
    if (r->header)
        buf_addf(out, ", %s `%s%s%s`", r->value ? "with" : "without", r->header, r->value ? ": " : "",
                 r->value ? r->value : "");
    buf_addf(out, " | %s |\n", r->stays ? "stays" : "closes");
}

static void print_table(struct buf *out)
{
    for (size_t i = 0; i < odd_answers_count; i++)
        print_row(&odd_answers[i], out);
}

static void test_manual__has_the_same_table(void **state)
{
    FILE *file = fopen(MANUAL, "r");
    struct buf manual, table;
    char piece[4096];
    size_t n;

    (void)state;
    assert_non_null(file); /* run from the top of the tree */
    buf_init(&manual, BUF_UNLIMITED);
    buf_init(&table, BUF_UNLIMITED);
    while ((n = fread(piece, 1, sizeof piece, file)) > 0)
        buf_add(&manual, piece, n);
    fclose(file);
    print_table(&table);
    if (!memmem(manual.p, manual.n, table.p, table.n))
        fail_msg(MANUAL " has another table than `test_answers --table` prints");
    buf_release(&manual);
    buf_release(&table);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_odd_answer__is_passed_refused_or_cut_as_the_table_says),
        cmocka_unit_test(test_odd_answer__in_pieces__is_read_all_the_same),
        cmocka_unit_test(test_manual__has_the_same_table),
    };

    if (argc > 1 && strcmp(argv[1], "--table") == 0) {
        struct buf out;

        buf_init(&out, BUF_UNLIMITED);
        print_table(&out);
        fwrite(out.p, 1, out.n, stdout);
        buf_release(&out);
        return 0;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
