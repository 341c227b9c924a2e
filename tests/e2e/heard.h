/*
 * heard: several providers at once that the test plays: whichever is called hears the request, whole, and
 * gives one answer. For who is called with what, and what becomes of an answer.
 */
#ifndef E2E_HEARD_H
#define E2E_HEARD_H

#include "fixture.h"

#define HEARD_MAX 8

struct heard {
    struct fixture f;
    int n;
    int listeners[HEARD_MAX], ports[HEARD_MAX];
};

/* What one of them was asked. Release the request and the reply. */
struct heard_call {
    int who; /* -1: nobody was asked */
    struct buf request;
    struct buf reply; /* what the client got, head and all */
};

/* n providers; in `yaml` $0, $1, ... become their addresses, http://127.0.0.1:PORT. */
void heard_start(struct heard *h, int n, const char *yaml);
void heard_stop(struct heard *h);

/*
 * Sends `request` (a whole HTTP request; Host, Content-Length and Connection: close are added to its head
 * line and headers) with `body`, and gives `answer` for whoever is called. Waits until the client has all.
 */
struct heard_call heard_call(struct heard *h, const char *request, const char *body, size_t body_bytes,
                             const char *answer, size_t answer_bytes);
void heard_release(struct heard_call *c);

/* The same with text, and an answer of JSON with status 200. */
struct heard_call heard_json(struct heard *h, const char *request, const char *body, const char *json);

/* The status of the reply, and the value of one of its headers or of the request's (empty when it has none).
 */
int heard_status(const struct heard_call *c);
bool heard_has(const struct buf *message, const char *line);

#endif
