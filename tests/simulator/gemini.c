/*
 * gemini: .../models/MODEL:METHOD, as generativelanguage.googleapis.com answers it. A stream is server-sent
 * events with CRLF when alt=sse asks for them, else one JSON array that comes in pieces.
 */
#include <inttypes.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "ask.h"
#include "exchange.h"
#include "handlers.h"

#define THOUGHTS 3 /* tokens that nobody sees, when thinking is asked for */

struct generation {
    struct ask ask;
    struct exchange *x;
    struct buf out;
};

static const char *const prompts[] = {"systemInstruction", "system_instruction", "contents",
                                      "content",           "requests",           NULL};

/* The name between "/models/" and the last colon. */
static struct slice model_of(const struct exchange *x)
{
    struct slice path = x->request->path, name = path;

    for (size_t i = 0; i < path.n; i++)
        if (path.p[i] == '/')
            name = slice_skip(path, i + 1);
    return slice_head(name, slice_find(name, ':'));
}

static bool read_generation(struct generation *g)
{
    struct ask *a = &g->ask;
    const cJSON *bound, *tool;

    if (!ask_read(a, g->x, model_of(g->x), prompts))
        return false;
    bound = ask_at(a, "generationConfig.maxOutputTokens");
    a->r.max_tokens = cJSON_IsNumber(bound) ? (int64_t)bound->valuedouble : -1;
    tool = chat_request_member(
        cJSON_GetArrayItem(
            chat_request_member(cJSON_GetArrayItem(ask_at(a, "tools"), 0), "functionDeclarations"), 0),
        "name");
    a->r.tool = cJSON_IsString(tool) ? tool->valuestring : NULL;
    a->r.wants_tool = a->r.wants_tool && a->r.tool;
    a->as_json = a->r.wants_tool || ask_at(a, "generationConfig.responseSchema") ||
                 ask_at(a, "generationConfig.responseJsonSchema");
    if (ask_at(a, "generationConfig.thinkingConfig") && !a->r.reasoning)
        a->r.reasoning = THOUGHTS;
    return true;
}

static void add_usage(struct generation *g)
{
    const struct used *u = &g->x->used;

    buf_addf(&g->out,
             ",\"usageMetadata\":{\"promptTokenCount\":%" PRId64 ",\"candidatesTokenCount\":%" PRId64,
             u->input, u->output - u->reasoning);
    if (u->cached)
        buf_addf(&g->out, ",\"cachedContentTokenCount\":%" PRId64, u->cached);
    if (u->reasoning)
        buf_addf(&g->out, ",\"thoughtsTokenCount\":%" PRId64, u->reasoning);
    buf_addf(&g->out,
             ",\"totalTokenCount\":%" PRId64
             ",\"promptTokensDetails\":[{\"modality\":\"TEXT\",\"tokenCount\":%" PRId64
             "}]},\"modelVersion\":",
             u->input + u->output, u->input);
    audit_quote(&g->out, slice_str(g->ask.model));
    buf_addf(&g->out, ",\"responseId\":\"%016" PRIx64 "\"}", g->ask.seed);
}

/* One response: a text, or a whole call of the tool. */
static void add_response(struct generation *g, struct slice text, bool last)
{
    buf_add_str(&g->out, "{\"candidates\":[{\"content\":{\"parts\":[");
    if (g->ask.r.wants_tool) {
        buf_add_str(&g->out, "{\"functionCall\":{\"name\":");
        audit_quote(&g->out, slice_str(g->ask.r.tool));
        buf_addf(&g->out, ",\"args\":%.*s}}", (int)text.n, text.p);
    } else {
        buf_add_str(&g->out, "{\"text\":");
        audit_quote(&g->out, text);
        buf_add_char(&g->out, '}');
    }
    buf_add_str(&g->out, "],\"role\":\"model\"}");
    if (last)
        buf_addf(&g->out, ",\"finishReason\":\"%s\"", g->ask.full ? "MAX_TOKENS" : "STOP");
    buf_add_str(&g->out, ",\"index\":0}]");
    add_usage(g);
}

static void answer_in_one(struct generation *g)
{
    struct buf text;

    buf_init(&text, BUF_UNLIMITED);
    ask_text(&g->ask, g->x, &text);
    add_response(g, buf_slice(&text), true);
    exchange_json(g->x, 200, buf_slice(&g->out));
    buf_release(&text);
}

static void send(struct generation *g, bool sse, bool first)
{
    answer_pause(&g->x->answer, g->x->plan.event_ms);
    if (sse) {
        answer_event(&g->x->answer, buf_slice(&g->out));
    } else {
        answer_piece(&g->x->answer, first ? SLICE("[") : SLICE(",\r\n"));
        answer_piece(&g->x->answer, buf_slice(&g->out));
    }
    buf_reset(&g->out);
}

static void answer_as_stream(struct generation *g, bool sse)
{
    struct slice piece;
    struct buf text;
    bool first = true;

    g->x->plan.crlf = 1;
    answer_begin(&g->x->answer, 200, sse ? "text/event-stream" : "application/json; charset=UTF-8");
    buf_init(&text, BUF_UNLIMITED);
    ask_begin(&g->ask);
    while (g->x->answer.state == ANSWER_OPEN && ask_next(&g->ask, g->x, &piece)) {
        bool last = g->ask.prose.left == 0;

        buf_add_slice(&text, piece);
        if (g->ask.r.wants_tool && !last)
            continue; /* a call comes whole */
        if (last)
            answer_last(&g->x->answer);
        add_response(g, g->ask.r.wants_tool ? buf_slice(&text) : piece, last);
        send(g, sse, first);
        first = false;
    }
    if (!sse)
        answer_piece(&g->x->answer, SLICE("]"));
    answer_end(&g->x->answer);
    buf_release(&text);
}

static void add_vector(struct generation *g, int index)
{
    buf_addf(&g->out, "{\"values\":[%.6f,%.6f]}", (double)(index + 1) / 64, (double)(index + 2) / 64);
}

static void answer_vectors(struct generation *g)
{
    const cJSON *requests = ask_at(&g->ask, "requests");

    if (requests) {
        buf_add_str(&g->out, "{\"embeddings\":[");
        for (int i = 0; i < cJSON_GetArraySize(requests); i++) {
            buf_add_str(&g->out, i ? "," : "");
            add_vector(g, i);
        }
        buf_add_str(&g->out, "]}");
    } else {
        buf_add_str(&g->out, "{\"embedding\":");
        add_vector(g, 0);
        buf_add_char(&g->out, '}');
    }
    g->x->used.input = g->ask.input;
    exchange_json(g->x, 200, buf_slice(&g->out));
}

void gemini_serve(struct exchange *x)
{
    struct slice path = x->request->path, alt = {0};
    struct generation g = {.x = x};
    struct demand demand;

    buf_init(&g.out, BUF_UNLIMITED);
    if (read_generation(&g)) {
        bool counts = slice_ends(path, SLICE(":countTokens"));

        demand = ask_demand(&g.ask);
        if (!exchange_admit(x, counts ? SLICE("") : slice_str(g.ask.model), &demand)) {
            ;
        } else if (counts) {
            buf_addf(&g.out, "{\"totalTokens\":%" PRId64 "}", g.ask.input);
            exchange_json(x, 200, buf_slice(&g.out));
        } else if (slice_ends(path, SLICE("mbedContent")) || slice_ends(path, SLICE("mbedContents"))) {
            answer_vectors(&g);
        } else {
            ask_decide(&g.ask, x);
            if (slice_ends(path, SLICE(":streamGenerateContent")))
                answer_as_stream(&g,
                                 request_query(x->request, "alt", &alt) == 0 && slice_eq(alt, SLICE("sse")));
            else
                answer_in_one(&g);
        }
    }
    ask_release(&g.ask);
    buf_release(&g.out);
}
