/*
 * login: where tokens are required, a browser shows one on a page of ours and gets a cookie for it (session.h).
 *
 * A session opens what a GET of Metergate's own addresses tells, and what the dashboard may do besides (page.h). It opens
 * nothing that costs: no call, no reservation. /-/login and /-/logout are open to all whom `clients.users` does not keep out.
 */
#ifndef METERGATE_PROXY_LOGIN_H
#define METERGATE_PROXY_LOGIN_H

#include <stdbool.h>

#include "metergate/dialect/refusal.h"
#include "metergate/proxy/session.h"
#include "metergate/proxy/tries.h"

struct exchange;
struct proxy;
struct route;

/* A form with one token in it. */
#define LOGIN_BODY_MAX ((size_t)4096)

struct login {
    struct sessions sessions;
    struct tries tries; /* by local user, else by address */
};

/* Whether a request for Metergate's own endpoints may be served: by what it shows (identity_admits), or by a session.
 * False: *ret_why says why not. */
bool login_admits(struct proxy *p, const struct exchange *x, const struct route *r, struct refusal *ret_why);

/* A request that login_admits has refused: true when it is a browser's for the dashboard, which was sent to the login page. */
bool login_invites(struct exchange *x, const struct route *r, const struct refusal *why);

/* Takes over a request whose head came: true when its path is /-/login or /-/logout. */
bool login_serve(struct proxy *p, struct exchange *x, const struct route *r);

/* The body of a request is there, or rc says why not, as receive_body has it: true when its path is /-/login. */
bool login_body(struct proxy *p, struct exchange *x, int rc);

#endif
