/*
 * world: virtual time for the gate: calls, a provider that counts on its own, and an oracle that remembers every charge in
 * a plain list and knows nothing of windows. Random numbers come from a seed that every failure prints.
 */
#ifndef SIM_WORLD_H
#define SIM_WORLD_H

#include <stdbool.h>
#include <stdint.h>

#include "metergate/gate/gate.h"

#define WORLD_BUDGETS 4
#define WORLD_SHARED  0 /* budget 0 is an upstream's: every call takes from it as well */

/* A call and its ticket. */
struct actor {
    struct ticket ticket;
    enum profile profile;
    struct estimate estimate;
    struct usage truth; /* what the provider will count */
    int budget;
    int64_t arrival_us, dispatched_us, started_first_us;
    int64_t sent_at_us, end_at_us; /* planned; CLOCK_NEVER: not (yet) */
    int64_t provider_us;           /* when the provider counted the arrival part */
    int refusals_left;             /* attempts that will end in 429 */
    struct prediction predicted;   /* at arrival */
    bool held, flying, over;
};

/* One charge in one limit, as the oracle sees it: known to the gate, and true at the provider. */
struct mark {
    struct budget_limit *limit;
    struct actor *actor;
    bool end_part;
    bool timed;         /* the gate knows its time */
    int64_t t_us;       /* as the gate knows it */
    int64_t amount;     /* as the gate knows it now */
    int64_t provider_us; /* as it was; CLOCK_NEVER: not yet counted */
    int64_t true_amount;
};

struct world {
    uint64_t seed, random;
    int64_t now_us;
    struct gate *gate;
    struct budget *budgets[WORLD_BUDGETS];
    struct actor *actors;
    int actor_count, actor_cap;
    struct mark *marks;
    size_t mark_count, mark_cap;
    bool check_conserving; /* brute force at every stop: for small worlds */
    int64_t latency_us;    /* the longest time from dispatch to sent, and from sent to the end */
    int64_t dispatched, refused, cancelled;
};

void world_init(struct world *w, uint64_t seed);
void world_release(struct world *w);

uint64_t world_random(struct world *w);
int64_t world_between(struct world *w, int64_t low, int64_t high);

struct budget *world_budget(struct world *w, int index, const char *name, int headroom_permille, const struct limit *limits,
                            size_t n);

/* A call arrives now. The actor lives as long as the world (its address may not change: reserve enough). */
struct actor *world_arrive(struct world *w, int budget, enum profile profile, const struct estimate *e,
                           const struct usage *truth, int64_t max_wait_us);

/* One turn of the gate as the proxy does it, with every check that can be made at this moment. */
void world_turn(struct world *w);

/* The next moment at which something happens by itself; CLOCK_NEVER: nothing will. */
int64_t world_next(const struct world *w);

/* Goes there: sends, ends and refuses what is due, then takes a turn. */
void world_advance(struct world *w, int64_t to_us);

/* Until nothing is held or flying. */
void world_run_out(struct world *w);

void world_cancel(struct world *w, struct actor *a);

/* Every figure of the gate is back at zero. */
void world_assert_empty(const struct world *w);

/* No span of any window ever held more than usable at the provider (estimates at or above the truth, no run-alone). */
void world_assert_provider_never_over(const struct world *w);

#define world_fail(w, ...) world_fail_at(w, __FILE__, __LINE__, __VA_ARGS__)
void world_fail_at(const struct world *w, const char *file, int line, const char *fmt, ...)
    __attribute__((format(printf, 4, 5), noreturn));

#endif
