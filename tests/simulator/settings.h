/*
 * settings: what can be configured, and the JSON that does it: from the command line (--config) and from
 * POST /_sim/config. tests/simulator/README.md lists the keys.
 */
#ifndef SIMULATOR_SETTINGS_H
#define SIMULATOR_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fault.h"
#include "metergate/base/err.h"
#include "model.h"

struct cJSON;

#define SETTINGS_FAULTS 32
#define SETTINGS_KEYS   16
#define SETTINGS_MODELS 64
#define SETTINGS_POOLS  16
#define SETTINGS_SHARE  16 /* models in a pool */

enum scope {
    SCOPE_ACCOUNT, /* all credentials have the same limits */
    SCOPE_KEY      /* each has its own */
};

struct named_model {
    char name[MODEL_NAME_MAX]; /* matches itself and its dated snapshots, NAME-2... */
    struct model_config config;
};

/* Limits that models share. */
struct named_pool {
    char name[MODEL_NAME_MAX];
    char models[SETTINGS_SHARE][MODEL_NAME_MAX]; /* globs over the names of accounts */
    size_t n_models;
    struct limits_config limits;
};

/* Plain data; copied as a whole. */
struct settings {
    struct model_config any; /* models that have no entry; "*" in the JSON. One account for each name */
    struct named_model models[SETTINGS_MODELS];
    size_t n_models;
    struct named_pool pools[SETTINGS_POOLS];
    size_t n_pools;
    enum scope scope;
    struct fault faults[SETTINGS_FAULTS];
    size_t n_faults;
    char api_keys[SETTINGS_KEYS][128]; /* none: any key will do */
    size_t n_api_keys;
    bool retry_after;        /* 429s by the limits carry Retry-After */
    bool retry_after_ms;     /* and retry-after-ms */
    bool rate_limit_headers; /* answers carry x-ratelimit-* */
    bool obfuscation;        /* stream chunks carry padding, as OpenAI's do */
    int64_t keepalive_ms;    /* idle connections are closed after so long; 0: never */
    int64_t max_calls;       /* a connection closes after so many calls; 0: never */
};

void settings_init(struct settings *s);

/*
 * Merges: what is given replaces what was; "faults" and "api_keys" replace their lists, "models" and
 * "pools" change the entries named. 0, or -EINVAL with the reason and *s unchanged.
 */
int settings_merge(struct settings *s, const struct cJSON *json, struct errbuf *e) MG_MUSTCHECK;

/* The entry for a model's name. */
const struct model_config *settings_model(const struct settings *s, const char *name);

/* The name of the account that a model is charged to: the entry's, or its own. */
const char *settings_account(const struct settings *s, const char *name);

/* The pool that an account of that name belongs to: the first whose list it is in. NULL: none. */
const struct named_pool *settings_pool(const struct settings *s, const char *account);

#endif
