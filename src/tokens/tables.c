/*
 * tables: where the embedded data lies. The build has checked every cell and token; here only the frame is.
 */
#include "metergate/tokens/tables.h"

#include "metergate/base/err.h"

/* of src/tokens/tables.S */
extern const unsigned char tables_o200k[];
extern const unsigned char tables_cl100k[];

struct bpe_tables tables_of(enum encoding e)
{
    static const unsigned char *const data[ENCODINGS] = {
        [ENCODING_O200K] = tables_o200k,
        [ENCODING_CL100K] = tables_cl100k,
    };
    MG_ASSERT((unsigned)e < ENCODINGS);
    const struct tables_head *head = (const void *)data[e];
    struct bpe_tables t;

    MG_ASSERT(head->magic == TABLES_MAGIC);
    t.cells = (const void *)(data[e] + sizeof *head);
    t.tokens = t.cells + head->cells;
    t.pairs = (const void *)(t.tokens + head->tokens);
    t.pair_shift = 64 - head->pair_bits;
    t.n_tokens = head->tokens;
    return t;
}
