/* base64: the beginnings of files that stand in requests. */
#include "metergate/tokens/base64.h"

#include <stdint.h>

static int digit(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == '+' || c == '-')
        return 62;
    return c == '/' || c == '_' ? 63 : -1;
}

/*
 * What stands at *i, which moves behind it: a digit, or an escape of JSON. Some writers escape more than they must: a slash, and
 * .NET the plus (\u002B). -1: no digit; -2: padding.
 */
static int take(struct slice text, size_t *i)
{
    int c = (unsigned char)text.p[(*i)++];

    if (c == '\\' && *i < text.n) {
        c = (unsigned char)text.p[(*i)++];
        if (c == 'u') {
            c = 0;
            for (int k = 0; k < 4 && *i < text.n; k++)
                c = c * 16 + (slice_hex_digit(text.p[(*i)++]) & 15);
        } else if (c == 'n' || c == 'r' || c == 't' || c == 'b' || c == 'f') {
            return -1; /* a line's end, as mail has them */
        }
    }
    return c == '=' ? -2 : c < 128 ? digit((char)c) : -1;
}

size_t base64_decode(struct slice text, char *to, size_t room)
{
    uint32_t bits = 0;
    unsigned have = 0;
    size_t n = 0;

    for (size_t i = 0; i < text.n && n < room;) {
        int d = take(text, &i);

        if (d == -2)
            break;
        if (d < 0)
            continue;
        bits = bits << 6 | (uint32_t)d;
        have += 6;
        if (have >= 8) {
            have -= 8;
            to[n++] = (char)(bits >> have & 0xff);
        }
    }
    return n;
}

struct slice base64_of_url(struct slice text)
{
    if (!slice_starts(text, SLICE("data:")))
        return text;
    return slice_skip(text, slice_find(slice_head(text, 256), ',') + 1);
}
