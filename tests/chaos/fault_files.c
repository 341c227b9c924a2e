/*
 * fault_files: the ledger's files are locked by somebody else, removed, or replaced by older ones while they are in use. What was in
 * a file that was removed is gone, and only that: the sums of what is there are right, and calls that come later are there.
 */
#include "fault.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "metergate/base/clock.h"
#include "metergate/ledger/db.h"
#include "run.h"
#include "../e2e/ledger_fixture.h"

enum { LOCK, REMOVE_ALL, REMOVE_LOG, KINDS };

static bool prepare(struct world *w)
{
    w->settle_us = 30 * CLOCK_S;
    return true;
}

static void draw(struct run *run)
{
    run->calm = rng_chance(&run->rng, 50);
    run_draw_provider(run);
    run->kind = (int)rng_range(&run->rng, 0, KINDS - 1);
    run->start_us = clock_now_us();
    run->due_us = run_moment_us(run, 100);
}

static void unlock(struct world *w)
{
    if (!w->lock)
        return;
    (void)!db_exec(w->lock, "ROLLBACK");
    db_close(w->lock);
    w->lock = NULL;
}

static void act(struct run *run, int64_t now_us)
{
    static const char *const parts[] = {"ledger.db-shm", "ledger.db-wal", "ledger.db"};
    struct world *w = run->world;

    if (w->lock) {
        unlock(w);
    } else if (run->kind == LOCK) {
        if (db_open(ledger_path(&w->main.f, "ledger.db"), 0, &w->lock) != DB_OK ||
            db_exec(w->lock, "BEGIN EXCLUSIVE") != DB_OK)
            unlock(w); /* it is being written just now: later */
    } else {
        for (size_t i = 0; i < (run->kind == REMOVE_ALL ? 3u : 2u); i++)
            (void)unlink(ledger_path(&w->main.f, parts[i]));
        w->main.may_lose = true;
    }
    run->due_us = run->kind == LOCK ? now_us + rng_range(&run->rng, 1, 200) * CLOCK_MS : CLOCK_NEVER;
}

static void mend(struct run *run)
{
    unlock(run->world);
}

const struct fault fault_files = {.name = "files",
                                  .what = "the ledger locked, its files removed",
                                  .runs = 6,
                                  .prepare = prepare,
                                  .draw = draw,
                                  .act = act,
                                  .mend = mend};
