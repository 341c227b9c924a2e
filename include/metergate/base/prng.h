/*
 * prng: numbers that spread things out in time, from a seed of 64 bits: the same seed gives the same numbers,
 * so what uses them can be tested. Not for secrets: whoever sees a number can tell the next.
 *
 * splitmix64 (G. L. Steele, D. Lea, C. H. Flood, "Fast splittable pseudorandom number generators", 2014).
 */
#ifndef METERGATE_BASE_PRNG_H
#define METERGATE_BASE_PRNG_H

#include <stdint.h>

/* Any state is a good one; set it to the seed. */
struct prng {
    uint64_t state;
};

uint64_t prng_next(struct prng *p);

/*
 * A number of 0..n-1, each as likely as the others to within 2^-20; n in 1..2^44 (half a year of
 * microseconds).
 */
int64_t prng_below(struct prng *p, int64_t n);

#endif
