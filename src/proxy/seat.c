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

/* Its input: what was counted, and what the provider keeps of it. What cannot be told is charged by its bytes. */
static void estimate_input(struct call *c, struct estimate *e)
{
    const struct calibration *learned = c->learned ? &c->learned->calibration : NULL;
    int64_t bytes = (int64_t)exchange_body(c->x).n;

    e->input = bytes;
    if (!c->readable || c->count_rc < 0)
        return;
    c->counted_tokens = learned ? calibration_tokens(learned, &c->count.parts) : c->count.input_tokens;
    e->input = c->counted_tokens;
    e->characters = c->count.characters;
    e->exact = c->request.reference == REFERENCE_NONE &&
               (learned ? calibration_is_exact(learned, &c->count.parts) : c->count.parts.exact);
    if (c->referred_tokens >= 0)
        e->input += c->referred_tokens;
    else if (bytes > e->input)
        e->input = bytes;
}

/* What the call will probably use. */
static void estimate(struct call *c)
{
    static const struct expect nothing;
    struct estimate *e = &c->estimate;

    *e = (struct estimate){.choices = c->readable ? c->request.n : 1, .exact = false};
    if (c->endpoint == ENDPOINT_INVOKE)
        return;
    estimate_input(c, e);
    if (!call_has_output(c))
        return;
    e->max_output = c->readable ? c->request.max_tokens : 0;
    e->expected_output =
        expect_output(c->learned ? learned_output(c->learned, slice_str(c->client->name)) : &nothing,
                      saturating_product(e->max_output, e->choices));
}

/* One client may hold at most 80 % of what all may. */
static int64_t client_share(int64_t max)
{
    return max - max / 5;
}

static bool queue_has_room(const struct call *c)
{
    const struct proxy *p = c->proxy;
    int64_t requests = p->config->queue.max_requests, bytes = p->config->queue.max_bytes;
    int64_t body = (int64_t)exchange_body(c->x).n;

    return p->count[CALL_HELD] < requests && c->client->held < client_share(requests) &&
           p->held_bytes + body <= bytes && c->client->held_bytes + body <= client_share(bytes);
}

/* The call that has just taken its seat goes in this very turn: nobody waits before it, and there is room. */
static bool goes_at_once(const struct call *c, int64_t now)
{
    const struct gate *g = c->proxy->gate;

    return c->budget->budget->queue.n == 1 && !gate_is_stopped(g) &&
           gate_why(c->proxy->gate, &c->ticket, now).until_us <= now;
}

/* A place is free when the next call of its budget goes; what an event decides is worth asking again in a second. */
static int64_t wait_for_place_us(const struct call *c, int64_t now)
{
    int64_t at = gate_next_dispatch_us(c->proxy->gate, c->budget->budget, now);

    return at < CLOCK_NEVER && at > now + CLOCK_S ? at - now : CLOCK_S;
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
                       .metric = why->limit->key,
                       .limit = why->limit->max,
                       .requested = why->requested,
                   });
}

/* *ret_came_back: at a place that was kept. */
static enum gate_verdict offer(struct call *c, int64_t now, struct gate_refusal *ret_why, bool *ret_came_back)
{
    struct budget *const budgets[] = {c->budget->budget, c->provider->budget};
    int64_t arrived_us = c->arrived_us;
    uint64_t place = 0;
    struct cost cost;

    c->profile = c->provider->profile;
    cost = profile_reserve(c->profile, &c->estimate);
    *ret_came_back = places_take(&c->proxy->places, c, &arrived_us, &place);
    ticket_init(&c->ticket, &cost, budgets, MG_ARRAY_LEN(budgets), arrived_us, arrived_us + c->max_wait_us);
    if (*ret_came_back)
        gate_take_place(&c->ticket, place);
    return gate_offer(c->proxy->gate, &c->ticket, now, ret_why);
}

void seat_take(struct call *c)
{
    struct proxy *p = c->proxy;
    int64_t now = loop_now_us(p->loop);
    struct gate_refusal why;
    enum gate_verdict v;
    bool came_back;

    if (p->draining) {
        call_refuse(c, &(struct refusal){.reason = REFUSAL_DRAINING});
        return;
    }
    c->budget = c->dialect->unlimited
                    ? budgets_find_unlimited(&p->budgets, c->provider, slice_str(c->request.model))
                    : budgets_find(&p->budgets, c->provider, slice_str(c->request.model));
    c->share = budgets_share(c->budget, c->client);
    if (c->readable)
        c->learned = learned_of(&p->learned, slice_str(c->provider->config->name), slice_str(c->request.model));
    estimate(c);
    v = offer(c, now, &why, &came_back);
    if (v != GATE_HELD) {
        refuse_offer(c, &why, v);
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
