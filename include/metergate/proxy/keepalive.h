/*
 * keepalive: tells clients of held calls that they are alive, by `102 Processing`, so that their timers for
 * the answer's head start anew and any status can still follow.
 *
 * Only clients that are known to skip it get it, because some take it for the answer (Python's http.client,
 * and so requests and urllib3) and some count them (Go before 1.24 gives up after five). It is never sent to
 * HTTP/1.0, nor behind another proxy, which would pass it on to whom it does not know. 100 is never sent:
 * undici breaks the connection for one that it did not ask for.
 *
 * Held calls stand on one list in the order in which they were last told, with one timer for all. Whether a
 * client may be told is looked at when its first 102 is due: most calls never wait that long.
 */
#ifndef METERGATE_PROXY_KEEPALIVE_H
#define METERGATE_PROXY_KEEPALIVE_H

#include <stdbool.h>
#include <stdint.h>

#include "metergate/base/list.h"
#include "metergate/config/config.h"
#include "metergate/net/http.h"
#include "metergate/net/loop.h"

struct call;
struct proxy;

struct keepalive {
    struct list fresh;       /* private: calls that may go in this very turn */
    struct list told;        /* private: calls, by call.told_us */
    struct loop_timer timer; /* private */
    int64_t sent;            /* readable: 102s since the start */
};

/* Whether that request's client may get 102: it is in the table, or its User-Agent matches one of `more`. */
bool keepalive_may_tell(const struct http_head *head, const struct config_strings *more);

void keepalive_init(struct keepalive *k);
void keepalive_release(struct proxy *p);

/* The call is held from now on, or not any longer (harmless when it was not). */
void keepalive_begin(struct call *c);
void keepalive_end(struct call *c);

/*
 * The gate has been asked, and this call is still held: the next of those that began to be held in this turn, NULL when
 * there is none left. Most calls never get here.
 */
struct call *keepalive_admit(struct proxy *p);

/* The interval may have changed. */
void keepalive_rearm(struct proxy *p);

#endif
