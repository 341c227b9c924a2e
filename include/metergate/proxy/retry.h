/*
 * retry: whether a call whose attempt failed is sent again, and who waits meanwhile.
 *
 *   429, with a wait named        the model's budget (or the upstream, when the answer says that it is the
 *   503, 529, with a wait named   whole account) pauses for it, whatever retry.attempts says
 *   429                           it pauses with backoff (gate/backoff.h); one attempt of retry.attempts is spent
 *   503, 529                      the same; several in a row open the breaker of the model (gate/breaker.h)
 *   no connection                 the same with the upstream and its breaker
 *
 * While a breaker is open nothing goes but a probe now and then, and who is held stays held until his
 * deadline. A probe that finds no connection is not one of its call's attempts: it goes for all, and nothing
 * in the call can be why. One that is answered 503 or 529 is: the call itself might be why, and would keep
 * its queue for ever.
 *
 * What retry.for leaves out is neither tried again nor counted. With retry.attempts 1 only waits that were
 * named count.
 */
#ifndef METERGATE_PROXY_RETRY_H
#define METERGATE_PROXY_RETRY_H

#include <stdbool.h>
#include <stdint.h>

#include "metergate/dialect/verdict.h"

struct call;

/* When the call may go again. */
struct retry_wait {
    int64_t until_us;
    int64_t told_us; /* what to tell its client when that is too late for it: without the jitter */
};

/* An attempt goes. */
void retry_sent(struct call *c);

/* It was connected: the provider has the request. Also of a call that passes through. */
void retry_connected(struct call *c);

/* A head of that status came: likewise. */
void retry_answered(struct call *c, int status);

/*
 * Its attempt was answered by an error of that status. False: the answer is its client's. In either case
 * those wait who have to, from now on.
 */
bool retry_after_answer(struct call *c, int status, const struct verdict *v, struct retry_wait *ret);

/*
 * Its answer is at its end, or was cut. An error that stood inside it, after a head of 200, makes those wait
 * who come next; the call itself has its answer.
 */
void retry_after_error_inside(struct call *c);

/*
 * Its attempt had no answer, and the provider cannot have had all of it. `connected`: some of it was sent.
 * False: no further attempt.
 */
bool retry_after_failure(struct call *c, bool connected, struct retry_wait *ret);

#endif
