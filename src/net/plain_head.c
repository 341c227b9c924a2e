/*
 * plain_head: whether what libmicrohttpd made of a head is what its bytes say. 0.9.75 reads leniently: a NUL ends
 * a word, a folded line is glued to the wrong header, a bare LF ends a line. All of that leaves traces in its
 * buffer, because it cuts the head up in place; this file knows how a head looks there that has no such thing
 * in it. 1.0 refuses all that by itself (front_reads_strictly); what it leaves in its buffer is looked at all the same.
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

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* NAME NUL blanks VALUE NUL, beginning at `at`: where the NUL is, or NULL. */
static const char *end_of_value(const struct http_header *h, const char *at)
{
    if (h->name.p != at)
        return NULL;
    at = h->name.p + h->name.n + 1;
    if (h->value.p < at || (size_t)(h->value.p - at) > FRONT_HEAD_BYTES)
        return NULL;
    for (; at < h->value.p; at++)
        if (!is_blank(*at))
            return NULL;
    at += h->value.n;
    return *at == '\0' ? at : NULL;
}

/*
 * 0.9.75 cuts the head up in place: each CR, LF and each colon became a NUL. So the lines must lie one
 * behind the other, each as NAME NUL blanks VALUE NUL NUL, beginning after the version. What does not (a
 * folded line, which it glues to the wrong header; a bare LF; a NUL inside) was not what its header list
 * says. A NUL behind the last value looks like the NULs that follow it, but the whole is longer then: `end` is where
 * libmicrohttpd went on reading.
 */
static bool lines_are_plain(const struct http_head *head, const char *version, const char *end)
{
    const char *at = version + strlen(version) + 2;

    for (size_t i = 0; i < head->header_count; i++) {
        const char *nul = at[-1] == '\0' ? end_of_value(&head->headers[i], at) : NULL;

        if (!nul || nul[1] != '\0')
            return false;
        at = nul + 2;
    }
    return at[-1] == '\0' && at[0] == '\0' && at[1] == '\0' && at + 2 == end;
}

/* The line after the one that was ended with a NUL here, or NULL where that was no line with CRLF. */
static const char *next_line(const char *end)
{
    for (end++; is_blank(*end); end++)
        ;
    end += *end == '\r';
    return *end == '\n' ? end + 1 : NULL;
}

/*
 * 1.0 trims the values and leaves LFs, and what lies between a value and its LF: NAME NUL blanks VALUE NUL [blanks CR] LF.
 * What is behind the last value may be the beginning of the body already.
 */
static bool strict_lines_are_plain(const struct http_head *head, const char *version)
{
    const char *end = version + strlen(version);

    for (size_t i = 0; i < head->header_count; i++) {
        const char *at = next_line(end);

        end = at ? end_of_value(&head->headers[i], at) : NULL;
        if (!end)
            return false;
    }
    return true;
}

const char *plain_head_check(const struct http_head *h, const char *method, const char *url,
                             const char *version, size_t bytes)
{
    if (!line_is_plain(h, method, url, version))
        return "the request line has a NUL or needless blanks in it";
    if (!(front_reads_strictly() ? strict_lines_are_plain(h, version) : lines_are_plain(h, version, method + bytes)))
        return "the head has a folded or wrongly ended line in it";
    return NULL;
}
