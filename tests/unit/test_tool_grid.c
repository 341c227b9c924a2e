/* grid: what stands where after texts of any kind were put there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "metergate/base/plain.h"
#include "metergate/base/prng.h"
#include "metergate/tool/grid.h"

static void assert_text(const struct grid *g, const char *want)
{
    struct buf b;

    buf_init(&b, BUF_UNLIMITED);
    grid_text(g, &b);
    assert_string_equal(b.p, want);
    buf_release(&b);
}

static void test_grid__texts__stand_where_they_were_put_and_are_cut_at_the_edges(void **state)
{
    struct grid g;

    (void)state;
    grid_init(&g, 3, 10);
    assert_int_equal(grid_put(&g, 0, 0, 10, STYLE_PLAIN, SLICE("abc")), 3);
    assert_int_equal(grid_put(&g, 0, 4, 3, STYLE_PLAIN, SLICE("defg")), 3);
    assert_int_equal(grid_put(&g, 1, 6, 100, STYLE_PLAIN, SLICE("123456")), 4);
    grid_put_right(&g, 2, 0, 10, STYLE_BAD, SLICE("42"));
    assert_int_equal(grid_put(&g, 3, 0, 5, STYLE_PLAIN, SLICE("out")), 0);
    assert_int_equal(grid_put(&g, 0, 10, 5, STYLE_PLAIN, SLICE("out")), 0);
    assert_int_equal(grid_put(&g, -1, -1, 5, STYLE_PLAIN, SLICE("out")), 0);
    assert_text(&g, "abc de~\n      123~\n        42\n");
    assert_int_equal(grid_cell(&g, 2, 9)->style, STYLE_BAD);
    assert_int_equal(grid_cell(&g, 2, 7)->style, STYLE_PLAIN);
    assert_null(grid_cell(&g, 2, 10));
    grid_release(&g);
}

static void test_grid__hostile_text__is_only_seen(void **state)
{
    struct grid g;

    (void)state;
    grid_init(&g, 1, 20);
    grid_put(&g, 0, 0, 20, STYLE_PLAIN,
             SLICE("a\x1b[31mb\nc\xff"
                   "d"));
    assert_text(&g, "a?[31mb?c?d\n");
    grid_release(&g);
}

static void test_grid__wide_characters__take_two_cells_and_leave_no_half(void **state)
{
    struct grid g;

    (void)state;
    grid_init(&g, 2, 6);
    assert_int_equal(grid_put(&g, 0, 0, 6, STYLE_PLAIN, SLICE("\u4e2d\u6587x")), 5);
    assert_string_equal(grid_cell(&g, 0, 1)->text, "");
    assert_int_equal(grid_put(&g, 0, 1, 1, STYLE_PLAIN, SLICE("y")), 1);
    assert_text(&g, " y\u6587x\n\n");
    assert_int_equal(grid_put(&g, 1, 3, 3, STYLE_PLAIN, SLICE("\u4e2d\u6587")), 3);
    assert_int_equal(grid_put(&g, 1, 0, 3, STYLE_PLAIN, SLICE("e\u0301e\u0301")), 2);
    assert_text(&g, " y\u6587x\ne\u0301e\u0301 \u4e2d~\n");
    grid_release(&g);
}

/* Whatever is put wherever: a line is as wide as the grid, and every cell is one whole character. */
static void test_grid__random_texts__every_line_stays_as_wide_as_it_is(void **state)
{
    static const char *const pieces[] = {"a",    "\u4e2d", "e\u0301",    "\x1b",
                                         "\xff", "\u0301", "\U0001f600", " "};
    struct prng r = {.state = 7};
    struct grid g;

    (void)state;
    grid_init(&g, 4, 13);
    for (int i = 0; i < 20000; i++) {
        int64_t n = prng_below(&r, 6);
        struct buf text;

        buf_init(&text, BUF_UNLIMITED);
        for (int64_t k = 0; k < n; k++)
            buf_add_str(&text, pieces[prng_below(&r, MG_ARRAY_LEN(pieces))]);
        grid_put(&g, (int)prng_below(&r, 6) - 1, (int)prng_below(&r, 16) - 1, (int)prng_below(&r, 9),
                 STYLE_PLAIN, buf_slice(&text));
        buf_release(&text);
    }
    for (int row = 0; row < g.rows; row++) {
        size_t places = 0;

        for (int column = 0; column < g.columns; column++)
            places += plain_width(slice_str(grid_cell(&g, row, column)->text));
        assert_int_equal(places, g.columns);
    }
    grid_release(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_grid__texts__stand_where_they_were_put_and_are_cut_at_the_edges),
        cmocka_unit_test(test_grid__hostile_text__is_only_seen),
        cmocka_unit_test(test_grid__wide_characters__take_two_cells_and_leave_no_half),
        cmocka_unit_test(test_grid__random_texts__every_line_stays_as_wide_as_it_is),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
