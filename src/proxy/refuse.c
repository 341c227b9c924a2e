/*
 * refuse: Metergate's own errors on their way out, in the shape that the caller's SDK reads: that of
 * the dialect that the call speaks, where its upstream is known, else what its path and headers look like.
 */
#include <stdio.h>

#include "metergate/proxy/cors.h"
#include "metergate/proxy/headers.h"
#include "metergate/proxy/hub.h"

typedef void (*shape_writer)(const struct refusal *r, struct buf *out);

static shape_writer shape_for(const struct exchange *x, const struct dialect *dialect)
{
    const struct route_hints hints = hub_route_hints(x);
    enum route_kind speech = route_speech(exchange_head(x)->target, &hints);
    struct slice name = speech == ROUTE_ANTHROPIC ? SLICE("anthropic")
                        : speech == ROUTE_GEMINI  ? SLICE("gemini")
                                                  : SLICE("openai");

    return (dialect ? dialect : dialect_by_name(name))->refuse;
}

static void add_retry(const struct refusal *r, char *s, char *ms, size_t size, struct headers *h)
{
    struct refusal_retry retry = refusal_retry(r);

    if (retry.retry_after) {
        snprintf(s, size, "%lld", (long long)retry.retry_after_s);
        snprintf(ms, size, "%lld", (long long)retry.retry_after_ms);
        headers_add(h, SLICE("Retry-After"), slice_str(s));
        headers_add(h, SLICE("retry-after-ms"), slice_str(ms));
    }
    if (retry.should_retry)
        headers_add(h, SLICE("x-should-retry"), slice_str(retry.should_retry));
}

int refuse_reply(const struct proxy *p, struct exchange *x, const struct dialect *dialect,
                 const struct refusal *r)
{
    char s[24], ms[24];
    struct headers h;
    struct buf body;
    int status = refusal_status(r);

    headers_init(&h);
    buf_init(&body, BUF_UNLIMITED);
    shape_for(x, dialect)(r, &body);
    headers_add(&h, SLICE("Content-Type"), SLICE("application/json"));
    headers_add(&h, SLICE("Metergate-Refused"), slice_str(refusal_name(r->reason)));
    if (r->request_id)
        headers_add(&h, SLICE("Metergate-Request-Id"), slice_str(r->request_id));
    add_retry(r, s, ms, sizeof s, &h);
    if (r->reason == REFUSAL_TOKEN) /* RFC 9110 15.5.2 wants a challenge with 401 */
        headers_add(&h, SLICE("WWW-Authenticate"), SLICE("Bearer realm=\"metergate\""));
    cors_add(exchange_head(x), &p->guard, &h);
    exchange_reply(x, status, h.v, h.n, buf_slice(&body));
    headers_release(&h);
    buf_release(&body);
    return status;
}
