/*
 * model: one model of one organization at the provider: who is admitted, what is charged and when. Pure;
 * the caller holds the lock and gives the time.
 *
 * Charging
 *   actual   input when the request arrives, output when the answer ends, or as it is produced (Anthropic's
 *            streams)
 *   groq     the same, without the part of the input that came from a cache
 *   openai   when the request arrives: max(characters / 4, max_tokens * n), as OpenAI documents it; with
 *            `refund` it becomes what was really used when the answer ends, at the same time
 *   azure    when the request arrives: input + max_tokens * n; with `refund` as above
 *   gemini   input when the request arrives, and nothing else
 *
 * A call that is refused for its tokens, or because too many are in flight, has still used one request.
 *
 * A model may share a pool with others: what it charges is charged to the pool's limits too, and both must
 * agree.
 *
 * Foreign use: somebody else uses the same key without asking anybody, so many tokens every so often. It is
 * charged when the model is looked at, at the moments when it took place: no thread has to wake up for it.
 */
#ifndef SIMULATOR_MODEL_H
#define SIMULATOR_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "limits.h"
#include "tariff.h"

enum charging { CHARGING_ACTUAL, CHARGING_OPENAI, CHARGING_AZURE, CHARGING_GEMINI, CHARGING_GROQ };

/* Which headers tell of the limits. */
enum family {
    FAMILY_AUTO, /* those of the provider whose language the call speaks */
    FAMILY_OPENAI,
    FAMILY_ANTHROPIC,
    FAMILY_GROQ, /* and its words for refusals */
    FAMILY_AZURE,
    FAMILY_VENICE,
    FAMILY_NONE,
    FAMILY_GEMINI
};

/* How much a refusal tells. */
enum wording {
    WORDING_OWN,   /* what the provider says */
    WORDING_PLAIN, /* "Maximum 5 requests within 1 minutes", and no headers about waiting */
    WORDING_BARE   /* that there is a limit */
};

/* A second consumer: a call of so much, every so often, so many times. */
struct foreign {
    int64_t tokens;   /* all of it; 0: there is none */
    int64_t output;   /* of those */
    int64_t requests; /* 0: it costs tokens alone */
    int64_t every_ms; /* at least 1 */
    int64_t times;    /* 0: no end */
};

/* What a model is configured with: plain data. */
struct model_config {
    struct limits_config limits;
    enum charging charging;
    enum family headers;
    enum wording refusal_style;
    struct foreign foreign;
    bool refund;
    int64_t first_byte_ms;
    int64_t event_ms;
    int64_t tokenizer_percent; /* its own tokenizer makes so much of what ours counts; 0: the same */
    int64_t noise_percent;     /* and up to so much more or less, by the text */
    int64_t out;               /* tokens of an answer whose request does not say; 0: max_tokens, else 16 */
    struct tariff tariff;      /* without any rate: that of the name */
};

#define MODEL_NAME_MAX 128
#define MODEL_NEVER    INT64_MAX

/* Limits that models share. */
struct pool {
    struct pool *next; /* for the owner */
    char name[MODEL_NAME_MAX];
    char organization[32];
    bool of_key;          /* the organization is that of one key alone */
    struct limits limits; /* readable */
};

struct model {
    char name[MODEL_NAME_MAX];
    struct model_config config; /* readable; change through model_configure */
    struct limits limits;       /* readable: its own */
    struct pool *pool;          /* borrowed, may be NULL; the owner may change it at any time */
    int64_t refused;            /* readable: refusals by the limits, of calls that arrived */
    int64_t foreign_tokens;     /* readable: of what was counted, somebody else's */
    int64_t foreign_us;         /* readable: when foreign use comes next; MODEL_NEVER */
    int64_t foreign_left; /* private: how often it still comes; negative: no end, 0: not begun, or over */
    bool foreign_over;    /* private: it came as often as it should */
    int64_t heads;        /* for the printer of headers */
};

/* What a call asks for on arrival. */
struct demand {
    int64_t input;      /* exact tokens of the prompt */
    int64_t cached;     /* of those: from a cache */
    int64_t chars;      /* characters of the prompt */
    int64_t max_output; /* max_tokens * n; 0: not given */
};

/* What an admitted call holds, to be settled. */
struct claim {
    struct limits_claim own, shared;
    struct pool *pool;        /* the one that was charged */
    int64_t charged[METRICS]; /* on arrival */
    int64_t produced;         /* of the output: charged already */
};

struct model *model_new(const char *name, const struct model_config *config);
void model_free(struct model *m);

/*
 * New limits start empty; those that did not change keep what they hold. Foreign use that changed has to
 * start again.
 */
void model_configure(struct model *m, const struct model_config *config);

/* Forgets all that was charged; foreign use has to start again. */
void model_reset(struct model *m);

/*
 * One request, whatever becomes of it. Fills `ret_claim` when it is admitted; then model_finish is due
 * once.
 */
struct verdict model_arrive(struct model *m, const struct demand *demand, int64_t now_us,
                            struct claim *ret_claim);

/* A request that fails before any limit is looked at. */
void model_count_request(struct model *m, int64_t now_us);

/*
 * So much output was produced so far: it is charged now, where output is charged at all (Anthropic's OTPM).
 */
void model_produce(struct model *m, struct claim *claim, int64_t output, int64_t now_us);

/* The answer has ended with so many tokens. */
void model_finish(struct model *m, const struct claim *claim, int64_t input, int64_t output, int64_t now_us);

/* Use by somebody else, now. */
void model_charge_foreign(struct model *m, int64_t tokens, int64_t output, int64_t requests, int64_t now_us);

/*
 * The configured foreign use begins, with its first call at `now_us`; nothing happens when it has begun
 * already.
 */
void model_start_foreign(struct model *m, int64_t now_us);

/* Charges the foreign call that comes next, at foreign_us. */
void model_step_foreign(struct model *m);

/*
 * Charges all of it up to now. What shares a pool must be stepped in the order of time: that is the owner's
 * to do.
 */
void model_look(struct model *m, int64_t now_us);

/* How full a limit is: the fuller one of its own and its pool's. False when there is neither. */
bool model_standing(struct model *m, enum metric metric, int64_t now_us, struct standing *ret);

#endif
