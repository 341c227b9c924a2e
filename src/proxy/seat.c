/*
 * seat: from a counted call to its place in the gate. seat_take ends in one of two ways: the call is HELD, or it is
 * refused.
 */
#include "metergate/proxy/seat.h"

#include "metergate/base/clock.h"
#include "metergate/proxy/hub.h"

static int64_t saturating_product(int64_t a, int64_t b)
{
    int64_t v;

    return __builtin_mul_overflow(a, b, &v) ? INT64_MAX / 4 : v;
}

struct estimate seat_counted(const struct learned_model *learned, const struct request_count *count)
{
    const struct calibration *c = learned ? &learned->calibration : NULL;

    return (struct estimate){
        .input = c ? calibration_tokens(c, &count->parts) : count->input_tokens,
        .exact = c ? calibration_is_exact(c, &count->parts) : count->parts.exact,
        .characters = count->characters,
        .choices = 1,
    };
}

int64_t seat_expected_output(struct learned_model *learned, struct slice client, int64_t max_output, int64_t choices)
{
    static const struct expect nothing;

    return expect_output(learned ? learned_output(learned, client) : &nothing, saturating_product(max_output, choices));
}

/* Its input: what was counted, and what the provider keeps of it. What cannot be told is charged by its bytes. */
static struct estimate estimate_input(struct call *c)
{
    int64_t bytes = (int64_t)exchange_body(c->x).n;
    struct estimate e;

    if (!c->readable || c->count_rc < 0)
        return (struct estimate){.input = bytes, .choices = c->readable ? c->request.n : 1};
    e = seat_counted(c->learned, &c->count);
    e.choices = c->request.n;
    e.exact = e.exact && c->request.reference == REFERENCE_NONE;
    c->counted_tokens = e.input;
    if (c->referred_tokens >= 0)
        e.input += c->referred_tokens;
    else if (bytes > e.input)
        e.input = bytes;
    return e;
}

/* What the call will probably use. */
static void estimate(struct call *c)
{
    struct estimate *e = &c->estimate;

    if (c->endpoint == ENDPOINT_RESERVE)
        return; /* its program has said what */
    if (c->endpoint == ENDPOINT_INVOKE) {
        *e = (struct estimate){.choices = c->readable ? c->request.n : 1};
        return;
    }
    *e = estimate_input(c);
    if (!call_has_output(c))
        return;
    e->max_output = c->readable ? c->request.max_tokens : 0;
    e->expected_output = seat_expected_output(c->learned, slice_str(c->client->name), e->max_output, e->choices);
}

int64_t seat_client_share(int64_t max)
{
    return max - max / 5;
}

static bool queue_has_room(const struct call *c)
{
    const struct proxy *p = c->proxy;
    int64_t requests = p->config->queue.max_requests, bytes = p->config->queue.max_bytes;
    int64_t body = (int64_t)exchange_body(c->x).n;

    return p->count[CALL_HELD] < requests && c->client->held < seat_client_share(requests) &&
           p->held_bytes + body <= bytes && c->client->held_bytes + body <= seat_client_share(bytes);
}

/* The call that has just taken its seat goes in this very turn: nobody waits before it, and there is room. */
static bool goes_at_once(const struct call *c, int64_t now)
{
    const struct gate *g = c->proxy->gate;

    return c->budget->budget->line.n == 1 && !gate_is_stopped(g) &&
           gate_why(c->proxy->gate, &c->ticket, now).until_us <= now;
}

/* A place is free when the next call of its budget goes; what an event decides is worth asking again in a second. */
static int64_t wait_for_place_us(const struct call *c, int64_t now)
{
    int64_t at = gate_next_dispatch_us(c->proxy->gate, c->budget->budget, now);

    return at < CLOCK_NEVER && at > now + CLOCK_S ? at - now : CLOCK_S;
}

/* Whether the limit is one of the client's own. */
static bool is_own(const struct call *c, const struct limit *limit)
{
    const struct budget *b = c->client->budget;

    for (size_t i = 0; b && i < b->limit_count; i++) {
        if (limit == &b->limits[i].limit)
            return true;
    }
    return false;
}

/* The gate would not have it. */
static void refuse_offer(struct call *c, const struct gate_refusal *why, enum gate_verdict verdict)
{
    if (verdict == GATE_MAX_WAIT) {
        call_refuse_max_wait(c, why->wait_us);
        return;
    }
    call_refuse(c, &(struct refusal){
                       .reason = REFUSAL_TOO_LARGE,
                       .model = slice_str(c->request.model),
                       .budget = slice_str(c->budget->name),
                       .client = slice_str(is_own(c, why->limit) ? c->client->name : ""),
                       .metric = why->limit->key,
                       .limit = why->limit->max,
                       .requested = why->requested,
                   });
}

struct payer seat_payer_asking(const struct proxy *p, const struct exchange *x, struct slice query,
                               const struct provider *via, const struct dialect *spoken)
{
    struct slice credential = account_credential(exchange_head(x), query, spoken);

    if (credential.n && config_client_of_token(p->config, credential))
        credential = SLICE("");
    return accounts_payer(&p->budgets.accounts, via, credential);
}

struct payer seat_payer(const struct call *c)
{
    struct slice credential = SLICE("");

    if (c->endpoint == ENDPOINT_RESERVE)
        return seat_payer_asking(c->proxy, c->x, c->route.query, c->provider, c->dialect);
    if (!c->credentials_stay)
        credential = account_credential(exchange_head(c->x), c->route.query, c->dialect);
    return accounts_payer(&c->proxy->budgets.accounts, c->provider, credential);
}

size_t seat_budgets(const struct call *c, struct budget *ret[TICKET_BUDGETS_MAX])
{
    size_t n = 0;

    ret[n++] = c->budget->budget;
    ret[n++] = c->provider->budget;
    if (c->budget->account)
        ret[n++] = c->budget->account->budget;
    if (c->client->budget && !c->dialect->unlimited)
        ret[n++] = c->client->budget;
    return n;
}

static enum ticket_class class_of(enum config_priority priority)
{
    static const enum ticket_class rows[] = {[CONFIG_PRIORITY_HIGH] = TICKET_HIGH,
                                             [CONFIG_PRIORITY_NORMAL] = TICKET_NORMAL,
                                             [CONFIG_PRIORITY_LOW] = TICKET_LOW};

    return rows[priority];
}

/* *ret_came_back: at a place that was kept. */
static enum gate_verdict offer(struct call *c, int64_t now, struct gate_refusal *ret_why, bool *ret_came_back)
{
    struct budget *budgets[TICKET_BUDGETS_MAX];
    size_t n = seat_budgets(c, budgets);
    int64_t arrived_us = c->arrived_us, deadline_us;
    uint64_t place = 0;
    struct cost cost;

    c->profile = c->provider->profile;
    cost = profile_reserve(c->profile, &c->estimate);
    *ret_came_back = places_take(&c->proxy->places, c, &arrived_us, &place);
    deadline_us = arrived_us + c->max_wait_us;
    if (!*ret_came_back && deadline_us < now)
        deadline_us = now; /* the time that a worker took for it is not waiting: it may go now or not at all */
    ticket_init(&c->ticket, &cost, budgets, n, arrived_us, deadline_us);
    ticket_belongs(&c->ticket, c->client, c->weight, class_of(c->priority));
    if (*ret_came_back)
        gate_take_place(&c->ticket, place);
    return gate_offer(c->proxy->gate, &c->ticket, now, ret_why);
}

/* Its budget, and what that knows of its client. */
static void find_budget(struct call *c, int64_t now)
{
    struct proxy *p = c->proxy;
    struct payer payer = seat_payer(c);
    struct slice model = slice_str(c->request.model);

    if (budgets_wants_sweep(&p->budgets, now))
        hub_sweep(p);
    c->budget = c->dialect->unlimited ? budgets_find_unlimited(&p->budgets, c->provider, &payer, model)
                                      : budgets_find(&p->budgets, c->provider, &payer, model);
    c->share = budgets_share(c->budget, c->client);
}

void seat_take(struct call *c)
{
    struct proxy *p = c->proxy;
    int64_t now = loop_now_us(p->loop);
    struct gate_refusal why;
    struct refusal money;
    enum gate_verdict v;
    bool came_back;

    if (p->draining) {
        call_refuse(c, &(struct refusal){.reason = REFUSAL_DRAINING});
        return;
    }
    find_budget(c, now);
    if (c->readable)
        c->learned = learned_of(&p->learned, slice_str(c->provider->config->name), slice_str(c->request.model));
    estimate(c);
    v = offer(c, now, &why, &came_back);
    if (v != GATE_HELD) {
        refuse_offer(c, &why, v);
        return;
    }
    if (!bill_reserve(c, &money)) {
        gate_cancel(p->gate, &c->ticket, now);
        call_refuse(c, &money);
        return;
    }
    if (!queue_has_room(c) && !goes_at_once(c, now)) {
        gate_cancel(p->gate, &c->ticket, now);
        if (came_back)
            places_keep(&p->places, c);
        call_refuse(c, &(struct refusal){.reason = REFUSAL_QUEUE_FULL, .wait_us = wait_for_place_us(c, now)});
        return;
    }
    c->seated = true;
    call_enter(c, CALL_HELD);
    hub_turn_soon(p);
}
