/*
 * utf8: one function knows what a sequence is; everything else walks with it.
 *
 * Always true: a step is at least one byte and never passes the end, whatever the bytes are.
 */
#include "metergate/tokens/utf8.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static const char replacement[3] = {'\xef', '\xbf', '\xbd'};

/* The bytes that a lead byte asks for in all, and which second bytes it allows; 0 for no lead byte. */
struct lead {
    unsigned char size, low, high;
};

static struct lead lead_of(unsigned char c)
{
    if (c < 0x80)
        return (struct lead){1, 0, 0};
    if (c < 0xc2)
        return (struct lead){0, 0, 0};
    if (c < 0xe0)
        return (struct lead){2, 0x80, 0xbf};
    if (c < 0xf0)
        return (struct lead){3, c == 0xe0 ? 0xa0 : 0x80, c == 0xed ? 0x9f : 0xbf};
    if (c < 0xf5)
        return (struct lead){4, c == 0xf0 ? 0x90 : 0x80, c == 0xf4 ? 0x8f : 0xbf};
    return (struct lead){0, 0, 0};
}

/* The size of the character at p, or of the ill-formed part (then *ret_whole is false). n > 0. */
static size_t step(const unsigned char *p, size_t n, bool *ret_whole)
{
    struct lead lead = lead_of(p[0]);
    size_t i = 1;

    *ret_whole = lead.size == 1;
    if (lead.size < 2 || n < 2 || p[1] < lead.low || p[1] > lead.high)
        return 1;
    for (i = 2; i < lead.size; i++)
        if (i == n || (p[i] & 0xc0) != 0x80)
            return i;
    *ret_whole = true;
    return i;
}

static size_t ascii_run(const unsigned char *p, size_t n)
{
    size_t i = 0;

    for (uint64_t eight; i + 8 <= n; i += 8) {
        memcpy(&eight, p + i, 8);
        if (eight & UINT64_C(0x8080808080808080))
            break;
    }
    while (i < n && p[i] < 0x80)
        i++;
    return i;
}

size_t utf8_valid(const char *text, size_t n)
{
    const unsigned char *p = (const unsigned char *)text;
    size_t at = 0;

    while (at < n) {
        bool whole;
        size_t size;

        if (p[at] < 0x80) {
            at += ascii_run(p + at, n - at);
            continue;
        }
        size = step(p + at, n - at, &whole);
        if (!whole)
            break;
        at += size;
    }
    return at;
}

/* Copies into `to` unless that is NULL; the size of what is, or would be, written. */
static size_t repair_into(const unsigned char *p, size_t n, char *to)
{
    size_t out = 0;

    for (size_t at = 0; at < n;) {
        bool whole;
        size_t size = step(p + at, n - at, &whole);
        const void *from = whole ? (const void *)(p + at) : replacement;
        size_t add = whole ? size : sizeof replacement;

        if (to)
            memcpy(to + out, from, add);
        out += add;
        at += size;
    }
    return out;
}

size_t utf8_repaired_size(const char *p, size_t n)
{
    return repair_into((const unsigned char *)p, n, NULL);
}

int utf8_repair(const char *p, size_t n, char **ret, size_t *ret_n)
{
    size_t size = utf8_repaired_size(p, n);
    char *to = malloc(size ? size : 1);

    if (!to)
        return -ENOMEM;
    *ret_n = repair_into((const unsigned char *)p, n, to);
    *ret = to;
    return 0;
}
