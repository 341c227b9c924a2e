/*
 * reports: GET /-/usage, /-/calls, /-/calls/ID and /-/compare: what the ledger kept (inquiry.h has what they
 * take, docs/reports.md what they answer). A thread of their own asks it, one question after the other, so
 * that the loop waits for no disk. A client that leaves takes its question along, even if it is being asked.
 *
 * What ended before a question came is in its answer, unless the disk is slower than a second.
 */
#ifndef METERGATE_PROXY_REPORTS_H
#define METERGATE_PROXY_REPORTS_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "metergate/base/err.h"
#include "metergate/base/list.h"

struct exchange;
struct loop;
struct proxy;
struct report_question;
struct report;
struct route;
struct workers;

/* Questions that wait, with the one that is being answered; one more is 503. */
#define REPORTS_WAITING_MAX 32

struct reports {
    struct workers *workers;       /* owned; NULL before reports_start and after reports_stop */
    struct list waiting;           /* questions, in the order in which they are asked */
    struct report_question *asked; /* the worker's; or NULL */
    int64_t count;                 /* of both */

    pthread_mutex_t lock;
    struct report *open; /* under the lock: that of `asked` */
    bool unwanted;       /* under the lock: `asked` is to end, whatever comes of it */
};

void reports_init(struct reports *rs);
int reports_start(struct reports *rs, struct loop *l) MG_MUSTCHECK; /* -EAGAIN: the system gives no thread */

/* Interrupts what is being asked, and ends the thread. What it has asked for is not answered; the exchanges
 * are still there. */
void reports_stop(struct reports *rs);

/* After reports_stop, when no exchange is left. */
void reports_release(struct reports *rs);

/* Takes over a request whose head came: true when its path is one of these. */
bool reports_serve(struct proxy *p, struct exchange *x, const struct route *r);

/* The body of a request is there, or rc says why not, as receive_body has it: true when its path is one of
 * these. */
bool reports_body(struct proxy *p, struct exchange *x, int rc);

/* A request that is no call ends: nothing is owed to it any more. */
void reports_gone(struct proxy *p, struct exchange *x);

#endif
