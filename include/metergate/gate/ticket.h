/*
 * ticket: a call's seat at the gate, and what its limits say of it. Embedded in the call; the gate (gate.h)
 * moves it from state to state, everybody may read it.
 */
#ifndef METERGATE_GATE_TICKET_H
#define METERGATE_GATE_TICKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "metergate/base/heap.h"
#include "metergate/gate/budget.h"
#include "metergate/gate/profile.h"
#include "metergate/gate/queue.h"

#define TICKET_BUDGETS_MAX BUDGET_COMMON_MAX

enum ticket_state { TICKET_IDLE, TICKET_HELD, TICKET_DISPATCHED };

/* Zero-initialised, then ticket_init. Fields are readable. */
struct stand_in;

struct ticket {
    enum ticket_state state;
    struct cost cost;
    struct budget *budgets[TICKET_BUDGETS_MAX]; /* all different; the first is the one that it queues for */
    size_t budget_count;
    int64_t arrival_us;
    int64_t deadline_us; /* latest start of an attempt */
    enum ticket_class class;
    const void
        *client; /* a name for whose it is: calls of one client share its part of a queue; NULL is one, too */
    int64_t weight; /* of that client, 1..1000 */
    bool sent;      /* gate_sent was called for this attempt */
    int64_t dispatched_us; /* private: when this attempt went */

    struct flow *flow;    /* readable while not IDLE: its client's part of the queue */
    int64_t share_tokens;      /* private: what it was charged there, */
    int64_t share_weight;      /* private: by which weight */
    int64_t
        promised_us; /* private: what it was told when it first was the head of a lower class; 0: nothing */
    struct queue_node node;    /* private */
    struct heap_node deadline; /* private */
    struct charge *charges;    /* private: of the open attempt */
    size_t charge_count;       /* private */
    uint64_t seq;              /* private */
    int64_t replayed_us;       /* private: when the last replay saw it start; 0: it has not */
    size_t replayed_as;        /* private: the how manyth it was then */
    struct stand_in *stand_in; /* private: its copy, while a replay runs that has not seen it start */
};

/* What a held call waits for: the budget and the limit (NULL: a pause), and until when; CLOCK_NEVER: an
 * event. */
struct gate_reason {
    const struct budget *budget;
    const struct budget_limit *limit;
    int64_t until_us;
    bool polite; /* there is room, but it is left to higher classes */
};

/* Fills in an idle ticket. budgets[0] is the queue. It is nobody's, of weight 1 and normal class:
 * ticket_belongs. */
void ticket_init(struct ticket *t, const struct cost *cost, struct budget *const *budgets, size_t n,
                 int64_t arrival_us, int64_t deadline_us);

/* Whose it is; of an idle ticket, before gate_offer. */
void ticket_belongs(struct ticket *t, const void *client, int64_t weight, enum ticket_class class);

/* Other budgets; it must not be in a queue, nor have an attempt open. */
void ticket_set_budgets(struct ticket *t, struct budget *const *budgets, size_t n);

/* Lets go what has left the windows of its budgets. */
void ticket_advance(const struct ticket *t, int64_t now_us);

/* When its limits have room for it, and what it waits for until then, politeness apart. Advance first. */
struct gate_reason ticket_earliest(const struct ticket *t, int64_t now_us);

bool ticket_takes_from(const struct ticket *t, const struct budget *b);

/* Whether `small` may be charged at at_us although `head`, which comes before it, waits for head_us: in every
 * budget that they share (budget_has_room_for_both). Advance the head first. */
bool ticket_leaves_room(const struct ticket *head, int64_t head_us, const struct ticket *small,
                        int64_t at_us);

/* The place of a metric of tokens among a queue's weights; -1: it has none. */
int ticket_currency(enum metric m);

/* The largest part of any of its limits that it takes, in millionths. */
int64_t ticket_part_ppm(const struct ticket *t);

/* What it counts in the fair shares of clients: its tokens, at least 1. */
int64_t ticket_share_tokens(const struct ticket *t);

/* The same of what an attempt took. */
int64_t ticket_share_tokens_of(const struct cost *c);

/* What the call weighs in the queue. */
struct queue_weight ticket_weight(const struct ticket *t);

/*
 * How long it keeps others waiting, in tokens: a call that runs alone takes a span, and so counts as what is
 * usable in one, of the smallest limit there is.
 */
struct queue_weight ticket_load(const struct ticket *t);

#endif
