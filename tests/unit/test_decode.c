/* decode: codings taken off in any pieces, and what is no coding or too much of one. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <zlib.h>
#include <zstd.h>

#include "metergate/base/buf.h"
#include "metergate/dialect/decode.h"

/* What zlib's deflateInit2 takes for the three formats. */
enum format { FORMAT_GZIP = 16 + MAX_WBITS, FORMAT_ZLIB = MAX_WBITS, FORMAT_RAW = -MAX_WBITS };

static void compress_into(struct buf *out, enum format format, int level, struct slice text)
{
    z_stream z = {0};

    assert_int_equal(deflateInit2(&z, level, Z_DEFLATED, (int)format, 8, Z_DEFAULT_STRATEGY), Z_OK);
    assert_int_equal(buf_reserve(out, deflateBound(&z, text.n)), 0);
    z.next_in = (Bytef *)(uintptr_t)text.p;
    z.avail_in = (uInt)text.n;
    z.next_out = (Bytef *)out->p + out->n;
    z.avail_out = (uInt)deflateBound(&z, text.n);
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    out->n += z.total_out;
    assert_int_equal(deflateEnd(&z), Z_OK);
}

/* 100 kB that compress somewhat: several pieces, and farther back than the window. */
static void make_text(struct buf *out)
{
    uint32_t x = 1;

    while (out->n < 100000) {
        x = x * 1664525 + 1013904223;
        buf_addf(out, "{\"n\":%u,\"text\":\"h\xC3\xA9llo\"}\n", x >> 12);
    }
}

struct seen {
    struct buf text;
    uint64_t bytes; /* also of what is not kept */
    bool keep;
    int answer; /* of the sink */
};

static int see(void *arg, struct slice piece)
{
    struct seen *s = arg;

    assert_true(piece.n > 0 && piece.n <= DECODE_PIECE_MAX);
    s->bytes += piece.n;
    if (s->keep)
        buf_add_slice(&s->text, piece);
    return s->answer;
}

static void feed(struct decode *d, struct slice in, size_t step)
{
    for (; in.n; in = slice_skip(in, step))
        assert_int_equal(decode_feed(d, slice_head(in, step)), 0);
}

/* Decodes all of it; tells whether it gave up. */
static bool run(enum decode_kind kind, struct slice in, size_t step, struct seen *s)
{
    struct decode *d;
    bool gave_up;

    *s = (struct seen){.keep = true};
    buf_init(&s->text, BUF_UNLIMITED);
    d = decode_new(kind, see, s);
    feed(d, in, step);
    gave_up = decode_gave_up(d);
    decode_free(d);
    return gave_up;
}

static const struct {
    enum format format;
    enum decode_kind kind;
} formats[] = {
    {FORMAT_GZIP, DECODE_GZIP},
    {FORMAT_ZLIB, DECODE_DEFLATE},
    {FORMAT_RAW, DECODE_DEFLATE},
};

static void test_decode__names__of_codings(void **state)
{
    static const struct {
        const char *name;
        enum decode_kind kind;
    } rows[] = {
        {"gzip", DECODE_GZIP},     {" GZip\t", DECODE_GZIP}, {"x-gzip", DECODE_GZIP},   {"deflate", DECODE_DEFLATE},
        {"", DECODE_NONE},         {"br", DECODE_NONE},      {"zstd", DECODE_ZSTD},     {"identity", DECODE_NONE},
        {"gzip, br", DECODE_NONE}, {"gzi", DECODE_NONE},     {"x-deflate", DECODE_NONE},
    };

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++)
        assert_int_equal(decode_kind_of(slice_str(rows[i].name)), rows[i].kind);
}

static void test_decode__each_format_at_each_level__in_any_pieces(void **state)
{
    static const size_t steps[] = {1, 2, 7, 1000, 16384, 1000000};
    struct buf text;

    (void)state;
    buf_init(&text, BUF_UNLIMITED);
    make_text(&text);
    for (size_t i = 0; i < MG_ARRAY_LEN(formats); i++) {
        for (int level = 0; level <= 9; level += 3) {
            struct buf packed;

            buf_init(&packed, BUF_UNLIMITED);
            compress_into(&packed, formats[i].format, level, buf_slice(&text));
            for (size_t k = 0; k < MG_ARRAY_LEN(steps); k++) {
                struct seen s;

                assert_false(run(formats[i].kind, buf_slice(&packed), steps[k], &s));
                assert_true(slice_eq(buf_slice(&s.text), buf_slice(&text)));
                buf_release(&s.text);
            }
            buf_release(&packed);
        }
    }
    buf_release(&text);
}

/* A provider flushes after each event: what is there must come out before more goes in. */
static void test_decode__a_flushed_piece__comes_out_at_once(void **state)
{
    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(formats); i++) {
        struct seen s = {.keep = true};
        struct decode *d = decode_new(formats[i].kind, see, &s);
        z_stream z = {0};

        buf_init(&s.text, BUF_UNLIMITED);
        assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, (int)formats[i].format, 8, Z_DEFAULT_STRATEGY), Z_OK);
        for (int event = 1; event <= 20; event++) {
            unsigned char packed[256];

            z.next_in = (Bytef *)(uintptr_t)"data: {}\n\n";
            z.avail_in = 10;
            z.next_out = packed;
            z.avail_out = sizeof packed;
            assert_int_equal(deflate(&z, Z_SYNC_FLUSH), Z_OK);
            feed(d, slice_of((char *)packed, sizeof packed - z.avail_out), 1000);
            assert_int_equal(s.bytes, 10 * event);
        }
        (void)deflateEnd(&z);
        decode_free(d);
        buf_release(&s.text);
    }
}

static void test_decode__members_of_gzip__follow_each_other(void **state)
{
    struct buf packed;

    (void)state;
    buf_init(&packed, BUF_UNLIMITED);
    compress_into(&packed, FORMAT_GZIP, 6, SLICE("one "));
    compress_into(&packed, FORMAT_GZIP, 0, SLICE(""));
    compress_into(&packed, FORMAT_GZIP, 9, SLICE("two"));
    for (size_t step = 1; step <= packed.n; step++) {
        struct seen s;

        assert_false(run(DECODE_GZIP, buf_slice(&packed), step, &s));
        assert_string_equal(s.text.p, "one two");
        buf_release(&s.text);
    }
    buf_release(&packed);
}

static void test_decode__behind_the_end_of_deflate__nothing_is_read(void **state)
{
    (void)state;
    for (size_t i = 1; i < MG_ARRAY_LEN(formats); i++) {
        struct buf packed;
        struct seen s;

        buf_init(&packed, BUF_UNLIMITED);
        compress_into(&packed, formats[i].format, 6, SLICE("one"));
        compress_into(&packed, formats[i].format, 6, SLICE("two"));
        assert_false(run(DECODE_DEFLATE, buf_slice(&packed), 5, &s));
        assert_string_equal(s.text.p, "one");
        buf_release(&s.text);
        buf_release(&packed);
    }
}

static void test_decode__cut_anywhere__gives_the_beginning(void **state)
{
    struct slice text = SLICE("{\"usage\":{\"prompt_tokens\":19,\"completion_tokens\":10,\"total_tokens\":29}}");

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(formats); i++) {
        struct buf packed;

        buf_init(&packed, BUF_UNLIMITED);
        compress_into(&packed, formats[i].format, 6, text);
        for (size_t n = 0; n < packed.n; n++) {
            struct seen s;

            assert_false(run(formats[i].kind, slice_head(buf_slice(&packed), n), 3, &s));
            assert_true(slice_starts(text, buf_slice(&s.text)));
            buf_release(&s.text);
        }
        buf_release(&packed);
    }
}

static void test_decode__corrupt__gives_up_and_reads_no_further(void **state)
{
    struct slice text = SLICE("hello hello hello hello");
    struct buf packed;
    struct seen s;

    (void)state;
    assert_true(run(DECODE_GZIP, SLICE("{\"usage\":null}"), 1, &s)); /* not coded at all */
    assert_int_equal(s.bytes, 0);
    assert_true(run(DECODE_DEFLATE, SLICE("\xFF\xFF"), 100, &s)); /* RFC 1951: no such kind of block */
    assert_true(run(DECODE_ZSTD, SLICE("{\"usage\":null}"), 100, &s));
    buf_release(&s.text);
    buf_init(&packed, BUF_UNLIMITED);
    compress_into(&packed, FORMAT_GZIP, 6, text);
    packed.p[packed.n - 8] ^= 1; /* RFC 1952: the checksum stands before the last four bytes */
    compress_into(&packed, FORMAT_GZIP, 6, text);
    for (size_t step = 1; step <= packed.n; step++) {
        assert_true(run(DECODE_GZIP, buf_slice(&packed), step, &s));
        assert_true(slice_eq(buf_slice(&s.text), text));
        buf_release(&s.text);
    }
    buf_release(&packed);
}

/* Feeds blanks of `total` bytes, compressed as well as they can be; tells how many bytes came out. */
static uint64_t blanks(size_t total, bool *ret_gave_up)
{
    struct buf text, packed;
    struct seen s = {0};
    struct decode *d = decode_new(DECODE_GZIP, see, &s);

    buf_init(&text, BUF_UNLIMITED);
    buf_init(&packed, BUF_UNLIMITED);
    assert_int_equal(buf_reserve(&text, total), 0);
    memset(text.p, ' ', total);
    text.n = total;
    compress_into(&packed, FORMAT_GZIP, 9, buf_slice(&text));
    feed(d, buf_slice(&packed), 16384);
    *ret_gave_up = decode_gave_up(d);
    decode_free(d);
    buf_release(&text);
    buf_release(&packed);
    return s.bytes;
}

static void test_decode__a_bomb__stops_behind_the_free_bytes(void **state)
{
    bool gave_up;

    (void)state;
    assert_int_equal(blanks(DECODE_FREE_BYTES, &gave_up), DECODE_FREE_BYTES);
    assert_false(gave_up);
    assert_true(blanks((size_t)32 << 20, &gave_up) <= DECODE_FREE_BYTES + DECODE_PIECE_MAX);
    assert_true(gave_up);
}

/* Members of 10 kB in 45 bytes or so: a little over 200 for one, though zlib's own totals never see a mebibyte. */
static void test_decode__a_bomb_in_many_members__stops_too(void **state)
{
    char blank[10000];
    struct buf packed;
    struct seen s = {0};
    struct decode *d = decode_new(DECODE_GZIP, see, &s);

    (void)state;
    memset(blank, ' ', sizeof blank);
    buf_init(&packed, BUF_UNLIMITED);
    compress_into(&packed, FORMAT_GZIP, 9, slice_of(blank, sizeof blank));
    assert_true(packed.n < sizeof blank / DECODE_RATIO_MAX);
    for (int i = 0; i < 1000; i++)
        feed(d, buf_slice(&packed), 16384);
    assert_true(decode_gave_up(d));
    assert_true(s.bytes <= DECODE_FREE_BYTES + DECODE_PIECE_MAX);
    decode_free(d);
    buf_release(&packed);
}

/* Honest text without an end. Stored: the fastest way to so many bytes. */
static void test_decode__more_than_the_maximum__stops(void **state)
{
    static char stored[5 + 65535] = {0, (char)0xff, (char)0xff, 0, 0}; /* RFC 1951 3.2.4, not the last block */
    struct seen s = {0};
    struct decode *d = decode_new(DECODE_DEFLATE, see, &s);
    size_t fed = 0;

    (void)state;
    for (; !decode_gave_up(d) && fed < 2 * DECODE_OUT_MAX; fed += sizeof stored)
        feed(d, slice_of(stored, sizeof stored), sizeof stored);
    assert_true(decode_gave_up(d));
    assert_true(s.bytes > DECODE_OUT_MAX && s.bytes <= DECODE_OUT_MAX + DECODE_PIECE_MAX);
    decode_free(d);
}

static void test_decode__an_error_of_the_sink__is_told(void **state)
{
    struct seen s = {.answer = -ENOMEM};
    struct decode *d = decode_new(DECODE_GZIP, see, &s);
    struct buf packed;

    (void)state;
    buf_init(&packed, BUF_UNLIMITED);
    compress_into(&packed, FORMAT_GZIP, 6, SLICE("hello"));
    assert_int_equal(decode_feed(d, buf_slice(&packed)), -ENOMEM);
    decode_free(d);
    decode_free(NULL);
    buf_release(&packed);
}

/* ---- zstd, and whole bodies ---- */

static void pack_zstd(struct buf *out, struct slice text, int window_log)
{
    ZSTD_CCtx *z = ZSTD_createCCtx();
    size_t bound = ZSTD_compressBound(text.n), n;

    assert_int_equal(buf_reserve(out, bound), 0);
    assert_false(ZSTD_isError(ZSTD_CCtx_setParameter(z, ZSTD_c_windowLog, window_log)));
    assert_false(ZSTD_isError(ZSTD_CCtx_setParameter(z, ZSTD_c_contentSizeFlag, 0)));
    n = ZSTD_compress2(z, out->p + out->n, bound, text.p, text.n);
    assert_false(ZSTD_isError(n));
    out->n += n;
    ZSTD_freeCCtx(z);
}

static void test_decode__zstd__frames_in_any_pieces(void **state)
{
    static const size_t steps[] = {1, 7, 4096, 1000000};
    struct buf text, packed;
    struct seen s;

    (void)state;
    buf_init(&text, BUF_UNLIMITED);
    buf_init(&packed, BUF_UNLIMITED);
    make_text(&text);
    pack_zstd(&packed, buf_slice(&text), 17);
    pack_zstd(&packed, SLICE("the end"), 17); /* RFC 8878 3.1: frames may follow each other */
    buf_add_str(&text, "the end");
    for (size_t i = 0; i < MG_ARRAY_LEN(steps); i++) {
        assert_false(run(DECODE_ZSTD, buf_slice(&packed), steps[i], &s));
        assert_true(slice_eq(buf_slice(&s.text), buf_slice(&text)));
        buf_release(&s.text);
    }
    buf_release(&packed);
    buf_release(&text);
}

static void test_decode__zstd__a_window_over_8_mib__gives_up(void **state)
{
    struct buf text, packed;
    struct seen s;

    (void)state;
    buf_init(&text, BUF_UNLIMITED);
    buf_init(&packed, BUF_UNLIMITED);
    assert_int_equal(buf_reserve(&text, (size_t)20 << 20), 0);
    memset(text.p, 'a', (size_t)20 << 20);
    text.n = (size_t)20 << 20;
    pack_zstd(&packed, buf_slice(&text), 25);
    assert_true(run(DECODE_ZSTD, buf_slice(&packed), 4096, &s));
    assert_int_equal(s.bytes, 0);
    buf_release(&s.text);
    buf_release(&packed);
    buf_release(&text);
}

/* Each may hold 8 MiB for as long as its provider likes. */
static void test_decode__zstd__many_at_a_time__the_next_gives_up(void **state)
{
    struct decode *d[DECODE_WINDOWS_MAX + 2];
    struct seen s = {.keep = false};
    struct buf packed, out;
    struct slice begin;

    (void)state;
    buf_init(&packed, BUF_UNLIMITED);
    pack_zstd(&packed, SLICE("an answer"), 17);
    begin = slice_head(buf_slice(&packed), 4);
    for (size_t i = 0; i < MG_ARRAY_LEN(d); i++) {
        d[i] = decode_new(DECODE_ZSTD, see, &s);
        assert_int_equal(decode_feed(d[i], begin), 0);
        assert_int_equal(decode_gave_up(d[i]), i >= DECODE_WINDOWS_MAX);
    }
    buf_init(&out, BUF_UNLIMITED);
    assert_int_equal(decode_body(SLICE("zstd"), buf_slice(&packed), &out), 0); /* has one of its own */
    assert_true(slice_eq(buf_slice(&out), SLICE("an answer")));
    buf_release(&out);
    decode_free(d[MG_ARRAY_LEN(d) - 1]); /* which has none to give back */
    decode_free(d[0]);
    d[0] = decode_new(DECODE_ZSTD, see, &s);
    d[MG_ARRAY_LEN(d) - 1] = decode_new(DECODE_ZSTD, see, &s);
    assert_int_equal(decode_feed(d[0], begin), 0);
    assert_false(decode_gave_up(d[0]));
    assert_int_equal(decode_feed(d[MG_ARRAY_LEN(d) - 1], begin), 0);
    assert_true(decode_gave_up(d[MG_ARRAY_LEN(d) - 1]));
    for (size_t i = 0; i < MG_ARRAY_LEN(d); i++)
        decode_free(d[i]);
    buf_release(&packed);
}

static void test_decode_body__every_coding__or_a_reason(void **state)
{
    struct slice text = SLICE("{\"model\":\"m\",\"messages\":[]}");
    struct buf packed[3], out;
    static const char *const names[] = {"gzip", "deflate", "zstd"};

    (void)state;
    for (int i = 0; i < 3; i++)
        buf_init(&packed[i], BUF_UNLIMITED);
    compress_into(&packed[0], FORMAT_GZIP, 6, text);
    compress_into(&packed[1], FORMAT_ZLIB, 6, text);
    pack_zstd(&packed[2], text, 17);
    for (int i = 0; i < 3; i++) {
        struct slice whole = buf_slice(&packed[i]);

        buf_init(&out, text.n);
        assert_int_equal(decode_body(slice_str(names[i]), whole, &out), 0);
        assert_true(slice_eq(buf_slice(&out), text));
        buf_release(&out);
        buf_init(&out, text.n - 1);
        assert_int_equal(decode_body(slice_str(names[i]), whole, &out), -E2BIG);
        buf_release(&out);
        buf_init(&out, BUF_UNLIMITED);
        assert_int_equal(decode_body(slice_str(names[i]), slice_head(whole, whole.n - 1), &out), -EBADMSG);
        assert_int_equal(decode_body(slice_str(names[i]), SLICE(""), &out), -EBADMSG);
        assert_int_equal(decode_body(slice_str(names[i]), text, &out), -EBADMSG);
        buf_release(&out);
        buf_release(&packed[i]);
    }
    buf_init(&out, BUF_UNLIMITED);
    assert_int_equal(decode_body(SLICE("br"), text, &out), -ENOTSUP);
    assert_int_equal(decode_body(SLICE("gzip, gzip"), text, &out), -ENOTSUP);
    buf_release(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decode__names__of_codings),
        cmocka_unit_test(test_decode__each_format_at_each_level__in_any_pieces),
        cmocka_unit_test(test_decode__a_flushed_piece__comes_out_at_once),
        cmocka_unit_test(test_decode__members_of_gzip__follow_each_other),
        cmocka_unit_test(test_decode__behind_the_end_of_deflate__nothing_is_read),
        cmocka_unit_test(test_decode__cut_anywhere__gives_the_beginning),
        cmocka_unit_test(test_decode__corrupt__gives_up_and_reads_no_further),
        cmocka_unit_test(test_decode__a_bomb__stops_behind_the_free_bytes),
        cmocka_unit_test(test_decode__a_bomb_in_many_members__stops_too),
        cmocka_unit_test(test_decode__more_than_the_maximum__stops),
        cmocka_unit_test(test_decode__an_error_of_the_sink__is_told),
        cmocka_unit_test(test_decode__zstd__frames_in_any_pieces),
        cmocka_unit_test(test_decode__zstd__a_window_over_8_mib__gives_up),
        cmocka_unit_test(test_decode__zstd__many_at_a_time__the_next_gives_up),
        cmocka_unit_test(test_decode_body__every_coding__or_a_reason),
    };

    return cmocka_run_group_tests_name("decode", tests, NULL, NULL);
}
