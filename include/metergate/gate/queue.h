/*
 * queue: the calls that wait for one budget, in order of their sequence numbers (arrival order; a call that comes back
 * keeps its number, and so goes to the front). A treap: every operation is O(log n), and each node knows the smallest
 * weight below it, so that "the first call that is small enough" needs no scan.
 *
 * Nodes are embedded in their owner; the queue allocates nothing.
 */
#ifndef METERGATE_GATE_QUEUE_H
#define METERGATE_GATE_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct queue_node {
    uint64_t seq;   /* readable: the order; unique in a queue */
    int64_t weight; /* readable */
    int64_t least;  /* private: smallest weight in this subtree */
    uint32_t rank;  /* private: the heap order that keeps the tree flat */
    bool queued;    /* readable */
    struct queue_node *left, *right; /* private */
};

struct queue {
    struct queue_node *root; /* private */
    size_t n;                /* readable */
};

/* The node must not be in a queue. */
void queue_push(struct queue *q, struct queue_node *node, uint64_t seq, int64_t weight);
void queue_remove(struct queue *q, struct queue_node *node);

/* Smallest sequence number, or NULL. */
struct queue_node *queue_first(const struct queue *q);

/* The first one after sequence number `after` whose weight is at most `weight`, or NULL. */
struct queue_node *queue_first_within(const struct queue *q, uint64_t after, int64_t weight);

#endif
