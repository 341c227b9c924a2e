/*
 * pick: which call of one line goes. In the line's order (line.h), with EASY backfill (D. Lifka, "The ANL/IBM
 * SP scheduling system", 1995): the head is promised the first moment at which its limits have room for it; a
 * later one may pass it when that moment stays what it is.
 *
 *      tokens |            head promised here
 *             |   used       v
 *             |--------.     +-----------------
 *             |         '--. |   head
 *             |  (small)    '+---------- ...     may go now: fits now, and beside the head when that starts
 *             +--------------------------------> time
 *
 * While it cannot be told when the head goes (calls in flight decide), what it needs is kept for it: it may
 * be any moment. Not so where a call of its own client has to end first: until then, others go on as if it
 * were not there.
 *
 * Lower classes have manners (polite.h); those of a head are the ones that it had when it got its promise. A
 * head that has its turn by the share of its class has none.
 */
#ifndef METERGATE_GATE_PICK_H
#define METERGATE_GATE_PICK_H

#include <stdbool.h>
#include <stdint.h>

#include "metergate/gate/budget.h"
#include "metergate/gate/ticket.h"

struct pick {
    struct ticket *ticket;   /* NULL: nobody can go now */
    int64_t at_us;           /* now; or nobody can before this moment, CLOCK_NEVER: an event decides */
    struct gate_reason head; /* what the head waits for; until now: nothing */
    struct budget *full;     /* that all take from, and of which a call has to end first; NULL: none */
};

/* The line must not be empty. Advances the windows of the calls that it looks at. */
struct pick pick_from(struct budget *b, bool backfill, int64_t now_us);

/* What its head waits for, and whom it is. */
struct gate_reason pick_head(struct budget *b, int64_t now_us, struct ticket **ret_head);

/* The next moment after now at which anything in b changes by itself. */
int64_t pick_next_change(const struct budget *b, int64_t now_us);

#endif
