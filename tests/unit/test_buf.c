/* buf: growth, its maximum, and what taking and dropping leave behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>
#include <cmocka.h>

#include "metergate/base/buf.h"

static void test_buf__text__is_always_followed_by_a_nul(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, BUF_UNLIMITED);
    assert_null(b.p);
    buf_add_str(&b, "held");
    assert_string_equal(b.p, "held");
    buf_add_char(&b, ' ');
    buf_addf(&b, "%d of %s", 3, "5");
    assert_string_equal(b.p, "held 3 of 5");
    buf_drop_head(&b, 5);
    assert_string_equal(b.p, "3 of 5");
    buf_drop_tail(&b, 5);
    assert_string_equal(b.p, "3");
    buf_drop_tail(&b, 0);
    buf_drop_head(&b, 1);
    assert_string_equal(b.p, "");
    buf_add_slice(&b, slice_of(NULL, 0));
    assert_int_equal(b.n, 0);
    buf_reset(&b);
    assert_string_equal(b.p, "");
    buf_release(&b);
    assert_null(b.p);
    buf_add_str(&b, "usable again");
    assert_string_equal(b.p, "usable again");
    buf_release(&b);
}

static void test_buf__what_would_pass_the_maximum__is_refused_whole(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, 10);
    assert_int_equal(buf_append(&b, "12345678", 8), 0);
    assert_int_equal(buf_append(&b, "abc", 3), -E2BIG);
    assert_string_equal(b.p, "12345678");
    assert_int_equal(buf_append(&b, "9", 1), 0);
    assert_int_equal(buf_append(&b, "0", 1), 0);
    assert_int_equal(buf_append(&b, "x", 1), -E2BIG);
    assert_int_equal(buf_append(&b, "", 0), 0);
    assert_int_equal(buf_reserve(&b, (size_t)-1), -E2BIG);
    assert_int_equal(buf_reserve(&b, (size_t)-1 - 10), -E2BIG);
    assert_true(b.cap <= 11);
    buf_release(&b);
    assert_int_equal(buf_append(&b, "12345678901", 11), -E2BIG); /* the maximum outlives the release */
    buf_release(&b);
}

static void test_buf__an_unlimited_one__still_refuses_the_impossible(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, (size_t)-1);
    assert_int_equal(buf_reserve(&b, (size_t)-1), -E2BIG);
    assert_int_equal(buf_reserve(&b, 1), 0);
    buf_release(&b);
}

static void test_buf__growth__is_geometric(void **state)
{
    struct buf b;
    size_t last = 0;
    int moves = 0;

    (void)state;
    buf_init(&b, BUF_UNLIMITED);
    for (int i = 0; i < 100000; i++) {
        buf_add_char(&b, (char)('a' + i % 26));
        moves += b.cap != last;
        last = b.cap;
    }
    assert_true(moves < 30);
    for (int i = 0; i < 100000; i++)
        assert_int_equal(b.p[i], 'a' + i % 26);
    buf_release(&b);
}

static void test_buf__taken_bytes__leave_a_valid_and_empty_buffer(void **state)
{
    struct buf b;
    size_t n = 99;
    char *p;

    (void)state;
    buf_init(&b, 5);
    p = buf_take(&b, &n); /* of nothing: an empty string all the same */
    assert_string_equal(p, "");
    assert_int_equal(n, 0);
    free(p);
    buf_add_str(&b, "abcde");
    p = buf_take(&b, &n);
    assert_string_equal(p, "abcde");
    assert_int_equal(n, 5);
    assert_null(b.p);
    assert_int_equal(buf_append(&b, "123456", 6), -E2BIG);
    assert_int_equal(buf_append(&b, "12345", 5), 0);
    free(p);
    buf_release(&b);
}

static void test_buf__trimmed__keeps_its_bytes_and_grows_again(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, BUF_UNLIMITED);
    buf_trim(&b);
    buf_add_str(&b, "abc");
    assert_int_equal(buf_reserve(&b, 5000), 0);
    buf_trim(&b);
    assert_int_equal(b.cap, 4);
    assert_string_equal(b.p, "abc");
    buf_add_str(&b, "def");
    assert_string_equal(b.p, "abcdef");
    buf_release_secret(&b);
    assert_null(b.p);
    buf_release_secret(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_buf__text__is_always_followed_by_a_nul),
        cmocka_unit_test(test_buf__what_would_pass_the_maximum__is_refused_whole),
        cmocka_unit_test(test_buf__an_unlimited_one__still_refuses_the_impossible),
        cmocka_unit_test(test_buf__growth__is_geometric),
        cmocka_unit_test(test_buf__taken_bytes__leave_a_valid_and_empty_buffer),
        cmocka_unit_test(test_buf__trimmed__keeps_its_bytes_and_grows_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
