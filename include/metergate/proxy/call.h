/*
 * call: the life of one call.
 *
 *   RECEIVING -> COUNTING -> HELD -> SENT -> STREAMING -> SETTLED
 *        |           |         ^      |
 *        |           |         '------'   429, 503, 529, connect: back to the front of its queue
 *        '--------> SENT                  what passes through is neither counted nor held
 *                   HELD -> LEASED       a reservation (reserve.h): its program makes the call itself
 *   every state -> SETTLED                refused, cancelled, failed, completed
 *
 * call_enter is the only function that changes the state; it checks the move against a table and puts the call on the
 * list of its state. call_settle is the only way into SETTLED; it closes the attempt that is open, bumps the counters
 * and writes the log line. A call that is settled may still have an answer on its way to the client: the struct is freed
 * when the exchange is done as well (call_on_exchange_done) and no worker has it.
 *
 *   state       transfer        seat in the gate   exchange
 *   RECEIVING   -               none               alive
 *   COUNTING    -               none               alive, or gone while a worker counts
 *   HELD        -               held               alive
 *   SENT        under way       dispatched         alive; nothing of the answer was given
 *   STREAMING   under way       dispatched         alive; the answer was begun
 *   LEASED      -               dispatched         alive until it has sent the lease, then NULL
 *   SETTLED     -               none               alive until it has sent what it was given, then NULL
 * A call that passes through never has a seat.
 */
#ifndef METERGATE_PROXY_CALL_H
#define METERGATE_PROXY_CALL_H

#include <stdbool.h>
#include <stdint.h>

#include "metergate/base/buf.h"
#include "metergate/base/list.h"
#include "metergate/base/secret.h"
#include "metergate/config/config.h"
#include "metergate/dialect/answer.h"
#include "metergate/dialect/dialect.h"
#include "metergate/dialect/refusal.h"
#include "metergate/dialect/verdict.h"
#include "metergate/gate/gate.h"
#include "metergate/net/exchange.h"
#include "metergate/net/loop.h"
#include "metergate/net/upstream.h"
#include "metergate/proxy/bill.h"
#include "metergate/proxy/lease.h"
#include "metergate/proxy/route.h"

struct client;
struct counting;
struct judged;
struct ledger_row;
struct learned_model;
struct model_budget;
struct origin_search;
struct provider;
struct proxy;
struct row_hold;
struct share;

enum call_state {
    CALL_RECEIVING,
    CALL_COUNTING,
    CALL_HELD,
    CALL_SENT,
    CALL_STREAMING,
    CALL_LEASED,
    CALL_SETTLED,
    CALL_STATES
};

enum call_outcome {
    OUTCOME_COMPLETED, /* the provider's answer was given whole */
    OUTCOME_REFUSED,   /* by us, before or instead of an attempt */
    OUTCOME_CANCELLED, /* the client left */
    OUTCOME_FAILED,    /* no usable answer, or it was cut */
    OUTCOMES
};

/* Readable by all of proxy/; written by call.c, receive.c, reserve.c, send.c and relay.c, each its part. */
struct call {
    struct list link; /* on hub.calls[state] */
    enum call_state state;
    struct proxy *proxy;
    struct exchange *x; /* NULL once it is done */
    int64_t number;     /* Metergate-Request-Id, as the ledger has it (row.h) */
    char id[24];        /* and as text */

    /* receive.c: who asks for what, where it goes */
    struct route route;
    struct client *client;        /* NULL until it is known */
    struct origin_search *search; /* for it; a worker's while `counting`; owned; NULL: none is needed */
    struct provider *provider;
    const struct dialect *dialect; /* that its path speaks, as a rule the provider's; set with provider */
    enum endpoint endpoint;
    int64_t max_wait_us;
    bool credentials_stay; /* the client's were taken for a token, or for nothing: they never travel, whatever a reload says */
    enum config_priority priority; /* what it may have */
    int64_t weight;                /* of its client beside others, 1..1000 */
    struct dialect_request request;
    bool readable; /* `request` and `count` say what the body means */
    bool is_coded; /* the body has a content coding: it goes out as it came, and is never spliced */
    struct request_count count;
    int64_t counted_tokens;  /* its input, by what was learned of the model; written with `estimate` */
    int64_t referred_tokens; /* on top of it: what the provider keeps (memory.h); -1: unknown */
    int count_rc;
    const char *why_unreadable;
    struct counting *counting; /* a worker has it, and reads `body` (counting.h); owned; NULL: none has */
    int64_t produced; /* of its output: charged already, as it was produced */
    struct slice body;  /* the client's, in the exchange, or when that is gone in counting->left_body */
    struct buf spliced; /* the body that goes out, when it is not the client's own */
    bool is_spliced;

    /* the gate's side */
    struct model_budget *budget;
    struct share *share; /* of its client in that budget; NULL with it */
    struct learned_model *learned; /* of its model there; NULL: nothing is learned of it */
    enum profile profile; /* that its charge was worked out by; a reload may give the provider another */
    struct estimate estimate;
    struct ticket ticket;
    bool seated; /* the ticket is held or dispatched */
    struct spending spending; /* what it has taken out of purses */

    /* hold.c, record.c: for the ledger */
    const char *own_limit;    /* static: while it is HELD, the limit of its own client that keeps it back; NULL: none */
    const char *refused_for;  /* static: the limit that it was refused for, or "price"; NULL: none */
    bool refused_by_client;   /* it is the client's own */
    struct row_hold *holds;   /* what kept it waiting until it went, by the loop's clock; owned */
    int hold_count;
    struct ledger_row *row;   /* of the attempt that is under way; NULL: there is none, or nothing is kept */

    /* while it is HELD: keepalive.c, patience.c, places.c */
    struct list told;           /* in keepalive.told */
    int64_t told_us;            /* when its client last heard of it */
    struct loop_timer patience; /* before the client gives up */
    struct secret_fingerprint body_print; /* of `body`, once has_body_print */
    bool has_body_print;

    struct lease lease; /* open while it is LEASED (reserve.c) */

    /* send.c, relay.c: attempts and the answer */
    struct transfer *transfer;
    int attempts;       /* made */
    int refusals;       /* 429s in a row, up to some */
    int attempts_spent; /* of retry.attempts (retry.h) */
    int64_t attempt_us; /* when the last one went */
    bool is_probe;      /* the upstream's breaker was open then */
    struct answer *answer;
    struct buf out;        /* what answer_feed made of one piece; empty between callbacks */
    int status;            /* of the answer given, or of our refusal; 0 when there was none */
    bool ends_by_close;    /* nothing frames the answer: only its text can tell whether it was cut */
    struct judged *judged; /* an error answer that is collected before it is judged (relay.c); owned; NULL: none */
    bool upload_paused;
    bool never_sent;       /* the attempt failed before the provider can have seen any of it */
    struct usage used;     /* of the attempt that was closed last */
    int64_t cost_nano;        /* of it, once it is settled; PRICE_UNKNOWN */
    const char *usage_source; /* of it: "provider", "counted", "estimated", or "none" without an attempt */

    /* times, CLOCK_BOOTTIME; 0 where it did not come to that */
    int64_t arrived_us, held_us, dispatched_us, first_byte_us, settled_us;
    int64_t sent_us;   /* when its last attempt had left whole */
    int64_t queued_us; /* all the time spent HELD */

    enum call_outcome outcome;
    const char *reason; /* static: why it ended so */
};

/* A call for the exchange, RECEIVING. */
struct call *call_new(struct proxy *p, struct exchange *x);

/* Moves to another state but SETTLED. */
void call_enter(struct call *c, enum call_state to);

/*
 * The end, exactly once. `usage` is what the provider reported; NULL: nothing was, and an attempt that is open is closed
 * as a lost answer (or with what was counted of it).
 */
void call_settle(struct call *c, enum call_outcome outcome, const char *reason, const struct usage *usage);

/*
 * Answers with a refusal in the shape of the caller's dialect and settles; an attempt that is open is
 * aborted. Nothing of an answer may have been given.
 */
void call_refuse(struct call *c, const struct refusal *r);

/* Writes the model and budget of a call that has one into a refusal, and the limit that keeps it back, unless that is
 * a pause, or those before it; and the client where the limit is its own. */
void call_name_what_binds(const struct call *c, struct refusal *r);

/* Refuses a call with a budget because its turn would come after its deadline: in `wait_us` from now. */
void call_refuse_max_wait(struct call *c, int64_t wait_us);

/* Refuses it because there is no memory for it: 429 queue-full, to be tried again in a second. */
void call_refuse_for_memory(struct call *c);

/* Ends it now, in the middle of its answer: the client gets an unclean end. */
void call_give_up(struct call *c, const char *reason);

/*
 * The daemon ends now. Who has nothing of an answer yet is told to come again; an answer that was begun, or a request
 * that is still being read, gets an unclean end.
 */
void call_stop(struct call *c);

/*
 * The attempt was refused (429, no connection): it costs a request; the call waits at the front of its queue. When it
 * cannot go before until_us, and its deadline is earlier, it is refused, and told to wait for told_us.
 */
void call_back_to_queue(struct call *c, int64_t until_us, int64_t told_us);

/* Its attempt was answered 429: call it before call_back_to_queue. */
void call_count_refusal(struct call *c);

/* Whether its answer is made of tokens that are charged: of embeddings and of images it is not. */
bool call_has_output(const struct call *c);

/* What its attempt will probably use, input and output. */
int64_t call_estimated_tokens(const struct call *c);

/* The client has left: in any state. */
void call_on_gone(struct call *c);

/* The exchange ends with this call of ours, `complete` as in front.h; the call is freed as soon as nobody else
 * has it. */
void call_on_exchange_done(struct call *c, bool complete);

/* A worker gave the call back; true when it was freed because it was over. */
bool call_reap(struct call *c);

/* Frees a settled call whose worker will not give it back any more: at the very end. */
void call_free_left(struct call *c);

const char *call_state_name(enum call_state s);
const char *call_outcome_name(enum call_outcome o);

#endif
