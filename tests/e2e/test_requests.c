/*
 * requests: what becomes of odd and hostile requests, byte by byte: the real daemon between a bare socket and
 * the simulator, which notes every request that is not well-formed. Behind each request comes another one at
 * once: it must be answered as if it stood alone, or not at all, whatever the first was.
 *
 * `test_requests --table` prints the table for people, which is a part of docs/odd-requests.md; a test
 * compares them. The requests themselves are in odd_requests.h.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>
#include <cjson/cJSON.h>

#include "fixture.h"
#include "metergate/net/front.h"
#include "odd_requests.h"

#define MANUAL "docs/odd-requests.md"

static const char config[] = "upstreams:\n"
                             "  openai: {dialect: openai, base_url: $SIMULATOR/v1, counting: actual}\n"
                             "  other: {dialect: openai, base_url: $SIMULATOR/other, counting: actual}\n"
                             "allow: {hosts: [proxy.lan], origins: [\"https://app.example\"]}\n";

/* Alone on its connection it is answered "ok" and the connection closed. */
static const char probe[] = "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

/* ---- what came back ---- */

struct outcome {
    char answers[64]; /* "100 200" */
    bool stays;       /* the probe was answered */
    bool metered;
    char refused[32];
};

/* The statuses of all heads; bodies of ours and of the simulator have no such line in them. */
static void read_statuses(struct slice got, struct outcome *o)
{
    static const char line[] = "HTTP/1.1 ";
    size_t n = 0;

    o->stays = slice_ends(got, SLICE("\r\n\r\nok\n"));
    for (size_t at = 0; at + sizeof line + 3 <= got.n && n + 5 <= sizeof o->answers; at++) {
        if (memcmp(got.p + at, line, sizeof line - 1) == 0)
            n += (size_t)snprintf(o->answers + n, sizeof o->answers - n, "%s%.3s", n ? " " : "",
                                  got.p + at + sizeof line - 1);
    }
    if (o->stays) /* the probe's own */
        o->answers[n > 4 ? n - 4 : 0] = '\0';
}

static void read_header(const struct buf *got, const char *name, char *ret, size_t size)
{
    const char *at = got->n ? memmem(got->p, got->n, name, strlen(name)) : NULL;

    ret[0] = '\0';
    if (at)
        snprintf(ret, size, "%.*s", (int)strcspn(at + strlen(name), "\r"), at + strlen(name));
}

/* All at once, or in pieces of up to `piece` bytes. */
static void send_in_pieces(int fd, struct slice bytes, size_t piece)
{
    int on = 1;

    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    while (bytes.n) {
        struct slice now = slice_head(bytes, piece);

        raw_send(fd, now.p, now.n);
        bytes = slice_skip(bytes, now.n);
    }
}

static struct outcome ask(const struct fixture *f, const struct odd_request *r, size_t piece)
{
    struct outcome o = {.answers = ""};
    int fd = raw_connect(f->port);
    struct buf sent, got;
    char budget[64];

    buf_init(&sent, BUF_UNLIMITED);
    buf_init(&got, BUF_UNLIMITED);
    odd_request_write(r, &sent);
    buf_add_str(&sent, probe);
    send_in_pieces(fd, buf_slice(&sent), piece ? piece : sent.n);
    assert_true(raw_read(fd, &got, NULL, FIXTURE_TIMEOUT_MS) >= 0);
    close(fd);
    read_statuses(buf_slice(&got), &o);
    read_header(&got, "Metergate-Refused: ", o.refused, sizeof o.refused);
    read_header(&got, "Metergate-Budget: ", budget, sizeof budget);
    o.metered = budget[0] != '\0';
    buf_release(&sent);
    buf_release(&got);
    return o;
}

/* ---- what the provider saw ---- */

static const cJSON *first_arrival(const cJSON *account)
{
    return cJSON_GetArrayItem(cJSON_GetObjectItem(account, "list"), 0);
}

static int count_arrivals(const cJSON *audit, const char **ret_target)
{
    const cJSON *other = json_at(audit, "other"), *models = json_at(audit, "models"), *m;
    const cJSON *arrival = first_arrival(other);
    int n = (int)json_number(other, "arrivals");

    cJSON_ArrayForEach(m, models)
    {
        n += (int)json_number(m, "arrivals");
        if (!arrival)
            arrival = first_arrival(m);
    }
    *ret_target = arrival ? json_text(arrival, "target") : "";
    return n;
}

/* libmicrohttpd 1.0 tells nobody to go on with a body that has come already, so that its 100 may be missing. */
static const char *final_answers(const char *answers)
{
    return front_reads_strictly() && strncmp(answers, "100 ", 4) == 0 ? answers + 4 : answers;
}

/* Says what is otherwise than the table says; true when nothing is. */
static bool is_as_told(const struct odd_request *row, const struct outcome *o, int seen, const char *target)
{
    const struct odd_request *r = odd_request_here(row);
    bool ok = strcmp(final_answers(o->answers), final_answers(r->answers)) == 0 && strcmp(o->refused, r->refused) == 0 &&
              o->stays == r->stays && seen == r->seen && o->metered == r->metered &&
              (!r->travels || strcmp(target, r->travels) == 0);

    if (!ok)
        print_error("%s: answered \"%s\" %s, the connection %s; the provider saw %d %s%s\n", row->name,
                    o->answers, o->refused, o->stays ? "stays" : "closes", seen, o->metered ? "metered " : "",
                    target);
    return ok;
}

static bool check(const struct fixture *f, const struct odd_request *r, size_t piece)
{
    const cJSON *violations;
    struct outcome o;
    const char *target;
    cJSON *audit;
    bool ok;
    int seen;

    fixture_sim_post(f, "/_sim/reset", NULL);
    o = ask(f, r, piece);
    audit = fixture_audit(f);
    seen = count_arrivals(audit, &target);
    ok = is_as_told(r, &o, seen, target);
    violations = json_at(audit, "violations");
    if (cJSON_GetArraySize(violations)) {
        print_error("%s: the provider saw what it should not: %s\n", r->name,
                    cJSON_GetArrayItem(violations, 0)->valuestring);
        ok = false;
    }
    cJSON_Delete(audit);
    return ok;
}

static void check_all(size_t piece)
{
    struct fixture f;
    int wrong = 0;

    fixture_start(&f, NULL, config);
    for (size_t i = 0; i < odd_requests_count; i++)
        wrong += !check(&f, &odd_requests[i], odd_requests[i].times ? 100 * piece : piece);
    assert_int_equal(wrong, 0);
    fixture_assert_idle(&f);
    fixture_stop(&f);
}

static void test_odd_request__is_answered_as_the_table_says(void **state)
{
    (void)state;
    check_all(0);
}

static void test_odd_request__in_pieces__is_answered_all_the_same(void **state)
{
    (void)state;
    check_all(1);
    check_all(13);
}

/* ---- the table for people ---- */

static void print_chapter(const char *name, struct buf *out)
{
    buf_addf(out, "\n## %s\n| request | answer | the provider sees | connection |\n|---|---|---|---|\n", name);
}

static void print_row(const char *name, const struct odd_request *r, struct buf *out)
{
    buf_addf(out, "| %s | %s%s%s%s | %s", name, r->answers[0] ? r->answers : "none",
             r->refused[0] ? " `" : "", r->refused, r->refused[0] ? "`" : "",
             r->seen == 0   ? "nothing"
             : r->seen == 1 ? "one request"
                            : "two requests");
    buf_addf(out, "%s%s%s%s | %s |\n", r->metered ? ", metered" : "", r->travels ? ", `" : "",
             r->travels ? r->travels : "", r->travels ? "`" : "", r->stays ? "stays" : "closes");
}

static void print_table(struct buf *out)
{
    const struct odd_request *end = odd_requests + odd_requests_count;

    for (const struct odd_request *r = odd_requests; r < end; r++) {
        if (r->chapter)
            print_chapter(r->chapter, out);
        print_row(r->name, r, out);
    }
    print_chapter("What is otherwise with libmicrohttpd 1.0 (Debian 13, Ubuntu 24.04)", out);
    for (const struct odd_request *r = odd_requests; r < end; r++)
        if (r->strict)
            print_row(r->name, r->strict, out);
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
        fail_msg(MANUAL " has another table than `test_requests --table` prints");
    buf_release(&manual);
    buf_release(&table);
}

/* ---- shapes, and pages of other origins ---- */

static const struct {
    const char *path, *header;
    const char *where, *word; /* what of the body says whose shape it is */
} shapes[] = {
    {"/nowhere", "A: b", "error.code", "bad_request"},
    {"/v1/messages", "A: b", "error.type", "invalid_request_error"},
    {"/nowhere", "anthropic-version: 2023-06-01", "type", "error"},
    {"/v1beta/models/gemini-2.5-pro:generateContent", "A: b", "error.status", "INVALID_ARGUMENT"},
    {"/nowhere", "x-goog-api-key: k", "error.status", "INVALID_ARGUMENT"},
    {"/v1beta/openai/chat/completions", "x-goog-api-key: k", "error.code", "bad_request"},
};

static void test_refusal__has_the_shape_that_the_caller_reads(void **state)
{
    struct fixture f;

    (void)state;
    fixture_start(&f, NULL, config);
    for (size_t i = 0; i < MG_ARRAY_LEN(shapes); i++) {
        char url[256];
        const char *const headers[] = {"Metergate-Priority: urgent", shapes[i].header, NULL};
        struct client_reply r;
        cJSON *json;

        snprintf(url, sizeof url, "%s%s", f.url, shapes[i].path);
        r = client_run(&(struct client_call){.method = "POST", .url = url, .headers = headers, .body = "{}"});
        assert_int_equal(r.status, 400);
        json = client_json(&r);
        assert_string_equal(json_text(json, shapes[i].where), shapes[i].word);
        assert_true(strlen(json_text(json, "error.message")) > 20);
        cJSON_Delete(json);
        client_reply_release(&r);
    }
    fixture_stop(&f);
}

static struct client_reply ask_as_page(const struct fixture *f, const char *method, const char *path,
                                       const char *body)
{
    static const char *const headers[] = {"Origin: https://app.example",
                                          "Access-Control-Request-Method: POST",
                                          "Access-Control-Request-Headers: authorization,x-api-key",
                                          "Access-Control-Request-Private-Network: true", NULL};
    char url[256];

    snprintf(url, sizeof url, "%s%s", f->url, path);
    return client_run(&(struct client_call){.method = method, .url = url, .headers = headers, .body = body});
}

static void assert_header(const struct client_reply *r, const char *name, const char *want)
{
    const char *got = client_header(r, name);

    if (!got || strcmp(got, want) != 0)
        fail_msg("%s: %s", name, got ? got : "is missing");
}

static void test_page_of_an_allowed_origin__may_ask_send_and_read(void **state)
{
    struct fixture f;
    struct client_reply r;

    (void)state;
    fixture_start(&f, NULL, config);
    r = ask_as_page(&f, "OPTIONS", "/v1/chat/completions", NULL);
    assert_int_equal(r.status, 204);
    assert_header(&r, "Access-Control-Allow-Origin", "https://app.example");
    assert_header(&r, "Access-Control-Allow-Methods", "POST");
    assert_header(&r, "Access-Control-Allow-Headers", "authorization,x-api-key");
    assert_header(&r, "Access-Control-Allow-Private-Network", "true");
    assert_header(&r, "Vary", "Origin");
    client_reply_release(&r);
    r = ask_as_page(&f, "POST", "/v1/chat/completions",
                    "{\"model\":\"gpt-4o\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}");
    assert_int_equal(r.status, 200);
    assert_header(&r, "Access-Control-Allow-Origin", "https://app.example");
    assert_header(&r, "Access-Control-Expose-Headers", "*");
    client_reply_release(&r);
    r = ask_as_page(&f, "GET", "/nowhere", NULL); /* an error that it cannot read helps nobody */
    assert_int_equal(r.status, 404);
    assert_header(&r, "Access-Control-Allow-Origin", "https://app.example");
    client_reply_release(&r);
    r = ask_as_page(&f, "GET", "/-/status", NULL);
    assert_int_equal(r.status, 200);
    assert_header(&r, "Access-Control-Allow-Origin", "https://app.example");
    client_reply_release(&r);
    r = fixture_call(&f, "GET", "/v1/models", NULL); /* no page: nothing is added */
    assert_null(client_header(&r, "Access-Control-Allow-Origin"));
    client_reply_release(&r);
    fixture_stop(&f);
}

/* ---- what is told to people ---- */

static void test_connect__is_told_which_variables_to_set_and_to_what(void **state)
{
    static const char connect[] =
        "CONNECT api.openai.com:443 HTTP/1.1\r\nHost: api.openai.com:443\r\nConnection: close\r\n\r\n";
    struct fixture f;
    struct buf got;
    char want[64];

    (void)state;
    fixture_start(&f, NULL, config);
    buf_init(&got, BUF_UNLIMITED);
    raw_exchange(f.port, connect, sizeof connect - 1, &got);
    snprintf(want, sizeof want, "OPENAI_BASE_URL=http://127.0.0.1:%d/v1", f.port);
    assert_true(memmem(got.p, got.n, want, strlen(want)) != NULL);
    buf_release(&got);
    fixture_stop(&f);
}

static void test_tls_on_the_plain_port__is_named_in_the_log_and_a_bare_connection_is_not(void **state)
{
    static const char hello[] = "\026\003\001\002\0\001\0\001\374\003\003\r\n";
    struct fixture f;
    struct client_reply r;
    struct buf got;
    char *log;

    (void)state;
    fixture_start(&f, NULL, config);
    buf_init(&got, BUF_UNLIMITED);
    close(raw_connect(f.port)); /* a monitor that only knocks */
    r = fixture_call(&f, "GET", "/healthz", NULL);
    client_reply_release(&r);
    log = process_log(f.daemon);
    assert_null(strstr(log, "not HTTP"));
    free(log);
    raw_exchange(f.port, hello, sizeof hello - 1, &got);
    assert_int_equal(got.n, 0);
    fixture_wait_log(&f, 0, "what it sent is not HTTP");
    buf_release(&got);
    fixture_stop(&f);
}

/* ---- bodies together ---- */

static void test_bodies_over_max_bytes__are_told_that_the_queue_is_full(void **state)
{
    struct fixture f;
    struct client_async *held;
    struct client_reply r;
    struct buf body;

    (void)state;
    buf_init(&body, BUF_UNLIMITED);
    buf_add_str(&body,
                "{\"model\":\"gpt-4o\",\"max_tokens\":5,\"messages\":[{\"role\":\"user\",\"content\":\"");
    for (int i = 0; i < 3000; i++)
        buf_add_str(&body, "a ");
    buf_add_str(&body, "\"}]}");
    buf_add_char(&body, '\0');
    fixture_start(&f, NULL,
                  FIXTURE_UPSTREAM "queue: {max_bytes: 10000, max_body: 8000}\n"
                                   "headroom: 0%\nmodels:\n  gpt-4o: {tpm: {max: 4000, per: 1h}}\n");
    r = fixture_chat(&f, body.p);
    assert_int_equal(r.status, 200);
    client_reply_release(&r);
    held = fixture_chat_start(&f, body.p);
    fixture_wait_status(&f, "held", 1);
    r = fixture_chat(&f, body.p);
    assert_int_equal(r.status, 429);
    assert_header(&r, "Metergate-Refused", "queue-full");
    assert_non_null(client_header(&r, "Retry-After"));
    assert_non_null(strstr(r.body.p, "max_bytes"));
    client_reply_release(&r);
    client_leave(held);
    r = client_finish(held);
    client_reply_release(&r);
    buf_release(&body);
    fixture_assert_idle(&f);
    fixture_stop(&f);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_odd_request__is_answered_as_the_table_says),
        cmocka_unit_test(test_odd_request__in_pieces__is_answered_all_the_same),
        cmocka_unit_test(test_manual__has_the_same_table),
        cmocka_unit_test(test_refusal__has_the_shape_that_the_caller_reads),
        cmocka_unit_test(test_page_of_an_allowed_origin__may_ask_send_and_read),
        cmocka_unit_test(test_connect__is_told_which_variables_to_set_and_to_what),
        cmocka_unit_test(test_tls_on_the_plain_port__is_named_in_the_log_and_a_bare_connection_is_not),
        cmocka_unit_test(test_bodies_over_max_bytes__are_told_that_the_queue_is_full),
    };

    if (argc > 1 && strcmp(argv[1], "--table") == 0) {
        struct buf table;

        buf_init(&table, BUF_UNLIMITED);
        print_table(&table);
        fwrite(table.p, 1, table.n, stdout);
        buf_release(&table);
        return 0;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
