/*
 * exchange: one request of a client and its answer. The front makes it and frees it (front.h has the
 * callbacks).
 * The life of an exchange, as its user sees it:
 *   on_head --> exchange_buffer_body --> on_body (whole, or too long) --> [held as long as the user likes]
 *           --> exchange_stream_body --> on_chunk ... on_body_end
 *           --> answer at once (the rest of the body is read and dropped, or the connection is closed)
 *   answer:     exchange_reply       complete; head and body leave in one send
 *               exchange_start, exchange_write ..., exchange_finish | exchange_abort
 *   end:        on_done, exactly once, always last. The exchange is freed after it.
 *   on_gone:    at most once, before on_done, at the moment when the client is known to have left while an
 *               answer is still owed, in whatever state. Whoever works for the exchange stops now. Functions
 *               that send do nothing from then on.
 * The user decides inside on_head, by one of the three ways; a request without a body reaches on_body (or
 * on_body_end) as well. Callbacks may call every exchange function; nothing is sent before they return. All
 * slices are borrowed and live until on_done. A client that has closed only its sending side counts as gone
 * once its request would have to wait.
 * A request that breaks the rules of http.h never reaches on_head: on_bad is called instead and must reply
 * (the connection closes after it); on_done follows as usual. When only the body breaks them, or does not
 * come to its end in time, on_bad comes after on_head, in place of on_body or on_body_end, unless the answer
 * was begun.
 */
#ifndef METERGATE_NET_EXCHANGE_H
#define METERGATE_NET_EXCHANGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "metergate/base/buf.h"
#include "metergate/base/err.h"
#include "metergate/base/slice.h"
#include "metergate/net/http.h"
#include "metergate/net/listener.h"

struct exchange;
struct peer;

/* A client's answer is buffered up to HIGH; then the source should pause until on_drain. */
#define EXCHANGE_HIGH_BYTES ((size_t)256 * 1024)
#define EXCHANGE_LOW_BYTES  ((size_t)64 * 1024)

/* ---- the request --------------------------------------------------------------------------------------- */

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

/* The body leaves the exchange, its bytes stay where they are: for a worker that still reads them. */
void exchange_take_body(struct exchange *x, struct buf *ret);

const struct net_addr *exchange_peer(const struct exchange *x);
const struct net_addr *exchange_local(const struct exchange *x);

/* Who is at the other end (peer.h); the kernel is asked once a connection. Negative when he cannot be seen. */
int exchange_peer_who(const struct exchange *x, struct peer *ret) MG_MUSTCHECK;
int exchange_peer_uid(const struct exchange *x, uid_t *ret) MG_MUSTCHECK;

/*
 * What the user has found out about the other end, for later requests of this connection: a text of up to 64 bytes (more are
 * cut). False: nothing was said yet.
 */
#define EXCHANGE_ORIGIN_SIZE 65
void exchange_set_origin(struct exchange *x, const char *origin);
bool exchange_origin(const struct exchange *x, struct slice *ret);

/* ---- what to do with the body: in on_head -------------------------------------------------------------- */

void exchange_buffer_body(struct exchange *x, size_t max_bytes);
void exchange_stream_body(struct exchange *x);

/* Between on_head and on_body_end: no on_chunk until resumed (one that is under way counts as delivered). */
void exchange_pause_body(struct exchange *x);
void exchange_resume_body(struct exchange *x);

/* ---- the answer ---------------------------------------------------------------------------------------- */

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
 * an HTTP/1.0 client delimited by the close. A known length must be met exactly: finishing short or writing
 * more is an abort. For HEAD, 204 and 304 nothing may be written (it is ignored); content_length is still
 * announced for HEAD.
 */
void exchange_start(struct exchange *x, int status, const struct http_header *headers, size_t header_count,
                    int64_t content_length);

/*
 * Returns how many bytes are buffered now. Above EXCHANGE_HIGH_BYTES: pause the source until on_drain. Without memory for
 * them the answer is aborted: ask exchange_is_cut.
 */
size_t exchange_write(struct exchange *x, const void *p, size_t n);

void exchange_finish(struct exchange *x);

/* Closes without a clean end (no last chunk, a length not met, or a reset): nobody takes it for whole. */
void exchange_abort(struct exchange *x);

/*
 * Sends "HTTP/1.1 STATUS REASON" as an interim response, now. Only while nothing of the final answer was
 * given, the whole request has been read and the client speaks 1.1; otherwise nothing is sent and -EINVAL is
 * returned. -EAGAIN: the client's window is full.
 */
int exchange_interim(struct exchange *x, int status) MG_MUSTCHECK;

bool exchange_is_gone(const struct exchange *x);
bool exchange_is_cut(const struct exchange *x);     /* aborted, by the user or for want of memory: on_done is near */
bool exchange_is_started(const struct exchange *x); /* the answer was begun */
size_t exchange_buffered(const struct exchange *x); /* bytes of the answer that wait for the client */

#endif
