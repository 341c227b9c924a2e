/* fault_signals: hundreds of signals, most of which mean nothing to the daemon; it is stopped and goes on; and storms of SIGTERM. */
#include "fault.h"

#include <signal.h>

#include "metergate/base/clock.h"
#include "run.h"

#define STORM_US (10 * CLOCK_MS)

static void draw(struct run *run)
{
    bool stops = rng_chance(&run->rng, 25);

    run->calm = !stops && rng_chance(&run->rng, 40);
    if (stops)
        run_takes_own_daemon(run);
    run_draw_provider(run);
    run->start_us = clock_now_us();
    run->due_us = run->start_us;
    run->back_us = CLOCK_NEVER;
    run->stop_us[0] = stops ? run_moment_us(run, 200) : CLOCK_NEVER;
}

static void storm(struct run *run)
{
    static const int signals[] = {SIGUSR1, SIGUSR2,   SIGPIPE, SIGCHLD, SIGWINCH, SIGALRM, SIGVTALRM,
                                  SIGPROF, SIGIO,     SIGCONT, SIGURG,  SIGHUP,   SIGPWR,  SIGXFSZ};

    for (int64_t i = rng_range(&run->rng, 1, 30); i > 0; i--)
        process_signal(run->subject->f.daemon, signals[rng_range(&run->rng, 0, (int64_t)MG_ARRAY_LEN(signals) - 1)]);
}

static void go_on(struct run *run)
{
    if (run->paused)
        process_signal(run->subject->f.daemon, SIGCONT);
    run->paused = false;
    run->back_us = CLOCK_NEVER;
}

static void act(struct run *run, int64_t now_us)
{
    struct rng *r = &run->rng;

    if (run->back_us <= now_us)
        go_on(run);
    if (!run->paused)
        storm(run);
    if (!run->paused && run->subject == &run->world->main && rng_chance(r, 3)) {
        int64_t us = rng_range(r, 100, 2500) * CLOCK_MS;

        run->paused = true;
        run->back_us = now_us + us;
        run->world->extra_us += us; /* it could not tell the provider of anything meanwhile */
        process_signal(run->subject->f.daemon, SIGSTOP);
    }
    if (run->stop_us[0] <= now_us)
        for (int64_t i = rng_range(r, 1, 40); i > 0; i--)
            process_signal(run->subject->f.daemon, SIGTERM);
    run->due_us = run->paused ? run->back_us : now_us + STORM_US;
}

const struct fault fault_signals = {.name = "signals",
                                    .what = "a hundred signals a run, SIGSTOP for seconds, SIGTERM by the dozen",
                                    .runs = 10,
                                    .draw = draw,
                                    .act = act,
                                    .mend = go_on};
