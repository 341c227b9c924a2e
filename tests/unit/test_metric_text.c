/* metric_text: numbers without floating point, labels that nobody can break out of, tables that are written by columns. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "metergate/base/err.h"
#include "metergate/proxy/metric_text.h"

static void test_number__parts_of_a_unit__are_exact_decimals(void **state)
{
    static const struct {
        int64_t value;
        enum metric_part part;
        const char *want;
    } rows[] = {
        {0, METRIC_ONE, "0"},
        {-7, METRIC_ONE, "-7"},
        {100, METRIC_ONE, "100"},
        {0, METRIC_MICRO, "0"},
        {1, METRIC_MICRO, "0.000001"},
        {1500000, METRIC_MICRO, "1.5"},
        {100000000, METRIC_MICRO, "100"},
        {-250, METRIC_MYRIO, "-0.025"},
        {10000, METRIC_MYRIO, "1"},
        {4032500, METRIC_NANO, "0.0040325"},
        {INT64_MAX, METRIC_MICRO, "9223372036854.775807"},
        {-INT64_MAX, METRIC_NANO, "-9223372036.854775807"},
    };
    char text[METRIC_NUMBER_MAX];

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++)
        assert_string_equal(metric_number(rows[i].value, rows[i].part, text), rows[i].want);
}

static void test_label__whatever_is_in_it__stays_in_its_quotes(void **state)
{
    static const struct {
        struct slice value;
        const char *want;
    } rows[] = {
        {{"gpt-4o", 6}, "m=\"gpt-4o\""},
        {{"a\"b\\c\nd", 7}, "m=\"a\\\"b\\\\c\\nd\""},
        {{"\xc3\xa9\xff!\xe2\x82", 6}, "m=\"\xc3\xa9\xef\xbf\xbd!\xef\xbf\xbd\xef\xbf\xbd\""},
        {{"", 0}, "m=\"\""},
    };
    struct buf out;

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++) {
        buf_init(&out, BUF_UNLIMITED);
        metric_label(&out, "m", rows[i].value);
        assert_string_equal(out.p, rows[i].want);
        buf_release(&out);
    }
}

static void test_table__of_two_families__has_each_family_together(void **state)
{
    static const struct metric_family families[] = {
        {"a_total", "counter", "First.", METRIC_ONE},
        {"b_seconds", "gauge", "Second.", METRIC_MICRO},
    };
    static const char want[] = "# HELP a_total First.\n# TYPE a_total counter\na_total{x=\"1\"} 5\na_total{x=\"20\"} 1\n"
                               "# HELP b_seconds Second.\n# TYPE b_seconds gauge\nb_seconds{x=\"1\"} 0.5\nb_seconds{x=\"3\"} NaN\n";
    struct metric_table t;
    struct buf out;
    int64_t *row;

    (void)state;
    buf_init(&out, BUF_UNLIMITED);
    metric_table_init(&t, families, 2);
    row = metric_table_row(&t, SLICE("x=\"1\""));
    row[0] = 5;
    row[1] = 500000;
    metric_table_row(&t, SLICE("x=\"20\""))[0] = 1;
    metric_table_row(&t, SLICE("x=\"3\""))[1] = METRIC_UNKNOWN;
    metric_table_write(&t, &out);
    assert_string_equal(out.p, want);
    buf_release(&out);
}

static void test_table__of_many_rows__keeps_them_all(void **state)
{
    static const struct metric_family families[] = {{"a", "gauge", "A.", METRIC_ONE}, {"b", "gauge", "B.", METRIC_ONE}};
    struct metric_table t;
    struct buf out;
    char text[32];

    (void)state;
    buf_init(&out, BUF_UNLIMITED);
    metric_table_init(&t, families, 2);
    for (int i = 0; i < 1000; i++) {
        int64_t *row;

        snprintf(text, sizeof text, "i=\"%d\"", i);
        row = metric_table_row(&t, slice_str(text));
        row[0] = i;
        row[1] = -i;
    }
    metric_table_write(&t, &out);
    for (int i = 0; i < 1000; i++) {
        snprintf(text, sizeof text, "\na{i=\"%d\"} %d\n", i, i);
        assert_non_null(strstr(out.p, text));
        snprintf(text, sizeof text, "\nb{i=\"%d\"} %d\n", i, -i);
        assert_non_null(strstr(out.p, text));
    }
    buf_release(&out);
}

static void test_table__without_rows__still_says_what_there_could_be(void **state)
{
    static const struct metric_family families[] = {{"a", "gauge", "A.", METRIC_ONE}};
    struct metric_table t;
    struct buf out;

    (void)state;
    buf_init(&out, BUF_UNLIMITED);
    metric_table_init(&t, families, 1);
    metric_table_write(&t, &out);
    assert_string_equal(out.p, "# HELP a A.\n# TYPE a gauge\n");
    buf_release(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_number__parts_of_a_unit__are_exact_decimals),
        cmocka_unit_test(test_label__whatever_is_in_it__stays_in_its_quotes),
        cmocka_unit_test(test_table__of_two_families__has_each_family_together),
        cmocka_unit_test(test_table__of_many_rows__keeps_them_all),
        cmocka_unit_test(test_table__without_rows__still_says_what_there_could_be),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
