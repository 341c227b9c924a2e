/*
 * fault_names: the resolver fails, says nothing, or names other addresses than before, of which the first may be dead. Its name is
 * asked for anew once a minute at most (libcurl's cache), so a minute passes between answers: the clock is steered as well.
 */
#include "fault.h"

#include <netdb.h>
#include <stdio.h>
#include <string.h>

#include "metergate/base/clock.h"
#include "run.h"
#include "../shim/steer.h"

enum { GOOD, AGAIN, UNKNOWN, HANGS, OTHER, DEAD_FIRST, ALL_DEAD, ANSWERS };

static void set_answer(struct steer_answer *a, int error, bool hangs, const char *first, const char *second)
{
    const char *const addresses[] = {first, second};

    *a = (struct steer_answer){.error = error, .hangs = hangs};
    for (int i = 0; i < 2; i++)
        if (addresses[i])
            snprintf(a->address[a->n++], sizeof a->address[0], "%s", addresses[i]);
}

static bool prepare(struct world *w)
{
    struct steer *s = w->steer;

    snprintf(s->name, sizeof s->name, "%s", WORLD_NAME);
    set_answer(&s->answers[GOOD], 0, false, "127.0.0.1", NULL);
    set_answer(&s->answers[AGAIN], EAI_AGAIN, false, NULL, NULL);
    set_answer(&s->answers[UNKNOWN], EAI_NONAME, false, NULL, NULL);
    set_answer(&s->answers[HANGS], 0, true, NULL, NULL);
    set_answer(&s->answers[OTHER], 0, false, "127.0.0.2", NULL);
    set_answer(&s->answers[DEAD_FIRST], 0, false, "::1", "127.0.0.1"); /* the simulator listens on all of 127/8 alone */
    set_answer(&s->answers[ALL_DEAD], 0, false, "::1", NULL);
    w->names = true;
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
    atomic_store(&run->world->steer->answer, (int)rng_range(&run->rng, 0, ANSWERS - 1));
    if (rng_chance(&run->rng, 50))
        steer_suspend(run->world->steer, 61 * CLOCK_S);
    run->due_us = now_us + rng_range(&run->rng, 5, 150) * CLOCK_MS;
}

static void mend(struct run *run)
{
    steer_calm(run->world->steer);
}

const struct fault fault_names = {.name = "dns",
                                  .what = "the resolver fails, hangs, changes its mind, names dead addresses",
                                  .runs = 10,
                                  .steers = true,
                                  .prepare = prepare,
                                  .draw = draw,
                                  .act = act,
                                  .mend = mend};
