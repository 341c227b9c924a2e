/* faults: what a provider that misbehaves can make of a call, and what it cannot. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <poll.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>
#include <cjson/cJSON.h>

#include "metergate/base/clock.h"
#include "played.h"

#define CHAT(text) "{\"model\":\"gpt-4o\",\"max_tokens\":20,\"messages\":[{\"role\":\"user\",\"content\":\"" text "\"}]}"
#define TWO_ATTEMPTS                                                                                                        \
    "upstreams:\n"                                                                                                          \
    "  openai: {dialect: openai, base_url: $SIMULATOR/v1, counting: actual, retry: {attempts: 2}}\n"

static void test_retry_after_0__is_no_wait__and_uses_an_attempt_up(void **state)
{
    struct fixture f;
    struct client_reply r;

    (void)state;
    fixture_start(&f, NULL, TWO_ATTEMPTS);
    r = fixture_chat(&f, CHAT("hello [[fault=status:529,retry_after:0]]"));
    assert_int_equal(r.status, 529);
    assert_string_equal(client_header(&r, "Metergate-Attempts"), "2");
    client_reply_release(&r);
    fixture_assert_idle(&f);
    fixture_stop(&f);
}

static void test_tiny_waits__grow_when_they_do_not_help(void **state)
{
    struct fixture f;
    struct client_reply r;

    (void)state;
    fixture_start(&f, "{\"faults\":[{\"fault\":\"status:429,retry_after_ms:1\",\"next\":8}]}", TWO_ATTEMPTS);
    r = fixture_chat(&f, CHAT("hello"));
    assert_int_equal(r.status, 200);
    assert_string_equal(client_header(&r, "Metergate-Attempts"), "9");
    assert_true(r.head_us - r.start_us >= 510000); /* 2 + 4 + ... + 256 ms */
    client_reply_release(&r);
    fixture_assert_idle(&f);
    fixture_stop(&f);
}

/* ---- answers that are no answer, or only a part of one ------------------------------------------------------------- */

#define JSON_TYPE "Content-Type: application/json\r\n"
#define MORE_X    "x: 1234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890\r\n"
#define MORE_10X  MORE_X MORE_X MORE_X MORE_X MORE_X MORE_X MORE_X MORE_X MORE_X MORE_X

/* The connection stays open: nothing but the head can have told. */
static void test_head_that_nobody_should_believe__is_502_at_once(void **state)
{
    static const char *const heads[] = {
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\nContent-Length: 9\r\n\r\nshort",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\nContent-Length: 9\r\n\r\nshort",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
        "HTTP/1.1 200 OK\r\nno colon\r\nContent-Length: 2\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\n of nothing before\r\nContent-Length: 2\r\n\r\n{}",
    };
    struct fixture f = {0};
    int listener = played_start(&f, ", retry: {attempts: 1}", "");

    (void)state;
    for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++) {
        struct client_async *a = fixture_chat_start(&f, PLAYED_CHAT);
        int fd = played_take(listener);
        struct client_reply r;

        raw_send_text(fd, heads[i]);
        r = client_finish(a);
        if (r.status != 502)
            fail_msg("%s: status %d, %s", heads[i], r.status, r.error_text);
        assert_string_equal(client_header(&r, "Metergate-Refused"), "upstream-protocol");
        client_reply_release(&r);
        close(fd);
        fixture_assert_idle(&f);
    }
    fixture_stop(&f);
    close(listener);
}

static void test_odd_answer__is_502_or_read_with_care(void **state)
{
    static const struct {
        const char *answer;
        int status; /* 0: an unclean end */
        const char *body;
    } rows[] = {
        {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\n{}", 200, "{}"},
        {"HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\n{}", 200, "{}"},
        {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", 200, "{}"},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n", 0, NULL},
        {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
         "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", 200, "{}"},
        {"HTTP/1.1 204 No Content\r\n\r\n", 204, ""},
        {"HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\n{}", 204, ""},
        {"HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", 304, ""},
        {"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n", 302, ""},
        {"HTTP/1.1 200 OK\r\n" JSON_TYPE "Content-Length: 6\r\n\r\n{\"a\":1", 200, "{\"a\":1"},
        {"HTTP/1.1 200 OK\r\nX-Odd: a\001b\r\nContent-Length: 2\r\n\r\n{}", 200, "{}"},
        {"HTTP/1.1 200 OK\r\nX-Odd: a\rX-Smuggled: b\r\nContent-Length: 2\r\n\r\n{}", 200, "{}"},
        {"HTTP/1.1 200 OK\r\nX-Broken line: b\r\n: b\r\nContent-Length: 2\r\n\r\n{}", 200, "{}"},
        {"HTTP/1.1 200 OK\r\nX-Folded: a\r\n b\r\nContent-Length: 2\r\n\r\n{}", 200, "{}"},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n2\r\n{}\r\n0\r\nX-T: 1\r\n\r\n", 200, "{}"},
        {"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort", 0, NULL},
        {"HTTP/2 200\r\n\r\n", 502, NULL},
        {"SSH-2.0-OpenSSH_9.2\r\n", 502, NULL},
        {"<html>no HTTP at all</html>", 502, NULL},
        {"", 502, NULL},
    };
    static const char *const dropped[] = {"X-T", "X-Odd", "X-Smuggled", "X-Broken line"};
    struct fixture f = {0};
    int listener = played_start(&f, ", retry: {attempts: 1}", "");

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct client_async *a = fixture_chat_start(&f, PLAYED_CHAT);
        int fd = played_take(listener);
        struct client_reply r;

        raw_send_text(fd, rows[i].answer);
        close(fd);
        r = client_finish(a);
        if (rows[i].status == 0 ? r.error == 0 : r.error != 0 || r.status != rows[i].status)
            fail_msg("row %zu: status %d, %s", i, r.status, r.error ? r.error_text : "a clean end");
        if (rows[i].body && strcmp(r.body.n ? r.body.p : "", rows[i].body) != 0)
            fail_msg("row %zu: body %s", i, r.body.n ? r.body.p : "");
        if (r.status == 502)
            assert_string_equal(client_header(&r, "Metergate-Refused"), "upstream-protocol");
        assert_null(r.head.p ? memchr(r.head.p, 1, r.head.n) : NULL);
        for (size_t k = 0; k < sizeof dropped / sizeof dropped[0]; k++)
            assert_null(client_header(&r, dropped[k]));
        if (strstr(rows[i].answer, "X-Folded"))
            assert_string_equal(client_header(&r, "X-Folded"), "a b");
        client_reply_release(&r);
    }
    fixture_assert_idle(&f);
    fixture_stop(&f);
    close(listener);
}

static void test_heads_without_end__are_502(void **state)
{
    static const char begin[] = "HTTP/1.1 200 OK\r\n", interim[] = "HTTP/1.1 102 Processing\r\n\r\n";
    struct fixture f = {0};
    int listener = played_start(&f, ", retry: {attempts: 1}", "");
    struct client_reply r;
    struct buf b;

    (void)state;
    buf_init(&b, BUF_UNLIMITED);
    buf_add_str(&b, begin);
    for (int i = 0; i < 30; i++)
        buf_add_str(&b, MORE_10X);
    r = played_call(&f, listener, PLAYED_CHAT, b.p, b.n, PLAYED_CLOSES);
    assert_int_equal(r.status, 502);
    client_reply_release(&r);
    buf_reset(&b);
    buf_add_str(&b, begin);
    for (int i = 0; i < 2000; i++)
        buf_addf(&b, "x-many-%d: 1\r\n", i);
    buf_add_str(&b, "Content-Length: 0\r\n\r\n");
    r = played_call(&f, listener, PLAYED_CHAT, b.p, b.n, PLAYED_CLOSES);
    assert_int_equal(r.status, 502);
    client_reply_release(&r);
    buf_reset(&b);
    for (int i = 0; i < 200; i++)
        buf_add_str(&b, interim);
    r = played_call(&f, listener, PLAYED_CHAT, b.p, b.n, PLAYED_CLOSES);
    assert_int_equal(r.status, 502);
    client_reply_release(&r);
    buf_release(&b);
    fixture_assert_idle(&f);
    fixture_stop(&f);
    close(listener);
}

static void test_nul_in_a_head__is_502(void **state)
{
    static const char answer[] = "HTTP/1.1 200 OK\r\nX-Odd: a\0b\r\nContent-Length: 2\r\n\r\n{}";
    struct fixture f = {0};
    int listener = played_start(&f, ", retry: {attempts: 1}", "");
    struct client_reply r = played_call(&f, listener, PLAYED_CHAT, answer, sizeof answer - 1, PLAYED_CLOSES);

    (void)state;
    assert_int_equal(r.status, 502);
    assert_string_equal(client_header(&r, "Metergate-Refused"), "upstream-protocol");
    client_reply_release(&r);
    fixture_assert_idle(&f);
    fixture_stop(&f);
    close(listener);
}

/* ---- one client's answer is never another's ------------------------------------------------------------------------ */

#define GOOD "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood"
#define EVIL "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"

static void assert_body(struct client_reply r, const char *body)
{
    assert_int_equal(r.error, 0);
    assert_int_equal(r.status, 200);
    assert_string_equal(r.body.p, body);
    client_reply_release(&r);
}

/* What a provider says on a kept connection before it is asked belongs to nobody. */
static void test_bytes_on_a_kept_connection__are_not_the_next_calls_answer(void **state)
{
    static const char *const late[] = {EVIL, "{}", "HTTP/1.1 200 OK\r\nX: "};
    struct fixture f = {0};
    int listener = played_start(&f, "", "");

    (void)state;
    for (size_t i = 0; i < sizeof late / sizeof late[0]; i++) {
        struct client_async *a = fixture_chat_start(&f, PLAYED_CHAT);
        int kept = played_take(listener), fd;

        raw_send_text(kept, GOOD);
        assert_body(client_finish(a), "good");
        raw_send_text(kept, late[i]); /* both ends are on this machine: it has arrived when send returns */
        a = fixture_chat_start(&f, PLAYED_CHAT);
        fd = played_take(listener); /* a connection of its own */
        raw_send_text(fd, GOOD);
        assert_body(client_finish(a), "good");
        close(fd);
        close(kept);
    }
    fixture_assert_idle(&f);
    fixture_stop(&f);
    close(listener);
}

static void test_quiet_kept_connection__is_used_again(void **state)
{
    struct fixture f = {0};
    int listener = played_start(&f, "", ""), fd;
    struct client_async *a = fixture_chat_start(&f, PLAYED_CHAT);

    (void)state;
    fd = played_take(listener);
    for (int i = 0; i < 3; i++) {
        struct buf request;

        raw_send_text(fd, GOOD);
        assert_body(client_finish(a), "good");
        a = fixture_chat_start(&f, PLAYED_CHAT);
        buf_init(&request, BUF_UNLIMITED);
        assert_true(raw_read(fd, &request, "]}", FIXTURE_TIMEOUT_MS) > 0);
        buf_release(&request);
    }
    raw_send_text(fd, GOOD);
    assert_body(client_finish(a), "good");
    close(fd);
    fixture_assert_idle(&f);
    fixture_stop(&f);
    close(listener);
}

/* ---- waits that no provider means ---------------------------------------------------------------------------------- */

static int64_t cpu_us(const struct fixture *f)
{
    struct timespec t;
    clockid_t clock;

    assert_int_equal(clock_getcpuclockid(process_pid(f->daemon), &clock), 0);
    assert_int_equal(clock_gettime(clock, &t), 0);
    return (int64_t)t.tv_sec * CLOCK_S + t.tv_nsec / 1000;
}

/*
 * Each row is another model, because a wait that is read pauses its model. A wait is believed up to one day; what is no wait
 * is none, and the answer passes when the attempts are used up.
 */
static void test_absurd_retry_after__is_bounded_by_the_calls_deadline(void **state)
{
    static const struct {
        const char *header;
        const char *retry_after;
        bool refused;
    } rows[] = {
        {"Retry-After: 259200", "86400", true}, /* three days */
        {"Retry-After: 99999999999999999999999", "86400", true},
        {"Retry-After: Fri, 31 Dec 9999 23:59:59 GMT", "86400", true},
        {"retry-after-ms: 2500", "3", true},
        {"Retry-After: 10", "10", true},
        {"Retry-After: -5", "-5", false},
        {"Retry-After: NaN", "NaN", false},
        {"Retry-After: inf", "inf", false},
        {"Retry-After: 1e99", "1e99", false},
        {"Retry-After: 5, 7", "5, 7", false},
        {"Retry-After: Thu, 01 Jan 1970 00:00:00 GMT", "Thu, 01 Jan 1970 00:00:00 GMT", false},
    };
    struct fixture f = {0};
    int listener = played_start(&f, ", retry: {attempts: 1}", "queue: {max_wait: 2s}\n");
    int64_t cpu;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char answer[200], body[100];
        struct client_reply r;
        int n = snprintf(answer, sizeof answer, "HTTP/1.1 429 Slow Down\r\n%s\r\nContent-Length: 2\r\n\r\n{}", rows[i].header);

        snprintf(body, sizeof body, "{\"model\":\"odd-%zu\",\"max_tokens\":9,\"messages\":[]}", i);
        r = played_call(&f, listener, body, answer, (size_t)n, PLAYED_CLOSES);
        if (r.status != 429 || (client_header(&r, "Metergate-Refused") != NULL) != rows[i].refused)
            fail_msg("%s: %d, refused: %s", rows[i].header, r.status, rows[i].refused ? "no" : "yes");
        assert_string_equal(client_header(&r, "Retry-After"), rows[i].retry_after);
        if (rows[i].refused)
            assert_string_equal(client_header(&r, "Metergate-Refused"), "max-wait");
        client_reply_release(&r);
    }
    fixture_assert_idle(&f);
    cpu = cpu_us(&f);
    poll(NULL, 0, 200); /* a span to look at, not a wait for something */
    assert_true(cpu_us(&f) - cpu < 20000);
    fixture_stop(&f);
    close(listener);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_retry_after_0__is_no_wait__and_uses_an_attempt_up),
        cmocka_unit_test(test_tiny_waits__grow_when_they_do_not_help),
        cmocka_unit_test(test_head_that_nobody_should_believe__is_502_at_once),
        cmocka_unit_test(test_odd_answer__is_502_or_read_with_care),
        cmocka_unit_test(test_heads_without_end__are_502),
        cmocka_unit_test(test_nul_in_a_head__is_502),
        cmocka_unit_test(test_bytes_on_a_kept_connection__are_not_the_next_calls_answer),
        cmocka_unit_test(test_quiet_kept_connection__is_used_again),
        cmocka_unit_test(test_absurd_retry_after__is_bounded_by_the_calls_deadline),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
