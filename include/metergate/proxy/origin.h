/*
 * origin: which unit or program of a local user is behind a connection, where nobody says a name.
 *
 *   origin_of      the loop asks: known, or that there is nothing to be known? It never waits.
 *   origin_search  a worker looks: the systemd unit of the socket's control group (unit.h); where there is none, or one that says
 *                  little, and the daemon runs as the same user or as root, the program that has the socket open (program.h).
 *   origin_learn   the loop keeps it: a unit for all connections from its control group, a program for this connection.
 *
 * It is a convenience, not a protection: a user can give his units and programs any name.
 */
#ifndef METERGATE_PROXY_ORIGIN_H
#define METERGATE_PROXY_ORIGIN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "metergate/base/map.h"
#include "metergate/base/unit.h"
#include "metergate/net/peer.h"

struct exchange;
struct holders;

/* Control groups that are kept; when one more comes, all are forgotten and looked up again. */
#define ORIGIN_GROUPS_MAX 1000

/* How much work (clock_spent_us) it may be to find a control group: a thousand of them take some 20 ms. */
#define ORIGIN_GROUP_US INT64_C(100000)

/* A control group that was not found in time is looked for again after this. */
#define ORIGIN_AGAIN_US INT64_C(60000000)

struct origins {
    struct map groups;       /* private: id of a control group -> what is known of it */
    struct holders *holders; /* private: for workers */
};

/* Made and ended by the loop; in between a worker's alone. */
struct origin_search {
    struct peer peer;
    struct holders *holders;     /* of the origins */
    bool may_see_programs;
    bool has_unit;               /* `unit` was found out, by this search or before; and */
    bool timed_out;              /* it was not, because time was over */
    struct unit unit;
    char *procs;                 /* the file that lists the processes of its control group; owned; NULL: unknown */
    char name[CLIENT_NAME_SIZE]; /* the result; "": the user is all that is known */
};

void origins_init(struct origins *o);
void origins_release(struct origins *o);

/*
 * The name of what is behind the connection; empty: no more than its user (or not even he) can be known. Borrowed until the
 * connection ends or origin_learn is called. False: it has to be searched for.
 */
bool origin_of(const struct origins *o, const struct exchange *x, int64_t now_us, struct slice *ret);

/* A search for it. */
struct origin_search *origin_search_new(const struct origins *o, const struct exchange *x, int64_t now_us);
void origin_search_free(struct origin_search *s);

/* In any thread: up to 150 ms of work. */
void origin_search(struct origin_search *s);

/* What was found; x NULL: the connection is gone. */
void origin_learn(struct origins *o, struct exchange *x, const struct origin_search *s, int64_t now_us);

#endif
