/*
 * bench_ledger: what the ledger costs. `bench_ledger [rows]`.
 *
 * First the loop's part of a call: a row is taken, filled and begun before its attempt, another is taken, filled and ended
 * after it, and the first is dropped; a second thread takes what waits away. Beside it the same two rows, filled in memory
 * that is always the same. Then both again while as much other memory is touched between two calls as a call of the
 * daemon touches, so that the rows are not in the nearest cache. The aim is at most 1 us a call.
 *
 * Then the database: how many rows a second the writer takes from the journal; and with `rows` calls of the last 30 days
 * in it (1,000,000; written by the store without the journal) what a row takes on the disk, how long the daemon's start
 * waits for it (at most 500 ms with 10,000,000), and how long "usage by day, since 30 days ago" (less than 1 s). Nothing is
 * asserted.
 */
#include <dirent.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "metergate/base/clock.h"
#include "metergate/ledger/db.h"
#include "metergate/ledger/journal.h"
#include "metergate/ledger/ledger.h"
#include "metergate/ledger/report.h"
#include "metergate/ledger/store.h"

enum { CALLS = 200000, FLYING = 64, OTHER_BYTES = 256 * 1024, LATENCIES = 400000, BATCH = 10000 };

#define DAY (86400 * CLOCK_S)

static char dir[] = "/tmp/metergate-bench-ledger-XXXXXX";

/* ---- a row like that of a normal call ---- */

static void put(char *at, const char *text, size_t n)
{
    memcpy(at, text, n + 1);
}

#define PUT(at, text) put(at, text, sizeof(text) - 1)

static void fill(struct ledger_row *r, int64_t id)
{
    r->id = id;
    r->kind = ROW_CALL;
    r->t_us = 1764362400000000 + id;
    PUT(r->client, "nightly-report");
    PUT(r->upstream, "openai");
    PUT(r->budget, "gpt-4o-mini*");
    PUT(r->account, "");
    PUT(r->model, "gpt-4o-mini-2024-07-18");
    PUT(r->endpoint, "chat");
    PUT(r->budget_scope, "entry");
    PUT(r->reason, "");
    r->outcome = ROW_COMPLETED;
    r->status = 200;
    r->attempts = 1;
    r->estimated_input = 512;
    r->estimated_output = 200;
    r->usage = (struct usage){.input = 511, .cached = 128, .output = 180 + id % 40};
    r->source = ROW_BY_PROVIDER;
    r->cost_nano = 190000 + id % 40;
    PUT(r->price.name, "gpt-4o-mini");
    r->price.since = 20260301;
    r->price.rates = (struct rates){{150000, 75000, 150000, 150000, 600000}};
    r->queued_us = 1234;
    r->total_us = 834567;
    r->first_byte_us = 312345;
    r->charge.sent_us = r->t_us - 830000;
    r->charge.on_arrival[METRIC_REQUESTS] = 1;
    r->charge.on_arrival[METRIC_TOKENS] = 712;
    r->hold_count = 1;
    PUT(r->hold[0].what, "tpm");
    r->hold[0].to_us = 1234;
}

/* ---- two ways ---- */

static struct journal *journal;
static struct ledger_row *flying[FLYING];
static struct ledger_row memory[2];

static void call_in_memory(int64_t id)
{
    for (int i = 0; i < 2; i++) {
        memset(&memory[i], 0, sizeof memory[i]);
        fill(&memory[i], id);
        __asm__ volatile("" : : "r"(&memory[i]) : "memory"); /* both are written */
    }
}

static void call_in_journal(int64_t id)
{
    struct ledger_row **open = &flying[id % FLYING], *r;

    if (*open) { /* that of FLYING calls ago ends */
        r = journal_take(journal);
        MG_ASSERT(r);
        fill(r, (*open)->id);
        journal_end(journal, r);
        journal_drop(journal, *open);
    }
    *open = journal_take(journal);
    MG_ASSERT(*open);
    fill(*open, id);
    journal_open(journal, *open);
}

/* ---- the writer ---- */

static _Atomic bool stop;
static int64_t drained;

static void *drain(void *arg)
{
    const struct ledger_row *rows[256];

    (void)arg;
    while (!atomic_load(&stop)) {
        size_t n = journal_fetch(journal, 0, rows, 256);

        for (size_t i = 0; i < n; i++)
            drained += rows[i]->usage.output > 0;
        journal_written(journal, n);
        if (n < 256)
            nanosleep(&(struct timespec){.tv_nsec = 200000}, NULL);
    }
    return NULL;
}

/* ---- measuring ---- */

static unsigned char other[OTHER_BYTES];

static void do_other_work(void)
{
    for (size_t i = 0; i < sizeof other; i += 64)
        other[i]++;
}

static void do_nothing(int64_t id)
{
    (void)id;
}

static double thread_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void wait_for_writer(int64_t i)
{
    while (i % 256 == 0 && journal_figures(journal).waiting > 2000) /* faster than any daemon is */
        sched_yield();
}

/* CPU time of this thread, a call. */
static double measure(void (*call)(int64_t id))
{
    double from = thread_ns();

    for (int64_t i = 0; i < CALLS; i++) {
        call(i);
        wait_for_writer(i);
    }
    return (thread_ns() - from) / CALLS;
}

static int by_size(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

static int64_t time_one(void (*call)(int64_t id), int64_t id)
{
    struct timespec from, to;

    clock_gettime(CLOCK_MONOTONIC, &from);
    call(id);
    clock_gettime(CLOCK_MONOTONIC, &to);
    return (to.tv_sec - from.tv_sec) * 1000000000 + (to.tv_nsec - from.tv_nsec);
}

/* The median of single calls by the clock on the wall, other work between them. */
static double measure_cold(void (*call)(int64_t id))
{
    static int64_t took[20000];
    const size_t n = MG_ARRAY_LEN(took);
    size_t i;

    for (i = 0; i < n; i++) {
        do_other_work();
        took[i] = time_one(call, (int64_t)i);
        wait_for_writer((int64_t)i);
    }
    qsort(took, n, sizeof *took, by_size);
    i = n / 2;
    return (double)took[i];
}

/* Of sorted nanoseconds, in microseconds. */
static double per_mille(const int64_t *took, int64_t n)
{
    int64_t place = LATENCIES * n / 1000;

    return (double)took[place < LATENCIES ? place : LATENCIES - 1] / 1e3;
}

/* How long single calls took by the clock on the wall, over ten seconds, in which the file's pages are written back. */
static void measure_tail(void)
{
    int64_t *took = xcalloc(LATENCIES, sizeof *took);

    for (int i = 0; i < LATENCIES; i++) {
        if (i % 40 == 0)
            nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
        took[i] = time_one(call_in_journal, i);
    }
    qsort(took, LATENCIES, sizeof *took, by_size);
    printf("%-46s p50 %.2f  p99 %.2f  p99.9 %.2f  most %.0f us\n", "one call, 40 a millisecond, by the wall clock",
           per_mille(took, 500), per_mille(took, 990), per_mille(took, 999), per_mille(took, 1000));
    free(took);
}

static bool ignore(void *arg, const struct ledger_row *row, bool open)
{
    (void)arg;
    (void)row;
    (void)open;
    return true;
}

static void rows_of_a_call(void)
{
    struct errbuf e;
    pthread_t thread;
    double copy, ours, nothing;

    journal = journal_new();
    if (journal_attach(journal, dir, ignore, NULL, &e) < 0)
        printf("in memory alone: %s\n", e.text);
    MG_ASSERT(pthread_create(&thread, NULL, drain, NULL) == 0);
    measure(call_in_journal); /* pages and caches */
    copy = measure(call_in_memory);
    ours = measure(call_in_journal);
    printf("%-46s %6.3f us, in plain memory %6.3f us: %.1f times\n", "two rows of a call", ours / 1e3, copy / 1e3,
           ours / copy);
    nothing = measure_cold(do_nothing);
    copy = measure_cold(call_in_memory) - nothing;
    ours = measure_cold(call_in_journal) - nothing;
    printf("%-46s %6.3f us, in plain memory %6.3f us: %.1f times\n", "with other work between calls", ours / 1e3,
           copy / 1e3, ours / copy);
    measure_tail();
    atomic_store(&stop, true);
    pthread_join(thread, NULL);
    printf("%-46s %" PRId64 " slots, %" PRId64 " rows taken away, %" PRId64 " lost\n", "the journal at the end",
           journal_figures(journal).slots, drained, journal_figures(journal).lost);
    journal_free(journal);
}

/* ---- the database ---- */

static int64_t wall_from; /* of what is measured */

static void start(void)
{
    wall_from = clock_now_us();
}

static double took_ms(void)
{
    return (double)(clock_now_us() - wall_from) / 1e3;
}

/* The size of the database's files; `clear`: what is in the directory is removed. */
static int64_t look_at_dir(bool clear)
{
    DIR *d = opendir(dir);
    int64_t bytes = 0;
    struct stat st;

    MG_ASSERT(d);
    for (struct dirent *e; (e = readdir(d)) != NULL;) { /* cppcheck-suppress readdirCalled */
        if (e->d_name[0] == '.' || fstatat(dirfd(d), e->d_name, &st, 0) < 0)
            continue;
        if (strncmp(e->d_name, "ledger", 6) == 0)
            bytes += st.st_size;
        if (clear)
            (void)unlinkat(dirfd(d), e->d_name, 0);
    }
    closedir(d);
    return bytes;
}

/* One of 20 clients and 10 models. */
static void fill_one_of_many(struct ledger_row *r, int64_t id, int64_t t_us)
{
    fill(r, id);
    r->t_us = t_us;
    r->charge.sent_us = t_us - 830000;
    (void)snprintf(r->client, sizeof r->client, "client-%d", (int)(id * 7 % 20));
    (void)snprintf(r->model, sizeof r->model, "gpt-4o-mini-2024-07-%02d", (int)(id * 3 % 10 + 1));
    (void)snprintf(r->endpoint, sizeof r->endpoint, "%s", id % 5 ? "chat" : "embeddings");
}

static void through_the_writer(void)
{
    struct ledger *l = ledger_open(dir, 400 * DAY);
    struct ledger_health h;

    start();
    for (int64_t i = 1; i <= CALLS; i++) {
        struct ledger_row *r = ledger_take(l);

        MG_ASSERT(r);
        fill_one_of_many(r, i, clock_wall_us());
        ledger_end(l, r);
        if (i % 1000)
            continue;
        for (ledger_health(l, &h); h.waiting > JOURNAL_SLOTS_MAX / 2; ledger_health(l, &h))
            sched_yield();
    }
    if (!ledger_flush(l, 60000))
        printf("after a minute not all rows were written\n");
    ledger_health(l, &h);
    printf("%-46s %.0f a second, %" PRId64 " lost\n", "rows through journal and writer",
           (double)h.written / took_ms() * 1e3, h.lost);
    ledger_close(l);
    look_at_dir(true);
}

/* As the writer does once a minute, day by day: charges get coarser. */
static void tidy(struct store *store)
{
    int64_t now_us = clock_wall_us();
    struct errbuf e = {""};
    bool more;
    int steps = 0;

    start();
    for (int64_t t_us = now_us - 31 * DAY; t_us <= now_us; t_us += DAY) {
        do
            MG_ASSERT(store_tidy(store, t_us, 400 * DAY, &more, &e) == DB_OK);
        while (steps++ >= 0 && more);
    }
    printf("%-46s %.1f ms in %d steps\n", "the charges of 30 days made coarser", took_ms(), steps);
}

static void fill_base(int64_t rows)
{
    static struct ledger_row batch[BATCH];
    static const struct ledger_row *all[BATCH];
    char path[sizeof dir + 16];
    int64_t end_us = clock_wall_us(), from_us = end_us - 30 * DAY;
    struct errbuf e = {""};
    struct store *store;

    (void)snprintf(path, sizeof path, "%s/ledger.db", dir);
    MG_ASSERT(store_open(path, 1000, &store, &e) == DB_OK);
    start();
    for (int64_t done = 0; done < rows;) {
        size_t n = 0;

        for (; n < BATCH && done < rows; n++, done++) {
            fill_one_of_many(&batch[n], done + 1, from_us + (int64_t)((double)done * 30 * DAY / (double)rows));
            all[n] = &batch[n];
        }
        if (store_write(store, all, n, &e) != DB_OK)
            err_bug(e.text, __FILE__, __LINE__);
    }
    printf("%-46s %.0f a second\n", "rows into the database, without the journal", (double)rows / took_ms() * 1e3);
    tidy(store);
    store_close(store);
    printf("%-46s %.0f bytes a row (%" PRId64 " rows, each with what kept it waiting)\n", "on the disk",
           (double)look_at_dir(false) / (double)rows, rows);
}

static void count_charges(void *arg, struct slice scope, const struct ledger_charged *v, size_t n)
{
    (void)scope;
    (void)v;
    *(size_t *)arg += n;
}

static void open_ledger(const char *when)
{
    struct ledger *l;
    size_t charges = 0;
    double open_ms;

    start();
    l = ledger_open(dir, 400 * DAY);
    open_ms = took_ms();
    start();
    ledger_history(l, SLICE("client:"), 31 * DAY, count_charges, &charges);
    printf("%-46s %.1f ms, and %.1f ms for %zu charges of the clients in a month\n", when, open_ms, took_ms(), charges);
    ledger_close(l);
}

static void count_rows(void *arg, struct slice key, const struct report_sums *sums)
{
    (void)key;
    (void)sums;
    ++*(size_t *)arg;
}

static void ask(enum report_by by, int64_t days)
{
    int64_t now_us = clock_wall_us();
    struct report_span span = {now_us - days * DAY, now_us};
    struct errbuf e = {""};
    struct report *r;
    size_t rows = 0;
    char what[64];

    start();
    MG_ASSERT(report_open(dir, &r, &e) == DB_OK);
    if (report_usage(r, by, &span, count_rows, &rows, &e) != DB_OK)
        err_bug(e.text, __FILE__, __LINE__);
    report_close(r);
    (void)snprintf(what, sizeof what, "usage by %s, since %d days ago", report_by_name(by), (int)days);
    printf("%-46s %.1f ms, %zu lines\n", what, took_ms(), rows);
}

int main(int argc, char **argv)
{
    int64_t rows = argc > 1 ? strtoll(argv[1], NULL, 10) : 1000000;

    MG_ASSERT(mkdtemp(dir));
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    rows_of_a_call();
    look_at_dir(true);
    through_the_writer();
    if (rows > 0) {
        fill_base(rows);
        open_ledger("the start waits for the ledger");
        open_ledger("once more");
        ask(REPORT_BY_DAY, 30);
        ask(REPORT_BY_MODEL, 30);
        ask(REPORT_BY_HOUR, 2);
    }
    look_at_dir(true);
    rmdir(dir);
    return 0;
}
