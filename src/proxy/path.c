/*
 * path: most paths are plain already and are only looked at; the others are rewritten in a copy, each step
 * over all of it, none of them longer than what it was given. The plain copy errs on the side of metering: a
 * call that is metered without need is only counted.
 */
#include "metergate/proxy/path.h"

#include <string.h>

/* A provider behind a proxy that decodes may decode once more. */
#define DECODINGS 2

/* 0xc0, 0xc1 and 0xf5 to 0xff begin nothing in UTF-8; lenient decoders make "/" and "." of c0 af and c0 ae.
 */
static bool is_never_utf8(int c)
{
    return c == 0xc0 || c == 0xc1 || c >= 0xf5;
}

static const char *escapes_problem(struct slice raw)
{
    for (size_t i = 0; i < raw.n; i++) {
        int c = slice_escaped(slice_skip(raw, i));

        if (raw.p[i] == '\\' || c == '\\')
            return "The path has a backslash in it, which some servers take for '/'.";
        if (raw.p[i] != '%')
            continue;
        if (c < 0)
            return "The path has a '%' in it that is not followed by two hexadecimal digits.";
        if (is_never_utf8(c))
            return "The path has an escaped byte in it that is no UTF-8.";
    }
    return NULL;
}

static bool is_plain(struct slice raw)
{
    for (size_t i = 0; i < raw.n; i++) {
        char c = raw.p[i], next = i + 1 < raw.n ? raw.p[i + 1] : '/';

        if (c == '%' || c == ';' || c == '\\' || (c >= 'A' && c <= 'Z') ||
            (c == '/' && (next == '/' || next == '.')))
            return false;
    }
    return true;
}

static void decode(struct buf *b)
{
    size_t to = 0;

    for (size_t i = 0; i < b->n; i++) {
        int c = slice_escaped(slice_skip(buf_slice(b), i));

        b->p[to++] = c < 0 ? b->p[i] : (char)c;
        if (c >= 0)
            i += 2;
    }
    buf_drop_tail(b, b->n - to);
}

/* Lower case, '/' for '\', no parameters, no empty segments, nothing blank or empty at the end. */
static void simplify(struct buf *b)
{
    bool in_parameters = false;
    size_t to = 0;

    for (size_t i = 0; i < b->n; i++) {
        char c = b->p[i] == '\\' ? '/' : b->p[i];

        if (c == '/' || c == ';')
            in_parameters = c == ';';
        if (in_parameters || (c == '/' && to && b->p[to - 1] == '/'))
            continue;
        b->p[to++] = c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
    }
    while (to > 1 && (b->p[to - 1] == '/' || b->p[to - 1] == ' '))
        to--;
    buf_drop_tail(b, b->n - to);
}

static const char *plain_problem(struct slice path)
{
    for (size_t i = 0; i < path.n; i++) {
        if ((unsigned char)path.p[i] < 0x20 || path.p[i] == 0x7f)
            return "The path has an escaped control character in it.";
    }
    while (path.n) {
        size_t end = slice_find(path, '/');
        struct slice segment = slice_head(path, end);

        if (slice_eq(segment, SLICE(".")) || slice_eq(segment, SLICE("..")))
            return "The path has a '.' or '..' segment in it; send the path that you mean.";
        path = slice_skip(path, end + 1);
    }
    return NULL;
}

const char *path_read(struct slice raw, struct buf *storage, struct slice *ret_plain)
{
    const char *problem;

    *ret_plain = raw;
    if (is_plain(raw))
        return NULL;
    problem = escapes_problem(raw);
    buf_reset(storage);
    buf_add_slice(storage, raw);
    for (int i = 0; i < DECODINGS; i++)
        decode(storage);
    simplify(storage);
    *ret_plain = buf_slice(storage);
    return problem ? problem : plain_problem(*ret_plain);
}
