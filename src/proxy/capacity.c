/* capacity: connections + transfers + shards + OWN_DESCRIPTORS is never more than what there is. */
#include "metergate/proxy/capacity.h"

#include <errno.h>
#include <inttypes.h>

#include "metergate/base/log.h"

/* Standard streams, epolls, signals, listeners, sockets of the resolver's threads, files being read. */
#define OWN_DESCRIPTORS 64u

#define SHARDS_MAX      256u
#define TRANSFERS_MAX   4096u
#define CONNECTIONS_MAX 262144u

static unsigned at_most(uint64_t n, unsigned most)
{
    return n < most ? (unsigned)n : most;
}

int capacity_of(uint64_t descriptors, struct capacity *ret, struct errbuf *e)
{
    struct capacity c = {.descriptors = descriptors};
    uint64_t rest;

    if (descriptors < CAPACITY_DESCRIPTORS_LEAST) {
        err_set(e, "only %" PRIu64 " open files are allowed, at least %d are needed: raise the limit (LimitNOFILE= of the "
                "service, ulimit -n)",
                descriptors, CAPACITY_DESCRIPTORS_LEAST);
        return -EMFILE;
    }
    c.shards = at_most(descriptors / 16, SHARDS_MAX);
    rest = descriptors - OWN_DESCRIPTORS - c.shards;
    c.transfers = at_most(rest / 4, TRANSFERS_MAX);
    c.connections = at_most(rest - c.transfers, CONNECTIONS_MAX);
    *ret = c;
    return 0;
}

void capacity_say(const struct capacity *c)
{
    log_info("%" PRIu64 " open files allowed: up to %u connections of clients and %u calls in flight", c->descriptors,
             c->connections, c->transfers);
}

void capacity_check_queue(const struct capacity *c, int64_t max_requests)
{
    if (max_requests > c->connections)
        log_warn("queue.max_requests is %" PRId64 ", but no more than %u connections can be open: raise the limit of open "
                 "files (LimitNOFILE= of the service, ulimit -Hn) or lower it",
                 max_requests, c->connections);
}
