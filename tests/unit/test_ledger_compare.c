/* report, compare: a model's sums and spreads are those of its calls, computed here from rows of chance. */
#include "ledger_world.h"

static int compare_int(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return x < y ? -1 : x > y;
}

/* By counting: the smallest value that p of 100 do not pass. */
static struct report_spread spread_of(int64_t *v, int64_t n)
{
    struct report_spread s = {.n = n};
    int64_t sum = 0;

    if (n == 0)
        return s;
    qsort(v, (size_t)n, sizeof *v, compare_int);
    for (int64_t i = n; i-- > 0;) {
        sum += v[i];
        if ((i + 1) * 100 >= n * 50)
            s.p50 = v[i];
        if ((i + 1) * 100 >= n * 95)
            s.p95 = v[i];
    }
    s.mean = (2 * sum + n) / (2 * n);
    s.max = v[n - 1];
    return s;
}

static void expect_model(const struct world *w, const char *model, const struct report_span *span,
                         struct report_model *ret)
{
    static int64_t queued[ROWS], first[ROWS], total[ROWS];
    int64_t n = 0, firsts = 0;

    memset(ret, 0, sizeof *ret);
    for (int i = 0; i < ROWS; i++) {
        const struct ledger_row *r = &w->rows[i];

        if (r->t_us < span->since_us || r->t_us >= span->until_us || strcmp(r->model, model) != 0)
            continue;
        count(&ret->sums, r);
        if (r->outcome != ROW_COMPLETED || r->status >= 400)
            continue;
        queued[n] = r->queued_us / 1000;
        total[n++] = r->total_us / 1000;
        if (r->first_byte_us >= 0)
            first[firsts++] = r->first_byte_us / 1000;
        if (r->source == ROW_NO_USAGE)
            continue;
        ret->sample.used++;
        ret->sample.input += r->usage.input;
        ret->sample.output += r->usage.output;
        ret->sample.priced += r->cost_nano != PRICE_UNKNOWN;
        ret->sample.cost_nano += r->cost_nano != PRICE_UNKNOWN ? r->cost_nano : 0;
    }
    ret->sample.calls = n;
    ret->sample.queued = spread_of(queued, n);
    ret->sample.first_byte = spread_of(first, firsts);
    ret->sample.total = spread_of(total, n);
}

static void test_compare__models_over_any_span__have_their_calls_sums_and_spreads(void **state)
{
    struct world *w = world_new(11);
    struct report_model got, want;
    struct report_span span;
    struct errbuf e;

    (void)state;
    for (int i = 0; i < 100; i++) {
        const char *model = models[i % (int)MG_ARRAY_LEN(models)];
        struct report *r = open_report(&w->file);

        random_span(w, &span);
        memset(&got, 0x55, sizeof got);
        assert_int_equal(report_compare(r, slice_str(model), &span, &got, &e), DB_OK);
        expect_model(w, model, &span, &want);
        if (!sums_equal(&got.sums, &want.sums) || memcmp(&got.sample, &want.sample, sizeof got.sample) != 0)
            fail_msg("%s, %lld to %lld: %lld calls, not %lld, %lld sampled, not %lld", model,
                     (long long)(span.since_us - T0), (long long)(span.until_us - T0),
                     (long long)got.sums.calls, (long long)want.sums.calls, (long long)got.sample.calls,
                     (long long)want.sample.calls);
        report_close(r);
    }
    world_free(w);
}

static void test_compare__a_model_that_never_was__is_zeros(void **state)
{
    struct world *w = world_new(12);
    struct report_model got, zeros = {0};
    struct report *r = open_report(&w->file);
    struct errbuf e;

    (void)state;
    memset(&got, 0x55, sizeof got);
    assert_int_equal(report_compare(r, SLICE("gpt-9"), &(struct report_span){0, INT64_MAX}, &got, &e), DB_OK);
    assert_memory_equal(&got, &zeros, sizeof got);
    report_close(r);
    world_free(w);
}

/* 12,000 calls over three hours, each waits as many ms as its number: the sample is the latest 10,000. */
static void test_compare__many_calls__the_latest_are_sampled_and_all_are_summed(void **state)
{
    struct ledger_file f;
    struct report_model got;
    struct errbuf e;
    struct report *r;

    (void)state;
    ledger_file_begin(&f);
    ledger_file_run(&f, "INSERT INTO names VALUES (1, 'm'); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL "
                        "SELECT i + 1 FROM n WHERE i < 12000)"
                        " INSERT INTO calls SELECT i, 495000 * 3600000000 + i * 900000, 1,1,1,1,1,1, "
                        "0,200,NULL, 1,0,0, 1,0,0,0,1,0,0,1,"
                        " 3,NULL, i,i,i FROM n");
    ledger_file_sum(&f);
    r = open_report(&f);
    assert_int_equal(report_compare(r, SLICE("m"), &(struct report_span){0, INT64_MAX}, &got, &e), DB_OK);
    assert_int_equal(got.sums.calls, 12000);
    assert_int_equal(got.sample.calls, REPORT_SAMPLE);
    assert_int_equal(got.sample.cost_nano, 3 * REPORT_SAMPLE);
    assert_int_equal(got.sample.total.p50, 7000);
    assert_int_equal(got.sample.total.p95, 11500);
    assert_int_equal(got.sample.total.max, 12000);
    assert_int_equal(got.sample.total.mean, 7001); /* 7000.5 */
    report_close(r);
    ledger_file_end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_compare__models_over_any_span__have_their_calls_sums_and_spreads),
        cmocka_unit_test(test_compare__a_model_that_never_was__is_zeros),
        cmocka_unit_test(test_compare__many_calls__the_latest_are_sampled_and_all_are_summed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
