/* fault_any: clients and providers do anything at any moment; reloads, stops and few descriptors now and then. */
#include "fault.h"

#include <signal.h>

#include "metergate/base/clock.h"
#include "run.h"

static void set_due(struct run *run)
{
    run->due_us = run->hangup_us;
    for (int i = 0; i < 2; i++)
        if (run->stop_us[i] < run->due_us)
            run->due_us = run->stop_us[i];
}

static void draw(struct run *run)
{
    struct rng *r = &run->rng;
    bool stops;

    run->calm = rng_chance(r, 25);
    stops = !run->calm && rng_chance(r, 15);
    if (stops)
        run_takes_own_daemon(run);
    run_draw_provider(run);
    run->starved = !run->calm && rng_chance(r, 10);
    if (run->starved)
        run_starve(run, true);
    run->start_us = clock_now_us();
    run->hangup_us = rng_chance(r, 20) ? run_moment_us(run, 200) : CLOCK_NEVER;
    run->stop_us[0] = stops ? run_moment_us(run, 200) : CLOCK_NEVER;
    run->stop_us[1] = stops && rng_chance(r, 40) ? run->stop_us[0] + rng_range(r, 0, 100) * CLOCK_MS : CLOCK_NEVER;
    set_due(run);
}

static void signal_when_due(struct run *run, int64_t *when_us, int signo, int64_t now_us)
{
    if (*when_us > now_us)
        return;
    *when_us = CLOCK_NEVER;
    if (signo == SIGHUP)
        subject_change(run->world, run->subject, (int)rng_range(&run->rng, 0, 2));
    process_signal(run->subject->f.daemon, signo);
}

static void act(struct run *run, int64_t now_us)
{
    signal_when_due(run, &run->hangup_us, SIGHUP, now_us);
    signal_when_due(run, &run->stop_us[0], SIGTERM, now_us);
    signal_when_due(run, &run->stop_us[1], SIGTERM, now_us);
    set_due(run);
}

static void mend(struct run *run)
{
    if (run->starved)
        run_starve(run, false);
}

const struct fault fault_any = {
    .name = "any", .what = "clients and providers do anything", .runs = 30, .draw = draw, .act = act, .mend = mend};
