/*
 * bench_events: what watching costs: the daemon with a hundred calls held in four budgets, nobody watching, and then ten
 * dashboards, in CPU and in wake-ups; and the same with ten thousand held. And what a row of `lately` costs a call.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "conn.h"
#include "crowd.h"
#include "rig.h"
#include "metergate/proxy/lately.h"

enum { BUDGETS = 4, DASHBOARDS = 10, SECONDS = 30, ROWS = 2000000 };

/* Two calls a minute go in each: nearly all are held all the time, and when they go is predicted. */
static const char yaml[] = "queue: {max_requests: 13000, max_wait: 30d}\nheadroom: 0%\n"
                           "upstreams:\n  openai: {dialect: openai, base_url: $ORIGIN, api_key: {env: METERGATE_BENCH_KEY}}\n"
                           "models:\n"
                           "  m0: {tpm: 500, rpm: 10}\n  m1: {tpm: 500, rpm: 10}\n  m2: {tpm: 500, rpm: 10}\n"
                           "  m3: {tpm: 500, rpm: 10}\n";

static const char question[] = "GET /-/events?history=1 HTTP/1.1\r\nHost: localhost\r\n\r\n";

struct watching {
    double core_percent, wakeups; /* of a core; a second */
    double kilobytes;             /* a second and stream */
};

/* Reads and throws away what streams say for SECONDS. */
static double read_for_a_while(struct conn *streams, int n)
{
    int64_t until = rig_now_ns() + SECONDS * INT64_C(1000000000);
    struct pollfd wait[DASHBOARDS];
    static char bytes[1 << 20];
    double sum = 0;

    for (int i = 0; i < n; i++)
        wait[i] = (struct pollfd){.fd = streams[i].fd, .events = POLLIN};
    while (rig_now_ns() < until) {
        if (poll(wait, (nfds_t)n, 100) <= 0)
            continue;
        for (int i = 0; i < n; i++) {
            ssize_t got = wait[i].revents ? recv(wait[i].fd, bytes, sizeof bytes, MSG_DONTWAIT) : 0;

            if (wait[i].revents && got <= 0)
                rig_fail("a stream has ended");
            sum += (double)got;
        }
    }
    return sum / 1024;
}

static struct watching measure(const struct rig *r, int dashboards)
{
    struct conn streams[DASHBOARDS];
    struct watching c = {0};
    int64_t switches;
    double cpu;

    for (int i = 0; i < dashboards; i++) {
        conn_open(&streams[i], r->port);
        if (send(streams[i].fd, question, sizeof question - 1, MSG_NOSIGNAL) != (ssize_t)sizeof question - 1)
            rig_fail("a question was not sent");
    }
    rig_wait_ms(1000); /* what they are told at once is not the question */
    cpu = rig_cpu_us(r->daemon);
    switches = rig_switches(r->daemon);
    c.kilobytes = read_for_a_while(streams, dashboards) / SECONDS / (dashboards ? dashboards : 1);
    c.core_percent = (rig_cpu_us(r->daemon) - cpu) / (SECONDS * 1e6) * 100;
    c.wakeups = (double)(rig_switches(r->daemon) - switches) / SECONDS;
    for (int i = 0; i < dashboards; i++)
        conn_close(&streams[i]);
    return c;
}

static void measure_held(int held)
{
    static const char *const names[BUDGETS] = {"m0", "m1", "m2", "m3"};
    struct requests rs[BUDGETS];
    struct crowd crowds[BUDGETS];
    struct watching without, with;
    struct rig r;

    rig_start(&r, false);
    rig_start_daemon(&r, yaml);
    for (int i = 0; i < BUDGETS; i++) {
        const struct text_chat chat = {.model = names[i], .body_bytes = 500, .max_tokens = 100};

        requests_make(&rs[i], &chat, (size_t)held / BUDGETS, (uint64_t)i);
        crowd_start(&crowds[i], r.port, held / BUDGETS, CROWD_CALL, &rs[i]);
    }
    rig_wait_ms(3000);
    without = measure(&r, 0);
    with = measure(&r, DASHBOARDS);
    printf("%8d %12.3f %12.3f %14.1f %14.1f %16.1f\n", held, without.core_percent, with.core_percent, without.wakeups,
           with.wakeups, with.kilobytes);
    fflush(stdout);
    for (int i = 0; i < BUDGETS; i++) {
        crowd_stop(&crowds[i]);
        requests_release(&rs[i]);
    }
    rig_stop(&r);
}

/* What the ring adds to a call's end: its row is zeroed there, and copied to the ledger's. */
static void measure_row(void)
{
    struct lately *l = calloc(1, sizeof *l);
    struct ledger_row *kept = calloc(64, sizeof *kept);
    int64_t from = rig_now_ns();

    if (!l || !kept)
        rig_fail("no memory");
    for (int i = 0; i < ROWS; i++) {
        struct ledger_row *row = lately_add(l);

        row->id = i;
        memcpy(&kept[i % 64], row, sizeof *row);
        __asm__ volatile("" : : "r"(&kept[i % 64]) : "memory"); /* the compiler shall not see that nobody reads it */
    }
    printf("\na row of %zu bytes: %.3f us a call\n", sizeof *kept, (double)(rig_now_ns() - from) / 1000 / ROWS);
    free(l);
    free(kept);
}

int main(void)
{
    rig_pin_clients();
    printf("held calls in %d budgets, %d s each; with %d dashboards open\n", BUDGETS, SECONDS, DASHBOARDS);
    printf("%8s %12s %12s %14s %14s %16s\n", "held", "% of a core", "with them", "wake-ups a s", "with them", "KB a s and each");
    measure_held(100);
    measure_held(10000);
    measure_row();
    return EXIT_SUCCESS;
}
