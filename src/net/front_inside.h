/*
 * front_inside: what front.c (libmicrohttpd), port.c (accepting), client.c (connections), owner.c (whose they are),
 * exchange.c (requests and answers), plain_head.c and misread.c (requests that are none) know of each other. Nobody
 * else includes it.
 *
 * Ownership: the front has a list of clients; a client has at most one exchange (HTTP/1.1 answers in order);
 * libmicrohttpd has the descriptor and closes it. A client lives from accept to NOTIFY_CLOSED, an exchange
 * from its request line to NOTIFY_COMPLETED; both are buried, not freed, because events of the running turn
 * may point to them.
 */
#ifndef METERGATE_NET_FRONT_INSIDE_H
#define METERGATE_NET_FRONT_INSIDE_H

#include "metergate/base/buf.h"
#include "metergate/base/clock.h"
#include "metergate/base/list.h"
#include "metergate/base/map.h"
#include "metergate/net/front.h"
#include "metergate/net/linger.h"
#include "metergate/net/peer.h"
#include "metergate/net/relief.h"

struct MHD_Connection;
struct MHD_Daemon;

/* One libmicrohttpd daemon. Dirty: it must be run before the loop sleeps. */
struct shard {
    struct front *front;
    struct list clients; /* its connections */
    struct MHD_Daemon *daemon;
    struct loop_watch watch; /* its epoll descriptor inside ours */
    struct list dirty;       /* in front.dirty */
};

/* All who have a connection. */
struct owners {
    struct map by_key;
    struct list all;
};

struct front {
    struct loop *loop;
    const struct front_ops *ops;
    void *ctx;
    struct front_config config; /* with the defaults filled in */

    struct shard *shards;
    unsigned next_shard;
    struct client *accepting; /* the client that MHD_add_connection is being called for */

    struct list ports;
    struct owners owners;
    unsigned leaving; /* clients that were told to make room and are not closed yet */
    struct list clients;
    struct list kicked;  /* exchanges to be resumed at the end of the turn */
    struct list drained; /* exchanges that owe an on_drain */
    struct list nudged;  /* clients that libmicrohttpd must look at */
    struct list dirty;   /* shards */
    struct lingering lingering;
    struct loop_task flush;
    struct loop_timer again;        /* set while a shard has more to do than one turn should give it */
    struct loop_timer accept_retry; /* set while accepting is off */
    int64_t starved_said_us;        /* when the log was told last that descriptors are wanting, */
    int64_t full_said_us;           /* that all connections are taken, */
    int64_t misread_said_us;        /* and that somebody does not speak HTTP */
    bool accepting_off;
    bool draining; /* every answer is the last of its connection */
    bool shedding; /* likewise, as long as memory is short */
    unsigned shed_clients; /* that came meanwhile and are still there */
    bool stopping; /* inside front_free */

    struct relief relief;
    struct front_stats stats;
};

/*
 * libmicrohttpd misses an end that came in the same packet as data, and would wait for more. So a client that
 * has left gets this long for what is still in its socket.
 */
#define CLIENT_LEFT_GRACE_US (100 * CLOCK_MS)

/* What a connection is doing, as far as it matters when one must go. */
enum client_place {
    CLIENT_IDLE,     /* no request: none has come yet, or the last one is answered */
    CLIENT_ASKING,   /* the rest of a request is waited for */
    CLIENT_ANSWERED, /* it has bytes of an answer to take */
    CLIENT_PLACES,
    CLIENT_BUSY = CLIENT_PLACES, /* it waits for us: never closed to make room */
};

/* One accepted connection. */
struct client {
    struct owner *owner;
    struct list of_owner; /* in owner.places[place], unless BUSY */
    enum client_place place;
    int64_t placed_us;
    bool told_to_leave; /* counted in front.leaving */
    struct list clients;  /* in front.clients */
    struct list of_shard; /* in shard.clients */
    struct list nudged;   /* in front.nudged */
    struct front *front;
    struct shard *shard;
    struct MHD_Connection *conn;
    struct exchange *exchange; /* NULL between requests */
    int fd;                    /* libmicrohttpd's; valid until NOTIFY_CLOSED */
    struct net_addr peer, local;
    struct loop_watch watch; /* EPOLLRDHUP, edge-triggered */
    bool left;               /* the peer has closed its side, or all of it */
    bool asked_who;          /* the kernel was: */
    int who_rc;              /* 0, or why it names nobody */
    struct peer who;
    bool has_origin;
    char origin[EXCHANGE_ORIGIN_SIZE];
    bool served; /* a request of it has ended */
    bool shut;   /* we have ended it */
    bool expected; /* in front.stats.expected */
    bool shed;   /* it came while memory was short: counted in front.shed_clients */
    bool linger; /* closing with unread bytes of a body: see linger.c */

    int64_t deadline_us; /* CLOCK_NEVER: none. The timer may be set earlier; it then moves itself. */
    struct loop_timer timer;
};

/* Which list or callback an exchange is with. */
enum xstate {
    X_HEAD,   /* the request line was seen; not announced */
    X_BODY,   /* announced; its body is read, or dropped */
    X_WAIT,   /* the whole request is there, the answer is not; suspended */
    X_ANSWER, /* libmicrohttpd has the answer; suspended while it wants bytes that are not there */
    X_DONE,   /* on_done was called, or will never be */
};

enum xbody { XBODY_DROP, XBODY_BUFFER, XBODY_STREAM };

struct exchange {
    struct front *front;
    struct client *client;
    struct MHD_Connection *conn;
    struct list kicked;  /* in front.kicked: implies suspended */
    struct list drained; /* in front.drained */
    void *user;
    uint64_t id;
    enum xstate state;

    bool announced; /* on_head or on_bad was called: on_done is owed */
    bool bad;       /* on_bad was called: nothing of the request is believed, the connection closes */
    bool suspended; /* libmicrohttpd leaves the connection alone until it is kicked */
    bool gone;      /* the client left with an answer owed: nothing is sent any more */

    /* the request */
    char *target;
    struct http_head head; /* its headers are owned, what they say is libmicrohttpd's */
    struct http_framing framing;
    bool expects_continue;
    enum xbody body_mode;
    bool paused;          /* on_chunk is not wanted */
    int body_rc;          /* 0, or why the body was refused */
    size_t body_max;      /* XBODY_BUFFER */
    int64_t body_seen;    /* bytes read of it so far */
    int64_t body_dropped; /* of these, bytes that nobody wanted */
    int64_t pace_us;      /* when the client was last told to go on with the body, and */
    int64_t pace_seen;    /* body_seen at that moment */
    int64_t owner_bytes;  /* of `body`, as long as it is not complete: counted in owner.body_bytes */
    struct buf body;

    /* the answer */
    bool started;   /* status and headers are given */
    bool finished;  /* the last byte of it is in `out`, or has left it */
    bool delivered; /* it was written past libmicrohttpd */
    bool cut;       /* it shall end unclean */
    bool over_high; /* `out` was over the high mark and has not yet drained */
    int status;
    struct buf headers;     /* "name\0value\0" ... */
    int64_t content_length; /* -1: not known */
    int64_t written;
    struct buf out; /* bytes from out_taken on wait for the client */
    size_t out_taken;
};

/* ---- client.c ------------------------------------------------------------------------------------------ */

/* Wraps an accepted descriptor. */
struct client *client_new(struct front *f, int fd, const struct net_addr *peer);

/* The watch for its leaving is on from here to client_close. */
void client_open(struct client *c);
void client_close(struct client *c);

/* At `at_us` the connection is shut down, unless the deadline was moved or cleared (CLOCK_NEVER) before. */
void client_deadline(struct client *c, int64_t at_us);

/* Who is at its other end: what peer_look says, asked once. 0: c->who. */
int client_who(struct client *c);

/* For drains: ends it, or counts it as expected, if it has no request. */
void client_last_call(struct client *c);

/* Its request has come, or will not any more. */
void client_not_expected(struct client *c);

/* Ends the connection whatever state libmicrohttpd is in; it notices through its own epoll. */
void client_shutdown(struct client *c);

/* ---- owner.c ------------------------------------------------------------------------------------------- */

/*
 * Whose connections these are: the local user's, as far as the kernel knows him, else those of one address (of IPv6, of
 * one /64). Lives as long as one of them.
 */
struct owner {
    struct list all;                   /* in owners.all */
    struct list places[CLIENT_PLACES]; /* each: who is there the longest comes first */
    unsigned connections;
    int64_t body_bytes; /* of bodies that are not complete yet */
    char key[64];
};

void owners_init(struct owners *os);
void owners_release(struct owners *os); /* asserts that nobody is left */

void owner_join(struct client *c);
void owner_leave(struct client *c);

/* It is doing that from now on. */
void owner_place(struct client *c, enum client_place place);

/*
 * Ends one connection so that another one may come: of the owner who has most, if he has his even share; one that is idle
 * since room_idle_us, else one that has been asking or being answered for room_slow_us; always the one that has done so the
 * longest. False: there is none.
 */
bool owners_make_room(struct front *f);

/* Answers in memory are too many: ends the connection whose client has not taken any of his for the longest, if that is at
 * least room_slow_us. */
void owners_drop_unread(struct front *f);

/* ---- port.c -------------------------------------------------------------------------------------------- */

void ports_init(struct front *f);

/* No more connections. */
void ports_close(struct front *f);

/* A connection has ended, or could be ended: there may be room to accept again. */
void ports_retry(struct front *f);

/* ---- exchange.c ---------------------------------------------------------------------------------------- */

struct exchange *exchange_new(struct client *c, struct MHD_Connection *conn, const char *target);

/* Frees what it owns and buries it. */
void exchange_bury(struct exchange *x);

void exchange_enter(struct exchange *x, enum xstate to);

/* The head is complete: announces it, or with a sentence in `fault` that it is bad. */
void exchange_announce(struct exchange *x, const char *fault);

/*
 * The request cannot be read to its end: announces that with the status to answer, and `why`. Nothing happens
 * when an answer was begun already, or the client is gone.
 */
void exchange_spoil(struct exchange *x, int status, const char *why);

/* A piece of the request's body; false: read no further. */
bool exchange_take_piece(struct exchange *x, const char *p, size_t n);

/* The client may go on with the body, from now on at the pace that it must keep. */
void exchange_await_body(struct exchange *x);

/* The request is complete. */
void exchange_end_body(struct exchange *x);

/*
 * An answer is there, but the body is not: whether to answer without reading the body (the connection closes
 * then).
 */
bool exchange_answers_early(const struct exchange *x);

/* The client left: on_gone if an answer is owed, and the connection is brought down. */
void exchange_lose(struct exchange *x);

/* Calls on_done if it is owed. */
void exchange_end(struct exchange *x, bool complete);

/* HEAD, 204, 304: an answer without a body whatever its headers say. */
bool exchange_is_bodyless(const struct exchange *x);

/* Moves up to `max` bytes of the answer to `p`; counts, and queues on_drain. */
size_t exchange_take_out(struct exchange *x, char *p, size_t max);

/* ---- plain_head.c -------------------------------------------------------------------------------------- */

/*
 * NULL, or what in the bytes is otherwise than the head says. `method`, `url` and `version` are where
 * libmicrohttpd found them, and so are the header slices, values untrimmed; the target is our copy of the
 * whole of it. The head is so many `bytes` long, from the method to the end of the empty line.
 */
const char *plain_head_check(const struct http_head *h, const char *method, const char *url,
                             const char *version, size_t bytes);

/* ---- misread.c ----------------------------------------------------------------------------------------- */

/* libmicrohttpd is about to refuse what one of the shard's clients sent, with that status and page. */
void misread_answer(struct shard *s, int status, const char *page);

/* It is not waited for any longer: answers 408 if a part of a request has come, and ends the connection. */
void misread_end(struct client *c);

/*
 * A connection is over that never had a request, and it was not us who ended it: says so in the log, once a second at
 * most, unless nothing came on it at all.
 */
void misread_closed(const struct client *c);

/* ---- front.c ------------------------------------------------------------------------------------------- */

/* A suspended exchange is resumed at the end of the turn; nothing happens to one that is not suspended. */
void front_kick(struct front *f, struct exchange *x);
void front_queue_drain(struct front *f, struct exchange *x);

/* libmicrohttpd will look at the connection at the end of the turn, though no event tells it to. */
void front_nudge(struct front *f, struct client *c);

/* libmicrohttpd leaves it alone until it is kicked. Nothing is expected of the client meanwhile, so it has no deadline. */
void front_suspend(struct exchange *x);


/* A connection or a body has gone: perhaps the last of a crowd. */
void front_look_for_relief(struct front *f);

/* Gives an accepted descriptor to libmicrohttpd. 0, or -ENOMEM: then it is closed. */
int front_add_client(struct front *f, int fd, const struct net_addr *peer);

/* ---- front_answer.c ------------------------------------------------------------------------------------ */

/* libmicrohttpd's memory for the heads of a connection's request and answer, and a chunk; 0.9.75 maps a larger one, and wipes it. */
#define POOL_BYTES ((size_t)32 * 1024)

#define HEAD_TOO_LARGE "the head of the request is larger than 28 KiB" /* FRONT_HEAD_BYTES */

/*
 * What the head of the request has left of the pool for that of the answer. A request that leaves less than POOL_BYTES - FRONT_HEAD_BYTES
 * is refused, past libmicrohttpd.
 */
size_t front_head_room(const struct exchange *x);

/* The answer has begun: gives it to libmicrohttpd. False: the connection is to be closed. Headers that have no room are left out. */
bool front_queue_answer(struct exchange *x);

/*
 * Writes the finished answer of `x` to the socket, past libmicrohttpd, which has nothing of its own to write
 * there now. What it would write later must be kept from the client: by its callback's answer, or by a
 * shutdown.
 */
void front_answer_past(struct exchange *x);

#endif
