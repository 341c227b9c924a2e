/* cookie: a pair without '=' has an empty value, as browsers read it. */
#include "metergate/proxy/cookie.h"

#include <string.h>

bool cookie_next(struct slice *rest, struct slice *ret_pair)
{
    while (rest->n) {
        struct slice pair = slice_head(*rest, slice_find(*rest, ';'));

        *rest = slice_skip(*rest, pair.n + 1);
        *ret_pair = slice_trim(pair);
        if (ret_pair->n)
            return true;
    }
    return false;
}

bool cookie_is_ours(struct slice pair, struct slice *ret_value)
{
    size_t equals = slice_find(pair, '=');

    if (!slice_eq(slice_trim(slice_head(pair, equals)), SLICE(COOKIE_NAME)))
        return false;
    *ret_value = slice_trim(slice_skip(pair, equals + 1));
    return true;
}

bool cookie_has_ours(struct slice header)
{
    struct slice pair, value;

    while (cookie_next(&header, &pair)) {
        if (cookie_is_ours(pair, &value))
            return true;
    }
    return false;
}

struct slice cookie_without_ours(struct slice header, char *to)
{
    struct slice pair, value;
    size_t n = 0;

    while (cookie_next(&header, &pair)) {
        if (cookie_is_ours(pair, &value))
            continue;
        if (n) { /* the blank may not have been there: one more byte a pair, at the most */
            to[n++] = ';';
            to[n++] = ' ';
        }
        memcpy(to + n, pair.p, pair.n);
        n += pair.n;
    }
    return slice_of(to, n);
}
