/*
 * dice: how sizes and times of a workload are spread. What is rolled is a whole number >= 1 (of tokens, of
 * milliseconds); what a table says is the mean.
 */
#ifndef METERGATE_TESTS_SIM_DICE_H
#define METERGATE_TESTS_SIM_DICE_H

#include <stdint.h>

#include "rng.h"

enum dice_kind { DICE_CONSTANT, DICE_UNIFORM, DICE_LOGNORMAL, DICE_MIXTURE };

/* Made by the four below. */
struct dice {
    enum dice_kind kind;
    int64_t a, b;
    double sigma;
    int percent;
};

#define ALWAYS(v) {.kind = DICE_CONSTANT, .a = (v)}
/* Both ends included. */
#define BETWEEN(lo, hi) {.kind = DICE_UNIFORM, .a = (lo), .b = (hi)}
/* sigma is that of the logarithm: 0.8 puts the 99th percentile at 4.7 times the mean. At most 10 times it. */
#define LOGNORMAL(mean, s) {.kind = DICE_LOGNORMAL, .a = (mean), .sigma = (s)}
/* `v`, but in `p` % of the rolls `w`. */
#define MOSTLY(v, p, w) {.kind = DICE_MIXTURE, .a = (v), .b = (w), .percent = (p)}

int64_t dice_roll(const struct dice *d, struct rng *r);

/* A factor around 1 on average, lognormal. */
double dice_factor(double sigma, struct rng *r);

/* Between two events of a Poisson stream; microseconds. */
int64_t dice_gap_us(double mean_s, struct rng *r);

#endif
