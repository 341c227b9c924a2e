/*
 * queue: in every subtree, sequence numbers grow from left to right, no child's rank is above its parent's, and `least`
 * is the smallest weight. Ranks are a hash of the sequence number, so the shape cannot be chosen by a caller and the same
 * traffic gives the same tree. Depth is O(log n) with overwhelming probability; recursion follows it.
 */
#include "metergate/gate/queue.h"

#include "metergate/base/err.h"

/* splitmix64's finaliser (S. Vigna, public domain, 2015): every input bit changes half of the output's. */
static uint32_t rank_of(uint64_t seq)
{
    uint64_t z = seq + UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (uint32_t)((z ^ (z >> 31)) >> 32);
}

static int64_t least_of(const struct queue_node *n)
{
    return n ? n->least : INT64_MAX;
}

static void update(struct queue_node *n)
{
    int64_t l = least_of(n->left), r = least_of(n->right);

    n->least = n->weight;
    if (l < n->least)
        n->least = l;
    if (r < n->least)
        n->least = r;
}

/* What comes before `seq` goes left, the rest right. */
static void split(struct queue_node *n, uint64_t seq, struct queue_node **ret_left, struct queue_node **ret_right)
{
    if (!n) {
        *ret_left = *ret_right = NULL;
        return;
    }
    if (n->seq < seq) {
        split(n->right, seq, &n->right, ret_right);
        *ret_left = n;
    } else {
        split(n->left, seq, ret_left, &n->left);
        *ret_right = n;
    }
    update(n);
}

/* All of `a` comes before all of `b`. */
static struct queue_node *merge(struct queue_node *a, struct queue_node *b)
{
    if (!a || !b)
        return a ? a : b;
    if (a->rank >= b->rank) {
        a->right = merge(a->right, b);
        update(a);
        return a;
    }
    b->left = merge(a, b->left);
    update(b);
    return b;
}

void queue_push(struct queue *q, struct queue_node *node, uint64_t seq, int64_t weight)
{
    struct queue_node *before, *after;

    MG_ASSERT(!node->queued);
    *node = (struct queue_node){.seq = seq, .weight = weight, .least = weight, .rank = rank_of(seq), .queued = true};
    split(q->root, seq, &before, &after);
    q->root = merge(merge(before, node), after);
    q->n++;
}

void queue_remove(struct queue *q, struct queue_node *node)
{
    struct queue_node *before, *self, *after;

    MG_ASSERT(node->queued);
    split(q->root, node->seq, &before, &self);
    split(self, node->seq + 1, &self, &after);
    MG_ASSERT(self == node && !node->left && !node->right);
    q->root = merge(before, after);
    node->queued = false;
    q->n--;
}

struct queue_node *queue_first(const struct queue *q)
{
    struct queue_node *n = q->root;

    while (n && n->left)
        n = n->left;
    return n;
}

static struct queue_node *first_within(struct queue_node *n, uint64_t after, int64_t weight)
{
    struct queue_node *hit;

    if (!n || n->least > weight)
        return NULL;
    if (n->seq <= after)
        return first_within(n->right, after, weight);
    hit = first_within(n->left, after, weight);
    if (hit)
        return hit;
    return n->weight <= weight ? n : first_within(n->right, after, weight);
}

struct queue_node *queue_first_within(const struct queue *q, uint64_t after, int64_t weight)
{
    return first_within(q->root, after, weight);
}
