/*
 * worker: a few threads for what would stall the loop (counting a big body). A job is handed over whole: until `done`
 * is called in the loop's thread, the job and what it points to belong to the worker.
 *
 * Long jobs never have all threads: where there is more than one, one is left for the others, which so wait for each
 * other alone, whoever sends bodies that take seconds.
 */
#ifndef METERGATE_PROXY_WORKER_H
#define METERGATE_PROXY_WORKER_H

#include <stdbool.h>

#include "metergate/base/err.h"
#include "metergate/net/loop.h"

struct workers;

/* Text of this length, of the hardest kind, takes 50 ms to count. */
#define WORKER_LONG_BYTES ((size_t)1 << 20)

/* Embedded in what the job is about. */
struct worker_job {
    struct loop_post post;                /* private */
    struct worker_job *next;              /* private */
    void (*work)(struct worker_job *job); /* in a worker's thread */
    void (*done)(struct worker_job *job); /* in the loop's thread */
    bool long_one;                        /* may take more than some 10 ms: WORKER_LONG_BYTES */
};

/* Starts `threads` threads. NULL when the system gives none. Block signals first (loop_signal). */
struct workers *workers_new(struct loop *l, unsigned threads) MG_MUSTCHECK;

/* Waits for the jobs under way and drops those not begun, without `done`. NULL is fine. */
void workers_free(struct workers *w);

/* Long ones among themselves, and so the others: first in, first out. `work` and `done` must be set. */
void workers_submit(struct workers *w, struct worker_job *job);

#endif
