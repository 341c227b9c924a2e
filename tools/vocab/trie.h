/*
 * trie: a double-array trie of a vocabulary, in the cells of metergate/tokens/tables.h.
 */
#ifndef METERGATE_TOOLS_VOCAB_TRIE_H
#define METERGATE_TOOLS_VOCAB_TRIE_H

#include <stdint.h>

#include "vocab.h"

struct trie {
    uint64_t *cells;  /* owned */
    uint32_t n_cells; /* a multiple of 256 */
    uint32_t *prefix; /* owned: by rank, the longest other token that it begins with, or BPE_NONE */
};

void trie_build(struct trie *t, const struct vocab *v);
void trie_release(struct trie *t);

#endif
