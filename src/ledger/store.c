/*
 * store: what is prepared belongs to the connection and goes before it. After any failure the transaction is
 * rolled back, and with it go the numbers that names gave and the sums of the batch.
 */
#include <stdlib.h>

#include "metergate/base/clock.h"
#include "metergate/ledger/schema.h"
#include "store_inside.h"

#define TRIED INT64_C(-1) /* no call has that id */

const char *const store_sql[STORE_STATEMENTS + 1] = {
    [STORE_ADD_CALL] =
        "INSERT INTO calls(id, t_us, client, upstream, budget, account, model, endpoint, outcome, status, reason,"
        " attempts, estimated_input, estimated_output, input, cached, cache_write, cache_write_1h, output,"
        " reasoning, tier, source, cost_nano, price, queued_ms, first_byte_ms, total_ms)"
        " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21,"
        " ?22, ?23, ?24, ?25, ?26, ?27) ON CONFLICT(id) DO NOTHING",
    [STORE_ADD_HOLD] = "INSERT INTO holds(call, n, what, whose, from_ms, to_ms) VALUES(?1, ?2, ?3, ?4, ?5, ?6)"
                       " ON CONFLICT DO NOTHING",
    [STORE_FIND_CALL] =
        "SELECT t_us, client, upstream, budget, account, model, endpoint, input, cached, cache_write,"
        " cache_write_1h, output, reasoning, cost_nano FROM calls WHERE id = ?1",
    [STORE_CHANGE_CALL] =
        "UPDATE calls SET input = ?2, cached = ?3, cache_write = ?4, cache_write_1h = ?5, output = ?6,"
        " reasoning = ?7, tier = ?8, source = ?9, cost_nano = ?10, price = ?11 WHERE id = ?1",
    [STORE_TAKE_COST] =
        "UPDATE charges SET cost_nano = max(0, cost_nano - ?3) WHERE scope = ?1 AND until_s ="
        " (SELECT until_s FROM charges WHERE scope = ?1 AND until_s >= ?2 ORDER BY until_s LIMIT 1)",
    [STORE_FIND_FACT] = "SELECT value FROM facts WHERE name = ?1",
    [STORE_ADD_FACT] = "INSERT INTO facts(name, value) VALUES(?1, ?2)",
};

/* ---- opening ---- */

static int prepare(struct store *s, struct errbuf *e)
{
    int rc = schema_prepare(s->db, e);

    if (rc != DB_OK)
        return rc;
    for (int i = 0; i < STORE_STATEMENTS && rc == DB_OK; i++)
        rc = db_prepare(s->db, store_sql[i], &s->run[i]);
    if (rc == DB_OK)
        rc = names_new(s->db, &s->names);
    if (rc == DB_OK)
        rc = sums_new(s->db, &s->sums);
    if (rc == DB_OK)
        rc = tidy_new(s->db, &s->tidy);
    if (rc != DB_OK)
        err_set(e, "%s", db_problem(s->db));
    return rc;
}

int store_open(const char *path, int busy_ms, struct store **ret, struct errbuf *e)
{
    struct store *s = xcalloc(1, sizeof *s);
    int rc = db_open(path, busy_ms, &s->db);

    if (rc != DB_OK)
        err_set(e, "%s", db_problem(s->db));
    else
        rc = prepare(s, e);
    if (rc == DB_OK)
        *ret = s;
    else
        store_close(s);
    return rc;
}

void store_close(struct store *s)
{
    if (!s)
        return;
    for (int i = 0; i < STORE_STATEMENTS; i++)
        db_finalize(s->run[i]);
    names_free(s->names);
    sums_free(s->sums);
    tidy_free(s->tidy);
    db_close(s->db);
    free(s);
}

void store_settle(struct store *s)
{
    (void)!db_exec(s->db, "PRAGMA wal_checkpoint"); /* where it cannot be done nothing is worse than before */
}

/* ---- transactions ---- */

/* Ends the one that is open: keeps it when rc is DB_OK. */
static int end(struct store *s, int rc, struct errbuf *e)
{
    if (rc == DB_OK)
        rc = db_exec(s->db, "COMMIT");
    if (rc == DB_OK)
        return DB_OK;
    err_set(e, "%s", db_problem(s->db));
    names_forget(s->names);
    sums_reset(s->sums);
    (void)!db_exec(s->db, "ROLLBACK"); /* SQLite may have done it: its own code is of no interest */
    return rc;
}

static int begin(struct store *s, struct errbuf *e)
{
    int rc = db_exec(s->db, "BEGIN IMMEDIATE");

    if (rc != DB_OK)
        err_set(e, "%s", db_problem(s->db));
    return rc;
}

/* ---- batches ---- */

int store_write(struct store *s, const struct ledger_row *const *rows, size_t n, struct errbuf *e)
{
    int rc = begin(s, e);

    if (rc != DB_OK)
        return rc;
    for (size_t i = 0; i < n && rc == DB_OK; i++)
        rc = store_write_row(s, rows[i]);
    if (rc == DB_OK)
        rc = sums_write(s->sums);
    return end(s, rc, e);
}

int store_try(struct store *s, struct errbuf *e)
{
    const struct ledger_row r = {
        .id = TRIED, .t_us = clock_wall_us(), .client = "try", .charge.on_arrival[METRIC_REQUESTS] = 1};
    int rc = begin(s, e);

    if (rc != DB_OK)
        return rc;
    rc = store_write_row(s, &r);
    if (rc == DB_OK)
        rc = sums_write(s->sums);
    if (rc != DB_OK)
        return end(s, rc, e);
    names_forget(s->names);
    rc = db_exec(s->db, "ROLLBACK");
    if (rc != DB_OK)
        err_set(e, "%s", db_problem(s->db));
    return rc;
}

int store_tidy(struct store *s, int64_t now_us, int64_t retention_us, bool *ret_more, struct errbuf *e)
{
    int rc = begin(s, e);

    if (rc != DB_OK)
        return rc;
    rc = end(s, tidy_step(s->tidy, now_us, retention_us, ret_more), e);
    if (rc != DB_OK)
        tidy_reset(s->tidy);
    return rc;
}

/* ---- facts ---- */

int store_fact(struct store *s, const char *name, struct slice value, struct buf *out, struct errbuf *e)
{
    struct db_stmt *f = s->run[STORE_FIND_FACT];
    int rc = begin(s, e);

    if (rc != DB_OK)
        return rc;
    db_bind_text(f, 1, slice_str(name));
    rc = db_step(f);
    if (rc == DB_ROW)
        value = db_text(f, 0);
    else if (rc == DB_OK) {
        db_bind_text(s->run[STORE_ADD_FACT], 1, slice_str(name));
        db_bind_text(s->run[STORE_ADD_FACT], 2, value);
        rc = db_run(s->run[STORE_ADD_FACT]);
    }
    if (rc == DB_ROW || rc == DB_OK)
        buf_add_slice(out, value);
    db_reset(f);
    return end(s, rc == DB_ROW ? DB_OK : rc, e);
}
