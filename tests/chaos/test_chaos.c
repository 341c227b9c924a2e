/*
 * chaos: clients and providers that do anything at any moment, by a seed, around the real daemon. Whatever they do, in
 * whatever state: nothing stays held, in flight or reserved, no descriptor stays open, every call has exactly one outcome and one row,
 * the provider sees each abort, and no client takes half an answer for a whole one.
 *
 * CHAOS_RUNS and CHAOS_SEED choose how many runs and the first seed (`make chaos RUNS=1000 SEED=7`); each run prints its seed,
 * and a failing one is repeated with that seed and one run. CHAOS_SLOW=N allows N times the time.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <cmocka.h>

#include "metergate/base/clock.h"
#include "player.h"
#include "provider.h"
#include "world.h"

#define PLAYERS_MAX 30
#define POLLED      (PLAYERS_MAX + PROVIDER_CONNECTIONS + 1)

struct run {
    struct world *world;
    struct subject *subject; /* the world's, or one of this run */
    struct subject own;
    struct rng rng;
    struct player players[PLAYERS_MAX];
    size_t n;
    bool calm;
    int64_t start_us;
    int64_t hangup_us, stop_us[2]; /* when signals go out; CLOCK_NEVER: not */
    bool starved;                  /* of descriptors */
};

/* ---- what will go wrong ---- */

static void draw_fault(struct rng *r, struct buf *json)
{
    static const char *const kinds[] = {"status:429,retry_after_ms:%d", "status:503,retry_after_ms:%d", "reset_after:%d",
                                        "close_after:%d",               "stall_after:%d",               "latency_ms:%d",
                                        "event_ms:1,split:%d",          "close_before_read:%d",         "reset_before_read:%d",
                                        "close_before_answer:%d",       "reset_before_answer:%d",       "length_off:%d",
                                        "bad_chunk:%d",                 "garbage:%d",                   "split:%d",
                                        "close_header:%d",              "interim:103,interims:%d",      "status:500,close_header:%d",
                                        "status:429,quota:%d",          "trailers:%d"};
    const char *kind = kinds[rng_range(r, 0, (int64_t)MG_ARRAY_LEN(kinds) - 1)];
    const char *number = strchr(kind, '%');
    int64_t most = strstr(kind, "_after:") ? 3000 : 60;

    buf_addf(json, "%s{\"fault\":\"%.*s%" PRId64 "\",\"every\":%" PRId64 ",\"skip\":%" PRId64 "}", json->n > 11 ? "," : "",
             (int)(number - kind), kind, rng_range(r, 1, most), rng_range(r, 1, 5), rng_range(r, 0, 3));
}

static void draw_faults(struct run *run)
{
    struct buf json;

    buf_init(&json, BUF_UNLIMITED);
    buf_add_str(&json, "{\"faults\":[");
    for (int64_t i = run->calm ? 0 : rng_range(&run->rng, 0, 4); i > 0; i--)
        draw_fault(&run->rng, &json);
    buf_addf(&json, "],\"keepalive_ms\":%d,\"models\":{\"*\":{\"first_byte_ms\":%" PRId64 ",\"event_ms\":%" PRId64 "}}}",
             run->calm || rng_chance(&run->rng, 70) ? 60000 : 5, rng_range(&run->rng, 0, 20),
             !run->calm && rng_chance(&run->rng, 20) ? INT64_C(1) : INT64_C(0));
    fixture_sim_config(&run->world->sim, json.p);
    buf_release(&json);
}

/* Few descriptors more than it has: accepting, connecting and lingering fail now and then. */
static void starve(struct run *run, bool on)
{
    pid_t pid = process_pid(run->subject->f.daemon);
    struct rlimit lim;

    if (run->subject->at_rest.other < 0) /* how many it has cannot be seen */
        return;
    assert_int_equal(prlimit(pid, RLIMIT_NOFILE, NULL, &lim), 0);
    lim.rlim_cur = on ? (rlim_t)(run->subject->at_rest.other + rng_range(&run->rng, 1, 20)) : lim.rlim_max;
    assert_int_equal(prlimit(pid, RLIMIT_NOFILE, &lim, NULL), 0);
}

static void draw_run(struct run *run)
{
    struct rng *r = &run->rng;
    bool stops;

    run->calm = rng_chance(r, 25);
    stops = !run->calm && rng_chance(r, 15);
    run->subject = &run->world->main;
    if (stops) {
        subject_start(run->world, &run->own);
        run->subject = &run->own;
    }
    draw_faults(run);
    provider_reset(&run->world->raw, rng_next(r));
    run->starved = !run->calm && rng_chance(r, 10);
    if (run->starved)
        starve(run, true);
    run->start_us = clock_now_us();
    run->hangup_us = rng_chance(r, 20) ? run->start_us + rng_range(r, 0, 200) * CLOCK_MS : CLOCK_NEVER;
    run->stop_us[0] = stops ? run->start_us + rng_range(r, 0, 200) * CLOCK_MS : CLOCK_NEVER;
    run->stop_us[1] = stops && rng_chance(r, 40) ? run->stop_us[0] + rng_range(r, 0, 100) * CLOCK_MS : CLOCK_NEVER;
    run->n = (size_t)rng_range(r, 1, PLAYERS_MAX);
    for (size_t i = 0; i < run->n; i++) {
        struct player_rules rules = {.calm = run->calm, .start_us = run->start_us, .patience_us = 250 * CLOCK_MS};

        player_init(&run->players[i], (int)i, run->world->seed, &run->world->letters, &rules, r);
    }
}

/* ---- the run ---- */

static void signal_when_due(struct run *run, int64_t *when_us, int signo, int64_t now_us)
{
    if (*when_us > now_us)
        return;
    *when_us = CLOCK_NEVER;
    if (signo == SIGHUP)
        subject_change(run->world, run->subject, (int)rng_range(&run->rng, 0, 2));
    process_signal(run->subject->f.daemon, signo);
}

static bool all_over(const struct run *run)
{
    for (size_t i = 0; i < run->n; i++)
        if (!run->players[i].over)
            return false;
    return true;
}

static int64_t earliest(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* One turn: what is due, then what the sockets allow. */
static void turn(struct run *run)
{
    struct pollfd fds[POLLED];
    int64_t now_us = clock_now_us();
    int64_t wake_us = earliest(run->hangup_us, earliest(run->stop_us[0], run->stop_us[1]));
    size_t raw;

    raw = provider_poll(&run->world->raw, fds, now_us, &wake_us);
    for (size_t i = 0; i < run->n; i++)
        player_poll(&run->players[i], &fds[raw + i], now_us, &wake_us);
    wake_us = earliest(wake_us, now_us + 50 * CLOCK_MS);
    poll(fds, raw + run->n, wake_us > now_us ? (int)((wake_us - now_us + 999) / 1000) : 0);
    now_us = clock_now_us();
    provider_run(&run->world->raw, fds, raw, now_us);
    for (size_t i = 0; i < run->n; i++)
        player_run(&run->players[i], &fds[raw + i], run->subject->f.port, now_us);
    signal_when_due(run, &run->hangup_us, SIGHUP, now_us);
    signal_when_due(run, &run->stop_us[0], SIGTERM, now_us);
    signal_when_due(run, &run->stop_us[1], SIGTERM, now_us);
}

/* Everybody was answered, or has left: the daemon must come to rest, and so must its provider. */
static void check_end(struct run *run)
{
    struct world *w = run->world;

    if (run->starved)
        starve(run, false);
    if (run->subject == &w->main) {
        subject_assert_settled(w, run->subject);
    } else {
        if (run->stop_us[0] < CLOCK_NEVER)
            process_signal(run->own.f.daemon, SIGTERM);
        if (process_wait_exit(run->own.f.daemon, 5 * world_patience_us() / CLOCK_MS) != 0)
            world_fail(w, &run->own, "the daemon that was stopped did not end, or not with 0");
        subject_assert_kept(w, &run->own);
        fixture_stop(&run->own.f);
    }
    world_assert_provider(w);
}

static void run_seed(struct world *w, uint64_t seed)
{
    struct run run = {.world = w, .rng = {seed}};
    int64_t end_us;

    w->seed = seed;
    w->players = run.players;
    draw_run(&run);
    w->n = run.n;
    end_us = run.start_us + 20 * world_patience_us();
    while (!all_over(&run)) {
        turn(&run);
        if (clock_now_us() > end_us)
            world_fail(w, run.subject, "a client that stays was not answered");
    }
    check_end(&run);
    w->players = NULL;
    w->n = 0;
    for (size_t i = 0; i < run.n; i++)
        player_release(&run.players[i]);
    printf("seed %" PRIu64 ": %zu clients%s%s%s, %" PRId64 " ms, %" PRId64 " KiB, %d to providers\n", seed, run.n, run.calm ? ", calm" : "",
           run.subject != &w->main ? ", stopped" : "", run.starved ? ", starved" : "", (clock_now_us() - run.start_us) / CLOCK_MS,
           subject_rss_bytes(&w->main) / 1024, w->main.now.upstream);
}

static int64_t number_from(const char *name, int64_t otherwise)
{
    const char *text = getenv(name);

    return text && *text ? strtoll(text, NULL, 10) : otherwise;
}

static void test_chaos__whatever_happens__everything_returns_to_zero(void **state)
{
    int64_t runs = number_from("CHAOS_RUNS", 30), first = number_from("CHAOS_SEED", 1);
    struct world *w = *state;

    world_init(w);
    for (int64_t i = 0; i < runs; i++)
        run_seed(w, (uint64_t)(first + i));
    printf("%" PRId64 " runs; slowest abort seen by the provider: %" PRId64 " ms\n", runs, w->slowest_abort_us / CLOCK_MS);
    world_release(w);
}

/* A daemon that is still there did not come to its end: what it said last tells why. */
static int show_log(void **state)
{
    const struct world *w = *state;
    char *log = w->main.f.daemon ? process_log(w->main.f.daemon) : NULL;
    size_t n = log ? strlen(log) : 0;

    if (log)
        fprintf(stderr, "seed %" PRIu64 " was the last; the end of the log:\n%s\n", w->seed, log + (n > 8000 ? n - 8000 : 0));
    free(log);
    return 0;
}

int main(void)
{
    static struct world world;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate_setup_teardown(test_chaos__whatever_happens__everything_returns_to_zero, NULL, show_log, &world),
    };

    setvbuf(stdout, NULL, _IOLBF, 0);
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
