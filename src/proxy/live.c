/* live: reads the call and the gate, and changes neither. */
#include "metergate/proxy/live.h"

#include <string.h>

#include "metergate/base/clock.h"
#include "metergate/base/json.h"
#include "metergate/proxy/hub.h"
#include "metergate/proxy/inquiry.h"
#include "metergate/proxy/record.h"
#include "metergate/proxy/report_text.h"

static const struct call *find(const struct proxy *p, int64_t id)
{
    for (int s = 0; s < CALL_SETTLED; s++) {
        LIST_EACH (&p->calls[s], node, next) {
            const struct call *c = LIST_ENTRY(node, const struct call, link);

            if (c->number == id)
                return c;
        }
    }
    return NULL;
}

/* From now on; null: what ends first decides, or everything is paused. */
static void write_start(struct json_writer *w, const struct call *c, int64_t now)
{
    struct proxy *p = c->proxy;
    int estimates = 1;
    int64_t at_us = gate_start_us(p->gate, &c->ticket, now, &estimates);

    json_key(w, "predicted_start_ms");
    if (at_us >= CLOCK_NEVER)
        json_null(w);
    else
        json_int(w, at_us > now ? (at_us - now + 999) / 1000 : 0);
}

static void write_call(struct json_writer *w, const struct call *c, struct ledger_row *r)
{
    r->t_us = clock_wall_us();
    r->cost_nano = 0;
    report_text_call(w, r, false);
    json_member_str(w, "state", slice_str(call_state_name(c->state)));
}

bool live_reply(struct proxy *p, struct exchange *x, int64_t id)
{
    const struct call *c = find(p, id);
    struct ledger_row r = {0};
    struct json_writer w;
    struct buf body;

    if (!c)
        return false;
    record_fill(c, &r);
    buf_init(&body, BUF_UNLIMITED);
    json_init(&w, &body);
    json_object_begin(&w);
    write_call(&w, c, &r);
    if (c->state == CALL_HELD)
        write_start(&w, c, loop_now_us(p->loop));
    report_text_holds(&w, &r);
    json_object_end(&w);
    buf_add_char(&body, '\n');
    hub_reply(p, x, 200, "application/json", buf_slice(&body));
    buf_release(&body);
    return true;
}

static bool is_asked_for(const struct inquiry *what, const struct call *c)
{
    if (what->client[0] && (!c->client || strcmp(what->client, c->client->name) != 0))
        return false;
    if (what->model_count == 0)
        return true;
    return !c->counting && strcmp(what->model[0], c->request.model) == 0; /* the request is the worker's meanwhile */
}

void live_reply_all(struct proxy *p, struct exchange *x, const struct inquiry *what)
{
    int64_t left = what->limit < LIVE_CALLS_MAX ? what->limit : LIVE_CALLS_MAX;
    struct json_writer w;
    struct buf body;

    buf_init(&body, BUF_UNLIMITED);
    json_init(&w, &body);
    json_object_begin(&w);
    json_key(&w, "calls");
    json_array_begin(&w);
    for (int s = CALL_SETTLED - 1; s >= 0; s--) {
        LIST_EACH (&p->calls[s], node, next) {
            const struct call *c = LIST_ENTRY(node, const struct call, link);
            struct ledger_row r;

            if (left == 0 || !is_asked_for(what, c))
                continue;
            left--;
            r = (struct ledger_row){0};
            record_fill(c, &r);
            json_object_begin(&w);
            write_call(&w, c, &r);
            json_object_end(&w);
        }
    }
    json_array_end(&w);
    json_object_end(&w);
    buf_add_char(&body, '\n');
    hub_reply(p, x, 200, "application/json", buf_slice(&body));
    buf_release(&body);
}
