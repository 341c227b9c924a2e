/*
 * bench_store [ROWS [keep]]: what a row costs the loop and the writer, how large the database gets, and how
 * long a start takes beside it: 10,000,000 calls of 300 days, of 20 clients and 8 models, unless another
 * number is given. "keep" leaves the directory where it is.
 */
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "metergate/base/clock.h"
#include "metergate/base/prng.h"
#include "metergate/ledger/db.h"
#include "metergate/ledger/journal.h"
#include "metergate/ledger/ledger.h"
#include "metergate/ledger/store.h"

enum { BATCH = 1000, CLIENTS = 20, MODELS = 8, HELD_EVERY = 5 };

#define DAY_US    (86400 * CLOCK_S)
#define SPAN_US   (300 * DAY_US)
#define KEPT_US   (400 * DAY_US)
#define LOOP_ROWS 200000

static struct prng dice = {1};
static char dir[64], path[96];

static void a_row(struct ledger_row *r, int64_t id, int64_t t_us)
{
    memset(r, 0, sizeof *r);
    r->id = id;
    r->t_us = t_us;
    snprintf(r->client, sizeof r->client, "client-%d", (int)prng_below(&dice, CLIENTS));
    snprintf(r->upstream, sizeof r->upstream, "openai");
    snprintf(r->model, sizeof r->model, "gpt-4o-2024-08-%02d", (int)prng_below(&dice, MODELS));
    snprintf(r->budget, sizeof r->budget, "gpt-4o");
    snprintf(r->endpoint, sizeof r->endpoint, "chat");
    snprintf(r->budget_scope, sizeof r->budget_scope, "entry");
    r->status = 200;
    r->attempts = 1;
    r->estimated_input = 500 + prng_below(&dice, 4000);
    r->estimated_output = 300;
    r->usage = (struct usage){.input = r->estimated_input, .cached = 128 * prng_below(&dice, 4),
                              .output = prng_below(&dice, 800)};
    r->source = ROW_BY_PROVIDER;
    r->cost_nano = 2500 * r->usage.input + 10000 * r->usage.output;
    snprintf(r->price.name, sizeof r->price.name, "gpt-4o");
    r->price.since = 20261101;
    r->price.rates = (struct rates){{2500000, 1250000, PRICE_UNKNOWN, PRICE_UNKNOWN, 10000000}};
    r->total_us = 1000000 + prng_below(&dice, 20000000);
    r->first_byte_us = 400000;
    r->charge.sent_us = t_us - r->total_us;
    r->charge.on_arrival[METRIC_REQUESTS] = 1;
    r->charge.on_arrival[METRIC_TOKENS] = r->usage.input + r->usage.output;
    if (id % HELD_EVERY == 0) {
        r->queued_us = 300000;
        r->hold_count = 1;
        r->hold[0] = (struct row_hold){.what = "tpm", .whose = ROW_OF_BUDGET, .to_us = 300000};
    }
}

static double thread_us(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
    return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
}

/* What the thread that ends rows spends, beside what it writes into them. */
static void measure_loop(void)
{
    struct ledger *l = ledger_open(dir, KEPT_US);
    static struct ledger_row made[BATCH];
    double spent = 0;

    for (int64_t i = 0; i < LOOP_ROWS; i++) {
        struct ledger_row *begun, *ended;
        double before;

        if (i % BATCH == 0) {
            (void)ledger_flush(l, 10000);
            for (int k = 0; k < BATCH; k++)
                a_row(&made[k], i + k + 1, clock_wall_us());
        }
        before = thread_us();
        begun = ledger_take(l);
        *begun = made[i % BATCH];
        ledger_begin(l, begun);
        ended = ledger_take(l);
        *ended = *begun;
        ledger_end(l, ended);
        ledger_drop(l, begun);
        spent += thread_us() - before;
    }
    ledger_close(l);
    printf("on the loop, begun, ended and dropped: %.2f us a call\n", spent / LOOP_ROWS);
}

static void tidy(struct store *s, int64_t now_us, double *longest_ms)
{
    struct errbuf e;
    bool more = true;

    while (more) {
        int64_t before = clock_now_us();
        double ms;

        if (store_tidy(s, now_us, KEPT_US, &more, &e) != 0) {
            printf("tidy: %s\n", e.text);
            exit(1);
        }
        ms = (double)(clock_now_us() - before) / 1e3;
        *longest_ms = ms > *longest_ms ? ms : *longest_ms;
    }
}

static void fill(int64_t rows)
{
    static struct ledger_row made[BATCH];
    const struct ledger_row *all[BATCH];
    int64_t from_us = clock_wall_us() - SPAN_US, spent_us = 0;
    double longest_ms = 0;
    struct store *s;
    struct errbuf e;

    if (store_open(path, 1000, &s, &e) != 0) {
        printf("%s: %s\n", path, e.text);
        exit(1);
    }
    for (int64_t i = 0; i < rows; i += BATCH) {
        int64_t before;

        for (int k = 0; k < BATCH; k++) {
            a_row(&made[k], row_id(77, (uint64_t)(i + k + 1)), from_us + SPAN_US / rows * (i + k));
            all[k] = &made[k];
        }
        before = clock_now_us();
        if (store_write(s, all, BATCH, &e) != 0) {
            printf("%s\n", e.text);
            exit(1);
        }
        spent_us += clock_now_us() - before;
        tidy(s, made[BATCH - 1].t_us, &longest_ms);
    }
    store_close(s);
    printf("written, %d in a transaction: %.1f us a row; the longest step of tidying %.1f ms\n", BATCH,
           (double)spent_us / (double)rows, longest_ms);
}

static void count(void *arg, struct slice scope, const struct ledger_charged *v, size_t n)
{
    (void)scope;
    (void)v;
    *(size_t *)arg += n;
}

static void measure_start(void)
{
    for (int i = 0; i < 3; i++) {
        int64_t before = clock_now_us(), opened;
        struct ledger *l = ledger_open(dir, KEPT_US);
        size_t charges = 0;

        opened = clock_now_us();
        ledger_history(l, SLICE("budget:"), 31 * DAY_US, count, &charges);
        ledger_history(l, SLICE("client:"), 31 * DAY_US, count, &charges);
        printf("start: opened in %.1f ms, %zu charges read in %.1f ms\n", (double)(opened - before) / 1e3, charges,
               (double)(clock_now_us() - opened) / 1e3);
        ledger_close(l);
    }
}

/* It may not write, ends as many rows as may wait, and dies. */
static void die_with(int rows)
{
    struct ledger *l = ledger_open(dir, KEPT_US);
    struct db *other;

    if (db_open(path, 1000, &other) != DB_OK || db_exec(other, "BEGIN EXCLUSIVE") != DB_OK)
        _exit(1);
    for (int i = 0; i < rows; i++) {
        struct ledger_row *r = ledger_take(l);

        a_row(r, row_id(78, (uint64_t)i + 1), clock_wall_us());
        ledger_end(l, r);
    }
    raise(SIGKILL);
}

static void measure_recovery(int rows)
{
    int64_t before;
    struct ledger_health h;
    struct ledger *l;
    pid_t child;

    fflush(stdout);
    child = fork();
    if (child == 0)
        die_with(rows);
    waitpid(child, NULL, 0);
    before = clock_now_us();
    l = ledger_open(dir, KEPT_US);
    ledger_health(l, &h);
    printf("start after a death: %lld waiting rows written in %.1f ms\n", (long long)h.recovered,
           (double)(clock_now_us() - before) / 1e3);
    ledger_close(l);
}

static int remove_one(const char *name, const struct stat *st, int flag, struct FTW *at)
{
    (void)st;
    (void)flag;
    (void)at;
    return remove(name);
}

int main(int argc, char **argv)
{
    int64_t rows = argc > 1 ? strtoll(argv[1], NULL, 10) : 10000000;
    struct stat st;

    snprintf(dir, sizeof dir, "/tmp/metergate-bench-XXXXXX");
    if (!mkdtemp(dir))
        return 1;
    snprintf(path, sizeof path, "%s/ledger.db", dir);
    measure_loop();
    unlink(path);
    fill(rows);
    if (stat(path, &st) == 0)
        printf("%lld rows: %.0f MB, %.0f bytes a row\n", (long long)rows, (double)st.st_size / 1e6,
               (double)st.st_size / (double)rows);
    measure_start();
    measure_recovery(100);
    measure_recovery(JOURNAL_SLOTS_MAX / 4 * 3);
    if (argc < 3)
        return nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS) != 0;
    printf("kept in %s\n", dir);
    return 0;
}
