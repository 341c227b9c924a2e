/*
 * account: what one budget's limits hold, added up apart from the gate, one entry a charge; and how full the
 * first of them was while somebody waited. It knows how profiles charge only from the struct cost, and
 * nothing of windows but that a charge counts from when it is made until a span after the provider counted
 * it.
 */
#ifndef METERGATE_TESTS_SIM_ACCOUNT_H
#define METERGATE_TESTS_SIM_ACCOUNT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "metergate/gate/budget.h"

enum { ACCOUNT_LIMITS = 4 };

struct entry {
    int64_t until_us, amount;
};

/* Private. */
struct account_limit {
    struct limit limit;
    int64_t usable;
    int64_t sum;           /* counted and reserved */
    struct entry *counted; /* in order of time; owned */
    size_t first, n, cap;  /* those before `first` count no more */
};

struct account {
    struct account_limit limits[ACCOUNT_LIMITS];
    size_t limit_count;
    int64_t now_us;
    int64_t waited_us;    /* readable: how long somebody waited, */
    double filled_us;     /* and how full the first limit was then: 1 is all that is usable */
    double worst_percent; /* readable: the most that any limit of tokens was over, of what is usable */
};

/* One attempt's part of one limit. Private; zero-initialised. */
struct slip {
    int64_t on_arrival, at_end; /* as reserved; of at_end, what is left */
    int64_t produced;           /* counted before the end */
    size_t entry;
    bool sent;
};

/* `limits` ends where max is 0. */
void account_init(struct account *a, const struct limit *limits, int headroom_permille, int64_t now_us);
void account_release(struct account *a);

/* Time goes by, and all the while somebody waits or nobody does. */
void account_advance(struct account *a, int64_t now_us, bool somebody_waits);

/* The following want the account advanced to now. Whether the limits had room for it: */
bool account_open(struct account *a, const struct cost *c, struct slip *slips);
void account_sent(struct account *a, struct slip *slips);
void account_produced(struct account *a, struct slip *slips, int64_t tokens);
/* After account_sent, with all that the attempt took. */
void account_close(struct account *a, struct slip *slips, const struct cost *final);

#endif
