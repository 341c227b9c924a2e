/*
 * down: the provider is not there for a while. Pure; the caller holds the lock and gives the time.
 *
 *   refuse   nobody listens: connecting fails. Nobody can count that
 *   reset    connections are accepted and reset at once
 *   503      calls are answered 503, and charged to nobody
 */
#ifndef SIMULATOR_DOWN_H
#define SIMULATOR_DOWN_H

#include <stdbool.h>
#include <stdint.h>

#include "metergate/base/slice.h"

enum down_mode { DOWN_UP, DOWN_REFUSE, DOWN_RESET, DOWN_503 };

#define DOWN_FOR_EVER INT64_MAX

struct down {
    enum down_mode mode; /* private: as it was asked for */
    int64_t until_us;    /* readable: when it ends; DOWN_FOR_EVER: when it is told to */
    bool cut;            /* readable: calls that were in flight when it began were cut off */
    int64_t times;       /* readable: how often it went down */
    int64_t attempts;    /* readable: connections that were reset, and calls that got 503 */
};

/* The mode of that name; false when there is none. "up" is one. */
bool down_mode_named(struct slice name, enum down_mode *ret);
const char *down_mode_name(enum down_mode mode);

/* Goes down, or another way, or up. `ms` < 0: until told otherwise. */
void down_begin(struct down *d, enum down_mode mode, int64_t ms, bool cut, int64_t now_us);

/* How it is now. */
enum down_mode down_mode(const struct down *d, int64_t now_us);

#endif
