/*
 * writer: `lock` guards what other threads look at: the two troubles, the counters, `stopping`, `flushers`,
 * the retention. It is never held while the disk is waited for. All else is the thread's alone (until it
 * starts: its maker's).
 *
 * The counter `done` and journal_written change together, under the lock, so that a flusher who adds up what
 * is done and what waits knows when all of it is done.
 *
 * The thread sleeps until a row waits, until something is to be tried again or tidied. journal_end wakes it
 * only when nothing waited before, therefore it looks again after every batch.
 */
#include "metergate/ledger/writer.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "metergate/base/clock.h"
#include "metergate/base/log.h"
#include "metergate/base/spare.h"
#include "metergate/ledger/damaged.h"
#include "metergate/ledger/db.h"
#include "metergate/ledger/trouble.h"

#define TIDY_IDLE_US (3600 * CLOCK_S) /* between rounds while nothing is written: for the retention */
#define LEFTOVERS    256              /* rows of an earlier process in one transaction */
#define ASIDE_US     (60 * CLOCK_S)   /* between two databases that are set aside */

#define WRITER_PARTS 3

struct writer {
    pthread_mutex_t lock;
    pthread_cond_t wake, moved; /* the thread waits for one, flushers for the other */
    bool stopping;
    bool started; /* set once, before the thread is there */
    int flushers;
    int64_t stop_by_us;
    int64_t retention_us;
    struct trouble base, file; /* the database, the journal's file */
    int64_t done;              /* rows that were in the journal and wait no more */
    int64_t written, dropped, recovered; /* written: of those, without what was dropped */

    pthread_t thread;
    char *dir, *path; /* owned */
    struct journal *j;
    struct store *store; /* NULL: to be opened */
    struct arrears arrears; /* of rows that an earlier process left and that could not be written before the start */
    struct stat st[WRITER_PARTS]; /* of the files that are open: the database, its log, the log's index */
    int64_t collect_us;  /* until then rows are collected; 0: none wait */
    int64_t tidied_us, tidy_us; /* when a round ended, when the next begins */
    int64_t aside_us;           /* when a database was set aside; 0: never */
};

static void lock(struct writer *w)
{
    MG_ASSERT(pthread_mutex_lock(&w->lock) == 0);
}

static void unlock(struct writer *w)
{
    MG_ASSERT(pthread_mutex_unlock(&w->lock) == 0);
}

/* With the lock held; false when it is that late. */
static bool wait_until(struct writer *w, pthread_cond_t *c, int64_t until_us)
{
    int64_t left_us = until_us - clock_now_us();
    struct timespec ts;

    if (left_us <= 0)
        return false;
    MG_ASSERT(clock_gettime(CLOCK_MONOTONIC, &ts) == 0);
    left_us += ts.tv_nsec / 1000;
    ts.tv_sec += (time_t)(left_us / CLOCK_S);
    ts.tv_nsec = (long)(left_us % CLOCK_S * 1000);
    (void)pthread_cond_timedwait(c, &w->lock, &ts);
    return true;
}

/* ---- troubles ---- */

static const char *words_of(int code)
{
    switch (code) {
    case DB_BUSY:
        return "another process has it locked";
    case DB_FULL:
        return "the disk is full";
    case DB_READONLY:
        return "it cannot be written";
    case DB_CORRUPT:
        return "it is damaged";
    case DB_NO_MEMORY:
        return "there is no memory for it";
    case DB_IO:
        return "it cannot be opened, or its disk fails";
    default:
        return "it takes no rows";
    }
}

/* It is on from now on; told to the operator when it is time to. */
static void fail(struct writer *w, struct trouble *t, bool soon, const char *problem)
{
    int64_t now_us = clock_now_us(), waiting = journal_figures(w->j).waiting;
    bool tell;

    lock(w);
    trouble_set(t, now_us, soon, problem);
    tell = trouble_tell(t, now_us);
    unlock(w);
    if (tell)
        log_error("ledger: %s; %" PRId64 " rows wait, calls go on", problem, waiting);
}

static void works(struct writer *w, struct trouble *t, const char *what)
{
    bool told;

    lock(w);
    told = trouble_clear(t);
    if (t == &w->base)
        w->file.retry_us = 0; /* the journal's rows may have waited for the database */
    unlock(w);
    if (told)
        log_info("ledger: %s/%s works again", w->dir, what);
}

static void fail_base(struct writer *w, int code, const struct errbuf *e)
{
    char problem[512];

    snprintf(problem, sizeof problem, "%s (%.150s): %s", words_of(code), e->text, w->path);
    if (code != DB_BUSY) { /* whatever it is: a new connection finds what is there now */
        store_close(w->store);
        w->store = NULL;
    }
    fail(w, &w->base, code == DB_BUSY, problem);
}

/* ---- the database ---- */

static bool stat_part(const struct writer *w, size_t part, struct stat *ret)
{
    static const char *const parts[WRITER_PARTS] = {"", "-wal", "-shm"};
    struct buf path;
    bool there;

    buf_init(&path, BUF_UNLIMITED);
    buf_addf(&path, "%s%s", w->path, parts[part]);
    there = stat(path.p, ret) == 0;
    buf_release(&path);
    return there;
}

/* Somebody removed or replaced a file: what is written now would be nobody's. */
static bool was_replaced(const struct writer *w)
{
    for (size_t i = 0; i < WRITER_PARTS; i++) {
        struct stat st;

        if (w->st[i].st_ino == 0 && i > 0)
            continue; /* it was not there either when the database was opened */
        if (!stat_part(w, i, &st) || st.st_ino != w->st[i].st_ino || st.st_dev != w->st[i].st_dev)
            return true;
    }
    return false;
}

static int open_base(struct writer *w, struct errbuf *e)
{
    int rc;

    if (w->store && was_replaced(w)) {
        store_settle(w->store);
        store_close(w->store);
        w->store = NULL;
    }
    if (w->store)
        return DB_OK;
    rc = store_open(w->path, WRITER_BUSY_MS, &w->store, e);
    for (size_t i = 0; i < WRITER_PARTS && rc == DB_OK; i++) {
        if (!stat_part(w, i, &w->st[i]))
            w->st[i] = (struct stat){0}; /* the database: gone again, and noticed the next time */
    }
    return rc;
}

/* True: there is room for a new one. */
static bool set_aside(struct writer *w, const struct errbuf *why)
{
    int64_t now_us = clock_now_us();
    struct buf name;
    int rc;

    if (w->aside_us && now_us - w->aside_us < ASIDE_US)
        return false;
    store_close(w->store);
    w->store = NULL;
    buf_init(&name, BUF_UNLIMITED);
    rc = damaged_set_aside(w->path, clock_wall_us(), &name);
    if (rc == 0) {
        w->aside_us = now_us;
        log_error("ledger: %s is damaged (%s): it is kept as %s, and a new one begun", w->path, why->text,
                  name.p);
    }
    buf_release(&name);
    return rc == 0;
}

/* A use of the database failed. True: a new one is to be begun; else there is trouble. */
static bool recover_base(struct writer *w, int code, const struct errbuf *e)
{
    if (code == DB_CORRUPT && set_aside(w, e))
        return true;
    fail_base(w, code, e);
    return false;
}

/* There is a connection, or trouble. */
static bool have_base(struct writer *w)
{
    struct errbuf e = {""};
    int rc = open_base(w, &e);

    if (rc == DB_CORRUPT && set_aside(w, &e))
        rc = open_base(w, &e);
    if (rc != DB_OK)
        fail_base(w, rc, &e);
    return rc == DB_OK;
}

/* ---- rows ---- */

/* A row alone: the database has it, or takes any but this one. */
static int write_or_drop(struct writer *w, const struct ledger_row *r, struct errbuf *e)
{
    int rc = store_write(w->store, &r, 1, e);
    struct errbuf other;
    char id[ROW_ID_SIZE];

    if (rc != DB_ERROR || store_try(w->store, &other) != DB_OK)
        return rc;
    row_id_text(r->id, id);
    log_error("ledger: %s does not take the row of %s (%s): it is dropped", w->path, id, e->text);
    lock(w);
    w->dropped++;
    unlock(w);
    return DB_OK;
}

/*
 * The first n that wait do so no more, because so many were written. Who was waiting for that finds no
 * trouble any more.
 */
static void count_done(struct writer *w, size_t n, int64_t written)
{
    works(w, &w->base, "ledger.db");
    lock(w);
    journal_written(w->j, n);
    w->done += (int64_t)n;
    w->written += written;
    pthread_cond_broadcast(&w->moved);
    unlock(w);
}

static int write_one_by_one(struct writer *w, const struct ledger_row *const *rows, size_t n,
                            struct errbuf *e)
{
    int rc = DB_OK;

    for (size_t i = 0; i < n && rc == DB_OK; i++) {
        int64_t dropped = w->dropped; /* this thread alone changes it */

        rc = write_or_drop(w, rows[i], e);
        if (rc == DB_OK)
            count_done(w, 1, w->dropped == dropped);
    }
    return rc;
}

static bool is_stopping(struct writer *w)
{
    bool stopping;

    lock(w);
    stopping = w->stopping;
    unlock(w);
    return stopping;
}

/* One batch; false: there was trouble, or nothing to write. */
static bool write_some(struct writer *w)
{
    const struct ledger_row *rows[WRITER_ROWS];
    struct errbuf e = {""};
    size_t n = journal_fetch(w->j, 0, rows, WRITER_ROWS);
    int rc;

    if (n == 0 || !have_base(w))
        return false;
    rc = store_write(w->store, rows, n, &e);
    if (rc == DB_OK)
        count_done(w, n, (int64_t)n);
    else if (rc == DB_ERROR)
        rc = write_one_by_one(w, rows, n, &e);
    if (rc != DB_OK)
        return recover_base(w, rc, &e);
    if (w->tidy_us > w->tidied_us + WRITER_TIDY_MS * CLOCK_MS)
        w->tidy_us = w->tidied_us + WRITER_TIDY_MS * CLOCK_MS;
    return true;
}

/* While they are full ones: then rows come faster than they are collected. */
static void write_batches(struct writer *w)
{
    while (write_some(w) && journal_figures(w->j).waiting >= WRITER_ROWS && !is_stopping(w)) {
    }
}

static void tidy_some(struct writer *w)
{
    int64_t retention_us, now_us;
    struct errbuf e = {""};
    bool more = false;
    int rc;

    if (!have_base(w))
        return;
    lock(w);
    retention_us = w->retention_us;
    unlock(w);
    rc = store_tidy(w->store, clock_wall_us(), retention_us, &more, &e);
    now_us = clock_now_us();
    if (rc != DB_OK)
        (void)recover_base(w, rc, &e);
    else
        works(w, &w->base, "ledger.db");
    if (more && rc == DB_OK)
        return; /* at once, but rows go first */
    w->tidied_us = now_us;
    w->tidy_us = now_us + TIDY_IDLE_US;
}

/* ---- what an earlier process left ---- */

/* An attempt that it had begun: nobody knows how it ended, so that it counts as it stands. */
static void end_for_the_dead(struct ledger_row *r)
{
    r->kind = ROW_CALL;
    r->outcome = ROW_FAILED;
    r->status = 0;
    snprintf(r->reason, sizeof r->reason, "daemon died");
    r->source = ROW_ESTIMATED;
    r->t_us = clock_wall_us();
}

/* Rows that are written together; whoever gave them forgets them only when all were. */
struct leftovers {
    struct writer *w;
    bool failed;     /* the database does not take them now */
    int64_t written; /* all in all */
    size_t n;
    struct ledger_row rows[LEFTOVERS];
};

static int write_leftovers(struct writer *w, struct leftovers *o, struct errbuf *e)
{
    const struct ledger_row *rows[LEFTOVERS];
    int rc;

    for (size_t i = 0; i < o->n; i++)
        rows[i] = &o->rows[i];
    rc = store_write(w->store, rows, o->n, e);
    if (rc != DB_ERROR)
        return rc;
    rc = DB_OK;
    for (size_t i = 0; i < o->n && rc == DB_OK; i++)
        rc = write_or_drop(w, rows[i], e);
    return rc;
}

static bool keep_leftovers(struct writer *w, struct leftovers *o)
{
    struct errbuf e = {""};
    int rc;

    if (w->base.on || !have_base(w))
        return false;
    rc = write_leftovers(w, o, &e);
    if (rc != DB_OK && (!recover_base(w, rc, &e) || !have_base(w) || write_leftovers(w, o, &e) != DB_OK))
        return false;
    o->written += (int64_t)o->n;
    o->n = 0;
    return true;
}

/* What they were charged is known all the same. Later on it is in the windows already. */
static void owe_leftovers(struct writer *w, struct leftovers *o)
{
    for (size_t i = 0; i < o->n && !w->started; i++)
        arrears_add(&w->arrears, &o->rows[i]);
    o->n = 0;
}

static bool found(void *arg, const struct ledger_row *row, bool open)
{
    struct leftovers *o = arg;
    struct writer *w = o->w;

    if (row) {
        o->rows[o->n] = *row;
        if (open)
            end_for_the_dead(&o->rows[o->n]);
        if (++o->n < LEFTOVERS)
            return true;
    }
    o->failed = o->failed || !keep_leftovers(w, o);
    if (!o->failed)
        return true;
    owe_leftovers(w, o);
    return row && !w->started; /* at the start the others are looked at, too */
}

static void attach(struct writer *w)
{
    struct leftovers *o = xcalloc(1, sizeof *o);
    struct errbuf e = {""};
    int64_t written;
    int rc;

    o->w = w;
    rc = journal_attach(w->j, w->dir, found, o, &e);
    written = o->written;
    free(o);
    if (rc < 0) {
        fail(w, &w->file, false, e.text);
        return;
    }
    lock(w);
    w->recovered += written;
    unlock(w);
    if (e.text[0])
        log_error("ledger: %s", e.text);
    works(w, &w->file, "journal");
}

/* ---- the thread ---- */

/* When there is something to do; with the lock held. */
static int64_t due(struct writer *w)
{
    bool waiting = journal_figures(w->j).waiting > 0;
    int64_t at_us = w->base.on ? w->base.retry_us : w->tidy_us;

    if (!waiting)
        w->collect_us = 0;
    else if (w->collect_us == 0)
        w->collect_us = clock_now_us() + WRITER_COLLECT_MS * CLOCK_MS;
    if (waiting && !w->base.on)
        at_us = w->flushers ? 0 : w->collect_us < at_us ? w->collect_us : at_us;
    if (w->file.on && w->file.retry_us < at_us)
        at_us = w->file.retry_us;
    return at_us;
}

/* False: it is to end. */
static bool wait_for_work(struct writer *w)
{
    bool go_on;

    lock(w);
    while (!w->stopping && wait_until(w, &w->wake, due(w))) {
    }
    go_on = !w->stopping;
    unlock(w);
    return go_on;
}

static bool is_time(int64_t at_us)
{
    return clock_now_us() >= at_us;
}

/* Nothing waits that would show it. */
static void try_base(struct writer *w)
{
    struct errbuf e = {""};
    int rc;

    if (!have_base(w))
        return;
    rc = store_try(w->store, &e);
    if (rc == DB_OK)
        works(w, &w->base, "ledger.db");
    else
        (void)recover_base(w, rc, &e);
}

static void work(struct writer *w)
{
    if (!w->base.on || is_time(w->base.retry_us)) { /* this thread alone changes the troubles */
        w->collect_us = 0;
        if (journal_figures(w->j).waiting > 0)
            write_batches(w);
        else if (w->base.on)
            try_base(w);
    }
    if (w->file.on ? is_time(w->file.retry_us)
                   : !journal_is_attached(w->j) || !journal_is_in_place(w->j, w->dir))
        attach(w);
    if (!w->base.on && is_time(w->tidy_us))
        tidy_some(w);
}

/* Once more, whatever was wrong; until there is nothing, or no time, or trouble. */
static void write_the_last(struct writer *w)
{
    while (clock_now_us() < w->stop_by_us && write_some(w)) {
    }
}

static void *run(void *arg)
{
    struct writer *w = arg;

    while (wait_for_work(w))
        work(w);
    write_the_last(w);
    return NULL;
}

/* ---- its maker's ---- */

struct writer *writer_new(const char *dir, struct journal *j, int64_t retention_us)
{
    struct writer *w = xcalloc(1, sizeof *w);
    pthread_condattr_t attr;
    struct buf path;

    MG_ASSERT(pthread_condattr_init(&attr) == 0 && pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0);
    MG_ASSERT(pthread_mutex_init(&w->lock, NULL) == 0);
    MG_ASSERT(pthread_cond_init(&w->wake, &attr) == 0 && pthread_cond_init(&w->moved, &attr) == 0);
    pthread_condattr_destroy(&attr);
    buf_init(&path, BUF_UNLIMITED);
    buf_addf(&path, "%s/ledger.db", dir);
    w->path = buf_take(&path, &path.n);
    w->dir = xstrdup(dir);
    w->j = j;
    w->retention_us = retention_us;
    w->tidied_us = -WRITER_TIDY_MS * CLOCK_MS; /* the first row brings the first round */
    w->tidy_us = clock_now_us() + TIDY_IDLE_US;
    (void)have_base(w);
    attach(w);
    return w;
}

struct store *writer_store(struct writer *w)
{
    return w->store;
}

struct arrears *writer_arrears(struct writer *w)
{
    return &w->arrears;
}

void writer_start(struct writer *w)
{
    sigset_t all, old;

    sigfillset(&all);
    MG_ASSERT(pthread_sigmask(SIG_BLOCK, &all, &old) == 0);
    w->started = true; /* before it runs: it looks */
    for (unsigned i = 0; pthread_create(&w->thread, NULL, run, w) != 0; i++) {
        if (!spare_again(i))
            spare_out_of_memory();
    }
    MG_ASSERT(pthread_sigmask(SIG_SETMASK, &old, NULL) == 0);
}

void writer_free(struct writer *w)
{
    if (!w)
        return;
    lock(w);
    w->stopping = true;
    w->stop_by_us = clock_now_us() + WRITER_LAST_MS * CLOCK_MS;
    pthread_cond_signal(&w->wake);
    unlock(w);
    if (w->started)
        MG_ASSERT(pthread_join(w->thread, NULL) == 0);
    store_close(w->store);
    arrears_release(&w->arrears);
    pthread_cond_destroy(&w->wake);
    pthread_cond_destroy(&w->moved);
    pthread_mutex_destroy(&w->lock);
    free(w->path);
    free(w->dir);
    free(w);
}

/* ---- other threads' ---- */

void writer_wake(struct writer *w)
{
    lock(w);
    pthread_cond_signal(&w->wake);
    unlock(w);
}

bool writer_flush(struct writer *w, int wait_ms)
{
    int64_t until_us = clock_now_us() + wait_ms * CLOCK_MS, all;
    bool done;

    lock(w);
    all = w->done + journal_figures(w->j).waiting;
    w->flushers++;
    pthread_cond_signal(&w->wake);
    while (w->done < all && wait_until(w, &w->moved, until_us)) {
    }
    w->flushers--;
    done = w->done >= all;
    unlock(w);
    return done;
}

void writer_keep_for(struct writer *w, int64_t retention_us)
{
    lock(w);
    w->retention_us = retention_us;
    unlock(w);
}

void writer_health(struct writer *w, struct ledger_health *ret)
{
    struct journal_figures f = journal_figures(w->j);
    const struct trouble *t;

    lock(w);
    t = w->base.on ? &w->base : &w->file;
    *ret = (struct ledger_health){.ok = !t->on && f.attached,
                                  .waiting = f.waiting,
                                  .written = w->written,
                                  .lost = f.lost + w->dropped,
                                  .recovered = w->recovered};
    if (t->on)
        snprintf(ret->problem, sizeof ret->problem, "%s", t->problem);
    else if (!f.attached)
        snprintf(ret->problem, sizeof ret->problem, "%s/journal cannot grow: rows wait in memory", w->dir);
    unlock(w);
}
