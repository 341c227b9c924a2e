/*
 * count: text to pieces, pieces to counts; a short piece that was counted lately is looked up.
 *
 * The places of many short pieces are asked for before the first is looked at, so that the memory that they
 * lie in is on its way for all of them at once.
 *
 * Always true: text is well-formed here, and nothing behind its end is read.
 */
#include "metergate/tokens/count.h"

#include <string.h>

#include "metergate/tokens/block.h"
#include "metergate/tokens/bpe.h"
#include "metergate/tokens/feed.h"
#include "metergate/tokens/piece_cache.h"
#include "metergate/tokens/pretoken.h"
#include "metergate/tokens/tables.h"
#include "metergate/tokens/utf8.h"

/* A block never has more pieces. */
#define BATCH BLOCK_BYTES

/* Short pieces whose places have been asked for and not yet been looked at. */
struct batch {
    unsigned n;
    const char *at[BATCH];
    struct piece_key key[BATCH];
    struct piece_key *place[BATCH];
};

struct counting {
    enum encoding encoding;
    struct bpe_tables tables;
    struct piece_cache *cache; /* of this thread; NULL: without */
    block_fn *block;           /* NULL: without */
    int64_t tokens;
    struct batch batch;
};

static void settle_batch(struct counting *c)
{
    struct batch *b = &c->batch;

    for (unsigned i = 0; i < b->n; i++) {
        const struct piece_key *key = &b->key[i];
        unsigned count = piece_cache_get(b->place[i], key);

        if (count == 0) {
            count = (unsigned)bpe_count(&c->tables, &c->cache->memo, b->at[i], piece_key_size(key)).tokens;
            piece_cache_put(b->place[i], key, count);
        }
        c->tokens += count;
    }
    b->n = 0;
}

/* There is room: who adds settles a full batch. */
static inline void add_short(struct counting *c, const char *p, struct piece_key key)
{
    struct batch *b = &c->batch;

    b->at[b->n] = p;
    b->key[b->n] = key;
    b->place[b->n] = piece_cache_place(c->cache, &key);
    __builtin_prefetch(b->place[b->n]);
    b->n++;
}

static void add_long(struct counting *c, const char *p, size_t n)
{
    c->tokens += bpe_count(&c->tables, c->cache ? &c->cache->memo : NULL, p, n).tokens;
}

/* The pieces that begin at p and at all but the last of the starts, where the next one begins. */
static const char *add_block(struct counting *c, const char *p, uint64_t starts)
{
    const char *block = p;

    settle_batch(c);
    for (; starts; starts &= starts - 1) {
        const char *next = block + __builtin_ctzll(starts);
        size_t n = (size_t)(next - p);

        if (n <= PIECE_CACHE_LONGEST)
            add_short(c, p, piece_key_inside(p, n));
        else
            add_long(c, p, n);
        p = next;
    }
    return p;
}

static void add_piece(struct counting *c, const char *p, const char *next, const char *end)
{
    size_t n = (size_t)(next - p);

    if (!c->cache || n > PIECE_CACHE_LONGEST) {
        add_long(c, p, n);
        return;
    }
    if (c->batch.n == BATCH)
        settle_batch(c);
    add_short(c, p, piece_key_of(p, n, end));
}

/* A block and the key of its last piece can be read there, and it is worth the try. */
static inline bool is_for_block(const struct counting *c, const char *p, const char *end)
{
    uint64_t eight;

    if (!c->block || !c->cache || end - p < BLOCK_BYTES + (ptrdiff_t)sizeof(struct piece_key))
        return false;
    memcpy(&eight, p, sizeof eight);
    return !(eight & UINT64_C(0x8080808080808080));
}

size_t tokens_count_pieces(enum encoding e, struct slice text, size_t last, int64_t limit,
                           int64_t *ret_tokens)
{
    struct counting c;
    const char *p = text.p, *end = p + text.n, *stop = p + last;

    c.encoding = e;
    c.tables = tables_of(e);
    c.cache = piece_cache_of_thread(e);
    c.block = block_best();
    c.tokens = 0;
    c.batch.n = 0;
    while (p < stop && c.tokens <= limit) {
        uint64_t starts = is_for_block(&c, p, stop) ? c.block(e, p) : 0;
        const char *next;

        if (starts) {
            p = add_block(&c, p, starts);
            continue;
        }
        next = pretoken_end(e, p, end);
        if (next > stop)
            break;
        add_piece(&c, p, next, end);
        p = next;
    }
    settle_batch(&c);
    *ret_tokens = c.tokens;
    return (size_t)(p - text.p);
}

int64_t tokens_count_until(enum encoding e, const char *text, size_t n, int64_t limit)
{
    struct tokens_feed f;
    int64_t tokens;

    if (n == 0)
        return 0;
    if (utf8_valid(text, n) == n) {
        tokens_count_pieces(e, slice_of(text, n), n, limit, &tokens);
        return tokens;
    }
    feed_init(&f, e, limit);
    feed_add(&f, text, n);
    return feed_finish(&f);
}

int64_t tokens_count(enum encoding e, const char *text, size_t n)
{
    return tokens_count_until(e, text, n, INT64_MAX);
}
