/*
 * fault: what may go wrong with an answer, as a table. One row is one thing; a fault is a list of rows, `status:429,
 * retry_after:2`, and a plan is what all chosen faults together ask of one answer. The table is in fault.c; `--help` and
 * tests/simulator/README.md list it.
 */
#ifndef SIMULATOR_FAULT_H
#define SIMULATOR_FAULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "metergate/base/err.h"
#include "metergate/base/slice.h"

/* Every field is off while it is -1. */
struct plan {
    int64_t latency_ms;          /* before the first byte of the answer */
    int64_t event_ms;            /* before each stream event */
    int64_t hold;                /* wait for /_sim/release before the first byte */
    int64_t status;              /* answer this status with an error body */
    int64_t quota;               /* the 429 says insufficient_quota */
    int64_t retry_after;         /* seconds, in an error answer */
    int64_t retry_after_ms;      /* the header retry-after-ms, in an error answer */
    int64_t should_retry;        /* x-should-retry: 0 false, 1 true */
    int64_t close_before_read;   /* close when the request's first byte comes */
    int64_t reset_before_read;   /* the same by RST */
    int64_t close_before_answer; /* read the request, close */
    int64_t reset_before_answer; /* read the request, RST */
    int64_t close_after;         /* FIN after so many bytes of the body */
    int64_t reset_after;         /* RST after so many bytes of the body */
    int64_t stall_after;         /* silence after so many bytes of the body */
    int64_t close_event;         /* FIN after so many stream events */
    int64_t stall_event;         /* silence after so many stream events */
    int64_t length_off;          /* Content-Length says so many bytes more than come */
    int64_t length_short;        /* or so many fewer */
    int64_t bad_chunk;           /* a chunk size that is none, after so many pieces */
    int64_t garbage;             /* an answer that is not HTTP */
    int64_t split;               /* writes of so many bytes, whatever is in them */
    int64_t coalesce;            /* so many events in one write; 0: all */
    int64_t crlf;                /* stream lines end in CR LF */
    int64_t comments;            /* a stream comment before each event */
    int64_t gzip;                /* compressed, whatever was asked for */
    int64_t interim;             /* a 1xx of this status before the answer */
    int64_t interims;            /* how many of them */
    int64_t trailers;            /* chunked, with a trailer */
    int64_t close_header;        /* Connection: close, and do */
    int64_t huge;                /* a body of so many bytes */
    int64_t no_usage;            /* usage left out, as some compatible servers do */
    int64_t no_done;             /* the stream ends without [DONE] */
    int64_t stream_error;        /* an error event after so many events, inside a 200 */
    int64_t refuse_stream_options; /* 400 when the request has stream_options */
};

void plan_init(struct plan *p);

/* Sets what the text says: NAME[:NUMBER][,NAME[:NUMBER]...]. 0, or -EINVAL with the reason; *p is then unchanged. */
int plan_add(struct plan *p, struct slice text, struct errbuf *e) MG_MUSTCHECK;

/* Lists the rows. */
void fault_help(FILE *out);

/* A configured fault: which calls it is for. */
struct fault {
    char text[256];  /* the rows */
    char model[128]; /* glob over the model's name; empty: any */
    char path[128];  /* glob over the path; empty: any */
    int64_t skip;    /* the first so many matching calls are spared */
    int64_t every;   /* then each k-th, counted from the first; 1: all */
    int64_t next;    /* at most so many; -1: no end */
    int64_t matched; /* private */
    int64_t done;    /* private */
};

/* Whether this call is one of them; counts it. */
bool fault_takes(struct fault *f, struct slice model, struct slice path);

/* Whether the fault acts on connections, before there is a request to look at. */
bool fault_is_early(const struct fault *f);

#endif
