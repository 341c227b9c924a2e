/*
 * store: what the provider keeps of its answers: their JSON and how many tokens stand behind an id. For all
 * threads; STORE_MAX of them, then the oldest is forgotten.
 */
#ifndef SIMULATOR_STORE_H
#define SIMULATOR_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "metergate/base/buf.h"
#include "metergate/base/slice.h"

#define STORE_MAX 1000

/* Takes the place of what the id had. */
void store_put(const char *id, struct slice json, int64_t tokens);

/* False: nothing is known of it. `json` and `tokens` may be NULL. */
bool store_find(const char *id, struct buf *json, int64_t *tokens);

#endif
