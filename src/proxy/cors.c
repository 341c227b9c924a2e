/*
 * cors: an answer has at most one Access-Control-Allow-Origin, and it names the origin that asked, never "*":
 * the answer depends on who asks, so Vary says so. Cookies are no credentials here, so none are allowed.
 */
#include "metergate/proxy/cors.h"

static struct slice ask(const struct http_head *request, struct slice name)
{
    return http_header_get(request->headers, request->header_count, name);
}

bool cors_is_preflight(const struct http_head *request)
{
    return slice_eq(request->method, SLICE("OPTIONS")) && ask(request, SLICE("Origin")).p &&
           ask(request, SLICE("Access-Control-Request-Method")).p;
}

static void drop_providers(struct headers *answer)
{
    struct slice prefix = SLICE("Access-Control-");
    size_t kept = 0;

    for (size_t i = 0; i < answer->n; i++) {
        if (!slice_eq_nocase(slice_head(answer->v[i].name, prefix.n), prefix))
            answer->v[kept++] = answer->v[i];
    }
    answer->n = kept;
}

static void allow_what_is_asked(const struct http_head *request, struct headers *answer)
{
    struct slice names = ask(request, SLICE("Access-Control-Request-Headers"));

    headers_add(answer, SLICE("Access-Control-Allow-Methods"),
                ask(request, SLICE("Access-Control-Request-Method")));
    if (names.n)
        headers_add(answer, SLICE("Access-Control-Allow-Headers"), names);
    if (slice_eq_nocase(ask(request, SLICE("Access-Control-Request-Private-Network")), SLICE("true")))
        headers_add(answer, SLICE("Access-Control-Allow-Private-Network"), SLICE("true"));
    headers_add(answer, SLICE("Access-Control-Max-Age"), SLICE("600"));
}

void cors_add(const struct http_head *request, const struct guard_rules *rules, struct headers *answer)
{
    struct slice origin = ask(request, SLICE("Origin"));

    if (!origin.n || !guard_is_our_origin(origin, rules))
        return;
    drop_providers(answer);
    headers_add(answer, SLICE("Access-Control-Allow-Origin"), origin);
    headers_add(answer, SLICE("Access-Control-Expose-Headers"), SLICE("*"));
    headers_add(answer, SLICE("Vary"), SLICE("Origin"));
    if (cors_is_preflight(request))
        allow_what_is_asked(request, answer);
}
