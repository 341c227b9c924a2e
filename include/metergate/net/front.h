/*
 * front: the side that clients talk to. Accepts connections, reads requests, hands each out as a `struct
 * exchange`, and sends the answer back.
 *
 * The life of an exchange, as its user sees it:
 *
 *   on_head --> exchange_buffer_body --> on_body (whole, or too long) --> [held as long as the user likes]
 *           --> exchange_stream_body --> on_chunk ... on_body_end
 *           --> answer at once (the rest of the body is read and dropped, or the connection is closed)
 *   answer:     exchange_reply       complete; head and body leave in one send
 *               exchange_start, exchange_write ..., exchange_finish | exchange_abort
 *   end:        on_done, exactly once, always last. The exchange is freed after it.
 *
 *   on_gone:    at most once, before on_done, at the moment when the client is known to have left while an
 *               answer is still owed, in whatever state. Whoever works for the exchange stops now. Functions
 *               that send do nothing from then on.
 *
 * The user decides inside on_head, by one of the three ways; a request without a body reaches on_body (or
 * on_body_end) as well. Callbacks may call every exchange function; nothing is sent before they return. All
 * slices are borrowed and live until on_done. A client that has closed only its sending side counts as gone
 * once its request would have to wait.
 *
 * A request that breaks the rules of http.h never reaches on_head: on_bad is called instead and must reply
 * (the connection closes after it); on_done follows as usual.
 */
#ifndef METERGATE_NET_FRONT_H
#define METERGATE_NET_FRONT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "metergate/base/err.h"
#include "metergate/base/slice.h"
#include "metergate/net/http.h"
#include "metergate/net/listener.h"
#include "metergate/net/loop.h"

struct front;
struct exchange;

struct front_ops {
    /* The head is there and valid. Decide. */
    void (*on_head)(void *ctx, struct exchange *x);

    /* The head is not valid HTTP; `why` is a sentence. exchange_reply with a 4xx. */
    void (*on_bad)(void *ctx, struct exchange *x, const char *why);

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
    unsigned shards;          /* libmicrohttpd daemons; 0 = 64. ~250 when thousands are held */
    unsigned max_connections; /* beyond it new ones wait in the backlog; 0 = 16384 */
    int64_t body_bytes_total; /* bodies buffered at one time; 0 = no limit */
    int64_t head_timeout_us;  /* from the first byte of a connection or request to its whole head; 0 = 30 s */
    int64_t body_timeout_us;  /* longest pause between two pieces of a request's body; 0 = 60 s */
    int64_t idle_timeout_us;  /* a kept-alive connection without a request; 0 = 75 s */
    int64_t write_timeout_us; /* longest time in which a client takes no byte of its answer; 0 = 10 min */
};

/* A client's answer is buffered up to HIGH; then the source should pause until on_drain. */
#define EXCHANGE_HIGH_BYTES ((size_t)256 * 1024)
#define EXCHANGE_LOW_BYTES  ((size_t)64 * 1024)

/* The head of a request may use about this much memory, names, values and bookkeeping together. */
#define FRONT_HEAD_BYTES ((size_t)32 * 1024)

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

/* No new connections; idle ones are closed, the others close after their answer. For drains. */
void front_stop_listening(struct front *f);

struct front_stats {
    uint64_t accepted; /* connections since the start */
    uint64_t requests; /* requests whose head arrived whole */
    uint64_t bad_requests;
    unsigned connections; /* now */
    unsigned exchanges;   /* now, from on_head or on_bad to on_done */
    int64_t body_bytes;   /* buffered now */
    int64_t answer_bytes; /* buffered now */
};
struct front_stats front_stats(const struct front *f);

/* ---- the request
 * ------------------------------------------------------------------------------------------------ */

/* The user's own pointer. */
void exchange_set_user(struct exchange *x, void *user);
void *exchange_user(const struct exchange *x);

/* Counts up from 1 in one front. */
uint64_t exchange_id(const struct exchange *x);

/* The head. Headers in the order and case of the client. */
const struct http_head *exchange_head(const struct exchange *x);
struct slice exchange_header(const struct exchange *x, struct slice name); /* first of that name; {NULL, 0} */

/* The body's length as announced; -1 when chunked; 0 when there is none. */
int64_t exchange_content_length(const struct exchange *x);

/* After on_body(0): the whole body, until on_done. */
struct slice exchange_body(const struct exchange *x);

/* The body is not needed any longer (a held call was sent on): its memory is returned now. */
void exchange_drop_body(struct exchange *x);

const struct net_addr *exchange_peer(const struct exchange *x);
const struct net_addr *exchange_local(const struct exchange *x);

/* For Unix sockets: the user at the other end. -ENOENT for others. */
int exchange_peer_uid(const struct exchange *x, uid_t *ret) MG_MUSTCHECK;

/* ---- what to do with the body: in on_head
 * ------------------------------------------------------------------------ */

void exchange_buffer_body(struct exchange *x, size_t max_bytes);
void exchange_stream_body(struct exchange *x);

/* Between on_head and on_body_end: no on_chunk until resumed (one that is under way counts as delivered). */
void exchange_pause_body(struct exchange *x);
void exchange_resume_body(struct exchange *x);

/* ---- the answer
 * ---------------------------------------------------------------------------------------------------- */

/*
 * The whole answer. Content-Length (or its absence for 204, 304) and, if missing, Date are added, nothing
 * else; hop-by-hop headers, Content-Length and Transfer-Encoding among `headers` are left out. Bytes are
 * copied. With HEAD the body is not sent but its length is announced. The connection stays open unless the
 * request wants it closed.
 */
void exchange_reply(struct exchange *x, int status, const struct http_header *headers, size_t header_count,
                    struct slice body);

/*
 * Begins an answer whose body comes by exchange_write. content_length -1: unknown; it is sent chunked, or to
 * an HTTP/1.0 client delimited by the close. A known length must be met exactly: finishing short is an abort,
 * writing more is a bug. For HEAD, 204 and 304 nothing may be written (it is ignored); content_length is
 * still announced for HEAD.
 */
void exchange_start(struct exchange *x, int status, const struct http_header *headers, size_t header_count,
                    int64_t content_length);

/* Returns how many bytes are buffered now. Above EXCHANGE_HIGH_BYTES: pause the source until on_drain. */
size_t exchange_write(struct exchange *x, const void *p, size_t n);

void exchange_finish(struct exchange *x);

/* Closes without a clean end: no last chunk, a length not met, or a reset: the client never takes it for
 * whole. */
void exchange_abort(struct exchange *x);

/*
 * Sends "HTTP/1.1 STATUS REASON" as an interim response, now. Only while nothing of the final answer was
 * given, the whole request has been read and the client speaks 1.1; otherwise nothing is sent and -EINVAL is
 * returned. -EAGAIN: the client's window is full.
 */
int exchange_interim(struct exchange *x, int status) MG_MUSTCHECK;

bool exchange_is_gone(const struct exchange *x);
bool exchange_is_started(const struct exchange *x); /* the answer was begun */
size_t exchange_buffered(const struct exchange *x); /* bytes of the answer that wait for the client */

#endif
