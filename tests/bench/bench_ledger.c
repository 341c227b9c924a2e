/*
 * bench_ledger: what the ledger costs. `bench_ledger [rows]`.
 *
 * First the loop's part of a call: a row is taken, filled and begun before its attempt, another is taken, filled and ended
 * after it, and the first is dropped; a second thread takes what waits away. Beside it the same two rows, filled in memory
 * that is always the same. Then both again while as much other memory is touched between two calls as a call of the
 * daemon touches, so that the rows are not in the nearest cache. Nothing is asserted; the aim is at most 1 us a call.
 */
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "metergate/base/clock.h"
#include "metergate/ledger/journal.h"

enum { CALLS = 200000, FLYING = 64, OTHER_BYTES = 256 * 1024, LATENCIES = 400000 };

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

/* CPU time of this thread, a call. */
static double measure(void (*call)(int64_t id), int calls, bool work)
{
    double from = thread_ns();

    for (int64_t i = 0; i < calls; i++) {
        call(i);
        if (work)
            do_other_work();
        while (i % 256 == 0 && journal_figures(journal).waiting > 2000) /* faster than any daemon is */
            sched_yield();
    }
    return (thread_ns() - from) / calls;
}

static int by_size(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
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
        struct timespec from, to;

        if (i % 40 == 0)
            nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
        clock_gettime(CLOCK_MONOTONIC, &from);
        call_in_journal(i);
        clock_gettime(CLOCK_MONOTONIC, &to);
        took[i] = (to.tv_sec - from.tv_sec) * 1000000000 + (to.tv_nsec - from.tv_nsec);
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
    measure(call_in_journal, CALLS / 10, false); /* pages and caches */
    copy = measure(call_in_memory, CALLS, false);
    ours = measure(call_in_journal, CALLS, false);
    printf("%-46s %6.3f us, in plain memory %6.3f us: %.1f times\n", "two rows of a call", ours / 1e3, copy / 1e3,
           ours / copy);
    nothing = measure(do_nothing, CALLS / 10, true);
    copy = measure(call_in_memory, CALLS / 10, true) - nothing;
    ours = measure(call_in_journal, CALLS / 10, true) - nothing;
    printf("%-46s %6.3f us, in plain memory %6.3f us: %.1f times\n", "with other work between calls", ours / 1e3,
           copy / 1e3, ours / copy);
    measure_tail();
    atomic_store(&stop, true);
    pthread_join(thread, NULL);
    printf("%-46s %" PRId64 " slots, %" PRId64 " rows taken away, %" PRId64 " lost\n", "the journal at the end",
           journal_figures(journal).slots, drained, journal_figures(journal).lost);
    journal_free(journal);
}

int main(void)
{
    char path[sizeof dir + 16];

    MG_ASSERT(mkdtemp(dir));
    rows_of_a_call();
    (void)snprintf(path, sizeof path, "%s/journal", dir);
    unlink(path);
    rmdir(dir);
    return 0;
}
