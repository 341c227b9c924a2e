/*
 * hold: entries of a history are in order of time, and each lasts until the next begins; the last one goes on. Two that
 * follow each other differ.
 */
#include "metergate/proxy/hold.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "metergate/base/err.h"
#include "metergate/proxy/hub.h"

/* What is shorter is not worth telling. */
#define WORTH_TELLING_US CLOCK_MS

static bool same(struct hold_reason a, struct hold_reason b)
{
    return a.whose == b.whose && (a.what == b.what || (a.what && b.what && strcmp(a.what, b.what) == 0));
}

/* ---- the histories of queues ---- */

static void write(struct hold_history *h, struct hold_reason why, int64_t now_us)
{
    unsigned last = (h->n + HOLD_HISTORY - 1) % HOLD_HISTORY;

    if (h->n == 0 ? !why.what : same(h->v[last].why, why))
        return;
    h->v[h->n % HOLD_HISTORY].why = why;
    h->v[h->n % HOLD_HISTORY].from_us = now_us;
    h->n++;
    if (h->n >= 2 * HOLD_HISTORY)
        h->n -= HOLD_HISTORY; /* still full, and never overflows */
}

static enum row_whose whose(const struct call *c, const struct budget *b)
{
    if (b == c->budget->budget)
        return ROW_OF_BUDGET;
    if (b == c->client->budget)
        return ROW_OF_CLIENT;
    return c->budget->account && b == c->budget->account->budget ? ROW_OF_ACCOUNT : ROW_OF_UPSTREAM;
}

static struct hold_reason reason(const struct call *c, const struct gate_reason *why, int64_t now_us)
{
    const struct proxy *p = c->proxy;

    if (gate_is_stopped(p->gate))
        return (struct hold_reason){"stop", ROW_OF_NOBODY};
    if (why->polite)
        return (struct hold_reason){"politeness", ROW_OF_NOBODY};
    if (why->until_us <= now_us)
        return upstream_is_full(p->pool) ? (struct hold_reason){"connections", ROW_OF_NOBODY}
                                         : (struct hold_reason){NULL, ROW_OF_NOBODY};
    if (!why->budget)
        return (struct hold_reason){"queue", ROW_OF_NOBODY};
    return (struct hold_reason){why->limit ? why->limit->limit.key : "pause", whose(c, why->budget)};
}

struct hold_reason hold_why(const struct call *c, int64_t now_us)
{
    struct gate_reason why = gate_why(c->proxy->gate, &c->ticket, now_us);

    return reason(c, &why, now_us);
}

const char *hold_name(const struct call *c, enum row_whose whose)
{
    switch (whose) {
    case ROW_OF_BUDGET:
        return c->budget->name;
    case ROW_OF_UPSTREAM:
        return c->provider->config->name;
    case ROW_OF_ACCOUNT:
        return c->budget->account ? c->budget->account->label : "";
    case ROW_OF_CLIENT:
        return c->client->name;
    case ROW_OF_NOBODY:
    default:
        return "";
    }
}

static void look_at(struct proxy *p, struct model_budget *b, int64_t now_us)
{
    const struct ticket *head;
    struct gate_reason why;

    if (b->budget->line.n == 0) {
        write(&b->holds, (struct hold_reason){NULL, ROW_OF_NOBODY}, now_us);
        return;
    }
    budget_advance(b->budget, now_us);
    why = gate_head_why(p->gate, b->budget, now_us, &head);
    write(&b->holds, reason(MG_CONTAINER(head, const struct call, ticket), &why, now_us), now_us);
}

static void on_time(void *ctx)
{
    hub_turn_soon(ctx);
}

void hold_look(struct proxy *p, int64_t now_us)
{
    bool any = p->count[CALL_HELD] > 0;

    if (!any && !p->hold_any)
        return;
    if (any && now_us < p->hold_looked_us + HOLD_LOOK_US) {
        if (!loop_timer_is_set(&p->hold_timer))
            loop_timer_set(p->loop, &p->hold_timer, p->hold_looked_us + HOLD_LOOK_US, on_time, p);
        return;
    }
    loop_timer_clear(p->loop, &p->hold_timer);
    p->hold_looked_us = now_us;
    p->hold_any = any;
    LIST_EACH (&p->budgets.all, node, next)
        look_at(p, LIST_ENTRY(node, struct model_budget, link), now_us);
}

/* ---- a call ---- */

void hold_begin(struct call *c)
{
    int64_t now = loop_now_us(c->proxy->loop);
    struct gate_reason why;

    c->own_limit = NULL;
    if (!c->client->budget || c->client->budget->limit_count == 0)
        return;
    why = gate_why(c->proxy->gate, &c->ticket, now);
    if (why.budget == c->client->budget && why.limit && why.until_us > now)
        c->own_limit = why.limit->limit.key;
}

/* One more, or the last one goes on; what is too much goes into the last. Times are of the clock. */
static int add(struct row_hold *v, int n, struct hold_reason why, int64_t from_us, int64_t to_us)
{
    if (to_us <= from_us)
        return n;
    if (!why.what)
        why = (struct hold_reason){"queue", ROW_OF_NOBODY};
    if (n > 0 && (n == ROW_HOLDS_MAX || (strcmp(v[n - 1].what, why.what) == 0 && v[n - 1].whose == why.whose &&
                                         v[n - 1].to_us == from_us))) {
        v[n - 1].to_us = to_us;
        return n;
    }
    v[n] = (struct row_hold){.whose = why.whose, .from_us = from_us, .to_us = to_us};
    snprintf(v[n].what, sizeof v[n].what, "%s", why.what);
    return n + 1;
}

/* What the queue waited for in that time. */
static int add_history(const struct call *c, int64_t now_us, struct row_hold *v, int n)
{
    const struct hold_history *h = &c->budget->holds;
    unsigned first = h->n > HOLD_HISTORY ? h->n - HOLD_HISTORY : 0;
    int64_t from_us = c->held_us;

    for (unsigned i = first; i < h->n; i++) {
        struct hold_reason why = h->v[i % HOLD_HISTORY].why;
        int64_t to_us = i + 1 < h->n ? h->v[(i + 1) % HOLD_HISTORY].from_us : now_us;

        if (to_us <= from_us)
            continue;
        /* what was seen a little later had begun when the call began to wait */
        if (!why.what && to_us - from_us <= HOLD_LOOK_US && i + 1 < h->n)
            continue;
        if (why.whose == ROW_OF_CLIENT) /* of the head's client, which is another */
            why = (struct hold_reason){"queue", ROW_OF_NOBODY};
        n = add(v, n, why, from_us, to_us);
        from_us = to_us;
    }
    return add(v, n, (struct hold_reason){"queue", ROW_OF_NOBODY}, from_us, now_us);
}

static int add_present(const struct call *c, int64_t now_us, struct row_hold *v, int n)
{
    if (now_us - c->held_us < WORTH_TELLING_US)
        return n;
    if (c->own_limit)
        return add(v, n, (struct hold_reason){c->own_limit, ROW_OF_CLIENT}, c->held_us, now_us);
    return add_history(c, now_us, v, n);
}

void hold_end(struct call *c, int64_t now_us)
{
    struct row_hold v[ROW_HOLDS_MAX];
    int n = c->hold_count;

    if (!c->budget || now_us - c->held_us < WORTH_TELLING_US)
        return;
    if (n > 0)
        memcpy(v, c->holds, (size_t)n * sizeof *v);
    n = add_present(c, now_us, v, n);
    c->holds = xrealloc(c->holds, (size_t)n * sizeof *v);
    memcpy(c->holds, v, (size_t)n * sizeof *v);
    c->hold_count = n;
}

/* What it was refused for, unless that is what it waited for. */
static int add_refused(const struct call *c, int64_t now_us, struct row_hold *v, int n)
{
    enum row_whose whose = c->refused_by_client ? ROW_OF_CLIENT : ROW_OF_BUDGET;

    if (n == ROW_HOLDS_MAX || (n > 0 && v[n - 1].whose == whose && strcmp(v[n - 1].what, c->refused_for) == 0))
        return n;
    v[n] = (struct row_hold){.whose = whose, .from_us = now_us, .to_us = now_us};
    snprintf(v[n].what, sizeof v[n].what, "%s", c->refused_for);
    return n + 1;
}

int hold_list(const struct call *c, int64_t now_us, struct row_hold *ret)
{
    int n = c->hold_count;

    if (n > 0)
        memcpy(ret, c->holds, (size_t)n * sizeof *ret);
    if (c->state == CALL_HELD)
        n = add_present(c, now_us, ret, n);
    if (c->refused_for)
        n = add_refused(c, now_us, ret, n);
    for (int i = 0; i < n; i++) {
        ret[i].from_us -= c->arrived_us;
        ret[i].to_us -= c->arrived_us;
    }
    return n;
}
