/*
 * feed: counting text that comes in parts, cut anywhere, even inside a character. The sum is that of the
 * whole text.
 *
 * What is not certain yet (the last piece, which the next part may go on with) is kept. That is seldom more
 * than a word; a piece that never ends, as a megabyte of one letter is, is kept whole, in memory that grows
 * with it.
 */
#ifndef METERGATE_TOKENS_FEED_H
#define METERGATE_TOKENS_FEED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "metergate/tokens/encoding.h"

#define FEED_BYTES 4096

/* Plain data that lives where it was initialised: it points into itself. feed_finish releases it. */
struct tokens_feed {
    enum encoding encoding; /* private, all of it */
    int64_t tokens, limit;
    size_t n, room; /* of `held`, which begins with a piece */
    char *held;     /* `first`, or owned */
    char part[4];   /* a character whose end has not come yet */
    size_t part_n;
    char first[FEED_BYTES];
};

/* `limit`: stop soon after so many tokens are passed; INT64_MAX for none. */
void feed_init(struct tokens_feed *f, enum encoding e, int64_t limit);

/*
 * n bytes of UTF-8; ill-formed parts count as U+FFFD (utf8.h). Never fails: without memory for a piece that
 * does not end it is cut where it is, which may add a token.
 */
void feed_add(struct tokens_feed *f, const char *p, size_t n);

/* The tokens of all that was added; above the limit, at least that many. `f` is as it was before feed_init.
 */
int64_t feed_finish(struct tokens_feed *f);

#endif
