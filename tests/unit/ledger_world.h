/*
 * ledger_world: a ledger.db of rows of chance that are also kept in memory, for tests of reports over any
 * span.
 */
#ifndef TEST_LEDGER_WORLD_H
#define TEST_LEDGER_WORLD_H

#include "ledger_file.h"

#include "metergate/base/prng.h"
#include "metergate/base/when.h"
#include "metergate/ledger/report.h"

#define ROWS  2500
#define T0    (INT64_C(495000) * WHEN_HOUR_US) /* some full hour of 2026 */
#define HOURS 60

static const char *const models[] = {"gpt-4o", "claude-sonnet-4-5", "", "gpt-4o-mini", "caf\xc3\xa9"};
static const char *const clients[] = {"nightly", "editor", "ana"};

struct world {
    struct ledger_file file;
    struct prng random;
    struct ledger_row rows[ROWS];
    bool removed[ROWS];
};

static inline const char *pick(struct prng *p, const char *const *of, size_t n)
{
    return of[prng_below(p, (int64_t)n)];
}

static inline void random_row(struct prng *p, int64_t id, struct ledger_row *r)
{
    static const char *const budgets[] = {"gpt-4o", "other"}, *const upstreams[] = {"openai", "azure"},
                             *const endpoints[] = {"chat", "embeddings"};

    *r = (struct ledger_row){
        .id = id,
        .t_us = T0 + prng_below(p, HOURS * WHEN_HOUR_US),
        .outcome = (enum row_outcome)prng_below(p, ROW_OUTCOMES),
        .status = prng_below(p, 4) ? 200 : 400,
        .attempts = (int)prng_below(p, 4),
        .usage = {.input = prng_below(p, 9000),
                  .cached = prng_below(p, 900),
                  .cache_write = prng_below(p, 90),
                  .cache_write_1h = prng_below(p, 9),
                  .output = prng_below(p, 5000),
                  .reasoning = prng_below(p, 500)},
        .source = (enum row_source)prng_below(p, ROW_SOURCES),
        .cost_nano = prng_below(p, 5) ? prng_below(p, 100000000) : PRICE_UNKNOWN,
        .queued_us = prng_below(p, 60000) * 1000,
        .total_us = prng_below(p, 90000) * 1000,
        .first_byte_us = prng_below(p, 3) ? prng_below(p, 30000) * 1000 : -1,
    };
    if (prng_below(p, 20) == 0)
        r->t_us -= r->t_us % WHEN_HOUR_US; /* on the hour */
    snprintf(r->model, sizeof r->model, "%s", pick(p, models, MG_ARRAY_LEN(models)));
    snprintf(r->client, sizeof r->client, "%s", pick(p, clients, MG_ARRAY_LEN(clients)));
    snprintf(r->budget, sizeof r->budget, "%s", pick(p, budgets, 2));
    snprintf(r->upstream, sizeof r->upstream, "%s", pick(p, upstreams, 2));
    snprintf(r->endpoint, sizeof r->endpoint, "%s", pick(p, endpoints, 2));
}

static inline struct world *world_new(uint64_t seed)
{
    struct world *w = calloc(1, sizeof *w);

    w->random.state = seed;
    ledger_file_begin(&w->file);
    for (int i = 0; i < ROWS; i++)
        random_row(&w->random, i + 1, &w->rows[i]);
    ledger_file_add(&w->file, w->rows, ROWS);
    ledger_file_sum(&w->file);
    return w;
}

static inline void world_free(struct world *w)
{
    ledger_file_end(&w->file);
    free(w);
}

static inline struct report *open_report(const struct ledger_file *f)
{
    struct report *r = NULL;
    struct errbuf e = {""};

    if (report_open(f->dir, &r, &e) != DB_OK)
        fail_msg("%s", e.text);
    return r;
}

/* Adds a row to sums. */
static inline void count(struct report_sums *s, const struct ledger_row *r)
{
    s->calls++;
    s->outcome[r->outcome]++;
    s->attempts += r->attempts;
    s->usage.input += r->usage.input;
    s->usage.cached += r->usage.cached;
    s->usage.cache_write += r->usage.cache_write;
    s->usage.cache_write_1h += r->usage.cache_write_1h;
    s->usage.output += r->usage.output;
    s->usage.reasoning += r->usage.reasoning;
    if (r->cost_nano == PRICE_UNKNOWN)
        s->unpriced++;
    else
        s->cost_nano += r->cost_nano;
    s->queued_ms += r->queued_us / 1000;
    s->total_ms += r->total_us / 1000;
    if (r->first_byte_us >= 0) {
        s->first_bytes++;
        s->first_byte_ms += r->first_byte_us / 1000;
    }
}

static inline bool sums_equal(const struct report_sums *a, const struct report_sums *b)
{
    return a->calls == b->calls && memcmp(a->outcome, b->outcome, sizeof a->outcome) == 0 &&
           a->attempts == b->attempts && a->usage.input == b->usage.input &&
           a->usage.cached == b->usage.cached && a->usage.cache_write == b->usage.cache_write &&
           a->usage.cache_write_1h == b->usage.cache_write_1h && a->usage.output == b->usage.output &&
           a->usage.reasoning == b->usage.reasoning && a->cost_nano == b->cost_nano &&
           a->unpriced == b->unpriced && a->queued_ms == b->queued_ms && a->total_ms == b->total_ms &&
           a->first_bytes == b->first_bytes && a->first_byte_ms == b->first_byte_ms;
}

static inline void random_span(struct world *w, struct report_span *ret)
{
    int64_t a = T0 + prng_below(&w->random, (HOURS + 4) * WHEN_HOUR_US) - 2 * WHEN_HOUR_US, n = 0;

    switch (prng_below(&w->random, 4)) {
    case 0: /* inside an hour, mostly */
        n = prng_below(&w->random, WHEN_HOUR_US);
        break;
    case 1: /* whole hours */
        a -= a % WHEN_HOUR_US;
        n = prng_below(&w->random, HOURS) * WHEN_HOUR_US;
        break;
    default:
        n = prng_below(&w->random, HOURS * WHEN_HOUR_US);
    }
    *ret = (struct report_span){a, a + n};
}

#endif
