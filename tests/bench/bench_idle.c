/*
 * bench_idle: what normal calls feel of crowds that do nothing, or next to nothing: connections that are silent from the
 * beginning, or since their answer; 500 that send a head or a body, or read an answer, a byte a second; all at once. Rounds
 * without and with them follow each other. Then what the silent ones cost by themselves: memory, CPU, and wake-ups.
 */
#include <stdio.h>

#include "crowd.h"
#include "load.h"
#include "rig.h"

enum { ROUNDS = 5, CALLS = 6000, CONNECTIONS = 8, ALONE_MS = 10000, CROWDS_MAX = 5 };

static const char yaml[] = "upstreams:\n  openai: {dialect: openai, base_url: $ORIGIN, api_key: {env: METERGATE_BENCH_KEY}}\n"
                           "models:\n  gpt-4o: {tpm: 900M, rpm: 9M}\n";

struct part {
    enum crowd_kind kind;
    int n;
};

static const struct scene {
    const char *what;
    struct part parts[CROWDS_MAX];
} scenes[] = {
    {"10,000 idle", {{CROWD_IDLE, 10000}}},
    {"10,000 idle after an answer", {{CROWD_KEPT, 10000}}},
    {"500 slow heads", {{CROWD_DRIP, 500}}},
    {"500 slow bodies", {{CROWD_BODY, 500}}},
    {"500 slow readers", {{CROWD_SIP, 500}}},
    {"10,000 idle, 500 of each", {{CROWD_IDLE, 5000}, {CROWD_KEPT, 5000}, {CROWD_DRIP, 500}, {CROWD_BODY, 500}, {CROWD_SIP, 500}}},
};

struct figures {
    double cpu[ROUNDS], p50[ROUNDS], p99[ROUNDS];
    int errors;
};

static void measure(const struct rig *r, struct figures *f, int round)
{
    const struct text_chat chat = {.model = "gpt-4o", .body_bytes = 2048};
    struct load_result got;
    struct requests rs;

    requests_make(&rs, &chat, CALLS, (uint64_t)round);
    got = load_run(r->port, CONNECTIONS, &rs, r->daemon);
    f->cpu[round] = got.cpu_us;
    f->p50[round] = got.p50_us;
    f->p99[round] = got.p99_us;
    f->errors += got.errors;
    requests_release(&rs);
}

static void come(const struct rig *r, const struct scene *s, struct crowd crowds[CROWDS_MAX])
{
    for (int i = 0; i < CROWDS_MAX && s->parts[i].n; i++)
        crowd_start(&crowds[i], r->port, s->parts[i].n, s->parts[i].kind, NULL);
}

static void go(const struct rig *r, const struct scene *s, struct crowd crowds[CROWDS_MAX])
{
    for (int i = 0; i < CROWDS_MAX && s->parts[i].n; i++)
        crowd_stop(&crowds[i]);
    rig_wait_status(r, "connections", 1); /* the one that asks */
}

static void beside(const struct rig *r, const struct scene *s)
{
    struct figures without = {0}, with = {0};
    double p99, p99_with;

    for (int round = 0; round < ROUNDS; round++) {
        struct crowd crowds[CROWDS_MAX];

        measure(r, &without, round);
        come(r, s, crowds);
        measure(r, &with, round);
        go(r, s, crowds);
    }
    p99 = quantile(without.p99, ROUNDS, 0.5);
    p99_with = quantile(with.p99, ROUNDS, 0.5);
    printf("%-28s %12.1f %9.1f %12.0f %9.0f %12.0f %9.0f %6.2f", s->what, quantile(without.cpu, ROUNDS, 0.5),
           quantile(with.cpu, ROUNDS, 0.5), quantile(without.p50, ROUNDS, 0.5), quantile(with.p50, ROUNDS, 0.5), p99, p99_with,
           p99_with / p99);
    printf(without.errors + with.errors ? "  %d failed\n" : "\n", without.errors + with.errors);
    fflush(stdout);
}

/* Nobody else is there. */
static void alone(const struct rig *r, const struct scene *s)
{
    double rss = rig_rss_mb(r->daemon), cpu, mb;
    struct crowd crowds[CROWDS_MAX];
    int64_t switches;

    come(r, s, crowds);
    rig_wait_ms(1000);
    mb = rig_rss_mb(r->daemon) - rss;
    cpu = rig_cpu_us(r->daemon);
    switches = rig_switches(r->daemon);
    rig_wait_ms(ALONE_MS);
    cpu = rig_cpu_us(r->daemon) - cpu;
    switches = rig_switches(r->daemon) - switches;
    printf("%-28s %9.1f KB each, in %d s woken %lld times, %.0f us of CPU\n", s->what, mb * 1024 / s->parts[0].n, ALONE_MS / 1000,
           (long long)switches, cpu);
    go(r, s, crowds);
    fflush(stdout);
}

int main(void)
{
    struct rig r;

    rig_start(&r, false);
    rig_start_daemon(&r, yaml);
    for (int i = 0; i < 2; i++) {
        rig_stop_daemon(&r);
        rig_start_daemon(&r, yaml); /* what is in memory from others would be used again */
        alone(&r, &scenes[i]);
    }
    printf("\n%d metered calls of 2 KB over %d connections, median of %d rounds each way\n", CALLS, CONNECTIONS, ROUNDS);
    printf("%-28s %12s %9s %12s %9s %12s %9s %6s\n", "", "CPU without", "CPU with", "p50 without", "p50 with", "p99 without",
           "p99 with", "ratio");
    for (size_t i = 0; i < MG_ARRAY_LEN(scenes); i++)
        beside(&r, &scenes[i]);
    rig_stop(&r);
    return 0;
}
