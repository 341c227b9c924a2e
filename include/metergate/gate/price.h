/*
 * price: what tokens cost. Pure, and in integers alone: rates are picodollars a token (USD per million tokens times
 * 10^6), costs are nano-dollars (10^-9 USD), rounded once a call, half up.
 *
 * What a provider reports as input holds what it read from a cache and wrote to one; each is billed at its own rate,
 * the rest at that of input. Reasoning is inside output. A rate may be unknown: what needs it has no known cost,
 * which is not the same as costing nothing.
 */
#ifndef METERGATE_GATE_PRICE_H
#define METERGATE_GATE_PRICE_H

#include <stdbool.h>
#include <stdint.h>

#include "metergate/gate/profile.h"

#define PRICE_UNKNOWN INT64_C(-1) /* of a rate, and of a cost */

/* No rate is above it: 1,000,000 USD per million tokens. */
#define PRICE_RATE_MAX INT64_C(1000000000000)

enum rate { RATE_INPUT, RATE_CACHED, RATE_CACHE_WRITE, RATE_CACHE_WRITE_1H, RATE_OUTPUT, RATES };

/* Five numbers that a call is billed by. Picodollars a token, or PRICE_UNKNOWN. */
struct rates {
    int64_t pico[RATES];
};

/* A factor, exact: gpt-4o-mini costs 5/3 of its price with priority. */
struct price_times {
    int32_t times, over; /* over 0: not known */
};

/* A model's price. Static, or of a configuration; whoever keeps one copies it. */
struct price {
    const char *name;   /* of the table's row: "gpt-4o", "claude-sonnet-4*" */
    const char *source; /* for people: who said so, and when it was read; "configuration" */
    int32_t since;      /* the day from which it holds, as 20261128; 0: the configuration's, of no date */
    struct rates rates;
    int64_t long_above; /* a call with more input than this is billed by `long_rates` altogether; 0: never */
    struct rates long_rates;
    struct price_times priority; /* of a call that was served with priority; mostly 2/1 */
};

/*
 * The rates of a call that used this: the long ones where they hold, times its tier. Flex and batch are half (OpenAI,
 * Anthropic and Google, pricing, 2026), priority is what the price says, another tier is unknown; half a picodollar is
 * rounded up. Unknown stays unknown.
 */
struct rates price_rates(const struct price *p, const struct usage *u);

/*
 * What that usage costs at those rates, in nano-dollars; PRICE_UNKNOWN when a rate that it needs is. Counts that
 * contradict each other (more cached than input) are taken so that nothing is billed twice. Never overflows for
 * counts up to 10^9 tokens: a sum beyond INT64_MAX is INT64_MAX.
 */
int64_t rates_cost(const struct rates *r, const struct usage *u);

/* Both at once: what the usage costs at that price; NULL: PRICE_UNKNOWN. */
int64_t price_cost(const struct price *p, const struct usage *u);

#endif
