/*
 * fault_disk: the state directory is a small disk that is filled and freed, made read-only and writable again. Where no disk may be
 * mounted the daemon's files may not grow instead (RLIMIT_FSIZE). Calls go on, and every row is there when it is over.
 */
#include "fault.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "metergate/base/clock.h"
#include "run.h"
#include "../e2e/ledger_fixture.h"

#define DISK_OPTIONS "size=24m,mode=700"

static bool prepare(struct world *w)
{
    struct fixture *f = &w->main.f;

    fixture_write_config(f, "");
    assert_int_equal(mkdir(ledger_path(f, ""), 0700), 0);
    w->mounted = w->may_mount && mount("tmpfs", ledger_path(f, ""), "tmpfs", MS_NOSUID | MS_NODEV, DISK_OPTIONS) == 0;
    if (!w->mounted)
        printf("disk: none may be mounted (%s): files may not grow instead\n", strerror(errno));
    w->settle_us = 20 * CLOCK_S; /* the writer tries again after 1 s, 2 s, ... */
    return true;
}

static void finish(struct world *w)
{
    if (w->mounted)
        (void)umount2(ledger_path(&w->main.f, ""), MNT_DETACH);
}

static void fill(const struct fixture *f)
{
    static const char block[4096];
    int fd = open(ledger_path(f, "filler"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

    if (fd < 0)
        return;
    while (write(fd, block, sizeof block) > 0)
        ;
    close(fd);
}

static void make_read_only(const struct fixture *f, bool on)
{
    /* busy while somebody writes: then it is not, this time */
    (void)!mount(NULL, ledger_path(f, ""), NULL, MS_REMOUNT | (on ? MS_RDONLY : 0), NULL);
}

static void stop_growth(const struct fixture *f, bool on)
{
    struct rlimit lim;

    assert_int_equal(prlimit(process_pid(f->daemon), RLIMIT_FSIZE, NULL, &lim), 0);
    lim.rlim_cur = on ? 4096 : lim.rlim_max;
    assert_int_equal(prlimit(process_pid(f->daemon), RLIMIT_FSIZE, &lim, NULL), 0);
}

static void draw(struct run *run)
{
    run->calm = rng_chance(&run->rng, 50);
    run_draw_provider(run);
    run->start_us = clock_now_us();
    run->due_us = run_moment_us(run, 50);
}

static void act(struct run *run, int64_t now_us)
{
    const struct fixture *f = &run->world->main.f;
    bool on = rng_chance(&run->rng, 70);

    if (!run->world->mounted) {
        stop_growth(f, on);
    } else if (rng_chance(&run->rng, 60)) {
        if (on)
            fill(f);
        else
            (void)unlink(ledger_path(f, "filler"));
    } else {
        make_read_only(f, on);
    }
    run->due_us = now_us + rng_range(&run->rng, 5, 150) * CLOCK_MS;
}

static void mend(struct run *run)
{
    const struct fixture *f = &run->world->main.f;

    if (!run->world->mounted) {
        stop_growth(f, false);
        return;
    }
    make_read_only(f, false);
    (void)unlink(ledger_path(f, "filler"));
}

const struct fault fault_disk = {.name = "disk",
                                 .what = "a disk that is full, or read-only, now and then",
                                 .runs = 4,
                                 .prepare = prepare,
                                 .finish = finish,
                                 .draw = draw,
                                 .act = act,
                                 .mend = mend};
