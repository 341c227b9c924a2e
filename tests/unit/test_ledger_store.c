/* store: what rows become in the database; sums are always those of the rows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <cmocka.h>

#include "ledger_rows.h"
#include "metergate/ledger/names.h"
#include "metergate/ledger/schema.h"
#include "metergate/ledger/store.h"
#include "metergate/ledger/tidy.h"

#define T0 (INT64_C(1795860000) * CLOCK_S) /* 2026-11-28, at the beginning of an hour */

static struct ledger_place at;

static int make(void **state)
{
    (void)state;
    place_make(&at);
    return 0;
}

static int unmake(void **state)
{
    (void)state;
    place_remove(&at);
    return 0;
}

static struct store *opened(void)
{
    struct store *s;
    struct errbuf e;

    assert_int_equal(store_open(at.db, 50, &s, &e), DB_OK);
    return s;
}

static void write_one(struct store *s, const struct ledger_row *r)
{
    struct errbuf e;

    assert_int_equal(store_write(s, &r, 1, &e), DB_OK);
}

/* A call that ended at T0 + 1.5 s, sent 1 s earlier, of 1000 + 200 tokens and 3000 nano-dollars. */
static struct ledger_row a_call(void)
{
    struct ledger_row r = {.id = row_id(0xabcdef1, 7),
                           .t_us = T0 + 1500000,
                           .client = "nightly",
                           .upstream = "openai",
                           .budget = "gpt-4o",
                           .model = "gpt-4o-2024-08-06",
                           .endpoint = "chat",
                           .budget_scope = "entry",
                           .status = 200,
                           .attempts = 1,
                           .usage = {.input = 1000, .output = 200},
                           .source = ROW_BY_PROVIDER,
                           .cost_nano = 3000,
                           .price = {"gpt-4o", 20261101, {{1, 2, -1, -1, 5}}},
                           .queued_us = 1999,
                           .total_us = 900500,
                           .first_byte_us = -1,
                           .charge = {.sent_us = T0 + 500000,
                                      .on_arrival = {[METRIC_REQUESTS] = 1, [METRIC_TOKENS] = 1000},
                                      .at_end = {[METRIC_TOKENS] = 200}},
                           .hold_count = 1,
                           .hold = {{.what = "tpm", .whose = ROW_OF_BUDGET, .to_us = 1999}}};

    return r;
}

/* ---- rows ---- */

static void test_store__a_call__is_kept_with_names_price_holds_and_sums(void **state)
{
    struct ledger_row r = a_call();
    struct store *s = opened();

    (void)state;
    write_one(s, &r);
    assert_int_equal(ask(at.db, "SELECT id FROM calls"), r.id);
    assert_int_equal(ask(at.db, "SELECT text = 'nightly' FROM calls JOIN names ON names.id = client"), 1);
    assert_int_equal(ask(at.db, "SELECT queued_ms = 1 AND total_ms = 900 AND first_byte_ms IS NULL FROM calls"), 1);
    assert_int_equal(ask(at.db, "SELECT reason IS NULL AND cost_nano = 3000 AND source = 1 FROM calls"), 1);
    assert_int_equal(ask(at.db, "SELECT since FROM calls JOIN prices ON prices.id = price WHERE prices.output = 5"),
                     20261101);
    assert_int_equal(ask(at.db, "SELECT p.cached = 2 AND p.cache_write = -1 AND p.output = 5 FROM prices p"), 1);
    assert_int_equal(ask(at.db, "SELECT call FROM holds WHERE n = 0 AND to_ms = 1"), r.id);
    assert_int_equal(ask(at.db, "SELECT hour FROM hours WHERE calls = 1 AND completed = 1 AND unpriced = 0"
                                " AND cost_nano = 3000 AND first_bytes = 0 AND first_byte_ms = 0"),
                     T0 / CLOCK_S / 3600);
    store_close(s);
}

static void test_store__a_charge__stands_in_the_second_that_it_came_before(void **state)
{
    struct ledger_row r = a_call();
    struct store *s = opened();

    (void)state;
    write_one(s, &r);
    assert_int_equal(ask(at.db, "SELECT count(*) FROM charges"), 4);
    assert_int_equal(ask(at.db, "SELECT count(*) FROM charges JOIN names ON id = scope WHERE"
                                " text IN ('budget:openai//entry/gpt-4o', 'client:nightly')"), 4);
    assert_int_equal(ask(at.db, "SELECT min(until_s) FROM charges WHERE requests = 1 AND tokens = 1000"
                                " AND cost_nano = 0"), T0 / CLOCK_S + 1);
    assert_int_equal(ask(at.db, "SELECT min(until_s) FROM charges WHERE requests = 0 AND tokens = 200"
                                " AND cost_nano = 3000"), T0 / CLOCK_S + 2);
    store_close(s);
}

static void test_store__a_charge_that_was_not_sent__counts_when_it_ended(void **state)
{
    struct ledger_row r = a_call();
    struct store *s = opened();

    (void)state;
    r.charge.sent_us = 0;
    r.t_us = T0;
    write_one(s, &r);
    assert_int_equal(ask(at.db, "SELECT count(*) FROM charges WHERE until_s = 1795860000 AND tokens = 1200"), 2);
    store_close(s);
}

static void test_store__the_same_call_twice__is_kept_once(void **state)
{
    struct ledger_row r = a_call();
    const struct ledger_row *twice[] = {&r, &r};
    struct store *s = opened();
    struct errbuf e;

    (void)state;
    assert_int_equal(store_write(s, twice, 2, &e), DB_OK);
    store_close(s);
    s = opened();
    r.t_us += 5 * CLOCK_S;
    write_one(s, &r);
    assert_int_equal(ask(at.db, "SELECT count(*) FROM calls"), 1);
    assert_int_equal(ask(at.db, "SELECT sum(calls) FROM hours"), 1);
    assert_int_equal(ask(at.db, "SELECT sum(tokens) FROM charges"), 2 * 1200);
    assert_int_equal(ask(at.db, "SELECT count(*) FROM holds"), 1);
    store_close(s);
}

static void test_store__an_unpriced_call__has_no_cost_and_is_counted(void **state)
{
    struct ledger_row r = a_call();
    struct store *s = opened();

    (void)state;
    r.cost_nano = PRICE_UNKNOWN;
    r.price.name[0] = '\0';
    write_one(s, &r);
    assert_int_equal(ask(at.db, "SELECT cost_nano IS NULL AND price IS NULL FROM calls"), 1);
    assert_int_equal(ask(at.db, "SELECT unpriced = 1 AND cost_nano = 0 FROM hours"), 1);
    assert_int_equal(ask(at.db, "SELECT sum(cost_nano) FROM charges"), 0);
    store_close(s);
}

static void test_store__an_attempt__is_charges_alone(void **state)
{
    struct ledger_row r = a_call();
    struct store *s = opened();

    (void)state;
    r.kind = ROW_ATTEMPT;
    r.charge = (struct row_charge){.on_arrival = {[METRIC_REQUESTS] = 1}};
    write_one(s, &r);
    assert_int_equal(ask(at.db, "SELECT count(*) FROM calls"), 0);
    assert_int_equal(ask(at.db, "SELECT count(*) FROM hours"), 0);
    assert_int_equal(ask(at.db, "SELECT sum(requests) FROM charges WHERE cost_nano = 0"), 2);
    store_close(s);
}

static void test_store__a_refused_call__charges_nothing(void **state)
{
    struct ledger_row r = a_call();
    struct store *s = opened();

    (void)state;
    r.outcome = ROW_REFUSED;
    r.charge = (struct row_charge){0};
    r.cost_nano = 0;
    snprintf(r.reason, sizeof r.reason, "queue-full");
    write_one(s, &r);
    assert_int_equal(ask(at.db, "SELECT count(*) FROM charges"), 0);
    assert_int_equal(ask(at.db, "SELECT refused FROM hours"), 1);
    assert_int_equal(ask(at.db, "SELECT text = 'queue-full' FROM calls JOIN names ON names.id = reason"), 1);
    store_close(s);
}

/* ---- corrections ---- */

static struct ledger_row a_correction(int64_t cost_nano)
{
    struct ledger_row r = a_call();

    r.kind = ROW_CORRECTION;
    r.t_us += 7200 * CLOCK_S;
    r.usage = (struct usage){.input = 900, .cached = 100, .output = 500, .reasoning = 50};
    r.source = ROW_BY_PROVIDER;
    r.cost_nano = cost_nano;
    return r;
}

static void test_store__a_correction__changes_the_call_and_its_own_hour(void **state)
{
    struct ledger_row r = a_call(), c = a_correction(4000);
    const struct ledger_row *both[] = {&r, &c, &c};
    struct store *s = opened();
    struct errbuf e;

    (void)state;
    r.cost_nano = PRICE_UNKNOWN;
    assert_int_equal(store_write(s, both, 3, &e), DB_OK);
    write_one(s, &c);
    assert_int_equal(ask(at.db, "SELECT input = 900 AND output = 500 AND cost_nano = 4000 FROM calls"), 1);
    assert_int_equal(ask(at.db, "SELECT count(*) FROM hours"), 1);
    assert_int_equal(ask(at.db, "SELECT calls = 1 AND input = 900 AND cached = 100 AND output = 500 AND reasoning = 50"
                                " AND cost_nano = 4000 AND unpriced = 0 FROM hours"), 1);
    assert_int_equal(ask(at.db, "SELECT sum(cost_nano) FROM charges WHERE until_s > 1795860000 + 7200"), 2 * 4000);
    store_close(s);
}

static void test_store__a_correction_to_less__is_taken_from_where_the_cost_stands(void **state)
{
    struct ledger_row r = a_call(), c = a_correction(1000);
    const struct ledger_row *both[] = {&r, &c};
    struct store *s = opened();
    struct errbuf e;

    (void)state;
    assert_int_equal(store_write(s, both, 2, &e), DB_OK);
    assert_int_equal(ask(at.db, "SELECT count(*) FROM charges"), 4);
    assert_int_equal(ask(at.db, "SELECT min(cost_nano) = 1000 AND max(cost_nano) = 1000 AND count(*) = 2"
                                " FROM charges WHERE until_s = 1795860002"), 1);
    c.cost_nano = PRICE_UNKNOWN;
    write_one(s, &c);
    assert_int_equal(ask(at.db, "SELECT sum(cost_nano) FROM charges"), 0);
    assert_int_equal(ask(at.db, "SELECT unpriced = 1 AND cost_nano = 0 FROM hours"), 1);
    store_close(s);
}

static void test_store__a_correction_of_an_unknown_call__does_nothing(void **state)
{
    struct ledger_row c = a_correction(4000);
    struct store *s = opened();

    (void)state;
    write_one(s, &c);
    assert_int_equal(ask(at.db, "SELECT (SELECT count(*) FROM calls) + (SELECT count(*) FROM hours)"
                                " + (SELECT count(*) FROM charges)"), 0);
    store_close(s);
}

/* ---- sums ---- */

#define ROWS 1500

static void write_in_batches(struct prng *p, const struct ledger_row *rows, size_t n)
{
    const struct ledger_row *batch[100];
    struct store *s = opened();
    struct errbuf e;

    for (size_t i = 0; i < n;) {
        size_t k = 0, size = (size_t)prng_below(p, 100) + 1;

        while (k < size && i < n)
            batch[k++] = &rows[i++];
        assert_int_equal(store_write(s, batch, k, &e), DB_OK);
        if (prng_below(p, 5) == 0) {
            store_close(s);
            s = opened();
        }
    }
    store_close(s);
}

static const char hours_of_calls[] =
    "SELECT t_us / 3600000000, client, upstream, budget, account, model, endpoint, count(*), sum(outcome = 0),"
    " sum(outcome = 1), sum(outcome = 2), sum(outcome = 3), sum(attempts), sum(input), sum(cached),"
    " sum(cache_write), sum(cache_write_1h), sum(output), sum(reasoning), coalesce(sum(cost_nano), 0),"
    " sum(cost_nano IS NULL), sum(queued_ms), count(first_byte_ms), coalesce(sum(first_byte_ms), 0), sum(total_ms)"
    " FROM calls GROUP BY 1, 2, 3, 4, 5, 6, 7";

static void expect_hours_are_those_of_calls(void)
{
    char sql[2048];

    snprintf(sql, sizeof sql, "SELECT count(*) FROM (SELECT * FROM hours EXCEPT %s)", hours_of_calls);
    assert_int_equal(ask(at.db, sql), 0);
    snprintf(sql, sizeof sql, "SELECT count(*) FROM (%s EXCEPT SELECT * FROM hours)", hours_of_calls);
    assert_int_equal(ask(at.db, sql), 0);
    assert_true(ask(at.db, "SELECT count(*) FROM hours") > 100);
}

/* What the scopes of these rows were charged, added up here. */
static void expect_charges_are_those_of_rows(const struct ledger_row *rows, size_t n)
{
    int64_t requests = 0, tokens = 0, cost = 0;

    for (size_t i = 0; i < n; i++) {
        int64_t scopes = rows[i].budget_scope[0] ? 2 : 1;

        requests += scopes;
        tokens += scopes * (rows[i].usage.input + rows[i].usage.output);
        if (rows[i].kind == ROW_CALL && rows[i].cost_nano != PRICE_UNKNOWN)
            cost += scopes * rows[i].cost_nano;
    }
    assert_int_equal(ask(at.db, "SELECT sum(requests) FROM charges"), requests);
    assert_int_equal(ask(at.db, "SELECT sum(tokens) FROM charges"), tokens);
    assert_int_equal(ask(at.db, "SELECT sum(cost_nano) FROM charges"), cost);
}

static void test_store__random_rows_in_random_batches__sums_are_those_of_the_rows(void **state)
{
    struct ledger_row *rows = xcalloc(ROWS, sizeof *rows);

    (void)state;
    for (uint64_t seed = 1; seed <= 3; seed++) {
        struct prng p = {seed};

        for (int i = 0; i < ROWS; i++) {
            random_row(&p, i + 1, T0 + prng_below(&p, 14400 * CLOCK_S), &rows[i]);
            rows[i].kind = prng_below(&p, 10) ? ROW_CALL : ROW_ATTEMPT;
        }
        write_in_batches(&p, rows, ROWS);
        expect_hours_are_those_of_calls();
        expect_charges_are_those_of_rows(rows, ROWS);
        unmake(state);
        make(state);
    }
    free(rows);
}

static void test_store__random_corrections__hours_are_still_those_of_the_rows(void **state)
{
    struct ledger_row *rows = xcalloc(ROWS, sizeof *rows);
    struct prng p = {4};

    (void)state;
    for (int i = 0; i < ROWS; i++) {
        random_row(&p, 1 + prng_below(&p, ROWS / 2), T0 + prng_below(&p, 14400 * CLOCK_S), &rows[i]);
        rows[i].kind = prng_below(&p, 3) ? ROW_CALL : ROW_CORRECTION;
    }
    write_in_batches(&p, rows, ROWS);
    expect_hours_are_those_of_calls();
    assert_int_equal(ask(at.db, "SELECT count(*) FROM charges WHERE cost_nano < 0"), 0);
    free(rows);
}

static void test_store__figures_that_no_sum_can_hold__stay_the_largest(void **state)
{
    struct ledger_row r = a_call(), other;
    const struct ledger_row *both[] = {&r, &other};
    struct store *s = opened();
    struct errbuf e;
    bool more = true;

    (void)state;
    r.cost_nano = r.usage.input = r.charge.at_end[METRIC_TOKENS] = INT64_MAX - 5;
    other = r;
    other.id++;
    assert_int_equal(store_write(s, both, 2, &e), DB_OK);
    r.id += 2;
    r.t_us += CLOCK_S;
    write_one(s, &r);
    assert_int_equal(ask(at.db, "SELECT cost_nano FROM hours"), INT64_MAX);
    while (more)
        assert_int_equal(store_tidy(s, T0 + 7200 * CLOCK_S, 86400000 * CLOCK_S, &more, &e), DB_OK);
    assert_int_equal(ask(at.db, "SELECT max(tokens) FROM charges"), INT64_MAX);
    store_close(s);
}

/* ---- failures ---- */

static void test_store__a_row_that_fails__takes_the_batch_back_and_the_names_with_it(void **state)
{
    struct ledger_row good = a_call(), bad = a_call();
    const struct ledger_row *both[] = {&good, &bad};
    struct store *s = opened();
    struct errbuf e;

    (void)state;
    tell(at.db, "CREATE TRIGGER t BEFORE INSERT ON calls WHEN new.id = 13 BEGIN SELECT RAISE(ABORT, 'unlucky'); END");
    bad.id = 13;
    assert_int_equal(store_write(s, both, 2, &e), DB_ERROR);
    assert_string_equal(e.text, "unlucky");
    assert_int_equal(ask(at.db, "SELECT count(*) FROM names"), 0);
    tell(at.db, "INSERT INTO names(text) VALUES('another'), ('than'), ('before')");
    assert_int_equal(store_try(s, &e), DB_OK);
    assert_int_equal(ask(at.db, "SELECT count(*) FROM names"), 3);
    write_one(s, &good);
    assert_int_equal(ask(at.db, "SELECT text = 'nightly' FROM calls JOIN names ON names.id = client"), 1);
    assert_int_equal(ask(at.db, "SELECT sum(calls) FROM hours"), 1);
    assert_int_equal(ask(at.db, "SELECT sum(requests) FROM charges"), 2);
    store_close(s);
}

static void test_store__a_file_that_may_not_grow__says_so_and_goes_on_when_it_may(void **state)
{
    struct rlimit old, small = {.rlim_cur = 65536};
    struct ledger_row r = a_call();
    struct store *s = opened();
    struct errbuf e;
    int rc = DB_OK, kept = 0;

    (void)state;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small.rlim_max = old.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    for (; rc == DB_OK && kept < 10000; kept++, r.id++) {
        const struct ledger_row *one = &r;

        rc = store_write(s, &one, 1, &e);
    }
    kept--; /* the last one failed */
    r.id--;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_true(rc == DB_FULL || rc == DB_IO);
    assert_true(e.text[0]);
    assert_int_equal(ask(at.db, "SELECT count(*) FROM calls"), kept);
    write_one(s, &r);
    assert_int_equal(ask(at.db, "SELECT count(*) FROM calls"), kept + 1);
    assert_int_equal(ask(at.db, "SELECT sum(calls) FROM hours"), kept + 1);
    store_close(s);
}

static void write_text(const char *text, size_t n)
{
    FILE *f = fopen(at.db, "w");

    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, n, f), n);
    fclose(f);
}

static void test_store__a_file_that_is_no_database__is_called_damaged(void **state)
{
    char garbage[8192];
    struct store *s = NULL;
    struct errbuf e;

    (void)state;
    memset(garbage, 'g', sizeof garbage);
    write_text(garbage, sizeof garbage);
    assert_int_equal(store_open(at.db, 50, &s, &e), DB_CORRUPT);
    assert_null(s);
    assert_string_equal(e.text, "file is not a database");
}

static void test_store__a_file_of_a_newer_version__is_not_touched(void **state)
{
    struct store *s = opened();
    struct errbuf e;
    char newer[64];

    (void)state;
    store_close(s);
    snprintf(newer, sizeof newer, "PRAGMA user_version = %d", SCHEMA_VERSION + 1);
    tell(at.db, newer);
    s = NULL;
    assert_int_equal(store_open(at.db, 50, &s, &e), DB_READONLY);
    assert_non_null(strstr(e.text, "newer Metergate"));
    assert_null(s);
    assert_int_equal(ask(at.db, "PRAGMA user_version"), SCHEMA_VERSION + 1);
}

static void test_store__locked_by_another__says_busy_and_works_later(void **state)
{
    struct ledger_row r = a_call();
    const struct ledger_row *one = &r;
    struct store *s = opened();
    struct errbuf e;
    struct db *other;

    (void)state;
    assert_int_equal(db_open(at.db, 50, &other), DB_OK);
    assert_int_equal(db_exec(other, "BEGIN EXCLUSIVE"), DB_OK);
    assert_int_equal(store_write(s, &one, 1, &e), DB_BUSY);
    assert_int_equal(db_exec(other, "ROLLBACK"), DB_OK);
    write_one(s, &r);
    db_close(other);
    store_close(s);
}

static void test_store__its_files__are_their_owners_alone(void **state)
{
    struct ledger_row r = a_call();
    struct store *s = opened();
    struct stat st;
    char wal[128];

    (void)state;
    write_one(s, &r);
    assert_int_equal(stat(at.db, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    snprintf(wal, sizeof wal, "%s-wal", at.db);
    assert_int_equal(stat(wal, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    store_close(s);
}

/* ---- facts, plans ---- */

/* Who read while the database was read-only has left them so; with them it could never be written again. */
static void test_store__parts_that_may_not_be_written__are_its_owners_again(void **state)
{
    static const char *const parts[] = {"-wal", "-shm"};
    char path[256];
    struct store *s;

    (void)state;
    store_close(opened());
    for (size_t i = 0; i < MG_ARRAY_LEN(parts); i++) {
        int fd;

        snprintf(path, sizeof path, "%s%s", at.db, parts[i]);
        fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0400);
        assert_true(fd >= 0);
        close(fd);
    }
    s = opened();
    for (size_t i = 0; i < MG_ARRAY_LEN(parts); i++) {
        struct stat st;

        snprintf(path, sizeof path, "%s%s", at.db, parts[i]);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 0777, 0600);
    }
    store_close(s);
}

static pthread_barrier_t together;

static void *open_together(void *arg)
{
    struct store *s = NULL;
    struct errbuf e = {""};

    pthread_barrier_wait(&together);
    *(int *)arg = store_open(at.db, 10000, &s, &e);
    store_close(s);
    return NULL;
}

static void test_store__many_make_it_at_once__all_can_use_it(void **state)
{
    enum { MANY = 4, ROUNDS = 20 };
    pthread_t threads[MANY];
    int codes[MANY];

    for (int round = 0; round < ROUNDS; round++) {
        assert_int_equal(pthread_barrier_init(&together, NULL, MANY), 0);
        for (int i = 0; i < MANY; i++)
            assert_int_equal(pthread_create(&threads[i], NULL, open_together, &codes[i]), 0);
        for (int i = 0; i < MANY; i++)
            assert_int_equal(pthread_join(threads[i], NULL), 0);
        for (int i = 0; i < MANY; i++)
            assert_int_equal(codes[i], DB_OK);
        pthread_barrier_destroy(&together);
        unmake(state);
        make(state);
    }
}

static void test_store__a_fact__is_what_it_was_first(void **state)
{
    struct store *s = opened();
    struct errbuf e;
    struct buf v;

    (void)state;
    buf_init(&v, BUF_UNLIMITED);
    assert_int_equal(store_fact(s, "salt", SLICE("one"), &v, &e), DB_OK);
    assert_string_equal(v.p, "one");
    store_close(s);
    s = opened();
    buf_reset(&v);
    assert_int_equal(store_fact(s, "salt", SLICE("two"), &v, &e), DB_OK);
    assert_string_equal(v.p, "one");
    buf_release(&v);
    store_close(s);
}

static void test_store__more_names_than_are_remembered__keep_their_numbers(void **state)
{
    struct ledger_row r = a_call();
    struct store *s = opened();

    (void)state;
    for (int i = 0; i < NAMES_KEPT + 100; i++, r.id++) {
        snprintf(r.client, sizeof r.client, "c%d", i % (NAMES_KEPT + 50));
        write_one(s, &r);
    }
    assert_int_equal(ask(at.db, "SELECT count(*) = count(DISTINCT text) FROM names"), 1);
    assert_int_equal(ask(at.db, "SELECT count(*) FROM calls JOIN names ON names.id = client WHERE text = 'c0'"), 2);
    store_close(s);
}

static void expect_searches(struct db *db, const char *sql)
{
    struct db_stmt *plan;
    char explain[2048];

    snprintf(explain, sizeof explain, "EXPLAIN QUERY PLAN %s", sql);
    assert_int_equal(db_prepare(db, explain, &plan), DB_OK);
    while (db_step(plan) == DB_ROW) {
        struct slice line = db_text(plan, 3);

        if (slice_starts(line, SLICE("SCAN")))
            fail_msg("%.*s: %s", (int)line.n, line.p, sql);
    }
    db_finalize(plan);
}

static void test_store__every_statement__searches_and_never_reads_a_whole_table(void **state)
{
    struct db *db;

    (void)state;
    store_close(opened());
    assert_int_equal(db_open_reader(at.db, 50, &db), DB_OK);
    for (int i = 0; store_sql[i]; i++)
        expect_searches(db, store_sql[i]);
    for (int i = 0; tidy_sql[i]; i++)
        expect_searches(db, tidy_sql[i]);
    db_close(db);
}

#define IN_PLACE(f) cmocka_unit_test_setup_teardown(f, make, unmake)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_PLACE(test_store__a_call__is_kept_with_names_price_holds_and_sums),
        IN_PLACE(test_store__a_charge__stands_in_the_second_that_it_came_before),
        IN_PLACE(test_store__a_charge_that_was_not_sent__counts_when_it_ended),
        IN_PLACE(test_store__the_same_call_twice__is_kept_once),
        IN_PLACE(test_store__an_unpriced_call__has_no_cost_and_is_counted),
        IN_PLACE(test_store__an_attempt__is_charges_alone),
        IN_PLACE(test_store__a_refused_call__charges_nothing),
        IN_PLACE(test_store__a_correction__changes_the_call_and_its_own_hour),
        IN_PLACE(test_store__a_correction_to_less__is_taken_from_where_the_cost_stands),
        IN_PLACE(test_store__a_correction_of_an_unknown_call__does_nothing),
        IN_PLACE(test_store__random_rows_in_random_batches__sums_are_those_of_the_rows),
        IN_PLACE(test_store__random_corrections__hours_are_still_those_of_the_rows),
        IN_PLACE(test_store__figures_that_no_sum_can_hold__stay_the_largest),
        IN_PLACE(test_store__a_row_that_fails__takes_the_batch_back_and_the_names_with_it),
        IN_PLACE(test_store__a_file_that_may_not_grow__says_so_and_goes_on_when_it_may),
        IN_PLACE(test_store__a_file_that_is_no_database__is_called_damaged),
        IN_PLACE(test_store__a_file_of_a_newer_version__is_not_touched),
        IN_PLACE(test_store__locked_by_another__says_busy_and_works_later),
        IN_PLACE(test_store__its_files__are_their_owners_alone),
        IN_PLACE(test_store__parts_that_may_not_be_written__are_its_owners_again),
        IN_PLACE(test_store__many_make_it_at_once__all_can_use_it),
        IN_PLACE(test_store__a_fact__is_what_it_was_first),
        IN_PLACE(test_store__more_names_than_are_remembered__keep_their_numbers),
        IN_PLACE(test_store__every_statement__searches_and_never_reads_a_whole_table),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
