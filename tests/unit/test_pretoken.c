/* pretoken: where the patterns cut, case by case, and utf8: what is repaired. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include <string.h>

#include "metergate/base/buf.h"
#include "metergate/tokens/pretoken.h"
#include "metergate/tokens/tables.h"
#include "metergate/tokens/utf8.h"

/* The pieces, with | between them. */
static void assert_cut(enum encoding e, const char *text, const char *want)
{
    const char *p = text, *end = text + strlen(text);
    struct buf got;

    buf_init(&got, BUF_UNLIMITED);
    while (p < end) {
        const char *next = pretoken_end(e, p, end);

        assert_true(next > p && next <= end);
        if (p > text)
            buf_add_char(&got, '|');
        buf_add(&got, p, (size_t)(next - p));
        p = next;
    }
    assert_string_equal(got.p, want);
    buf_release(&got);
}

static void test_pretoken_end__either_encoding__cuts_as_its_patterns_say(void **state)
{
    static const struct {
        const char *text, *o200k, *cl100k;
    } rows[] = {
        {"Hello world", "Hello| world", "Hello| world"},
        {"I'll say it's HERS'S", "I'll| say| it's| HERS'S", "I|'ll| say| it|'s| HERS|'S"},
        {"camelCaseXMLFile", "camel|Case|XMLFile", "camelCaseXMLFile"},
        {"1234567", "123|456|7", "123|456|7"},
        {"a  b", "a| | b", "a| | b"},
        {"a \n b\n", "a| \n| b|\n", "a| \n| b|\n"},
        {"end   ", "end|   ", "end|   "},
        {"x!!\n/y", "x|!!\n/|y", "x|!!\n|/y"},
        {" (a) $b", " (|a|)| $|b", " (|a|)| $|b"},
        {"\ttab", "\ttab", "\ttab"},
        {"\xe4\xb8\xad"
         "AB",
         "\xe4\xb8\xad|AB",
         "\xe4\xb8\xad"
         "AB"},
        {"\xcc\x81"
         "a",
         "\xcc\x81"
         "a",
         "\xcc\x81"
         "a"},
        {"\xcc\x81\xcc\x81"
         "AB",
         "\xcc\x81\xcc\x81|AB", "\xcc\x81\xcc\x81|AB"},
        {"a\xe3\x80\x80\xe3\x80\x80"
         "b",
         "a|\xe3\x80\x80|\xe3\x80\x80"
         "b",
         "a|\xe3\x80\x80|\xe3\x80\x80"
         "b"},
        {"'\xc5\xbf", "'\xc5\xbf", "'\xc5\xbf"},
        {"a'\xc5\xbf"
         "b",
         "a'\xc5\xbf|b", "a|'\xc5\xbf|b"},
    };

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++) {
        assert_cut(ENCODING_O200K, rows[i].text, rows[i].o200k);
        assert_cut(ENCODING_CL100K, rows[i].text, rows[i].cl100k);
    }
}

static void test_char_class_of__code_points__have_their_class(void **state)
{
    static const struct {
        uint32_t cp;
        enum char_class want;
    } rows[] = {
        {'a', CHAR_LOWER},     {'Z', CHAR_UPPER},      {'7', CHAR_NUMBER},     {'_', CHAR_OTHER},
        {' ', CHAR_SPACE},     {'\n', CHAR_NEWLINE},   {'\r', CHAR_NEWLINE},   {'\v', CHAR_SPACE},
        {0x85, CHAR_SPACE},    {0xa0, CHAR_SPACE},     {0x1c5, CHAR_UPPER},    {0x2b0, CHAR_LETTER},
        {0x301, CHAR_MARK},    {0x4e2d, CHAR_LETTER},  {0x2168, CHAR_NUMBER},  {0x3000, CHAR_SPACE},
        {0xfeff, CHAR_OTHER},  {0x200b, CHAR_OTHER},   {0x180e, CHAR_OTHER},   {0xd800, CHAR_OTHER},
        {0x1f600, CHAR_OTHER}, {0x20000, CHAR_LETTER}, {0x13f16, CHAR_LETTER}, {0x10ffff, CHAR_OTHER},
    };

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++)
        assert_int_equal(char_class_of(rows[i].cp), rows[i].want);
}

static void test_utf8_next__whatever_stands_there__is_whole_ill_formed_or_unfinished(void **state)
{
    static const struct {
        struct slice text;
        size_t want;
        bool whole;
    } rows[] = {
        {{"\xc3\xa9z", 3}, 2, true},         {{"z", 1}, 1, true},
        {{"\xff", 1}, 1, false},              {{"\xe4\xb8", 2}, 0, false},
        {{"\xe4\xb8z", 3}, 2, false},         {{"\xf0\x9f\x98", 3}, 0, false},
        {{"\xf0\x9f\x98z", 4}, 3, false},     {{"\xed\xa0\x80", 3}, 1, false},
        {{"\xc0\xaf", 2}, 1, false},          {{"\x80", 1}, 1, false},
        {{"\xf0", 1}, 0, false},              {{"\xf4\x90\x80\x80", 4}, 1, false},
        {{"\0", 1}, 1, true},
    };

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++) {
        bool whole;

        assert_int_equal(utf8_next(rows[i].text.p, rows[i].text.n, &whole), rows[i].want);
        assert_int_equal(whole, rows[i].whole);
    }
}

/* What is certain of a text stays so whatever follows, and white space and capitals hold back what they may change. */
static void test_pretoken_certain__text_that_may_go_on__is_certain_up_to_what_a_rest_may_change(void **state)
{
    static const struct {
        const char *text;
        size_t want;
    } rows[] = {
        {"", 0},           {"abc", 0},       {"one two three", 9},       {"one   \n  ", 3},
        {"one two AAAA", 8}, {"a \xe3\x80\x80 ", 1}, {"\xe4\xb8\xad\xe6\x96\x87", 0}, {".,.,.,.,", 4},
    };

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++)
        assert_int_equal(pretoken_certain(slice_str(rows[i].text)), rows[i].want);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_char_class_of__code_points__have_their_class),
        cmocka_unit_test(test_utf8_next__whatever_stands_there__is_whole_ill_formed_or_unfinished),
        cmocka_unit_test(
            test_pretoken_certain__text_that_may_go_on__is_certain_up_to_what_a_rest_may_change),
        cmocka_unit_test(test_pretoken_end__either_encoding__cuts_as_its_patterns_say),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
