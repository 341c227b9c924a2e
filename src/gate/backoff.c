/* backoff: until_us never moves back. With refused and named 0 known_us means nothing. */
#include "metergate/gate/backoff.h"

#include <stdbool.h>

#include "metergate/base/clock.h"
#include "metergate/base/err.h"

#define FIRST_US       (CLOCK_S / 2)
#define NAMED_FIRST_US CLOCK_MS
#define NAMED_DOUBLED  10 /* up to a second */
#define JITTER_MAX_US  CLOCK_S
#define COUNTED_MAX    20

/*
 * The first gap is an eighth of the wait, but not more; a mean gap is at most a second, so that one is at
 * most 3/2.
 */
#define GAP_FIRST_MAX_US (CLOCK_S / 4)
#define GAP_MEAN_MAX_US  (BACKOFF_GAP_MAX_US / 3 * 2)
#define GAP_LEAST_US     CLOCK_MS

/* So long after the last wait nothing is known of its cause any more. */
#define FORGOTTEN_US (60 * CLOCK_S)

int64_t backoff_wait_us(int n, int64_t most_us, struct prng *random)
{
    int64_t wait_us = FIRST_US;

    MG_ASSERT(n >= 1 && most_us >= 2 * FIRST_US);
    for (int i = 1; i < n && wait_us < most_us / 2; i++)
        wait_us *= 2;
    if (wait_us > most_us / 2)
        wait_us = most_us / 2;
    return wait_us + prng_below(random, wait_us);
}

/* Whether a refusal is news; if so, what it came after is noted. */
static bool is_news(struct backoff *b, int64_t sent_us, int64_t now_us)
{
    if (b->refused + b->named > 0 && sent_us < b->known_us)
        return false;
    if (sent_us > b->until_us + FORGOTTEN_US)
        *b = (struct backoff){0};
    b->sent_us = sent_us;
    b->known_us = now_us;
    return true;
}

static int64_t less(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* The end of a wait from now on; one that is news widens the gap. */
static int64_t wait_for(struct backoff *b, int64_t now_us, int64_t wait_us, bool news)
{
    int64_t first_us = less(wait_us / 8, GAP_FIRST_MAX_US);

    if (news)
        b->gap_us = less(2 * b->gap_us > first_us ? 2 * b->gap_us : first_us, GAP_MEAN_MAX_US);
    if (now_us + wait_us > b->until_us)
        b->until_us = now_us + wait_us;
    return b->until_us;
}

static void count(int *n)
{
    if (*n < COUNTED_MAX)
        ++*n;
}

int64_t backoff_refused(struct backoff *b, struct prng *random, int64_t sent_us, int64_t now_us)
{
    bool news = is_news(b, sent_us, now_us);

    if (!news && b->until_us > now_us)
        return b->until_us;
    if (news || b->refused == 0)
        count(&b->refused);
    return wait_for(b, now_us, backoff_wait_us(b->refused, BACKOFF_MAX_US, random), news);
}

int64_t backoff_named(struct backoff *b, struct prng *random, int64_t sent_us, int64_t now_us,
                      int64_t wait_us)
{
    bool news = is_news(b, sent_us, now_us);
    int64_t least_us;

    MG_ASSERT(wait_us > 0);
    if (news || b->named == 0)
        count(&b->named);
    least_us = NAMED_FIRST_US << less(b->named, NAMED_DOUBLED);
    if (wait_us < least_us)
        wait_us = least_us;
    return wait_for(b, now_us, wait_us + prng_below(random, less(wait_us / 10, JITTER_MAX_US) + 1), news);
}

void backoff_answered(struct backoff *b, int64_t sent_us)
{
    if (sent_us <= b->sent_us)
        return;
    b->refused = b->named = 0;
    b->gap_us -= b->gap_us / 4;
    if (b->gap_us < GAP_LEAST_US)
        b->gap_us = 0;
}

int64_t backoff_gap_us(const struct backoff *b, struct prng *random, int64_t now_us)
{
    if (b->gap_us == 0 || now_us > b->until_us + FORGOTTEN_US)
        return 0;
    return b->gap_us / 2 + 1 + prng_below(random, b->gap_us);
}
