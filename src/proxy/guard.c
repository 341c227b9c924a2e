/* guard: what is not known to be ours is refused; a missing Host (HTTP/1.0) cannot be a rebinding and passes. */
#include "metergate/proxy/guard.h"

#include <arpa/inet.h>
#include <string.h>

/* "[::1]:80" -> "::1", "a.b:80" -> "a.b"; empty when what follows the name is no port ("localhost:80@evil.example"). */
static struct slice without_port(struct slice host)
{
    bool bracketed = host.n && host.p[0] == '[';
    struct slice inside = slice_skip(host, bracketed);
    size_t end = slice_find(inside, bracketed ? ']' : ':');
    struct slice rest = slice_skip(inside, end + bracketed);

    if (bracketed && end == inside.n)
        return slice_of(NULL, 0);
    for (size_t i = 0; i < rest.n; i++) {
        if (i == 0 ? rest.p[i] != ':' : rest.p[i] < '0' || rest.p[i] > '9')
            return slice_of(NULL, 0);
    }
    return slice_head(inside, end);
}

bool guard_is_local_host(struct slice host)
{
    struct slice name = without_port(host);
    char text[64];
    unsigned char ip[16];

    if (slice_eq_nocase(name, SLICE("localhost")) ||
        (name.n > 10 && slice_eq_nocase(slice_skip(name, name.n - 10), SLICE(".localhost"))))
        return true;
    if (name.n == 0 || name.n >= sizeof text)
        return false;
    memcpy(text, name.p, name.n);
    text[name.n] = '\0';
    if (inet_pton(AF_INET, text, ip) == 1)
        return ip[0] == 127;
    if (inet_pton(AF_INET6, text, ip) == 1)
        return memcmp(ip, (const unsigned char[16]){[15] = 1}, 16) == 0;
    return false;
}

static bool listed(struct slice value, const char *const *list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (slice_eq_nocase(value, slice_str(list[i])))
            return true;
    }
    return false;
}

bool guard_is_our_host(struct slice host, const struct guard_rules *rules)
{
    return guard_is_local_host(host) || listed(host, rules->hosts, rules->host_count) ||
           listed(without_port(host), rules->hosts, rules->host_count) ||
           (rules->local.n && slice_eq_nocase(without_port(host), rules->local));
}

bool guard_is_our_origin(struct slice origin, const struct guard_rules *rules)
{
    static const char *const schemes[] = {"http://", "https://"};

    if (listed(origin, rules->origins, rules->origin_count))
        return true;
    for (size_t i = 0; i < MG_ARRAY_LEN(schemes); i++) {
        struct slice scheme = slice_str(schemes[i]);

        if (slice_eq_nocase(slice_head(origin, scheme.n), scheme))
            return guard_is_local_host(slice_skip(origin, scheme.n));
    }
    return false; /* "null" among them: a sandboxed page or a file */
}

/* A page that came from here: the Host, which is ours, is that of its origin. */
static bool is_same_origin(struct slice origin, struct slice host)
{
    static const char *const schemes[] = {"http://", "https://"};

    for (size_t i = 0; i < MG_ARRAY_LEN(schemes); i++) {
        struct slice scheme = slice_str(schemes[i]);

        if (host.n && slice_starts(origin, scheme) && slice_eq_nocase(slice_skip(origin, scheme.n), host))
            return true;
    }
    return false;
}

enum guard_verdict guard_check(const struct http_head *head, const struct guard_rules *rules,
                               struct slice *ret_culprit)
{
    struct slice host = http_header_get(head->headers, head->header_count, SLICE("host"));
    struct slice site = http_header_get(head->headers, head->header_count, SLICE("sec-fetch-site"));
    bool has_origin = false;

    *ret_culprit = host;
    if (host.p && !guard_is_our_host(host, rules))
        return GUARD_HOST;
    for (size_t i = 0; i < head->header_count; i++) {
        if (!slice_eq_nocase(head->headers[i].name, SLICE("origin")))
            continue;
        has_origin = true;
        *ret_culprit = head->headers[i].value;
        if (!guard_is_our_origin(head->headers[i].value, rules) && !is_same_origin(head->headers[i].value, host))
            return GUARD_ORIGIN;
    }
    return !has_origin && slice_eq_nocase(site, SLICE("cross-site")) ? GUARD_SITE : GUARD_OK;
}
