/*
 * send: one attempt: the request as the provider gets it, and the charge's time. The transfer's callbacks for the answer
 * are in relay.c. While c->transfer is not NULL the call is SENT or STREAMING.
 */
#include "metergate/proxy/relay.h"

#include <errno.h>
#include <string.h>

#include "metergate/base/log.h"
#include "metergate/proxy/headers.h"
#include "metergate/proxy/hub.h"
#include "metergate/proxy/record.h"
#include "metergate/proxy/retry.h"
#include "metergate/proxy/tally.h"

static const struct transfer_ops ops = {
    .on_sent = relay_sent,
    .on_head = relay_head,
    .on_data = relay_data,
    .on_body_drain = relay_upload_drained,
    .on_end = relay_end,
};

static bool has_body(const struct exchange *x)
{
    return exchange_content_length(x) != 0 || exchange_header(x, SLICE("content-length")).p != NULL;
}

static void start(struct call *c, bool streamed)
{
    const struct config_upstream *u = c->provider->config;
    const struct headers_upstream_rules rules = {
        .metered = endpoint_metered(c->endpoint),
        .key = provider_key(c->provider, c->dialect),
        .credentials_stay = c->credentials_stay,
    };
    struct headers headers;
    struct buf url;
    struct transfer_request request;
    int rc;

    headers_init(&headers);
    buf_init(&url, BUF_UNLIMITED);
    headers_for_upstream(exchange_head(c->x), &rules, &headers);
    provider_url(c->provider, c->route.path, c->route.query, provider_has_key(c->provider) || c->credentials_stay,
                 &url);
    request = (struct transfer_request){
        .method = exchange_head(c->x)->method,
        .url = url.p,
        .headers = headers.v,
        .header_count = headers.n,
        .body = c->is_spliced ? buf_slice(&c->spliced) : streamed ? slice_of(NULL, 0) : exchange_body(c->x),
        .has_body = has_body(c->x),
        .streamed = streamed && has_body(c->x),
        .streamed_bytes = exchange_content_length(c->x),
        .connect_timeout_us = u->connect_timeout_us,
        .first_byte_timeout_us = u->first_byte_timeout_us,
        .idle_timeout_us = u->idle_timeout_us,
        .proxy = u->proxy,
        .trust = c->provider->trust,
    };
    rc = transfer_start(c->proxy->pool, &request, &ops, c, &c->transfer);
    headers_release(&headers);
    buf_release(&url);
    if (rc == -ENOMEM)
        relay_no_memory(c, "there was no memory for the request");
    else if (rc < 0)
        relay_unsendable(c);
}

/* The figures of one more attempt. */
static void count_attempt(struct call *c)
{
    retry_sent(c);
    if (c->attempts++ == 0) {
        c->dispatched_us = loop_now_us(c->proxy->loop);
        c->proxy->totals.dispatched++;
    } else {
        tally_retry(c);
    }
}

/*
 * Asks the provider for usage where the client did not, unless it is known to refuse that. Only now: while a call is
 * held its body is kept once.
 */
static void splice(struct call *c)
{
    struct splice sp;

    if (!c->readable || c->is_coded || !c->dialect->splice || c->provider->refuses_usage_option ||
        !c->dialect->splice(c->body, &c->request, &sp))
        return;
    c->is_spliced = splice_apply(&sp, c->body, &c->spliced) == 0;
    if (!c->is_spliced)
        buf_release(&c->spliced);
}

void send_attempt(struct call *c)
{
    call_enter(c, CALL_SENT);
    count_attempt(c);
    splice(c);
    record_begin(c);
    start(c, false);
}

void send_passed(struct call *c)
{
    call_enter(c, CALL_SENT);
    count_attempt(c);
    start(c, true);
}

void send_chunk(struct call *c, const char *p, size_t n)
{
    if (!c->transfer) /* the answer came first: the rest of the body is of no use to anybody */
        return;
    if (transfer_write(c->transfer, p, n) > TRANSFER_HIGH_BYTES) {
        c->upload_paused = true;
        exchange_pause_body(c->x);
    }
}

void send_body_end(struct call *c)
{
    if (c->transfer && has_body(c->x))
        transfer_finish_body(c->transfer);
}
