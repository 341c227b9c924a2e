/*
 * multipart: the body is cut at its delimiter lines, each of which is looked for once, from where the last
 * one ended; a part is read no further than its header lines unless it is the one that is wanted.
 */
#include "metergate/dialect/multipart.h"

#include <string.h>

/* RFC 2046 5.1.1 */
#define BOUNDARY_MAX 70

bool multipart_is(struct slice content_type)
{
    struct slice want = SLICE("multipart/form-data");

    return slice_eq_nocase(slice_head(slice_trim(content_type), want.n), want);
}

/* What stands behind `name=` in parameters, without its quotes; empty when there is none. */
static struct slice parameter(struct slice text, struct slice name)
{
    while (text.n) {
        size_t end = slice_find(text, ';');
        struct slice one = slice_trim(slice_head(text, end));
        size_t equals = slice_find(one, '=');

        text = slice_skip(text, end + 1);
        if (!slice_eq_nocase(slice_trim(slice_head(one, equals)), name))
            continue;
        one = slice_trim(slice_skip(one, equals + 1));
        if (one.n >= 2 && one.p[0] == '"' && one.p[one.n - 1] == '"')
            one = slice_of(one.p + 1, one.n - 2);
        return one;
    }
    return slice_of(NULL, 0);
}

static size_t find(struct slice text, struct slice what)
{
    const char *at = text.n ? memmem(text.p, text.n, what.p, what.n) : NULL;

    return at ? (size_t)(at - text.p) : text.n;
}

/* Whether the header lines of a part name it so. */
static bool is_named(struct slice head, struct slice name)
{
    struct slice want = SLICE("content-disposition:");

    while (head.n) {
        size_t end = find(head, SLICE("\r\n"));
        struct slice line = slice_head(head, end);

        head = slice_skip(head, end + 2);
        if (slice_eq_nocase(slice_head(line, want.n), want))
            return slice_eq(parameter(slice_skip(line, want.n), SLICE("name")), name);
    }
    return false;
}

static void take(struct slice text, char ret[DIALECT_MODEL_MAX])
{
    text = slice_trim(text);
    if (text.n == 0 || text.n >= DIALECT_MODEL_MAX || memchr(text.p, '\0', text.n))
        return;
    memcpy(ret, text.p, text.n);
    ret[text.n] = '\0';
}

void multipart_read_model(struct slice content_type, struct slice body, char ret[DIALECT_MODEL_MAX])
{
    struct slice boundary = parameter(content_type, SLICE("boundary"));
    char text[BOUNDARY_MAX + 4] = "\r\n--";
    struct slice delimiter = {text, boundary.n + 4};

    ret[0] = '\0';
    if (boundary.n == 0 || boundary.n > BOUNDARY_MAX)
        return;
    memcpy(text + 4, boundary.p, boundary.n);
    /* the first delimiter may begin the body, without the line end before it */
    if (slice_starts(body, slice_skip(delimiter, 2)))
        body = slice_skip(body, delimiter.n - 2);
    else
        body = slice_skip(body, find(body, delimiter) + delimiter.n);
    while (slice_starts(body, SLICE("\r\n"))) {
        size_t end = find(body, delimiter);
        struct slice part = slice_head(slice_skip(body, 2), end > 2 ? end - 2 : 0);
        size_t head = find(part, SLICE("\r\n\r\n"));

        if (end == body.n)
            return;
        if (is_named(slice_head(part, head), SLICE("model"))) {
            take(slice_skip(part, head + 4), ret);
            return;
        }
        body = slice_skip(body, end + delimiter.n);
    }
}
