/* status_budget: one budget, its limits and what waits for it. */
#include "metergate/base/clock.h"
#include "metergate/base/money.h"
#include "status_inside.h"

/* Of all budgets together: with hundreds of queues each shows fewer of its calls, but always the first. */
#define QUEUED_MAX 1200

static int64_t at_least_0(int64_t v)
{
    return v > 0 ? v : 0;
}

static void write_limit(struct json_writer *w, const struct budget *b, const struct budget_limit *l)
{
    struct limit_figures f = budget_figures(b, l);

    if (f.max >= LIMITS_UNKNOWN)
        return;
    json_object_begin(w);
    json_member_str(w, "metric", slice_str(l->limit.key));
    json_member_int(w, "max", f.max);
    json_member_int(w, "window_s", l->limit.metric == METRIC_CONCURRENT ? 0 : l->limit.span_us / CLOCK_S);
    json_member_int(w, "used", f.used);
    json_member_int(w, "reserved", f.reserved);
    json_member_int(w, "usable", f.usable);
    json_member_int(w, "free", at_least_0(f.usable - f.used - f.reserved));
    json_member_bool(w, "learned", l->learned);
    json_object_end(w);
}

/* In USD, and used in full. */
static void write_money(struct json_writer *w, const struct purse *purse, size_t i)
{
    const struct money_limit *l = &purse->limit[i];

    json_object_begin(w);
    json_member_str(w, "metric", slice_str(l->key));
    status_member_usd(w, "max", l->max);
    json_member_int(w, "window_s", l->span_us / CLOCK_S);
    status_member_usd(w, "used", purse->window[i].used);
    status_member_usd(w, "reserved", purse->reserved);
    status_member_usd(w, "usable", l->max);
    status_member_usd(w, "free", at_least_0(l->max - purse->window[i].used - purse->reserved));
    json_member_bool(w, "learned", false);
    json_object_end(w);
}

void status_write_limits(struct json_writer *w, struct budget *b, struct purse *purse, int64_t now)
{
    json_key(w, "limits");
    json_array_begin(w);
    if (b)
        budget_advance(b, now);
    for (size_t i = 0; b && i < b->limit_count; i++)
        write_limit(w, b, &b->limits[i]);
    purse_advance(purse, now);
    for (size_t i = 0; i < purse->n; i++)
        write_money(w, purse, i);
    json_array_end(w);
}

static void write_models(struct json_writer *w, const struct model_budget *b)
{
    json_key(w, "models");
    json_array_begin(w);
    for (size_t i = 0; i < b->model_count; i++)
        json_str(w, slice_str(b->models[i]));
    json_array_end(w);
}

static void write_budget(struct json_writer *w, const struct proxy *p, struct model_budget *b, size_t most, int64_t now)
{
    struct budget *g = b->budget;
    struct status_queue queue;

    status_queue_look(p, b, most, now, &queue);
    json_object_begin(w);
    json_member_str(w, "name", slice_str(b->name));
    json_member_str(w, "upstream", slice_str(b->provider->config->name));
    if (b->account)
        json_member_str(w, "key", slice_str(b->account->label));
    if (b->retired) /* another may have its name by now */
        json_member_bool(w, "retired", true);
    write_models(w, b);
    json_member_int(w, "held", (int64_t)g->line.n);
    json_member_int(w, "in_flight", g->in_flight);
    status_queue_write_next(w, &queue, now);
    json_member_double(w, "headroom", (double)g->headroom_permille / 1000, 3);
    status_member_until(w, "paused_until_ms", budget_paused_until_us(g), now);
    json_member_bool(w, "breaker_open", b->health.breaker.open);
    json_member_int(w, "organizations", (int64_t)b->organizations.n);
    status_write_limits(w, g, &b->purse, now);
    status_queue_write_clients(w, b, now);
    status_queue_write(w, &queue, now);
    json_object_end(w);
}

/* How many calls of each queue are shown. */
static size_t shown_of_each(const struct proxy *p)
{
    size_t busy = 0, most;

    LIST_EACH (&p->budgets.all, node, next)
        busy += LIST_ENTRY(node, struct model_budget, link)->budget->line.n > 0;
    most = busy > 0 ? QUEUED_MAX / busy : STATUS_QUEUE_MAX;
    return most < 1 ? 1 : most < STATUS_QUEUE_MAX ? most : STATUS_QUEUE_MAX;
}

void status_write_budgets(struct json_writer *w, const struct proxy *p, int64_t now)
{
    size_t most = shown_of_each(p);

    json_key(w, "budgets");
    json_array_begin(w);
    LIST_EACH (&p->budgets.all, node, next) {
        struct model_budget *b = LIST_ENTRY(node, struct model_budget, link);

        if (!budgets_is_past(b))
            write_budget(w, p, b, most, now);
    }
    json_array_end(w);
}
