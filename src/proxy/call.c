/*
 * call: only call_enter and call_settle change a state; only call_settle and call_on_gone end an attempt. A call is on
 * exactly one list, that of its state, from call_new to its release.
 */
#include "metergate/proxy/call.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "metergate/base/log.h"
#include "metergate/proxy/counting.h"
#include "metergate/proxy/hub.h"
#include "metergate/proxy/identity.h"
#include "metergate/proxy/record.h"
#include "metergate/proxy/relay.h"
#include "metergate/proxy/tally.h"

#define BIT(s) (1u << (unsigned)(s))

static const unsigned next_states[CALL_STATES] = {
    [CALL_RECEIVING] = BIT(CALL_COUNTING) | BIT(CALL_SENT) | BIT(CALL_SETTLED),
    [CALL_COUNTING] = BIT(CALL_HELD) | BIT(CALL_SETTLED),
    [CALL_HELD] = BIT(CALL_SENT) | BIT(CALL_LEASED) | BIT(CALL_SETTLED),
    [CALL_SENT] = BIT(CALL_STREAMING) | BIT(CALL_HELD) | BIT(CALL_SETTLED),
    [CALL_STREAMING] = BIT(CALL_SETTLED),
    [CALL_LEASED] = BIT(CALL_SETTLED),
};

static const char *const state_names[CALL_STATES] = {"receiving", "counting", "held",   "sent",
                                                     "streaming", "leased",   "settled"};
static const char *const outcome_names[OUTCOMES] = {"completed", "refused", "cancelled", "failed"};

const char *call_state_name(enum call_state s)
{
    return state_names[s];
}

const char *call_outcome_name(enum call_outcome o)
{
    return outcome_names[o];
}

struct call *call_new(struct proxy *p, struct exchange *x)
{
    struct call *c = xcalloc(1, sizeof *c);

    c->proxy = p;
    c->x = x;
    list_init(&c->link);
    list_init(&c->told);
    lease_init(&c->lease);
    c->number = row_id(p->boot, ++p->next_id);
    row_id_text(c->number, c->id);
    buf_init(&c->spliced, BUF_UNLIMITED);
    buf_init(&c->out, BUF_UNLIMITED);
    c->arrived_us = loop_now_us(p->loop);
    c->usage_source = "none";
    c->state = CALL_RECEIVING;
    list_push_back(&p->calls[CALL_RECEIVING], &c->link);
    p->count[CALL_RECEIVING]++;
    p->totals.calls++;
    exchange_set_user(x, c);
    return c;
}

static int64_t body_bytes(const struct call *c)
{
    return c->x ? (int64_t)exchange_body(c->x).n : 0;
}

/* What a state means for the figures of its client and of the whole. */
static void count_state(struct call *c, int sign)
{
    struct proxy *p = c->proxy;
    bool flying = c->state == CALL_SENT || c->state == CALL_STREAMING || c->state == CALL_LEASED;

    p->count[c->state] += sign;
    if (c->state == CALL_HELD)
        p->held_bytes += sign * body_bytes(c);
    if (c->client && c->state == CALL_HELD) {
        c->client->held += sign;
        c->client->held_bytes += sign * body_bytes(c);
    }
    if (c->share && c->state == CALL_HELD)
        budgets_count_held(c->share, c->ticket.class, sign);
    if (c->client && c->endpoint == ENDPOINT_RESERVE && (c->state == CALL_HELD || c->state == CALL_LEASED)) {
        p->reservations += sign;
        c->client->reservations += sign;
    }
    if (c->client && flying)
        c->client->in_flight += sign;
    if (c->provider && flying)
        c->provider->in_flight += sign;
}

static void move(struct call *c, enum call_state to)
{
    int64_t now = loop_now_us(c->proxy->loop);

    MG_ASSERT(next_states[c->state] & BIT(to));
    log_debug("%s %s -> %s", c->id, state_names[c->state], state_names[to]);
    if (c->state == CALL_HELD) {
        c->queued_us += now - c->held_us;
        hold_end(c, now);
        keepalive_end(c);
        patience_end(c);
    }
    if (c->state == CALL_LEASED)
        leases_close(&c->proxy->leases, &c->lease);
    count_state(c, -1);
    c->state = to;
    count_state(c, +1);
    if (to == CALL_HELD) {
        c->held_us = now;
        hold_begin(c);
        keepalive_begin(c);
    }
    list_push_back(&c->proxy->calls[to], &c->link);
    hub_changed(c->proxy);
}

void call_enter(struct call *c, enum call_state to)
{
    MG_ASSERT(to != CALL_SETTLED);
    move(c, to);
}

/* ---- attempts ---------------------------------------------------------------------------------------------------- */

int64_t call_estimated_tokens(const struct call *c)
{
    return c->estimate.input + c->estimate.expected_output;
}

bool call_has_output(const struct call *c)
{
    return c->endpoint != ENDPOINT_EMBEDDINGS && c->endpoint != ENDPOINT_EMBED && c->endpoint != ENDPOINT_INVOKE;
}

/* The provider's answer is an error, whole or cut: no tokens were made for it, and it is not billed. */
static bool is_error(const struct call *c)
{
    return c->state == CALL_STREAMING && c->status >= 400;
}

/* It told its usage, but ended before it told all of it. */
static bool is_behind(const struct call *c)
{
    return c->answer && answer_usage_is_behind(c->answer);
}

/* The tokens of the answer's text as far as it came, by what was learned of the model. */
static int64_t seen_output(const struct call *c)
{
    const struct token_parts parts = {.text = c->answer ? answer_counted_output(c->answer) : 0};

    return c->learned ? calibration_tokens(&c->learned->calibration, &parts) : parts.text;
}

/*
 * What it used, as the provider told it (NULL: it did not). What it did not tell is what can be seen of the answer; where
 * nothing can be seen of one that was lost, what was expected of it.
 */
static struct usage usage_of(const struct call *c, enum call_outcome outcome, const struct usage *told, const char **ret_source)
{
    struct usage u = {.input = c->estimate.input};
    int64_t seen;

    *ret_source = told ? "provider" : "estimated";
    if (told)
        u = *told;
    else if (c->answer)
        u.tier = answer_tier(c->answer);
    if (told && !is_behind(c))
        return u;
    /* an error produces no output; what was charged on arrival stays */
    if (is_error(c) || !call_has_output(c))
        return u;
    seen = seen_output(c);
    if (seen > u.output) {
        u.output = seen;
        *ret_source = "counted";
    } else if (!told && outcome != OUTCOME_COMPLETED) {
        u.output = c->estimate.expected_output;
    }
    return u;
}

/* What the answer teaches of its model, and of what this client asks of it. */
static void learn(struct call *c, enum call_outcome outcome, const struct usage *usage)
{
    bool counted = c->readable && c->count_rc == 0 && c->endpoint != ENDPOINT_INVOKE;

    if (!c->learned || c->status >= 400)
        return;
    if (usage && counted && c->request.reference == REFERENCE_NONE) {
        calibration_learn(&c->learned->calibration, &c->count.parts, c->estimate.input, usage->input);
        meter_estimate(c, usage->input);
    }
    if ((usage || outcome == OUTCOME_COMPLETED) && !is_behind(c) && call_has_output(c))
        expect_learn(learned_output(c->learned, slice_str(c->client->name)), c->used.output);
    learned_changed(&c->proxy->learned);
}

/* Closes the attempt that is open; `usage` NULL: guessed. Returns what it took of the limits. */
static struct cost close_attempt(struct call *c, enum call_outcome outcome, const struct usage *usage)
{
    struct proxy *p = c->proxy;
    bool refused = c->never_sent || (usage == NULL && c->status == 429);
    struct usage told;
    struct cost cost;

    MG_ASSERT(c->provider && c->budget);
    c->seated = false;
    if (usage)
        memory_learn(&p->memory, c, usage);
    if (!usage && outcome == OUTCOME_COMPLETED && memory_take_background(&p->memory, c)) {
        c->used = (struct usage){.input = c->estimate.input, .output = c->estimate.expected_output};
        c->usage_source = "estimated";
        return profile_reserve(c->profile, &c->estimate);
    }
    if (!usage && outcome != OUTCOME_COMPLETED && c->answer && answer_usage(c->answer, &told))
        usage = &told;
    c->used = usage_of(c, outcome, usage, &c->usage_source);
    if (refused) {
        c->used = (struct usage){0};
        c->usage_source = "none";
    }
    /* what is one request is that, whatever tokens it reports */
    cost = refused || c->endpoint == ENDPOINT_INVOKE ? profile_refused(c->profile)
                                                     : profile_settle(c->profile, &c->estimate, &c->used);
    if (!refused)
        learn(c, outcome, usage);
    gate_close(p->gate, &c->ticket, loop_now_us(p->loop), &cost);
    if (is_error(c) && !usage) {
        c->used = (struct usage){0};
        c->usage_source = "none";
    }
    return cost;
}

/* A call that is refused more often in a row than this may itself be why: it lets 1, 2, 4, ... others go first. */
#define PATIENT_REFUSALS 4
#define REFUSALS_MAX     (PATIENT_REFUSALS + 11)

void call_count_refusal(struct call *c)
{
    if (c->refusals < REFUSALS_MAX)
        c->refusals++;
}

void call_back_to_queue(struct call *c, int64_t until_us, int64_t told_us)
{
    struct proxy *p = c->proxy;
    int64_t now = loop_now_us(p->loop);
    struct cost cost = profile_refused(c->profile);

    record_attempt(c, &cost);
    c->is_spliced = false;
    buf_release(&c->spliced);
    c->produced = 0;
    c->sent_us = 0;
    if (c->refusals > PATIENT_REFUSALS)
        gate_requeue_behind(p->gate, &c->ticket, now, &cost, 1u << (c->refusals - PATIENT_REFUSALS - 1));
    else
        gate_requeue(p->gate, &c->ticket, now, &cost);
    call_enter(c, CALL_HELD);
    if (until_us > c->ticket.deadline_us)
        call_refuse_max_wait(c, told_us);
    hub_turn_soon(p);
}

/* ---- the end ------------------------------------------------------------------------------------------------------- */

static int64_t ms(int64_t us)
{
    return us / 1000;
}

static void log_end(const struct call *c)
{
    char first_byte[24] = "-";
    bool known = !c->counting && c->request.model[0]; /* while a worker counts, the request is the worker's */

    if (c->first_byte_us)
        snprintf(first_byte, sizeof first_byte, "%" PRId64, ms(c->first_byte_us - c->arrived_us));
    log_info("%s %s client=%s upstream=%s endpoint=%s model=%s status=%d queued_ms=%" PRId64 " first_byte_ms=%s total_ms=%" PRId64
             " input=%" PRId64 " output=%" PRId64 " usage=%s attempts=%d%s%s",
             c->id, outcome_names[c->outcome], c->client ? c->client->name : "-", c->provider ? c->provider->config->name : "-",
             endpoint_name(c->endpoint), known ? log_quote(slice_str(c->request.model)).text : "-", c->status,
             ms(c->queued_us), first_byte, ms(c->settled_us - c->arrived_us), c->used.input, c->used.output,
             c->usage_source, c->attempts, c->reason ? " reason=" : "",
             c->reason ? c->reason : "");
}

/* What it cost, for all who want to know. `cost` is what its last attempt took of the limits; NULL: none was open. */
static void settle_accounts(struct call *c, const struct cost *cost)
{
    struct row_price price = {0};

    c->cost_nano = bill_of_call(c, &price);
    bill_settle(&c->spending, c->settled_us, c->cost_nano);
    tally_end(c);
    record_end(c, cost, &price);
}

void call_settle(struct call *c, enum call_outcome outcome, const char *reason, const struct usage *usage)
{
    struct proxy *p = c->proxy;
    bool was_open = c->seated && c->state != CALL_HELD;
    struct refusal unasked;
    struct cost cost;

    MG_ASSERT(!c->transfer);
    if (c->search && !c->client)
        (void)identity_settle(c, &unasked); /* it ends before it was found out whose it is: its user's */
    if (was_open) {
        cost = close_attempt(c, outcome, usage);
    } else if (c->seated) {
        gate_cancel(p->gate, &c->ticket, loop_now_us(p->loop));
        c->seated = false;
    }
    c->outcome = outcome;
    c->reason = reason;
    move(c, CALL_SETTLED);
    c->settled_us = loop_now_us(p->loop);
    settle_accounts(c, was_open ? &cost : NULL);
    log_end(c);
    hub_turn_soon(p);
    call_reap(c);
}

static void stop_transfer(struct call *c)
{
    struct transfer *t = c->transfer;

    c->transfer = NULL;
    if (t)
        transfer_abort(t);
}

void call_refuse(struct call *c, const struct refusal *r)
{
    bool failed = r->reason == REFUSAL_UPSTREAM_CONNECT || r->reason == REFUSAL_UPSTREAM_PROTOCOL ||
                  r->reason == REFUSAL_UPSTREAM_TIMEOUT;
    struct refusal known = *r;

    stop_transfer(c);
    c->proxy->totals.refused[r->reason]++;
    known.request_id = c->id;
    c->refused_for = r->unpriced ? "price" : r->metric;
    c->refused_by_client = r->client.n > 0;
    c->status = refuse_reply(c->proxy, c->x, c->endpoint == ENDPOINT_RESERVE ? NULL : c->dialect, &known);
    call_settle(c, failed ? OUTCOME_FAILED : OUTCOME_REFUSED, refusal_name(r->reason), NULL);
}

void call_name_what_binds(const struct call *c, struct refusal *r)
{
    int64_t now = loop_now_us(c->proxy->loop);
    struct gate_reason why;

    ticket_advance(&c->ticket, now);
    why = ticket_earliest(&c->ticket, now);
    r->model = slice_str(c->request.model);
    r->budget = slice_str(c->budget->name);
    if (!why.limit || why.until_us <= now)
        return;
    r->metric = why.limit->limit.key;
    if (why.budget == c->client->budget)
        r->client = slice_str(c->client->name);
}

void call_refuse_max_wait(struct call *c, int64_t wait_us)
{
    struct refusal r = {.reason = REFUSAL_MAX_WAIT, .wait_us = wait_us};

    call_name_what_binds(c, &r);
    call_refuse(c, &r);
}

void call_refuse_for_memory(struct call *c)
{
    call_refuse(c, &(struct refusal){.reason = REFUSAL_QUEUE_FULL,
                                     .wait_us = CLOCK_S,
                                     .detail = SLICE("Metergate has no memory for more calls at the moment.")});
}

void call_give_up(struct call *c, const char *reason)
{
    stop_transfer(c);
    exchange_abort(c->x);
    call_settle(c, OUTCOME_FAILED, reason, NULL);
}

void call_stop(struct call *c)
{
    if (c->state == CALL_HELD || c->state == CALL_SENT) {
        stop_transfer(c);
        call_refuse(c, &(struct refusal){.reason = REFUSAL_DRAINING});
        return;
    }
    if (c->counting) /* the worker still reads it */
        exchange_take_body(c->x, &c->counting->left_body);
    call_give_up(c, "the daemon stopped");
}

void call_on_gone(struct call *c)
{
    /* of a LEASED one call_on_exchange_done will say whether its client got the lease */
    if (c->state == CALL_SETTLED || c->state == CALL_LEASED)
        return;
    stop_transfer(c);
    if (c->state == CALL_HELD)
        places_keep(&c->proxy->places, c);
    if (c->counting)
        exchange_take_body(c->x, &c->counting->left_body);
    call_settle(c, OUTCOME_CANCELLED, "client left", NULL);
}

static void release(struct call *c)
{
    MG_ASSERT(!c->seated && !c->transfer);
    count_state(c, -1);
    list_unlink(&c->link);
    buf_release(&c->spliced);
    counting_free(c);
    buf_release(&c->out);
    relay_forget(c);
    answer_free(c->answer);
    origin_search_free(c->search);
    free(c->holds);
    free(c);
}

bool call_reap(struct call *c)
{
    if (c->state != CALL_SETTLED || c->x || c->counting)
        return false;
    release(c);
    return true;
}

void call_free_left(struct call *c)
{
    release(c); /* its worker has been stopped */
}

void call_on_exchange_done(struct call *c, bool complete)
{
    MG_ASSERT(c->state == CALL_SETTLED || c->state == CALL_LEASED);
    c->x = NULL;
    if (c->state == CALL_LEASED && !complete)
        reserve_unclaimed(c);
    else
        call_reap(c);
}
