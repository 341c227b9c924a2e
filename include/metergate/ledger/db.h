/*
 * db: a thin cover of SQLite, the only file that includes its header. A connection belongs to one thread at a time.
 *
 * Every function returns 0 or one of the codes below; the sentence is that of db_problem. A statement belongs to its
 * connection and is finalised before it is closed.
 */
#ifndef METERGATE_LEDGER_DB_H
#define METERGATE_LEDGER_DB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "metergate/base/err.h"
#include "metergate/base/slice.h"

/* What can be wrong, by what is to be done about it. */
enum db_code {
    DB_OK = 0,
    DB_ROW = 1,       /* db_step: there is a row */
    DB_BUSY = -1,     /* somebody else has it locked: again later */
    DB_FULL = -2,     /* no room on the disk: again later */
    DB_READONLY = -3, /* it, or its directory, cannot be written: again later */
    DB_CORRUPT = -4,  /* it is no database, or damaged: to be set aside */
    DB_IO = -5,       /* the disk fails, the file cannot be opened: again later */
    DB_ERROR = -6,    /* anything else: a bug */
    DB_NO_MEMORY = -7 /* again later */
};

struct db;
struct db_stmt;

/*
 * From now on SQLite's memory is had with the help of the spare (base/spare.h). Before anything else of it is used, and
 * before there is a second thread.
 */
void db_use_spare(void);

/*
 * Opens or makes the file: WAL, synchronous NORMAL, and `busy_ms` of patience with others' locks. The file and those
 * beside it (-wal, -shm) are readable by their owner alone. *ret is set even when the code is not DB_OK, for
 * db_problem; close it.
 */
int db_open(const char *path, int busy_ms, struct db **ret) MG_MUSTCHECK;

/* For reading alone; the file must be there, and some writer have made it WAL. */
int db_open_reader(const char *path, int busy_ms, struct db **ret) MG_MUSTCHECK;

void db_close(struct db *db); /* NULL is fine */

/* The last problem of that connection, for people: "disk I/O error". */
const char *db_problem(const struct db *db);

/* Runs statements that give no rows, separated by ';'. */
int db_exec(struct db *db, const char *sql) MG_MUSTCHECK;

/* One statement that lives long. */
int db_prepare(struct db *db, const char *sql, struct db_stmt **ret) MG_MUSTCHECK;
void db_finalize(struct db_stmt *s); /* NULL is fine */

/* Parameters ?1, ?2, ... Texts are borrowed until db_reset or the next db_bind_* of that place. */
void db_bind_int(struct db_stmt *s, int place, int64_t v);
void db_bind_null(struct db_stmt *s, int place);
void db_bind_text(struct db_stmt *s, int place, struct slice v);

/* DB_ROW, or DB_OK when it is done; then db_reset it. */
int db_step(struct db_stmt *s) MG_MUSTCHECK;

/* Makes it ready for another run, its parameters null. */
void db_reset(struct db_stmt *s);

/* Binds nothing, runs to its end, resets: for statements whose parameters are bound and that give no rows. */
int db_run(struct db_stmt *s) MG_MUSTCHECK;

/* Of the row at hand, from 0 on. NULL reads as 0 and as an empty text; texts live until the next step. */
bool db_is_null(const struct db_stmt *s, int column);
int64_t db_int(const struct db_stmt *s, int column);
struct slice db_text(const struct db_stmt *s, int column);

/* Rows that the last INSERT, UPDATE or DELETE touched. */
int64_t db_changes(const struct db *db);
int64_t db_last_rowid(const struct db *db);

/* Stops what runs on that connection, from any thread: it ends with DB_ERROR. */
void db_interrupt(struct db *db);

#endif
