/* ticket: asks, changes nothing but what time itself changes. */
#include "metergate/gate/ticket.h"

#include "metergate/base/err.h"

void ticket_init(struct ticket *t, const struct cost *cost, struct budget *const *budgets, size_t n,
                 int64_t arrival_us, int64_t deadline_us)
{
    MG_ASSERT(cost->on_arrival[METRIC_REQUESTS] == 1);
    *t = (struct ticket){.cost = *cost, .arrival_us = arrival_us, .deadline_us = deadline_us};
    ticket_belongs(t, NULL, 1, TICKET_NORMAL);
    ticket_set_budgets(t, budgets, n);
}

void ticket_belongs(struct ticket *t, const void *client, int64_t weight, enum ticket_class class)
{
    MG_ASSERT(t->state == TICKET_IDLE && weight >= 1 && weight <= 1000);
    t->client = client;
    t->weight = weight;
    t->class = class;
}

void ticket_set_budgets(struct ticket *t, struct budget *const *budgets, size_t n)
{
    MG_ASSERT(t->state == TICKET_IDLE && n >= 1 && n <= TICKET_BUDGETS_MAX);
    t->budget_count = n;
    for (size_t i = 0; i < n; i++) {
        t->budgets[i] = budgets[i];
        budgets[i]->shared |= i > 0;
    }
}

void ticket_advance(const struct ticket *t, int64_t now_us)
{
    for (size_t i = 0; i < t->budget_count; i++)
        budget_advance(t->budgets[i], now_us);
}

struct gate_reason ticket_earliest(const struct ticket *t, int64_t now_us)
{
    struct gate_reason why = {.budget = t->budgets[0], .until_us = now_us};

    for (size_t i = 0; i < t->budget_count; i++) {
        const struct budget_limit *limit;
        int64_t ti = budget_earliest(t->budgets[i], &t->cost, now_us, &limit);

        if (ti > why.until_us)
            why = (struct gate_reason){.budget = t->budgets[i], .limit = limit, .until_us = ti};
    }
    return why;
}

bool ticket_takes_from(const struct ticket *t, const struct budget *b)
{
    for (size_t i = 0; i < t->budget_count; i++) {
        if (t->budgets[i] == b)
            return true;
    }
    return false;
}

bool ticket_leaves_room(const struct ticket *head, int64_t head_us, const struct ticket *small, int64_t at_us)
{
    for (size_t i = 0; i < head->budget_count; i++) {
        if (ticket_takes_from(small, head->budgets[i]) &&
            !budget_has_room_for_both(head->budgets[i], &head->cost, head_us, &small->cost, at_us))
            return false;
    }
    return true;
}

int ticket_currency(enum metric m)
{
    switch (m) {
    case METRIC_TOKENS:
        return 0;
    case METRIC_INPUT:
        return 1;
    case METRIC_OUTPUT:
        return 2;
    case METRIC_REQUESTS:
    case METRIC_CONCURRENT:
    case METRICS:
    default:
        return -1;
    }
}

int64_t ticket_part_ppm(const struct ticket *t)
{
    __extension__ typedef __int128 wide;
    int64_t most = 0;

    for (size_t i = 0; i < t->budget_count; i++) {
        const struct budget *b = t->budgets[i];

        for (size_t j = 0; j < b->limit_count; j++) {
            wide part = (wide)budget_need_total(&b->limits[j], &t->cost) * 1000000;

            part /= budget_usable(b, &b->limits[j]);
            if (part > most)
                most = (int64_t)part;
        }
    }
    return most;
}

/* One call is not more of a client's share than this, whatever it claims. */
#define SHARE_TOKENS_MAX (INT64_C(1) << 32)

int64_t ticket_share_tokens_of(const struct cost *c)
{
    int64_t tokens = cost_total(c, METRIC_TOKENS);

    return tokens < 1 ? 1 : tokens < SHARE_TOKENS_MAX ? tokens : SHARE_TOKENS_MAX;
}

int64_t ticket_share_tokens(const struct ticket *t)
{
    return ticket_share_tokens_of(&t->cost);
}

struct queue_weight ticket_weight(const struct ticket *t)
{
    struct queue_weight w = {{0}};

    for (int m = 0; m < METRICS; m++) {
        int c = ticket_currency((enum metric)m);

        if (c >= 0)
            w.of[c] = cost_total(&t->cost, (enum metric)m);
    }
    return w;
}

struct queue_weight ticket_load(const struct ticket *t)
{
    struct queue_weight w = ticket_weight(t);
    const struct budget *b = t->budgets[0];

    for (size_t i = 0; i < b->limit_count; i++) {
        int c = ticket_currency(b->limits[i].limit.metric);

        if (c >= 0 && w.of[c] > budget_usable(b, &b->limits[i]))
            w.of[c] = budget_usable(b, &b->limits[i]);
    }
    return w;
}
