/* schema: version N is made from version N - 1 by migrations[N - 1], which never changes once it was released. */
#include "metergate/ledger/schema.h"

#include <inttypes.h>
#include <stdio.h>

static const char *const migrations[SCHEMA_VERSION] = {
    "CREATE TABLE names(id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);"
    "CREATE TABLE prices(id INTEGER PRIMARY KEY, name TEXT NOT NULL, since INTEGER NOT NULL,"
    " input INTEGER NOT NULL, cached INTEGER NOT NULL, cache_write INTEGER NOT NULL, cache_write_1h INTEGER NOT NULL,"
    " output INTEGER NOT NULL," /* -1: unknown */
    " UNIQUE(name, since, input, cached, cache_write, cache_write_1h, output));"
    "CREATE TABLE calls(id INTEGER PRIMARY KEY, t_us INTEGER NOT NULL,"
    " client INTEGER NOT NULL, upstream INTEGER NOT NULL, budget INTEGER NOT NULL, account INTEGER NOT NULL,"
    " model INTEGER NOT NULL, endpoint INTEGER NOT NULL,"         /* names */
    " outcome INTEGER NOT NULL, status INTEGER NOT NULL, reason INTEGER," /* names; NULL: none */
    " attempts INTEGER NOT NULL, estimated_input INTEGER NOT NULL, estimated_output INTEGER NOT NULL,"
    " input INTEGER NOT NULL, cached INTEGER NOT NULL, cache_write INTEGER NOT NULL, cache_write_1h INTEGER NOT NULL,"
    " output INTEGER NOT NULL, reasoning INTEGER NOT NULL, tier INTEGER NOT NULL, source INTEGER NOT NULL,"
    " cost_nano INTEGER, price INTEGER," /* NULL: unpriced; prices, NULL: none */
    " queued_ms INTEGER NOT NULL, first_byte_ms INTEGER, total_ms INTEGER NOT NULL);"
    "CREATE INDEX calls_by_time ON calls(t_us);"
    "CREATE TABLE holds(call INTEGER NOT NULL, n INTEGER NOT NULL, what INTEGER NOT NULL, whose INTEGER NOT NULL,"
    " from_ms INTEGER NOT NULL, to_ms INTEGER NOT NULL, PRIMARY KEY(call, n)) WITHOUT ROWID;"
    "CREATE TABLE hours(hour INTEGER NOT NULL, client INTEGER NOT NULL, upstream INTEGER NOT NULL,"
    " budget INTEGER NOT NULL, account INTEGER NOT NULL, model INTEGER NOT NULL, endpoint INTEGER NOT NULL,"
    " calls INTEGER NOT NULL, completed INTEGER NOT NULL, refused INTEGER NOT NULL, cancelled INTEGER NOT NULL,"
    " failed INTEGER NOT NULL, attempts INTEGER NOT NULL,"
    " input INTEGER NOT NULL, cached INTEGER NOT NULL, cache_write INTEGER NOT NULL, cache_write_1h INTEGER NOT NULL,"
    " output INTEGER NOT NULL, reasoning INTEGER NOT NULL, cost_nano INTEGER NOT NULL, unpriced INTEGER NOT NULL,"
    " queued_ms INTEGER NOT NULL, first_bytes INTEGER NOT NULL, first_byte_ms INTEGER NOT NULL,"
    " total_ms INTEGER NOT NULL,"
    " PRIMARY KEY(hour, client, upstream, budget, account, model, endpoint)) WITHOUT ROWID;"
    "CREATE TABLE charges(scope INTEGER NOT NULL, until_s INTEGER NOT NULL, requests INTEGER NOT NULL,"
    " tokens INTEGER NOT NULL, input INTEGER NOT NULL, output INTEGER NOT NULL, cost_nano INTEGER NOT NULL,"
    " PRIMARY KEY(scope, until_s)) WITHOUT ROWID;"
    "CREATE TABLE facts(name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;",
};

static int read_version(struct db *db, int64_t *ret)
{
    struct db_stmt *s;
    int rc = db_prepare(db, "PRAGMA user_version", &s);

    *ret = 0;
    if (rc != DB_OK)
        return rc;
    rc = db_step(s);
    if (rc == DB_ROW)
        *ret = db_int(s, 0);
    db_finalize(s);
    return rc == DB_ROW ? DB_OK : rc;
}

/* Another process may have done it by the time that it is our turn. */
static int migrate(struct db *db)
{
    int64_t from = 0;
    char set[64];
    int rc = db_exec(db, "BEGIN IMMEDIATE");

    if (rc == DB_OK)
        rc = read_version(db, &from);
    if (rc == DB_OK && from >= SCHEMA_VERSION)
        return db_exec(db, "COMMIT");
    if (from < 0)
        from = 0;
    for (int64_t v = from; v < SCHEMA_VERSION && rc == DB_OK; v++)
        rc = db_exec(db, migrations[v]);
    snprintf(set, sizeof set, "PRAGMA user_version = %d; COMMIT", SCHEMA_VERSION);
    if (rc == DB_OK)
        rc = db_exec(db, set);
    return rc;
}

int schema_prepare(struct db *db, struct errbuf *e)
{
    int64_t version;
    int rc = read_version(db, &version);

    if (rc == DB_OK && version > SCHEMA_VERSION) {
        err_set(e, "it was written by a newer Metergate (its version is %" PRId64 ", this one knows %d)", version,
                SCHEMA_VERSION);
        return DB_READONLY;
    }
    if (rc == DB_OK && version < SCHEMA_VERSION)
        rc = migrate(db);
    if (rc == DB_OK)
        return DB_OK;
    err_set(e, "%s", db_problem(db));
    (void)!db_exec(db, "ROLLBACK"); /* there may be none: its own code is of no interest */
    return rc;
}
