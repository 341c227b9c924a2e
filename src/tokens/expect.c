/* expect: the ring holds min(seen, EXPECT_SAMPLES) samples; the place of the next one is seen % EXPECT_SAMPLES. */
#include "metergate/tokens/expect.h"

#include "metergate/base/err.h"

void expect_learn(struct expect *e, int64_t output_tokens)
{
    if (output_tokens < 0)
        return;
    e->sample[e->seen % EXPECT_SAMPLES] = output_tokens < INT32_MAX ? (int32_t)output_tokens : INT32_MAX;
    if (e->seen == UINT32_MAX)
        e->seen -= EXPECT_SAMPLES; /* the ring stays full and in step */
    e->seen++;
}

/* The one of n that would stand after `above` others, were they sorted, the largest first. Every call asks, and `above` is a
 * tenth of them: so that many are kept, and nothing is sorted. */
static int32_t largest_but(const int32_t *v, size_t n, size_t above)
{
    int32_t top[EXPECT_SAMPLES]; /* the largest so far, falling, at most above + 1 of them */
    size_t kept = 0;

    MG_ASSERT(above < n && n <= EXPECT_SAMPLES);
    for (size_t i = 0; i < n; i++) {
        size_t at = kept <= above ? kept++ : above;

        if (i > above && v[i] <= top[above])
            continue;
        for (; at > 0 && top[at - 1] < v[i]; at--)
            top[at] = top[at - 1];
        top[at] = v[i];
    }
    return top[above];
}

int64_t expect_output(const struct expect *e, int64_t max_output)
{
    size_t n = e->seen < EXPECT_SAMPLES ? e->seen : EXPECT_SAMPLES;
    int64_t guess = EXPECT_FIRST_TOKENS;

    if (n > 0)
        guess = largest_but(e->sample, n, n - (n * EXPECT_QUANTILE + 99) / 100);
    return max_output > 0 && max_output < guess ? max_output : guess;
}

int expect_samples(const struct expect *e, int32_t ret[EXPECT_SAMPLES])
{
    uint32_t n = e->seen < EXPECT_SAMPLES ? e->seen : EXPECT_SAMPLES;

    for (uint32_t i = 0; i < n; i++)
        ret[i] = e->sample[(e->seen - n + i) % EXPECT_SAMPLES];
    return (int)n;
}
