/*
 * worker: a few threads for what would stall the loop (counting a big body). A job is handed over whole: until `done`
 * is called in the loop's thread, the job and what it points to belong to the worker.
 */
#ifndef METERGATE_PROXY_WORKER_H
#define METERGATE_PROXY_WORKER_H

#include "metergate/base/err.h"
#include "metergate/net/loop.h"

struct workers;

/* Embedded in what the job is about. */
struct worker_job {
    struct loop_post post;                /* private */
    struct worker_job *next;              /* private */
    void (*work)(struct worker_job *job); /* in a worker's thread */
    void (*done)(struct worker_job *job); /* in the loop's thread */
};

/* Starts `threads` threads. NULL when the system gives none. Block signals first (loop_signal). */
struct workers *workers_new(struct loop *l, unsigned threads) MG_MUSTCHECK;

/* Waits for the jobs under way and drops those not begun, without `done`. NULL is fine. */
void workers_free(struct workers *w);

/* First in, first out. `work` and `done` must be set. */
void workers_submit(struct workers *w, struct worker_job *job);

#endif
