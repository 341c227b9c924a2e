/*
 * profile: how a provider charges a call against its limits, and when.
 *
 *   profile   on arrival                              at the end   the provider's own lower estimate (floor)
 *   actual    input                                   output       input
 *   openai    max(input + expected output,            -            max(characters / 4,
 *                 characters / 4,                                      max output x choices)
 *                 max output x choices)
 *   anthropic input, without what was read      output, as it    input
 *             from a cache                      is produced
 *   azure     input + max(expected output,      -                max output x choices
 *                 max output x choices)
 *   groq      as azure; once it is known what   -                max output x choices
 *             was read from a cache, without that
 *   gemini    input                             - (a limit on    input
 *                                               output: output)
 *
 * openai: "Your rate limit is calculated as the maximum of max_tokens and the estimated number of tokens
 * based on the character count of your request" (OpenAI, rate limits guide, read 2026-10-08); that the
 * divisor is 4 and that choices multiply is folklore confirmed by users. Adding the counted input is our
 * caution: whether OpenAI takes the maximum or the sum is not published.
 *
 * anthropic: ITPM counts input_tokens and cache_creation_input_tokens; OTPM is "evaluated in real time as
 * output tokens are produced, counting only the actual tokens generated", max_tokens does not matter
 * (Anthropic, rate limits, autumn 2026). What will come from a cache is not known before, so all input is
 * reserved.
 *
 * azure: "prompt text and count, the max_tokens setting, the best_of setting", added when the request arrives
 * (Microsoft, Azure OpenAI quota, 2026).
 *
 * groq: "cached tokens do not count" (Groq, rate limits, 2026). The rest is what its refusals show: a short
 * prompt with a large max_tokens is 413 "Request too large ... Limit 8000, Requested 32979", so the prompt
 * and the bound are taken on arrival (zeeyado/koassistant.koplugin issue 106, maplibre/maplibre-agent-skills
 * pull request 63, 2026). What will come from a cache is not known before, so all input is reserved. That the
 * difference to what was used is given back when the answer ends is not published.
 *
 * gemini: TPM is of input tokens (Google, rate limits, 2026).
 */
#ifndef METERGATE_GATE_PROFILE_H
#define METERGATE_GATE_PROFILE_H

#include <stdbool.h>
#include <stdint.h>

/* What a limit counts. */
enum metric {
    METRIC_REQUESTS,
    METRIC_TOKENS, /* input plus output */
    METRIC_INPUT,
    METRIC_OUTPUT,
    METRIC_CONCURRENT, /* calls in flight */
    METRICS
};

enum profile {
    PROFILE_ACTUAL,
    PROFILE_OPENAI,
    PROFILE_ANTHROPIC,
    PROFILE_AZURE,
    PROFILE_GEMINI,
    PROFILE_GROQ
};

/* Whether output is charged while it is produced (gate_produced). */
bool profile_charges_as_produced(enum profile p);

/* What is known of a call before it is sent. Tokens, all >= 0. */
struct estimate {
    int64_t input;           /* counted */
    int64_t expected_output; /* all choices together */
    int64_t characters;      /* of the text of the messages */
    int64_t max_output;      /* the client's bound for one choice; 0: none given */
    int64_t choices;         /* >= 1 */
    bool exact;              /* input is exact */
};

/*
 * As which kind of call the provider says that it served it: it bills them differently. Priority is all that is faster
 * for more (OpenAI's fast mode, Anthropic's as well); other is one whose factor nobody here knows.
 */
enum usage_tier { TIER_STANDARD, TIER_FLEX, TIER_BATCH, TIER_PRIORITY, TIER_OTHER, USAGE_TIERS };

/* What the provider reported (or what we make of an answer that did not report). */
struct usage {
    int64_t input;          /* all of it, cached included */
    int64_t cached;         /* of input: read from a cache */
    int64_t cache_write;    /* of input: written to a cache, for however long */
    int64_t cache_write_1h; /* of cache_write: to be kept for an hour or more */
    int64_t output;         /* all of it, reasoning included */
    int64_t reasoning;      /* of output */
    enum usage_tier tier;
};

/*
 * What one attempt takes of each metric. Amounts are >= 0 and at most PROFILE_AMOUNT_MAX. Whatever else it
 * costs, an attempt is one request on arrival, and one call in flight.
 */
struct cost {
    int64_t on_arrival[METRICS];
    int64_t at_end[METRICS];
    int64_t floor[METRICS]; /* the least that the provider itself will charge on arrival */
    bool in_full[METRICS];  /* the profile charges all of it on arrival, whatever the amounts */
    int64_t kept; /* of what it took: the tokens that the provider charged on arrival by its own rule, and may
                     go on counting though less was used */
    int64_t input; /* the counted input, for the sentence of a refusal */
    bool exact;    /* the count behind it is exact */
};

/* No sum of a million charges of this size overflows. */
#define PROFILE_AMOUNT_MAX (INT64_C(1) << 40)

/* What to reserve for an attempt. */
struct cost profile_reserve(enum profile p, const struct estimate *e);

/* What it really took. */
struct cost profile_settle(enum profile p, const struct estimate *e, const struct usage *u);

/* A 429 or a refused connection: one request and no tokens. */
struct cost profile_refused(enum profile p);

/* on_arrival + at_end of one metric. */
int64_t cost_total(const struct cost *c, enum metric m);

#endif
