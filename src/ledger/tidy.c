/*
 * tidy: a round goes through all scopes by their number, then removes old calls. Each age's slots are a
 * multiple of those of the age before it, and each cut a multiple of its slot, so that no slot lies on both
 * sides of a cut.
 *
 *   366 days    31 days     1 day          1 hour          10 minutes      now
 *   gone |  1 day  |  1 hour   |   2 minutes   |   10 seconds   |   1 second
 *                cut[3]      cut[2]          cut[1]           cut[0]
 *
 * What lies before done[i] has the slots of age i already, so that a round reads no more than what has passed
 * a cut since the round before (the first one reads all charges once: done is not kept).
 *
 * A wall clock that jumps far ahead (a machine whose clock was set to a wrong year) would make all that is there old at
 * once, and what is removed does not come back when the clock is set right. So a round's time is at most a day later
 * than the latest that any round before it had, which is kept in facts: after a long pause it takes some more rounds.
 *
 * Slots are added one by one and not by sum(), which fails where a sum would pass 2^63.
 */
#include "metergate/ledger/tidy.h"

#include <stdlib.h>

#include "metergate/base/clock.h"

#define AGES   4
#define DAY_S  INT64_C(86400)
#define GONE_S (366 * DAY_S) /* the longest span that a limit can have */
#define SCOPES 256 /* looked at in one step, for most of them nothing is to be done */

static const struct {
    int64_t older_s, slot_s;
} ages[AGES] = {{600, 10}, {3600, 120}, {DAY_S, 3600}, {31 * DAY_S, DAY_S}};

enum statement {
    FIND_TIDIED,
    FIND_FIRST,
    SET_TIDIED,
    NEXT_SCOPE,
    MERGE,
    DROP_MERGED,
    DROP_GONE,
    DROP_HOLDS,
    DROP_CALLS,
    STATEMENTS
};

const char *const tidy_sql[STATEMENTS + 1] = {
    [FIND_TIDIED] = "SELECT value FROM facts WHERE name = 'tidied'",
    [FIND_FIRST] = "SELECT min(t_us) / 1000000 FROM calls",
    [SET_TIDIED] = "INSERT INTO facts(name, value) VALUES('tidied', ?1)"
                   " ON CONFLICT DO UPDATE SET value = excluded.value",
    [NEXT_SCOPE] = "SELECT scope FROM charges WHERE scope > ?1 ORDER BY scope LIMIT 1",
    [MERGE] = "INSERT INTO charges(scope, until_s, requests, tokens, input, output, cost_nano)"
              " SELECT scope, (until_s + ?4 - 1) / ?4 * ?4, requests, tokens, input, output, cost_nano"
              " FROM charges WHERE scope = ?1 AND until_s > ?2 AND until_s <= ?3 AND until_s % ?4 <> 0"
              " ON CONFLICT DO UPDATE SET requests = requests + excluded.requests,"
              " tokens = tokens + excluded.tokens, input = input + excluded.input,"
              " output = output + excluded.output, cost_nano = cost_nano + excluded.cost_nano",
    [DROP_MERGED] = "DELETE FROM charges WHERE scope = ?1 AND until_s > ?2 AND until_s <= ?3 AND until_s % ?4 <> 0",
    [DROP_GONE] = "DELETE FROM charges WHERE scope = ?1 AND until_s <= ?2",
    [DROP_HOLDS] = "DELETE FROM holds WHERE call IN"
                   " (SELECT id FROM calls WHERE t_us < ?1 ORDER BY t_us LIMIT ?2)",
    [DROP_CALLS] = "DELETE FROM calls WHERE id IN (SELECT id FROM calls WHERE t_us < ?1 ORDER BY t_us LIMIT ?2)",
};

struct tidy {
    struct db *db;
    struct db_stmt *run[STATEMENTS];
    bool in_round;
    bool scopes_done;
    int64_t scope; /* the last one that was looked at */
    int64_t now_s; /* of the round */
    int64_t cut[AGES], low[AGES], gone;
    int64_t done[AGES];
    int64_t late; /* the earliest slot that was written to since the round began */
};

int tidy_new(struct db *db, struct tidy **ret)
{
    struct tidy *t = xcalloc(1, sizeof *t);
    int rc = DB_OK;

    t->db = db;
    t->late = INT64_MAX;
    *ret = t;
    for (int i = 0; i < STATEMENTS && rc == DB_OK; i++)
        rc = db_prepare(db, tidy_sql[i], &t->run[i]);
    return rc;
}

void tidy_free(struct tidy *t)
{
    if (!t)
        return;
    for (int i = 0; i < STATEMENTS; i++)
        db_finalize(t->run[i]);
    free(t);
}

void tidy_reset(struct tidy *t)
{
    t->in_round = false;
}

void tidy_note(struct tidy *t, int64_t until_s)
{
    if (until_s < t->late)
        t->late = until_s;
}

static int64_t max_of(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int find_number(struct db_stmt *find, int64_t *ret)
{
    int rc = db_step(find);

    *ret = rc == DB_ROW ? db_int(find, 0) : 0;
    db_reset(find);
    return rc;
}

/* Seconds of the latest round there was; before the first one, of the first call; 0: there was none. */
static int find_tidied(struct tidy *t, int64_t *ret)
{
    int rc = find_number(t->run[FIND_TIDIED], ret);

    if (rc == DB_OK)
        rc = find_number(t->run[FIND_FIRST], ret);
    return rc == DB_ROW ? DB_OK : rc;
}

/* The time of a round that begins now. */
static int find_now(struct tidy *t, int64_t now_s)
{
    int64_t tidied;
    int rc = find_tidied(t, &tidied);

    t->now_s = tidied > 0 && now_s > tidied + DAY_S ? tidied + DAY_S : now_s;
    if (rc != DB_OK || t->now_s <= tidied)
        return rc;
    db_bind_int(t->run[SET_TIDIED], 1, t->now_s);
    return db_run(t->run[SET_TIDIED]);
}

static int begin_round(struct tidy *t, int64_t now_us)
{
    int rc = find_now(t, now_us / CLOCK_S);

    if (rc != DB_OK)
        return rc;
    t->in_round = true;
    t->scopes_done = false;
    t->scope = 0;
    t->gone = t->now_s - GONE_S;
    for (int i = AGES - 1; i >= 0; i--) {
        t->cut[i] = (t->now_s - ages[i].older_s) / ages[i].slot_s * ages[i].slot_s;
        if (t->late <= t->done[i])
            t->done[i] = t->late - 1;
        t->low[i] = i == AGES - 1 ? t->done[i] : max_of(t->done[i], t->cut[i + 1]);
    }
    t->late = INT64_MAX;
    return DB_OK;
}

static int run_counted(struct tidy *t, enum statement s, int64_t *changed)
{
    int rc = db_run(t->run[s]);

    if (rc == DB_OK)
        *changed += db_changes(t->db);
    return rc;
}

static void bind_slots(struct tidy *t, enum statement s, int age)
{
    db_bind_int(t->run[s], 1, t->scope);
    db_bind_int(t->run[s], 2, t->low[age]);
    db_bind_int(t->run[s], 3, t->cut[age]);
    db_bind_int(t->run[s], 4, ages[age].slot_s);
}

static int tidy_scope(struct tidy *t, int64_t *changed)
{
    int rc;

    db_bind_int(t->run[DROP_GONE], 1, t->scope);
    db_bind_int(t->run[DROP_GONE], 2, t->gone);
    rc = run_counted(t, DROP_GONE, changed);
    for (int age = AGES - 1; age >= 0 && rc == DB_OK; age--) {
        int64_t merged = 0;

        if (t->low[age] >= t->cut[age])
            continue;
        bind_slots(t, MERGE, age);
        rc = run_counted(t, MERGE, &merged);
        if (rc != DB_OK || merged == 0)
            continue;
        bind_slots(t, DROP_MERGED, age);
        rc = run_counted(t, DROP_MERGED, changed);
    }
    return rc;
}

/* DB_ROW: t->scope is the next one. */
static int next_scope(struct tidy *t)
{
    int rc;

    db_bind_int(t->run[NEXT_SCOPE], 1, t->scope);
    rc = db_step(t->run[NEXT_SCOPE]);
    if (rc == DB_ROW)
        t->scope = db_int(t->run[NEXT_SCOPE], 0);
    db_reset(t->run[NEXT_SCOPE]);
    return rc;
}

static int step_scopes(struct tidy *t)
{
    int64_t changed = 0;
    int rc = DB_ROW;

    for (int i = 0; i < SCOPES && changed < TIDY_ROWS; i++) {
        rc = next_scope(t);
        if (rc != DB_ROW)
            break;
        rc = tidy_scope(t, &changed);
        if (rc != DB_OK)
            return rc;
        rc = DB_ROW;
    }
    if (rc == DB_OK)
        t->scopes_done = true;
    return rc == DB_ROW ? DB_OK : rc;
}

static int step_calls(struct tidy *t, int64_t before_us, bool *ret_more)
{
    int64_t calls = 0, holds = 0;
    int rc;

    for (int i = DROP_HOLDS; i <= DROP_CALLS; i++) {
        db_bind_int(t->run[i], 1, before_us);
        db_bind_int(t->run[i], 2, TIDY_ROWS);
    }
    rc = run_counted(t, DROP_HOLDS, &holds); /* of the same calls: there is one order */
    if (rc == DB_OK)
        rc = run_counted(t, DROP_CALLS, &calls);
    else
        db_reset(t->run[DROP_CALLS]);
    *ret_more = calls == TIDY_ROWS;
    return rc;
}

int tidy_step(struct tidy *t, int64_t now_us, int64_t retention_us, bool *ret_more)
{
    bool more = true;
    int rc = t->in_round ? DB_OK : begin_round(t, now_us);

    if (rc == DB_OK)
        rc = t->scopes_done ? step_calls(t, t->now_s * CLOCK_S - retention_us, &more) : step_scopes(t);
    if (rc == DB_OK && !more)
        for (int i = 0; i < AGES; i++)
            t->done[i] = t->cut[i];
    if (!more)
        t->in_round = false;
    *ret_more = more;
    return rc;
}
