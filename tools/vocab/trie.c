/*
 * trie: tokens to a tree, the tree to a double array.
 *
 * The sorted tokens are cut by their first byte, each part by its second, and so on: every part is a node.
 * Then each node that has children is given a base, the nodes with most children first, where all its
 * children's cells (base ^ byte: 256 neighbours) are free. Bases are not shared (tables.h says why), and 0 is
 * nobody's: it says "no children".
 */
#include "trie.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "metergate/tokens/tables.h"

#define MAX_NODES  (1u << 21)
#define MAX_CELLS  (1u << 22)
#define MAX_MISSES 8 /* a block that was tried in vain so often is left to the nodes with one child */

#define MAX_DISAPPOINTMENTS 64

struct node {
    uint32_t first; /* its children are edges[first] .. edges[first + count - 1] */
    uint32_t count;
    uint32_t token;
    uint32_t cell;
};

struct edge {
    unsigned char label;
    uint32_t child;
};

struct builder {
    const struct vocab *v;
    struct trie *t;
    uint32_t *sorted; /* ranks in the order of their bytes */
    struct node *nodes;
    struct edge *edges;
    uint32_t n_nodes, n_edges;
    unsigned char *cell_used, *base_used, *misses; /* the last one by block of 256 cells */
};

static void *zeroed(size_t count, size_t size)
{
    void *p = calloc(count, size);

    if (!p)
        vocab_die("out of memory");
    return p;
}

/* ---- the tree -------------------------------------------------------------------------------- */

static int compare(const void *a, const void *b, void *arg)
{
    const struct vocab *v = arg;
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    uint32_t nx = v->start[x + 1] - v->start[x], ny = v->start[y + 1] - v->start[y];
    int d = memcmp(v->bytes + v->start[x], v->bytes + v->start[y], nx < ny ? nx : ny);

    return d != 0 ? d : (nx > ny) - (nx < ny);
}

static unsigned char byte_at(const struct builder *b, uint32_t i, uint32_t depth)
{
    return b->v->bytes[b->v->start[b->sorted[i]] + depth];
}

/* The node of sorted[lo..hi), which agree in their first `depth` bytes. A recursion goes as deep as the
 * longest token. */
static uint32_t make_node(struct builder *b, uint32_t lo, uint32_t hi, uint32_t depth,
                          uint32_t prefix) // NOLINT(misc-no-recursion)
{
    uint32_t self = b->n_nodes++;
    struct node *node = &b->nodes[self];

    if (b->n_nodes >= MAX_NODES)
        vocab_die("%s: too many trie nodes", b->v->name);
    node->token = BPE_NONE;
    if (b->v->start[b->sorted[lo] + 1] - b->v->start[b->sorted[lo]] == depth) {
        node->token = b->sorted[lo++];
        b->t->prefix[node->token] = prefix;
        prefix = node->token;
    }
    for (uint32_t i = lo; i < hi; i++)
        node->count += i == lo || byte_at(b, i, depth) != byte_at(b, i - 1, depth);
    node->first = b->n_edges;
    b->n_edges += node->count;
    struct edge *edge = &b->edges[node->first];
    for (uint32_t i = lo, end; i < hi; i = end, edge++) {
        for (end = i + 1; end < hi && byte_at(b, end, depth) == byte_at(b, i, depth); end++)
            ;
        edge->label = byte_at(b, i, depth);
        edge->child = make_node(b, i, end, depth + 1, prefix);
    }
    return self;
}

/* ---- the array ------------------------------------------------------------------------------- */

static bool fits(const struct builder *b, const struct node *node, uint32_t base)
{
    if (b->base_used[base])
        return false;
    for (uint32_t i = 0; i < node->count; i++)
        if (b->cell_used[base ^ b->edges[node->first + i].label])
            return false;
    return true;
}

static uint32_t find_base_in_blocks(struct builder *b, const struct node *node)
{
    for (uint32_t block = 0; block < MAX_CELLS / 256; block++) {
        if (b->misses[block] >= MAX_MISSES)
            continue;
        for (uint32_t base = block * 256; base < block * 256 + 256; base++)
            if (fits(b, node, base))
                return base;
        b->misses[block]++;
    }
    vocab_die("%s: the trie does not fit", b->v->name);
}

/*
 * For one child every free cell will do whose base is nobody's yet. The search begins at *from, which rises
 * over the cells that are taken and, when a search was long, gives up one that is free: its bases are nearly
 * all taken.
 */
static uint32_t find_base_of_one(const struct builder *b, const struct node *node, uint32_t *from)
{
    uint32_t disappointments = 0;

    while (b->cell_used[*from])
        ++*from;
    for (uint32_t cell = *from; cell < MAX_CELLS; cell++) {
        uint32_t base = cell ^ b->edges[node->first].label;

        if (b->cell_used[cell])
            continue;
        if (!b->base_used[base])
            return base;
        if (++disappointments == MAX_DISAPPOINTMENTS)
            ++*from;
    }
    vocab_die("%s: the trie does not fit", b->v->name);
}

static void place(struct builder *b, struct node *node, uint32_t base)
{
    uint64_t *cells = b->t->cells;

    b->base_used[base] = 1;
    for (uint32_t i = 0; i < node->count; i++) {
        const struct edge *edge = &b->edges[node->first + i];
        struct node *child = &b->nodes[edge->child];

        child->cell = base ^ edge->label;
        b->cell_used[child->cell] = 1;
        cells[child->cell] = cell_make(0, edge->label, child->token);
        if (child->cell >= b->t->n_cells)
            b->t->n_cells = (child->cell / 256 + 1) * 256;
    }
}

static void place_all(struct builder *b)
{
    uint32_t *base = zeroed(b->n_nodes, sizeof *base);
    uint32_t from = 0;

    for (uint32_t count = 256; count > 0; count--) {
        for (uint32_t i = 0; i < b->n_nodes; i++) {
            if (b->nodes[i].count != count)
                continue;
            base[i] =
                count > 1 ? find_base_in_blocks(b, &b->nodes[i]) : find_base_of_one(b, &b->nodes[i], &from);
            place(b, &b->nodes[i], base[i]);
        }
    }
    for (uint32_t i = 0; i < b->n_nodes; i++)
        b->t->cells[b->nodes[i].cell] |= cell_make(base[i], 0, 0);
    free(base);
}

void trie_build(struct trie *t, const struct vocab *v)
{
    struct builder b = {.v = v, .t = t};

    b.sorted = zeroed(v->n, sizeof *b.sorted);
    b.nodes = zeroed(MAX_NODES, sizeof *b.nodes);
    b.edges = zeroed(MAX_NODES, sizeof *b.edges);
    b.cell_used = zeroed(MAX_CELLS, 1);
    b.base_used = zeroed(MAX_CELLS, 1);
    b.misses = zeroed(MAX_CELLS / 256, 1);
    t->cells = zeroed(MAX_CELLS, sizeof *t->cells);
    t->prefix = zeroed(v->n, sizeof *t->prefix);
    t->n_cells = 256;
    for (uint32_t i = 0; i < v->n; i++)
        b.sorted[i] = i;
    for (uint32_t i = 0; i < MAX_CELLS; i++)
        t->cells[i] = cell_make(0, CELL_UNUSED, 0);
    qsort_r(b.sorted, v->n, sizeof *b.sorted, compare, (void *)(uintptr_t)v);
    b.cell_used[0] = b.base_used[0] = 1;
    t->cells[0] = cell_make(0, CELL_UNUSED, BPE_NONE);
    (void)make_node(&b, 0, v->n, 0, BPE_NONE);
    place_all(&b);
    free(b.sorted);
    free(b.nodes);
    free(b.edges);
    free(b.cell_used);
    free(b.base_used);
    free(b.misses);
}

void trie_release(struct trie *t)
{
    free(t->cells);
    free(t->prefix);
    memset(t, 0, sizeof *t);
}
