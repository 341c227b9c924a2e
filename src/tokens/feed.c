/*
 * feed: a window over the text that begins with a piece and is counted as far as is certain whenever it is
 * full. If that leaves more than half of it, the window doubles: so each byte is looked at a bounded number
 * of times.
 *
 * Always true: what is held is well-formed; n <= room.
 */
#include "metergate/tokens/feed.h"

#include <stdlib.h>
#include <string.h>

#include "metergate/tokens/count.h"
#include "metergate/tokens/pretoken.h"
#include "metergate/tokens/utf8.h"

void feed_init(struct tokens_feed *f, enum encoding e, int64_t limit)
{
    f->encoding = e;
    f->tokens = 0;
    f->limit = limit;
    f->n = f->part_n = 0;
    f->room = sizeof f->first;
    f->held = f->first;
}

static void count_held(struct tokens_feed *f, size_t last)
{
    int64_t more;
    size_t done =
        tokens_count_pieces(f->encoding, slice_of(f->held, f->n), last, f->limit - f->tokens, &more);

    f->tokens += more;
    f->n -= done;
    memmove(f->held, f->held + done, f->n);
}

static bool grow(struct tokens_feed *f)
{
    char *larger = f->held == f->first ? malloc(f->room * 2) : realloc(f->held, f->room * 2);

    if (!larger)
        return false;
    if (f->held == f->first)
        memcpy(larger, f->first, f->n);
    f->held = larger;
    f->room *= 2;
    return true;
}

static void make_room(struct tokens_feed *f)
{
    count_held(f, pretoken_certain(slice_of(f->held, f->n)));
    if (f->n > f->room / 2 && !grow(f))
        count_held(f, f->n);
}

/* Once the limit is passed nothing more needs to be known. */
static bool is_over(const struct tokens_feed *f)
{
    return f->tokens > f->limit;
}

/* Whole characters. */
static void hold(struct tokens_feed *f, const char *p, size_t n)
{
    while (n && !is_over(f)) {
        size_t fits = n < f->room - f->n ? n : f->room - f->n;

        memcpy(f->held + f->n, p, fits);
        f->n += fits;
        p += fits;
        n -= fits;
        if (f->n == f->room)
            make_room(f);
    }
}

/* The character that the last part began: what is at p may complete it. How many bytes of p belong to it. */
static size_t complete(struct tokens_feed *f, const char *p, size_t n)
{
    char both[sizeof f->part + 4];
    size_t had = f->part_n, have = had + (n < 4 ? n : 4), size;
    bool whole;

    memcpy(both, f->part, had);
    memcpy(both + had, p, have - had);
    size = utf8_next(both, have, &whole);
    if (size == 0) { /* still not all of it */
        memcpy(f->part, both, have);
        f->part_n = have;
        return have - had;
    }
    f->part_n = 0;
    hold(f, whole ? both : UTF8_REPLACEMENT, whole ? size : sizeof UTF8_REPLACEMENT - 1);
    return size - had;
}

void feed_add(struct tokens_feed *f, const char *p, size_t n)
{
    if (f->part_n && n) {
        size_t took = complete(f, p, n);

        p += took;
        n -= took;
    }
    while (n && !is_over(f)) {
        size_t valid = utf8_valid(p, n), size;
        bool whole;

        hold(f, p, valid);
        p += valid;
        n -= valid;
        if (n == 0)
            break;
        size = utf8_next(p, n, &whole);
        if (size == 0) {
            memcpy(f->part, p, n);
            f->part_n = n;
            break;
        }
        hold(f, UTF8_REPLACEMENT, sizeof UTF8_REPLACEMENT - 1);
        p += size;
        n -= size;
    }
}

int64_t feed_finish(struct tokens_feed *f)
{
    if (f->part_n)
        hold(f, UTF8_REPLACEMENT, sizeof UTF8_REPLACEMENT - 1);
    count_held(f, f->n);
    if (f->held != f->first)
        free(f->held);
    f->held = f->first;
    return f->tokens;
}
