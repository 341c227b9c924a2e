/*
 * crowd: thousands of connections at once, in a process of their own: the descriptors of one process are not enough for
 * them and a measurement besides.
 */
#ifndef BENCH_CROWD_H
#define BENCH_CROWD_H

#include <stdint.h>
#include <sys/types.h>

#include "text.h"

enum crowd_kind {
    CROWD_IDLE, /* connected, silent */
    CROWD_KEPT, /* connected, answered once, then silent */
    CROWD_DRIP, /* each sends a byte of an endless head a second; who is thrown out comes again */
    CROWD_BODY, /* the same with the body of a metered call */
    CROWD_SIP,  /* each asks for the dashboard and reads a byte of it a second */
    CROWD_CALL, /* each makes one call and reads its answer, a stream too, to the end */
};

struct crowd {
    pid_t pid;
    int fd; /* what the process has to tell */
};

struct crowd_end {
    int answered; /* 200, and whole */
    int failed;
    int64_t first_ns, last_ns; /* when the first and the last answer were complete; rig_now_ns */
};

/* Returns when all `n` are connected and have sent what they send (CROWD_KEPT: and were answered). Call i is rs->n's modulo; NULL unless CROWD_CALL. */
void crowd_start(struct crowd *c, int port, int n, enum crowd_kind kind, const struct requests *rs);

/* CROWD_CALL: waits until the last one is answered, and ends it. */
struct crowd_end crowd_wait_end(struct crowd *c);

void crowd_stop(struct crowd *c);

#endif
