/*
 * tariff: what this provider takes for tokens, in integers alone: rates are picodollars a token (USD per
 * million tokens times 10^6), costs nano-dollars, rounded once a call, half up. Written without a look at the
 * proxy's own prices, so that the two can be held against each other.
 */
#ifndef SIMULATOR_TARIFF_H
#define SIMULATOR_TARIFF_H

#include <stdbool.h>
#include <stdint.h>

/* What a call used: as it was reported, or as far as it was produced. */
struct used {
    int64_t input;      /* all of it */
    int64_t cached;     /* of input: read from a cache */
    int64_t written;    /* of input: written to one, for five minutes */
    int64_t written_1h; /* of input: for an hour */
    int64_t output;     /* all of it */
    int64_t reasoning;  /* of output: not shown */
    const char *tier;   /* static text: "flex", "batch", "priority"; NULL: the usual one */
};

/* Rates; 0: there is none. */
struct tariff {
    int64_t input, cached, written, written_1h, output;
};

/*
 * What it costs, by `own` where that has any rate, else by the table's row for the model. False: something
 * was used that has no rate.
 */
bool tariff_cost(const struct tariff *own, const char *model, const struct used *u, int64_t *ret_nano);

#endif
