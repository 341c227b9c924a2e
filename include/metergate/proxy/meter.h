/*
 * meter: what is counted since the start for /metrics, of each budget and of each upstream. It lives in what it is
 * about and ends with it. Every figure is counted where a call ends (tally.h) or an answer begins, by the same numbers
 * as the totals, the clients' figures and the ledger's rows; so sums over all of them agree.
 */
#ifndef METERGATE_PROXY_METER_H
#define METERGATE_PROXY_METER_H

#include <stdbool.h>
#include <stdint.h>

#include "metergate/gate/profile.h"
#include "metergate/proxy/call.h"
#include "metergate/proxy/histogram.h"

/* Each token is of one kind. */
enum token_kind {
    TOKENS_INPUT, /* neither read from nor written to a cache */
    TOKENS_CACHED,
    TOKENS_CACHE_WRITE,
    TOKENS_OUTPUT, /* no reasoning */
    TOKENS_REASONING,
    TOKEN_KINDS
};

/* Zeroed: nothing yet. */
struct budget_meter {
    struct histogram waits; /* of calls that have ended, in all their turns in the queue */
    int64_t vain_us;        /* of it: of calls that never went */
    int64_t ended[OUTCOMES];
    int64_t tokens[TOKEN_KINDS];
    int64_t cost_nano; /* as far as prices are known */
    int64_t unpriced;  /* calls that cost something nobody knows */
    /* metrics_budget.c: the most that it ever told of these; and when the call arrived that is held longest, 0 none */
    int64_t shown[TOKEN_KINDS], shown_nano, oldest_us;
};

enum { ANSWER_CLASSES = 5 }; /* 1xx to 5xx */

/* Zeroed: nothing yet. */
struct upstream_meter {
    struct histogram first_byte; /* of answers: since their attempt began */
    struct histogram calls;      /* of calls that were sent: from arrival to end */
    struct histogram errors;     /* of estimated input */
    int64_t answers[ANSWER_CLASSES];
};

/* "input", "cached", ... */
const char *token_kind_name(enum token_kind k);

/* The call is SETTLED, its cost known: from tally_end. */
void meter_end(const struct call *c);

/* An answer's head came to the attempt that is under way. */
void meter_answer(const struct call *c, int status);

/* The provider reported the input of a call of which as much as it can know of it was counted. */
void meter_estimate(const struct call *c, int64_t reported);

/* What a call used is known only now, after meter_end: that in place of `before`; PRICE_UNKNOWN where a cost is not known. */
void meter_correct(struct budget_meter *t, const struct usage *before, int64_t before_nano, const struct usage *u, int64_t nano);

#endif
