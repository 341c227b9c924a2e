/*
 * ledger_rig: a ledger in a directory of its own, what it logs, and what must be true of it. For one driver a file: it
 * has variables of its own.
 */
#ifndef TEST_LEDGER_RIG_H
#define TEST_LEDGER_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <pthread.h>
#include <sys/mount.h>
#include <cmocka.h>

#include "ledger_rows.h"
#include "metergate/base/log.h"
#include "metergate/ledger/ledger.h"

#define RETENTION (400 * INT64_C(86400) * CLOCK_S)
#define LONG_MS   30000 /* for what must come; it is never waited for in full */

static struct ledger_place at;
static struct prng dice;

/* ---- what is logged ---- */

static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;
static int log_errors, log_infos;
static char log_last[512];

static inline void hear(enum log_level level, const char *line, void *arg)
{
    (void)arg;
    pthread_mutex_lock(&log_lock);
    log_errors += level == LOG_LEVEL_ERROR;
    log_infos += level == LOG_LEVEL_INFO;
    snprintf(log_last, sizeof log_last, "%s", line);
    pthread_mutex_unlock(&log_lock);
}

static inline void expect_logged(int errors, int infos)
{
    int got_errors, got_infos;

    pthread_mutex_lock(&log_lock);
    got_errors = log_errors;
    got_infos = log_infos;
    pthread_mutex_unlock(&log_lock);
    if (got_errors != errors || got_infos != infos)
        fail_msg("%d errors, %d infos, the last: %s", got_errors, got_infos, log_last);
}

static inline int make(void **state)
{
    (void)state;
    log_errors = log_infos = 0;
    log_last[0] = '\0';
    log_capture(hear, NULL);
    dice = (struct prng){42};
    place_make(&at);
    return 0;
}

static inline int unmake(void **state)
{
    (void)state;
    log_capture(NULL, NULL);
    umount2(at.dir, MNT_DETACH); /* there is none unless a test failed */
    place_remove(&at);
    return 0;
}

/* ---- rows ---- */

static inline struct ledger *opened(void)
{
    return ledger_open(at.dir, RETENTION);
}

static inline void end_row(struct ledger *l, int64_t id)
{
    struct ledger_row *r = ledger_take(l);

    assert_non_null(r);
    random_row(&dice, id, clock_wall_us(), r);
    ledger_end(l, r);
}

static inline void end_rows(struct ledger *l, int64_t from, int n)
{
    for (int i = 0; i < n; i++)
        end_row(l, from + i);
}

static inline struct ledger_health health_of(struct ledger *l)
{
    struct ledger_health h;

    ledger_health(l, &h);
    return h;
}

/* The writer has met the trouble: it is asked to write, and cannot. */
static inline void expect_trouble(struct ledger *l, const char *problem, int64_t waiting)
{
    struct ledger_health h;
    int rounds = 0;

    do {
        assert_false(ledger_flush(l, 50));
        h = health_of(l);
        assert_true(rounds++ < 200);
    } while (!h.problem[0]);
    assert_false(h.ok);
    if (!strstr(h.problem, problem) || !strstr(h.problem, at.db))
        fail_msg("%s", h.problem);
    assert_int_equal(h.waiting, waiting);
}

static inline void expect_works(struct ledger *l, int64_t calls)
{
    struct ledger_health h;

    assert_true(ledger_flush(l, LONG_MS));
    h = health_of(l);
    assert_int_equal(h.waiting, 0);
    assert_int_equal(h.lost, 0);
    assert_int_equal(ask(at.db, "SELECT count(*) FROM calls"), calls);
    assert_int_equal(ask(at.db, "SELECT coalesce(sum(calls), 0) FROM hours"), calls);
    h = health_of(l);
    if (!h.ok)
        fail_msg("%s", h.problem);
    assert_string_equal(h.problem, "");
}

/* The journal of an earlier process follows once the database takes rows. */
static inline void expect_recovered(struct ledger *l, int64_t rows)
{
    assert_true(ledger_flush(l, LONG_MS));
    while (!health_of(l).ok)
        (void)ledger_flush(l, 0);
    assert_int_equal(health_of(l).recovered, rows);
}

#endif
