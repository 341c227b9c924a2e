/* ledger_rows: what tests of the ledger share: a directory that goes away, random rows, and one number of a
 * database. */
#ifndef METERGATE_TESTS_UNIT_LEDGER_ROWS_H
#define METERGATE_TESTS_UNIT_LEDGER_ROWS_H

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "metergate/base/clock.h"
#include "metergate/base/prng.h"
#include "metergate/ledger/db.h"
#include "metergate/ledger/row.h"

struct ledger_place {
    char dir[64];
    char db[96];
};

static inline void place_make(struct ledger_place *p)
{
    snprintf(p->dir, sizeof p->dir, "/tmp/metergate-ledger-XXXXXX");
    assert_non_null(mkdtemp(p->dir));
    snprintf(p->db, sizeof p->db, "%s/ledger.db", p->dir);
}

static inline int place_remove_one(const char *path, const struct stat *st, int flag, struct FTW *at)
{
    (void)st;
    (void)flag;
    (void)at;
    return remove(path);
}

static inline void place_remove(struct ledger_place *p)
{
    assert_int_equal(nftw(p->dir, place_remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
}

/* The first column of the first row; the file is there and can be read. */
static inline int64_t ask(const char *path, const char *sql)
{
    struct db *db;
    struct db_stmt *s;
    int64_t v;

    assert_int_equal(db_open_reader(path, 5000, &db), DB_OK);
    assert_int_equal(db_prepare(db, sql, &s), DB_OK);
    assert_int_equal(db_step(s), DB_ROW);
    v = db_int(s, 0);
    db_finalize(s);
    db_close(db);
    return v;
}

static inline void tell(const char *path, const char *sql)
{
    struct db *db;

    assert_int_equal(db_open(path, 5000, &db), DB_OK);
    assert_int_equal(db_exec(db, sql), DB_OK);
    db_close(db);
}

static inline void random_text(struct prng *p, char *to, size_t size, const char *what, int64_t kinds)
{
    snprintf(to, size, "%s%d", what, (int)prng_below(p, kinds));
}

static inline struct usage random_usage(struct prng *p)
{
    struct usage u = {.input = prng_below(p, 100000), .output = prng_below(p, 5000)};

    u.cached = prng_below(p, u.input + 1);
    u.cache_write = prng_below(p, u.input - u.cached + 1);
    u.cache_write_1h = prng_below(p, u.cache_write + 1);
    u.reasoning = prng_below(p, u.output + 1);
    u.tier = (enum usage_tier)prng_below(p, USAGE_TIERS);
    return u;
}

static inline void random_price(struct prng *p, struct ledger_row *r)
{
    r->cost_nano = PRICE_UNKNOWN;
    r->price = (struct row_price){.name = ""};
    if (prng_below(p, 4) == 0)
        return;
    r->cost_nano = prng_below(p, INT64_C(1000000000));
    random_text(p, r->price.name, sizeof r->price.name, "price", 3);
    r->price.since = 20261100 + (int32_t)prng_below(p, 3);
    for (int i = 0; i < RATES; i++)
        r->price.rates.pico[i] = prng_below(p, 5) - 1;
}

/* A call that ended at t_us, one of few clients and models. */
static inline void random_row(struct prng *p, int64_t id, int64_t t_us, struct ledger_row *r)
{
    memset(r, 0, sizeof *r);
    r->id = id;
    r->t_us = t_us;
    random_text(p, r->client, sizeof r->client, "client", 4);
    random_text(p, r->upstream, sizeof r->upstream, "upstream", 2);
    random_text(p, r->model, sizeof r->model, "model", 5);
    random_text(p, r->budget, sizeof r->budget, "model", 5);
    random_text(p, r->endpoint, sizeof r->endpoint, "chat", 2);
    if (prng_below(p, 3) == 0)
        random_text(p, r->account, sizeof r->account, "account", 2);
    if (prng_below(p, 5) != 0)
        snprintf(r->budget_scope, sizeof r->budget_scope, "entry");
    r->outcome = (enum row_outcome)prng_below(p, ROW_OUTCOMES);
    r->status = 200;
    if (r->outcome == ROW_REFUSED)
        random_text(p, r->reason, sizeof r->reason, "reason", 3);
    r->attempts = (int)prng_below(p, 4);
    r->usage = random_usage(p);
    r->source = (enum row_source)prng_below(p, ROW_SOURCES);
    random_price(p, r);
    r->queued_us = prng_below(p, 60 * CLOCK_S);
    r->total_us = r->queued_us + prng_below(p, 60 * CLOCK_S);
    r->first_byte_us = prng_below(p, 3) ? r->queued_us + prng_below(p, CLOCK_S) : -1;
    if (prng_below(p, 4))
        r->charge.sent_us = t_us - prng_below(p, 90 * CLOCK_S);
    r->charge.on_arrival[METRIC_REQUESTS] = 1;
    r->charge.on_arrival[METRIC_TOKENS] = r->charge.on_arrival[METRIC_INPUT] = r->usage.input;
    r->charge.at_end[METRIC_TOKENS] = r->charge.at_end[METRIC_OUTPUT] = r->usage.output;
    r->hold_count = (int)prng_below(p, ROW_HOLDS_MAX + 1);
    for (int i = 0; i < r->hold_count; i++) {
        random_text(p, r->hold[i].what, sizeof r->hold[i].what, "tpm", 3);
        r->hold[i].to_us = r->queued_us;
    }
}

#endif
