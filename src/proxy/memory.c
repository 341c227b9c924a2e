/*
 * memory: a fact is in by_id and on by_age, a background response in `background` and on `backgrounds`, each
 * until it is dropped. A background response has the charges of its attempt, and its budgets live as long.
 */
#include "metergate/proxy/memory.h"

#include <stdlib.h>
#include <string.h>

#include "metergate/base/buf.h"
#include "metergate/base/err.h"
#include "metergate/base/log.h"
#include "metergate/base/money.h"
#include "metergate/proxy/hub.h"
#include "metergate/proxy/record.h"

struct fact {
    struct list age;
    struct buf key;
    int64_t tokens;
};

struct background {
    struct list age;
    struct buf id;
    struct gate_left left;
    enum profile profile;
    struct estimate estimate;
    struct model_budget *budget;
    struct provider *provider;
    struct client *client;
    struct spending spending;
    int64_t number;               /* of the call */
    char model[DIALECT_MODEL_MAX];
    int64_t until_us;
};

/* ---- what is referred to ---- */

static void write_key(enum reference kind, struct slice id, struct buf *out)
{
    buf_addf(out, "%d ", (int)kind);
    buf_add_slice(out, id);
}

static void forget(struct memory *m, struct fact *f)
{
    map_remove(&m->by_id, buf_slice(&f->key));
    list_unlink(&f->age);
    buf_release(&f->key);
    free(f);
}

static struct fact *find(const struct memory *m, enum reference kind, struct slice id)
{
    struct fact *f;
    struct buf key;

    buf_init(&key, BUF_UNLIMITED);
    write_key(kind, id, &key);
    f = map_get(&m->by_id, buf_slice(&key));
    buf_release(&key);
    return f;
}

static void tell(struct memory *m, enum reference kind, struct slice id, int64_t tokens)
{
    struct fact *f = find(m, kind, id);

    if (id.n == 0)
        return;
    if (!f) {
        if (map_count(&m->by_id) >= MEMORY_MAX)
            forget(m, LIST_ENTRY(list_first(&m->by_age), struct fact, age));
        f = xcalloc(1, sizeof *f);
        list_init(&f->age);
        buf_init(&f->key, BUF_UNLIMITED);
        write_key(kind, id, &f->key);
        map_set(&m->by_id, buf_slice(&f->key), f);
    }
    f->tokens = tokens;
    list_push_back(&m->by_age, &f->age);
}

int64_t memory_referred_tokens(const struct memory *m, const struct dialect_request *r)
{
    const struct fact *f;

    if (r->reference == REFERENCE_NONE)
        return 0;
    f = r->refers_to[0] ? find(m, r->reference, slice_str(r->refers_to)) : NULL;
    return f ? f->tokens : -1;
}

void memory_learn(struct memory *m, const struct call *c, const struct usage *u)
{
    const struct dialect_request *r = &c->request;
    const char *id = c->answer ? answer_id(c->answer) : NULL;
    int64_t beyond = u->input - c->counted_tokens;

    if (!c->readable)
        return;
    if (c->endpoint == ENDPOINT_RESPONSES && id)
        tell(m, REFERENCE_RESPONSE, slice_str(id), u->input + u->output);
    if (r->reference == REFERENCE_CONVERSATION)
        tell(m, REFERENCE_CONVERSATION, slice_str(r->refers_to), u->input + u->output);
    if (r->reference == REFERENCE_PROMPT && c->count_rc == 0)
        tell(m, REFERENCE_PROMPT, slice_str(r->refers_to), beyond > 0 ? beyond : 0);
}

/* ---- background ---- */

/* `nano` is what it cost; PRICE_UNKNOWN: as estimated. */
static void drop(struct memory *m, struct proxy *p, struct background *b, const struct cost *cost, int64_t nano)
{
    bill_settle(&b->spending, loop_now_us(p->loop), nano);
    gate_correct(p->gate, &b->left, loop_now_us(p->loop), cost);
    map_remove(&m->background, buf_slice(&b->id));
    list_unlink(&b->age);
    buf_release(&b->id);
    free(b);
}

/* Kept for the same time, so the first is the first to go. */
static void drop_old(struct memory *m, struct proxy *p)
{
    while (!list_empty(&m->backgrounds)) {
        struct background *b = LIST_ENTRY(list_first(&m->backgrounds), struct background, age);

        if (map_count(&m->background) < MEMORY_MAX && b->until_us > loop_now_us(p->loop))
            return;
        drop(m, p, b, NULL, PRICE_UNKNOWN);
    }
}

static void on_old(void *ctx);

/* What nobody asks for holds its money no longer than that, whether or not others are made. */
static void wait_for_old(struct memory *m, struct proxy *p)
{
    if (!list_empty(&m->backgrounds))
        loop_timer_set(p->loop, &m->old, LIST_ENTRY(list_first(&m->backgrounds), struct background, age)->until_us,
                       on_old, p);
}

static void on_old(void *ctx)
{
    struct proxy *p = ctx;

    drop_old(&p->memory, p);
    wait_for_old(&p->memory, p);
}

bool memory_take_background(struct memory *m, struct call *c)
{
    const char *id = c->answer ? answer_id(c->answer) : NULL;
    struct proxy *p = c->proxy;
    struct background *b;

    if (!c->readable || !c->request.background || !id || c->status >= 300)
        return false;
    drop_old(m, p);
    b = xcalloc(1, sizeof *b);
    *b = (struct background){
        .profile = c->profile,
        .estimate = c->estimate,
        .budget = c->budget,
        .provider = c->provider,
        .client = c->client,
        .number = c->number,
        .until_us = loop_now_us(p->loop) + MEMORY_BACKGROUND_US,
    };
    list_init(&b->age);
    buf_init(&b->id, BUF_UNLIMITED);
    buf_add_str(&b->id, id);
    if (map_get(&m->background, buf_slice(&b->id))) { /* a provider that gives an id twice */
        buf_release(&b->id);
        free(b);
        return false;
    }
    memcpy(b->model, c->request.model, sizeof b->model);
    b->spending = c->spending;
    c->spending = (struct spending){0};
    gate_leave(p->gate, &c->ticket, loop_now_us(p->loop), &b->left);
    map_set(&m->background, buf_slice(&b->id), b);
    list_push_back(&m->backgrounds, &b->age);
    wait_for_old(m, p);
    return true;
}

void memory_saw_response(struct memory *m, struct proxy *p, struct slice id, const struct usage *u)
{
    struct background *b = map_get(&m->background, id);
    struct row_price price;
    struct usage before;
    struct cost cost;
    int64_t nano, nano_before;

    if (!b)
        return;
    tell(m, REFERENCE_RESPONSE, id, u->input + u->output);
    cost = profile_settle(b->profile, &b->estimate, u);
    log_info("background response: estimated %lld tokens, used %lld",
             (long long)(b->estimate.input + b->estimate.expected_output), (long long)(u->input + u->output));
    b->client->tokens += u->input + u->output - b->estimate.input - b->estimate.expected_output;
    before = (struct usage){.input = b->estimate.input, .output = b->estimate.expected_output};
    nano_before = bill_cost(p, slice_str(b->model), &before, NULL);
    nano = bill_cost(p, slice_str(b->model), u, &price);
    if (nano != PRICE_UNKNOWN && nano_before != PRICE_UNKNOWN)
        b->client->cost_nano = money_sum(b->client->cost_nano, nano - nano_before);
    meter_correct(&b->budget->meter, &before, nano_before, u, nano);
    record_correction(p, &(struct record_late){b->number, b->client, b->provider, b->budget}, u, nano, &price);
    drop(m, p, b, &cost, nano);
    hub_turn_soon(p);
}

void memory_name_budgets(const struct memory *m)
{
    LIST_EACH (&m->backgrounds, node, next) {
        struct background *b = LIST_ENTRY(node, struct background, age);

        b->budget->named = true;
        b->provider->named = true;
    }
}

/* ---- all ---- */

void memory_init(struct memory *m)
{
    *m = (struct memory){0};
    map_init(&m->by_id);
    map_init(&m->background);
    list_init(&m->by_age);
    list_init(&m->backgrounds);
}

void memory_release(struct memory *m, struct proxy *p)
{
    loop_timer_clear(p->loop, &m->old);
    while (!list_empty(&m->backgrounds))
        drop(m, p, LIST_ENTRY(list_first(&m->backgrounds), struct background, age), NULL, PRICE_UNKNOWN);
    while (!list_empty(&m->by_age))
        forget(m, LIST_ENTRY(list_first(&m->by_age), struct fact, age));
    map_release(&m->by_id);
    map_release(&m->background);
}
