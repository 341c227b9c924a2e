/*
 * linger: the last seconds of a connection that we close while the client may still be sending.
 * Closing a socket with unread bytes in it makes the kernel send a reset, and a reset may wipe out the answer
 * (a 413 for a body that nobody wants to read) before the client has read it. So the descriptor lives on for
 * a little: what comes is read and dropped until the client closes, LINGER_US have passed, or LINGER_BYTES
 * have come.
 */
#ifndef METERGATE_NET_LINGER_H
#define METERGATE_NET_LINGER_H

#include "metergate/base/clock.h"
#include "metergate/base/list.h"
#include "metergate/net/loop.h"

#define LINGER_US    (5 * CLOCK_S)
#define LINGER_BYTES ((size_t)64 * 1024 * 1024)

/* Takes `fd`, whose sending side is shut down. The lingerer is put into `all`; it closes and frees itself. */
void linger_start(struct loop *l, struct list *all, int fd);

/* Closes all of them now. */
void linger_stop_all(struct list *all);

#endif
