/*
 * relief: memory goes back to the system after a crowd has left. glibc keeps what lies between blocks that are still in
 * use, so a daemon that has once held ten thousand calls would keep their memory for ever; asking for it back walks the
 * whole heap, so it is done once, some time after the use has fallen to half of its highest mark.
 */
#ifndef METERGATE_NET_RELIEF_H
#define METERGATE_NET_RELIEF_H

#include <stdint.h>

#include "metergate/net/loop.h"

/* Zeroed: nothing was seen yet. */
struct relief {
    struct loop_timer timer; /* private */
    int64_t peak_bytes;      /* private: since memory was given back last */
};

/* What is in use now, roughly. Cheap: call it whenever something goes. */
void relief_look(struct relief *r, struct loop *l, int64_t bytes);

void relief_stop(struct relief *r, struct loop *l);

#endif
