/* query, inquiry: what the targets of reports may say, and in which words they are refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>

#include "metergate/base/when.h"
#include "metergate/proxy/inquiry.h"
#include "metergate/proxy/query.h"

#define NOW (INT64_C(1795903200) * 1000000) /* 2026-11-28T22:00:00Z */

/* ---- query ---- */

static void test_query__pairs__are_decoded_one_by_one(void **state)
{
    static const char *const want[][2] = {
        {"a", "1"},           {"b", ""}, {"c", ""},
        {"d&e", "x=y%"},      {"", "v"}, {"plus", "2026-11-01T00:00:00+02:00"},
        {"u", "caf\xc3\xa9"},
    };
    struct slice rest = SLICE("a=1&&b&c=&d%26e=x=y%25&=v&plus=2026-11-01T00:00:00+02:00&u=caf%C3%a9&");
    struct query_pair q;
    struct errbuf e;

    (void)state;
    query_pair_init(&q);
    for (size_t i = 0; i < MG_ARRAY_LEN(want); i++) {
        assert_int_equal(query_next(&rest, &q, &e), 1);
        assert_true(slice_eq(buf_slice(&q.name), slice_str(want[i][0])));
        assert_true(slice_eq(buf_slice(&q.value), slice_str(want[i][1])));
    }
    assert_int_equal(query_next(&rest, &q, &e), 0);
    assert_int_equal(query_next(&rest, &q, &e), 0);
    query_pair_release(&q);
}

static void test_query__what_is_no_text__is_refused_by_its_name(void **state)
{
    static const char *const rows[] = {"x=%",   "x=%4",  "x=%4g", "x=%00",      "x=a%0Ab",
                                       "x=%7f", "x=%ff", "x=%c3", "x=%ed%a0%80"};
    struct query_pair q;

    (void)state;
    query_pair_init(&q);
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++) {
        struct slice rest = slice_str(rows[i]);
        struct errbuf e = {""};

        if (query_next(&rest, &q, &e) != -EINVAL || strncmp(e.text, "x: ", 3) != 0)
            fail_msg("%s: %s", rows[i], e.text);
    }
    query_pair_release(&q);
}

/* ---- inquiry ---- */

static struct inquiry ask(const char *path, const char *query)
{
    struct inquiry q;
    struct errbuf e = {""};

    if (inquiry_read(slice_str(path), slice_str(query), NOW, &q, &e) != 0)
        fail_msg("%s?%s: %s", path, query, e.text);
    return q;
}

static void test_inquiry__usage__reads_span_and_key(void **state)
{
    struct inquiry q = ask("/-/usage", "");

    (void)state;
    assert_int_equal(q.kind, INQUIRY_USAGE);
    assert_int_equal(q.by, REPORT_BY_MODEL);
    assert_int_equal(q.span.since_us, NOW - WHEN_DAY_US);
    assert_int_equal(q.span.until_us, INT64_MAX);
    assert_int_equal(q.shown_until_us, NOW);
    q = ask("/-/usage", "by=day&since=30d&until=2026-11-01");
    assert_int_equal(q.by, REPORT_BY_DAY);
    assert_int_equal(q.span.since_us, NOW - 30 * WHEN_DAY_US);
    assert_int_equal(q.span.until_us, NOW - 27 * WHEN_DAY_US - 22 * WHEN_HOUR_US);
    assert_int_equal(q.shown_until_us, q.span.until_us);
    q = ask("/-/usage", "until=2w&by=&since="); /* empty: not given; a span ends where it is told to */
    assert_int_equal(q.by, REPORT_BY_MODEL);
    assert_int_equal(q.span.until_us, NOW - 14 * WHEN_DAY_US);
    assert_int_equal(q.span.since_us, NOW - 15 * WHEN_DAY_US);
    q = ask("/-/usage", "since=2026-11-28T23:00:00%2b02:00");
    assert_int_equal(q.span.since_us, NOW - WHEN_HOUR_US);
}

static void test_inquiry__calls__reads_its_filters(void **state)
{
    struct inquiry q = ask("/-/calls", "");

    (void)state;
    assert_int_equal(q.kind, INQUIRY_CALLS);
    assert_int_equal(q.limit, 100);
    assert_int_equal(q.before_us, 0);
    assert_int_equal(q.before_id, 0);
    assert_string_equal(q.client, "");
    assert_string_equal(q.model[0], "");
    q = ask("/-/calls", "limit=10000&client=nightly&model=ft%3Agpt-4o&before=1h");
    assert_int_equal(q.limit, 10000);
    assert_string_equal(q.client, "nightly");
    assert_string_equal(q.model[0], "ft:gpt-4o");
    assert_int_equal(q.before_us, NOW - WHEN_HOUR_US);
    q = ask("/-/calls", "before=mg-000000a-17");
    assert_int_equal(q.before_id, row_id(10, 17));
    q = ask("/-/calls", "before=1970-01-01");
    assert_int_equal(q.before_us, 1); /* none, rather than any */
    q = ask("/-/calls/now", "limit=5&client=nightly&model=gpt-4o");
    assert_int_equal(q.kind, INQUIRY_NOW);
    assert_int_equal(q.limit, 5);
    assert_string_equal(q.client, "nightly");
    assert_string_equal(q.model[0], "gpt-4o");
    q = ask("/-/calls/mg-000000a-17", "");
    assert_int_equal(q.kind, INQUIRY_CALL);
    assert_int_equal(q.id, row_id(10, 17));
}

static void test_inquiry__compare__reads_its_models_in_order(void **state)
{
    struct inquiry q = ask("/-/compare", "model=gpt-4o&model=&model=gpt-3.5-turbo");

    (void)state;
    assert_int_equal(q.kind, INQUIRY_COMPARE);
    assert_int_equal(q.model_count, 2);
    assert_string_equal(q.model[0], "gpt-4o");
    assert_string_equal(q.model[1], "gpt-3.5-turbo");
    assert_int_equal(q.span.since_us, NOW - 30 * WHEN_DAY_US);
    q = ask("/-/compare",
            "model=0&model=1&model=2&model=3&model=4&model=5&model=6&model=7&model=8&model=9&since=1h");
    assert_int_equal(q.model_count, 10);
    assert_string_equal(q.model[9], "9");
}

#define NAME_64  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define NAME_256 NAME_64 NAME_64 NAME_64 NAME_64

static void test_inquiry__bad_ones__are_refused_in_words(void **state)
{
    static const struct {
        const char *path, *query, *words;
    } rows[] = {
        {"/-/usage", "by=month",
         "by: \"month\" is not model, client, budget, upstream, endpoint, day or hour"},
        {"/-/usage", "since=yesterday", "since: \"yesterday\" is not a duration back from now"},
        {"/-/usage", "until=2026-02-30", "until: \"2026-02-30\" is not"},
        {"/-/usage", "since=1h&until=2h",
         "since (2026-11-28T21:00:00.000Z) is not before until (2026-11-28T20:00:00.000Z)"},
        {"/-/usage", "since=0s", "is not before until"},
        {"/-/usage", "since=2030-01-01", "is not before until"},
        {"/-/usage", "by=hour&since=10000h", "by: hour takes a span of less than 10000 hours"},
        {"/-/usage", "since=1h&since=2h", "since stands there twice"},
        {"/-/usage", "limit=5", "\"limit\" is no parameter of this address, which takes by, since, until"},
        {"/-/usage", "=5", "\"\" is no parameter"},
        {"/-/usage", "by=%zz", "by: a broken %-escape"},
        {"/-/calls", "limit=0", "limit: \"0\" is not a number from 1 to 10000"},
        {"/-/calls", "limit=10001", "limit: "},
        {"/-/calls", "limit=-1", "limit: "},
        {"/-/calls", "limit=99999999999999999999", "limit: "},
        {"/-/calls", "since=1h", "which takes limit, client, model, before"},
        {"/-/calls", "model=a&model=b", "model stands there twice"},
        {"/-/calls", "client=" NAME_64 "a", "is longer than 64 bytes"},
        {"/-/calls", "model=" NAME_256 "a", "is longer than 256 bytes"},
        {"/-/calls", "before=mg-1", "before: \"mg-1\" is not a call's id (mg-1a2b3c4-17), a duration"},
        {"/-/calls/", "", "\"\" is not the id of a call"},
        {"/-/calls/17", "", "\"17\" is not the id of a call"},
        {"/-/calls/mg-000000a-17/", "", "is not the id of a call"},
        {"/-/calls/mg-000000a-17", "limit=5", "which takes none"},
        {"/-/compare", "", "model: a comparison takes 2 to 10 of them"},
        {"/-/compare", "model=a&since=1h", "model: a comparison takes 2 to 10"},
        {"/-/compare",
         "model=0&model=1&model=2&model=3&model=4&model=5&model=6&model=7&model=8&model=9&model=10",
         "model: there are more than 10"},
        {"/-/compare", "model=a&model=b&by=day",
         "\"by\" is no parameter of this address, which takes since, until, model"},
    };

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++) {
        struct errbuf e = {""};
        struct inquiry q;

        if (inquiry_read(slice_str(rows[i].path), slice_str(rows[i].query), NOW, &q, &e) != -EINVAL ||
            !strstr(e.text, rows[i].words))
            fail_msg("%s?%s: %s", rows[i].path, rows[i].query, e.text);
    }
}

static void test_inquiry__the_largest_that_are_taken__are_taken(void **state)
{
    (void)state;
    (void)ask("/-/usage", "by=hour&since=9999h");
    (void)ask("/-/usage", "by=day&since=20000d");
    (void)ask("/-/calls", "client=" NAME_64 "&model=" NAME_256);
}

static void test_inquiry__other_paths__are_not_its_own(void **state)
{
    static const char *const rows[] = {"/",         "/-/usages",    "/-/usage/", "/-/call",
                                       "/-/callsx", "/-/compare/x", "/usage",    "/-/status"};
    struct inquiry q;

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++)
        assert_int_equal(inquiry_read(slice_str(rows[i]), SLICE("x=%"), NOW, &q, NULL), -ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_query__pairs__are_decoded_one_by_one),
        cmocka_unit_test(test_query__what_is_no_text__is_refused_by_its_name),
        cmocka_unit_test(test_inquiry__usage__reads_span_and_key),
        cmocka_unit_test(test_inquiry__calls__reads_its_filters),
        cmocka_unit_test(test_inquiry__compare__reads_its_models_in_order),
        cmocka_unit_test(test_inquiry__bad_ones__are_refused_in_words),
        cmocka_unit_test(test_inquiry__the_largest_that_are_taken__are_taken),
        cmocka_unit_test(test_inquiry__other_paths__are_not_its_own),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
