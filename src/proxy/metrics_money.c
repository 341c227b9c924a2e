/* metrics_money: limits of money, of budgets and of clients: one family, in which either has its labels. */
#include "metergate/proxy/hub.h"
#include "metergate/proxy/metric_text.h"
#include "metergate/proxy/metrics.h"

enum { SPENT, RESERVED, MAX, FIGURES };

static const struct metric_family figures[FIGURES] = {
    [SPENT] = {"metergate_money_spent_usd", "gauge",
               "What calls that have ended cost within the window of a limit of money.",
               METRIC_NANO},
    [RESERVED] = {"metergate_money_reserved_usd", "gauge",
                  "What calls that have not ended will probably cost.", METRIC_NANO},
    [MAX] = {"metergate_money_max_usd", "gauge", "The limit of money itself.", METRIC_NANO},
};

struct writer {
    struct metric_table table;
    struct buf labels;
    int64_t now_us;
};

/* `labels` has those of whom it is. */
static void add_purse(struct writer *w, struct purse *p)
{
    size_t n = w->labels.n;

    purse_advance(p, w->now_us);
    for (size_t i = 0; i < p->n; i++) {
        int64_t *v;

        metric_label(&w->labels, "limit", slice_str(p->limit[i].key));
        v = metric_table_row(&w->table, buf_slice(&w->labels));
        v[SPENT] = p->window[i].used;
        v[RESERVED] = p->reserved;
        v[MAX] = p->limit[i].max;
        buf_drop_tail(&w->labels, w->labels.n - n);
    }
}

static void add_client(void *arg, struct slice key, void *value)
{
    struct client *c = value;
    struct writer *w = arg;

    if (c->purse.n == 0)
        return;
    buf_reset(&w->labels);
    metric_label(&w->labels, "client", key);
    add_purse(w, &c->purse);
}

void metrics_money(const struct proxy *p, struct buf *out)
{
    struct writer w = {.now_us = loop_now_us(p->loop)};

    metric_table_init(&w.table, figures, FIGURES);
    buf_init(&w.labels, BUF_UNLIMITED);
    LIST_EACH (&p->budgets.all, node, next) {
        struct model_budget *b = LIST_ENTRY(node, struct model_budget, link);

        if (budgets_is_past(b) || b->purse.n == 0)
            continue;
        buf_reset(&w.labels);
        metrics_budget_labels(b, &w.labels);
        add_purse(&w, &b->purse);
    }
    map_each(&p->clients.by_name, add_client, &w);
    metric_table_write(&w.table, out);
    buf_release(&w.labels);
}
