/*
 * relay: the provider's answer on its way to the client: the callbacks of a transfer. `ctx` is the struct call.
 *
 * An error answer that might be retried (429, 503, 529) is collected, bounded, and judged before the client sees any of
 * it; everything else goes on at once.
 */
#ifndef METERGATE_PROXY_RELAY_H
#define METERGATE_PROXY_RELAY_H

#include <stddef.h>

#include "metergate/net/upstream.h"

struct call;

void relay_sent(void *ctx, struct transfer *t);
void relay_head(void *ctx, struct transfer *t, const struct transfer_head *h);
void relay_data(void *ctx, struct transfer *t, const char *p, size_t n);
void relay_upload_drained(void *ctx, struct transfer *t);
void relay_end(void *ctx, struct transfer *t, enum transfer_result r, const char *why);

/* Nothing was sent, for want of memory: refused as 429, and it says nothing of the provider. */
void relay_no_memory(struct call *c, const char *why);

/* The request could not be written as HTTP: refused as 502. */
void relay_unsendable(struct call *c);

/* Frees what was collected of an error answer; harmless when nothing was. */
void relay_forget(struct call *c);

#endif
