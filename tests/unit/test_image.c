/* image, image_size, sound, base64: the published examples, every format cut at every byte, and sizes that
 * nobody should believe. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include <string.h>

#include "metergate/base/buf.h"
#include "metergate/base/err.h"
#include "metergate/tokens/base64.h"
#include "metergate/tokens/image.h"
#include "metergate/tokens/sound.h"

/* ---- prices ---- */

static void test_image_tokens__published_examples__agree(void **state)
{
    static const struct {
        const char *model;
        uint32_t w, h;
        enum image_detail detail;
        int64_t want;
    } rows[] = {
        /* OpenAI, guide "Images and vision": tiles */
        {"gpt-4o", 1024, 1024, IMAGE_HIGH, 765},
        {"gpt-4o", 2048, 4096, IMAGE_HIGH, 1105},
        {"gpt-4o-2024-08-06", 4096, 8192, IMAGE_AUTO, 1105},
        {"gpt-4o", 4096, 8192, IMAGE_LOW, 85},
        {"ft:gpt-4o:org::id", 1024, 1024, IMAGE_AUTO, 765},
        {"gpt-4.1", 512, 512, IMAGE_AUTO, 255},
        {"gpt-4o-mini", 512, 512, IMAGE_AUTO, 2833 + 5667},
        {"gpt-4o-mini", 1, 1, IMAGE_LOW, 2833},
        {"gpt-5", 1024, 1024, IMAGE_AUTO, 70 + 4 * 140},
        {"gpt-5-chat-latest", 1024, 1024, IMAGE_AUTO, 70 + 4 * 140},
        {"o3", 1024, 1024, IMAGE_AUTO, 75 + 4 * 150},
        {"computer-use-preview", 1024, 1024, IMAGE_AUTO, 65 + 4 * 129},
        /* patches: 1024 of them; 1800 x 2400 becomes 33 x 44 */
        {"gpt-4.1-mini", 1024, 1024, IMAGE_AUTO, 1659},
        {"gpt-4.1-mini", 1800, 2400, IMAGE_AUTO, 2353},
        {"gpt-5.2", 1800, 2400, IMAGE_HIGH, 1452},
        {"gpt-4.1-nano", 1024, 1024, IMAGE_AUTO, 2520},
        {"o4-mini", 1024, 1024, IMAGE_AUTO, 1762},
        {"gpt-5-mini", 1024, 1024, IMAGE_AUTO, 1659},
        {"gpt-5.4", 1024, 1024, IMAGE_HIGH, 1024},
        {"gpt-5.4", 2048, 2048, IMAGE_HIGH, 2500},
        {"gpt-5.4", 3200, 3200, IMAGE_ORIGINAL, 10000},
        {"gpt-5.4-mini", 1024, 1024, IMAGE_AUTO, 1659},
        {"gpt-5.5", 1024, 1024, IMAGE_HIGH, 1229},
        {"gpt-6-astra", 1024, 1024, IMAGE_AUTO, 1229},
        {"gpt-6-astra", 2048, 2048, IMAGE_HIGH, 3000},
        {"gpt-6-astra", 2048, 2048, IMAGE_AUTO, 4916},
        {"gpt-6-astra", 2048, 2048, IMAGE_LOW, 308},
        {"gpt-6-astra", 60000, 60000, IMAGE_AUTO, 35915},
        /* Anthropic, vision */
        {"claude-sonnet-4-5", 1000, 1000, IMAGE_AUTO, 1296},
        {"claude-sonnet-4-5", 1920, 1080, IMAGE_AUTO, 1560},
        {"claude-opus-4-8", 1920, 1080, IMAGE_AUTO, 2691},
        {"claude-opus-4-8", 1000, 1000, IMAGE_AUTO, 1296},
        {"anthropic/claude-opus-4-8", 1920, 1080, IMAGE_AUTO, 2691},
        /* Google, token counting; media resolution */
        {"gemini-2.5-flash", 384, 384, IMAGE_AUTO, 258},
        {"gemini-2.5-flash", 385, 384, IMAGE_AUTO, 258},
        {"gemini-2.5-flash", 1536, 768, IMAGE_AUTO, 516},
        {"gemini-3-pro", 4000, 3000, IMAGE_AUTO, 1120},
        /* of unknown size: the most */
        {"gpt-4o", 0, 0, IMAGE_AUTO, 1445},
        {"gpt-4o", 0, 0, IMAGE_LOW, 85},
        {"gpt-4.1-mini", 0, 0, IMAGE_AUTO, 2489},
        {"gpt-6-astra", 0, 0, IMAGE_AUTO, 3000},
        {"claude-3-5-sonnet-latest", 0, 0, IMAGE_AUTO, 1568},
        {"claude-opus-5", 0, 0, IMAGE_AUTO, 4784},
        {"gemini-2.0-flash", 0, 0, IMAGE_AUTO, 1032},
        {"llava", 0, 0, IMAGE_AUTO, 4784},
    };

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++) {
        int64_t got =
            image_tokens(slice_str(rows[i].model), (struct image_size){rows[i].w, rows[i].h}, rows[i].detail);

        if (got != rows[i].want)
            fail_msg("%s %u x %u, detail %d: %d, not %d", rows[i].model, rows[i].w, rows[i].h,
                     (int)rows[i].detail, (int)got, (int)rows[i].want);
    }
}

/* No side is too long, too short or too odd to be priced, and no price is above what a provider takes. */
static void test_image_tokens__any_size__has_a_price_within_bounds(void **state)
{
    static const uint32_t sides[] = {1,   2,    31,   32,   33,   383,   511,      513,
                                     767, 1567, 2047, 2049, 6001, 65535, 1u << 31, UINT32_MAX};
    static const char *const models[] = {"gpt-4o",      "gpt-4.1-mini",      "gpt-5.4",
                                         "gpt-6-astra", "claude-sonnet-4-5", "claude-opus-4-8"};
    static const int64_t most[] = {1445, 2489, 10000, 36000, 1568, 4784};

    (void)state;
    for (size_t m = 0; m < MG_ARRAY_LEN(models); m++)
        for (size_t w = 0; w < MG_ARRAY_LEN(sides); w++)
            for (size_t h = 0; h < MG_ARRAY_LEN(sides); h++)
                for (int d = IMAGE_AUTO; d <= IMAGE_ORIGINAL; d++) {
                    int64_t got = image_tokens(slice_str(models[m]), (struct image_size){sides[w], sides[h]},
                                               (enum image_detail)d);

                    if (got < 1 || got > most[m])
                        fail_msg("%s %u x %u, detail %d: %d", models[m], sides[w], sides[h], d, (int)got);
                }
}

/* ---- sizes ---- */

#define S(lit)                                                                                               \
    {                                                                                                        \
        "" lit, sizeof(lit) - 1                                                                              \
    }

static const struct file {
    struct slice head;
    uint32_t w, h;
    size_t needs; /* bytes */
} files[] = {
    {S("\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\x04\0\0\0\x03\0\x08\x06"), 1024, 768, 24},
    {S("GIF89a\x40\x01\xf0\0\xf7"), 320, 240, 10},
    {S("GIF87a\x01\0\x02\0"), 1, 2, 10},
    {S("RIFF\0\0\0\0WEBPVP8 \0\0\0\0\x30\x01\0\x9d\x01\x2a\x20\x43\x10\x41"), 800, 272, 30},
    {S("RIFF\0\0\0\0WEBPVP8L\0\0\0\0\x2f\xff\xc2\x95\0"), 768, 600, 25},
    {S("RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0\xff\x0f\0\xff\x07\0"), 4096, 2048, 30},
    /* APP0, a DHT that is no frame, fill bytes, SOF2 */
    {S("\xff\xd8\xff\xe0\0\x04JF\xff\xc4\0\x03x\xff\xff\xc2\0\x11\x08\x01\xe0\x02\x80\x03"), 640, 480, 23},
};

static void encode(struct slice data, struct buf *out)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    for (size_t i = 0; i < data.n; i += 3) {
        uint32_t bits = 0;

        for (size_t j = 0; j < 3; j++)
            bits = bits << 8 | (i + j < data.n ? (unsigned char)data.p[i + j] : 0);
        for (size_t j = 0; j < 4; j++)
            buf_add_char(out, j <= data.n - i ? digits[bits >> (18 - 6 * j) & 63] : '=');
    }
}

/* Its first n bytes, in memory of just that size. */
static struct image_size size_of_head(const struct file *f, size_t n)
{
    char *copy = malloc(n ? n : 1);
    struct image_size size;

    assert_non_null(copy);
    if (n)
        memcpy(copy, f->head.p, n);
    size = image_size_of(slice_of(copy, n));
    free(copy);
    return size;
}

static void test_image_size__each_format_cut_at_each_byte__is_read_or_unknown(void **state)
{
    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(files); i++)
        for (size_t n = 0; n <= files[i].head.n; n++) {
            struct image_size size = size_of_head(&files[i], n);

            if (size.width != (n >= files[i].needs ? files[i].w : 0) ||
                size.height != (n >= files[i].needs ? files[i].h : 0))
                fail_msg("file %d, %d bytes: %u x %u", (int)i, (int)n, size.width, size.height);
        }
}

static void test_image_size_in_text__base64_in_any_dress__is_read(void **state)
{
    static const char *const prefixes[] = {"", "data:image/png;base64,", "data:;base64,"};

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(files); i++)
        for (size_t p = 0; p < MG_ARRAY_LEN(prefixes); p++)
            for (int dress = 0; dress < 2; dress++) {
                struct buf plain, text;
                struct image_size size;

                buf_init(&plain, BUF_UNLIMITED);
                buf_init(&text, BUF_UNLIMITED);
                encode(files[i].head, &plain);
                buf_add_str(&text, prefixes[p]);
                for (size_t j = 0; j < plain.n; j++) {
                    if (dress == 1 && plain.p[j] == '/')
                        buf_add_char(&text, '\\');
                    buf_add_char(&text, plain.p[j]);
                }
                size = image_size_in_text(buf_slice(&text));
                if (size.width != files[i].w || size.height != files[i].h)
                    fail_msg("file %d %s: %u x %u", (int)i, text.p, size.width, size.height);
                buf_release(&plain);
                buf_release(&text);
            }
}

/* A camera's JPEG: tens of kilobytes of metadata before the size. */
static void test_image_size_in_text__jpeg_with_much_before_it__is_walked_through(void **state)
{
    static const char frame[] = "\xff\xc0\0\x11\x08\x0b\xb8\x0f\xa0\x03";
    struct buf file, text;

    (void)state;
    for (int escaped = 0; escaped < 2; escaped++) {
        struct image_size size;

        buf_init(&file, BUF_UNLIMITED);
        buf_init(&text, BUF_UNLIMITED);
        buf_add(&file, "\xff\xd8", 2);
        for (int i = 0; i < (escaped ? 1 : 5); i++) {
            buf_add(&file, "\xff\xe1\xea\x60", 4); /* 60,000 */
            for (int j = 0; j < 59998; j++)
                buf_add_char(&file, (char)(j * 31));
        }
        buf_add(&file, frame, sizeof frame - 1);
        encode(buf_slice(&file), &text);
        if (escaped) { /* as PHP writes it */
            struct buf with;

            buf_init(&with, BUF_UNLIMITED);
            for (size_t i = 0; i < text.n; i++) {
                if (text.p[i] == '/')
                    buf_add_char(&with, '\\');
                buf_add_char(&with, text.p[i]);
            }
            size = image_size_in_text(buf_slice(&with));
            buf_release(&with);
        } else {
            size = image_size_in_text(buf_slice(&text));
        }
        assert_int_equal(size.width, 4000);
        assert_int_equal(size.height, 3000);
        buf_release(&file);
        buf_release(&text);
    }
}

static void test_image_size__hostile_files__are_unknown_soon(void **state)
{
    struct buf text;

    (void)state;
    buf_init(&text, BUF_UNLIMITED);
    buf_add_str(&text, "/9j/"); /* ff d8 ff */
    for (int i = 0; i < 3000000; i++)
        buf_add_char(&text, '/');
    assert_int_equal(image_size_in_text(buf_slice(&text)).width, 0);
    buf_reset(&text);
    buf_add_str(&text, "/9j/");
    for (int i = 0; i < 3000000; i++)
        buf_add_char(&text, ' ');
    assert_int_equal(image_size_in_text(buf_slice(&text)).width, 0);
    assert_int_equal(image_size_in_text(SLICE("https://example.com/cat.png")).width, 0);
    assert_int_equal(image_size_in_text(SLICE("data:")).width, 0);
    assert_int_equal(image_size_in_text(SLICE("")).width, 0);
    assert_int_equal(image_size_of(SLICE("\xff\xd8\xff\xc0\0\x11\x08\0\0\0\0")).width, 0);
    buf_release(&text);
}

/* ---- sounds ---- */

static void test_sound_tokens__by_its_length(void **state)
{
    static const char wav[] = "RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x80\x3e\0\0";
    struct buf file, text;

    (void)state;
    buf_init(&file, BUF_UNLIMITED);
    buf_init(&text, BUF_UNLIMITED);
    buf_add(&file, wav, sizeof wav - 1);
    while (file.n < 160000) /* ten seconds of 16,000 bytes */
        buf_add_char(&file, 'x');
    encode(buf_slice(&file), &text);
    assert_in_range(sound_tokens(SLICE("gpt-4o-audio-preview"), buf_slice(&text), false), 99, 101);
    assert_in_range(sound_tokens(SLICE("gemini-2.5-flash"), buf_slice(&text), false), 319, 321);
    assert_in_range(sound_tokens(SLICE("gemini-2.5-flash"), buf_slice(&text), true), 2600, 2660);
    assert_int_equal(sound_tokens(SLICE("gpt-4o"), SLICE(""), false), 0);
    buf_release(&file);
    buf_release(&text);
}

static void test_base64__what_is_no_digit__is_skipped(void **state)
{
    char to[8];

    (void)state;
    assert_int_equal(base64_decode(SLICE("a GV\\sb\nG8="), to, sizeof to), 5);
    assert_memory_equal(to, "hello", 5);
    assert_int_equal(base64_decode(SLICE("-_8"), to, sizeof to), 2);
    assert_memory_equal(to, "\xfb\xff", 2);
    memset(to, 0, sizeof to);
    assert_int_equal(base64_decode(SLICE("aGV\\r\\nsbG8\\u003d"), to, sizeof to), 5); /* lines, as mail has them */
    assert_memory_equal(to, "hello", 5);
    assert_int_equal(base64_decode(SLICE("\\u002B\\/8\\u00"), to, sizeof to), 2);
    assert_memory_equal(to, "\xfb\xff", 2);
    assert_int_equal(base64_decode(SLICE("aGVsbG8"), to, 2), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_image_tokens__published_examples__agree),
        cmocka_unit_test(test_image_tokens__any_size__has_a_price_within_bounds),
        cmocka_unit_test(test_image_size__each_format_cut_at_each_byte__is_read_or_unknown),
        cmocka_unit_test(test_image_size_in_text__base64_in_any_dress__is_read),
        cmocka_unit_test(test_image_size_in_text__jpeg_with_much_before_it__is_walked_through),
        cmocka_unit_test(test_image_size__hostile_files__are_unknown_soon),
        cmocka_unit_test(test_sound_tokens__by_its_length),
        cmocka_unit_test(test_base64__what_is_no_digit__is_skipped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
