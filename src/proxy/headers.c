/* headers: a header travels unless a rule below names it; none is ever rewritten but Cookie, and Location (location.h). */
#include "metergate/proxy/headers.h"

#include <stdlib.h>
#include <string.h>

#include "metergate/base/err.h"
#include "metergate/proxy/cookie.h"

void headers_init(struct headers *h)
{
    *h = (struct headers){0};
}

void headers_release(struct headers *h)
{
    free(h->v);
    free(h->text);
    headers_init(h);
}

void headers_add(struct headers *h, struct slice name, struct slice value)
{
    if (h->n == h->cap) {
        h->cap = h->cap ? 2 * h->cap : 24;
        h->v = xrealloc(h->v, h->cap * sizeof *h->v);
    }
    h->v[h->n++] = (struct http_header){name, value};
}

void headers_copy(const struct http_header *v, size_t n, struct headers *out)
{
    size_t bytes = 0, at = 0;

    for (size_t i = 0; i < n; i++)
        bytes += v[i].name.n + v[i].value.n;
    headers_release(out);
    out->text = xmalloc(bytes);
    for (size_t i = 0; i < n; i++) {
        char *name = out->text + at, *value = name + v[i].name.n;

        memcpy(name, v[i].name.p, v[i].name.n);
        if (v[i].value.n)
            memcpy(value, v[i].value.p, v[i].value.n);
        headers_add(out, slice_of(name, v[i].name.n), slice_of(value, v[i].value.n));
        at += v[i].name.n + v[i].value.n;
    }
}

bool headers_is_ours(struct slice name)
{
    return slice_eq_nocase(slice_head(name, 10), SLICE("metergate-"));
}

static bool is_one_of(struct slice name, const char *const *names)
{
    for (; *names; names++) {
        if (slice_eq_nocase(name, slice_str(*names)))
            return true;
    }
    return false;
}

/* RFC 9110 7.6.1: what Connection names concerns this connection alone. */
static bool named_by_connection(const struct http_header *v, size_t n, struct slice name)
{
    for (size_t i = 0; i < n; i++) {
        if (slice_eq_nocase(v[i].name, SLICE("connection")) && http_list_has(v[i].value, name))
            return true;
    }
    return false;
}

static bool stays_here(const struct http_header *v, size_t n, struct slice name)
{
    return http_is_hop_by_hop(name) || slice_eq_nocase(name, SLICE("content-length")) || headers_is_ours(name) ||
           named_by_connection(v, n, name);
}

bool headers_is_credential(struct slice name)
{
    static const char *const credentials[] = {"authorization", "api-key", "x-api-key", "x-goog-api-key", "cookie", NULL};

    return is_one_of(name, credentials);
}

/* Room for what is left of the cookie headers that have one of ours, which opens Metergate and must not leave the machine. */
static size_t cookie_room(const struct http_head *request)
{
    size_t n = 0;

    for (size_t i = 0; i < request->header_count; i++) {
        const struct http_header *h = &request->headers[i];

        if (slice_eq_nocase(h->name, SLICE("cookie")) && cookie_has_ours(h->value))
            n += 2 * h->value.n;
    }
    return n;
}

/* A header that travels, but for our cookie in it; *at is where the next one that is rewritten goes. */
static void add_travelling(struct headers *out, const struct http_header *h, char **at)
{
    struct slice value = h->value;

    if (slice_eq_nocase(h->name, SLICE("cookie")) && cookie_has_ours(value)) {
        value = cookie_without_ours(value, *at);
        *at += value.n;
        if (value.n == 0)
            return;
    }
    headers_add(out, h->name, value);
}

bool headers_is_of_browser(const struct http_head *request)
{
    return http_header_get(request->headers, request->header_count, SLICE("sec-fetch-site")).p ||
           http_header_get(request->headers, request->header_count, SLICE("origin")).p;
}

void headers_for_upstream(const struct http_head *request, const struct headers_upstream_rules *rules,
                          struct headers *out)
{
    static const char *const always[] = {"host", "expect", NULL};
    static const char *const of_browsers[] = {"cookie", "referer", NULL};
    bool browser = headers_is_of_browser(request);
    size_t room = cookie_room(request);
    char *at;

    headers_release(out);
    out->text = at = room ? xmalloc(room) : NULL;
    for (size_t i = 0; i < request->header_count; i++) {
        struct slice name = request->headers[i].name;

        if (stays_here(request->headers, request->header_count, name) || is_one_of(name, always))
            continue;
        if (browser && is_one_of(name, of_browsers))
            continue;
        if (rules->metered && slice_eq_nocase(name, SLICE("accept-encoding")))
            continue;
        if ((rules->key.value.n || rules->credentials_stay) && headers_is_credential(name))
            continue;
        add_travelling(out, &request->headers[i], &at);
    }
    if (rules->key.value.n)
        headers_add(out, rules->key.name, rules->key.value);
}

/* What a client would keep, run, or report to others for the host that it believes to have called. */
static bool is_for_our_host(struct slice name)
{
    static const char *const names[] = {
        /* kept for the host, whatever the port */
        "set-cookie", "set-cookie2", "clear-site-data", "strict-transport-security", "public-key-pins",
        "public-key-pins-report-only", "expect-ct", "alt-svc", "accept-ch", "critical-ch", "origin-agent-cluster",
        "origin-trial", "set-login", "secure-session-registration", "sec-session-registration", "use-as-dictionary",
        "service-worker-allowed",
        /* what happens here is told to others */
        "nel", "report-to", "reporting-endpoints", "content-security-policy-report-only",
        /* what a page does by itself, which our policy would stop too; and what ours takes the place of */
        "refresh", "speculation-rules", "sourcemap", "x-sourcemap", "content-security-policy", "x-content-type-options",
        NULL};

    return is_one_of(name, names);
}

void headers_for_client(const struct http_head *request, const struct http_header *answer, size_t count,
                        struct headers *out)
{
    bool browser = headers_is_of_browser(request);

    for (size_t i = 0; i < count; i++) {
        struct slice name = answer[i].name;

        if (stays_here(answer, count, name) || is_for_our_host(name) || slice_eq_nocase(name, SLICE("location")))
            continue;
        if (browser && slice_eq_nocase(name, SLICE("www-authenticate")))
            continue;
        headers_add(out, name, answer[i].value);
    }
    headers_add(out, SLICE("X-Content-Type-Options"), SLICE("nosniff"));
    headers_add(out, SLICE("Content-Security-Policy"), SLICE("sandbox; default-src 'none'; frame-ancestors 'none'"));
}
