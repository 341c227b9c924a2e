/*
 * reload: another configuration for a running proxy, all or nothing: first what can fail (trust roots, a
 * pool), then what cannot. No call is touched but the held ones whose model has another entry now: these
 * change their queue.
 *
 * What goes out of use may still be known to calls, so nothing is freed here but what no call names: at each
 * reload the calls, budgets and providers are gone through (sweep). What the last reload of many leaves
 * behind stays until the next one: its size does not depend on how many there were.
 *
 * Trust roots that change take a new pool with them: connections that are kept, and sessions that may be
 * resumed, were verified by the old ones. The transfers of the old pool end in it.
 */
#include "metergate/proxy/proxy.h"

#include <errno.h>
#include <stdlib.h>

#include "metergate/base/log.h"
#include "metergate/proxy/hub.h"
#include "metergate/proxy/seat.h"

struct old_pool {
    struct list link; /* on proxy.old_pools */
    struct upstream_pool *pool;
    struct trust **trusts; /* owned: its transfers may still know them */
    size_t n;
};

static void retire_pool(struct proxy *p, struct upstream_pool *fresh)
{
    struct old_pool *old = xcalloc(1, sizeof *old);

    list_init(&old->link);
    list_push_back(&p->old_pools, &old->link);
    old->pool = p->pool;
    p->pool = fresh;
}

/* A trust that is replaced goes with the pool that was replaced for it: the last one. */
static void keep_trust(void *ctx, struct trust *t)
{
    struct proxy *p = ctx;
    struct old_pool *old;

    MG_ASSERT(!list_empty(&p->old_pools));
    old = LIST_ENTRY(p->old_pools.prev, struct old_pool, link);
    old->trusts = xrealloc(old->trusts, (old->n + 1) * sizeof(struct trust *));
    old->trusts[old->n++] = t;
}

static void free_pool(struct old_pool *old)
{
    upstream_pool_free(old->pool);
    for (size_t i = 0; i < old->n; i++)
        trust_free(old->trusts[i]);
    list_unlink(&old->link);
    free(old->trusts);
    free(old);
}

void reload_free_pools(struct proxy *p)
{
    LIST_EACH (&p->old_pools, node, next)
        free_pool(LIST_ENTRY(node, struct old_pool, link));
}

static void sweep_pools(struct proxy *p)
{
    LIST_EACH (&p->old_pools, node, next) {
        struct old_pool *old = LIST_ENTRY(node, struct old_pool, link);
        struct upstream_stats stats = upstream_stats(old->pool);

        if (stats.active + stats.waiting == 0)
            free_pool(old);
    }
}

void hub_sweep(struct proxy *p)
{
    int64_t now = loop_now_us(p->loop);

    LIST_EACH (&p->providers.all, node, next)
        LIST_ENTRY(node, struct provider, link)->named = false;
    LIST_EACH (&p->budgets.all, node, next)
        LIST_ENTRY(node, struct model_budget, link)->named = false;
    for (int s = 0; s < CALL_STATES; s++) {
        LIST_EACH (&p->calls[s], node, next) {
            struct call *c = LIST_ENTRY(node, struct call, link);

            if (c->provider)
                c->provider->named = true;
            if (c->budget)
                c->budget->named = true;
        }
    }
    memory_name_budgets(&p->memory);
    budgets_sweep(&p->budgets, now);
    providers_sweep(&p->providers, p->gate, now);
    sweep_pools(p);
}

static bool takes_from(const struct ticket *t, struct budget *const *budgets, size_t n)
{
    bool same = t->budget_count == n;

    for (size_t i = 0; same && i < n; i++)
        same = t->budgets[i] == budgets[i];
    return same;
}

/* A call whose model has limits in another entry, or whose client has limits now, waits there, at its place by arrival. */
static void move_call(struct proxy *p, struct call *c)
{
    struct budget *budgets[TICKET_BUDGETS_MAX];
    struct model_budget *b = NULL;
    size_t n;

    if (!c->provider->retired && !c->dialect->unlimited) {
        struct payer payer = seat_payer(c);

        b = budgets_find_limited(&p->budgets, c->provider, &payer, slice_str(c->request.model));
    }
    if (b && b != c->budget) {
        bill_move(c, b);
        budgets_count_held(c->share, c->ticket.class, -1);
        c->budget = b;
        c->share = budgets_share(b, c->client);
        budgets_count_held(c->share, c->ticket.class, +1);
    }
    n = seat_budgets(c, budgets);
    if (!takes_from(&c->ticket, budgets, n))
        gate_move(p->gate, &c->ticket, budgets, n);
}

static void move_held(struct proxy *p)
{
    LIST_EACH (&p->calls[CALL_HELD], node, next)
        move_call(p, LIST_ENTRY(node, struct call, link));
}

void reload_apply(struct proxy *p, struct config *next, struct providers_plan *plan)
{
    struct config *last = p->config;

    p->config = config_keep(next);
    p->guard = (struct guard_rules){
        .hosts = (const char *const *)next->allow.hosts.v,
        .host_count = next->allow.hosts.n,
        .origins = (const char *const *)next->allow.origins.v,
        .origin_count = next->allow.origins.n,
    };
    if (p->front)
        front_set_body_bytes_total(p->front, next->queue.max_bytes);
    gate_set_policy(p->gate, &(struct gate_policy){.fifo = next->queue.order == CONFIG_ORDER_FIFO});
    providers_apply(&p->providers, next, plan, p->gate, keep_trust, p);
    bill_forget(&p->prices);
    budgets_apply(&p->budgets, next);
    clients_apply(&p->clients, next, p->gate);
    sessions_keep(&p->login.sessions, next);
    move_held(p);
    keepalive_rearm(p);
    if (p->ledger)
        ledger_keep_for(p->ledger, next->retention_us);
    config_free(last);
}

int proxy_reload(struct proxy *p, struct config *next, struct errbuf *e)
{
    struct upstream_pool *fresh = NULL;
    struct providers_plan plan;
    int rc;

    if (p->draining) {
        err_set(e, "the daemon is stopping");
        return -ESHUTDOWN;
    }
    rc = providers_plan(&p->providers, next, &plan, e);
    if (rc == 0 && plan.trusts_change)
        rc = hub_open_pool(p, &fresh, e);
    if (rc == 0) {
        if (fresh)
            retire_pool(p, fresh);
        reload_apply(p, next, &plan);
        capacity_check_queue(&p->capacity, next->queue.max_requests);
        hub_sweep(p);
        capacity_check_queue(&p->capacity, next->queue.max_requests);
        p->reloads++;
        hub_turn_soon(p);
    }
    providers_plan_release(&plan);
    return rc;
}

void proxy_reload_refused(struct proxy *p)
{
    p->reloads_refused++;
}
