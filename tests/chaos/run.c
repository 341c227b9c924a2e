/* run: clients of a pack are played by its process; here they are over from the start, and have left when it is killed. */
#include "run.h"

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
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "fault.h"
#include "metergate/base/clock.h"

#define POLLED (RUN_PLAYERS + PROVIDER_CONNECTIONS + 1)

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

void run_draw_provider(struct run *run)
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
    provider_reset(&run->world->raw, rng_next(&run->rng));
}

void run_starve(struct run *run, bool on)
{
    pid_t pid = process_pid(run->subject->f.daemon);
    struct rlimit lim;

    if (run->subject->at_rest.other < 0) /* how many it has cannot be seen */
        return;
    assert_int_equal(prlimit(pid, RLIMIT_NOFILE, NULL, &lim), 0);
    lim.rlim_cur = on ? (rlim_t)(run->subject->at_rest.other + rng_range(&run->rng, 1, 20)) : lim.rlim_max;
    assert_int_equal(prlimit(pid, RLIMIT_NOFILE, &lim, NULL), 0);
}

void run_takes_own_daemon(struct run *run)
{
    subject_start(run->world, &run->own);
    run->subject = &run->own;
}

int64_t run_moment_us(struct run *run, int64_t most_ms)
{
    return run->start_us + rng_range(&run->rng, 0, most_ms) * CLOCK_MS;
}

static void draw_run(struct run *run)
{
    struct rng *r = &run->rng;

    run->subject = &run->world->main;
    run->due_us = CLOCK_NEVER;
    run->fault->draw(run);
    run->n = (size_t)rng_range(r, 1, RUN_PLAYERS);
    for (size_t i = 0; i < run->n; i++) {
        struct player_rules rules = {.calm = run->calm, .lost = run->lost, .start_us = run->start_us, .patience_us = 250 * CLOCK_MS};

        player_init(&run->players[i], (int)i, run->world->seed, &run->world->letters, &rules, r);
    }
}

/* ---- the run ---- */

static bool all_over(const struct run *run)
{
    for (size_t i = 0; i < run->n; i++)
        if (!run->players[i].over)
            return false;
    for (size_t i = 0; i < RUN_PACKS; i++)
        if (run->packs[i].pid)
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
    int64_t now_us = clock_now_us(), wake_us = run->due_us;
    size_t raw;

    raw = provider_poll(&run->world->raw, fds, now_us, &wake_us);
    for (size_t i = 0; i < run->n; i++)
        player_poll(&run->players[i], &fds[raw + i], now_us, &wake_us);
    for (size_t i = 0; i < RUN_PACKS; i++)
        wake_us = run->packs[i].pid ? earliest(wake_us, run->packs[i].kill_us) : wake_us;
    wake_us = earliest(wake_us, now_us + 50 * CLOCK_MS);
    poll(fds, raw + run->n, wake_us > now_us ? (int)((wake_us - now_us + 999) / 1000) : 0);
    now_us = clock_now_us();
    provider_run(&run->world->raw, fds, raw, now_us);
    for (size_t i = 0; i < run->n; i++)
        player_run(&run->players[i], &fds[raw + i], run->subject->f.port, now_us);
    if (run->due_us <= now_us) {
        run->due_us = CLOCK_NEVER;
        run->fault->act(run, now_us);
    }
}

/* ---- packs ---- */

/* The process of a pack: its clients until it is killed. */
static void play_pack(struct run *run, const struct run_pack *pack)
{
    struct pollfd fds[RUN_PLAYERS];

    player_fails_alone();
    for (;;) {
        int64_t now_us = clock_now_us(), wake_us = now_us + CLOCK_S;

        for (size_t i = 0; i < pack->n; i++)
            player_poll(&run->players[pack->first + i], &fds[i], now_us, &wake_us);
        poll(fds, pack->n, wake_us > now_us ? (int)((wake_us - now_us + 999) / 1000) : 0);
        for (size_t i = 0; i < pack->n; i++)
            player_run(&run->players[pack->first + i], &fds[i], run->subject->f.port, clock_now_us());
    }
}

static void start_packs(struct run *run)
{
    for (size_t i = 0; i < RUN_PACKS; i++) {
        struct run_pack *pack = &run->packs[i];

        if (pack->first + pack->n > run->n)
            pack->n = run->n > pack->first ? run->n - pack->first : 0;
        if (pack->n == 0)
            continue;
        fflush(NULL);
        pack->pid = fork();
        assert_true(pack->pid >= 0);
        if (pack->pid == 0)
            play_pack(run, pack);
        for (size_t j = pack->first; j < pack->first + pack->n; j++)
            run->players[j].over = true;
    }
}

static void kill_packs_when_due(struct run *run)
{
    for (size_t i = 0; i < RUN_PACKS; i++) {
        struct run_pack *pack = &run->packs[i];
        int status = 0;

        if (!pack->pid || pack->kill_us > clock_now_us())
            continue;
        kill(pack->pid, SIGKILL);
        assert_int_equal(waitpid(pack->pid, &status, 0), pack->pid);
        pack->pid = 0;
        if (!WIFSIGNALED(status))
            world_fail(run->world, run->subject, "a client in a process of its own was answered wrongly");
        for (size_t j = pack->first; j < pack->first + pack->n; j++) {
            run->players[j].left_us = clock_now_us();
            run->players[j].saw.left += (int64_t)run->players[j].n;
        }
    }
}

/* ---- the end ---- */

/* Everybody was answered, or has left: the daemon must come to rest, and so must its provider. */
static void check_end(struct run *run)
{
    struct world *w = run->world;

    if (run->fault->mend)
        run->fault->mend(run);
    if (run->subject == &w->main) {
        subject_assert_settled(w, run->subject);
    } else {
        process_signal(run->own.f.daemon, SIGTERM);
        if (process_wait_exit(run->own.f.daemon, 5 * world_patience_us() / CLOCK_MS) != 0)
            world_fail(w, &run->own, "the daemon that was stopped did not end, or not with 0");
        subject_assert_kept(w, &run->own);
        fixture_stop(&run->own.f);
    }
    world_assert_provider(w);
}

static void print_run(const struct run *run)
{
    printf("%s, seed %" PRIu64 ": %zu clients%s%s%s, %" PRId64 " ms, %" PRId64 " KiB, %d to providers\n", run->fault->name,
           run->world->seed, run->n, run->calm ? ", calm" : "", run->subject != &run->world->main ? ", stopped" : "",
           run->starved ? ", starved" : "", (clock_now_us() - run->start_us) / CLOCK_MS,
           subject_rss_bytes(&run->world->main) / 1024, run->world->main.now.upstream);
}

static void add_seen(struct run *run, struct player_saw *saw)
{
    for (size_t i = 0; i < run->n; i++) {
        const struct player_saw *s = &run->players[i].saw;

        saw->answered += s->answered;
        saw->refused += s->refused;
        saw->failed += s->failed;
        saw->cut += s->cut;
        saw->left += s->left;
        player_release(&run->players[i]);
    }
}

void run_seed(struct world *w, const struct fault *fault, uint64_t seed, struct player_saw *saw)
{
    struct run run = {.world = w, .fault = fault, .rng = {seed}};
    int64_t end_us;

    w->seed = seed;
    w->players = run.players;
    w->extra_us = 0;
    run.start_us = clock_now_us();
    draw_run(&run);
    w->n = run.n;
    start_packs(&run);
    end_us = run.start_us + 20 * world_patience_us();
    while (!all_over(&run)) {
        turn(&run);
        kill_packs_when_due(&run);
        if (clock_now_us() > end_us)
            world_fail(w, run.subject, "a client that stays was not answered");
    }
    check_end(&run);
    w->players = NULL;
    w->n = 0;
    print_run(&run);
    add_seen(&run, saw);
}
