/* events: what who watches is told, when, and that watching holds nobody up. */
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
#include "ledger_fixture.h"
#include "metergate/base/clock.h"
#include "metergate/base/slice.h"
#include "metergate/proxy/events.h"
#include "watcher.h"

#define CHAT(text)                                                                                           \
    "{\"model\":\"gpt-4o\",\"max_tokens\":20,\"messages\":[{\"role\":\"user\",\"content\":\"" text "\"}]}"

/* What a call to nowhere is answered: it ends at once, and is told of like any other. */
#define NOWHERE "/nowhere"

#define TOKEN "the-token-of-ana-0123456789"

static void assert_status(struct client_reply r, int status)
{
    if (r.status != status)
        fail_msg("%d instead of %d: %.*s", r.status, status, (int)r.body.n, r.body.n ? r.body.p : r.error_text);
    client_reply_release(&r);
}

static void test_events__tell_the_status_at_once_and_every_second(void **state)
{
    int64_t from;
    cJSON *first, *third, *asked;
    struct fixture f;
    struct watcher w;

    (void)state;
    fixture_start(&f, NULL, FIXTURE_UPSTREAM);
    watcher_start(&w, &f, "", "");
    watcher_wait(&w, "event: status\n", 1);
    from = clock_now_us();
    assert_true(slice_starts(buf_slice(&w.told), SLICE("HTTP/1.1 200 OK\r\n")));
    assert_non_null(strstr(w.told.p, "Content-Type: text/event-stream\r\n"));
    assert_non_null(strstr(w.told.p, "Cache-Control: no-store\r\n"));
    watcher_wait(&w, "\n\n", 4); /* retry, and three of them whole */
    assert_in_range(clock_now_us() - from, 1900000, 10000000);
    first = watcher_event(&w, "status", 0);
    third = watcher_event(&w, "status", 2);
    asked = fixture_status(&f);
    assert_true(json_number(third, "uptime_s") >= json_number(first, "uptime_s") + 1.9);
    assert_string_equal(json_text(third, "version"), json_text(asked, "version"));
    assert_int_equal(cJSON_GetArraySize(third), cJSON_GetArraySize(asked)); /* the same members */
    cJSON_Delete(first);
    cJSON_Delete(third);
    cJSON_Delete(asked);
    watcher_stop(&w);
    fixture_stop(&f);
}

/* Every line is one of the format's, and every event's data is one line of JSON. */
static void assert_well_formed(const struct watcher *w)
{
    const char *line = strstr(w->told.p, "\r\n\r\n");

    assert_non_null(line);
    for (line += 4; *line; line += strcspn(line, "\n") + 1) {
        size_t n = strcspn(line, "\n");

        assert_int_equal(line[n], '\n');
        if (slice_starts(slice_of(line, n), SLICE("data: "))) {
            cJSON *json = cJSON_ParseWithLength(line + 6, n - 6);

            assert_true(cJSON_IsObject(json));
            cJSON_Delete(json);
        } else if (n > 0 && strncmp(line, "event: ", 7) != 0 && strncmp(line, "id: mg-", 7) != 0 &&
                   strncmp(line, "retry: ", 7) != 0) {
            fail_msg("no line of the format: %.*s", (int)n, line);
        }
    }
}

static void test_events__a_call_that_ends__is_told_as_the_ledger_has_it(void **state)
{
    struct client_reply odd;
    cJSON *call, *kept;
    struct fixture f;
    struct watcher w;
    char path[64];

    (void)state;
    fixture_start(&f, NULL, LEDGER_STATE LEDGER_UPSTREAMS);
    watcher_start(&w, &f, "", "");
    watcher_wait(&w, "event: status\n", 1);
    assert_status(fixture_chat(&f, CHAT("hello")), 200);
    /* a name that would break a line, if anything could */
    odd = fixture_chat(&f, "{\"model\":\"gpt\\n\\nevent: status\\ndata: {}\\u2028\",\"messages\":[]}");
    assert_int_not_equal(odd.status, 0);
    client_reply_release(&odd);
    watcher_wait(&w, "event: call\n", 2);
    watcher_wait(&w, "event: status\n", 2);
    assert_well_formed(&w);
    call = watcher_event(&w, "call", 0);
    snprintf(path, sizeof path, "id: %s\nevent: call\n", json_text(call, "id"));
    assert_non_null(strstr(w.told.p, path));
    snprintf(path, sizeof path, "/-/calls/%s", json_text(call, "id"));
    kept = ledger_get(&f, path);
    assert_true(cJSON_Compare(call, kept, true));
    assert_string_equal(json_text(call, "outcome"), "completed");
    assert_int_equal(json_number(call, "status"), 200);
    cJSON_Delete(call);
    cJSON_Delete(kept);
    watcher_stop(&w);
    fixture_stop(&f);
}

static void test_events__without_a_ledger__are_told_all_the_same(void **state)
{
    cJSON *history, *recent, *call;
    struct fixture f;
    struct watcher w;

    (void)state;
    fixture_start(&f, NULL, FIXTURE_UPSTREAM);
    assert_status(fixture_chat(&f, CHAT("one")), 200);
    assert_status(fixture_call(&f, "GET", NOWHERE, NULL), 404);
    watcher_start(&w, &f, "?history=1", "");
    watcher_wait(&w, "event: recent\n", 1);
    watcher_wait(&w, "event: status\n", 2);
    assert_well_formed(&w);
    history = watcher_event(&w, "history", 0);
    assert_int_equal(json_number(history, "series.0.calls.59") + json_number(history, "series.0.calls.58"), 2);
    cJSON_Delete(history);
    recent = watcher_event(&w, "recent", 0);
    assert_int_equal(cJSON_GetArraySize(json_at(recent, "calls")), 2);
    assert_int_equal(json_number(recent, "calls.0.status"), 404); /* the latest first */
    assert_string_equal(json_text(recent, "calls.1.model"), "gpt-4o");
    assert_string_equal(json_text(recent, "calls.1.state"), "ended");
    assert_int_equal(watcher_count(&w, "event: call\n"), 0);
    assert_status(fixture_chat(&f, CHAT("two")), 200);
    watcher_wait(&w, "event: call\n", 1);
    call = watcher_event(&w, "call", 0);
    assert_string_equal(json_text(call, "outcome"), "completed");
    cJSON_Delete(call);
    cJSON_Delete(recent);
    watcher_stop(&w);
    fixture_stop(&f);
}

static void test_events__who_comes_back__is_told_what_it_missed(void **state)
{
    struct watcher w, again, stranger;
    char header[128];
    struct fixture f;
    cJSON *call;

    (void)state;
    fixture_start(&f, NULL, FIXTURE_UPSTREAM);
    watcher_start(&w, &f, "", "");
    watcher_wait(&w, "event: status\n", 1);
    assert_status(fixture_call(&f, "GET", NOWHERE "/1", NULL), 404);
    watcher_wait(&w, "event: call\n", 1);
    call = watcher_event(&w, "call", 0);
    snprintf(header, sizeof header, "Last-Event-ID: %s\r\n", json_text(call, "id"));
    cJSON_Delete(call);
    watcher_stop(&w);
    assert_status(fixture_call(&f, "GET", NOWHERE "/2", NULL), 404);
    assert_status(fixture_call(&f, "GET", NOWHERE "/3", NULL), 404);
    watcher_start(&again, &f, "", header);
    watcher_wait(&again, "event: status\n", 1);
    assert_int_equal(watcher_count(&again, "event: call\n"), 2);
    assert_true(strstr(again.told.p, "event: call\n") < strstr(again.told.p, "event: status\n"));
    watcher_start(&stranger, &f, "", "Last-Event-ID: mg-abcdef0-7\r\n"); /* of a run before */
    watcher_wait(&stranger, "event: status\n", 1);
    assert_int_equal(watcher_count(&stranger, "event: call\n"), 3);
    watcher_stop(&again);
    watcher_stop(&stranger);
    fixture_stop(&f);
}

static void test_events__odd_requests__are_answered_as_elsewhere(void **state)
{
    static const struct {
        const char *method, *path;
        int status;
    } rows[] = {
        {"POST", "/-/events", 405}, {"DELETE", "/-/events", 405},         {"GET", "/-/events?history=2", 400},
        {"GET", "/-/events?a=b", 400}, {"GET", "/-/events?history=%", 400}, {"HEAD", "/-/events", 200},
        {"GET", "/-/events/", 404},
    };
    struct fixture f;

    (void)state;
    fixture_start(&f, NULL, FIXTURE_UPSTREAM);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct client_reply r = fixture_call(&f, rows[i].method, rows[i].path, NULL);

        if (rows[i].status == 405)
            assert_string_equal(client_header(&r, "Allow"), "GET, HEAD");
        assert_status(r, rows[i].status);
    }
    fixture_stop(&f);
}

/* As many streams as there may be; each has been told something. */
static void start_all(struct watcher w[EVENTS_STREAMS_MAX], const struct fixture *f)
{
    for (int i = 0; i < EVENTS_STREAMS_MAX; i++)
        watcher_start(&w[i], f, "", "");
    for (int i = 0; i < EVENTS_STREAMS_MAX; i++)
        watcher_wait(&w[i], "event: status\n", 1);
}

static void stop_all(struct watcher w[EVENTS_STREAMS_MAX])
{
    for (int i = 0; i < EVENTS_STREAMS_MAX; i++)
        watcher_stop(&w[i]);
}

static void test_events__beyond_the_most_streams__are_refused_until_one_leaves(void **state)
{
    static struct watcher w[EVENTS_STREAMS_MAX];
    struct fixture f;
    struct watcher late;

    (void)state;
    fixture_start(&f, NULL, FIXTURE_UPSTREAM);
    start_all(w, &f);
    assert_status(fixture_call(&f, "GET", "/-/events", NULL), 503);
    stop_all(w);
    do { /* they are seen to have left one after the other */
        watcher_start(&late, &f, "", "");
        watcher_wait(&late, "HTTP/1.1 ", 1);
        if (strstr(late.told.p, "HTTP/1.1 200"))
            break;
        watcher_stop(&late);
    } while (true);
    watcher_wait(&late, "event: status\n", 1);
    watcher_stop(&late);
    fixture_stop(&f);
}

/* Calls that end at once, all on one connection: they make the daemon tell about a kilobyte each. */
static void end_calls(const struct fixture *f, int n)
{
    static const char request[] = "GET " NOWHERE " HTTP/1.1\r\nHost: localhost\r\n\r\n";
    int fd = raw_connect(f->port);

    for (int i = 0; i < n; i++) {
        struct buf answer;

        buf_init(&answer, BUF_UNLIMITED);
        raw_send_text(fd, request);
        assert_true(raw_read(fd, &answer, "}}", FIXTURE_TIMEOUT_MS) > 0);
        buf_release(&answer);
    }
    close(fd);
}

static void test_events__every_call_of_a_crowd_is_told_once(void **state)
{
    enum { CALLS = 1000 };
    struct fixture f;
    struct watcher w;

    (void)state;
    fixture_start(&f, NULL, FIXTURE_UPSTREAM);
    watcher_start(&w, &f, "", "");
    watcher_wait(&w, "event: status\n", 1);
    end_calls(&f, CALLS);
    watcher_wait(&w, "event: call\n", CALLS);
    for (int i = 1; i <= CALLS; i += 37) {
        char id[32];

        snprintf(id, sizeof id, "-%d\nevent: call\n", i);
        assert_int_equal(watcher_count(&w, id), 1);
    }
    watcher_wait(&w, "event: status\n", 2);
    assert_int_equal(watcher_count(&w, "event: call\n"), CALLS);
    watcher_stop(&w);
    fixture_stop(&f);
}

/* More than sockets and the daemon keep for one that does not read. */
#define CALLS_THAT_FILL 12000

static void test_events__who_does_not_read__misses_some_and_is_told_how_many(void **state)
{
    const char *line;
    struct fixture f;
    struct watcher w;
    long left_out;

    (void)state;
    fixture_start(&f, NULL, FIXTURE_UPSTREAM);
    watcher_start(&w, &f, "", "");
    watcher_wait(&w, "event: status\n", 1);
    end_calls(&f, CALLS_THAT_FILL);
    watcher_wait(&w, " events were left out\n\n", 1);
    line = strstr(w.told.p, "\n: ");
    assert_non_null(line);
    left_out = strtol(line + 3, NULL, 10);
    assert_in_range(left_out, 1, CALLS_THAT_FILL);
    watcher_wait(&w, "event: status\n", watcher_count(&w, "event: status\n") + 1); /* and it goes on */
    assert_in_range(watcher_count(&w, "event: call\n"), CALLS_THAT_FILL - left_out, CALLS_THAT_FILL - 1);
    watcher_stop(&w);
    fixture_stop(&f);
}

static void test_events__who_does_not_read__loses_its_place_to_one_who_wants_to_know(void **state)
{
    static struct watcher w[EVENTS_STREAMS_MAX];
    struct fixture f;
    struct watcher late;

    (void)state;
    fixture_start(&f, NULL, FIXTURE_UPSTREAM);
    start_all(w, &f);
    end_calls(&f, CALLS_THAT_FILL);
    watcher_start(&late, &f, "", "");
    watcher_wait(&late, "event: status\n", 1);
    watcher_stop(&late);
    stop_all(w);
    fixture_stop(&f);
}

static void test_drain__ends_streams_at_once_and_is_not_delayed_by_them(void **state)
{
    struct client_async *going, *watching;
    struct client_reply r;
    struct fixture f;
    char url[128];
    struct client_call call = {.url = url};

    (void)state;
    fixture_start(&f, NULL, FIXTURE_UPSTREAM "drain: 1h\n");
    snprintf(url, sizeof url, "%s/-/events", f.url);
    watching = client_start(&call);
    assert_true(client_wait_body(watching, "event: status\n", FIXTURE_TIMEOUT_MS));
    going = fixture_chat_start(&f, CHAT("hello [[fault=hold]]"));
    fixture_sim_wait(&f, "held=1");
    process_signal(f.daemon, SIGTERM);
    r = client_finish(watching); /* while the call still goes on */
    assert_int_equal(r.error, 0);
    client_reply_release(&r);
    assert_false(client_ended(going));
    assert_status(fixture_call(&f, "GET", "/-/events", NULL), 503);
    fixture_sim_post(&f, "/_sim/release", NULL);
    assert_status(client_finish(going), 200);
    assert_int_equal(process_wait_exit(f.daemon, FIXTURE_TIMEOUT_MS), 0);
    fixture_stop(&f);
}

static void test_drain__is_not_delayed_by_who_does_not_read(void **state)
{
    struct fixture f;
    struct watcher w;

    (void)state;
    fixture_start(&f, NULL, FIXTURE_UPSTREAM "drain: 1h\n");
    watcher_start(&w, &f, "", "");
    watcher_wait(&w, "event: status\n", 1);
    end_calls(&f, 12000);
    process_signal(f.daemon, SIGTERM);
    assert_int_equal(process_wait_exit(f.daemon, FIXTURE_TIMEOUT_MS), 0);
    watcher_stop(&w);
    fixture_stop(&f);
}

#define WITH_TOKEN FIXTURE_UPSTREAM "clients: {require_token: true, ana: {token: {env: METERGATE_TEST_TOKEN}}}\n"
#define OTHER_TOKEN FIXTURE_UPSTREAM "clients: {require_token: true, ana: {token: {env: METERGATE_TEST_OTHER}}}\n"

static void test_events__where_tokens_are_required__want_one_for_as_long_as_they_last(void **state)
{
    struct fixture f;
    struct watcher w, without;

    (void)state;
    setenv("METERGATE_TEST_TOKEN", TOKEN, 1);
    setenv("METERGATE_TEST_OTHER", "another-token-0123456789", 1);
    fixture_start(&f, NULL, WITH_TOKEN);
    watcher_start(&without, &f, "", "");
    watcher_wait_end(&without);
    assert_true(slice_starts(buf_slice(&without.told), SLICE("HTTP/1.1 401 ")));
    watcher_start(&w, &f, "", "Metergate-Token: " TOKEN "\r\n");
    watcher_wait(&w, "event: status\n", 2);
    fixture_write_config(&f, OTHER_TOKEN);
    process_signal(f.daemon, SIGHUP);
    fixture_wait_log(&f, 0, "reload: done");
    watcher_wait_end(&w);
    watcher_stop(&w);
    watcher_stop(&without);
    fixture_stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_events__tell_the_status_at_once_and_every_second),
        cmocka_unit_test(test_events__a_call_that_ends__is_told_as_the_ledger_has_it),
        cmocka_unit_test(test_events__without_a_ledger__are_told_all_the_same),
        cmocka_unit_test(test_events__who_comes_back__is_told_what_it_missed),
        cmocka_unit_test(test_events__odd_requests__are_answered_as_elsewhere),
        cmocka_unit_test(test_events__beyond_the_most_streams__are_refused_until_one_leaves),
        cmocka_unit_test(test_events__every_call_of_a_crowd_is_told_once),
        cmocka_unit_test(test_events__who_does_not_read__misses_some_and_is_told_how_many),
        cmocka_unit_test(test_events__who_does_not_read__loses_its_place_to_one_who_wants_to_know),
        cmocka_unit_test(test_drain__ends_streams_at_once_and_is_not_delayed_by_them),
        cmocka_unit_test(test_drain__is_not_delayed_by_who_does_not_read),
        cmocka_unit_test(test_events__where_tokens_are_required__want_one_for_as_long_as_they_last),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
