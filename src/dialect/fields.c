/* fields: one pass over the object; what is inside a member is only skipped. */
#include "metergate/dialect/fields.h"

#include <errno.h>
#include <string.h>

#include "metergate/base/scan_text.h"

static struct field *named(struct field *fields, size_t n, const struct scan *s, const struct scan_value *key)
{
    for (size_t i = 0; i < n; i++) {
        if (scan_is(s, key, fields[i].name) ||
            (fields[i].other_name && scan_is(s, key, fields[i].other_name)))
            return &fields[i];
    }
    return NULL;
}

int fields_read(struct slice text, struct field *fields, size_t n, size_t *ret_close_at)
{
    struct scan_value key, value;
    struct field *f;
    struct scan s;

    scan_init(&s, text);
    if (!scan_enter(&s, SCAN_OBJECT))
        return -EBADMSG;
    while (scan_member(&s, &key)) {
        f = named(fields, n, &s, &key);
        value = scan_value(&s);
        if (!f)
            continue;
        f->value = value;
        f->times++;
    }
    if (ret_close_at)
        *ret_close_at = s.at - 1;
    return scan_end(&s);
}

struct slice field_raw(struct slice text, const struct field *f)
{
    return slice_head(slice_skip(text, f->value.at), f->value.n);
}

int64_t field_number(struct slice text, const struct field *f, int64_t most)
{
    int64_t n;
    int rc;

    if (f->value.type != SCAN_NUMBER)
        return 0;
    rc = scan_int64(scan_inside(text, &f->value), &n);
    if (rc == -ERANGE)
        return text.p[f->value.at] == '-' ? 0 : most;
    if (rc < 0 || n < 0)
        return 0;
    return n < most ? n : most;
}

int field_text(struct slice text, const struct field *f, char *ret, size_t size)
{
    struct buf decoded;
    int rc = -EBADMSG;

    buf_init(&decoded, size - 1);
    buf_need(&decoded, size - 1); /* a few hundred bytes: a call must not be another model's because there were none */
    if (f->value.type == SCAN_STRING && scan_decode(scan_inside(text, &f->value), &decoded) == 0 &&
        decoded.n > 0 && !memchr(decoded.p, '\0', decoded.n)) {
        memcpy(ret, decoded.p, decoded.n + 1);
        rc = 0;
    }
    buf_release(&decoded);
    return rc;
}

bool field_is_true(const struct field *f)
{
    return f->value.type == SCAN_TRUE;
}

struct span field_span(const struct field *f)
{
    return (struct span){.at = f->value.at, .n = f->value.n};
}

int64_t field_elements(struct slice text, const struct field *f)
{
    int64_t n = 0;
    struct scan s;

    scan_init(&s, field_raw(text, f));
    if (f->value.type != SCAN_ARRAY || !scan_enter(&s, SCAN_ARRAY))
        return 0;
    for (; scan_element(&s); n++)
        scan_value(&s);
    return n;
}
