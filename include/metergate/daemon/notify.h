/*
 * notify: what a service manager is told (sd_notify(3), without libsystemd): one datagram a message to the socket that
 * $NOTIFY_SOCKET names. Without that variable nothing is sent, and without $WATCHDOG_USEC nobody is woken up for it.
 * A message that cannot be sent is lost: the daemon serves all the same.
 */
#ifndef METERGATE_DAEMON_NOTIFY_H
#define METERGATE_DAEMON_NOTIFY_H

#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "metergate/base/err.h"
#include "metergate/net/loop.h"

struct notify {
    int fd;                   /* private; -1: nobody listens */
    struct sockaddr_un where; /* private */
    socklen_t where_n;        /* private */
    int64_t watchdog_us;      /* readable: how often it wants to hear of us; 0: never */
    struct loop *loop;        /* private */
    struct loop_timer timer;  /* private */
};

/* Takes the variables out of the environment, so that no child speaks for the daemon. A name of a socket that is none
 * is a warning in the log. */
void notify_open(struct notify *n);
void notify_close(struct notify *n);

/* READY=1, with what a person is to read in `systemctl status`. */
void notify_ready(const struct notify *n, const char *status);

/* RELOADING=1, with the moment that systemd wants; notify_ready follows, whatever came of it. */
void notify_reloading(const struct notify *n);

void notify_stopping(const struct notify *n, const char *status);

/* From now on the loop says WATCHDOG=1 twice in each of the periods that were asked for: while it turns. */
void notify_watch(struct notify *n, struct loop *loop);

#endif
