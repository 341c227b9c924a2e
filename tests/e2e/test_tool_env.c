/* What `metergate env` makes of variables that the user has set already. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tool_fixture.h"

static void test_env__settings_that_the_user_made__stay(void **state)
{
    struct outcome o = tool_shell("export ENABLE_TOOL_SEARCH=auto:5\n\"$0\" env | grep -c TOOL_SEARCH || true\n"
                             "export ENABLE_TOOL_SEARCH=\n\"$0\" env | grep -c TOOL_SEARCH || true\n");

    (void)state;
    assert_string_equal(o.out, "0\n0\n");
    outcome_release(&o);
}

static void test_env__proxy_exceptions__are_kept_and_added_to_once(void **state)
{
    struct outcome o =
        tool_shell("export NO_PROXY=\"it's.example, localhost\"\n"
              "eval \"$(\"$0\" env)\"; eval \"$(\"$0\" env)\"\n"
              "echo \"$NO_PROXY\"; echo \"$no_proxy\"\n"
              "unset NO_PROXY; no_proxy='*'; eval \"$(\"$0\" env)\"; echo \"$NO_PROXY $no_proxy\"\n"
              "no_proxy=; NO_PROXY=; eval \"$(\"$0\" env --url 'http://[::1]:4283')\"; echo \"$NO_PROXY\"\n");

    (void)state;
    assert_string_equal(o.out, "it's.example, localhost,127.0.0.1\nit's.example, localhost,127.0.0.1\n* *\n"
                               "127.0.0.1,localhost,::1\n");
    outcome_release(&o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_env__settings_that_the_user_made__stay, tool_environment),
        cmocka_unit_test_setup(test_env__proxy_exceptions__are_kept_and_added_to_once, tool_environment),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
