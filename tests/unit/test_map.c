/* map: string keys to pointers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "metergate/base/map.h"

static void test_map__what_was_set__is_found_until_removed(void **state)
{
    struct map m;
    int one = 1, two = 2;

    (void)state;
    map_init(&m);
    assert_null(map_get(&m, SLICE("a")));
    map_set(&m, SLICE("a"), &one);
    map_set(&m, SLICE("a\0b"), &two);
    map_set(&m, SLICE(""), &two);
    assert_ptr_equal(map_get(&m, SLICE("a")), &one);
    assert_ptr_equal(map_get(&m, SLICE("a\0b")), &two);
    assert_ptr_equal(map_get(&m, SLICE("")), &two);
    map_set(&m, SLICE("a"), &two);
    assert_ptr_equal(map_get(&m, SLICE("a")), &two);
    assert_int_equal(map_count(&m), 3);
    map_remove(&m, SLICE("a"));
    map_remove(&m, SLICE("a"));
    assert_null(map_get(&m, SLICE("a")));
    assert_int_equal(map_count(&m), 2);
    map_release(&m);
    assert_int_equal(map_count(&m), 0);
}

static void add(void *arg, struct slice key, void *value)
{
    (void)key;
    *(int *)arg += *(int *)value;
}

static void test_map__thousands_of_keys__are_all_visited_once(void **state)
{
    struct map m;
    int one = 1, sum = 0;

    (void)state;
    map_init(&m);
    for (int i = 0; i < 5000; i++) {
        char key[16];
        int n = snprintf(key, sizeof key, "key-%d", i);

        map_set(&m, slice_of(key, (size_t)n), &one);
    }
    map_each(&m, add, &sum);
    assert_int_equal(sum, 5000);
    map_release(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_map__what_was_set__is_found_until_removed),
        cmocka_unit_test(test_map__thousands_of_keys__are_all_visited_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
