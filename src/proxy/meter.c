/* meter: the kinds of a usage add up to its input and output, whatever a provider says the parts of them are. */
#include "metergate/proxy/meter.h"

#include "metergate/base/money.h"
#include "metergate/gate/price.h"
#include "metergate/proxy/hub.h"

static const char *const kind_names[TOKEN_KINDS] = {"input", "cached", "cache_write", "output", "reasoning"};

const char *token_kind_name(enum token_kind k)
{
    return kind_names[k];
}

static int64_t at_most(int64_t n, int64_t most)
{
    return n < most ? n : most;
}

static void add_usage(struct budget_meter *t, const struct usage *u, int sign)
{
    int64_t cached = at_most(u->cached, u->input), written = at_most(u->cache_write, u->input - cached),
            reasoning = at_most(u->reasoning, u->output);

    t->tokens[TOKENS_INPUT] += sign * (u->input - cached - written);
    t->tokens[TOKENS_CACHED] += sign * cached;
    t->tokens[TOKENS_CACHE_WRITE] += sign * written;
    t->tokens[TOKENS_OUTPUT] += sign * (u->output - reasoning);
    t->tokens[TOKENS_REASONING] += sign * reasoning;
}

static void end_in_budget(struct budget_meter *t, const struct call *c)
{
    histogram_add(&t->waits, &histogram_waits, c->queued_us);
    if (!c->dispatched_us)
        t->vain_us += c->queued_us;
    t->ended[c->outcome]++;
    add_usage(t, &c->used, +1);
    if (c->cost_nano == PRICE_UNKNOWN)
        t->unpriced++;
    else
        t->cost_nano = money_sum(t->cost_nano, c->cost_nano);
}

void meter_end(const struct call *c)
{
    if (c->client)
        c->client->waited_us += c->queued_us;
    if (c->budget)
        end_in_budget(&c->budget->meter, c);
    if (c->provider && c->dispatched_us && c->endpoint != ENDPOINT_RESERVE)
        histogram_add(&c->provider->meter.calls, &histogram_calls, c->settled_us - c->arrived_us);
}

void meter_answer(const struct call *c, int status)
{
    struct upstream_meter *t = &c->provider->meter;

    if (status >= 100 && status < 100 * (ANSWER_CLASSES + 1))
        t->answers[status / 100 - 1]++;
    histogram_add(&t->first_byte, &histogram_answers, c->first_byte_us - c->attempt_us);
}

/* |estimated - reported| / reported, in millionths. */
static int64_t error_of(int64_t estimated, int64_t reported)
{
    int64_t off = estimated > reported ? estimated - reported : reported - estimated;

    return off / reported * 1000000 + off % reported * 1000000 / reported;
}

void meter_estimate(const struct call *c, int64_t reported)
{
    if (reported > 0 && reported <= PROFILE_AMOUNT_MAX && c->estimate.input <= PROFILE_AMOUNT_MAX)
        histogram_add(&c->provider->meter.errors, &histogram_errors, error_of(c->estimate.input, reported));
}

void meter_correct(struct budget_meter *t, const struct usage *before, int64_t before_nano, const struct usage *u, int64_t nano)
{
    add_usage(t, before, -1);
    add_usage(t, u, +1);
    if (nano != PRICE_UNKNOWN && before_nano != PRICE_UNKNOWN)
        t->cost_nano = money_sum(t->cost_nano, nano - before_nano);
}
