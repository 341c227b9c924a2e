/*
 * budgets: which budget of the gate a call takes from. A budget is one (upstream, entry) pair; an entry without numbers
 * makes one for each model name. With it goes what was learned of the answers: the expected output of each client.
 *
 * At most BUDGETS_MAX budgets are kept apart: models are named by callers. Later names share one that has no limits.
 */
#ifndef METERGATE_PROXY_BUDGETS_H
#define METERGATE_PROXY_BUDGETS_H

#include <stdint.h>

#include "metergate/base/list.h"
#include "metergate/base/map.h"
#include "metergate/config/config.h"
#include "metergate/gate/gate.h"
#include "metergate/proxy/provider.h"
#include "metergate/tokens/expect.h"

struct client;

#define BUDGETS_MAX       1000
#define BUDGET_MODELS_MAX 16

/* Readable. */
struct model_budget {
    struct list link; /* on budgets.all, in order of first use */
    char *name;       /* of the entry, or of the model */
    struct provider *provider;
    struct budget *budget;      /* of the gate */
    struct map expects;         /* client name -> struct expect, owned */
    char *models[BUDGET_MODELS_MAX]; /* names seen, the first few */
    size_t model_count;
};

struct budgets {
    const struct config *config;
    struct gate *gate;
    struct map by_key;
    struct list all;
};

void budgets_init(struct budgets *bs, const struct config *config, struct gate *g);
void budgets_release(struct budgets *bs); /* the gate frees its own part */

/* The budget of that model on its way to that provider; made on first use. Never NULL. */
struct model_budget *budgets_find(struct budgets *bs, struct provider *via, struct slice model);

/* What is known of this client's answers from this budget. Never NULL. */
struct expect *budgets_expect(struct model_budget *b, const struct client *client);

#endif
