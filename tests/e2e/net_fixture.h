/*
 * net_fixture: a small pass-through proxy made of net/ alone, running in a thread of the test, between raw
 * sockets of the test on both sides. The test thread is client and provider at once; it waits on its sockets,
 * never on time.
 *   /pass...    body read whole, then forwarded          /stream...  body forwarded as it comes
 *   /hold       held until netfix_release                /local      answered at once
 *   /small      body of at most 1000 bytes, then "ok"
 */
#ifndef METERGATE_TESTS_NET_FIXTURE_H
#define METERGATE_TESTS_NET_FIXTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "metergate/net/front.h"
#include "metergate/net/upstream.h"

struct netfix;

struct netfix_options {
    const char *scheme_host; /* of the provider; NULL: "http://127.0.0.1" */
    const char *upstream; /* all of its address; NULL: scheme_host and the port of the fixture's own socket */
    int upstream_window;  /* receive buffer of the provider's connections; 0: the system's choice */
    const char *listen;   /* NULL: "127.0.0.1:0" */
    struct front_config front;
    struct upstream_config pool;
    struct transfer_request timeouts; /* only the timeouts and trust are used */
};

/* What the proxy has seen; taken in the loop thread. */
struct netfix_counts {
    struct front_stats front;
    struct upstream_stats pool;
    unsigned held, gone, done, complete, bad, sent;
    size_t most_buffered; /* of one answer */
    size_t most_uploaded; /* of one streamed body */
    enum transfer_result last_result;
    bool last_reused, last_may_have_arrived;
    uid_t last_uid; /* of a client on a Unix socket */
    uint64_t wakeups;
};

struct netfix *netfix_start(const struct netfix_options *o);
void netfix_stop(struct netfix *nf); /* asserts that everything went away */

const char *netfix_address(const struct netfix *nf);
int netfix_port(const struct netfix *nf);
int netfix_upstream_port(const struct netfix *nf);

void netfix_release(struct netfix *nf); /* answers all held requests */
void netfix_interim(struct netfix *nf); /* sends 102 to all held requests */
void netfix_drain(struct netfix *nf);   /* front_stop_listening, front_drain */
struct netfix_counts netfix_counts(struct netfix *nf);

/* Asks again, as the loop turns, until the field has the value; fails the test after ten seconds. */
void netfix_wait_held(struct netfix *nf, unsigned held);
void netfix_wait_gone(struct netfix *nf, unsigned gone);
void netfix_wait_done(struct netfix *nf, unsigned done);
void netfix_wait_sent(struct netfix *nf, unsigned sent);
void netfix_wait_connections(struct netfix *nf, unsigned connections);
void netfix_wait_waiting(struct netfix *nf, unsigned waiting);
void netfix_wait_buffered(struct netfix *nf, size_t more_than);
void netfix_wait_uploaded(struct netfix *nf, size_t more_than);
void netfix_wait_idle(struct netfix *nf); /* no exchange, no transfer, no client connection */

/* ---- blocking sockets; each fails the test after ten seconds ------------------------------------------- */

int sock_connect(int port);
int sock_accept(const struct netfix *nf); /* the proxy's connection to the provider */
int sock_listen(int *ret_port);
void sock_send(int fd, const void *p, size_t n);
void sock_send_str(int fd, const char *s);

/*
 * Reads until the text ends with `end` (or the other side closes, or `max` - 1 bytes came); NUL-terminates.
 */
size_t sock_read_until(int fd, char *p, size_t max, const char *end);
size_t sock_read_exactly(int fd, char *p, size_t n);
bool sock_is_closed(int fd);   /* waits for the end; true when there was no byte before it */
bool sock_is_reset(int fd);    /* waits for the end; true when it is a reset */
bool sock_has_nothing(int fd); /* nothing to read right now */

#endif
