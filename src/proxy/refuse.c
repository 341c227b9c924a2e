/* refuse: Metergate's own errors on their way out. Without a dialect (no route was found) the shape is OpenAI's. */
#include <stdio.h>

#include "metergate/base/log.h"
#include "metergate/proxy/headers.h"
#include "metergate/proxy/hub.h"

int refuse_reply(struct exchange *x, const struct dialect *d, const struct refusal *r, const char *id)
{
    struct refusal_retry retry = refusal_retry(r);
    struct headers h;
    struct buf body;
    char s[24], ms[24];
    int status = refusal_status(r->reason);

    if (!d)
        d = dialect_by_name(SLICE("openai"));
    headers_init(&h);
    buf_init(&body, BUF_UNLIMITED);
    d->refuse(r, &body);
    headers_add(&h, SLICE("Content-Type"), SLICE("application/json"));
    headers_add(&h, SLICE("Metergate-Refused"), slice_str(refusal_name(r->reason)));
    if (id)
        headers_add(&h, SLICE("Metergate-Request-Id"), slice_str(id));
    if (retry.retry_after) {
        snprintf(s, sizeof s, "%lld", (long long)retry.retry_after_s);
        snprintf(ms, sizeof ms, "%lld", (long long)retry.retry_after_ms);
        headers_add(&h, SLICE("Retry-After"), slice_str(s));
        headers_add(&h, SLICE("retry-after-ms"), slice_str(ms));
    }
    if (r->reason == REFUSAL_TOKEN) /* RFC 9110 15.5.2 wants a challenge with 401 */
        headers_add(&h, SLICE("WWW-Authenticate"), SLICE("Bearer realm=\"metergate\""));
    if (retry.should_retry)
        headers_add(&h, SLICE("x-should-retry"), slice_str(retry.should_retry));
    exchange_reply(x, status, h.v, h.n, buf_slice(&body));
    headers_release(&h);
    buf_release(&body);
    return status;
}
