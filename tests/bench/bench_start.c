/* bench_start: from the start of the program to its first answer, and what it costs while nobody calls. */
#include <stdio.h>

#include "rig.h"

enum { STARTS = 15, IDLE_MS = 5000 };

int main(void)
{
    static const char yaml[] = "models:\n  gpt-4o: {tpm: 30k, rpm: 500}\n";
    double ms[STARTS], cpu_ms[STARTS], rss, cpu;
    int64_t switches;
    struct rig r;

    rig_start(&r, false);
    for (int i = 0; i < STARTS; i++) {
        ms[i] = (double)rig_start_daemon(&r, yaml) / 1000;
        cpu_ms[i] = rig_cpu_us(r.daemon) / 1000;
        if (i < STARTS - 1)
            rig_stop_daemon(&r);
    }
    rss = rig_rss_mb(r.daemon);
    rig_wait_ms(1000);
    switches = rig_switches(r.daemon);
    cpu = rig_cpu_us(r.daemon);
    rig_wait_ms(IDLE_MS);
    printf("%d starts: %.1f ms to the first answer (median; %.1f at least, %.1f at most), %.1f ms of CPU\n", STARTS,
           quantile(ms, STARTS, 0.5), quantile(ms, STARTS, 0), quantile(ms, STARTS, 1), quantile(cpu_ms, STARTS, 0.5));
    printf("idle: %.1f MB resident, in %d s woken %lld times, %.0f us of CPU\n", rss, IDLE_MS / 1000,
           (long long)(rig_switches(r.daemon) - switches), rig_cpu_us(r.daemon) - cpu);
    rig_stop(&r);
    return 0;
}
