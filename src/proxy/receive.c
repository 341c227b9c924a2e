/*
 * receive: from a request's head to a seat in the gate. Every function here ends in one of three ways: the call goes on,
 * it is refused (call_refuse), or the request was not a call at all (admin_serve).
 */
#include "metergate/proxy/receive.h"

#include <errno.h>
#include <sys/socket.h>

#include "metergate/base/clock.h"
#include "metergate/base/log.h"
#include "metergate/config/models.h"
#include "metergate/dialect/decode.h"
#include "metergate/proxy/cors.h"
#include "metergate/proxy/counting.h"
#include "metergate/proxy/hub.h"
#include "metergate/proxy/identity.h"
#include "metergate/proxy/path.h"
#include "metergate/proxy/seat.h"

static void refuse_with(struct call *c, enum refusal_reason reason, const char *detail)
{
    call_refuse(c, &(struct refusal){.reason = reason, .detail = slice_str(detail)});
}

/* ---- where it goes ---------------------------------------------------------------------------------------------- */

/* What routing asks us about. */
struct known {
    const struct config *config;
    const struct guard_rules *guard;
};

static bool is_upstream(void *arg, struct slice name)
{
    const struct known *known = arg;

    return config_upstream_named(known->config, name) != NULL;
}

static bool is_our_host(void *arg, struct slice host)
{
    const struct known *known = arg;

    return guard_is_our_host(host, known->guard);
}

struct route_hints hub_route_hints(const struct exchange *x)
{
    return (struct route_hints){
        .has_api_key = exchange_header(x, SLICE("api-key")).p != NULL,
        .has_anthropic_version = exchange_header(x, SLICE("anthropic-version")).p != NULL,
        .has_goog_api_key = exchange_header(x, SLICE("x-goog-api-key")).p != NULL,
    };
}

static struct route read_route(const struct proxy *p, const struct exchange *x,
                               const struct guard_rules *guard)
{
    struct known known = {p->config, guard};
    const struct route_rules rules = {is_upstream, is_our_host, &known};
    const struct route_hints hints = hub_route_hints(x);
    const struct http_head *h = exchange_head(x);

    return route_read(h->method, h->target, &hints, &rules);
}

struct route hub_route(struct proxy *p, struct exchange *x)
{
    struct net_addr_text local = net_addr_host(exchange_local(x));
    struct guard_rules rules = p->guard;

    rules.local = slice_str(local.text);
    return read_route(p, x, &rules);
}

static const struct config_upstream *route_upstream(const struct config *config, const struct route *r)
{
    switch (r->kind) {
    case ROUTE_NAMED:
        return config_upstream_named(config, r->upstream);
    case ROUTE_OPENAI:
        return config_upstream_of(config, CONFIG_OPENAI);
    case ROUTE_ANTHROPIC:
        return config_upstream_of(config, CONFIG_ANTHROPIC);
    case ROUTE_GEMINI:
        return config_upstream_of(config, CONFIG_GEMINI);
    case ROUTE_AZURE:
        return config_upstream_of(config, CONFIG_AZURE);
    case ROUTE_OLLAMA:
        return config_upstream_of(config, CONFIG_OLLAMA);
    case ROUTE_OWN:
    case ROUTE_NONE:
    case ROUTE_NOT_A_TUNNEL:
    case ROUTE_BAD:
    default:
        return NULL;
    }
}

/* Says what to set instead of a proxy, with the address that the client has found already. */
static void refuse_tunnel(struct call *c)
{
    const struct net_addr *local = exchange_local(c->x);
    struct net_addr_text here = net_addr_format(local);
    struct buf detail;

    if (local->len == 0 || local->sa.ss_family == AF_UNIX) {
        refuse_with(c, REFUSAL_NOT_A_TUNNEL, NULL);
        return;
    }
    buf_init(&detail, BUF_UNLIMITED);
    buf_addf(&detail,
             "Metergate is not an HTTP proxy that opens tunnels: unset HTTP_PROXY and HTTPS_PROXY for it and "
             "set the "
             "base URL instead (OPENAI_BASE_URL=http://%s/v1, ANTHROPIC_BASE_URL=http://%s, "
             "GOOGLE_GEMINI_BASE_URL=http://%s).",
             here.text, here.text, here.text);
    call_refuse(c, &(struct refusal){.reason = REFUSAL_NOT_A_TUNNEL, .detail = buf_slice(&detail)});
    buf_release(&detail);
}

static bool wants_websocket(const struct http_head *h)
{
    for (size_t i = 0; i < h->header_count; i++) {
        if (slice_eq_nocase(h->headers[i].name, SLICE("upgrade")) &&
            http_list_has(h->headers[i].value, SLICE("websocket")))
            return true;
    }
    return false;
}

/* Two values of one header of ours: either may be the one that is meant. */
const char *hub_contradiction(const struct http_head *h)
{
    for (size_t i = 0; i < h->header_count; i++) {
        const struct http_header *v = &h->headers[i];

        if (headers_is_ours(v->name) &&
            !slice_eq(v->value, http_header_get(h->headers, h->header_count, v->name)))
            return "A Metergate-* header stands there twice with different values.";
    }
    return NULL;
}

/* Refuses and returns false when the request may not go on. */
static bool admit(struct call *c)
{
    const struct config_upstream *upstream;
    const char *problem;
    struct refusal why;

    if (c->route.kind == ROUTE_NOT_A_TUNNEL) {
        refuse_tunnel(c);
        return false;
    }
    problem = c->route.kind == ROUTE_BAD ? c->route.problem : hub_contradiction(exchange_head(c->x));
    if (problem) {
        refuse_with(c, REFUSAL_BAD_REQUEST, problem);
        return false;
    }
    upstream = route_upstream(c->proxy->config, &c->route);
    if (upstream) /* its key says whose the client's credentials are */
        c->provider = providers_find(&c->proxy->providers, upstream);
    if (c->provider)
        c->dialect = dialect_spoken(c->provider->dialect, c->route.path); /* as far as a refusal needs it */
    if (!identity_read(c, &why)) {
        call_refuse(c, &why);
        return false;
    }
    if (wants_websocket(exchange_head(c->x))) {
        refuse_with(c, REFUSAL_UPGRADE, NULL);
        return false;
    }
    if (!upstream) {
        refuse_with(c, REFUSAL_NO_ROUTE, c->route.problem);
        return false;
    }
    if (c->proxy->draining) {
        refuse_with(c, REFUSAL_DRAINING, NULL);
        return false;
    }
    if (c->proxy->shortage.on) {
        call_refuse_for_memory(c);
        return false;
    }
    return true;
}

/* What the call asks for; false when its path could mean two things, and it was refused. */
static bool classify(struct call *c)
{
    struct slice plain;
    struct buf storage;
    const char *problem;

    MG_ASSERT(c->provider != NULL);
    buf_init(&storage, BUF_UNLIMITED);
    problem = path_read(c->route.path, &storage, &plain);
    c->dialect = dialect_spoken(c->provider->dialect, plain);
    c->endpoint = c->dialect->classify(exchange_head(c->x)->method, plain);
    buf_release(&storage);
    if (problem)
        refuse_with(c, REFUSAL_BAD_REQUEST, problem);
    return !problem;
}

static void begin(struct call *c)
{
    int64_t max_body = c->proxy->config->queue.max_body;
    struct refusal why;

    if (!endpoint_metered(c->endpoint)) {
        if (!identity_settle(c, &why)) {
            call_refuse(c, &why);
            return;
        }
        exchange_stream_body(c->x);
        send_passed(c);
        return;
    }
    if (exchange_content_length(c->x) > max_body) {
        refuse_with(c, REFUSAL_TOO_LARGE, "The request body is longer than queue.max_body allows.");
        return;
    }
    exchange_buffer_body(c->x, (size_t)max_body);
}

static bool passes_guard(struct proxy *p, struct exchange *x, const struct guard_rules *rules)
{
    struct slice culprit;
    struct buf detail;
    enum guard_verdict v = guard_check(exchange_head(x), rules, &culprit);

    if (v == GUARD_OK)
        return true;
    buf_init(&detail, BUF_UNLIMITED);
    if (v == GUARD_HOST)
        buf_addf(&detail, "The Host %s is not this daemon's: use 127.0.0.1 or localhost, or add `allow: {hosts: [%s]}`.",
                 log_quote(culprit).text, log_quote(culprit).text);
    else if (slice_eq_nocase(culprit, SLICE("null")))
        buf_add_str(
            &detail,
            "A page without an origin of its own (a file, a sandboxed frame) may not use this daemon: "
            "serve it from http://localhost.");
    else if (v == GUARD_SITE)
        buf_add_str(&detail, "A web page of another site (Sec-Fetch-Site: cross-site, no Origin) may not use this daemon.");
    else
        buf_addf(&detail, "A web page of another origin (%s) may not use this daemon, unless you add `allow: {origins: [%s]}`.",
                 log_quote(culprit).text, log_quote(culprit).text);
    log_warn("refused a request from %s: %s", net_addr_format(exchange_peer(x)).text, detail.p);
    refuse_reply(p, x, NULL, &(struct refusal){.reason = REFUSAL_ORIGIN, .detail = buf_slice(&detail)});
    p->totals.refused[REFUSAL_ORIGIN]++;
    buf_release(&detail);
    return false;
}

/* A monitor has no token, and no user that anybody could see. */
static bool is_open_to_all(struct slice path)
{
    return slice_eq(path, SLICE("/healthz")) || slice_eq(path, SLICE("/readyz"));
}

static void serve_own(struct proxy *p, struct exchange *x, const struct route *r)
{
    struct refusal why;

    if (is_open_to_all(r->path) || login_admits(p, x, r, &why)) {
        admin_serve(p, x, r);
        return;
    }
    if (login_invites(x, r, &why))
        return;
    p->totals.refused[why.reason]++;
    log_info("refused a request for %s from %s: %s", log_quote(r->path).text, net_addr_format(exchange_peer(x)).text,
             refusal_name(why.reason));
    refuse_reply(p, x, NULL, &why);
}

void receive_head(void *ctx, struct exchange *x)
{
    struct proxy *p = ctx;
    struct net_addr_text local = net_addr_host(exchange_local(x));
    struct guard_rules rules = p->guard;
    struct route r;
    struct call *c;

    rules.local = slice_str(local.text);
    r = read_route(p, x, &rules);
    /* Who takes us for a proxy names another host, and is to be told so. */
    if (r.kind != ROUTE_NOT_A_TUNNEL && !passes_guard(p, x, &rules))
        return;
    if (r.kind != ROUTE_NOT_A_TUNNEL && cors_is_preflight(exchange_head(x))) {
        admin_preflight(p, x);
        return;
    }
    if (r.kind == ROUTE_OWN) {
        serve_own(p, x, &r);
        return;
    }
    c = call_new(p, x);
    c->route = r;
    if (admit(c) && classify(c))
        begin(c);
}

void receive_bad(void *ctx, struct exchange *x, int status, const char *why)
{
    struct proxy *p = ctx;
    struct call *c = exchange_user(x);
    const struct refusal r = {.reason = REFUSAL_BAD_REQUEST, .status = status, .detail = slice_str(why)};

    log_info("refused invalid HTTP from %s: %s", net_addr_format(exchange_peer(x)).text, why);
    if (c) { /* its head was all right, its body is not */
        call_refuse(c, &r);
        return;
    }
    p->totals.refused[REFUSAL_BAD_REQUEST]++;
    refuse_reply(p, x, NULL, &r);
}

/* ---- the body ----------------------------------------------------------------------------------------------- */

/* What the body means, and how many tokens it has. May run in a worker's thread: touches nothing but the call's own figures
 * and what it borrows. */
static void count(struct call *c, const struct counted_input *in)
{
    struct dialect_input input = in->input;
    struct buf decoded;
    int rc = 0;

    MG_ASSERT(c->dialect != NULL);
    buf_init(&decoded, in->max_decoded_bytes);
    if (c->is_coded) {
        rc = decode_body(in->coding, c->body, &decoded);
        input.body = rc == 0 ? buf_slice(&decoded) : SLICE("");
    }
    /* without its body: the path may name the model */
    c->readable = c->dialect->read(&input, &c->request, &c->why_unreadable) == 0 && rc == 0;
    if (rc < 0)
        c->why_unreadable = "its content coding cannot be read";
    c->count_rc = c->readable ? c->dialect->count(input.body, &c->request, &c->count) : -EBADMSG;
    buf_release(&decoded);
}

/* What would stall the loop is a worker's; the rest is not, because each thread that counts has 2 MB of caches of its own. */
static bool is_counted_by_worker(const struct call *c)
{
    return c->body.n > DIALECT_INLINE_BYTES || c->is_coded;
}

static void count_work(struct worker_job *job)
{
    const struct counting *counting = counting_of(job);
    struct call *c = counting->call;

    if (is_counted_by_worker(c))
        count(c, &counting->read);
    if (c->body.n > DIALECT_INLINE_BYTES)
        places_print_body(c);
    if (c->search)
        origin_search(c->search);
}

static struct counted_input borrow_input(const struct call *c)
{
    return (struct counted_input){
        .input =
            {
                .endpoint = c->endpoint,
                .path = c->route.path,
                .query = c->route.query,
                .content_type = exchange_header(c->x, SLICE("content-type")),
                .body = c->body,
            },
        .coding = exchange_header(c->x, SLICE("content-encoding")),
        .max_decoded_bytes = (size_t)c->proxy->config->queue.max_body,
    };
}

/*
 * Where the entry of the model names another upstream, the call goes there, with that upstream's key: a client's never travels
 * to a provider that its path did not choose. False when it was refused.
 */
static bool follow_entry(struct call *c)
{
    const struct proxy *p = c->proxy;
    const struct config_model *entry =
        config_model_for(p->config, slice_str(c->request.model), c->provider->config);

    if (!entry || !entry->upstream || entry->upstream == c->provider->config)
        return true;
    if (!secret_is_set(&entry->upstream->api_key)) {
        refuse_with(c, REFUSAL_NO_ROUTE,
                    "The configuration sends this model to an upstream for which Metergate holds no api_key, and "
                    "your key is not sent to a provider that your base URL did not choose: put that upstream's "
                    "name into the base URL, or give it an api_key.");
        return false;
    }
    c->provider = providers_find(&p->providers, entry->upstream); /* of the same dialect */
    c->credentials_stay = true; /* also when a reload takes that api_key away while the call is held */
    return true;
}

static void counted(struct call *c)
{
    struct refusal why;

    if (!identity_settle(c, &why)) {
        call_refuse(c, &why);
        return;
    }
    if (c->readable && !follow_entry(c))
        return;
    c->referred_tokens = memory_referred_tokens(&c->proxy->memory, &c->request);
    if (!c->readable)
        log_info("%s body cannot be read (%s): forwarded, charged by its bytes", c->id, c->why_unreadable);
    seat_take(c);
}

static void count_done(struct worker_job *job)
{
    struct call *c = counting_end(job);

    if (c->search)
        identity_found(c);
    if (!call_reap(c) && c->state == CALL_COUNTING)
        counted(c);
}

void receive_body(void *ctx, struct exchange *x, int rc)
{
    struct call *c = exchange_user(x);
    struct counted_input in;

    if (!c) {
        admin_body(ctx, x, rc);
        return;
    }
    if (c->endpoint == ENDPOINT_RESERVE) {
        reserve_body(c, rc);
        return;
    }
    if (rc == -E2BIG) {
        refuse_with(c, REFUSAL_TOO_LARGE, "The request body is longer than queue.max_body allows.");
        return;
    }
    if (rc < 0) {
        call_refuse(c, &(struct refusal){.reason = REFUSAL_QUEUE_FULL, .wait_us = CLOCK_S});
        return;
    }
    call_enter(c, CALL_COUNTING);
    c->body = exchange_body(x);
    in = borrow_input(c);
    c->is_coded = decode_is_coded(in.coding);
    if (!is_counted_by_worker(c)) {
        count(c, &in);
        if (!c->search) {
            counted(c);
            return;
        }
    }
    counting_begin(c, &in, count_work, count_done);
}

void receive_chunk(void *ctx, struct exchange *x, const char *p, size_t n)
{
    (void)ctx;
    send_chunk(exchange_user(x), p, n);
}

void receive_body_end(void *ctx, struct exchange *x)
{
    (void)ctx;
    send_body_end(exchange_user(x));
}
