/*
 * places: the places in the queue of calls whose client has gone while they were held, or was sent away
 * shortly before its own timer. The same client that comes back with the same body to the same path within
 * PLACES_KEPT_US goes on with the arrival time and the place that it had, once.
 *
 * The same is: client, credentials, target and body, by SHA-256; nothing of them is kept. At most PLACES_MAX
 * places are kept, then the oldest goes.
 */
#ifndef METERGATE_PROXY_PLACES_H
#define METERGATE_PROXY_PLACES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "metergate/base/clock.h"
#include "metergate/base/list.h"
#include "metergate/base/map.h"

struct call;

#define PLACES_KEPT_US (120 * CLOCK_S)
#define PLACES_MAX     10000

struct places {
    struct map by_print; /* private: print -> the place that was kept first */
    struct list by_age;  /* private */
    size_t n;            /* readable: kept now, some of them perhaps over their time */
    int64_t taken;       /* readable: since the start */
};

void places_init(struct places *ps);
void places_release(struct places *ps);

/* Works out the part of the body, which may take a while: a worker does it for large ones. */
void places_print_body(struct call *c);

/* Of a call that is HELD, or that came back and finds the queue full; its exchange is there. */
void places_keep(struct places *ps, struct call *c);

/* True: this call had a place; it is taken. *ret_place is for gate_take_place. */
bool places_take(struct places *ps, struct call *c, int64_t *ret_arrived_us, uint64_t *ret_place);

#endif
