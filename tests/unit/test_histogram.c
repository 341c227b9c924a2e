/* histogram: which bucket an observation is in, and what the lines say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "metergate/base/err.h"
#include "metergate/proxy/histogram.h"

static const struct histogram_scale three = {3, {10000, 500000, 2500000}};

static void test_histogram__a_bound__belongs_to_the_bucket_that_it_ends(void **state)
{
    struct histogram h = {0};

    (void)state;
    histogram_add(&h, &three, -5); /* a clock that was set back */
    histogram_add(&h, &three, 0);
    histogram_add(&h, &three, 10000);
    histogram_add(&h, &three, 10001);
    histogram_add(&h, &three, 500000);
    histogram_add(&h, &three, 2500001);
    assert_int_equal(h.count[0], 3);
    assert_int_equal(h.count[1], 2);
    assert_int_equal(h.count[2], 0);
    assert_int_equal(h.count[3], 1);
    assert_int_equal(h.sum, 10000 + 10001 + 500000 + 2500001);
    assert_int_equal(histogram_total(&h, &three), 6);
}

static void test_histogram__written__is_cumulative_and_in_units(void **state)
{
    static const char want[] = "w_seconds_bucket{budget=\"b\",le=\"0.01\"} 1\n"
                               "w_seconds_bucket{budget=\"b\",le=\"0.5\"} 3\n"
                               "w_seconds_bucket{budget=\"b\",le=\"2.5\"} 3\n"
                               "w_seconds_bucket{budget=\"b\",le=\"+Inf\"} 4\n"
                               "w_seconds_sum{budget=\"b\"} 7200.300001\n"
                               "w_seconds_count{budget=\"b\"} 4\n";
    struct histogram h = {0};
    struct buf out;

    (void)state;
    histogram_add(&h, &three, 1);
    histogram_add(&h, &three, 100000);
    histogram_add(&h, &three, 200000);
    histogram_add(&h, &three, INT64_C(7200) * 1000000);
    buf_init(&out, BUF_UNLIMITED);
    histogram_write(&h, &three, "w_seconds", SLICE("budget=\"b\""), &out);
    assert_string_equal(out.p, want);
    buf_release(&out);
}

static void test_histogram__without_labels__has_no_empty_braces(void **state)
{
    static const struct histogram_scale one = {1, {1000000}};
    struct histogram h = {0};
    struct buf out;

    (void)state;
    buf_init(&out, BUF_UNLIMITED);
    histogram_write(&h, &one, "w", slice_of(NULL, 0), &out);
    assert_string_equal(out.p, "w_bucket{le=\"1\"} 0\nw_bucket{le=\"+Inf\"} 0\nw_sum 0\nw_count 0\n");
    buf_release(&out);
}

static void test_histogram__a_sum_that_would_overflow__stays_at_the_most(void **state)
{
    struct histogram h = {0};

    (void)state;
    histogram_add(&h, &three, INT64_MAX);
    histogram_add(&h, &three, 1);
    assert_int_equal(h.sum, INT64_MAX);
    assert_int_equal(histogram_total(&h, &three), 2);
}

static void test_histogram__scales__rise_and_fit(void **state)
{
    static const struct histogram_scale *const scales[] = {&histogram_waits, &histogram_answers, &histogram_calls,
                                                           &histogram_errors};

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(scales); i++) {
        assert_in_range(scales[i]->n, 1, HISTOGRAM_BOUNDS_MAX);
        for (size_t j = 0; j < HISTOGRAM_BOUNDS_MAX; j++) {
            int64_t before = j ? scales[i]->bound[j - 1] : 0;

            if (j < scales[i]->n ? scales[i]->bound[j] <= before : scales[i]->bound[j] != 0)
                fail_msg("scale %zu, bound %zu of %zu", i, j, scales[i]->n);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_histogram__a_bound__belongs_to_the_bucket_that_it_ends),
        cmocka_unit_test(test_histogram__written__is_cumulative_and_in_units),
        cmocka_unit_test(test_histogram__without_labels__has_no_empty_braces),
        cmocka_unit_test(test_histogram__a_sum_that_would_overflow__stays_at_the_most),
        cmocka_unit_test(test_histogram__scales__rise_and_fit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
