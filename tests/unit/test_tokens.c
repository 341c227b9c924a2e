/* count and feed: the project's own texts, long runs, parts, limits, many threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include <pthread.h>
#include <string.h>

#include "metergate/base/buf.h"
#include "metergate/tokens/count.h"
#include "metergate/tokens/feed.h"

#define VECTORS "tests/unit/data/token_vectors.txt"

/* ---- the file of texts ----------------------------------------------------------------------- */

static void add_character(struct buf *b, uint32_t cp)
{
    if (cp < 0x80) {
        buf_add_char(b, (char)cp);
        return;
    }
    if (cp < 0x800) {
        buf_add_char(b, (char)(0xc0 | cp >> 6));
    } else if (cp < 0x10000) {
        buf_add_char(b, (char)(0xe0 | cp >> 12));
        buf_add_char(b, (char)(0x80 | (cp >> 6 & 63)));
    } else {
        buf_add_char(b, (char)(0xf0 | cp >> 18));
        buf_add_char(b, (char)(0x80 | (cp >> 12 & 63)));
        buf_add_char(b, (char)(0x80 | (cp >> 6 & 63)));
    }
    buf_add_char(b, (char)(0x80 | (cp & 63)));
}

/* One escape behind the backslash; how long it is. */
static size_t add_escape(struct buf *b, const char *p)
{
    size_t digits = *p == 'x' ? 2 : *p == 'u' ? 4 : *p == 'U' ? 8 : 0;
    char hex[9] = "";
    uint32_t value;

    if (digits == 0) {
        buf_add_char(b, *p == 'n' ? '\n' : *p == 'r' ? '\r' : *p == 't' ? '\t' : *p);
        return 1;
    }
    memcpy(hex, p + 1, digits);
    value = (uint32_t)strtoul(hex, NULL, 16);
    if (digits == 2)
        buf_add_char(b, (char)value);
    else
        add_character(b, value);
    return 1 + digits;
}

static void add_text(struct buf *b, const char *notation, unsigned long times)
{
    while (times-- > 0)
        for (const char *p = notation; *p;)
            if (*p == '\\')
                p += 1 + add_escape(b, p + 1);
            else
                buf_add_char(b, *p++);
}

struct vector {
    long want[ENCODINGS];
    unsigned long times;
    char *notation;
};

static int parse(char *line, struct vector *ret)
{
    char *p = line;

    line[strcspn(line, "\n")] = '\0';
    if (*line == '#' || *line == '\0')
        return 0;
    ret->want[ENCODING_O200K] = strtol(p, &p, 10);
    ret->want[ENCODING_CL100K] = strtol(p, &p, 10);
    ret->times = strtoul(p, &p, 10);
    ret->notation = p + 1;
    assert_true(*p == ' ' && ret->times > 0);
    return 1;
}

static void test_tokens_count__own_texts__agree_with_tiktoken(void **state)
{
    FILE *f = fopen(VECTORS, "r");
    char line[4096];
    int texts = 0, wrong = 0;
    struct vector v;

    (void)state;
    assert_non_null(f);
    while (fgets(line, sizeof line, f)) {
        struct buf text;

        if (!parse(line, &v))
            continue;
        texts++;
        buf_init(&text, BUF_UNLIMITED);
        add_text(&text, v.notation, v.times);
        for (int e = 0; e < ENCODINGS; e++) {
            int64_t got = tokens_count((enum encoding)e, text.p, text.n);

            if (got != v.want[e]) {
                print_error("%s: %d, not %ld: %s\n", encoding_name((enum encoding)e), (int)got, v.want[e],
                            v.notation);
                wrong++;
            }
        }
        buf_release(&text);
    }
    (void)fclose(f);
    assert_int_equal(wrong, 0);
    assert_true(texts >= 300);
}

/* ---- long runs ------------------------------------------------------------------------------- */

static void test_tokens_count__a_megabyte_of_one_character__has_the_known_count(void **state)
{
    static const struct {
        const char *character;
        size_t times;
        int64_t want[ENCODINGS];
    } runs[] = {
        {"a", 1000000, {125000, 125000}},           {" ", 1000000, {7813, 7813}},
        {"^", 1000000, {125000, 250000}},           {"\n", 1000000, {62500, 31250}},
        {"\xe7\x9a\x84", 333333, {333333, 333333}}, /* U+7684 */
    };

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(runs); i++) {
        struct buf text;

        buf_init(&text, BUF_UNLIMITED);
        for (size_t j = 0; j < runs[i].times; j++)
            buf_add_str(&text, runs[i].character);
        for (int e = 0; e < ENCODINGS; e++)
            assert_int_equal(tokens_count((enum encoding)e, text.p, text.n), runs[i].want[e]);
        buf_release(&text);
    }
}

static void test_tokens_count__no_text__is_no_tokens(void **state)
{
    (void)state;
    assert_int_equal(tokens_count(ENCODING_O200K, NULL, 0), 0);
    assert_int_equal(tokens_count(ENCODING_CL100K, "x", 0), 0);
}

/* The text ends where its memory does, at every length: the sanitizer sees what is read behind it. */
static void test_tokens_count__text_at_the_end_of_memory__is_not_read_past(void **state)
{
    static const char text[] = "I'd've wa\xc3\xaft\xe4\xb8\xad\xf0\x9f\x98\x80  123's\r\n/x \xff ";

    (void)state;
    for (size_t n = 1; n < sizeof text; n++) {
        char *copy = malloc(n);

        assert_non_null(copy);
        memcpy(copy, text, n);
        for (int e = 0; e < ENCODINGS; e++) {
            int64_t tokens = tokens_count((enum encoding)e, copy, n);

            assert_true(tokens > 0 && (size_t)tokens <= 3 * n);
        }
        free(copy);
    }
}

/* ---- in parts, and up to a limit --------------------------------------------------------------- */

static uint32_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return (uint32_t)(*state >> 16);
}

static int64_t count_in_parts(enum encoding e, const struct buf *text, size_t longest, uint64_t *random)
{
    struct tokens_feed f;

    feed_init(&f, e, INT64_MAX);
    for (size_t at = 0; at < text->n;) {
        size_t n = 1 + next_random(random) % longest;

        n = n < text->n - at ? n : text->n - at;
        feed_add(&f, text->p + at, n);
        at += n;
    }
    return feed_finish(&f);
}

/* What makes a piece depend on what is far behind it. */
static const char *const parts[] = {
    "word ", "don't",  " \n\n",        "    ",     "\t",  "\xe4\xb8\xad\xe6\x96\x87", "AAAAAAAA", "a",
    "123",   "\xff",   "\xf0\x9f\x98\x80", "\xe4\xb8", ")\n/", "\xe3\x80\x80",         "'",        "s",
};

static void test_feed__text_cut_anywhere__counts_as_the_whole(void **state)
{
    static const size_t longest[] = {1, 3, 70, 5000, 100000};
    uint64_t random = 5;

    (void)state;
    for (int round = 0; round < 60; round++) {
        size_t few = 1 + next_random(&random) % MG_ARRAY_LEN(parts);
        struct buf text;

        buf_init(&text, BUF_UNLIMITED);
        while (text.n < 20000)
            buf_add_str(&text, parts[next_random(&random) % few]);
        for (int e = 0; e < ENCODINGS; e++) {
            int64_t want = tokens_count((enum encoding)e, text.p, text.n);

            for (size_t i = 0; i < MG_ARRAY_LEN(longest); i++)
                assert_int_equal(count_in_parts((enum encoding)e, &text, longest[i], &random), want);
        }
        buf_release(&text);
    }
}

/* What small letter comes behind so many capitals decides where the word before them ends. */
static void test_feed__a_piece_that_a_far_letter_decides__waits_for_it(void **state)
{
    struct buf text;
    uint64_t random = 6;

    (void)state;
    for (int small = 0; small < 2; small++) {
        buf_init(&text, BUF_UNLIMITED);
        buf_add_str(&text, "\xe4\xb8\xad");
        for (int i = 0; i < 10000; i++)
            buf_add_char(&text, 'A');
        buf_add_str(&text, small ? "a " : ". ");
        assert_int_equal(count_in_parts(ENCODING_O200K, &text, 100, &random),
                         tokens_count(ENCODING_O200K, text.p, text.n));
        buf_release(&text);
    }
}

static void test_tokens_count_until__a_limit__is_passed_soon_and_never_wrongly(void **state)
{
    struct buf text;

    (void)state;
    buf_init(&text, BUF_UNLIMITED);
    for (int i = 0; i < 100000; i++)
        buf_add_str(&text, " word");
    for (int bad = 0; bad < 2; bad++) {
        int64_t all = tokens_count(ENCODING_O200K, text.p, text.n);
        int64_t some = tokens_count_until(ENCODING_O200K, text.p, text.n, 1000);

        assert_true(some > 1000 && some < 10000);
        assert_int_equal(tokens_count_until(ENCODING_O200K, text.p, text.n, all), all);
        buf_add_str(&text, "\xff");
    }
    buf_release(&text);
}

/* ---- threads --------------------------------------------------------------------------------- */

static const char prose[] =
    "Every thread keeps its own table of pieces, so that no two of them ever wait for each other.";

static void *count_often(void *arg)
{
    int64_t *sum = arg;

    for (int i = 0; i < 200; i++)
        for (int e = 0; e < ENCODINGS; e++)
            *sum += tokens_count((enum encoding)e, prose, sizeof prose - 1);
    return NULL;
}

static void test_tokens_count__many_threads__count_alike(void **state)
{
    pthread_t thread[8];
    int64_t sum[9] = {0};

    (void)state;
    for (int i = 0; i < 8; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, count_often, &sum[i]), 0);
    (void)count_often(&sum[8]);
    for (int i = 0; i < 8; i++)
        assert_int_equal(pthread_join(thread[i], NULL), 0);
    assert_true(sum[8] > 0);
    for (int i = 0; i < 8; i++)
        assert_int_equal(sum[i], sum[8]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tokens_count__no_text__is_no_tokens),
        cmocka_unit_test(test_tokens_count__own_texts__agree_with_tiktoken),
        cmocka_unit_test(test_tokens_count__text_at_the_end_of_memory__is_not_read_past),
        cmocka_unit_test(test_tokens_count__a_megabyte_of_one_character__has_the_known_count),
        cmocka_unit_test(test_tokens_count__many_threads__count_alike),
        cmocka_unit_test(test_feed__text_cut_anywhere__counts_as_the_whole),
        cmocka_unit_test(test_feed__a_piece_that_a_far_letter_decides__waits_for_it),
        cmocka_unit_test(test_tokens_count_until__a_limit__is_passed_soon_and_never_wrongly),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
