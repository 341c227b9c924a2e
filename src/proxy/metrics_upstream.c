/* metrics_upstream: upstreams that the configuration has no more are left out once nothing is in flight there. */
#include <stdio.h>

#include "metergate/proxy/hub.h"
#include "metergate/proxy/metric_text.h"
#include "metergate/proxy/metrics.h"

enum { IN_FLIGHT, REACHABLE, BREAKER, CALLS, REFUSED, RETRIES, FAILURES, FIGURES };

static const struct metric_family figures[FIGURES] = {
    [IN_FLIGHT] = {"metergate_upstream_in_flight", "gauge",
                   "Calls sent and not answered to the end yet, by upstream.", METRIC_ONE},
    [REACHABLE] = {"metergate_upstream_reachable", "gauge",
                   "0 after a connection that failed, until the next answer.", METRIC_ONE},
    [BREAKER] = {"metergate_upstream_breaker_open", "gauge",
                 "1 while nothing but probes is sent to it, because connections fail.", METRIC_ONE},
    [CALLS] = {"metergate_upstream_calls_total", "counter",
               "Calls that were sent to it and ended.", METRIC_ONE},
    [REFUSED] = {"metergate_upstream_429_total", "counter", "Its answers of status 429.", METRIC_ONE},
    [RETRIES] = {"metergate_upstream_retries_total", "counter", "Attempts after a call's first.", METRIC_ONE},
    [FAILURES] = {"metergate_upstream_connect_failures_total", "counter",
                  "Attempts that found no connection to it.", METRIC_ONE},
};

/* As in /-/status. */
static bool is_past(const struct provider *u)
{
    return u->retired && u->in_flight == 0;
}

/* One that is there again after a reload stands beside its predecessor until that one's calls have ended. */
static struct slice labels_and(struct buf *labels, const struct provider *u, const char *name, const char *value)
{
    buf_reset(labels);
    metric_label(labels, "upstream", slice_str(u->config->name));
    if (u->retired)
        metric_label(labels, "retired", SLICE("true"));
    if (name)
        metric_label(labels, name, slice_str(value));
    return buf_slice(labels);
}

static void write_figures(const struct proxy *p, struct buf *labels, struct buf *out)
{
    struct metric_table t;

    metric_table_init(&t, figures, FIGURES);
    LIST_EACH (&p->providers.all, node, next) {
        const struct provider *u = LIST_ENTRY(node, struct provider, link);
        int64_t *v;

        if (is_past(u))
            continue;
        v = metric_table_row(&t, labels_and(labels, u, NULL, NULL));
        v[IN_FLIGHT] = u->in_flight;
        v[REACHABLE] = u->reachable && !u->health.breaker.open;
        v[BREAKER] = u->health.breaker.open;
        v[CALLS] = u->calls;
        v[REFUSED] = u->upstream_429;
        v[RETRIES] = u->retries;
        v[FAILURES] = u->connect_failures;
    }
    metric_table_write(&t, out);
}

static void write_answers(const struct proxy *p, struct buf *labels, struct buf *out)
{
    static const struct metric_family m = {"metergate_upstream_answers_total", "counter",
                                    "Answers of providers, those that were tried again among them, by class of their status.",
                                    METRIC_ONE};
    static const char *const classes[ANSWER_CLASSES] = {"1xx", "2xx", "3xx", "4xx", "5xx"};

    metric_head(out, &m);
    LIST_EACH (&p->providers.all, node, next) {
        const struct provider *u = LIST_ENTRY(node, struct provider, link);

        for (int i = 0; i < ANSWER_CLASSES && !is_past(u); i++)
            metric_value(out, &m, labels_and(labels, u, "class", classes[i]), u->meter.answers[i]);
    }
}

static const struct {
    struct metric_family metric;
    const struct histogram_scale *scale;
    size_t at; /* in struct upstream_meter */
} histograms[] = {
    {{"metergate_first_byte_seconds", "histogram",
      "From when a call was sent, the last time, to the first byte of its answer.",
      METRIC_MICRO},
     &histogram_answers,
     offsetof(struct upstream_meter, first_byte)},
    {{"metergate_call_seconds", "histogram",
      "From the arrival of a call that was sent to its end, its wait included.", METRIC_MICRO},
     &histogram_calls,
     offsetof(struct upstream_meter, calls)},
    {{"metergate_estimate_error_ratio", "histogram",
      "How far the estimate of a call's input tokens was off: abs(estimated - reported) / reported.", METRIC_MICRO},
     &histogram_errors,
     offsetof(struct upstream_meter, errors)},
};

static void write_histograms(const struct proxy *p, struct buf *labels, struct buf *out)
{
    for (size_t i = 0; i < MG_ARRAY_LEN(histograms); i++) {
        metric_head(out, &histograms[i].metric);
        LIST_EACH (&p->providers.all, node, next) {
            const struct provider *u = LIST_ENTRY(node, struct provider, link);
            const char *meter = (const char *)&u->meter;

            if (!is_past(u))
                histogram_write((const void *)(meter + histograms[i].at), histograms[i].scale, histograms[i].metric.name,
                                labels_and(labels, u, NULL, NULL), out);
        }
    }
}

void metrics_upstreams(const struct proxy *p, struct buf *out)
{
    struct buf labels;

    buf_init(&labels, BUF_UNLIMITED);
    write_figures(p, &labels, out);
    write_answers(p, &labels, out);
    write_histograms(p, &labels, out);
    buf_release(&labels);
}
