/*
 * bench_held: ten thousand calls held at once, of 2 KB and of 100 KB each. What they cost in memory, what other calls
 * cost meanwhile, and what happens when all of them are let go at one moment.
 *
 * They are held by one call that has reserved all of their budget: the origin answers it when it is told to, the usage
 * that it reports is small, and in that moment there is room for all the others.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include "conn.h"
#include "crowd.h"
#include "load.h"
#include "rig.h"

enum { HELD = 10000, ROUNDS = 5, CALLS = 5000 };

/* Held calls are those of one client: he may hold 80 % of the queue. */
static const char yaml[] = "queue: {max_requests: 13000, max_bytes: 4GiB}\nheadroom: 0%\n"
                           "upstreams:\n  openai: {dialect: openai, base_url: $ORIGIN, api_key: {env: METERGATE_BENCH_KEY}}\n"
                           "models:\n  full: {tpm: 900M}\n  gpt-4o: {tpm: 900M, rpm: 9M}\n";

#define NEAR .body_bytes = 2048, .model = "gpt-4o"

static const struct {
    const char *what;
    struct text_chat chat;
} others[] = {
    {"passing through, 1 connection", {NEAR, .path = "/v1/threads"}},
    {"passing through, 32 connections", {NEAR, .path = "/v1/threads"}},
    {"metered elsewhere, 1 connection", {NEAR}},
    {"metered elsewhere, 32 connections", {NEAR}},
};

struct costs {
    double cpu[MG_ARRAY_LEN(others)], p99[MG_ARRAY_LEN(others)];
};

static struct costs measure_others(const struct rig *r)
{
    double cpu[MG_ARRAY_LEN(others)][ROUNDS], p99[MG_ARRAY_LEN(others)][ROUNDS];
    struct costs c;

    for (int round = 0; round < ROUNDS; round++) {
        for (size_t i = 0; i < MG_ARRAY_LEN(others); i++) {
            int connections = i % 2 ? 32 : 1;
            struct load_result got;
            struct requests rs;

            requests_make(&rs, &others[i].chat, connections == 1 ? CALLS / 5 : CALLS, (uint64_t)round);
            got = load_run(r->port, connections, &rs, r->daemon);
            if (got.errors)
                rig_fail("%d of the other calls failed", got.errors);
            cpu[i][round] = got.cpu_us;
            p99[i][round] = got.p99_us;
            requests_release(&rs);
        }
    }
    for (size_t i = 0; i < MG_ARRAY_LEN(others); i++) {
        c.cpu[i] = quantile(cpu[i], ROUNDS, 0.5);
        c.p99[i] = quantile(p99[i], ROUNDS, 0.5);
    }
    return c;
}

/* Sends one request that is not waited for; the connection stays open. */
static struct conn send_one(int port, const struct text_chat *chat)
{
    struct requests rs;
    struct conn c;

    requests_make(&rs, chat, 1, 1);
    conn_open(&c, port);
    conn_send(&c, rs.bytes.p, rs.bytes.n);
    while (conn_is_sending(&c)) {
        struct pollfd wait = {.fd = c.fd, .events = POLLOUT};

        poll(&wait, 1, 1000);
        if (conn_turn(&c, NULL, NULL) == CONN_BROKEN)
            rig_fail("port %d has closed the connection", port);
    }
    requests_release(&rs);
    return c;
}

static void print_others(const struct costs *without, const struct costs *with)
{
    printf("  %-34s %10s %10s %6s %10s %10s\n", "other calls meanwhile", "us without", "us with", "ratio", "p99 before",
           "p99 now");
    for (size_t i = 0; i < MG_ARRAY_LEN(others); i++)
        printf("  %-34s %10.1f %10.1f %6.2f %10.0f %10.0f\n", others[i].what, without->cpu[i], with->cpu[i],
               with->cpu[i] / without->cpu[i], without->p99[i], with->p99[i]);
}

static void measure(size_t body_bytes)
{
    const struct text_chat plug = {.model = "full", .body_bytes = 300, .max_tokens = 900000000, .bench = "hold"};
    const struct text_chat held = {.model = "full", .body_bytes = body_bytes, .max_tokens = 16};
    const struct text_chat release = {.model = "full", .body_bytes = 300, .bench = "release"};
    double before, full, body_mb, cpu, after;
    struct conn plugging, releasing;
    struct costs without, with;
    struct crowd_end end;
    struct requests rs;
    struct crowd crowd;
    struct rig r;
    int64_t from;

    rig_start(&r, false);
    rig_start_daemon(&r, yaml);
    without = measure_others(&r);
    plugging = send_one(r.port, &plug);
    rig_wait_status(&r, "in_flight", 1);
    before = rig_rss_mb(r.daemon);
    requests_make(&rs, &held, body_bytes > 10000 ? 100 : HELD, 7);
    body_mb = (double)rs.bytes.n / (double)rs.n * HELD / 1048576;
    crowd_start(&crowd, r.port, HELD, CROWD_CALL, &rs);
    rig_wait_status(&r, "held", HELD);
    rig_wait_ms(500); /* the status that says so takes 5 MB while it is written */
    full = rig_rss_mb(r.daemon);
    printf("\n%d held calls of %zu bytes\n", HELD, body_bytes);
    printf("  resident %.1f MB before, %.1f MB with them: %.1f KB each besides the body\n", before, full,
           (full - before - body_mb) * 1024 / HELD);
    with = measure_others(&r);
    print_others(&without, &with);
    rig_reset_peak(r.daemon);
    cpu = rig_cpu_us(r.daemon);
    from = rig_now_ns();
    releasing = send_one(r.origin_port, &release);
    end = crowd_wait_end(&crowd);
    cpu = rig_cpu_us(r.daemon) - cpu;
    printf("  let go at once: the first answer after %.0f ms, the last after %.0f ms, %.1f us of CPU each, %d failed\n",
           (double)(end.first_ns - from) / 1e6, (double)(end.last_ns - from) / 1e6, cpu / HELD, end.failed);
    after = rig_rss_mb(r.daemon);
    rig_wait_ms(6000);
    printf("  resident at most %.1f MB, %.1f MB at its end, %.1f MB six seconds later\n", rig_peak_rss_mb(r.daemon), after,
           rig_rss_mb(r.daemon));
    fflush(stdout);
    conn_close(&plugging);
    conn_close(&releasing);
    requests_release(&rs);
    rig_stop(&r);
}

int main(void)
{
    measure(2048);
    measure((size_t)100 * 1024);
    return EXIT_SUCCESS;
}
