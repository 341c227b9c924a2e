/*
 * bill: what a call will probably cost, what it did cost, and whether its budget and its client may spend that.
 *
 * What it will probably cost is taken out of the purses of both when it takes its seat, and put back, less what it did
 * cost, when it is settled: so calls that are held or under way can never spend more together than there is, as far as
 * estimates hold. A call that is refused, or leaves before it was sent, costs nothing.
 *
 * Money always follows what the provider reported; where it reported nothing, what was counted or estimated. An answer
 * that is an error is not billed. What passes through is not counted, and so costs nothing here.
 */
#ifndef METERGATE_PROXY_BILL_H
#define METERGATE_PROXY_BILL_H

#include <stdbool.h>
#include <stdint.h>

#include "metergate/base/map.h"
#include "metergate/base/slice.h"
#include "metergate/config/config.h"
#include "metergate/gate/price.h"

struct call;
struct model_budget;
struct proxy;
struct purse;
struct refusal;
struct row_price;

/* The prices of models that were lately called, as the configuration and the built-in table have them today. */
struct bill_prices {
    struct map by_model;  /* private */
    int32_t day;          /* private: 20261128, */
    int64_t day_ends_us;  /* private: of the wall clock */
};

void bill_init(struct bill_prices *b);
void bill_release(struct bill_prices *b);

/* Another configuration: all prices are looked up again. */
void bill_forget(struct bill_prices *b);

/* Today's price of a model; NULL: none is known. Lives until the next configuration, or the next day. */
const struct price *bill_price(struct bill_prices *b, const struct config *config, struct slice model, int64_t wall_us);

/* What is taken out of purses for a call that is not over. Zeroed: nothing. */
struct spending {
    struct purse *from[2]; /* its budget's and its client's; NULL: none */
    int64_t nano;
};

/* The call wants its seat. False: its money is spent, or it has no price where one is needed; *ret says so. */
bool bill_reserve(struct call *c, struct refusal *ret);

/* It takes from another budget, by a reload: what it reserved there moves along, even where it does not fit. */
void bill_move(struct call *c, struct model_budget *to);

/*
 * What that usage of a call of that model costs by today's price; *ret_price (may be NULL; zeroed without a price) is what
 * it was worked out by.
 */
int64_t bill_cost(struct proxy *p, struct slice model, const struct usage *u, struct row_price *ret_price);

/* The same of what the call has used, by its endpoint. */
int64_t bill_of_call(struct call *c, struct row_price *ret_price);

/* The call is over and cost that; PRICE_UNKNOWN: what was reserved. */
void bill_settle(struct spending *s, int64_t now_us, int64_t nano);

#endif
