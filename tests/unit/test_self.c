/* self: the figures move as what they are about does. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>
#include <cmocka.h>

#include "metergate/base/self.h"

static void test_self__descriptors_that_are_opened__are_counted(void **state)
{
    struct self_figures before, after;
    struct rlimit files;
    int fds[20];

    (void)state;
    self_read(&before);
    for (int i = 0; i < 20; i++) {
        fds[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
        assert_true(fds[i] >= 0);
    }
    self_read(&after);
    assert_int_equal(after.descriptors - before.descriptors, 20);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
    if (files.rlim_cur != RLIM_INFINITY)
        assert_int_equal(after.descriptors_max, (int64_t)files.rlim_cur);
    for (int i = 0; i < 20; i++)
        close(fds[i]);
}

/* The name stands in the middle of the kernel's line, brackets and all. */
static void test_self__memory_that_is_used__is_resident_whatever_the_programs_name(void **state)
{
    enum { BYTES = 32 << 20 };
    struct self_figures before, after;
    char *p;

    (void)state;
    assert_int_equal(prctl(PR_SET_NAME, "a) R 1 2 (b", 0, 0, 0), 0);
    self_read(&before);
    assert_true(before.resident_bytes > 0);
    assert_true(before.virtual_bytes >= before.resident_bytes);
    assert_true(before.threads >= 1);
    p = malloc(BYTES);
    assert_non_null(p);
    memset(p, 1, BYTES);
    self_read(&after);
    assert_true(after.resident_bytes - before.resident_bytes > BYTES / 2);
    assert_true(after.cpu_us > before.cpu_us);
    free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_self__descriptors_that_are_opened__are_counted),
        cmocka_unit_test(test_self__memory_that_is_used__is_resident_whatever_the_programs_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
