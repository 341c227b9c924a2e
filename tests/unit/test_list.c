/* list: order, unlinking inside a walk, pushing what is linked already. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "metergate/base/list.h"

struct item {
    char name;
    struct list link;
};

/* The names in order, as text. */
static const char *names(const struct list *head)
{
    static char text[16];
    size_t n = 0;

    for (const struct list *l = head->next; l != head; l = l->next) {
        assert_ptr_equal(l->next->prev, l);
        assert_true(n < sizeof text - 1);
        text[n++] = LIST_ENTRY(l, struct item, link)->name;
    }
    text[n] = '\0';
    return text;
}

static struct item *new_items(void)
{
    static struct item items[4];

    for (size_t i = 0; i < MG_ARRAY_LEN(items); i++) {
        items[i].name = (char)('a' + i);
        list_init(&items[i].link);
    }
    return items;
}

static void test_list__pushed_nodes__stand_in_order(void **state)
{
    struct item *it = new_items();
    struct list head;

    (void)state;
    list_init(&head);
    assert_true(list_empty(&head));
    assert_null(list_first(&head));
    list_push_back(&head, &it[0].link);
    list_push_back(&head, &it[1].link);
    list_push_front(&head, &it[2].link);
    assert_string_equal(names(&head), "cab");
    assert_ptr_equal(list_first(&head), &it[2].link);
    assert_true(list_linked(&it[0].link));
    assert_false(list_linked(&it[3].link));
}

static void test_list__a_node_pushed_again__moves(void **state)
{
    struct item *it = new_items();
    struct list head, other;

    (void)state;
    list_init(&head);
    list_init(&other);
    for (int i = 0; i < 3; i++)
        list_push_back(&head, &it[i].link);
    list_push_back(&head, &it[0].link);
    assert_string_equal(names(&head), "bca");
    list_push_back(&head, &it[0].link); /* the last one already */
    assert_string_equal(names(&head), "bca");
    list_push_front(&head, &it[1].link); /* the first one already */
    assert_string_equal(names(&head), "bca");
    list_push_front(&head, &it[0].link);
    assert_string_equal(names(&head), "abc");
    list_push_front(&other, &it[1].link);
    assert_string_equal(names(&head), "ac");
    assert_string_equal(names(&other), "b");
    list_push_front(&other, &it[1].link); /* the only one */
    assert_string_equal(names(&other), "b");
}

static void test_list__unlinking__is_harmless_twice_and_inside_a_walk(void **state)
{
    struct item *it = new_items();
    struct list head;

    (void)state;
    list_init(&head);
    for (int i = 0; i < 4; i++)
        list_push_back(&head, &it[i].link);
    list_unlink(&it[1].link);
    list_unlink(&it[1].link);
    assert_string_equal(names(&head), "acd");
    LIST_EACH(&head, node, next)
    {
        if (LIST_ENTRY(node, struct item, link)->name != 'c')
            list_unlink(node);
    }
    assert_string_equal(names(&head), "c");
    list_unlink(list_first(&head));
    assert_true(list_empty(&head));
    LIST_EACH(&head, node, next)
    fail();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_list__pushed_nodes__stand_in_order),
        cmocka_unit_test(test_list__a_node_pushed_again__moves),
        cmocka_unit_test(test_list__unlinking__is_harmless_twice_and_inside_a_walk),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
