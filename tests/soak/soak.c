/*
 * soak: a day of mixed load and faults in scaled time: daemon and simulator live SOAK_SCALE times faster (tests/shim), the players and
 * errands of this program keep them busy, and every simulated hour all is brought to rest and checked as after each run of
 * tests/chaos: nothing held, reserved or open, a row for every call that anybody was answered, no attempt that the provider did not
 * see or saw twice. Memory, descriptors and threads are sampled every ten minutes, and may not grow from the second quarter to the last.
 *
 *     make soak HOURS=24 SCALE=96     a quarter of an hour; SEED= another day
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
#include <sys/stat.h>

#include <cmocka.h>
#include <cjson/cJSON.h>

#include "../chaos/fault.h"
#include "../chaos/player.h"
#include "../chaos/run.h"
#include "../chaos/world.h"
#include "../e2e/ledger_fixture.h"
#include "../shim/steer.h"
#include "errand.h"
#include "metergate/base/clock.h"
#include "metergate/ledger/row.h"

#define SLOTS    8
#define ERRANDS  3
#define SAMPLES  4096
#define HOUR_US  (3600 * CLOCK_S)
#define EVERY_US (600 * CLOCK_S) /* of simulated time, between samples */

struct sample {
    int64_t rss_kb, wal_kb, threads;
    struct open_files open;
};

struct soak {
    struct world world;
    struct rng rng;
    struct player players[SLOTS];
    struct errand errands[ERRANDS];
    int next_id;
    int64_t scale, hours, seed;
    int64_t suspended_us; /* of the simulated time, by suspends: they are no part of the day */
    struct buf ids;       /* of answered calls, since the last rest; a line each */
    struct player_saw saw;
    struct sample samples[SAMPLES];
    size_t n;
    int64_t rows, answered_ids, attempts, arrivals, reloads, suspends, steps, wal_kb;
};

/* Everything in simulated time: what takes seconds at a provider takes tens of milliseconds here. */
static const char settings[] =
    "{\"faults\":[{\"fault\":\"status:429,retry_after_ms:3000\",\"every\":41},{\"fault\":\"status:503,retry_after_ms:2000\",\"every\":59},"
    "{\"fault\":\"reset_after:700\",\"every\":67},{\"fault\":\"close_after:300\",\"every\":71},{\"fault\":\"stall_after:500\",\"every\":173},"
    "{\"fault\":\"status:500\",\"every\":79}],"
    "\"keepalive_ms\":600000,\"models\":{\"*\":{\"first_byte_ms\":800,\"event_ms\":5}}}";

static const char yaml[] =
    "state_dir: $DIR/state\n"
    "retention: 36500d\n"
    "headroom: 0%\n"
    "queue: {max_wait: 30m, keepalive: 20s, keepalive_agents: [\"*\"]}\n"
    "upstreams:\n"
    "  openai: {dialect: openai, base_url: $SIM/v1, counting: actual, timeout: {connect: 300s, first_byte: 900s, idle: 600s}}\n"
    "  raw: {dialect: openai, base_url: http://127.0.0.1:$RAW/v1, counting: actual, timeout: {connect: 300s, first_byte: 300s, idle: 200s}}\n"
    "  dead: {dialect: openai, base_url: http://127.0.0.1:$DEAD/v1}\n"
    "models:\n"
    "  gpt-4o: {concurrent: 4}\n"
    "  gpt-4o-mini: {tpm: 200k, rpm: 300, concurrent: 6}\n"
    "  gpt-raw: {concurrent: 4, tpm: 500k}\n"
    "  \"*\": {tpm: 100M, usd_per_hour: 100000}\n"
    "prices: {\"*\": {input: 2, output: 8}}\n"
    "clients:\n"
    "  odd: {weight: 2, usd_per_day: 100000}\n";

/* ---- time ---- */

/* Since the start, without what suspends added. */
static int64_t simulated_us(const struct soak *s)
{
    return steer_boot_us(s->world.steer) - s->world.steer->boot0_us - s->suspended_us;
}

/* ---- load ---- */

static void new_player(struct soak *s, struct player *p)
{
    struct player_rules rules = {.start_us = clock_now_us() + rng_range(&s->rng, 0, 400) * CLOCK_MS, .patience_us = 4 * CLOCK_S,
                                 .ids = &s->ids};

    player_init(p, s->next_id++, (uint64_t)s->seed, &s->world.letters, &rules, &s->rng);
}

static void end_player(struct soak *s, struct player *p)
{
    s->saw.answered += p->saw.answered;
    s->saw.refused += p->saw.refused;
    s->saw.failed += p->saw.failed;
    s->saw.cut += p->saw.cut;
    s->saw.left += p->saw.left;
    player_release(p);
}

/* One turn of all; false: nobody is left, which happens only when they are not to go on. */
static bool turn(struct soak *s, bool go_on)
{
    struct pollfd fds[PROVIDER_CONNECTIONS + 1 + SLOTS];
    int64_t now_us = clock_now_us(), wake_us = now_us + 20 * CLOCK_MS;
    size_t raw = provider_poll(&s->world.raw, fds, now_us, &wake_us);
    bool busy = false;

    for (size_t i = 0; i < SLOTS; i++)
        player_poll(&s->players[i], &fds[raw + i], now_us, &wake_us);
    poll(fds, raw + SLOTS, wake_us > now_us ? (int)((wake_us - now_us + 999) / 1000) : 0);
    now_us = clock_now_us();
    provider_run(&s->world.raw, fds, raw, now_us);
    for (size_t i = 0; i < SLOTS; i++) {
        struct player *p = &s->players[i];

        player_run(p, &fds[raw + i], s->world.main.f.port, now_us);
        if (p->over && go_on) {
            end_player(s, p);
            new_player(s, p);
        }
        busy |= !p->over;
    }
    for (size_t i = 0; i < ERRANDS; i++) {
        errand_run(&s->errands[i], &s->world.main.f, &s->rng, go_on, now_us);
        busy |= s->errands[i].call != NULL;
    }
    return busy;
}

/* ---- what goes wrong besides ---- */

static void disturb(struct soak *s)
{
    struct world *w = &s->world;

    switch (rng_range(&s->rng, 0, 5)) {
    case 0:
        process_signal(w->main.f.daemon, SIGHUP);
        s->reloads++;
        break;
    case 1:
        steer_set_wall(w->steer, rng_range(&s->rng, -2, 2) * HOUR_US);
        s->steps++;
        break;
    case 2: {
        int64_t us = rng_range(&s->rng, 1, 20) * 60 * CLOCK_S;

        s->suspended_us += us;
        steer_suspend(w->steer, us);
        s->suspends++;
        break;
    }
    case 3:
        atomic_store(&w->steer->error[STEER_ACCEPT], ENFILE);
        atomic_store(&w->steer->error_per_mille[STEER_ACCEPT], 200);
        break;
    default:
        steer_calm(w->steer);
        break;
    }
}

/* ---- figures ---- */

static int64_t proc_number(const struct soak *s, const char *name)
{
    char path[64], line[256];
    size_t n = strlen(name);
    int64_t value = 0;
    FILE *f;

    snprintf(path, sizeof path, "/proc/%d/status", (int)process_pid(s->world.main.f.daemon));
    f = fopen(path, "re");
    assert_non_null(f);
    while (fgets(line, sizeof line, f))
        if (strncmp(line, name, n) == 0)
            value = strtoll(line + n, NULL, 10);
    fclose(f);
    return value;
}

static void take_sample(struct soak *s)
{
    struct sample *it = &s->samples[s->n];
    struct stat st;

    if (s->n == SAMPLES)
        return;
    s->n++;
    it->rss_kb = proc_number(s, "VmRSS:");
    it->threads = proc_number(s, "Threads:");
    it->wal_kb = stat(ledger_path(&s->world.main.f, "ledger.db-wal"), &st) == 0 ? st.st_size / 1024 : 0;
    it->open = subject_open_files(&s->world.main);
    if (it->wal_kb > s->wal_kb)
        s->wal_kb = it->wal_kb;
}

/* ---- rest ---- */

/* Every id that a client was answered with is the id of one row. */
static void check_ids(struct soak *s)
{
    struct slice rest = buf_slice(&s->ids);
    struct buf sql;
    int64_t n = 0, id;

    buf_init(&sql, BUF_UNLIMITED);
    buf_add_str(&sql, "SELECT count(*) FROM calls WHERE id IN (-1");
    while (rest.n) {
        struct slice line = slice_head(rest, slice_find(rest, '\n'));

        rest = slice_skip(rest, line.n + 1);
        if (row_id_read(line.p, line.n, &id) == 0) {
            buf_addf(&sql, ",%" PRId64, id);
            n++;
        }
    }
    buf_add_str(&sql, ")");
    if (ledger_ask(&s->world.main.f, sql.p) != n)
        world_fail(&s->world, &s->world.main, "a call that was answered has no row");
    s->answered_ids += n;
    buf_release(&sql);
    buf_reset(&s->ids);
}

/* Of the provider's arrivals: each is an attempt of a row, and each call that completed is one of them. */
static void check_attempts(struct soak *s)
{
    static const char of_openai[] = "FROM calls JOIN names u ON u.id = upstream JOIN names e ON e.id = endpoint"
                                    " WHERE u.text = 'openai' AND e.text <> 'reserve'";
    const struct fixture *f = &s->world.main.f;
    cJSON *audit = fixture_audit(&s->world.sim);
    int64_t arrivals = (int64_t)json_number(audit, "arrivals"), attempts, completed;
    char sql[256];

    snprintf(sql, sizeof sql, "SELECT coalesce(sum(attempts), 0) %s", of_openai);
    attempts = ledger_ask(f, sql);
    snprintf(sql, sizeof sql, "SELECT count(*) %s AND outcome = 0", of_openai);
    completed = ledger_ask(f, sql);
    s->arrivals += arrivals;
    s->attempts = attempts;
    s->rows = ledger_ask(f, "SELECT count(*) FROM calls");
    cJSON_Delete(audit);
    if (s->arrivals > attempts || completed > s->arrivals) {
        printf("%" PRId64 " arrivals, %" PRId64 " attempts in rows, %" PRId64 " calls completed\n", s->arrivals, attempts, completed);
        world_fail(&s->world, &s->world.main, "attempts that the provider saw and those in the ledger differ");
    }
}

static void come_to_rest(struct soak *s)
{
    int64_t end_us = clock_now_us() + 60 * CLOCK_S;

    steer_calm(s->world.steer);
    while (turn(s, false))
        if (clock_now_us() > end_us)
            world_fail(&s->world, &s->world.main, "a client that waits was not answered");
    steer_suspend(s->world.steer, 660 * CLOCK_S); /* leases that nobody settles are over */
    s->suspended_us += 660 * CLOCK_S;
    subject_assert_settled(&s->world, &s->world.main);
    check_ids(s);
    check_attempts(s);
    world_assert_provider(&s->world);
    fixture_sim_config(&s->world.sim, settings);
    provider_reset(&s->world.raw, rng_next(&s->rng));
}

static void print_hour(const struct soak *s, int64_t hour)
{
    const struct sample *it = &s->samples[s->n - 1];

    printf("hour %2" PRId64 ": %" PRId64 " rows, %" PRId64 " attempts (%" PRId64 " seen), RSS %" PRId64 " KiB, %d+%d descriptors, %" PRId64
           " threads, WAL %" PRId64 " KiB\n",
           hour, s->rows, s->attempts, s->arrivals, it->rss_kb, it->open.other, it->open.upstream, it->threads, it->wal_kb);
}

/* The mean of samples i..j-1 of one figure. */
static int64_t mean(const struct soak *s, size_t from, size_t to, int64_t (*figure)(const struct sample *))
{
    int64_t sum = 0;

    for (size_t i = from; i < to; i++)
        sum += figure(&s->samples[i]);
    return to > from ? sum / (int64_t)(to - from) : 0;
}

static int64_t rss_of(const struct sample *it)
{
    return it->rss_kb;
}

static int64_t others_of(const struct sample *it)
{
    return it->open.other;
}

static int64_t threads_of(const struct sample *it)
{
    return it->threads;
}

static void check_growth(const struct soak *s)
{
    static const struct {
        const char *name;
        int64_t (*of)(const struct sample *);
        int64_t percent, least; /* what it may be more */
    } figures[] = {{"RSS KiB", rss_of, 5, 2048}, {"descriptors", others_of, 3, 3}, {"threads", threads_of, 0, 2}};

    for (size_t i = 0; i < MG_ARRAY_LEN(figures); i++) {
        int64_t second = mean(s, s->n / 4, s->n / 2, figures[i].of), last = mean(s, s->n * 3 / 4, s->n, figures[i].of);
        int64_t may = second * figures[i].percent / 100;

        printf("%s: %" PRId64 " in the second quarter, %" PRId64 " in the last\n", figures[i].name, second, last);
        if (last > second + (may > figures[i].least ? may : figures[i].least))
            world_fail(&s->world, &s->world.main, figures[i].name);
    }
}

/* ---- the day ---- */

static void configure(struct world *w)
{
    const char *p = yaml;
    size_t n = 0, size = sizeof w->yaml;

    while (*p && n + 100 < size) {
        if (strncmp(p, "$SIM", 4) == 0) {
            n += (size_t)snprintf(w->yaml + n, size - n, "%s", w->sim.simulator_url);
            p += 4;
        } else if (strncmp(p, "$RAW", 4) == 0) {
            n += (size_t)snprintf(w->yaml + n, size - n, "%d", w->raw.port);
            p += 4;
        } else if (strncmp(p, "$DEAD", 5) == 0) {
            n += (size_t)snprintf(w->yaml + n, size - n, "%d", w->dead_port);
            p += 5;
        } else {
            w->yaml[n++] = *p++;
        }
    }
    assert_true(*p == '\0');
    w->yaml[n] = '\0';
}

static const struct fault day = {.name = "soak", .steers = true, .configure = configure};

static bool start(struct soak *s)
{
    struct world *w = &s->world;

    w->scale = s->scale;
    if (!world_init(w, &day))
        return false;
    letters_add_own(&w->letters);
    w->settle_us = 60 * CLOCK_S;
    w->extra_us = 10 * CLOCK_S;
    w->torn = true;
    fixture_sim_post(&w->sim, "/_sim/reset", NULL); /* it was asked for the letters' answers */
    fixture_sim_config(&w->sim, settings);
    provider_reset(&w->raw, (uint64_t)s->seed);
    buf_init(&s->ids, BUF_UNLIMITED);
    for (size_t i = 0; i < SLOTS; i++)
        new_player(s, &s->players[i]);
    return true;
}

static void live(struct soak *s)
{
    int64_t sample_us = EVERY_US;

    for (int64_t hour = 1; hour <= s->hours; hour++) {
        while (simulated_us(s) < hour * HOUR_US) {
            (void)turn(s, true);
            if (simulated_us(s) < sample_us)
                continue;
            sample_us += EVERY_US;
            take_sample(s);
            disturb(s);
        }
        s->world.seed = (uint64_t)s->seed;
        come_to_rest(s);
        print_hour(s, hour);
    }
}

static void report(const struct soak *s)
{
    int64_t granted = 0, settled = 0, listened = 0;

    for (size_t i = 0; i < ERRANDS; i++) {
        granted += s->errands[i].granted;
        settled += s->errands[i].settled;
        listened += s->errands[i].listened;
    }
    printf("%" PRId64 " simulated hours: %" PRId64 " rows; clients: %" PRId64 " answered, %" PRId64 " refused, %" PRId64 " 5xx, %" PRId64
           " cut, %" PRId64 " left; %" PRId64 " ids of answers, each with its row\n",
           s->hours, s->rows, s->saw.answered, s->saw.refused, s->saw.failed, s->saw.cut, s->saw.left, s->answered_ids);
    printf("%" PRId64 " leases, %" PRId64 " of them settled; %" PRId64 " listened to events; %" PRId64 " reloads, %" PRId64
           " suspends, %" PRId64 " steps of the wall clock; WAL at most %" PRId64 " KiB\n",
           granted, settled, listened, s->reloads, s->suspends, s->steps, s->wal_kb);
}

static int64_t number_from(const char *name, int64_t otherwise)
{
    const char *text = getenv(name);

    return text && *text ? strtoll(text, NULL, 10) : otherwise;
}

/* SQLite starts its log again at 1,000 pages of 4 KiB; a reader at that moment lets it grow some more. */
#define WAL_MOST_KB (16 << 10)

static void test_soak__of_a_day__grows_nothing_and_loses_nothing(void **state)
{
    struct soak *s = *state;

    s->hours = number_from("SOAK_HOURS", 24);
    s->scale = number_from("SOAK_SCALE", 96);
    s->seed = number_from("SOAK_SEED", 1);
    s->rng.s = (uint64_t)s->seed;
    if (!start(s))
        skip();
    live(s);
    report(s);
    check_growth(s);
    assert_true(s->wal_kb < WAL_MOST_KB);
    for (size_t i = 0; i < SLOTS; i++)
        end_player(s, &s->players[i]);
    for (size_t i = 0; i < ERRANDS; i++)
        errand_stop(&s->errands[i]);
    world_release(&s->world, &day);
    buf_release(&s->ids);
}

int main(void)
{
    static struct soak soak;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(test_soak__of_a_day__grows_nothing_and_loses_nothing, &soak),
    };

    setvbuf(stdout, NULL, _IOLBF, 0);
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
