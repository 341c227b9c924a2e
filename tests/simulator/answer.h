/*
 * answer: one HTTP answer on its way out, with whatever the plan wants to go wrong on the wire. Every function does
 * nothing once the answer is over, so a handler writes straight through and looks at `state` at the end.
 */
#ifndef SIMULATOR_ANSWER_H
#define SIMULATOR_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fault.h"
#include "gzip.h"
#include "metergate/base/buf.h"
#include "metergate/base/err.h"
#include "metergate/base/slice.h"

struct sim;
struct wire;

struct answer {
    enum {
        ANSWER_OPEN, /* nothing, or not all of it, was written */
        ANSWER_DONE, /* complete, as far as the plan allows */
        ANSWER_GONE, /* the client left before that */
        ANSWER_CUT   /* a fault ended it */
    } state;           /* readable */
    int status;        /* readable: 0 while no head was written */
    bool close;        /* readable: the connection must close after this */
    bool reset;        /* readable: by RST */
    void (*on_last)(void *arg); /* called once, before the bytes that complete the answer are written; may be NULL */
    void *arg;
    struct sim *sim;   /* borrowed */
    struct wire *wire; /* borrowed */
    const struct plan *plan;
    struct buf headers; /* private: extra lines */
    struct buf out;     /* private: composed, not yet written */
    struct gzip gzip;   /* private */
    int64_t body_bytes; /* private: written of the body, before framing */
    int64_t pieces;     /* private: chunks begun */
    int64_t events_begun; /* private: all that came, put off or not */
    int64_t waiting;    /* private: events put off by `coalesce` */
    struct buf events;  /* private: those */
    bool head_only, chunked;
};

void answer_init(struct answer *a, struct sim *sim, struct wire *wire, const struct plan *plan, bool head_only);
void answer_release(struct answer *a);

/* One more header line. */
void answer_header(struct answer *a, const char *fmt, ...) MG_PRINTF(2, 3);

/* The place for header lines that others print, each with its CR LF. */
struct buf *answer_headers(struct answer *a);

/* Silence, during which the client may leave. */
void answer_pause(struct answer *a, int64_t ms);

/* Calls on_last now, if it was not called yet: the answer is complete for who knows its language. */
void answer_last(struct answer *a);

/* The head with its 1xx before it, the whole body, the end. */
void answer_whole(struct answer *a, int status, const char *type, struct slice body);

/* The same in pieces: the body comes through answer_piece (any bytes) or answer_event (one stream event). */
void answer_begin(struct answer *a, int status, const char *type);
void answer_piece(struct answer *a, struct slice bytes);
void answer_event(struct answer *a, struct slice json);
void answer_named_event(struct answer *a, const char *name, struct slice json);
void answer_end(struct answer *a);

#endif
