/*
 * bill: prices found are kept by model, at most BILL_MODELS_MAX, until the day or the configuration changes; then, or when
 * they are too many, all are forgotten and looked up again.
 */
#include "metergate/proxy/bill.h"

#include <stdio.h>

#include "metergate/base/clock.h"
#include "metergate/config/prices.h"
#include "metergate/gate/purse.h"
#include "metergate/proxy/hub.h"

#define BILL_MODELS_MAX 1000

struct known_price {
    bool known;
    struct price price;
};

/* ---- prices ---- */

void bill_init(struct bill_prices *b)
{
    *b = (struct bill_prices){0};
    map_init(&b->by_model);
}

void bill_forget(struct bill_prices *b)
{
    map_release_values(&b->by_model);
}

void bill_release(struct bill_prices *b)
{
    bill_forget(b);
}

/* Days are those of UTC, as providers' price lists have them. */
static void begin_day(struct bill_prices *b, int64_t wall_us)
{
    bill_forget(b);
    b->day = prices_day(wall_us);
    b->day_ends_us = (wall_us / CLOCK_S / 86400 + 1) * 86400 * CLOCK_S;
}

const struct price *bill_price(struct bill_prices *b, const struct config *config, struct slice model, int64_t wall_us)
{
    const struct price *found;
    struct known_price *k;
    struct price room;

    if (wall_us >= b->day_ends_us || wall_us < b->day_ends_us - 86400 * CLOCK_S)
        begin_day(b, wall_us);
    k = map_get(&b->by_model, model);
    if (!k) {
        if (map_count(&b->by_model) >= BILL_MODELS_MAX)
            bill_forget(b);
        k = xcalloc(1, sizeof *k);
        found = prices_find(config, model, b->day, &room);
        k->known = found != NULL;
        if (found)
            k->price = *found;
        map_set(&b->by_model, model, k);
    }
    return k->known ? &k->price : NULL;
}

static const struct price *price_now(struct proxy *p, struct slice model)
{
    return bill_price(&p->prices, p->config, model, clock_wall_us());
}

/* ---- before ---- */

static int64_t estimated_cost(struct call *c)
{
    const struct usage likely = {.input = c->estimate.input, .output = c->estimate.expected_output};

    return price_cost(price_now(c->proxy, slice_str(c->request.model)), &likely);
}

static void put_why(struct refusal *r, const struct call *c, const struct purse *from)
{
    *r = (struct refusal){
        .reason = REFUSAL_BUDGET_USD, .model = slice_str(c->request.model), .wall_us = clock_wall_us()};
    if (from == &c->client->purse)
        r->client = slice_str(c->client->name);
    else
        r->budget = slice_str(c->budget->name);
}

static bool has_room(const struct call *c, struct purse *from, int64_t nano, struct refusal *ret)
{
    int64_t now = loop_now_us(c->proxy->loop);
    struct purse_refusal why;

    if (nano == PRICE_UNKNOWN) {
        put_why(ret, c, from);
        ret->unpriced = true;
        ret->metric = from->limit[0].key;
        ret->max_nano = from->limit[0].max;
        return false;
    }
    if (purse_has_room(from, now, nano, &why))
        return true;
    put_why(ret, c, from);
    ret->metric = why.limit->key;
    ret->max_nano = why.limit->max;
    ret->spent_nano = why.spent;
    ret->reserved_nano = why.reserved;
    ret->wanted_nano = why.wanted;
    ret->frees_us = why.frees_us >= CLOCK_NEVER ? CLOCK_NEVER : why.frees_us - now;
    return false;
}

bool bill_reserve(struct call *c, struct refusal *ret)
{
    struct spending s = {.from = {&c->budget->purse, &c->client->purse}};

    if (c->dialect->unlimited)
        return true;
    s.nano = estimated_cost(c);
    for (size_t i = 0; i < MG_ARRAY_LEN(s.from); i++) {
        if (s.from[i]->n > 0 && !has_room(c, s.from[i], s.nano, ret))
            return false;
    }
    if (s.nano == PRICE_UNKNOWN)
        s.nano = 0;
    for (size_t i = 0; i < MG_ARRAY_LEN(s.from); i++) /* without limits, too: a reload may give it some */
        purse_reserve(s.from[i], s.nano);
    c->spending = s;
    return true;
}

void bill_move(struct call *c, struct model_budget *to)
{
    for (size_t i = 0; i < MG_ARRAY_LEN(c->spending.from); i++) {
        struct purse *from = c->spending.from[i];

        if (from != &c->budget->purse)
            continue;
        purse_settle(from, loop_now_us(c->proxy->loop), c->spending.nano, 0);
        purse_reserve(&to->purse, c->spending.nano);
        c->spending.from[i] = &to->purse;
    }
}

/* ---- after ---- */

static void copy_price(const struct price *p, const struct rates *rates, struct row_price *ret)
{
    *ret = (struct row_price){0};
    if (!p)
        return;
    snprintf(ret->name, sizeof ret->name, "%s", p->name);
    ret->since = p->since;
    ret->rates = *rates;
}

int64_t bill_cost(struct proxy *p, struct slice model, const struct usage *u, struct row_price *ret_price)
{
    const struct price *price = price_now(p, model);
    struct rates rates = {{0}};

    if (price)
        rates = price_rates(price, u);
    if (ret_price)
        copy_price(price, &rates, ret_price);
    return price ? rates_cost(&rates, u) : PRICE_UNKNOWN;
}

static bool is_free(const struct price *p)
{
    return p && p->rates.pico[RATE_INPUT] == 0 && p->rates.pico[RATE_OUTPUT] == 0;
}

/* Images, sounds: what was answered is paid for, by a figure that nobody told. */
static bool used_what_is_not_known(const struct call *c)
{
    return c->endpoint == ENDPOINT_INVOKE && c->outcome == OUTCOME_COMPLETED && c->status < 400 &&
           !is_free(price_now(c->proxy, slice_str(c->request.model)));
}

int64_t bill_of_call(struct call *c, struct row_price *ret_price)
{
    if (c->used.input > 0 || c->used.output > 0)
        return bill_cost(c->proxy, slice_str(c->request.model), &c->used, ret_price);
    copy_price(NULL, NULL, ret_price);
    return used_what_is_not_known(c) ? PRICE_UNKNOWN : 0;
}

void bill_settle(struct spending *s, int64_t now_us, int64_t nano)
{
    for (size_t i = 0; i < MG_ARRAY_LEN(s->from); i++) {
        if (s->from[i])
            purse_settle(s->from[i], now_us, s->nano, nano == PRICE_UNKNOWN ? s->nano : nano);
    }
    *s = (struct spending){0};
}
