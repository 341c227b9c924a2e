/*
 * client: HTTP as a test's client speaks it: whole calls through libcurl, in this thread or in one of their own, and bare
 * sockets for what no library would send.
 */
#ifndef E2E_CLIENT_H
#define E2E_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "metergate/base/buf.h"

struct cJSON;

/* What to send. Everything is borrowed and copied by the call. */
struct client_call {
    const char *method; /* NULL: GET, or POST when there is a body */
    const char *url;
    const char *const *headers; /* "Name: value" each, NULL at the end; may be NULL */
    const char *body;           /* may be NULL */
    size_t body_bytes;          /* 0: as long as the text is */
    const char *ca_file;        /* for https */
    int64_t timeout_ms;         /* 0: 30 s */
    bool chunked;               /* send the body chunked */
};

struct client_reply {
    int status;          /* of the last head; 0 when none came */
    int error;           /* the CURLcode; 0: a complete answer */
    char error_text[256];
    struct buf head;     /* the last head, raw */
    struct buf body;     /* as it came, not decoded */
    int heads;           /* how many heads came: more than one when there were 1xx */
    int64_t start_us, head_us, end_us; /* clock_now_us at those moments */
};

void client_reply_release(struct client_reply *r);

/* The value of a header of the last head, or NULL; valid until the next such question. */
const char *client_header(const struct client_reply *r, const char *name);

/* The body as JSON; fails the test when it is none. cJSON_Delete it. */
struct cJSON *client_json(const struct client_reply *r);

/* Makes the call and waits for its end. Release the reply. */
struct client_reply client_run(const struct client_call *call);

/* ---- in the background ---- */

struct client_async;

struct client_async *client_start(const struct client_call *call);

/* Waits until the body so far contains `text`; "" waits for the head. False when the call ended without it or time is up. */
bool client_wait_body(struct client_async *a, const char *text, int64_t timeout_ms);

/* Whether the call has ended; does not wait. */
bool client_ended(struct client_async *a);

/* Closes the connection, as a client that leaves does. */
void client_leave(struct client_async *a);

/* Waits for the end, frees `a`. Release the reply. */
struct client_reply client_finish(struct client_async *a);

/* ---- bare sockets ---- */

/* Connects to 127.0.0.1:port. Fails the test when it cannot. */
int raw_connect(int port);
void raw_send(int fd, const char *bytes, size_t n);
void raw_send_text(int fd, const char *text);

/* Reads until the bytes contain `until`, or the end of the stream (NULL: only that). -ETIMEDOUT, else how many bytes came. */
int64_t raw_read(int fd, struct buf *out, const char *until, int64_t timeout_ms);

/* Sends, reads to the end of the stream (the peer closes), and closes. */
void raw_exchange(int port, const char *bytes, size_t n, struct buf *out);

#endif
