/*
 * login: a session counts only in requests that no other page can have sent (page_is_own_request), since browsers add the
 * cookie to those of every port of this machine. Neither a token nor a session's text is in any log line or page.
 */
#include "metergate/proxy/login.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "metergate/base/log.h"
#include "metergate/proxy/cookie.h"
#include "metergate/proxy/hub.h"
#include "metergate/proxy/identity.h"
#include "metergate/proxy/page.h"
#include "metergate/proxy/query.h"
#include "metergate/proxy/route.h"

/* Cookies of our name that are looked at: pages of other ports and paths may have set more. */
#define COOKIES_MAX 4

static bool is_method(const struct exchange *x, const char *method)
{
    return slice_eq(exchange_head(x)->method, slice_str(method));
}

static bool is_get(const struct exchange *x)
{
    return is_method(x, "GET") || is_method(x, "HEAD");
}

static bool is_login(struct slice path)
{
    return slice_eq(path, SLICE("/-/login"));
}

static bool is_logout(struct slice path)
{
    return slice_eq(path, SLICE("/-/logout"));
}

/* ---- sessions ---- */

static int64_t user_of(const struct exchange *x)
{
    uid_t uid;

    return exchange_peer_uid(x, &uid) == 0 ? (int64_t)uid : SESSION_USER_UNSEEN;
}

/* The session's text that the request shows; empty when it shows none that lasts. */
static struct slice shown_session(const struct proxy *p, const struct exchange *x)
{
    const struct http_head *head = exchange_head(x);
    int tried = 0;

    for (size_t i = 0; i < head->header_count; i++) {
        struct slice rest = head->headers[i].value, pair, text;

        if (!slice_eq_nocase(head->headers[i].name, SLICE("cookie")))
            continue;
        while (tried < COOKIES_MAX && cookie_next(&rest, &pair)) {
            if (!cookie_is_ours(pair, &text))
                continue;
            if (sessions_has(&p->login.sessions, text, user_of(x), loop_now_us(p->loop)))
                return text;
            tried++;
        }
    }
    return slice_of(NULL, 0);
}

/* What a session opens, if there is one. */
static bool is_for_sessions(const struct proxy *p, const struct exchange *x, const struct route *r)
{
    const struct http_head *head = exchange_head(x);

    if (is_get(x))
        return page_is_own_request(head);
    if (slice_eq(r->path, SLICE("/-/pause")) || slice_eq(r->path, SLICE("/-/resume")))
        return page_has_sent(&p->page_secret, head);
    return false;
}

bool login_admits(struct proxy *p, const struct exchange *x, const struct route *r, struct refusal *ret_why)
{
    if (identity_admits(p, x, ret_why))
        return true;
    if (ret_why->reason != REFUSAL_TOKEN)
        return false;
    if (is_login(r->path) || is_logout(r->path))
        return true;
    if (exchange_header(x, SLICE("Metergate-Token")).p) /* it is wrong: better to hear that */
        return false;
    return is_for_sessions(p, x, r) && shown_session(p, x).n > 0;
}

bool login_invites(struct exchange *x, const struct route *r, const struct refusal *why)
{
    struct slice accept = exchange_header(x, SLICE("Accept"));

    if (why->reason != REFUSAL_TOKEN || !page_is_dashboard(r->path) || !is_get(x) || !accept.n ||
        !memmem(accept.p, accept.n, "text/html", 9))
        return false;
    page_redirect(x, 303, "/-/login", slice_of(NULL, 0));
    return true;
}

/* ---- the login page ---- */

static void show_form(struct exchange *x, int status, const char *message, const struct http_header *extra)
{
    page_reply(x, status, page_login_text(), &(struct page_value){"@MESSAGE@", slice_str(message)}, 1, extra);
}

static void refuse_stranger(struct proxy *p, struct exchange *x)
{
    const struct refusal why = {
        .reason = REFUSAL_ORIGIN,
        .detail = SLICE("Only the page that Metergate itself has shown may send this."),
    };

    p->totals.refused[REFUSAL_ORIGIN]++;
    refuse_reply(p, x, NULL, &why);
}

static void log_out(struct proxy *p, struct exchange *x)
{
    struct slice text = shown_session(p, x);

    if (text.n)
        sessions_end(&p->login.sessions, text);
    page_redirect(x, 303, "/-/login", SLICE(COOKIE_NAME "=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0"));
}

bool login_serve(struct proxy *p, struct exchange *x, const struct route *r)
{
    const struct http_header allow = {SLICE("Allow"), SLICE("GET, HEAD, POST")};

    if (!is_login(r->path) && !is_logout(r->path))
        return false;
    if (is_get(x) && is_login(r->path)) {
        if (p->config->clients.require_token && !shown_session(p, x).n)
            show_form(x, 200, "", NULL);
        else
            page_redirect(x, 303, "/-/", slice_of(NULL, 0));
    } else if (!is_method(x, "POST")) {
        if (is_logout(r->path))
            hub_refuse_method(x);
        else
            show_form(x, 405, "This address answers GET, HEAD and POST only.", &allow);
    } else if (!page_is_own_request(exchange_head(x))) {
        refuse_stranger(p, x);
    } else if (is_logout(r->path)) {
        log_out(p, x);
    } else {
        exchange_buffer_body(x, LOGIN_BODY_MAX);
    }
    return true;
}

/* ---- the form ---- */

/* The client whose token is in the form; NULL: there is none. */
static const struct config_client *owner_of(const struct config *config, struct slice form)
{
    const struct config_client *owner = NULL;
    struct query_pair pair;

    query_pair_init(&pair);
    while (!owner && query_next(&form, &pair, NULL) == 1) {
        if (slice_eq(buf_slice(&pair.name), SLICE("token")))
            owner = config_client_of_token(config, slice_trim(buf_slice(&pair.value)));
    }
    buf_release_secret(&pair.value);
    query_pair_release(&pair);
    return owner;
}

static void welcome(struct proxy *p, struct exchange *x, const struct config_client *owner)
{
    char text[SESSION_SIZE], cookie[sizeof text + 80];
    int n;

    sessions_begin(&p->login.sessions, &owner->token, user_of(x), loop_now_us(p->loop), text);
    n = snprintf(cookie, sizeof cookie, COOKIE_NAME "=%s; Path=/; HttpOnly; SameSite=Strict; Max-Age=%" PRId64, text,
                 SESSION_US / CLOCK_S);
    log_info("client %s has logged in from %s", owner->name, net_addr_format(exchange_peer(x)).text);
    page_redirect(x, 303, "/-/", slice_of(cookie, (size_t)n));
}

static void slow_down(struct exchange *x, int64_t wait_us)
{
    char seconds[24];
    int n = snprintf(seconds, sizeof seconds, "%" PRId64, (wait_us + CLOCK_S - 1) / CLOCK_S);
    const struct http_header retry = {SLICE("Retry-After"), slice_of(seconds, (size_t)n)};

    show_form(x, 429, "Too many wrong tokens; wait for a minute.", &retry);
}

/* Who may be wrong so often: all users of this machine have one address, and one must not lock out the others. */
static struct net_addr_text who_tries(const struct exchange *x)
{
    struct net_addr_text who = net_addr_host(exchange_peer(x));
    int64_t user = user_of(x);

    if (user != SESSION_USER_UNSEEN)
        snprintf(who.text, sizeof who.text, "uid-%" PRId64, user);
    return who;
}

static void read_form(struct proxy *p, struct exchange *x)
{
    struct net_addr_text who = who_tries(x);
    int64_t now = loop_now_us(p->loop), wait_us = tries_wait_us(&p->login.tries, slice_str(who.text), now);
    const struct http_header challenge = {SLICE("WWW-Authenticate"), SLICE("Bearer realm=\"metergate\"")};
    const struct config_client *owner;

    if (wait_us > 0) {
        slow_down(x, wait_us);
        return;
    }
    owner = owner_of(p->config, exchange_body(x));
    if (owner) {
        welcome(p, x, owner);
        return;
    }
    tries_failed(&p->login.tries, slice_str(who.text), now);
    p->totals.refused[REFUSAL_TOKEN]++;
    log_info("a login from %s had a wrong token", net_addr_format(exchange_peer(x)).text);
    show_form(x, 401, "No client of the configuration has this token.", &challenge);
}

/* "application/x-www-form-urlencoded", with or without parameters. */
static bool is_form(struct slice content_type)
{
    return slice_eq_nocase(slice_trim(slice_head(content_type, slice_find(content_type, ';'))),
                           SLICE("application/x-www-form-urlencoded"));
}

bool login_body(struct proxy *p, struct exchange *x, int rc)
{
    struct route r = hub_route(p, x);

    if (!is_login(r.path))
        return false;
    if (rc < 0)
        show_form(x, 413, "This is no token: it is too long.", NULL);
    else if (!is_form(exchange_header(x, SLICE("Content-Type"))))
        show_form(x, 415, "A login is a form (application/x-www-form-urlencoded) with the field token.", NULL);
    else
        read_form(p, x);
    return true;
}
