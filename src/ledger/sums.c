/* sums: an entry's place in its array, plus one, stands in the map as the pointer of its key. */
#include "metergate/ledger/sums.h"

#include <stdlib.h>

#include "metergate/base/map.h"
#include "metergate/ledger/row.h"

_Static_assert(SUMS_COMPLETED + (int)ROW_FAILED == (int)SUMS_FAILED, "outcomes are columns in their order");

struct hour {
    struct sums_hour key;
    int64_t v[SUMS_COLUMNS];
};

struct sums {
    struct map hour_at, charge_at;
    struct hour *hour;
    struct sums_charge *charge;
    size_t hours, hour_cap, charges, charge_cap;
    struct db_stmt *write_hour, *write_charge;
};

int sums_new(struct db *db, struct sums **ret)
{
    struct sums *s = xcalloc(1, sizeof *s);
    int rc;

    map_init(&s->hour_at);
    map_init(&s->charge_at);
    *ret = s;
    rc = db_prepare(db,
                    "INSERT INTO hours(hour, client, upstream, budget, account, model, endpoint,"
                    " calls, completed, refused, cancelled, failed, attempts,"
                    " input, cached, cache_write, cache_write_1h, output, reasoning, cost_nano, unpriced,"
                    " queued_ms, first_bytes, first_byte_ms, total_ms)"
                    " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18,"
                    " ?19, ?20, ?21, ?22, ?23, ?24, ?25)"
                    " ON CONFLICT DO UPDATE SET calls = calls + excluded.calls,"
                    " completed = completed + excluded.completed, refused = refused + excluded.refused,"
                    " cancelled = cancelled + excluded.cancelled, failed = failed + excluded.failed,"
                    " attempts = attempts + excluded.attempts, input = input + excluded.input,"
                    " cached = cached + excluded.cached, cache_write = cache_write + excluded.cache_write,"
                    " cache_write_1h = cache_write_1h + excluded.cache_write_1h,"
                    " output = output + excluded.output, reasoning = reasoning + excluded.reasoning,"
                    " cost_nano = cost_nano + excluded.cost_nano, unpriced = unpriced + excluded.unpriced,"
                    " queued_ms = queued_ms + excluded.queued_ms, first_bytes = first_bytes + excluded.first_bytes,"
                    " first_byte_ms = first_byte_ms + excluded.first_byte_ms,"
                    " total_ms = total_ms + excluded.total_ms",
                    &s->write_hour);
    if (rc == DB_OK)
        rc = db_prepare(db,
                        "INSERT INTO charges(scope, until_s, requests, tokens, input, output, cost_nano)"
                        " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)"
                        " ON CONFLICT DO UPDATE SET requests = requests + excluded.requests,"
                        " tokens = tokens + excluded.tokens, input = input + excluded.input,"
                        " output = output + excluded.output, cost_nano = cost_nano + excluded.cost_nano",
                        &s->write_charge);
    return rc;
}

void sums_reset(struct sums *s)
{
    map_release(&s->hour_at);
    map_release(&s->charge_at);
    s->hours = s->charges = 0;
}

void sums_free(struct sums *s)
{
    if (!s)
        return;
    sums_reset(s);
    db_finalize(s->write_hour);
    db_finalize(s->write_charge);
    free(s->hour);
    free(s->charge);
    free(s);
}

static void add(int64_t *sum, int64_t v)
{
    if (__builtin_add_overflow(*sum, v, sum))
        *sum = v < 0 ? INT64_MIN : INT64_MAX;
}

/* The place of that key; *n when it is new, which then is its number. */
static size_t place_of(struct map *m, struct slice key, size_t *n)
{
    size_t at = (size_t)(uintptr_t)map_get(m, key);

    if (at)
        return at - 1;
    at = (*n)++;
    map_set(m, key, (void *)(uintptr_t)(at + 1));
    return at;
}

void sums_add_hour(struct sums *s, const struct sums_hour *key, const int64_t v[SUMS_COLUMNS])
{
    size_t before = s->hours, at = place_of(&s->hour_at, slice_of((const char *)key, sizeof *key), &s->hours);

    if (s->hours > s->hour_cap) {
        s->hour_cap = s->hour_cap ? 2 * s->hour_cap : 64;
        s->hour = xrealloc(s->hour, s->hour_cap * sizeof *s->hour);
    }
    if (s->hours > before)
        s->hour[at] = (struct hour){.key = *key};
    for (int i = 0; i < SUMS_COLUMNS; i++)
        add(&s->hour[at].v[i], v[i]);
}

static bool is_nothing(const struct sums_charge *c)
{
    int64_t any = c->cost_nano;

    for (int m = 0; m < METRIC_CONCURRENT; m++)
        any |= c->amount[m];
    return any == 0;
}

void sums_add_charge(struct sums *s, const struct sums_charge *c)
{
    int64_t key[2] = {c->scope, c->until_s};
    size_t before = s->charges, at;

    if (is_nothing(c))
        return;
    at = place_of(&s->charge_at, slice_of((const char *)key, sizeof key), &s->charges);
    if (s->charges > s->charge_cap) {
        s->charge_cap = s->charge_cap ? 2 * s->charge_cap : 64;
        s->charge = xrealloc(s->charge, s->charge_cap * sizeof *s->charge);
    }
    if (s->charges > before)
        s->charge[at] = (struct sums_charge){.scope = c->scope, .until_s = c->until_s};
    for (int m = 0; m < METRIC_CONCURRENT; m++)
        add(&s->charge[at].amount[m], c->amount[m]);
    add(&s->charge[at].cost_nano, c->cost_nano);
}

static int write_hour(struct db_stmt *w, const struct hour *h)
{
    const struct sums_hour *k = &h->key;
    const int64_t key[] = {k->hour, k->client, k->upstream, k->budget, k->account, k->model, k->endpoint};
    int at = 1;

    for (size_t i = 0; i < MG_ARRAY_LEN(key); i++)
        db_bind_int(w, at++, key[i]);
    for (int i = 0; i < SUMS_COLUMNS; i++)
        db_bind_int(w, at++, h->v[i]);
    return db_run(w);
}

static int write_charge(struct db_stmt *w, const struct sums_charge *c)
{
    db_bind_int(w, 1, c->scope);
    db_bind_int(w, 2, c->until_s);
    db_bind_int(w, 3, c->amount[METRIC_REQUESTS]);
    db_bind_int(w, 4, c->amount[METRIC_TOKENS]);
    db_bind_int(w, 5, c->amount[METRIC_INPUT]);
    db_bind_int(w, 6, c->amount[METRIC_OUTPUT]);
    db_bind_int(w, 7, c->cost_nano);
    return db_run(w);
}

int sums_write(struct sums *s)
{
    int rc = DB_OK;

    for (size_t i = 0; i < s->hours && rc == DB_OK; i++)
        rc = write_hour(s->write_hour, &s->hour[i]);
    for (size_t i = 0; i < s->charges && rc == DB_OK; i++)
        rc = write_charge(s->write_charge, &s->charge[i]);
    sums_reset(s);
    return rc;
}
