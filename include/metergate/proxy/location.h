/*
 * location: where an answer sends its client next (the Location header). Pure.
 *
 * The client takes it for an address of whom it has called, and that is Metergate: a path without a host would bring it
 * back here, with its credentials, to whatever upstream that path chooses, or to Metergate's own pages. So a Location is
 * read as the provider means it (RFC 3986 5.2 against the address that was called), and
 *   - what lies under the upstream's base_url becomes the path here by which that very upstream is reached,
 *     /NAME/..., whatever its scheme: a provider behind a terminator of TLS says http of itself;
 *   - another address of a provider goes on whole, with its host: clients take their credentials off there;
 *   - what would lead to this daemon, or can be read in two ways, does not go on.
 * Nothing is ever followed.
 */
#ifndef METERGATE_PROXY_LOCATION_H
#define METERGATE_PROXY_LOCATION_H

#include <stdbool.h>

#include "metergate/base/buf.h"
#include "metergate/base/slice.h"

struct location_context {
    struct slice base_url; /* of the upstream, as in the configuration */
    struct slice url;      /* that was called, http or https; with or without its query */
    struct slice upstream; /* its name */
    bool takes_v1;         /* base_url stands in place of the caller's leading /v1 */
    struct slice client, priority; /* of /@CLIENT:PRIORITY in the caller's path; empty: there was none */
    struct slice host;     /* the request's Host; empty when there was none */
    int port;              /* that the request came to; 0: a Unix socket */
};

/* Appends the Location that the client gets. False: it gets none, and nothing was appended. */
bool location_for_client(struct slice value, const struct location_context *c, struct buf *out);

#endif
