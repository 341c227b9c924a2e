/* report, calls: the latest first, page by page without a gap, and one as it was written. */
#include "ledger_file.h"

#include "metergate/base/prng.h"
#include "metergate/ledger/ledger.h"
#include "metergate/ledger/report.h"

#define HOUR INT64_C(3600000000)
#define T0   (INT64_C(495000) * HOUR)
#define ROWS 1200

/* ---- many ---- */

struct world {
    struct ledger_file file;
    struct ledger_row rows[ROWS];
};

/* Several of one moment, some at the very end of an hour, some models seldom. */
static struct world *world_new(void)
{
    static const char *const models[] = {"gpt-4o", "gpt-4o", "gpt-4o", "gpt-4o-mini", "seldom"};
    struct world *w = calloc(1, sizeof *w);
    struct prng random = {5};

    ledger_file_begin(&w->file);
    for (int i = 0; i < ROWS; i++) {
        struct ledger_row *r = &w->rows[i];
        int64_t hour = prng_below(&random, 40);

        r->id = row_id(3, (uint64_t)i + 1);
        r->t_us = T0 + hour * HOUR + prng_below(&random, 40) * (HOUR / 40);
        if (i % 10 == 0)
            r->t_us = T0 + hour * HOUR + HOUR - 1;
        snprintf(r->model, sizeof r->model, "%s", models[prng_below(&random, hour % 7 == 3 ? 5 : 4)]);
        snprintf(r->client, sizeof r->client, "c%d", (int)prng_below(&random, 3));
    }
    ledger_file_add(&w->file, w->rows, ROWS);
    ledger_file_sum(&w->file);
    return w;
}

static void world_free(struct world *w)
{
    ledger_file_end(&w->file);
    free(w);
}

struct list {
    int64_t n, id[ROWS], t_us[ROWS];
};

static void take(void *arg, const struct ledger_row *row)
{
    struct list *l = arg;

    assert_true(l->n < ROWS);
    assert_int_equal(row->hold_count, 0);
    l->t_us[l->n] = row->t_us;
    l->id[l->n++] = row->id;
}

/* Adds to the list. */
static void ask(const struct ledger_file *f, const struct report_filter *filter, struct list *l)
{
    struct report *r = NULL;
    struct errbuf e = {""};

    if (report_open(f->dir, &r, &e) != DB_OK || report_calls(r, filter, take, l, &e) != DB_OK)
        fail_msg("%s", e.text);
    report_close(r);
}

/* The rows that are meant, latest first. */
static int64_t expect(const struct world *w, const struct report_filter *f, int64_t ids[ROWS])
{
    bool used[ROWS] = {false};
    int64_t n = 0;

    while (n < f->limit) {
        int best = -1;

        for (int i = 0; i < ROWS; i++) {
            const struct ledger_row *r = &w->rows[i], *b = best < 0 ? NULL : &w->rows[best];

            if (used[i] || (f->model.n && !slice_eq(f->model, slice_str(r->model))) ||
                (f->client.n && !slice_eq(f->client, slice_str(r->client))) ||
                (f->before_us && r->t_us >= f->before_us))
                continue;
            if (!b || r->t_us > b->t_us || (r->t_us == b->t_us && r->id > b->id))
                best = i;
        }
        if (best < 0)
            break;
        used[best] = true;
        ids[n++] = w->rows[best].id;
    }
    return n;
}

static void test_calls__any_filter__gives_the_latest_that_it_means(void **state)
{
    static const struct report_filter filters[] = {
        {.limit = 1},
        {.limit = 500},
        {.limit = ROWS},
        {.limit = 300, .model = {"seldom", 6}},
        {.limit = 7, .model = {"gpt-4o-mini", 11}},
        {.limit = ROWS, .client = {"c1", 2}},
        {.limit = 20, .client = {"c2", 2}, .model = {"seldom", 6}},
        {.limit = 50, .before_us = T0 + 17 * HOUR},
        {.limit = 50, .before_us = T0 + 17 * HOUR + HOUR / 40},
        {.limit = ROWS, .model = {"gpt-4o", 6}, .before_us = T0 + 17 * HOUR + HOUR / 2},
        {.limit = 9, .client = {"c0", 2}, .before_us = T0 + 1},
        {.limit = 9, .before_us = 1},
        {.limit = 9, .model = {"gpt-9", 5}},
        {.limit = 9, .client = {"nobody", 6}, .model = {"gpt-4o", 6}},
    };
    static int64_t ids[ROWS];
    struct world *w = world_new();

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(filters); i++) {
        static struct list got;
        int64_t n = expect(w, &filters[i], ids);

        got.n = 0;
        ask(&w->file, &filters[i], &got);
        if (got.n != n || memcmp(got.id, ids, (size_t)n * sizeof ids[0]) != 0)
            fail_msg("filter %zu: %d rows, not %d", i, (int)got.n, (int)n);
    }
    world_free(w);
}

static void test_calls__page_by_page__gives_each_once_though_many_are_of_one_moment(void **state)
{
    static const struct slice models[] = {{"", 0}, {"gpt-4o", 6}};
    static int64_t ids[ROWS];
    struct world *w = world_new();

    (void)state;
    for (size_t m = 0; m < 2; m++) {
        struct report_filter f = {.limit = ROWS, .model = models[m]};
        static struct list got;
        int64_t n = expect(w, &f, ids), before;

        got.n = 0;
        f.limit = 7;
        do {
            before = got.n;
            ask(&w->file, &f, &got);
            f.before_us = got.t_us[got.n - 1];
            f.before_id = got.id[got.n - 1];
        } while (got.n > before);
        assert_int_equal(got.n, n);
        assert_memory_equal(got.id, ids, (size_t)n * sizeof ids[0]);
    }
    world_free(w);
}

/* ---- one ---- */

static const struct ledger_row whole = {
    .id = INT64_C(0x7123456789abcdef),
    .t_us = T0 + 123456,
    .client = "nightly",
    .upstream = "openai",
    .budget = "gpt-4o",
    .account = "k-3f9a02bc",
    .model = "gpt-4o-2024-08-06",
    .endpoint = "chat",
    .outcome = ROW_CANCELLED,
    .status = 429,
    .reason = "max-wait",
    .attempts = 3,
    .estimated_input = 1,
    .estimated_output = 2,
    .usage = {.input = 30,
              .cached = 4,
              .cache_write = 5,
              .cache_write_1h = 6,
              .output = 7,
              .reasoning = 8,
              .tier = TIER_BATCH},
    .source = ROW_COUNTED,
    .cost_nano = 1234567,
    .price = {.name = "gpt-4o", .since = 20240806, .rates = {{2500000, 1250000, PRICE_UNKNOWN, 9, 10000000}}},
    .queued_us = 5230000,
    .total_us = 7000000,
    .first_byte_us = 6000000,
    .hold_count = 2,
    .hold = {{.what = "tpm", .whose = ROW_OF_BUDGET, .from_us = 0, .to_us = 5000000},
             {.what = "queue", .whose = ROW_OF_NOBODY, .from_us = 5000000, .to_us = 5230000}},
};

static struct ledger_row read_one(const struct ledger_file *f, int64_t id, bool *ret_found)
{
    struct ledger_row row = {0};
    struct report *r = NULL;
    struct errbuf e = {""};

    if (report_open(f->dir, &r, &e) != DB_OK || report_call(r, id, &row, ret_found, &e) != DB_OK)
        fail_msg("%s", e.text);
    report_close(r);
    return row;
}

static void test_call__one_that_was_written__is_the_same_row(void **state)
{
    struct ledger_row got;
    struct ledger_file f;
    bool found = false;

    (void)state;
    ledger_file_begin(&f);
    ledger_file_add(&f, &whole, 1);
    got = read_one(&f, whole.id, &found);
    assert_true(found);
    assert_memory_equal(&got, &whole, offsetof(struct ledger_row, hold));
    assert_int_equal(got.hold_count, 2);
    assert_memory_equal(got.hold, whole.hold, sizeof got.hold);
    (void)read_one(&f, whole.id - 1, &found);
    assert_false(found);
    ledger_file_end(&f);
}

static void test_call__one_that_the_ledger_wrote__is_the_same_row(void **state)
{
    struct ledger_row got, *row;
    struct ledger_file f;
    struct ledger *l;
    bool found = false;

    (void)state;
    ledger_file_begin_empty(&f);
    l = ledger_open(f.dir, INT64_MAX / 4);
    row = ledger_take(l);
    assert_non_null(row);
    *row = whole;
    ledger_end(l, row);
    assert_true(ledger_flush(l, 20000));
    got = read_one(&f, whole.id, &found);
    assert_true(found);
    assert_memory_equal(&got, &whole, offsetof(struct ledger_row, hold));
    assert_memory_equal(got.hold, whole.hold, sizeof got.hold);
    ledger_close(l);
    ledger_file_end(&f);
}

static void test_call__one_with_little_known__says_so(void **state)
{
    const struct ledger_row little = {.id = 7, .t_us = T0, .cost_nano = PRICE_UNKNOWN, .first_byte_us = -1};
    struct ledger_row got;
    struct ledger_file f;
    bool found = false;

    (void)state;
    ledger_file_begin(&f);
    ledger_file_add(&f, &little, 1);
    got = read_one(&f, 7, &found);
    assert_true(found);
    assert_int_equal(got.cost_nano, PRICE_UNKNOWN);
    assert_int_equal(got.first_byte_us, -1);
    assert_string_equal(got.price.name, "");
    assert_int_equal(got.price.rates.pico[RATE_OUTPUT], PRICE_UNKNOWN);
    assert_string_equal(got.reason, "");
    assert_string_equal(got.account, "");
    assert_int_equal(got.hold_count, 0);
    ledger_file_end(&f);
}

/* Somebody else may have written into the file: nothing that is asked of the row may then break the daemon.
 */
static void test_call__nonsense_in_the_file__is_read_as_nothing_known(void **state)
{
    struct ledger_row got;
    struct ledger_file f;
    bool found = false;

    (void)state;
    ledger_file_begin(&f);
    ledger_file_add(&f, &whole, 1);
    ledger_file_run(&f, "UPDATE calls SET outcome = 77, source = -3, tier = 99, status = 5000000000, "
                        "attempts = -1, model = 999,"
                        " total_ms = 9223372036854775807, queued_ms = -9, price = 999;"
                        "UPDATE holds SET whose = 12, to_ms = 9223372036854775807;"
                        "UPDATE names SET text = printf('%.*c', 5000, 'n') WHERE text = 'nightly';"
                        "WITH RECURSIVE n(i) AS (SELECT 10 UNION ALL SELECT i + 1 FROM n WHERE i < 40)"
                        " INSERT INTO holds SELECT call, i, what, 0, 0, 0 FROM holds, n WHERE holds.n = 0");
    got = read_one(&f, whole.id, &found);
    assert_true(found);
    assert_int_equal(got.outcome, ROW_FAILED);
    assert_int_equal(got.source, ROW_NO_USAGE);
    assert_int_equal(got.usage.tier, TIER_STANDARD);
    assert_int_equal(got.status, 0);
    assert_int_equal(got.attempts, 0);
    assert_string_equal(got.model, "");
    assert_int_equal(strlen(got.client), sizeof got.client - 1);
    assert_true(got.total_us > 0);
    assert_int_equal(got.queued_us, 0);
    assert_string_equal(got.price.name, "");
    assert_int_equal(got.hold_count, ROW_HOLDS_MAX);
    assert_int_equal(got.hold[0].whose, ROW_OF_NOBODY);
    ledger_file_end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_call__one_that_was_written__is_the_same_row),
        cmocka_unit_test(test_call__one_that_the_ledger_wrote__is_the_same_row),
        cmocka_unit_test(test_call__one_with_little_known__says_so),
        cmocka_unit_test(test_call__nonsense_in_the_file__is_read_as_nothing_known),
        cmocka_unit_test(test_calls__any_filter__gives_the_latest_that_it_means),
        cmocka_unit_test(test_calls__page_by_page__gives_each_once_though_many_are_of_one_moment),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
