/*
 * pick: which call of one queue goes. Arrival order, with EASY backfill (D. Lifka, "The ANL/IBM SP scheduling
 * system", 1995): the oldest call is promised the first moment at which its limits have room for it; a
 * younger one may pass it when that moment stays what it is.
 *
 *      tokens |            head promised here
 *             |   used       v
 *             |--------.     +-----------------
 *             |         '--. |   head
 *             |  (small)    '+---------- ...     may go now: fits now, and beside the head when that starts
 *             +--------------------------------> time
 *
 * Exact: when nobody can go, the moment that it names is the first one at which somebody can, if nothing
 * happens before.
 */
#ifndef METERGATE_GATE_PICK_H
#define METERGATE_GATE_PICK_H

#include <stdint.h>

#include "metergate/gate/budget.h"
#include "metergate/gate/ticket.h"

struct pick {
    struct ticket *ticket;   /* NULL: nobody can go now */
    int64_t at_us;           /* now; or when somebody can, CLOCK_NEVER: an event decides */
    struct gate_reason head; /* what the head waits for; until now: nothing */
};

/* The queue must not be empty. Advances the windows of the calls that it looks at. */
struct pick pick_from(const struct budget *b, int64_t now_us);

#endif
