/*
 * budgets: which budget of the gate a call takes from. A budget is one (upstream, entry) pair; an entry
 * without numbers makes one for each model name.
 *
 * Where an upstream has `scope: key`, each credential of its callers has such budgets of its own (account.h).
 *
 * At most BUDGETS_MAX budgets are kept apart: models are named by callers, and credentials invented. Later names
 * share one that has no limits, later credentials those of the account "other".
 *
 * A budget outlives reloads: it is known by its upstream and its entry (or model). One that the configuration
 * has no more keeps its limits and its calls, so that it is still right when the entry comes back;
 * budgets_sweep frees it when nobody names it and its windows are empty; so it does, when the table is full, with
 * those of credentials that are not in use, and of those that no provider has taken yet.
 */
#ifndef METERGATE_PROXY_BUDGETS_H
#define METERGATE_PROXY_BUDGETS_H

#include <stdbool.h>
#include <stdint.h>

#include "metergate/base/list.h"
#include "metergate/base/map.h"
#include "metergate/config/config.h"
#include "metergate/gate/gate.h"
#include "metergate/gate/purse.h"
#include "metergate/proxy/account.h"
#include "metergate/proxy/health.h"
#include "metergate/proxy/hold.h"
#include "metergate/proxy/hour.h"
#include "metergate/proxy/limits.h"
#include "metergate/proxy/organizations.h"
#include "metergate/proxy/provider.h"
#include "metergate/proxy/meter.h"

struct client;
struct history;
struct learned;

#define BUDGETS_MAX       1000
#define BUDGET_MODELS_MAX 16

/* What a budget knows of one client. Readable; `held` is written by the call's life alone. */
struct share {
    struct list link; /* on its budget's `waiting` while any of its calls is held there */
    struct model_budget *budget;
    const struct client *client;
    int64_t held; /* now */
    int64_t held_of[TICKET_CLASSES]; /* of them, by priority */
    struct {
        int64_t tokens;           /* that its held calls will probably take together */
        int64_t next_us, last_us; /* when the first and the last of them go; CLOCK_NEVER: not known */
    } seen; /* as status_queue.c saw it last */
};

/* Readable. */
struct model_budget {
    struct list link; /* on budgets.all, in order of first use */
    char *key;        /* in by_key */
    char *name;       /* of the entry, or of the model */
    bool of_entry;    /* of one with limits; else of a model */
    bool is_rest;     /* of those who, or models that, are too many to be kept apart */
    bool retired;     /* new calls go elsewhere */
    bool named;       /* budgets_sweep: somebody names it */
    struct provider *provider;
    struct account *account;         /* whose it is; NULL: of all callers */
    struct budget *budget;           /* of the gate */
    struct purse purse;              /* what it may spend */
    struct hold_history holds;       /* what its calls waited for */
    struct health health;            /* of its models */
    struct limits *limits;           /* what the provider said of them; owned by `learned`, or its own; NULL: nothing is asked */
    struct limits own_limits;        /* of one account, which the next run would not know again */
    struct limit given[CONFIG_LIMITS_MAX]; /* what the operator said: copies */
    size_t given_count;
    bool learn;
    struct organizations organizations;
    struct map shares;     /* client name -> struct share, owned */
    struct list waiting;   /* those of whom calls are held, in the order in which they began to wait */
    struct hour *hour;     /* in minutes; NULL: nothing happened yet */
    char *models[BUDGET_MODELS_MAX]; /* names seen, the first few */
    size_t model_count;
    struct budget_meter meter; /* since it was made */
};

struct budgets {
    const struct config *config;
    struct gate *gate;
    struct accounts accounts;
    struct learned *learned;
    struct history *history; /* what the run before charged; its owner sets it; NULL: nothing */
    struct map by_key;
    struct list all;
    int64_t swept_us; /* when budgets_sweep was last called */
};

void budgets_init(struct budgets *bs, const struct config *config, struct gate *g, struct learned *learned);
void budgets_release(struct budgets *bs); /* the gate frees its own part */

/* The budget of that model on its way to that provider, of that payer; made on first use. Never NULL. */
struct model_budget *budgets_find(struct budgets *bs, struct provider *via, const struct payer *payer,
                                  struct slice model);

/* The same for a call that no entry of the configuration limits. */
struct model_budget *budgets_find_unlimited(struct budgets *bs, struct provider *via, const struct payer *payer,
                                            struct slice model);

/* The same where the model's entry has limits; NULL where it has none. */
struct model_budget *budgets_find_limited(struct budgets *bs, struct provider *via, const struct payer *payer,
                                          struct slice model);

/* An answer of that status came to a call of it: what it says of its account's credential. */
void budgets_saw_answer(struct model_budget *b, int status);

/* What kind of budget it is, for the ledger: budgets of different kinds may have the same name. Static. */
const char *budgets_kind(const struct model_budget *b);

/* What to pause when the whole account has to wait. */
struct budget *budgets_of_account(const struct model_budget *b);

/* Another configuration, whose providers are in place: its limits count from now on. */
void budgets_apply(struct budgets *bs, const struct config *next);

/* What an answer to a call of that budget says of its limits; they change when it says something new. True when that is
 * worth keeping. */
bool budgets_learn(struct budgets *bs, struct model_budget *b, const struct limits_answer *a);

/* Whether its limits are to be learned and not known yet: every answer counts. */
bool budgets_awaits_limits(const struct model_budget *b);

/*
 * Whether a sweep is due before a budget is looked for: there are BUDGETS_MAX, and the last sweep was a second
 * ago, so that a caller who fills the table does not have everything gone through at each of his calls.
 */
bool budgets_wants_sweep(const struct budgets *bs, int64_t now_us);

/* Frees what may go of those that are not `named`; the providers of the others become `named`. */
void budgets_sweep(struct budgets *bs, int64_t now_us);

/* New calls go elsewhere and none is left: of no interest to people any more. */
bool budgets_is_past(const struct model_budget *b);

/* What the budget knows of this client; as old as its first call. Never NULL. */
struct share *budgets_share(struct model_budget *b, const struct client *client);

/* One call of that class more (+1) or less (-1) is held. */
void budgets_count_held(struct share *share, enum ticket_class class, int sign);

#endif
