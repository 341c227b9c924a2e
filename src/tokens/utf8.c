/*
 * utf8: base's slice_utf8 knows what a character is; what is no character is measured here.
 *
 * Always true: a step is at least one byte and never passes the end, whatever the bytes are.
 */
#include "metergate/tokens/utf8.h"

#include <string.h>

#include "metergate/base/slice.h"

/* Could the bytes be the beginning of a character that is longer? What may follow the first is limited from
 * below or above. */
static bool is_beginning(const char *p, size_t n)
{
    static const char rests[] = {'\x80', '\xbf'};
    char completed[4];

    if (n >= sizeof completed)
        return false;
    for (size_t i = 0; i < sizeof rests; i++) {
        memset(completed, rests[i], sizeof completed);
        memcpy(completed, p, n);
        if (slice_utf8(slice_of(completed, sizeof completed)) > n)
            return true;
    }
    return false;
}

size_t utf8_next(const char *p, size_t n, bool *ret_whole)
{
    size_t size = slice_utf8(slice_of(p, n));

    *ret_whole = size > 0;
    if (size)
        return size;
    if (is_beginning(p, n))
        return 0;
    for (size = n < 3 ? n : 3; size > 1 && !is_beginning(p, size); size--)
        ;
    return size;
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
