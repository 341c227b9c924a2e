/*
 * health: what is known of those whose calls fail together, a model's budget or an upstream: the refusals
 * that they wait for now, and whether they are down. Zeroed: well. Written by retry.c alone.
 */
#ifndef METERGATE_PROXY_HEALTH_H
#define METERGATE_PROXY_HEALTH_H

#include "metergate/gate/backoff.h"
#include "metergate/gate/breaker.h"

struct health {
    struct backoff backoff;
    struct breaker breaker; /* of an upstream: connections fail; of a model: it answers 503 or 529 */
};

#endif
