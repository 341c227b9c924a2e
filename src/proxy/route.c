/*
 * route: the rules in order, the first that matches wins. Targets are raw bytes: nothing is decoded, nothing
 * is normalised, because the provider must see what the client wrote. What in a path could mean two things to
 * two parsers is path.c's to refuse.
 */
#include "metergate/proxy/route.h"

#include <string.h>

#include "metergate/base/client_name.h"

bool route_client_name_ok(struct slice name)
{
    return client_name_ok(name);
}

bool route_priority_ok(struct slice priority)
{
    return slice_eq(priority, SLICE("high")) || slice_eq(priority, SLICE("normal")) || slice_eq(priority, SLICE("low"));
}

bool route_query_has(struct slice query, const char *name)
{
    while (query.n) {
        size_t end = slice_find(query, '&');
        struct slice pair = slice_head(query, end);

        if (slice_eq(slice_head(pair, slice_find(pair, '=')), slice_str(name)))
            return true;
        query = slice_skip(query, end + 1);
    }
    return false;
}

static struct route refuse(enum route_kind kind, const char *problem)
{
    return (struct route){.kind = kind, .problem = problem};
}

/* True when s is `prefix` itself or goes on with '/' after it. */
static bool under(struct slice s, const char *prefix)
{
    struct slice p = slice_str(prefix);

    return slice_starts(s, p) && (s.n == p.n || s.p[p.n] == '/');
}

static const char *target_problem(struct slice target)
{
    for (size_t i = 0; i < target.n; i++) {
        unsigned char c = (unsigned char)target.p[i];

        if (c <= 0x20 || c == 0x7f)
            return "The request target contains a space or a control character.";
        if (c == '#')
            return "The request target contains a fragment ('#'), which is never sent.";
    }
    return NULL;
}

/* Takes /@CLIENT[:PRIORITY] off r->path. */
static const char *take_client(struct route *r)
{
    struct slice segment = slice_skip(slice_head(r->path, 1 + slice_find(slice_skip(r->path, 1), '/')), 2);
    size_t colon = slice_find(segment, ':');

    r->client = slice_head(segment, colon);
    if (!route_client_name_ok(r->client))
        return "The client name after /@ must be 1 to 64 letters, digits, '.', '_' or '-'.";
    if (colon < segment.n) {
        r->priority = slice_skip(segment, colon + 1);
        if (!route_priority_ok(r->priority))
            return "The priority after /@CLIENT: must be high, normal or low.";
    }
    r->path = slice_skip(r->path, 2 + segment.n);
    if (r->path.n == 0)
        r->path = SLICE("/");
    return NULL;
}

static bool is_own(struct slice path)
{
    return slice_eq(path, SLICE("/")) || under(path, "/-") || slice_eq(path, SLICE("/metrics")) ||
           slice_eq(path, SLICE("/healthz")) || slice_eq(path, SLICE("/readyz"));
}

/*
 * /v1/projects/P/locations/..., /v1beta1/..., and the same behind a version that a base URL had at its end already.
 * These carry credentials of Google's cloud, which no upstream of ours is for. Nobody else has such paths:
 * OpenAI's projects are under /v1/organization.
 */
static bool is_vertex(struct slice path)
{
    while (under(path, "/v1") || under(path, "/v1beta1")) {
        path = slice_skip(path, slice_starts(path, SLICE("/v1beta1")) ? 8 : 3);
        if (under(path, "/projects") || under(path, "/publishers"))
            return true;
    }
    return false;
}

static enum route_kind by_rules(const struct route *r, const struct route_hints *h)
{
    struct slice path = r->path;

    if (under(path, "/openai/deployments"))
        return ROUTE_AZURE;
    if (h->has_api_key || route_query_has(r->query, "api-version"))
        return ROUTE_AZURE;
    if (h->has_anthropic_version || under(path, "/v1/messages") || slice_eq(path, SLICE("/messages")))
        return ROUTE_ANTHROPIC;
    if (under(path, "/v1beta/openai"))
        return ROUTE_GEMINI;
    if (h->has_goog_api_key || route_query_has(r->query, "key") || under(path, "/v1beta") ||
        under(path, "/v1alpha") || under(path, "/upload"))
        return ROUTE_GEMINI;
    if (under(path, "/api"))
        return ROUTE_OLLAMA;
    if (under(path, "/v1"))
        return ROUTE_OPENAI;
    return ROUTE_NONE;
}

static bool is_azure_path(const struct route *r, const struct route_hints *h)
{
    return under(r->path, "/openai/deployments") ||
           (under(r->path, "/openai") && (h->has_api_key || route_query_has(r->query, "api-version")));
}

/* RFC 9112 3.2.2: a server takes the absolute form of its own addresses as well. */
static struct slice without_our_host(struct slice target, const struct route_rules *rules)
{
    static const char scheme[] = "http://";
    struct slice rest = slice_skip(target, sizeof scheme - 1), host;

    if (!slice_eq_nocase(slice_head(target, sizeof scheme - 1), slice_str(scheme)))
        return target;
    host = slice_head(rest, slice_find(rest, '/'));
    if (!rules->is_our_host(rules->arg, host))
        return target;
    return host.n < rest.n ? slice_skip(rest, host.n) : SLICE("/");
}

struct route route_read(struct slice method, struct slice target, const struct route_hints *hints,
                        const struct route_rules *rules)
{
    struct route r = {.kind = ROUTE_NONE};
    size_t question;

    if (slice_eq(method, SLICE("CONNECT")))
        return refuse(ROUTE_NOT_A_TUNNEL, NULL);
    if (slice_eq(target, SLICE("*")))
        return refuse(ROUTE_NONE, NULL);
    target = without_our_host(target, rules);
    if (target.n == 0)
        return refuse(ROUTE_BAD, "The request target is empty.");
    if (target.p[0] != '/')
        return refuse(ROUTE_NOT_A_TUNNEL, NULL);
    question = slice_find(target, '?');
    r.path = slice_head(target, question);
    if (question < target.n)
        r.query = slice_skip(target, question + 1);
    r.problem = target_problem(target);
    if (!r.problem && slice_starts(r.path, SLICE("/@")))
        r.problem = take_client(&r);
    if (r.problem) {
        r.kind = ROUTE_BAD;
        return r;
    }
    if (is_own(r.path)) {
        r.kind = ROUTE_OWN;
        return r;
    }
    r.upstream = slice_head(slice_skip(r.path, 1), slice_find(slice_skip(r.path, 1), '/'));
    if (!is_azure_path(&r, hints) && r.upstream.n && rules->is_upstream(rules->arg, r.upstream)) {
        r.kind = ROUTE_NAMED;
        r.path = slice_skip(r.path, 1 + r.upstream.n);
        if (r.path.n == 0)
            r.path = SLICE("/");
        return r;
    }
    if (is_vertex(r.path)) {
        r.problem = "This is a path of Vertex AI, for which Metergate has no upstream: your Google Cloud credential is sent "
                    "to nobody else. Unset GOOGLE_VERTEX_BASE_URL (and ANTHROPIC_VERTEX_BASE_URL), so that such calls go "
                    "there directly, or use the Gemini API with an API key (GOOGLE_GEMINI_BASE_URL).";
        return r;
    }
    r.kind = by_rules(&r, hints);
    return r;
}

static bool contains(struct slice s, const char *text)
{
    return s.n && memmem(s.p, s.n, text, strlen(text)) != NULL;
}

enum route_kind route_speech(struct slice target, const struct route_hints *hints)
{
    size_t question = slice_find(target, '?');
    struct slice path = slice_head(target, question), query = slice_skip(target, question + 1);

    if (contains(path, "/openai/"))
        return ROUTE_OPENAI;
    if (hints->has_anthropic_version || contains(path, "/v1/messages") ||
        slice_ends(path, SLICE("/messages")))
        return ROUTE_ANTHROPIC;
    if (hints->has_goog_api_key || route_query_has(query, "key") || contains(path, "/v1beta/") ||
        contains(path, "/v1alpha/") || contains(path, "/v1beta1/") || contains(path, "/v1/projects/"))
        return ROUTE_GEMINI;
    return ROUTE_OPENAI;
}
