/*
 * scan_text: every function reads only what lies inside the slice given, whether or not a scanner has
 * accepted it. What decoding gives is always valid UTF-8.
 */
#include "metergate/base/scan_text.h"

#include <errno.h>
#include <string.h>

static size_t utf8_put(uint32_t c, char out[4])
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xC0 | c >> 6);
        out[1] = (char)(0x80 | (c & 0x3F));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xE0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 0x3F));
        out[2] = (char)(0x80 | (c & 0x3F));
        return 3;
    }
    out[0] = (char)(0xF0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 0x3F));
    out[2] = (char)(0x80 | (c >> 6 & 0x3F));
    out[3] = (char)(0x80 | (c & 0x3F));
    return 4;
}

#define REPLACEMENT 0xFFFDu

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* The UTF-16 unit of the \u escape at `at`, or -1. */
static int32_t unit_at(struct slice in, size_t at)
{
    int32_t unit = 0;

    if (at >= in.n || in.n - at < 6 || in.p[at] != '\\' || in.p[at + 1] != 'u')
        return -1;
    for (size_t i = 2; i < 6; i++) {
        int digit = hex_value(in.p[at + i]);

        if (digit < 0)
            return -1;
        unit = unit * 16 + digit;
    }
    return unit;
}

/* Reads the \u escape at *at, and the second half of its pair; a surrogate without its other half is
 * replaced. */
static uint32_t read_unicode_escape(struct slice in, size_t *at)
{
    int32_t first = unit_at(in, *at), second;

    *at += 6;
    if (first < 0xD800 || first > 0xDFFF)
        return (uint32_t)first;
    second = first < 0xDC00 ? unit_at(in, *at) : -1;
    if (second < 0xDC00 || second > 0xDFFF)
        return REPLACEMENT;
    *at += 6;
    return 0x10000u + ((uint32_t)(first - 0xD800) << 10) + (uint32_t)(second - 0xDC00);
}

/* Reads what is not plain at *at: an escape, or a byte that is not UTF-8. Returns how many bytes it became.
 */
static size_t decode_special(struct slice in, size_t *at, char out[4])
{
    static const char from[] = "bfnrt", to[] = "\b\f\n\r\t";
    const char *known;

    if (in.p[*at] != '\\') {
        ++*at;
        return utf8_put(REPLACEMENT, out);
    }
    if (unit_at(in, *at) >= 0)
        return utf8_put(read_unicode_escape(in, at), out);
    if (in.n - *at < 2 || (in.p[*at + 1] == 'u' && in.n - *at < 6)) { /* cut off */
        *at = in.n;
        return 0;
    }
    out[0] = in.p[*at + 1];
    known = out[0] ? strchr(from, out[0]) : NULL;
    if (known)
        out[0] = to[known - from];
    *at += 2;
    if (!known && out[0] != '"' && out[0] != '\\' && out[0] != '/')
        return utf8_put(REPLACEMENT, out);
    return 1;
}

/* How many bytes from `at` on are UTF-8 without a backslash. */
static size_t plain_run(struct slice in, size_t at)
{
    size_t from = at, length;

    while (at < in.n && in.p[at] != '\\') {
        length = (unsigned char)in.p[at] < 0x80 ? 1 : slice_utf8(slice_skip(in, at));
        if (length == 0)
            break;
        at += length;
    }
    return at - from;
}

size_t scan_decode_some(struct slice *inside, char *out, size_t room)
{
    size_t at = 0, n = 0;

    MG_ASSERT(room >= SCAN_DECODE_MIN);
    while (at < inside->n && room - n >= SCAN_DECODE_MIN) {
        size_t run = plain_run(slice_head(*inside, at + room - n), at);

        memcpy(out + n, inside->p + at, run);
        at += run;
        n += run;
        if (run == 0)
            n += decode_special(*inside, &at, out + n);
    }
    *inside = slice_skip(*inside, at);
    return n;
}

int scan_decode(struct slice inside, struct buf *out)
{
    char some[1024];
    int rc = 0;

    while (inside.n && rc == 0)
        rc = buf_append(out, some, scan_decode_some(&inside, some, sizeof some));
    return rc;
}

bool scan_is(const struct scan *s, const struct scan_value *v, const char *name)
{
    struct slice in = scan_text(s, v), want = slice_str(name);
    size_t at = 0;

    if (v->type != SCAN_STRING)
        return false;
    if (!v->escaped)
        return slice_eq(in, want);
    while (at < in.n) {
        char c[4];
        size_t n = 1;

        if (in.p[at] == '\\')
            n = decode_special(in, &at, c);
        else
            c[0] = in.p[at++];
        if (!slice_starts(want, slice_of(c, n)))
            return false;
        want = slice_skip(want, n);
    }
    return want.n == 0;
}

/* ---- integers ---------------------------------------------------------------------------------------------
 */

/* A number as digits * 10^scale, digits not ending in zero (or being 0). */
struct decimal {
    uint64_t digits;
    int64_t scale;
    bool negative;
    bool huge; /* more digits than fit */
};

static void decimal_push(struct decimal *d, char digit, int64_t *zeros)
{
    if (digit == '0') {
        ++*zeros;
        return;
    }
    for (; *zeros > 0 && d->digits; --*zeros)
        d->huge |= __builtin_mul_overflow(d->digits, UINT64_C(10), &d->digits);
    *zeros = 0;
    d->huge |= __builtin_mul_overflow(d->digits, UINT64_C(10), &d->digits);
    d->huge |= __builtin_add_overflow(d->digits, (uint64_t)(digit - '0'), &d->digits);
}

/* Saturates: an exponent of a trillion and one of a million digits are the same to us. */
static int64_t read_exponent(struct slice s)
{
    const int64_t most = INT64_C(1000000000000);
    bool negative = s.n && s.p[0] == '-';
    int64_t e = 0;

    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] >= '0' && s.p[i] <= '9' && e < most)
            e = e * 10 + (s.p[i] - '0');
    return negative ? -e : e;
}

static struct decimal read_decimal(struct slice number)
{
    struct decimal d = {.negative = number.p[0] == '-'};
    int64_t zeros = 0, fraction = 0;
    bool pointed = false;
    size_t i;

    for (i = d.negative; i < number.n && (number.p[i] | 0x20) != 'e'; i++) {
        if (number.p[i] == '.') {
            pointed = true;
            continue;
        }
        fraction += pointed;
        decimal_push(&d, number.p[i], &zeros);
    }
    d.scale = zeros - fraction + read_exponent(slice_skip(number, i + 1));
    return d;
}

int scan_int64(struct slice number, int64_t *ret)
{
    struct scan_value v;
    struct decimal d;
    struct scan s;

    scan_init(&s, number);
    v = scan_value(&s);
    if (v.type != SCAN_NUMBER || v.at != 0 || v.n != number.n)
        return -EINVAL;
    d = read_decimal(number);
    if (d.digits == 0 && !d.huge) {
        *ret = 0;
        return 0;
    }
    if (d.scale < 0)
        return -EINVAL;
    for (; d.scale > 0 && !d.huge; d.scale--)
        d.huge |= __builtin_mul_overflow(d.digits, UINT64_C(10), &d.digits);
    if (d.huge || d.digits > (uint64_t)INT64_MAX + d.negative)
        return -ERANGE;
    *ret = d.negative ? (int64_t)(0 - d.digits) : (int64_t)d.digits;
    return 0;
}
