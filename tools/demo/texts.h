/*
 * texts: the same texts sent to two models, and what `metergate compare` says of them then.
 */
#ifndef DEMO_TEXTS_H
#define DEMO_TEXTS_H

#include "metergate/tool/client.h"
#include "stage.h"

#define TEXTS 20

/* Tells it and checks it; the provider gets 2 * TEXTS calls. */
void texts_compare(const struct stage *stage, const struct client *daemon);

#endif
