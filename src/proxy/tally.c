/* tally: figures of one thing are written in one function, so that those that are sums of others stay so. */
#include "metergate/proxy/tally.h"

#include "metergate/base/money.h"
#include "metergate/proxy/hub.h"

static void add(struct hour **h, int64_t step_us, int64_t now_us, const struct hour_figures *f)
{
    if (!*h)
        *h = hour_new(step_us);
    hour_add(*h, now_us, f);
}

static void add_to_hours(struct call *c, const struct hour_figures *f)
{
    int64_t now = loop_now_us(c->proxy->loop);

    add(&c->proxy->hour, HOUR_MINUTE_US, now, f);
    if (c->budget)
        add(&c->budget->hour, HOUR_MINUTE_US, now, f);
    if (c->client)
        add(&c->client->hour, HOUR_FIVE_US, now, f);
}

void tally_end(struct call *c)
{
    bool unpriced = c->cost_nano == PRICE_UNKNOWN;
    const struct hour_figures f = {
        .calls = 1,
        .tokens = c->used.input + c->used.output,
        .cost_nano = unpriced ? 0 : c->cost_nano,
        .unpriced = unpriced,
        .waited_us = c->queued_us,
        .longest_us = c->queued_us,
        .refused = c->outcome == OUTCOME_REFUSED,
    };

    c->proxy->totals.outcome[c->outcome]++;
    if (c->client) {
        c->client->calls++;
        c->client->tokens += f.tokens;
        c->client->cost_nano = money_sum(c->client->cost_nano, f.cost_nano);
    }
    if (c->provider && c->attempts > 0)
        c->provider->calls++;
    add_to_hours(c, &f);
    meter_end(c);
}

void tally_retry(struct call *c)
{
    c->proxy->totals.retries++;
    c->provider->retries++;
    add_to_hours(c, &(struct hour_figures){.retries = 1});
}

void tally_429(struct call *c)
{
    c->proxy->totals.upstream_429++;
    c->provider->upstream_429++;
    add_to_hours(c, &(struct hour_figures){.upstream_429 = 1});
}

void tally_no_connection(struct call *c, struct slice why)
{
    c->provider->connect_failures++;
    provider_name_problem(c->provider, why);
}
