/*
 * counters: what an answer says of its provider's limits goes to where it matters: the numbers to what is known of the
 * budget's limits (limits.h), what is left of them to the gate's windows (gate_observe).
 */
#ifndef METERGATE_PROXY_COUNTERS_H
#define METERGATE_PROXY_COUNTERS_H

#include <stdbool.h>
#include <stddef.h>

#include "metergate/dialect/verdict.h"
#include "metergate/net/http.h"

struct call;

/* The head of an answer that goes to the client. Nothing happens for a call without a seat. */
void counters_in_head(struct call *c, int status, const struct http_header *headers, size_t n);

/* A lease is settled: its answer showed nothing, but that it was none of 429, or one. */
void counters_in_settlement(struct call *c, bool refused);

/* An error that was collected and judged, while its attempt is open. */
void counters_in_error(struct call *c, const struct provider_answer *a, const struct verdict *v);

#endif
