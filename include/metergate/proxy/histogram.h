/*
 * histogram: how many observations were at most so large, in fixed buckets, and what all of them are together. Everything
 * is in whole millionths (microseconds of time, millionths of a ratio), so sums are exact; they are written in units, as
 * Prometheus wants them. Counting looks at no more than the bounds of one scale and changes two numbers.
 */
#ifndef METERGATE_PROXY_HISTOGRAM_H
#define METERGATE_PROXY_HISTOGRAM_H

#include <stddef.h>
#include <stdint.h>

#include "metergate/base/buf.h"
#include "metergate/base/slice.h"

#define HISTOGRAM_BOUNDS_MAX 20

/* Where buckets end, rising, in millionths. A bound belongs to the bucket that it ends. */
struct histogram_scale {
    size_t n; /* at most HISTOGRAM_BOUNDS_MAX */
    int64_t bound[HISTOGRAM_BOUNDS_MAX];
};

extern const struct histogram_scale histogram_waits;    /* a millisecond to a day: who did not wait is in the first */
extern const struct histogram_scale histogram_answers;  /* 5 ms to an hour: of a provider */
extern const struct histogram_scale histogram_calls;    /* 10 ms to a day: answers and waits together */
extern const struct histogram_scale histogram_errors;   /* a thousandth to five times */

/* Zeroed: empty. Always counted and written by the same scale. */
struct histogram {
    int64_t count[HISTOGRAM_BOUNDS_MAX + 1]; /* in each bucket alone; [scale->n]: beyond the last bound */
    int64_t sum;                             /* stays at INT64_MAX when it would pass it */
};

/* One observation more; below 0 counts as 0. */
void histogram_add(struct histogram *h, const struct histogram_scale *scale, int64_t millionths);

/* All observations. */
int64_t histogram_total(const struct histogram *h, const struct histogram_scale *scale);

/*
 * Its lines in Prometheus' text format: NAME_bucket for each bound, cumulative, and "+Inf"; NAME_sum; NAME_count. `labels`
 * are those of the series, as they stand between the braces, without le; empty: none.
 */
void histogram_write(const struct histogram *h, const struct histogram_scale *scale, const char *name, struct slice labels,
                     struct buf *out);

#endif
