/* queue: order, places that are kept, and the first call that is small enough. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "metergate/gate/queue.h"

static void test_queue__calls__come_out_in_order_of_their_numbers(void **state)
{
    struct queue q = {0};
    struct queue_node n[3] = {0};

    (void)state;
    assert_null(queue_first(&q));
    queue_push(&q, &n[1], 20, 5);
    queue_push(&q, &n[2], 30, 5);
    queue_push(&q, &n[0], 10, 5);
    assert_int_equal(q.n, 3);
    for (int i = 0; i < 3; i++) {
        assert_ptr_equal(queue_first(&q), &n[i]);
        queue_remove(&q, &n[i]);
        assert_false(n[i].queued);
    }
    assert_int_equal(q.n, 0);
}

static void test_queue__call_that_comes_back__has_its_old_place(void **state)
{
    struct queue q = {0};
    struct queue_node n[3] = {0};

    (void)state;
    for (uint64_t i = 0; i < 3; i++)
        queue_push(&q, &n[i], i + 1, 1);
    queue_remove(&q, &n[0]);
    assert_ptr_equal(queue_first(&q), &n[1]);
    queue_push(&q, &n[0], 1, 1);
    assert_ptr_equal(queue_first(&q), &n[0]);
}

static void test_queue__first_within__is_the_first_in_order_and_not_the_smallest(void **state)
{
    static const int64_t weights[] = {900, 500, 100, 300, 50};
    struct queue q = {0};
    struct queue_node n[5] = {0};

    (void)state;
    for (size_t i = 0; i < 5; i++)
        queue_push(&q, &n[i], i + 1, weights[i]);
    assert_ptr_equal(queue_first_within(&q, 0, 1000), &n[0]);
    assert_ptr_equal(queue_first_within(&q, 0, 500), &n[1]);
    assert_ptr_equal(queue_first_within(&q, 1, 499), &n[2]);
    assert_ptr_equal(queue_first_within(&q, 3, 100), &n[4]);
    assert_null(queue_first_within(&q, 0, 49));
    assert_null(queue_first_within(&q, 5, 1000));
}

enum { CALLS = 300 };

static struct queue_node *plain_first_within(struct queue_node *nodes, uint64_t after, int64_t weight)
{
    for (int i = 0; i < CALLS; i++) {
        if (nodes[i].queued && nodes[i].seq > after && nodes[i].weight <= weight)
            return &nodes[i];
    }
    return NULL;
}

static void test_queue__random_traffic__agrees_with_a_plain_array(void **state)
{
    static struct queue_node nodes[CALLS];
    struct queue q = {0};
    uint64_t random = 88172645463325252u;
    size_t in = 0;

    (void)state;
    for (int step = 0; step < 30000; step++) {
        size_t i;
        uint64_t after;
        int64_t weight;

        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        i = random % CALLS;
        after = (random >> 20) % CALLS;
        weight = (int64_t)((random >> 32) % 1000);
        if (nodes[i].queued) {
            queue_remove(&q, &nodes[i]);
            in--;
        } else {
            queue_push(&q, &nodes[i], i + 1, weight);
            in++;
        }
        assert_int_equal(q.n, in);
        assert_ptr_equal(queue_first(&q), plain_first_within(nodes, 0, INT64_MAX));
        assert_ptr_equal(queue_first_within(&q, after, weight / 8), plain_first_within(nodes, after, weight / 8));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_queue__calls__come_out_in_order_of_their_numbers),
        cmocka_unit_test(test_queue__call_that_comes_back__has_its_old_place),
        cmocka_unit_test(test_queue__first_within__is_the_first_in_order_and_not_the_smallest),
        cmocka_unit_test(test_queue__random_traffic__agrees_with_a_plain_array),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
