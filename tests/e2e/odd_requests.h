/*
 * odd_requests: the table that test_requests.c sends and docs/odd-requests.md shows: requests that somebody
 * gets wrong, or writes on purpose so that two programs read them differently, and what becomes of each.
 */
#ifndef E2E_ODD_REQUESTS_H
#define E2E_ODD_REQUESTS_H

#include <stdbool.h>
#include <stddef.h>

#include "metergate/base/buf.h"

struct odd_request {
    const char *chapter; /* begins one in the manual; NULL: as the row before */
    const char *name;    /* for people, Markdown */
    const char *bytes;   /* '$' stands for `filler`, `times` times */
    size_t n;
    const char *filler;
    unsigned times;
    const char *answers; /* the statuses that come back, "100 200"; "": none */
    const char *refused; /* Metergate-Refused, "" without */
    int seen;            /* requests that the provider saw */
    bool metered;        /* the call was held against a budget */
    bool stays;          /* the connection: what follows on it is answered as if it stood alone */
    const char *travels; /* the target as the provider saw it; NULL: not looked at */
    const struct odd_request *strict; /* what becomes of it with libmicrohttpd 1.0, where that is something else */
};

extern const struct odd_request odd_requests[];
extern const size_t odd_requests_count;

/* The row that holds with the libmicrohttpd that we run with: `r`, or what it says of 1.0. */
const struct odd_request *odd_request_here(const struct odd_request *r);

/* Appends what is sent: the bytes with the fillers in their places. */
void odd_request_write(const struct odd_request *r, struct buf *out);

#endif
