/*
 * anthropic: POST .../messages and .../messages/count_tokens, as api.anthropic.com answers them. Of a prompt
 * with cache_control a quarter was written to the cache, and a quarter read from it, whenever it is asked, unless the
 * prompt says how much.
 */
#include <inttypes.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "ask.h"
#include "exchange.h"
#include "handlers.h"

struct message {
    struct ask ask;
    struct exchange *x;
    bool thinks;
    struct buf out;
};

static const char *const prompts[] = {"system", "messages", NULL};

static bool refuse(struct exchange *x, const char *message)
{
    if (exchange_admit(x, SLICE(""), NULL))
        exchange_error(x, 400, "invalid_request_error", NULL, NULL, "%s", message);
    return false;
}

/* 2026-10-21 takes no sampling parameters any more. */
static const char *version_problem(const struct ask *a, const struct exchange *x)
{
    const struct slice *version = request_header(x->request, SLICE("anthropic-version"));

    if (!version)
        return "anthropic-version: header is required";
    if (slice_eq(*version, SLICE("2023-06-01")))
        return NULL;
    if (!slice_eq(*version, SLICE("2026-10-21")))
        return "anthropic-version: unsupported version";
    return ask_at(a, "temperature") || ask_at(a, "top_p") || ask_at(a, "top_k")
               ? "temperature, top_p and top_k are not supported in this version"
               : NULL;
}

static bool read_message(struct message *m, bool wants_bound)
{
    struct ask *a = &m->ask;
    const cJSON *bound, *tool;
    const char *problem;

    if (!ask_read(a, m->x, SLICE(""), prompts))
        return false;
    problem = version_problem(a, m->x);
    if (problem)
        return refuse(m->x, problem);
    if (!cJSON_IsArray(ask_at(a, "messages")))
        return refuse(m->x, "messages: Field required");
    bound = ask_at(a, "max_tokens");
    if (wants_bound && (!cJSON_IsNumber(bound) || bound->valuedouble < 1))
        return refuse(m->x, "max_tokens: Field required");
    a->r.max_tokens = bound ? (int64_t)bound->valuedouble : -1;
    tool = chat_request_member(cJSON_GetArrayItem(ask_at(a, "tools"), 0), "name");
    a->r.tool = cJSON_IsString(tool) ? tool->valuestring : NULL;
    a->r.wants_tool = a->r.wants_tool && a->r.tool;
    a->as_json = a->r.wants_tool || ask_at(a, "output_config.format") || ask_at(a, "output_format");
    m->thinks = ask_at(a, "thinking.budget_tokens") && !a->r.wants_tool;
    if (m->x->body.kept.n && strstr(m->x->body.kept.p, "\"cache_control\"") && !a->r.cached && !a->r.written &&
        !a->r.written_1h) {
        a->r.written = a->input / 4;
        a->r.cached = a->input / 4;
    }
    return true;
}

static void add_usage(struct message *m, int64_t output)
{
    const struct used *u = &m->x->used;
    int64_t written = u->written + u->written_1h;

    buf_addf(&m->out,
             "{\"input_tokens\":%" PRId64 ",\"cache_creation_input_tokens\":%" PRId64
             ",\"cache_read_input_tokens\":%" PRId64
             ",\"cache_creation\":{\"ephemeral_5m_input_tokens\":%" PRId64
             ",\"ephemeral_1h_input_tokens\":%" PRId64 "},\"output_tokens\":%" PRId64,
             u->input - written - u->cached, written, u->cached, u->written, u->written_1h, output);
    if (u->reasoning && output >= u->reasoning)
        buf_addf(&m->out, ",\"output_tokens_details\":{\"thinking_tokens\":%" PRId64 "}", u->reasoning);
    buf_addf(&m->out, ",\"service_tier\":\"%s\"}", u->tier ? u->tier : "standard");
}

static const char *stop_reason(const struct message *m)
{
    return m->ask.full ? "max_tokens" : m->ask.r.wants_tool ? "tool_use" : "end_turn";
}

static void add_head(struct message *m)
{
    buf_addf(&m->out, "\"id\":\"msg_%016" PRIx64 "\",\"type\":\"message\",\"role\":\"assistant\",\"model\":",
             m->ask.seed);
    audit_quote(&m->out, slice_str(m->ask.model));
}

static void answer_in_one(struct message *m)
{
    struct buf text;

    buf_init(&text, BUF_UNLIMITED);
    ask_text(&m->ask, m->x, &text);
    buf_add_char(&m->out, '{');
    add_head(m);
    buf_add_str(&m->out, ",\"content\":[");
    if (m->thinks)
        buf_add_str(&m->out,
                    "{\"type\":\"thinking\",\"thinking\":\"Let me think.\",\"signature\":\"c2ln\"},");
    if (m->ask.r.wants_tool) {
        buf_addf(&m->out, "{\"type\":\"tool_use\",\"id\":\"toolu_%016" PRIx64 "\",\"name\":", m->ask.seed);
        audit_quote(&m->out, slice_str(m->ask.r.tool));
        buf_addf(&m->out, ",\"input\":%s}", text.n ? text.p : "{}");
    } else {
        buf_add_str(&m->out, "{\"type\":\"text\",\"text\":");
        audit_quote(&m->out, buf_slice(&text));
        buf_add_char(&m->out, '}');
    }
    buf_addf(&m->out, "],\"stop_reason\":\"%s\",\"stop_sequence\":null,\"usage\":", stop_reason(m));
    add_usage(m, m->x->used.output);
    buf_add_char(&m->out, '}');
    exchange_json(m->x, 200, buf_slice(&m->out));
    buf_release(&text);
}

/* ---- as a stream ---- */

static bool send(struct message *m, const char *name)
{
    answer_named_event(&m->x->answer, name, buf_slice(&m->out));
    buf_reset(&m->out);
    return m->x->answer.state == ANSWER_OPEN;
}

static bool send_text(struct message *m, const char *name, const char *json)
{
    buf_add_str(&m->out, json);
    return send(m, name);
}

static void send_block(struct message *m, int index)
{
    struct ask *a = &m->ask;
    struct slice piece;

    buf_addf(&m->out, "{\"type\":\"content_block_start\",\"index\":%d,\"content_block\":", index);
    if (a->r.wants_tool) {
        buf_addf(&m->out, "{\"type\":\"tool_use\",\"id\":\"toolu_%016" PRIx64 "\",\"name\":", a->seed);
        audit_quote(&m->out, slice_str(a->r.tool));
        buf_add_str(&m->out, ",\"input\":{}}}");
    } else {
        buf_add_str(&m->out, "{\"type\":\"text\",\"text\":\"\"}}");
    }
    if (!send(m, "content_block_start") || !send_text(m, "ping", "{\"type\": \"ping\"}"))
        return;
    ask_begin(a);
    while (ask_next(a, m->x, &piece)) {
        answer_pause(&m->x->answer, m->x->plan.event_ms);
        sim_produce(m->x->sim, &m->x->call, m->x->used.output);
        buf_addf(&m->out, "{\"type\":\"content_block_delta\",\"index\":%d,\"delta\":{\"type\":\"%s\":", index,
                 a->r.wants_tool ? "input_json_delta\",\"partial_json" : "text_delta\",\"text");
        audit_quote(&m->out, piece);
        buf_add_str(&m->out, "}}");
        if (!send(m, "content_block_delta"))
            return;
    }
    buf_addf(&m->out, "{\"type\":\"content_block_stop\",\"index\":%d}", index);
    send(m, "content_block_stop");
}

static void answer_as_stream(struct message *m)
{
    answer_begin(&m->x->answer, 200, "text/event-stream; charset=utf-8");
    buf_add_str(&m->out, "{\"type\":\"message_start\",\"message\":{");
    add_head(m);
    buf_add_str(&m->out, ",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,\"usage\":");
    add_usage(m, 1);
    buf_add_str(&m->out, "}}");
    send(m, "message_start");
    if (m->thinks) {
        send_text(m, "content_block_start",
                  "{\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"thinking\","
                  "\"thinking\":\"\","
                  "\"signature\":\"\"}}");
        send_text(m, "content_block_delta",
                  "{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"thinking_delta\","
                  "\"thinking\":\"Let me "
                  "think.\"}}");
        send_text(m, "content_block_delta",
                  "{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"signature_delta\","
                  "\"signature\":"
                  "\"c2ln\"}}");
        send_text(m, "content_block_stop", "{\"type\":\"content_block_stop\",\"index\":0}");
    }
    send_block(m, m->thinks ? 1 : 0);
    answer_last(&m->x->answer);
    buf_addf(
        &m->out,
        "{\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"%s\",\"stop_sequence\":null},\"usage\":",
        stop_reason(m));
    add_usage(m, m->x->used.output);
    buf_add_char(&m->out, '}');
    send(m, "message_delta");
    send_text(m, "message_stop", "{\"type\":\"message_stop\"}");
    answer_end(&m->x->answer);
}

static void serve(struct exchange *x, bool counts)
{
    struct message m = {.x = x};
    struct demand demand;

    buf_init(&m.out, BUF_UNLIMITED);
    if (read_message(&m, !counts)) {
        demand = ask_demand(&m.ask);
        demand.input -= demand.cached; /* ITPM without cache reads */
        demand.max_output = 0;  /* "does not factor into OTPM" */
        if (exchange_admit(x, counts ? SLICE("") : slice_str(m.ask.model), &demand)) {
            ask_decide(&m.ask, x);
            if (counts) {
                buf_addf(&m.out, "{\"input_tokens\":%" PRId64 "}", m.ask.input);
                exchange_json(x, 200, buf_slice(&m.out));
            } else if (m.ask.r.stream) {
                answer_as_stream(&m);
            } else {
                answer_in_one(&m);
            }
        }
    }
    ask_release(&m.ask);
    buf_release(&m.out);
}

void anthropic_messages(struct exchange *x)
{
    serve(x, false);
}

void anthropic_count(struct exchange *x)
{
    serve(x, true);
}
