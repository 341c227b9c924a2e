/* history: values of by_scope are owned by the table; entries are in order of time, on the loop's clock. */
#include "metergate/proxy/history.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "metergate/base/buf.h"
#include "metergate/base/clock.h"
#include "metergate/base/log.h"
#include "metergate/ledger/ledger.h"
#include "metergate/proxy/budgets.h"
#include "metergate/proxy/clients.h"

/* What a provider's limits may look back that are learned, and not in the configuration. */
#define LEARNED_SPAN_US BUDGET_DAY_US

#define FUTURE_US (60 * CLOCK_S) /* what a clock may be set back by without a word */

struct past {
    size_t n;
    struct ledger_charged v[];
};

void history_init(struct history *h)
{
    map_init(&h->by_scope);
}

void history_release(struct history *h)
{
    map_release_values(&h->by_scope);
}

/* ---- reading ---- */

static int64_t longest(int64_t span_us, const struct limit *limits, size_t n, const struct money_limit *money, size_t m)
{
    for (size_t i = 0; i < n; i++) {
        if (limits[i].metric != METRIC_CONCURRENT && limits[i].span_us > span_us)
            span_us = limits[i].span_us;
    }
    for (size_t i = 0; i < m; i++) {
        if (money[i].span_us > span_us)
            span_us = money[i].span_us;
    }
    return span_us;
}

struct reading {
    struct history *h;
    int64_t ahead_us; /* of the wall clock before the loop's */
    int64_t now_us;
    int64_t latest_us; /* of all */
};

static void take(void *arg, struct slice scope, const struct ledger_charged *v, size_t n)
{
    struct reading *reading = arg;
    struct past *past = xmalloc(sizeof *past + n * sizeof *v);

    past->n = n;
    memcpy(past->v, v, n * sizeof *v);
    for (size_t i = 0; i < n; i++) {
        past->v[i].until_us -= reading->ahead_us;
        if (past->v[i].until_us > reading->latest_us)
            reading->latest_us = past->v[i].until_us;
        if (past->v[i].until_us > reading->now_us) /* the wall clock was stepped back */
            past->v[i].until_us = reading->now_us;
    }
    free(map_get(&reading->h->by_scope, scope));
    map_set(&reading->h->by_scope, scope, past);
}

/* Never too much is granted, but whoever wonders why so little is left shall be told. */
static void warn_of_future(const struct reading *r)
{
    int64_t by_us = r->latest_us - r->now_us;

    if (by_us > FUTURE_US)
        log_warn("ledger: some charges lie up to %" PRId64 " s in the future (was the clock wrong?); they count as of now",
                 by_us / CLOCK_S);
}

void history_load(struct history *h, struct ledger *l, const struct config *config, int64_t now_us)
{
    struct reading reading = {h, clock_wall_us() - now_us, now_us, now_us};
    int64_t budgets_us = 0, clients_us = 0;

    for (size_t i = 0; i < config->model_count; i++) {
        const struct config_model *m = config->models[i];

        budgets_us = longest(budgets_us, m->limits, m->limit_count, m->money, m->money_count);
        if (m->learn && budgets_us < LEARNED_SPAN_US)
            budgets_us = LEARNED_SPAN_US;
    }
    for (size_t i = 0; i < config->clients.n; i++) {
        const struct config_client *c = config->clients.v[i];

        clients_us = longest(clients_us, c->limits, c->limit_count, c->money, c->money_count);
    }
    if (budgets_us > 0)
        ledger_history(l, SLICE("budget:"), budgets_us, take, &reading);
    if (clients_us > 0)
        ledger_history(l, SLICE("client:"), clients_us, take, &reading);
    warn_of_future(&reading);
}

/* ---- giving ---- */

static void give(struct history *h, struct slice scope, struct budget *b, struct purse *purse)
{
    struct past *past = map_get(&h->by_scope, scope);

    if (!past)
        return;
    for (size_t i = 0; i < past->n; i++) {
        const struct ledger_charged *v = &past->v[i];

        if (b)
            budget_restore(b, v->until_us, v->amount);
        purse_restore(purse, v->until_us, v->cost_nano);
    }
    map_remove(&h->by_scope, scope);
    free(past);
}

void history_give_budget(struct history *h, struct model_budget *b)
{
    struct buf scope;

    if (map_count(&h->by_scope) == 0)
        return;
    buf_init(&scope, BUF_UNLIMITED);
    row_scope_of_budget(b->provider->config->name, b->account ? b->account->scope : "", budgets_kind(b), b->name, &scope);
    give(h, buf_slice(&scope), b->budget, &b->purse);
    buf_release(&scope);
}

void history_give_client(struct history *h, struct client *c)
{
    struct buf scope;

    if (map_count(&h->by_scope) == 0 || (!c->budget && c->purse.n == 0))
        return;
    buf_init(&scope, BUF_UNLIMITED);
    buf_addf(&scope, "client:%s", c->name);
    give(h, buf_slice(&scope), c->budget, &c->purse);
    buf_release(&scope);
}
