/*
 * refuse: Metergate's own errors on their way out, in the shape that the caller's SDK reads. What the
 * configuration says of an upstream decides about the shape, else the request's path and headers do.
 */
#include <stdio.h>

#include "metergate/proxy/cors.h"
#include "metergate/proxy/headers.h"
#include "metergate/proxy/hub.h"

typedef void (*shape_writer)(const struct refusal *r, struct buf *out);

static shape_writer shape_for(const struct exchange *x, const struct provider *provider)
{
    const struct route_hints hints = hub_route_hints(x);
    enum route_kind speech = route_speech(exchange_head(x)->target, &hints);
    enum config_dialect d = provider ? provider->config->dialect : CONFIG_OPENAI;

    if (d == CONFIG_ANTHROPIC || (!provider && speech == ROUTE_ANTHROPIC))
        return refusal_as_anthropic;
    if (speech == ROUTE_GEMINI && (!provider || d == CONFIG_GEMINI)) /* its path may speak OpenAI's dialect */
        return refusal_as_gemini;
    return (provider ? provider->dialect : dialect_by_name(SLICE("openai")))->refuse;
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

int refuse_reply(const struct proxy *p, struct exchange *x, const struct provider *provider,
                 const struct refusal *r)
{
    char s[24], ms[24];
    struct headers h;
    struct buf body;
    int status = refusal_status(r);

    headers_init(&h);
    buf_init(&body, BUF_UNLIMITED);
    shape_for(x, provider)(r, &body);
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
