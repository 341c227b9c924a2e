/* report: a transaction is open from report_open to report_close, so every statement sees the same moment. */
#include "report_inside.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "metergate/ledger/schema.h"

#define BUSY_MS 2000

/* ---- names ---- */

static const char *const by_names[REPORT_BYS] = {"model",    "client", "budget", "upstream",
                                                 "endpoint", "day",    "hour"};

const char *report_by_name(enum report_by by)
{
    MG_ASSERT(by < REPORT_BYS);
    return by_names[by];
}

int report_by_read(struct slice text, enum report_by *ret)
{
    for (int i = 0; i < REPORT_BYS; i++) {
        if (!slice_eq(text, slice_str(by_names[i])))
            continue;
        *ret = (enum report_by)i;
        return 0;
    }
    return -EINVAL;
}

/* ---- statements ---- */

static int problem(struct report *r, int code, struct errbuf *e)
{
    const char *words = db_problem(r->db);

    if (atomic_load(&r->stopped))
        words = "the daemon is stopping";
    else if (code == DB_BUSY)
        words = "another program has it locked";
    err_set(e, "%s: %s", r->path.p, words);
    return code;
}

int report_prepare(struct report *r, const char *sql, struct db_stmt **ret, struct errbuf *e)
{
    int rc = db_prepare(r->db, sql, ret);

    return rc == DB_OK ? DB_OK : problem(r, rc, e);
}

int report_step(struct report *r, struct db_stmt *s, struct errbuf *e)
{
    int rc = atomic_load(&r->stopped) ? DB_ERROR : db_step(s);

    return rc == DB_ROW || rc == DB_OK ? rc : problem(r, rc, e);
}

int report_number(struct report *r, const char *sql, const int64_t *bound, size_t n, int64_t *ret,
                  struct errbuf *e)
{
    struct db_stmt *s = NULL;
    int rc = report_prepare(r, sql, &s, e);

    *ret = 0;
    for (size_t i = 0; i < n && rc == DB_OK; i++)
        db_bind_int(s, (int)i + 1, bound[i]);
    if (rc == DB_OK)
        rc = report_step(r, s, e);
    if (rc == DB_ROW) {
        *ret = db_int(s, 0);
        rc = DB_OK;
    }
    db_finalize(s);
    return rc;
}

int report_name(struct report *r, struct slice text, int64_t *ret, struct errbuf *e)
{
    struct db_stmt *s = NULL;
    int rc = report_prepare(r, "SELECT id FROM names WHERE text = ?1", &s, e);

    if (rc == DB_OK) {
        db_bind_text(s, 1, text);
        rc = report_step(r, s, e);
        *ret = rc == DB_ROW ? db_int(s, 0) : NAME_NONE;
    }
    db_finalize(s);
    return rc == DB_ROW ? DB_OK : rc;
}

int64_t report_ms(const struct db_stmt *s, int column)
{
    int64_t ms = db_int(s, column);

    return ms < 0 ? 0 : ms > MS_MAX ? MS_MAX : ms;
}

/* ---- opening ---- */

static int check_version(struct report *r, struct errbuf *e)
{
    int64_t version;
    int rc = report_number(r, "PRAGMA user_version", NULL, 0, &version, e);

    if (rc != DB_OK || version == SCHEMA_VERSION)
        return rc;
    if (version > SCHEMA_VERSION)
        err_set(e, "%s was written by a newer Metergate (its version is %" PRId64 ", this one knows %d)",
                r->path.p, version, SCHEMA_VERSION);
    else
        err_set(e, "%s has not got its tables yet (its version is %" PRId64 ", it wants %d)", r->path.p,
                version, SCHEMA_VERSION);
    return DB_READONLY;
}

/*
 * What SQLite only knows as "unable to open database file". The file must not be opened here to find out:
 * closing it would take the locks away that other connections of this process have on it (sqlite.org,
 * howtocorrupt, 2.2).
 */
static int check_file(const struct report *r, struct errbuf *e)
{
    struct stat st;

    errno = 0;
    if (access(r->path.p, R_OK) == 0 && stat(r->path.p, &st) == 0 && S_ISREG(st.st_mode))
        return DB_OK;
    if (errno == 0)
        err_set(e, "%s is no regular file", r->path.p);
    else if (errno == ENOENT)
        err_set(e, "%s is not there", r->path.p);
    else
        err_set(e, "%s: %s", r->path.p, strerror(errno));
    return errno == EACCES ? DB_READONLY : DB_IO;
}

static int open_at(struct report *r, struct errbuf *e)
{
    int rc = check_file(r, e);

    if (rc != DB_OK)
        return rc;
    rc = db_open_reader(r->path.p, BUSY_MS, &r->db);
    if (rc == DB_OK)
        rc = db_exec(r->db, "BEGIN");
    return rc == DB_OK ? check_version(r, e) : problem(r, rc, e);
}

int report_open(const char *dir, struct report **ret, struct errbuf *e)
{
    struct report *r = xcalloc(1, sizeof *r);
    int rc;

    atomic_init(&r->stopped, false);
    buf_init(&r->path, BUF_UNLIMITED);
    buf_addf(&r->path, "%s/ledger.db", dir);
    rc = open_at(r, e);
    if (rc != DB_OK) {
        report_close(r);
        return rc;
    }
    *ret = r;
    return DB_OK;
}

void report_close(struct report *r)
{
    if (!r)
        return;
    db_close(r->db); /* and with it the transaction */
    buf_release(&r->path);
    free(r);
}

void report_interrupt(struct report *r)
{
    atomic_store(&r->stopped, true);
    db_interrupt(r->db);
}
