/* fault_calls: system calls are interrupted, move single bytes, or fail for want of something; as many as fit into a run. */
#include "fault.h"

#include <errno.h>

#include "metergate/base/clock.h"
#include "run.h"
#include "../shim/steer.h"

static bool prepare(struct world *w)
{
    w->torn = true;
    return true;
}

static void draw(struct run *run)
{
    run->calm = false;
    run_draw_provider(run);
    run->start_us = clock_now_us();
    run->due_us = run->start_us;
}

static void act(struct run *run, int64_t now_us)
{
    static const int errors[STEER_CALLS][4] = {
        [STEER_ACCEPT] = {ENFILE, ENOBUFS, EMFILE, ECONNABORTED},
        [STEER_SOCKET] = {ENFILE, ENOBUFS, EMFILE, ENOMEM},
        [STEER_CONNECT] = {EADDRNOTAVAIL, ENETUNREACH, ENOBUFS, EAGAIN},
    };
    struct steer *s = run->world->steer;
    struct rng *r = &run->rng;

    for (int i = 0; i < STEER_CALLS; i++) {
        atomic_store(&s->error[i], errors[i][rng_range(r, 0, 3)]);
        atomic_store(&s->error_per_mille[i], rng_chance(r, 40) ? (int)rng_range(r, 1, 1000) : 0);
    }
    atomic_store(&s->short_per_mille, rng_chance(r, 60) ? (int)rng_range(r, 1, 1000) : 0);
    atomic_store(&s->eintr_per_mille, rng_chance(r, 60) ? (int)rng_range(r, 1, 500) : 0);
    run->due_us = now_us + rng_range(r, 5, 100) * CLOCK_MS;
}

static void mend(struct run *run)
{
    steer_calm(run->world->steer);
}

const struct fault fault_calls = {.name = "calls",
                                  .what = "EINTR, one byte at a time, ENFILE, ENOBUFS, EADDRNOTAVAIL, ...",
                                  .runs = 10,
                                  .steers = true,
                                  .prepare = prepare,
                                  .draw = draw,
                                  .act = act,
                                  .mend = mend};
