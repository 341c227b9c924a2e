/* activation: what the variables say, and that they are gone afterwards. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "metergate/daemon/activation.h"

/* What activation_take says of these variables (NULL: unset); "self" is this process. */
static int take(const char *pid, const char *fds, int *ret_count)
{
    char self[24];
    struct errbuf e;
    int rc;

    snprintf(self, sizeof self, "%d", (int)getpid());
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    if (pid)
        setenv("LISTEN_PID", strcmp(pid, "self") == 0 ? self : pid, 1);
    if (fds)
        setenv("LISTEN_FDS", fds, 1);
    setenv("LISTEN_FDNAMES", "a:b", 1);
    rc = activation_take(ret_count, &e);
    if (rc < 0)
        assert_non_null(strstr(e.text, "$LISTEN_"));
    assert_null(getenv("LISTEN_PID"));
    assert_null(getenv("LISTEN_FDS"));
    assert_null(getenv("LISTEN_FDNAMES"));
    return rc;
}

static void test_activation__nothing_for_us__is_0(void **state)
{
    int count = -1;

    (void)state;
    assert_int_equal(take(NULL, NULL, &count), 0);
    assert_int_equal(count, 0);
    assert_int_equal(take("1", "2", &count), 0);
    assert_int_equal(count, 0);
    assert_int_equal(take("self", NULL, &count), 0);
    assert_int_equal(take(NULL, "2", &count), 0);
    assert_int_equal(take("self", "0", &count), 0);
    assert_int_equal(count, 0);
}

static void test_activation__nonsense__is_refused(void **state)
{
    static const char *const fds[] = {"", "-1", "x", "2x", "65", "99999999999999999999"};
    int count = -1;

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(fds); i++)
        assert_int_equal(take("self", fds[i], &count), -EINVAL);
    assert_int_equal(take("me", "1", &count), -EINVAL);
    assert_int_equal(count, -1);
}

/* In a child, whose descriptors 3 and 4 nobody else needs. */
static void test_activation__descriptors__do_not_reach_our_children(void **state)
{
    int status = 1;
    pid_t pid = fork();

    (void)state;
    if (pid == 0) {
        int count = 0;

        if (dup2(STDERR_FILENO, 3) < 0 || dup2(STDERR_FILENO, 4) < 0 || take("self", "2", &count) < 0)
            _exit(1);
        if (count != 2 || !(fcntl(3, F_GETFD) & FD_CLOEXEC) || !(fcntl(4, F_GETFD) & FD_CLOEXEC))
            _exit(2);
        close(4);
        _exit(take("self", "2", &count) == -EBADF ? 0 : 3);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_activation__nothing_for_us__is_0),
        cmocka_unit_test(test_activation__nonsense__is_refused),
        cmocka_unit_test(test_activation__descriptors__do_not_reach_our_children),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
