/*
 * promise: what the head of a line is told when it comes to be the head, and whether that is kept. A promise
 * holds as long as the call is the head and nobody else goes by a right of its own: of a higher class, by the
 * share of a lower one (line.h), or in another line that takes from a budget that both have (gate.h says what
 * a head is spared there).
 */
#ifndef METERGATE_TESTS_SIM_PROMISE_H
#define METERGATE_TESTS_SIM_PROMISE_H

#include <stdbool.h>
#include <stdint.h>

#include "metergate/gate/budget.h"
#include "metergate/gate/ticket.h"

/* Of one line. */
struct promise {
    struct budget *b;
    const struct ticket *head; /* NULL: nobody has a promise that holds */
    int64_t at_us;
    int64_t credit[TICKET_CLASSES]; /* before the last dispatch */
};

/* When nobody can go: who is the head, and what is it told? Once a head has its promise it keeps it. */
void promise_watch(struct promise *p, int64_t now_us);

/* Before each dispatch. */
void promise_before(struct promise *p);

/* A call has just gone, of this line or another. Whether it had a promise, and how long after it it went. */
bool promise_after(struct promise *p, const struct ticket *t, int64_t now_us, int64_t *ret_late_us);

/* It was told something that nobody holds it to any more: the line pauses. */
void promise_void(struct promise *p);

#endif
