/*
 * limits: what a provider has said of the limits of one budget, and the limits that the budget has by it. Pure, but for
 * being kept in a file by learned.h.
 *
 * What is known of a limit is as good as where it comes from:
 *
 *   header    the provider's own number, told with every answer: taken as it is, up and down
 *   sentence  a number in the words of a refusal (Google, gateways): it is told only when we are refused
 *   guess     a refusal without a number: LIMITS_GUESS_PERMILLE of what the window held, if that was worth the name
 *
 * The last two may be too tight, or become so, and nobody would say it. So a limit of theirs that has kept calls back
 * for LIMITS_PROBE_SPANS windows without a refusal is raised by a tenth. A header's number takes the place of either.
 *
 * Without `learn` a number only ever lowers a limit: what the operator wrote is never passed. With `learn` it takes the
 * place of the operator's, and limits that he did not write appear.
 *
 * With `learn`, until a provider's number is known, calls in flight are few: a first burst would be answered by as many
 * refusals. LIMITS_FIRST_CALLS, and one more for every answer that is none, which doubles them each time all have
 * answered; at LIMITS_LAST_CALLS the provider is taken to have no numbers to tell.
 *
 * Numbers that are kept are LIMITS_OLD_S old at the most. Older ones hold, too, but a start with them is as careful as
 * without.
 */
#ifndef METERGATE_PROXY_LIMITS_H
#define METERGATE_PROXY_LIMITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "metergate/base/json.h"
#include "metergate/dialect/report.h"
#include "metergate/gate/budget.h"

#define LIMITS_MAX            INT64_C(1000000000000) /* a provider's number above it is none */
#define LIMITS_FIRST_CALLS    4
#define LIMITS_LAST_CALLS     1000
#define LIMITS_GUESS_PERMILLE 950
#define LIMITS_GUESS_REQUESTS 10 /* a refusal of fewer in a window teaches nothing by itself */
#define LIMITS_PROBE_SPANS    5
#define LIMITS_OLD_S          (INT64_C(30) * 86400)

/* The max of a limit that is there to remember what was used, and holds nobody: nothing is known of it yet. */
#define LIMITS_UNKNOWN (INT64_C(1) << 50)

/* The key of the limit on calls in flight while nothing is known. */
#define LIMITS_LEARNING "learning"

enum limit_source { LIMIT_UNSAID, LIMIT_BY_GUESS, LIMIT_BY_SENTENCE, LIMIT_BY_HEADER, LIMIT_SOURCES };

struct known_limit {
    int64_t max, span_us;
    enum limit_source source;
    int64_t said_s; /* wall clock: when it was last said */

    /* not kept */
    bool is_old;           /* it was, when it was read */
    int64_t inferred_max;  /* a number that was said with a span that only follows from it, */
    int inferred_times;    /* so many times one after the other */
    int64_t full_since_us; /* its window was nearly full then, and never for a span not so since; 0: it is not */
    int64_t full_us;       /* when it was last seen so */
    int64_t guessed_us;    /* when it was last guessed */
};

enum { LIMITS_KINDS = 2 }; /* of a minute or so, of a day or so */

/* Zeroed: nothing is known. */
struct limits {
    struct known_limit known[METRIC_CONCURRENT][LIMITS_KINDS];
    int64_t calls;    /* that may be in flight while nothing is known; 0: as at the start */
    bool calls_ended; /* any number may be */
};

/* What the operator gave the budget. */
struct given_limits {
    const struct limit *v;
    size_t n;
    bool learn;
};

/* The budget's limits by both. */
struct worked_out {
    size_t n;
    struct limit v[BUDGET_LIMITS_MAX];
    bool learned[BUDGET_LIMITS_MAX], unsure[BUDGET_LIMITS_MAX]; /* as in struct budget_limit */
};

/* `l` NULL: those given. */
void limits_work_out(const struct limits *l, const struct given_limits *given, struct worked_out *ret);

/* One answer. */
struct limits_answer {
    const struct report *report;
    bool refused;            /* a 429 of this model's limits: it may be guessed what they are */
    bool fine;               /* a status below 400 */
    const struct cost *cost; /* of the call, as it was reserved */
    int64_t now_us, wall_s;
};

/*
 * What an answer to a call of that budget teaches (advance its windows first): LIMITS_TO_KEEP when it is worth keeping,
 * LIMITS_TO_WORK_OUT when the budget's limits are others now, LIMITS_CALLS when only `calls` is another number.
 */
enum { LIMITS_TO_KEEP = 1, LIMITS_TO_WORK_OUT = 2, LIMITS_CALLS = 4 };
unsigned limits_learn(struct limits *l, const struct given_limits *given, const struct budget *b,
                      const struct limits_answer *a);

/* Whether calls in flight are limited because nothing is known: to limits_calls. */
bool limits_are_awaited(const struct limits *l);
int64_t limits_calls(const struct limits *l);

/* As JSON: a list. Reading leaves out what is absurd. */
bool limits_are_empty(const struct limits *l);
void limits_write(const struct limits *l, struct json_writer *w);
void limits_read(struct limits *l, const struct json *list, int64_t wall_s);

#endif
