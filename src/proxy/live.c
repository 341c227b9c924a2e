/* live: reads the call and the gate, and changes neither. */
#include "metergate/proxy/live.h"

#include "metergate/base/clock.h"
#include "metergate/base/json.h"
#include "metergate/proxy/hub.h"
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
    int64_t at_us = gate_is_stopped(p->gate) ? CLOCK_NEVER : gate_predict(p->gate, &c->ticket, now).start_us;

    json_key(w, "predicted_start_ms");
    if (at_us >= CLOCK_NEVER)
        json_null(w);
    else
        json_int(w, at_us > now ? (at_us - now + 999) / 1000 : 0);
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
    r.t_us = clock_wall_us();
    r.cost_nano = 0;
    buf_init(&body, BUF_UNLIMITED);
    json_init(&w, &body);
    json_object_begin(&w);
    report_text_call(&w, &r, false);
    json_member_str(&w, "state", slice_str(call_state_name(c->state)));
    if (c->state == CALL_HELD)
        write_start(&w, c, loop_now_us(p->loop));
    report_text_holds(&w, &r);
    json_object_end(&w);
    buf_add_char(&body, '\n');
    hub_reply(p, x, 200, "application/json", buf_slice(&body));
    buf_release(&body);
    return true;
}
