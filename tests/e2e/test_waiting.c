/* waiting: what a client sees, and may do, while its call is held. One call that the provider keeps is in
 * everybody's way (concurrent: 1); who goes next is told by the provider's own log. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cjson/cJSON.h>
#include <cmocka.h>

#include "fixture.h"

#define CHAT(text)                                                                                           \
    "{\"model\":\"gpt-4o\",\"max_tokens\":20,\"messages\":[{\"role\":\"user\",\"content\":\"" text "\"}]}"
#define ONE_AT_A_TIME FIXTURE_UPSTREAM "models:\n  gpt-4o: {concurrent: 1}\n"

/* The first call stands at the provider until it is let go. */
static struct client_async *stand_in_the_way(struct fixture *f, const char *yaml)
{
    struct client_async *first;

    fixture_start(f, "{\"faults\":[{\"fault\":\"hold\",\"next\":1}]}", yaml);
    first = fixture_chat_start(f, CHAT("in the way"));
    fixture_sim_wait(f, "held=1");
    return first;
}

static void let_go(struct fixture *f, struct client_async *first)
{
    struct client_reply r;

    fixture_sim_post(f, "/_sim/release", NULL);
    r = client_finish(first);
    assert_int_equal(r.status, 200);
    client_reply_release(&r);
}

static void end_well(struct client_async *a)
{
    struct client_reply r = client_finish(a);

    assert_int_equal(r.status, 200);
    client_reply_release(&r);
}

/* Closes the connection and waits until the daemon has noticed: it is the first of this test that does. */
static void leave(const struct fixture *f, struct client_async *a)
{
    struct client_reply r;

    client_leave(a);
    r = client_finish(a);
    client_reply_release(&r);
    fixture_wait_status(f, "totals.cancelled", 1);
}

/* A call with headers of its own ("A: b" each, NULL at the end). */
static struct client_async *start_with(const struct fixture *f, const char *body, const char *const *headers)
{
    char url[128];

    snprintf(url, sizeof url, "%s/v1/chat/completions", f->url);
    return client_start(&(struct client_call){.url = url, .headers = headers, .body = body});
}

/* ---- 102 ---- */

static int ask_raw(const struct fixture *f, const char *headers, const char *version)
{
    const char *body = CHAT("held");
    char request[800];
    int fd = raw_connect(f->port);

    snprintf(request, sizeof request,
             "POST /v1/chat/completions HTTP/%s\r\nHost: localhost\r\n%sContent-Length: %zu\r\n\r\n%s",
             version, headers, strlen(body), body);
    raw_send_text(fd, request);
    return fd;
}

static void test_held_call__is_told_that_it_is_alive__and_nobody_else_is(void **state)
{
    static const char *const silent[] = {
        "User-Agent: python-requests/2.31\r\n",
        "User-Agent: curl/8.1\r\nVia: 1.1 proxy\r\n",
        "",
    };
    int told, fds[MG_ARRAY_LEN(silent) + 1];
    struct client_async *first;
    struct fixture f;
    struct buf b;

    (void)state;
    first =
        stand_in_the_way(&f, FIXTURE_UPSTREAM "queue: {keepalive: 20ms, keepalive_agents: [\"python-*\"]}\n"
                                              "models:\n  gpt-4o: {concurrent: 1}\n");
    for (size_t i = 0; i < MG_ARRAY_LEN(silent); i++)
        fds[i] = ask_raw(&f, silent[i], "1.1");
    fds[MG_ARRAY_LEN(silent)] = ask_raw(&f, "User-Agent: curl/8.1\r\n", "1.0");
    told = ask_raw(&f, "User-Agent: curl/8.1\r\n", "1.1");
    buf_init(&b, BUF_UNLIMITED);
    for (int i = 0; i < 3; i++) {
        assert_true(raw_read(told, &b, "HTTP/1.1 102 Processing\r\n\r\n", FIXTURE_TIMEOUT_MS) > 0);
        assert_string_equal(b.p, "HTTP/1.1 102 Processing\r\n\r\n");
        buf_reset(&b);
    }
    let_go(&f, first);
    assert_true(raw_read(told, &b, "\"usage\"", FIXTURE_TIMEOUT_MS) > 0);
    assert_non_null(strstr(b.p, "HTTP/1.1 200 OK\r\n"));
    close(told);
    for (size_t i = 0; i < MG_ARRAY_LEN(fds); i++) {
        buf_reset(&b);
        assert_true(raw_read(fds[i], &b, "\"usage\"", FIXTURE_TIMEOUT_MS) > 0);
        assert_memory_equal(b.p, "HTTP/1.1 200 OK\r\n", 17);
        close(fds[i]);
    }
    buf_release(&b);
    fixture_assert_idle(&f);
    fixture_stop(&f);
}

/* libcurl skips them; the connection and the answer are as ever. */
static void test_told_call__may_still_get_any_status(void **state)
{
    static const char *const agent[] = {"User-Agent: curl/7.88.1", NULL};
    struct client_async *first, *held;
    struct client_reply r;
    struct fixture f;

    (void)state;
    first = stand_in_the_way(&f, FIXTURE_UPSTREAM
                             "queue: {keepalive: 20ms}\nmodels:\n  gpt-4o: {concurrent: 1}\n");
    held = start_with(&f, CHAT("[[fault=status:418]]"), agent);
    fixture_wait_status(&f, "held", 1);
    for (bool seen = false; !seen;) {
        char url[96];

        snprintf(url, sizeof url, "%s/metrics", f.url);
        r = client_run(&(struct client_call){.url = url});
        seen = !strstr(r.body.p, "metergate_interim_responses_total 0\n");
        client_reply_release(&r);
    }
    let_go(&f, first);
    r = client_finish(held);
    assert_int_equal(r.status, 418);
    assert_true(r.heads > 1);
    client_reply_release(&r);
    fixture_assert_idle(&f);
    fixture_stop(&f);
}

/* ---- places ---- */

/* The order in which the provider saw these texts, by the sizes of their bodies (all different). */
static void assert_order(const struct fixture *f, const char *const *bodies, size_t n)
{
    struct cJSON *audit = fixture_audit(f);
    const struct cJSON *list = json_at(audit, "models.gpt-4o.list");

    assert_int_equal(cJSON_GetArraySize(list), n);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(json_number(cJSON_GetArrayItem(list, (int)i), "bytes"), strlen(bodies[i]));
    cJSON_Delete(audit);
}

static void test_client_that_comes_back__goes_on_at_its_place(void **state)
{
    const char *const bodies[] = {CHAT("in the way"), CHAT("leaves and comes back"), CHAT("in between")};
    struct client_async *first, *leaving, *between, *back;
    struct fixture f;

    (void)state;
    first = stand_in_the_way(&f, ONE_AT_A_TIME);
    leaving = fixture_chat_start(&f, bodies[1]);
    fixture_wait_status(&f, "held", 1);
    between = fixture_chat_start(&f, bodies[2]);
    fixture_wait_status(&f, "held", 2);
    leave(&f, leaving);
    back = fixture_chat_start(&f, bodies[1]);
    fixture_wait_status(&f, "held", 2);
    let_go(&f, first);
    end_well(back);
    end_well(between);
    assert_order(&f, bodies, MG_ARRAY_LEN(bodies));
    fixture_assert_idle(&f);
    fixture_stop(&f);
}

/* Neither another body, nor another client's same one, nor a second time. */
static void test_place__is_for_the_same_call_and_once(void **state)
{
    static const char *const other[] = {"Metergate-Client: other", NULL};
    const char *const bodies[] = {CHAT("in the way"), CHAT("between"), CHAT("the same"), CHAT("the same")};
    struct client_async *first, *leaving, *between, *a, *b;
    struct fixture f;

    (void)state;
    first = stand_in_the_way(&f, ONE_AT_A_TIME);
    leaving = fixture_chat_start(&f, bodies[2]);
    fixture_wait_status(&f, "held", 1);
    between = fixture_chat_start(&f, bodies[1]);
    fixture_wait_status(&f, "held", 2);
    leave(&f, leaving);
    a = start_with(&f, bodies[2], other);
    fixture_wait_status(&f, "held", 2);
    let_go(&f, first);
    end_well(between);
    end_well(a);
    b = fixture_chat_start(&f, bodies[3]); /* and the place that nobody came back to is in nobody's way */
    end_well(b);
    assert_order(&f, bodies, MG_ARRAY_LEN(bodies));
    fixture_assert_idle(&f);
    fixture_stop(&f);
}

/* Who finds the queue full when it comes back has not had its place yet. */
static void test_place__outlives_a_full_queue(void **state)
{
    const char *const bodies[] = {CHAT("in the way"), CHAT("leaves and comes back"), CHAT("in between")};
    struct client_async *first, *leaving, *between, *filling, *back;
    struct client_reply r;
    struct fixture f;

    (void)state;
    first = stand_in_the_way(&f, FIXTURE_UPSTREAM
                             "queue: {max_requests: 2}\nmodels:\n  gpt-4o: {concurrent: 1}\n");
    leaving = fixture_chat_start(&f, bodies[1]);
    fixture_wait_status(&f, "held", 1);
    between = fixture_chat_start(&f, bodies[2]);
    fixture_wait_status(&f, "held", 2);
    leave(&f, leaving);
    filling = fixture_chat_start(&f, CHAT("fills the queue"));
    fixture_wait_status(&f, "held", 2);
    r = fixture_chat(&f, bodies[1]);
    assert_int_equal(r.status, 429);
    assert_string_equal(client_header(&r, "Metergate-Refused"), "queue-full");
    client_reply_release(&r);
    client_leave(filling);
    r = client_finish(filling);
    client_reply_release(&r);
    fixture_wait_status(&f, "held", 1);
    back = fixture_chat_start(&f, bodies[1]);
    fixture_wait_status(&f, "held", 2);
    let_go(&f, first);
    end_well(back);
    end_well(between);
    assert_order(&f, bodies, MG_ARRAY_LEN(bodies));
    fixture_assert_idle(&f);
    fixture_stop(&f);
}

/* ---- the client's own timer ---- */

static void test_timer_of_the_client__is_answered_before_it_fires__and_the_place_is_kept(void **state)
{
    static const char *const js[] = {"x-stainless-lang: js", "x-stainless-timeout: 1", NULL};
    const char *const bodies[] = {CHAT("in the way"), CHAT("in a hurry"), CHAT("between")};
    struct client_async *first, *hurried, *between, *back;
    struct client_reply r;
    struct cJSON *json;
    struct fixture f;

    (void)state;
    first = stand_in_the_way(&f, ONE_AT_A_TIME);
    hurried = start_with(&f, bodies[1], js);
    fixture_wait_status(&f, "held", 1);
    between = fixture_chat_start(&f, bodies[2]);
    r = client_finish(hurried);
    assert_int_equal(r.status, 429);
    assert_string_equal(client_header(&r, "Metergate-Refused"), "max-wait");
    assert_string_equal(client_header(&r, "Retry-After"), "1");
    assert_true(r.head_us - r.start_us < 1000000);
    json = client_json(&r);
    assert_string_equal(json_text(json, "error.type"), "requests"); /* concurrent is what binds */
    cJSON_Delete(json);
    client_reply_release(&r);
    fixture_wait_status(&f, "held", 1);
    back = start_with(&f, bodies[1], NULL);
    fixture_wait_status(&f, "held", 2);
    let_go(&f, first);
    end_well(back);
    end_well(between);
    assert_order(&f, bodies, MG_ARRAY_LEN(bodies));
    fixture_assert_idle(&f);
    fixture_stop(&f);
}

/* ---- deadlines ---- */

/* The provider's own words for the kind of limit: SDKs and people look for them. */
static void test_refusal_for_the_wait__names_the_limit_that_binds(void **state)
{
    static const struct {
        const char *models, *type, *words;
    } rows[] = {
        {"models:\n  gpt-4o: {rpm: {max: 1, per: 1h}}\n", "requests", " on requests per min (RPM). "},
        {"models:\n  gpt-4o: {tpm: {max: 60, per: 1h}}\n", "tokens", " on tokens per min (TPM). "},
    };
    static const char *const soon[] = {"Metergate-Max-Wait: 5", NULL};

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++) {
        struct client_reply r;
        struct fixture f;
        struct cJSON *json;
        char yaml[300];

        snprintf(yaml, sizeof yaml, "headroom: 0%%\n%s%s", FIXTURE_UPSTREAM, rows[i].models);
        fixture_start(&f, NULL, yaml);
        end_well(fixture_chat_start(&f, CHAT("first [[out=20]]")));
        r = client_finish(start_with(&f, CHAT("second [[out=20]]"), soon));
        assert_int_equal(r.status, 429);
        assert_string_equal(client_header(&r, "Metergate-Refused"), "max-wait");
        assert_true(strtol(client_header(&r, "Retry-After"), NULL, 10) > 3000);
        json = client_json(&r);
        assert_string_equal(json_text(json, "error.type"), rows[i].type);
        if (!strstr(json_text(json, "error.message"), rows[i].words))
            fail_msg("%s", json_text(json, "error.message"));
        cJSON_Delete(json);
        client_reply_release(&r);
        fixture_assert_idle(&f);
        fixture_stop(&f);
    }
}

/* A call of `wait` that must be refused for it; returns its Retry-After. */
static long refused_for_the_wait(const struct fixture *f, const char *body, const char *wait)
{
    const char *const headers[] = {wait, NULL};
    struct client_reply r = client_finish(start_with(f, body, headers));
    long retry_after_s;

    assert_int_equal(r.status, 429);
    assert_string_equal(client_header(&r, "Metergate-Refused"), "max-wait");
    retry_after_s = strtol(client_header(&r, "Retry-After"), NULL, 10);
    client_reply_release(&r);
    return retry_after_s;
}

/* Both the call that the provider refused and one that comes while the model is paused, which is up to a second longer. */
static void test_paused_model__is_told_as_long_as_the_provider_named(void **state)
{
    struct fixture f;

    (void)state;
    fixture_start(&f, "{\"faults\":[{\"fault\":\"status:429,retry_after:1800\",\"next\":1}]}",
                  FIXTURE_UPSTREAM "models:\n  gpt-4o: {concurrent: 1}\n");
    assert_in_range(refused_for_the_wait(&f, CHAT("first"), "Metergate-Max-Wait: 5"), 1790, 1800);
    assert_in_range(refused_for_the_wait(&f, CHAT("second"), "Metergate-Max-Wait: 5"), 1790, 1801);
    fixture_assert_idle(&f);
    fixture_stop(&f);
}

/* The second call's deadline is the clock: when it has passed, 700 ms of the first one's 1500 are gone. */
static void test_max_wait__counts_from_the_arrival_that_was_kept(void **state)
{
    static const char *const wait[] = {"Metergate-Max-Wait: 1500ms", NULL};
    struct client_async *first, *leaving;
    struct client_reply r;
    struct fixture f;

    (void)state;
    first = stand_in_the_way(&f, ONE_AT_A_TIME);
    leaving = start_with(&f, CHAT("comes back"), wait);
    fixture_wait_status(&f, "held", 1);
    (void)refused_for_the_wait(&f, CHAT("a clock"), "Metergate-Max-Wait: 700ms");
    leave(&f, leaving);
    r = client_finish(start_with(&f, CHAT("comes back"), wait));
    assert_int_equal(r.status, 429);
    assert_string_equal(client_header(&r, "Metergate-Refused"), "max-wait");
    assert_true(r.head_us - r.start_us < 1300000);
    client_reply_release(&r);
    let_go(&f, first);
    fixture_assert_idle(&f);
    fixture_stop(&f);
}

/* ---- bounds ---- */

static void test_queue__is_bounded_by_bytes__and_one_client_has_80_percent(void **state)
{
    static const char *const ana[] = {"Metergate-Client: ana", NULL}, *const bo[] = {"Metergate-Client: bo",
                                                                                     NULL};
    struct client_async *first, *a, *b;
    struct client_reply r;
    struct fixture f;
    char text[1200], body[1400];

    (void)state;
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    snprintf(body, sizeof body, CHAT("%s"), text); /* 1,283 bytes */
    first = stand_in_the_way(&f, FIXTURE_UPSTREAM
                             "queue: {max_bytes: 3000}\nmodels:\n  gpt-4o: {concurrent: 1}\n");
    a = start_with(&f, body, ana);
    fixture_wait_status(&f, "held", 1);
    r = client_finish(start_with(&f, body, ana)); /* 2,566 are over 2,400 */
    assert_int_equal(r.status, 429);
    assert_string_equal(client_header(&r, "Metergate-Refused"), "queue-full");
    assert_non_null(client_header(&r, "Retry-After"));
    client_reply_release(&r);
    b = start_with(&f, body, bo);
    fixture_wait_status(&f, "held", 2);
    r = client_finish(start_with(&f, body, NULL)); /* 3,849 are over 3,000 */
    assert_int_equal(r.status, 429);
    assert_string_equal(client_header(&r, "Metergate-Refused"), "queue-full");
    client_reply_release(&r);
    let_go(&f, first);
    end_well(a);
    end_well(b);
    fixture_assert_idle(&f);
    fixture_stop(&f);
}

/* Neither request is ever sent to its end: the answer must come before. A rest of up to 1 MiB would be read and
 * dropped first, so that the connection can be kept. */
static void test_body_over_max_body__is_refused_while_it_comes(void **state)
{
    static const char *const framing[] = {"Content-Length: 2000000\r\n\r\n",
                                          "Transfer-Encoding: chunked\r\n\r\n1E8480\r\n"};
    const size_t sent[] = {0, 1500000}; /* of 2,000,000 */
    char *blanks = malloc(sent[1]);
    struct fixture f;

    (void)state;
    assert_non_null(blanks);
    memset(blanks, ' ', sent[1]);
    fixture_start(&f, NULL, FIXTURE_UPSTREAM "queue: {max_body: 1000}\n");
    for (size_t i = 0; i < MG_ARRAY_LEN(framing); i++) {
        int fd = raw_connect(f.port);
        struct buf b;

        buf_init(&b, BUF_UNLIMITED);
        raw_send_text(fd, "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n");
        raw_send_text(fd, framing[i]);
        raw_send(fd, blanks, sent[i]);
        assert_true(raw_read(fd, &b, "queue.max_body", FIXTURE_TIMEOUT_MS) > 0);
        assert_memory_equal(b.p, "HTTP/1.1 413 ", 13);
        assert_non_null(strstr(b.p, "Metergate-Refused: too-large\r\n"));
        buf_release(&b);
        close(fd);
    }
    free(blanks);
    fixture_assert_idle(&f);
    fixture_stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_held_call__is_told_that_it_is_alive__and_nobody_else_is),
        cmocka_unit_test(test_told_call__may_still_get_any_status),
        cmocka_unit_test(test_client_that_comes_back__goes_on_at_its_place),
        cmocka_unit_test(test_place__is_for_the_same_call_and_once),
        cmocka_unit_test(test_place__outlives_a_full_queue),
        cmocka_unit_test(test_timer_of_the_client__is_answered_before_it_fires__and_the_place_is_kept),
        cmocka_unit_test(test_refusal_for_the_wait__names_the_limit_that_binds),
        cmocka_unit_test(test_paused_model__is_told_as_long_as_the_provider_named),
        cmocka_unit_test(test_max_wait__counts_from_the_arrival_that_was_kept),
        cmocka_unit_test(test_queue__is_bounded_by_bytes__and_one_client_has_80_percent),
        cmocka_unit_test(test_body_over_max_body__is_refused_while_it_comes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
