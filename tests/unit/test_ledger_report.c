/* report: sums by any key over any span are those of the calls, computed here from rows of chance. */
#include "ledger_world.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "metergate/ledger/ledger.h"

#define MINUTE (WHEN_HOUR_US / 60)

/* ---- usage ---- */

#define KEYS_MAX 200

struct table {
    size_t n;
    struct {
        char key[64];
        struct report_sums sums;
    } row[KEYS_MAX];
};

static void take_row(void *arg, struct slice key, const struct report_sums *sums)
{
    struct table *t = arg;

    assert_true(t->n < KEYS_MAX);
    snprintf(t->row[t->n].key, sizeof t->row[0].key, "%.*s", (int)key.n, key.p);
    t->row[t->n++].sums = *sums;
}

static void ask(const struct ledger_file *f, enum report_by by, const struct report_span *span,
                struct table *ret)
{
    struct report *r = open_report(f);
    struct errbuf e = {""};

    memset(ret, 0, sizeof *ret);
    if (report_usage(r, by, span, take_row, ret, &e) != DB_OK)
        fail_msg("%s", e.text);
    report_close(r);
}

static void key_of(const struct ledger_row *r, enum report_by by, char ret[64])
{
    const char *const names[] = {r->model, r->client, r->budget, r->upstream, r->endpoint};

    if (by == REPORT_BY_DAY)
        when_day_text(r->t_us, ret);
    else if (by == REPORT_BY_HOUR)
        when_hour_text(r->t_us, ret);
    else
        snprintf(ret, 64, "%s", names[by]);
}

/* Rows of [since, until), summed by their keys, unordered. */
static void expect(const struct world *w, enum report_by by, int64_t since, int64_t until, struct table *ret)
{
    char key[64];

    memset(ret, 0, sizeof *ret);
    for (int i = 0; i < ROWS; i++) {
        size_t at = 0;

        if (w->rows[i].t_us < since || w->rows[i].t_us >= until)
            continue;
        key_of(&w->rows[i], by, key);
        while (at < ret->n && strcmp(ret->row[at].key, key) != 0)
            at++;
        assert_true(at < KEYS_MAX);
        if (at == ret->n)
            snprintf(ret->row[ret->n++].key, sizeof ret->row[0].key, "%s", key);
        count(&ret->row[at].sums, &w->rows[i]);
    }
}

static bool in_order(enum report_by by, const struct table *t, size_t a, size_t b)
{
    const struct report_sums *x = &t->row[a].sums, *y = &t->row[b].sums;

    if (by == REPORT_BY_DAY || by == REPORT_BY_HOUR)
        return strcmp(t->row[a].key, t->row[b].key) < 0;
    if (x->cost_nano != y->cost_nano)
        return x->cost_nano > y->cost_nano;
    if (x->usage.input + x->usage.output != y->usage.input + y->usage.output)
        return x->usage.input + x->usage.output > y->usage.input + y->usage.output;
    return strcmp(t->row[a].key, t->row[b].key) < 0;
}

static void assert_table(const struct table *got, const struct table *want, enum report_by by,
                         const struct report_span *span)
{
    if (got->n != want->n)
        fail_msg("by %s, %lld to %lld: %zu rows, not %zu", report_by_name(by),
                 (long long)(span->since_us - T0), (long long)(span->until_us - T0), got->n, want->n);
    for (size_t i = 0; i < got->n; i++) {
        size_t at = 0;

        while (at < want->n && strcmp(want->row[at].key, got->row[i].key) != 0)
            at++;
        if (at == want->n || !sums_equal(&want->row[at].sums, &got->row[i].sums))
            fail_msg("by %s, %lld to %lld: \"%s\": %lld calls", report_by_name(by),
                     (long long)(span->since_us - T0), (long long)(span->until_us - T0), got->row[i].key,
                     (long long)got->row[i].sums.calls);
        assert_true(i == 0 || in_order(by, got, i - 1, i));
    }
}

static void test_usage__any_span_by_any_key__is_the_sum_of_its_calls(void **state)
{
    struct world *w = world_new(7);
    struct report_span span;
    struct table got, want;

    (void)state;
    for (int i = 0; i < 210; i++) {
        enum report_by by = (enum report_by)(i % REPORT_BYS);

        random_span(w, &span);
        ask(&w->file, by, &span, &got);
        expect(w, by, span.since_us, span.until_us, &want);
        assert_table(&got, &want, by, &span);
    }
    world_free(w);
}

/* Written by the ledger's own writer: what it sums by hour and what it keeps of calls agree, and with what
 * was given. */
static void test_usage__of_what_the_ledger_wrote__is_the_sum_of_its_calls(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    struct report_span span;
    struct table got, want;
    struct ledger *l;

    (void)state;
    w->random.state = 6;
    ledger_file_begin_empty(&w->file);
    l = ledger_open(w->file.dir, INT64_C(4000) * WHEN_DAY_US);
    for (int i = 0; i < ROWS; i++) {
        struct ledger_row *row = ledger_take(l);

        assert_non_null(row);
        random_row(&w->random, row_id(1, (uint64_t)i + 1), &w->rows[i]);
        *row = w->rows[i];
        ledger_end(l, row);
    }
    assert_true(ledger_flush(l, 20000));
    for (int i = 0; i < 70; i++) {
        enum report_by by = (enum report_by)(i % REPORT_BYS);

        random_span(w, &span);
        ask(&w->file, by, &span, &got);
        expect(w, by, span.since_us, span.until_us, &want);
        assert_table(&got, &want, by, &span);
    }
    ledger_close(l);
    world_free(w);
}

/* The end of a span that has none, and the present hour: nothing is later. */
static void test_usage__until_whenever__has_all_that_came(void **state)
{
    static const int64_t ends[] = {INT64_MAX, T0 + HOURS * WHEN_HOUR_US, T0 + (HOURS + 3) * WHEN_HOUR_US - 1};
    struct world *w = world_new(8);
    struct table got, want;

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(ends); i++) {
        struct report_span span = {INT64_MIN, ends[i]};

        ask(&w->file, REPORT_BY_CLIENT, &span, &got);
        expect(w, REPORT_BY_CLIENT, 0, INT64_MAX, &want);
        assert_table(&got, &want, REPORT_BY_CLIENT, &span);
    }
    world_free(w);
}

static void test_usage__an_empty_span_or_ledger__has_no_rows(void **state)
{
    struct world *w = world_new(9);
    struct ledger_file empty;
    struct table got;

    (void)state;
    ask(&w->file, REPORT_BY_MODEL, &(struct report_span){T0 + 5, T0 + 5}, &got);
    assert_int_equal(got.n, 0);
    ask(&w->file, REPORT_BY_MODEL, &(struct report_span){T0 + WHEN_HOUR_US, T0}, &got);
    assert_int_equal(got.n, 0);
    ledger_file_begin(&empty);
    ask(&empty, REPORT_BY_HOUR, &(struct report_span){0, INT64_MAX}, &got);
    assert_int_equal(got.n, 0);
    ask(&empty, REPORT_BY_HOUR, &(struct report_span){5, 6}, &got);
    assert_int_equal(got.n, 0);
    ledger_file_end(&empty);
    world_free(w);
}

/* ---- what retention took ---- */

static int64_t floor_hour(int64_t us)
{
    return us - us % WHEN_HOUR_US;
}

/*
 * Rows before a moment in the middle of an hour are gone. A span that begins after it is exact to the
 * microsecond; of an hour of which a part before it is asked for, all counts.
 */
static void test_usage__rows_are_gone__whole_hours_stand_for_parts_of_them(void **state)
{
    struct world *w = world_new(10);
    int64_t cut = T0 + 30 * WHEN_HOUR_US + WHEN_HOUR_US / 2, oldest = INT64_MAX;
    struct table got, want;
    char sql[128];

    (void)state;
    snprintf(sql, sizeof sql, "DELETE FROM calls WHERE t_us < %lld", (long long)cut);
    ledger_file_run(&w->file, sql);
    for (int i = 0; i < ROWS; i++) {
        if (w->rows[i].t_us >= cut && w->rows[i].t_us < oldest)
            oldest = w->rows[i].t_us;
    }
    for (int i = 0; i < 200; i++) {
        struct report_span span, means;

        random_span(w, &span);
        means = span;
        if (span.since_us < oldest && floor_hour(span.since_us) <= floor_hour(cut))
            means.since_us = floor_hour(span.since_us);
        if (span.until_us > span.since_us && span.until_us % WHEN_HOUR_US &&
            (floor_hour(span.until_us) < floor_hour(cut) ||
             (floor_hour(span.until_us) == floor_hour(cut) && span.since_us < oldest)))
            means.until_us = floor_hour(span.until_us) + WHEN_HOUR_US;
        if (span.until_us <= span.since_us)
            means = (struct report_span){0, 0};
        ask(&w->file, REPORT_BY_MODEL, &span, &got);
        expect(w, REPORT_BY_MODEL, means.since_us, means.until_us, &want);
        assert_table(&got, &want, REPORT_BY_MODEL, &span);
    }
    world_free(w);
}

/* The first hour of a new ledger begins before its first call, and nothing is gone from it. */
static void test_usage__the_first_hour_of_a_ledger__is_exact(void **state)
{
    struct ledger_row rows[2] = {{.id = 1, .t_us = T0 + 20 * MINUTE}, {.id = 2, .t_us = T0 + 50 * MINUTE}};
    struct ledger_file f;
    struct table got;

    (void)state;
    ledger_file_begin(&f);
    ledger_file_add(&f, rows, 2);
    ledger_file_sum(&f);
    ask(&f, REPORT_BY_MODEL, &(struct report_span){T0 - WHEN_HOUR_US, T0 + 30 * MINUTE}, &got);
    assert_int_equal(got.n, 1);
    assert_string_equal(got.row[0].key, "");
    assert_int_equal(got.row[0].sums.calls, 1);
    ledger_file_end(&f);
}

/* ---- bounds ---- */

struct many {
    int64_t rows, calls;
    char last[64];
    struct report_sums sums;
};

static void take_many(void *arg, struct slice key, const struct report_sums *sums)
{
    struct many *m = arg;

    m->rows++;
    m->calls += sums->calls;
    m->sums = *sums;
    snprintf(m->last, sizeof m->last, "%.*s", (int)key.n, key.p);
}

static void test_usage__more_keys_than_are_given__the_others_are_one_row(void **state)
{
    struct ledger_file f;
    struct many m = {0};
    struct errbuf e;
    struct report *r;

    (void)state;
    ledger_file_begin(&f);
    ledger_file_run(&f, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10007)"
                        " INSERT INTO names SELECT i, 'm' || i FROM n;"
                        "INSERT INTO hours SELECT 495000, 1, 1, 1, 1, id, 1, 2,2,0,0,0,2, 3,0,0,0,0,0, 5,0, "
                        "0,0,0,0 FROM names");
    r = open_report(&f);
    assert_int_equal(report_usage(r, REPORT_BY_MODEL, &(struct report_span){0, INT64_MAX}, take_many, &m, &e),
                     DB_OK);
    assert_int_equal(m.rows, REPORT_KEYS_MAX + 1);
    assert_int_equal(m.calls, 2 * 10007);
    assert_string_equal(m.last, REPORT_OTHERS);
    assert_int_equal(m.sums.calls, 2 * 7);
    assert_int_equal(m.sums.cost_nano, 5 * 7);
    report_close(r);
    ledger_file_end(&f);
}

static void test_usage__sums_that_would_overflow__stay_at_the_largest(void **state)
{
    struct ledger_row rows[4] = {
        {.id = 1, .t_us = T0 + 10, .cost_nano = INT64_MAX},
        {.id = 2, .t_us = T0 + 11, .cost_nano = 5, .usage.input = INT64_MAX},
        {.id = 3, .t_us = T0 + 12, .cost_nano = 5, .usage.input = 7},
        {.id = 4, .t_us = T0 + 99}}; /* behind the span, so that calls are added up */
    struct ledger_file f;
    struct table got;

    (void)state;
    ledger_file_begin(&f);
    ledger_file_add(&f, rows, 4);
    ask(&f, REPORT_BY_MODEL, &(struct report_span){T0 + 1, T0 + 40}, &got);
    assert_int_equal(got.n, 1);
    assert_int_equal(got.row[0].sums.calls, 3);
    assert_int_equal(got.row[0].sums.cost_nano, INT64_MAX);
    assert_int_equal(got.row[0].sums.usage.input, INT64_MAX);
    ledger_file_end(&f);
}

/* ---- opening ---- */

static void test_report__while_it_is_open__sees_one_moment(void **state)
{
    struct ledger_row rows[2] = {{.id = 1, .t_us = T0}, {.id = 2, .t_us = T0 + 1}};
    struct report_span all = {0, INT64_MAX};
    struct ledger_file f;
    struct table t = {0};
    struct errbuf e;
    struct report *r;

    (void)state;
    ledger_file_begin(&f);
    ledger_file_add(&f, rows, 1);
    ledger_file_sum(&f);
    r = open_report(&f);
    ledger_file_add(&f, rows + 1, 1);
    ledger_file_sum(&f);
    assert_int_equal(report_usage(r, REPORT_BY_MODEL, &all, take_row, &t, &e), DB_OK);
    assert_int_equal(t.row[0].sums.calls, 1);
    report_close(r);
    ask(&f, REPORT_BY_MODEL, &all, &t);
    assert_int_equal(t.row[0].sums.calls, 2);
    ledger_file_end(&f);
}

static void assert_refused(const struct ledger_file *f, int code, const char *words)
{
    struct report *r = NULL;
    struct errbuf e = {""};

    assert_int_equal(report_open(f->dir, &r, &e), code);
    assert_null(r);
    if (!strstr(e.text, words) || !strstr(e.text, f->dir))
        fail_msg("%s", e.text);
}

static void test_report__a_file_that_cannot_be_used__is_named_with_the_reason(void **state)
{
    struct ledger_file f;
    char path[128], junk[8192];
    int fd;

    (void)state;
    ledger_file_begin(&f);
    ledger_file_run(&f, "PRAGMA user_version = 99");
    assert_refused(&f, DB_READONLY, "was written by a newer Metergate (its version is 99, this one knows 1)");
    ledger_file_run(&f, "PRAGMA user_version = 0");
    assert_refused(&f, DB_READONLY, "has not got its tables yet");
    db_close(f.db);
    f.db = NULL;
    ledger_file_path(&f, "ledger.db", path);
    unlink(path);
    assert_refused(&f, DB_IO, "ledger.db is not there");
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_refused(&f, DB_IO,
                   "ledger.db is no regular file"); /* and nobody waits for one who writes into it */
    unlink(path);
    memset(junk, 'x', sizeof junk);
    fd = open(path, O_WRONLY | O_CREAT, 0600);
    assert_int_equal(write(fd, junk, sizeof junk), sizeof junk);
    close(fd);
    assert_refused(&f, DB_CORRUPT, "file is not a database");
    ledger_file_end(&f);
}

static void test_report__interrupted__ends_in_words(void **state)
{
    struct world *w = world_new(13);
    struct report *r = open_report(&w->file);
    struct table t = {0};
    struct errbuf e = {""};

    (void)state;
    report_interrupt(r);
    assert_int_equal(report_usage(r, REPORT_BY_MODEL, &(struct report_span){0, INT64_MAX}, take_row, &t, &e),
                     DB_ERROR);
    assert_non_null(strstr(e.text, "the daemon is stopping"));
    assert_int_equal(t.n, 0);
    report_close(r);
    world_free(w);
}

static void test_by__names__are_read_back(void **state)
{
    enum report_by by;

    (void)state;
    for (int i = 0; i < REPORT_BYS; i++) {
        assert_int_equal(report_by_read(slice_str(report_by_name((enum report_by)i)), &by), 0);
        assert_int_equal(by, i);
    }
    assert_int_equal(report_by_read(SLICE("month"), &by), -22);
    assert_int_equal(report_by_read(SLICE(""), &by), -22);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_by__names__are_read_back),
        cmocka_unit_test(test_usage__an_empty_span_or_ledger__has_no_rows),
        cmocka_unit_test(test_usage__any_span_by_any_key__is_the_sum_of_its_calls),
        cmocka_unit_test(test_usage__of_what_the_ledger_wrote__is_the_sum_of_its_calls),
        cmocka_unit_test(test_usage__until_whenever__has_all_that_came),
        cmocka_unit_test(test_usage__rows_are_gone__whole_hours_stand_for_parts_of_them),
        cmocka_unit_test(test_usage__the_first_hour_of_a_ledger__is_exact),
        cmocka_unit_test(test_usage__more_keys_than_are_given__the_others_are_one_row),
        cmocka_unit_test(test_usage__sums_that_would_overflow__stay_at_the_largest),
        cmocka_unit_test(test_report__while_it_is_open__sees_one_moment),
        cmocka_unit_test(test_report__a_file_that_cannot_be_used__is_named_with_the_reason),
        cmocka_unit_test(test_report__interrupted__ends_in_words),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
