/*
 * provider: an upstream of the configuration at run time: its dialect, its trust roots, its share of the
 * gate, and what is known of it.
 *
 * A provider outlives reloads: one with the name and dialect of an upstream in the new configuration goes on
 * with that one's settings. One that the new configuration has no more is retired: its last calls read the
 * settings it had, and providers_sweep frees it when nobody names it. What can fail of a reload (a ca_file)
 * is done in providers_plan.
 */
#ifndef METERGATE_PROXY_PROVIDER_H
#define METERGATE_PROXY_PROVIDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "metergate/base/buf.h"
#include "metergate/base/err.h"
#include "metergate/base/list.h"
#include "metergate/config/config.h"
#include "metergate/dialect/dialect.h"
#include "metergate/gate/gate.h"
#include "metergate/gate/profile.h"
#include "metergate/net/http.h"
#include "metergate/net/trust.h"
#include "metergate/proxy/health.h"
#include "metergate/proxy/meter.h"

#define PROVIDER_PROBLEM_SIZE 160

/* Which file a trust was read from: another one has another stamp. All 0: none. */
struct file_stamp {
    uint64_t device, inode;
    struct timespec changed;
};

struct provider {
    struct list link;                     /* on providers.all */
    struct config *whole;                 /* owned share: what `config` is a part of */
    const struct config_upstream *config; /* borrowed of it */
    const struct dialect *dialect;        /* never NULL, never another: workers read it */
    enum profile profile;
    struct budget *budget; /* of the gate: max_concurrent, and pauses of the whole account */
    struct trust *trust;   /* owned: only with a ca_file; else NULL */
    struct file_stamp trust_stamp;
    bool retired;              /* the configuration has it no more */
    bool named;                /* providers_sweep: somebody names it */
    bool reachable;            /* false after a failed connection until the next answer */
    struct health health;      /* of its connections, and of refusals that mean the whole account */
    bool refuses_usage_option; /* it answered 400 to stream_options: streams go out as they came */
    bool says_done;            /* its streams end in [DONE] */
    int64_t in_flight;
    char problem[PROVIDER_PROBLEM_SIZE]; /* the last connection that failed, in words without any secret; "": none has */
    int64_t calls;                       /* that were sent there and ended, since the start; likewise */
    int64_t upstream_429, retries, connect_failures;
    struct upstream_meter meter; /* since it was made */
};

struct providers {
    struct list all; /* in the order of the configuration, behind the retired ones */
};

/* What the upstreams of a configuration need that can fail. */
struct providers_plan {
    struct provider_need {
        bool keep_trust;     /* what the provider has is of this very file */
        struct trust *trust; /* owned; NULL: none wanted */
        struct file_stamp stamp;
    } * v;
    size_t n;
    bool trusts_change; /* some provider that is there gets other trust roots */
};

void providers_init(struct providers *ps);
void providers_release(struct providers *ps);

/* -errno with a sentence (a bad ca_file); nothing is changed. Release the plan in either case. */
int providers_plan(const struct providers *ps, const struct config *next, struct providers_plan *ret,
                   struct errbuf *e) MG_MUSTCHECK;
void providers_plan_release(struct providers_plan *plan);

/*
 * One provider for each upstream of `next`, of which each takes a share. Trusts that were replaced, of which
 * transfers may still know, are handed to `drop`.
 */
void providers_apply(struct providers *ps, struct config *next, struct providers_plan *plan, struct gate *g,
                     void (*drop)(void *ctx, struct trust *t), void *ctx);

/* Frees the retired ones that are not `named`. */
void providers_sweep(struct providers *ps, struct gate *g, int64_t now_us);

/* The provider that runs that upstream. Never NULL for an upstream of the same configuration. */
struct provider *providers_find(const struct providers *ps, const struct config_upstream *upstream);

/*
 * Where a call of that model goes of which no path is known: to the upstream of the model's entry in
 * `config`, which runs, else to the first one of dialect `d`. NULL: there is none.
 */
struct provider *providers_of_model(const struct providers *ps, const struct config *config,
                                    struct slice model, const struct dialect *d);

/*
 * The address of a call: base_url takes the place of the caller's leading /v1 (openai), or stands before the
 * whole path (the others); /messages becomes /v1/messages, and for
 * Azure /v1/deployments/... becomes /openai/deployments/...: OpenAI's SDK for Azure asks so when OPENAI_BASE_URL is
 * set. The query travels along, an empty one
 * (`/models?`) too, unless query.p is NULL; `without_key`: but not the client's credential in it (Gemini's
 * `?key=`).
 */
void provider_url(const struct provider *p, struct slice path, struct slice query, bool without_key,
                  struct buf *out);

/* A connection to it failed, as `why` says: remembered, unless the words may hold an address with a credential. */
void provider_name_problem(struct provider *p, struct slice why);

/* Whether the configuration has a key for it, and the header that carries it in the dialect that a call speaks
 * (without a key its value is empty): borrowed. */
bool provider_has_key(const struct provider *p);
struct http_header provider_key(const struct provider *p, const struct dialect *spoken);

#endif
