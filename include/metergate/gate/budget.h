/*
 * budget: a named set of limits that calls take from: a model's, an upstream's, or a client's. A call takes from all
 * the limits of all its budgets or from none.
 *
 * Usable is what calls may fill: max x (1 - headroom) for tokens and for requests within less than a day; requests per
 * day and calls in flight in full. At least one request is always usable. A call that is bigger than the usable part
 * of a limit runs alone: it goes when the limit's whole max has room for it; one that is bigger than max is reserved as
 * max.
 *
 *      0 ............................ usable ......... max
 *      |--used--|--reserved--|--room--|    headroom     |
 *
 * Budgets belong to a gate (gate.h), which makes and frees them.
 */
#ifndef METERGATE_GATE_BUDGET_H
#define METERGATE_GATE_BUDGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "metergate/base/list.h"
#include "metergate/gate/profile.h"
#include "metergate/gate/queue.h"
#include "metergate/gate/window.h"

#define BUDGET_LIMITS_MAX 12
#define BUDGET_DAY_US     (INT64_C(86400) * 1000000)

/* As the operator wrote it. */
struct limit {
    enum metric metric;
    int64_t max;     /* > 0 */
    int64_t span_us; /* rolling; ignored for METRIC_CONCURRENT */
    bool smooth;     /* requests: also no two closer than span / usable */
    const char *key; /* static: "tpm", "rpd", ... for sentences */
};

/* A limit at work. Readable. */
struct budget_limit {
    struct limit limit;
    struct window window; /* not used for METRIC_CONCURRENT */
    int64_t in_flight;    /* METRIC_CONCURRENT: calls now */
    int64_t next_us;      /* smooth: no request before this moment */
};

/* Readable; `name` is owned. */
struct budget {
    char *name;
    int headroom_permille; /* 0..900 */
    size_t limit_count;
    struct budget_limit limits[BUDGET_LIMITS_MAX];
    int64_t paused_until_us; /* nothing goes before this moment */
    int64_t in_flight;       /* attempts open on it */

    /* what waits for it, when it is a call's first budget */
    struct queue queue;
    int64_t queued[METRICS]; /* their costs together */
    int64_t largest[METRICS]; /* of any that waited since the queue was last empty */
    struct list busy;        /* on gate.busy while the queue is not empty */
    struct list link;        /* on gate.budgets */
};

/* One limit's part of an attempt. */
struct charge {
    struct budget_limit *limit;
    int64_t on_arrival, at_end; /* as reserved */
    uint64_t handle;            /* of the arrival part, once it has its time */
};

struct budget *budget_new(const char *name, int headroom_permille, const struct limit *limits, size_t n);
void budget_free(struct budget *b);

/*
 * Other limits or headroom from now on. Windows of the same metric and span keep their history; charges of attempts
 * under way must not be lost, so a limit that goes away is an error while attempts are open on it: -EBUSY.
 */
int budget_update(struct budget *b, int headroom_permille, const struct limit *limits, size_t n);

/* What calls may fill of limit l. */
int64_t budget_usable(const struct budget *b, const struct budget_limit *l);

/* Lets go what has left every window. */
void budget_advance(struct budget *b, int64_t now_us);

/* What of the cost limit l has to hold: on_arrival and at_end together at most max. */
void budget_need(const struct budget_limit *l, const struct cost *c, int64_t *ret_on_arrival, int64_t *ret_at_end);

/*
 * The first moment at which every limit of this budget has room for the cost, if nothing else is charged; CLOCK_NEVER
 * when that depends on an event. *ret_limit is the limit that decides (NULL: none does, or the pause). Advance first.
 */
int64_t budget_earliest(const struct budget *b, const struct cost *c, int64_t now_us,
                        const struct budget_limit **ret_limit);

/*
 * Whether at t_us, besides `first`, there is room for `second` too. A charge of `second` counts even where a window is
 * shorter than the time until t_us: it gets its time when the provider has it, which nobody knows yet.
 */
bool budget_has_room_for_both(const struct budget *b, const struct cost *first, const struct cost *second, int64_t t_us);

/* ---- charges: opened reserved, timed when the provider has counted, closed with what it really was -------------- */

/* Reserves c's part of each limit; writes limit_count charges. */
void budget_open(struct budget *b, const struct cost *c, int64_t now_us, struct charge *ret_charges);

/* The provider has counted what it counts on arrival. */
void charge_time(struct charge *ch, int64_t now_us);

/* `timed`: charge_time was called. The charge takes what `final` says from now on. */
void charge_close(struct charge *ch, bool timed, const struct cost *final, int64_t now_us);

#endif
