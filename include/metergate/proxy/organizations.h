/*
 * organizations: which organizations pay for the calls of one budget, as the answers name them. Two behind one budget mean that
 * its windows are two at the provider: the budget is wrong, and what counters say of the one is no correction of the
 * other. Corrections follow the organization that was seen first, until it has not been seen for ORGANIZATIONS_GONE_US.
 *
 * Names are compared within one header alone: the same payer is called otherwise in another.
 */
#ifndef METERGATE_PROXY_ORGANIZATIONS_H
#define METERGATE_PROXY_ORGANIZATIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "metergate/base/slice.h"

#define ORGANIZATIONS_MAX     8 /* that are told apart */
#define ORGANIZATIONS_GONE_US (INT64_C(600) * 1000000)

/* Zeroed: nobody was named. */
struct organizations {
    char *names[ORGANIZATIONS_MAX]; /* owned; the one that corrections follow comes first */
    size_t n;                /* readable */
    const char *from;        /* static: where the names stand */
    int64_t first_seen_us;   /* when the first of them was last seen */
    bool told;               /* the operator was told that there are several; by the caller */
};

void organizations_release(struct organizations *p);

/* An answer names who pays (empty: it does not). Whether its counters are those of this budget. */
bool organizations_see(struct organizations *p, struct slice name, const char *from, int64_t now_us);

#endif
