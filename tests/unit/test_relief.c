/* relief: that a crowd's memory goes back to the system, and that nothing is done where there was no crowd. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "metergate/base/clock.h"
#include "metergate/net/relief.h"

#define MIB (INT64_C(1) << 20)

static long resident_pages(void)
{
    FILE *f = fopen("/proc/self/statm", "re");
    char line[128];
    char *at;

    assert_non_null(f);
    assert_non_null(fgets(line, sizeof line, f));
    fclose(f);
    (void)strtol(line, &at, 10);
    return strtol(at, NULL, 10);
}

static void test_relief__after_a_crowd__memory_between_living_blocks_is_given_back(void **state)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    (void)state;
    skip(); /* its own allocator */
#else
    enum { BLOCKS = 4000, BYTES = 16000 };
    static char *blocks[BLOCKS];
    struct loop *l = loop_new();
    struct relief r = {0};
    long full;

    (void)state;
    for (int i = 0; i < BLOCKS; i++) {
        blocks[i] = malloc(BYTES);
        assert_non_null(blocks[i]);
        memset(blocks[i], 1, BYTES);
        relief_look(&r, l, (int64_t)i * BYTES);
    }
    for (int i = 0; i < BLOCKS; i++) {
        if (i % 10 == 0) /* one in ten stays: nothing is left at the top of the heap to be cut off */
            continue;
        free(blocks[i]);
    }
    full = resident_pages();
    relief_look(&r, l, MIB);
    while (loop_timer_is_set(&r.timer))
        loop_turn(l, CLOCK_NEVER);
    assert_true(full - resident_pages() > (long)(BLOCKS * (int64_t)BYTES / 4096 / 2));
    for (int i = 0; i < BLOCKS; i += 10)
        free(blocks[i]);
    loop_free(l);
#endif
}

static void test_relief__small_or_lasting_use__is_left_alone(void **state)
{
    struct loop *l = loop_new();
    struct relief r = {0};

    (void)state;
    relief_look(&r, l, 15 * MIB);
    relief_look(&r, l, 0); /* too few to notice */
    assert_false(loop_timer_is_set(&r.timer));
    relief_look(&r, l, 100 * MIB);
    relief_look(&r, l, 60 * MIB); /* most are still there */
    assert_false(loop_timer_is_set(&r.timer));
    relief_look(&r, l, 40 * MIB);
    assert_true(loop_timer_is_set(&r.timer));
    relief_stop(&r, l);
    loop_free(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_relief__after_a_crowd__memory_between_living_blocks_is_given_back),
        cmocka_unit_test(test_relief__small_or_lasting_use__is_left_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
