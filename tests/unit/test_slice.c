/* slice: comparisons, globs and the numbers that people and headers write. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>
#include <fnmatch.h>
#include <cmocka.h>

#include "metergate/base/slice.h"

static void test_slice__an_empty_one__needs_no_memory(void **state)
{
    struct slice none = {NULL, 0};

    (void)state;
    assert_true(slice_eq(none, SLICE("")));
    assert_true(slice_eq_nocase(none, SLICE("")));
    assert_true(slice_starts(SLICE("a"), none));
    assert_true(slice_ends(SLICE("a"), none));
    assert_int_equal(slice_find(none, 'a'), 0);
    assert_int_equal(slice_trim(none).n, 0);
    assert_int_equal(slice_skip(none, 5).n, 0);
    assert_int_equal(slice_head(none, 5).n, 0);
    assert_int_equal(slice_str(NULL).n, 0);
    assert_true(slice_glob(none, "*"));
    assert_false(slice_glob(none, "?"));
}

static void test_slice__parts_and_comparisons(void **state)
{
    struct slice s = SLICE("Content-Length");

    (void)state;
    assert_true(slice_eq(slice_head(s, 7), SLICE("Content")));
    assert_true(slice_eq(slice_skip(s, 8), SLICE("Length")));
    assert_true(slice_eq(slice_head(s, 100), s));
    assert_int_equal(slice_skip(s, 100).n, 0);
    assert_true(slice_eq_nocase(s, SLICE("content-LENGTH")));
    assert_false(slice_eq(s, SLICE("content-length")));
    assert_false(slice_eq(s, SLICE("Content-Lengthy")));
    assert_true(slice_starts(s, SLICE("Content-")));
    assert_false(slice_starts(SLICE("Con"), SLICE("Content")));
    assert_true(slice_ends(s, SLICE("Length")));
    assert_false(slice_ends(SLICE("th"), SLICE("Length")));
    assert_int_equal(slice_find(s, '-'), 7);
    assert_int_equal(slice_find(s, '!'), s.n);
    assert_true(slice_eq(slice_trim(SLICE(" \t a b\t ")), SLICE("a b")));
    assert_int_equal(slice_trim(SLICE(" \t ")).n, 0);
}

static void test_slice__utf8__is_told_from_what_only_looks_like_it(void **state)
{
    static const struct {
        const char *text;
        size_t n;
    } rows[] = {
        {"a", 1},
        {"\xc3\xa9", 2},
        {"\xe2\x82\xac", 3},
        {"\xf0\x9f\x98\x80", 4},
        {"\xf4\x8f\xbf\xbf", 4},
        {"\x80", 0},
        {"\xc0\xaf", 0},
        {"\xc3", 0},
        {"\xe0\x80\xaf", 0},
        {"\xed\xa0\x80", 0},
        {"\xe2\x82", 0},
        {"\xf4\x90\x80\x80", 0},
        {"\xff", 0},
        {"", 0},
        {"\xf0\x8f\xbf\xbf", 0},
    };

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++)
        assert_int_equal(slice_utf8(slice_str(rows[i].text)), rows[i].n);
}

static const struct {
    const char *text, *pattern;
    bool match;
} globs[] = {
    {"gpt-4o", "gpt-4o", true},
    {"gpt-4o", "gpt-4", false},
    {"gpt-4", "gpt-4o", false},
    {"gpt-4o-mini", "gpt-4o*", true},
    {"gpt-4o", "gpt-4o*", true},
    {"gpt-4o", "*", true},
    {"", "*", true},
    {"", "", true},
    {"a", "", false},
    {"org/model", "*", true},
    {"org/model", "org?model", true},
    {"abcbcd", "a*bcd", true},
    {"abcbce", "a*bcd", false},
    {"abc", "a**c", true},
    {"abc", "*a*b*c*", true},
    {"o3", "o[134]", true},
    {"o2", "o[134]", false},
    {"o2", "o[!134]", true},
    {"o2", "o[^134]", true},
    {"o5", "o[1-46-9]", false},
    {"o7", "o[1-46-9]", true},
    {"a]", "a[]]", true},
    {"ab", "a[]]", false},
    {"a-", "a[x-]", true},
    {"a*", "a\\*", true},
    {"ab", "a\\*", false},
    {"a[", "a\\[", true},
    {"a?", "a[?]", true},
    {"ab", "a[?]", false},
    {"x]y", "x[\\]]y", true},
    {"gpt-4o-2024-08-06", "gpt-4o-[0-9][0-9][0-9][0-9]-*", true},
};

static void test_slice_glob__is_the_shells(void **state)
{
    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(globs); i++) {
        if (slice_glob(slice_str(globs[i].text), globs[i].pattern) != globs[i].match)
            fail_msg("%s against %s", globs[i].text, globs[i].pattern);
        if ((fnmatch(globs[i].pattern, globs[i].text, 0) == 0) != globs[i].match)
            fail_msg("fnmatch says otherwise: %s against %s", globs[i].text, globs[i].pattern);
    }
}

/* Small alphabets meet often; whatever stands in brackets is closed, for the odd ones differ among shells. */
static void test_slice_glob__agrees_with_fnmatch_on_random_patterns(void **state)
{
    static const char *const parts[] = {"a", "b", "*", "?", "[ab]", "[!a]", "\\*", "\\a", "[b-d]", "*"};
    uint32_t seed = 12345;

    (void)state;
    for (int round = 0; round < 20000; round++) {
        char text[8] = "", pattern[64] = "";
        size_t n, at = 0;

        seed = seed * 1664525 + 1013904223;
        n = seed >> 29;
        for (size_t i = 0; i < n; i++) {
            seed = seed * 1664525 + 1013904223;
            text[i] = "abc*"[seed >> 30];
        }
        for (size_t i = 0; i < 5; i++) {
            seed = seed * 1664525 + 1013904223;
            at += (size_t)snprintf(pattern + at, sizeof pattern - at, "%s",
                                   parts[(seed >> 16) % MG_ARRAY_LEN(parts)]);
        }
        if (slice_glob(slice_str(text), pattern) != (fnmatch(pattern, text, 0) == 0))
            fail_msg("%s against %s", text, pattern);
    }
}

static void test_slice_glob__many_stars__cost_no_more_than_the_lengths(void **state)
{
    char name[257], pattern[257];

    (void)state;
    memset(name, 'a', 256);
    name[256] = '\0';
    for (int i = 0; i < 256; i += 2) {
        pattern[i] = '*';
        pattern[i + 1] = 'a';
    }
    pattern[255] = 'b';
    pattern[256] = '\0';
    assert_false(slice_glob(slice_str(name), pattern)); /* exponential matchers do not come back */
    pattern[255] = 'a';
    assert_true(slice_glob(slice_str(name), pattern));
    assert_false(slice_glob(slice_of(pattern, 257), "*"));
}

static const struct {
    const char *text;
    int rc;
    int64_t value;
} ints[] =
    {
        {"0", 0, 0},
        {"007", 0, 7},
        {"9223372036854775807", 0, INT64_MAX},
        {"9223372036854775808", -ERANGE, 0},
        {"99999999999999999999999", -ERANGE, 0},
        {"", -EINVAL, 0},
        {"-1", -EINVAL, 0},
        {"+1", -EINVAL, 0},
        {" 1", -EINVAL, 0},
        {"1x", -EINVAL, 0},
},
  durations[] =
      {
          {"250ms", 0, 250000},
          {"15s", 0, 15000000},
          {"15", 0, 15000000},
          {"1.5", 0, 1500000},
          {" 10m ", 0, 600000000},
          {"2h", 0, INT64_C(7200000000)},
          {"1d", 0, INT64_C(86400000000)},
          {"3us", 0, 3},
          {"9.816s", 0, 9816000},
          {"2h7m1.233s", 0, INT64_C(7621233000)},
          {"6m0s", 0, 360000000},
          {"0.0000019s", 0, 1},
          {"0", 0, 0},
          {".5s", 0, 500000},
          {"10000000000ms", 0, INT64_C(10000000000000)},
          {"36525d", 0, INT64_C(36525) * 86400000000},
          {"36526d", -ERANGE, 0},
          {"36525d1us", -ERANGE, 0},
          {"99999999999999999999s", -ERANGE, 0},
          {"9223372036854775807d", -ERANGE, 0},
          {"", -EINVAL, 0},
          {"s", -EINVAL, 0},
          {".", -EINVAL, 0},
          {"1.2.3", -EINVAL, 0},
          {"1m30", -EINVAL, 0},
          {"1 2", -EINVAL, 0},
          {"1 s", -EINVAL, 0},
          {"-1s", -EINVAL, 0},
          {"1w", -EINVAL, 0},
          {"1S", -EINVAL, 0},
          {"1e3s", -EINVAL, 0},
},
  sizes[] =
      {
          {"64KiB", 0, 65536},
          {"1MiB", 0, 1 << 20},
          {"1.5GiB", 0, INT64_C(3) << 29},
          {"2kB", 0, 2000},
          {"3MB", 0, 3000000},
          {"4GB", 0, INT64_C(4000000000)},
          {"5B", 0, 5},
          {"10737418240", 0, INT64_C(10737418240)},
          {"9223372036854775807", 0, INT64_MAX},
          {"9223372036854775807KiB", -ERANGE, 0},
          {"8589934592GiB", -ERANGE, 0},
          {"0.3B", -EINVAL, 0},
          {"1.00000000001B", -EINVAL, 0},
          {"1KB", -EINVAL, 0},
          {"1k", -EINVAL, 0},
          {"1 MiB", -EINVAL, 0},
          {"", -EINVAL, 0},
},
  counts[] = {
      {"30000", 0, 30000},
      {"30k", 0, 30000},
      {"30K", 0, 30000},
      {"1.5M", 0, 1500000},
      {"0.0005M", 0, 500},
      {"1000G", 0, INT64_C(1000000000000)},
      {"20000000000", 0, INT64_C(20000000000)},
      {"1.5", -EINVAL, 0},
      {"1.0000000000001k", -EINVAL, 0},
      {"1.000k", 0, 1000},
      {"1e3", -EINVAL, 0},
      {"30 k", -EINVAL, 0},
      {"30kk", -EINVAL, 0},
      {"k", -EINVAL, 0},
      {"10000000000G", -ERANGE, 0},
};

#define CHECK_ROWS(rows, function)                                                                           \
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++) {                                                        \
        int64_t value = -7;                                                                                  \
        int rc = function(slice_str((rows)[i].text), &value);                                                \
                                                                                                             \
        if (rc != (rows)[i].rc || value != (rc == 0 ? (rows)[i].value : -7))                                 \
            fail_msg("%s: %d, %lld", (rows)[i].text, rc, (long long)value);                                  \
    }

static void test_slice__numbers__are_exact_or_refused(void **state)
{
    (void)state;
    CHECK_ROWS(ints, slice_int64);
    CHECK_ROWS(durations, slice_duration_us);
    CHECK_ROWS(sizes, slice_size_bytes);
    CHECK_ROWS(counts, slice_count);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_slice__an_empty_one__needs_no_memory),
        cmocka_unit_test(test_slice__parts_and_comparisons),
        cmocka_unit_test(test_slice__utf8__is_told_from_what_only_looks_like_it),
        cmocka_unit_test(test_slice_glob__is_the_shells),
        cmocka_unit_test(test_slice_glob__agrees_with_fnmatch_on_random_patterns),
        cmocka_unit_test(test_slice_glob__many_stars__cost_no_more_than_the_lengths),
        cmocka_unit_test(test_slice__numbers__are_exact_or_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
