/* block: every start that it tells is one that pretoken_end finds, and none before the last is missing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include <string.h>

#include "metergate/base/err.h"
#include "metergate/tokens/block.h"
#include "metergate/tokens/pretoken.h"

#define TEXT_BYTES (BLOCK_BYTES + 40)

/* xorshift64: the same texts on every machine. */
static uint32_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return (uint32_t)(*state >> 16);
}

/* Characters that the patterns treat in different ways, mixed so that every rule meets every other. */
static const char *const alphabets[] = {
    "ab AB",    "a'sSdD tre llvem", "12345678a ", "\n\r \t\v\fa", "(/\n a",
    "'sa1 \n.", "aB/\n \t1.'sre",   "\n/;  x",    "a \n.'",       "abcdefghijklmnopqrstuvwxyz ABC .,'\n/0",
};

/* Character by character, so that the text stays well-formed. */
static void make_text(uint64_t *random, char text[TEXT_BYTES])
{
    static const char *const wide[] = {"\xc3\xa9", "\xc2\xa0", "\xe3\x80\x80", "\xcc\x81", "\xc5\xbf"};
    const char *from = alphabets[next_random(random) % MG_ARRAY_LEN(alphabets)];
    bool is_ascii = next_random(random) % 2;
    size_t at = 0;

    while (at < TEXT_BYTES) {
        const char *w = wide[next_random(random) % MG_ARRAY_LEN(wide)];

        if (!is_ascii && next_random(random) % 40 == 0 && at + strlen(w) <= TEXT_BYTES) {
            while (*w)
                text[at++] = *w++;
        } else {
            text[at++] = from[next_random(random) % strlen(from)];
        }
    }
}

static uint64_t starts_by_pretoken(enum encoding e, const char *text)
{
    const char *p = text;
    uint64_t starts = 0;

    for (;;) {
        p = pretoken_end(e, p, text + TEXT_BYTES);
        if (p >= text + BLOCK_BYTES)
            return starts;
        starts |= UINT64_C(1) << (p - text);
    }
}

/* All bits up to the highest one of `starts`. */
static uint64_t told(uint64_t starts)
{
    return starts ? UINT64_MAX >> __builtin_clzll(starts) : 0;
}

static void test_block__random_texts__starts_are_those_of_pretoken_end(void **state)
{
    block_fn *best = block_best();
    uint64_t random = 42, bits = 0;
    char text[TEXT_BYTES];

    (void)state;
    for (int i = 0; i < 200000; i++) {
        enum encoding e = (enum encoding)(i % ENCODINGS);
        uint64_t starts;

        make_text(&random, text);
        starts = block_plain(e, text);
        if ((starts_by_pretoken(e, text) & told(starts)) != starts)
            fail_msg("%s: %.*s", encoding_name(e), TEXT_BYTES, text);
        if (best)
            assert_true(best(e, text) == starts);
        bits += (uint64_t)__builtin_popcountll(starts);
    }
    assert_true(bits > UINT64_C(200000) * 10);
}

static void test_block__no_start_can_be_told__gives_none(void **state)
{
    char text[BLOCK_BYTES];

    (void)state;
    for (int e = 0; e < ENCODINGS; e++) {
        memset(text, 'a', sizeof text);
        assert_true(block_plain((enum encoding)e, text) == 0);
        memset(text, ' ', sizeof text);
        assert_true(block_plain((enum encoding)e, text) == 0);
        memset(text, 0x80, sizeof text);
        assert_true(block_plain((enum encoding)e, text) == 0);
    }
}

/* Every byte in every place has the class that pretoken gives it: after a letter, and before one. */
static void test_block__each_ascii_byte__has_its_class(void **state)
{
    block_fn *best = block_best();
    char text[TEXT_BYTES];

    (void)state;
    for (int c = 0; c < 128; c++)
        for (int place = 1; place < 20; place++) {
            memset(text, 'x', sizeof text);
            text[place] = (char)c;
            text[30] = ' ';
            for (int e = 0; e < ENCODINGS; e++) {
                uint64_t starts = block_plain((enum encoding)e, text);

                assert_true(starts >> 30);
                assert_true((starts_by_pretoken((enum encoding)e, text) & told(starts)) == starts);
                assert_true(!best || best((enum encoding)e, text) == starts);
            }
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_block__each_ascii_byte__has_its_class),
        cmocka_unit_test(test_block__no_start_can_be_told__gives_none),
        cmocka_unit_test(test_block__random_texts__starts_are_those_of_pretoken_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
