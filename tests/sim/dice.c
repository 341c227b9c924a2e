/* dice: floating point, but never 0 into a logarithm. */
#include "dice.h"

#include <math.h>

/* In (0, 1]. */
static double fraction(struct rng *r)
{
    return ((double)(rng_next(r) >> 11) + 1) / 9007199254740992.0;
}

/* Box and Muller, 1958. */
static double normal(struct rng *r)
{
    double u = fraction(r), v = fraction(r);

    return sqrt(-2 * log(u)) * cos(2 * 3.14159265358979323846 * v);
}

double dice_factor(double sigma, struct rng *r)
{
    return sigma > 0 ? exp(sigma * normal(r) - sigma * sigma / 2) : 1;
}

int64_t dice_gap_us(double mean_s, struct rng *r)
{
    return (int64_t)(-log(fraction(r)) * mean_s * 1e6) + 1;
}

int64_t dice_roll(const struct dice *d, struct rng *r)
{
    int64_t v = d->a;

    if (d->kind == DICE_UNIFORM)
        v = rng_range(r, d->a, d->b);
    else if (d->kind == DICE_LOGNORMAL)
        v = (int64_t)(fmin(dice_factor(d->sigma, r), 10) * (double)d->a);
    else if (d->kind == DICE_MIXTURE && rng_chance(r, d->percent))
        v = d->b;
    return v > 1 ? v : 1;
}
