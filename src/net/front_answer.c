/*
 * front_answer: an exchange's answer on its way into libmicrohttpd, or past it. The head of an answer is never larger than the room that
 * the head of its request has left in the connection's pool: libmicrohttpd would close the connection instead of answering.
 */
#include "front_inside.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <microhttpd.h>

#include "metergate/base/log.h"
#include "metergate/base/spare.h"

/*
 * A finished answer up to this size goes out as one piece with its head; a longer one through the reader,
 * whose calls show that the client still takes bytes.
 */
#define WHOLE_ANSWER_BYTES EXCHANGE_HIGH_BYTES

/* libmicrohttpd allocates one such block for each answer of known length that is streamed. */
#define READER_BLOCK_BYTES ((size_t)32 * 1024)
/* A header or a cookie takes so much of the pool besides its text: seven words in 0.9.75 and 1.0, in steps of 16 bytes. */
#define POOL_ENTRY_BYTES   ((size_t)64)
/* What libmicrohttpd adds to the head of an answer (status line, Date, Connection, lengths), and the least it sends a chunk with. */
#define ANSWER_OWN_BYTES   ((size_t)512)

/* libmicrohttpd keeps a second copy of cookies, and takes them apart. */
size_t front_head_room(const struct exchange *x)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(x->conn, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    size_t used = ANSWER_OWN_BYTES + (info ? info->header_size : 0) + x->head.header_count * POOL_ENTRY_BYTES;

    for (size_t i = 0; i < x->head.header_count; i++) {
        struct slice value = x->head.headers[i].value;

        if (!slice_eq_nocase(x->head.headers[i].name, SLICE("cookie")))
            continue;
        used += value.n + POOL_ENTRY_BYTES;
        for (size_t at = 0; at < value.n; at++)
            used += value.p[at] == ';' ? POOL_ENTRY_BYTES : 0;
    }
    return used < POOL_BYTES ? POOL_BYTES - used : 0;
}

/* ---- the answer ---------------------------------------------------------------------------------------- */

/*
 * An HTTP/1.0 client takes the close for the end of a body without a length. libmicrohttpd sends a FIN before
 * it closes; dissolving the association first sends a reset instead. (A Unix socket has no reset: there the
 * cut cannot be shown.)
 */
static void front_reset(const struct exchange *x)
{
    struct sockaddr none = {.sa_family = AF_UNSPEC};

    if (x->client->local.len && x->client->local.sa.ss_family != AF_UNIX)
        (void)!connect(x->client->fd, &none, sizeof none);
}

/* libmicrohttpd asks for bytes of the body. */
static ssize_t front_read_answer(void *cls, uint64_t pos, char *p, size_t max)
{
    struct exchange *x = cls;
    size_t n;

    (void)pos;
    if (x->gone || x->cut) {
        if (x->content_length < 0 && x->head.minor == 0)
            front_reset(x);
        front_nudge(x->front, x->client);
        return MHD_CONTENT_READER_END_WITH_ERROR;
    }
    n = exchange_take_out(x, p, max);
    if (n) {
        client_deadline(x->client, loop_now_us(x->front->loop) + x->front->config.write_timeout_us);
        owner_place(x->client, CLIENT_ANSWERED); /* anew: it has taken what came before */
        return (ssize_t)n;
    }
    if (x->finished && x->content_length < 0 && x->head.minor == 0)
        front_nudge(x->front, x->client); /* its end is the close */
    if (x->finished)
        return MHD_CONTENT_READER_END_OF_STREAM;
    front_suspend(x);
    return 0;
}

/* The bytes of the answer that wait. Its buffer has none before the first of them. */
static char *front_waiting(const struct exchange *x)
{
    static char nothing[1];

    return x->out.p ? x->out.p + x->out_taken : nothing;
}

static struct MHD_Response *front_make_response(struct exchange *x)
{
    struct MHD_Response *r;
    uint64_t length = x->content_length < 0 ? MHD_SIZE_UNKNOWN : (uint64_t)x->content_length;

    if (x->finished && !exchange_is_bodyless(x) && exchange_buffered(x) <= WHOLE_ANSWER_BYTES)
        return MHD_create_response_from_buffer(exchange_buffered(x), front_waiting(x), MHD_RESPMEM_PERSISTENT);
    if (x->status == 204)
        return MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    r = MHD_create_response_from_callback(length, READER_BLOCK_BYTES, front_read_answer, x, NULL);
    /*
     * Left to itself it would announce a chunked body and send the last chunk of it even where there is none.
     */
    if (r && length == MHD_SIZE_UNKNOWN && exchange_is_bodyless(x))
        MHD_set_response_options(r, MHD_RF_HTTP_1_0_COMPATIBLE_STRICT, MHD_RO_END);
    return r;
}

/* What it does not take it has a reason for; without memory an answer would lose a header that says what it is. */
static bool front_add_header(struct MHD_Response *r, const char *name, const char *value)
{
    for (unsigned i = 0;; i++) {
        errno = 0;
        if (MHD_add_response_header(r, name, value) == MHD_YES || errno != ENOMEM)
            return true;
        if (!spare_again(i))
            return false;
    }
}

static bool front_add_headers(const struct exchange *x, struct MHD_Response *r)
{
    size_t room = front_head_room(x);
    const char *at = x->headers.n ? x->headers.p : "";
    const char *end = at + x->headers.n;
    bool all = true;

    while (at < end && all) {
        const char *value = at + strlen(at) + 1;
        size_t bytes = strlen(at) + strlen(value) + 4; /* ": " and CRLF */

        if (bytes <= room) {
            all = front_add_header(r, at, value);
            room -= bytes;
        } else {
            log_warn("a header of an answer is left out, because the head of its request leaves no room for it: %s, %zu bytes", at, bytes);
        }
        at = value + strlen(value) + 1;
    }
    if (x->front->draining || x->front->shedding)
        all = all && front_add_header(r, MHD_HTTP_HEADER_CONNECTION, "close");
    return all;
}

bool front_queue_answer(struct exchange *x)
{
    struct MHD_Response *r = front_make_response(x);
    bool queued;

    for (unsigned i = 0; !r && spare_again(i); i++)
        r = front_make_response(x);
    if (!r)
        return false;
    if (!front_add_headers(x, r)) {
        MHD_destroy_response(r);
        return false;
    }
    exchange_enter(x, X_ANSWER);
    client_deadline(x->client, loop_now_us(x->front->loop) + x->front->config.write_timeout_us);
    queued = MHD_queue_response(x->conn, (unsigned)x->status, r) == MHD_YES;
    MHD_destroy_response(r);
    return queued;
}

/*
 * libmicrohttpd cannot answer in the middle of a body. Where the rest of it is too long to be read and
 * dropped, the answer is written past it (nothing of its own is waiting to be written then), and the
 * connection is closed.
 */
void front_answer_past(struct exchange *x)
{
    const char *at = x->headers.n ? x->headers.p : "", *end = at + x->headers.n;
    struct buf head;
    struct iovec iov[2];
    struct msghdr msg = {.msg_iov = iov, .msg_iovlen = 2};

    buf_init(&head, BUF_UNLIMITED);
    buf_addf(&head, "HTTP/1.1 %d %s\r\nConnection: close\r\nContent-Length: %zu\r\n", x->status,
             MHD_get_reason_phrase_for((unsigned)x->status), exchange_buffered(x));
    while (at < end) {
        const char *value = at + strlen(at) + 1;

        buf_addf(&head, "%s: %s\r\n", at, value);
        at = value + strlen(value) + 1;
    }
    buf_add_str(&head, "\r\n");
    iov[0] = (struct iovec){head.p, head.n};
    iov[1] = (struct iovec){front_waiting(x), exchange_buffered(x)};
    /* What does not fit into the socket's buffer at once is cut, and the length tells. */
    x->delivered =
        sendmsg(x->client->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)(head.n + exchange_buffered(x));
    x->client->linger = true;
    buf_release(&head);
}
