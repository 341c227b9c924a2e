/* plain: what is shown of somebody else's text, and how wide that is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "metergate/base/plain.h"
#include "metergate/base/prng.h"

static void assert_plain(struct slice in, const char *want)
{
    struct buf out;

    buf_init(&out, BUF_UNLIMITED);
    buf_add_char(&out, '<');
    plain_add(&out, in);
    if (strlen(want) != out.n - 1 || memcmp(out.p + 1, want, out.n - 1) != 0)
        fail_msg("%.*s: %s, not %s", (int)in.n, in.p, out.p + 1, want);
    buf_release(&out);
}

static void test_plain__text_that_does_something__is_only_seen(void **state)
{
    const struct {
        struct slice in;
        const char *want;
    } rows[] = {
        {{NULL, 0}, ""},
        {SLICE("gpt-4o \xc3\xa4 \xe6\xb0\xb4 \xf0\x9f\x98\x80"), "gpt-4o \xc3\xa4 \xe6\xb0\xb4 \xf0\x9f\x98\x80"},
        {SLICE("\x1b[31mred\x1b[0m"), "?[31mred?[0m"},
        {SLICE("a\0b\nc\rd\te\x7f"), "a?b?c?d?e?"},
        {SLICE("\xc2\x9b" "31m\xc2\x90q\xc2\x9c"), "?31m?q?"}, /* the same of eight bits */
        {SLICE("\x9b" "31m"), "?31m"},
        {SLICE("invoice\xe2\x80\xae" "fdp.exe"), "invoice?fdp.exe"},       /* from right to left */
        {SLICE("a\xe2\x80\xa8" "b\xe2\x80\x8b" "c\xef\xbb\xbf"), "a?b?c?"}, /* a line, nothing, nothing */
        {SLICE("\xc3"), "?"},
        {SLICE("\xc0\x9b\xed\xa0\x80"), "?????"},
        {SLICE("\xf3\xa0\x81\x81"), "?"},
    };

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++)
        assert_plain(rows[i].in, rows[i].want);
}

static void test_plain__width__is_that_of_the_places(void **state)
{
    const struct {
        struct slice text;
        size_t width, fit_3;
    } rows[] = {
        {{NULL, 0}, 0, 0},
        {SLICE("abcd"), 4, 3},
        {SLICE("\xe6\xb0\xb4\xe6\xb0\xb4"), 4, 3},
        {SLICE("e\xcc\x81" "bcd"), 4, 5},
        {SLICE("\xf0\x9f\x98\x80" "ab"), 4, 5},
        {SLICE("ab\xf0\x9f\x98\x80"), 4, 2},
        {SLICE("\xff\xff"), 2, 2},
    };

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++) {
        assert_int_equal(plain_width(rows[i].text), rows[i].width);
        assert_int_equal(plain_fit(rows[i].text, 3), rows[i].fit_3);
    }
}

/* Whatever comes in: well-formed, without controls, never longer, and the same when it goes through again. */
static void test_plain__any_bytes__become_safe_and_stay_so(void **state)
{
    struct prng random = {7};

    (void)state;
    for (int round = 0; round < 20000; round++) {
        char in[24];
        struct buf once, twice;
        size_t n = 1 + (size_t)prng_below(&random, sizeof in);

        for (size_t i = 0; i < n; i++)
            in[i] = (char)(prng_below(&random, 2) ? prng_below(&random, 256) : 0x80 + prng_below(&random, 64));
        buf_init(&once, BUF_UNLIMITED);
        buf_init(&twice, BUF_UNLIMITED);
        plain_add(&once, slice_of(in, n));
        plain_add(&twice, buf_slice(&once));
        assert_in_range(once.n, 1, n);
        assert_int_equal(once.n, twice.n);
        assert_memory_equal(once.p, twice.p, once.n);
        for (size_t i = 0; i < once.n;) {
            size_t k = slice_utf8(slice_of(once.p + i, once.n - i));

            assert_in_range(k, 1, 4);
            assert_true((unsigned char)once.p[i] >= ' ' && once.p[i] != 0x7f);
            assert_false(k == 2 && (unsigned char)once.p[i] == 0xc2 && (unsigned char)once.p[i + 1] < 0xa0);
            i += k;
        }
        buf_release(&once);
        buf_release(&twice);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain__text_that_does_something__is_only_seen),
        cmocka_unit_test(test_plain__width__is_that_of_the_places),
        cmocka_unit_test(test_plain__any_bytes__become_safe_and_stay_so),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
