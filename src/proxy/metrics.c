/*
 * metrics: the body of GET /metrics. This file has what is there once; what is there of each budget, client and upstream
 * is in the others. Names follow Prometheus' conventions: base units (seconds, bytes, dollars) at the end, `_total` of what
 * only grows.
 */
#include "metergate/proxy/metrics.h"

#include "metergate/base/clock.h"
#include "metergate/base/spare.h"
#include "metergate/proxy/hub.h"
#include "metergate/proxy/metric_text.h"

int64_t metrics_risen(int64_t *shown, int64_t now)
{
    if (*shown < now)
        *shown = now;
    return *shown;
}

/* A family without labels. */
struct single {
    struct metric_family metric;
    int64_t value;
};

static void write_singles(const struct single *rows, size_t n, struct buf *out)
{
    for (size_t i = 0; i < n; i++)
        metric_single(out, &rows[i].metric, rows[i].value);
}

#define GAUGE(name, help)   {"metergate_" name, "gauge", help, METRIC_ONE}
#define COUNTER(name, help) {"metergate_" name, "counter", help, METRIC_ONE}

/* A family with one label, whose values are those of an enum. */
static void write_each(struct buf *out, const struct metric_family *m, const char *label, int n, const char *(*name)(int i),
                       const int64_t *values)
{
    struct buf labels;

    metric_head(out, m);
    buf_init(&labels, BUF_UNLIMITED);
    for (int i = 0; i < n; i++) {
        buf_reset(&labels);
        metric_label(&labels, label, slice_str(name(i)));
        metric_value(out, m, buf_slice(&labels), values[i]);
    }
    buf_release(&labels);
}

static const char *outcome(int i)
{
    return call_outcome_name((enum call_outcome)i);
}

static const char *reason(int i)
{
    return refusal_name((enum refusal_reason)i);
}

static const char *lease_end(int i)
{
    return lease_end_name((enum lease_end)i);
}

static const char *reload_result(int i)
{
    return i == 0 ? "applied" : "refused";
}

static void write_daemon(const struct proxy *p, struct buf *out)
{
    static const struct metric_family build = GAUGE("build_info", "Always 1; the version is a label."),
                               reloads = COUNTER("reloads_total", "Configurations that were read again, by what became of them.");
    const int64_t results[] = {p->reloads, p->reloads_refused};
    const struct single rows[] = {
        {{"metergate_uptime_seconds", "gauge", "Since the daemon started.", METRIC_MICRO}, loop_now_us(p->loop) - p->started_us},
        {GAUGE("draining", "1 while the daemon stops."), p->draining},
        {GAUGE("paused", "1 between metergate pause and resume."), gate_is_stopped(p->gate)},
        {GAUGE("memory_short", "1 while new calls are refused because there is no memory for them."), p->shortage.on},
        {COUNTER("memory_shortages_total", "How often the memory that is kept back was needed."), spare_uses()},
    };

    metric_head(out, &build);
    metric_value(out, &build, SLICE("version=\"" METERGATE_VERSION "\""), 1);
    write_singles(rows, MG_ARRAY_LEN(rows), out);
    write_each(out, &reloads, "result", 2, reload_result, results);
}

static void write_calls(const struct proxy *p, struct buf *out)
{
    static const struct metric_family finished = COUNTER("calls_finished_total", "Calls that ended, by outcome."),
                               refused = COUNTER("refused_total", "Requests that Metergate refused itself, by reason."),
                               leases = COUNTER("leases_total", "Leases that ended, by how.");
    const struct single rows[] = {
        {GAUGE("held", "Calls that wait for room."), p->count[CALL_HELD]},
        {GAUGE("held_max", "How many calls may wait: queue.max_requests."), p->config->queue.max_requests},
        {GAUGE("held_bytes", "Bodies of the calls that wait."), p->held_bytes},
        {GAUGE("held_max_bytes", "How much the bodies of calls that wait may be: queue.max_bytes."), p->config->queue.max_bytes},
        {GAUGE("in_flight", "Calls sent and not answered to the end yet, leases among them."), hub_in_flight(p)},
        {COUNTER("calls_total", "Calls that arrived."), p->totals.calls},
        {COUNTER("dispatched_total", "Calls that were sent at least once."), p->totals.dispatched},
        {COUNTER("interim_responses_total", "Interim answers (102 Processing) that were sent to clients of held calls."),
         p->keepalive.sent},
        {GAUGE("places_kept", "Places in queues that are kept for clients who may come back."), (int64_t)p->places.n},
        {COUNTER("places_taken_total", "Kept places that a client came back to."), p->places.taken},
        {GAUGE("leases_open", "Leases that /-/reserve granted and that are not settled yet."), (int64_t)leases_count(&p->leases)},
    };

    write_singles(rows, MG_ARRAY_LEN(rows), out);
    write_each(out, &finished, "outcome", OUTCOMES, outcome, p->totals.outcome);
    write_each(out, &refused, "reason", REFUSAL_REASONS, reason, p->totals.refused);
    write_each(out, &leases, "end", LEASE_ENDS, lease_end, p->leases.ended);
}

/* Without a ledger its families have no series. */
static void write_ledger(struct ledger *l, struct buf *out)
{
    struct ledger_health h;
    struct single rows[] = {
        {GAUGE("ledger_ok", "0 while rows cannot be written to the ledger."), METRIC_ABSENT},
        {GAUGE("ledger_rows_waiting", "Rows that are not in the ledger's database yet."), METRIC_ABSENT},
        {COUNTER("ledger_rows_written_total", "Rows that were written to the ledger's database."), METRIC_ABSENT},
        {COUNTER("ledger_rows_lost_total", "Rows that found no room while the database took none."), METRIC_ABSENT},
        {GAUGE("ledger_rows_recovered", "Rows that the run before had left in its journal."), METRIC_ABSENT},
    };

    if (l) {
        ledger_health(l, &h);
        rows[0].value = h.ok;
        rows[1].value = h.waiting;
        rows[2].value = h.written;
        rows[3].value = h.lost;
        rows[4].value = h.recovered;
    }
    write_singles(rows, MG_ARRAY_LEN(rows), out);
}

static const char *closed(int i)
{
    return front_closed_name((enum front_closed)i);
}

static void write_connections(const struct proxy *p, struct buf *out)
{
    struct front_stats f = front_stats(p->front);
    struct upstream_stats u = upstream_stats(p->pool);
    static const struct metric_family ended = COUNTER("connections_closed_total", "Connections of clients that Metergate ended, by why.");
    int64_t why[FRONT_CLOSED];
    const struct single rows[] = {
        {GAUGE("connections", "Connections of clients, now."), f.connections},
        {GAUGE("connections_max", "How many connections of clients there may be at one time."), p->capacity.connections},
        {COUNTER("connections_accepted_total", "Connections of clients that were accepted."), (int64_t)f.accepted},
        {COUNTER("requests_total", "Requests whose head arrived whole, calls and all others."), (int64_t)f.requests},
        {COUNTER("requests_bad_total", "Requests that were no valid HTTP."), (int64_t)f.bad_requests},
        {GAUGE("request_body_bytes", "Bodies of requests in memory."), f.body_bytes},
        {GAUGE("answer_bytes", "Answers in memory that wait for their clients."), f.answer_bytes},
        {GAUGE("event_streams", "Open streams of /-/events."), p->events.count},
        {GAUGE("upstream_connections", "Connections to providers, kept ones included."), u.connections},
        {GAUGE("upstream_idle_connections", "Connections to providers that are kept for the next call."),
         u.connections > u.active ? u.connections - u.active : 0},
        {GAUGE("upstream_waiting", "Calls that wait for a connection to their provider."), u.waiting},
    };

    for (int i = 0; i < FRONT_CLOSED; i++)
        why[i] = (int64_t)f.closed[i];
    write_singles(rows, MG_ARRAY_LEN(rows), out);
    write_each(out, &ended, "reason", FRONT_CLOSED, closed, why);
}

void metrics_write(const struct proxy *p, struct buf *out)
{
    int64_t now = loop_now_us(p->loop);

    LIST_EACH (&p->budgets.all, node, next)
        budget_advance(LIST_ENTRY(node, struct model_budget, link)->budget, now);
    write_daemon(p, out);
    write_calls(p, out);
    metrics_budgets(p, out);
    metrics_money(p, out);
    metrics_clients(p, out);
    metrics_estimates(p, out);
    metrics_upstreams(p, out);
    write_ledger(p->ledger, out);
    write_connections(p, out);
    metrics_process(p->started_wall_us, out);
}
