/*
 * chat: POST .../chat/completions. An answer depends on the model, the prompt and the request's own options alone: asked
 * twice it is the same twice, apart from headers. `output` of the exchange always is the number of tokens that were
 * written so far, so that a call that is cut or left is settled at what was produced.
 */
#include <inttypes.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "chat_request.h"
#include "exchange.h"
#include "handlers.h"
#include "prose.h"
#include "tally.h"

#define CREATED       1700000000
#define DEFAULT_OUT   16

/* One answer being made: n choices of the same length. */
struct chat {
    struct exchange *x;
    struct chat_request request;
    uint64_t seed;
    int64_t tokens; /* of each choice */
    bool tool;      /* a tool call instead of text */
    bool schema;    /* the text is {"text":"..."}: a schema asks for JSON */
    bool full;      /* max_tokens ended it */
    int64_t events; /* written, for the faults that count them */
    struct buf out;
};

static void decide_length(struct chat *c)
{
    const struct chat_request *r = &c->request;
    int64_t tokens = r->out >= 0                  ? r->out
                     : c->x->call.config.out > 0  ? c->x->call.config.out
                     : r->max_tokens > 0          ? r->max_tokens
                                                  : DEFAULT_OUT;

    c->full = r->max_tokens > 0 && tokens >= r->max_tokens;
    c->tokens = c->full ? r->max_tokens : tokens;
}

static struct prose choice_prose(const struct chat *c, int64_t index)
{
    struct prose p;

    prose_init(&p, slice_str(c->request.model), c->seed + (uint64_t)index * 7919, c->tokens, c->request.unicode);
    return p;
}

static const char *finish_reason(const struct chat *c)
{
    return c->full ? "length" : c->tool ? "tool_calls" : "stop";
}

static void add_usage(struct chat *c)
{
    const struct used *u = &c->x->used;

    buf_addf(&c->out,
             "{\"prompt_tokens\":%" PRId64 ",\"completion_tokens\":%" PRId64 ",\"total_tokens\":%" PRId64
             ",\"prompt_tokens_details\":{\"cached_tokens\":%" PRId64 ",\"cache_write_tokens\":%" PRId64
             ",\"audio_tokens\":0},\"completion_tokens_details\":{\"reasoning_tokens\":%" PRId64
             ",\"audio_tokens\":0,\"accepted_prediction_tokens\":0,\"rejected_prediction_tokens\":0}}",
             u->input, u->output, u->input + u->output, u->cached, u->written, u->reasoning);
}

static void add_head(struct chat *c, const char *object)
{
    buf_reset(&c->out);
    buf_addf(&c->out, "{\"id\":\"chatcmpl-%016" PRIx64 "\",\"object\":\"%s\",\"created\":%d,\"model\":", c->seed, object, CREATED);
    audit_quote(&c->out, slice_str(c->request.model));
}

static void add_tier(struct chat *c)
{
    buf_addf(&c->out, ",\"service_tier\":\"%s\",\"system_fingerprint\":\"fp_simulator\"",
             c->x->used.tier ? c->x->used.tier : "default");
}

static void add_tool_call(struct chat *c, int64_t index, const char *arguments_end)
{
    buf_addf(&c->out, "\"id\":\"call_%016" PRIx64 "\",\"type\":\"function\",\"function\":{\"name\":", c->seed + (uint64_t)index);
    audit_quote(&c->out, slice_str(c->request.tool));
    buf_addf(&c->out, ",\"arguments\":%s", arguments_end);
}

/* ---- in one piece ---- */

static void add_choice(struct chat *c, int64_t index)
{
    struct prose p = choice_prose(c, index);
    struct buf text;
    struct slice piece;
    int64_t tokens;

    buf_init(&text, BUF_UNLIMITED);
    while (prose_next(&p, &piece, &tokens)) {
        buf_add_slice(&text, piece);
        c->x->used.output += tokens;
    }
    buf_addf(&c->out, "%s{\"index\":%" PRId64 ",\"message\":{\"role\":\"assistant\",\"content\":", index ? "," : "", index);
    if (c->tool) {
        buf_add_str(&c->out, "null,\"tool_calls\":[{");
        add_tool_call(c, index, "");
        /* the arguments are JSON in a string: our words need no escapes but the quotes around them */
        buf_addf(&c->out, "\"{\\\"text\\\":\\\"%s\\\"}\"}}]", text.n ? text.p : "");
    } else if (c->schema) {
        buf_addf(&c->out, "\"{\\\"text\\\":\\\"%s\\\"}\"", text.n ? text.p : "");
    } else {
        audit_quote(&c->out, buf_slice(&text));
    }
    buf_addf(&c->out, ",\"refusal\":null},\"logprobs\":null,\"finish_reason\":\"%s\"}", finish_reason(c));
    buf_release(&text);
}

static void answer_in_one(struct chat *c)
{
    add_head(c, "chat.completion");
    buf_add_str(&c->out, ",\"choices\":[");
    for (int64_t i = 0; i < c->request.n; i++)
        add_choice(c, i);
    buf_add_char(&c->out, ']');
    if (c->x->plan.no_usage <= 0) {
        buf_add_str(&c->out, ",\"usage\":");
        add_usage(c);
    }
    add_tier(c);
    buf_add_char(&c->out, '}');
    exchange_json(c->x, 200, buf_slice(&c->out));
}

/* ---- as a stream ---- */

static void end_chunk(struct chat *c)
{
    if (c->request.include_usage && c->x->plan.no_usage <= 0)
        buf_add_str(&c->out, ",\"usage\":null");
    if (c->x->call.obfuscation && c->request.obfuscation)
        buf_addf(&c->out, ",\"obfuscation\":\"%.*s\"", (int)(c->seed % 11 + (uint64_t)c->events % 5), "aXkq93LmzTqpWd1");
    buf_add_char(&c->out, '}');
}

/* Writes the event that was composed, and what may go wrong after it. False when the stream is over. */
static bool send_event(struct chat *c)
{
    const struct plan *plan = &c->x->plan;

    answer_pause(&c->x->answer, plan->event_ms);
    answer_event(&c->x->answer, buf_slice(&c->out));
    c->events++;
    if (plan->stream_error < 0 || c->events != plan->stream_error)
        return c->x->answer.state == ANSWER_OPEN;
    answer_event(&c->x->answer, SLICE("{\"error\":{\"message\":\"The server had an error while processing your request. Sorry "
                                      "about that!\",\"type\":\"server_error\",\"param\":null,\"code\":null}}"));
    answer_end(&c->x->answer);
    return false;
}

static void begin_chunk(struct chat *c, int64_t index)
{
    add_head(c, "chat.completion.chunk");
    add_tier(c);
    buf_addf(&c->out, ",\"choices\":[{\"index\":%" PRId64 ",\"delta\":{", index);
}

static bool send_role(struct chat *c, int64_t index)
{
    begin_chunk(c, index);
    buf_add_str(&c->out, "\"role\":\"assistant\",\"content\":");
    if (c->tool) {
        buf_add_str(&c->out, "null,\"tool_calls\":[{\"index\":0,");
        add_tool_call(c, index, "\"\"}}]");
    } else {
        buf_add_str(&c->out, "\"\"");
    }
    buf_add_str(&c->out, ",\"refusal\":null},\"logprobs\":null,\"finish_reason\":null}]");
    end_chunk(c);
    return send_event(c);
}

/* `before` and `after` frame the arguments of a tool call, and JSON that a schema asks for. */
static bool send_piece(struct chat *c, int64_t index, struct slice piece, const char *before, const char *after)
{
    begin_chunk(c, index);
    if (c->tool) {
        buf_addf(&c->out, "\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"%s", before);
        buf_add_slice(&c->out, piece);
        buf_addf(&c->out, "%s\"}}]", after);
    } else {
        buf_addf(&c->out, "\"content\":\"%s", before);
        buf_add_slice(&c->out, piece);
        buf_addf(&c->out, "%s\"", after);
    }
    buf_add_str(&c->out, "},\"logprobs\":null,\"finish_reason\":null}]");
    end_chunk(c);
    return send_event(c);
}

static bool send_finish(struct chat *c, int64_t index)
{
    begin_chunk(c, index);
    buf_addf(&c->out, "},\"logprobs\":null,\"finish_reason\":\"%s\"}]", finish_reason(c));
    end_chunk(c);
    return send_event(c);
}

static bool send_choice(struct chat *c, int64_t index)
{
    struct prose p = choice_prose(c, index);
    struct slice piece;
    int64_t tokens;

    if (!send_role(c, index))
        return false;
    while (prose_next(&p, &piece, &tokens)) {
        bool json = c->tool || c->schema, first = json && p.left + tokens == c->tokens;

        c->x->used.output += tokens;
        if (!send_piece(c, index, piece, first ? "{\\\"text\\\":\\\"" : "", json && p.left == 0 ? "\\\"}" : ""))
            return false;
    }
    return send_finish(c, index);
}

static void send_usage(struct chat *c)
{
    add_head(c, "chat.completion.chunk");
    add_tier(c);
    buf_add_str(&c->out, ",\"choices\":[],\"usage\":");
    add_usage(c);
    buf_add_char(&c->out, '}');
    answer_event(&c->x->answer, buf_slice(&c->out));
}

static void answer_as_stream(struct chat *c)
{
    answer_begin(&c->x->answer, 200, "text/event-stream; charset=utf-8");
    for (int64_t i = 0; i < c->request.n; i++)
        if (!send_choice(c, i))
            return;
    answer_last(&c->x->answer);
    if (c->request.include_usage && c->x->plan.no_usage <= 0)
        send_usage(c);
    if (c->x->plan.no_done <= 0)
        answer_event(&c->x->answer, SLICE("[DONE]"));
    answer_end(&c->x->answer);
}

/* ---- the way in ---- */

static void serve(struct chat *c)
{
    struct exchange *x = c->x;
    struct slice model = slice_str(c->request.model);
    uint64_t seed = prose_seed(model, buf_slice(&c->request.prompt));
    struct demand demand = {.input = tally_as(settings_model(&x->sim->settings, c->request.model),
                                              tally_chat(model, c->request.json), seed),
                            .chars = c->request.chars,
                            .max_output = c->request.max_tokens > 0 ? c->request.max_tokens * c->request.n : 0};

    demand.cached = chat_request_used(&c->request, demand.input).cached;
    if (!exchange_admit(x, model, &demand))
        return;
    if (x->plan.refuse_stream_options > 0 && c->request.has_stream_options) {
        exchange_error(x, 400, "invalid_request_error", "stream_options", NULL, "Unrecognized request argument supplied: stream_options");
        return;
    }
    x->used = chat_request_used(&c->request, demand.input);
    c->seed = seed;
    c->tool = c->request.wants_tool && c->request.tool;
    c->schema = !c->tool && chat_request_member(chat_request_member(c->request.json, "response_format"), "json_schema");
    decide_length(c);
    if (c->request.stream)
        answer_as_stream(c);
    else
        answer_in_one(c);
}

void chat_serve(struct exchange *x)
{
    struct chat c = {.x = x};
    struct chat_fault why;

    buf_init(&c.out, BUF_UNLIMITED);
    if (chat_request_read(&c.request, buf_slice(&x->body.kept), exchange_deployment(x), &x->plan, &why) == 0)
        serve(&c);
    else if (exchange_admit(x, SLICE(""), NULL))
        exchange_error(x, 400, "invalid_request_error", why.param, why.code, "%s", why.message);
    chat_request_release(&c.request);
    buf_release(&c.out);
}
