/* table: its rows are values themselves, and near keys are found. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "metergate/config/format.h"
#include "metergate/config/table.h"
#include "metergate/config/value.h"

/* What the printer and the reader take from the table must be in it. */
static void test_table__every_row__has_what_its_type_needs(void **state)
{
    size_t n;
    const struct table_row *rows = table_rows(&n);

    (void)state;
    for (size_t i = 0; i < n; i++) {
        const struct table_row *row = &rows[i];

        assert_true(!row->min == !row->max);
        assert_true(row->type == TABLE_PATH ||
                    !row->choices ==
                        (row->type != TABLE_CHOICE && row->type != TABLE_CHOICES && row->type != TABLE_URL));
        if (row->type == TABLE_CHOICE || row->type == TABLE_BOOL)
            assert_true(row->fallback ||
                        strstr(row->help, "; default ")); /* one that follows another option */
    }
}

static void test_table__defaults_and_bounds__are_values_themselves(void **state)
{
    size_t n;
    const struct table_row *rows = table_rows(&n);

    (void)state;
    for (size_t i = 0; i < n; i++) {
        const char *const texts[] = {rows[i].fallback, rows[i].min, rows[i].max, rows[i].idle};

        assert_ptr_equal(table_find(slice_str(rows[i].path)), &rows[i]);
        assert_true(rows[i].help && rows[i].help[strlen(rows[i].help) - 1] != '.');
        assert_true((rows[i].status == TABLE_WORKS) <= (rows[i].idle == NULL)); /* what works is never idle */
        for (size_t j = 0; j < MG_ARRAY_LEN(texts); j++) {
            union value_any field = {0};
            struct errbuf e;

            if (!texts[j] || value_is_list(rows[i].type))
                continue;
            if (value_read(&rows[i], slice_str(texts[j]), &field, &e) < 0)
                fail_msg("%s: %s", rows[i].path, e.text);
            assert_true(format_is(&rows[i], &field, texts[j]));
            value_release(&rows[i], &field);
        }
    }
}

static void test_table__near_keys__are_found_within_two_edits(void **state)
{
    static const struct {
        const char *section, *key, *near;
    } rows[] = {
        {"", "listn", "listen"},
        {"", "Headroom", "headroom"},
        {"", "quue", "queue"},
        {"", "model", "models"},
        {"", "upstraem", "upstreams"},
        {"", "zzz", ""},
        {"models.*", "tmp", "tpm"},
        {"models.*", "rmp", "rpm"},
        {"models.*", "max_tokens", ""},
        {"queue", "max_waits", "max_wait"},
        {"upstreams.*.retry", "fr", "for"},
        {"", "", ""},
    };

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++) {
        struct slice near = table_nearest(slice_str(rows[i].section), slice_str(rows[i].key));

        if (!slice_eq(near, slice_str(rows[i].near)))
            fail_msg("%s in %s: %.*s", rows[i].key, rows[i].section, (int)near.n, near.p);
    }
    assert_int_equal(table_distance(SLICE("abcd"), SLICE("abdc"), 2), 1);
    assert_int_equal(table_distance(SLICE(""), SLICE("ab"), 2), 2);
    assert_int_equal(table_distance(SLICE("kitten"), SLICE("sitting"), 2), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table__every_row__has_what_its_type_needs),
        cmocka_unit_test(test_table__defaults_and_bounds__are_values_themselves),
        cmocka_unit_test(test_table__near_keys__are_found_within_two_edits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
