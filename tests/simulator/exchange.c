/*
 * exchange: `arrival` is owned here until exchange_admit gives it to the audit; a handler that returns without admitting
 * is a bug. sim_finish is called once for each admitted exchange, whatever became of its answer.
 */
#include "exchange.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "handlers.h"
#include "refusal.h"
#include "metergate/dialect/decode.h"
#include "wire.h"

struct endpoint {
    const char *method;
    const char *path; /* a glob: base URLs have any prefix */
    bool keep;        /* the handler wants the body */
    void (*serve)(struct exchange *x);
};

static const struct endpoint endpoints[] = {
    {"POST", "*/messages/count_tokens", true, anthropic_count},
    {"POST", "*/messages", true, anthropic_messages},
    {"POST", "*/models/*:generateContent", true, gemini_serve},
    {"POST", "*/models/*:streamGenerateContent", true, gemini_serve},
    {"POST", "*/models/*:countTokens", true, gemini_serve},
    {"POST", "*/models/*:embedContent", true, gemini_serve},
    {"POST", "*/models/*:batchEmbedContents", true, gemini_serve},
    {"POST", "*/chat/completions", true, chat_serve},
    {"POST", "*/completions", true, completions_serve},
    {"POST", "*/embeddings", true, embeddings_serve},
    {"POST", "*/responses", true, responses_serve},
    {"POST", "*/responses/input_tokens", true, responses_count},
    {"GET", "*/responses/*", false, responses_retrieve},
    {"POST", "*/images/generations", true, images_serve},
    {"POST", "*/images/edits", true, images_serve},
    {"POST", "*/audio/speech", true, speech_serve},
    {"POST", "*/audio/transcriptions", true, transcription_serve},
    {"POST", "*/moderations", true, moderation_serve},
    {"POST", "/api/chat", true, ollama_serve},
    {"POST", "/api/generate", true, ollama_serve},
    {"POST", "/api/embed", true, ollama_serve},
    {"GET", "/api/tags", false, ollama_tags},
    {"GET", "*/models", false, models_serve},
    {"GET", "*/models/*", false, models_serve},
    {"POST", "*/files", false, files_upload},
    {"GET", "*/files/*/content", false, files_download},
    {NULL, "*", false, echo_serve},
};

static const struct endpoint *find_endpoint(const struct request *r)
{
    const struct endpoint *e = endpoints;

    while ((e->method && !slice_eq(r->method, slice_str(e->method))) || (e->method && !slice_glob(r->path, e->path)))
        e++;
    return e;
}

static char *copy(struct slice s)
{
    return xstrndup(s.p, s.n);
}

static struct arrival *describe(const struct request *r, const struct body *body, int64_t t_us, int64_t connection)
{
    struct arrival *a = arrival_new();
    struct buf headers;
    size_t n;

    a->t_us = t_us;
    a->method = copy(r->method);
    a->target = copy(r->target);
    a->connection = connection;
    a->body_bytes = body->bytes;
    memcpy(a->sha256, body->sha256, sizeof a->sha256);
    buf_init(&headers, BUF_UNLIMITED);
    for (size_t i = 0; i < r->n_headers; i++) {
        buf_add_str(&headers, i ? ",[" : "[[");
        audit_quote(&headers, r->headers[i].name);
        buf_add_char(&headers, ',');
        audit_quote(&headers, r->headers[i].value);
        buf_add_char(&headers, ']');
    }
    buf_add_char(&headers, ']');
    a->headers = buf_take(&headers, &n);
    return a;
}

struct slice exchange_deployment(const struct exchange *x)
{
    static const char mark[] = "/deployments/";
    struct slice path = x->request->path;
    const char *at = memmem(path.p, path.n, mark, sizeof mark - 1);

    if (!at)
        return SLICE("");
    path = slice_skip(path, (size_t)(at - path.p) + sizeof mark - 1);
    return slice_head(path, slice_find(path, '/'));
}

static bool contains(struct slice s, const char *part)
{
    return memmem(s.p, s.n, part, strlen(part)) != NULL;
}

static enum speech speech_of(const struct request *r)
{
    if (contains(r->path, "/v1beta/openai/"))
        return SPEECH_OPENAI;
    if (contains(r->path, "/openai/") || request_header(r, SLICE("api-key")))
        return SPEECH_AZURE;
    if (slice_ends(r->path, SLICE("/messages")) || request_header(r, SLICE("anthropic-version")))
        return SPEECH_ANTHROPIC;
    return contains(r->path, "/v1beta/") || contains(r->path, "/v1alpha/") ? SPEECH_GEMINI : SPEECH_OPENAI;
}

/* The key, wherever the provider of that speech takes it from; empty when there is none. */
static struct slice key_of(const struct exchange *x)
{
    static const char *const plain[] = {"x-api-key", "api-key", "x-goog-api-key"};
    const struct slice *authorization = request_header(x->request, SLICE("authorization"));
    struct slice key = {0};

    if (authorization && slice_starts(*authorization, SLICE("Bearer ")))
        return slice_skip(*authorization, 7);
    for (size_t i = 0; i < MG_ARRAY_LEN(plain); i++) {
        const struct slice *value = request_header(x->request, slice_str(plain[i]));

        if (value)
            return *value;
    }
    if (request_query(x->request, "key", &key) < 0)
        return SLICE("");
    return key;
}

bool exchange_admit(struct exchange *x, struct slice model, const struct demand *demand)
{
    static const struct demand nothing;
    struct slice key = key_of(x);
    bool known = sim_key_is_good(x->sim, key);

    /* a stranger uses up nobody's limits */
    sim_arrive(x->sim, known ? model : SLICE(""), key, x->request->path, demand ? demand : &nothing, x->arrival, &x->plan,
               &x->call);
    x->arrived = true;
    x->arrival = NULL;
    sim_print_limits(x->sim, &x->call, x->speech, answer_headers(&x->answer));
    if (!known) {
        exchange_error(x, 401, "invalid_request_error", NULL, "invalid_api_key", "Incorrect API key provided.");
        return false;
    }
    if (x->plan.status >= 0) {
        refusal_by_plan(x);
        return false;
    }
    if (x->call.verdict.kind != VERDICT_ADMITTED) {
        refusal_by_limit(x);
        return false;
    }
    if (x->plan.latency_ms < 0)
        x->plan.latency_ms = x->call.config.first_byte_ms;
    if (x->plan.event_ms < 0)
        x->plan.event_ms = x->call.config.event_ms;
    return true;
}

void exchange_json(struct exchange *x, int status, struct slice json)
{
    if (x->plan.huge < 0) {
        answer_whole(&x->answer, status, "application/json", json);
        return;
    }
    answer_begin(&x->answer, status, "application/json");
    answer_piece(&x->answer, SLICE("{\"filler\":\""));
    for (int64_t left = x->plan.huge - 13; left > 0 && x->answer.state == ANSWER_OPEN; left -= 65536) {
        static char filler[65536];

        if (!filler[0])
            memset(filler, 'x', sizeof filler);
        answer_piece(&x->answer, slice_of(filler, left < 65536 ? (size_t)left : sizeof filler));
    }
    answer_piece(&x->answer, SLICE("\"}"));
    answer_end(&x->answer);
}

static void add_nullable(struct buf *out, const char *key, const char *text)
{
    buf_addf(out, ",\"%s\":", key);
    if (text)
        audit_quote(out, slice_str(text));
    else
        buf_add_str(out, "null");
}

/* Anthropic's and Google's words for a status. */
static const struct word {
    int status;
    const char *anthropic, *google;
} words[] = {
    {401, "authentication_error", "UNAUTHENTICATED"}, {403, "permission_error", "PERMISSION_DENIED"},
    {404, "not_found_error", "NOT_FOUND"},            {413, "request_too_large", "INVALID_ARGUMENT"},
    {429, "rate_limit_error", "RESOURCE_EXHAUSTED"},  {500, "api_error", "INTERNAL"},
    {503, "api_error", "UNAVAILABLE"},                {529, "overloaded_error", "UNAVAILABLE"},
    {0, "invalid_request_error", "INVALID_ARGUMENT"},
};

static const struct word *word_of(int status)
{
    const struct word *w = words;

    while (w->status && w->status != status)
        w++;
    return w;
}

void exchange_error(struct exchange *x, int status, const char *type, const char *param, const char *code, const char *fmt, ...)
{
    struct buf message, json;
    va_list ap;

    buf_init(&message, BUF_UNLIMITED);
    va_start(ap, fmt);
    buf_addv(&message, fmt, ap);
    va_end(ap);
    buf_init(&json, BUF_UNLIMITED);
    if (x->speech == SPEECH_ANTHROPIC)
        buf_addf(&json, "{\"type\":\"error\",\"error\":{\"type\":\"%s\",\"message\":", word_of(status)->anthropic);
    else if (x->speech == SPEECH_GEMINI)
        buf_addf(&json, "{\"error\":{\"code\":%d,\"message\":", status);
    else
        buf_add_str(&json, "{\"error\":{\"message\":");
    audit_quote(&json, buf_slice(&message));
    if (x->speech == SPEECH_ANTHROPIC) {
        buf_add_str(&json, "},\"request_id\":\"req_simulator\"}");
    } else if (x->speech == SPEECH_GEMINI) {
        buf_addf(&json, ",\"status\":\"%s\"%s}}", word_of(status)->google, x->error_details.n ? x->error_details.p : "");
    } else {
        add_nullable(&json, "type", type);
        add_nullable(&json, "param", param);
        add_nullable(&json, "code", x->speech == SPEECH_AZURE && status == 429 ? "429" : code);
        buf_add_str(&json, "}}");
    }
    answer_whole(&x->answer, status, "application/json", buf_slice(&json));
    buf_release(&json);
    buf_release(&message);
}

static void on_last(void *arg)
{
    struct exchange *x = arg;

    sim_settle(x->sim, &x->call, &x->used, x->answer.status);
}

static void serve(struct exchange *x, const struct endpoint *endpoint, int64_t connection, int64_t arrived_us)
{
    static int64_t ids;

    x->speech = speech_of(x->request);
    x->arrival = describe(x->request, &x->body, arrived_us, connection);
    answer_header(&x->answer, "x-request-id: req_%" PRId64, __atomic_add_fetch(&ids, 1, __ATOMIC_RELAXED));
    x->answer.on_last = on_last;
    x->answer.arg = x;
    endpoint->serve(x);
    MG_ASSERT(x->arrived);
    MG_ASSERT(x->answer.state != ANSWER_OPEN);
    sim_finish(x->sim, &x->call, &x->used, x->answer.status,
               x->answer.state == ANSWER_GONE  ? SIM_END_LEFT
               : x->answer.state == ANSWER_CUT ? SIM_END_CUT
                                               : SIM_END_WHOLE);
}

/* A body in a content coding, as providers take it; the digest stays that of the bytes that came. */
static int decode(struct body *b, const struct request *r, struct errbuf *e)
{
    const struct slice *coding = request_header(r, SLICE("content-encoding"));
    struct buf plain;
    int rc;

    if (!coding || slice_eq(*coding, SLICE("identity")))
        return 0;
    buf_init(&plain, BODY_KEPT_BYTES);
    rc = decode_body(*coding, buf_slice(&b->kept), &plain);
    buf_release(&b->kept);
    b->kept = plain;
    if (rc < 0)
        err_set(e, "a body that is not in its content coding");
    return rc < 0 ? -EBADMSG : 0;
}

int exchange_run(struct sim *sim, struct wire *wire, const struct request *r, int64_t connection, bool *ret_close,
                 bool *ret_reset, struct errbuf *e)
{
    struct exchange x = {.sim = sim, .request = r};
    const struct endpoint *endpoint = find_endpoint(r);
    int rc;

    plan_init(&x.plan);
    buf_init(&x.error_details, BUF_UNLIMITED);
    answer_init(&x.answer, sim, wire, &x.plan, slice_eq(r->method, SLICE("HEAD")));
    rc = body_read(&x.body, r, wire, endpoint->keep, e);
    if (rc == 0 && wire_has_more(wire)) {
        err_set(e, "bytes after the body, before the answer");
        rc = -EBADMSG;
    }
    if (rc == 0 && endpoint->keep)
        rc = decode(&x.body, r, e);
    if (rc == 0)
        serve(&x, endpoint, connection, wire->received_us);
    *ret_close = x.answer.close;
    *ret_reset = x.answer.reset;
    body_release(&x.body);
    buf_release(&x.error_details);
    answer_release(&x.answer);
    return rc;
}
