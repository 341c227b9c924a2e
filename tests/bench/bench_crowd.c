/*
 * bench_crowd: what normal calls feel of a crowd that does nothing: 500 connections that send a byte of their head a
 * second, and 5,000 that send nothing. Rounds without and with the crowd follow each other.
 */
#include <stdio.h>

#include "crowd.h"
#include "load.h"
#include "rig.h"

enum { ROUNDS = 7, CALLS = 6000, CONNECTIONS = 8 };

static const char yaml[] = "upstreams:\n  openai: {dialect: openai, base_url: $ORIGIN, api_key: {env: METERGATE_BENCH_KEY}}\n"
                           "models:\n  gpt-4o: {tpm: 900M, rpm: 9M}\n";

static const struct {
    const char *what;
    enum crowd_kind kind;
    int n;
} crowds[] = {
    {"500 slow-loris", CROWD_DRIP, 500},
    {"5,000 idle", CROWD_IDLE, 5000},
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

int main(void)
{
    struct rig r;

    rig_start(&r, false);
    rig_start_daemon(&r, yaml);
    printf("%d metered calls of 2 KB over %d connections, median of %d rounds each way\n", CALLS, CONNECTIONS, ROUNDS);
    printf("%-18s %12s %12s %12s %12s %12s %8s %7s\n", "", "CPU without", "CPU with", "p50 without", "p50 with",
           "p99 without", "p99 with", "ratio");
    for (size_t i = 0; i < MG_ARRAY_LEN(crowds); i++) {
        struct figures without = {0}, with = {0};
        double p99, p99_with;

        for (int round = 0; round < ROUNDS; round++) {
            struct crowd crowd;

            measure(&r, &without, round);
            crowd_start(&crowd, r.port, crowds[i].n, crowds[i].kind, NULL);
            measure(&r, &with, round);
            crowd_stop(&crowd);
        }
        p99 = quantile(without.p99, ROUNDS, 0.5);
        p99_with = quantile(with.p99, ROUNDS, 0.5);
        printf("%-18s %12.1f %12.1f %12.0f %12.0f %12.0f %8.0f %7.2f", crowds[i].what, quantile(without.cpu, ROUNDS, 0.5),
               quantile(with.cpu, ROUNDS, 0.5), quantile(without.p50, ROUNDS, 0.5), quantile(with.p50, ROUNDS, 0.5), p99,
               p99_with, p99_with / p99);
        printf(without.errors + with.errors ? "  %d failed\n" : "\n", without.errors + with.errors);
        fflush(stdout);
    }
    rig_stop(&r);
    return 0;
}
