/*
 * linger: the last seconds of a connection that we close while the client may still be sending.
 * Closing a socket with unread bytes in it makes the kernel send a reset, and a reset may wipe out the answer
 * (a 413 for a body that nobody wants to read) before the client has read it. So the descriptor lives on for
 * a little: what comes is read and dropped until the client closes, LINGER_US have passed, or LINGER_BYTES
 * have come.
 */
#ifndef METERGATE_NET_LINGER_H
#define METERGATE_NET_LINGER_H

#include <stdbool.h>

#include "metergate/base/clock.h"
#include "metergate/base/list.h"
#include "metergate/net/loop.h"

#define LINGER_US    (5 * CLOCK_S)
#define LINGER_BYTES ((size_t)64 * 1024 * 1024)

struct lingering {
    struct list all;          /* private: who began first comes first */
    unsigned count;           /* readable: descriptors that are open */
    struct loop *loop;        /* private, like the rest */
    void (*ended)(void *ctx);
    void *ctx;
};

/* `ended` is called each time a descriptor was closed, but not from linger_stop_all. */
void linger_init(struct lingering *g, struct loop *l, void (*ended)(void *ctx), void *ctx);

/* Takes `fd`, whose sending side is shut down; it is closed in the end. */
void linger_start(struct lingering *g, int fd);

/* Closes the one that began first; false: there is none. `ended` is not called. */
bool linger_stop_first(struct lingering *g);

/* Closes all of them now. */
void linger_stop_all(struct lingering *g);

#endif
