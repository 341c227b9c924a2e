/*
 * report: what a provider's answer says of the limits that it counts by: its rate-limit headers, of every family, and
 * the sentences and details of a 429. Facts only: what follows from them is gate/ and proxy/'s matter.
 *
 * Everything here is the peer's word: numbers that are missing, negative, not numbers or absurd are "not said".
 */
#ifndef METERGATE_DIALECT_REPORT_H
#define METERGATE_DIALECT_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "metergate/base/slice.h"
#include "metergate/dialect/verdict.h"
#include "metergate/gate/profile.h"

#define REPORT_LIMITS_MAX 8

/* One limit as the provider sees it. */
struct report_limit {
    enum metric metric; /* never METRIC_CONCURRENT */
    int64_t span_us;    /* its window, where the answer says it or it follows from limit, remaining and reset; 0: not said */
    int64_t limit;      /* > 0; 0: not said */
    int64_t remaining;  /* >= 0; -1: not said */
    int64_t rounding;   /* remaining may be so much more or less (Anthropic: 500) */
    int64_t reset_us;   /* until it is full again; -1: not said */
    bool refused;       /* this is the limit that the 429 is about */
};

struct report {
    struct report_limit v[REPORT_LIMITS_MAX];
    size_t n;
    struct slice organization; /* who pays, as the provider names it; borrowed of the headers; empty: not said */
};

/* Reads headers (of any status) and, of a 429 (or Groq's 413), the body. */
void report_read(const struct provider_answer *a, struct report *ret);

#endif
