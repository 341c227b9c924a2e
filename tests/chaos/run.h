/*
 * run: one seed of one fault: so many clients, each with a will of its own, and what goes wrong around them meanwhile. A run is
 * over when every client is, and the daemon has come to rest after it.
 */
#ifndef CHAOS_RUN_H
#define CHAOS_RUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "../sim/rng.h"
#include "player.h"
#include "world.h"

#define RUN_PLAYERS 30
#define RUN_PACKS   3

struct fault;

/* Clients in a process of their own, which will be killed. */
struct run_pack {
    pid_t pid; /* 0: none, or no longer */
    size_t first, n;
    int64_t kill_us;
};

struct run {
    struct world *world;
    const struct fault *fault;
    struct subject *subject; /* the world's, or one of this run */
    struct subject own;
    struct rng rng;
    struct player players[RUN_PLAYERS];
    size_t n;
    bool calm; /* nothing goes wrong that a client could notice: who stays must get the right answers */
    int64_t start_us;

    /* the fault's own: when it wants to act next (CLOCK_NEVER: not), and what it remembers until the end */
    int64_t due_us;
    int64_t hangup_us, stop_us[2], back_us;
    bool starved, paused, lost;
    int kind;
    struct run_pack packs[RUN_PACKS];
};

/* The run of that seed, to its end. Adds what clients saw to *saw. */
void run_seed(struct world *w, const struct fault *fault, uint64_t seed, struct player_saw *saw);

/* ---- for faults ---- */

/* The daemon of this run alone: it may be stopped, and must end with 0 having kept every call. */
void run_takes_own_daemon(struct run *run);

/* A moment within the first so many milliseconds of the run. */
int64_t run_moment_us(struct run *run, int64_t most_ms);

/* Few descriptors more than it has, or as many as before. */
void run_starve(struct run *run, bool on);

/* Settings of the simulator for this run: faults, unless it is calm. */
void run_draw_provider(struct run *run);

#endif
