/*
 * capacity: how many clients and calls in flight the process can carry, which its limit of open files decides. Every
 * client is a descriptor, every call in flight one more; the rest (libmicrohttpd's epolls, listeners, the resolver,
 * files) is a fixed share. The clients never get the part of the calls: a crowd of them must not keep a held call
 * from reaching its provider.
 */
#ifndef METERGATE_PROXY_CAPACITY_H
#define METERGATE_PROXY_CAPACITY_H

#include <stdint.h>

#include "metergate/base/err.h"

/* With fewer the daemon does not start. */
#define CAPACITY_DESCRIPTORS_LEAST 256

struct capacity {
    uint64_t descriptors; /* what it was made from */
    unsigned connections; /* of clients, at one time */
    unsigned transfers;   /* calls in flight; a quarter of what is shared out, at most 4,096 */
    unsigned shards;      /* of the front: one descriptor each */
};

/* For that many descriptors. -EMFILE with a sentence when there are fewer than CAPACITY_DESCRIPTORS_LEAST. */
int capacity_of(uint64_t descriptors, struct capacity *ret, struct errbuf *e) MG_MUSTCHECK;

/* One line of log. */
void capacity_say(const struct capacity *c);

/* A warning, when a queue of so many calls could never fill. */
void capacity_check_queue(const struct capacity *c, int64_t max_requests);

#endif
