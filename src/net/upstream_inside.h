/*
 * upstream_inside: what upstream.c (the pool: when a transfer runs) and transfer.c (one transfer: what is
 * sent and what comes back) know of each other. Nobody else includes it.
 */
#ifndef METERGATE_NET_UPSTREAM_INSIDE_H
#define METERGATE_NET_UPSTREAM_INSIDE_H

#include <curl/curl.h>

#include "metergate/base/buf.h"
#include "metergate/base/clock.h"
#include "metergate/base/list.h"
#include "metergate/net/answer_head.h"
#include "metergate/net/upstream.h"

/* A CURLM: its transfers and its own cache of kept connections. */
struct lane {
    struct upstream_pool *pool;
    CURLM *multi; /* NULL: not in use */
    unsigned active;
    bool due;                     /* in want of CURL_SOCKET_TIMEOUT before the loop sleeps */
    bool broken;                  /* curl may have lost sight of a descriptor for want of memory: see lane_give_up */
    struct loop_timer timer;      /* what curl asked for */
    struct loop_timer idle_timer; /* set while no transfer is active: then all is closed */
    struct list socks;
};

/* A descriptor of libcurl. One for each number that was ever used; never freed before the pool. */
struct sock {
    struct list socks; /* in lane.socks while open and made by sock_open */
    struct lane *lane;
    int fd;
    struct loop_watch watch; /* may watch for more than `want`: narrowed when that shows */
    uint32_t want;           /* what curl asked for: EPOLLIN, EPOLLOUT, both or nothing */
    bool published; /* a connection that has carried a request; curl closes it through our callback */
    int local_port, remote_port;
    char remote_ip[48];
    struct transfer *transfer; /* that it carries now; NULL */
};

struct upstream_pool {
    struct loop *loop;
    struct upstream_config config; /* with the defaults filled in */
    CURLSH *share;                 /* names and TLS sessions, for all lanes */
    struct lane *lanes;
    unsigned lane_n;
    struct sock **socks; /* by descriptor */
    int sock_cap;

    struct list waiting;  /* transfers for a slot */
    struct list running;  /* transfers in a lane */
    struct list unpaused; /* running ones that curl must be told about */
    struct list dead;     /* aborted inside a callback of curl */
    struct loop_task task;
    int depth;           /* calls of curl on the stack: it must not be entered again */
    unsigned connecting; /* transfers in T_CONNECT */
    bool owes_room;      /* it was full: on_room is to be called */
    struct loop_timer starving; /* set after a socket could not be had: nothing is started meanwhile */
    int64_t starved_said_us;    /* when the log was told last */
    struct upstream_stats stats;
};

enum tstate {
    T_WAITING, /* in pool.waiting */
    T_CONNECT, /* in a lane: name, connection, TLS */
    T_AWAIT,   /* the request is being sent, or was; no head yet */
    T_BODY,    /* the head was delivered */
    T_ENDED,   /* no callback any more */
};

struct transfer {
    struct list pooled;   /* in waiting, running or dead */
    struct list unpaused; /* in pool.unpaused */
    struct upstream_pool *pool;
    struct lane *lane; /* NULL while waiting */
    struct sock *sock; /* that carries it; NULL before */
    const struct transfer_ops *ops;
    void *ctx;
    enum tstate state;
    CURL *easy;
    struct curl_slist *headers; /* an array, each linked to the next; owned, and so is */
    struct buf lines;           /* what they say, each with its NUL */
    const struct trust *trust;

    bool https, safe; /* safe: may be repeated without asking */
    bool has_body, streamed;
    int64_t body_bytes;
    bool incomplete;         /* curl had no memory for a part of what it was told */
    int64_t refusals;        /* spare_refusals() when it was put into its lane */
    unsigned starvations;    /* how often it was put back for want of memory */
    bool reused;    /* over a kept connection */
    bool opened;    /* a socket was made for it since it was last sent */
    bool starved;   /* none could be, for want of descriptors */
    bool stale;     /* the kept connection that curl chose has input that nobody asked for: another is to be used */
    bool unacked;   /* the connection died with bytes of the request not acknowledged */
    unsigned sends; /* how often the request was begun to be sent */
    bool sent;      /* on_sent's condition was seen */
    bool refused_repeat;

    bool paused;      /* on_data is not wanted */
    bool recv_paused; /* and curl was told so */

    /* streamed upload */
    struct buf upload;
    size_t upload_taken;
    bool upload_finished, upload_over_high;
    bool send_paused; /* curl waits for more */
    bool head_torn;   /* the request's head was not sent at once: its body must not follow */

    struct answer_head head;
    size_t tunnel_bytes, trailer_bytes; /* of a proxy's answer to CONNECT, and behind the body */
    enum transfer_result verdict; /* why we ended it ourselves, with `why`; TRANSFER_OK: we did not */
    const char *why;
    char error[CURL_ERROR_SIZE];

    struct loop_timer timer;
    int64_t check_at_us, check_step_us; /* next look at the send queue; CLOCK_NEVER: no more */
    int64_t progress_us;                /* last sign of life in the present state */
    int64_t sent_bytes;                 /* of the body, at the last look */
    int64_t first_byte_us, idle_us;
};

/* ---- transfer_request.c -------------------------------------------------------------------------------- */

/* Makes the easy handle. -EINVAL, -ENOMEM. */
int transfer_prepare(struct transfer *t, const struct transfer_request *request);

/* ---- transfer.c ---------------------------------------------------------------------------------------- */

/* Tells curl whom to call, on a handle that is otherwise ready. */
void transfer_set_callbacks(struct transfer *t, const struct transfer_request *request);

/* Everything but the list membership; on no list and out of its lane. */
void transfer_free(struct transfer *t);

/* It was put into a lane. */
void transfer_begin(struct transfer *t);

/* curl gave up before anything was sent, and allocations have failed since it began. */
bool transfer_lacks_memory(const struct transfer *t, CURLcode code);

/* curl is done with it: what is to be told. */
enum transfer_result transfer_judge(const struct transfer *t, CURLcode code, const char **ret_why);

/* Its connection is being closed: notes whether the peer can have had the whole request. */
void transfer_lose_sock(struct transfer *t);

/* Tells curl what is paused and what is not. */
void transfer_unpause(struct transfer *t);

/* ---- upstream.c ---------------------------------------------------------------------------------------- */

/* Removes it from its lane and calls on_end. Not inside curl. */
void pool_end(struct transfer *t, enum transfer_result r, const char *why);

/* curl will be told at the end of the turn. */
void pool_unpause(struct transfer *t);

/* Lets curl work: something has come up on `fd`, or with CURL_SOCKET_TIMEOUT it is time. Not inside curl. */
void lane_drive(struct lane *lane, curl_socket_t fd, int what);

/* ---- sock.c -------------------------------------------------------------------------------------------- */

/* For CURLMOPT_SOCKETFUNCTION: curl says what it waits for on a descriptor. */
int sock_on_want(CURL *easy, curl_socket_t fd, int what, void *lane, void *unused);

/* The transfer goes over the connection with these ends; NULL when it is not known. */
struct sock *pool_find_sock(struct transfer *t, const char *remote_ip, int remote_port, int local_port);

/* New bytes, or the end, of what a socket sends: nothing is left in the send queue. */
bool sock_is_drained(const struct sock *s);

/* Bytes, or the end, are there to be read. */
bool sock_has_input(const struct sock *s);

/* CURL_SOCKET_BAD with errno. */
curl_socket_t pool_open_socket(void *ctx, curlsocktype purpose, struct curl_sockaddr *address);
int pool_close_socket(void *ctx, curl_socket_t fd);

#endif
