/* url: reads what SDKs would take for a base URL; nothing is decoded. */
#include "metergate/tool/url.h"

#include <errno.h>

static int read_port(struct slice text, int fallback, int *ret)
{
    int64_t port = fallback;

    if (text.n && slice_int64(text, &port) < 0)
        return -EINVAL;
    if (port < 1 || port > 65535)
        return -EINVAL;
    *ret = (int)port;
    return 0;
}

/* HOST, HOST:PORT or [HOST]:PORT. */
static int read_authority(struct slice text, struct url *u)
{
    size_t end;

    for (size_t at = slice_find(text, '@'); at < text.n; at = slice_find(text, '@'))
        text = slice_skip(text, at + 1);
    if (text.n && text.p[0] == '[') {
        end = slice_find(text, ']');
        if (end == text.n)
            return -EINVAL;
        u->host = slice_head(slice_skip(text, 1), end - 1);
        text = slice_skip(text, end + 1);
        if (text.n && text.p[0] != ':')
            return -EINVAL;
    } else {
        u->host = slice_head(text, slice_find(text, ':'));
        text = slice_skip(text, u->host.n);
    }
    return u->host.n ? read_port(slice_skip(text, 1), u->tls ? 443 : 80, &u->port) : -EINVAL;
}

int url_read(struct slice text, struct url *ret)
{
    struct url u = {0};
    struct slice authority;
    size_t scheme = slice_find(text, ':'), end = 0;

    u.tls = slice_eq_nocase(slice_head(text, scheme), SLICE("https"));
    if (!u.tls && !slice_eq_nocase(slice_head(text, scheme), SLICE("http")))
        return -EINVAL;
    text = slice_skip(text, scheme);
    if (!slice_starts(text, SLICE("://")))
        return -EINVAL;
    text = slice_skip(text, 3);
    while (end < text.n && text.p[end] != '/' && text.p[end] != '?' && text.p[end] != '#')
        end++;
    authority = slice_head(text, end);
    u.path = slice_skip(text, end);
    u.path = slice_head(u.path, slice_find(u.path, '?'));
    u.path = slice_head(u.path, slice_find(u.path, '#'));
    while (u.path.n && u.path.p[u.path.n - 1] == '/')
        u.path.n--;
    if (read_authority(authority, &u) < 0)
        return -EINVAL;
    *ret = u;
    return 0;
}

bool url_host_is_loopback(struct slice host)
{
    return slice_eq_nocase(host, SLICE("localhost")) || slice_starts(host, SLICE("127.")) ||
           slice_eq(host, SLICE("::1"));
}

bool url_same_place(const struct url *a, const struct url *b)
{
    return a->port == b->port && (slice_eq_nocase(a->host, b->host) ||
                                  (url_host_is_loopback(a->host) && url_host_is_loopback(b->host)));
}
