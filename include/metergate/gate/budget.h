/*
 * budget: a named set of limits that calls take from: a model's, an upstream's, an account's, or a client's.
 * A call takes from all the limits of all its budgets or from none.
 *
 * Usable is what calls may fill: max x (1 - headroom) for tokens and for requests within less than a day;
 * requests per day and calls in flight in full. At least one request is always usable. A call that is bigger
 * than the usable part of a limit runs alone: it goes when the limit's whole max has room for it; one that is
 * bigger than max is reserved as max.
 *
 *      0 ............................ usable ......... max
 *      |--used--|--reserved--|--room--|    headroom     |
 *
 * Budgets belong to a gate (gate.h), which makes, changes and frees them.
 */
#ifndef METERGATE_GATE_BUDGET_H
#define METERGATE_GATE_BUDGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "metergate/base/heap.h"
#include "metergate/base/list.h"
#include "metergate/gate/line.h"
#include "metergate/gate/polite.h"
#include "metergate/gate/profile.h"
#include "metergate/gate/window.h"

#define BUDGET_LIMITS_MAX POLITE_LIMITS_MAX
#define BUDGET_COMMON_MAX 4 /* a model's, an upstream's, an account's, a client's */
#define BUDGET_DAY_US     (INT64_C(86400) * 1000000)

struct foreign;
struct ticket;

/* As the operator wrote it. */
struct limit {
    enum metric metric;
    int64_t max;     /* > 0 */
    int64_t span_us; /* rolling; ignored for METRIC_CONCURRENT, of which every attempt takes one */
    bool smooth;     /* requests: also no two closer than span / usable */
    const char *key; /* static: "tpm", "rpd", ... for sentences */
};

/* A limit at work. Readable. */
struct budget_limit {
    struct limit limit;
    struct window window; /* not used for METRIC_CONCURRENT */
    int64_t in_flight;    /* METRIC_CONCURRENT: calls now */
    int64_t sending;      /* of window.reserved: of calls that are on their way to the provider */
    int64_t next_us;      /* smooth: no request before this moment */
    uint32_t id;          /* private: what charges know it by; kept while the limit is */
    struct pace pace;     /* private */
    bool learned;         /* the number is the provider's, and not the operator's */
    bool unsure;          /* it was guessed, or may be out of date: no call is refused for it */
    struct foreign *foreign; /* private: of the window, what is not ours (counter.h); NULL: nothing was heard */
};

/* Where the gate has a budget whose line is not empty. */
enum budget_place {
    BUDGET_NOWHERE, /* empty, or nobody can go before an event */
    BUDGET_CHANGED, /* on gate.changed: to be looked at */
    BUDGET_READY,   /* in gate.ready: somebody can go */
    BUDGET_LATER,   /* in gate.later: somebody may go at a known moment */
    BUDGET_BLOCKED /* in the heap `blocked` of a shared budget: nobody can go while that has its cap in flight
                    */
};

/* What attempts that have ended took of what had been reserved for them, and how long they lasted: sums that fade. */
struct budget_settled {
    int64_t reserved[METRICS], taken[METRICS];
    int64_t attempts_ppm, lasted_us; /* their number, in millionths */
};

/* Readable down to the line; `name` is owned. */
struct budget {
    char *name;
    int headroom_permille; /* 0..999 */
    size_t limit_count;
    struct budget_limit limits[BUDGET_LIMITS_MAX];
    int64_t paused_until_us; /* nothing goes before this moment */
    bool probing;            /* gate_probe: nothing goes but one attempt at probe_us, */
    bool probe_is_out;       /* and, once it has gone, */
    int64_t probe_us;        /* another one then, */
    int64_t patience_us;     /* and so on, so long apart */
    int64_t in_flight;       /* attempts open on it */
    struct line line;        /* what waits for it, when it is a call's first budget */

    /* private to the gate */
    struct budget_settled settled;
    int64_t largest[METRICS];                 /* of any that waited since the queue was last empty */
    uint32_t next_id;                         /* of a limit */
    bool shared;                              /* somebody's second or third budget */
    struct budget *common[BUDGET_COMMON_MAX]; /* that every call of the queue takes from; itself first */
    size_t common_count;
    struct list mixed;             /* on gate.mixed while some call of the queue takes from others besides */
    struct polite polite;          /* how lower classes make room for higher ones */
    const struct ticket *promised; /* the head that `manners` are of; NULL: they are of nobody */
    struct manners manners;        /* as they were when it was told when it goes */
    enum budget_place place;
    struct ticket *next;                 /* while BUDGET_READY: who can go */
    const struct budget *head_waits_for; /* as last looked at: whose limit holds the head; NULL: none */
    int64_t head_us;                     /* and until when */
    struct heap_node turn;     /* in gate.ready or `blocked` by class and age, in gate.later by moment */
    struct heap blocked;       /* of a shared budget: those that wait for a call of it to end */
    struct budget *blocked_by; /* while BUDGET_BLOCKED */
    struct list freed;         /* on gate.freed while it may have room for them again */
    uint64_t seen;             /* the gate's epoch when it was last looked at */
    int64_t seen_us;           /* and the time */
    struct list changed;       /* on gate.changed */
    struct list busy;          /* on gate.busy while the queue is not empty */
    struct list link;          /* on gate.budgets */
    struct budget *twin;       /* its copy, while a replay runs */
};

/* One limit's part of an attempt. */
struct charge {
    struct budget *budget;
    uint32_t limit_id;
    bool timed;                 /* charge_time was called */
    bool ended;                 /* charge_leave was called */
    int64_t on_arrival, at_end; /* as reserved; of at_end, what was not produced yet */
    int64_t least;              /* of on_arrival: what the provider charges at the least */
    int64_t produced;           /* charged before the end, as it was produced */
    uint64_t handle;            /* of the arrival part, once it has its time */
    uint64_t end_handle;        /* of the other part, once it has ended */
    int64_t timed_us;           /* when charge_time was called; 0: it was not */
    int64_t mark;               /* of foreign_sent */
    int64_t opened_us;          /* when it was opened, */
    int64_t debt_then;          /* foreign_debt then, */
    int64_t ours_before;        /* and what the window held of ours */
    int64_t ours_then;          /* when it was timed: what the window held of ours, this charge included */
};

struct budget *budget_new(const char *name, int headroom_permille, const struct limit *limits, size_t n);
void budget_free(struct budget *b);

/*
 * Other limits or headroom from now on. A limit of the same metric and span keeps its history and the charges
 * of open attempts; so does one of the same key with another span, of what is still inside that. A limit that
 * goes away takes its charges with it; a new one starts empty, but knows the calls in flight. For a budget of
 * a gate: gate_budget_update.
 */
void budget_update(struct budget *b, int headroom_permille, const struct limit *limits, size_t n);

/* Limit i, of calls in flight, has another max from now on. For a budget of a gate: gate_limit_calls. */
void budget_limit_calls(struct budget *b, size_t i, int64_t max);

/* Where the max of limit i comes from; of one that budget_update was given without a word, from the operator.
 */
void budget_limit_source(struct budget *b, size_t i, bool learned, bool unsure);

/* Whether budget_update with these would change anything. */
bool budget_has_limits(const struct budget *b, int headroom_permille, const struct limit *limits, size_t n);

/* Nobody waits for it, nothing is in flight, no window holds anything, no pause lasts: forgetting it loses
 * nothing. */
bool budget_is_forgettable(struct budget *b, int64_t now_us);

/*
 * A budget of its own with the limits as they stand at now_us, an empty queue and nothing in flight: calls
 * in flight are over, and took what they will probably take (budget_likely_permille).
 */
struct budget *budget_copy(const struct budget *b, int64_t now_us);

/* What the window of limit l holds of our own charges whose time has come. Advance first. */
int64_t budget_ours(const struct budget_limit *l);

/* What calls may fill of limit l. */
int64_t budget_usable(const struct budget *b, const struct budget_limit *l);

/* What people are shown of limit l. Advance first. */
struct limit_figures {
    int64_t max, usable;
    int64_t used;     /* what it holds now of calls that are over */
    int64_t reserved; /* what it holds of calls in flight, counted by the provider or not yet */
};
struct limit_figures budget_figures(const struct budget *b, const struct budget_limit *l);

/* How long limit l keeps requests apart; 0 when it is not smooth. */
int64_t budget_spacing_us(const struct budget *b, const struct budget_limit *l);

/* Whether all calls of b's queue take from `what`. */
bool budget_is_common(const struct budget *b, const struct budget *what);

/* How many more calls its caps on calls in flight allow; INT64_MAX without one. */
int64_t budget_free_places(const struct budget *b);

/* Lets go what has left every window. What reads windows wants it first. */
void budget_advance(struct budget *b, int64_t now_us);

/* What of the cost limit l has to hold: on_arrival and at_end together at most max. */
void budget_need(const struct budget_limit *l, const struct cost *c, int64_t *ret_on_arrival,
                 int64_t *ret_at_end);

/* The two together. */
int64_t budget_need_total(const struct budget_limit *l, const struct cost *c);

/* What limit l may hold once a call that needs `need` of it is in: usable, or max for one that runs alone. */
int64_t budget_ceiling(const struct budget *b, const struct budget_limit *l, int64_t need);

/* Until when nothing goes at the least: a pause, or the first probe. One that is out may be answered at any
 * moment. */
int64_t budget_paused_until_us(const struct budget *b);

/*
 * The first moment at which every limit of this budget has room for the cost, if nothing else is charged;
 * CLOCK_NEVER when that depends on an event. *ret_limit is the limit that decides (NULL: none does, or the
 * pause). Advance first.
 */
int64_t budget_earliest(const struct budget *b, const struct cost *c, int64_t now_us,
                        const struct budget_limit **ret_limit);

/*
 * Whether `second` may be charged at at_us although `first` waits for head_us: at head_us there is room for
 * both. When nobody knows head_us (CLOCK_NEVER), it may be any moment, so there must be room for both at
 * once. Advance first.
 */
bool budget_has_room_for_both(const struct budget *b, const struct cost *first, int64_t head_us,
                              const struct cost *second, int64_t at_us);

/*
 * How long after its dispatch a charge on arrival stays in limit l at the most: a span, and a minute, because
 * it gets its time only when the provider has the call. (What is charged at the end may stay for ever.) So a
 * call that waits for hours, for a limit of a day, does not hold a limit of a minute empty.
 */
int64_t budget_stay_us(const struct budget_limit *l);

/*
 * What an earlier run charged at at_us, by metric, >= 0 (METRIC_CONCURRENT is not read): each window holds it until one
 * span after that, and a smooth limit keeps its distance from it. Oldest first, before anything else is charged here.
 * The moment may lie before the clock began, and what has left by now is let go by whatever advances next. An amount
 * that is bigger than any call's, because it is of many, keeps a limit as full as it can be.
 */
void budget_restore(struct budget *b, int64_t at_us, const int64_t amount[METRICS]);

/* ---- charges: opened reserved, timed when the provider has counted, closed with what it really was ---- */

/* Reserves c's part of each limit; writes limit_count charges. */
void budget_open(struct budget *b, const struct cost *c, int64_t now_us, struct charge *ret_charges);

/* The provider has counted what it counts on arrival. */
void charge_time(struct charge *ch, int64_t now_us);

/* So many tokens of output more were produced: where output is charged at the end, they are charged now. */
void charge_produce(struct charge *ch, int64_t tokens, int64_t now_us);

/* The attempt is over, but what it took is not known yet: all that was reserved counts from now on, until
 * charge_close corrects it. */
void charge_leave(struct charge *ch, int64_t now_us);

/* The charge takes what `final` says from now on; NULL: what was reserved. */
void charge_close(struct charge *ch, const struct cost *final, int64_t now_us);

/* An attempt for which `reserved` had been reserved is over, took `final` and lasted so long: remembered for the next
 * two. */
void budget_remember(struct budget *b, const struct cost *reserved, const struct cost *final, int64_t lasted_us);

/* How long a call will probably last, as calls lately did; 0: not known. */
int64_t budget_likely_us(const struct budget *b);

/* How much of what is reserved for a call it will probably take in the end, in thousandths, as calls lately did. */
int64_t budget_likely_permille(const struct budget *b, enum metric m);

/* One attempt less is open; call it after its charges are closed. */
void budget_leave(struct budget *b);

#endif
