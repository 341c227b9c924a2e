/*
 * guard: is this request from a program on this machine, or from a web page that found the port?
 *
 * A page of ours (the dashboard) has the Host as its origin. A browser page of another origin shows itself by Origin or
 * `Sec-Fetch-Site: cross-site`; a page that rebinds its DNS name to 127.0.0.1 shows itself by Host. Node's fetch also sends
 * `sec-fetch-mode`, so only Sec-Fetch-Site counts.
 */
#ifndef METERGATE_PROXY_GUARD_H
#define METERGATE_PROXY_GUARD_H

#include <stdbool.h>

#include "metergate/base/slice.h"
#include "metergate/net/http.h"

struct guard_rules {
    const char *const *hosts; /* names that are ours besides localhost, 127.0.0.0/8 and ::1 */
    size_t host_count;
    const char *const *origins; /* origins that may call us, as "https://app.example" */
    size_t origin_count;
    /* Of one request: the address that it came to, without its port (empty: none). As Host it is no rebinding, which needs
     * a name. */
    struct slice local;
};

/* GUARD_SITE: a page of another site that does not say which. */
enum guard_verdict { GUARD_OK, GUARD_HOST, GUARD_ORIGIN, GUARD_SITE };

/* The header value at fault goes to *ret_culprit (borrowed) with GUARD_HOST and GUARD_ORIGIN. */
enum guard_verdict guard_check(const struct http_head *head, const struct guard_rules *rules,
                               struct slice *ret_culprit);

/* The value of a Host header, with or without its port: a local one, or one of rules->hosts. */
bool guard_is_our_host(struct slice host, const struct guard_rules *rules);

/* The value of an Origin header: a page of a local host, whatever its port, or one of rules->origins. */
bool guard_is_our_origin(struct slice origin, const struct guard_rules *rules);

/* `name[:port]` or `[v6]:port`: localhost, *.localhost, 127.0.0.0/8 or ::1, whatever the port. */
bool guard_is_local_host(struct slice host);

#endif
