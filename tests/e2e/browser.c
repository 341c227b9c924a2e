/* browser: nothing is kept between two requests. */
#include "browser.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define HEADERS_MAX 16

/* The line with $URL replaced; free it. */
static char *line_of(const struct fixture *f, const char *line, size_t n)
{
    const char *at = memmem(line, n, "$URL", 4);
    char *text = NULL;
    int length = at ? asprintf(&text, "%.*s%s%.*s", (int)(at - line), line, f->url, (int)(line + n - at - 4), at + 4)
                    : asprintf(&text, "%.*s", (int)n, line);

    assert_true(length >= 0);
    return text;
}

struct client_reply browser_ask(const struct fixture *f, const char *method, const char *path, const char *headers,
                                const char *body)
{
    char *lines[HEADERS_MAX + 1] = {0}, url[256];
    struct client_call call = {.method = method, .url = url, .headers = (const char *const *)lines, .body = body};
    struct client_reply r;
    int n = 0;

    for (; *headers; headers += headers[strcspn(headers, "\n")] ? strcspn(headers, "\n") + 1 : strcspn(headers, "\n")) {
        assert_in_range(n, 0, HEADERS_MAX - 1);
        lines[n++] = line_of(f, headers, strcspn(headers, "\n"));
    }
    snprintf(url, sizeof url, "%s%s", f->url, path);
    r = client_run(&call);
    while (n > 0)
        free(lines[--n]);
    buf_add_char(&r.body, '\0'); /* it is searched as text */
    buf_drop_tail(&r.body, 1);
    return r;
}

void browser_expect(const struct fixture *f, const char *method, const char *path, const char *headers, const char *body,
                    int status)
{
    struct client_reply r = browser_ask(f, method, path, headers, body);

    if (r.status != status)
        fail_msg("%s %s [%s]: %d instead of %d: %s", method, path, headers, r.status, status, r.body.p);
    client_reply_release(&r);
}

const char *browser_page_secret(const struct fixture *f, const char *headers)
{
    static const char before[] = "<meta name=\"metergate-page\" content=\"";
    static char secret[33];
    struct client_reply r = browser_ask(f, "GET", "/-/", headers, NULL);
    const char *at = strstr(r.body.p, before);

    assert_int_equal(r.status, 200);
    assert_non_null(at);
    snprintf(secret, sizeof secret, "%.32s", at + sizeof before - 1);
    assert_int_equal(strspn(secret, "0123456789abcdef"), 32);
    client_reply_release(&r);
    return secret;
}

const char *browser_cookie(const struct client_reply *r)
{
    static char cookie[128];
    const char *set = client_header(r, "Set-Cookie");

    assert_non_null(set);
    snprintf(cookie, sizeof cookie, "%.*s", (int)strcspn(set, ";"), set);
    return cookie;
}
