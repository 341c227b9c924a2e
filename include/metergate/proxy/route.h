/*
 * route: where a request goes, read from its target and headers alone. Pure: no table of
 * upstreams, no allocation; every slice points into the target that was given.
 *
 *   /@nightly:low/openai/v1/chat/completions?x=1
 *     '------ ---' '----' '------------------' '-'
 *      client prio  first  path                 query
 */
#ifndef METERGATE_PROXY_ROUTE_H
#define METERGATE_PROXY_ROUTE_H

#include <stdbool.h>

#include "metergate/base/slice.h"

enum route_kind {
    ROUTE_OWN,         /* Metergate itself: /, /-/..., /metrics, /healthz, /readyz */
    ROUTE_OPENAI,      /* the default upstream of that dialect */
    ROUTE_ANTHROPIC,
    ROUTE_GEMINI,
    ROUTE_AZURE,
    ROUTE_OLLAMA,
    ROUTE_NAMED,       /* the upstream whose name is `upstream`, if there is one */
    ROUTE_NONE,        /* no rule matches: 404 no-route; `problem` may say why */
    ROUTE_NOT_A_TUNNEL,/* CONNECT or another host's absolute URL: 405 */
    ROUTE_BAD          /* malformed target or /@CLIENT part: 400, `problem` says why */
};

struct route {
    enum route_kind kind;
    struct slice client;   /* from /@CLIENT, empty when absent */
    struct slice priority; /* "high", "normal", "low", or empty */
    struct slice upstream; /* first segment when it may name an upstream */
    struct slice path;     /* begins with '/', without the query, /@CLIENT taken off */
    struct slice query;    /* without '?'; p is NULL when there is none, not even an empty one */
    const char *problem;   /* a static sentence for ROUTE_BAD and, where it is not NULL, for ROUTE_NONE */
};

/* What the routing rules look at besides the target. */
struct route_hints {
    bool has_api_key;           /* api-key header */
    bool has_anthropic_version; /* anthropic-version header */
    bool has_goog_api_key;      /* x-goog-api-key header */
};

/* What the configuration says to them; both are given `arg`. */
struct route_rules {
    bool (*is_upstream)(void *arg, struct slice name); /* a configured upstream has that name */
    bool (*is_our_host)(void *arg, struct slice host); /* HOST[:PORT] of an absolute target is this daemon */
    void *arg;
};

/*
 * Reads the raw request target. An upstream's name as the first segment beats the rules that follow it in the
 * list, and is stripped from `path`. What the path itself may look like is path.h's matter.
 */
struct route route_read(struct slice method, struct slice target, const struct route_hints *hints,
                        const struct route_rules *rules);

/*
 * For errors, whatever became of the route: whose shape the caller most likely reads. ROUTE_ANTHROPIC,
 * ROUTE_GEMINI, else ROUTE_OPENAI.
 */
enum route_kind route_speech(struct slice target, const struct route_hints *hints);

/* A client name (client_name.h). */
bool route_client_name_ok(struct slice name);

/* "high", "normal" or "low". */
bool route_priority_ok(struct slice priority);

/*
 * True when the query has a parameter of that name ("key" in "alt=sse&key=x").
 */
bool route_query_has(struct slice query, const char *name);

#endif
