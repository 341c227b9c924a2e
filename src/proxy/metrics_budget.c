/* metrics_budget: budgets that nobody has to do with any more are left out, as in /-/status. */
#include "metergate/base/clock.h"
#include "metergate/proxy/hub.h"
#include "metergate/proxy/metric_text.h"
#include "metergate/proxy/metrics.h"
#include "status_inside.h"

void metrics_budget_labels(const struct model_budget *b, struct buf *out)
{
    metric_label(out, "budget", slice_str(b->name));
    metric_label(out, "upstream", slice_str(b->provider->config->name));
    if (b->account)
        metric_label(out, "key", slice_str(b->account->label));
    if (b->retired)
        metric_label(out, "retired", SLICE("true"));
}

/* The same with one label more. */
static struct slice labels_and(struct buf *labels, const struct model_budget *b, const char *name, const char *value)
{
    buf_reset(labels);
    metrics_budget_labels(b, labels);
    if (name)
        metric_label(labels, name, slice_str(value));
    return buf_slice(labels);
}

/* ---- its queue and its calls ---- */

enum { HELD, IN_FLIGHT, OLDEST, NEXT, LAST, PAUSED, BREAKER, ORGANIZATIONS, VAIN, COST, UNPRICED, FIGURES };

static const struct metric_family figures[FIGURES] = {
    [HELD] = {"metergate_budget_held", "gauge", "Calls that wait, by budget.", METRIC_ONE},
    [IN_FLIGHT] = {"metergate_budget_in_flight", "gauge",
                   "Calls sent and not answered to the end yet, by budget.", METRIC_ONE},
    [OLDEST] = {"metergate_budget_oldest_wait_seconds", "gauge",
                "How long the one that came first of the calls that wait is there.",
                METRIC_MICRO},
    [NEXT] = {"metergate_budget_next_start_seconds", "gauge",
              "In how many seconds the next of the calls that wait goes; NaN: nobody waits, or nobody can know.", METRIC_MICRO},
    [LAST] = {"metergate_budget_last_start_seconds", "gauge",
              "In how many seconds the last of the calls that wait is predicted to go; NaN: nobody waits, or nobody can know.",
              METRIC_MICRO},
    [PAUSED] = {"metergate_budget_paused_seconds", "gauge",
                "For how long nothing goes, because the provider said so.",
                METRIC_MICRO},
    [BREAKER] = {"metergate_budget_breaker_open", "gauge",
                 "1 while only probes go, because its models answer 503 or 529.",
                 METRIC_ONE},
    [ORGANIZATIONS] = {"metergate_budget_organizations", "gauge",
                       "Organizations that its answers named: limits are each one's own.",
                       METRIC_ONE},
    [VAIN] = {"metergate_budget_wait_in_vain_seconds_total", "counter",
              "Time that calls waited which then were never sent.",
              METRIC_MICRO},
    [COST] = {"metergate_cost_usd_total", "counter",
              "What calls cost, by budget, as far as prices are known.", METRIC_NANO},
    [UNPRICED] = {"metergate_unpriced_calls_total", "counter",
                  "Calls whose price nobody knows: their cost is in no sum.", METRIC_ONE},
};

static int64_t from_now(int64_t at_us, int64_t now)
{
    return at_us >= CLOCK_NEVER ? METRIC_UNKNOWN : at_us > now ? at_us - now : 0;
}

/* When the call arrived that has been there longest of those that wait in each budget; 0: none does. */
static void find_oldest(const struct proxy *p)
{
    LIST_EACH (&p->budgets.all, node, next)
        LIST_ENTRY(node, struct model_budget, link)->meter.oldest_us = 0;
    LIST_EACH (&p->calls[CALL_HELD], node, next) {
        const struct call *c = LIST_ENTRY(node, struct call, link);
        int64_t *oldest = &c->budget->meter.oldest_us;

        if (*oldest == 0 || c->arrived_us < *oldest)
            *oldest = c->arrived_us;
    }
}

static void fill(const struct proxy *p, struct model_budget *b, int64_t now, int64_t *v)
{
    struct budget *g = b->budget;
    struct status_queue queue;

    status_queue_look(p, b, 1, now, &queue);
    v[HELD] = (int64_t)g->line.n;
    v[IN_FLIGHT] = g->in_flight;
    v[OLDEST] = b->meter.oldest_us ? now - b->meter.oldest_us : 0;
    v[NEXT] = from_now(queue.n > 0 ? queue.v[0].start_us : CLOCK_NEVER, now);
    v[LAST] = from_now(queue.last_us, now);
    v[PAUSED] = from_now(budget_paused_until_us(g), now);
    v[BREAKER] = b->health.breaker.open;
    v[ORGANIZATIONS] = (int64_t)b->organizations.n;
    v[VAIN] = b->meter.vain_us;
    v[COST] = metrics_risen(&b->meter.shown_nano, b->meter.cost_nano);
    v[UNPRICED] = b->meter.unpriced;
}

static void write_figures(const struct proxy *p, struct buf *labels, struct buf *out)
{
    int64_t now = loop_now_us(p->loop);
    struct metric_table t;

    find_oldest(p);
    metric_table_init(&t, figures, FIGURES);
    LIST_EACH (&p->budgets.all, node, next) {
        struct model_budget *b = LIST_ENTRY(node, struct model_budget, link);

        if (!budgets_is_past(b))
            fill(p, b, now, metric_table_row(&t, labels_and(labels, b, NULL, NULL)));
    }
    metric_table_write(&t, out);
}

/* ---- by outcome, by kind of token ---- */

static void write_outcomes(const struct proxy *p, struct buf *labels, struct buf *out)
{
    static const struct metric_family m = {"metergate_budget_calls_total", "counter",
                                           "Calls that ended, by budget and outcome.", METRIC_ONE};

    metric_head(out, &m);
    LIST_EACH (&p->budgets.all, node, next) {
        const struct model_budget *b = LIST_ENTRY(node, struct model_budget, link);

        for (int o = 0; o < OUTCOMES && !budgets_is_past(b); o++)
            metric_value(out, &m, labels_and(labels, b, "outcome", call_outcome_name((enum call_outcome)o)), b->meter.ended[o]);
    }
}

static void write_tokens(const struct proxy *p, struct buf *labels, struct buf *out)
{
    static const struct metric_family m = {"metergate_tokens_total", "counter",
                                    "Tokens that calls used, by budget; each is of one kind: input is what no cache "
                                    "had to do with, output is what is no reasoning.",
                                    METRIC_ONE};

    metric_head(out, &m);
    LIST_EACH (&p->budgets.all, node, next) {
        struct model_budget *b = LIST_ENTRY(node, struct model_budget, link);

        for (int k = 0; k < TOKEN_KINDS && !budgets_is_past(b); k++)
            metric_value(out, &m, labels_and(labels, b, "kind", token_kind_name((enum token_kind)k)),
                         metrics_risen(&b->meter.shown[k], b->meter.tokens[k]));
    }
}

static void write_waits(const struct proxy *p, struct buf *labels, struct buf *out)
{
    static const struct metric_family m = {"metergate_queue_wait_seconds", "histogram",
                                    "How long calls waited in their queue, until they were sent or gave up.", METRIC_MICRO};

    metric_head(out, &m);
    LIST_EACH (&p->budgets.all, node, next) {
        const struct model_budget *b = LIST_ENTRY(node, struct model_budget, link);

        if (!budgets_is_past(b))
            histogram_write(&b->meter.waits, &histogram_waits, m.name, labels_and(labels, b, NULL, NULL), out);
    }
}

/* ---- its limits ---- */

enum { USED, RESERVED, USABLE, MAX, LEARNED, LIMIT_FIGURES };

static const struct metric_family of_limits[LIMIT_FIGURES] = {
    [USED] = {"metergate_limit_used", "gauge",
              "What a limit's window holds of calls that have ended.", METRIC_ONE},
    [RESERVED] = {"metergate_limit_reserved", "gauge", "What calls in flight hold of a limit.", METRIC_ONE},
    [USABLE] = {"metergate_limit_usable", "gauge",
                "What calls may fill of a limit: the limit without the headroom.", METRIC_ONE},
    [MAX] = {"metergate_limit_max", "gauge", "The limit itself.", METRIC_ONE},
    [LEARNED] = {"metergate_limit_learned", "gauge",
                 "1 where that number is the provider's and not the configuration's.", METRIC_ONE},
};

static void write_limits(const struct proxy *p, struct buf *labels, struct buf *out)
{
    struct metric_table t;

    metric_table_init(&t, of_limits, LIMIT_FIGURES);
    LIST_EACH (&p->budgets.all, node, next) {
        const struct model_budget *b = LIST_ENTRY(node, struct model_budget, link);

        for (size_t i = 0; i < b->budget->limit_count && !budgets_is_past(b); i++) {
            const struct budget_limit *l = &b->budget->limits[i];
            struct limit_figures f = budget_figures(b->budget, l);
            int64_t *v;

            if (f.max >= LIMITS_UNKNOWN)
                continue;
            v = metric_table_row(&t, labels_and(labels, b, "limit", l->limit.key));
            v[USED] = f.used;
            v[RESERVED] = f.reserved;
            v[USABLE] = f.usable;
            v[MAX] = f.max;
            v[LEARNED] = l->learned;
        }
    }
    metric_table_write(&t, out);
}

void metrics_budgets(const struct proxy *p, struct buf *out)
{
    struct buf labels;

    buf_init(&labels, BUF_UNLIMITED);
    write_figures(p, &labels, out);
    write_outcomes(p, &labels, out);
    write_tokens(p, &labels, out);
    write_waits(p, &labels, out);
    write_limits(p, &labels, out);
    buf_release(&labels);
}
