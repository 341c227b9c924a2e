/*
 * bench_status: what one GET /-/status costs the loop while many calls wait. The first of each pair finds held calls to be
 * replayed, the second, at once behind it, does not. Nothing is asserted; the aim is a few milliseconds.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crowd.h"
#include "rig.h"

enum { ROUNDS = 7, BODY_BYTES = 400 };

static const struct row {
    int held, budgets, clients;
} rows[] = {{1000, 1, 20}, {10000, 1, 20}, {10000, 200, 20}, {10000, 200, 1000}, {10000, 1, 1000}};

/* Each budget has room for a few calls a minute. */
static void write_config(const struct row *row, struct buf *out)
{
    buf_add_str(out, "queue: {max_requests: 13000, max_bytes: 4GiB, keepalive: 0}\nheadroom: 0%\nupstreams:\n"
                     "  openai: {dialect: openai, base_url: $ORIGIN, api_key: {env: METERGATE_BENCH_KEY}, counting: openai}\n"
                     "models:\n");
    for (int i = 0; i < row->budgets; i++)
        buf_addf(out, "  m%d: {tpm: 8000}\n", i);
}

static void make_requests(const struct row *row, struct requests *rs)
{
    uint64_t random = 88172645463325252u;

    buf_init(&rs->bytes, BUF_UNLIMITED);
    rs->n = (size_t)row->held;
    rs->at = calloc(rs->n + 1, sizeof rs->at[0]);
    if (!rs->at)
        rig_fail("out of memory");
    for (size_t i = 0; i < rs->n; i++) {
        char model[24], prefix[24];
        struct text_chat chat = {.model = model, .prefix = prefix, .body_bytes = BODY_BYTES, .max_tokens = 100};

        snprintf(model, sizeof model, "m%zu", i % (size_t)row->budgets);
        snprintf(prefix, sizeof prefix, "/@c%zu", i / (size_t)row->budgets % (size_t)row->clients);
        text_add_chat(&rs->bytes, &chat, &random);
        rs->at[i + 1] = rs->bytes.n;
    }
}

static double cost_us(const struct rig *r)
{
    double before = rig_cpu_us(r->daemon);

    (void)rig_status(r, "held");
    return rig_cpu_us(r->daemon) - before;
}

static void measure(const struct row *row)
{
    double fresh[ROUNDS], again[ROUNDS];
    struct requests rs;
    struct crowd crowd;
    struct buf yaml;
    struct rig r;

    buf_init(&yaml, BUF_UNLIMITED);
    write_config(row, &yaml);
    buf_add_char(&yaml, '\0');
    rig_start(&r, false);
    rig_start_daemon(&r, yaml.p);
    make_requests(row, &rs);
    crowd_start(&crowd, r.port, row->held, CROWD_CALL, &rs);
    rig_wait_ms(3000); /* those that have room have gone */
    for (int i = 0; i < ROUNDS; i++) {
        rig_wait_ms(2500); /* the next replay is due */
        fresh[i] = cost_us(&r);
        again[i] = cost_us(&r);
    }
    printf("%6lld held, %4d budgets, %5d clients: %8.2f ms of CPU, %6.2f ms without a replay\n",
           (long long)rig_status(&r, "held"), row->budgets, row->clients, quantile(fresh, ROUNDS, 0.5) / 1000,
           quantile(again, ROUNDS, 0.5) / 1000);
    fflush(stdout);
    crowd_stop(&crowd);
    requests_release(&rs);
    buf_release(&yaml);
    rig_stop(&r);
}

int main(void)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        measure(&rows[i]);
    return EXIT_SUCCESS;
}
