/* expect: the ring holds min(seen, EXPECT_SAMPLES) samples; the place of the next one is seen % EXPECT_SAMPLES. */
#include "metergate/tokens/expect.h"

#include <stdlib.h>
#include <string.h>

void expect_learn(struct expect *e, int64_t output_tokens)
{
    if (output_tokens < 0)
        return;
    e->sample[e->seen % EXPECT_SAMPLES] = output_tokens < INT32_MAX ? (int32_t)output_tokens : INT32_MAX;
    if (e->seen == UINT32_MAX)
        e->seen -= EXPECT_SAMPLES; /* the ring stays full and in step */
    e->seen++;
}

static int by_size(const void *a, const void *b)
{
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;

    return (x > y) - (x < y);
}

int64_t expect_output(const struct expect *e, int64_t max_output)
{
    int32_t sorted[EXPECT_SAMPLES];
    size_t n = e->seen < EXPECT_SAMPLES ? e->seen : EXPECT_SAMPLES;
    int64_t guess = EXPECT_FIRST_TOKENS;

    if (n > 0) {
        memcpy(sorted, e->sample, n * sizeof sorted[0]);
        qsort(sorted, n, sizeof sorted[0], by_size);
        guess = sorted[(n * EXPECT_QUANTILE + 99) / 100 - 1];
    }
    return max_output > 0 && max_output < guess ? max_output : guess;
}

int expect_samples(const struct expect *e, int32_t ret[EXPECT_SAMPLES])
{
    uint32_t n = e->seen < EXPECT_SAMPLES ? e->seen : EXPECT_SAMPLES;

    for (uint32_t i = 0; i < n; i++)
        ret[i] = e->sample[(e->seen - n + i) % EXPECT_SAMPLES];
    return (int)n;
}
