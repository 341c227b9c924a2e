/*
 * fault_config: fifty reloads a second of files that are good, bad, half written or gone, with upstreams, entries, clients and keys
 * that come and go while calls are held and in flight. At the end the right file is read, and all is as it was.
 */
#include "fault.h"

#include <inttypes.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "metergate/base/buf.h"
#include "metergate/base/clock.h"
#include "run.h"
#include "../e2e/ledger_fixture.h"

#define EVERY_US (20 * CLOCK_MS)

static void write_file(const char *path, struct slice text)
{
    FILE *f = fopen(path, "we");

    assert_non_null(f);
    fwrite(text.p, 1, text.n, f);
    fclose(f);
    assert_int_equal(chmod(path, 0600), 0);
}

/*
 * What answers the paths of the letters is there in each good file, under one name or another; so that whoever is answered must be
 * answered rightly, whichever file holds.
 */
static void add_upstreams(struct run *run, struct buf *y)
{
    struct world *w = run->world;
    struct rng *r = &run->rng;

    buf_add_str(y, "upstreams:\n");
    for (int64_t i = rng_range(r, 0, 3); i > 0; i--)
        buf_addf(y, "  gone-%" PRId64 ": {dialect: anthropic, base_url: %s}\n", i, w->sim.simulator_url);
    buf_addf(y, "  %s: {dialect: openai, base_url: %s/v1, counting: %s, timeout: {first_byte: %" PRId64 "s, idle: 2s}%s}\n",
             rng_chance(r, 70) ? "openai" : "other", w->sim.simulator_url, rng_chance(r, 80) ? "actual" : "openai",
             rng_range(r, 1, 3), rng_chance(r, 30) ? ", api_key: {file: $DIR/key}" : "");
    buf_addf(y, "  raw: {dialect: openai, base_url: http://127.0.0.1:%d/v1, scope: %s, timeout: {first_byte: 200ms, idle: 150ms}}\n",
             w->raw.port, rng_chance(r, 70) ? "shared" : "key");
    buf_addf(y, "  dead: {dialect: openai, base_url: http://127.0.0.1:%d/v%d}\n", w->dead_port, rng_chance(r, 50) ? 1 : 2);
}

static void add_rest(struct run *run, struct buf *y)
{
    struct rng *r = &run->rng;

    buf_add_str(y, "models:\n");
    if (rng_chance(r, 70))
        buf_addf(y, "  %s: {match: [gpt-4o], concurrent: %" PRId64 "}\n", rng_chance(r, 50) ? "gpt-4o" : "four", rng_range(r, 1, 5));
    if (rng_chance(r, 70))
        buf_addf(y, "  gpt-4o-mini: {tpm: {max: %" PRId64 ", per: 100ms}, concurrent: 6}\n", rng_range(r, 500, 3000));
    if (rng_chance(r, 50))
        buf_addf(y, "  gpt-raw: {concurrent: %" PRId64 ", tpm: {max: 60000, per: 1s}}\n", rng_range(r, 1, 4));
    buf_addf(y, "  \"*\": {tpm: 100M%s}\n", rng_chance(r, 50) ? ", usd_per_hour: 100000" : "");
    if (rng_chance(r, 60))
        buf_addf(y, "prices: {\"*\": {input: %" PRId64 ", output: 8}}\n", rng_range(r, 1, 9));
    if (rng_chance(r, 60))
        buf_addf(y, "clients: {odd: {weight: %" PRId64 "%s%s}}\n", rng_range(r, 1, 9), rng_chance(r, 30) ? ", rpm: 100000" : "",
                 rng_chance(r, 30) ? ", usd_per_day: 100000" : "");
}

/* Good as a rule; else one that says nonsense, or ends where a writer that is not done has got to. */
static void write_config(struct run *run)
{
    struct rng *r = &run->rng;
    struct fixture *f = &run->subject->f;
    struct buf y;

    buf_init(&y, BUF_UNLIMITED);
    buf_add_str(&y, "state_dir: $DIR/state\nretention: 36500d\nheadroom: 0%\nqueue: {keepalive: 20ms, keepalive_agents: [\"*\"]}\n");
    add_upstreams(run, &y);
    add_rest(run, &y);
    if (rng_chance(r, 15))
        buf_add_str(&y, rng_chance(r, 50) ? "headrom: 3\n" : "models: [\n");
    if (rng_chance(r, 20))
        y.p[rng_range(r, 1, (int64_t)y.n - 1)] = '\0';
    fixture_write_config(f, y.p);
    buf_release(&y);
}

static void touch_key(struct run *run)
{
    char path[128];

    snprintf(path, sizeof path, "%s/key", run->subject->f.dir);
    if (rng_chance(&run->rng, 40))
        (void)unlink(path);
    else
        write_file(path, rng_chance(&run->rng, 80) ? SLICE("sk-from-a-file\n") : SLICE("\n"));
}

static void draw(struct run *run)
{
    run->lost = true; /* of a file that is cut between two upstreams one half is a good one */
    run_draw_provider(run);
    run->start_us = clock_now_us();
    run->due_us = run->start_us;
}

static void act(struct run *run, int64_t now_us)
{
    if (rng_chance(&run->rng, 50))
        touch_key(run);
    if (rng_chance(&run->rng, 3))
        (void)unlink(run->subject->f.config);
    else
        write_config(run);
    process_signal(run->subject->f.daemon, SIGHUP);
    run->due_us = now_us + EVERY_US;
}

static void mend(struct run *run)
{
    struct fixture *f = &run->subject->f;
    size_t mark;

    subject_change(run->world, run->subject, 0);
    mark = process_log_mark(f->daemon);
    process_signal(f->daemon, SIGHUP);
    fixture_wait_log(f, mark, "reload: done"); /* of this file or, had one been pending, of the same */
}

const struct fault fault_config = {.name = "config",
                                   .what = "50 reloads a second of good, bad and half-written files",
                                   .runs = 10,
                                   .draw = draw,
                                   .act = act,
                                   .mend = mend};
