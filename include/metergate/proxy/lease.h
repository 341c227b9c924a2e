/*
 * lease: the room that a program holds while it calls a provider by itself (POST /-/reserve, reserve.h), and
 * the table of those that are open. Pure: time is an argument.
 *
 * A lease is open from leases_open to leases_close, at most LEASE_US. Its id is 128 random bits: whoever
 * knows it may settle it. The table owns no lease; each is embedded in its call.
 */
#ifndef METERGATE_PROXY_LEASE_H
#define METERGATE_PROXY_LEASE_H

#include <stddef.h>
#include <stdint.h>

#include "metergate/base/clock.h"
#include "metergate/base/list.h"
#include "metergate/base/map.h"
#include "metergate/base/slice.h"

#define LEASE_US       (600 * CLOCK_S)
#define LEASES_MAX     10000 /* open, or waited for */
#define LEASE_ID_BYTES 16
#define LEASE_ID_SIZE  (2 * LEASE_ID_BYTES + 1) /* in hexadecimal, with its end */

struct lease {
    char id[LEASE_ID_SIZE]; /* readable; empty before it was open */
    int64_t until_us;       /* readable: when it ends by itself */
    struct list age;        /* private: on leases.by_age */
};

/* How a lease ended. */
enum lease_end {
    LEASE_SETTLED,   /* its program said what it used */
    LEASE_REFUSED,   /* its program said that the provider answered 429 */
    LEASE_EXPIRED,   /* nobody said anything in LEASE_US */
    LEASE_UNCLAIMED, /* its program had left before it could be told of it */
    LEASE_ENDS
};

struct leases {
    struct map by_id;          /* private: id -> struct lease */
    struct list by_age;        /* private: the same, opened first at the front */
    int64_t ended[LEASE_ENDS]; /* readable: since the start; written by reserve.c */
};

void leases_init(struct leases *ls);
void leases_release(struct leases *ls); /* none is open any more */

/* Not open yet. */
void lease_init(struct lease *l);

/* Gives it an id and LEASE_US from now on. `now_us` is never before that of an earlier call. */
void leases_open(struct leases *ls, struct lease *l, int64_t now_us);

/* The open lease of that id, or NULL. */
struct lease *leases_find(const struct leases *ls, struct slice id);

/* An open lease whose time is over at now_us, the oldest first; NULL: none. It stays open. */
struct lease *leases_due(const struct leases *ls, int64_t now_us);

/* When the next one is due; CLOCK_NEVER: none is open. */
int64_t leases_due_us(const struct leases *ls);

/* Its id is nobody's from now on. Harmless when it is not open. */
void leases_close(struct leases *ls, struct lease *l);

size_t leases_count(const struct leases *ls);

/* A name for metrics: "settled". */
const char *lease_end_name(enum lease_end end);

#endif
