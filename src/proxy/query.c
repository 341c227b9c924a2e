/* query: the query was checked with its target (no blanks, no raw control characters) and is as long as a
 * head may be. */
#include "metergate/proxy/query.h"

#include <errno.h>
#include <stdbool.h>

#include "metergate/base/log.h"

void query_pair_init(struct query_pair *q)
{
    buf_init(&q->name, BUF_UNLIMITED);
    buf_init(&q->value, BUF_UNLIMITED);
}

void query_pair_release(struct query_pair *q)
{
    buf_release(&q->name);
    buf_release(&q->value);
}

static bool is_text(struct slice s)
{
    while (s.n) {
        size_t n = slice_utf8(s);

        if (n == 0 || (n == 1 && ((unsigned char)s.p[0] < 0x20 || s.p[0] == 0x7f)))
            return false;
        s = slice_skip(s, n);
    }
    return true;
}

/* False: there is a broken escape, or what is decoded is no text. */
static bool decode(struct slice raw, struct buf *out)
{
    buf_reset(out);
    while (raw.n) {
        int c = raw.p[0] == '%' ? slice_escaped(raw) : (unsigned char)raw.p[0];

        if (c < 0)
            return false;
        buf_add_char(out, (char)c);
        raw = slice_skip(raw, raw.p[0] == '%' ? 3 : 1);
    }
    return is_text(buf_slice(out));
}

int query_next(struct slice *rest, struct query_pair *ret, struct errbuf *e)
{
    struct slice pair, name;
    size_t end;

    do {
        if (rest->n == 0)
            return 0;
        end = slice_find(*rest, '&');
        pair = slice_head(*rest, end);
        *rest = slice_skip(*rest, end + 1);
    } while (pair.n == 0);
    name = slice_head(pair, slice_find(pair, '='));
    if (!decode(name, &ret->name) || !decode(slice_skip(pair, name.n + 1), &ret->value)) {
        err_set(e, "%s: a broken %%-escape, a control character or bytes that are not UTF-8",
                log_quote(name).text);
        return -EINVAL;
    }
    return 1;
}
