/*
 * hour: figures of the last hour, in steps of a minute or of five. Pure: the time is passed in.
 *
 *      step:   k-59  k-58   ...    k-1    k        k = now / step, the one that runs
 *            +------+------+-----+------+------+
 *            |      |      |     |      | now  |
 *            +------+------+-----+------+------+
 *
 * What is older than the first step is gone. So a sum is of an hour less what is still to come of the step that runs.
 */
#ifndef METERGATE_PROXY_HOUR_H
#define METERGATE_PROXY_HOUR_H

#include <stdint.h>

#include "metergate/base/clock.h"

#define HOUR_MINUTE_US (60 * CLOCK_S)
#define HOUR_FIVE_US   (300 * CLOCK_S)
#define HOUR_MINUTES   60

/* What happened in one step, or in all of them. */
struct hour_figures {
    int64_t calls;     /* that ended */
    int64_t tokens;    /* of them, in plus out */
    int64_t cost_nano; /* of those that have a price */
    int64_t unpriced;  /* that have none */
    int64_t waited_us; /* of all together */
    int64_t longest_us; /* of one */
    int64_t refused;   /* by Metergate, of the calls */
    int64_t upstream_429; /* at the moment of the answer; */
    int64_t retries;      /* at the moment of the attempt */
};

struct hour;

/* step_us is a whole part of an hour. Never NULL. */
struct hour *hour_new(int64_t step_us);
void hour_free(struct hour *h); /* NULL is fine */

/* So much more, at now_us; a time before the last one counts as that one. */
void hour_add(struct hour *h, int64_t now_us, const struct hour_figures *f);

/* All of the last hour. NULL: nothing happened. */
void hour_sum(const struct hour *h, int64_t now_us, struct hour_figures *ret);

/* How many steps it has, and what happened in step i of them: 0 is the oldest, the last one runs. Borrowed. */
int hour_steps(const struct hour *h);
const struct hour_figures *hour_step(const struct hour *h, int64_t now_us, int i);

/* When the step that runs is over. */
int64_t hour_step_ends_us(int64_t step_us, int64_t now_us);

#endif
