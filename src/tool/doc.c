/* doc: every question scans the document again: they are small, or are asked element by element. */
#include "metergate/tool/doc.h"

#include <errno.h>
#include <string.h>

#include "metergate/base/plain.h"
#include "metergate/base/scan_text.h"

#define SEGMENT_MAX 64

bool doc_check(struct slice text)
{
    struct scan s;
    struct scan_value v;

    scan_init(&s, text);
    v = scan_value(&s);
    return scan_end(&s) == 0 && v.type == SCAN_OBJECT;
}

/* The first member of that name; empty when there is none, or `object` is no object. */
static struct slice member(struct slice object, const char *name)
{
    struct scan_value key;
    struct scan s;

    scan_init(&s, object);
    if (!object.n || !scan_enter(&s, SCAN_OBJECT))
        return SLICE("");
    while (scan_member(&s, &key)) {
        struct scan_value value = scan_value(&s);

        if (scan_is(&s, &key, name))
            return value.type == SCAN_NULL ? SLICE("") : slice_of(object.p + value.at, value.n);
    }
    return SLICE("");
}

struct slice doc_get(struct slice doc, const char *path)
{
    while (doc.n && *path) {
        char name[SEGMENT_MAX];
        size_t n = strcspn(path, ".");

        MG_ASSERT(n < sizeof name);
        memcpy(name, path, n);
        name[n] = '\0';
        doc = member(doc, name);
        path += n + (path[n] == '.');
    }
    return doc;
}

int64_t doc_int(struct slice doc, const char *path)
{
    struct slice raw = doc_get(doc, path);
    int64_t v;
    int rc = scan_int64(raw, &v);

    if (rc == -ERANGE)
        return raw.p[0] == '-' ? INT64_MIN : INT64_MAX;
    return rc < 0 ? 0 : v;
}

/* Appends a digit; false when that does not fit. */
static bool push_digit(int64_t *v, int digit)
{
    return !__builtin_mul_overflow(*v, 10, v) && !__builtin_add_overflow(*v, digit, v);
}

int doc_scaled(struct slice doc, const char *path, int digits, int64_t *ret)
{
    struct slice raw = doc_get(doc, path);
    bool negative = raw.n && raw.p[0] == '-', point = false;
    int64_t v = 0;
    int left = digits, next = 0;

    MG_ASSERT(digits >= 0 && digits <= 9);
    if (negative)
        raw = slice_skip(raw, 1);
    if (!raw.n)
        return -EINVAL;
    for (size_t i = 0; i < raw.n; i++) {
        int digit = raw.p[i] - '0';

        if (raw.p[i] == '.' && !point) {
            point = true;
            continue;
        }
        if (digit < 0 || digit > 9)
            return -EINVAL;
        if (point && left == 0) {
            next = next ? next : 10 + digit; /* the first one left out decides; 10 says that there is one */
            continue;
        }
        left -= point;
        if (!push_digit(&v, digit))
            return -ERANGE;
    }
    for (; left > 0; left--) {
        if (!push_digit(&v, 0))
            return -ERANGE;
    }
    if (next >= 15 && __builtin_add_overflow(v, 1, &v))
        return -ERANGE;
    *ret = negative ? -v : v;
    return 0;
}

bool doc_truth(struct slice doc, const char *path)
{
    return slice_eq(doc_get(doc, path), SLICE("true"));
}

void doc_text(struct slice doc, const char *path, struct buf *out)
{
    struct slice raw = doc_get(doc, path);

    if (raw.n < 2 || raw.p[0] != '"')
        return;
    MG_ASSERT(scan_decode(slice_of(raw.p + 1, raw.n - 2), out) == 0); /* `out` is unlimited */
}

char *doc_plain(struct slice doc, const char *path)
{
    struct buf text, safe;

    buf_init(&text, BUF_UNLIMITED);
    buf_init(&safe, BUF_UNLIMITED);
    doc_text(doc, path, &text);
    plain_add(&safe, buf_slice(&text));
    buf_release(&text);
    return buf_take(&safe, NULL);
}

bool doc_is(struct slice doc, const char *path, const char *text)
{
    struct buf b;
    bool is;

    buf_init(&b, BUF_UNLIMITED);
    doc_text(doc, path, &b);
    is = slice_eq(buf_slice(&b), slice_str(text));
    buf_release(&b);
    return is;
}

void doc_list_begin(struct doc_list *l, struct slice doc, const char *path)
{
    struct slice raw = doc_get(doc, path);

    l->inside = false;
    if (!raw.n)
        return;
    scan_init(&l->scan, raw);
    l->inside = scan_enter(&l->scan, SCAN_ARRAY);
}

bool doc_list_next(struct doc_list *l, struct slice *ret)
{
    struct scan_value v;

    if (!l->inside || !scan_element(&l->scan)) {
        l->inside = false;
        return false;
    }
    v = scan_value(&l->scan);
    *ret = slice_of(l->scan.text.p + v.at, v.n);
    return true;
}
