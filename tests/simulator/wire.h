/*
 * wire: one accepted connection as a stream of bytes, plain or TLS. Blocking; owned by one thread, except wire_wake, which
 * any thread may call.
 *
 * It knows when the kernel received the last byte that was read (SO_TIMESTAMPNS), because that is when a request
 * arrived, however late this thread was scheduled.
 */
#ifndef SIMULATOR_WIRE_H
#define SIMULATOR_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "metergate/base/buf.h"
#include "metergate/base/err.h"
#include "metergate/base/slice.h"

struct ssl_st;
struct ssl_ctx_st;

struct wire {
    int fd;              /* private */
    int wake_fd;         /* private: an eventfd */
    struct ssl_st *ssl;  /* private: NULL on plain connections */
    struct buf in;       /* readable: what was received and not consumed */
    int64_t received_us; /* readable: when the last byte of `in` reached this machine */
    bool broken;         /* readable: the peer is gone; nothing more can be written */
};

/* Takes the descriptor. 0, or -EPROTO when the TLS handshake fails (the wire must be closed all the same). */
int wire_open(struct wire *w, int fd, struct ssl_ctx_st *tls) MG_MUSTCHECK;

/* Ends the connection in order: TLS close_notify, FIN. With `reset`, by RST. Frees what the wire holds. */
void wire_close(struct wire *w, bool reset);

/* Waits for bytes and appends them to `in`. 1; 0 at the end of the stream; -ETIMEDOUT; -EPIPE. timeout_us < 0: for ever. */
int wire_fill(struct wire *w, int64_t timeout_us) MG_MUSTCHECK;

/* Whether the peer has sent something that nobody asked for yet. */
bool wire_has_more(struct wire *w);

/* Writes all of it. 0, or -EPIPE. */
int wire_write(struct wire *w, const void *p, size_t n) MG_MUSTCHECK;

/* Says that nothing more will come, and waits for the peer to close (or `us`): closing with bytes unread would be a
 * reset, which can overtake what was written. */
void wire_linger(struct wire *w, int64_t us);

enum wire_event {
    WIRE_TIME,  /* the time is over */
    WIRE_WOKEN, /* wire_wake was called (also before the pause began) */
    WIRE_GONE   /* the peer closed */
};

/* Does nothing for so long (for ever when negative), unless it is woken or the peer closes. */
enum wire_event wire_pause(struct wire *w, int64_t us);
void wire_wake(struct wire *w);

#endif
