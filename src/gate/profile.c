/* profile: amounts are clamped to 0..PROFILE_AMOUNT_MAX where they enter, so that sums never overflow. */
#include "metergate/gate/profile.h"

static int64_t clamp(int64_t v)
{
    return v < 0 ? 0 : v > PROFILE_AMOUNT_MAX ? PROFILE_AMOUNT_MAX : v;
}

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t product(int64_t a, int64_t b)
{
    int64_t v;

    return __builtin_mul_overflow(clamp(a), clamp(b), &v) ? PROFILE_AMOUNT_MAX : clamp(v);
}

static struct cost one_request(enum profile p)
{
    struct cost c = {0};

    for (int m = 0; m < METRICS; m++)
        c.in_full[m] = p == PROFILE_OPENAI || (m != METRIC_TOKENS && m != METRIC_OUTPUT);
    c.on_arrival[METRIC_REQUESTS] = 1;
    c.floor[METRIC_REQUESTS] = 1;
    c.on_arrival[METRIC_CONCURRENT] = 1;
    c.floor[METRIC_CONCURRENT] = 1;
    return c;
}

/* The provider's own estimate from the size of the request. */
static int64_t openai_floor(const struct estimate *e)
{
    return larger(clamp(e->characters) / 4, product(e->max_output, e->choices));
}

struct cost profile_reserve(enum profile p, const struct estimate *e)
{
    struct cost c = one_request(p);
    int64_t input = clamp(e->input), output = clamp(e->expected_output);

    c.exact = e->exact;
    c.input = input;
    c.on_arrival[METRIC_INPUT] = input;
    c.floor[METRIC_INPUT] = input;
    if (p == PROFILE_OPENAI) {
        c.floor[METRIC_TOKENS] = openai_floor(e);
        c.on_arrival[METRIC_TOKENS] = clamp(larger(input + output, c.floor[METRIC_TOKENS]));
        c.on_arrival[METRIC_OUTPUT] = output;
        return c;
    }
    c.floor[METRIC_TOKENS] = input;
    c.on_arrival[METRIC_TOKENS] = input;
    c.at_end[METRIC_TOKENS] = output;
    c.at_end[METRIC_OUTPUT] = output;
    return c;
}

struct cost profile_settle(enum profile p, const struct estimate *e, const struct usage *u)
{
    struct cost c = one_request(p);
    int64_t input = clamp(u->input), output = clamp(u->output);

    c.exact = true;
    c.input = input;
    c.on_arrival[METRIC_INPUT] = input;
    if (p == PROFILE_OPENAI) {
        c.on_arrival[METRIC_TOKENS] = clamp(input + output);
        c.on_arrival[METRIC_OUTPUT] = output;
    } else {
        c.on_arrival[METRIC_TOKENS] = input;
        c.at_end[METRIC_TOKENS] = output;
        c.at_end[METRIC_OUTPUT] = output;
    }
    (void)e; /* what a profile keeps of its estimate after the end; these two keep nothing */
    return c;
}

struct cost profile_refused(enum profile p)
{
    return one_request(p);
}

int64_t cost_total(const struct cost *c, enum metric m)
{
    return c->on_arrival[m] + c->at_end[m];
}
