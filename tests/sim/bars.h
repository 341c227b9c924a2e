/*
 * bars: what the default policy has to reach, one row a promise. Each is asserted by test_workloads and
 * printed by `make sim` beside what is reached.
 */
#ifndef METERGATE_TESTS_SIM_BARS_H
#define METERGATE_TESTS_SIM_BARS_H

#include <stdbool.h>
#include <stddef.h>

#include "measure.h"

struct bar {
    const char *workload; /* of the catalogue */
    const char *what;
    const char *unit;
    double (*of)(const struct figures *f);
    bool at_least; /* else at most */
    double bar;
    double simulated; /* what the simulation reached that the policy was chosen by; < 0: it did not say */
};

extern const struct bar bars[];
extern const size_t bars_count;

bool bar_is_met(const struct bar *b, double reached);

#endif
