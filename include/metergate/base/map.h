/*
 * map: string keys to pointers. The map copies keys and never owns the values. Whoever lets a peer choose keys bounds
 * their number (map_count) before it adds one.
 */
#ifndef METERGATE_BASE_MAP_H
#define METERGATE_BASE_MAP_H

#include <stddef.h>

#include "metergate/base/slice.h"

struct map {
    struct map_entry *head; /* private */
};

void map_init(struct map *m);
void map_release(struct map *m);

/* The same, and free()s every value. */
void map_release_values(struct map *m);

/* NULL when the key is not there. */
void *map_get(const struct map *m, struct slice key);

/* Adds or replaces; `value` must not be NULL. */
void map_set(struct map *m, struct slice key, void *value);

/* Harmless when the key is not there. */
void map_remove(struct map *m, struct slice key);

size_t map_count(const struct map *m);

/* Calls `each` for every entry in the order of insertion; the map must not change meanwhile. */
void map_each(const struct map *m, void (*each)(void *arg, struct slice key, void *value), void *arg);

#endif
