/*
 * bpe: exact counting in linear time. See bpe.h.
 *
 * Two facts carry it. An encoding is the right one exactly if each two neighbours in it would, encoded
 * together, come out as those two tokens. And the first tokens of an encoding are the encoding of the bytes
 * that they cover. So the right encoding of a text can be built from its start: behind tokens that are right
 * so far, any token that fits behind the last one may follow.
 *
 * The greedy way takes the longest token that the text goes on with, then its prefixes from long to short,
 * until one is accepted by the last token. If none is, no right encoding ends at this position: the position
 * is dead, for good, and the last token is taken back and shortened. A position dies at most once, so the
 * work is linear.
 *
 * Two shortcuts change nothing but the time. A pair of neighbours that was compared lately is looked up
 * (struct bpe_memo). And what followed the same token the last time in this piece is tried before anything
 * else, if the text goes on with it: in long runs, where the longest token is hardly ever right, that is
 * nearly always right.
 *
 * Only what lies within BPE_BACK bytes before the frontier (the farthest position reached) is remembered, in
 * two rings:
 *
 *      0 ...        frontier - back  ...   at   ...   frontier          positions in the piece
 *          forgotten  |     tokens, dead bits           |   not yet seen
 *
 * In a search over runs and shuffled tokens no text stepped back farther than 150 bytes. One that does so
 * beyond the rings is counted from its start by the other way, which keeps the last token of the right
 * encoding of every prefix, for the last BPE_LONGEST positions: each position has exactly one, and it fits
 * behind the one that ends where it begins.
 */
#include "metergate/tokens/bpe.h"

#include <string.h>

#include "metergate/base/err.h"

#define RING 4096
/* Dead bits are cleared by words, ahead of the frontier; tokens reach ahead of it. */
_Static_assert(BPE_BACK + BPE_LONGEST + 64 <= RING, "what is remembered must not be overwritten from ahead");

/* ---- neighbours ---------------------------------------------------------------------------------- */

static inline uint32_t merged(const struct bpe_tables *t, uint32_t left, uint32_t right)
{
    return pair_rank(t->pairs, t->pair_shift, left, right);
}

/*
 * Both tokens are taken apart again in the opposite order of their merges, which is by rank, and at each
 * stage what touches the border is looked up: a pair there that merges at a rank below `limit` would have
 * been merged before the last step taken back. Of equal ranks the left merge comes first.
 */
bool bpe_neighbours(const struct bpe_tables *t, uint32_t left, uint32_t right, uint64_t *steps)
{
    uint32_t limit = BPE_NONE;

    for (;;) {
        bool left_whole = token_right(t->tokens[left]) == left;
        bool right_whole = token_left(t->tokens[right]) == right;

        ++*steps;
        if (merged(t, left, right) < limit)
            return false;
        if (left_whole && right_whole)
            return true;
        if (!left_whole && (left > right || right_whole)) {
            limit = left;
            left = token_right(t->tokens[left]);
        } else {
            limit = right + 1;
            right = token_left(t->tokens[right]);
        }
    }
}

/* The same, looked up if this pair was compared lately. */
static inline bool fits(const struct bpe_tables *t, struct bpe_memo *memo, uint32_t left, uint32_t right,
                        uint64_t *steps)
{
    uint64_t pair = ((uint64_t)left << 18 | right) + 1;
    uint64_t *known;
    bool yes;

    if (!memo)
        return bpe_neighbours(t, left, right, steps);
    ++*steps;
    known = &memo->known[pair_slot(left, right, 64 - BPE_MEMO_BITS)];
    if (*known >> 1 == pair)
        return *known & 1;
    yes = bpe_neighbours(t, left, right, steps);
    *known = pair << 1 | yes;
    return yes;
}

/* ---- the greedy way ------------------------------------------------------------------------------ */

#define GUESSES 16
#define GUESSED UINT32_C(0x80000000) /* in greedy.token: not the longest one that fitted */

/* What was placed behind the token `last` the last time, and where. BPE_NONE in `last`: nothing yet. */
struct guess {
    uint32_t last, next;
    size_t at;
};

struct greedy {
    const struct bpe_tables *t;
    struct bpe_memo *memo; /* borrowed; may be NULL */
    const unsigned char *p;
    size_t n;
    size_t at;       /* the tokens so far cover p[0..at) */
    size_t frontier; /* the highest that `at` has been */
    size_t depth;    /* how many tokens there are so far; the last ones are in `token` */
    uint64_t steps;
    struct guess guess[GUESSES]; /* by `last` */
    uint32_t token[RING];
    uint64_t dead[RING / 64]; /* by position; defined up to the end of the frontier's word */
};

static void start(struct greedy *g, const struct bpe_tables *t, struct bpe_memo *memo, const char *p,
                  size_t n)
{
    g->t = t;
    g->memo = memo;
    g->p = (const unsigned char *)p;
    g->n = n;
    g->at = g->frontier = g->depth = 0;
    g->steps = 0;
    for (size_t i = 0; i < GUESSES; i++)
        g->guess[i].last = BPE_NONE;
    g->dead[0] = 0;
}

static inline uint32_t last_token(const struct greedy *g)
{
    return g->depth ? g->token[(g->depth - 1) % RING] & ~GUESSED : BPE_NONE;
}

/* The longest token that the text goes on with. */
static inline uint32_t longest(struct greedy *g)
{
    const uint64_t *cells = g->t->cells;
    uint64_t cell = cells[0];
    uint32_t best = BPE_NONE;

    for (size_t i = g->at; i < g->n; i++) {
        cell = cells[cell_base(cell) ^ g->p[i]];
        g->steps++;
        if (cell_label(cell) != g->p[i])
            break;
        if (cell_token(cell) != BPE_NONE)
            best = cell_token(cell);
    }
    return best;
}

static inline bool is_dead(const struct greedy *g, size_t position)
{
    return position <= g->frontier && (g->dead[position % RING / 64] >> (position % 64) & 1);
}

static inline void advance(struct greedy *g, uint32_t token, size_t end)
{
    g->token[g->depth++ % RING] = token;
    g->at = end;
    if (end <= g->frontier)
        return;
    for (size_t word = g->frontier / 64 + 1; word <= end / 64; word++)
        g->dead[word % (RING / 64)] = 0;
    g->frontier = end;
}

/* The pair was right where the guess is from, so it is right here. */
static inline bool place_guess(struct greedy *g)
{
    uint32_t last = last_token(g);
    const struct guess *guess = &g->guess[last % GUESSES];
    size_t size;

    if (last == BPE_NONE || guess->last != last)
        return false;
    size = token_size(g->t->tokens[guess->next]);
    if (size > g->n - g->at || is_dead(g, g->at + size) || memcmp(g->p + g->at, g->p + guess->at, size) != 0)
        return false;
    g->steps++;
    advance(g, guess->next | GUESSED, g->at + size);
    return true;
}

/* Places one token behind the last, trying `token` and then its prefixes. False: none fits, the position is
 * dead. */
static inline bool place(struct greedy *g, uint32_t token)
{
    uint32_t last = last_token(g);

    for (; token != BPE_NONE; token = token_prefix(g->t->tokens[token])) {
        size_t end = g->at + token_size(g->t->tokens[token]);

        if (is_dead(g, end))
            continue;
        if (last == BPE_NONE || fits(g->t, g->memo, last, token, &g->steps)) {
            g->guess[last % GUESSES] = (struct guess){.last = last, .next = token, .at = g->at};
            advance(g, token, end);
            return true;
        }
    }
    g->dead[g->at % RING / 64] |= UINT64_C(1) << (g->at % 64);
    return false;
}

/* Takes the last token back; what `place` has to go on with. Where that token ended is dead, so it is not
 * placed again. */
static uint32_t take_back(struct greedy *g)
{
    uint32_t token;

    /* the empty encoding is right for no bytes, so there is a token to take back */
    MG_ASSERT(g->depth > 0);
    token = g->token[--g->depth % RING];
    g->at -= token_size(g->t->tokens[token & ~GUESSED]);
    return token & GUESSED ? longest(g) : token;
}

/* False: the way back is longer than `back`. */
static bool run(struct greedy *g, size_t back)
{
    while (g->at < g->n) {
        uint32_t token;

        if (place_guess(g))
            continue;
        token = longest(g);
        while (!place(g, token)) {
            token = take_back(g);
            if (g->frontier - g->at > back)
                return false;
        }
    }
    return true;
}

struct bpe_count bpe_count_back(const struct bpe_tables *t, struct bpe_memo *memo, const char *p, size_t n,
                                size_t back)
{
    struct greedy g;
    struct bpe_count all;

    MG_ASSERT(back <= BPE_BACK);
    start(&g, t, memo, p, n);
    if (run(&g, back))
        return (struct bpe_count){(int64_t)g.depth, g.steps};
    all = bpe_count_all(t, p, n);
    all.steps += g.steps;
    return all;
}

/* ---- short pieces ------------------------------------------------------------------------------------ */

/*
 * As the definition reads: quadratic, and the fastest for what is no token as a whole (a word that nobody has written before), because the
 * pairs' places in the table do not depend on each other.
 */
static struct bpe_count count_short(const struct bpe_tables *t, const char *p, size_t n)
{
    uint32_t token[BPE_SHORT], rank[BPE_SHORT];
    uint64_t steps = 2 * n;
    size_t parts = n;

    for (size_t i = 0; i < n; i++)
        token[i] = cell_token(t->cells[cell_base(t->cells[0]) ^ (unsigned char)p[i]]);
    for (size_t i = 0; i + 1 < n; i++)
        rank[i] = merged(t, token[i], token[i + 1]);
    while (parts > 1) {
        size_t at = 0;

        for (size_t i = 1; i + 1 < parts; i++)
            at = rank[i] < rank[at] ? i : at;
        if (rank[at] == BPE_NONE)
            break;
        token[at] = rank[at];
        parts--;
        for (size_t i = at + 1; i < parts; i++) {
            token[i] = token[i + 1];
            rank[i - 1] = rank[i];
        }
        if (at + 1 < parts)
            rank[at] = merged(t, token[at], token[at + 1]);
        if (at > 0)
            rank[at - 1] = merged(t, token[at - 1], token[at]);
        steps += 2;
    }
    return (struct bpe_count){(int64_t)parts, steps};
}

struct bpe_count bpe_count(const struct bpe_tables *t, struct bpe_memo *memo, const char *p, size_t n)
{
    if (n > 0 && n <= BPE_SHORT)
        return bpe_rank(t, p, n) != BPE_NONE ? (struct bpe_count){1, n} : count_short(t, p, n);
    return bpe_count_back(t, memo, p, n, BPE_BACK);
}

/* ---- every prefix -------------------------------------------------------------------------------- */

#define PREFIXES ((size_t)2 * BPE_LONGEST)

struct prefix {
    uint32_t last; /* the last token of the encoding of the text up to here; BPE_NONE at the start */
    bool known;
    int64_t tokens;
};

/* Offers every token that begins at `from` to the position where it would end. */
static void extend(const struct bpe_tables *t, struct prefix *ring, const unsigned char *p, size_t n,
                   size_t from, uint64_t *steps)
{
    const struct prefix here = ring[from % PREFIXES];
    uint64_t cell = t->cells[0];

    for (size_t i = from; i < n; i++) {
        struct prefix *there = &ring[(i + 1) % PREFIXES];
        uint32_t token;

        cell = t->cells[cell_base(cell) ^ p[i]];
        ++*steps;
        if (cell_label(cell) != p[i])
            return;
        token = cell_token(cell);
        if (token == BPE_NONE || there->known)
            continue;
        if (here.last == BPE_NONE || bpe_neighbours(t, here.last, token, steps))
            *there = (struct prefix){.last = token, .known = true, .tokens = here.tokens + 1};
    }
}

struct bpe_count bpe_count_all(const struct bpe_tables *t, const char *p, size_t n)
{
    struct prefix ring[PREFIXES];
    uint64_t steps = 0;

    memset(ring, 0, sizeof ring);
    ring[0] = (struct prefix){.last = BPE_NONE, .known = true, .tokens = 0};
    for (size_t at = 0; at < n; at++) {
        MG_ASSERT(ring[at % PREFIXES].known);
        extend(t, ring, (const unsigned char *)p, n, at, &steps);
        ring[at % PREFIXES].known = false;
    }
    return (struct bpe_count){ring[n % PREFIXES].tokens, steps};
}

uint32_t bpe_rank(const struct bpe_tables *t, const char *p, size_t n)
{
    uint64_t cell = t->cells[0];

    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)p[i];

        cell = t->cells[cell_base(cell) ^ c];
        if (cell_label(cell) != c)
            return BPE_NONE;
    }
    return cell_token(cell);
}
