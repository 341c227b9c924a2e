/*
 * upstream: the side that talks to providers. One `struct transfer` is one HTTP request and its answer.
 *
 * transfer_start only notes the request; it is sent at the end of the turn (or when a slot is free), so it
 * may be called from any callback. The callbacks come in this order, each at most once but on_data and
 * on_body_drain:
 *
 *     on_sent?  on_head  on_data*  on_end
 *
 *   on_sent  the last byte of the request has left this machine's send queue and was acknowledged
 *            (SIOCOUTQ 0): the provider's clock may have started. Looked at ~100 ms after the start, then ever
 *            more rarely, and at the first byte of the answer at the latest. Not called for a request that
 *            failed before.
 *   on_head  the final head; interim ones (1xx) are skipped. Slices live during the call.
 *   on_end   always the last one, exactly once, unless transfer_abort was called; the transfer is freed after
 *            it.
 *
 * HTTP/1.1 only. Nothing is added to the request but Host, Content-Length or Transfer-Encoding; redirects are
 * not followed, nothing is decoded, the environment's proxies are not used. Names, values and body pass
 * unchanged both ways. Trailers are dropped; more of them than max_head_bytes end the transfer as TRANSFER_PROTOCOL.
 *
 * Kept connections are shared by all who call the same scheme, host, port, proxy and trust. One on which anything was said
 * that nobody had asked for is not used again; one whose request had an Authorization that is the connection's and not
 * the request's (NTLM, Negotiate) is nobody else's, before or after. A proxy is asked for a tunnel (https) by CONNECT without
 * any header of the request, and an answer of it other than 2xx is TRANSFER_CONNECT.
 *
 * A kept connection may die while a request is being written to it. curl would silently send the request
 * again on a new one; that is allowed only when the far end cannot have had the whole request (its last byte
 * was never acknowledged) or when the request has no body and its method is safe (GET, HEAD, OPTIONS).
 * Otherwise it ends as TRANSFER_RESET and the caller decides, because the provider may have charged it;
 * transfer_may_have_arrived says whether it can have.
 */
#ifndef METERGATE_NET_UPSTREAM_H
#define METERGATE_NET_UPSTREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "metergate/base/err.h"
#include "metergate/base/slice.h"
#include "metergate/net/http.h"
#include "metergate/net/loop.h"
#include "metergate/net/trust.h"

struct upstream_pool;
struct transfer;

enum transfer_result {
    TRANSFER_OK,
    TRANSFER_CONNECT,            /* name, connection or TLS failed: nothing was sent */
    TRANSFER_RESET,              /* closed before a head came; (part of) the request was sent */
    TRANSFER_CUT,                /* closed in the middle of the answer, or its length was not met */
    TRANSFER_TIMEOUT_CONNECT,    /* nothing was sent */
    TRANSFER_TIMEOUT_FIRST_BYTE, /* sent, and no head in time */
    TRANSFER_TIMEOUT_IDLE,       /* no byte of the body for too long */
    TRANSFER_PROTOCOL, /* no HTTP that we understand, a head over the limit, too many interim responses */
    TRANSFER_MEMORY,   /* nothing was sent, because this machine had no memory for it: says nothing of the provider */
};

/* "ok", "connect", "reset", ... */
const char *transfer_result_name(enum transfer_result r);

struct transfer_head {
    int status;
    int minor; /* HTTP/1.minor */
    const struct http_header *headers;
    size_t header_count;
    int64_t content_length; /* of the body that follows; -1 unknown. For HEAD what the header says */
};

struct transfer_ops {
    void (*on_sent)(void *ctx, struct transfer *t); /* NULL: not wanted, nothing is looked at */
    void (*on_head)(void *ctx, struct transfer *t, const struct transfer_head *h);
    void (*on_data)(void *ctx, struct transfer *t, const char *p, size_t n);
    /* Streamed upload: what is buffered fell to TRANSFER_LOW_BYTES after having been over
     * TRANSFER_HIGH_BYTES. */
    void (*on_body_drain)(void *ctx, struct transfer *t);
    /* `why` is a sentence for the operator, "" for TRANSFER_OK; valid during the call. */
    void (*on_end)(void *ctx, struct transfer *t, enum transfer_result r, const char *why);
};

struct transfer_request {
    struct slice method;
    const char *url; /* absolute http or https; path and query are sent exactly as they stand here */
    const struct http_header *headers; /* copied. Content-Length, Transfer-Encoding and Expect are left out */
    size_t header_count;

    struct slice body;      /* borrowed until on_end, transfer_abort, or transfer_has_sent_body */
    bool has_body;          /* false: no body at all, not even an empty one */
    bool streamed;          /* the body comes by transfer_write; `body` is ignored */
    int64_t streamed_bytes; /* its length if known, else -1 */

    int64_t connect_timeout_us;    /* name, connection, TLS; 0 = 10 s */
    int64_t first_byte_timeout_us; /* from the last progress of sending to the head; 0 = none */
    int64_t idle_timeout_us; /* between two pieces of the answer's body, not counting pauses; 0 = none */

    const char *proxy;         /* "http://host:port"; NULL or "": direct */
    const struct trust *trust; /* NULL: the pool's. Must outlive the pool: kept connections hold on to it */
};

struct upstream_config {
    unsigned max_transfers;    /* at one time; further ones wait in arrival order; 0 = 4096 */
    unsigned max_connecting;   /* transfers between their start and an established connection; 0 = 64 */
    size_t max_head_bytes;     /* of one answer, interim ones with it; of its trailers; 0 = 24 KiB: what a front can send */
    int64_t keep_idle_us;      /* how long an unused connection is kept; 0 = 60 s */
    const struct trust *trust; /* borrowed; may be NULL when no https upstream is used */

    /* upstream_is_full was true, and is no more. Called from the loop; NULL: not wanted. */
    void (*on_room)(void *ctx);
    void *ctx;
};

#define TRANSFER_HIGH_BYTES ((size_t)256 * 1024)
#define TRANSFER_LOW_BYTES  ((size_t)64 * 1024)

int upstream_pool_new(struct loop *l, const struct upstream_config *config, struct upstream_pool **ret,
                      struct errbuf *e) MG_MUSTCHECK;

/* Transfers still under way are aborted without callbacks. NULL is fine. */
void upstream_pool_free(struct upstream_pool *p);

struct upstream_stats {
    unsigned active;      /* transfers under way */
    unsigned waiting;     /* for a slot */
    unsigned connections; /* open, idle ones included */
    uint64_t started;
    uint64_t retried; /* silent repeats on a fresh connection */
};
struct upstream_stats upstream_stats(const struct upstream_pool *p);

/*
 * So many transfers wait for a slot already that starting more gains nothing, and costs the memory of each. Nothing is
 * refused then.
 */
bool upstream_is_full(const struct upstream_pool *p);

/* Closes connections that are kept for later use, when memory is short. */
void upstream_close_idle(struct upstream_pool *p);

/* -EINVAL for a request that could not be written as HTTP (a control character, no URL), -ENOMEM; then nothing is
 * called. */
int transfer_start(struct upstream_pool *p, const struct transfer_request *request,
                   const struct transfer_ops *ops, void *ctx, struct transfer **ret) MG_MUSTCHECK;

/* Ends it now and closes its connection; no callback after it. The transfer is invalid from here on. */
void transfer_abort(struct transfer *t);

/* No on_data until resumed. A pause inside on_data holds from the next piece on. */
void transfer_pause(struct transfer *t);
void transfer_resume(struct transfer *t);

/* Streamed upload. Copies; returns what is buffered now: over TRANSFER_HIGH_BYTES pause until on_body_drain.
 */
size_t transfer_write(struct transfer *t, const void *p, size_t n);
void transfer_finish_body(struct transfer *t);

bool transfer_is_sent(const struct transfer *t);   /* on_sent's condition was seen */
bool transfer_is_reused(const struct transfer *t); /* it went (last) over a kept connection */

/* From on_head on: all of the body was handed to the kernel, and what was lent for it is not read again. */
bool transfer_has_sent_body(const struct transfer *t);

/*
 * For TRANSFER_RESET: false when the provider cannot have had the whole request, because its last byte was
 * never acknowledged. Then it has charged nothing, and sending again is safe.
 */
bool transfer_may_have_arrived(const struct transfer *t);

#endif
