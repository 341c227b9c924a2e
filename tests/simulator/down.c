/* down: nothing here happens by itself: that the time is over is found by whoever asks. */
#include "down.h"

#include "metergate/base/clock.h"
#include "metergate/base/err.h"

static const char *const names[] = {
    [DOWN_UP] = "up", [DOWN_REFUSE] = "refuse", [DOWN_RESET] = "reset", [DOWN_503] = "503"};

bool down_mode_named(struct slice name, enum down_mode *ret)
{
    for (size_t i = 0; i < MG_ARRAY_LEN(names); i++)
        if (slice_eq(name, slice_str(names[i]))) {
            *ret = (enum down_mode)i;
            return true;
        }
    return false;
}

const char *down_mode_name(enum down_mode mode)
{
    return names[mode];
}

void down_begin(struct down *d, enum down_mode mode, int64_t ms, bool cut, int64_t now_us)
{
    d->mode = mode;
    d->cut = cut;
    d->until_us = ms < 0 || mode == DOWN_UP ? DOWN_FOR_EVER : now_us + ms * CLOCK_MS;
    d->times += mode != DOWN_UP;
}

enum down_mode down_mode(const struct down *d, int64_t now_us)
{
    return now_us < d->until_us ? d->mode : DOWN_UP;
}
