/*
 * catalogue: the workloads that the policy was chosen by ("tuned"), those that it was not, and the policies
 * that are set side by side. docs/scheduling.md keeps the figures.
 */
#ifndef METERGATE_TESTS_SIM_CATALOGUE_H
#define METERGATE_TESTS_SIM_CATALOGUE_H

#include <stddef.h>

#include "workload.h"

struct contender {
    const char *name;
    struct gate_policy policy;
};

enum { FIFO, FIFO_EASY, FAIR_UNPACED, FAIR, CONTENDERS };

extern const struct contender catalogue_contenders[CONTENDERS];

extern const struct workload catalogue_tuned[], catalogue_untuned[];
extern const size_t catalogue_tuned_count, catalogue_untuned_count;

/* By its name; it must be there. */
const struct workload *catalogue_find(const char *name);

#endif
