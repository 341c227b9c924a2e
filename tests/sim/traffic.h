/*
 * traffic: random calls through a gate in virtual time, watched at every step by the oracle. A run is decided
 * by its plan, and the plan by its seed: what fails prints the seed, and fails again with it.
 *
 * Checked in every run, whatever the plan:
 *   - every dispatch fits all limits; it is the head of its queue or passes it harmlessly; no call that is
 *     before it in the queue's order (by class, the clients' tags, arrival) could go;
 *   - used and reserved of every limit are what the oracle says, after every turn;
 *   - deadlines are kept to the microsecond; nobody is refused as too large who is not (is_too_large);
 *   - after the last call every figure is zero.
 * With plan.brute, in every idle moment: no held call could go, and gate_wakeup names no later moment than
 * the first at which one can. With plan.honest, over the whole run: no span of any window held more at the
 * provider than is usable.
 */
#ifndef METERGATE_TESTS_SIM_TRAFFIC_H
#define METERGATE_TESTS_SIM_TRAFFIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "metergate/base/heap.h"
#include "metergate/gate/gate.h"
#include "oracle.h"
#include "rng.h"

enum { TRAFFIC_QUEUES = 4 };

struct traffic_plan {
    uint64_t seed;
    int calls;
    enum profile profile;
    bool honest;  /* no answer is longer than its estimate */
    bool exact;   /* every attempt takes just what was reserved */
    bool apart;   /* no budget is shared among queues */
    int clients;  /* whose calls they are, with weights of 1 to 4; 0: nobody's, all of one class */
    bool classes; /* some are of a higher or a lower class: then lower ones may leave room, and idle */
    bool trouble; /* 429s, refused connections, lost answers, clients that leave, deadlines, pauses */
    bool updates; /* limits change at run time */
    bool brute;   /* check every idle moment against all possibilities */
    int queues;
    int64_t quantum_us;  /* times are multiples of this: small gives odd moments, large gives ties */
    int64_t gap_us;      /* between arrivals, at most */
    int64_t delay_us;    /* from dispatch to gate_sent, at most */
    int64_t duration_us; /* of an answer, at most */
    int64_t tokens;      /* of a call, at most */
};

enum fate { FATE_OK, FATE_429, FATE_NEVER_SENT, FATE_LOST };

struct traffic_call {
    struct ticket ticket;
    struct estimate estimate;
    int64_t arrival_us, leave_us, deadline_us;
    int64_t start_us;    /* last dispatch */
    int64_t provider_us; /* when the provider saw the attempt */
    enum fate fate;      /* of the next attempt */
    bool done;
    int outcome;                   /* enum gate_verdict, or -1: cancelled, -2: deadline, -3: answered */
    struct heap_node next, leaves; /* events */
    struct prediction predicted;   /* for the tests' own use */
    int64_t promised_us;           /* likewise */
};

/* What the provider counted. */
struct traffic_fact {
    const struct budget *b;
    enum metric metric;
    int64_t span_us, at_us, amount;
    bool alone;
};

struct traffic {
    struct traffic_plan plan;
    struct rng rng;
    struct gate *gate;
    struct oracle *oracle;
    struct budget *queues[TRAFFIC_QUEUES], *shared; /* shared may be NULL */
    struct traffic_call *calls;
    int sharers;       /* > 0: call i is that of client i % sharers, of weight 1 + that */
    int arrived, left; /* calls that have come; that are not done */
    int64_t now_us;
    struct heap events;
    struct traffic_fact *facts;
    size_t fact_count, fact_cap;
    long dispatches, idles;              /* how much was checked */
    long wakes;                          /* turns at moments at which only time had gone by */
    void (*on_turn)(struct traffic *tr); /* may be NULL: after every turn */
    void (*on_dispatch)(struct traffic *tr, struct traffic_call *c);
    void *ctx;
};

/* Budgets and calls by the dice of plan.seed. */
void traffic_init(struct traffic *tr, const struct traffic_plan *plan);
/* The same with these limits, no headroom, one queue, and nothing shared. */
void traffic_init_limits(struct traffic *tr, const struct traffic_plan *plan, const struct limit *limits,
                         size_t n);
void traffic_release(struct traffic *tr);

/* Until every call is done, with the checks above. */
void traffic_run(struct traffic *tr);

/* The call of that queue that was told when it goes, or NULL. */
struct traffic_call *traffic_head(const struct traffic *tr, const struct budget *queue);

/* Fails the test, with the seed and the time. */
void traffic_fail(const struct traffic *tr, const char *fmt, ...)
    __attribute__((format(printf, 2, 3), noreturn));

#endif
