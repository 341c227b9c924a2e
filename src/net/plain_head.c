/*
 * plain_head: whether what libmicrohttpd made of a head is what its bytes say. It reads leniently: a NUL ends
 * a word, a folded line is glued to the wrong header, a bare LF ends a line. All of that leaves traces in its
 * buffer, because it cuts the head up in place; this file knows how a head looks there that has no such thing
 * in it.
 */
#include "front_inside.h"

#include <string.h>

/*
 * libmicrohttpd ends method and target with a NUL each, in place. Where more lies between the three words
 * there was a NUL of the client's, or more blanks than one.
 */
static bool line_is_plain(const struct http_head *h, const char *method, const char *url, const char *version)
{
    return url == method + strlen(method) + 1 && version == url + h->target.n + 1;
}

/*
 * libmicrohttpd cuts the head up in place: each CR, LF and each colon became a NUL. So the lines must lie one
 * behind the other, each as NAME NUL blanks VALUE NUL NUL, beginning after the version. What does not (a
 * folded line, which it glues to the wrong header; a bare LF; a NUL inside) was not what its header list
 * says. A NUL behind the last value looks like the NULs that follow it, but the whole is longer then: `end` is where
 * libmicrohttpd went on reading.
 */
static bool lines_are_plain(const struct http_head *head, const char *version, const char *end)
{
    const char *at = version + strlen(version) + 2;

    for (size_t i = 0; i < head->header_count; i++) {
        const struct http_header *h = &head->headers[i];

        if (h->name.p != at || at[-1] != '\0')
            return false;
        at = h->name.p + h->name.n + 1;
        if (h->value.p < at || (size_t)(h->value.p - at) > FRONT_HEAD_BYTES)
            return false;
        for (; at < h->value.p; at++)
            if (*at != ' ' && *at != '\t')
                return false;
        at += h->value.n;
        if (at[0] != '\0' || at[1] != '\0')
            return false;
        at += 2;
    }
    return at[-1] == '\0' && at[0] == '\0' && at[1] == '\0' && at + 2 == end;
}

const char *plain_head_check(const struct http_head *h, const char *method, const char *url,
                             const char *version, size_t bytes)
{
    if (!line_is_plain(h, method, url, version))
        return "the request line has a NUL or needless blanks in it";
    if (!lines_are_plain(h, version, method + bytes))
        return "the head has a folded or wrongly ended line in it";
    return NULL;
}
