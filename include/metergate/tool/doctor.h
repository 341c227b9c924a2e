/*
 * doctor: what the checks of `metergate doctor` are given, and the checks. Each looks at one thing, adds what
 * it finds to `findings` (nothing where there is nothing to say, as when the system does not tell), and
 * changes nothing else. Their order is doctor.c's table; a check that needs the daemon's status is not called
 * without one.
 */
#ifndef METERGATE_TOOL_DOCTOR_H
#define METERGATE_TOOL_DOCTOR_H

#include <stdbool.h>
#include <stdint.h>

#include "metergate/tool/client.h"
#include "metergate/tool/findings.h"

/* Where an answer's Date was compared with our clock. */
struct doctor_skew {
    bool known;
    int64_t ahead_ms; /* how much later it is here */
    char of[72];      /* of which upstream */
};

struct doctor {
    struct client client; /* its address and token are the ones that were found */
    struct findings findings;
    bool offline;        /* providers are not called */
    bool answers;        /* Metergate answers at the address */
    struct buf document; /* owned: what `status` is borrowed from */
    struct slice
        status; /* what /-/status says: an object (tool/doc.h); empty without a daemon that tells us */
    struct doctor_skew skew; /* by the upstreams' check */
};

void doctor_daemon(struct doctor *d);      /* is it there; also fills in `answers` and `status` */
void doctor_version(struct doctor *d);     /* status */
void doctor_service(struct doctor *d);     /* systemd's view of it */
void doctor_variables(struct doctor *d);   /* do the base URLs of this shell lead there */
void doctor_proxy(struct doctor *d);       /* does a proxy variable stand in the way */
void doctor_keys(struct doctor *d);        /* which keys are there; never what they are */
void doctor_upstreams(struct doctor *d);   /* status; a free call to each */
void doctor_limits(struct doctor *d);      /* status; configured, learned, missing */
void doctor_queue(struct doctor *d);       /* status; paused, draining, what is held and until when */
void doctor_clock(struct doctor *d);       /* after the upstreams */
void doctor_descriptors(struct doctor *d); /* status */
void doctor_state(struct doctor *d);       /* status; what is kept, and whether it can be */
void doctor_config(struct doctor *d);      /* which file is read, and whether it is right */

#endif
