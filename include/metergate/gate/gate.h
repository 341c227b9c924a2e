/*
 * gate: who may go, and when. Pure: every function takes the time and none does anything but decide. One gate
 * holds the budgets of a daemon and the tickets of its calls.
 *
 *            gate_offer              gate_next             gate_close
 *   IDLE  ------------->  HELD  ------------->  DISPATCHED  ------------->  IDLE
 *     ^                    | ^                       |
 *     |  gate_cancel,      | '-----------------------'
 *     |  gate_expire       |       gate_requeue
 *     '--------------------'
 *
 * A ticket is a call's seat; it is embedded in the call. A HELD ticket is in the queue of its first budget. A
 * DISPATCHED one has an attempt open: its charges are reserved in every limit of all its budgets, get their
 * time by gate_sent, and are corrected by gate_close or gate_requeue, once.
 *
 * Order: within a queue by class, by what clients have had, by arrival (line.h); a small call may pass the
 * head only when the head's start is not delayed by it (pick.h); while a higher class is in play, lower ones
 * leave it some room (polite.h). Among queues the one whose call is of the highest class and oldest goes
 * first. A head that waits for a budget which queues share (a client's, an upstream's) is not starved by
 * later calls of the others: they take of that budget only what leaves the head's first moment as it is, and
 * a queue whose next call would take more waits with it. While a head waits for a limit of its own, nothing
 * is kept free for it in what is shared.
 *
 * What always holds: (1) gate_next lets nothing go that would lift a limit's used + reserved over its usable
 * part (a call bigger than that: over its max). (2) When all tickets are IDLE, every `reserved` is 0.
 */
#ifndef METERGATE_GATE_GATE_H
#define METERGATE_GATE_GATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "metergate/gate/budget.h"
#include "metergate/gate/predict.h"
#include "metergate/gate/profile.h"
#include "metergate/gate/ticket.h"

struct counter;
struct gate;

enum gate_verdict {
    GATE_HELD,
    GATE_TOO_LARGE, /* it can never fit a limit: 413 */
    GATE_MAX_WAIT   /* its turn would come after its deadline: 429 */
};

/* Why a call is refused. */
struct gate_refusal {
    const struct limit *limit; /* TOO_LARGE: borrowed */
    int64_t requested;         /* TOO_LARGE: the counted input, or what the provider would count */
    int64_t wait_us;           /* MAX_WAIT: the predicted wait */
};

/* How queues are served. Zeroed: by the rules of docs/scheduling.md. */
struct gate_policy {
    bool fifo;         /* in order of arrival, whoever asks (`order: fifo`) */
    bool no_backfill;  /* nobody passes the head; for comparisons */
    bool never_polite; /* no queue is paced; for comparisons */
};

struct gate *gate_new(void);

/* From now on; what waits is put in the new order. */
void gate_set_policy(struct gate *g, const struct gate_policy *policy);

/* Set for each budget that calls queue for (AUTO and nobody expected until then): `expected` is a set of bits
 * 1u << class of the clients that are known to the configuration. */
void gate_budget_polite(struct gate *g, struct budget *b, enum gate_polite polite, unsigned expected);

void gate_free(struct gate *g); /* with its budgets; every ticket must be IDLE */

/* A budget of this gate, freed with it. `limits` are copied. */
struct budget *gate_budget_new(struct gate *g, const char *name, int headroom_permille,
                               const struct limit *limits, size_t n);

/* All budgets, in order of making, by their `link`. */
struct list *gate_budgets(struct gate *g);

/* budget_update for a budget of this gate. What waits keeps its place. */
void gate_budget_update(struct gate *g, struct budget *b, int headroom_permille, const struct limit *limits,
                        size_t n);

/* budget_limit_calls for a budget of this gate: what budget_update with that max would do, but cheaper. */
void gate_limit_calls(struct gate *g, struct budget *b, size_t i, int64_t max);

/* Frees it before the gate. No ticket may name it any more. */
void gate_budget_free(struct gate *g, struct budget *b);

/* A held call waits for other budgets from now on; its place among their calls is that of its arrival. */
void gate_move(struct gate *g, struct ticket *t, struct budget *const *budgets, size_t n);

/* Whether a ticket as it was filled in would ever go: gate_offer would not call it too large. */
bool gate_fits(const struct ticket *t);

/*
 * Takes a seat, or says why not. It is refused for its deadline only when it could not go at once and even
 * the most hopeful prediction lies beyond it.
 */
enum gate_verdict gate_offer(struct gate *g, struct ticket *t, int64_t now_us, struct gate_refusal *ret_why);

/*
 * The place in the order of arrival of a ticket that was offered, and how an idle one takes over the place of
 * another, which has ended for good: between ticket_init and gate_offer.
 */
uint64_t gate_place(const struct ticket *t);
void gate_take_place(struct ticket *t, uint64_t place);

/* The next call to let go, now DISPATCHED, its charges reserved; NULL: none can go. Call it until NULL. */
struct ticket *gate_next(struct gate *g, int64_t now_us);

/*
 * The next held call whose deadline is not after `now_us`, now IDLE; NULL: none. *ret_wait_us is the wait
 * that was still before it. A turn is: gate_expire(now - 1) until NULL, so that nobody starts after its
 * deadline; gate_next(now) until NULL; gate_expire(now) until NULL, so that a call may still start at its
 * deadline. What expires at last may have been in somebody's way: then gate_wakeup says so, and another turn
 * follows at once.
 */
struct ticket *gate_expire(struct gate *g, int64_t now_us, int64_t *ret_wait_us);

/*
 * When to take the next turn if nothing happens before: nobody can go or expires before that moment. (It may
 * come for nothing: what leaves a window may not be enough.) 0: at once, because something has changed since
 * gate_next gave NULL.
 */
int64_t gate_wakeup(const struct gate *g);

/* A held call leaves. */
void gate_cancel(struct gate *g, struct ticket *t, int64_t now_us);

/* The provider has counted what it counts on arrival: the charges' time is now. Later calls do nothing. */
void gate_sent(struct gate *g, struct ticket *t, int64_t now_us);

/*
 * An attempt that is open has produced so many tokens of output more (> 0). For profiles that charge them so
 * (profile_charges_as_produced): what was reserved for the end is charged now, and what gate_close is told is
 * less by it.
 */
void gate_produced(struct gate *g, struct ticket *t, int64_t now_us, int64_t tokens);

/*
 * The answer to an attempt that is open shows counters of the provider (counter.h): the windows of the
 * ticket's first budget are corrected by what others have used. `refused`: it is a 429.
 */
void gate_observe(struct gate *g, const struct ticket *t, int64_t now_us, const struct counter *v, size_t n,
                  bool refused);

/* The attempt is over and took `final`; NULL: what was reserved. */
void gate_close(struct gate *g, struct ticket *t, int64_t now_us, const struct cost *final);

/* What an attempt that is over holds of its limits. */
struct gate_left {
    struct charge *charges; /* owned */
    size_t n;
};

/*
 * The attempt is over, and what it took will be known later (a background response): what was reserved
 * counts, in flight it is no more, and the ticket is IDLE. gate_correct ends it, as long as the budgets are
 * there.
 */
void gate_leave(struct gate *g, struct ticket *t, int64_t now_us, struct gate_left *ret);

/* It took `final`; NULL: what was reserved. Releases it. */
void gate_correct(struct gate *g, struct gate_left *left, int64_t now_us, const struct cost *final);

/* The attempt is over and took `final`; the call goes back to its place in the queue: the front. */
void gate_requeue(struct gate *g, struct ticket *t, int64_t now_us, const struct cost *final);

/*
 * The same for one that is refused again and again, so that it does not keep its client's other calls from
 * theirs: it lets up to n of them go first.
 */
void gate_requeue_behind(struct gate *g, struct ticket *t, int64_t now_us, const struct cost *final,
                         unsigned n);

/* Nothing goes at all until gate_resume. Deadlines pass, but nobody is refused early for it. */
void gate_stop(struct gate *g);
void gate_resume(struct gate *g);
bool gate_is_stopped(const struct gate *g);

/* Nothing goes on this budget before `until_us`. Of two pauses the one that ends later counts. */
void gate_pause(struct gate *g, struct budget *b, int64_t until_us);

/*
 * From now on only one attempt goes on this budget, at at_us; and while nobody tells how it ended, another
 * one each patience_us. Called again, it counts anew from there. gate_probe_end: all go again. Pauses count
 * as ever.
 */
void gate_probe(struct gate *g, struct budget *b, int64_t at_us, int64_t patience_us);
void gate_probe_end(struct gate *g, struct budget *b);

/*
 * When a held call will start. The first question in GATE_REPLAY_EVERY_US, and in GATE_REPLAY_CALL_US for each call that
 * was held then (a replay takes up to 5 us for each), has all held calls replayed (replay.h); for one that arrived since then it is the estimate of predict.h, from which the bound always
 * is.
 */
#define GATE_REPLAY_EVERY_US (INT64_C(250) * 1000)
#define GATE_REPLAY_CALL_US  200
#define GATE_REPLAY_AT_ONCE  500 /* where more are held, it is done in parts (gate_replay_more) */
#define GATE_REPLAY_STEPS    250 /* of a part */
struct prediction gate_predict(struct gate *g, const struct ticket *t, int64_t now_us);

/*
 * When a held call will start, for people: gate_predict's start_us, but CLOCK_NEVER where nobody can know. That is while
 * everything is stopped; where its windows have room and it waits for a call in flight to end; and for all but the heads
 * of queues while one goes now and then to see (gate_probe). It costs next to nothing for calls that were replayed; others
 * have an estimate while *estimates lasts, which counts down, and are not known beyond that.
 */
int64_t gate_start_us(struct gate *g, const struct ticket *t, int64_t now_us, int *estimates);

/* Goes on for about a millisecond with a replay that was begun for one of these; false: none is under way any more. */
bool gate_replay_more(struct gate *g);

/* Of two held calls, whether `a` is the one that was seen to go first by the last replay, or by arrival where that saw
 * neither go. */
bool gate_goes_before(const struct ticket *a, const struct ticket *b);

/* What a held call waits for now, besides those before it. */
struct gate_reason gate_why(struct gate *g, const struct ticket *t, int64_t now_us);

/* What the head of this budget's queue waits for now; *ret_head: who that is. The queue is not empty. */
struct gate_reason gate_head_why(struct gate *g, struct budget *b, int64_t now_us, const struct ticket **ret_head);

/* When the head of this budget's queue will go; CLOCK_NEVER: nobody waits, everything is stopped, or an event
 * decides. */
int64_t gate_next_dispatch_us(struct gate *g, struct budget *b, int64_t now_us);

#endif
