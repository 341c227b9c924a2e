/* spare: what is kept back is given back once, and taken back when there is room for it; all that may allocate uses it. */
#include <errno.h>
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "metergate/base/buf.h"
#include "metergate/base/self.h"
#include "metergate/base/spare.h"

#define MIB ((size_t)1 << 20)

static void limit_to(rlim_t bytes)
{
    struct rlimit lim = {0, 0};

    assert_int_equal(getrlimit(RLIMIT_AS, &lim), 0);
    lim.rlim_cur = bytes;
    assert_int_equal(setrlimit(RLIMIT_AS, &lim), 0);
}

/* No new page from now on; what the process has it may use. */
static void no_more_memory(void)
{
    struct self_figures f;

    self_read(&f);
    assert_true(f.virtual_bytes > 0);
    limit_to((rlim_t)f.virtual_bytes);
}

static void memory_again(void)
{
    limit_to(RLIM_INFINITY);
}

/* Blocks that are mapped each by itself, so that what is free in the heap does not count. */
#define BLOCK ((size_t)512 << 10)

static void test_spare__an_allocation_fails__it_is_given_back_and_the_allocation_succeeds(void **state)
{
    int64_t before = spare_uses();
    void *p;

    (void)state;
    assert_true(spare_keep(8 * MIB));
    assert_false(spare_is_gone());
    no_more_memory();
    p = xmalloc(BLOCK);
    memory_again();
    assert_true(spare_is_gone());
    assert_int_equal(spare_uses(), before + 1);
    free(p);
    assert_true(spare_retake());
    assert_false(spare_is_gone());
    assert_int_equal(spare_uses(), before + 1);
}

static void test_spare__there_is_still_none__it_is_not_taken_back(void **state)
{
    void *p;

    (void)state;
    assert_true(spare_keep(8 * MIB));
    no_more_memory();
    p = xmalloc(BLOCK);
    assert_false(spare_retake());
    assert_true(spare_is_gone());
    memory_again();
    free(p);
    assert_true(spare_retake());
}

static void test_spare__a_peers_big_block__fails_alone(void **state)
{
    struct buf b;

    (void)state;
    assert_true(spare_keep(8 * MIB));
    no_more_memory();
    buf_init(&b, BUF_UNLIMITED);
    assert_int_equal(buf_reserve(&b, 4 * MIB), -ENOMEM);
    memory_again();
    assert_false(spare_is_gone());
    assert_true(spare_refusals() > 0);
    buf_release(&b);
}

static void test_spare__text_of_our_own__is_had_with_its_help(void **state)
{
    struct buf b;

    (void)state;
    assert_true(spare_keep(8 * MIB));
    no_more_memory();
    buf_init(&b, BUF_UNLIMITED);
    buf_need(&b, BLOCK);
    memory_again();
    assert_true(spare_is_gone());
    buf_release(&b);
    assert_true(spare_retake());
}

static void test_spare__it_is_gone_already__asks_again_for_a_while_and_gives_up(void **state)
{
    unsigned attempts = 0;

    (void)state;
    assert_true(spare_keep(MIB));
    assert_true(spare_again(0));
    assert_true(spare_is_gone());
    while (spare_again(attempts))
        attempts++;
    assert_true(attempts > 1 && attempts < 1000);
    assert_true(spare_retake());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_spare__an_allocation_fails__it_is_given_back_and_the_allocation_succeeds),
        cmocka_unit_test(test_spare__there_is_still_none__it_is_not_taken_back),
        cmocka_unit_test(test_spare__a_peers_big_block__fails_alone),
        cmocka_unit_test(test_spare__text_of_our_own__is_had_with_its_help),
        cmocka_unit_test(test_spare__it_is_gone_already__asks_again_for_a_while_and_gives_up),
    };

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    (void)tests;
    printf("a sanitizer's malloc knows no limit of the process\n");
    return 77;
#else
    (void)mallopt(M_MMAP_THRESHOLD, 128 << 10); /* each block is a mapping, whatever was freed before */
    return cmocka_run_group_tests(tests, NULL, NULL);
#endif
}
