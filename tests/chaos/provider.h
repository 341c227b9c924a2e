/*
 * provider: a raw upstream in the run's own poll loop, for what the simulator cannot do: an end at any byte of what it
 * reads or writes, head included, answers before the request was read, 1xx that nobody asked for, connections that die idle.
 */
#ifndef CHAOS_PROVIDER_H
#define CHAOS_PROVIDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../sim/rng.h"
#include "metergate/base/buf.h"

#define PROVIDER_CONNECTIONS 64

struct pollfd;

struct provider_connection {
    int fd; /* -1: free */
    struct buf in, out;
    size_t sent;
    size_t read_end;   /* after so many bytes read it ends */
    size_t write_end;  /* after so many written */
    size_t step;       /* bytes a write */
    int64_t next_us;   /* of the next write */
    bool stalls;       /* at its end it falls silent; else: */
    bool resets;       /* it ends by RST, not by FIN */
    bool early;        /* answers the head, before the body came */
    bool answering, last;
};

struct provider {
    int listen_fd, port;
    struct provider_connection list[PROVIDER_CONNECTIONS];
    struct rng rng;
};

void provider_open(struct provider *p);
void provider_close(struct provider *p);

/* New dice; closes what is left of the last run. */
void provider_reset(struct provider *p, uint64_t seed);

/* Adds what to wait for; at most PROVIDER_CONNECTIONS + 1. */
size_t provider_poll(struct provider *p, struct pollfd *fds, int64_t now_us, int64_t *wake_us);

/* Does what the last poll allows. */
void provider_run(struct provider *p, const struct pollfd *fds, size_t n, int64_t now_us);

#endif
