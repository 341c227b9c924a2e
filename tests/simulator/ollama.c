/* ollama: its native interface: JSON lines unless `stream` is false, and usage in the last of them. */
#include <inttypes.h>

#include <cjson/cJSON.h>

#include "ask.h"
#include "exchange.h"
#include "handlers.h"

static const char *const prompts[] = {"messages", "prompt", "system", "input", NULL};

static void add_line(struct ask *a, bool chat, struct slice text, bool done, const struct exchange *x,
                     struct buf *out)
{
    buf_add_str(out, "{\"model\":");
    audit_quote(out, slice_str(a->model));
    buf_add_str(out, ",\"created_at\":\"2026-11-24T00:00:00Z\"");
    buf_add_str(out, chat ? ",\"message\":{\"role\":\"assistant\",\"content\":" : ",\"response\":");
    audit_quote(out, text);
    buf_addf(out, "%s,\"done\":%s", chat ? "}" : "", done ? "true" : "false");
    if (done)
        buf_addf(out, ",\"done_reason\":\"stop\",\"prompt_eval_count\":%" PRId64 ",\"eval_count\":%" PRId64,
                 x->used.input, x->used.output);
    buf_add_str(out, "}\n");
}

static void answer(struct ask *a, struct exchange *x, bool chat)
{
    struct slice piece;
    struct buf out;

    buf_init(&out, BUF_UNLIMITED);
    if (cJSON_IsFalse(ask_at(a, "stream"))) {
        struct buf text;

        buf_init(&text, BUF_UNLIMITED);
        ask_text(a, x, &text);
        add_line(a, chat, buf_slice(&text), true, x, &out);
        exchange_json(x, 200, buf_slice(&out));
        buf_release(&text);
    } else {
        answer_begin(&x->answer, 200, "application/x-ndjson");
        ask_begin(a);
        while (x->answer.state == ANSWER_OPEN && ask_next(a, x, &piece)) {
            answer_pause(&x->answer, x->plan.event_ms);
            buf_reset(&out);
            add_line(a, chat, piece, false, x, &out);
            answer_piece(&x->answer, buf_slice(&out));
        }
        answer_last(&x->answer);
        buf_reset(&out);
        add_line(a, chat, SLICE(""), true, x, &out);
        answer_piece(&x->answer, buf_slice(&out));
        answer_end(&x->answer);
    }
    buf_release(&out);
}

void ollama_serve(struct exchange *x)
{
    bool embed = slice_ends(x->request->path, SLICE("/embed"));
    struct demand demand;
    struct ask a;

    if (ask_read(&a, x, SLICE(""), prompts)) {
        demand = ask_demand(&a);
        if (exchange_admit(x, slice_str(a.model), &demand)) {
            ask_decide(&a, x);
            if (embed)
                exchange_json(
                    x, 200, SLICE("{\"model\":\"e\",\"embeddings\":[[0.5,0.25]],\"prompt_eval_count\":2}\n"));
            else
                answer(&a, x, slice_ends(x->request->path, SLICE("/chat")));
        }
    }
    ask_release(&a);
}

void ollama_tags(struct exchange *x)
{
    if (exchange_admit(x, SLICE(""), NULL))
        exchange_json(
            x, 200,
            SLICE("{\"models\":[{\"name\":\"llama3:latest\",\"model\":\"llama3:latest\",\"size\":1}]}"));
}
