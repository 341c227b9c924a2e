/*
 * chaos: clients and providers that do anything at any moment, and what surrounds the daemon goes wrong, by a seed. Whatever happens, in
 * whatever state: nothing stays held, in flight or reserved, no descriptor stays open, memory is what it was, every call has exactly
 * one outcome and one row, the provider sees each abort, and no client takes half an answer for a whole one.
 *
 * CHAOS_FAULT names one of fault.h (all), CHAOS_RUNS and CHAOS_SEED choose how many runs of it and the first seed (`make chaos
 * FAULT=clock RUNS=1000 SEED=7`); each run prints its seed, and a failing one is repeated with that seed and one run. CHAOS_SLOW=N
 * allows N times the time. A table of what clients saw ends it.
 */
#include <inttypes.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fault.h"
#include "metergate/base/clock.h"
#include "run.h"

/* What a fault came to. */
struct line {
    const struct fault *fault;
    int64_t runs; /* 0: it cannot be made here */
    struct player_saw saw;
    int64_t rss_kb[2]; /* after the first run and the last */
};

struct table {
    struct world world;
    struct line lines[16];
    size_t n;
};

static int64_t number_from(const char *name, int64_t otherwise)
{
    const char *text = getenv(name);

    return text && *text ? strtoll(text, NULL, 10) : otherwise;
}

/* What memory the first run left is not the most that any can: buffers of some megabytes come and go with big bodies. */
#define GROWTH_KB (32 << 10)

static void check_memory(struct world *w, const struct line *line)
{
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    struct errbuf what;

    err_set(&what, "%" PRId64 " KiB after the first run, %" PRId64 " after the last", line->rss_kb[0], line->rss_kb[1]);
    if (line->rss_kb[1] > line->rss_kb[0] + GROWTH_KB)
        world_fail(w, &w->main, what.text);
#else
    (void)w;
    (void)line;
#endif
}

static void play(struct world *w, struct line *line, int64_t runs, int64_t first)
{
    if (!world_init(w, line->fault)) {
        print_message("%s: cannot be made here\n", line->fault->name);
        return;
    }
    for (int64_t i = 0; i < runs; i++) {
        run_seed(w, line->fault, (uint64_t)(first + i), &line->saw);
        line->rss_kb[i > 0] = subject_rss_bytes(&w->main) / 1024;
    }
    line->runs = runs;
    if (runs > 1)
        check_memory(w, line);
    world_release(w, line->fault);
}

static void print_table(const struct table *t)
{
    printf("%-12s %6s %8s %9s %8s %6s %6s %6s  %s\n", "fault", "runs", "calls", "answered", "refused", "5xx", "cut", "left",
           "left behind");
    for (size_t i = 0; i < t->n; i++) {
        const struct line *l = &t->lines[i];
        const struct player_saw *s = &l->saw;

        printf("%-12s %6" PRId64 " %8" PRId64 " %9" PRId64 " %8" PRId64 " %6" PRId64 " %6" PRId64 " %6" PRId64 "  %s\n", l->fault->name,
               l->runs, s->answered + s->refused + s->failed + s->cut + s->left, s->answered, s->refused, s->failed, s->cut, s->left,
               l->runs ? "nothing" : "(not here)");
    }
}

static void test_chaos__whatever_happens__everything_returns_to_zero(void **state)
{
    struct table *t = *state;
    const char *only = getenv("CHAOS_FAULT");
    int64_t first = number_from("CHAOS_SEED", 1);
    size_t n;
    const struct fault *const *all = faults(&n);

    for (size_t i = 0; i < n; i++) {
        struct line *line = &t->lines[t->n];

        if (only && *only && strcmp(only, all[i]->name) != 0)
            continue;
        t->n++;
        line->fault = all[i];
        play(&t->world, line, number_from("CHAOS_RUNS", all[i]->runs), first);
    }
    assert_true(t->n > 0);
    print_table(t);
    printf("slowest abort seen by the provider: %" PRId64 " ms\n", t->world.slowest_abort_us / CLOCK_MS);
}

/* A daemon that is still there did not come to its end: what it said last tells why. */
static int show_log(void **state)
{
    const struct table *t = *state;
    const struct world *w = &t->world;
    char *log = w->main.f.daemon ? process_log(w->main.f.daemon) : NULL;
    size_t n = log ? strlen(log) : 0;

    if (log)
        fprintf(stderr, "%s, seed %" PRIu64 " was the last; the end of the log:\n%s\n", t->lines[t->n - 1].fault->name, w->seed,
                log + (n > 8000 ? n - 8000 : 0));
    free(log);
    return 0;
}

int main(void)
{
    static struct table table;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate_setup_teardown(test_chaos__whatever_happens__everything_returns_to_zero, NULL, show_log, &table),
    };

    setvbuf(stdout, NULL, _IOLBF, 0);
    signal(SIGPIPE, SIG_IGN);
    table.world.may_mount = world_may_mount(); /* no thread runs yet */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
