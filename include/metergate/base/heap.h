/*
 * heap: an intrusive binary min-heap of int64 keys (deadlines). A node knows its place, so removing or moving any node
 * costs O(log n). The heap owns the array of pointers, never the nodes. Equal keys come out in any order.
 */
#ifndef METERGATE_BASE_HEAP_H
#define METERGATE_BASE_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct heap_node {
    int64_t key;  /* readable; change it through heap_set */
    size_t place; /* private: index + 1, 0 while outside */
};

struct heap {
    struct heap_node **v; /* private */
    size_t n;             /* readable: nodes inside */
    size_t cap;           /* private */
};

void heap_init(struct heap *h);
void heap_release(struct heap *h); /* forgets the nodes */

/* Puts the node in, or moves it, to `key`. A zeroed node is outside. */
void heap_set(struct heap *h, struct heap_node *node, int64_t key);

/* Takes the node out; harmless when it is outside. */
void heap_remove(struct heap *h, struct heap_node *node);

/* The node with the smallest key, or NULL. */
struct heap_node *heap_first(const struct heap *h);

static inline bool heap_contains(const struct heap_node *node)
{
    return node->place != 0;
}

#endif
