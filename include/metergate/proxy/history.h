/*
 * history: what the daemon before this one charged, until the budgets that it is of are there. Read once at the start,
 * as far back as any limit of the configuration (or a learned one) looks; each budget and client takes its part when it
 * is made.
 */
#ifndef METERGATE_PROXY_HISTORY_H
#define METERGATE_PROXY_HISTORY_H

#include <stdint.h>

#include "metergate/base/map.h"
#include "metergate/config/config.h"
#include "metergate/gate/budget.h"
#include "metergate/gate/purse.h"

struct client;
struct ledger;
struct model_budget;

struct history {
    struct map by_scope; /* private: scope -> its charges */
};

void history_init(struct history *h);
void history_release(struct history *h);

/* Reads what the ledger has; `now_us` is the loop's clock, as it is at this very moment: it is held against the wall's. */
void history_load(struct history *h, struct ledger *l, const struct config *config, int64_t now_us);

/* Charges the budget, or client, with what is known of it, once. Its limits must be in place, and nothing else charged. */
void history_give_budget(struct history *h, struct model_budget *b);
void history_give_client(struct history *h, struct client *c);

#endif
