/*
 * shortage: while it is on, its timer is set, and the front sheds. A use of the spare that could be made good at once is a
 * shortage that was over before anybody had to be refused.
 */
#include "metergate/proxy/shortage.h"

#include <malloc.h>

#include "metergate/base/clock.h"
#include "metergate/base/log.h"
#include "metergate/base/spare.h"
#include "metergate/proxy/hub.h"

/* Enough for what ten thousand held calls need to end, and for a status of them all. */
#define SPARE_BYTES ((size_t)8 << 20)

#define LOOK_EVERY_US CLOCK_S
#define SAY_EVERY_US  (60 * CLOCK_S)

/* Both edges are told, but a memory that is always just short fills no log. */
static bool tells(struct proxy *p)
{
    int64_t now = loop_now_us(p->loop);

    if (p->shortage.said_us && now - p->shortage.said_us < SAY_EVERY_US)
        return false;
    p->shortage.said_us = now;
    return true;
}

static void look(void *ctx)
{
    struct proxy *p = ctx;

    malloc_trim(0);
    if (!spare_retake()) {
        loop_timer_set(p->loop, &p->shortage.timer, loop_now_us(p->loop) + LOOK_EVERY_US, look, p);
        return;
    }
    p->shortage.on = false;
    front_shed(p->front, false);
    log_info("there is memory again: new calls are taken");
}

static void begin(struct proxy *p)
{
    if (tells(p))
        log_error("memory is short: new calls are refused for now, those that are there go on; %lld held, %lld in flight",
                  (long long)p->count[CALL_HELD], (long long)hub_in_flight(p));
    p->shortage.on = true;
    front_shed(p->front, true);
    upstream_close_idle(p->pool);
    loop_timer_set(p->loop, &p->shortage.timer, loop_now_us(p->loop) + LOOK_EVERY_US, look, p);
}

/* The spare is gone. */
static void on_shortage(void *ctx)
{
    struct proxy *p = ctx;

    if (p->shortage.on || !p->front)
        return;
    malloc_trim(0);
    if (!spare_retake())
        begin(p);
    else if (tells(p))
        log_warn("memory was short for a moment: what was kept back for that was used, and is there again");
}

void shortage_watch(struct proxy *p)
{
    if (!spare_keep(SPARE_BYTES))
        log_warn("no memory can be kept back for a shortage");
    loop_on_shortage(p->loop, on_shortage, p);
}

void shortage_stop(struct proxy *p)
{
    loop_on_shortage(p->loop, NULL, NULL);
    loop_timer_clear(p->loop, &p->shortage.timer);
}
