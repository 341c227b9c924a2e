/*
 * verdict: what a provider's answer of status >= 400 says about trying again: whether it may help, when, and
 * for whom.
 *
 * The body handed in may be cut off (a few KiB are enough); everything in it is the peer's word, so every
 * wait is bounded by VERDICT_WAIT_MAX_US and nothing in it can make us wait for ever.
 */
#ifndef METERGATE_DIALECT_VERDICT_H
#define METERGATE_DIALECT_VERDICT_H

#include <stdbool.h>
#include <stdint.h>

#include "metergate/base/err.h"
#include "metergate/base/slice.h"

#define VERDICT_WAIT_MAX_US (INT64_C(24) * 3600 * 1000000)

/* Who has to wait. */
enum verdict_scope {
    VERDICT_REQUEST, /* this call alone: it is too large, or wrong */
    VERDICT_MODEL,   /* every call of its budget */
    VERDICT_ACCOUNT, /* every call to this upstream with this credential */
};

/* An answer as it came; all borrowed. */
struct provider_answer {
    int status;
    /* The value of the header of that name (case does not matter), or an empty slice. */
    struct slice (*header)(void *arg, const char *name);
    void *arg;
    struct slice body; /* the first bytes of it; empty is fine */
    int64_t wall_us;   /* clock_wall_us: for Retry-After dates and reset times of day */
};

struct verdict {
    bool retry_may_help;
    enum verdict_scope scope;
    const char *reason; /* static, for the log: "rate limit", "quota", "too large", "overloaded", ... */

    bool wait_known; /* wait_us was named by the provider; else it is 0 and the caller backs off */
    int64_t wait_us; /* from now, 0..VERDICT_WAIT_MAX_US */

    bool add_should_retry_false; /* send x-should-retry: false; the SDK would retry what cannot succeed */
    bool refuses_usage_option;   /* 400 or 422 about stream_options: if we put it there, send without it */

    bool limit_known; /* the sentence named the limit, as "Limit 30000, Used 29937, Requested 385" does */
    int64_t limit, used, requested; /* -1 where not named */
};

/* Tells whether, and when, trying again may help after an answer of status >= 400, of whatever provider. */
void verdict_judge(const struct provider_answer *a, struct verdict *ret);

/*
 * The wait that the headers name: retry-after-ms, else Retry-After (seconds, fractions, or an HTTP date; a
 * date in the past is 0). -ENOENT when neither is there or readable.
 */
int verdict_retry_after_us(const struct provider_answer *a, int64_t *ret) MG_MUSTCHECK;

/*
 * The wait in "try again in 9.816s", "... 644ms", "... 6m0s", "retry after 20 seconds" (all in this file are
 * bounded). -ENOENT.
 */
int verdict_sentence_wait_us(struct slice message, int64_t *ret) MG_MUSTCHECK;

/*
 * The wait that a "reset" header names, in whatever form: a duration (`6m0s`, `9ms`), seconds, an epoch in
 * seconds or milliseconds, RFC 3339 with a zone. -ENOENT.
 */
int verdict_reset_us(const struct provider_answer *a, const char *header, int64_t *ret) MG_MUSTCHECK;

/* Whether `phrase` (lower case) stands in the message, whatever its case there. */
bool verdict_says(struct slice message, const char *phrase);

/* What follows the first `phrase` (lower case) in the text, whatever its case there; empty, with p NULL, when it
 * is not there. */
struct slice verdict_after(struct slice text, const char *phrase);

/*
 * The whole number that s begins with, thousands with commas between them allowed: "30,000 input tokens". *s is
 * then what follows. -EINVAL when there is none (or "20s", or "1.5"), -ERANGE.
 */
int verdict_take_number(struct slice *s, int64_t *ret) MG_MUSTCHECK;

/* The number behind a phrase (lower case): 29937 behind ", used " in "Limit 30000, Used 29937". -1: none. */
int64_t verdict_sentence_number(struct slice message, const char *name);

#endif
