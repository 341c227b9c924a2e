/* queue: order, places that are kept, the first one that is light enough, and sums. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "metergate/gate/queue.h"

static const struct queue_weight anything = {{INT64_MAX, INT64_MAX, INT64_MAX}};

static struct queue_weight weight(int64_t a, int64_t b, int64_t c)
{
    return (struct queue_weight){{a, b, c}};
}

static void push(struct queue *q, struct queue_node *n, uint64_t seq, int64_t w)
{
    queue_push(q, n, 0, seq, &(struct queue_weight){{w, w, w}}, &(struct queue_weight){{w, w, w}});
}

static struct queue_node *first_within(const struct queue *q, int64_t w)
{
    return queue_find(q, &(struct queue_weight){{w, w, w}}, NULL, NULL);
}

static void test_queue__calls__come_out_in_order_of_their_numbers(void **state)
{
    struct queue q = {0};
    struct queue_node n[3] = {0};

    (void)state;
    assert_null(queue_first(&q));
    push(&q, &n[1], 20, 5);
    push(&q, &n[2], 30, 5);
    push(&q, &n[0], 10, 5);
    assert_int_equal(q.n, 3);
    assert_ptr_equal(queue_after(&q, NULL), &n[0]);
    assert_ptr_equal(queue_after(&q, &n[0]), &n[1]);
    assert_null(queue_after(&q, &n[2]));
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
        push(&q, &n[i], i + 1, 1);
    queue_remove(&q, &n[0]);
    assert_ptr_equal(queue_first(&q), &n[1]);
    push(&q, &n[0], 1, 1);
    assert_ptr_equal(queue_first(&q), &n[0]);
}

static void test_queue__find__is_the_first_in_order_and_not_the_lightest(void **state)
{
    static const int64_t weights[] = {900, 500, 100, 300, 50};
    struct queue q = {0};
    struct queue_node n[5] = {0};

    (void)state;
    for (size_t i = 0; i < 5; i++)
        push(&q, &n[i], i + 1, weights[i]);
    assert_ptr_equal(first_within(&q, 1000), &n[0]);
    assert_ptr_equal(first_within(&q, 500), &n[1]);
    assert_ptr_equal(first_within(&q, 499), &n[2]);
    assert_ptr_equal(first_within(&q, 99), &n[4]);
    assert_null(first_within(&q, 49));
}

static void test_queue__tags__come_before_numbers(void **state)
{
    const struct queue_weight w = {{1, 1, 1}};
    struct queue q = {0};
    struct queue_node n[4] = {0};
    struct queue_weight sum;
    size_t before;

    (void)state;
    queue_push(&q, &n[0], 7, 1, &w, &w);
    queue_push(&q, &n[1], 5, 9, &w, &w);
    queue_push(&q, &n[2], 5, 4, &w, &w);
    queue_push(&q, &n[3], -1, 100, &w, &w);
    assert_ptr_equal(queue_first(&q), &n[3]);
    assert_ptr_equal(queue_after(&q, &n[3]), &n[2]);
    assert_ptr_equal(queue_after(&q, &n[2]), &n[1]);
    assert_ptr_equal(queue_after(&q, &n[1]), &n[0]);
    sum = queue_sum_before(&q, 5, 9, &before);
    assert_int_equal(sum.of[0], 2);
    assert_int_equal(before, 2);
}

static void test_queue__find__wants_every_currency_light_enough(void **state)
{
    struct queue q = {0};
    struct queue_node n[3] = {0};
    struct queue_weight w[3] = {weight(10, 1, 9), weight(10, 9, 1), weight(9, 2, 2)}, most;

    (void)state;
    for (size_t i = 0; i < 3; i++)
        queue_push(&q, &n[i], 0, i + 1, &w[i], &w[i]);
    most = weight(10, 5, 5);
    assert_ptr_equal(queue_find(&q, &most, NULL, NULL), &n[2]);
    most = weight(9, 1, 9);
    assert_null(queue_find(&q, &most, NULL, NULL));
}

/* Accepts one number, and counts how often it is asked. */
struct choosy {
    uint64_t seq;
    int asked;
};

static bool only_this(void *arg, struct queue_node *node)
{
    struct choosy *c = arg;

    c->asked++;
    return node->seq == c->seq;
}

static void test_queue__find__asks_in_order_until_one_is_accepted(void **state)
{
    struct queue q = {0};
    struct queue_node n[100] = {0};
    struct choosy c = {.seq = 60};

    (void)state;
    for (uint64_t i = 0; i < 100; i++)
        push(&q, &n[i], i + 1, 1 + (int64_t)(i % 2));
    assert_ptr_equal(queue_find(&q, &anything, only_this, &c), &n[59]);
    assert_int_equal(c.asked, 60);
    c.seq = 1000;
    assert_null(queue_find(&q, &anything, only_this, &c));
}

/* ---- against a plain array ---- */

enum { CALLS = 300 };

static struct queue_node nodes[CALLS];

static struct queue_node *plain_find(uint64_t after, const struct queue_weight *most)
{
    for (int i = 0; i < CALLS; i++) {
        const int64_t *w = nodes[i].weight.of;

        if (nodes[i].queued && nodes[i].seq > after && w[0] <= most->of[0] && w[1] <= most->of[1] &&
            w[2] <= most->of[2])
            return &nodes[i];
    }
    return NULL;
}

static void check_sums(const struct queue *q, uint64_t seq)
{
    struct queue_weight sum = queue_sum(q), before, least = queue_least(q);
    int64_t plain_least = INT64_MAX, plain_sum = 0, plain_before = 0;
    size_t n, plain_n = 0;

    before = queue_sum_before(q, 0, seq, &n);
    for (int i = 0; i < CALLS; i++) {
        if (!nodes[i].queued)
            continue;
        plain_sum += nodes[i].load.of[1];
        if (nodes[i].weight.of[2] < plain_least)
            plain_least = nodes[i].weight.of[2];
        if (nodes[i].seq < seq) {
            plain_before += nodes[i].load.of[1];
            plain_n++;
        }
    }
    assert_int_equal(sum.of[1], plain_sum);
    assert_int_equal(before.of[1], plain_before);
    assert_int_equal(n, plain_n);
    assert_int_equal(least.of[2], plain_least);
}

/* queue_each: counts, and adds up the numbers: one left out or told twice shows. */
struct seen {
    size_t n;
    uint64_t seqs;
};

static void see(void *arg, struct queue_node *node)
{
    struct seen *seen = arg;

    seen->n++;
    seen->seqs += node->seq * node->seq;
}

static void check_each(const struct queue *q)
{
    struct seen seen = {0}, want = {0};

    for (size_t i = 0; i < CALLS; i++) {
        if (nodes[i].queued)
            see(&want, &nodes[i]);
    }
    queue_each(q, see, &seen);
    assert_int_equal(seen.n, want.n);
    assert_int_equal(seen.seqs, want.seqs);
}

static void test_queue__random_traffic__agrees_with_a_plain_array(void **state)
{
    struct queue q = {0};
    uint64_t random = 88172645463325252u;
    size_t in = 0;

    (void)state;
    for (int step = 0; step < 20000; step++) {
        struct queue_weight w, most;
        size_t i;
        uint64_t after;

        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        i = random % CALLS;
        after = (random >> 20) % CALLS;
        w = weight((int64_t)((random >> 32) % 1000), (int64_t)((random >> 40) % 1000),
                   (int64_t)((random >> 50) % 1000));
        most = weight(w.of[1] / 2, w.of[2] / 2, w.of[0] / 2);
        if (nodes[i].queued) {
            queue_remove(&q, &nodes[i]);
            in--;
        } else {
            queue_push(&q, &nodes[i], 0, i + 1, &w, &most);
            in++;
        }
        assert_int_equal(q.n, in);
        assert_ptr_equal(queue_first(&q), plain_find(0, &anything));
        assert_ptr_equal(queue_after(&q, &(struct queue_node){.seq = after}), plain_find(after, &anything));
        assert_ptr_equal(queue_find(&q, &most, NULL, NULL), plain_find(0, &most));
        check_sums(&q, after);
        check_each(&q);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_queue__calls__come_out_in_order_of_their_numbers),
        cmocka_unit_test(test_queue__call_that_comes_back__has_its_old_place),
        cmocka_unit_test(test_queue__find__is_the_first_in_order_and_not_the_lightest),
        cmocka_unit_test(test_queue__tags__come_before_numbers),
        cmocka_unit_test(test_queue__find__wants_every_currency_light_enough),
        cmocka_unit_test(test_queue__find__asks_in_order_until_one_is_accepted),
        cmocka_unit_test(test_queue__random_traffic__agrees_with_a_plain_array),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
