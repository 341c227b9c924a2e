/*
 * accounts: who has which limits: one account for each model of each organization, and the pools that they
 * share. Guarded by the lock of struct sim. Accounts and pools live as long as the process, so a call may
 * keep its account without the lock.
 */
#ifndef SIMULATOR_ACCOUNTS_H
#define SIMULATOR_ACCOUNTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "audit.h"
#include "bill.h"
#include "metergate/base/slice.h"
#include "model.h"
#include "organization.h"
#include "settings.h"

#define ACCOUNTS_MAX 1000

/* A model with what arrived for it; the account without a model takes everything else. */
struct account {
    struct account *next;
    struct organization organization;
    bool of_key;         /* the organization is that of one key alone */
    struct model *model; /* owned; NULL: what is no model's */
    struct arrivals arrivals;
    struct bill bill;
};

struct accounts {
    struct account *first;      /* readable: the one without a model */
    struct pool *pools;         /* readable */
    struct organization shared; /* private: who pays where all credentials are one */
    size_t n;                   /* private */
};

void accounts_init(struct accounts *a);
void accounts_release(struct accounts *a);

/*
 * The account of a model's name and a credential, made when it is new; that without a model when the name
 * is empty.
 */
struct account *accounts_find(struct accounts *a, const struct settings *s, struct slice model,
                              struct slice key);

/* The settings have changed: limits that change start empty. */
void accounts_configure(struct accounts *a, const struct settings *s, int64_t now_us);

/* Forgets what arrived and was charged. */
void accounts_reset(struct accounts *a);

/* Charges all foreign use up to now that this account's limits see, in the order of time. */
void accounts_look(struct accounts *a, struct account *account, int64_t now_us);
void accounts_look_at_all(struct accounts *a, int64_t now_us);

int64_t accounts_in_flight(const struct accounts *a);

#endif
