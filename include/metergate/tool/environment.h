/*
 * environment: the variables that send a program's LLM calls through the daemon.
 */
#ifndef METERGATE_TOOL_ENVIRONMENT_H
#define METERGATE_TOOL_ENVIRONMENT_H

#include <stddef.h>

#include "metergate/base/err.h"
#include "metergate/base/secret.h"
#include "metergate/tool/address.h"

#define ENVIRONMENT_MAX 24

struct variable {
    const char *name; /* static */
    char *value;      /* owned */
};

/* A variable that names a provider's address, and what follows the daemon's address in it. Static. */
struct base_url {
    const char *name, *suffix;
};

/* The i-th of those that environment_init sets, and of those that environment_add_azure adds; NULL after the last. */
const struct base_url *environment_base_url(size_t i);
const struct base_url *environment_azure_url(size_t i);

struct environment {
    struct variable v[ENVIRONMENT_MAX]; /* readable */
    size_t n;                           /* readable */
    char *base;                         /* private: the address that all base URLs begin with */
    char client[65];                    /* readable: the name that the calls are counted under */
};

/*
 * The base URL of every SDK, with /@CLIENT[:PRIORITY] in it when `client` or `priority` is given (both may be
 * NULL; a priority without a client belongs to the local user, whose calls they would be anyway);
 * METERGATE_URL; what makes a program behave as at its provider's own address (ENABLE_TOOL_SEARCH), where it is not set;
 * and NO_PROXY and no_proxy as they are now, with the daemon's host added. With a token (may
 * be unset) METERGATE_TOKEN, where that says something else now, and OPENAI_API_KEY, where there is none:
 * SDKs do not start without a key, and a program that has none can be served only where Metergate holds the
 * provider's; there the token stands in its place. -EINVAL with a sentence for a name or a priority that the
 * daemon would not take, and for a Unix socket. Release it.
 */
int environment_init(struct environment *env, const struct address *a, const char *client,
                     const char *priority, const struct secret *token, struct errbuf *e) MG_MUSTCHECK;
void environment_release(struct environment *env);

/* AZURE_OPENAI_ENDPOINT and AZURE_API_BASE besides, for a daemon that has an upstream for them: without one it must not see
 * such calls. */
void environment_add_azure(struct environment *env);

#endif
