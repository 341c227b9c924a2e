/*
 * reserve: a call of ENDPOINT_RESERVE never has a transfer, an answer or anything to learn from. Its lease is
 * open exactly while it is LEASED; whatever ends it there ends in call_settle, which closes the lease.
 */
#include "metergate/proxy/reserve.h"

#include <errno.h>
#include <string.h>

#include "metergate/base/json.h"
#include "metergate/dialect/guess.h"
#include "metergate/proxy/cors.h"
#include "metergate/proxy/counters.h"
#include "metergate/proxy/counting.h"
#include "metergate/proxy/hub.h"
#include "metergate/proxy/identity.h"
#include "metergate/proxy/lease_text.h"
#include "metergate/proxy/record.h"
#include "metergate/proxy/seat.h"
#include "metergate/proxy/tally.h"

/* What a program that was answered 429 without a time waits, and the most that its word may hold up
 * everybody. */
#define PAUSE_US     CLOCK_S
#define PAUSE_MAX_US LEASE_US

#define TOO_LONG "The request body is longer than 8 KiB, which neither /-/reserve nor /-/settle needs."

static void refuse_with(struct call *c, enum refusal_reason reason, struct slice detail)
{
    call_refuse(c, &(struct refusal){.reason = reason, .detail = detail});
}

/* ---- the end of a lease ---- */

static void on_timer(void *ctx);

/* The timer may be early, as leases are settled, and is never late. */
static void rearm(struct proxy *p)
{
    int64_t at_us = leases_due_us(&p->leases);

    if (at_us < CLOCK_NEVER)
        loop_timer_set(p->loop, &p->lease_timer, at_us, on_timer, p);
}

static struct call *call_of(struct lease *l)
{
    return MG_CONTAINER(l, struct call, lease);
}

static void on_timer(void *ctx)
{
    struct proxy *p = ctx;
    struct lease *l;

    while ((l = leases_due(&p->leases, loop_now_us(p->loop))) != NULL) {
        p->leases.ended[LEASE_EXPIRED]++;
        call_settle(call_of(l), OUTCOME_FAILED, "lease not settled", NULL);
    }
    rearm(p);
}

void reserve_unclaimed(struct call *c)
{
    c->proxy->leases.ended[LEASE_UNCLAIMED]++;
    c->never_sent = true;
    call_settle(c, OUTCOME_CANCELLED, "client left", NULL);
}

void reserve_stop(struct proxy *p)
{
    loop_timer_clear(p->loop, &p->lease_timer);
    LIST_EACH (&p->calls[CALL_LEASED], node, next)
        call_settle(LIST_ENTRY(node, struct call, link), OUTCOME_FAILED, "the daemon stopped", NULL);
}

/* ---- POST /-/reserve ---- */

static void begin(struct proxy *p, struct exchange *x, const struct route *r)
{
    struct call *c = call_new(p, x);
    const char *problem = hub_contradiction(exchange_head(x));
    struct refusal why;

    c->endpoint = ENDPOINT_RESERVE;
    c->route = *r;
    if (problem)
        refuse_with(c, REFUSAL_BAD_REQUEST, slice_str(problem));
    else if (!identity_read(c, &why))
        call_refuse(c, &why);
    else if (p->draining)
        refuse_with(c, REFUSAL_DRAINING, SLICE(""));
    else
        exchange_buffer_body(x, LEASE_TEXT_MAX);
}

/* The provider that the program is going to call; NULL: refused. */
static struct provider *provider_for(struct call *c, const struct lease_wish *w)
{
    const struct proxy *p = c->proxy;
    const struct dialect *d = guess_of_model(slice_str(w->model));
    const struct config_upstream *named;
    struct provider *via = NULL;
    struct buf detail;

    if (w->upstream[0]) {
        named = config_upstream_named(p->config, slice_str(w->upstream));
        via = named ? providers_find(&p->providers, named) : NULL;
    } else {
        via = providers_of_model(&p->providers, p->config, slice_str(w->model), d);
    }
    if (via)
        return via;
    buf_init(&detail, BUF_UNLIMITED);
    if (w->upstream[0])
        buf_addf(&detail, "The configuration has no upstream named \"%s\": see its `upstreams`.",
                 w->upstream);
    else
        buf_addf(&detail,
                 "The configuration has no upstream of dialect %s, which the name of this model stands for: "
                 "name an "
                 "\"upstream\", or give the model an entry that does.",
                 d->name);
    refuse_with(c, REFUSAL_NO_ROUTE, buf_slice(&detail));
    buf_release(&detail);
    return NULL;
}

/*
 * What it said is all that is known: as good as an exact count, and also what the provider will charge at the
 * least. Where that goes by characters (profile.h), it is as many as make these tokens.
 */
static struct estimate estimate_of(const struct lease_wish *w)
{
    return (struct estimate){
        .input = w->input,
        .expected_output = w->output,
        .characters = 4 * (w->input + w->output),
        .max_output = w->output,
        .choices = 1,
        .exact = true,
    };
}

static bool take_wish(struct call *c, const struct lease_wish *w)
{
    struct provider *via = provider_for(c, w);

    if (!via)
        return false;
    c->provider = via;
    c->dialect = via->dialect;
    c->request = (struct dialect_request){.endpoint = ENDPOINT_RESERVE, .n = 1};
    memcpy(c->request.model, w->model, sizeof w->model);
    c->estimate = estimate_of(w);
    if (w->max_wait_us >= 0 && w->max_wait_us < c->max_wait_us)
        c->max_wait_us = w->max_wait_us;
    return true;
}

static bool may_be_one_more(const struct call *c)
{
    return c->proxy->reservations < LEASES_MAX && c->client->reservations < seat_client_share(LEASES_MAX);
}

static void refuse_unread(struct call *c, int rc)
{
    if (rc == -E2BIG)
        refuse_with(c, REFUSAL_TOO_LARGE, SLICE(TOO_LONG));
    else
        call_refuse(c, &(struct refusal){.reason = REFUSAL_QUEUE_FULL, .wait_us = CLOCK_S});
}

static void offer(struct call *c)
{
    struct lease_wish wish;
    struct refusal refused;
    struct errbuf why;

    if (!identity_settle(c, &refused)) {
        call_refuse(c, &refused);
        return;
    }
    if (lease_wish_read(c->body, &wish, &why) < 0) {
        struct errbuf sentence;

        err_set(&sentence, "The body is no reservation: %s.", why.text);
        refuse_with(c, REFUSAL_BAD_REQUEST, slice_str(sentence.text));
        return;
    }
    if (!take_wish(c, &wish))
        return;
    if (!may_be_one_more(c)) {
        call_refuse(c,
                    &(struct refusal){
                        .reason = REFUSAL_QUEUE_FULL,
                        .wait_us = CLOCK_S,
                        .detail = SLICE("As many leases are open or waited for as there may be (10,000, "
                                        "8,000 of one client): settle each as soon as its call is over.")});
        return;
    }
    seat_take(c);
}

/* In a worker's thread. */
static void search(struct worker_job *job)
{
    origin_search(counting_of(job)->call->search);
}

static void searched(struct worker_job *job)
{
    struct call *c = counting_end(job);

    identity_found(c);
    if (!call_reap(c) && c->state == CALL_COUNTING)
        offer(c);
}

void reserve_body(struct call *c, int rc)
{
    if (rc < 0) {
        refuse_unread(c, rc);
        return;
    }
    call_enter(c, CALL_COUNTING);
    c->body = exchange_body(c->x);
    if (!c->search) {
        offer(c);
        return;
    }
    counting_begin(c, NULL, search, searched);
}

static void tell(struct call *c)
{
    struct json_writer w;
    struct headers h;
    struct buf body;

    headers_init(&h);
    buf_init(&body, BUF_UNLIMITED);
    json_init(&w, &body);
    json_object_begin(&w);
    json_member_str(&w, "lease", slice_str(c->lease.id));
    json_member_int(&w, "waited_ms", c->queued_us / CLOCK_MS);
    json_object_end(&w);
    buf_add_char(&body, '\n');
    headers_add(&h, SLICE("Content-Type"), SLICE("application/json"));
    headers_add(&h, SLICE("Cache-Control"), SLICE("no-store"));
    headers_add(&h, SLICE("Metergate-Request-Id"), slice_str(c->id));
    headers_add(&h, SLICE("Metergate-Client"), slice_str(c->client->name));
    headers_add(&h, SLICE("Metergate-Budget"), slice_str(c->budget->name));
    cors_add(exchange_head(c->x), &c->proxy->guard, &h);
    exchange_reply(c->x, c->status, h.v, h.n, buf_slice(&body));
    headers_release(&h);
    buf_release(&body);
}

void reserve_grant(struct call *c)
{
    struct proxy *p = c->proxy;
    int64_t now = loop_resample_us(p->loop);

    call_enter(c, CALL_LEASED);
    c->attempts = 1;
    c->dispatched_us = now;
    p->totals.dispatched++;
    record_begin(c);
    c->sent_us = now;
    gate_sent(p->gate, &c->ticket, now);
    leases_open(&p->leases, &c->lease, now);
    if (!loop_timer_is_set(&p->lease_timer))
        rearm(p);
    c->status = 200;
    tell(c);
    c->body = slice_of(NULL, 0);
    exchange_drop_body(c->x);
}

/* ---- POST /-/settle ---- */

static void refuse_settling(struct proxy *p, struct exchange *x, enum refusal_reason reason, int status,
                            const char *detail)
{
    p->totals.refused[reason]++;
    refuse_reply(p, x, NULL,
                 &(struct refusal){
                     .reason = reason, .status = status, .detail = slice_str(detail), .wait_us = CLOCK_S});
}

static void pause_for(struct call *c, int64_t asked_us)
{
    struct proxy *p = c->proxy;
    int64_t us = asked_us < 0 ? PAUSE_US : asked_us;

    gate_pause(p->gate, c->budget->budget, loop_now_us(p->loop) + (us < PAUSE_MAX_US ? us : PAUSE_MAX_US));
}

static void end_as_reported(struct call *c, const struct lease_report *r)
{
    struct proxy *p = c->proxy;

    p->leases.ended[r->refused ? LEASE_REFUSED : LEASE_SETTLED]++;
    counters_in_settlement(c, r->refused);
    if (!r->refused) {
        call_settle(c, OUTCOME_COMPLETED, NULL, &r->usage);
        return;
    }
    tally_429(c);
    pause_for(c, r->retry_after_us);
    c->status = 429;
    call_settle(c, OUTCOME_FAILED, "the provider answered 429", NULL);
}

static void settle(struct proxy *p, struct exchange *x, const struct lease_report *r)
{
    struct lease *l = leases_find(&p->leases, slice_str(r->id));

    if (!l) {
        refuse_settling(p, x, REFUSAL_BAD_REQUEST, 404,
                        "No lease of this id is open: it was settled already, or not within 10 minutes (it "
                        "then counts at its estimate), or the daemon was started anew since.");
        return;
    }
    end_as_reported(call_of(l), r);
    hub_reply(p, x, 200, "application/json", SLICE("{\"settled\":true}\n"));
}

bool reserve_settle_body(struct proxy *p, struct exchange *x, int rc)
{
    struct lease_report report;
    struct errbuf why, sentence;

    if (!slice_eq(hub_route(p, x).path, SLICE("/-/settle")))
        return false;
    if (rc == -E2BIG) {
        refuse_settling(p, x, REFUSAL_TOO_LARGE, 0, TOO_LONG);
    } else if (rc < 0) {
        refuse_settling(p, x, REFUSAL_QUEUE_FULL, 0, NULL);
    } else if (lease_report_read(exchange_body(x), &report, &why) < 0) {
        err_set(&sentence, "The body settles no lease: %s.", why.text);
        refuse_settling(p, x, REFUSAL_BAD_REQUEST, 0, sentence.text);
    } else {
        settle(p, x, &report);
    }
    return true;
}

/* ---- the way in ---- */

bool reserve_serve(struct proxy *p, struct exchange *x, const struct route *r)
{
    bool reserves = slice_eq(r->path, SLICE("/-/reserve"));

    if (!reserves && !slice_eq(r->path, SLICE("/-/settle")))
        return false;
    if (!slice_eq(exchange_head(x)->method, SLICE("POST")))
        hub_refuse_method(x);
    else if (reserves)
        begin(p, x, r);
    else
        exchange_buffer_body(x, LEASE_TEXT_MAX);
    return true;
}
