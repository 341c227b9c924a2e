/* scan: what is JSON and what is not, spans, strings and integers. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "metergate/base/scan.h"
#include "metergate/base/scan_text.h"

/* The text in memory of exactly its size, so that ASan sees a read past its end. */
static int verdict_on(struct slice text)
{
    char *copy = malloc(text.n ? text.n : 1);
    struct scan s;
    int rc;

    assert_non_null(copy);
    memcpy(copy, text.p, text.n);
    scan_init(&s, slice_of(copy, text.n));
    scan_value(&s);
    rc = scan_end(&s);
    assert_int_equal(rc == 0, s.error == NULL);
    assert_true(s.at <= text.n);
    free(copy);
    return rc;
}

static const char *const good[] = {
    "0",
    "-0",
    "1",
    "-1",
    "10",
    "0.5",
    "-0.5",
    "1e5",
    "1E5",
    "1e+5",
    "1e-5",
    "1.25e-10",
    "123456789012345678901234567890",
    "true",
    "false",
    "null",
    "\"\"",
    "\"a\"",
    " \t\r\n1 \t\r\n",
    "[]",
    "[ ]",
    "{}",
    "{ }",
    "[1]",
    "[1,2]",
    "[ 1 , 2 ]",
    "[[],[[]],{}]",
    "{\"a\":1}",
    "{\"a\":1,\"b\":2}",
    "{ \"a\" : { \"b\" : [ 1 , { } ] } }",
    "{\"\":0}",
    "{\"a\":1,\"a\":2}",
    "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"",
    "\"\\u0000\"",
    "\"\\uD834\\uDd1e\"",
    "\"\\uD800\"",
    "\"\\uDEAD\"",
    "\"\\uD800\\u0041\"",
    "\"\x7f\"",
    "\"\xC3\xA9\"",
    "\"\xE2\x82\xAC\"",
    "\"\xF0\x9D\x84\x9E\"",
    "\"\xFF\"",
    "\"\xC0\xAF\"",
    "[\"a longer string than eight bytes\",\"another one, with an escape \\u0041 in it\"]",
    "[true,false,null,-1.5e3,\"x\"]",
    "[\n1\n]",
    "\"[{\"",
    "[0e0]",
    "[0e+1]",
    "[-0.0]",
};

static const char *const bad[] = {
    "",
    " ",
    "\n",
    "[",
    "]",
    "{",
    "}",
    "[1",
    "[1,",
    "[1,]",
    "[,1]",
    "[,]",
    "[1 2]",
    "[1,,2]",
    "[1:2]",
    "[1}",
    "{]",
    "{1}",
    "{1:2}",
    "{\"a\"}",
    "{\"a\":}",
    "{\"a\":1",
    "{\"a\":1,",
    "{\"a\":1,}",
    "{,}",
    "{\"a\" 1}",
    "{\"a\":1 \"b\":2}",
    "{\"a\":1:2}",
    "{a:1}",
    "{'a':1}",
    "{null:1}",
    "{[]:1}",
    "'a'",
    "a",
    "tru",
    "truth",
    "True",
    "nul",
    "nulL",
    "falsey",
    "true1",
    "truefalse",
    "NaN",
    "Infinity",
    "-Infinity",
    "-",
    "+1",
    "--1",
    "01",
    "-01",
    "00",
    "1.",
    ".5",
    "-.5",
    "1.e5",
    "1e",
    "1e+",
    "1E-",
    "1e5.5",
    "0x10",
    "1_000",
    "1,000",
    "1 2",
    "[1]2",
    "{}{}",
    "[][]",
    "\"",
    "\"a",
    "\"\\\"",
    "\"\\",
    "\"\\q\"",
    "\"\\u\"",
    "\"\\u1\"",
    "\"\\u12\"",
    "\"\\u123\"",
    "\"\\u12G4\"",
    "\"\\U0041\"",
    "\"\\x41\"",
    "\"\\'\"",
    "\"\n\"",
    "\"\t\"",
    "\"\x1f\"",
    "\"12345678\x01\"",
    "\"a\nlonger string\"",
    "[\"a\",\n\"b\",\n",
    "\xEF\xBB\xBF{}",
    "/**/1",
    "1//",
    "[1]#",
    "{\"a\":/**/1}",
    "\f1",
    "\v1",
    "\xA0",
    "[\"\\uD800",
    "{\"a",
    "{\"a\"",
    "{\"a\":",
    "\\u0031",
    "[1]]",
    "{\"a\":1}}",
    "[\"a\":1]",
    "[\"\",\"]",
    "{\"a\":\"b}",
    "*",
    "<null>",
    "[1e]",
    "[1+2]",
    "[0.1.2]",
    "[1ea]",
    "-a",
};

static void test_scan__texts_of_json__are_accepted(void **state)
{
    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(good); i++)
        if (verdict_on(slice_str(good[i])) != 0)
            fail_msg("refused: %s", good[i]);
}

static void test_scan__other_texts__are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(bad); i++)
        if (verdict_on(slice_str(bad[i])) != -EBADMSG)
            fail_msg("accepted: %s", bad[i]);
    assert_int_equal(verdict_on(slice_of("1\0", 2)), -EBADMSG);
    assert_int_equal(verdict_on(slice_of("\"\0\"", 3)), -EBADMSG);
    assert_int_equal(verdict_on(slice_of("\"\\\0\"", 4)), -EBADMSG);
}

static void test_scan__every_beginning_of_a_text__is_refused(void **state)
{
    const char *text =
        "{\"a\\u00e9\":[1.5e+3,{\"b\":true},null,\"x\\ud83d\\ude00yzzzzzzzzzz\"],\"c\":{},\"d\":[]}";

    (void)state;
    assert_int_equal(verdict_on(slice_str(text)), 0);
    for (size_t n = 0; n < strlen(text); n++)
        assert_int_equal(verdict_on(slice_of(text, n)), -EBADMSG);
}

static void test_scan__nesting__has_a_limit_and_no_stack(void **state)
{
    size_t n = (size_t)2 * (SCAN_MAX_DEPTH + 1);
    char *text = malloc(n);
    struct scan s;

    (void)state;
    assert_non_null(text);
    memset(text, '[', n / 2);
    memset(text + n / 2, ']', n / 2);
    assert_int_equal(verdict_on(slice_of(text, n)), -EBADMSG);
    assert_int_equal(verdict_on(slice_of(text + 1, n - 2)), 0);
    scan_init(&s, slice_of(text, n));
    scan_value(&s);
    assert_int_equal(s.at, SCAN_MAX_DEPTH);
    assert_string_equal(s.error, "nested too deep");
    free(text);
}

static void test_scan__members__come_with_their_spans(void **state)
{
    struct slice text = SLICE(" { \"a\" : [1, 2] ,\"b\":\"x\\ty\", \"a\":-7 } ");
    struct scan_value key, v;
    struct scan s;

    (void)state;
    scan_init(&s, text);
    assert_true(scan_enter(&s, SCAN_OBJECT));
    assert_true(scan_member(&s, &key));
    assert_int_equal(key.at, 3);
    assert_int_equal(key.n, 3);
    assert_true(scan_is(&s, &key, "a"));
    assert_int_equal(scan_peek(&s), SCAN_ARRAY);
    v = scan_value(&s);
    assert_true(slice_eq(scan_text(&s, &v), SLICE("[1, 2]")));
    assert_int_equal(v.at, 9);
    assert_true(scan_member(&s, &key));
    v = scan_value(&s);
    assert_true(v.escaped);
    assert_true(slice_eq(scan_text(&s, &v), SLICE("x\\ty")));
    assert_true(scan_member(&s, &key)); /* the same key again is shown again */
    assert_true(scan_is(&s, &key, "a"));
    v = scan_value(&s);
    assert_int_equal(v.type, SCAN_NUMBER);
    assert_false(scan_member(&s, &key));
    assert_int_equal(scan_end(&s), 0);
}

static void test_scan__enter_of_another_type__reads_the_value_instead(void **state)
{
    struct scan_value key;
    struct scan s;

    (void)state;
    scan_init(&s, SLICE("{\"a\":[1,[2]],\"b\":{}}"));
    assert_true(scan_enter(&s, SCAN_OBJECT));
    assert_true(scan_member(&s, &key));
    assert_false(scan_enter(&s, SCAN_OBJECT));
    assert_true(scan_member(&s, &key));
    assert_true(scan_enter(&s, SCAN_OBJECT));
    assert_false(scan_member(&s, &key));
    assert_int_equal(s.depth, 1);
    assert_false(scan_member(&s, &key));
    assert_int_equal(scan_end(&s), 0);
}

static void test_scan__an_error__stays(void **state)
{
    struct scan_value key;
    struct scan s;

    (void)state;
    scan_init(&s, SLICE("{\"a\":[1,x],\"b\":2}"));
    assert_true(scan_enter(&s, SCAN_OBJECT));
    assert_true(scan_member(&s, &key));
    assert_true(scan_enter(&s, SCAN_ARRAY));
    assert_true(scan_element(&s));
    assert_int_equal(scan_value(&s).type, SCAN_NUMBER);
    assert_true(scan_element(&s));
    assert_int_equal(scan_value(&s).type, SCAN_NONE);
    assert_int_equal(s.at, 8);
    assert_false(scan_element(&s));
    assert_false(scan_member(&s, &key));
    assert_false(scan_enter(&s, SCAN_OBJECT));
    assert_int_equal(scan_peek(&s), SCAN_NONE);
    assert_int_equal(scan_end(&s), -EBADMSG);
    assert_int_equal(scan_end(&s), -EBADMSG);
}

static void test_scan__keys__are_compared_as_they_read(void **state)
{
    static const struct {
        const char *json, *name;
        bool same;
    } rows[] = {
        {"\"model\"", "model", true},         {"\"mod\\u0065l\"", "model", true},
        {"\"mod\\u0065\"", "model", false},   {"\"model\\u0000\"", "model", false},
        {"\"\\u006dodelx\"", "model", false}, {"\"\"", "", true},
        {"\"\\u00e9\"", "\xC3\xA9", true},    {"\"\\ud83d\\ude00\"", "\xF0\x9F\x98\x80", true},
        {"\"Model\"", "model", false},        {"1", "1", false},
    };

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++) {
        struct scan s;
        struct scan_value v;

        scan_init(&s, slice_str(rows[i].json));
        v = scan_value(&s);
        if (scan_is(&s, &v, rows[i].name) != rows[i].same)
            fail_msg("%s against %s", rows[i].json, rows[i].name);
    }
}

/* a constant initialiser, which SLICE is not in strict C11 */
#define TEXT(lit)                                                                                            \
    {                                                                                                        \
        "" lit, sizeof(lit) - 1                                                                              \
    }

static void test_scan__strings__decode_to_utf8(void **state)
{
    static const struct {
        struct slice in, out;
    } rows[] = {
        {{"", 0}, {"", 0}},
        {TEXT("plain"), TEXT("plain")},
        {TEXT("\\\"\\\\\\/\\b\\f\\n\\r\\t"), TEXT("\"\\/\b\f\n\r\t")},
        {TEXT("a\\u0000b"), {"a\0b", 3}},
        {TEXT("\\u00e9\\u20AC\\ud834\\udd1e"), TEXT("\xC3\xA9\xE2\x82\xAC\xF0\x9D\x84\x9E")},
        {TEXT("\\ud834x"), TEXT("\xEF\xBF\xBDx")},
        {TEXT("\\ud834\\u0041"), TEXT("\xEF\xBF\xBD"
                                      "A")},
        {TEXT("\\ud834\\ud834\\udd1e"), TEXT("\xEF\xBF\xBD\xF0\x9D\x84\x9E")},
        {TEXT("\\udd1e\\ud834"), TEXT("\xEF\xBF\xBD\xEF\xBF\xBD")},
        {TEXT("a\xFF\xC0\xAF"
              "b"),
         TEXT("a\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"
              "b")},
        {TEXT("\xED\xA0\x80"), TEXT("\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD")}, /* a surrogate as UTF-8 */
        {TEXT("\xE2\x82"), TEXT("\xEF\xBF\xBD\xEF\xBF\xBD")},
        {TEXT("\xF4\x90\x80\x80"), TEXT("\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD")},
        {TEXT("cut\\"), TEXT("cut")},
        {TEXT("cut\\u"), TEXT("cut")},
        {TEXT("cut\\u12"), TEXT("cut")},
        {TEXT("odd\\q"), TEXT("odd\xEF\xBF\xBD")},
        {TEXT("odd\\uzzzzz"), TEXT("odd\xEF\xBF\xBDzzzzz")},
    };

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++) {
        struct buf out;

        buf_init(&out, 1000);
        assert_int_equal(scan_decode(rows[i].in, &out), 0);
        if (!slice_eq(buf_slice(&out), rows[i].out))
            fail_msg("row %zu: %.*s", i, (int)out.n, out.p);
        buf_release(&out);
    }
}

static void test_scan__decode__respects_the_buffers_maximum(void **state)
{
    struct buf out;

    (void)state;
    buf_init(&out, 4);
    assert_int_equal(scan_decode(SLICE("\\n2345"), &out), -E2BIG);
    buf_reset(&out);
    assert_int_equal(scan_decode(SLICE("\\n234"), &out), 0);
    buf_release(&out);
}

static void test_scan__integers__are_exact_or_refused(void **state)
{
    static const struct {
        const char *text;
        int rc;
        int64_t value;
    } rows[] = {
        {"0", 0, 0},
        {"-0", 0, 0},
        {"7", 0, 7},
        {"-7", 0, -7},
        {"30000", 0, 30000},
        {"9223372036854775807", 0, INT64_MAX},
        {"-9223372036854775808", 0, INT64_MIN},
        {"9223372036854775808", -ERANGE, 0},
        {"-9223372036854775809", -ERANGE, 0},
        {"1e19", -ERANGE, 0},
        {"9007199254740993", 0, INT64_C(9007199254740993)}, /* a double would say ...992 */
        {"3e4", 0, 30000},
        {"3E+4", 0, 30000},
        {"3.5e1", 0, 35},
        {"5.0", 0, 5},
        {"5.000", 0, 5},
        {"0.0", 0, 0},
        {"500e-2", 0, 5},
        {"0e99999999999999999999", 0, 0},
        {"1e99999999999999999999", -ERANGE, 0},
        {"1e-99999999999999999999", -EINVAL, 0},
        {"1.5", -EINVAL, 0},
        {"5e-1", -EINVAL, 0},
        {"0.1234567890123456789012345678901", -EINVAL, 0},
        {"100000000000000000000000000000000e-31", 0, 10},
        {"18446744073709551617", -ERANGE, 0},
        {"", -EINVAL, 0},
        {"x", -EINVAL, 0},
        {"\"5\"", -EINVAL, 0},
        {"null", -EINVAL, 0},
        {" 5", -EINVAL, 0},
        {"5 ", -EINVAL, 0},
        {"05", -EINVAL, 0},
        {"0.5e1", 0, 5},
        {"0.00001e5", 0, 1},
    };

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++) {
        int64_t v = 0;
        int rc = scan_int64(slice_str(rows[i].text), &v);

        if (rc != rows[i].rc || v != rows[i].value)
            fail_msg("%s: %d, %lld", rows[i].text, rc, (long long)v);
    }
}

/* 8 MiB of the densest JSON that there is; quadratic behaviour anywhere would run for minutes. */
static void test_scan__big_texts__take_linear_time(void **state)
{
    static const char *const pieces[] = {"1,", "[],", "{},", "\"\\n\",", "{\"\":[]},"};
    size_t n = (size_t)8 << 20;
    char *text = malloc(n);

    (void)state;
    assert_non_null(text);
    for (size_t i = 0; i < MG_ARRAY_LEN(pieces); i++) {
        size_t step = strlen(pieces[i]), at = 1;

        text[0] = '[';
        for (; at + step + 2 <= n; at += step)
            memcpy(text + at, pieces[i], step);
        text[at++] = '0';
        text[at++] = ']';
        {
            struct scan s;

            scan_init(&s, slice_of(text, at));
            scan_value(&s);
            assert_int_equal(scan_end(&s), 0);
        }
    }
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scan__texts_of_json__are_accepted),
        cmocka_unit_test(test_scan__other_texts__are_refused),
        cmocka_unit_test(test_scan__every_beginning_of_a_text__is_refused),
        cmocka_unit_test(test_scan__nesting__has_a_limit_and_no_stack),
        cmocka_unit_test(test_scan__members__come_with_their_spans),
        cmocka_unit_test(test_scan__enter_of_another_type__reads_the_value_instead),
        cmocka_unit_test(test_scan__an_error__stays),
        cmocka_unit_test(test_scan__keys__are_compared_as_they_read),
        cmocka_unit_test(test_scan__strings__decode_to_utf8),
        cmocka_unit_test(test_scan__decode__respects_the_buffers_maximum),
        cmocka_unit_test(test_scan__integers__are_exact_or_refused),
        cmocka_unit_test(test_scan__big_texts__take_linear_time),
    };

    return cmocka_run_group_tests_name("scan", tests, NULL, NULL);
}
