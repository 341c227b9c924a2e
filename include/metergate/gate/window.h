/*
 * window: how much was charged in the last `span_us`. Pure: time is an argument, in any unit-consistent clock that
 * never goes back.
 *
 *      reserved                 entries, oldest first
 *   (time not come)   |--e0--|---e1----|-e2-|--------------|
 *                     leaves at e0.t_us + span_us          now
 *
 * A charge is first `reserved`: it counts, and nobody knows when it will leave. When the provider has counted it, it gets
 * its time (window_stamp) and leaves one span later, exactly: at t + span_us it is gone. Its amount can be corrected
 * as long as it is inside; its time never changes.
 *
 * Every function is O(log n) in the entries (window_advance: for each that leaves).
 *
 * Memory is bounded: entries are exact while there are fewer than WINDOW_EXACT of them; beyond that, charges that come
 * within 1/WINDOW_SLOTS of the span share an entry that has the time of the last of them, so they expire late, never
 * early.
 */
#ifndef METERGATE_GATE_WINDOW_H
#define METERGATE_GATE_WINDOW_H

#include <stddef.h>
#include <stdint.h>

enum { WINDOW_EXACT = 1024, WINDOW_SLOTS = 600 };

struct window_entry {
    int64_t t_us;     /* of the last charge in it */
    int64_t first_us; /* of the first */
    int64_t amount;
};

struct window {
    int64_t span_us;  /* readable */
    int64_t reserved; /* readable: charges whose time has not come */
    int64_t used;     /* readable after window_advance: the entries' sum */
    struct window_entry *ring; /* private; cap places, a power of two */
    int64_t *sums;             /* private: of the ring's amounts; cap + 1 places */
    size_t cap;                /* private */
    uint64_t head, tail;       /* private: sequence numbers of the oldest entry and of the next one */
};

/* span_us > 0. */
void window_init(struct window *w, int64_t span_us);
void window_release(struct window *w);

/* Lets go what has left by `now_us`. Every function below wants it called first with the same time. */
void window_advance(struct window *w, int64_t now_us);

/* Counts `amount` more (or less) whose time has not come. The sum of them never falls below 0. */
void window_reserve(struct window *w, int64_t amount);

/* Charges `amount` (>= 0) at now_us. The handle names it in window_correct, for ever: it is never given again. */
uint64_t window_stamp(struct window *w, int64_t now_us, int64_t amount);

/* Adds `delta` to what that charge took, which stays >= 0. Does nothing when it has left already. */
void window_correct(struct window *w, uint64_t handle, int64_t delta);

/* Another span from now on: what is inside keeps its time, and leaves earlier or later for it. */
void window_set_span(struct window *w, int64_t span_us, int64_t now_us);

/* Makes `w`, which is not initialised, a window of its own with the same content. Handles are good for both. */
void window_copy(struct window *w, const struct window *from);

/*
 * The first moment, from now_us on, at which used + reserved <= ceiling if nothing else is charged; CLOCK_NEVER when
 * that depends on charges whose time has not come.
 */
int64_t window_earliest(const struct window *w, int64_t now_us, int64_t ceiling);

/* used + reserved as they will stand at t_us (>= now) if nothing else is charged. */
int64_t window_sum_at(const struct window *w, int64_t t_us);

/* When the oldest entry leaves; CLOCK_NEVER when there is none. */
int64_t window_next_expiry(const struct window *w);

/* How many entries it holds (tests of the bound). */
size_t window_entries(const struct window *w);

#endif
