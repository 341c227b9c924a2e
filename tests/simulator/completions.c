/* completions: OpenAI's older interface, POST .../completions: `n` texts for each prompt. */
#include <inttypes.h>

#include <cjson/cJSON.h>

#include "ask.h"
#include "exchange.h"
#include "handlers.h"

struct completion {
    struct ask ask;
    struct exchange *x;
    int64_t choices, best_of;
    bool include_usage;
    struct buf out;
};

static const char *const prompts[] = {"prompt", NULL};

static int64_t number(const struct ask *a, const char *name, int64_t otherwise)
{
    const cJSON *node = ask_at(a, name);

    return cJSON_IsNumber(node) && node->valuedouble >= 1 ? (int64_t)node->valuedouble : otherwise;
}

static bool read_completion(struct completion *c)
{
    const cJSON *prompt;
    int64_t n;

    if (!ask_read(&c->ask, c->x, exchange_deployment(c->x), prompts))
        return false;
    prompt = ask_at(&c->ask, "prompt");
    n = number(&c->ask, "n", 1);
    c->best_of = number(&c->ask, "best_of", n);
    c->choices = n;
    if (cJSON_IsArray(prompt) && !cJSON_IsNumber(prompt->child))
        c->choices *= cJSON_GetArraySize(prompt);
    c->ask.r.max_tokens = number(&c->ask, "max_tokens", 16);
    c->include_usage = cJSON_IsTrue(ask_at(&c->ask, "stream_options.include_usage")) && c->x->plan.no_usage <= 0;
    return true;
}

static void add_head(struct completion *c)
{
    buf_reset(&c->out);
    buf_addf(&c->out,
             "{\"id\":\"cmpl-%016" PRIx64
             "\",\"object\":\"text_completion\",\"created\":1700000000,\"model\":",
             c->ask.seed);
    audit_quote(&c->out, slice_str(c->ask.model));
    buf_add_str(&c->out, ",\"choices\":[");
}

static void add_choice(struct completion *c, int64_t index, struct slice text, const char *finish)
{
    buf_add_str(&c->out, "{\"text\":");
    audit_quote(&c->out, text);
    buf_addf(&c->out, ",\"index\":%" PRId64 ",\"logprobs\":null,\"finish_reason\":%s}", index, finish);
}

static void add_usage(struct completion *c)
{
    buf_addf(&c->out,
             "{\"prompt_tokens\":%" PRId64 ",\"completion_tokens\":%" PRId64 ",\"total_tokens\":%" PRId64 "}",
             c->x->used.input, c->x->used.output, c->x->used.input + c->x->used.output);
}

static const char *finish(const struct completion *c)
{
    return c->ask.full ? "\"length\"" : "\"stop\"";
}

static void answer_in_one(struct completion *c)
{
    add_head(c);
    for (int64_t i = 0; i < c->choices; i++) {
        struct buf text;

        buf_init(&text, BUF_UNLIMITED);
        ask_text(&c->ask, c->x, &text);
        buf_add_str(&c->out, i ? "," : "");
        add_choice(c, i, buf_slice(&text), finish(c));
        buf_release(&text);
    }
    buf_add_char(&c->out, ']');
    if (c->x->plan.no_usage <= 0) {
        buf_add_str(&c->out, ",\"usage\":");
        add_usage(c);
    }
    buf_add_char(&c->out, '}');
    exchange_json(c->x, 200, buf_slice(&c->out));
}

static void send(struct completion *c, int64_t index, struct slice text, const char *why)
{
    answer_pause(&c->x->answer, c->x->plan.event_ms);
    add_head(c);
    add_choice(c, index, text, why);
    buf_add_str(&c->out, c->include_usage ? "],\"usage\":null}" : "]}");
    answer_event(&c->x->answer, buf_slice(&c->out));
}

static void answer_as_stream(struct completion *c)
{
    answer_begin(&c->x->answer, 200, "text/event-stream; charset=utf-8");
    for (int64_t i = 0; i < c->choices; i++) {
        struct slice piece;

        ask_begin(&c->ask);
        while (c->x->answer.state == ANSWER_OPEN && ask_next(&c->ask, c->x, &piece))
            send(c, i, piece, "null");
        send(c, i, SLICE(""), finish(c));
    }
    answer_last(&c->x->answer);
    if (c->include_usage) {
        add_head(c);
        buf_add_str(&c->out, "],\"usage\":");
        add_usage(c);
        buf_add_char(&c->out, '}');
        answer_event(&c->x->answer, buf_slice(&c->out));
    }
    answer_event(&c->x->answer, SLICE("[DONE]"));
    answer_end(&c->x->answer);
}

void completions_serve(struct exchange *x)
{
    struct completion c = {.x = x};
    struct demand demand;

    buf_init(&c.out, BUF_UNLIMITED);
    if (read_completion(&c)) {
        demand = ask_demand(&c.ask);
        demand.max_output *= c.choices > c.best_of ? c.choices : c.best_of;
        if (exchange_admit(x, slice_str(c.ask.model), &demand)) {
            ask_decide(&c.ask, x);
            if (c.ask.r.stream)
                answer_as_stream(&c);
            else
                answer_in_one(&c);
        }
    }
    ask_release(&c.ask);
    buf_release(&c.out);
}
