/*
 * request: the head of one HTTP/1.1 request, read as strictly as RFC 9112 allows. What it does not like is a
 * violation: a sentence for the audit, because the sender is the proxy under test. Pure; the bytes are borrowed.
 */
#ifndef SIMULATOR_REQUEST_H
#define SIMULATOR_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "metergate/base/err.h"
#include "metergate/base/slice.h"

#define REQUEST_HEAD_MAX ((size_t)64 << 10)
#define REQUEST_HEADERS  128

struct header {
    struct slice name, value;
};

struct request {
    struct slice method, target; /* target: raw, as it came */
    struct slice path, query;    /* of the target; the query without its '?' */
    struct header headers[REQUEST_HEADERS];
    size_t n_headers;
    int64_t body_bytes; /* from Content-Length, 0 without */
    bool chunked;
    bool close; /* Connection: close */
};

/* Length of the head with its empty line when it is complete, else 0. A bare LF counts as an end here, so that it is found. */
size_t request_head_length(struct slice bytes);

/* Reads a complete head. 0, or -EBADMSG with the violation in `e`. */
int request_parse(struct request *r, struct slice head, struct errbuf *e) MG_MUSTCHECK;

/* The value of the first header of that name (any case), or NULL. */
const struct slice *request_header(const struct request *r, struct slice name);

/* The value of `key` in the query, undecoded: 0, or -ENOENT. */
int request_query(const struct request *r, const char *key, struct slice *ret);

/* As request_query, as a number; `otherwise` when it is not there or none. */
int64_t request_query_int(const struct request *r, const char *key, int64_t otherwise);

#endif
