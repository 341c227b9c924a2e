/* counters: the report is read once an answer, and only if its head has a header that may matter. */
#include "metergate/proxy/counters.h"

#include "metergate/base/clock.h"
#include "metergate/base/log.h"
#include "metergate/dialect/report.h"
#include "metergate/gate/counter.h"
#include "metergate/proxy/hub.h"

/* The headers that a report is read from, of all that an answer has. */
#define HEADERS_MAX 64

struct few_headers {
    struct http_header v[HEADERS_MAX];
    size_t n;
};

/* Dozens of names are looked for in every answer: cheaper among few. */
static bool may_matter(struct slice name)
{
    static const char *const parts[] = {"limit", "organization", "workspace"};

    for (size_t i = 0; i < MG_ARRAY_LEN(parts); i++) {
        if (verdict_says(name, parts[i]))
            return true;
    }
    return false;
}

static void pick_headers(const struct http_header *headers, size_t n, struct few_headers *ret)
{
    ret->n = 0;
    for (size_t i = 0; i < n && ret->n < HEADERS_MAX; i++) {
        if (may_matter(headers[i].name))
            ret->v[ret->n++] = headers[i];
    }
}

static struct slice header_of(void *arg, const char *name)
{
    const struct few_headers *few = arg;

    return http_header_get(few->v, few->n, slice_str(name));
}

/* Google counts input alone, and its budgets have it under tpm. */
static void translate(const struct call *c, struct report *r)
{
    const struct budget *b = c->budget->budget;

    if (c->profile != PROFILE_GEMINI)
        return;
    for (size_t i = 0; i < b->limit_count; i++) {
        if (b->limits[i].limit.metric == METRIC_INPUT)
            return;
    }
    for (size_t i = 0; i < r->n; i++) {
        if (r->v[i].metric == METRIC_INPUT)
            r->v[i].metric = METRIC_TOKENS;
    }
}

/* Whether these are the counters that the budget stands for. */
static bool is_ours(struct call *c, const struct report *r, int64_t now)
{
    struct model_budget *b = c->budget;
    bool ours;

    if (c->provider->config->scope != CONFIG_SCOPE_SHARED)
        return true;
    ours = organizations_see(&b->organizations, r->organization, r->organization_from, now);
    if (b->organizations.n > 1 && !b->organizations.told) {
        b->organizations.told = true;
        log_warn("%s: answers to %s name two organizations, \"%s\" and \"%s\", which have limits of their own: set `scope: key` "
                 "for this upstream",
                 c->provider->config->name, b->name, b->organizations.names[0], b->organizations.names[1]);
    }
    return ours;
}

static void learn(struct call *c, const struct report *r, bool refused, bool fine, int64_t now)
{
    struct proxy *p = c->proxy;
    const struct limits_answer a = {
        .report = r,
        .refused = refused,
        .fine = fine,
        .cost = &c->ticket.cost,
        .now_us = now,
        .wall_s = clock_wall_us() / CLOCK_S,
    };

    if (budgets_learn(&p->budgets, c->budget, &a))
        learned_changed(&p->learned);
}

static void correct(struct call *c, const struct report *r, bool refused, int64_t now)
{
    struct counter v[REPORT_LIMITS_MAX];

    for (size_t i = 0; i < r->n; i++) {
        const struct report_limit *l = &r->v[i];

        v[i] = (struct counter){
            .metric = l->metric,
            .span_us = l->span_us,
            .limit = l->limit,
            .remaining = l->remaining,
            .rounding = l->rounding,
            .reset_us = l->reset_us,
        };
    }
    gate_observe(c->proxy->gate, &c->ticket, now, v, r->n, refused);
}

/* `guess`: what it refused for may be guessed. */
static void hear(struct call *c, const struct provider_answer *a, bool guess)
{
    int64_t now = loop_now_us(c->proxy->loop);
    bool refused = a->status == 429;
    struct report r;

    report_read(a, &r);
    translate(c, &r);
    if (!is_ours(c, &r, now))
        return;
    learn(c, &r, refused && guess, a->status < 400, now);
    correct(c, &r, refused, now);
    hub_turn_soon(c->proxy);
}

static bool is_counted(const struct call *c)
{
    return c->seated && c->budget && c->ticket.state == TICKET_DISPATCHED;
}

void counters_in_head(struct call *c, int status, const struct http_header *headers, size_t n)
{
    struct few_headers few;
    const struct provider_answer a = {
        .status = status,
        .header = header_of,
        .arg = &few,
        .wall_us = clock_wall_us(),
    };

    if (!is_counted(c))
        return;
    pick_headers(headers, n, &few);
    if (few.n > 0 || budgets_awaits_limits(c->budget))
        hear(c, &a, false);
}

void counters_in_settlement(struct call *c, bool refused)
{
    static const struct report nothing;

    if (is_counted(c))
        learn(c, &nothing, refused, !refused, loop_now_us(c->proxy->loop));
}

void counters_in_error(struct call *c, const struct provider_answer *a, const struct verdict *v)
{
    if (is_counted(c))
        hear(c, a, v->retry_may_help && v->scope == VERDICT_MODEL);
}
