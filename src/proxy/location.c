/*
 * location: everything that a peer wrote is taken apart here once, and what goes out is put together of the parts: so no
 * client can read it otherwise than it was judged.
 */
#include "metergate/proxy/location.h"

#include <string.h>

#include "metergate/proxy/path.h"

/* An http or https URL. `path` begins with '/', `rest` with '?' or '#', or is empty. */
struct address {
    struct slice scheme, authority, path, rest;
};

static size_t find_any(struct slice s, const char *chars)
{
    size_t n = 0;

    while (n < s.n && !strchr(chars, s.p[n]))
        n++;
    return n;
}

/* What URLs cannot have: clients drop, trim or turn it, each in its own way. */
static bool has_odd_bytes(struct slice s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];

        if (c <= 0x20 || c >= 0x7f || c == '\\')
            return true;
    }
    return false;
}

static bool is_http(struct slice scheme)
{
    return slice_eq_nocase(scheme, SLICE("http")) || slice_eq_nocase(scheme, SLICE("https"));
}

static void take_path(struct slice s, struct address *ret)
{
    ret->path = slice_head(s, find_any(s, "?#"));
    ret->rest = slice_skip(s, ret->path.n);
    if (ret->path.n == 0)
        ret->path = SLICE("/");
}

/* `s` is what follows "scheme:". */
static bool take_authority(struct slice scheme, struct slice s, struct address *ret)
{
    if (!is_http(scheme) || !slice_starts(s, SLICE("//")))
        return false;
    s = slice_skip(s, 2);
    ret->scheme = scheme;
    ret->authority = slice_head(s, find_any(s, "/?#"));
    take_path(slice_skip(s, ret->authority.n), ret);
    return ret->authority.n > 0 && slice_find(ret->authority, '@') == ret->authority.n;
}

static bool take_absolute(struct slice s, struct address *ret)
{
    size_t colon = slice_find(s, ':');

    return colon < s.n && take_authority(slice_head(s, colon), slice_skip(s, colon + 1), ret);
}

/* RFC 3986 5.2.2, without dot segments, which are refused. `merged` gets the path of a reference without a '/' before it. */
static bool resolve(struct slice value, const struct address *called, struct buf *merged, struct address *ret)
{
    struct slice start = slice_head(value, find_any(value, "/?#"));
    size_t dir = called->path.n;

    if (slice_find(start, ':') < start.n)
        return take_absolute(value, ret);
    if (slice_starts(value, SLICE("//")))
        return take_authority(called->scheme, value, ret);
    *ret = *called;
    if (slice_starts(value, SLICE("/"))) {
        take_path(value, ret);
        return true;
    }
    if (start.n == 0) { /* "?x" and "#x": the same path */
        ret->rest = value;
        return value.n > 0;
    }
    while (dir > 0 && called->path.p[dir - 1] != '/')
        dir--;
    buf_add_slice(merged, slice_head(called->path, dir));
    buf_add_slice(merged, value);
    take_path(buf_slice(merged), ret);
    return true;
}

/* Without the port that its scheme has anyway. */
static struct slice plain_authority(const struct address *a)
{
    struct slice usual = slice_eq_nocase(a->scheme, SLICE("https")) ? SLICE(":443") : SLICE(":80");

    return slice_ends(a->authority, usual) ? slice_head(a->authority, a->authority.n - usual.n) : a->authority;
}

static int port_of(const struct address *a)
{
    struct slice s = a->authority;
    size_t at = s.n;
    int64_t port;

    while (at > 0 && s.p[at - 1] >= '0' && s.p[at - 1] <= '9')
        at--;
    if (at == 0 || s.p[at - 1] != ':' || at == s.n || slice_int64(slice_skip(s, at), &port) < 0 || port > 65535)
        return slice_eq_nocase(a->scheme, SLICE("https")) ? 443 : 80;
    return (int)port;
}

/*
 * 127.0.0.1 has more spellings than can be told apart from names (127.1, 0x7f.1, any name that somebody points here), so
 * the port alone decides; and the name by which this client has called.
 */
static bool is_this_daemon(const struct address *a, const struct location_context *c)
{
    struct slice host = plain_authority(a);

    if (c->port && port_of(a) == c->port)
        return true;
    return c->host.n && (slice_eq_nocase(host, c->host) || slice_eq_nocase(a->authority, c->host));
}

static bool path_is_plain(struct slice path)
{
    struct slice plain;
    struct buf storage;
    bool ok;

    buf_init(&storage, BUF_UNLIMITED);
    ok = path_read(path, &storage, &plain) == NULL;
    buf_release(&storage);
    return ok;
}

/* Whether the path lies under that of base_url; what follows it goes to *ret. */
static bool is_under(struct slice path, struct slice base, struct slice *ret)
{
    while (slice_ends(base, SLICE("/")))
        base.n--;
    if (!slice_starts(path, base) || (path.n > base.n && path.p[base.n] != '/'))
        return false;
    *ret = slice_skip(path, base.n);
    return true;
}

static void add_path_here(const struct location_context *c, struct slice rest, struct buf *out)
{
    if (c->client.n) {
        buf_add_str(out, "/@");
        buf_add_slice(out, c->client);
        buf_add_str(out, c->priority.n ? ":" : "");
        buf_add_slice(out, c->priority);
    }
    buf_add_char(out, '/');
    buf_add_slice(out, c->upstream);
    if (c->takes_v1)
        buf_add_str(out, "/v1");
    else if (rest.n == 0)
        buf_add_char(out, '/');
    buf_add_slice(out, rest);
}

static bool write_for_client(const struct address *to, const struct location_context *c, struct buf *out)
{
    struct address base;
    struct slice rest;

    if (!take_absolute(c->base_url, &base) || !path_is_plain(to->path))
        return false;
    if (slice_eq_nocase(plain_authority(to), plain_authority(&base)) && is_under(to->path, base.path, &rest)) {
        add_path_here(c, rest, out);
    } else if (is_this_daemon(to, c)) {
        return false;
    } else {
        buf_add_slice(out, to->scheme);
        buf_add_str(out, "://");
        buf_add_slice(out, to->authority);
        buf_add_slice(out, to->path);
    }
    buf_add_slice(out, to->rest);
    return true;
}

bool location_for_client(struct slice value, const struct location_context *c, struct buf *out)
{
    struct address called, to;
    struct buf merged;
    bool ok;

    value = slice_trim(value);
    if (has_odd_bytes(value) || !take_absolute(c->url, &called))
        return false;
    buf_init(&merged, BUF_UNLIMITED);
    ok = resolve(value, &called, &merged, &to) && write_for_client(&to, c, out);
    buf_release(&merged);
    return ok;
}
