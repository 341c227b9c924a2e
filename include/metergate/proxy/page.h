/*
 * page: the dashboard, GET /-/: one page without anything from elsewhere, embedded in the program (page.html), and what its
 * requests are told apart by.
 *
 * A page may load and run nothing but its own inline style and script, which have the nonce of that one answer. It holds a
 * secret of this run of the daemon, `@PAGE@`, that no page of another origin can read: with it, it may do what is else for
 * programs alone (control.c).
 * Source: W3C Content Security Policy 3; WHATWG Fetch 3.1 (Origin); W3C Fetch Metadata (Sec-Fetch-Site, Sec-Fetch-Mode).
 */
#ifndef METERGATE_PROXY_PAGE_H
#define METERGATE_PROXY_PAGE_H

#include <stdbool.h>
#include <stddef.h>

#include "metergate/base/buf.h"
#include "metergate/base/secret.h"
#include "metergate/base/slice.h"
#include "metergate/net/http.h"

struct exchange;
struct proxy;
struct route;

/* 128 bits, in hexadecimal. */
#define PAGE_SECRET_BYTES 16
#define PAGE_SECRET_SIZE  (2 * PAGE_SECRET_BYTES + 1)

/* What stands in a page for what is put there: "@NONCE@" and its value. Values are put in as they are. */
struct page_value {
    const char *placeholder;
    struct slice value;
};

/* Appends the text with every placeholder replaced. Pure. */
void page_fill(struct slice text, const struct page_value *values, size_t n, struct buf *out);

/* Replies with a page of that text: @NONCE@ and @VERSION@ are replaced in it, and the `n` others (at most 4). `extra` is one
 * more header, or NULL. */
void page_reply(struct exchange *x, int status, struct slice text, const struct page_value *others, size_t n,
                const struct http_header *extra);

/* Replies with a redirection to a path of ours, and perhaps a cookie (empty: none). */
void page_redirect(struct exchange *x, int status, const char *path, struct slice cookie);

/* Takes over a request whose head came: true when its path is /-/ or /-. */
bool page_serve(struct proxy *p, struct exchange *x, const struct route *r);

/* Whether that is the path of the dashboard. */
bool page_is_dashboard(struct slice path);

/*
 * Whether no page but our own can have sent this: an Origin, if any, is `http://` (or `https://`, for who has put a
 * proxy with TLS before the daemon) and the Host of the request, which the guard has let in; Sec-Fetch-Site, if any, is same-origin, or none, or the user has followed a link to here. Pure.
 */
bool page_is_own_request(const struct http_head *head);

/* Whether the dashboard has sent this: with an Origin of `http://` and the Host, Sec-Fetch-Site same-origin if any, and the
 * page's secret in Metergate-Page. Before it was first shown nothing is its. */
bool page_has_sent(const struct secret *secret, const struct http_head *head);

/* The text of the login page, whose @MESSAGE@ says what was wrong (page.S). */
struct slice page_login_text(void);

#endif
