/*
 * plain: two sorted tables of ranges (Unicode 15). They need not have every character that was ever named:
 * what is missing in `wide` is one place too narrow, and whatever can do harm is in few old blocks.
 */
#include "metergate/base/plain.h"

#include <stdbool.h>
#include <stdint.h>

struct range {
    uint32_t first, last;
};

static const struct range harmful[] = {
    {0x00, 0x1f},       {0x7f, 0x9f},        {0xad, 0xad},     {0x61c, 0x61c},
    {0x115f, 0x1160},   {0x180b, 0x180f},    {0x200b, 0x200f}, {0x2028, 0x202e},
    {0x2060, 0x206f},   {0x3164, 0x3164},    {0xe000, 0xf8ff}, /* private use */
    {0xfeff, 0xfeff},   {0xffa0, 0xffa0},    {0xfff0, 0xfffb}, {0xfffe, 0xffff},
    {0x1d173, 0x1d17a}, {0xe0000, 0x10ffff}, /* tags, private use */
};

static const struct range combining[] = {
    {0x300, 0x36f},   {0x483, 0x489},   {0x591, 0x5bd},   {0x610, 0x61a},   {0x64b, 0x65f},
    {0x93c, 0x93c},   {0x94d, 0x94d},   {0xe31, 0xe31},   {0xe34, 0xe3a},   {0xe47, 0xe4e},
    {0x1ab0, 0x1aff}, {0x1dc0, 0x1dff}, {0x20d0, 0x20ff}, {0x302a, 0x302d}, {0x3099, 0x309a},
    {0xfe00, 0xfe0f}, {0xfe20, 0xfe2f},
};

static const struct range wide[] = {
    {0x1100, 0x115f},   {0x231a, 0x231b},   {0x23e9, 0x23ec},   {0x2614, 0x2615},   {0x26a1, 0x26a1},
    {0x2705, 0x2705},   {0x2728, 0x2728},   {0x274c, 0x274c},   {0x2753, 0x2755},   {0x2795, 0x2797},
    {0x2b1b, 0x2b1c},   {0x2b50, 0x2b50},   {0x2e80, 0x303e},   {0x3041, 0xa4cf},   {0xa960, 0xa97c},
    {0xac00, 0xd7a3},   {0xf900, 0xfaff},   {0xfe10, 0xfe19},   {0xfe30, 0xfe6f},   {0xff01, 0xff60},
    {0xffe0, 0xffe6},   {0x16fe0, 0x18cff}, {0x1b000, 0x1b2ff}, {0x1f18e, 0x1f18e}, {0x1f191, 0x1f19a},
    {0x1f200, 0x1f320}, {0x1f32d, 0x1f64f}, {0x1f680, 0x1f6ff}, {0x1f7e0, 0x1f7eb}, {0x1f90c, 0x1f9ff},
    {0x1fa70, 0x1faff}, {0x20000, 0x3fffd},
};

static bool among(const struct range *ranges, size_t n, uint32_t c)
{
    size_t low = 0;

    while (low < n) {
        size_t middle = low + (n - low) / 2;

        if (c > ranges[middle].last)
            low = middle + 1;
        else if (c < ranges[middle].first)
            n = middle;
        else
            return true;
    }
    return false;
}

void plain_add(struct buf *out, struct slice s)
{
    while (s.n) {
        size_t n = slice_utf8(s);

        if (n == 0 || among(harmful, MG_ARRAY_LEN(harmful), slice_code_point(s, n)))
            buf_add_char(out, '?');
        else
            buf_add(out, s.p, n);
        s = slice_skip(s, n ? n : 1);
    }
}

static size_t places_of(uint32_t c)
{
    if (among(combining, MG_ARRAY_LEN(combining), c))
        return 0;
    return among(wide, MG_ARRAY_LEN(wide), c) ? 2 : 1;
}

/* As far as `places` go; *ret_bytes is how far that was. */
static size_t measure(struct slice s, size_t places, size_t *ret_bytes)
{
    size_t taken = 0, at = 0;

    while (at < s.n) {
        size_t n = slice_utf8(slice_skip(s, at)), more = n ? places_of(slice_code_point(slice_skip(s, at), n)) : 1;

        if (more > places - taken)
            break;
        taken += more;
        at += n ? n : 1;
    }
    *ret_bytes = at;
    return taken;
}

size_t plain_width(struct slice s)
{
    size_t bytes;

    return measure(s, SIZE_MAX, &bytes);
}

size_t plain_fit(struct slice s, size_t places)
{
    size_t bytes;

    measure(s, places, &bytes);
    return bytes;
}
