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

size_t base64_decode(struct slice text, char *to, size_t room)
{
    uint32_t bits = 0;
    unsigned have = 0;
    size_t n = 0;

    for (size_t i = 0; i < text.n && n < room && text.p[i] != '='; i++) {
        int d = digit(text.p[i]);

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
