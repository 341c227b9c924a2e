/*
 * bench_calls: what a call costs. Chat bodies of 2 KB, all different, counted and charged, over 64 connections; the same
 * calls through nginx (proxy_pass, kept connections), to the same origin, in turn. Both write their line of log for each
 * call. Then the same with one connection, where the delay that a proxy adds shows.
 */
#include <stdio.h>

#include "load.h"
#include "rig.h"

enum { ROUNDS = 7, MANY = 10000, CONNECTIONS = 64, ALONE = 3000 };

static const char yaml[] =
    "upstreams:\n"
    "  openai: {dialect: openai, base_url: $ORIGIN, api_key: {env: METERGATE_BENCH_KEY}}\n"
    "  secure: {dialect: openai, base_url: $TLS, ca_file: $CA, api_key: {env: METERGATE_BENCH_KEY}}\n"
    "models:\n  gpt-4o: {tpm: 900M, rpm: 9M, concurrent: 5000}\n";

struct row {
    const char *what;
    struct text_chat chat;
    int nginx; /* row of what nginx does with the same bytes; -1: this is nginx, -2: no proxy */
    double cpu[ROUNDS], p50[ROUNDS], p99[ROUNDS], rate[ROUNDS];
    int errors;
};

#define CHAT .model = "gpt-4o", .body_bytes = 2048

static struct row rows[] = {
    {"no proxy at all", {CHAT}, -2, {0}, {0}, {0}, {0}, 0},
    {"nginx", {CHAT}, -1, {0}, {0}, {0}, {0}, 0},
    {"nginx, provider over TLS", {CHAT}, -1, {0}, {0}, {0}, {0}, 0},
    {"metered", {CHAT}, 1, {0}, {0}, {0}, {0}, 0},
    {"metered, provider over TLS", {CHAT, .prefix = "/secure"}, 2, {0}, {0}, {0}, {0}, 0},
    {"passing through", {CHAT, .path = "/v1/threads"}, 1, {0}, {0}, {0}, {0}, 0},
    {"passing through, over TLS", {CHAT, .path = "/v1/threads", .prefix = "/secure"}, 2, {0}, {0}, {0}, {0}, 0},
};

static void measure(const struct rig *r, int i, int round, int calls, int connections)
{
    struct row *row = &rows[i];
    int port = row->nginx >= 0 ? r->port : row->nginx == -2 ? r->origin_port : i == 1 ? r->nginx_port : r->nginx_tls_port;
    pid_t pid = row->nginx >= 0 ? r->daemon : row->nginx == -2 ? r->origin : r->nginx;
    struct load_result got;
    struct requests rs;

    requests_make(&rs, &row->chat, (size_t)calls, (uint64_t)round * 100 + (uint64_t)i + (uint64_t)connections);
    got = load_run(port, connections, &rs, pid);
    row->cpu[round] = got.cpu_us;
    row->p50[round] = got.p50_us;
    row->p99[round] = got.p99_us;
    row->rate[round] = got.calls_per_s;
    row->errors += got.errors;
    requests_release(&rs);
}

static void print(int calls, int connections)
{
    double cpu[MG_ARRAY_LEN(rows)], p50[MG_ARRAY_LEN(rows)];

    printf("\n%d calls of 2 KB over %d connection%s, median of %d rounds\n", calls, connections,
           connections > 1 ? "s" : "", ROUNDS);
    printf("%-28s %9s %7s %9s %9s %9s %7s %7s\n", "", "CPU us", "ratio", "p50 us", "ratio", "p99 us", "calls/s", "errors");
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++) {
        struct row *row = &rows[i];

        cpu[i] = quantile(row->cpu, ROUNDS, 0.5);
        p50[i] = quantile(row->p50, ROUNDS, 0.5);
        printf("%-28s %9.1f ", row->what, cpu[i]);
        if (row->nginx >= 0)
            printf("%7.2f %9.0f %9.2f ", cpu[i] / cpu[row->nginx], p50[i], p50[i] / p50[row->nginx]);
        else
            printf("%7s %9.0f %9s ", "", p50[i], "");
        printf("%9.0f %7.0f %7d\n", quantile(row->p99, ROUNDS, 0.5), quantile(row->rate, ROUNDS, 0.5), row->errors);
    }
    fflush(stdout);
}

int main(void)
{
    static const struct {
        int calls, connections;
    } loads[] = {{MANY, CONNECTIONS}, {ALONE, 1}};
    struct rig r;

    rig_start(&r, true);
    rig_start_daemon(&r, yaml);
    for (size_t l = 0; l < MG_ARRAY_LEN(loads); l++) {
        for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++) {
            measure(&r, (int)i, 0, 1000, loads[l].connections); /* to warm up */
            rows[i].errors = 0;
        }
        for (int round = 0; round < ROUNDS; round++)
            for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++)
                measure(&r, (int)i, round, loads[l].calls, loads[l].connections);
        print(loads[l].calls, loads[l].connections);
    }
    rig_stop(&r);
    return 0;
}
