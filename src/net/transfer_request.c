/*
 * transfer_request: an easy handle of libcurl 7.88 for a request. What it is to send is exactly what it was given: curl adds no header but
 * the length or the chunks of a body, changes no path, follows nothing, decodes nothing. A text of which curl could not keep its copy
 * makes the transfer `incomplete`, and it is not begun: without it the request would be another one, or go another way.
 */
#include "upstream_inside.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* curl writes Content-Length and Transfer-Encoding itself, and must not wait for 100 Continue. */
static bool is_ours(struct slice name)
{
    return slice_eq_nocase(name, SLICE("content-length")) ||
           slice_eq_nocase(name, SLICE("transfer-encoding")) || slice_eq_nocase(name, SLICE("expect"));
}

/* `between` is curl's: ": ", or ";" for a header without a value, or ":" for one of its own that it shall not send. */
static void transfer_add_line(struct transfer *t, struct slice name, const char *between, struct slice value)
{
    buf_add_slice(&t->lines, name);
    buf_add_str(&t->lines, between);
    buf_add_slice(&t->lines, value);
    buf_add_char(&t->lines, '\0');
}

/* curl only reads its list, so that need not be made of a dozen pieces by curl_slist_append, which copies each line. */
static void transfer_list_lines(struct transfer *t, size_t n)
{
    char *line = t->lines.p;

    t->headers = xcalloc(n, sizeof *t->headers);
    for (size_t i = 0; i < n; i++) {
        t->headers[i].data = line;
        t->headers[i].next = i + 1 < n ? &t->headers[i + 1] : NULL;
        line += strlen(line) + 1;
    }
    curl_easy_setopt(t->easy, CURLOPT_HTTPHEADER, t->headers);
}

/* Who speaks so has not shown who he is in this request, but for all that follow on its connection. */
static bool authenticates_connection(const struct http_header *h)
{
    return slice_eq_nocase(h->name, SLICE("authorization")) &&
           (slice_eq_nocase(slice_head(h->value, 4), SLICE("NTLM")) ||
            slice_eq_nocase(slice_head(h->value, 9), SLICE("Negotiate")));
}

static void transfer_keep_apart(struct transfer *t)
{
    curl_easy_setopt(t->easy, CURLOPT_FRESH_CONNECT, 1L);
    curl_easy_setopt(t->easy, CURLOPT_FORBID_REUSE, 1L);
}

static int transfer_add_headers(struct transfer *t, const struct transfer_request *request)
{
    static const char *const own[] = {"Accept", "Content-Type", "User-Agent", "Proxy-Connection"};
    size_t n = 1;

    transfer_add_line(t, SLICE("Expect"), ":", SLICE(""));
    for (size_t i = 0; i < request->header_count; i++) {
        const struct http_header *h = &request->headers[i];

        if (!http_is_token(h->name) || !http_is_field_value(h->value) || memchr(h->value.p, '\0', h->value.n))
            return -EINVAL;
        if (is_ours(h->name))
            continue;
        if (authenticates_connection(h))
            transfer_keep_apart(t);
        transfer_add_line(t, h->name, h->value.n ? ": " : ";", h->value);
        n++;
    }
    for (size_t i = 0; i < MG_ARRAY_LEN(own); i++) {
        if (http_header_get(request->headers, request->header_count, slice_str(own[i])).p)
            continue;
        transfer_add_line(t, slice_str(own[i]), ":", SLICE(""));
        n++;
    }
    transfer_list_lines(t, n);
    return 0;
}

/* curl keeps a copy. Without it the request would be another one, or go another way. */
static void transfer_set_text(struct transfer *t, CURLoption option, const char *text)
{
    if (curl_easy_setopt(t->easy, option, text) != CURLE_OK)
        t->incomplete = true;
}

static void transfer_set_method(struct transfer *t, const struct transfer_request *request,
                                const char *method)
{
    CURL *e = t->easy;
    bool empty_post = !request->has_body && (strcmp(method, "POST") == 0 || strcmp(method, "PUT") == 0 ||
                                             strcmp(method, "PATCH") == 0);

    if (strcmp(method, "HEAD") == 0) {
        curl_easy_setopt(e, CURLOPT_NOBODY, 1L);
        curl_easy_setopt(e, CURLOPT_FORBID_REUSE, 1L); /* a body that comes all the same would be the next call's answer */
        return;
    }
    if (t->streamed) {
        curl_easy_setopt(e, CURLOPT_UPLOAD, 1L);
        curl_easy_setopt(e, CURLOPT_INFILESIZE_LARGE, (curl_off_t)request->streamed_bytes);
    } else if (t->has_body || empty_post) {
        curl_easy_setopt(e, CURLOPT_POST, 1L);
        curl_easy_setopt(e, CURLOPT_POSTFIELDS, request->body.n ? request->body.p : ""); /* not copied */
        curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body.n);
    } else {
        curl_easy_setopt(e, CURLOPT_HTTPGET, 1L); /* with POST it would announce an empty body */
    }
    transfer_set_text(t, CURLOPT_CUSTOMREQUEST, method);
}

/* The path and query exactly as given; through a plain proxy curl must write the absolute form itself. */
static int transfer_set_url(struct transfer *t, const struct transfer_request *request)
{
    const char *authority = strstr(request->url, "://");
    bool proxied = request->proxy && request->proxy[0];
    const char *target;
    struct buf with_slash;

    for (const char *p = request->url; *p; p++)
        if ((unsigned char)*p <= 0x20 || *p == 0x7f || *p == '#')
            return -EINVAL;
    t->https = strncasecmp(request->url, "https://", 8) == 0;
    if (!authority || (!t->https && strncasecmp(request->url, "http://", 7) != 0))
        return -EINVAL;
    transfer_set_text(t, CURLOPT_URL, request->url);
    transfer_set_text(t, CURLOPT_PROXY, proxied ? request->proxy : "");
    if (proxied && !t->https)
        return 0;
    target = authority + 3 + strcspn(authority + 3, "/?");
    if (*target == '/') {
        transfer_set_text(t, CURLOPT_REQUEST_TARGET, target);
        return 0;
    }
    buf_init(&with_slash, BUF_UNLIMITED);
    buf_addf(&with_slash, "/%s", target);
    transfer_set_text(t, CURLOPT_REQUEST_TARGET, with_slash.p);
    buf_release(&with_slash);
    return 0;
}

static void transfer_set_common(struct transfer *t, const struct transfer_request *request)
{
    int64_t connect_us = request->connect_timeout_us ? request->connect_timeout_us : 10 * CLOCK_S;
    CURL *e = t->easy;

    curl_easy_setopt(e, CURLOPT_PRIVATE, t);
    curl_easy_setopt(e, CURLOPT_SHARE, t->pool->share);
    curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
    if (request->ask_name)
        curl_easy_setopt(e, CURLOPT_DNS_CACHE_TIMEOUT, 0L); /* what comes is in the cache again, for all */
    transfer_set_text(t, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(e, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(e, CURLOPT_QUICK_EXIT, 1L); /* else an abort waits for the resolver's thread */
    curl_easy_setopt(e, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(e, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
    transfer_set_text(t, CURLOPT_NOPROXY, "");
    curl_easy_setopt(e, CURLOPT_HTTP_CONTENT_DECODING, 0L);
    curl_easy_setopt(e, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, (long)(connect_us / CLOCK_MS));
    curl_easy_setopt(e, CURLOPT_MAXAGE_CONN, (long)((t->pool->config.keep_idle_us + CLOCK_S - 1) / CLOCK_S));
    curl_easy_setopt(e, CURLOPT_ERRORBUFFER, t->error);
    if (t->https) {
        curl_easy_setopt(e, CURLOPT_CAINFO, NULL); /* the store comes ready made */
        transfer_set_text(t, CURLOPT_CAPATH, t->trust ? trust_path(t->trust) : NULL); /* whose kept connections it may use */
    }
}

int transfer_prepare(struct transfer *t, const struct transfer_request *request)
{
    char method[32];
    int rc;

    if (!http_is_token(request->method) || request->method.n >= sizeof method || !request->url)
        return -EINVAL;
    memcpy(method, request->method.p, request->method.n);
    method[request->method.n] = '\0';
    t->easy = curl_easy_init();
    if (!t->easy)
        return -ENOMEM;
    t->has_body = request->has_body;
    t->streamed = request->has_body && request->streamed;
    t->body_bytes = (int64_t)request->body.n;
    t->safe = !t->has_body &&
              (strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0 || strcmp(method, "OPTIONS") == 0);
    t->first_byte_us = request->first_byte_timeout_us;
    t->idle_us = request->idle_timeout_us;
    t->trust = request->trust ? request->trust : t->pool->config.trust;
    t->check_at_us = CLOCK_NEVER;
    buf_init(&t->lines, BUF_UNLIMITED);
    buf_init(&t->upload, BUF_UNLIMITED);
    answer_head_init(&t->head, t->pool->config.max_head_bytes);
    rc = transfer_set_url(t, request);
    if (rc == 0)
        rc = transfer_add_headers(t, request);
    if (rc < 0)
        return rc;
    transfer_set_method(t, request, method);
    transfer_set_common(t, request);
    transfer_set_callbacks(t, request);
    return t->incomplete ? -ENOMEM : 0;
}
