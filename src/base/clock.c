/* clock: all clocks exist on every Linux since 2.6.39; a failure is a bug. */
#include "metergate/base/clock.h"

#include <time.h>

#include "metergate/base/err.h"

static int64_t read_us(clockid_t id)
{
    struct timespec ts;

    MG_ASSERT(clock_gettime(id, &ts) == 0);
    return (int64_t)ts.tv_sec * CLOCK_S + ts.tv_nsec / 1000;
}

int64_t clock_now_us(void)
{
    return read_us(CLOCK_BOOTTIME);
}

int64_t clock_wall_us(void)
{
    return read_us(CLOCK_REALTIME);
}

int64_t clock_spent_us(void)
{
    return read_us(CLOCK_THREAD_CPUTIME_ID);
}
