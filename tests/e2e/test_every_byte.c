/*
 * every_byte: real answers of every dialect that end at any byte, by a close, a reset or silence. No client takes one
 * of them for whole, each call is one row, and nothing stays held, in flight or reserved. Some bytes of each by
 * default, every single one with EVERY_BYTE=1.
 */
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
#include <cjson/cJSON.h>

#include "ledger_fixture.h"
#include "metergate/base/err.h"
#include "played.h"

#define SAID(text)   "[{\"role\":\"user\",\"content\":\"[[out=9]]" text "\"}]}"
#define CHAT(more)   "{\"model\":\"gpt-4o\"," more "\"messages\":" SAID("")
#define PACKED(more) "{\"model\":\"gpt-4o\"," more "\"messages\":" SAID(" [[fault=gzip]]")
#define CLAUDE(more) "{\"model\":\"claude-sonnet-4-6\",\"max_tokens\":50," more "\"messages\":" SAID("")
#define ANSWER(more) "{\"model\":\"gpt-4.1\"," more "\"input\":" SAID("")
#define ASK          "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"[[out=9]]\"}]}]}"
#define STREAM       "\"stream\":true,"
#define OPTIONS      "\"stream_options\":null," /* in its place usage is asked for: the request still ends as it did */
#define GEMINI       "/v1beta/models/gemini-2.5-flash"
#define DEPLOYMENT   "/openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21"

static const struct kind {
    const char *path, *header, *body;
} kinds[] = {
    {"/v1/chat/completions", "A: b", CHAT("")},
    {"/v1/chat/completions", "A: b", CHAT(STREAM OPTIONS)},
    {"/v1/chat/completions", "A: b", PACKED("")},
    {"/v1/chat/completions", "A: b", PACKED(STREAM OPTIONS)},
    {"/v1/responses", "A: b", ANSWER("")},
    {"/v1/responses", "A: b", ANSWER(STREAM)},
    {"/v1/messages", "anthropic-version: 2023-06-01", CLAUDE("")},
    {"/v1/messages", "anthropic-version: 2023-06-01", CLAUDE(STREAM)},
    {GEMINI ":generateContent", "x-goog-api-key: k", ASK},
    {GEMINI ":streamGenerateContent?alt=sse", "x-goog-api-key: k", ASK},
    {GEMINI ":streamGenerateContent", "x-goog-api-key: k", ASK},
    {DEPLOYMENT, "api-key: k", CHAT("")},
    {DEPLOYMENT, "api-key: k", CHAT(STREAM OPTIONS)},
    {"/api/chat", "A: b", "{\"model\":\"llama\",\"messages\":" SAID("")},
};

/* How the provider ends; at most WAITING of the third at a time. */
enum way { CLOSES, RESETS, STALLS, WAYS };
#define WAITING 16

struct world {
    struct fixture f;
    int listener;
    struct buf answers[MG_ARRAY_LEN(kinds)]; /* as the simulator gave them */
    int64_t calls;
};

static void capture(const struct fixture *f, const struct kind *k, struct buf *out)
{
    struct buf request;

    buf_init(out, BUF_UNLIMITED);
    buf_init(&request, BUF_UNLIMITED);
    buf_addf(&request,
             "POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\n%s\r\nContent-Type: application/json\r\nAuthorization: Bearer k\r\n"
             "Connection: close\r\nContent-Length: %zu\r\n\r\n%s",
             k->path, k->header, strlen(k->body), k->body);
    raw_exchange(f->simulator_port, request.p, request.n, out);
    buf_release(&request);
    if (strncmp(out->p, "HTTP/1.1 200 ", 13) != 0)
        fail_msg("%s %s: %s", k->path, k->body, out->p);
}

static void start(struct world *w)
{
    char yaml[1200];
    int port;

    memset(w, 0, sizeof *w);
    fixture_start_simulator(&w->f, NULL, NULL);
    for (size_t i = 0; i < MG_ARRAY_LEN(kinds); i++)
        capture(&w->f, &kinds[i], &w->answers[i]);
    w->listener = played_listen(&port);
#define ONE ", retry: {attempts: 1}, timeout: {first_byte: 300ms, idle: 100ms}}\n"
    snprintf(yaml, sizeof yaml,
             "%supstreams:\n"
             "  openai: {base_url: \"http://127.0.0.1:%d/v1\"" ONE
             "  anthropic: {base_url: \"http://127.0.0.1:%d\"" ONE
             "  gemini: {base_url: \"http://127.0.0.1:%d\"" ONE
             "  azure: {base_url: \"http://127.0.0.1:%d\"" ONE
             "  ollama: {base_url: \"http://127.0.0.1:%d\"" ONE
             "models:\n  all: {match: [\"*\"], tpm: 100M, concurrent: 100}\n",
             LEDGER_STATE, port, port, port, port, port);
#undef ONE
    fixture_start_daemon(&w->f, yaml, NULL);
}

static void stop(struct world *w)
{
    cJSON *status;

    fixture_assert_idle(&w->f);
    ledger_wait_calls(&w->f, w->calls);
    assert_int_equal(ledger_ask(&w->f, "SELECT count(*) FROM calls"), w->calls);
    status = fixture_status(&w->f);
    assert_int_equal((int64_t)json_number(status, "totals.dispatched"), w->calls);
    assert_int_equal((int64_t)json_number(status, "totals.failed"), w->calls - (int64_t)MG_ARRAY_LEN(kinds));
    assert_int_equal((int64_t)json_number(status, "totals.completed"), MG_ARRAY_LEN(kinds));
    assert_int_equal((int64_t)json_number(status, "totals.retries"), 0);
    cJSON_Delete(status);
    fixture_stop(&w->f);
    close(w->listener);
    for (size_t i = 0; i < MG_ARRAY_LEN(kinds); i++)
        buf_release(&w->answers[i]);
}

/* One call, whose answer has come so far. */
struct flight {
    struct client_async *client;
    int fd;
    size_t at;
};

static struct flight begin(struct world *w, size_t kind, size_t n)
{
    struct flight fl = {.client = ledger_post_start(&w->f, kinds[kind].path, kinds[kind].header, kinds[kind].body), .at = n};
    char rest[256];

    fl.fd = played_take(w->listener);
    (void)!recv(fl.fd, rest, sizeof rest, MSG_DONTWAIT); /* to close over unread bytes is a reset */
    raw_send(fl.fd, w->answers[kind].p, n);
    w->calls++;
    return fl;
}

static size_t head_bytes(const struct buf *answer)
{
    return (size_t)(strstr(answer->p, "\r\n\r\n") - answer->p) + 4;
}

/* Without the line feed behind the last chunk nothing is missing. */
static size_t whole_bytes(const struct buf *answer)
{
    return answer->n - (strstr(answer->p, "Transfer-Encoding: chunked") ? 1 : 0);
}

static void end(const struct world *w, size_t kind, struct flight fl, enum way way)
{
    const struct buf *answer = &w->answers[kind];
    struct client_reply r = client_finish(fl.client);
    bool in_head = fl.at < head_bytes(answer);
    bool refused = r.error == 0 && client_header(&r, "Metergate-Refused") != NULL;

    if (refused ? r.status != (way == STALLS ? 504 : 502) || (way == CLOSES && !in_head) : in_head || r.error == 0)
        fail_msg("%s %s, way %d, after %zu of %zu: status %d, %s", kinds[kind].path, kinds[kind].body, (int)way, fl.at,
                 answer->n, r.status, r.error ? r.error_text : "a clean end");
    client_reply_release(&r);
}

/* Which bytes: all, or those about the ends of head and answer and a few between, other ones of each kind. */
static bool is_looked_at(const struct buf *answer, size_t kind, size_t n, enum way way)
{
    size_t head = head_bytes(answer), step = way == STALLS ? 61 : 23;

    if (getenv("EVERY_BYTE"))
        return true;
    return n == 0 || (n + 3 > head && n < head + 3) || n + 12 > answer->n || (n + 5 * kind) % step == 0;
}

static void cut_everywhere(struct world *w, size_t kind, enum way way)
{
    size_t whole = whole_bytes(&w->answers[kind]), flying = 0;
    struct flight flights[WAITING];

    for (size_t n = 0; n <= whole; n++) {
        if (n < whole && is_looked_at(&w->answers[kind], kind, n, way))
            flights[flying++] = begin(w, kind, n);
        if (flying && way != STALLS)
            played_end(flights[0].fd, way == RESETS ? PLAYED_RESETS : PLAYED_CLOSES);
        if (flying < WAITING && way == STALLS && n < whole)
            continue;
        while (flying > 0) {
            end(w, kind, flights[--flying], way);
            if (way == STALLS)
                close(flights[flying].fd);
        }
    }
}

static void test_answer_that_ends_at_any_byte__is_never_whole__and_one_failed_row(void **state)
{
    struct world w;

    (void)state;
    start(&w);
    for (size_t kind = 0; kind < MG_ARRAY_LEN(kinds); kind++) {
        struct flight fl = begin(&w, kind, w.answers[kind].n); /* as it was meant */
        struct client_reply r;

        close(fl.fd);
        r = client_finish(fl.client);
        if (r.status != 200 || r.error)
            fail_msg("%s whole: %d %s", kinds[kind].path, r.status, r.error_text);
        client_reply_release(&r);
        for (enum way way = 0; way < WAYS; way++)
            cut_everywhere(&w, kind, way);
    }
    print_message("%lld calls\n", (long long)w.calls);
    stop(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answer_that_ends_at_any_byte__is_never_whole__and_one_failed_row),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
