/* status: the body of GET /-/status, written in one go from one moment. docs/status.md is its manual. */
#include "metergate/base/clock.h"
#include "metergate/base/money.h"
#include "status_inside.h"

/* ---- members of all its parts ---- */

void status_member_until(struct json_writer *w, const char *key, int64_t at_us, int64_t now)
{
    json_key(w, key);
    if (at_us >= CLOCK_NEVER)
        json_null(w);
    else
        json_int(w, at_us > now ? (at_us - now + 999) / 1000 : 0);
}

void status_member_usd(struct json_writer *w, const char *key, int64_t nano)
{
    char text[MONEY_TEXT_MAX];

    json_key(w, key);
    json_raw(w, slice_str(money_text(nano, text)));
}

void status_member_text(struct json_writer *w, const char *key, const char *text)
{
    json_key(w, key);
    if (text && *text)
        json_str(w, slice_str(text));
    else
        json_null(w);
}

/* ---- its parts ---- */

static void write_totals(struct json_writer *w, const struct totals *t)
{
    json_key(w, "totals");
    json_object_begin(w);
    json_member_int(w, "calls", t->calls);
    json_member_int(w, "dispatched", t->dispatched);
    json_member_int(w, "completed", t->outcome[OUTCOME_COMPLETED]);
    json_member_int(w, "refused", t->outcome[OUTCOME_REFUSED]);
    json_member_int(w, "cancelled", t->outcome[OUTCOME_CANCELLED]);
    json_member_int(w, "failed", t->outcome[OUTCOME_FAILED]);
    json_member_int(w, "upstream_429", t->upstream_429);
    json_member_int(w, "retries", t->retries);
    json_object_end(w);
}

/* What is known of how its tokens compare with what is counted; only of models that have answered. */
static void write_learned(struct json_writer *w, const struct learned_model *m)
{
    struct error_figures e = calibration_errors(&m->calibration);

    if (e.calls == 0 && m->calibration.text.seen == 0)
        return;
    json_object_begin(w);
    json_member_str(w, "upstream", slice_str(m->upstream));
    json_member_str(w, "model", slice_str(m->model));
    json_member_double(w, "text_ratio", (double)m->calibration.text.mean / RATIO_ONE, 4);
    json_member_double(w, "tools_ratio", (double)m->calibration.tools.mean / RATIO_ONE, 4);
    json_member_double(w, "media_ratio", (double)m->calibration.media.mean / RATIO_ONE, 4);
    json_member_int(w, "calls", e.calls);
    json_member_double(w, "mean_error", e.mean, 4);
    json_member_double(w, "mean_absolute_error", e.absolute, 4);
    json_object_end(w);
}

static void write_upstream(struct json_writer *w, const struct provider *u)
{
    bool reachable = u->reachable && !u->health.breaker.open;

    if (u->retired && u->in_flight == 0)
        return;
    json_object_begin(w);
    json_member_str(w, "name", slice_str(u->config->name));
    json_member_str(w, "dialect", slice_str(u->dialect->name));
    json_member_bool(w, "reachable", reachable);
    json_member_int(w, "connections", u->in_flight); /* HTTP/1.1: one a call */
    json_member_bool(w, "breaker_open", u->health.breaker.open);
    json_member_int(w, "calls", u->calls);
    json_member_int(w, "upstream_429", u->upstream_429);
    json_member_int(w, "retries", u->retries);
    json_member_int(w, "connect_failures", u->connect_failures);
    status_member_text(w, "problem", reachable ? NULL : u->problem);
    json_object_end(w);
}

static void write_ledger(struct json_writer *w, struct ledger *l)
{
    struct ledger_health h;

    json_key(w, "ledger");
    if (!l) {
        json_null(w);
        return;
    }
    ledger_health(l, &h);
    json_object_begin(w);
    json_member_bool(w, "ok", h.ok);
    json_key(w, "problem");
    if (h.ok)
        json_null(w);
    else
        json_str(w, slice_str(h.problem));
    json_member_int(w, "waiting", h.waiting);
    json_member_int(w, "written", h.written);
    json_member_int(w, "lost", h.lost);
    json_member_int(w, "recovered", h.recovered);
    json_object_end(w);
}

void status_write(const struct proxy *p, struct buf *out)
{
    int64_t now = loop_now_us(p->loop);
    struct json_writer w;

    json_init(&w, out);
    json_object_begin(&w);
    json_member_str(&w, "version", SLICE(METERGATE_VERSION));
    json_member_int(&w, "time_ms", clock_wall_us() / 1000);
    json_member_double(&w, "uptime_s", (double)(now - p->started_us) / CLOCK_S, 1);
    json_member_bool(&w, "draining", p->draining);
    json_member_bool(&w, "paused", gate_is_stopped(p->gate));
    json_member_int(&w, "held", p->count[CALL_HELD]);
    json_member_int(&w, "held_bytes", p->held_bytes);
    json_member_int(&w, "in_flight", hub_in_flight(p));
    write_totals(&w, &p->totals);
    write_ledger(&w, p->ledger);
    status_write_process(&w, p);
    status_write_hour(&w, p->hour, now);
    status_write_budgets(&w, p, now);
    status_write_clients(&w, p, now);
    json_key(&w, "estimates");
    json_array_begin(&w);
    LIST_EACH (&p->learned.all, node, next)
        write_learned(&w, LIST_ENTRY(node, struct learned_model, link));
    json_array_end(&w);
    json_key(&w, "upstreams");
    json_array_begin(&w);
    LIST_EACH (&p->providers.all, node, next)
        write_upstream(&w, LIST_ENTRY(node, struct provider, link));
    json_array_end(&w);
    json_object_end(&w);
}
