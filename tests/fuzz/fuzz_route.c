/*
 * fuzz_route: the parts of any target are pieces of it that make it up again, with nothing lost or looked at twice; parameters
 * of a query are those that a slow look finds, decoded as they were written; and the name of a model in a path is a piece of
 * that path. The first byte has the hints, then come a method, a blank and the target.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "metergate/base/client_name.h"
#include "metergate/dialect/path_model.h"
#include "metergate/proxy/query.h"
#include "metergate/proxy/route.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static bool is_upstream(void *arg, struct slice name)
{
    (void)arg;
    return slice_eq(name, SLICE("openai")) || slice_eq(name, SLICE("my.one"));
}

static bool is_our_host(void *arg, struct slice host)
{
    (void)arg;
    return slice_eq(host, SLICE("localhost:4283"));
}

static void check_route(struct slice method, struct slice target, const struct route_hints *hints)
{
    const struct route_rules rules = {.is_upstream = is_upstream, .is_our_host = is_our_host};
    struct route r = route_read(method, target, hints, &rules);
    enum route_kind speech = route_speech(target, hints);
    struct buf again;

    MG_ASSERT(speech == ROUTE_OPENAI || speech == ROUTE_ANTHROPIC || speech == ROUTE_GEMINI);
    MG_ASSERT(r.kind <= ROUTE_BAD && (r.kind != ROUTE_BAD || r.problem));
    MG_ASSERT(!r.problem || r.kind == ROUTE_BAD || r.kind == ROUTE_NONE);
    if (r.kind == ROUTE_BAD || r.kind == ROUTE_NOT_A_TUNNEL || slice_eq(target, SLICE("*")))
        return;
    MG_ASSERT(!slice_eq(method, SLICE("CONNECT")) && r.path.n && r.path.p[0] == '/' && slice_find(r.path, '?') == r.path.n);
    MG_ASSERT(!r.client.n || client_name_ok(r.client));
    MG_ASSERT(!r.priority.n || (r.client.n && route_priority_ok(r.priority)));
    MG_ASSERT(r.kind != ROUTE_NAMED || is_upstream(NULL, r.upstream));
    for (size_t i = 0; i < r.path.n + r.query.n; i++) {
        unsigned char c = (unsigned char)(i < r.path.n ? r.path.p[i] : r.query.p[i - r.path.n]);

        MG_ASSERT(c > 0x20 && c != 0x7f && c != '#');
    }
    if (slice_eq_nocase(slice_head(target, 7), SLICE("http://")) && target.p[0] != '/')
        target = slice_skip(target, sizeof "http://localhost:4283" - 1);
    buf_init(&again, BUF_UNLIMITED);
    if (r.client.n)
        buf_addf(&again, "/@%.*s%s%.*s", (int)r.client.n, r.client.p, r.priority.n ? ":" : "", (int)r.priority.n, r.priority.p);
    if (r.kind == ROUTE_NAMED)
        buf_addf(&again, "/%.*s", (int)r.upstream.n, r.upstream.p);
    if (r.path.n > 1 || !slice_eq(buf_slice(&again), slice_head(target, slice_find(target, '?'))))
        buf_add_slice(&again, r.path); /* of /@x and /openai it is "/", which nobody wrote */
    if (r.query.p) {
        buf_add_char(&again, '?');
        buf_add_slice(&again, r.query);
    }
    if (target.n && target.p[0] == '/')
        MG_ASSERT(slice_eq(buf_slice(&again), target));
    buf_release(&again);
}

/* ---- queries ---- */

static void encode(struct buf *out, struct slice s)
{
    for (size_t i = 0; i < s.n; i++)
        buf_addf(out, "%%%02x", (unsigned)(unsigned char)s.p[i]);
}

static void check_query(struct slice query)
{
    struct query_pair pair, again;
    struct errbuf e = {""};
    struct slice rest = query;
    struct buf coded;
    int rc, unread = 0;

    query_pair_init(&pair);
    query_pair_init(&again);
    buf_init(&coded, BUF_UNLIMITED);
    while ((rc = query_next(&rest, &pair, &e)) == 1) {
        struct slice raw;

        MG_ASSERT(rest.n < query.n || query.n == 0);
        MG_ASSERT(pair.name.n + pair.value.n <= query.n);
        buf_reset(&coded);
        encode(&coded, buf_slice(&pair.name));
        buf_add_char(&coded, '=');
        encode(&coded, buf_slice(&pair.value));
        raw = buf_slice(&coded);
        MG_ASSERT(query_next(&raw, &again, &e) == 1 && raw.n == 0);
        MG_ASSERT(slice_eq(buf_slice(&again.name), buf_slice(&pair.name)));
        MG_ASSERT(slice_eq(buf_slice(&again.value), buf_slice(&pair.value)));
        if (pair.name.n && pair.name.n < 64 && !memchr(query.p, '%', query.n))
            MG_ASSERT(route_query_has(query, pair.name.p));
        unread++;
    }
    MG_ASSERT(rc == 0 || (rc == -EINVAL && e.text[0]));
    if (rc == 0) { /* as many as stand between & and are not empty */
        for (size_t i = 0; i < query.n; i++)
            unread -= query.p[i] != '&' && (i == 0 || query.p[i - 1] == '&');
        MG_ASSERT(unread == 0);
    }
    query_pair_release(&pair);
    query_pair_release(&again);
    buf_release(&coded);
}

/* ---- models in paths ---- */

static void check_model(struct slice path, int (*read)(struct slice, char *))
{
    char model[DIALECT_MODEL_MAX] = "x";
    int rc = read(path, model);
    size_t n = strnlen(model, sizeof model);

    MG_ASSERT(n < sizeof model && (rc == 0 ? n > 0 : rc == -EBADMSG && n == 0));
    if (rc == 0 && slice_find(path, '%') == path.n)
        MG_ASSERT(memmem(path.p, path.n, model, n) && !strchr(model, '/'));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct slice rest = slice_of((const char *)data + (n > 0), n - (n > 0)), method, target;
    const struct route_hints hints = {.has_api_key = n && data[0] & 1,
                                      .has_anthropic_version = n && data[0] & 2,
                                      .has_goog_api_key = n && data[0] & 4};

    method = slice_head(rest, slice_find(rest, ' '));
    target = slice_skip(rest, method.n + 1);
    check_route(method, target, &hints);
    check_query(slice_skip(target, slice_find(target, '?') + 1));
    check_model(target, path_model_gemini);
    check_model(target, path_model_azure);
    (void)path_model_method_is(target, "generatecontent");
    return 0;
}
