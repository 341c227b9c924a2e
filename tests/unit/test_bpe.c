/* bpe: the fast ways against the definition, and against the clock that cannot lie: the work that they say
 * they did. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include <string.h>

#include "../naive_bpe.h"
#include "metergate/base/err.h"

/* xorshift64: the same texts on every machine. */
static uint32_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return (uint32_t)(*state >> 16);
}

static const char *const alphabets[] = {
    "ab", "aA",         "the ",  "abcdefghijklmnopqrstuvwxyz", "ETAOIN etaoin",
    "=-", "0123456789", "\n \t", "\xe4\xb8\xad\xe6\x96\x87",   "\xf0\x9f\x98\x80\xe2\x80\x8d"};

static size_t random_piece(uint64_t *state, char *to, size_t max)
{
    const char *alphabet = alphabets[next_random(state) % MG_ARRAY_LEN(alphabets)];
    size_t n = 1 + next_random(state) % max;

    for (size_t i = 0; i < n; i++)
        to[i] = alphabet[next_random(state) % strlen(alphabet)];
    return n;
}

static void test_bpe_count__short_random_pieces__agree_with_the_definition(void **state)
{
    static struct bpe_memo memo;
    uint64_t random = 7;
    char piece[48];

    (void)state;
    for (int e = 0; e < ENCODINGS; e++) {
        struct bpe_tables t = tables_of((enum encoding)e);

        memset(&memo, 0, sizeof memo);
        for (int i = 0; i < 2000; i++) {
            size_t n = random_piece(&random, piece, sizeof piece);
            int64_t want = naive_bpe_count(&t, piece, n);

            assert_int_equal(bpe_count(&t, NULL, piece, n).tokens, want);
            assert_int_equal(bpe_count(&t, &memo, piece, n).tokens, want);
            assert_int_equal(bpe_count_all(&t, piece, n).tokens, want);
            assert_int_equal(bpe_count_back(&t, &memo, piece, n, 0).tokens, want);
        }
    }
}

static void test_bpe_count__long_random_pieces__agree_both_ways(void **state)
{
    static struct bpe_memo memo;
    static char piece[20000];
    uint64_t random = 11;

    (void)state;
    for (int e = 0; e < ENCODINGS; e++) {
        struct bpe_tables t = tables_of((enum encoding)e);

        memset(&memo, 0, sizeof memo);
        for (int i = 0; i < 20; i++) {
            size_t n = random_piece(&random, piece, sizeof piece);
            int64_t want = bpe_count_all(&t, piece, n).tokens;

            assert_int_equal(bpe_count(&t, &memo, piece, n).tokens, want);
            assert_int_equal(bpe_count_back(&t, NULL, piece, n, 8).tokens, want);
        }
    }
}

static void test_bpe_count__no_bytes__is_no_tokens(void **state)
{
    struct bpe_tables t = tables_of(ENCODING_O200K);

    (void)state;
    assert_int_equal(bpe_count(&t, NULL, "", 0).tokens, 0);
    assert_int_equal(bpe_count_all(&t, "", 0).tokens, 0);
    assert_int_equal(bpe_rank(&t, "", 0), BPE_NONE);
}

/* Pieces that defeat naive merging, or that make the greedy way step back a lot: 250 KB, then 1 MB. */
static void fill(char *text, size_t n, int kind)
{
    static const char *const repeated[] = {
        "a", " ", "^", "=-", "ab", "aab", "antidisestablishmentarianis", "\xe7\x9a\x84"};
    uint64_t random = 3;

    if (kind == (int)MG_ARRAY_LEN(repeated))
        for (size_t i = 0; i < n; i++)
            text[i] = (char)('a' + next_random(&random) % 26);
    else
        for (size_t i = 0; i < n; i++)
            text[i] = repeated[kind][i % strlen(repeated[kind])];
}

#define KINDS 9

static void test_bpe_count__four_times_the_text__is_four_times_the_work(void **state)
{
    const size_t small = 250000, large = 1000000;
    char *text = malloc(large);

    (void)state;
    assert_non_null(text);
    for (int e = 0; e < ENCODINGS; e++) {
        struct bpe_tables t = tables_of((enum encoding)e);

        for (int kind = 0; kind < KINDS; kind++) {
            struct bpe_count some, all;

            fill(text, large, kind);
            some = bpe_count(&t, NULL, text, small);
            all = bpe_count(&t, NULL, text, large);
            assert_true(all.steps < some.steps * 4 + some.steps / 10);
            assert_true(all.steps < large * 32);
        }
    }
    free(text);
}

static void test_bpe_count_all__four_times_the_text__is_four_times_the_work(void **state)
{
    const size_t small = 10000, large = 40000;
    char *text = malloc(large);

    (void)state;
    assert_non_null(text);
    for (int e = 0; e < ENCODINGS; e++) {
        struct bpe_tables t = tables_of((enum encoding)e);

        for (int kind = 0; kind < KINDS; kind++) {
            uint64_t some;

            fill(text, large, kind);
            some = bpe_count_all(&t, text, small).steps;
            assert_true(bpe_count_all(&t, text, large).steps < some * 4 + some / 10);
        }
    }
    free(text);
}

static void test_bpe_neighbours__a_pair_that_would_merge__is_refused(void **state)
{
    struct bpe_tables t = tables_of(ENCODING_O200K);
    uint32_t th = bpe_rank(&t, "th", 2), e = bpe_rank(&t, "e", 1), x = bpe_rank(&t, "x", 1);
    uint64_t steps = 0;

    (void)state;
    assert_int_not_equal(bpe_rank(&t, "the", 3), BPE_NONE);
    assert_false(bpe_neighbours(&t, th, e, &steps));
    assert_true(bpe_neighbours(&t, x, x, &steps) == (naive_bpe_count(&t, "xx", 2) == 2));
    assert_true(steps >= 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bpe_neighbours__a_pair_that_would_merge__is_refused),
        cmocka_unit_test(test_bpe_count__no_bytes__is_no_tokens),
        cmocka_unit_test(test_bpe_count__short_random_pieces__agree_with_the_definition),
        cmocka_unit_test(test_bpe_count__long_random_pieces__agree_both_ways),
        cmocka_unit_test(test_bpe_count__four_times_the_text__is_four_times_the_work),
        cmocka_unit_test(test_bpe_count_all__four_times_the_text__is_four_times_the_work),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
