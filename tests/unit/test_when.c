/* when: what people may write for a moment, and how one is shown. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>

#include "metergate/base/when.h"

#define S   INT64_C(1000000)
#define NOW (INT64_C(1795903200) * S + 123456) /* 2026-11-28T22:00:00.123456Z */

static void test_when_read__good_texts__are_that_moment(void **state)
{
    static const struct {
        const char *text;
        int64_t us;
    } rows[] = {
        {"0s", NOW},
        {"15m", NOW - 900 * S},
        {"24h", NOW - WHEN_DAY_US},
        {"1h30m", NOW - 5400 * S},
        {"30d", NOW - 30 * WHEN_DAY_US},
        {"4w", NOW - 28 * WHEN_DAY_US},
        {" 250ms ", NOW - 250000},
        {"1970-01-01", 0},
        {"2026-11-28", INT64_C(1795824000) * S},
        {"2024-02-29", INT64_C(1709164800) * S},
        {"2026-11-28T22:00:00Z", INT64_C(1795903200) * S},
        {"2026-11-28t22:00:00z", INT64_C(1795903200) * S},
        {"2026-11-28 22:00:00Z", INT64_C(1795903200) * S},
        {"2026-11-28T22:00Z", INT64_C(1795903200) * S},
        {"2026-11-28T22:00:00.5Z", INT64_C(1795903200) * S + 500000},
        {"2026-11-28T22:00:00.123456789Z", NOW},
        {"2026-11-29T00:30:00+02:30", INT64_C(1795903200) * S},
        {"2026-11-28T14:00:00-08:00", INT64_C(1795903200) * S},
        {"2026-11-28T21:59:60Z", INT64_C(1795903200) * S},
        {"1969-12-31T23:00:00-01:00", 0},
        {"9999-12-31T23:59:59.999999Z", INT64_C(253402300799) * S + 999999},
    };

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++) {
        struct errbuf e = {""};
        int64_t us = -1;

        if (when_read(slice_str(rows[i].text), NOW, &us, &e) != 0 || us != rows[i].us)
            fail_msg("%s: %lld, not %lld: %s", rows[i].text, (long long)us, (long long)rows[i].us, e.text);
    }
}

static void test_when_read__bad_texts__are_refused_in_words_that_quote_them(void **state)
{
    static const char *const rows[] = {
        "",
        " ",
        "yesterday",
        "2026",
        "24",
        "0",
        "-1h",
        "1y",
        "1.5w",
        "w",
        "99999999999w",
        "9223372036854775807w",
        "101d101d101",
        "36526d",
        "200y",
        "2026-13-01",
        "2026-00-10",
        "2026-02-29",
        "2026-04-31",
        "2026-11-00",
        "2026-11-32",
        "2026-1-01",
        "26-11-01",
        "2026-11-01T",
        "2026-11-01T10",
        "2026-11-01T10:00",
        "2026-11-01T10:00:00",
        "2026-11-01T24:00:00Z",
        "2026-11-01T10:60:00Z",
        "2026-11-01T10:00:61Z",
        "2026-11-01T10:00:00.Z",
        "2026-11-01T10:00:00ZZ",
        "2026-11-01Z",
        "2026-11-01T10:00:00+24:00",
        "2026-11-01T10:00:00+0200",
        "2026-11-01T10:00:00+02:60",
        "+026-11-01",
        "2026-11- 1",
        "1969-12-31",
        "1970-01-01T00:00:00+00:01",
        "9999-12-31T23:59:59-00:01",
        "0000-00-00",
        "0000-01-01",
    };

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++) {
        struct errbuf e = {""};
        int64_t us = 7;

        if (when_read(slice_str(rows[i]), NOW, &us, &e) != -EINVAL || us != 7 ||
            !strstr(e.text, "2026-11-01T14:00:00Z"))
            fail_msg("%s: %lld: %s", rows[i], (long long)us, e.text);
    }
}

static void test_when_read__longer_ago_than_1970__is_said_so(void **state)
{
    struct errbuf e;
    int64_t us = 7;

    (void)state;
    assert_int_equal(when_read(SLICE("60w"), 3600 * S, &us, &e), -EINVAL);
    assert_string_equal(e.text, "\"60w\" ago is before 1970");
    assert_int_equal(us, 7);
}

static void test_when_text__moments__are_rfc_3339_in_utc(void **state)
{
    char text[WHEN_SIZE];

    (void)state;
    when_text(NOW, text);
    assert_string_equal(text, "2026-11-28T22:00:00.123Z");
    when_text(NOW + 999 * S - 1, text); /* cut, not rounded */
    assert_string_equal(text, "2026-11-28T22:16:39.123Z");
    when_hour_text(NOW + 3599 * S, text);
    assert_string_equal(text, "2026-11-28T22:00Z");
    when_day_text(NOW + 3599 * S, text);
    assert_string_equal(text, "2026-11-28");
    when_text(0, text);
    assert_string_equal(text, "1970-01-01T00:00:00.000Z");
}

static void test_when_text__moments_of_no_year__are_shown_as_the_nearest_one(void **state)
{
    char text[WHEN_SIZE];

    (void)state;
    when_text(-1, text);
    assert_string_equal(text, "1970-01-01T00:00:00.000Z");
    when_text(INT64_MAX, text);
    assert_string_equal(text, "9999-12-31T23:59:59.999Z");
    when_day_text(INT64_MIN, text);
    assert_string_equal(text, "1970-01-01");
    when_hour_text(INT64_MAX, text);
    assert_string_equal(text, "9999-12-31T23:00Z");
}

static void test_when__what_is_shown__can_be_read_again(void **state)
{
    char text[WHEN_SIZE];
    struct errbuf e;
    int64_t us;

    (void)state;
    for (int64_t t = 0; t < INT64_C(253402300800) * S; t += INT64_C(1234567) * 1000 * S) {
        when_text(t, text);
        assert_int_equal(when_read(slice_str(text), NOW, &us, &e), 0);
        assert_int_equal(us, t);
        when_hour_text(t, text);
        assert_int_equal(when_read(slice_str(text), NOW, &us, &e), 0);
        assert_int_equal(us, t - t % WHEN_HOUR_US);
        when_day_text(t, text);
        assert_int_equal(when_read(slice_str(text), NOW, &us, &e), 0);
        assert_int_equal(us, t - t % WHEN_DAY_US);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_when_read__good_texts__are_that_moment),
        cmocka_unit_test(test_when_read__bad_texts__are_refused_in_words_that_quote_them),
        cmocka_unit_test(test_when_read__longer_ago_than_1970__is_said_so),
        cmocka_unit_test(test_when_text__moments__are_rfc_3339_in_utc),
        cmocka_unit_test(test_when_text__moments_of_no_year__are_shown_as_the_nearest_one),
        cmocka_unit_test(test_when__what_is_shown__can_be_read_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
