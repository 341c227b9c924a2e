/*
 * body: the body of a request, read as strictly as its head, hashed as it comes.
 */
#ifndef SIMULATOR_BODY_H
#define SIMULATOR_BODY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "metergate/base/buf.h"
#include "metergate/base/err.h"

struct request;
struct wire;

#define BODY_MAX          ((int64_t)1 << 30)
#define BODY_SILENCE_US   INT64_C(60000000)
#define BODY_KEPT_BYTES   ((size_t)256 << 20)

struct body {
    int64_t bytes;
    char sha256[65];
    struct buf kept; /* the bytes, when they were to be kept */
};

void body_release(struct body *b);

/* Reads all of it from the wire. 0; -EBADMSG with the violation in `e`; -EPIPE when the client left. `b` must be released. */
int body_read(struct body *b, const struct request *r, struct wire *w, bool keep, struct errbuf *e) MG_MUSTCHECK;

#endif
