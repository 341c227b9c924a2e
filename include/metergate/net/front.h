/*
 * front: the side that clients talk to. Accepts connections, reads requests, and hands each out as a `struct
 * exchange` (exchange.h tells its life) through the callbacks below.
 */
#ifndef METERGATE_NET_FRONT_H
#define METERGATE_NET_FRONT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "metergate/base/clock.h"
#include "metergate/base/err.h"
#include "metergate/net/exchange.h"
#include "metergate/net/listener.h"
#include "metergate/net/loop.h"

struct front;

/*
 * Whether the libmicrohttpd that this program has found is 1.0 or later: it refuses by itself most of what 0.9.75 misreads,
 * and leaves other traces in the head of a request.
 */
bool front_reads_strictly(void);

struct front_ops {
    /* The head is there and valid. Decide. */
    void (*on_head)(void *ctx, struct exchange *x);

    /*
     * The request is not valid HTTP, or did not come to its end in time; `why` is a sentence. exchange_reply
     * with `status`, a 4xx or 505. In place of on_head, or after it when the body is what is wrong. What the
     * head says is not to be believed.
     */
    void (*on_bad)(void *ctx, struct exchange *x, int status, const char *why);

    /*
     * After exchange_buffer_body. 0: exchange_body is the whole body. -E2BIG: it is longer than was asked
     * for; -ENOBUFS: all bodies together are over front_config.body_bytes_total. Then reply.
     */
    void (*on_body)(void *ctx, struct exchange *x, int rc);

    /* After exchange_stream_body: bytes as they come, valid during the call, then the end. */
    void (*on_chunk)(void *ctx, struct exchange *x, const char *p, size_t n);
    void (*on_body_end)(void *ctx, struct exchange *x);

    /* What was buffered of the answer has fallen to EXCHANGE_LOW_BYTES after having been over
     * EXCHANGE_HIGH_BYTES. */
    void (*on_drain)(void *ctx, struct exchange *x);

    void (*on_gone)(void *ctx, struct exchange *x);

    /* `complete`: all of the answer went to the client's socket. */
    void (*on_done)(void *ctx, struct exchange *x, bool complete);
};

struct front_config {
    unsigned shards;          /* libmicrohttpd daemons; 0 = 256 */
    unsigned max_connections; /* beyond it one that does nothing is closed for a new one, which else waits in the backlog;
                                 0 = 16384 */
    int64_t body_bytes_total; /* bodies buffered at one time, of which those of one user that are not complete yet take half at
                                 the most; 0 = no limit */
    int64_t head_timeout_us;  /* from accept, later from the request line, to the whole head; 0 = 30 s */
    int64_t body_timeout_us;  /* longest pause between two pieces of a request's body; 0 = 60 s */
    int64_t body_bytes_per_s; /* slowest pace of it in all, after body_timeout; 0 = 1024 */
    int64_t idle_timeout_us;  /* a kept-alive connection without a request; 0 = 75 s */
    int64_t write_timeout_us; /* longest time in which a client takes no byte of its answer; 0 = 10 min */
    int64_t room_idle_us;     /* so long a connection is left in peace though all are taken; 0 = 1 s. Its request may be in its
                                 socket, unread */
    int64_t room_slow_us;     /* likewise one in the middle of its request or answer, since it moved on; 0 = 10 s */
    int64_t answer_bytes_total; /* answers in memory from which on those that nobody takes are cut; 0 = 256 MiB */
};

/* The head of a request may use about this much memory, names, values and bookkeeping together: more is answered 431. */
#define FRONT_HEAD_BYTES ((size_t)28 * 1024)

/* `ops` is borrowed until front_free; ctx is handed to every callback. -errno with a sentence. */
int front_new(struct loop *l, const struct front_config *config, const struct front_ops *ops, void *ctx,
              struct front **ret, struct errbuf *e) MG_MUSTCHECK;

/*
 * Closes everything. Every exchange still alive gets on_gone (if an answer was owed) and on_done from inside
 * this call. NULL is fine.
 */
void front_free(struct front *f);

/* Accepts on this listener from now on. The listener is borrowed and must outlive the front (or
 * front_stop_listening). */
int front_listen(struct front *f, struct listener *ln) MG_MUSTCHECK;

/*
 * For drains: idle connections are closed, the others and all that still come close after their answer. Who
 * comes now is told so by the user's on_head; without it he would wait in the backlog for an answer that
 * never comes. A connection whose request may be on its way, because it was opened or answered within the last
 * FRONT_LAST_CALL_US, is closed when that time is over; front_stats.expected counts those.
 */
#define FRONT_LAST_CALL_US (CLOCK_S / 2)
void front_drain(struct front *f);

/*
 * While memory is short: idle connections are closed, each answer is the last of its connection, and no more than a few of
 * those who come have their turn at one time; the others wait in the backlog.
 */
void front_shed(struct front *f, bool on);

/*
 * No new connections from now on: they wait in the backlog, for whoever has the listening socket next.
 */
void front_stop_listening(struct front *f);

/* Another front_config.body_bytes_total, for what comes from now on. */
void front_set_body_bytes_total(struct front *f, int64_t bytes);

/* Why we ended connections that were in order so far. */
enum front_closed {
    FRONT_CLOSED_IDLE,   /* idle_timeout */
    FRONT_CLOSED_SLOW,   /* no whole request in time */
    FRONT_CLOSED_UNREAD, /* an answer not taken in time, or while answers were too many */
    FRONT_CLOSED_ROOM,   /* for a new one, when all were taken */
    FRONT_CLOSED,
};

/* As a word: "idle". */
const char *front_closed_name(enum front_closed why);

struct front_stats {
    uint64_t accepted; /* connections since the start */
    uint64_t requests; /* requests whose head arrived whole */
    uint64_t bad_requests;
    uint64_t closed[FRONT_CLOSED];
    unsigned connections; /* now */
    unsigned lingering;   /* now: answered and closed, but for what the client still sends; they count against max_connections */
    unsigned exchanges;   /* now, from on_head or on_bad to on_done */
    unsigned expected;    /* now, after front_drain: connections whose request may be on its way */
    int64_t body_bytes;   /* buffered now */
    int64_t answer_bytes; /* buffered now */
};
struct front_stats front_stats(const struct front *f);

#endif
