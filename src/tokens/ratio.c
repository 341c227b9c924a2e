/* ratio: the ring holds min(seen, RATIO_SAMPLES) samples. See ratio.h. */
#include "metergate/tokens/ratio.h"

#include <stdbool.h>
#include <stdlib.h>

#include "metergate/base/err.h"

#define MOST_TIMES 10

/* What the first guess weighs, in tokens, until there are so many samples. */
#define GUESS_WEIGHT 16
#define GUESS_FADES  8

/* A line needs so many samples, and a large half that is so many times the small one. */
#define LINE_SAMPLES 16
#define LINE_SPREAD  2

/* A full ring changes little by one sample: the line is drawn again after so many. */
#define REDRAW 4

/* The middle half of some samples, summed, and between which ratios it lies. */
struct point {
    int64_t counted, reported, n;
    int32_t low, high;
};

void ratio_init(struct ratio *r, int32_t guess)
{
    *r = (struct ratio){.slope = guess, .mean = guess, .guess = guess};
}

int ratio_samples(const struct ratio *r, struct ratio_sample ret[RATIO_SAMPLES])
{
    uint32_t n = r->seen < RATIO_SAMPLES ? r->seen : RATIO_SAMPLES;

    for (uint32_t i = 0; i < n; i++)
        ret[i] = r->sample[(r->seen - n + i) % RATIO_SAMPLES];
    return (int)n;
}

static int by_size(const void *a, const void *b)
{
    const struct ratio_sample *x = a, *y = b;

    return (x->counted > y->counted) - (x->counted < y->counted);
}

/* a/b against c/d, as ad against cb. */
static int by_ratio(const void *a, const void *b)
{
    const struct ratio_sample *x = a, *y = b;
    int64_t left = (int64_t)x->reported * y->counted, right = (int64_t)y->reported * x->counted;

    return (left > right) - (left < right);
}

static int32_t ratio_of(int64_t reported, int64_t counted)
{
    MG_ASSERT(counted > 0);
    return (int32_t)((reported * RATIO_ONE + counted / 2) / counted);
}

/* Sorts them. */
static struct point middle(struct ratio_sample *v, int n)
{
    struct point p = {0};

    qsort(v, (size_t)n, sizeof v[0], by_ratio);
    for (int i = n / 4; i < n - n / 4; i++) {
        p.counted += v[i].counted;
        p.reported += v[i].reported;
        p.n++;
    }
    p.low = ratio_of(v[n / 4].reported, v[n / 4].counted);
    p.high = ratio_of(v[n - n / 4 - 1].reported, v[n - n / 4 - 1].counted);
    return p;
}

/*
 * Whether the two halves differ by more than chance makes of n samples that scatter so: the mean of the
 * middle of n / 2 of them is off by about 1.2 s / sqrt(n / 2), s being the middle's width / 1.35 for normal
 * noise; twice that for the difference of two.
 */
static bool halves_differ(const struct point *small, const struct point *large, int64_t n)
{
    int64_t apart = ratio_of(small->reported, small->counted) - ratio_of(large->reported, large->counted);
    int64_t width = large->high - large->low;

    return apart * apart * n * 100 > width * width * 1296; /* |apart| > 3.6 width / sqrt(n) */
}

/* The line through both; false when they say nothing about one. */
static bool draw(struct ratio *r, const struct point *small, const struct point *large)
{
    int64_t x1 = small->counted / small->n, x2 = large->counted / large->n;
    int64_t y1 = small->reported / small->n, y2 = large->reported / large->n;

    if (x2 < LINE_SPREAD * x1 || x2 - x1 < 1 || y2 <= y1 || y2 - y1 > MOST_TIMES * (x2 - x1))
        return false;
    r->slope = ratio_of(y2 - y1, x2 - x1);
    r->offset = (int32_t)(y1 - ratio_times(r->slope, x1));
    return true;
}

static void fit(struct ratio *r)
{
    struct ratio_sample v[RATIO_SAMPLES];
    int n = ratio_samples(r, v);
    struct point all = middle(v, n), small, large;

    r->offset = 0;
    if (n < GUESS_FADES) {
        all.counted += GUESS_WEIGHT;
        all.reported += ratio_times(r->guess, GUESS_WEIGHT);
    }
    r->slope = r->mean = ratio_of(all.reported, all.counted);
    if (n < LINE_SAMPLES)
        return;
    qsort(v, (size_t)n, sizeof v[0], by_size);
    small = middle(v, n / 2);
    large = middle(v + n / 2, n - n / 2);
    if (!halves_differ(&small, &large, n) || !draw(r, &small, &large)) {
        r->slope = r->mean;
        r->offset = 0;
    }
}

void ratio_learn(struct ratio *r, int64_t counted, int64_t reported)
{
    if (counted < 1 || reported < 1 || counted > INT32_MAX || reported > INT32_MAX ||
        reported > counted * MOST_TIMES || counted > reported * MOST_TIMES)
        return;
    r->sample[r->seen % RATIO_SAMPLES] =
        (struct ratio_sample){.counted = (int32_t)counted, .reported = (int32_t)reported};
    if (r->seen == UINT32_MAX)
        r->seen -= RATIO_SAMPLES; /* the ring stays full and in step */
    r->seen++;
    if (r->seen <= RATIO_SAMPLES || r->seen % REDRAW == 0)
        fit(r);
}

int64_t ratio_times(int32_t ratio, int64_t counted)
{
    return (counted * ratio + RATIO_ONE / 2) / RATIO_ONE;
}

int64_t ratio_apply(const struct ratio *r, int64_t counted)
{
    int64_t tokens = counted > 0 ? ratio_times(r->slope, counted) + r->offset : 0;

    return tokens > 0 ? tokens : 0;
}
