/*
 * client: HTTP to the daemon, one blocking call after the other. Every call has a time limit and every answer
 * a largest size. The environment's proxies are never used.
 *
 * A struct client may be used by several threads at once; it is initialised and released by one.
 */
#ifndef METERGATE_TOOL_CLIENT_H
#define METERGATE_TOOL_CLIENT_H

#include <stdint.h>

#include "metergate/base/buf.h"
#include "metergate/base/err.h"
#include "metergate/base/secret.h"
#include "metergate/base/slice.h"
#include "metergate/tool/address.h"

struct client {
    struct address address;     /* readable */
    const struct secret *token; /* borrowed, shown with each call; NULL or unset: none */
};

#define CLIENT_TIMEOUT_MS 10000
#define CLIENT_ANSWER_MAX ((size_t)8 << 20)

/* What to send. All is borrowed until the call returns. */
struct client_request {
    const char *path;           /* begins with "/" */
    const char *const *headers; /* "Name: value" each, NULL at the end; may be NULL */
    struct slice body;          /* with one it is a POST of JSON, else a GET, unless `post` */
    bool post;
    int64_t timeout_ms; /* for the whole call; 0: CLIENT_TIMEOUT_MS */
    size_t answer_max;  /* bytes; 0: CLIENT_ANSWER_MAX */
};

struct client_answer {
    int status;      /* of the final answer */
    struct buf head; /* its header lines, raw */
    struct buf body;
};

/* `token` may be NULL; it must outlive the client. */
void client_init(struct client *c, const struct address *a, const struct secret *token);
void client_release(struct client *c);

/*
 * 0 with an answer, whatever its status; release it. Else a sentence and: -EHOSTUNREACH nobody answers there,
 * -ETIMEDOUT, -E2BIG the answer is over answer_max, -EPROTO anything else that went wrong with it.
 */
int client_call(const struct client *c, const struct client_request *r, struct client_answer *ret,
                struct errbuf *e) MG_MUSTCHECK;
void client_answer_release(struct client_answer *a);

/* The value of a header of the final answer; empty when it has none of that name. Borrowed from `a`. */
struct slice client_answer_header(const struct client_answer *a, const char *name);

/* Whether an answer says that this client is not served (401, 403): -EACCES with why, or 0. */
int client_refuses(const struct client *c, const struct client_answer *a, struct errbuf *e) MG_MUSTCHECK;

/*
 * GET of one of Metergate's own paths, which must be answered 200. -EACCES when the daemon wants a token,
 * another one, or does not serve this user; -EPROTO when something else answers there.
 */
int client_get(const struct client *c, const char *path, struct client_answer *ret,
               struct errbuf *e) MG_MUSTCHECK;

/* Whether a Metergate daemon answers, and would serve this client: 0, or as client_get. */
int client_check(const struct client *c, struct errbuf *e) MG_MUSTCHECK;

#endif
