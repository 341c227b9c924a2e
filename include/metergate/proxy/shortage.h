/*
 * shortage: what the daemon does while memory is short (base/spare.h): calls that are there go on; new ones are refused with
 * 429 queue-full, idle connections are closed and few new ones accepted, until what was kept back is there again.
 */
#ifndef METERGATE_PROXY_SHORTAGE_H
#define METERGATE_PROXY_SHORTAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "metergate/net/loop.h"

struct proxy;

/* Zeroed: memory is not short. */
struct shortage {
    bool on;                 /* readable */
    struct loop_timer timer; /* private */
    int64_t said_us;         /* private */
};

/* Keeps the spare back, and watches from now on whether it is there. */
void shortage_watch(struct proxy *p);

void shortage_stop(struct proxy *p);

#endif
