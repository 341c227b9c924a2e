/*
 * polite: what lower classes leave to higher ones in a budget, and only while a higher one is in play.
 *
 * A window gives room back one span after it was taken. So a batch that fills it at once fills it at once
 * again and again, and a call of a higher class that comes in between waits up to a span, whatever the order
 * of the queue: order decides who takes the next room, not when it appears. Two rules keep some of it near:
 *
 *   pace   while a higher class is expected, or was seen in the last 15 minutes, calls of a class go no
 * faster than evenly (1.05 of the limit a span), with a burst of two typical calls; not before half of the
 *          limit is taken, and not where a typical call is a third of it;
 *   door   while a higher class was seen, a call goes only if 10 seconds later a single call of the higher
 *          class (95 % of them are smaller) will fit beside it.
 *
 * With one class in play neither rule holds, and nothing is left idle. The figures are those of
 * docs/scheduling.md, which shows what they cost and what they give.
 */
#ifndef METERGATE_GATE_POLITE_H
#define METERGATE_GATE_POLITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "metergate/gate/line.h"

struct budget;
struct budget_limit;
struct cost;

#define POLITE_LIMITS_MAX 12

enum gate_polite {
    POLITE_AUTO, /* when a client of a higher class is expected, or was seen lately */
    POLITE_ALWAYS,
    POLITE_NEVER
};

/* The last calls of a class: how large single ones are. */
#define POLITE_RECENT 64
struct recent {
    size_t n, next;
    int64_t last_us;
    int64_t cost[QUEUE_WEIGHTS][POLITE_RECENT];   /* in order of time, round and round */
    int64_t sorted[QUEUE_WEIGHTS][POLITE_RECENT]; /* the same by size */
};

/* Of one limit: how fast calls have gone, and how large a typical one is. */
struct pace {
    int64_t even_us;     /* when the next call would go if all that went had gone evenly */
    double sum, squares; /* of amounts, decayed; 0: nothing has gone */
};

/* What a class took lately of the time of a budget's scarcest limit, in periods of ten minutes. */
struct taken {
    int64_t began_us;       /* the period that runs */
    int64_t now_us, was_us; /* taken in it, and in the one before */
};

/* Of one budget. */
struct polite {
    bool off; /* by the policy of the gate */
    enum gate_polite mode;
    unsigned expected;                 /* classes, as bits 1u << class */
    int64_t seen_us[TICKET_CLASSES];   /* when a call of that class last came; 0: never */
    struct recent *recent[TICKET_LOW]; /* owned; of high and normal calls, */
    struct taken taken[TICKET_LOW];    /* likewise */
};

/* How a class behaves, worked out at one moment. */
struct manners {
    bool any;                            /* else it leaves nothing */
    bool paced[POLITE_LIMITS_MAX];       /* each limit of the budget: */
    int64_t burst_us[POLITE_LIMITS_MAX]; /* how far ahead of an even pace it may be */
    int64_t door[POLITE_LIMITS_MAX];     /* what is to fit a little later; 0: nothing */
};

void polite_release(struct polite *p);
void polite_copy(struct polite *p, const struct polite *from);

/* A call of that class has come. */
void polite_came(struct polite *p, enum ticket_class class, int64_t now_us);

/* A call of that class goes: the pace of every limit, and what is known of the class's calls. */
void polite_goes(struct budget *b, enum ticket_class class, const struct cost *c, int64_t now_us);

/* How much of the limits the classes above that one took in the last 10 to 20 minutes, in thousandths:
 * 0..1000. */
int64_t polite_taken_permille(const struct polite *p, enum ticket_class class, int64_t now_us);

/* How calls of that class behave in budget b now. */
void polite_manners(const struct budget *b, enum ticket_class class, int64_t now_us, struct manners *ret);

/* From when on a call that needs `need` of limit i may go as far as manners go, if nothing else is charged.
 */
int64_t polite_earliest(const struct budget *b, size_t i, const struct manners *m, int64_t need,
                        int64_t now_us);

/* The most that a call may need of limit i to go now, as far as manners go. */
int64_t polite_most(const struct budget *b, size_t i, const struct manners *m, int64_t now_us);

/*
 * The most that a call that goes now may need of limit i, so that a head of these manners, which needs `need`
 * of it, can go at head_us all the same.
 */
int64_t polite_most_beside(const struct budget *b, size_t i, const struct manners *m, int64_t need,
                           int64_t head_us, int64_t now_us);

/* The next moment after now at which manners alone may let somebody go who may not now; CLOCK_NEVER. */
int64_t polite_next_change(const struct budget *b, const struct manners *m, int64_t now_us);

#endif
