/* user: what /etc/passwd says. Every system has root, 0, in it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "metergate/base/user.h"

static void test_user__root__is_0_and_back(void **state)
{
    char name[USER_NAME_SIZE];
    uid_t uid = 1;

    (void)state;
    assert_int_equal(user_uid(SLICE("root"), &uid), 0);
    assert_int_equal(uid, 0);
    assert_int_equal(user_name(0, name), 0);
    assert_string_equal(name, "root");
}

static void test_user__who_is_not_there__is_enoent_and_nothing_is_written(void **state)
{
    char name[USER_NAME_SIZE] = "as it was";
    uid_t uid = 7;

    (void)state;
    assert_int_equal(user_uid(SLICE("no such user"), &uid), -ENOENT);
    assert_int_equal(user_uid(SLICE(""), &uid), -ENOENT);
    assert_int_equal(user_uid(SLICE("roo"), &uid), -ENOENT);
    assert_int_equal(uid, 7);
    assert_int_equal(user_name(4123456789u, name), -ENOENT);
    assert_string_equal(name, "as it was");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_user__root__is_0_and_back),
        cmocka_unit_test(test_user__who_is_not_there__is_enoent_and_nothing_is_written),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
