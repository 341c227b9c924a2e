/*
 * sim_table: `make sim`. Prints, as tables in Markdown, the bars with what is reached, and the workloads
 * under each policy; docs/scheduling.md keeps them. `sim_table NAME...` prints these workloads alone,
 * SIM_SEEDS=n takes another number of seeds than 8. Exit status 1: a bar is missed, or a limit was overrun.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bars.h"
#include "catalogue.h"
#include "measure.h"
#include "metergate/base/err.h"

static int seeds = 8;
static long violations;

static void measure_counted(const struct workload *w, int contender, struct figures *ret)
{
    measure(w, &catalogue_contenders[contender].policy, seeds, ret);
    violations += ret->violations;
}

static int print_bars(void)
{
    const struct workload *w = NULL;
    struct figures f = {0};
    int missed = 0;

    puts("| workload | what | bar | reached | simulated before |\n|---|---|---|---|---|");
    for (size_t i = 0; i < bars_count; i++) {
        const struct bar *b = &bars[i];
        double reached;

        if (!w || strcmp(w->name, b->workload) != 0) {
            w = catalogue_find(b->workload);
            measure_counted(w, FAIR, &f);
        }
        reached = b->of(&f);
        printf("| %s | %s | %s %g%s%s | ", b->workload, b->what, b->at_least ? ">=" : "<=", b->bar,
               *b->unit ? " " : "", b->unit);
        printf("%s%.*f | ", bar_is_met(b, reached) ? "" : "**missed** ", b->bar < 2 ? 3 : 1, reached);
        if (b->simulated < 0)
            puts("|");
        else
            printf("%g |\n", b->simulated);
        missed += !bar_is_met(b, reached);
    }
    return missed;
}

static void print_optional(double v, int digits)
{
    if (v > 0)
        printf(" %.*f |", digits, v);
    else
        printf(" |");
}

/* Median, 95th percentile and the longest wait, or nothing. */
static void print_waits(const struct waits *w)
{
    int digits = w->max_s < 100 ? 1 : 0;

    if (w->runs == 0 && w->max_s <= 0)
        printf(" |");
    else if (w->runs == 0)
        printf(" none in %.0f |", w->max_s);
    else
        printf(" %.*f / %.*f / %.*f |", digits, w->p50_s, digits, w->p95_s, digits, w->max_s);
}

static void print_head(void)
{
    puts("\n| workload | policy | util % | makespan | high: p50 / p95 / max s | normal | low | Jain "
         "| off share | over % | late s |\n|---|---|---|---|---|---|---|---|---|---|---|");
}

static void print_workload(const struct workload *w)
{
    for (int c = 0; c < CONTENDERS; c++) {
        struct figures f;

        measure_counted(w, c, &f);
        printf("| %s | %s |", c == 0 ? w->name : "", catalogue_contenders[c].name);
        print_optional(f.util, 1);
        print_optional(f.makespan, 3);
        for (int class = 0; class < TICKET_CLASSES; class ++)
            print_waits(&f.classes[class]);
        print_optional(f.jain, 2);
        print_optional(f.gap, 2);
        print_optional(f.over_percent, 1);
        print_optional(f.late_s, 2);
        puts("");
    }
}

/* All of one workload: each client apart. */
static void print_clients(const struct workload *w)
{
    puts("\n| policy | client | calls | mean / p50 / p95 / p99 / max s |\n|---|---|---|---|");
    for (int c = 0; c < CONTENDERS; c++) {
        struct figures f;

        measure_counted(w, c, &f);
        for (int s = 0; s < WORKLOAD_STREAMS && w->streams[s].name; s++) {
            const struct waits *v = &f.streams[s];

            printf("| %s | %s | %.0f | %.1f / %.1f / %.1f / %.1f / %.1f |\n", catalogue_contenders[c].name,
                   w->streams[s].name, v->calls, v->mean_s, v->p50_s, v->p95_s, v->p99_s, v->max_s);
        }
        printf("| | %.0f promises, %.3f s late on average; %.0f times 429; a turn takes %.2f us | | |\n",
               f.heads, f.late_mean_s, f.refused, f.turn_us);
    }
}

static void print_all(const struct workload *w, size_t n)
{
    puts("");
    for (size_t i = 0; i < n; i++)
        printf("- **%s**: %s\n", w[i].name, w[i].what);
    print_head();
    for (size_t i = 0; i < n; i++)
        print_workload(&w[i]);
}

int main(int argc, char **argv)
{
    const char *number = getenv("SIM_SEEDS");
    int missed = 0;

    if (number)
        seeds = (int)strtol(number, NULL, 10);
    for (int i = 1; i < argc; i++) {
        const struct workload *w = catalogue_find(argv[i]);

        printf("\n%s: %s\n", w->name, w->what);
        print_head();
        print_workload(w);
        print_clients(w);
    }
    if (argc > 1)
        return violations > 0;
    puts("## The bars\n");
    missed = print_bars();
    puts("\n## The workloads that the policy was chosen by");
    print_all(catalogue_tuned, catalogue_tuned_count);
    puts("\n## Workloads that it was not chosen by");
    print_all(catalogue_untuned, catalogue_untuned_count);
    printf("\n%d of %zu bars missed; %ld attempts let go when a limit had no room.\n", missed, bars_count,
           violations);
    return missed > 0 || violations > 0;
}
