/*
 * expand NAME IN.pairs OUT.tables: a vocabulary to the tables of metergate/tokens/tables.h; a step of every
 * build.
 *
 * Before anything is written: the vocabulary is the published one (SHA-256), the trie spells every token and
 * nothing but tokens, every token is found as a pair, and byte pair encoding of every token, done the slow
 * way from its two parts, ends at itself.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "metergate/tokens/tables.h"
#include "trie.h"
#include "vocab.h"

struct tables {
    struct tables_head head;
    uint64_t *cells;
    uint64_t *tokens;
    uint64_t *pairs;
};

static void *room(size_t count, size_t size)
{
    void *p = calloc(count, size);

    if (!p)
        vocab_die("out of memory");
    return p;
}

static void fill_pairs(struct tables *t, const struct vocab *v)
{
    uint32_t slots, mask;

    t->head.pair_bits = 1;
    while (1u << t->head.pair_bits < v->n * 2)
        t->head.pair_bits++;
    slots = 1u << t->head.pair_bits;
    mask = slots - 1;
    t->pairs = room(slots, sizeof *t->pairs);
    for (uint32_t i = 0; i < slots; i++)
        t->pairs[i] = PAIR_FREE;
    for (uint32_t r = VOCAB_BYTES; r < v->n; r++) {
        uint32_t at = pair_slot(v->left[r], v->right[r], 64 - t->head.pair_bits);

        while (t->pairs[at] != PAIR_FREE)
            at = (at + 1) & mask;
        t->pairs[at] = pair_make(v->left[r], v->right[r], r);
    }
}

static void make_tables(struct tables *t, const struct vocab *v)
{
    struct trie trie = {0};

    trie_build(&trie, v);
    memset(&t->head, 0, sizeof t->head);
    t->head.magic = TABLES_MAGIC;
    t->head.cells = trie.n_cells;
    t->head.tokens = v->n;
    t->cells = room(trie.n_cells, sizeof *t->cells);
    memcpy(t->cells, trie.cells, trie.n_cells * sizeof *t->cells);
    t->tokens = room(v->n, sizeof *t->tokens);
    for (uint32_t r = 0; r < v->n; r++)
        t->tokens[r] = token_make(v->left[r], v->right[r], trie.prefix[r], v->start[r + 1] - v->start[r]);
    fill_pairs(t, v);
    trie_release(&trie);
}

/* ---- checks ---------------------------------------------------------------------------------- */

static void check_trie(const struct tables *t, const struct vocab *v)
{
    uint32_t spelled = 0;

    for (uint32_t r = 0; r < v->n; r++) {
        uint64_t cell = t->cells[0];

        for (uint32_t i = v->start[r]; i < v->start[r + 1]; i++) {
            cell = t->cells[cell_base(cell) ^ v->bytes[i]];
            if (cell_label(cell) != v->bytes[i])
                vocab_die("%s: the trie does not spell token %u", v->name, r);
        }
        if (cell_token(cell) != r)
            vocab_die("%s: the trie takes token %u for %u", v->name, r, cell_token(cell));
    }
    for (uint32_t i = 1; i < t->head.cells; i++)
        spelled += cell_label(t->cells[i]) != CELL_UNUSED && cell_token(t->cells[i]) != BPE_NONE;
    if (spelled != v->n)
        vocab_die("%s: the trie spells %u tokens of %u", v->name, spelled, v->n);
}

/*
 * The slow way: the bytes of a token, then the pair of lowest rank merged, over and over, by the table of
 * pairs alone.
 */
static void check_encodes_to_itself(const struct tables *t, const struct vocab *v, uint32_t rank)
{
    uint32_t part[BPE_LONGEST] = {0};
    uint32_t n = v->start[rank + 1] - v->start[rank];

    for (uint32_t i = 0; i < n; i++)
        part[i] = cell_token(t->cells[cell_base(t->cells[0]) ^ v->bytes[v->start[rank] + i]]);
    while (n > 1) {
        uint32_t best = BPE_NONE, at = 0;

        for (uint32_t i = 0; i + 1 < n; i++) {
            uint32_t r = pair_rank(t->pairs, 64 - t->head.pair_bits, part[i], part[i + 1]);

            if (r < best) {
                best = r;
                at = i;
            }
        }
        if (best == BPE_NONE)
            vocab_die("%s: token %u does not encode to itself", v->name, rank);
        part[at] = best;
        memmove(part + at + 1, part + at + 2, (n - at - 2) * sizeof part[0]);
        n--;
    }
    if (part[0] != rank)
        vocab_die("%s: token %u encodes to %u", v->name, rank, part[0]);
}

static void write_all(FILE *f, const void *p, size_t size, size_t count)
{
    if (fwrite(p, size, count, f) != count)
        vocab_die("cannot write");
}

int main(int argc, char **argv)
{
    struct vocab v;
    struct tables t;
    FILE *f;

    if (argc != 4)
        vocab_die("usage: expand NAME IN.pairs OUT.tables");
    vocab_load_pairs(&v, argv[1], argv[2]);
    vocab_check(&v);
    make_tables(&t, &v);
    check_trie(&t, &v);
    for (uint32_t r = 0; r < v.n; r++)
        check_encodes_to_itself(&t, &v, r);
    f = fopen(argv[3], "wb");
    if (!f)
        vocab_die("cannot open %s", argv[3]);
    write_all(f, &t.head, sizeof t.head, 1);
    write_all(f, t.cells, sizeof *t.cells, t.head.cells);
    write_all(f, t.tokens, sizeof *t.tokens, t.head.tokens);
    write_all(f, t.pairs, sizeof *t.pairs, (size_t)1 << t.head.pair_bits);
    if (fclose(f) != 0)
        vocab_die("cannot write %s", argv[3]);
    free(t.cells);
    free(t.tokens);
    free(t.pairs);
    vocab_release(&v);
    return 0;
}
