/*
 * fault_clock: the wall clock is set forth and back by minutes to decades, and the machine sleeps for seconds to a day while calls
 * are held and in flight. Who waits longer than he would may be told so; where only the wall clock moves, nobody may notice.
 */
#include "fault.h"

#include "metergate/base/clock.h"
#include "run.h"
#include "../shim/steer.h"

enum { ONLY_WALL, ONLY_SUSPENDS, BOTH };

static bool prepare(struct world *w)
{
    w->forgets = true; /* charges of more than a year ago are of no window */
    return true;
}

static void draw(struct run *run)
{
    run->kind = (int)rng_range(&run->rng, ONLY_WALL, BOTH);
    run->calm = run->kind == ONLY_WALL && rng_chance(&run->rng, 70);
    run_draw_provider(run);
    run->start_us = clock_now_us();
    run->due_us = run_moment_us(run, 60);
}

static void act(struct run *run, int64_t now_us)
{
    static const int64_t steps_s[] = {1, 60, 3600, 86400, 31 * INT64_C(86400), 366 * INT64_C(86400), 20 * INT64_C(366) * 86400};
    static const int64_t sleeps_s[] = {1, 20, 600, 8 * INT64_C(3600), 86400};
    struct steer *steer = run->world->steer;
    struct rng *r = &run->rng;

    if (run->kind == ONLY_WALL || (run->kind == BOTH && rng_chance(r, 50))) {
        int64_t s = steps_s[rng_range(r, 0, (int64_t)MG_ARRAY_LEN(steps_s) - 1)];

        steer_set_wall(steer, rng_chance(r, 20) ? 0 : (rng_chance(r, 50) ? s : -s) * CLOCK_S);
    } else {
        steer_suspend(steer, sleeps_s[rng_range(r, 0, (int64_t)MG_ARRAY_LEN(sleeps_s) - 1)] * CLOCK_S);
    }
    run->due_us = now_us + rng_range(r, 1, 150) * CLOCK_MS;
}

const struct fault fault_clock = {
    .name = "clock", .what = "steps of the wall clock by up to 20 years, suspends of up to a day", .runs = 10, .steers = true,
    .prepare = prepare, .draw = draw, .act = act};
