/*
 * limits: the limits of one payer at the provider, those of a model or of a pool of models, and what was
 * counted against them. Pure; the caller holds the lock and gives the time.
 *
 * A request counts against rpm and rpd, a token against tpm and tpd, and by its kind against itpm or otpm.
 * A "day" is as long as day_ms says; as everywhere here it is a span that moves with the time, or a bucket,
 * not a date.
 */
#ifndef SIMULATOR_LIMITS_H
#define SIMULATOR_LIMITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "limiter.h"

enum metric {
    METRIC_REQUESTS,
    METRIC_TOKENS, /* input and output */
    METRIC_INPUT,
    METRIC_OUTPUT,
    METRIC_DAY_REQUESTS,
    METRIC_DAY_TOKENS,
    METRICS
};

/* The first so many metrics are also remembered for the audit. */
#define LIMITS_COUNTED (METRIC_OUTPUT + 1)

/* Plain data. */
struct limits_config {
    int64_t max[METRICS]; /* 0: no limit */
    int64_t concurrent;   /* calls in flight; 0: no limit */
    int64_t window_ms;    /* the "minute" */
    int64_t day_ms;       /* the "day" */
    enum limiter_kind limiter;
    int64_t rpm_slice_ms; /* rpm is looked at in slices of so long, each its part of it (Azure); 0: not */
};

struct limits {
    struct limits_config config;            /* readable; change through limits_configure */
    struct limiter v[METRICS];              /* private: those whose max is not 0 */
    struct charges counted[LIMITS_COUNTED]; /* readable: all since the last reset, whatever is limited */
    int64_t in_flight;                      /* readable: between limits_enter and limits_leave */
};

struct verdict {
    enum {
        VERDICT_ADMITTED,
        VERDICT_TOO_LARGE, /* over max by itself */
        VERDICT_LIMITED,
        VERDICT_BUSY /* too many in flight: nobody knows for how long */
    } kind;
    enum metric metric; /* which limit, when TOO_LARGE or LIMITED */
    int64_t max, used, requested;
    int64_t span_ms;  /* TOO_LARGE, LIMITED: that max is for */
    int64_t wait_us;  /* LIMITED: until it fits if nothing else comes */
    const char *pool; /* whose limit it is, when it is not the model's own; borrowed */
};

/* Where the charges of one call are, to correct them. */
struct limits_claim {
    struct charge_ref counted[LIMITS_COUNTED];
    struct charge_ref limit[METRICS];
};

/* How full one limit is. */
struct standing {
    int64_t max, left; /* left: not below 0 */
    int64_t reset_us;  /* until it is full again */
};

void limits_init(struct limits *l, const struct limits_config *config);
void limits_release(struct limits *l);

/* New limits start empty; those that did not change keep what they hold. */
void limits_configure(struct limits *l, const struct limits_config *config);

/* Forgets all that was charged; who is in flight stays so. */
void limits_reset(struct limits *l);

/*
 * The first limit that says no; what can never fit comes before what could wait. The wait is the one that
 * OpenAI's messages tell: from a bucket's use in whole tokens, (used + requested - max) * span / max, which
 * is never too short.
 */
struct verdict limits_judge(struct limits *l, const int64_t amount[METRICS], int64_t now_us);

/* Charges it all, whether it fits or not; `ret` may be NULL. */
void limits_charge(struct limits *l, const int64_t amount[METRICS], int64_t now_us, struct limits_claim *ret);

/* One request; with `charge` false it is seen, but does not count against any limit. */
void limits_request(struct limits *l, bool charge, int64_t now_us);

/* Corrects the tokens of a claim, in the windows of minute and day, at their old time. */
void limits_adjust_tokens(struct limits *l, const struct limits_claim *claim, int64_t delta, int64_t now_us);

/* An admitted call begins; it has ended. */
void limits_enter(struct limits *l);
void limits_leave(struct limits *l);

/* False when nothing limits it. */
bool limits_standing(struct limits *l, enum metric metric, int64_t now_us, struct standing *ret);

/* "tokens per min (TPM)"; "tokens". */
const char *metric_title(enum metric metric);
const char *metric_type(enum metric metric);

/* Whether it counts requests; whether it counts by the day. */
bool metric_is_requests(enum metric metric);
bool metric_is_daily(enum metric metric);

#endif
