/*
 * breaker: failures is 0 or first_us is a time; while open, waits >= 1 and opened_us <= known_us <= probe_us.
 */
#include "metergate/gate/breaker.h"

#include "metergate/gate/backoff.h"

static bool is_enough(const struct breaker *b, int64_t now_us)
{
    return b->failures >= BREAKER_FAILURES ||
           (b->failures >= BREAKER_SLOW && now_us - b->first_us >= BREAKER_SLOW_US);
}

bool breaker_failed(struct breaker *b, struct prng *random, int64_t sent_us, int64_t now_us)
{
    if (b->failures == 0)
        b->first_us = now_us;
    if (b->failures < INT32_MAX)
        b->failures++;
    if (b->open && sent_us < b->known_us)
        return false; /* of the crowd that the last failure was of */
    if (!b->open && !is_enough(b, now_us))
        return false;
    if (!b->open) {
        b->open = true;
        b->opened_us = now_us;
        b->waits = 0;
    }
    if (b->waits < INT32_MAX)
        b->waits++;
    b->known_us = now_us;
    b->probe_us = now_us + backoff_wait_us(b->waits, BREAKER_MAX_US, random);
    return true;
}

bool breaker_answered(struct breaker *b, int64_t sent_us)
{
    bool was_open = b->open;

    if (was_open && sent_us < b->opened_us)
        return false;
    *b = (struct breaker){0};
    return was_open;
}
