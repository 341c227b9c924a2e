/*
 * headers: which headers travel on, in either direction, and the list that carries them.
 *
 * Names and values are borrowed: from the request or answer that they came in, from static text, or from whoever added
 * them; the list owns its array, and the values that it rewrites.
 */
#ifndef METERGATE_PROXY_HEADERS_H
#define METERGATE_PROXY_HEADERS_H

#include <stdbool.h>
#include <stddef.h>

#include "metergate/base/slice.h"
#include "metergate/net/http.h"

struct headers {
    struct http_header *v; /* readable */
    size_t n;              /* readable */
    size_t cap;            /* private */
    char *text;            /* private: the bytes of a headers_copy, or of values that were rewritten */
};

void headers_init(struct headers *h);
void headers_release(struct headers *h);
void headers_add(struct headers *h, struct slice name, struct slice value);

/* A copy that owns its text: for an answer's head that must outlive the callback it came in. */
void headers_copy(const struct http_header *v, size_t n, struct headers *out);

/* What is different from one request to another. */
struct headers_upstream_rules {
    bool metered;               /* the answer must be readable: no Accept-Encoding travels */
    struct http_header key;     /* the configured one's header; empty: the client's own credentials travel */
    bool credentials_stay;      /* but not these: they were shown to Metergate */
};

/*
 * The request's headers as the provider gets them, in place of what was in `out`: everything but hop-by-hop headers and
 * what Connection names, Host, Content-Length, Expect, Metergate-*, the cookie of our own dashboard, a browser's Cookie and
 * Referer (which are of all that runs on this machine, at any port), Accept-Encoding on metered calls, and the credentials
 * that the configuration replaces (then every credential header of the client stays here, whatever its name).
 */
void headers_for_upstream(const struct http_head *request, const struct headers_upstream_rules *rules,
                          struct headers *out);

/*
 * The answer's headers as the client gets them, appended to `out`: everything but hop-by-hop headers and what Connection
 * names, Content-Length (the exchange states its own), Metergate-*, which are ours to add, Location (location.h), and what
 * would make a client keep, send or run something for the host that it has called: that is this machine, and not the
 * provider's. So no cookie of a provider comes here, whoever asks. Added is what keeps a browser that shows the answer from
 * running it as a page of ours: X-Content-Type-Options and a Content-Security-Policy that is a sandbox. A browser is not
 * told either that the provider wants a password (WWW-Authenticate): it would ask for one in our name.
 *
 * Source: RFC 6265 8.5 (cookies know no ports), CSP 3, HTML 7.1.5 (sandboxing), W3C Fetch Metadata (Sec-Fetch-Site).
 */
void headers_for_client(const struct http_head *request, const struct http_header *answer, size_t count,
                        struct headers *out);

/* Whether a browser has sent it, as far as it says so: an Origin, or Sec-Fetch-Site. */
bool headers_is_of_browser(const struct http_head *request);

/* A header that carries a client's key or session. */
bool headers_is_credential(struct slice name);

/* True for names that begin with Metergate-. */
bool headers_is_ours(struct slice name);

#endif
