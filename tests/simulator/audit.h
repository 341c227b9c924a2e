/*
 * audit: what the provider saw, for tests to read. Guarded by the lock of struct sim. The last 10,000 arrivals of each
 * account (a model, or all that is no model's) are kept whole; counters and violations since the last reset.
 */
#ifndef SIMULATOR_AUDIT_H
#define SIMULATOR_AUDIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "metergate/base/slice.h"

struct buf;

#define AUDIT_ARRIVALS   10000
#define AUDIT_VIOLATIONS 1000

/* One request that was read whole. */
struct arrival {
    int64_t t_us;    /* when its last byte reached this machine */
    int64_t end_us;  /* when the last bytes of the answer were about to go; 0: in flight */
    int status;      /* 0: none was sent */
    int64_t input;   /* tokens of the prompt */
    int64_t output;  /* tokens of the answer, so far as it came */
    int64_t charged; /* tokens, on arrival */
    int64_t body_bytes;
    char sha256[65]; /* of the body, in hex */
    char fault[256]; /* what was asked to go wrong; may be empty */
    char *method;    /* owned */
    char *target;    /* owned; raw */
    char *headers;   /* owned; a JSON array of [name, value] */
    int64_t connection;
    bool aborted; /* the client closed before the answer was complete */
    bool open;    /* private: somebody may still write to it */
    bool evicted; /* private: out of the ring while open: its closing frees it */
};

struct arrivals {
    struct arrival **ring; /* private: oldest at `head` */
    size_t n, head;        /* private */
    int64_t count;         /* readable: all that came */
    int64_t n429, aborted, completed;
    int64_t in_flight, peak_in_flight;
    int64_t first_us, last_us, last_end_us; /* readable: of those that count: arrivals, and the last end; 0: none */
};

void arrivals_init(struct arrivals *a);
void arrivals_release(struct arrivals *a);

/* Empties it; those in flight are forgotten when they end, and stay counted until then. */
void arrivals_reset(struct arrivals *a);

struct arrival *arrival_new(void);
void arrival_free(struct arrival *arrival);

/* Takes the arrival over; it may be written to until arrivals_close. */
void arrivals_add(struct arrivals *a, struct arrival *arrival);

/* The answer is complete but for its last write: end_us and status are set. Once. */
void arrivals_end(struct arrivals *a, struct arrival *arrival);

/* The call is over, after arrivals_end; `aborted` when the last write failed, or an earlier one. */
void arrivals_close(struct arrivals *a, struct arrival *arrival, bool aborted);

/* The counters as JSON members: "arrivals":N,... and "list":[...] of the last `limit`, times from start_us. makespan_us is
 * from the first arrival to the last end; it and the times before it are 0 as long as there is none. */
void arrivals_print(const struct arrivals *a, struct buf *out, int64_t limit, int64_t start_us);

/* ---- violations ---- */

struct violations {
    char *texts[AUDIT_VIOLATIONS]; /* owned */
    int64_t count;                 /* readable; may be more than are kept */
};

void violations_release(struct violations *v);
void violations_add(struct violations *v, const char *text);
void violations_print(const struct violations *v, struct buf *out); /* a JSON array */

/* A JSON string with its quotes; bytes that are not ASCII are copied as they are. */
void audit_quote(struct buf *out, struct slice text);

#endif
