/* receive: from a request's head to a seat in the gate: the front's callbacks for requests. `ctx` is the struct proxy. */
#ifndef METERGATE_PROXY_RECEIVE_H
#define METERGATE_PROXY_RECEIVE_H

#include <stddef.h>

struct exchange;

void receive_head(void *ctx, struct exchange *x);
void receive_bad(void *ctx, struct exchange *x, int status, const char *why);
void receive_body(void *ctx, struct exchange *x, int rc);
void receive_chunk(void *ctx, struct exchange *x, const char *p, size_t n);
void receive_body_end(void *ctx, struct exchange *x);

#endif
