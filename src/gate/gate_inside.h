/* gate_inside: what gate.c, ask.c and replay.c share. */
#ifndef METERGATE_GATE_GATE_INSIDE_H
#define METERGATE_GATE_GATE_INSIDE_H

#include <stdbool.h>
#include <stdint.h>

#include "metergate/base/heap.h"
#include "metergate/base/list.h"
#include "metergate/gate/gate.h"

struct gate {
    struct gate_policy policy;
    struct list budgets;
    struct list busy;
    struct list changed;
    struct list freed;
    struct list mixed; /* queues of which only some calls take from a client's budget */
    struct heap ready, later;
    struct heap deadlines;
    uint64_t next_seq;
    uint64_t epoch;
    int64_t latest_us; /* the latest moment at which anything was charged */
    bool stopped;
    bool is_copy;          /* of a replay: what happens in it teaches nothing */
    struct replay *replay; /* one that is under way; NULL: none is */
    bool replayed;     /* held calls were, or are being, and what was found still stands */
    int64_t replay_us; /* when they may be again */
};

/* The gate owns that budget, and serves it by its policy. */
void gate_adopt(struct gate *g, struct budget *b);

/* Puts an idle ticket that has its place (seq) into its queue. */
void gate_enqueue(struct gate *g, struct ticket *t);

#endif
