/*
 * page: what is put into a page is a number of ours or a static sentence, never what a peer sent: nothing is escaped. The
 * nonce is another one for each answer. No answer has CORS headers: no other page may read the secret.
 */
#include "metergate/proxy/page.h"

#include <stdint.h>
#include <string.h>

#include "metergate/proxy/headers.h"
#include "metergate/proxy/hub.h"
#include "metergate/proxy/route.h"

/* page.S */
extern const char page_dashboard[], page_login[];
extern const uint32_t page_dashboard_bytes, page_login_bytes;

#define VALUES_MAX 6

/* ---- pages ---- */

static const struct page_value *value_at(struct slice text, const struct page_value *values, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (slice_starts(text, slice_str(values[i].placeholder)))
            return &values[i];
    }
    return NULL;
}

void page_fill(struct slice text, const struct page_value *values, size_t n, struct buf *out)
{
    while (text.n) {
        size_t at = slice_find(text, '@');
        const struct page_value *v;

        buf_add_slice(out, slice_head(text, at));
        text = slice_skip(text, at);
        if (text.n == 0)
            return;
        v = value_at(text, values, n);
        if (v)
            buf_add_slice(out, v->value);
        else
            buf_add_char(out, '@');
        text = slice_skip(text, v ? strlen(v->placeholder) : 1);
    }
}

/*
 * Referrer-Policy is same-origin and not no-referrer: with the latter browsers send `Origin: null` with a form, which is
 * what a page without an origin sends (WHATWG Fetch 3.1).
 */
static void add_page_headers(struct headers *h, struct slice policy)
{
    headers_add(h, SLICE("Content-Type"), SLICE("text/html; charset=utf-8"));
    headers_add(h, SLICE("Content-Security-Policy"), policy);
    headers_add(h, SLICE("X-Content-Type-Options"), SLICE("nosniff"));
    headers_add(h, SLICE("Referrer-Policy"), SLICE("same-origin"));
    headers_add(h, SLICE("Cross-Origin-Opener-Policy"), SLICE("same-origin"));
    headers_add(h, SLICE("Cross-Origin-Resource-Policy"), SLICE("same-origin"));
    headers_add(h, SLICE("Cache-Control"), SLICE("no-store"));
}

void page_reply(struct exchange *x, int status, struct slice text, const struct page_value *others, size_t n,
                const struct http_header *extra)
{
    char nonce[PAGE_SECRET_SIZE];
    struct page_value values[VALUES_MAX] = {{"@NONCE@", slice_of(NULL, 0)}, {"@VERSION@", SLICE(METERGATE_VERSION)}};
    struct buf body, policy;
    struct headers h;

    MG_ASSERT(n <= VALUES_MAX - 2);
    secret_random_hex(nonce, PAGE_SECRET_BYTES);
    values[0].value = slice_str(nonce);
    for (size_t i = 0; i < n; i++)
        values[2 + i] = others[i];
    buf_init(&body, BUF_UNLIMITED);
    buf_init(&policy, BUF_UNLIMITED);
    headers_init(&h);
    page_fill(text, values, 2 + n, &body);
    buf_addf(&policy,
             "default-src 'none'; style-src 'nonce-%s'; script-src 'nonce-%s'; connect-src 'self'; img-src data:; "
             "base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
             nonce, nonce);
    add_page_headers(&h, buf_slice(&policy));
    if (extra)
        headers_add(&h, extra->name, extra->value);
    exchange_reply(x, status, h.v, h.n, buf_slice(&body));
    headers_release(&h);
    buf_release(&policy);
    buf_release(&body);
}

void page_redirect(struct exchange *x, int status, const char *path, struct slice cookie)
{
    struct headers h;

    headers_init(&h);
    headers_add(&h, SLICE("Location"), slice_str(path));
    headers_add(&h, SLICE("Cache-Control"), SLICE("no-store"));
    if (cookie.n)
        headers_add(&h, SLICE("Set-Cookie"), cookie);
    exchange_reply(x, status, h.v, h.n, slice_of(NULL, 0));
    headers_release(&h);
}

struct slice page_login_text(void)
{
    return slice_of(page_login, page_login_bytes);
}

/* Made when it is first needed: a daemon that nobody looks at does not wait for the kernel's randomness. */
static struct slice page_secret(struct proxy *p)
{
    char text[PAGE_SECRET_SIZE];

    if (!secret_is_set(&p->page_secret)) {
        secret_random_hex(text, PAGE_SECRET_BYTES);
        MG_ASSERT(secret_set(&p->page_secret, slice_str(text)) == 0);
    }
    return secret_expose(&p->page_secret);
}

bool page_is_dashboard(struct slice path)
{
    return slice_eq(path, SLICE("/-/")) || slice_eq(path, SLICE("/-"));
}

static void show_dashboard(struct proxy *p, struct exchange *x)
{
    const struct page_value values[] = {
        {"@PAGE@", page_secret(p)},
        /* whoever sees it then has logged in, and may want to log out */
        {"@LOGIN@", slice_str(p->config->clients.require_token ? "required" : "none")},
    };

    page_reply(x, 200, slice_of(page_dashboard, page_dashboard_bytes), values, MG_ARRAY_LEN(values), NULL);
}

bool page_serve(struct proxy *p, struct exchange *x, const struct route *r)
{
    struct slice method = exchange_head(x)->method;

    if (!page_is_dashboard(r->path))
        return false;
    if (!slice_eq(method, SLICE("GET")) && !slice_eq(method, SLICE("HEAD")))
        hub_reply(p, x, 405, "text/plain; charset=utf-8", SLICE("This address answers GET and HEAD only.\n"));
    else if (slice_eq(r->path, SLICE("/-")))
        page_redirect(x, 308, "/-/", slice_of(NULL, 0));
    else
        show_dashboard(p, x);
    return true;
}

/* ---- who has sent a request ---- */

/* The value of a header that stands there once; empty: it does not. Two could be read as either. */
static struct slice lone(const struct http_head *head, struct slice name)
{
    struct slice value = {0};
    size_t n = 0;

    for (size_t i = 0; i < head->header_count; i++) {
        if (slice_eq_nocase(head->headers[i].name, name)) {
            value = head->headers[i].value;
            n++;
        }
    }
    return n == 1 ? value : slice_of(NULL, 0);
}

static bool has(const struct http_head *head, struct slice name)
{
    return http_header_get(head->headers, head->header_count, name).p != NULL;
}

static bool is_own_origin(const struct http_head *head, struct slice scheme)
{
    struct slice origin = lone(head, SLICE("origin")), host = lone(head, SLICE("host"));

    return host.n && slice_starts(origin, scheme) && slice_eq(slice_skip(origin, scheme.n), host);
}

bool page_is_own_request(const struct http_head *head)
{
    struct slice site = lone(head, SLICE("sec-fetch-site"));

    if (has(head, SLICE("origin")) && !is_own_origin(head, SLICE("http://")) && !is_own_origin(head, SLICE("https://")))
        return false;
    return !has(head, SLICE("sec-fetch-site")) || slice_eq(site, SLICE("same-origin")) || slice_eq(site, SLICE("none")) ||
           slice_eq(lone(head, SLICE("sec-fetch-mode")), SLICE("navigate"));
}

bool page_has_sent(const struct secret *secret, const struct http_head *head)
{
    if (!is_own_origin(head, SLICE("http://")))
        return false;
    if (has(head, SLICE("sec-fetch-site")) && !slice_eq(lone(head, SLICE("sec-fetch-site")), SLICE("same-origin")))
        return false;
    return secret_equals(secret, lone(head, SLICE("metergate-page")));
}
