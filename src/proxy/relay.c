/*
 * relay: nothing of an answer reaches the client before give_head, and once it has, nothing is retried. After relay_end
 * c->transfer is NULL and the call is HELD again or SETTLED.
 */
#include "metergate/proxy/relay.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "metergate/base/clock.h"
#include "metergate/base/log.h"
#include "metergate/dialect/decode.h"
#include "metergate/proxy/cors.h"
#include "metergate/proxy/counters.h"
#include "metergate/proxy/headers.h"
#include "metergate/proxy/hub.h"
#include "metergate/proxy/location.h"
#include "metergate/proxy/retry.h"
#include "metergate/proxy/tally.h"

/* How much of an error answer is read before it is judged; a longer one passes on. */
#define RELAY_JUDGED_BYTES ((size_t)64 * 1024)

/* An error answer until it is judged. */
struct judged {
    int status;
    int64_t length;      /* that it announced; -1: none */
    struct headers head; /* copied */
    struct buf body;     /* bounded by RELAY_JUDGED_BYTES */
};

/* ---- what the client gets ----------------------------------------------------------------------------------------- */

struct added {
    char queued[24], estimated[24], attempts[16];
};

static void add_ours(const struct call *c, struct added *text, struct headers *out)
{
    headers_add(out, SLICE("Metergate-Request-Id"), slice_str(c->id));
    headers_add(out, SLICE("Metergate-Client"), slice_str(c->client->name));
    snprintf(text->attempts, sizeof text->attempts, "%d", c->attempts);
    headers_add(out, SLICE("Metergate-Attempts"), slice_str(text->attempts));
    if (!c->budget)
        return;
    snprintf(text->queued, sizeof text->queued, "%lld", (long long)(c->queued_us / 1000));
    snprintf(text->estimated, sizeof text->estimated, "%lld", (long long)call_estimated_tokens(c));
    headers_add(out, SLICE("Metergate-Budget"), slice_str(c->budget->name));
    headers_add(out, SLICE("Metergate-Queued-Ms"), slice_str(text->queued));
    headers_add(out, SLICE("Metergate-Estimated-Tokens"), slice_str(text->estimated));
}

/* Where the answer sends the client next, if it does; `text` is what it is written to. */
static void add_location(const struct call *c, const struct http_header *v, size_t n, struct buf *text, struct headers *out)
{
    struct slice value = http_header_get(v, n, SLICE("location"));
    const struct config_upstream *u = c->provider->config;
    struct location_context about;
    struct buf url;

    if (!value.p)
        return;
    buf_init(&url, BUF_UNLIMITED);
    provider_url(c->provider, c->route.path, slice_of(NULL, 0), true, &url);
    about = (struct location_context){
        .base_url = slice_str(u->base_url),
        .url = buf_slice(&url),
        .upstream = slice_str(u->name),
        .takes_v1 = u->dialect == CONFIG_OPENAI,
        .client = c->route.client,
        .priority = c->route.priority,
        .host = exchange_header(c->x, SLICE("host")),
        .port = net_addr_port(exchange_local(c->x)),
    };
    if (location_for_client(value, &about, text))
        headers_add(out, SLICE("Location"), buf_slice(text));
    else
        log_warn("%s the answer of %s sends its client to an address that it must not follow: left out", c->id, u->name);
    buf_release(&url);
}

/* Nothing is sent again from here on. A provider that answers before it has read everything still gets the rest. */
static void drop_bodies(struct call *c)
{
    if (c->transfer && !transfer_has_sent_body(c->transfer))
        return;
    c->body = slice_of(NULL, 0);
    buf_release(&c->spliced);
    exchange_drop_body(c->x);
}

/*
 * There was no memory for a piece of the answer: it has been cut, and the call has ended with it. To be asked after
 * whatever gives the client something.
 */
static bool was_cut_short(struct call *c)
{
    if (c->state == CALL_STREAMING && c->x && exchange_is_cut(c->x)) {
        log_error("%s out of memory while passing on the answer", c->id);
        call_give_up(c, "out of memory");
    }
    return c->state == CALL_SETTLED;
}

/* Begins the client's answer: SENT -> STREAMING. */
static void give_head(struct call *c, int status, const struct http_header *v, size_t n, int64_t length, bool no_retry)
{
    struct added text = {0};
    struct headers out;
    struct buf location;

    headers_init(&out);
    buf_init(&location, BUF_UNLIMITED);
    headers_for_client(exchange_head(c->x), v, n, &out);
    add_location(c, v, n, &location, &out);
    add_ours(c, &text, &out);
    cors_add(exchange_head(c->x), &c->proxy->guard, &out);
    if (no_retry)
        headers_add(&out, SLICE("x-should-retry"), SLICE("false"));
    c->status = status;
    call_enter(c, CALL_STREAMING);
    exchange_start(c->x, status, out.v, out.n, length);
    headers_release(&out);
    buf_release(&location);
    drop_bodies(c);
    (void)was_cut_short(c);
}

static void give_bytes(struct call *c, const char *p, size_t n)
{
    if (n && !was_cut_short(c) && exchange_write(c->x, p, n) > EXCHANGE_HIGH_BYTES && c->transfer)
        transfer_pause(c->transfer);
    (void)was_cut_short(c);
}

/* Often enough for a limit a minute, and not for every word. */
#define PRODUCED_STEP_TOKENS 32

/* Where the provider charges output as it is produced, the gate is told of it. */
static void charge_produced(struct call *c)
{
    int64_t produced;

    if (!c->seated || !c->answer || !profile_charges_as_produced(c->profile) || c->endpoint == ENDPOINT_INVOKE)
        return;
    produced = answer_produced(c->answer);
    if (produced < c->produced + PRODUCED_STEP_TOKENS)
        return;
    gate_produced(c->proxy->gate, &c->ticket, loop_now_us(c->proxy->loop), produced - c->produced);
    c->produced = produced;
}

/* Watches the bytes pass, and passes on what the client is to get of them. */
static void give_data(struct call *c, const char *p, size_t n)
{
    bool rewrites = c->answer && answer_rewrites(c->answer);

    if (c->answer && answer_feed(c->answer, slice_of(p, n), rewrites ? &c->out : NULL) < 0) {
        log_error("%s out of memory while reading the answer", c->id);
        call_give_up(c, "out of memory");
        return;
    }
    charge_produced(c);
    if (!rewrites) {
        give_bytes(c, p, n);
        return;
    }
    give_bytes(c, c->out.p, c->out.n);
    buf_reset(&c->out);
}

void relay_drained(struct call *c)
{
    if (c->transfer)
        transfer_resume(c->transfer);
}

void relay_upload_drained(void *ctx, struct transfer *t)
{
    struct call *c = ctx;

    (void)t;
    if (c->upload_paused) {
        c->upload_paused = false;
        exchange_resume_body(c->x);
    }
}

/* ---- the head ------------------------------------------------------------------------------------------------------ */

void relay_sent(void *ctx, struct transfer *t)
{
    struct call *c = ctx;

    (void)t;
    /* A near provider answers in the turn that sent the call: the turn's own time lies before the arrival, and a charge
     * stamped with it would leave its window too early. */
    c->sent_us = loop_resample_us(c->proxy->loop);
    if (c->seated)
        gate_sent(c->proxy->gate, &c->ticket, c->sent_us);
    retry_connected(c);
    hub_turn_soon(c->proxy);
}

static bool worth_judging(const struct call *c, int status)
{
    if (c->is_spliced && (status == 400 || status == 422))
        return true; /* is it our splice that it does not like? */
    return endpoint_metered(c->endpoint) && (status == 429 || status == 503 || status == 529);
}

static void read_answer(struct call *c, const struct transfer_head *h)
{
    const struct answer_conf conf = {
        .dialect = c->dialect,
        .model = c->request.model,
        .stream = c->request.stream,
        .hide_usage = c->is_spliced,
        .content_type = http_header_get(h->headers, h->header_count, SLICE("content-type")),
        .content_encoding = http_header_get(h->headers, h->header_count, SLICE("content-encoding")),
    };

    answer_free(c->answer);
    c->answer = c->endpoint == ENDPOINT_PASSED ? NULL : answer_new(&conf);
}

static void collect(struct call *c, const struct transfer_head *h)
{
    relay_forget(c);
    c->judged = xcalloc(1, sizeof *c->judged);
    c->judged->status = h->status;
    c->judged->length = h->content_length;
    headers_init(&c->judged->head);
    headers_copy(h->headers, h->header_count, &c->judged->head);
    buf_init(&c->judged->body, BUF_UNLIMITED);
}

void relay_forget(struct call *c)
{
    struct judged *e = c->judged;

    if (!e)
        return;
    headers_release(&e->head);
    buf_release(&e->body);
    free(e);
    c->judged = NULL;
}

void relay_head(void *ctx, struct transfer *t, const struct transfer_head *h)
{
    struct call *c = ctx;
    bool rewrites;

    (void)t;
    c->first_byte_us = loop_now_us(c->proxy->loop);
    if (c->budget)
        budgets_saw_answer(c->budget, h->status);
    retry_answered(c, h->status);
    meter_answer(c, h->status);
    if (h->status == 429)
        tally_429(c);
    if (worth_judging(c, h->status)) {
        collect(c, h);
        return;
    }
    counters_in_head(c, h->status, h->headers, h->header_count);
    read_answer(c, h);
    c->ends_by_close = h->content_length < 0 && !http_header_get(h->headers, h->header_count, SLICE("transfer-encoding")).p;
    rewrites = c->answer && answer_rewrites(c->answer);
    give_head(c, h->status, h->headers, h->header_count, rewrites ? -1 : h->content_length, false);
}

/* ---- an error answer that may be retried ----------------------------------------------------------------------------- */

/* It goes to the client after all. */
static void give_error(struct call *c, bool no_retry)
{
    const struct judged *e = c->judged;

    give_head(c, e->status, e->head.v, e->head.n, e->length, no_retry);
    give_bytes(c, e->body.p, e->body.n);
    relay_forget(c);
}

static struct slice error_header(void *arg, const char *name)
{
    const struct call *c = arg;

    return http_header_get(c->judged->head.v, c->judged->head.n, slice_str(name));
}

/* Back to the front of its queue. */
static void again(struct call *c, const struct retry_wait *w, const char *why)
{
    log_info("%s attempt %d: %s; again in %lld ms", c->id, c->attempts, why,
             (long long)((w->until_us - loop_now_us(c->proxy->loop)) / 1000));
    relay_forget(c);
    call_back_to_queue(c, w->until_us, w->told_us);
}

/* The provider does not know stream_options: it is remembered, and the call goes again as the client wrote it. */
static void send_unspliced(struct call *c)
{
    log_info("%s %s refuses stream_options: its streams go out as they came", c->id, c->provider->config->name);
    c->provider->refuses_usage_option = true;
    again(c, &(struct retry_wait){.until_us = loop_now_us(c->proxy->loop)}, "stream_options refused");
}

/* A few KiB, compressed or not; what cannot be read says nothing. */
static void read_verdict(struct call *c, struct verdict *ret)
{
    struct provider_answer a = {
        .status = c->judged->status,
        .header = error_header,
        .arg = c,
        .body = buf_slice(&c->judged->body),
        .wall_us = clock_wall_us(),
    };
    struct slice coding = error_header(c, "content-encoding");
    struct buf decoded;

    buf_init(&decoded, RELAY_JUDGED_BYTES);
    if (decode_is_coded(coding))
        a.body = decode_body(coding, a.body, &decoded) == 0 ? buf_slice(&decoded) : SLICE("");
    verdict_judge(&a, ret);
    counters_in_error(c, &a, ret);
    buf_release(&decoded);
}

static void judge(struct call *c, bool whole)
{
    struct retry_wait wait;
    struct verdict v;

    read_verdict(c, &v);
    if (c->is_spliced && v.refuses_usage_option) {
        send_unspliced(c);
        return;
    }
    if (retry_after_answer(c, c->judged->status, &v, &wait)) {
        if (c->judged->status == 429)
            call_count_refusal(c);
        again(c, &wait, v.reason);
        return;
    }
    give_error(c, v.add_should_retry_false);
    if (c->state == CALL_SETTLED)
        return;
    if (whole) {
        exchange_finish(c->x);
        call_settle(c, OUTCOME_COMPLETED, v.reason, NULL);
    } else {
        exchange_abort(c->x);
        call_settle(c, OUTCOME_FAILED, "the provider's answer was cut", NULL);
    }
}

/* ---- the body and the end ---------------------------------------------------------------------------------------- */

void relay_data(void *ctx, struct transfer *t, const char *p, size_t n)
{
    struct call *c = ctx;

    (void)t;
    if (!c->judged) {
        give_data(c, p, n);
        return;
    }
    buf_add(&c->judged->body, p, n);
    if (c->judged->body.n > RELAY_JUDGED_BYTES)
        give_error(c, false);
}

/* The client's answer must not look whole. */
static void cut(struct call *c, const char *reason, const char *why)
{
    struct usage usage;

    log_warn("%s the answer of %s was cut: %s", c->id, c->provider->config->name, why);
    retry_after_error_inside(c);
    exchange_abort(c->x);
    call_settle(c, OUTCOME_FAILED, reason, c->answer && answer_usage(c->answer, &usage) ? &usage : NULL);
}

/*
 * An answer that the close ends looks whole wherever it is cut, and we would make that certain by ending ours properly. A
 * stream without [DONE] is cut only where the provider is known to say it.
 */
static bool was_cut(const struct call *c)
{
    return c->ends_by_close && c->answer && c->status < 300 && answer_lacks_end(c->answer) &&
           (!c->request.stream || c->provider->says_done);
}

static void finish(struct call *c)
{
    struct usage usage;

    if (was_cut(c)) {
        cut(c, transfer_result_name(TRANSFER_CUT), "the connection was closed before its end");
        return;
    }
    if (c->request.stream && c->answer && answer_complete(c->answer))
        c->provider->says_done = true;
    if (c->answer && answer_finish(c->answer, &c->out) < 0) {
        call_give_up(c, "out of memory");
        return;
    }
    give_bytes(c, c->out.p, c->out.n);
    buf_reset(&c->out);
    if (c->state == CALL_SETTLED)
        return;
    retry_after_error_inside(c);
    exchange_finish(c->x);
    if (c->endpoint == ENDPOINT_RETRIEVE && answer_id(c->answer) && answer_usage(c->answer, &usage))
        memory_saw_response(&c->proxy->memory, c->proxy, slice_str(answer_id(c->answer)), &usage);
    call_settle(c, OUTCOME_COMPLETED, c->answer ? answer_error(c->answer) : NULL,
                c->answer && answer_usage(c->answer, &usage) ? &usage : NULL);
}

static void refuse(struct call *c, enum refusal_reason reason, const char *why)
{
    struct buf detail;

    buf_init(&detail, BUF_UNLIMITED);
    buf_addf(&detail, "The provider %s gave no usable answer: %s.", c->provider->config->name, why);
    call_refuse(c, &(struct refusal){.reason = reason, .detail = buf_slice(&detail)});
    buf_release(&detail);
}

/* Nothing of an answer came. */
static void failed_before_head(struct call *c, const struct transfer *t, enum transfer_result r, const char *why)
{
    bool no_connection = r == TRANSFER_CONNECT || r == TRANSFER_TIMEOUT_CONNECT;
    struct retry_wait wait;

    if (r == TRANSFER_MEMORY) {
        relay_no_memory(c, why);
        return;
    }
    if (no_connection)
        tally_no_connection(c, slice_str(why));
    if (no_connection || (r == TRANSFER_RESET && !transfer_may_have_arrived(t))) {
        if (retry_after_failure(c, !no_connection, &wait)) {
            again(c, &wait, why);
            return;
        }
        c->never_sent = true;
        refuse(c, REFUSAL_UPSTREAM_CONNECT, why);
        return;
    }
    refuse(c, r == TRANSFER_TIMEOUT_FIRST_BYTE ? REFUSAL_UPSTREAM_TIMEOUT : REFUSAL_UPSTREAM_PROTOCOL, why);
}

void relay_end(void *ctx, struct transfer *t, enum transfer_result r, const char *why)
{
    struct call *c = ctx;

    loop_resample_us(c->proxy->loop); /* as in relay_sent: what is charged at the end has its time now */
    c->transfer = NULL;
    if (c->judged) {
        judge(c, r == TRANSFER_OK);
        return;
    }
    if (c->state == CALL_SENT) {
        failed_before_head(c, t, r, why);
        return;
    }
    if (c->answer && answer_gave_up(c->answer))
        log_warn("%s the compressed answer of %s was read no further, because it is broken, too much comes out of it or "
                 "too many come at once: its usage is a guess", c->id, c->provider->config->name);
    if (r == TRANSFER_OK) {
        finish(c);
        return;
    }
    cut(c, transfer_result_name(r), why);
}

void relay_no_memory(struct call *c, const char *why)
{
    log_warn("%s attempt %d: %s", c->id, c->attempts, why);
    c->never_sent = true;
    call_refuse_for_memory(c);
}

void relay_unsendable(struct call *c)
{
    c->never_sent = true;
    refuse(c, REFUSAL_UPSTREAM_PROTOCOL, "the request could not be written as HTTP");
}
