/*
 * cors: what a web page's browser must be told before it lets the page read our answers. Who may call at all
 * is guard.h's decision; a page whose origin passes there gets all that it asks for here.
 *
 * Source: the Fetch standard (CORS protocol), Private Network Access (a public page that calls this machine).
 */
#ifndef METERGATE_PROXY_CORS_H
#define METERGATE_PROXY_CORS_H

#include <stdbool.h>

#include "metergate/net/http.h"
#include "metergate/proxy/guard.h"
#include "metergate/proxy/headers.h"

/* The browser asks on its own whether the page may send a request: OPTIONS with
 * Access-Control-Request-Method. */
bool cors_is_preflight(const struct http_head *request);

/*
 * Adds what lets the page read an answer with these headers, and takes out what the provider says about that;
 * does nothing when the request has no Origin, or one that is not ours. To a preflight also what may be sent.
 * Borrows from the request.
 */
void cors_add(const struct http_head *request, const struct guard_rules *rules, struct headers *answer);

#endif
