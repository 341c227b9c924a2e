/*
 * clients: who is asking, and what each of them did.
 *
 * A client is a name (identity.h says whose). At most CLIENTS_MAX names that the configuration does not know
 * are kept apart; later ones share the client "other", so that no caller can make the table grow without
 * bound.
 *
 * A struct client lives as long as the table: calls may point to it freely.
 */
#ifndef METERGATE_PROXY_CLIENTS_H
#define METERGATE_PROXY_CLIENTS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "metergate/base/map.h"
#include "metergate/base/slice.h"
#include "metergate/config/config.h"
#include "metergate/gate/gate.h"
#include "metergate/gate/purse.h"
#include "metergate/proxy/hour.h"

#define CLIENTS_MAX    1000
#define CLIENT_CHOOSES (-1)

/* Readable; the counters are written by the call's life alone. */
struct client {
    char name[65];
    int64_t held;       /* now */
    int64_t held_bytes; /* bodies of them */
    int64_t in_flight;  /* now */
    int64_t reservations; /* held and leased, now */
    int64_t calls;      /* finished, whatever their outcome */
    int64_t tokens;     /* reported or estimated, in plus out */
    int64_t cost_nano;     /* of them, as far as prices are known */
    int64_t waited_us;     /* of finished calls, held */
    int64_t shown_tokens, shown_nano; /* metrics_client.c: the most that it ever told of these */
    struct purse purse;    /* what it may spend */
    int64_t weight;        /* as the configuration has it, 1..1000 */
    int priority;          /* likewise, of enum config_priority; CLIENT_CHOOSES: it may choose its own */
    struct hour *hour;     /* in five minutes; NULL: nothing happened yet */
    struct budget *budget; /* of the gate: what the configuration limits it to; NULL: it never did */
};

struct clients {
    struct map by_name; /* name -> struct client */
    struct client *other;
    const struct config *config; /* private: borrowed, of the last clients_apply; NULL before */
    struct map users; /* private: uid -> name, as it was when first asked for */
};

void clients_init(struct clients *c);
void clients_release(struct clients *c);

/* The client of that (valid) name; made on first sight. `known`: the configuration has it. Never NULL. */
struct client *clients_named(struct clients *c, struct slice name, bool known);

/* Another configuration: what it limits its clients to counts from now on, in full: headroom is for what others use. */
void clients_apply(struct clients *c, const struct config *config, struct gate *g);

/* The name of a local user as a client: as /etc/passwd has it, "uid-1000" where that is no client's name.
 * Borrowed. */
struct slice clients_user(struct clients *c, uid_t uid);

#endif
