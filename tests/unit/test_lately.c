/* lately: the last calls that have ended, no more of them, and each where it is looked for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "metergate/base/err.h"
#include "metergate/proxy/lately.h"

static struct lately *make(int64_t calls)
{
    struct lately *l = xcalloc(1, sizeof *l);

    for (int64_t i = 0; i < calls; i++) {
        struct ledger_row *r = lately_add(l);

        assert_int_equal(r->id, 0); /* zeroed, whoever was there before */
        r->id = 1000 + i;
    }
    return l;
}

static void test_lately__the_last_hundred__are_there(void **state)
{
    static const int64_t counts[] = {0, 1, LATELY_MAX - 1, LATELY_MAX, LATELY_MAX + 1, 7 * LATELY_MAX + 3};

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(counts); i++) {
        struct lately *l = make(counts[i]);
        int64_t oldest = counts[i] > LATELY_MAX ? counts[i] - LATELY_MAX : 0;

        assert_int_equal(l->count, counts[i]);
        assert_int_equal(lately_oldest(l), oldest);
        for (int64_t n = 0; n < counts[i] + 2; n++) {
            const struct ledger_row *r = lately_get(l, (uint64_t)n);
            uint64_t found;

            assert_int_equal(r != NULL, n >= oldest && n < counts[i]);
            assert_int_equal(lately_find(l, 1000 + n, &found), r != NULL);
            if (r) {
                assert_int_equal(r->id, 1000 + n);
                assert_int_equal(found, n);
            }
        }
        free(l);
    }
}

static void test_lately__what_a_call_used_after_all__replaces_what_was_kept(void **state)
{
    struct ledger_row late = {.id = 1002, .usage = {.input = 5, .output = 7}, .source = ROW_BY_PROVIDER, .cost_nano = 99};
    struct lately *l = make(5);

    (void)state;
    lately_correct(l, &late);
    assert_int_equal(lately_get(l, 2)->usage.output, 7);
    assert_int_equal(lately_get(l, 2)->source, ROW_BY_PROVIDER);
    assert_int_equal(lately_get(l, 2)->cost_nano, 99);
    assert_int_equal(lately_get(l, 1)->cost_nano, 0);
    late.id = 7; /* of a call long ago */
    lately_correct(l, &late);
    free(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lately__the_last_hundred__are_there),
        cmocka_unit_test(test_lately__what_a_call_used_after_all__replaces_what_was_kept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
