/*
 * call: what a call is like is decided when it comes, so that it is the same whatever happens to it. It has
 * one event at the most: what comes next in its life, or that it gives up, if that is sooner.
 */
#include <stdlib.h>

#include "run.h"

enum { PRODUCED_IN = 8 }; /* parts that an answer comes in */

static int64_t ms_of(const struct dice *d, int64_t otherwise_us, struct rng *r)
{
    return d->a > 0 ? dice_roll(d, r) * CLOCK_MS : otherwise_us;
}

static struct record *record_of(const struct run *r, const struct call *c)
{
    return &r->o->records[c->record];
}

/* ---- coming ---- */

static struct record *new_record(struct run *r, const struct client *c)
{
    size_t n = r->call_count;

    if (n == r->call_cap) {
        r->call_cap = n ? 2 * n : 1024;
        r->calls = xrealloc(r->calls, r->call_cap * sizeof(struct call *));
        r->o->records = xrealloc(r->o->records, r->call_cap * sizeof *r->o->records);
    }
    r->o->records[n] = (struct record){.stream = c->stream_index,
                                       .client = c->index,
                                       .arrival_us = r->now_us - BEGIN_US,
                                       .start_us = -1};
    return &r->o->records[n];
}

static struct call *new_call(struct run *r, struct client *c)
{
    const struct stream *s = c->stream;
    int percent = s->output_percent > 0 ? s->output_percent : 50;
    struct record *record = new_record(r, c);
    struct call *call = xcalloc(1, sizeof *call);
    int64_t tokens = dice_roll(&s->tokens, &c->rng);

    call->client = c;
    call->record = r->call_count;
    r->calls[r->call_count++] = call;
    call->estimate.expected_output = tokens * percent / 100;
    call->estimate.input = tokens - call->estimate.expected_output;
    call->estimate.choices = 1;
    call->output = (int64_t)((double)call->estimate.expected_output * dice_factor(s->error, &c->rng));
    call->answer_us = ms_of(&s->answer, CLOCK_MS, &c->rng);
    call->way_us = ms_of(&s->way, 0, &c->rng);
    call->leave_us = CLOCK_NEVER;
    if (s->leave_percent > 0 && rng_chance(&c->rng, s->leave_percent))
        call->leave_us = r->now_us + rng_range(&c->rng, 0, run_us(s->leave_s));
    call->next_us = CLOCK_NEVER;
    record->tokens = tokens;
    return call;
}

static void wait_for(struct run *r, struct call *c, int64_t next_us)
{
    c->next_us = next_us;
    if (next_us > c->leave_us)
        next_us = c->leave_us;
    if (next_us < CLOCK_NEVER)
        heap_set(&r->events, &c->event.node, next_us);
    else
        heap_remove(&r->events, &c->event.node);
}

/* The accounts that calls of this stream are in: one or two. */
static size_t accounts_of(struct run *r, const struct stream *s, struct account **ret)
{
    ret[0] = &r->accounts[s->pool];
    if (!s->also)
        return 1;
    ret[1] = &r->accounts[s->also - 1];
    return 2;
}

/* For the gate, whose calls they are. */
static const struct client *owner_of(const struct run *r, const struct client *c)
{
    const struct client *first = r->clients;

    if (!c->stream->shares)
        return c;
    while (first->stream_index != c->stream->shares - 1)
        first++;
    return first;
}

void call_arrive(struct run *r, struct client *cl)
{
    const struct stream *s = cl->stream;
    struct call *c = new_call(r, cl);
    struct budget *budgets[2] = {r->pools[s->pool], s->also ? r->pools[s->also - 1] : NULL};
    struct cost cost = profile_reserve(r->w->profile, &c->estimate);
    struct gate_refusal why;
    enum gate_verdict v;

    ticket_init(&c->ticket, &cost, budgets, s->also ? 2 : 1, r->now_us, CLOCK_NEVER);
    ticket_belongs(&c->ticket, owner_of(r, cl), s->weight > 0 ? s->weight : 1, s->class);
    record_of(r, c)->taken = budget_need_total(&budgets[0]->limits[0], &cost);
    v = gate_offer(r->gate, &c->ticket, r->now_us, &why);
    MG_ASSERT(v == GATE_HELD);
    r->held_in[s->pool]++;
    cl->held++;
    cl->made++;
    wait_for(r, c, CLOCK_NEVER);
}

static void sent(struct run *r, struct call *c)
{
    struct account *a[2];
    size_t n = accounts_of(r, c->client->stream, a);

    gate_sent(r->gate, &c->ticket, r->now_us);
    for (size_t i = 0; i < n; i++)
        account_sent(a[i], c->slips[i]);
    c->step = ANSWERED;
    c->parts = c->refused || !profile_charges_as_produced(r->w->profile) ? 1 : PRODUCED_IN;
    wait_for(r, c, r->now_us + (c->refused ? 0 : c->answer_us / c->parts));
}

static void produced(struct run *r, struct call *c)
{
    struct account *a[2];
    size_t n = accounts_of(r, c->client->stream, a);
    int64_t tokens = (c->output - c->produced) / c->parts;

    c->parts--;
    wait_for(r, c, r->now_us + c->answer_us / PRODUCED_IN);
    if (tokens == 0)
        return;
    c->produced += tokens;
    gate_produced(r->gate, &c->ticket, r->now_us, tokens);
    for (size_t i = 0; i < n; i++)
        account_produced(a[i], c->slips[i], tokens);
}

static void finish(struct run *r, struct call *c)
{
    c->step = DONE;
    c->leave_us = CLOCK_NEVER;
    wait_for(r, c, CLOCK_NEVER);
    if (stream_is_batch(c->client->stream))
        r->batch_left--;
    client_follow(r, c->client);
}

static void refuse(struct run *r, struct call *c, const struct cost *cost)
{
    r->o->refused++;
    if (r->w->pause_s > 0)
        gate_pause(r->gate, c->ticket.budgets[0], r->now_us + rng_range(&r->rng, 1, run_us(r->w->pause_s)));
    gate_requeue(r->gate, &c->ticket, r->now_us, cost);
    for (int p = 0; p < r->pool_count; p++)
        promise_void(&r->promises[p]);
    r->held_in[c->client->stream->pool]++;
    c->client->held++;
    c->step = ARRIVED;
    wait_for(r, c, CLOCK_NEVER);
}

/* With what it took: `usage`, or nothing but a request. */
static void end(struct run *r, struct call *c, const struct usage *usage)
{
    enum profile p = r->w->profile;
    struct cost final = usage ? profile_settle(p, &c->estimate, usage) : profile_refused(p);
    const struct budget_limit *first = &c->ticket.budgets[0]->limits[0];
    struct account *a[2];
    size_t n = accounts_of(r, c->client->stream, a);

    for (size_t i = 0; i < n; i++)
        account_close(a[i], c->slips[i], &final);
    if (!usage) {
        refuse(r, c, &final);
        return;
    }
    gate_close(r->gate, &c->ticket, r->now_us, &final);
    record_of(r, c)->taken = budget_need_total(first, &final);
    record_of(r, c)->tokens = usage->input + usage->output;
    finish(r, c);
}

static void leave(struct run *r, struct call *c)
{
    const struct usage lost = {.input = c->estimate.input, .output = c->produced};

    if (c->ticket.state == TICKET_HELD) {
        gate_cancel(r->gate, &c->ticket, r->now_us);
        record_of(r, c)->left = true;
        r->held_in[c->client->stream->pool]--;
        c->client->held--;
        finish(r, c);
        return;
    }
    if (!c->ticket.sent)
        sent(r, c);
    c->refused = false;
    end(r, c, &lost);
}

void call_live(struct run *r, struct call *c)
{
    const struct usage all = {.input = c->estimate.input, .output = c->output};

    if (r->now_us < c->next_us)
        leave(r, c);
    else if (c->step == ON_ITS_WAY)
        sent(r, c);
    else if (c->parts > 1)
        produced(r, c);
    else
        end(r, c, c->refused ? NULL : &all);
}

/* ---- going ---- */

static void check_promises(struct run *r, const struct call *c)
{
    for (int p = 0; p < r->pool_count; p++) {
        int64_t late_us;

        if (!promise_after(&r->promises[p], &c->ticket, r->now_us, &late_us))
            continue;
        r->o->heads++;
        if (late_us > 0)
            r->o->late_total_s += (double)late_us / CLOCK_S;
        if (late_us > r->o->late_us)
            r->o->late_us = late_us;
    }
}

void call_go(struct run *r, struct call *c)
{
    const struct stream *s = c->client->stream;
    struct account *a[2];
    size_t n = accounts_of(r, s, a);
    bool room = true;

    check_promises(r, c);
    for (size_t i = 0; i < n; i++)
        room &= account_open(a[i], &c->ticket.cost, c->slips[i]);
    r->o->over += !room;
    if (record_of(r, c)->start_us < 0)
        record_of(r, c)->start_us = r->now_us - BEGIN_US;
    r->held_in[s->pool]--;
    c->client->held--;
    c->produced = 0;
    c->refused = r->w->refused_percent > 0 && rng_chance(&r->rng, r->w->refused_percent);
    c->step = ON_ITS_WAY;
    if (c->way_us > 0)
        wait_for(r, c, r->now_us + c->way_us);
    else
        sent(r, c);
    if (s->pattern == STEADY)
        client_ask(r, c->client);
}

