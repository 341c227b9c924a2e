/* figure: how long, and what is in no sum. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "metergate/tool/figure.h"

/* A sentence and a column beside it tell of one start: neither may say a second less than the other. */
static void test_figure__time_in_a_sentence_and_in_a_column__is_one_number(void **state)
{
    static const struct {
        int64_t ms;
        const char *column, *sentence;
    } rows[] = {
        {340, "340 ms", "1 s"},
        {5230, "5.2 s", "5 s"},
        {99949, "99.9 s", "1 min 40 s"},
        {99951, "100 s", "1 min 40 s"},
        {114488, "114 s", "1 min 54 s"},
        {114500, "115 s", "1 min 55 s"},
        {119700, "2m 0s", "2 min 0 s"},
        {312600, "5m 13s", "5 min 13 s"},
        {INT64_C(7199600), "2h 0m", "2 h 0 min"},
    };
    char column[FIGURE_SIZE], sentence[FIGURE_SIZE];

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_string_equal(figure_ms(rows[i].ms, column), rows[i].column);
        assert_string_equal(figure_span(rows[i].ms, sentence), rows[i].sentence);
    }
}

static void test_figure__unpriced__is_said_where_there_are_any(void **state)
{
    char text[FIGURE_SIZE];

    (void)state;
    assert_string_equal(figure_unpriced(0, text), "");
    assert_string_equal(figure_unpriced(-1, text), "");
    assert_string_equal(figure_unpriced(1, text), " + 1 unpriced call");
    assert_string_equal(figure_unpriced(1234, text), " + 1,234 unpriced calls");
    assert_string_equal(figure_unpriced(INT64_MAX, text), " + 9,223,372,036,854,775,807 unpriced calls");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_figure__time_in_a_sentence_and_in_a_column__is_one_number),
        cmocka_unit_test(test_figure__unpriced__is_said_where_there_are_any),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
