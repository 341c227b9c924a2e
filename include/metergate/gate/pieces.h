/*
 * pieces: amounts that lie in a window besides the charges of calls: what somebody else used, what a provider
 * may have kept. Each is inside one entry of the window, leaves with it, and can be taken back before.
 *
 * Bounded: amounts of one slot of the span are one piece, at its newest moment. So they leave late by a slot
 * at the most, and never early.
 */
#ifndef METERGATE_GATE_PIECES_H
#define METERGATE_GATE_PIECES_H

#include <stdbool.h>
#include <stdint.h>

#include "metergate/gate/window.h"

enum {
    PIECES_MAX = 64,
    PIECES_SLOTS =
        48 /* of a span; fewer than PIECES_MAX, so that old pieces leave before there are too many */
};

struct piece {
    uint64_t handle; /* of the window's entry */
    int64_t amount;
    int64_t first_us; /* the time of the first of it, */
    int64_t at_us;    /* and of the entry, or a little earlier */
    int64_t known_us; /* when the last of it was added */
};

/* Zeroed: none. */
struct pieces {
    struct piece v[PIECES_MAX]; /* private: oldest first */
    unsigned n;                 /* private */
};

/* What the window holds of them; and of it, what was added before t_us. Advance the window first. */
int64_t pieces_sum(const struct pieces *p, const struct window *w);
int64_t pieces_sum_before(const struct pieces *p, const struct window *w, int64_t t_us);

/* So much more, from now on. */
void pieces_add(struct pieces *p, struct window *w, int64_t now_us, int64_t amount);

/* So much more inside the entry of that handle, which holds a charge of at_us. */
void pieces_add_to(struct pieces *p, struct window *w, uint64_t handle, int64_t at_us, int64_t now_us,
                   int64_t amount);

/* So much less, the oldest first, of what was added before t_us; returns what was taken. */
int64_t pieces_take(struct pieces *p, struct window *w, int64_t t_us, int64_t amount);

#endif
