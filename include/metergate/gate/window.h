/*
 * window: how much was charged in the last `span_us`. Pure: time is an argument, in any unit-consistent clock
 * that never goes back.
 *
 *      reserved                 entries, oldest first
 *   (time not come)   |--e0--|---e1----|-e2-|--------------|
 *                     leaves at e0.t_us + span_us          now
 *
 * A charge is first `reserved`: it counts, and nobody knows when it will leave. When the provider has counted
 * it, it gets its time (window_stamp) and leaves one span later, exactly: at t + span_us it is gone. Its
 * amount can be corrected as long as it is inside; its time never changes. Until its call is over it is also
 * `open`, so that people can be told what calls in flight hold.
 *
 * Every function is O(log n) in the entries (window_advance: for each that leaves).
 *
 * Memory is bounded: entries are exact while there are fewer than WINDOW_EXACT of them; beyond that, charges
 * that come within 1/WINDOW_SLOTS of the span share an entry that has the time of that slot's end. So they
 * leave late, by one slot at the most, and never early; and the moment at which an entry leaves never
 * changes, but by window_set_span.
 */
#ifndef METERGATE_GATE_WINDOW_H
#define METERGATE_GATE_WINDOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { WINDOW_EXACT = 1024, WINDOW_SLOTS = 600 };

struct window_entry {
    int64_t t_us; /* of its charges, or a little later */
    int64_t amount;
    int64_t open; /* of the amount: of calls that are not over */
};

struct window {
    int64_t span_us;  /* readable */
    int64_t reserved; /* readable: charges whose time has not come */
    int64_t used;     /* readable after window_advance: the entries' sum */
    int64_t open;     /* readable after window_advance: of `used`, what belongs to calls that are not over */
    struct window_entry *ring; /* private; cap places, a power of two */
    int64_t *sums;             /* private: of the ring's amounts; cap + 1 places */
    size_t cap;                /* private */
    uint64_t head, tail;       /* private: sequence numbers of the oldest entry and of the next one */
};

/* span_us > 0. */
void window_init(struct window *w, int64_t span_us);
void window_release(struct window *w);

/* Makes `w`, which is not initialised, a window of its own with the same content. */
void window_copy(struct window *w, const struct window *from);

/*
 * Another span from now on. What is inside keeps its time, and so leaves one new span after it; what has left
 * does not come back.
 */
void window_set_span(struct window *w, int64_t span_us);

/* Lets go what has left by `now_us`. Every function below wants it called first with the same time. */
void window_advance(struct window *w, int64_t now_us);

/* Counts `amount` more (or less) whose time has not come. The sum of them never falls below 0. */
void window_reserve(struct window *w, int64_t amount);

/* Charges `amount` (>= 0) at now_us, for good. */
void window_stamp(struct window *w, int64_t now_us, int64_t amount);

/* The same for a call that is not over. The handle names the charge in window_settle; it is never given
 * again. */
uint64_t window_stamp_open(struct window *w, int64_t now_us, int64_t amount);

/* The call is over: of an open charge that was stamped as `was`, `is` remains. Nothing, when it has left
 * already. */
void window_settle(struct window *w, uint64_t handle, int64_t was, int64_t is);

/* So many thousandths of an amount >= 0. */
static inline int64_t window_part(int64_t amount, int64_t permille)
{
    return amount / 1000 * permille + amount % 1000 * permille / 1000;
}

/* All open charges are over, and of each so many thousandths remain. Their handles mean nothing any more. */
void window_settle_all(struct window *w, int64_t permille);

/* Whether the charge is still inside. */
bool window_holds(const struct window *w, uint64_t handle);

/* A charge that is over (window_settle) was `delta` more, or less. Nothing, when it has left already. */
void window_correct(struct window *w, uint64_t handle, int64_t delta);

/*
 * The first moment, from now_us on, at which used + reserved <= ceiling if nothing else is charged;
 * CLOCK_NEVER when that depends on charges whose time has not come.
 */
int64_t window_earliest(const struct window *w, int64_t now_us, int64_t ceiling);

/* used + reserved as they will stand at t_us (>= now) if nothing else is charged. */
int64_t window_sum_at(const struct window *w, int64_t t_us);

/* The first moment after t_us (>= now) at which anything leaves by itself; CLOCK_NEVER. */
int64_t window_next_leave(const struct window *w, int64_t t_us);

/* How many entries it holds (tests of the bound). */
size_t window_entries(const struct window *w);

#endif
