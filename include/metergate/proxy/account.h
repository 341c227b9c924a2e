/*
 * account: who pays at a provider. Callers of an upstream with `scope: key` bring credentials of several
 * organisations, each with limits of its own: one account for each credential, as it travels to the provider.
 *
 * A credential is known by its fingerprint under a salt, and never kept or shown. The salt is the state
 * directory's (accounts_set_salt), else this run's; people see a label that lasts as long as that:
 * "k-3f9a02bc". The ledger keeps a longer part of the fingerprint, the scope, so that the next run finds what
 * the account was charged; who has the salt, too, could tell by it whether a key that he guesses is the one,
 * and providers' keys are too long to be guessed.
 *
 * Accounts are made and freed by budgets.h, which bounds their number: each has a model's budget.
 */
#ifndef METERGATE_PROXY_ACCOUNT_H
#define METERGATE_PROXY_ACCOUNT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "metergate/base/map.h"
#include "metergate/base/secret.h"
#include "metergate/gate/gate.h"
#include "metergate/net/http.h"
#include "metergate/proxy/health.h"

struct dialect;
struct provider;

/* Readable. */
struct account {
    char label[16];         /* "k-3f9a02bc"; "none": no credential travels; "other": those beyond what is kept apart */
    char scope[24];         /* the same with 20 digits, 80 bits, for what lasts: no two credentials share a history */
    struct budget *budget;  /* of the gate, without limits: pauses of the whole account */
    struct health health;   /* of all its calls; without a breaker of its own */
    struct secret_fingerprint print; /* private */
    uint64_t id;                     /* of this account alone, never given again */
    size_t budgets;                  /* private: models' budgets that name it */
    bool proven;                     /* the provider has taken its credential: it is no invention */
};

struct accounts {
    struct map by_print; /* private */
    unsigned char salt[SECRET_FINGERPRINT_BYTES]; /* private */
    uint64_t next_id;    /* private */
};

enum payer_kind {
    PAYER_SHARED, /* nobody in particular: the upstream's windows are shared by all */
    PAYER_KEY,    /* the owner of a credential */
    PAYER_NONE,   /* those without any */
    PAYER_REST    /* those who are too many to be kept apart */
};

/* Whose windows a call takes from. */
struct payer {
    enum payer_kind kind;
    struct secret_fingerprint print; /* but for PAYER_SHARED */
};

/* With a salt of its own, which lasts as long as this run. */
void accounts_init(struct accounts *as);

/* Another salt, kept by the caller: with the same one, credentials have the same labels and scopes in the next
 * run. Before the first payer. */
void accounts_set_salt(struct accounts *as, const unsigned char salt[SECRET_FINGERPRINT_BYTES]);

void accounts_release(struct accounts *as); /* the gate frees its own part */

/*
 * The credential with which a request of that dialect travels when nothing replaces it, borrowed, without
 * "Bearer"; empty: none. The dialect's own header comes before the others; `key` of the query comes last.
 */
struct slice account_credential(const struct http_head *head, struct slice query, const struct dialect *spoken);

/* Who pays for a call to that provider whose own credential this is. */
struct payer accounts_payer(const struct accounts *as, const struct provider *via, struct slice credential);

/* Those of that provider who are too many to be kept apart. */
struct payer accounts_rest(const struct accounts *as, const struct provider *via);

/* The account of a payer; NULL: there is none yet, or the payer is PAYER_SHARED. */
struct account *accounts_look(const struct accounts *as, const struct payer *payer);

/* Makes one, in that gate; not of PAYER_SHARED. */
struct account *accounts_add(struct accounts *as, const struct payer *payer, struct gate *g);

/* Nothing names it any more. */
void accounts_free(struct accounts *as, struct account *a, struct gate *g);

#endif
