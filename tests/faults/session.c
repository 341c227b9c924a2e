/* session: one client a row of `rows`; all begin together, and the session is over when the last of them has ended. */
#include "session.h"

#include <inttypes.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>
#include <cmocka.h>

#include "metergate/base/err.h"

#define BIG_BYTES ((size_t)150 << 10)

const char session_settings[] =
    "{\"keepalive_ms\":60,\"models\":{\"gpt-slow\":{\"first_byte_ms\":15}}}";

const char session_yaml[] = "state_dir: $DIR/state\n"
                            "headroom: 0%\n"
                            "queue: {keepalive: 5ms, keepalive_agents: [\"*\"], max_body: 400KiB}\n"
                            "upstreams:\n"
                            "  openai: {dialect: openai, base_url: $SIMULATOR/v1, counting: actual}\n"
                            "  strict: {dialect: openai, base_url: $SIMULATOR/v1, counting: openai}\n"
                            "  anthropic: {dialect: anthropic, base_url: $SIMULATOR}\n"
                            "models:\n"
                            "  gpt-slow: {concurrent: 1}\n"
                            "  gpt-4o-mini: {tpm: 10}\n"
                            "  \"*\": {tpm: 100M, usd_per_hour: 100000}\n"
                            "prices: {\"*\": {input: 2, output: 8}}\n";

/* How an answer of 200 shows that it is whole. */
enum proof { PROOF_JSON, PROOF_STREAM, PROOF_TEXT, PROOF_NONE };

static const struct row {
    const char *path, *body;
    int status; /* when nothing fails */
    enum proof proof;
    const char *holds; /* a whole answer has it */
    bool leaves;       /* the client goes as soon as it has asked */
} rows[] = {
#define MESSAGES "\"messages\":[{\"role\":\"user\",\"content\":\"Write a haiku about water and gates.\"}]"
    {"/v1/chat/completions", "{\"model\":\"gpt-4o\"," MESSAGES "}", 200, PROOF_JSON, "\"usage\"", false},
    {"/v1/chat/completions", "{\"model\":\"gpt-4o\",\"stream\":true," MESSAGES "}", 200, PROOF_STREAM, "[DONE]", false},
    {"/v1/chat/completions", "{\"model\":\"gpt-slow\"," MESSAGES "}", 200, PROOF_JSON, "\"usage\"", false},
    {"/v1/chat/completions", "{\"model\":\"gpt-slow\",\"max_tokens\":5," MESSAGES "}", 200, PROOF_JSON, "\"usage\"", false},
    {"/v1/chat/completions", "{\"model\":\"gpt-slow\",\"max_tokens\":6," MESSAGES "}", 0, PROOF_NONE, NULL, true},
    {"/v1/chat/completions", "$BIG", 200, PROOF_JSON, "\"usage\"", false},
    {"/strict/v1/chat/completions", "{\"model\":\"gpt-4o-mini\",\"max_tokens\":90," MESSAGES "}", 413, PROOF_NONE, NULL, false},
    {"/v1/embeddings", "{\"model\":\"text-embedding-3-small\",\"input\":[\"a gate\",\"a meter\"]}", 200, PROOF_JSON, "\"embedding\"",
     false},
    {"/v1/messages", "{\"model\":\"claude-sonnet-4\",\"max_tokens\":20,\"stream\":true," MESSAGES "}", 200, PROOF_STREAM,
     "message_stop", false},
    {"/@guest/v1/models", NULL, 200, PROOF_JSON, "\"data\"", false},
    {"/v1/nothing-like-that", "not JSON", 200, PROOF_JSON, "sha256", false},
    {"/-/status", NULL, 200, PROOF_JSON, "\"upstreams\"", false},
    {"/metrics", NULL, 200, PROOF_TEXT, "process_max_fds ", false},
    {"/-/usage?by=model", NULL, 200, PROOF_JSON, "\"rows\"", false},
    {"/-/calls?limit=5", NULL, 200, PROOF_JSON, "\"calls\"", false},
    {"/-/estimate", "{\"model\":\"gpt-4o\"," MESSAGES "}", 200, PROOF_JSON, "\"fits\"", false},
    {"/-/prices", NULL, 200, PROOF_JSON, "\"prices\"", false},
    {"/-/reload", "", 200, PROOF_NONE, NULL, false},
    {"/-/events", NULL, 0, PROOF_NONE, NULL, true},
};

#define N MG_ARRAY_LEN(rows)

static const char *big_body(void)
{
    static char *text;
    struct buf b;
    size_t n;

    if (text)
        return text;
    buf_init(&b, BUF_UNLIMITED);
    buf_add_str(&b, "{\"model\":\"gpt-4o\",\"messages\":[{\"role\":\"user\",\"content\":\"");
    while (b.n < BIG_BYTES)
        buf_add_str(&b, "The gate measures the water that a canal takes. ");
    buf_add_str(&b, "\"}]}");
    text = buf_take(&b, &n);
    return text;
}

static struct client_async *begin(const struct fixture *f, const struct row *r)
{
    static const char *const headers[] = {"Authorization: Bearer sk-test", "anthropic-version: 2023-06-01", NULL};
    static const char *const plain[] = {"Authorization: Bearer sk-test", NULL};
    bool anthropic = strcmp(r->path, "/v1/messages") == 0;
    char url[256];
    struct client_call call = {.url = url, .headers = anthropic ? headers : plain, .body = r->body};

    if (r->body && strcmp(r->body, "$BIG") == 0)
        call.body = big_body();
    if (r->body && !*r->body)
        call.method = "POST";
    snprintf(url, sizeof url, "%s%s", f->url, r->path);
    return client_start(&call);
}

static void fail_row(const struct row *r, const struct client_reply *reply, const char *what)
{
    fail_msg("%s: %s: status %d, curl %d, %.*s", r->path, what, reply->status, reply->error, (int)reply->body.n,
             reply->body.n ? reply->body.p : "");
}

/* Whoever believes its length and its end would take it for the answer: so it must be. */
static bool is_right(const struct row *r, const struct client_reply *reply)
{
    cJSON *json;
    bool ok;

    if (!r->holds)
        return true;
    if (!reply->body.n || !strstr(reply->body.p, r->holds))
        return false;
    if (r->proof != PROOF_JSON)
        return true;
    json = cJSON_ParseWithLength(reply->body.p, reply->body.n);
    ok = json != NULL;
    cJSON_Delete(json);
    return ok;
}

static enum seen judge(const struct row *r, const struct client_reply *reply)
{
    if (reply->error) {
        if (getenv("MEMORY_TRACE"))
            printf("%s: cut\n", r->path);
        return SEEN_CUT;
    }
    if (reply->status == r->status && !is_right(r, reply))
        fail_row(r, reply, "half an answer was taken for a whole one");
    if (reply->status == r->status)
        return SEEN_WHOLE;
    if (reply->status < 400)
        fail_row(r, reply, "an answer that nobody asked for");
    if (getenv("MEMORY_TRACE"))
        printf("%s: status %d: %.*s\n", r->path, reply->status, (int)reply->body.n, reply->body.n ? reply->body.p : "");
    return SEEN_REFUSED;
}

/* A lease has two requests, the second of which needs what the first one told. */
static enum seen lease(const struct fixture *f)
{
    struct client_reply r = fixture_call(f, "POST", "/-/reserve", "{\"model\":\"gpt-4o\",\"tokens\":50}");
    enum seen seen = r.error ? SEEN_CUT : r.status == 200 ? SEEN_WHOLE : SEEN_REFUSED;
    char id[64] = "", body[128];
    const char *at = seen == SEEN_WHOLE ? strstr(r.body.p, "\"lease\":\"") : NULL;

    if (at)
        snprintf(id, sizeof id, "%.*s", (int)strcspn(at + 9, "\""), at + 9);
    client_reply_release(&r);
    if (!at)
        return seen;
    snprintf(body, sizeof body, "{\"lease\":\"%s\",\"input_tokens\":30,\"output_tokens\":12}", id);
    /* one that was not told is open until it expires: its program asks again */
    for (int i = 0; i < 3; i++) {
        r = fixture_call(f, "POST", "/-/settle", body);
        seen = r.error ? SEEN_CUT : r.status == 200 ? SEEN_WHOLE : SEEN_REFUSED;
        client_reply_release(&r);
        if (seen == SEEN_WHOLE || (i > 0 && seen == SEEN_REFUSED))
            return SEEN_WHOLE; /* 404: it was settled, and only the answer was lost */
    }
    return seen;
}

void session_run(struct fixture *f, int64_t ret[SEEN_KINDS])
{
    struct client_async *a[N];

    for (size_t i = 0; i < N; i++) {
        a[i] = begin(f, &rows[i]);
        if (rows[i].leaves && strcmp(rows[i].path, "/-/events") != 0)
            client_leave(a[i]);
    }
    ret[lease(f)]++;
    for (size_t i = 0; i < N; i++) {
        struct client_reply reply;

        if (rows[i].leaves) {
            (void)client_wait_body(a[i], "event: status", 2000);
            client_leave(a[i]);
        }
        reply = client_finish(a[i]);
        if (!rows[i].leaves)
            ret[judge(&rows[i], &reply)]++;
        client_reply_release(&reply);
    }
}
