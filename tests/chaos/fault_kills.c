/* fault_kills: up to three processes with some clients each are killed (kill -9) at any moment, in the middle of whatever they do. */
#include "fault.h"

#include "metergate/base/clock.h"
#include "run.h"

static void draw(struct run *run)
{
    size_t first = 0;

    run->calm = rng_chance(&run->rng, 30);
    run_draw_provider(run);
    run->start_us = clock_now_us();
    for (size_t i = 0; i < RUN_PACKS; i++) {
        run->packs[i] = (struct run_pack){
            .first = first, .n = (size_t)rng_range(&run->rng, 1, 8), .kill_us = run_moment_us(run, 300)};
        first += run->packs[i].n;
    }
}

const struct fault fault_kills = {
    .name = "kills", .what = "processes with several clients are killed", .runs = 10, .draw = draw};
