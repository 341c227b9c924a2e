/*
 * counter: what a provider's counters, as one answer shows them, mean for the windows of a budget: which limit each is
 * about, and what others must have used (foreign.h). After it our room in a window is never more than what the
 * provider says is left. It only ever takes room away that an earlier reading or nobody had taken, and gives back what
 * earlier readings took: with no reading at all the limits are those of the operator.
 */
#ifndef METERGATE_GATE_COUNTER_H
#define METERGATE_GATE_COUNTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "metergate/gate/budget.h"
#include "metergate/gate/profile.h"

/* One counter. */
struct counter {
    enum metric metric; /* never METRIC_CONCURRENT */
    int64_t span_us;    /* 0: not said */
    int64_t limit;      /* > 0; 0: not said */
    int64_t remaining;  /* >= 0; -1: not said */
    int64_t rounding;   /* >= 0: remaining may be so much more or less */
    int64_t reset_us;   /* until it is full again; -1: not said */
};

/* From here on a window is one of a day rather than one of a minute: a counter of the one kind says nothing of the
 * other. */
#define COUNTER_LONG_US (INT64_C(3600) * 1000000)

/* Whether it counts by the day, or something like it. */
bool counter_is_long(const struct counter *c);

/*
 * The index of the limit of the budget that it is about; -1: of none. Of its metric and kind: the one whose span is
 * nearest when it names a span, else the one of the same size, else the shortest that is at least a second.
 */
int counter_limit(const struct budget *b, const struct counter *c);

/* An attempt whose answer shows the counters. */
struct counter_source {
    const struct charge *charges; /* of all its budgets */
    size_t charge_count;
    bool refused; /* it was refused, so the counters are without its tokens */
};

/* Corrects the windows; true when any holds something else now. Of two counters that are about one limit, the one with
 * less left counts. */
bool counter_correct(struct budget *b, const struct counter_source *from, const struct counter *v, size_t n,
                     int64_t now_us);

#endif
