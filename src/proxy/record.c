/*
 * record: c->row is the OPEN row of the attempt that is under way, or NULL. It is dropped only when its final row, or that
 * of its attempt, has been given to the ledger.
 */
#include "metergate/proxy/record.h"

#include <string.h>

#include "metergate/base/clock.h"
#include "metergate/proxy/hub.h"

static void put_text(char *to, size_t size, const char *text)
{
    size_t n = strnlen(text, size - 1);

    memcpy(to, text, n);
    to[n] = '\0';
}

/* A moment of the loop's clock as the wall has it. */
static int64_t wall_of(int64_t at_us, int64_t wall_us)
{
    return wall_us - (clock_now_us() - at_us);
}

static int row_status(const struct call *c)
{
    return c->state == CALL_SETTLED || c->state == CALL_STREAMING ? c->status : 0;
}

static void fill_budget(const struct model_budget *b, struct ledger_row *r)
{
    put_text(r->budget, sizeof r->budget, b->name);
    put_text(r->budget_scope, sizeof r->budget_scope, budgets_kind(b));
    if (b->account)
        put_text(r->account, sizeof r->account, b->account->scope);
}

static void fill_names(const struct call *c, struct ledger_row *r)
{
    bool known = !c->counting; /* while a worker counts, the request is the worker's */

    if (c->client)
        put_text(r->client, sizeof r->client, c->client->name);
    if (c->provider)
        put_text(r->upstream, sizeof r->upstream, c->provider->config->name);
    if (known)
        put_text(r->model, sizeof r->model, c->request.model);
    put_text(r->endpoint, sizeof r->endpoint, endpoint_name(c->endpoint));
    if (c->budget)
        fill_budget(c->budget, r);
}

static enum row_source source_of(const struct call *c)
{
    if (strcmp(c->usage_source, "provider") == 0)
        return ROW_BY_PROVIDER;
    if (strcmp(c->usage_source, "counted") == 0)
        return ROW_COUNTED;
    return strcmp(c->usage_source, "estimated") == 0 ? ROW_ESTIMATED : ROW_NO_USAGE;
}

static void put_charge(const struct cost *cost, struct row_charge *ret)
{
    for (int m = 0; m < METRIC_CONCURRENT; m++) {
        ret->on_arrival[m] = cost->on_arrival[m];
        ret->at_end[m] = cost->at_end[m];
    }
}

void record_fill(const struct call *c, struct ledger_row *r)
{
    int64_t now = loop_now_us(c->proxy->loop), end = c->settled_us ? c->settled_us : now;

    r->id = c->number;
    r->kind = ROW_CALL;
    fill_names(c, r);
    r->outcome = (enum row_outcome)c->outcome;
    r->status = row_status(c);
    put_text(r->reason, sizeof r->reason, c->reason ? c->reason : "");
    r->attempts = c->attempts;
    r->estimated_input = c->estimate.input;
    r->estimated_output = c->estimate.expected_output;
    r->usage = c->used;
    r->source = source_of(c);
    r->cost_nano = c->cost_nano;
    r->queued_us = c->queued_us + (c->state == CALL_HELD ? now - c->held_us : 0);
    r->total_us = end - c->arrived_us;
    r->first_byte_us = c->first_byte_us ? c->first_byte_us - c->arrived_us : -1;
    r->hold_count = hold_list(c, now, r->hold);
}

void record_begin(struct call *c)
{
    struct cost cost = profile_reserve(c->profile, &c->estimate);
    struct proxy *p = c->proxy;
    struct ledger_row *r = p->ledger ? ledger_take(p->ledger) : NULL;

    if (!r)
        return;
    record_fill(c, r);
    r->t_us = clock_wall_us();
    r->usage = (struct usage){.input = c->estimate.input, .output = c->estimate.expected_output};
    r->source = ROW_ESTIMATED;
    r->cost_nano = c->endpoint == ENDPOINT_INVOKE
                       ? PRICE_UNKNOWN
                       : bill_cost(p, slice_str(c->request.model), &r->usage, &r->price);
    put_charge(&cost, &r->charge);
    ledger_begin(p->ledger, r);
    c->row = r;
}

static void drop_open(struct call *c)
{
    if (c->row)
        ledger_drop(c->proxy->ledger, c->row);
    c->row = NULL;
}

void record_attempt(struct call *c, const struct cost *cost)
{
    struct proxy *p = c->proxy;
    struct ledger_row *r = p->ledger ? ledger_take(p->ledger) : NULL;

    if (r) {
        r->id = c->number;
        r->kind = ROW_ATTEMPT;
        r->attempts = c->attempts;
        r->t_us = clock_wall_us();
        r->first_byte_us = -1;
        fill_names(c, r);
        put_charge(cost, &r->charge);
        r->charge.sent_us = c->sent_us ? wall_of(c->sent_us, r->t_us) : 0;
        ledger_end(p->ledger, r);
    }
    drop_open(c);
}

void record_end(struct call *c, const struct cost *cost, const struct row_price *price)
{
    struct proxy *p = c->proxy;
    struct ledger_row *seen = lately_add(&p->lately), *kept;

    record_fill(c, seen);
    seen->t_us = clock_wall_us();
    seen->price = *price;
    if (cost) {
        put_charge(cost, &seen->charge);
        seen->charge.sent_us = c->sent_us ? wall_of(c->sent_us, seen->t_us) : 0;
    }
    kept = p->ledger ? ledger_take(p->ledger) : NULL;
    if (kept) {
        *kept = *seen;
        ledger_end(p->ledger, kept);
    }
    drop_open(c);
    events_call_ended(p);
}

void record_correction(struct proxy *p, const struct record_late *late, const struct usage *u, int64_t cost_nano,
                       const struct row_price *price)
{
    struct ledger_row r = {.id = late->number, .kind = ROW_CORRECTION}, *kept;

    put_text(r.client, sizeof r.client, late->client->name);
    put_text(r.upstream, sizeof r.upstream, late->provider->config->name);
    fill_budget(late->budget, &r);
    r.t_us = clock_wall_us();
    r.first_byte_us = -1;
    r.usage = *u;
    r.source = ROW_BY_PROVIDER;
    r.cost_nano = cost_nano;
    r.price = *price;
    lately_correct(&p->lately, &r);
    kept = p->ledger ? ledger_take(p->ledger) : NULL;
    if (kept) {
        *kept = r;
        ledger_end(p->ledger, kept);
    }
}
