/* metrics_client: of each client, at most CLIENTS_MAX and those of the configuration; and of each model how well its input was
 * estimated, at most LEARNED_MODELS_MAX. */
#include "metergate/proxy/hub.h"
#include "metergate/proxy/metric_text.h"
#include "metergate/proxy/metrics.h"

enum { HELD, IN_FLIGHT, CALLS, TOKENS, COST, WAITED, FIGURES };

static const struct metric_family figures[FIGURES] = {
    [HELD] = {"metergate_client_held", "gauge", "Calls that wait, by client.", METRIC_ONE},
    [IN_FLIGHT] = {"metergate_client_in_flight", "gauge",
                   "Calls sent and not answered to the end yet, by client.", METRIC_ONE},
    [CALLS] = {"metergate_client_calls_total", "counter", "Calls that ended, by client.", METRIC_ONE},
    [TOKENS] = {"metergate_client_tokens_total", "counter", "Tokens in and out, by client.", METRIC_ONE},
    [COST] = {"metergate_client_cost_usd_total", "counter",
              "What calls cost, by client, as far as prices are known.", METRIC_NANO},
    [WAITED] = {"metergate_client_wait_seconds_total", "counter",
                "How long calls waited in queues, by client.", METRIC_MICRO},
};

static void add_client(void *arg, struct slice key, void *value)
{
    struct metric_table *t = arg;
    struct client *c = value;
    struct buf labels;
    int64_t *v;

    buf_init(&labels, BUF_UNLIMITED);
    metric_label(&labels, "client", key);
    v = metric_table_row(t, buf_slice(&labels));
    v[HELD] = c->held;
    v[IN_FLIGHT] = c->in_flight;
    v[CALLS] = c->calls;
    v[TOKENS] = metrics_risen(&c->shown_tokens, c->tokens);
    v[COST] = metrics_risen(&c->shown_nano, c->cost_nano);
    v[WAITED] = c->waited_us;
    buf_release(&labels);
}

void metrics_clients(const struct proxy *p, struct buf *out)
{
    struct metric_table t;

    metric_table_init(&t, figures, FIGURES);
    map_each(&p->clients.by_name, add_client, &t);
    metric_table_write(&t, out);
}

/* ---- estimates ---- */

enum { ESTIMATED, REPORTED, OFF, BIAS, RATIO, ESTIMATES };

static const struct metric_family estimates[ESTIMATES] = {
    [ESTIMATED] = {"metergate_estimated_input_tokens_total", "counter",
                   "Input tokens that were expected of calls whose usage was reported.", METRIC_ONE},
    [REPORTED] = {"metergate_reported_input_tokens_total", "counter",
                  "Input tokens that the provider reported for these calls.",
                  METRIC_ONE},
    [OFF] = {"metergate_estimate_error_tokens_total", "counter",
             "By how many tokens these estimates were off, up or down.",
             METRIC_ONE},
    [BIAS] = {"metergate_estimate_bias_ratio", "gauge",
              "Mean of (estimated - reported) / reported of the last 64 calls: above 0, too much is reserved.", METRIC_MYRIO},
    [RATIO] = {"metergate_input_text_ratio", "gauge",
               "The model's tokens for each token that is counted of a text, as learned.",
               METRIC_MYRIO},
};

/* To whole ten-thousandths. */
static int64_t myrio(double ratio)
{
    return (int64_t)(ratio * 10000 + (ratio < 0 ? -0.5 : 0.5));
}

void metrics_estimates(const struct proxy *p, struct buf *out)
{
    struct metric_table t;
    struct buf labels;

    metric_table_init(&t, estimates, ESTIMATES);
    buf_init(&labels, BUF_UNLIMITED);
    LIST_EACH (&p->learned.all, node, next) {
        const struct learned_model *m = LIST_ENTRY(node, struct learned_model, link);
        const struct calibration *c = &m->calibration;
        int64_t *v;

        if (c->calls == 0)
            continue;
        buf_reset(&labels);
        metric_label(&labels, "model", slice_str(m->model));
        metric_label(&labels, "upstream", slice_str(m->upstream));
        v = metric_table_row(&t, buf_slice(&labels));
        v[ESTIMATED] = c->estimated;
        v[REPORTED] = c->reported;
        v[OFF] = c->absolute;
        v[BIAS] = myrio(calibration_errors(c).mean);
        v[RATIO] = myrio((double)c->text.mean / RATIO_ONE);
    }
    metric_table_write(&t, out);
    buf_release(&labels);
}
