/* path_model: looks from the end, because an upstream's own prefix may stand before. */
#include "metergate/dialect/path_model.h"

#include <errno.h>
#include <string.h>

/* Decodes the escapes of one segment. */
static int decode(struct slice s, char ret[DIALECT_MODEL_MAX])
{
    size_t n = 0;

    ret[0] = '\0';
    for (size_t i = 0; i < s.n; i++) {
        int escaped = slice_escaped(slice_skip(s, i));
        char c = escaped < 0 ? s.p[i] : (char)escaped;

        if (escaped >= 0)
            i += 2;
        if (c == '\0' || n + 1 >= DIALECT_MODEL_MAX) {
            ret[0] = '\0';
            return -EBADMSG;
        }
        ret[n++] = c;
    }
    ret[n] = '\0';
    return n ? 0 : -EBADMSG;
}

/* The last segment without blanks and slashes behind it: what two servers could read in them is path.h's. */
static struct slice last_segment(struct slice path)
{
    size_t at;

    while (path.n && path.p[path.n - 1] == '/')
        path.n--;
    at = path.n;
    while (at && path.p[at - 1] != '/')
        at--;
    return slice_skip(path, at);
}

/* Where the colon before the method stands, escaped or not; the segment's end when there is none. */
static size_t find_colon(struct slice segment, size_t *ret_width)
{
    for (size_t i = segment.n; i-- > 0;) {
        *ret_width = segment.p[i] == ':' ? 1 : 3;
        if (segment.p[i] == ':' || slice_eq_nocase(slice_head(slice_skip(segment, i), 3), SLICE("%3a")))
            return i;
    }
    *ret_width = 0;
    return segment.n;
}

int path_model_gemini(struct slice path, char ret[DIALECT_MODEL_MAX])
{
    struct slice segment = last_segment(path);
    size_t width;

    return decode(slice_head(segment, find_colon(segment, &width)), ret);
}

bool path_model_method_is(struct slice path, const char *method)
{
    struct slice segment = last_segment(path);
    size_t width, colon = find_colon(segment, &width);

    segment = slice_skip(segment, colon + width);
    return slice_eq_nocase(slice_head(segment, slice_find(segment, ';')), slice_str(method));
}

int path_model_azure(struct slice path, char ret[DIALECT_MODEL_MAX])
{
    struct slice before = SLICE("deployments");

    ret[0] = '\0';
    while (path.n) {
        size_t end = slice_find(path, '/');
        bool found = slice_eq_nocase(slice_head(path, end), before);

        path = slice_skip(path, end + 1);
        if (found)
            return decode(slice_head(path, slice_find(path, '/')), ret);
    }
    return -EBADMSG;
}
