/*
 * utf8: base's slice_utf8 knows what a character is; what is no character is measured here.
 *
 * Always true: a step is at least one byte and never passes the end, whatever the bytes are.
 */
#include "metergate/tokens/utf8.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "metergate/base/slice.h"

static const char replacement[3] = {'\xef', '\xbf', '\xbd'};

/*
 * The size of the ill-formed part at p, where no character begins that is whole: the longest beginning of
 * some character, which is what a continuation byte or two would complete, or else one byte.
 */
static size_t ill_formed_size(const char *p, size_t n)
{
    for (size_t size = n < 3 ? n : 3; size > 1; size--) {
        char completed[4] = {'\x80', '\x80', '\x80', '\x80'};

        memcpy(completed, p, size);
        if (slice_utf8(slice_of(completed, sizeof completed)) > size)
            return size;
    }
    return 1;
}

static size_t ascii_run(const char *p, size_t n)
{
    size_t i = 0;

    for (uint64_t eight; i + 8 <= n; i += 8) {
        memcpy(&eight, p + i, 8);
        if (eight & UINT64_C(0x8080808080808080))
            break;
    }
    while (i < n && (p[i] & 0x80) == 0)
        i++;
    return i;
}

size_t utf8_valid(const char *p, size_t n)
{
    size_t at = 0;

    while (at < n) {
        size_t size = p[at] & 0x80 ? slice_utf8(slice_of(p + at, n - at)) : ascii_run(p + at, n - at);

        if (size == 0)
            break;
        at += size;
    }
    return at;
}

/* Copies into `to` unless that is NULL; the size of what is, or would be, written. */
static size_t repair_into(const char *p, size_t n, char *to)
{
    size_t out = 0;

    for (size_t at = 0; at < n;) {
        size_t whole = slice_utf8(slice_of(p + at, n - at));
        const char *from = whole ? p + at : replacement;
        size_t add = whole ? whole : sizeof replacement;

        if (to)
            memcpy(to + out, from, add);
        out += add;
        at += whole ? whole : ill_formed_size(p + at, n - at);
    }
    return out;
}

size_t utf8_repaired_size(const char *p, size_t n)
{
    return repair_into(p, n, NULL);
}

int utf8_repair(const char *p, size_t n, char **ret, size_t *ret_n)
{
    size_t size = utf8_repaired_size(p, n);
    char *to = malloc(size ? size : 1);

    if (!to)
        return -ENOMEM;
    *ret_n = repair_into(p, n, to);
    *ret = to;
    return 0;
}
