/*
 * foreign: of what a window holds, the part that somebody else used of the same key: nobody told us, the
 * provider's counter shows it. Pure. It lies in the window like any charge, so whoever asks the window for
 * room need not know.
 *
 * A counter says: so much was left at some moment between the arrival of our request and the arrival of the
 * answer's head. What we had at the provider at that moment is known only as an interval, because calls went
 * and came meanwhile; so what others have there is an interval, too:
 *
 *     low  = max - remaining - rounding - the most that may have been ours
 *     high = max - remaining + rounding - the least
 *
 * Less than low is raised to it, more than high lowered to it (never below 0: a provider that counts less
 * than we do lets nothing more through), and what is in between stays.
 *
 * A provider that charges on arrival may keep what an answer used less, or give it back: some document
 * neither. Where it tells its counters, the difference stays beside the charge that it was of, and leaves
 * with it, until a counter shows that it is not there: foreign_keep.
 *
 * When the others' use will leave is not known. What a reading confirms (low) is made young again, bit by
 * bit, so that while answers come none of it is older than half a span: a steady consumer does not leave all
 * at once one span after it was first seen. When no answers come it all leaves by itself within a span.
 *
 * In silence, between the calls of one window and those of the next, others go on. So they are expected to
 * have grown as fast as they did when they were last heard of (or to have what they had, when they were
 * watched for a span by then), and what goes leaves room for that, as far as it goes at all:
 * foreign_expected.
 *
 * A full window of calls at once would come too late to be corrected. So while others are about (a part of
 * the limit that matters was theirs, not long ago), what is sent and not heard of yet is kept to a small part
 * of the limit, and beyond it goes no faster than the limit itself: foreign_earliest.
 */
#ifndef METERGATE_GATE_FOREIGN_H
#define METERGATE_GATE_FOREIGN_H

#include <stdbool.h>
#include <stdint.h>

#include "metergate/gate/window.h"

struct foreign;

/* What one answer said of one window. All amounts >= 0. */
struct foreign_reading {
    int64_t max;                   /* of the limit, as we count */
    int64_t remaining;             /* of it, as the provider counts, */
    int64_t rounding;              /* which may be so much more or less */
    int64_t ours_least, ours_most; /* what it may have had of ours then, calls on their way to it included */
    int64_t sent_us;               /* when it had the request, */
    int64_t mark;                  /* whose mark this is (foreign_sent) */
    int64_t charged;               /* for it, when it arrived */
    int64_t opened_us, debt_then;  /* when it was let go, and foreign_debt then */
    bool refused;                  /* it did not let the request in */
};

/*
 * Corrects the window; true when that may change who can go. *f is made at the first reading. A reading of
 * a request that the provider had before the last one's is old news: it lowers nothing, and when it is vaguer
 * it is left out. Advance the window first.
 */
bool foreign_observe(struct foreign **f, struct window *w, const struct foreign_reading *r, int64_t now_us);

/* What a provider that keeps all charges of calls that were heard of would count now at the least: what a
 * reading of a request that it has now wants to know. NULL is fine: 0. */
int64_t foreign_debt(const struct foreign *f, const struct window *w, int64_t max, int64_t now_us);

/* Of a charge of at_us, inside the entry of that handle, the provider may keep so much more than the charge
 * still is. */
void foreign_keep(struct foreign *f, struct window *w, uint64_t handle, int64_t at_us, int64_t now_us,
                  int64_t amount);

/* How much of what the window holds is not ours. NULL is fine: nothing. Advance the window first. */
int64_t foreign_amount(const struct foreign *f, const struct window *w);

/* How much more others are expected to have by now than what the window holds of them. NULL is fine: nothing.
 * Advance the window first. */
int64_t foreign_expected(const struct foreign *f, const struct window *w, int64_t now_us);

/* The first moment at which so much more may go, as far as what is on its way unheard decides: now, when
 * nobody else is about or nothing is unheard. NULL is fine. */
int64_t foreign_earliest(const struct foreign *f, const struct window *w, int64_t usable, int64_t need,
                         int64_t now_us);

/* So much was sent now: returns the mark for its reading. And nothing is on its way any more, heard or not.
 * NULL is fine. */
int64_t foreign_sent(struct foreign *f, int64_t need, int64_t now_us);
void foreign_quiet(struct foreign *f);

/* The window keeps what it holds. NULL is fine. */
void foreign_free(struct foreign *f);

#endif
