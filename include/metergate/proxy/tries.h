/*
 * tries: how often somebody has lately been wrong, so that guessing is slow. Somebody is a user of this machine, where he
 * can be seen, else an address; the latest few that were wrong are known, so that one who is wrong locks out nobody else. Pure.
 */
#ifndef METERGATE_PROXY_TRIES_H
#define METERGATE_PROXY_TRIES_H

#include <stdint.h>

#include "metergate/base/clock.h"
#include "metergate/base/slice.h"

#define TRIES_MAX     5 /* failures within TRIES_SPAN_US of the first of them */
#define TRIES_SPAN_US (60 * CLOCK_S)
#define TRIES_WHO_MAX 32

struct tries_of {
    char who[64];
    int failures; /* since: */
    int64_t since_us;
};

/* A zeroed one knows nobody. */
struct tries {
    struct tries_of v[TRIES_WHO_MAX]; /* private */
};

/* For how long `who` may not try; 0: he may now. */
int64_t tries_wait_us(const struct tries *t, struct slice who, int64_t now_us);

/* He tried and was wrong. */
void tries_failed(struct tries *t, struct slice who, int64_t now_us);

#endif
