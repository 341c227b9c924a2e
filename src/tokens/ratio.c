/* ratio: the ring holds min(seen, RATIO_SAMPLES) samples; `value` is always that of the ring as it is. */
#include "metergate/tokens/ratio.h"

#include <stdlib.h>

#include "metergate/base/err.h"

#define LEAST (RATIO_ONE / 10)
#define MOST  (RATIO_ONE * 10)

/* What the first guess weighs against the samples until there are so many of them. */
#define GUESS_WEIGHT 16
#define GUESS_FADES  8

void ratio_init(struct ratio *r, int32_t value)
{
    *r = (struct ratio){.value = value};
}

int ratio_samples(const struct ratio *r, struct ratio_sample ret[RATIO_SAMPLES])
{
    uint32_t n = r->seen < RATIO_SAMPLES ? r->seen : RATIO_SAMPLES;

    for (uint32_t i = 0; i < n; i++)
        ret[i] = r->sample[(r->seen - n + i) % RATIO_SAMPLES];
    return (int)n;
}

static int by_ratio(const void *a, const void *b)
{
    const struct ratio_sample *x = a, *y = b;

    return (x->ratio > y->ratio) - (x->ratio < y->ratio);
}

/* The mean of what lies between the first and the third quarter of the weight; all of it twice, to stay
 * whole. */
static int32_t middle(const struct ratio_sample *sorted, int n, int64_t weight)
{
    int64_t from = weight / 2, to = 2 * weight - weight / 2, at = 0, sum = 0, taken = 0;

    for (int i = 0; i < n; i++) {
        int64_t next = at + 2 * (int64_t)sorted[i].weight;
        int64_t low = at > from ? at : from, high = next < to ? next : to;

        if (high > low) {
            sum += (high - low) * sorted[i].ratio;
            taken += high - low;
        }
        at = next;
    }
    MG_ASSERT(taken > 0);
    return (int32_t)((sum + taken / 2) / taken);
}

void ratio_put(struct ratio *r, const struct ratio_sample *sample)
{
    struct ratio_sample all[RATIO_SAMPLES + 1];
    int32_t guess = r->value;
    int64_t weight = 0;
    int n;

    if (sample->ratio < LEAST || sample->ratio > MOST || sample->weight < 1 ||
        sample->weight > RATIO_WEIGHT_MAX)
        return;
    r->sample[r->seen % RATIO_SAMPLES] = *sample;
    if (r->seen == UINT32_MAX)
        r->seen -= RATIO_SAMPLES; /* the ring stays full and in step */
    r->seen++;
    n = ratio_samples(r, all);
    if (n < GUESS_FADES)
        all[n++] = (struct ratio_sample){.ratio = guess, .weight = GUESS_WEIGHT};
    qsort(all, (size_t)n, sizeof all[0], by_ratio);
    for (int i = 0; i < n; i++)
        weight += all[i].weight;
    r->value = middle(all, n, weight);
}

void ratio_learn(struct ratio *r, int64_t counted, int64_t reported)
{
    if (counted < 1 || reported < 1 || counted > INT32_MAX || reported / MOST * RATIO_ONE > counted)
        return;
    ratio_put(r, &(struct ratio_sample){
                     .ratio = (int32_t)((reported * RATIO_ONE + counted / 2) / counted),
                     .weight = counted < RATIO_WEIGHT_MAX ? (int32_t)counted : RATIO_WEIGHT_MAX,
                 });
}

int64_t ratio_apply(int32_t ratio, int64_t counted)
{
    return (counted * ratio + RATIO_ONE / 2) / RATIO_ONE;
}
