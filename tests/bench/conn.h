/*
 * conn: one HTTP/1.1 connection of a client, without blocking. A request is bytes, sent as they are; of the answer the
 * status is read and its end is found (Content-Length, or the last chunk).
 */
#ifndef BENCH_CONN_H
#define BENCH_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct conn {
    int fd;
    const char *out; /* borrowed until it is sent */
    size_t out_n, out_at;
    char head[2048]; /* of the answer, as far as it has come */
    size_t head_n;
    bool in_body, chunked;
    int64_t body_left;
    char tail[5]; /* the last bytes of a chunked body */
    int status;
    int64_t began_ns;
};

enum conn_event {
    CONN_MORE,   /* nothing to tell yet */
    CONN_ANSWER, /* the answer is complete; the connection is free */
    CONN_BROKEN, /* closed, or no HTTP */
};

/* Connects to 127.0.0.1:port; ends the program when it cannot. */
void conn_open(struct conn *c, int port);

/* From 127.0.0.HOST: each has ports of its own. `rcvbuf` 0: the system's choice. */
void conn_open_from(struct conn *c, int port, int host, int rcvbuf);
void conn_close(struct conn *c);

void conn_send(struct conn *c, const char *bytes, size_t n);

/* Whether bytes of the request still wait for room. */
bool conn_is_sending(const struct conn *c);

/* Sends and reads what can be now. What came of a body is shown to `on_body`, unless it is NULL. */
enum conn_event conn_turn(struct conn *c, void (*on_body)(void *ctx, const char *p, size_t n), void *ctx);

#endif
