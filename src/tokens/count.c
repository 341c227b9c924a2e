/*
 * count: text to pieces, pieces to counts; a short piece that was counted lately is looked up.
 *
 * Always true: below tokens_count text is well-formed, and nothing behind its end is read.
 */
#include "metergate/tokens/count.h"

#include <stdlib.h>

#include "metergate/tokens/bpe.h"
#include "metergate/tokens/piece_cache.h"
#include "metergate/tokens/pretoken.h"
#include "metergate/tokens/tables.h"
#include "metergate/tokens/utf8.h"

static int64_t count_short(const struct bpe_tables *t, struct piece_cache *cache, const char *p, size_t n,
                           const char *end)
{
    struct piece_key key = piece_key_of(p, n, end);
    struct piece_key *place = piece_cache_place(cache, &key);
    unsigned count = piece_cache_get(place, &key);

    if (count == 0) {
        count = (unsigned)bpe_count(t, &cache->memo, p, n).tokens;
        piece_cache_put(place, &key, count);
    }
    return count;
}

static int64_t count_valid(enum encoding e, const char *p, const char *end)
{
    struct bpe_tables t = tables_of(e);
    struct piece_cache *cache = piece_cache_of_thread(e);
    int64_t tokens = 0;

    while (p < end) {
        const char *next = pretoken_end(e, p, end);
        size_t n = (size_t)(next - p);

        if (n == 1)
            tokens++; /* every byte is a token */
        else if (cache && n <= PIECE_CACHE_LONGEST)
            tokens += count_short(&t, cache, p, n, end);
        else
            tokens += bpe_count(&t, cache ? &cache->memo : NULL, p, n).tokens;
        p = next;
    }
    return tokens;
}

static int64_t count_ill_formed(enum encoding e, const char *text, size_t n)
{
    char *copy;
    size_t copy_n;
    int64_t tokens;

    if (utf8_repair(text, n, &copy, &copy_n) != 0)
        return (int64_t)utf8_repaired_size(text, n);
    tokens = count_valid(e, copy, copy + copy_n);
    free(copy);
    return tokens;
}

int64_t tokens_count(enum encoding e, const char *text, size_t n)
{
    if (n == 0)
        return 0;
    return utf8_valid(text, n) == n ? count_valid(e, text, text + n) : count_ill_formed(e, text, n);
}
