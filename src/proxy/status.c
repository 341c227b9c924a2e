/* status: the body of GET /-/status, written in one go from one moment. */
#include "metergate/base/clock.h"
#include "metergate/base/json.h"
#include "metergate/base/money.h"
#include "metergate/proxy/hub.h"

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

static void write_held_of(struct json_writer *w, const int64_t held[TICKET_CLASSES])
{
    json_key(w, "held_by_priority");
    json_object_begin(w);
    json_member_int(w, "high", held[TICKET_HIGH]);
    json_member_int(w, "normal", held[TICKET_NORMAL]);
    json_member_int(w, "low", held[TICKET_LOW]);
    json_object_end(w);
}

static void write_limit(struct json_writer *w, const struct budget *b, const struct budget_limit *l)
{
    struct limit_figures f = budget_figures(b, l);

    if (f.max >= LIMITS_UNKNOWN)
        return;
    json_object_begin(w);
    json_member_str(w, "metric", slice_str(l->limit.key));
    json_member_int(w, "max", f.max);
    json_member_int(w, "window_s", l->limit.metric == METRIC_CONCURRENT ? 0 : l->limit.span_us / CLOCK_S);
    json_member_int(w, "used", f.used);
    json_member_int(w, "reserved", f.reserved);
    json_member_int(w, "usable", f.usable);
    json_member_bool(w, "learned", l->learned);
    json_object_end(w);
}

static void write_share(void *arg, struct slice key, void *value)
{
    struct json_writer *w = arg;
    const struct share *share = value;

    if (share->held == 0)
        return;
    json_object_begin(w);
    json_member_str(w, "name", key);
    json_member_int(w, "held", share->held);
    write_held_of(w, share->held_of);
    json_object_end(w);
}

static void member_usd(struct json_writer *w, const char *key, int64_t nano)
{
    char text[MONEY_TEXT_MAX];

    json_key(w, key);
    json_raw(w, slice_str(money_text(nano, text)));
}

/* In USD, and used in full. */
static void write_money(struct json_writer *w, const struct purse *purse, size_t i)
{
    const struct money_limit *l = &purse->limit[i];

    json_object_begin(w);
    json_member_str(w, "metric", slice_str(l->key));
    member_usd(w, "max", l->max);
    json_member_int(w, "window_s", l->span_us / CLOCK_S);
    member_usd(w, "used", purse->window[i].used);
    member_usd(w, "reserved", purse->reserved);
    member_usd(w, "usable", l->max);
    json_member_bool(w, "learned", false);
    json_object_end(w);
}

/* Advance both first. */
static void write_limits(struct json_writer *w, const struct budget *b, const struct purse *purse)
{
    json_key(w, "limits");
    json_array_begin(w);
    for (size_t i = 0; b && i < b->limit_count; i++)
        write_limit(w, b, &b->limits[i]);
    for (size_t i = 0; i < purse->n; i++)
        write_money(w, purse, i);
    json_array_end(w);
}

static int64_t ms_until(int64_t at_us, int64_t now)
{
    return at_us > now ? (at_us - now + 999) / 1000 : 0;
}

static void write_budget(struct json_writer *w, const struct proxy *p, struct model_budget *b, int64_t now)
{
    struct budget *g = b->budget;
    int64_t next;

    if (budgets_is_past(b))
        return;
    next = gate_next_dispatch_us(p->gate, g, now);
    budget_advance(g, now);
    json_object_begin(w);
    json_member_str(w, "name", slice_str(b->name));
    json_member_str(w, "upstream", slice_str(b->provider->config->name));
    if (b->account)
        json_member_str(w, "key", slice_str(b->account->label));
    json_key(w, "models");
    json_array_begin(w);
    for (size_t i = 0; i < b->model_count; i++)
        json_str(w, slice_str(b->models[i]));
    json_array_end(w);
    json_member_int(w, "held", (int64_t)g->line.n);
    json_member_int(w, "in_flight", g->in_flight);
    json_key(w, "next_dispatch_ms");
    if (next < CLOCK_NEVER)
        json_int(w, ms_until(next, now));
    else
        json_null(w); /* nobody waits, or a call in flight decides */
    json_member_double(w, "headroom", (double)g->headroom_permille / 1000, 3);
    json_member_int(w, "paused_until_ms", ms_until(budget_paused_until_us(g), now));
    json_member_int(w, "organizations", (int64_t)b->organizations.n);
    purse_advance(&b->purse, now);
    write_limits(w, g, &b->purse);
    json_key(w, "clients");
    json_array_begin(w);
    map_each(&b->shares, write_share, w);
    json_array_end(w);
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

/* What its members are written with. */
struct client_writer {
    struct json_writer *w;
    int64_t now;
};

static void write_client(void *arg, struct slice key, void *value)
{
    const struct client_writer *cw = arg;
    struct client *c = value;
    struct json_writer *w = cw->w;

    if (c->budget)
        budget_advance(c->budget, cw->now);
    json_object_begin(w);
    json_member_str(w, "name", key);
    json_member_int(w, "held", c->held);
    json_member_int(w, "in_flight", c->in_flight);
    json_member_int(w, "calls", c->calls);
    json_member_int(w, "tokens", c->tokens);
    member_usd(w, "cost_usd", c->cost_nano);
    purse_advance(&c->purse, cw->now);
    write_limits(w, c->budget, &c->purse);
    json_object_end(w);
}

static void write_upstream(struct json_writer *w, const struct provider *u)
{
    if (u->retired && u->in_flight == 0)
        return;
    json_object_begin(w);
    json_member_str(w, "name", slice_str(u->config->name));
    json_member_str(w, "dialect", slice_str(u->dialect->name));
    json_member_bool(w, "reachable", u->reachable && !u->health.breaker.open);
    json_member_int(w, "connections", u->in_flight); /* HTTP/1.1: one a call */
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
    json_member_double(&w, "uptime_s", (double)(now - p->started_us) / CLOCK_S, 1);
    json_member_bool(&w, "draining", p->draining);
    json_member_bool(&w, "paused", gate_is_stopped(p->gate));
    json_member_int(&w, "held", p->count[CALL_HELD]);
    json_member_int(&w, "held_bytes", p->held_bytes);
    json_member_int(&w, "in_flight", hub_in_flight(p));
    write_totals(&w, &p->totals);
    write_ledger(&w, p->ledger);
    json_key(&w, "budgets");
    json_array_begin(&w);
    LIST_EACH (&p->budgets.all, node, next)
        write_budget(&w, p, LIST_ENTRY(node, struct model_budget, link), now);
    json_array_end(&w);
    json_key(&w, "clients");
    json_array_begin(&w);
    map_each(&p->clients.by_name, write_client, &(struct client_writer){&w, now});
    json_array_end(&w);
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
