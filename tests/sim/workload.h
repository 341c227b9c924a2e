/*
 * workload: who asks for how much and when, as data; and one run of it through a gate of its own, in virtual
 * time. A run is decided by the workload and its seed: whatever the policy, the same calls come at the same
 * times (but for those that wait for an answer first).
 *
 * A run ends at `for_s`, or when the last call of the batches (finite streams) has ended. What it has seen
 * are its records, in order of arrival, and a few figures that only the run itself can take.
 */
#ifndef METERGATE_TESTS_SIM_WORKLOAD_H
#define METERGATE_TESTS_SIM_WORKLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dice.h"
#include "metergate/gate/gate.h"

enum { WORKLOAD_POOLS = 3, WORKLOAD_STREAMS = 12, WORKLOAD_LIMITS = 5 };

/* When a client's calls come. */
enum pattern {
    BATCH,   /* `calls` at once at `first_s`; with `every_s` again and again */
    BURSTS,  /* the same, 0.75 to 1.25 x every_s apart */
    EVERY,   /* one each every_s, from a random moment of the first every_s on; `calls` in all, if given */
    POISSON, /* one each every_s on average; likewise */
    LOOPS,   /* `calls` one after the other, each `think_s` after the answer to the last; then every_s (on
                average) until the next loop */
    STEADY   /* `calls` are held all the time */
};

/* So many clients of one kind; zeroed: one of weight 1, that starts at once, and whose calls take no time. */
struct stream {
    const char *name;
    enum ticket_class class; /* as it is: to say nothing is to say high */
    int64_t weight;
    int clients;
    int shares; /* the number + 1 of the stream of whose client (the first) these calls are as well */
    int pool, also; /* the pool that it queues for, and the number + 1 of one that it takes from as well */
    enum pattern pattern;
    int calls;
    double first_s, every_s, think_s;
    double until_s;      /* no new calls from then on; 0: until the run ends */
    struct dice tokens;  /* of a call, as estimated */
    int output_percent;  /* of these; 0: 50 */
    double error;        /* sigma of the real output over the estimated one */
    struct dice answer;  /* ms from when the provider has it until its end; zeroed: 1 ms */
    struct dice way;     /* ms from the dispatch until the provider has it; zeroed: none */
    int leave_percent;   /* of the calls give up within `leave_s` of their arrival, held or in flight */
    double leave_s;
};

/* A budget. Its first limit is the one whose fill is measured, and that the packing bound is taken from. */
struct pool {
    const char *name; /* NULL: there is no such pool */
    int headroom_permille;
    unsigned expected; /* bits 1u << class of the clients that the configuration knows */
    enum gate_polite polite;
    struct limit limits[WORKLOAD_LIMITS]; /* until max is 0 */
};

struct workload {
    const char *name, *what;
    enum profile profile;
    struct pool pools[WORKLOAD_POOLS];
    struct stream streams[WORKLOAD_STREAMS]; /* until the name is NULL */
    double for_s;                            /* 0: until the batches have ended */
    int refused_percent;                     /* of the attempts get a 429 */
    double pause_s;                          /* that asks for so much time, at most */
};

struct record {
    int stream, client; /* client: counted over all streams */
    int64_t arrival_us;
    int64_t start_us; /* first start; -1: never */
    int64_t tokens;   /* as estimated until it has ended */
    int64_t taken;    /* of the first limit of its pool; likewise */
    bool left;        /* before it started */
};

struct outcome {
    struct record *records; /* owned */
    size_t n;
    int clients;
    int64_t end_us; /* times count from the start of the run */
    int64_t waited_us;
    double filled_us; /* of the first pool: account.h */
    double worst_percent;
    long over;           /* attempts let go when a limit had no room for them */
    long heads;          /* that were promised a start and kept the head until then */
    int64_t late_us;     /* the latest of them after its first promise */
    double late_total_s; /* all of them together */
    long refused;        /* 429s */
    long turns;          /* of the gate, with what is noted of a dispatch */
    double gate_s;       /* processor time of these */
};

/* Whether a stream has so many calls and no more, and nobody waits for answers: a batch. */
bool stream_is_batch(const struct stream *s);

void workload_run(const struct workload *w, const struct gate_policy *policy, uint64_t seed,
                  struct outcome *ret);
void outcome_release(struct outcome *o);

#endif
