/* prng: the state moves on by a constant that is odd, so it takes every value once in 2^64 steps. */
#include "metergate/base/prng.h"

#include "metergate/base/err.h"

uint64_t prng_next(struct prng *p)
{
    uint64_t z = p->state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

int64_t prng_below(struct prng *p, int64_t n)
{
    MG_ASSERT(n > 0 && n <= INT64_C(1) << 44);
    return (int64_t)(prng_next(p) % (uint64_t)n);
}
