/*
 * queue: in every subtree, places grow from left to right, no child's rank is above its parent's, and
 * `least`, `sum` and `n` are those of the subtree. Ranks are a hash of the sequence number, so the shape
 * cannot be chosen by a caller and the same traffic gives the same tree. Depth is O(log n) with overwhelming
 * probability; recursion follows it.
 */
#include "metergate/gate/queue.h"

#include "metergate/base/err.h"

static const struct queue_weight infinite = {{INT64_MAX, INT64_MAX, INT64_MAX}};

/* splitmix64's finaliser (S. Vigna, public domain, 2015): every input bit changes half of the output's. */
static uint32_t rank_of(uint64_t seq)
{
    uint64_t z = seq + UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (uint32_t)((z ^ (z >> 31)) >> 32);
}

static void count_in(struct queue_node *n, const struct queue_node *child)
{
    if (!child)
        return;
    n->n += child->n;
    for (int i = 0; i < QUEUE_WEIGHTS; i++) {
        n->sum.of[i] += child->sum.of[i];
        if (child->least.of[i] < n->least.of[i])
            n->least.of[i] = child->least.of[i];
    }
}

static void update(struct queue_node *n)
{
    n->n = 1;
    n->least = n->weight;
    n->sum = n->load;
    count_in(n, n->left);
    count_in(n, n->right);
}

static bool is_before(const struct queue_node *n, int64_t tag, uint64_t seq)
{
    return n->tag < tag || (n->tag == tag && n->seq < seq);
}

/* What comes before that place goes left, the rest right. */
static void split(struct queue_node *n, int64_t tag, uint64_t seq, struct queue_node **ret_left,
                  struct queue_node **ret_right)
{
    if (!n) {
        *ret_left = *ret_right = NULL;
        return;
    }
    if (is_before(n, tag, seq)) {
        split(n->right, tag, seq, &n->right, ret_right);
        *ret_left = n;
    } else {
        split(n->left, tag, seq, ret_left, &n->left);
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

void queue_push(struct queue *q, struct queue_node *node, int64_t tag, uint64_t seq,
                const struct queue_weight *weight, const struct queue_weight *load)
{
    struct queue_node *before, *after;

    MG_ASSERT(!node->queued && seq > 0);
    *node = (struct queue_node){
        .tag = tag, .seq = seq, .weight = *weight, .load = *load, .rank = rank_of(seq), .queued = true};
    update(node);
    split(q->root, tag, seq, &before, &after);
    q->root = merge(merge(before, node), after);
    q->n++;
}

void queue_remove(struct queue *q, struct queue_node *node)
{
    struct queue_node *before, *self, *after;

    MG_ASSERT(node->queued);
    split(q->root, node->tag, node->seq, &before, &self);
    split(self, node->tag, node->seq + 1, &self, &after);
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

struct queue_node *queue_after(const struct queue *q, const struct queue_node *after)
{
    struct queue_node *best = NULL;

    if (!after)
        return queue_first(q);
    for (struct queue_node *n = q->root; n;) {
        if (is_before(after, n->tag, n->seq)) {
            best = n;
            n = n->left;
        } else {
            n = n->right;
        }
    }
    return best;
}

/* As deep as the tree. */
static void each_below(struct queue_node *n, void (*each)(void *arg, struct queue_node *node), void *arg)
{
    for (; n; n = n->right) {
        each(arg, n);
        each_below(n->left, each, arg);
    }
}

void queue_each(const struct queue *q, void (*each)(void *arg, struct queue_node *node), void *arg)
{
    each_below(q->root, each, arg);
}

static bool within(const struct queue_weight *w, const struct queue_weight *most)
{
    for (int i = 0; i < QUEUE_WEIGHTS; i++) {
        if (w->of[i] > most->of[i])
            return false;
    }
    return true;
}

/* One search, so that recursion carries two arguments. */
struct search {
    const struct queue_weight *most;
    queue_fits *fits;
    void *arg;
};

static struct queue_node *find(const struct search *s, struct queue_node *n)
{
    struct queue_node *hit;

    if (!n || !within(&n->least, s->most))
        return NULL;
    hit = find(s, n->left);
    if (hit)
        return hit;
    if (within(&n->weight, s->most) && (!s->fits || s->fits(s->arg, n)))
        return n;
    return find(s, n->right);
}

struct queue_node *queue_find(const struct queue *q, const struct queue_weight *most, queue_fits *fits,
                              void *arg)
{
    return find(&(struct search){most, fits, arg}, q->root);
}

struct queue_weight queue_least(const struct queue *q)
{
    return q->root ? q->root->least : infinite;
}

struct queue_weight queue_sum(const struct queue *q)
{
    return q->root ? q->root->sum : (struct queue_weight){{0}};
}

struct queue_weight queue_sum_before(const struct queue *q, int64_t tag, uint64_t seq, size_t *ret_n)
{
    struct queue_node sum = {0};

    for (struct queue_node *n = q->root; n;) {
        if (is_before(n, tag, seq)) {
            count_in(&sum, n->left);
            sum.n++;
            for (int i = 0; i < QUEUE_WEIGHTS; i++)
                sum.sum.of[i] += n->load.of[i];
            n = n->right;
        } else {
            n = n->left;
        }
    }
    *ret_n = sum.n;
    return sum.sum;
}
