/* drain: a daemon that is told to stop: what each call hears of it, in whatever state it is, and that the end
 * is clean. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <cjson/cJSON.h>

#include "fixture.h"
#include "metergate/base/clock.h"

#define CHAT(text, more)                                                                                     \
    "{\"model\":\"gpt-4o\",\"max_tokens\":20" more ",\"messages\":[{\"role\":\"user\",\"content\":\"" text   \
    "\"}]}"
#define STREAM ",\"stream\":true"

#define ONE_AT_A_TIME(drain) FIXTURE_UPSTREAM "drain: " drain "\nmodels:\n  gpt-4o: {concurrent: 1}\n"

static void assert_draining(struct client_reply r)
{
    assert_int_equal(r.status, 503);
    assert_int_equal(r.error, 0);
    assert_string_equal(client_header(&r, "Metergate-Refused"), "draining");
    assert_string_equal(client_header(&r, "Retry-After"), "1");
    assert_string_equal(client_header(&r, "x-should-retry"), "true");
    assert_string_equal(client_header(&r, "Connection"), "close");
    client_reply_release(&r);
}

static void assert_whole(struct client_reply r)
{
    assert_int_equal(r.status, 200);
    assert_int_equal(r.error, 0);
    client_reply_release(&r);
}

/* The daemon ends with 0, soon. */
static void assert_ends(struct fixture *f)
{
    assert_int_equal(process_wait_exit(f->daemon, FIXTURE_TIMEOUT_MS), 0);
    fixture_wait_log(f, 0, " stopped\n");
    fixture_sim_wait(f, "in_flight=0");
}

static void test_drain_of_0s__tells_who_has_nothing_yet_and_cuts_what_was_begun(void **state)
{
    struct client_async *sent, *held, *streaming;
    struct client_reply r;
    struct fixture f;

    (void)state;
    fixture_start(&f, NULL, ONE_AT_A_TIME("0s"));
    streaming = fixture_chat_start(&f, CHAT("hello [[fault=stall_after:900]]", STREAM));
    assert_true(client_wait_body(streaming, "data:", FIXTURE_TIMEOUT_MS));
    held = fixture_chat_start(&f, CHAT("hello", ""));
    fixture_wait_status(&f, "held", 1);
    sent = fixture_chat_start(&f, "{\"model\":\"gpt-3.5-turbo\",\"messages\":[{\"role\":\"user\",\"content\":"
                                  "\"hello [[fault=hold]]\"}]}");
    fixture_sim_wait(&f, "held=2"); /* the one that stalls is one of them */
    process_signal(f.daemon, SIGTERM);
    assert_draining(client_finish(held));
    assert_draining(client_finish(sent));
    r = client_finish(streaming);
    assert_int_equal(r.status, 200);
    assert_int_not_equal(r.error, 0); /* nobody takes half an answer for a whole one */
    client_reply_release(&r);
    assert_ends(&f);
    fixture_wait_log(&f, 0, "stopping with 2 calls cut");
    fixture_wait_log(&f, 0, "reason=the daemon stopped");
    fixture_stop(&f);
}

static void test_second_signal__ends_it_at_once(void **state)
{
    static const int second[] = {SIGTERM, SIGINT};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct client_async *sent;
        struct fixture f;

        fixture_start(&f, NULL, ONE_AT_A_TIME("1h"));
        sent = fixture_chat_start(&f, CHAT("hello [[fault=hold]]", ""));
        fixture_sim_wait(&f, "held=1");
        process_signal(f.daemon, SIGTERM);
        fixture_wait_log(&f, 0, "draining for up to 3600 s");
        process_signal(f.daemon, second[i]);
        assert_draining(client_finish(sent));
        assert_ends(&f);
        fixture_stop(&f);
    }
}

static void test_drain__answers_under_way_end_whole_and_their_connections_close(void **state)
{
    struct client_async *streaming;
    struct client_reply r;
    struct buf answer;
    struct fixture f;
    int idle, fd;

    (void)state;
    buf_init(&answer, BUF_UNLIMITED);
    fixture_start(&f, NULL, FIXTURE_UPSTREAM);
    idle = raw_connect(f.port);
    raw_send_text(idle, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_true(raw_read(idle, &answer, "ok\n", FIXTURE_TIMEOUT_MS) > 0);
    streaming = fixture_chat_start(&f, CHAT("hello [[out=50]] [[fault=event_ms:40]]", STREAM));
    assert_true(client_wait_body(streaming, "data:", FIXTURE_TIMEOUT_MS));
    fd = raw_connect(f.port); /* kept alive, its answer begun before the stop */
    raw_send_text(fd, "GET /v1/anything HTTP/1.1\r\nHost: localhost\r\nX-Simulator: 1\r\n\r\n");
    process_signal(f.daemon, SIGTERM);
    assert_true(raw_read(idle, &answer, NULL, FIXTURE_TIMEOUT_MS) >= 0); /* closed, half a second later */
    r = fixture_call(&f, "GET", "/healthz", NULL);
    assert_int_equal(r.status, 200);
    client_reply_release(&r);
    r = fixture_call(&f, "GET", "/readyz", NULL);
    assert_int_equal(r.status, 503);
    client_reply_release(&r);
    assert_draining(fixture_chat(&f, CHAT("hello", "")));
    assert_true(raw_read(fd, &answer, NULL, FIXTURE_TIMEOUT_MS) >= 0);
    r = client_finish(streaming);
    assert_int_equal(r.error, 0);
    assert_non_null(memmem(r.body.p, r.body.n, "data: [DONE]", 12));
    client_reply_release(&r);
    assert_ends(&f);
    close(idle);
    close(fd);
    buf_release(&answer);
    fixture_stop(&f);
}

#define HEAD(target, length)                                                                                 \
    "POST " target                                                                                           \
    " HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: " length "\r\n\r\n"

static void test_drain__call_whose_body_still_comes__is_told_when_it_is_there(void **state)
{
    struct client_async *going;
    struct buf answer;
    struct fixture f;
    int fd;

    (void)state;
    buf_init(&answer, BUF_UNLIMITED);
    fixture_start(&f, NULL, FIXTURE_UPSTREAM);
    going = fixture_chat_start(&f, CHAT("hello [[fault=hold]]", ""));
    fixture_sim_wait(&f, "held=1");
    fd = raw_connect(f.port);
    raw_send_text(fd, HEAD("/v1/chat/completions", "32") "{\"model\":\"gpt-4o\",");
    fixture_wait_status(&f, "totals.calls", 2);
    process_signal(f.daemon, SIGTERM);
    fixture_wait_log(&f, 0, "draining");
    raw_send_text(fd, "\"messages\":[]}");
    assert_true(raw_read(fd, &answer, NULL, FIXTURE_TIMEOUT_MS) >
                0); /* to the end: the connection is closed */
    assert_true(slice_starts(buf_slice(&answer), SLICE("HTTP/1.1 503 ")));
    assert_non_null(memmem(answer.p, answer.n, "draining", 8));
    fixture_sim_post(&f, "/_sim/release", NULL);
    assert_whole(client_finish(going));
    assert_ends(&f);
    close(fd);
    buf_release(&answer);
    fixture_stop(&f);
}

static void test_drain__upload_that_passes_through__ends(void **state)
{
    struct buf answer;
    struct fixture f;
    int fd;

    (void)state;
    buf_init(&answer, BUF_UNLIMITED);
    fixture_start(&f, NULL, FIXTURE_UPSTREAM);
    fd = raw_connect(f.port);
    raw_send_text(fd, HEAD("/v1/files", "20") "0123456789");
    fixture_wait_status(&f, "in_flight", 1);
    process_signal(f.daemon, SIGTERM);
    fixture_wait_log(&f, 0, "draining");
    raw_send_text(fd, "0123456789");
    assert_true(raw_read(fd, &answer, NULL, FIXTURE_TIMEOUT_MS) > 0);
    assert_true(slice_starts(buf_slice(&answer), SLICE("HTTP/1.1 200 ")));
    assert_non_null(memmem(answer.p, answer.n, "\"bytes\":20", 10));
    assert_ends(&f);
    close(fd);
    buf_release(&answer);
    fixture_stop(&f);
}

/* One who never reads, one who never sends the rest, one who sends nothing: none of them holds the stop up.
 */
static void test_drain__clients_that_do_nothing__are_cut_when_its_time_is_over(void **state)
{
    struct client_reply r;
    struct fixture f;
    int deaf, slow, mute, half;

    (void)state;
    fixture_start(&f, NULL, FIXTURE_UPSTREAM "drain: 300ms\n");
    deaf = raw_connect(f.port);
    raw_send_text(deaf, "GET /v1/files/f/content?bytes=50000000 HTTP/1.1\r\nHost: localhost\r\n\r\n");
    slow = raw_connect(f.port);
    raw_send_text(slow, HEAD("/v1/chat/completions", "600") "{");
    half = raw_connect(f.port);
    raw_send_text(half, "POST /v1/chat/completions HTTP/1.1\r\nHo");
    mute = raw_connect(f.port);
    fixture_wait_status(&f, "totals.calls", 2);
    fixture_sim_wait(&f, "arrivals=1");
    process_signal(f.daemon, SIGTERM);
    r = fixture_call(&f, "GET", "/readyz", NULL);
    client_reply_release(&r);
    assert_ends(&f);
    fixture_wait_log(&f, 0, "stopping with 2 calls cut");
    close(deaf);
    close(slow);
    close(half);
    close(mute);
    fixture_stop(&f);
}

static void test_drain__call_that_a_worker_counts__ends_with_the_rest(void **state)
{
    const char *const debug[] = {"--log-level", "debug", NULL};
    char url[128];
    struct client_call call = {.url = url};
    struct client_async *counted;
    struct client_reply r;
    struct fixture f = {0};
    struct buf body;

    (void)state;
    buf_init(&body, BUF_UNLIMITED);
    buf_add_str(&body, "{\"model\":\"gpt-4o\",\"messages\":[{\"role\":\"user\",\"content\":\"");
    while (body.n < (size_t)12 << 20)
        buf_add_str(&body, "the quick brown fox jumps over ");
    buf_add_str(&body, "\"}]}");
    call.body = body.p;
    call.body_bytes = body.n;
    fixture_start_simulator(&f, NULL, NULL);
    fixture_start_daemon(&f, FIXTURE_UPSTREAM "drain: 0s\n", debug);
    snprintf(url, sizeof url, "%s/v1/chat/completions", f.url);
    counted = client_start(&call);
    fixture_wait_log(&f, 0, "receiving -> counting");
    process_signal(f.daemon, SIGTERM);
    r = client_finish(counted);
    client_reply_release(&r);
    assert_ends(&f);
    buf_release(&body);
    fixture_stop(&f);
}

static void test_drain__while_paused__holds_nobody(void **state)
{
    struct client_async *held;
    struct client_reply r;
    struct fixture f;

    (void)state;
    fixture_start(&f, NULL, FIXTURE_UPSTREAM);
    r = fixture_call(&f, "POST", "/-/pause", "");
    client_reply_release(&r);
    held = fixture_chat_start(&f, CHAT("hello", ""));
    fixture_wait_status(&f, "held", 1);
    process_signal(f.daemon, SIGTERM);
    assert_draining(client_finish(held));
    assert_ends(&f);
    fixture_stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_drain__answers_under_way_end_whole_and_their_connections_close),
        cmocka_unit_test(test_drain__call_whose_body_still_comes__is_told_when_it_is_there),
        cmocka_unit_test(test_drain__upload_that_passes_through__ends),
        cmocka_unit_test(test_drain_of_0s__tells_who_has_nothing_yet_and_cuts_what_was_begun),
        cmocka_unit_test(test_second_signal__ends_it_at_once),
        cmocka_unit_test(test_drain__clients_that_do_nothing__are_cut_when_its_time_is_over),
        cmocka_unit_test(test_drain__call_that_a_worker_counts__ends_with_the_rest),
        cmocka_unit_test(test_drain__while_paused__holds_nobody),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
