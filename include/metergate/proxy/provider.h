/*
 * provider: an upstream of the configuration at run time: its dialect, its trust roots, its share of the gate, and what
 * is known of it.
 */
#ifndef METERGATE_PROXY_PROVIDER_H
#define METERGATE_PROXY_PROVIDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "metergate/base/buf.h"
#include "metergate/base/err.h"
#include "metergate/config/config.h"
#include "metergate/dialect/dialect.h"
#include "metergate/gate/gate.h"
#include "metergate/gate/profile.h"
#include "metergate/net/trust.h"

struct provider {
    const struct config_upstream *config; /* borrowed */
    const struct dialect *dialect;        /* never NULL */
    enum profile profile;
    struct budget *budget; /* owned: max_concurrent, and pauses of the whole account */
    struct trust *trust;   /* owned: only with a ca_file; else NULL */
    struct buf authorization; /* "Bearer KEY" when the configuration has a key; wiped */
    bool reachable;           /* false after a failed connection until the next answer */
    bool refuses_usage_option; /* it answered 400 to stream_options: streams go out as they came */
    bool says_done;           /* its streams end in [DONE] */
    int64_t in_flight;
};

struct providers {
    struct provider *v;
    size_t n;
};

/* One provider for each upstream of the configuration. -errno with a sentence (a bad ca_file). */
int providers_init(struct providers *ps, const struct config *config, struct gate *g, struct errbuf *e) MG_MUSTCHECK;
void providers_release(struct providers *ps);

/* The provider that runs that upstream. Never NULL for an upstream of the same configuration. */
struct provider *providers_find(const struct providers *ps, const struct config_upstream *upstream);

/*
 * The address of a call: base_url takes the place of the caller's leading /v1 (openai), or stands before the whole path
 * (the others); /messages becomes /v1/messages. The query travels along.
 */
void provider_url(const struct provider *p, struct slice path, struct slice query, struct buf *out);

#endif
