/*
 * notify: what a service manager is told (sd_notify(3), without libsystemd): one datagram a message to the socket that
 * $NOTIFY_SOCKET names. Without that variable nothing is sent, and without $WATCHDOG_USEC nobody is woken up for it.
 * A message that cannot be sent is lost: the daemon serves all the same.
 */
#ifndef METERGATE_DAEMON_NOTIFY_H
#define METERGATE_DAEMON_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "metergate/base/buf.h"
#include "metergate/base/err.h"
#include "metergate/net/loop.h"

struct notify {
    int fd;                   /* private; -1: nobody listens */
    struct sockaddr_un where; /* private */
    socklen_t where_n;        /* private */
    int64_t watchdog_us;      /* readable: how often it wants to hear of us; 0: never */
    struct loop *loop;        /* private */
    struct loop_timer timer;  /* private */
    bool deaf;                /* private: the last message did not get there */

    void (*describe)(void *ctx, struct buf *status); /* private: notify_follow */
    void *ctx;
    struct loop_timer status_timer; /* private */
    struct buf said;                /* private: the last status, */
    int64_t said_us;                /* and when it was said */
};

/* The status is told at most so often. */
#define NOTIFY_STATUS_US CLOCK_S

/* What a stop may take beyond `drain`: the ledger's last rows. */
#define NOTIFY_STOP_US (30 * CLOCK_S)

/* Takes the variables out of the environment, so that no child speaks for the daemon. A name of a socket that is none
 * is a warning in the log. */
void notify_open(struct notify *n);
void notify_close(struct notify *n);

/* READY=1, with what a person is to read in `systemctl status`. */
void notify_ready(struct notify *n, const char *status);

/* RELOADING=1, with the moment that systemd wants; notify_ready follows, whatever came of it. */
void notify_reloading(struct notify *n);

/* STOPPING=1; and EXTEND_TIMEOUT_USEC, so that a stop that may take so long is not cut by a shorter TimeoutStopSec. */
void notify_stopping(struct notify *n, const char *status, int64_t within_us);

/*
 * From now on the loop says WATCHDOG=1 twice in each of the periods that were asked for: while it turns. Nothing else says it: a ledger
 * that hangs with its disk is no reason to end the calls that this loop still serves.
 */
void notify_watch(struct notify *n, struct loop *loop);

/*
 * From now on notify_changed says STATUS=, as `describe` appends it, if that is another than was said last: at once, or a second after
 * the last one. Who does not call it wakes nobody.
 */
void notify_follow(struct notify *n, struct loop *loop, void (*describe)(void *ctx, struct buf *status), void *ctx);
void notify_changed(void *notify);

#endif
