/* heap: order, moves and removals, against a plain search. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "metergate/base/err.h"
#include "metergate/base/heap.h"

#define NODES 200

static void test_heap__nodes__come_out_by_key(void **state)
{
    static const int64_t keys[] = {5, -3, 9, INT64_MAX, 5, INT64_MIN, 0};
    struct heap_node nodes[MG_ARRAY_LEN(keys)] = {{0}};
    int64_t last = INT64_MIN;
    struct heap h;

    (void)state;
    heap_init(&h);
    assert_null(heap_first(&h));
    for (size_t i = 0; i < MG_ARRAY_LEN(keys); i++) {
        assert_false(heap_contains(&nodes[i]));
        heap_set(&h, &nodes[i], keys[i]);
        assert_true(heap_contains(&nodes[i]));
    }
    while (heap_first(&h)) {
        assert_true(heap_first(&h)->key >= last);
        last = heap_first(&h)->key;
        heap_remove(&h, heap_first(&h));
    }
    assert_int_equal(last, INT64_MAX);
    heap_remove(&h, &nodes[0]); /* outside: harmless */
    heap_release(&h);
}

/* The smallest key among the nodes that should be inside. */
static int64_t smallest(const struct heap_node *nodes, const bool *inside)
{
    int64_t least = INT64_MAX;

    for (size_t i = 0; i < NODES; i++) {
        if (inside[i] && nodes[i].key < least)
            least = nodes[i].key;
    }
    return least;
}

static void test_heap__random_moves_and_removals__keep_the_smallest_first(void **state)
{
    static struct heap_node nodes[NODES];
    static bool inside[NODES];
    uint32_t seed = 7;
    size_t count = 0;
    struct heap h;

    (void)state;
    heap_init(&h);
    for (int round = 0; round < 20000; round++) {
        size_t i;

        seed = seed * 1664525 + 1013904223;
        i = (seed >> 8) % NODES;
        if (seed >> 30 == 0) {
            heap_remove(&h, &nodes[i]);
            count -= inside[i];
            inside[i] = false;
        } else {
            heap_set(&h, &nodes[i], (int64_t)(seed >> 4) % 1000);
            count += !inside[i];
            inside[i] = true;
        }
        assert_int_equal(heap_contains(&nodes[i]), inside[i]);
        assert_int_equal(h.n, count);
        if (count)
            assert_int_equal(heap_first(&h)->key, smallest(nodes, inside));
    }
    heap_release(&h);
    for (size_t i = 0; i < NODES; i++)
        assert_false(heap_contains(&nodes[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_heap__nodes__come_out_by_key),
        cmocka_unit_test(test_heap__random_moves_and_removals__keep_the_smallest_first),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
