/*
 * report_sums: a span is whole hours, read from `hours`, and at most two parts of hours, read from `calls`.
 * Both statements give the same columns, in the order of read_sums.
 */
#include "report_inside.h"

#include <stdio.h>

/* ---- sums ---- */

static void add(int64_t *to, int64_t v)
{
    if (__builtin_add_overflow(*to, v, to))
        *to = INT64_MAX;
}

void report_sums_add(struct report_sums *to, const struct report_sums *more)
{
    add(&to->calls, more->calls);
    for (int i = 0; i < ROW_OUTCOMES; i++)
        add(&to->outcome[i], more->outcome[i]);
    add(&to->attempts, more->attempts);
    add(&to->usage.input, more->usage.input);
    add(&to->usage.cached, more->usage.cached);
    add(&to->usage.cache_write, more->usage.cache_write);
    add(&to->usage.cache_write_1h, more->usage.cache_write_1h);
    add(&to->usage.output, more->usage.output);
    add(&to->usage.reasoning, more->usage.reasoning);
    add(&to->cost_nano, more->cost_nano);
    add(&to->unpriced, more->unpriced);
    add(&to->queued_ms, more->queued_ms);
    add(&to->total_ms, more->total_ms);
    add(&to->first_bytes, more->first_bytes);
    add(&to->first_byte_ms, more->first_byte_ms);
}

#define USAGE_COLUMNS "attempts, input, cached, cache_write, cache_write_1h, output, reasoning"

#define HOURS_SQL                                                                                            \
    "SELECT %s, calls, completed, refused, cancelled, failed, " USAGE_COLUMNS                                \
    ", cost_nano, unpriced, queued_ms, total_ms, first_bytes, first_byte_ms"                                 \
    " FROM hours WHERE hour >= ?1 AND hour < ?2 AND (?3 = 0 OR model = ?3)"

_Static_assert(ROW_COMPLETED == 0 && ROW_REFUSED == 1 && ROW_CANCELLED == 2 && ROW_FAILED == 3,
               "as the statement has them");
#define CALLS_SQL                                                                                            \
    "SELECT %s, 1, outcome = 0, outcome = 1, outcome = 2, outcome = 3, " USAGE_COLUMNS                       \
    ", cost_nano, cost_nano IS NULL, queued_ms, total_ms, first_byte_ms IS NOT NULL, first_byte_ms"          \
    " FROM calls WHERE t_us >= ?1 AND t_us < ?2 AND (?3 = 0 OR model = ?3)"

/* How each key is computed from a row of either table. */
static const struct {
    const char *of_hours, *of_calls;
} keys[REPORT_BYS] = {
    [REPORT_BY_MODEL] = {"model", "model"},           [REPORT_BY_CLIENT] = {"client", "client"},
    [REPORT_BY_BUDGET] = {"budget", "budget"},        [REPORT_BY_UPSTREAM] = {"upstream", "upstream"},
    [REPORT_BY_ENDPOINT] = {"endpoint", "endpoint"},  [REPORT_BY_DAY] = {"hour / 24", "t_us / 86400000000"},
    [REPORT_BY_HOUR] = {"hour", "t_us / 3600000000"},
};

static void read_sums(const struct db_stmt *s, struct report_sums *ret)
{
    *ret = (struct report_sums){
        .calls = db_int(s, 1),
        .outcome = {db_int(s, 2), db_int(s, 3), db_int(s, 4), db_int(s, 5)},
        .attempts = db_int(s, 6),
        .usage = {.input = db_int(s, 7),
                  .cached = db_int(s, 8),
                  .cache_write = db_int(s, 9),
                  .cache_write_1h = db_int(s, 10),
                  .output = db_int(s, 11),
                  .reasoning = db_int(s, 12)},
        .cost_nano = db_int(s, 13),
        .unpriced = db_int(s, 14),
        .queued_ms = db_int(s, 15),
        .total_ms = db_int(s, 16),
        .first_bytes = db_int(s, 17),
        .first_byte_ms = db_int(s, 18),
    };
}

/* ---- hours and parts of hours ---- */

struct parts {
    int64_t first_hour, end_hour; /* whole ones: first <= h < end */
    struct report_span calls[2];
    int n;
};

static int any_call(struct report *r, int64_t since_us, int64_t until_us, bool *ret, struct errbuf *e)
{
    int64_t any = 0, bound[] = {since_us, until_us};
    int rc = since_us >= until_us
                 ? DB_OK
                 : report_number(r, "SELECT EXISTS(SELECT 1 FROM calls WHERE t_us >= ?1 AND t_us < ?2)",
                                 bound, 2, &any, e);

    *ret = any != 0;
    return rc;
}

/* Whether calls of that hour were removed since it was summed. */
static int hour_has_lost_rows(struct report *r, int64_t hour, bool *ret, struct errbuf *e)
{
    int64_t rows = 0, summed = 0, bound[] = {hour * HOUR_US, (hour + 1) * HOUR_US};
    int rc =
        report_number(r, "SELECT count(*) FROM calls WHERE t_us >= ?1 AND t_us < ?2", bound, 2, &rows, e);

    if (rc == DB_OK)
        rc = report_number(r, "SELECT sum(calls) FROM hours WHERE hour = ?1", &hour, 1, &summed, e);
    *ret = rows < summed;
    return rc;
}

/*
 * Whether the sums of the whole hour stand for a part of it: nothing of it lies outside the part (so it is
 * with the present hour until now), or rows of the part itself may be gone. Rows go oldest first: what lies
 * after the oldest is all there.
 */
static int stands_whole(struct report *r, const struct report_span *part, int64_t hour, bool *ret,
                        struct errbuf *e)
{
    bool before = false, after = false, lost = false;
    int64_t oldest = 0;
    int rc = any_call(r, hour * HOUR_US, part->since_us, &before, e);

    if (rc == DB_OK)
        rc = any_call(r, part->until_us, (hour + 1) * HOUR_US, &after, e);
    if (rc == DB_OK && (before || after))
        rc = report_number(r, "SELECT min(t_us) FROM calls", NULL, 0, &oldest, e);
    if (rc == DB_OK && (before || after) && part->since_us < oldest)
        rc = hour_has_lost_rows(r, hour, &lost, e);
    *ret = lost || (!before && !after);
    return rc;
}

/* The part of an hour becomes one of the whole ones, or is to be read from `calls`. */
static int add_part(struct report *r, struct parts *p, const struct report_span *part, int64_t hour,
                    struct errbuf *e)
{
    bool whole = false;
    int rc = stands_whole(r, part, hour, &whole, e);

    if (!whole)
        p->calls[p->n++] = *part;
    else if (hour < p->first_hour)
        p->first_hour = hour;
    else
        p->end_hour = hour + 1;
    return rc;
}

static int find_parts(struct report *r, const struct report_span *span, struct parts *p, struct errbuf *e)
{
    int64_t since = span->since_us < 0 ? 0 : span->since_us;
    int64_t until = span->until_us > UNTIL_MAX ? UNTIL_MAX : span->until_us;
    int rc = DB_OK;

    *p = (struct parts){.first_hour = (since + HOUR_US - 1) / HOUR_US, .end_hour = until / HOUR_US};
    if (since >= until) {
        p->end_hour = p->first_hour;
        return DB_OK;
    }
    if (p->first_hour > p->end_hour) { /* it lies inside one hour */
        p->first_hour = p->end_hour;
        return add_part(r, p, &(struct report_span){since, until}, p->end_hour, e);
    }
    if (since < p->first_hour * HOUR_US)
        rc = add_part(r, p, &(struct report_span){since, p->first_hour * HOUR_US}, p->first_hour - 1, e);
    if (rc == DB_OK && until > until / HOUR_US * HOUR_US)
        rc = add_part(r, p, &(struct report_span){until / HOUR_US * HOUR_US, until}, until / HOUR_US, e);
    return rc;
}

/* ---- all of them ---- */

static int sum_table(struct report *r, const char *sql, const int64_t bound[3], report_sums_row *give,
                     void *arg, struct errbuf *e)
{
    struct report_sums sums;
    struct db_stmt *s = NULL;
    int rc = report_prepare(r, sql, &s, e);

    if (rc == DB_OK) {
        for (int i = 0; i < 3; i++)
            db_bind_int(s, i + 1, bound[i]);
        while ((rc = report_step(r, s, e)) == DB_ROW) {
            read_sums(s, &sums);
            give(arg, db_int(s, 0), &sums);
        }
    }
    db_finalize(s);
    return rc;
}

int report_sum(struct report *r, enum report_by by, int64_t model, const struct report_span *span,
               report_sums_row *give, void *arg, struct errbuf *e)
{
    char sql[1024];
    struct parts p;
    int rc = find_parts(r, span, &p, e);

    if (rc == DB_OK && p.first_hour < p.end_hour) {
        snprintf(sql, sizeof sql, HOURS_SQL, keys[by].of_hours);
        rc = sum_table(r, sql, (int64_t[]){p.first_hour, p.end_hour, model}, give, arg, e);
    }
    snprintf(sql, sizeof sql, CALLS_SQL, keys[by].of_calls);
    for (int i = 0; i < p.n && rc == DB_OK; i++)
        rc = sum_table(r, sql, (int64_t[]){p.calls[i].since_us, p.calls[i].until_us, model}, give, arg, e);
    return rc;
}

/* ---- backwards ---- */

int report_hours_back(struct report *r, int64_t client, int64_t model, const struct report_span *span,
                      report_hour *each, void *arg, struct errbuf *e)
{
    int64_t since = span->since_us < 0 ? 0 : span->since_us;
    int64_t until = span->until_us > UNTIL_MAX ? UNTIL_MAX : span->until_us;
    struct db_stmt *s = NULL;
    int rc =
        report_prepare(r,
                       "SELECT hour FROM hours WHERE hour >= ?1 AND hour <= ?2 AND (?3 = 0 OR client = ?3)"
                       " AND (?4 = 0 OR model = ?4) GROUP BY hour ORDER BY hour DESC",
                       &s, e);

    if (rc == DB_OK && since < until) {
        db_bind_int(s, 1, since / HOUR_US);
        db_bind_int(s, 2, (until - 1) / HOUR_US);
        db_bind_int(s, 3, client);
        db_bind_int(s, 4, model);
        while ((rc = report_step(r, s, e)) == DB_ROW) {
            int64_t from = db_int(s, 0) * HOUR_US, to = from + HOUR_US;
            struct report_span part = {from > since ? from : since, to < until ? to : until};

            rc = each(arg, &part, e);
            if (rc != DB_ROW)
                break;
        }
    }
    db_finalize(s);
    return rc;
}
