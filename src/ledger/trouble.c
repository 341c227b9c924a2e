/*
 * trouble: logged_us outlives the trouble, so that what comes and goes all the time is not a flood of lines.
 */
#include "metergate/ledger/trouble.h"

#include <stdio.h>

#include "metergate/base/clock.h"

void trouble_set(struct trouble *t, int64_t now_us, bool soon, const char *problem)
{
    int64_t wait_ms = TROUBLE_SOON_MS;

    if (!soon) {
        t->wait_ms = t->wait_ms ? 2 * t->wait_ms : TROUBLE_RETRY_MS;
        if (t->wait_ms > TROUBLE_RETRY_MAX_MS)
            t->wait_ms = TROUBLE_RETRY_MAX_MS;
        wait_ms = t->wait_ms;
    }
    t->on = true;
    t->retry_us = now_us + wait_ms * CLOCK_MS;
    snprintf(t->problem, sizeof t->problem, "%s", problem);
}

bool trouble_tell(struct trouble *t, int64_t now_us)
{
    if (!t->on || (t->logged_us && now_us - t->logged_us < TROUBLE_LOG_MS * CLOCK_MS))
        return false;
    t->logged_us = now_us;
    t->told = true;
    return true;
}

bool trouble_clear(struct trouble *t)
{
    bool told = t->told;

    t->on = t->told = false;
    t->wait_ms = 0;
    t->problem[0] = '\0';
    return told;
}
