/*
 * model: one model's limits at the provider: who is admitted, what is charged and when. Pure; the caller holds the lock
 * and gives the time.
 *
 * Charging
 *   actual   input when the request arrives, output when the answer ends
 *   openai   when the request arrives: max(characters / 4, max_tokens * n), as OpenAI documents it; with `refund` it
 *            becomes what was really used when the answer ends, at the same time
 *   azure    when the request arrives: input + max_tokens * n; with `refund` as above
 *   gemini   input when the request arrives, and nothing else
 * A call that is refused for its tokens has still used one request.
 */
#ifndef SIMULATOR_MODEL_H
#define SIMULATOR_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "limiter.h"

struct buf;

enum metric {
    METRIC_REQUESTS,
    METRIC_TOKENS, /* input and output */
    METRIC_INPUT,
    METRIC_OUTPUT,
    METRICS
};

enum charging {
    CHARGING_ACTUAL,
    CHARGING_OPENAI,
    CHARGING_AZURE,
    CHARGING_GEMINI
};

/* What a model is configured with: plain data. */
struct model_config {
    int64_t max[METRICS]; /* 0: no limit */
    int64_t window_ms;
    enum limiter_kind limiter;
    enum charging charging;
    bool refund;
    int64_t first_byte_ms;
    int64_t event_ms;
    int64_t rpm_slice_ms; /* requests are limited in slices of so long, each its part of the limit (Azure); 0: no */
    int64_t tokenizer_percent; /* its own tokenizer makes so much of what ours counts; 0: the same */
    int64_t noise_percent;     /* and up to so much more or less, by the text */
    int64_t out; /* tokens of an answer whose request does not say; 0: max_tokens, else 16 */
};

#define MODEL_NAME_MAX 128

struct model {
    struct model *next; /* for the owner */
    char name[MODEL_NAME_MAX];
    struct model_config config;      /* readable; change through model_configure */
    struct limiter limits[METRICS];  /* private: those whose max is not 0 */
    struct charges requests, tokens; /* readable: everything that was ever counted, for the audit */
    int64_t refused;                 /* readable: 429s by the limits */
};

/* What a call asks for on arrival. */
struct demand {
    int64_t input;      /* exact tokens of the prompt */
    int64_t chars;      /* characters of the prompt */
    int64_t max_output; /* max_tokens * n; 0: not given */
};

struct verdict {
    enum {
        VERDICT_ADMITTED,
        VERDICT_TOO_LARGE, /* over max by itself */
        VERDICT_LIMITED
    } kind;
    enum metric metric; /* which limit, when not admitted */
    int64_t max, used, requested;
    int64_t wait_us; /* LIMITED: until it fits if nothing else comes */
};

/* What an admitted call holds, to be settled. */
struct claim {
    struct charge_ref refs[METRICS];
    struct charge_ref tokens; /* in the audit */
    int64_t charged[METRICS]; /* on arrival */
    struct demand demand;
    int64_t produced; /* of the output: charged already */
};

struct model *model_new(const char *name, const struct model_config *config);
void model_free(struct model *m);

/* New limits start empty; those that did not change keep what they hold. */
void model_configure(struct model *m, const struct model_config *config);

/* Forgets all that was charged. */
void model_reset(struct model *m);

/* One request, whatever becomes of it. Fills `ret_claim` when it is admitted. */
struct verdict model_arrive(struct model *m, const struct demand *demand, int64_t now_us, struct claim *ret_claim);

/* A request that fails before any limit is looked at. */
void model_count_request(struct model *m, int64_t now_us);

/* So much output was produced so far: it is charged now, where output is charged at all (Anthropic's OTPM). */
void model_produce(struct model *m, struct claim *claim, int64_t output, int64_t now_us);

/* The answer has ended with so many tokens. */
void model_finish(struct model *m, const struct claim *claim, int64_t input, int64_t output, int64_t now_us);

/* Use by somebody else. */
void model_charge(struct model *m, int64_t tokens, int64_t now_us);

/* The header lines about the limits as they are now: OpenAI's x-ratelimit-*, what Azure sends of them, Anthropic's. */
void model_print_headers(struct model *m, struct buf *out, int64_t now_us);
void model_print_azure_headers(struct model *m, struct buf *out, int64_t now_us);
void model_print_anthropic_headers(struct model *m, struct buf *out, int64_t now_us, int64_t wall_us);

/* "tokens per min (TPM)"; "tokens". */
const char *metric_title(enum metric metric);
const char *metric_type(enum metric metric);

#endif
