/*
 * counting: what a worker has of a call while it counts the body, or looks for who is asking: all that must outlive the
 * request of a client that leaves meanwhile. A call has one only then (call.h: c->counting), and who is held has none.
 */
#ifndef METERGATE_PROXY_COUNTING_H
#define METERGATE_PROXY_COUNTING_H

#include <stddef.h>

#include "metergate/base/buf.h"
#include "metergate/base/slice.h"
#include "metergate/dialect/dialect.h"
#include "metergate/proxy/worker.h"

struct call;

/* What a body is read by. Borrowed: of the exchange, or of a `counting`. */
struct counted_input {
    struct dialect_input input;
    struct slice coding; /* of the body; empty: none */
    size_t max_decoded_bytes;
};

struct counting {
    struct worker_job job;     /* private */
    struct call *call;         /* readable */
    struct counted_input read; /* its texts are in `about`; the body is the call's */
    struct buf about;          /* private */
    struct buf left_body;      /* the client's, when the exchange is gone */
};

/*
 * Gives the call to a worker: `work` in its thread, then `done` in the loop's, which must call counting_end. What `in` borrows is
 * copied but for the body; NULL: nothing is to be read. All memory is the call's from here to counting_free.
 */
void counting_begin(struct call *c, const struct counted_input *in, void (*work)(struct worker_job *job),
                    void (*done)(struct worker_job *job));

/* The one whose job it is. In any thread. */
struct counting *counting_of(struct worker_job *job);

/* The worker has given it back: the call, which has none any more. */
struct call *counting_end(struct worker_job *job);

/* Frees the call's, if it has one: its worker gave it back, or has been stopped. */
void counting_free(struct call *c);

#endif
