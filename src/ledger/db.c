/*
 * db: result codes are translated in one place. Files are made with the umask that the process has and then given mode
 * 0600 before anything is in them: SQLite gives -wal and -shm the mode of the database.
 */
#include "metergate/ledger/db.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <malloc.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "metergate/base/clock.h"
#include "metergate/base/spare.h"

struct db {
    sqlite3 *handle;
    char problem[256]; /* when there is no handle to ask */
};

static sqlite3_stmt *raw(const struct db_stmt *s)
{
    return (sqlite3_stmt *)(void *)s;
}

static int code_of(int rc)
{
    switch (rc & 0xff) {
    case SQLITE_OK:
    case SQLITE_DONE:
        return DB_OK;
    case SQLITE_ROW:
        return DB_ROW;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_PROTOCOL:
        return DB_BUSY;
    case SQLITE_FULL:
        return DB_FULL;
    case SQLITE_READONLY:
    case SQLITE_PERM:
        return DB_READONLY;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_FORMAT:
        return DB_CORRUPT;
    case SQLITE_NOMEM:
        return DB_NO_MEMORY;
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
    case SQLITE_NOLFS:
        return DB_IO;
    default:
        return DB_ERROR;
    }
}

/* ---- memory ---- */

static void *take_memory(int n)
{
    return spare_malloc((size_t)n);
}

static void *resize_memory(void *p, int n)
{
    return spare_realloc(p, (size_t)n);
}

static int size_of_memory(void *p)
{
    return (int)malloc_usable_size(p);
}

static int round_up(int n)
{
    return (n + 7) & ~7;
}

static int start_memory(void *arg)
{
    (void)arg;
    return SQLITE_OK;
}

static void end_memory(void *arg)
{
    (void)arg;
}

void db_use_spare(void)
{
    sqlite3_mem_methods m = {take_memory, free,         resize_memory, size_of_memory,
                             round_up,    start_memory, end_memory,    NULL};

    (void)sqlite3_config(SQLITE_CONFIG_MALLOC, &m); /* refused: it goes on with malloc itself */
}

/* ---- connections ---- */

static int set_problem(struct db *db, int code, const char *text)
{
    snprintf(db->problem, sizeof db->problem, "%s", text);
    return code;
}

static int of_errno(int e)
{
    return e == ENOSPC || e == EDQUOT ? DB_FULL : e == EACCES || e == EROFS || e == EPERM ? DB_READONLY : DB_IO;
}

/* 0, or an errno: it is a file that we may read and write, and nobody else. */
static int claim_old(const char *path)
{
    struct stat st;

    if (lstat(path, &st) < 0)
        return errno;
    if (S_ISLNK(st.st_mode))
        return ELOOP;
    if (!S_ISREG(st.st_mode))
        return S_ISDIR(st.st_mode) ? EISDIR : ENOTSUP;
    if ((st.st_mode & 0177) && chmod(path, 0600) < 0)
        return errno;
    return faccessat(AT_FDCWD, path, R_OK | W_OK, AT_EACCESS) < 0 ? errno : 0;
}

/*
 * One who read while the database could not be written has made them of its mode: read-only, and they would stay so when
 * the database no longer is. What cannot be changed SQLite will complain of.
 */
static void claim_part(const char *path, const char *part)
{
    char name[PATH_MAX];
    struct stat st;
    int n = snprintf(name, sizeof name, "%s%s", path, part);

    if (n < (int)sizeof name && lstat(name, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & 0777) != 0600)
        (void)!chmod(name, 0600);
}

/*
 * The files are there, and nobody else may read them. What is there already is not opened: closing it would take the locks
 * away that other connections of this process have on it (sqlite.org, howtocorrupt, 2.2).
 */
static int claim(struct db *db, const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600), e = fd < 0 ? errno : 0;

    if (fd >= 0)
        close(fd);
    if (e == EEXIST)
        e = claim_old(path);
    if (e)
        return set_problem(db, of_errno(e), e == ENOTSUP ? "it is no regular file" : strerror(e));
    claim_part(path, "-wal");
    claim_part(path, "-shm");
    return DB_OK;
}

static int connect_to(struct db *db, const char *path, int flags, int busy_ms)
{
    int rc = sqlite3_open_v2(path, &db->handle, flags | SQLITE_OPEN_NOMUTEX, NULL);

    if (rc != SQLITE_OK)
        return code_of(rc);
    sqlite3_extended_result_codes(db->handle, 1);
    sqlite3_busy_timeout(db->handle, busy_ms);
    return DB_OK;
}

/* Of two who make a database into one with a log at the same time, one is told at once that it is busy. */
static int set_up(struct db *db, int busy_ms)
{
    int64_t until_us = clock_now_us() + busy_ms * CLOCK_MS;
    int rc;

    do
        rc = db_exec(db, "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = OFF;"
                         "PRAGMA cell_size_check = ON; PRAGMA journal_size_limit = 16777216;"
                         "PRAGMA cache_size = -512"); /* rows go to few pages */
    while (rc == DB_BUSY && clock_now_us() < until_us && sqlite3_sleep(1) >= 0);
    return rc;
}

int db_open(const char *path, int busy_ms, struct db **ret)
{
    struct db *db = xcalloc(1, sizeof *db);
    int rc = claim(db, path);

    *ret = db;
    if (rc == DB_OK)
        rc = connect_to(db, path, SQLITE_OPEN_READWRITE, busy_ms);
    return rc == DB_OK ? set_up(db, busy_ms) : rc;
}

int db_open_reader(const char *path, int busy_ms, struct db **ret)
{
    struct db *db = xcalloc(1, sizeof *db);
    int rc;

    *ret = db;
    rc = connect_to(db, path, SQLITE_OPEN_READONLY, busy_ms);
    if (rc == DB_OK)
        rc = db_exec(db, "PRAGMA query_only = ON; PRAGMA cell_size_check = ON");
    return rc;
}

void db_close(struct db *db)
{
    if (!db)
        return;
    (void)sqlite3_close(db->handle);
    free(db);
}

const char *db_problem(const struct db *db)
{
    return db->problem[0] || !db->handle ? db->problem : sqlite3_errmsg(db->handle);
}

int db_exec(struct db *db, const char *sql)
{
    return code_of(sqlite3_exec(db->handle, sql, NULL, NULL, NULL));
}

int64_t db_changes(const struct db *db)
{
    return sqlite3_changes(db->handle);
}

int64_t db_last_rowid(const struct db *db)
{
    return sqlite3_last_insert_rowid(db->handle);
}

void db_interrupt(struct db *db)
{
    sqlite3_interrupt(db->handle);
}

/* ---- statements ---- */

int db_prepare(struct db *db, const char *sql, struct db_stmt **ret)
{
    sqlite3_stmt *s = NULL;
    int rc = sqlite3_prepare_v3(db->handle, sql, -1, SQLITE_PREPARE_PERSISTENT, &s, NULL);

    *ret = (struct db_stmt *)(void *)s;
    return code_of(rc);
}

void db_finalize(struct db_stmt *s)
{
    (void)sqlite3_finalize(raw(s));
}

void db_bind_int(struct db_stmt *s, int place, int64_t v)
{
    int rc = sqlite3_bind_int64(raw(s), place, v);

    MG_ASSERT(rc == SQLITE_OK);
}

void db_bind_null(struct db_stmt *s, int place)
{
    int rc = sqlite3_bind_null(raw(s), place);

    MG_ASSERT(rc == SQLITE_OK);
}

void db_bind_text(struct db_stmt *s, int place, struct slice v)
{
    int rc = sqlite3_bind_text(raw(s), place, v.p ? v.p : "", (int)v.n, SQLITE_STATIC);

    MG_ASSERT(rc == SQLITE_OK);
}

int db_step(struct db_stmt *s)
{
    return code_of(sqlite3_step(raw(s)));
}

void db_reset(struct db_stmt *s)
{
    (void)sqlite3_reset(raw(s)); /* its code is that of the step before */
    (void)sqlite3_clear_bindings(raw(s));
}

int db_run(struct db_stmt *s)
{
    int rc = db_step(s);

    while (rc == DB_ROW)
        rc = db_step(s);
    db_reset(s);
    return rc;
}

bool db_is_null(const struct db_stmt *s, int column)
{
    return sqlite3_column_type(raw(s), column) == SQLITE_NULL;
}

int64_t db_int(const struct db_stmt *s, int column)
{
    return sqlite3_column_int64(raw(s), column);
}

struct slice db_text(const struct db_stmt *s, int column)
{
    const char *text = (const char *)sqlite3_column_text(raw(s), column);

    return text ? slice_of(text, (size_t)sqlite3_column_bytes(raw(s), column)) : SLICE("");
}
