/*
 * report: what a provider's answer says of the limits that it counts by: its rate-limit headers, of every
 * family, and the sentences and details of a 429. Facts only: what follows from them is gate/ and proxy/'s
 * matter. docs/providers.md has the table of what is read.
 *
 * Everything here is the peer's word: numbers that are missing, negative, not whole, not numbers or above
 * PROFILE_AMOUNT_MAX are "not said". A limit that is there but is no number above 0 (Azure's -1, Mistral's 0)
 * makes all of its header's figures "not said": what remains of no limit is nothing that one could run out
 * of.
 *
 * One (metric, span) is told once. Where several headers speak of it (OpenAI's tokens, project-tokens and
 * tokens_usage_based), limit and remaining are the smallest that were said: whoever stays within them stays
 * within all. Where a 429's body speaks of it too, the body is believed.
 *
 * Anthropic's `anthropic-ratelimit-tokens-*` is the most restrictive limit in force, whichever that is.
 * Beside the headers of input and output it is told, as METRIC_TOKENS, only if its limit is neither of theirs
 * nor their sum: then it is the workspace's. Otherwise it repeats them, and taken for a limit of its own it
 * would hold input to the limit of output, or charge what was read from a cache.
 *
 * Google's tokens are input tokens, and told as METRIC_INPUT; a budget that counts by PROFILE_GEMINI may have
 * that limit under `tpm`.
 */
#ifndef METERGATE_DIALECT_REPORT_H
#define METERGATE_DIALECT_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "metergate/base/slice.h"
#include "metergate/dialect/verdict.h"
#include "metergate/gate/profile.h"

#define REPORT_LIMITS_MAX       8
#define REPORT_ORGANIZATION_MAX 128

/*
 * One limit as the provider sees it. Of one that is only `refused` the metric may be all that is known.
 *
 * An `inferred` span was not said: it follows from the figures if this is a bucket that refills steadily
 * (OpenAI's and Groq's are). By chance it may follow where it is none, so believe it when answers agree.
 */
struct report_limit {
    enum metric metric; /* never METRIC_CONCURRENT */
    int64_t span_us;    /* its window: a second, minute, hour or day, or what a sentence names; 0: not said */
    bool inferred;
    int64_t limit;     /* > 0; 0: not said */
    int64_t remaining; /* >= 0; -1: not said */
    int64_t rounding;  /* remaining may be so much more or less (Anthropic: 500) */
    int64_t reset_us;  /* until it is full again, at most VERDICT_WAIT_MAX_US; -1: not said */
    bool refused;      /* this is a limit that the 429 (or 413) is about */
};

/*
 * The organization is who pays, as the provider names it: printable ASCII, at most REPORT_ORGANIZATION_MAX
 * bytes, borrowed of the headers or of the body. One payer has other names in other places, so only names
 * from the same place may be compared.
 */
struct report {
    struct report_limit v[REPORT_LIMITS_MAX];
    size_t n;
    struct slice organization;     /* empty: not said */
    const char *organization_from; /* static: the header's name, or "sentence"; NULL: not said */
};

/* Reads headers (of any status) and, of a 429 (or Groq's 413), the body. Linear in their length. */
void report_read(const struct provider_answer *a, struct report *ret);

#endif
