/* clients: names that anybody may choose are bounded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "metergate/proxy/clients.h"

static struct client *named(struct clients *c, int i)
{
    char name[32];

    snprintf(name, sizeof name, "name-%d", i);
    return clients_named(c, slice_str(name), false);
}

static void test_clients__more_names_than_may_be__are_one_client(void **state)
{
    struct client *first, *other;
    struct clients c;

    (void)state;
    clients_init(&c);
    first = named(&c, 0);
    for (int i = 1; i < CLIENTS_MAX; i++)
        assert_ptr_not_equal(named(&c, i), first);
    other = named(&c, CLIENTS_MAX);
    assert_string_equal(other->name, "other");
    for (int i = 0; i < 10000; i++)
        assert_ptr_equal(named(&c, CLIENTS_MAX + i), other);
    assert_ptr_equal(named(&c, 0), first);
    assert_int_equal(map_count(&c.by_name), CLIENTS_MAX + 1);
    /* who is configured is never one of them */
    assert_string_equal(clients_named(&c, SLICE("nightly"), true)->name, "nightly");
    clients_release(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_clients__more_names_than_may_be__are_one_client),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
