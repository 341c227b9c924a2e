/*
 * http: every check looks at bytes that a stranger chose; none of them allocates, and each runs once over
 * them.
 */
#include "metergate/net/http.h"

#include <errno.h>

/* tchar of RFC 9110 5.6.2, one bit a character. */
static bool is_tchar(unsigned char c)
{
    static const uint32_t set[8] = {0, 0x03ff6cfa, 0xc7fffffe, 0x57ffffff, 0, 0, 0, 0};

    return set[c >> 5] >> (c & 31) & 1;
}

bool http_is_token(struct slice s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!is_tchar((unsigned char)s.p[i]))
            return false;
    return s.n > 0;
}

/* As nginx takes them: a server that ignores case could take "post" for POST. */
static bool is_method(struct slice s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((s.p[i] < 'A' || s.p[i] > 'Z') && s.p[i] != '-' && s.p[i] != '_')
            return false;
    return s.n > 0 && s.n <= HTTP_METHOD_MAX;
}

bool http_is_field_value(struct slice s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];

        if ((c < 0x20 && c != '\t') || c == 0x7f)
            return false;
    }
    return true;
}

bool http_is_hop_by_hop(struct slice name)
{
    static const char *const names[] = {
        "connection",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "proxy-authenticate",
        "proxy-authorization",
        "http2-settings",
    };

    for (size_t i = 0; i < MG_ARRAY_LEN(names); i++)
        if (slice_eq_nocase(name, slice_str(names[i])))
            return true;
    return false;
}

size_t http_list_count(struct slice list)
{
    size_t n = 1;

    for (size_t i = 0; i < list.n; i++)
        n += list.p[i] == ',';
    return n;
}

bool http_list_has(struct slice list, struct slice name)
{
    while (list.n) {
        size_t comma = slice_find(list, ',');

        if (slice_eq_nocase(slice_trim(slice_head(list, comma)), name))
            return true;
        list = slice_skip(list, comma + 1);
    }
    return false;
}

struct slice http_header_get(const struct http_header *headers, size_t count, struct slice name)
{
    for (size_t i = 0; i < count; i++)
        if (slice_eq_nocase(headers[i].name, name))
            return headers[i].value;
    return (struct slice){NULL, 0};
}

/*
 * No blanks, controls, fragment or bytes that are not ASCII: nothing in it can end the request line early or
 * be read differently further on.
 */
static bool is_target(struct slice s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];

        if (c <= 0x20 || c >= 0x7f || c == '#')
            return false;
    }
    return s.n > 0;
}

/*
 * uri-host [":" port] as far as it matters here: no blanks, no list, nothing that starts a path or user part.
 */
static bool is_host(struct slice s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];

        if (c <= 0x20 || c >= 0x7f || c == ',' || c == '/' || c == '@' || c == '?' || c == '#' || c == '\\')
            return false;
    }
    return true;
}

struct head_counts {
    unsigned host, content_length, transfer_encoding;
    size_t options; /* of Connection */
    unsigned lone; /* bits of lone_header */
};

/*
 * Of these a server believes the first or the last, nobody knows which. One bit for each name; 0 for any
 * other header.
 */
static unsigned lone_header(struct slice name)
{
    static const char *const names[] = {
        "authorization", "x-api-key",        "api-key",    "x-goog-api-key",
        "content-type",  "content-encoding", "user-agent", "expect",
    };

    for (unsigned i = 0; i < MG_ARRAY_LEN(names); i++)
        if (slice_eq_nocase(name, slice_str(names[i])))
            return 1u << i;
    return 0;
}

static const char *check_field(const struct http_head *h, const struct http_header *f,
                               struct head_counts *seen, struct http_framing *framing)
{
    if (!http_is_token(f->name))
        return "a header name is not a token";
    if (!http_is_field_value(f->value))
        return "a header value has a control character in it";
    if (slice_eq_nocase(f->name, SLICE("host"))) {
        if (!is_host(f->value))
            return "the Host header is not a host";
        if (seen->host++)
            return "there is more than one Host header";
    } else if (slice_eq_nocase(f->name, SLICE("content-length"))) {
        if (seen->content_length++)
            return "there is more than one Content-Length";
        if (slice_int64(f->value, &framing->content_length) < 0)
            return "Content-Length is not a number";
    } else if (slice_eq_nocase(f->name, SLICE("transfer-encoding"))) {
        if (h->minor < 1)
            return "HTTP/1.0 knows no Transfer-Encoding";
        if (seen->transfer_encoding++ || !slice_eq_nocase(f->value, SLICE("chunked")))
            return "Transfer-Encoding is not exactly \"chunked\"";
        framing->chunked = true;
    } else if (slice_eq_nocase(f->name, SLICE("connection"))) {
        seen->options += http_list_count(f->value);
        if (seen->options > HTTP_OPTIONS_MAX)
            return "Connection names more than 64 headers";
    } else {
        unsigned bit = lone_header(f->name);

        if (seen->lone & bit)
            return "a header that may stand there once (credentials, Content-Type, ...) stands there twice";
        seen->lone |= bit;
    }
    return NULL;
}

const char *http_check_head(const struct http_head *h, struct http_framing *ret_framing)
{
    struct http_framing framing = {.content_length = -1};
    struct head_counts seen = {0};

    if (!is_method(h->method))
        return "the method is not a word of up to 31 capital letters";
    if (!is_target(h->target))
        return "the request target has a blank, a control character, a fragment or a byte that is not ASCII "
               "in it";
    if (h->minor != 0 && h->minor != 1)
        return "the version is neither HTTP/1.0 nor HTTP/1.1";
    for (size_t i = 0; i < h->header_count; i++) {
        const char *why = check_field(h, &h->headers[i], &seen, &framing);

        if (why)
            return why;
    }
    if (framing.chunked && seen.content_length)
        return "there are both Content-Length and Transfer-Encoding";
    if (h->minor == 1 && seen.host != 1)
        return "there is no Host header";
    *ret_framing = framing;
    return NULL;
}
