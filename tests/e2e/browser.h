/*
 * browser: requests to the daemon as a browser sends them: with any headers, and what of the answers a browser keeps.
 * Everything here fails the test when it does not get what it wants.
 */
#ifndef E2E_BROWSER_H
#define E2E_BROWSER_H

#include "fixture.h"

/* `headers` has lines "Name: value", separated by '\n'; $URL in it is the daemon's. `body` may be NULL. Release the reply. */
struct client_reply browser_ask(const struct fixture *f, const char *method, const char *path, const char *headers,
                                const char *body);

/* The same, when only the status matters: it must be this one. */
void browser_expect(const struct fixture *f, const char *method, const char *path, const char *headers, const char *body,
                    int status);

/* GET /-/, with these headers: the page's secret, as it stands in its meta tag. Good until the next such question. */
const char *browser_page_secret(const struct fixture *f, const char *headers);

/* The cookie that an answer sets, "metergate=...", without its attributes. Good until the next such question. */
const char *browser_cookie(const struct client_reply *r);

#endif
