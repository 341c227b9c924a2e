/*
 * identity: who is asking, and whether he may.
 *
 *   who      the owner of the token; else `/@NAME` in the path; else the Metergate-Client header; else the
 * local user behind the connection and the unit or program of his that it is (origin.h); else the peer's address. A client that
 * has a token is nobody else's name.
 *   token    the Metergate-Token header; else, where no credential of the client's goes to a provider (the
 * configuration has the upstream's key, or there is no upstream), `Authorization: Bearer`, x-api-key or
 * x-goog-api-key. A Metergate-Token that is nobody's is refused; in the other places it is a token only if it
 * is somebody's, because SDKs want some key there, unless tokens are required. may he   with clients.users
 * only those users, with clients.require_token only the owners of tokens.
 */
#ifndef METERGATE_PROXY_IDENTITY_H
#define METERGATE_PROXY_IDENTITY_H

#include <stdbool.h>

#include "metergate/base/client_name.h"
#include "metergate/config/config.h"
#include "metergate/dialect/refusal.h"
#include "metergate/net/http.h"

struct call;
struct exchange;
struct net_addr_text;
struct origin_search;
struct proxy;

/* What the credentials of a request say. */
struct identity_proof {
    const struct config_client *owner; /* NULL: no token was shown */
    const char *problem;               /* why the request is refused, static; NULL: it is not */
};

/*
 * Looks at the credentials of a request. `ours`: they are for Metergate, no provider gets them. A token that
 * would travel to a provider is a problem. Pure.
 */
struct identity_proof identity_prove(const struct config *config, const struct http_head *head, bool ours);

/* The lower of the two priorities that were asked for ("", "high", "normal", "low"), and of `most`. Pure. */
enum config_priority identity_priority(struct slice path, struct slice header,
                                       const enum config_priority *most);

/*
 * The name of a connection that claims none: USER.ORIGIN where the configuration has that client, else ORIGIN, else USER, where it
 * has these; else USER.ORIGIN, cut at 64. A client with a token is passed over, but for USER himself. `origin` may be
 * empty. Lives as long as what was given, and `room`. Pure.
 */
struct slice identity_of_user(const struct config *config, struct slice user, struct slice origin, char room[CLIENT_NAME_SIZE]);

/*
 * Sets the call's client, its priority and how long it will wait; c->route and c->provider (NULL: there is
 * none) are set. False: the call is refused, *ret_why says how, and nothing of it was set. Where the call says no name, and what
 * is behind its connection is not known yet, c->search is set in place of all this: a worker has to run it (origin_search), then
 * identity_found and identity_settle follow; or identity_settle alone, for what cannot wait.
 */
bool identity_read(struct call *c, struct refusal *ret_why);

/* What c->search found is kept, and the search is freed. */
void identity_found(struct call *c);

/* As identity_read, with what is known by now; nothing happens where the client is set. */
bool identity_settle(struct call *c, struct refusal *ret_why);

/* Whether a request for Metergate's own endpoints may be served: as above, without a name. */
bool identity_admits(const struct proxy *p, const struct exchange *x, struct refusal *ret_why);

/* What has to be searched for before identity_name can say all that there is; NULL: nothing. Its owner frees it. */
struct origin_search *identity_search(struct proxy *p, const struct exchange *x, struct slice in_path);

/* The name that such a request goes under, as far as it is known; `in_path` is its route's. Lives as long as the request and `room`. */
struct slice identity_name(struct proxy *p, const struct exchange *x, struct slice in_path, struct net_addr_text *room);

#endif
