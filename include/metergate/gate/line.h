/*
 * line: what waits for one budget, in the order in which it is to be served.
 *
 *   high    |  ana: 12 15 20    bo: 13        classes: a higher one comes first, but lower ones get a share
 *   normal  |  ci: 3 4 7 8 ...                clients of a class: by their tags, so by tokens had and weight
 *   low     |  nightly: 1 2 5 ...             calls of a client: by their place, so by arrival
 *
 * Clients share a class by fair queueing (P. Goyal, H. Vin, H. Cheng, "Start-time fair queueing", 1996): what
 * a client is served adds tokens / weight to its tag; one that begins to wait is not behind the tag that was
 * served last; when an attempt is over the tag is corrected to what it really took. Served is who would have
 * the smallest tag in the middle of its first call: by the tags at their starts a client of little weight
 * gets ahead by a whole call of its own, at their ends it falls behind by one; in the middle both are half of
 * it.
 *
 * Classes are strict, but for each part of a limit that a class takes while lower ones wait, LINE_SHARE of it
 * is credited to each of those; a class whose credit pays its first call (or a tenth of the limit) has its
 * turn. So nobody waits for ever.
 *
 * The head of a line, once it has been told when it goes, keeps its place in its class: whoever comes later
 * does not displace it.
 */
#ifndef METERGATE_GATE_LINE_H
#define METERGATE_GATE_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "metergate/base/list.h"
#include "metergate/base/map.h"
#include "metergate/gate/queue.h"

struct ticket;

/* Who comes first. */
enum ticket_class { TICKET_HIGH, TICKET_NORMAL, TICKET_LOW, TICKET_CLASSES };

/* What lower classes get of what higher ones take, in thousandths. */
#define LINE_SHARE_PERMILLE 50

/* One client's part of a class. */
struct flow {
    struct list link; /* on line.flows */
    const void *client;
    enum ticket_class class;
    int64_t weight;
    int64_t tag;
    struct queue calls;
    struct queue_node node; /* in its class, while calls wait */
    int64_t in_flight;
};

struct line_class {
    struct queue flows;  /* of which calls wait, by tag */
    size_t n;            /* readable: calls that wait */
    int64_t in_flight;   /* calls that were served and are not over */
    size_t idle;         /* flows of which nothing waits or is in flight, kept for their tags */
    int64_t served_tag;  /* the largest tag of a head */
    int64_t credit_ppm;  /* of a limit */
    struct ticket *head; /* who was told when it goes */
};

struct line {
    size_t n; /* readable: calls that wait */
    struct line_class classes[TICKET_CLASSES];
    bool by_arrival;        /* all calls are one client's of one class */
    struct ticket *granted; /* whose class has its turn by its credit; until it goes */
    struct map by_client;   /* client and class -> flow */
    struct list flows;
    size_t flow_count;
    size_t sweep_at; /* flows, when idle ones are looked for */
};

/* Calls that wait, together. */
struct line_load {
    int64_t calls;
    struct queue_weight tokens;
};

void line_init(struct line *l);
void line_release(struct line *l); /* empty, but for flows of calls in flight */

/* Whether all calls are one client's of one class from now on, or not. */
void line_set_order(struct line *l, bool by_arrival);

/* What calls weigh has changed (ticket_weight, ticket_load). */
void line_weigh_again(struct line *l);

/* A ticket with its place (seq) comes to wait, or leaves. */
void line_push(struct line *l, struct ticket *t);
void line_remove(struct line *l, struct ticket *t);

/* Who is served next; the line must not be empty. From now on it is who was told when it goes. */
struct ticket *line_head(struct line *l);

/* Places (ticket.seq) are given so far apart that some fit between two of them. */
#define LINE_PLACES 16

/* A free place behind the first n calls of that ticket's client, not before its own; as far behind as there
 * is one. */
uint64_t line_place_behind(const struct line *l, const struct ticket *t, unsigned n);

/* A ticket that waits goes now: out of the line, and paid for. */
void line_serve(struct line *l, struct ticket *t);

/* The attempt of a ticket that was served is over, and took so many tokens. */
void line_settle(struct line *l, struct ticket *t, int64_t tokens);

/* Whether `a` comes before `b`, in whatever lines they wait: by class, then by arrival. */
bool line_is_before(const struct ticket *a, const struct ticket *b);

/* Whether a client was served more than so many tokens more than another one of its class, weights counted.
 */
bool line_is_ahead(const struct flow *f, const struct flow *other, int64_t tokens);

/* The first call of that class, in order, whose client `may`, that weighs at most `most` and that `fits`
 * accepts. */
typedef bool line_may(void *arg, const struct flow *f);
struct ticket *line_find(const struct line *l, enum ticket_class class, const struct queue_weight *most,
                         line_may *may, queue_fits *fits, void *arg);

/* The head has its turn before all classes, as if by the credit of its own, until it goes. */
void line_grant(struct line *l, struct ticket *head);

/* The first call of the client that comes after that of `t`, a first call, in order; NULL: of the first one.
 * NULL: none. */
struct ticket *line_next_client(const struct line *l, const struct ticket *t);

/* For all that wait, in any order. `each` may not change the line. */
void line_each(const struct line *l, void (*each)(void *arg, struct ticket *t), void *arg);

/* Everything that waits; and what of it stands before this ticket, which waits or is about to. */
void line_all(const struct line *l, struct line_load *ret);
void line_ahead(const struct line *l, const struct ticket *t, struct line_load *ret);

/* What stands at most before any new call of that class, in O(1). */
void line_ahead_at_most(const struct line *l, enum ticket_class class, struct line_load *ret);

/* Makes `l`, in which copies of all of from's tickets wait, serve its clients as `from` would. */
void line_copy_order(struct line *l, const struct line *from);

#endif
