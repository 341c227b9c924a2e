/*
 * responses: OpenAI's Responses interface. What was answered is kept (store.h): a call that builds on a
 * response or a conversation is charged for all of that again, and one in the background shows its output
 * when it is asked for.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "ask.h"
#include "exchange.h"
#include "handlers.h"
#include "store.h"

struct response {
    struct ask ask;
    struct exchange *x;
    bool background;
    char id[32];
    struct buf out;
};

static const char *const prompts[] = {"instructions", "input", NULL};

/* The tokens of what it builds on; -1 when that is not there. */
static int64_t context_tokens(const struct response *r)
{
    const cJSON *previous = ask_at(&r->ask, "previous_response_id"),
                *conversation = ask_at(&r->ask, "conversation");
    int64_t tokens = 0;

    if (cJSON_IsObject(conversation))
        conversation = chat_request_member(conversation, "id");
    if (cJSON_IsString(previous) && !store_find(previous->valuestring, NULL, &tokens))
        return -1;
    if (cJSON_IsString(conversation))
        (void)store_find(conversation->valuestring, NULL, &tokens); /* a new one has no tokens yet */
    return tokens;
}

static bool read_response(struct response *r)
{
    struct ask *a = &r->ask;
    const cJSON *bound, *tool;
    int64_t context;

    if (!ask_read(a, r->x, SLICE(""), prompts))
        return false;
    bound = ask_at(a, "max_output_tokens");
    a->r.max_tokens = cJSON_IsNumber(bound) ? (int64_t)bound->valuedouble : -1;
    tool = chat_request_member(cJSON_GetArrayItem(ask_at(a, "tools"), 0), "name");
    a->r.tool = cJSON_IsString(tool) ? tool->valuestring : NULL;
    a->r.wants_tool = a->r.wants_tool && a->r.tool;
    a->as_json = a->r.wants_tool || ask_at(a, "text.format.schema");
    r->background = cJSON_IsTrue(ask_at(a, "background"));
    snprintf(r->id, sizeof r->id, "resp_%016" PRIx64, a->seed);
    context = context_tokens(r);
    if (context >= 0) {
        a->input += context;
        return true;
    }
    if (exchange_admit(r->x, SLICE(""), NULL))
        exchange_error(r->x, 400, "invalid_request_error", "previous_response_id",
                       "previous_response_not_found", "Previous response with id '%s' not found.",
                       ask_at(a, "previous_response_id")->valuestring);
    return false;
}

static void add_item(struct response *r, struct slice text, const char *status, bool empty)
{
    if (r->ask.r.wants_tool) {
        buf_addf(&r->out,
                 "{\"id\":\"fc_%016" PRIx64
                 "\",\"type\":\"function_call\",\"status\":\"%s\",\"call_id\":\"call_%016" PRIx64
                 "\",\"name\":",
                 r->ask.seed, status, r->ask.seed);
        audit_quote(&r->out, slice_str(r->ask.r.tool));
        buf_add_str(&r->out, ",\"arguments\":");
        audit_quote(&r->out, text);
        buf_add_char(&r->out, '}');
        return;
    }
    buf_addf(&r->out,
             "{\"id\":\"msg_%016" PRIx64
             "\",\"type\":\"message\",\"status\":\"%s\",\"role\":\"assistant\",\"content\":[",
             r->ask.seed, status);
    if (!empty) {
        buf_add_str(&r->out, "{\"type\":\"output_text\",\"annotations\":[],\"logprobs\":[],\"text\":");
        audit_quote(&r->out, text);
        buf_add_char(&r->out, '}');
    }
    buf_add_str(&r->out, "]}");
}

/* The response object; `text` NULL: nothing of the output is there yet, nor usage. */
static void add_response(struct response *r, const char *status, const struct slice *text)
{
    const struct used *u = &r->x->used;

    buf_addf(&r->out,
             "{\"id\":\"%s\",\"object\":\"response\",\"created_at\":1700000000,\"status\":\"%s\","
             "\"background\":%s,"
             "\"error\":null,\"incomplete_details\":null,\"instructions\":null,\"metadata\":{},\"model\":",
             r->id, status, r->background ? "true" : "false");
    audit_quote(&r->out, slice_str(r->ask.model));
    buf_add_str(&r->out, ",\"output\":[");
    if (text)
        add_item(r, *text, "completed", false);
    buf_add_str(&r->out, "],\"parallel_tool_calls\":true,\"previous_response_id\":null,\"temperature\":1,"
                         "\"tool_choice\":\"auto\","
                         "\"tools\":[],\"top_p\":1");
    buf_addf(&r->out, ",\"service_tier\":\"%s\",\"usage\":", u->tier ? u->tier : "default");
    if (text)
        buf_addf(&r->out,
                 "{\"input_tokens\":%" PRId64
                 ",\"input_tokens_details\":{\"cached_tokens\":%" PRId64 ",\"cache_write_tokens\":%" PRId64
                 "},\"output_tokens\":%" PRId64 ",\"output_tokens_details\":{\"reasoning_tokens\":%" PRId64
                 "},\"total_tokens\":%" PRId64 "}}",
                 u->input, u->cached, u->written, u->output, u->reasoning, u->input + u->output);
    else
        buf_add_str(&r->out, "null}");
}

static void keep(struct response *r, struct slice text)
{
    const cJSON *conversation = ask_at(&r->ask, "conversation");
    int64_t total = r->x->used.input + r->x->used.output;
    struct buf mine = r->out;

    buf_init(&r->out, BUF_UNLIMITED);
    add_response(r, r->ask.full ? "incomplete" : "completed", &text);
    store_put(r->id, buf_slice(&r->out), total);
    buf_release(&r->out);
    r->out = mine;
    if (cJSON_IsObject(conversation))
        conversation = chat_request_member(conversation, "id");
    if (cJSON_IsString(conversation))
        store_put(conversation->valuestring, slice_of(NULL, 0), total);
}

static void answer_in_one(struct response *r)
{
    struct buf text;

    buf_init(&text, BUF_UNLIMITED);
    ask_text(&r->ask, r->x, &text);
    keep(r, buf_slice(&text));
    if (r->background) {
        add_response(r, "queued", NULL);
    } else {
        struct slice all = buf_slice(&text);

        add_response(r, r->ask.full ? "incomplete" : "completed", &all);
    }
    exchange_json(r->x, 200, buf_slice(&r->out));
    buf_release(&text);
}

/* ---- as a stream ---- */

struct stream {
    struct response *r;
    int sequence;
};

static void begin_event(struct stream *s, const char *type)
{
    buf_reset(&s->r->out);
    buf_addf(&s->r->out, "{\"type\":\"%s\",\"sequence_number\":%d", type, s->sequence++);
}

static bool end_event(struct stream *s, const char *type)
{
    buf_add_char(&s->r->out, '}');
    answer_named_event(&s->r->x->answer, type, buf_slice(&s->r->out));
    return s->r->x->answer.state == ANSWER_OPEN;
}

static void send_response(struct stream *s, const char *type, const char *status, const struct slice *text)
{
    begin_event(s, type);
    buf_add_str(&s->r->out, ",\"response\":");
    add_response(s->r, status, text);
    end_event(s, type);
}

static void send_item(struct stream *s, const char *type, const char *status, struct slice text, bool empty)
{
    begin_event(s, type);
    buf_add_str(&s->r->out, ",\"output_index\":0,\"item\":");
    add_item(s->r, text, status, empty);
    end_event(s, type);
}

static void add_place(struct stream *s)
{
    const struct ask *a = &s->r->ask;

    if (a->r.wants_tool)
        buf_addf(&s->r->out, ",\"item_id\":\"fc_%016" PRIx64 "\",\"output_index\":0", a->seed);
    else
        buf_addf(&s->r->out, ",\"item_id\":\"msg_%016" PRIx64 "\",\"output_index\":0,\"content_index\":0",
                 a->seed);
}

static void send_part(struct stream *s, const char *type, struct slice text)
{
    begin_event(s, type);
    add_place(s);
    buf_add_str(&s->r->out,
                ",\"part\":{\"type\":\"output_text\",\"annotations\":[],\"logprobs\":[],\"text\":");
    audit_quote(&s->r->out, text);
    buf_add_char(&s->r->out, '}');
    end_event(s, type);
}

static void send_text(struct stream *s, const char *type, const char *member, struct slice text)
{
    begin_event(s, type);
    add_place(s);
    buf_addf(&s->r->out, ",\"%s\":", member);
    audit_quote(&s->r->out, text);
    if (!s->r->ask.r.wants_tool)
        buf_add_str(&s->r->out, ",\"logprobs\":[]");
    end_event(s, type);
}

static void send_deltas(struct stream *s, struct buf *text)
{
    bool tool = s->r->ask.r.wants_tool;
    struct slice piece;

    ask_begin(&s->r->ask);
    while (s->r->x->answer.state == ANSWER_OPEN && ask_next(&s->r->ask, s->r->x, &piece)) {
        answer_pause(&s->r->x->answer, s->r->x->plan.event_ms);
        buf_add_slice(text, piece);
        send_text(s, tool ? "response.function_call_arguments.delta" : "response.output_text.delta", "delta",
                  piece);
    }
    send_text(s, tool ? "response.function_call_arguments.done" : "response.output_text.done",
              tool ? "arguments" : "text", buf_slice(text));
}

static void answer_as_stream(struct response *r)
{
    struct stream s = {.r = r};
    struct slice all;
    struct buf text;

    buf_init(&text, BUF_UNLIMITED);
    answer_begin(&r->x->answer, 200, "text/event-stream; charset=utf-8");
    send_response(&s, "response.created", "in_progress", NULL);
    send_response(&s, "response.in_progress", "in_progress", NULL);
    send_item(&s, "response.output_item.added", "in_progress", SLICE(""), true);
    if (!r->ask.r.wants_tool)
        send_part(&s, "response.content_part.added", SLICE(""));
    send_deltas(&s, &text);
    all = buf_slice(&text);
    if (!r->ask.r.wants_tool)
        send_part(&s, "response.content_part.done", all);
    send_item(&s, "response.output_item.done", "completed", all, false);
    answer_last(&r->x->answer);
    keep(r, all);
    if (r->ask.full)
        send_response(&s, "response.incomplete", "incomplete", &all);
    else
        send_response(&s, "response.completed", "completed", &all);
    answer_end(&r->x->answer);
    buf_release(&text);
}

/* ---- the way in ---- */

void responses_serve(struct exchange *x)
{
    struct response r = {.x = x};
    struct demand demand;

    buf_init(&r.out, BUF_UNLIMITED);
    if (read_response(&r)) {
        demand = ask_demand(&r.ask);
        if (exchange_admit(x, slice_str(r.ask.model), &demand)) {
            ask_decide(&r.ask, x);
            if (r.ask.r.stream)
                answer_as_stream(&r);
            else
                answer_in_one(&r);
        }
    }
    ask_release(&r.ask);
    buf_release(&r.out);
}

void responses_count(struct exchange *x)
{
    struct response r = {.x = x};

    buf_init(&r.out, BUF_UNLIMITED);
    if (read_response(&r) && exchange_admit(x, SLICE(""), NULL)) {
        buf_addf(&r.out, "{\"object\":\"response.input_tokens\",\"input_tokens\":%" PRId64 "}", r.ask.input);
        exchange_json(x, 200, buf_slice(&r.out));
    }
    ask_release(&r.ask);
    buf_release(&r.out);
}

void responses_retrieve(struct exchange *x)
{
    struct slice path = x->request->path;
    struct buf json;
    size_t at = path.n;
    char id[128];

    if (!exchange_admit(x, SLICE(""), NULL))
        return;
    while (at && path.p[at - 1] != '/')
        at--;
    snprintf(id, sizeof id, "%.*s", (int)(path.n - at), path.p + at);
    buf_init(&json, BUF_UNLIMITED);
    if (!store_find(id, &json, NULL))
        exchange_error(x, 404, "invalid_request_error", NULL, NULL, "Response with id '%s' not found.", id);
    else
        exchange_json(x, 200, buf_slice(&json));
    buf_release(&json);
}
