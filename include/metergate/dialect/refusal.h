/*
 * refusal: Metergate's own errors. The reasons, their status and the sentence are the same for every dialect;
 * the dialect wraps the sentence in the shape that its SDKs read (struct dialect, refuse).
 *
 * The caller sends: the status, `Content-Type: application/json`, `Metergate-Refused: REASON`, and where
 * refusal_retry says so `Retry-After`, `retry-after-ms` and `x-should-retry`.
 */
#ifndef METERGATE_DIALECT_REFUSAL_H
#define METERGATE_DIALECT_REFUSAL_H

#include <stdbool.h>
#include <stdint.h>

#include "metergate/base/buf.h"
#include "metergate/base/slice.h"

enum refusal_reason {
    REFUSAL_BAD_REQUEST,
    REFUSAL_TOKEN,
    REFUSAL_ORIGIN,
    REFUSAL_USER,
    REFUSAL_NO_ROUTE,
    REFUSAL_NOT_A_TUNNEL,
    REFUSAL_TOO_LARGE,
    REFUSAL_UPGRADE,
    REFUSAL_MAX_WAIT,
    REFUSAL_QUEUE_FULL,
    REFUSAL_BUDGET_USD,
    REFUSAL_UPSTREAM_CONNECT,
    REFUSAL_UPSTREAM_PROTOCOL,
    REFUSAL_DRAINING,
    REFUSAL_UPSTREAM_TIMEOUT,
    REFUSAL_REASONS, /* how many */
};

/* All text is borrowed. A zeroed field is left out of the sentence. */
struct refusal {
    enum refusal_reason reason;
    struct slice
        detail; /* one sentence of the caller's own; without it the reason's standard sentence is used */
    struct slice model;  /* the model as the client wrote it */
    struct slice budget; /* the entry of the configuration whose limit it is: "gpt-4o" */
    struct slice client; /* whose own limit it is; empty: it is the budget's */
    const char *metric;  /* the limit's key: "tpm", "rpm", "itpm", "usd_per_day", ... */
    int64_t limit;       /* too-large: the limit's maximum */
    int64_t requested;   /* too-large: what this call would charge */
    int64_t wait_us;     /* max-wait, queue-full: the predicted wait */

    /* budget-usd, in nano-dollars; max_nano or `unpriced`, and `metric`, make its long sentence */
    int64_t max_nano;                  /* the limit's maximum, > 0 */
    int64_t spent_nano, reserved_nano; /* what the limit holds now */
    int64_t wanted_nano;               /* what this call would probably cost */
    int64_t frees_us; /* in how long there is room if nothing else is spent; CLOCK_NEVER: when calls under way end for
                         less, or never (wanted_nano > max_nano) */
    int64_t wall_us;  /* what time it is, since the epoch; 0: no time of day is told */
    bool unpriced;    /* the model's price is not known, and the limit needs it; of the amounts none is read */

    int status;          /* a more precise status than the reason's own (414, 431, ...); 0: that one */
    const char *request_id; /* Metergate-Request-Id; NULL: none. Part of Anthropic's shape. */
};

/* HTTP status, and the REASON of the `Metergate-Refused` header. */
int refusal_status(const struct refusal *r);
const char *refusal_name(enum refusal_reason reason);

/* What to tell a client about trying again. */
struct refusal_retry {
    bool retry_after;      /* send Retry-After and retry-after-ms with the figures below */
    int64_t retry_after_s; /* rounded up, at least 1 */
    int64_t retry_after_ms;
    const char *should_retry; /* "true", "false", or NULL: send no x-should-retry */
};
struct refusal_retry refusal_retry(const struct refusal *r);

/*
 * Appends the sentence: what happened, the figures, what to change. Shaped like OpenAI's own where it has one
 * ("Request too large for gpt-4o on tokens per min (TPM): Limit 30000, Requested 40666. ...", "... Please try
 * again in 12.5s."), because clients search these for the wait.
 */
void refusal_sentence(const struct refusal *r, struct buf *out);

/*
 * Append the body in the shape of a provider whose calls only pass through: Anthropic's
 * {"type":"error","error":{type,message},"request_id"} and Google's {"error":{code,message,status}}.
 */
void refusal_as_anthropic(const struct refusal *r, struct buf *out);
void refusal_as_gemini(const struct refusal *r, struct buf *out);

#endif
