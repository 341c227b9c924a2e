/*
 * metrics: the body of GET /metrics: Prometheus text format 0.0.4. Label values are escaped as the format asks
 * (backslash, quote, line feed).
 */
#include <inttypes.h>
#include <stddef.h>

#include "metergate/base/clock.h"
#include "metergate/base/money.h"
#include "metergate/proxy/hub.h"

static void head(struct buf *out, const char *name, const char *type, const char *help)
{
    buf_addf(out, "# HELP metergate_%s %s\n# TYPE metergate_%s %s\n", name, help, name, type);
}

static void label(struct buf *out, const char *name, struct slice value)
{
    buf_addf(out, "%s=\"", name);
    for (size_t i = 0; i < value.n; i++) {
        if (value.p[i] == '\n') {
            buf_add_str(out, "\\n");
            continue;
        }
        if (value.p[i] == '"' || value.p[i] == '\\')
            buf_add_char(out, '\\');
        buf_add_char(out, value.p[i]);
    }
    buf_add_char(out, '"');
}

static void plain(struct buf *out, const char *name, const char *type, const char *help, int64_t value)
{
    head(out, name, type, help);
    buf_addf(out, "metergate_%s %" PRId64 "\n", name, value);
}

static void write_outcomes(const struct proxy *p, struct buf *out)
{
    head(out, "calls_finished_total", "counter", "Calls that ended, by outcome.");
    for (int o = 0; o < OUTCOMES; o++)
        buf_addf(out, "metergate_calls_finished_total{outcome=\"%s\"} %" PRId64 "\n", call_outcome_name((enum call_outcome)o),
                 p->totals.outcome[o]);
    plain(out, "interim_responses_total", "counter", "102 Processing sent to clients of held calls.", p->keepalive.sent);
    plain(out, "places_kept", "gauge", "Places in queues that are kept for clients who may come back.",
          (int64_t)p->places.n);
    plain(out, "places_taken_total", "counter", "Kept places that a client came back to.", p->places.taken);
    head(out, "refused_total", "counter", "Requests that Metergate refused itself, by reason.");
    for (int r = 0; r < REFUSAL_REASONS; r++)
        buf_addf(out, "metergate_refused_total{reason=\"%s\"} %" PRId64 "\n", refusal_name((enum refusal_reason)r),
                 p->totals.refused[r]);
}

static void write_ledger(struct ledger *l, struct buf *out)
{
    struct ledger_health h;

    ledger_health(l, &h);
    plain(out, "ledger_ok", "gauge", "0 while rows cannot be written to the ledger.", h.ok);
    plain(out, "ledger_rows_waiting", "gauge", "Rows that are not in the ledger's database yet.", h.waiting);
    plain(out, "ledger_rows_written_total", "counter", "Rows written to the ledger's database.", h.written);
    plain(out, "ledger_rows_lost_total", "counter", "Rows that found no room while the database took none.", h.lost);
    plain(out, "ledger_rows_recovered", "gauge", "Rows that the run before had left in its journal.", h.recovered);
}

static void write_leases(const struct proxy *p, struct buf *out)
{
    plain(out, "leases_open", "gauge", "Leases granted by /-/reserve and not settled yet.",
          (int64_t)leases_count(&p->leases));
    head(out, "leases_total", "counter", "Leases that ended, by how.");
    for (int e = 0; e < LEASE_ENDS; e++)
        buf_addf(out, "metergate_leases_total{end=\"%s\"} %" PRId64 "\n", lease_end_name((enum lease_end)e),
                 p->leases.ended[e]);
}

enum limit_figure { LIMIT_USED, LIMIT_RESERVED, LIMIT_USABLE, LIMIT_LEARNED, LIMIT_MAX };

static int64_t figure(const struct budget *b, const struct budget_limit *l, enum limit_figure which)
{
    struct limit_figures f = budget_figures(b, l);

    switch (which) {
    case LIMIT_USED:
        return f.used;
    case LIMIT_RESERVED:
        return f.reserved;
    case LIMIT_USABLE:
        return f.usable;
    case LIMIT_LEARNED:
        return l->learned;
    case LIMIT_MAX:
    default:
        return f.max;
    }
}

/* Two budgets of one name are there after a reload, until the last calls of the old one have ended. */
static void budget_labels(struct buf *out, const struct model_budget *b)
{
    label(out, "budget", slice_str(b->name));
    buf_add_char(out, ',');
    label(out, "upstream", slice_str(b->provider->config->name));
    if (b->account) {
        buf_add_char(out, ',');
        label(out, "key", slice_str(b->account->label));
    }
    if (b->retired)
        buf_add_str(out, ",retired=\"true\"");
}

static void write_limits(const struct proxy *p, struct buf *out, const char *name, const char *help,
                         enum limit_figure f)
{
    head(out, name, "gauge", help);
    LIST_EACH (&p->budgets.all, node, next) {
        const struct model_budget *b = LIST_ENTRY(node, struct model_budget, link);

        for (size_t i = 0; i < b->budget->limit_count && !budgets_is_past(b); i++) {
            const struct budget_limit *l = &b->budget->limits[i];

            if (l->limit.max >= LIMITS_UNKNOWN)
                continue;
            buf_addf(out, "metergate_%s{", name);
            budget_labels(out, b);
            buf_add_char(out, ',');
            label(out, "limit", slice_str(l->limit.key));
            buf_addf(out, "} %" PRId64 "\n", figure(b->budget, l, f));
        }
    }
}

/* ---- estimates ---- */

static double estimated_total(const struct calibration *c)
{
    return (double)c->estimated;
}

static double reported_total(const struct calibration *c)
{
    return (double)c->reported;
}

static double absolute_total(const struct calibration *c)
{
    return (double)c->absolute;
}

static double mean_error(const struct calibration *c)
{
    return calibration_errors(c).mean;
}

static double text_ratio(const struct calibration *c)
{
    return (double)c->text.mean / RATIO_ONE;
}

static const struct {
    const char *name, *type, *help;
    int digits;
    double (*value)(const struct calibration *c);
} estimate_rows[] = {
    {"input_tokens_estimated_total", "counter", "Input tokens that were expected of calls whose usage was reported.", 0,
     estimated_total},
    {"input_tokens_reported_total", "counter", "Input tokens that the provider reported for these calls.", 0, reported_total},
    {"input_estimate_error_tokens_total", "counter", "By how many tokens the estimates were off, up or down.", 0,
     absolute_total},
    {"input_estimate_error_ratio", "gauge", "Mean of (estimated - reported) / reported, of the last calls.", 4, mean_error},
    {"input_text_ratio", "gauge", "The model's tokens for each token counted, as learned.", 4, text_ratio},
};

static void write_estimates(const struct proxy *p, struct buf *out)
{
    for (size_t i = 0; i < MG_ARRAY_LEN(estimate_rows); i++) {
        head(out, estimate_rows[i].name, estimate_rows[i].type, estimate_rows[i].help);
        LIST_EACH (&p->learned.all, node, next) {
            const struct learned_model *m = LIST_ENTRY(node, struct learned_model, link);

            if (m->calibration.calls == 0)
                continue;
            buf_addf(out, "metergate_%s{", estimate_rows[i].name);
            label(out, "model", slice_str(m->model));
            buf_add_char(out, ',');
            label(out, "upstream", slice_str(m->upstream));
            buf_addf(out, "} %.*f\n", estimate_rows[i].digits, estimate_rows[i].value(&m->calibration));
        }
    }
}

static int64_t held(const struct model_budget *b)
{
    return (int64_t)b->budget->line.n;
}

static int64_t in_flight(const struct model_budget *b)
{
    return b->budget->in_flight;
}

static int64_t breaker_open(const struct model_budget *b)
{
    return b->health.breaker.open;
}

static void write_budgets(const struct proxy *p, struct buf *out, const char *name, const char *help,
                          int64_t (*value)(const struct model_budget *b))
{
    head(out, name, "gauge", help);
    LIST_EACH (&p->budgets.all, node, next) {
        const struct model_budget *b = LIST_ENTRY(node, struct model_budget, link);

        if (budgets_is_past(b))
            continue;
        buf_addf(out, "metergate_%s{", name);
        budget_labels(out, b);
        buf_addf(out, "} %" PRId64 "\n", value(b));
    }
}

/* One figure of each client: the int64_t at `offset` of its struct. */
struct client_metric {
    struct buf *out;
    const char *name;
    size_t offset;
};

static void write_client(void *arg, struct slice key, void *value)
{
    const struct client_metric *m = arg;

    buf_addf(m->out, "metergate_%s{", m->name);
    label(m->out, "client", key);
    buf_addf(m->out, "} %" PRId64 "\n", *(const int64_t *)(const void *)((const char *)value + m->offset));
}

static void write_client_cost(void *arg, struct slice key, void *value)
{
    const struct client *c = value;
    char text[MONEY_TEXT_MAX];
    struct buf *out = arg;

    buf_add_str(out, "metergate_client_cost_usd_total{");
    label(out, "client", key);
    buf_addf(out, "} %s\n", money_text(c->cost_nano, text));
}

static void write_clients(const struct proxy *p, struct buf *out)
{
    static const struct {
        const char *name, *type, *help;
        size_t offset;
    } rows[] = {
        {"client_held", "gauge", "Calls that wait, by client.", offsetof(struct client, held)},
        {"client_in_flight", "gauge", "Calls sent and not answered yet, by client.",
         offsetof(struct client, in_flight)},
        {"client_calls_total", "counter", "Calls that ended, by client.", offsetof(struct client, calls)},
        {"client_tokens_total", "counter", "Tokens in and out, by client.", offsetof(struct client, tokens)},
    };

    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++) {
        struct client_metric m = {out, rows[i].name, rows[i].offset};

        head(out, rows[i].name, rows[i].type, rows[i].help);
        map_each(&p->clients.by_name, write_client, &m);
    }
    head(out, "client_cost_usd_total", "counter", "What calls cost, by client, as far as prices are known.");
    map_each(&p->clients.by_name, write_client_cost, out);
}

/* ---- limits of money: of budgets and of clients ---- */

static int64_t money_spent(const struct purse *p, size_t i)
{
    return p->window[i].used;
}

static int64_t money_reserved(const struct purse *p, size_t i)
{
    (void)i;
    return p->reserved;
}

static int64_t money_max(const struct purse *p, size_t i)
{
    return p->limit[i].max;
}

struct money_metric {
    const char *name, *help;
    int64_t (*value)(const struct purse *p, size_t i);
    struct buf *out;
    int64_t now_us;
};

/* `labels` are whose it is. */
static void write_purse(const struct money_metric *m, struct purse *p, struct slice labels)
{
    char text[MONEY_TEXT_MAX];

    purse_advance(p, m->now_us);
    for (size_t i = 0; i < p->n; i++) {
        buf_addf(m->out, "metergate_%s{", m->name);
        buf_add_slice(m->out, labels);
        buf_add_char(m->out, ',');
        label(m->out, "limit", slice_str(p->limit[i].key));
        buf_addf(m->out, "} %s\n", money_text(m->value(p, i), text));
    }
}

static void write_client_purse(void *arg, struct slice key, void *value)
{
    struct client *c = value;
    struct buf labels;

    if (c->purse.n == 0)
        return;
    buf_init(&labels, BUF_UNLIMITED);
    label(&labels, "client", key);
    write_purse(arg, &c->purse, buf_slice(&labels));
    buf_release(&labels);
}

static void write_money(const struct proxy *p, struct buf *out)
{
    struct money_metric rows[] = {
        {"money_spent_usd", "What calls that have ended cost within the window of a limit of money.", money_spent, out, 0},
        {"money_reserved_usd", "What calls that have not ended will probably cost.", money_reserved, out, 0},
        {"money_max_usd", "The limit of money itself.", money_max, out, 0},
    };

    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++) {
        rows[i].now_us = loop_now_us(p->loop);
        head(out, rows[i].name, "gauge", rows[i].help);
        LIST_EACH (&p->budgets.all, node, next) {
            struct model_budget *b = LIST_ENTRY(node, struct model_budget, link);
            struct buf labels;

            if (budgets_is_past(b) || b->purse.n == 0)
                continue;
            buf_init(&labels, BUF_UNLIMITED);
            budget_labels(&labels, b);
            write_purse(&rows[i], &b->purse, buf_slice(&labels));
            buf_release(&labels);
        }
        map_each(&p->clients.by_name, write_client_purse, &rows[i]);
    }
}

static int64_t provider_in_flight(const struct provider *u)
{
    return u->in_flight;
}

static int64_t provider_reachable(const struct provider *u)
{
    return u->reachable && !u->health.breaker.open;
}

static int64_t provider_breaker_open(const struct provider *u)
{
    return u->health.breaker.open;
}

static void write_upstreams(const struct proxy *p, struct buf *out, const char *name, const char *help,
                            int64_t (*value)(const struct provider *u))
{
    head(out, name, "gauge", help);
    LIST_EACH (&p->providers.all, node, next) {
        const struct provider *u = LIST_ENTRY(node, struct provider, link);

        if (u->retired)
            continue;
        buf_addf(out, "metergate_%s{", name);
        label(out, "upstream", slice_str(u->config->name));
        buf_addf(out, "} %" PRId64 "\n", value(u));
    }
}

static void write_connections(const struct proxy *p, struct buf *out)
{
    struct front_stats f = front_stats(p->front);
    struct upstream_stats u = upstream_stats(p->pool);

    plain(out, "connections", "gauge", "Of clients, now.", f.connections);
    plain(out, "connections_total", "counter", "Of clients, accepted.", (int64_t)f.accepted);
    plain(out, "requests_total", "counter", "Requests whose head arrived whole, calls and all others.",
          (int64_t)f.requests);
    plain(out, "requests_bad_total", "counter", "Requests that were no valid HTTP.", (int64_t)f.bad_requests);
    plain(out, "request_body_bytes", "gauge", "Request bodies in memory.", f.body_bytes);
    plain(out, "answer_bytes", "gauge", "Of answers, waiting for their clients.", f.answer_bytes);
    plain(out, "upstream_connections", "gauge", "To providers, kept ones included.", u.connections);
    plain(out, "upstream_waiting", "gauge", "Calls that wait for a connection to their provider.", u.waiting);
}

void metrics_write(const struct proxy *p, struct buf *out)
{
    int64_t now = loop_now_us(p->loop);

    LIST_EACH (&p->budgets.all, node, next)
        budget_advance(LIST_ENTRY(node, struct model_budget, link)->budget, now);
    head(out, "build_info", "gauge", "Always 1; the version is a label.");
    buf_addf(out, "metergate_build_info{version=\"%s\"} 1\n", METERGATE_VERSION);
    plain(out, "uptime_seconds", "gauge", "Since the start.", (now - p->started_us) / CLOCK_S);
    plain(out, "draining", "gauge", "1 while the daemon stops.", p->draining);
    plain(out, "paused", "gauge", "1 between metergate pause and resume.", gate_is_stopped(p->gate));
    head(out, "reloads_total", "counter", "Configurations read again, by what became of them.");
    buf_addf(out, "metergate_reloads_total{result=\"applied\"} %" PRId64 "\n", p->reloads);
    buf_addf(out, "metergate_reloads_total{result=\"refused\"} %" PRId64 "\n", p->reloads_refused);
    plain(out, "held", "gauge", "Calls that wait for room.", p->count[CALL_HELD]);
    plain(out, "held_bytes", "gauge", "Bodies of the calls that wait.", p->held_bytes);
    plain(out, "in_flight", "gauge", "Calls sent and not answered yet, leases among them.", hub_in_flight(p));
    plain(out, "calls_total", "counter", "Calls that arrived.", p->totals.calls);
    plain(out, "dispatched_total", "counter", "Calls sent at least once.", p->totals.dispatched);
    plain(out, "retries_total", "counter", "Attempts after a call's first.", p->totals.retries);
    plain(out, "upstream_429_total", "counter", "Answers of status 429 from providers.", p->totals.upstream_429);
    write_outcomes(p, out);
    if (p->ledger)
        write_ledger(p->ledger, out);
    write_leases(p, out);
    write_budgets(p, out, "budget_held", "Calls that wait, by budget.", held);
    write_budgets(p, out, "budget_in_flight", "Calls sent and not answered yet, by budget.", in_flight);
    write_budgets(p, out, "budget_breaker_open", "1 while only probes go, because its models answer 503 or 529.",
                  breaker_open);
    write_limits(p, out, "limit_used", "What a limit's window holds from finished calls.", LIMIT_USED);
    write_limits(p, out, "limit_reserved", "What calls in flight hold of a limit.", LIMIT_RESERVED);
    write_limits(p, out, "limit_usable", "What calls may fill of a limit.", LIMIT_USABLE);
    write_limits(p, out, "limit_max", "The limit itself.", LIMIT_MAX);
    write_limits(p, out, "limit_learned", "1 where that number is the provider's and not the configuration's.", LIMIT_LEARNED);
    write_clients(p, out);
    write_money(p, out);
    write_estimates(p, out);
    write_upstreams(p, out, "upstream_in_flight", "Calls sent and not answered yet, by upstream.",
                    provider_in_flight);
    write_upstreams(p, out, "upstream_reachable", "0 after a connection that failed, until the next answer.",
                    provider_reachable);
    write_upstreams(p, out, "upstream_breaker_open", "1 while nothing but probes is sent to it, because connections fail.",
                    provider_breaker_open);
    write_connections(p, out);
}
