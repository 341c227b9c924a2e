/*
 * bench_streams: the delay that a proxy adds to one event of a stream, with one stream and with a hundred, and what a
 * plain call costs while 3,000 streams are open. The origin writes the time into each event; the client subtracts.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "conn.h"
#include "crowd.h"
#include "load.h"
#include "rig.h"

enum { ROUNDS = 5, STREAMS_MAX = 100, EVENTS_MAX = 20000, ACTIVE = 3000, CALLS = 4000 };

static const char yaml[] =
    "queue: {max_requests: 13000}\n"
    "upstreams:\n"
    "  openai: {dialect: openai, base_url: $ORIGIN, api_key: {env: METERGATE_BENCH_KEY}}\n"
    "  secure: {dialect: openai, base_url: $TLS, ca_file: $CA, api_key: {env: METERGATE_BENCH_KEY}}\n"
    "models:\n  gpt-4o: {tpm: 900M, rpm: 9M}\n";

struct delays {
    double us[EVENTS_MAX];
    int n;
};

/* An event that two reads have cut in two is left out. */
static void on_events(void *ctx, const char *p, size_t n)
{
    static const char key[] = "\"t\":";
    struct delays *d = ctx;
    const char *end = p + n;
    int64_t now = rig_now_ns();

    while ((p = memmem(p, (size_t)(end - p), key, sizeof key - 1)) != NULL) {
        p += sizeof key - 1;
        if (memchr(p, '}', (size_t)(end - p)) && d->n < EVENTS_MAX)
            d->us[d->n++] = (double)(now - strtoll(p, NULL, 10)) / 1000;
    }
}

/* Reads `streams` streams of that kind to their end. */
static void read_streams(int port, int streams, const char *kind, const char *prefix, struct delays *d)
{
    const struct text_chat chat = {
        .model = "gpt-4o", .body_bytes = 500, .stream = 1, .bench = kind, .prefix = prefix};
    static struct conn conns[STREAMS_MAX];
    struct epoll_event batch[64];
    int epoll_fd = epoll_create1(EPOLL_CLOEXEC), open = streams;
    struct requests rs;

    requests_make(&rs, &chat, (size_t)streams, 3);
    for (int i = 0; i < streams; i++) {
        struct epoll_event ev = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = &conns[i]};

        conn_open(&conns[i], port);
        conn_send(&conns[i], rs.bytes.p + rs.at[i], rs.at[i + 1] - rs.at[i]);
        if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, conns[i].fd, &ev) < 0)
            rig_fail("epoll");
    }
    while (open > 0) {
        int n = epoll_wait(epoll_fd, batch, MG_ARRAY_LEN(batch), 30000);

        if (n <= 0)
            rig_fail("%d streams have stopped", open);
        for (int i = 0; i < n; i++) {
            struct conn *c = batch[i].data.ptr;
            enum conn_event e = conn_turn(c, on_events, d);

            if (e == CONN_BROKEN || (e == CONN_ANSWER && c->status != 200))
                rig_fail("a stream ended with status %d", c->status);
            if (e == CONN_ANSWER) {
                conn_close(c);
                open--;
            }
        }
    }
    close(epoll_fd);
    requests_release(&rs);
}

static void measure_delays(const struct rig *r, const char *title, int streams, const char *kind)
{
    const struct {
        const char *what;
        int port;
        const char *prefix;
        int base;
        pid_t pid;
    } ways[] = {
        {"no proxy at all", r->origin_port, "", -1, r->origin},
        {"nginx", r->nginx_port, "", -1, r->nginx},
        {"metergate", r->port, "", 1, r->daemon},
        {"nginx, provider over TLS", r->nginx_tls_port, "", -1, r->nginx},
        {"metergate, provider over TLS", r->port, "/secure", 3, r->daemon},
    };
    double p50[MG_ARRAY_LEN(ways)][ROUNDS], p99[MG_ARRAY_LEN(ways)][ROUNDS], cpu[MG_ARRAY_LEN(ways)][ROUNDS];
    static struct delays d;

    for (int round = 0; round < ROUNDS; round++) {
        for (size_t i = 0; i < MG_ARRAY_LEN(ways); i++) {
            double before = rig_cpu_us(ways[i].pid);

            d.n = 0;
            read_streams(ways[i].port, streams, kind, ways[i].prefix, &d);
            cpu[i][round] = (rig_cpu_us(ways[i].pid) - before) / d.n;
            p50[i][round] = quantile(d.us, d.n, 0.5);
            p99[i][round] = quantile(d.us, d.n, 0.99);
        }
    }
    printf("\n%s, median of %d rounds\n%-30s %8s %8s %8s %14s\n", title, ROUNDS, "", "p50 us", "p99 us", "p50 ratio",
           "CPU us an event");
    for (size_t i = 0; i < MG_ARRAY_LEN(ways); i++) {
        printf("%-30s %8.0f %8.0f ", ways[i].what, quantile(p50[i], ROUNDS, 0.5), quantile(p99[i], ROUNDS, 0.5));
        if (ways[i].base >= 0)
            printf("%9.2f", quantile(p50[i], ROUNDS, 0.5) / quantile(p50[ways[i].base], ROUNDS, 0.5));
        else
            printf("%9s", "");
        printf(" %14.1f\n", quantile(cpu[i], ROUNDS, 0.5));
    }
    fflush(stdout);
}

/* A plain call's cost, less what the streams themselves cost meanwhile (`idle_share`: CPU us a us). */
static double call_cost(const struct rig *r, int connections, double idle_share, int round, double *ret_p50)
{
    const struct text_chat chat = {.model = "gpt-4o", .body_bytes = 2048};
    double calls = connections == 1 ? CALLS / 4 : CALLS;
    struct load_result got;
    struct requests rs;

    requests_make(&rs, &chat, (size_t)calls, (uint64_t)round);
    got = load_run(r->port, connections, &rs, r->daemon);
    if (got.errors)
        rig_fail("%d calls failed", got.errors);
    requests_release(&rs);
    *ret_p50 = got.p50_us;
    return got.cpu_us - idle_share * 1e6 / got.calls_per_s;
}

static void measure_active(const struct rig *r)
{
    static const int connections[] = {1, 32};
    const struct text_chat chat = {
        .model = "gpt-4o", .body_bytes = 500, .stream = 1, .bench = "sse 2000 100000"};
    double cost[2][2][ROUNDS], p50[2][2][ROUNDS], share = 0;
    struct requests rs;
    struct crowd crowd;

    requests_make(&rs, &chat, 100, 5);
    for (int with = 0; with < 2; with++) {
        if (with) {
            double cpu;

            crowd_start(&crowd, r->port, ACTIVE, CROWD_CALL, &rs);
            rig_wait_status(r, "in_flight", ACTIVE);
            rig_wait_ms(1000);
            cpu = rig_cpu_us(r->daemon);
            rig_wait_ms(3000);
            share = (rig_cpu_us(r->daemon) - cpu) / 3e6;
        }
        for (int round = 0; round < ROUNDS; round++)
            for (int i = 0; i < 2; i++)
                cost[with][i][round] = call_cost(r, connections[i], share, round, &p50[with][i][round]);
    }
    printf("\n%d streams open, an event every 2 s each (%.0f %% of a core); a metered call of 2 KB besides\n", ACTIVE,
           share * 100);
    printf("%-16s %12s %10s %8s %12s %10s\n", "", "CPU without", "CPU with", "ratio", "p50 without", "p50 with");
    for (int i = 0; i < 2; i++) {
        double without = quantile(cost[0][i], ROUNDS, 0.5), with = quantile(cost[1][i], ROUNDS, 0.5);

        printf("%2d connection%-3s %12.1f %10.1f %8.2f %12.0f %10.0f\n", connections[i], connections[i] > 1 ? "s" : "",
               without, with, with / without, quantile(p50[0][i], ROUNDS, 0.5), quantile(p50[1][i], ROUNDS, 0.5));
    }
    crowd_stop(&crowd);
    requests_release(&rs);
}

int main(void)
{
    struct rig r;

    rig_start(&r, true);
    rig_start_daemon(&r, yaml);
    measure_delays(&r, "one stream, an event every 2 ms", 1, "sse 2 500");
    measure_delays(&r, "100 streams, an event every 20 ms each", STREAMS_MAX, "sse 20 100");
    measure_active(&r);
    rig_stop(&r);
    return 0;
}
