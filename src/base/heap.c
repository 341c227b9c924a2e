/* heap: v[i]->place == i + 1 for every i < n, and no child's key is below its parent's. */
#include "metergate/base/heap.h"

#include <stdlib.h>

#include "metergate/base/err.h"

void heap_init(struct heap *h)
{
    *h = (struct heap){0};
}

void heap_release(struct heap *h)
{
    for (size_t i = 0; i < h->n; i++)
        h->v[i]->place = 0;
    free((void *)h->v);
    heap_init(h);
}

static void put(struct heap *h, size_t i, struct heap_node *node)
{
    h->v[i] = node;
    node->place = i + 1;
}

static void sift_up(struct heap *h, size_t i)
{
    struct heap_node *node = h->v[i];

    while (i > 0 && h->v[(i - 1) / 2]->key > node->key) {
        put(h, i, h->v[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
    put(h, i, node);
}

static void sift_down(struct heap *h, size_t i)
{
    struct heap_node *node = h->v[i];

    for (;;) {
        size_t child = 2 * i + 1;

        if (child >= h->n)
            break;
        if (child + 1 < h->n && h->v[child + 1]->key < h->v[child]->key)
            child++;
        if (h->v[child]->key >= node->key)
            break;
        put(h, i, h->v[child]);
        i = child;
    }
    put(h, i, node);
}

void heap_set(struct heap *h, struct heap_node *node, int64_t key)
{
    node->key = key;
    if (!heap_contains(node)) {
        if (h->n == h->cap) {
            h->cap = h->cap ? 2 * h->cap : 16;
            h->v = xrealloc((void *)h->v, h->cap * sizeof(h->v[0]));
        }
        put(h, h->n++, node);
    }
    MG_ASSERT(node->place <= h->n && h->v[node->place - 1] == node); /* else it is in another heap */
    sift_up(h, node->place - 1);
    sift_down(h, node->place - 1);
}

void heap_remove(struct heap *h, struct heap_node *node)
{
    struct heap_node *last;
    size_t i = node->place - 1;

    if (!heap_contains(node))
        return;
    MG_ASSERT(i < h->n && h->v[i] == node);
    node->place = 0;
    last = h->v[--h->n];
    if (last == node)
        return;
    put(h, i, last);
    sift_up(h, i);
    sift_down(h, last->place - 1);
}

struct heap_node *heap_first(const struct heap *h)
{
    return h->n ? h->v[0] : NULL;
}
