/*
 * queue: things in an order, by a tag and among equal tags by a sequence number: the calls of one client (all
 * of one tag, so by arrival; a call that comes back keeps its number, and so goes to the front), or the
 * clients that wait in one class. A treap: pushing, removing and summing are O(log n), and each node knows
 * the smallest weights below it, so that "the first one that is small enough" needs no scan.
 *
 * Nodes are embedded in their owner; the queue allocates nothing.
 */
#ifndef METERGATE_GATE_QUEUE_H
#define METERGATE_GATE_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A node weighs in several currencies; what each one is, its owner knows. */
#define QUEUE_WEIGHTS 3

struct queue_weight {
    int64_t of[QUEUE_WEIGHTS]; /* each >= 0 */
};

struct queue_node {
    int64_t tag;                     /* readable: the order, */
    uint64_t seq;                    /* readable: and that among equal tags; unique in a queue, > 0 */
    struct queue_weight weight;      /* readable: what it is found by */
    struct queue_weight load;        /* readable: what is summed up, which may be less */
    struct queue_weight least;       /* private: the smallest of each in this subtree */
    struct queue_weight sum;         /* private: of the loads of this subtree */
    size_t n;                        /* private: nodes in this subtree */
    uint32_t rank;                   /* private: the heap order that keeps the tree flat */
    bool queued;                     /* readable */
    struct queue_node *left, *right; /* private */
};

struct queue {
    struct queue_node *root; /* private */
    size_t n;                /* readable */
};

/* The node must not be in a queue. */
void queue_push(struct queue *q, struct queue_node *node, int64_t tag, uint64_t seq,
                const struct queue_weight *weight, const struct queue_weight *load);
void queue_remove(struct queue *q, struct queue_node *node);

/* The first one, or NULL. */
struct queue_node *queue_first(const struct queue *q);

/* The next one after a node that is or was in it (NULL: the first), or NULL. */
struct queue_node *queue_after(const struct queue *q, const struct queue_node *after);

/* For all, in any order; `each` may not change the queue. Touches each node once, where queue_after would look them up. */
void queue_each(const struct queue *q, void (*each)(void *arg, struct queue_node *node), void *arg);

/*
 * The first one that weighs at most `most` in every currency and that `fits` (NULL: any) accepts, or NULL.
 * O(log n) while what is light enough is accepted; at the worst `fits` is asked about every node that is.
 */
typedef bool queue_fits(void *arg, struct queue_node *node);
struct queue_node *queue_find(const struct queue *q, const struct queue_weight *most, queue_fits *fits,
                              void *arg);

/* The smallest weight of each currency; INT64_MAX of an empty queue. */
struct queue_weight queue_least(const struct queue *q);

/* The loads of all of them together, and of those before that place, and how many those are. */
struct queue_weight queue_sum(const struct queue *q);
struct queue_weight queue_sum_before(const struct queue *q, int64_t tag, uint64_t seq, size_t *ret_n);

#endif
