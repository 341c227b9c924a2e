/* capacity: what the limit of open files means for clients and calls. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "metergate/base/err.h"
#include "metergate/proxy/capacity.h"

static void test_capacity__shares__never_exceed_the_limit(void **state)
{
    static const uint64_t limits[] = {CAPACITY_DESCRIPTORS_LEAST, 257, 1024, 4096, 20000, 65536, 1048576, UINT64_MAX};

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(limits); i++) {
        struct capacity c;

        assert_int_equal(capacity_of(limits[i], &c, NULL), 0);
        assert_true((uint64_t)c.connections + c.transfers + c.shards + 64 <= limits[i]);
        assert_true(c.transfers >= 44 && c.shards >= 16);
        assert_true(c.connections > 2 * c.transfers);
    }
}

static void test_capacity__ten_thousand_held_calls__fit_into_twenty_thousand_files(void **state)
{
    struct capacity c;

    (void)state;
    assert_int_equal(capacity_of(20000, &c, NULL), 0);
    assert_int_equal(c.shards, 256);
    assert_int_equal(c.transfers, 4096);
    assert_true(c.connections > 15000);
}

static void test_capacity__too_few__is_refused_with_a_sentence(void **state)
{
    struct capacity c;
    struct errbuf e;

    (void)state;
    assert_int_equal(capacity_of(CAPACITY_DESCRIPTORS_LEAST - 1, &c, &e), -EMFILE);
    assert_non_null(strstr(e.text, "only 255 open files are allowed"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_capacity__shares__never_exceed_the_limit),
        cmocka_unit_test(test_capacity__too_few__is_refused_with_a_sentence),
        cmocka_unit_test(test_capacity__ten_thousand_held_calls__fit_into_twenty_thousand_files),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
