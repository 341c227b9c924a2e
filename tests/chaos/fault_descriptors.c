/* fault_descriptors: the limit of open files moves up and down around what the daemon has open. */
#include "fault.h"

#include "metergate/base/clock.h"
#include "run.h"

static void draw(struct run *run)
{
    run->calm = false;
    run_draw_provider(run);
    run->starved = true;
    run->start_us = clock_now_us();
    run->due_us = run->start_us;
}

static void act(struct run *run, int64_t now_us)
{
    run_starve(run, rng_chance(&run->rng, 80));
    run->due_us = now_us + rng_range(&run->rng, 1, 60) * CLOCK_MS;
}

static void mend(struct run *run)
{
    run_starve(run, false);
}

const struct fault fault_descriptors = {
    .name = "descriptors", .what = "EMFILE at any moment", .runs = 10, .draw = draw, .act = act, .mend = mend};
