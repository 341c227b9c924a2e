/*
 * errand: one program beside the players of tests/chaos that does what no letter can: it takes a lease and settles it, or forgets it,
 * and it listens to events for a while. Each step is a call in the background; errand_run looks whether it is over.
 */
#ifndef SOAK_ERRAND_H
#define SOAK_ERRAND_H

#include <stdbool.h>
#include <stdint.h>

#include "../sim/rng.h"

struct client_async;
struct fixture;

struct errand {
    enum { ERRAND_IDLE, ERRAND_RESERVES, ERRAND_SETTLES, ERRAND_LISTENS } state; /* readable */
    struct client_async *call; /* NULL: none under way */
    int64_t until_us;          /* of the next step; real time */
    char lease[64];            /* that it holds; "" : none */
    int64_t granted, settled, listened; /* readable: how often */
};

/* Goes on as far as it can; begins something new only when `go_on`. */
void errand_run(struct errand *e, const struct fixture *f, struct rng *rng, bool go_on, int64_t now_us);

/* Leaves at once whatever it waits for. */
void errand_stop(struct errand *e);

#endif
