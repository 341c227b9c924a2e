/*
 * organization: who pays for a call, as the provider names it. With scope "account" all credentials belong
 * to one; with scope "key" each is one of its own. Its names are made of a hash of the credential, which
 * nobody can turn back.
 */
#ifndef SIMULATOR_ORGANIZATION_H
#define SIMULATOR_ORGANIZATION_H

#include "metergate/base/slice.h"

struct organization {
    char name[32]; /* "org-simulator", "org-1f3c..." */
    char uuid[40]; /* Anthropic's */
};

/* The one that all share. */
struct organization organization_shared(void);

/* That of a credential; no credential is one too. */
struct organization organization_of_key(struct slice key);

#endif
