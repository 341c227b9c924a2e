/* relief: the timer is set from the moment at which a crowd has left until the memory is given back. */
#include "metergate/net/relief.h"

#include <malloc.h>

#include "metergate/base/clock.h"

/* Below this nobody would notice. */
#define CROWD_BYTES (INT64_C(16) << 20)

/* Those that leave after the first half shall be part of it. */
#define RELIEF_DELAY_US CLOCK_S

static void give_back(void *ctx)
{
    struct relief *r = ctx;

    r->peak_bytes = 0;
    malloc_trim(0);
}

void relief_look(struct relief *r, struct loop *l, int64_t bytes)
{
    if (bytes > r->peak_bytes)
        r->peak_bytes = bytes;
    if (r->peak_bytes < CROWD_BYTES || bytes > r->peak_bytes / 2 || loop_timer_is_set(&r->timer))
        return;
    loop_timer_set(l, &r->timer, loop_now_us(l) + RELIEF_DELAY_US, give_back, r);
}

void relief_stop(struct relief *r, struct loop *l)
{
    loop_timer_clear(l, &r->timer);
}
