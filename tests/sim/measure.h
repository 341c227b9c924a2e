/*
 * measure: what the runs of one workload under one policy come to. Means over the seeds; what is called `max`
 * or `worst` is the worst of any of them.
 */
#ifndef METERGATE_TESTS_SIM_MEASURE_H
#define METERGATE_TESTS_SIM_MEASURE_H

#include "workload.h"

/* Of the calls that have started, but that max counts those that have not, too, as far as they waited. */
struct waits {
    double calls; /* that have started, a run */
    int runs;     /* in which any has: the means are theirs */
    double mean_s, p50_s, p95_s, p99_s, max_s;
};

struct figures {
    struct waits classes[TICKET_CLASSES];
    struct waits streams[WORKLOAD_STREAMS];
    double util;          /* percent of the usable part of the first limit, while calls waited */
    double last_s;        /* the batches' last start, */
    double bound_s;       /* the span x (ceil(T / L) - 1), T all that was started until then; */
    double makespan;      /* and one over the other; 0: there is no batch, or it fits one span */
    /* fairness (Jain) of what a minute gave to the clients of a class that waited all through it, weights
     * counted; mean over the minutes; 0: never two of them */
    double jain;
    /* worst: how far a client's tokens went from its share of what its class got, over any time in which all
     * waited; in largest calls of the class; 0: never two of them */
    double gap;
    double over_percent;  /* worst: a limit over what is usable, by answers longer than expected */
    long violations;      /* attempts let go without room */
    double heads, late_s; /* promises, a run; the worst start after one */
    double late_mean_s;
    double refused;       /* 429s, a run */
    double turn_us;       /* processor time of a turn of the gate */
};

/* Seeds 1..seeds, one after the other. */
void measure(const struct workload *w, const struct gate_policy *policy, int seeds, struct figures *ret);

#endif
