/*
 * ledger_file: a ledger.db that a test fills by plain statements of its own, so that what reads it is not
 * tested against what writes it. For the tests of reports.
 */
#ifndef TEST_LEDGER_FILE_H
#define TEST_LEDGER_FILE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "metergate/base/buf.h"
#include "metergate/ledger/db.h"
#include "metergate/ledger/row.h"
#include "metergate/ledger/schema.h"

struct ledger_file {
    char dir[64];
    struct db *db;
};

static inline void ledger_file_path(const struct ledger_file *f, const char *name, char ret[128])
{
    snprintf(ret, 128, "%s/%s", f->dir, name);
}

/* An empty directory, for whoever writes there. */
static inline void ledger_file_begin_empty(struct ledger_file *f)
{
    *f = (struct ledger_file){.dir = "/tmp/metergate-ledger-XXXXXX"};
    assert_non_null(mkdtemp(f->dir));
}

static inline void ledger_file_run(struct ledger_file *f, const char *sql)
{
    if (db_exec(f->db, sql) != DB_OK)
        fail_msg("%s: %s", sql, db_problem(f->db));
}

static inline void ledger_file_begin(struct ledger_file *f)
{
    char path[128];
    struct errbuf e;

    ledger_file_begin_empty(f);
    ledger_file_path(f, "ledger.db", path);
    assert_int_equal(db_open(path, 1000, &f->db), DB_OK);
    assert_int_equal(schema_prepare(f->db, &e), DB_OK);
    ledger_file_run(f, "PRAGMA synchronous = OFF");
}

static inline void ledger_file_end(struct ledger_file *f)
{
    static const char *const names[] = {"ledger.db", "ledger.db-wal", "ledger.db-shm", "journal"};
    char path[128];

    db_close(f->db);
    for (size_t i = 0; i < MG_ARRAY_LEN(names); i++) {
        ledger_file_path(f, names[i], path);
        unlink(path);
    }
    assert_int_equal(rmdir(f->dir), 0);
}

static inline int64_t ledger_file_number(struct ledger_file *f, const char *sql)
{
    struct db_stmt *s;
    int64_t v;

    assert_int_equal(db_prepare(f->db, sql, &s), DB_OK);
    assert_int_equal(db_step(s), DB_ROW);
    v = db_int(s, 0);
    db_finalize(s);
    return v;
}

/* One of the texts of a row becomes the number of its name. */
static inline void ledger_file_bind_name(struct ledger_file *f, struct db_stmt *s, int place,
                                         const char *text)
{
    struct db_stmt *q;

    assert_int_equal(db_prepare(f->db, "INSERT OR IGNORE INTO names(text) VALUES (?1)", &q), DB_OK);
    db_bind_text(q, 1, slice_str(text));
    assert_int_equal(db_run(q), DB_OK);
    db_finalize(q);
    assert_int_equal(db_prepare(f->db, "SELECT id FROM names WHERE text = ?1", &q), DB_OK);
    db_bind_text(q, 1, slice_str(text));
    assert_int_equal(db_step(q), DB_ROW);
    db_bind_int(s, place, db_int(q, 0));
    db_finalize(q);
}

static inline int64_t ledger_file_add_price(struct ledger_file *f, const struct row_price *p)
{
    struct db_stmt *s;

    assert_int_equal(
        db_prepare(f->db,
                   "INSERT INTO prices(name, since, input, cached, cache_write, cache_write_1h, output)"
                   " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                   &s),
        DB_OK);
    db_bind_text(s, 1, slice_str(p->name));
    db_bind_int(s, 2, p->since);
    for (int i = 0; i < RATES; i++)
        db_bind_int(s, 3 + i, p->rates.pico[i]);
    assert_int_equal(db_run(s), DB_OK);
    db_finalize(s);
    return db_last_rowid(f->db);
}

static inline void ledger_file_add_holds(struct ledger_file *f, const struct ledger_row *r)
{
    struct db_stmt *s;

    assert_int_equal(
        db_prepare(f->db,
                   "INSERT INTO holds(call, n, what, whose, from_ms, to_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                   &s),
        DB_OK);
    for (int i = 0; i < r->hold_count; i++) {
        db_bind_int(s, 1, r->id);
        db_bind_int(s, 2, i);
        ledger_file_bind_name(f, s, 3, r->hold[i].what);
        db_bind_int(s, 4, r->hold[i].whose);
        db_bind_int(s, 5, r->hold[i].from_us / 1000);
        db_bind_int(s, 6, r->hold[i].to_us / 1000);
        assert_int_equal(db_run(s), DB_OK);
    }
    db_finalize(s);
}

static inline void ledger_file_bind_row(struct ledger_file *f, struct db_stmt *s, const struct ledger_row *r)
{
    const int64_t ints[] = {r->outcome,
                            r->status,
                            r->attempts,
                            r->estimated_input,
                            r->estimated_output,
                            r->usage.input,
                            r->usage.cached,
                            r->usage.cache_write,
                            r->usage.cache_write_1h,
                            r->usage.output,
                            r->usage.reasoning,
                            r->usage.tier,
                            r->source,
                            r->queued_us / 1000,
                            r->total_us / 1000};

    db_bind_int(s, 1, r->id);
    db_bind_int(s, 2, r->t_us);
    ledger_file_bind_name(f, s, 3, r->client);
    ledger_file_bind_name(f, s, 4, r->upstream);
    ledger_file_bind_name(f, s, 5, r->budget);
    ledger_file_bind_name(f, s, 6, r->account);
    ledger_file_bind_name(f, s, 7, r->model);
    ledger_file_bind_name(f, s, 8, r->endpoint);
    for (size_t i = 0; i < MG_ARRAY_LEN(ints); i++)
        db_bind_int(s, 9 + (int)i, ints[i]);
    if (r->reason[0])
        ledger_file_bind_name(f, s, 24, r->reason);
    if (r->cost_nano != PRICE_UNKNOWN)
        db_bind_int(s, 25, r->cost_nano);
    if (r->price.name[0])
        db_bind_int(s, 26, ledger_file_add_price(f, &r->price));
    if (r->first_byte_us >= 0)
        db_bind_int(s, 27, r->first_byte_us / 1000);
}

/* Rows of `calls` and their holds; ledger_file_sum makes `hours` of them. A price may be added once only. */
static inline void ledger_file_add(struct ledger_file *f, const struct ledger_row *rows, size_t n)
{
    struct db_stmt *s;

    assert_int_equal(db_prepare(f->db,
                                "INSERT INTO calls(id, t_us, client, upstream, budget, account, model, "
                                "endpoint, outcome, status, attempts,"
                                " estimated_input, estimated_output, input, cached, cache_write, "
                                "cache_write_1h, output, reasoning, tier,"
                                " source, queued_ms, total_ms, reason, cost_nano, price, first_byte_ms) "
                                "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7,"
                                " ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, "
                                "?23, ?24, ?25, ?26, ?27)",
                                &s),
                     DB_OK);
    ledger_file_run(f, "BEGIN");
    for (size_t i = 0; i < n; i++) {
        ledger_file_bind_row(f, s, &rows[i]);
        assert_int_equal(db_run(s), DB_OK);
        ledger_file_add_holds(f, &rows[i]);
    }
    ledger_file_run(f, "COMMIT");
    db_finalize(s);
}

/* The sums of all calls that are there. */
static inline void ledger_file_sum(struct ledger_file *f)
{
    ledger_file_run(
        f, "DELETE FROM hours; INSERT INTO hours SELECT t_us / 3600000000, client, upstream, budget, "
           "account, model,"
           " endpoint, count(*), sum(outcome = 0), sum(outcome = 1), sum(outcome = 2), sum(outcome = 3), "
           "sum(attempts),"
           " sum(input), sum(cached), sum(cache_write), sum(cache_write_1h), sum(output), sum(reasoning),"
           " coalesce(sum(cost_nano), 0), sum(cost_nano IS NULL), sum(queued_ms), count(first_byte_ms),"
           " coalesce(sum(first_byte_ms), 0), sum(total_ms) FROM calls GROUP BY 1, 2, 3, 4, 5, 6, 7");
}

#endif
