/*
 * price: a cost is a sum of products that may need more than 63 bits in picodollars and fits them in nano-dollars. So
 * each rate is taken apart into whole nano-dollars and what is left of them: both sums are exact, and the only rounding
 * is that of the second one, at the end.
 */
#include "metergate/gate/price.h"

#include <stddef.h>

#define PICO_PER_NANO 1000

static int64_t between(int64_t v, int64_t min, int64_t max)
{
    if (v < min)
        return min;
    return v > max ? max : v;
}

/* Rounded half up; unknown stays unknown. */
static struct rates scaled(struct rates r, int64_t times, int64_t over)
{
    for (size_t i = 0; i < RATES; i++) {
        if (r.pico[i] >= 0)
            r.pico[i] = (2 * r.pico[i] * times + over) / (2 * over);
    }
    return r;
}

static struct rates unknown_rates(void)
{
    struct rates r;

    for (size_t i = 0; i < RATES; i++)
        r.pico[i] = PRICE_UNKNOWN;
    return r;
}

struct rates price_rates(const struct price *p, const struct usage *u)
{
    struct rates r = p->long_above > 0 && u->input > p->long_above ? p->long_rates : p->rates;

    switch (u->tier) {
    case TIER_FLEX:
    case TIER_BATCH:
        return scaled(r, 1, 2);
    case TIER_PRIORITY:
        return p->priority.over > 0 ? scaled(r, p->priority.times, p->priority.over) : unknown_rates();
    case TIER_OTHER:
        return unknown_rates();
    case TIER_STANDARD:
    case USAGE_TIERS:
        break;
    }
    return r;
}

/* How many tokens are billed at each rate. What was read from a cache is believed before what was written to one. */
static void share_out(const struct usage *u, int64_t ret[RATES])
{
    int64_t input = between(u->input, 0, INT64_MAX);
    int64_t cached = between(u->cached, 0, input);
    int64_t written = between(u->cache_write, 0, input - cached);
    int64_t longer = between(u->cache_write_1h, 0, written);

    ret[RATE_INPUT] = input - cached - written;
    ret[RATE_CACHED] = cached;
    ret[RATE_CACHE_WRITE] = written - longer;
    ret[RATE_CACHE_WRITE_1H] = longer;
    ret[RATE_OUTPUT] = between(u->output, 0, INT64_MAX);
}

/* *sum += tokens * rate; false when that does not fit. */
static bool add_product(int64_t *sum, int64_t tokens, int64_t rate)
{
    int64_t product;

    return !__builtin_mul_overflow(tokens, rate, &product) && !__builtin_add_overflow(*sum, product, sum);
}

int64_t rates_cost(const struct rates *r, const struct usage *u)
{
    int64_t tokens[RATES], nano = 0, pico = 0;
    bool fits = true;

    share_out(u, tokens);
    for (size_t i = 0; i < RATES; i++) {
        if (tokens[i] == 0)
            continue;
        if (r->pico[i] < 0)
            return PRICE_UNKNOWN;
        fits = fits && add_product(&nano, tokens[i], r->pico[i] / PICO_PER_NANO) &&
               add_product(&pico, tokens[i], r->pico[i] % PICO_PER_NANO);
    }
    /* not (pico + 500) / 1000, which could overflow */
    pico = pico / PICO_PER_NANO + (pico % PICO_PER_NANO >= PICO_PER_NANO / 2);
    if (!fits || __builtin_add_overflow(nano, pico, &nano))
        return INT64_MAX;
    return nano;
}

int64_t price_cost(const struct price *p, const struct usage *u)
{
    struct rates r;

    if (!p)
        return PRICE_UNKNOWN;
    r = price_rates(p, u);
    return rates_cost(&r, u);
}
