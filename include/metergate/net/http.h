/*
 * http: what a request head must look like before anything of it is believed, and the few rules about header
 * names. Pure functions over borrowed bytes.
 *
 * Source: RFC 9110 (5.1 names are tokens, 5.5 values without controls, 7.2 one Host), RFC 9112 (3.2 request
 * target, 6.1 and 6.3 framing: what two parsers could read differently is refused).
 */
#ifndef METERGATE_NET_HTTP_H
#define METERGATE_NET_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "metergate/base/slice.h"

/* One header line; both sides borrowed. The name keeps its case, the value is without blanks at its ends. */
struct http_header {
    struct slice name;
    struct slice value;
};

struct http_head {
    struct slice method;
    struct slice target; /* as it stood in the request line */
    int minor;           /* HTTP/1.minor: 0 or 1 */
    const struct http_header *headers;
    size_t header_count;
};

/* A longer method is no method that anybody knows. */
#define HTTP_METHOD_MAX 31

/* How the body of a request is delimited. */
struct http_framing {
    int64_t content_length; /* -1: not given */
    bool chunked;
};

/*
 * Checks method, target, names, values, framing, Host and that what may stand there once does. NULL when all
 * is right (then *ret_framing is set), otherwise a sentence that says what is wrong (a string literal).
 */
const char *http_check_head(const struct http_head *h, struct http_framing *ret_framing);

/* RFC 9110 5.6.2: a non-empty run of tchar. */
bool http_is_token(struct slice s);

/* No controls but the horizontal tab. */
bool http_is_field_value(struct slice s);

/*
 * Connection, Keep-Alive, Proxy-Connection, TE, Trailer, Transfer-Encoding, Upgrade, HTTP2-Settings,
 * Proxy-Authenticate, Proxy-Authorization: headers that concern one connection and are never forwarded.
 * (Content-Length is not among them, but whoever forwards sets it anew.)
 */
bool http_is_hop_by_hop(struct slice name);

/*
 * Headers that Connection may name, in all its lines. Who forwards holds each header against each of these names, so thousands of both
 * would take him a tenth of a second; a peer that means well names two or three.
 */
#define HTTP_OPTIONS_MAX 64

/* How many elements a comma-separated list has, empty ones too. */
size_t http_list_count(struct slice list);

/* Whether `name` is one of the tokens of a comma-separated list, such as the value of Connection. */
bool http_list_has(struct slice list, struct slice name);

/* The value of the first header of that name (case ignored); {NULL, 0} when there is none. */
struct slice http_header_get(const struct http_header *headers, size_t count, struct slice name);

#endif
