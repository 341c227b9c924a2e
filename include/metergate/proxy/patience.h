/*
 * patience: how long the client at the other end waits for the head of an answer before it gives up by
 * itself. A held call is answered a little before that (429 max-wait, Retry-After: 1) and its place is kept
 * (place.h): to the program it is a retry of its SDK, not a time-out.
 *
 * Which timers there are, as the SDKs' sources have them (2026-11): the JavaScript SDKs have one until the
 * head, 600 s unless `x-stainless-timeout` says otherwise; Node's fetch beneath them gives up after 300 s
 * without a byte, which a 102 starts anew. The Python ones have one for each read
 * (`x-stainless-read-timeout`), which a 102 starts anew as well: it counts only where none is sent.
 */
#ifndef METERGATE_PROXY_PATIENCE_H
#define METERGATE_PROXY_PATIENCE_H

#include <stdbool.h>
#include <stdint.h>

#include "metergate/net/http.h"

struct call;

/*
 * How long after the request's arrival a held call is to be answered because of its client's own timer;
 * CLOCK_NEVER: it has none that is known. `told`: it gets 102 while it waits.
 */
int64_t patience_us(const struct http_head *head, bool told);

/* The call stays held, or is not any longer (harmless when it was not). */
void patience_begin(struct call *c);
void patience_end(struct call *c);

#endif
