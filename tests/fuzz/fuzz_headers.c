/*
 * fuzz_headers: of the headers of any request and answer those travel that a slow look at the same list says may, in their
 * order and as they came; no credential of the client's and no cookie of ours gets out where it must stay, and a page is served
 * when guard and cors agree that it may be. Lines of the input are "name:value"; the first byte has the rules.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "metergate/proxy/cookie.h"
#include "metergate/proxy/cors.h"
#include "metergate/proxy/guard.h"
#include "metergate/proxy/headers.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define MAX_HEADERS 64

enum { METERED = 1, KEY = 2, STAY = 4 }; /* bits of the first byte */

static const char *const one_connection[] = {"connection",        "keep-alive",          "proxy-connection", "te", "trailer",
                                             "transfer-encoding", "upgrade",             "http2-settings",   "content-length",
                                             "proxy-authenticate", "proxy-authorization", NULL};
static const char *const credentials[] = {"authorization", "api-key", "x-api-key", "x-goog-api-key", "cookie", NULL};

static bool is_among(const char *const *names, struct slice name)
{
    for (; *names; names++)
        if (strlen(*names) == name.n && strncasecmp(*names, name.p, name.n) == 0)
            return true;
    return false;
}

static bool is(struct slice name, const char *text)
{
    return is_among((const char *const[]){text, NULL}, name);
}

/* Whether a Connection header has the name between commas. */
static bool is_named(const struct http_head *h, struct slice name)
{
    for (size_t i = 0; i < h->header_count; i++) {
        struct slice value = h->headers[i].value;

        if (!is(h->headers[i].name, "connection"))
            continue;
        for (size_t from = 0, to; from <= value.n; from = to + 1) {
            struct slice word;

            for (to = from; to < value.n && value.p[to] != ','; to++)
                ;
            word = slice_trim(slice_of(value.n ? value.p + from : "", to - from));
            if (word.n == name.n && (word.n == 0 || strncasecmp(word.p, name.p, name.n) == 0))
                return true;
        }
    }
    return false;
}

static bool naive_stays(const struct http_head *h, struct slice name)
{
    return is_among(one_connection, name) || (name.n >= 10 && strncasecmp(name.p, "metergate-", 10) == 0) || is_named(h, name);
}

/* With nothing else than ours in it a header does not travel at all. */
static bool has_others(struct slice value)
{
    struct slice pair, ours;

    while (cookie_next(&value, &pair))
        if (!cookie_is_ours(pair, &ours))
            return true;
    return false;
}

/* Whether a value has a pair of ours in it: `metergate` and blanks before the first '=' of what stands between ';'. */
static bool has_ours(struct slice value)
{
    for (size_t from = 0, to; from <= value.n; from = to + 1) {
        struct slice pair;

        for (to = from; to < value.n && value.p[to] != ';'; to++)
            ;
        pair = slice_trim(slice_of(value.n ? value.p + from : "", to - from));
        pair = slice_trim(slice_head(pair, slice_find(pair, '=')));
        if (pair.n == 9 && memcmp(pair.p, "metergate", 9) == 0)
            return true;
    }
    return false;
}

static void check_cookie(struct slice value)
{
    char *room = malloc(2 * value.n + 1);
    struct slice left, pair, ours, rest = value, again;
    size_t others = 0, kept = 0;

    MG_ASSERT(room);
    MG_ASSERT(cookie_has_ours(value) == has_ours(value));
    left = cookie_without_ours(value, room);
    MG_ASSERT(left.n <= 2 * value.n && !has_ours(left) && !cookie_has_ours(left));
    while (cookie_next(&rest, &pair)) {
        MG_ASSERT(pair.n && slice_find(pair, ';') == pair.n);
        others += !cookie_is_ours(pair, &ours);
    }
    for (again = left; cookie_next(&again, &pair);)
        kept++;
    MG_ASSERT(others == kept);
    free(room);
}

static void check_upstream(const struct http_head *h, unsigned char rules)
{
    const struct headers_upstream_rules r = {
        .metered = rules & METERED,
        .key = {SLICE("X-Key"), rules & KEY ? SLICE("sk-ours") : slice_of(NULL, 0)},
        .credentials_stay = rules & STAY};
    struct headers out;
    size_t at = 0;

    headers_init(&out);
    headers_for_upstream(h, &r, &out);
    for (size_t i = 0; i < h->header_count; i++) {
        struct slice name = h->headers[i].name, value = h->headers[i].value;
        bool ours = is(name, "cookie") && has_ours(value);

        if (naive_stays(h, name) || is(name, "host") || is(name, "expect") || (rules & METERED && is(name, "accept-encoding")) ||
            (rules & (KEY | STAY) && is_among(credentials, name)))
            continue;
        if (ours) {
            if (!has_others(value))
                continue;
            MG_ASSERT(at < out.n && out.v[at].name.p == name.p && !has_ours(out.v[at].value));
        } else {
            MG_ASSERT(at < out.n && out.v[at].name.p == name.p && slice_eq(out.v[at].value, value));
        }
        at++;
    }
    MG_ASSERT(out.n == at + (rules & KEY ? 1 : 0));
    if (rules & KEY)
        MG_ASSERT(slice_eq(out.v[at].value, SLICE("sk-ours")));
    headers_release(&out);
}

static void check_client(const struct http_head *h)
{
    struct headers out, copy;
    size_t at = 0;

    headers_init(&out);
    headers_init(&copy);
    headers_for_client(h->headers, h->header_count, &out);
    for (size_t i = 0; i < h->header_count; i++) {
        if (naive_stays(h, h->headers[i].name))
            continue;
        MG_ASSERT(at < out.n && out.v[at].name.p == h->headers[i].name.p && out.v[at].value.p == h->headers[i].value.p);
        at++;
    }
    MG_ASSERT(at == out.n);
    headers_copy(out.v, out.n, &copy);
    MG_ASSERT(copy.n == out.n);
    for (size_t i = 0; i < copy.n; i++)
        MG_ASSERT(slice_eq(copy.v[i].name, out.v[i].name) && slice_eq(copy.v[i].value, out.v[i].value));
    headers_release(&out);
    headers_release(&copy);
}

/* What cors lets a page read it says of one origin alone, and only of one that the guard would let in. */
static void check_page(const struct http_head *h)
{
    static const char *const hosts[] = {"gate.example"}, *const origins[] = {"https://app.example"};
    const struct guard_rules rules = {.hosts = hosts, .host_count = 1, .origins = origins, .origin_count = 1, .local = SLICE("10.0.0.1")};
    struct slice culprit = slice_of(NULL, 0);
    enum guard_verdict verdict = guard_check(h, &rules, &culprit);
    struct headers answer;

    MG_ASSERT(verdict == GUARD_OK || verdict == GUARD_HOST || verdict == GUARD_ORIGIN || verdict == GUARD_SITE);
    if (verdict == GUARD_HOST)
        MG_ASSERT(!guard_is_our_host(culprit, &rules));
    if (verdict == GUARD_ORIGIN)
        MG_ASSERT(!guard_is_our_origin(culprit, &rules));
    headers_init(&answer);
    headers_add(&answer, SLICE("Access-Control-Allow-Origin"), SLICE("*"));
    headers_add(&answer, SLICE("Vary"), SLICE("Accept"));
    cors_add(h, &rules, &answer);
    for (size_t i = 0; i < answer.n; i++) {
        if (!is(answer.v[i].name, "access-control-allow-origin") || slice_eq(answer.v[i].value, SLICE("*")))
            continue;
        MG_ASSERT(guard_is_our_origin(answer.v[i].value, &rules));
        MG_ASSERT(slice_eq(answer.v[i].value, http_header_get(h->headers, h->header_count, SLICE("origin"))));
    }
    headers_release(&answer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct slice rest = slice_of((const char *)data + (n > 0), n - (n > 0));
    struct http_header headers[MAX_HEADERS];
    struct http_head h = {.method = SLICE("GET"), .target = SLICE("/"), .minor = 1, .headers = headers};

    while (rest.n && h.header_count < MAX_HEADERS) {
        struct slice line = slice_head(rest, slice_find(rest, '\n'));
        size_t colon = slice_find(line, ':');

        rest = slice_skip(rest, line.n + 1);
        headers[h.header_count] = (struct http_header){slice_head(line, colon), slice_trim(slice_skip(line, colon + 1))};
        if (http_is_token(headers[h.header_count].name) && http_is_field_value(headers[h.header_count].value))
            h.header_count++;
    }
    check_upstream(&h, n ? data[0] : 0);
    check_client(&h);
    check_page(&h);
    for (size_t i = 0; i < h.header_count; i++)
        check_cookie(headers[i].value);
    return 0;
}
